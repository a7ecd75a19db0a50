"""The page of a run: `index.html` in its folder, which needs no other file and no network.

It is written after epochs while the run goes on, and once more when it has ended.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.display import renderer
from archspec.errors import ArchspecError, UsageError
from archspec.evaluation.scores import Scores
from archspec.render.figure import history, writing
from archspec.render.figure.svg import style, svg
from archspec.render.html import files, page, row, scrolling, section
from archspec.render.markup import entities, escaped
from archspec.render.summary import facts
from archspec.runs import folder
from archspec.runs.files import (
    CONFUSION_PICTURES,
    INDEX,
    LINKED,
    MISTAKES_PICTURES,
    NETWORK_PAGE,
    UNITS_PICTURES,
)
from archspec.runs.summary import time_taken, verdict
from archspec.spec.writing import to_yaml
from archspec.text import counted, duration, label

if TYPE_CHECKING:
    from archspec.cost.report import Report
    from archspec.evaluation.label_scores import LabelScores
    from archspec.evaluation.number_scores import NumberScores
    from archspec.evaluation.scores import TaskScores
    from archspec.runs.outcome import Run

MOST_CONFUSED: Final = 8
"""Largest number of confused classes that are listed."""

MOST_BOXES: Final = 150
"""Largest number of boxes of the network's figure; a larger network is folded."""

LONGEST_START: Final = 3600.0
"""Seconds that a first epoch may take until its page doubts that the run goes on."""

SHORTEST_PATIENCE: Final = 60.0
EPOCHS_OF_PATIENCE: Final = 3
"""Seconds and longest epochs without news until a page doubts that its run goes on."""

MISTAKES: Final = "test images with what is right and what the network said"
"""Alternative text of the picture of mistakes."""

UNITS: Final = "gradients, dead and saturated units of each layer"
"""Alternative text of the picture of `watch_units`."""

LONGEST: Final = 40
"""Characters of a class's name that are shown in a table."""


@dataclass(frozen=True)
class RunPage:
    """The parts of a run's page that are the same from its first epoch to its last."""

    report: Report
    recipe: Mapping[str, Any]
    """The `train:` section."""
    data: str
    """A line about the images."""
    measure: str
    """Name of the main output's measure in the history: its accuracy, or its error."""
    epochs: int
    """Number of the last epoch."""
    least_loss: float | None = None
    """The value below which the loss cannot fall."""

    def write_network(self, home: Path) -> None:
        """Write `network.html`, the costs of every layer, into a run's folder.

        A network with more layers than a page can show has none.
        """
        from archspec.render.page.data import page_data  # noqa: PLC0415
        from archspec.render.page.document import document  # noqa: PLC0415

        with suppress(UsageError):
            folder.write_text(home / NETWORK_PAGE, document(page_data(self.report)))

    def write(
        self,
        home: Path,
        rows: Sequence[Mapping[str, float]],
        best_epoch: int | None,
        run: Run | None = None,
        scores: TaskScores | None = None,
    ) -> None:
        """Write `index.html` into a run's folder.

        Args:
            home: The folder.
            rows: The rows of `history.csv`.
            best_epoch: The best epoch so far.
            run: The result; None while the run goes on.
            scores: Scores of the test images.

        """
        folder.write_text(home / INDEX, self._html(home, rows, best_epoch, run, scores))

    def _html(
        self,
        home: Path,
        rows: Sequence[Mapping[str, float]],
        best_epoch: int | None,
        run: Run | None,
        scores: TaskScores | None,
    ) -> str:
        sections = [
            section("curves", "Curves", self._curves(rows, best_epoch, run), wide=True),
            *self._results(home, run, scores),
            section("network", "Network", self._network(home), wide=True),
            section("recipe", "Recipe", f"<pre>{entities(to_yaml(dict(self.recipe)))}</pre>"),
            section("files", "Files", files(home, LINKED, str(run.folder if run else home))),
        ]
        state = run.outcome if run else "training"
        news = f'data-written="{time.time():.0f}" data-patience="{_patience(rows):.0f}"'
        body = (
            f'<main data-state="{state}" {news}>\n'
            f'<header data-part="head">\n<h1>{escaped(self.report.name)}</h1>\n'
            f"{self._head(rows, run)}</header>\n"
            '<p class="stopped" role="status"></p>\n'
            f'<div class="sections">\n{"".join(sections)}</div>\n</main>\n'
        )
        return page(
            f"{self._state(rows, run)} \u00b7 {self.report.name}",
            body,
            sheet=(_HERE / "run_page.css").read_text(encoding="utf-8") + style(),
            script=(_HERE / "run_page.js").read_text(encoding="utf-8"),
            allowed=("img-src data:", "connect-src 'self'"),
        )

    def _state(self, rows: Sequence[Mapping[str, float]], run: Run | None) -> str:
        if run is not None:
            return run.outcome
        return f"epoch {len(rows)} of {self.epochs}"

    def _head(self, rows: Sequence[Mapping[str, float]], run: Run | None) -> str:
        about = f'<p class="quiet">{escaped(self.data)}</p>\n'
        if run is None:
            bar = f'<progress max="{self.epochs}" value="{len(rows)}">{len(rows)}</progress>'
            return f'<p class="verdict">training: {self._state(rows, run)}</p>\n{bar}\n{about}'
        ended = "finished" if run.outcome in {"finished", "stopped early"} else "stopped"
        time = escaped(time_taken(run, duration(run.seconds)))
        advice = f"<p>{escaped(run.advice)}</p>\n" if run.advice else ""
        line = escaped(verdict(run))
        return f'<p class="verdict {ended}">{line}</p>\n<p>{time}</p>\n{advice}{about}'

    def _curves(
        self, rows: Sequence[Mapping[str, float]], best_epoch: int | None, run: Run | None
    ) -> str:
        if not rows:
            return f"<p>No epoch {'was completed' if run else 'is complete yet'}.</p>"
        drawn = history.drawing(
            rows,
            measure=self.measure,
            best_epoch=best_epoch,
            epochs=None if run else self.epochs,
            least_loss=self.least_loss,
        )
        return scrolling("Charts", svg(drawn, inline=True))

    @cached_property
    def _figure(self) -> str:
        """The network's figure, folded until it is small enough; empty if it cannot be.

        It is the same after every epoch, and takes longer than all else on the page.
        """
        from archspec.figure import Figure  # noqa: PLC0415

        for depth in (None, 3, 2, 1):
            try:
                drawn = writing.drawing(Figure((self.report,), depth=depth))
            except ArchspecError:  # too many boxes
                continue
            if depth == 1 or len(drawn.marks) <= 2 * MOST_BOXES:
                return svg(drawn, inline=True)
        return ""

    def _network(self, home: Path) -> str:
        lines = "".join(
            f"<tr><th>{escaped(fact.name)}</th><td>{escaped(fact.figure)}"
            f"<small>{escaped(fact.detail)}</small></td></tr>"
            for fact in facts(self.report)
            if fact.figure and fact.holds is None
        )
        scrolled = scrolling("Figure", self._figure) if self._figure else ""
        link = ""
        if (home / NETWORK_PAGE).exists():
            link = f'<p><a href="{NETWORK_PAGE}">Every layer, with its costs</a></p>'
        return f'<div class="beside"><div><table>{lines}</table>{link}</div>\n{scrolled}</div>'

    def _results(self, home: Path, run: Run | None, scores: TaskScores | None) -> Iterator[str]:
        """Yield what is known at the end; pictures may be there of an earlier end of the run."""
        if scores is not None and not isinstance(scores, Scores):
            yield section("scores", "Test scores", _outputs(scores), wide=True)
        if isinstance(scores, Scores):
            confused = "".join(
                row(
                    [*(_class(scores, n) for n in (cell.truth, cell.predicted)), f"{cell.images:,}"]
                )
                for cell in scores.confused(MOST_CONFUSED)
            )
            table = f"{row(('class', 'taken for', 'images'), 'th')}{confused}"
            picture = _picture(home / CONFUSION_PICTURES[0], "confusion matrix")
            table = f"<table>{table}</table>" if confused else "<p>No mistakes.</p>"
            about = f"{scores.accuracy:.2%} of {counted(scores.images, 'test image')} right"
            body = f'<p>{about}</p>\n<div class="beside">{picture}{table}</div>'
            yield section("confusion", "Confusion matrix", body, wide=True)
        if scores is not None and (picture := _picture(home / MISTAKES_PICTURES[0], MISTAKES)):
            title = "Largest errors" if scores.TASK == "regression" else "Surest mistakes"
            yield section("mistakes", title, picture, wide=True)
        if run and (picture := _picture(home / UNITS_PICTURES[0], UNITS)):
            yield section("units", "Units", picture, wide=True)


_HERE: Final = Path(__file__).parent


def _patience(rows: Sequence[Mapping[str, float]]) -> float:
    """Return the seconds without news after which a page's run may have been stopped."""
    if not rows:
        return LONGEST_START
    return SHORTEST_PATIENCE + EPOCHS_OF_PATIENCE * max(row.get("seconds", 0.0) for row in rows)


def _outputs(scores: LabelScores | NumberScores) -> str:
    """Return the scores of labels or of values as a table, below the figures of the whole."""
    module = renderer(scores.RENDERER)
    table = module.table(scores)
    heads = row((escaped(column.title) for column in table.columns), "th")
    rows = "".join(row(escaped(str(cell)) for cell in cells) for cells in table.rows)
    return f"<p>{escaped(module.headline(scores))}</p>\n<table>{heads}{rows}</table>"


def _class(scores: Scores, number: int) -> str:
    return escaped(label(scores.classes[number], LONGEST))


def _picture(path: Path, alt: str) -> str:
    """Return a picture as a part of the page; empty if the run has none."""
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except FileNotFoundError:
        return ""
    image = f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
    return scrolling("Picture", image)

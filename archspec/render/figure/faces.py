"""Text and tones of a network's boxes, and the legend: the same in every style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Final

from archspec.cost.report import GROUPS
from archspec.figure import MEASURES
from archspec.graph.graph import SEPARATOR
from archspec.render import report as table
from archspec.render.amounts import PrintedExtents
from archspec.render.figure.drawing import RAMP, Circle, Mark, Path, Rect, Text
from archspec.render.figure.metrics import text_width
from archspec.render.figure.outline import Box
from archspec.render.summary import facts

if TYPE_CHECKING:
    from archspec.figure import Figure

LABEL: Final = 11.0
"""Size of the font of labels."""

SMALL: Final = 9.5
"""Size of the font of all below labels."""

TITLE: Final = 13.0
"""Size of the font of titles, and of signs in circles."""

MIDDLE: Final = 0.36
"""Height of the middle of letters above their baseline, as a share of the font's size."""

LINE: Final = 13.0
"""Height of a line of text."""

EDGE: Final = 12.0
"""Width between the edge of the page and the text."""

BAR: Final = 4.0
"""Height of a bar."""

MERGE: Final = 18.0
"""Diameter of a merge's circle."""

SWATCH: Final = 10.0
"""Side of a square in the legend."""

SIGNS: Final = {"add": "+", "subtract": "\u2212", "multiply": "\u00d7", "concat": ""}
"""Signs in the circles of merges. Others have their kind, in as wide a shape as it needs."""

FAMILIES: Final = {
    "convolution": "convolution",
    "pooling": "pooling",
    "fully_connected": "fully connected",
    "normalization": "normalization",
    "activation": "activation",
    "merge": "merge",
    "block": "block",
    "other": "other",
}
"""The tones of boxes in the legend's order, and what they mean."""


class Faces:
    """The looks of a network's boxes, as a figure's settings say."""

    def __init__(self, figure: Figure, leaves: Iterable[Box], frames: Iterable[Box] = ()) -> None:
        """Take the boxes that have nothing inside, and those that are drawn around others.

        The largest amount of the first is a full bar.
        """
        self._figure = figure
        self._leaves = list(leaves)
        self._shared = {box.path for box in frames if box.row.shared_with}
        self.most = {
            name: int(
                max(filter(isfinite, (self._amount(name, box) for box in self._leaves)), default=0)
            )
            for name in (figure.bar, figure.color)
            if name in MEASURES
        }

    def shown(self, box: Box) -> list[str]:
        """Return whose weights a box uses, and the figures that boxes show, each as a line."""
        owner = box.row.shared_with
        lines = [f"shared with {owner}"] if owner and self._is_outermost(box) else []
        for name in self._figure.show:
            column = table.BY_NAME[name]
            texts = [column.text(value) for value in self._values(name, box) if value]
            if texts and name == "field":
                lines.append(f"{column.title} {spread(texts)}")
            elif texts:
                lines.append(f"{spread(texts)} {column.title}")
        return lines

    def _is_outermost(self, box: Box) -> bool:
        """Whether no box around one shares the weights of another."""
        path = box.path
        while SEPARATOR in path:
            path = path.rpartition(SEPARATOR)[0]
            if path in self._shared:
                return False
        return True

    def tone(self, box: Box) -> str:
        """Return the tone of a box: by its kind, or by the figure that colours boxes."""
        if self._figure.color == "kind":
            return _family(box)
        return f"ramp{round(self._share(self._figure.color, box) * (RAMP - 1))}"

    def has_bar(self, box: Box) -> bool:
        """Whether a bar is asked for, and the box has any of what it shows."""
        return self._figure.bar is not None and self._amount(self._figure.bar, box) > 0

    def bar(self, box: Box, x: float, y: float, width: float) -> list[Mark]:
        """Return the bar of a box; nothing if it has none."""
        name = self._figure.bar
        if not name or not self.has_bar(box):
            return []
        length = width * self._share(name, box)
        return [Rect(x, y, width, BAR, "track"), Rect(x, y, length, BAR, "bar")]

    def sentence(self, box: Box) -> str:
        """Return what a box is and costs, for a screen reader and on hovering."""
        texts = [f"{box.path}: {labelled(box)}", f"output {shape(box)}"]
        if box.row.shared_with:
            texts.append(f"weights shared with {box.row.shared_with}")
        for name in ("params", "macs", "memory"):
            value = table.value(name, box.row, self._figure.report)
            texts.append(f"{table.BY_NAME[name].text(value)} {table.BY_NAME[name].title}")
        return ", ".join(texts)

    def legend(self) -> Iterator[tuple[str, str]]:
        """Yield the tones that are drawn, and what they mean."""
        if self._figure.color == "kind":
            present = {self.tone(box) for box in self._leaves if not box.is_merge}
            yield from ((tone, text) for tone, text in FAMILIES.items() if tone in present)
        else:
            column = table.BY_NAME[self._figure.color]
            yield "ramp0", f"{column.title}: none"
            yield f"ramp{RAMP - 1}", column.text(self.most[column.name])
        if self._figure.bar:
            column = table.BY_NAME[self._figure.bar]
            yield "bar", f"bar: {column.title}, up to {column.text(self.most[column.name])}"

    def _share(self, name: str, box: Box) -> float:
        return min(1.0, self._amount(name, box) / (self.most[name] or 1))

    def _amount(self, name: str, box: Box) -> float:
        return max(map(_size, self._values(name, box)))

    def _values(self, name: str, box: Box) -> list[Any]:
        """Return a box's value in a column, and that of its counterpart in the last repeat."""
        rows = [box.row, box.last] if box.last else [box.row]
        return [table.value(name, row, self._figure.report) for row in rows]


def equalize(networks: Sequence[Faces]) -> None:
    """Let the same bar or colour mean the same amount in all networks."""
    most = {name: max(each.most[name] for each in networks) for name in networks[0].most}
    for each in networks:
        each.most = most


def _size(value: object) -> float:
    """Return a number for a value of the table; infinity for a field that is the whole input."""
    if isinstance(value, PrintedExtents):
        return float(max(value, default=0))
    if value == "all":
        return inf
    return float(value) if isinstance(value, int) else 0.0


def shape(box: Box) -> str:
    """Return the shape of a box's output; of one in repeats that grow, 56x56x96..256."""
    first = box.row.shape
    last = box.last.shape if box.last else first
    if first == last:
        return str(first)
    return f"{first}..{last.channels if first[:-1] == last[:-1] else last}"


def spread(texts: Sequence[str]) -> str:
    """Return the text of one value, or of the first and the last of several: 12..48."""
    first, *_, last = *texts, texts[-1]
    return first if first == last else f"{first}..{last}"


def labelled(box: Box) -> str:
    """Return a box's label, with how often it stands there: RESIDUAL \u00d7 3."""
    # A group's label is its contents, as the table has them in ASCII.
    return _times(box.row.label.replace(" x ", " \u00d7 "), box)


def named(box: Box) -> str:
    """Return a box's name, with how often it stands there: unit2 \u00d7 3."""
    return _times(box.name, box)


def entitled(box: Box) -> str:
    """Return the title of a block: its name, and its kind unless the name says it."""
    kind = box.row.kind
    says = kind in GROUPS or box.name.startswith(kind)
    return named(box) if says else f"{named(box)}: {kind}"


def merge_width(box: Box) -> float:
    """Return the width of a merge: a circle's, or what its kind needs."""
    kind = box.row.kind
    return MERGE if kind in SIGNS else max(MERGE, text_width(kind, SMALL) + 12.0)


def merge(box: Box, x: float, y: float, tone: str = "merge") -> Iterator[Mark]:
    """Yield the circle of a merge around (x, y), with its sign."""
    kind = box.row.kind
    if kind not in SIGNS:
        width = merge_width(box)
        yield Rect(x - width / 2, y - MERGE / 2, width, MERGE, tone, MERGE / 2)
        yield Text(x, y + SMALL * MIDDLE, kind, SMALL)
        return
    yield Circle(x, y, MERGE / 2, tone)
    if kind == "concat":
        for across in (-2.0, 2.0):
            yield Path(((x + across, y - 5), (x + across, y + 5)), "line")
    else:
        yield Text(x, y + TITLE * MIDDLE, SIGNS[kind], TITLE, bold=True)


def heading(title: str, below: str = "", x: float = 0.0) -> list[Mark]:
    """Return the title of a figure and a line below it, from x on."""
    x += EDGE
    marks: list[Mark] = [Text(x, EDGE + LABEL, title, TITLE, bold=True, anchor="start")]
    if below:
        marks.append(Text(x, EDGE + LABEL + LINE, below, SMALL, "quiet", anchor="start"))
    return marks


def subtitle(figure: Figure) -> str:
    """Return the line below the title: the input, and all parameters and MACs."""
    report = figure.report
    params, macs = report.totals.params, report.totals.macs
    return (
        f"input {report.graph.input_text}, {table.BY_NAME['params'].text(params)} parameters, "
        f"{table.BY_NAME['macs'].text(macs)} MACs"
    )


def description(figure: Figure) -> str:
    """Return the network's facts in a line, for screen readers."""
    return "; ".join(f"{fact.name} {fact.figure}" for fact in facts(figure.report) if fact.figure)


def legend(
    entries: Sequence[tuple[str, str]], width: float, top: float
) -> tuple[list[Mark], float]:
    """Return squares of tones with their meanings, in as many rows as they need, and the height."""
    marks: list[Mark] = []
    x, y = EDGE, top
    for tone, text in entries:
        wide = SWATCH + 5 + text_width(text, SMALL) + 12
        if x > EDGE and x + wide > width - EDGE:
            x, y = EDGE, y + LINE + 2
        marks.append(Rect(x, y, SWATCH, SWATCH, tone, 2))
        marks.append(Text(x + SWATCH + 5, y + SWATCH - 1.5, text, SMALL, "quiet", anchor="start"))
        x += wide
    return marks, (y - top + LINE + EDGE) if entries else 0.0


def _family(box: Box) -> str:
    """Return the tone of a box: what its layer does, or `block`."""
    if box.is_block:
        return "block"
    if box.nodes[0].is_input:
        return "input"
    family = box.main.op.family
    return family if family in FAMILIES else "other"


def _times(text: str, box: Box) -> str:
    parallel = " in parallel" if box.parallel else ""
    return f"{text} \u00d7 {box.times}{parallel}" if box.times > 1 else text

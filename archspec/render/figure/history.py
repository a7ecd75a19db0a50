"""A run's history as a figure: loss, accuracy and learning rate over the epochs.

It is made in milliseconds, so that a page can be written after every epoch; the pictures in a run's
folder, which matplotlib draws, are written when the run has ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from archspec.render.curves import LOG_LOSS, MOST_CROSSES, MOST_HEADS
from archspec.render.figure.drawing import Circle, Drawing, Mark, Path, Point, Text
from archspec.render.figure.metrics import text_width
from archspec.render.figures import VAST, thinned
from archspec.text import is_error, label

WIDTH: Final = 620.0
LEFT: Final = 56.0
RIGHT: Final = 118.0
TOP: Final = 14.0
PANEL: Final = 130.0
LOW_PANEL: Final = 64.0
GAP: Final = 18.0
BOTTOM: Final = 30.0
"""Widths and heights of the figure and of its parts, in points."""

SIZE: Final = 9.5
"""Size of the font."""

BASELINE: Final = 3.3
"""Distance of a text's baseline below the middle of its digits."""

VALIDATION: Final = "val_"
"""Beginning of the names of measures of the validation images."""

LOSS: Final = "_loss"
"""End of the name of an output's own loss."""

RATE: Final = "learning_rate"

NO_MEASURES: Final = frozenset({"epoch", "loss", RATE, "seconds", "images_per_second"})
"""Columns of a history that have a panel of their own, or none."""

MOST_METRICS: Final = 6
"""Largest number of further metrics that are drawn."""

SHORTEST: Final = 10
"""Least number of epochs of the axis, where the run has as many."""


class Panel(NamedTuple):
    """One chart: lines over the epochs, each a column of the history with its name and tone."""

    title: str
    height: float
    lines: Sequence[tuple[str, str, str]]
    least: float | None = None
    """A value that is marked, below which the measure cannot fall."""

    @property
    def is_loss(self) -> bool:
        """Whether the chart is that of the loss, the first one."""
        return self.title == "loss"


def drawing(
    rows: Sequence[Mapping[str, float]],
    *,
    measure: str = "accuracy",
    best_epoch: int | None = None,
    epochs: int | None = None,
    least_loss: float | None = None,
) -> Drawing:
    """Return the charts of a history, one below the other.

    Args:
        rows: The rows of `history.csv`, at least one.
        measure: Name of the main output's accuracy, or of its error.
        best_epoch: The epoch to mark.
        epochs: The last epoch of a run that goes on. The axis reaches so far, or until twice the
            epochs that there are, so that a long run's first epochs are seen.
        least_loss: The value below which the loss cannot fall.

    """
    done = int(rows[-1]["epoch"])
    last = max(done, min(epochs or 1, _room(done)))
    marks: list[Mark] = []
    y = TOP
    for panel in _panels(rows, measure, least_loss):
        marks += _panel(panel, rows, y, last, best_epoch)
        y += panel.height + GAP
    for epoch in _whole_ticks(last):
        marks.append(Text(_across(epoch, last), y, f"{epoch:,}", SIZE, "quiet"))
    marks.append(Text(WIDTH - RIGHT + 26, y, "epoch", SIZE, "quiet", anchor="start"))
    row = rows[-1]
    described = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
    title = f"loss, {_title(measure)} and learning rate over the epochs"
    return Drawing(
        title, f"after epoch {row['epoch']}: {described}", WIDTH, y + BOTTOM - GAP, marks
    )


def _room(done: int) -> int:
    """Return how many epochs the axis of a run that goes on has: it is at least half full."""
    room = SHORTEST
    while room < done:
        room *= 2
    return room


def _panels(
    rows: Sequence[Mapping[str, float]], main: str, least_loss: float | None
) -> Iterator[Panel]:
    """Yield the panels: losses, also of outputs, the main measure, other metrics, the rate."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    of_training = [name for name in columns if not name.startswith(VALIDATION)]
    heads = [name for name in of_training if name.endswith(LOSS)][:MOST_HEADS]

    def both(measure: str) -> list[tuple[str, str, str]]:
        named = {measure: ("training", "first"), VALIDATION + measure: ("validation", "second")}
        return [(name, *said) for name, said in named.items() if name in columns]

    own = [(name, label(name.removesuffix(LOSS), 12), "line") for name in heads]
    yield Panel("loss", PANEL, [*own, *both("loss")], least_loss)
    if lines := both(main):
        yield Panel(_title(main), PANEL, lines)
    others = [name for name in of_training if name not in {*NO_MEASURES, *heads, main}]
    for name in others[:MOST_METRICS]:
        yield Panel(label(name.replace("_", " "), 18), LOW_PANEL, both(name))
    if RATE in columns:
        yield Panel("learning rate", LOW_PANEL, [(RATE, "", "first")])


def _title(measure: str) -> str:
    return "mean absolute error" if is_error(measure) else "accuracy"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(
        power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= most
    )
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _whole_ticks(last: int) -> list[int]:
    if last == 1:
        return [1]
    return sorted({1, *(int(each) for each in ticks(1, last, 8) if each == int(each) and each > 0)})


def _across(epoch: float, last: int) -> float:
    """Return the x of an epoch; of a single one, the middle."""
    room = WIDTH - LEFT - RIGHT
    return LEFT + room * ((epoch - 1) / (last - 1) if last > 1 else 0.5)


class _Axis(NamedTuple):
    """The vertical axis of a chart, from the lowest value at its bottom to the highest."""

    low: float
    high: float
    top: float
    height: float
    logarithmic: bool

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def at(self, value: float) -> float:
        """Return the y of a value."""
        scaled = math.log10(value) if self.logarithmic else value
        return self.bottom - (scaled - self.low) / (self.high - self.low) * self.height


def _panel(
    panel: Panel,
    rows: Sequence[Mapping[str, float]],
    top: float,
    last: int,
    best_epoch: int | None,
) -> Iterator[Mark]:
    series = [
        thinned([(int(row["epoch"]), _known(row.get(column, math.nan))) for row in rows])
        for column, _, _ in panel.lines
    ]
    finite = [y for points in series for _, y in points if math.isfinite(y)]
    if panel.least is not None and finite:
        finite.append(panel.least)
    axis = _axis(panel, finite, top)
    yield from _grid(panel, axis, finite)
    if best_epoch is not None:
        yield from _best(panel, axis, best_epoch, last)
    ends = []
    for (_, said, tone), points in zip(panel.lines, series, strict=True):
        inked = "quiet" if tone == "line" else f"{tone}_point"
        for stretch in _stretches(points):
            line = tuple((_across(x, last), axis.at(y)) for x, y in stretch)
            if len(line) > 1:
                yield Path(line, tone, width=0.7 if tone == "line" else 1.6)
            yield Circle(*line[-1], 2.2, inked)
        known = [y for _, y in points if math.isfinite(y)]
        if known:
            ends.append((axis.at(known[-1]), f"{said} {known[-1]:.4g}".strip(), inked))
    if panel.least is not None and finite:
        y = axis.at(panel.least)
        yield Path(((LEFT, y), (WIDTH - RIGHT, y)), "line", dashed=True, width=0.6)
        ends.append((y, f"least possible {panel.least:.3g}", "quiet"))
    if panel.is_loss:
        yield from _crosses(series, top, last)
    yield from _labels(ends, top + 2 * SIZE + 4, axis.bottom)


def _axis(panel: Panel, finite: Sequence[float], top: float) -> _Axis:
    """Return an axis that shows all finite values; of a loss that falls far, a logarithmic one."""
    least, most = min(finite, default=0.0), max(finite, default=1.0)
    logarithmic = panel.is_loss and bool(finite) and most >= LOG_LOSS * least > 0
    low, high = (math.log10(least), math.log10(most)) if logarithmic else (least, most)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
    return _Axis(low - margin, high + margin, top, panel.height, logarithmic)


def _grid(panel: Panel, axis: _Axis, finite: Sequence[float]) -> Iterator[Mark]:
    """Yield the title of a chart, and the lines and numbers of its axis."""
    most = 5 if panel.height == PANEL else 3
    marked = _marked(axis.low, axis.high, most, logarithmic=axis.logarithmic)
    if len(set(finite)) == 1:  # a rate that stays
        marked = [(finite[0], f"{finite[0]:.3g}")]
    for value, text in marked if finite else ():
        y = axis.at(value)
        yield Path(((LEFT, y), (WIDTH - RIGHT, y)), "grid", width=0.8)
        yield Text(LEFT - 6, y + BASELINE, text, SIZE, "quiet", anchor="end")
    if not finite:
        y = axis.top + axis.height / 2
        yield Text(LEFT, y, "no finite value", SIZE, "quiet", anchor="start")
    size = min(SIZE, SIZE * (RIGHT - 10) / text_width(panel.title, SIZE, bold=True))
    yield Text(WIDTH - RIGHT + 8, axis.top + SIZE, panel.title, size, bold=True, anchor="start")


def _best(panel: Panel, axis: _Axis, epoch: int, last: int) -> Iterator[Mark]:
    """Yield a line at the best epoch, with its number in the chart of the loss."""
    x = _across(epoch, last)
    yield Path(((x, axis.top), (x, axis.bottom)), "line", dashed=True, width=0.8)
    if panel.is_loss:
        left = x > LEFT + 90  # there is room for the words on this side
        yield Text(
            *(x - 4 if left else x + 4, axis.top + SIZE, f"best: {epoch:,}", SIZE, "quiet"),
            anchor="end" if left else "start",
        )


def _known(value: float) -> float:
    """Return a value; NaN for one that no axis can show."""
    return value if abs(value) < VAST else math.nan


def _marked(low: float, high: float, most: int, *, logarithmic: bool) -> list[tuple[float, str]]:
    """Return round values of an axis with their texts; of a logarithmic one, powers of ten."""
    if logarithmic:
        powers = range(math.ceil(low), math.floor(high) + 1)
        every = -(-len(powers) // most) or 1
        return [(10.0**power, f"{10.0**power:g}") for power in powers[::every]]
    marked = ticks(low, high, most)
    if len(marked) < 2:
        return [(value, f"{value:.3g}") for value in marked]
    digits = max(0, -math.floor(math.log10(marked[1] - marked[0]) + 1e-9))
    plain = digits < 5 and max(map(abs, marked)) < 1e6
    return [(value, f"{value:.{digits}f}" if plain else f"{value:.1e}") for value in marked]


def _crosses(series: Sequence[Sequence[Point]], top: float, last: int) -> Iterator[Mark]:
    """Yield a cross for each epoch that has a loss which is not finite, and what it means."""
    broken = sorted({x for points in series for x, y in points if not math.isfinite(y)})
    for epoch in broken[:: -(-len(broken) // MOST_CROSSES) or 1]:
        x, y, arm = _across(epoch, last), top + 4, 2.5
        yield Path(((x - arm, y - arm), (x + arm, y + arm)), "line", width=1.2)
        yield Path(((x - arm, y + arm), (x + arm, y - arm)), "line", width=1.2)
    if broken:
        said = "x: infinite or not a number"
        yield Text(WIDTH - RIGHT, top + 2.4 * SIZE, said, SIZE, "quiet", anchor="end")


def _stretches(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the points between gaps, which values that are not finite make."""
    for finite, stretch in groupby(points, lambda point: math.isfinite(point[1])):
        if finite:
            yield list(stretch)


def _labels(ends: list[tuple[float, str, str]], top: float, bottom: float) -> Iterator[Mark]:
    """Yield the texts at the lines' ends, moved apart where they would overlap."""
    y = top
    for number, (place, text, tone) in enumerate(sorted(ends), 1):
        y = max(y, min(place + BASELINE, bottom - (len(ends) - number) * 1.3 * SIZE))
        size = min(SIZE, SIZE * (RIGHT - 10) / text_width(text, SIZE))
        yield Text(WIDTH - RIGHT + 8, y, text, size, tone, anchor="start")
        y += 1.3 * SIZE

"""A run's history as a figure: loss, accuracy and learning rate over the epochs.

It is made in milliseconds, so that a page can be written after every epoch; the pictures in a run's
folder, which matplotlib draws, are written when the run has ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from archspec.render.figure.drawing import Circle, Drawing, Mark, Path, Point, Text
from archspec.render.figure.metrics import text_width
from archspec.render.figures import thinned

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

VALIDATION: Final = "val_"
"""Beginning of the names of measures of the validation images."""


class Panel(NamedTuple):
    """One chart: a measure of the training images, and of the validation images if there are."""

    measure: str
    title: str
    height: float


def drawing(
    rows: Sequence[Mapping[str, float]],
    *,
    accuracy: str = "accuracy",
    best_epoch: int | None = None,
    epochs: int | None = None,
) -> Drawing:
    """Return the charts of a history, one below the other.

    Args:
        rows: The rows of `history.csv`, at least one.
        accuracy: Name of the main output's accuracy.
        best_epoch: The epoch to mark.
        epochs: The last epoch of a run that goes on; the axis reaches so far.

    """
    panels = [Panel("loss", "loss", PANEL), Panel(accuracy, "accuracy", PANEL)]
    panels.append(Panel("learning_rate", "learning rate", LOW_PANEL))
    shown = [each for each in panels if any(each.measure in row for row in rows)]
    last = max(int(rows[-1]["epoch"]), epochs or 1)
    marks: list[Mark] = []
    y = TOP
    for panel in shown:
        marks += _panel(panel, rows, y, last, best_epoch)
        y += panel.height + GAP
    for epoch in _whole_ticks(last):
        marks.append(Text(_across(epoch, last), y, str(epoch), SIZE, "quiet"))
    marks.append(Text(WIDTH - RIGHT + 20, y, "epoch", SIZE, "quiet", anchor="start"))
    row = rows[-1]
    described = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
    title = "loss, accuracy and learning rate over the epochs"
    return Drawing(
        title, f"after epoch {row['epoch']}: {described}", WIDTH, y + BOTTOM - GAP, marks
    )


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


def _panel(
    panel: Panel,
    rows: Sequence[Mapping[str, float]],
    top: float,
    last: int,
    best_epoch: int | None,
) -> Iterator[Mark]:
    series = {
        name: thinned([(int(row["epoch"]), float(row.get(name, math.nan))) for row in rows])
        for name in (panel.measure, VALIDATION + panel.measure)
        if any(name in row for row in rows)
    }
    finite = [y for points in series.values() for _, y in points if math.isfinite(y)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
    low, high = low - margin, high + margin
    bottom = top + panel.height

    def down(value: float) -> float:
        return bottom - (value - low) / (high - low) * panel.height

    marked = ticks(low, high, 5 if panel.height == PANEL else 2)
    digits = max(0, -math.floor(math.log10(marked[1] - marked[0]) + 1e-9)) if len(marked) > 1 else 3
    for value in marked:
        y = down(value)
        yield Path(((LEFT, y), (WIDTH - RIGHT, y)), "grid", width=0.8)
        text = f"{value:.{digits}f}" if digits < 5 else f"{value:.1e}"
        yield Text(LEFT - 6, y + 3.3, text, SIZE, "quiet", anchor="end")
    yield Text(WIDTH - RIGHT + 8, top + SIZE, panel.title, SIZE, bold=True, anchor="start")
    if best_epoch is not None:
        x = _across(best_epoch, last)
        yield Path(((x, top), (x, bottom)), "line", dashed=True, width=0.8)
        if panel.measure == "loss":
            left = x > LEFT + 40
            yield Text(
                *(x - 4 if left else x + 4, top + SIZE, "best", SIZE, "quiet"),
                anchor="end" if left else "start",
            )
    ends = []
    for (name, points), tone in zip(series.items(), ("first", "second"), strict=False):
        for stretch in _stretches(points):
            line = tuple((_across(x, last), down(y)) for x, y in stretch)
            if len(line) > 1:
                yield Path(line, tone, width=1.6)
            yield Circle(*line[-1], 2.2, f"{tone}_point")
        known = [point for point in points if math.isfinite(point[1])]
        if known:
            said = "validation" if name.startswith(VALIDATION) else "training"
            end = known[-1][1]
            label = f"{end:.4g}" if panel.measure == "learning_rate" else f"{said} {end:.4g}"
            ends.append((down(end), label, f"{tone}_point"))
    yield from _labels(ends, top + 2 * SIZE + 4, bottom)


def _stretches(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the points between gaps, which values that are not finite make."""
    stretch: list[Point] = []
    for point in points:
        if math.isfinite(point[1]):
            stretch.append(point)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _labels(ends: list[tuple[float, str, str]], top: float, bottom: float) -> Iterator[Mark]:
    """Yield the texts at the lines' ends, moved apart where they would overlap."""
    y = top
    for place, text, tone in sorted(ends):
        y = max(y, min(place + 3.3, bottom - (len(ends) - 1) * 1.3 * SIZE))
        size = min(SIZE, SIZE * (RIGHT - 10) / text_width(text, SIZE))
        yield Text(WIDTH - RIGHT + 8, y, text, size, tone, anchor="start")
        y += 1.3 * SIZE

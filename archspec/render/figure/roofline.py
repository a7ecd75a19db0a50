"""A roofline as a figure: operations a second of each row against operations per byte.

The plot of Williams, Waterman & Patterson 2009 (doi:10.1145/1498765.1498785): the roof rises with
the bandwidth up to the peak. A row at its least time stands on the roof; one that was measured
stands below it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from archspec.cost.roofline import Bound, Roofline
from archspec.render.amounts import rate, seconds
from archspec.render.figure.drawing import Drawing, Mark, Path, Point, Text
from archspec.render.figure.faces import EDGE, LABEL, LINE, MIDDLE, SMALL, heading, legend
from archspec.render.figure.metrics import fitting, text_width
from archspec.render.figure.plot import Bounds, Disc, axes, crosses, group, leader_of
from archspec.text import counted

if TYPE_CHECKING:
    from archspec.figure import RooflineFigure

SIZE: Final = (560.0, 380.0)
"""Width and height of the plot."""

NUMBERS: Final = 78.0
"""Width left of the plot, for the numbers of the vertical axis."""

RADIUS: Final = 22.0
"""Radius of the circle of a row that takes all the time."""

SMALLEST: Final = 2.5
"""Radius of the smallest circle."""

MOST_NAMES: Final = 12
"""Most rows with a name, those that take longest; titles have all."""

LONGEST: Final = 180.0
"""Largest width of a name."""

APART: Final = 12.0
"""Distance of circles that share one name."""

LINES: Final = 14
"""Lines below its circle down to which a name is moved."""

NAMES: Final = 0.7
"""Decades above the peak, where names stand."""

SPARE: Final = 0.35
"""Decades of each axis beyond the points."""

TONES: Final = {"compute": "convolution", "memory": "pooling"}
"""Tone of a row by what binds it."""


class LogAxis:
    """A logarithmic axis with a number at each power of ten, also of those below 1."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        length: float,
        text: Callable[[float], str],
        room: float = SPARE,
    ) -> None:
        logs = [math.log10(value) for value in values]
        self._low, self._high = min(logs) - SPARE, max(logs) + room
        self._start, self._length, self._text = start, length, text

    @property
    def ends(self) -> tuple[float, float]:
        """The values at its ends."""
        return 10**self._low, 10**self._high

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + min(max(share, 0.0), 1.0) * self._length

    def ticks(self) -> Iterator[tuple[str, float]]:
        """Yield numbers and their places."""
        for decade in range(math.ceil(self._low), math.floor(self._high) + 1):
            yield self._text(10.0**decade), self.at(10.0**decade)


def drawing(figure: RooflineFigure) -> Drawing:
    """Return the plot of a roofline."""
    roofline = figure.roofline
    rows = [row for row in roofline.rows() if row.macs]
    taken = {row.path: figure.measured.get(row.path, row.seconds) for row in rows}
    reached = {row.path: 2 * row.macs / taken[row.path] for row in rows}
    x, y = EDGE + NUMBERS, EDGE + LABEL + 3.2 * LINE
    area = Bounds(x, y, x + SIZE[0], y + SIZE[1])
    intensities = [roofline.ridge, *(row.intensity for row in rows)]
    across = LogAxis(intensities, x, SIZE[0], "{:g}".format)
    upwards = LogAxis([roofline.peak, *reached.values()], area.bottom, -SIZE[1], _decade, NAMES)
    part = "training" if roofline.training else "inference"
    title = f"{roofline.name} on {roofline.device.title}"
    kind = "measured against the least time" if figure.measured else "at the least time"
    batch, dtype = roofline.batch(roofline.parts[0]), roofline.report.setting.dtype
    marks = heading(title, f"{part} at batch {batch}, {dtype}; rows {kind}")
    marks += axes(area, across, upwards, "operations per byte", "operations a second")
    marks += _roof(area, across, upwards, roofline)
    total = sum(taken.values()) or 1.0
    discs = [
        Disc(
            row.path,
            _sentence(row, figure.measured.get(row.path)),
            across.at(row.intensity),
            upwards.at(reached[row.path]),
            max(RADIUS * math.sqrt(taken[row.path] / total), SMALLEST),
            TONES[row.binds],
        )
        for row in rows
    ]
    discs.sort(key=lambda disc: (-disc.radius, disc.name))
    marks += [group(disc) for disc in discs]
    marks += _names(area, discs, {row.path for row in rows if taken[row.path] > 1.1 * row.seconds})
    below = area.bottom + 2.8 * LINE
    for line in _notes(roofline, rows):
        marks.append(Text(EDGE, below, line, SMALL, "quiet", anchor="start"))
        below += LINE
    meanings = [(tone, f"bound by {binds}") for binds, tone in TONES.items()]
    entries, high = legend(meanings, area.right + EDGE, below)
    marks += entries
    description = "; ".join(disc.about for disc in discs)
    return Drawing(title, description, area.right + EDGE, below + high, marks)


def _decade(value: float) -> str:
    """Return a power of ten as operations a second, such as 10 TFLOP/s."""
    return rate(value, "FLOP/s").replace(".00", "").replace(".0 ", " ")


def _roof(area: Bounds, across: LogAxis, upwards: LogAxis, roofline: Roofline) -> Iterator[Mark]:
    """Yield the roof, with its two limits beside it."""
    peak, bandwidth = roofline.peak, roofline.device.bandwidth
    least = max(across.ends[0], upwards.ends[0] / bandwidth)
    corner = across.at(roofline.ridge), upwards.at(peak)
    start = across.at(least), upwards.at(least * bandwidth)
    yield Path((start, corner, (area.right, corner[1])), "first", width=1.6)
    text = f"{rate(peak, 'FLOP/s')} ({roofline.rate})"
    yield Text(corner[0] - 10, corner[1] + SMALL * MIDDLE, text, SMALL, anchor="end")
    half = (start[0] + corner[0]) / 2 - 8, (start[1] + corner[1]) / 2 - 8
    yield Text(*half, rate(bandwidth, "B/s"), SMALL, anchor="end")


def _names(area: Bounds, discs: Sequence[Disc], low: Collection[str]) -> Iterator[Mark]:
    """Yield the names of the places where most time is spent, beside the roof and apart.

    On the rising part they stand below it, on the flat part above it; those of `low`, which were
    measured well below the roof, stand below their circles. No line to a name crosses another name.
    """
    places: dict[tuple[int, int], list[Disc]] = {}
    for disc in discs:
        places.setdefault((round(disc.x / APART), round(disc.y / APART)), []).append(disc)
    by_time = sorted(places.values(), key=lambda found: -sum(disc.radius**2 for disc in found))
    circles = [_box(disc) for disc in discs]
    taken: list[Bounds] = []
    leaders: list[tuple[Point, Point]] = []

    def above(disc: Disc) -> bool:
        return disc.tone == TONES["compute"] and disc.name not in low

    # Above the roof, names end over their circles, each higher than those to its left.
    for found in sorted(by_time[:MOST_NAMES], key=lambda found: above(found[0]) and found[0].x):
        disc = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        name = fitting(disc.name, SMALL, LONGEST) + more
        width = text_width(name, SMALL)
        left = min(disc.x + disc.radius + 5, area.right - width - 6)
        way = -1 if above(disc) else 1
        lefts = [max(area.x + 6, disc.x - width), left] if way < 0 else [left]
        for line, start in itertools.product(range(LINES), lefts):
            middle = disc.y + way * line * LINE
            bounds = Bounds(start, middle - SMALL / 2 - 1, start + width, middle + SMALL / 2 + 1)
            beside = line > 1 or (way > 0 and start > disc.x + disc.radius)
            hidden = any(bounds.overlaps(other) for other in [*taken, *circles])
            inside = area.y < bounds.y and bounds.bottom < area.bottom
            leader = leader_of(disc, bounds)
            through = any(crosses(*leader, other) for other in taken)
            through |= any(crosses(*other, bounds) for other in leaders)
            if beside and inside and not hidden and not through:
                taken.append(bounds)
                if line:
                    leaders.append(leader)
                    yield Path(leader, "line", width=0.5)
                yield Text(start + 2, middle + SMALL * MIDDLE, name, SMALL, anchor="start")
                break


def _box(disc: Disc) -> Bounds:
    radius = disc.radius
    return Bounds(disc.x - radius, disc.y - radius, disc.x + radius, disc.y + radius)


def _notes(roofline: Roofline, rows: Sequence[Bound]) -> Iterator[str]:
    total = roofline.total
    share = sum(row.seconds for row in rows) / total.seconds if total.seconds else 0.0
    others = len(roofline.rows()) - len(rows)
    yield f"area: time; all rows together {seconds(total.seconds)} at least"
    if others:
        yield f"{counted(others, 'row')} without multiply-adds, {1 - share:.0%} of it, not shown"


def _sentence(row: Bound, measured: float | None) -> str:
    took = f", {seconds(measured)} measured" if measured is not None else ""
    return (
        f"{row.path}: {row.intensity:.3g} operations per byte, at least {seconds(row.seconds)}, "
        f"bound by {row.binds}{took}"
    )

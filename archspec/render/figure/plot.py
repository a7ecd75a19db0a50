"""A comparison as a figure: parameters against MACs, the area of a circle being the memory.

After the comparison of networks by accuracy, operations and size in Canziani, Paszke & Culurciello
2016 (arXiv:1605.07678), which lectures show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from archspec.cost.compare import NetworkFigures
from archspec.render.amounts import byte_size, thousands
from archspec.render.comparison import common_input
from archspec.render.figure.drawing import Circle, Drawing, Group, Mark, Path, Point, Text
from archspec.render.figure.faces import EDGE, LABEL, LINE, MIDDLE, SMALL, heading, legend
from archspec.render.figure.metrics import fitting, text_width, wrapped
from archspec.text import counted

if TYPE_CHECKING:
    from archspec.figure import ComparisonFigure

SIZE: Final = (560.0, 400.0)
"""Width and height of the plot of a few networks; of many it is larger."""

MANY: Final = 25
"""Number of networks from which the plot is larger, in proportion to their number."""

LARGEST: Final = 2.0
"""Most that width and height grow."""

NUMBERS: Final = 44.0
"""Width left of the plot, for the numbers of the vertical axis."""

RADIUS: Final = 32.0
"""Radius of the largest circle."""

DOT: Final = 1.6
"""Radius of the dot in the middle of each circle, for those that are small or under another."""

LONGEST: Final = 180.0
"""Largest width of a name."""

MOST_NAMES: Final = 150
"""Most names in the plot, those of the largest networks; titles have all."""

WITHIN_DECADES: Final = 2.0
"""Decades of an axis below which it has numbers between powers of ten."""

COLOURS: Final = (
    "convolution",
    "pooling",
    "fully_connected",
    "normalization",
    "block",
    "activation",
)
"""Tones of families, in order; if there are more families, all have the same."""

RINGS: Final = 24
"""Distances from its circle at which a name is tried."""

HIDDEN: Final = 60.0
"""Points that a name goes further from its circle rather than stand on the dot of one."""

LEADER: Final = 9.0
"""Distance between a circle and its name from which a line joins them."""


class Bounds(NamedTuple):
    """A rectangle."""

    x: float
    y: float
    right: float
    bottom: float

    def overlaps(self, other: Bounds) -> bool:
        """Whether two rectangles have an area in common."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.bottom
            and other.y < self.bottom
        )


class Disc(NamedTuple):
    """The circle of a network or a row at its place."""

    name: str
    about: str
    """A sentence about it."""
    x: float
    y: float
    radius: float
    tone: str


class Scale(Protocol):
    """An axis that has numbers."""

    def ticks(self) -> Iterator[tuple[str, float]]:
        """Yield numbers and their places."""
        ...


class Axis:
    """A logarithmic axis, with a place for 0 before its start where there is a 0."""

    def __init__(self, values: Sequence[int], start: float, length: float) -> None:
        positive = [math.log10(value) for value in values if value > 0] or [0.0]
        low, high = min(positive), max(positive)
        spare = max(0.12 * (high - low), (1.0 - (high - low)) / 2)
        self._low, self._high = low - spare, high + spare
        self.has_zero = any(value <= 0 for value in values)
        zero = 0.08 * length if self.has_zero else 0.0
        self._zero = start + zero / 2
        self._start, self._length = start + zero, length - zero

    def at(self, value: float) -> float:
        """Return the place of a value."""
        if value <= 0:
            return self._zero
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + share * self._length

    def ticks(self) -> Iterator[tuple[str, float]]:
        """Yield numbers and their places."""
        if self.has_zero:
            yield "0", self._zero
        few = self._high - self._low < WITHIN_DECADES
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        step = len(decades) // 8 + 1
        for decade in decades:
            for unit in (1, 2, 5) if few else (1,):
                place = decade + math.log10(unit)
                if self._low <= place <= self._high and decade >= 0 and decade % step == 0:
                    share = (place - self._low) / (self._high - self._low)
                    yield rounded_number(unit, decade), self._start + share * self._length


def rounded_number(unit: int, decade: int) -> str:
    """Return unit times a power of ten with a prefix, such as 20 M; `1e18` for larger ones."""
    prefix = ("", "k", "M", "G", "T")[decade // 3] if decade < 15 else None
    if prefix is None:
        return f"{unit}e{decade}"
    return f"{unit * 10 ** (decade % 3)} {prefix}".strip()


def drawing(figure: ComparisonFigure) -> Drawing:
    """Return the plot of a comparison."""
    comparison = figure.comparison
    networks = comparison.entries
    growth = min(max(len(networks) / MANY, 1.0) ** 0.5, LARGEST)
    width, height = (side * growth for side in SIZE)
    page = NUMBERS + width + 2 * EDGE
    title = "Parameters and MACs"
    common = common_input(comparison)
    subtitle = counted(len(networks), "network") + (f", input {common}" if common else "")
    marks = heading(title, subtitle)
    x, y = EDGE + NUMBERS, EDGE + LABEL + 3.2 * LINE
    area = Bounds(x, y, x + width, y + height)
    across = Axis([each.macs for each in networks], x, width)
    upwards = Axis([each.params for each in networks], area.bottom, -height)
    marks += axes(area, across, upwards, "MACs for one example", "parameters")
    tones = _tones(figure)
    memory = _Memory(networks)
    discs = [
        Disc(
            each.name,
            _sentence(each),
            across.at(each.macs),
            upwards.at(each.params),
            memory.radius(memory.of(each)),
            tones.get(family, COLOURS[0]),
        )
        for each, family in zip(networks, _families(figure), strict=True)
    ]
    discs.sort(key=lambda disc: (-disc.radius, disc.name))
    names = Names(area, discs)
    marks += [group(disc) for disc in discs]
    marks += [Circle(disc.x, disc.y, DOT, "ink") for disc in discs]
    marks += names.marks()
    if names.omitted:
        note = f"{counted(names.omitted, 'name')} had no room"
        marks.append(Text(area.x, area.bottom + 2 * LINE, note, SMALL, "quiet", anchor="start"))
    below = area.bottom + 2.6 * LINE
    entries, high = memory.legend(below, page)
    marks += entries
    below += high
    meanings = [(tone, fitting(family, SMALL, LONGEST)) for family, tone in tones.items()]
    entries, high = legend(meanings, page, below)
    marks += entries
    return Drawing(title, "; ".join(map(_sentence, networks)), page, below + high, marks)


class _Memory:
    """The memory that circles show: what training must keep, where all train by one setting."""

    def __init__(self, networks: Sequence[NetworkFigures]) -> None:
        settings = [each.setting for each in networks]
        self._training = len(set(map(str, settings))) == 1
        dtypes = {each.dtype for each in settings}
        if self._training:
            self._title = f"area: memory that training must keep at {settings[0]}"
        else:
            self._title = f"area: memory in inference at batch {settings[0].batch}"
            self._title += f", {dtypes.pop()}" if len(dtypes) == 1 else ""
        self._most = max(map(self.of, networks)) or 1

    def of(self, network: NetworkFigures) -> int:
        """Return the memory of a network in bytes."""
        return network.must_keep if self._training else network.inference_bytes

    def radius(self, size: int) -> float:
        """Return the radius of the circle for a number of bytes."""
        return RADIUS * math.sqrt(size / self._most)

    def legend(self, top: float, width: float) -> tuple[list[Mark], float]:
        """Return circles of round numbers of bytes with their title, and their height."""
        marks: list[Mark] = []
        y = top
        for line in wrapped(self._title, SMALL, width - 2 * EDGE):
            y += LINE
            marks.append(Text(EDGE, y, line, SMALL, "quiet", anchor="start"))
        sizes = dict.fromkeys(_round_below(self._most / share) for share in (1, 4, 20))
        radii = list(map(self.radius, sizes))
        middle = y + LINE / 2 + max(radii)
        x = EDGE
        for size, radius in zip(sizes, radii, strict=True):
            text = byte_size(size).replace(".00", "").replace(".0 ", " ")
            marks.append(Circle(x + radius, middle, radius, "input"))
            x += 2 * radius + 5
            marks.append(Text(x, middle + SMALL * MIDDLE, text, SMALL, "quiet", anchor="start"))
            x += text_width(text, SMALL) + 16
        return marks, middle + max(radii) + EDGE - top


def axes(area: Bounds, across: Scale, upwards: Scale, below: str, above: str) -> Iterator[Mark]:
    """Yield lines and numbers of both axes, with their titles."""
    for text, x in across.ticks():
        yield Path(((x, area.y), (x, area.bottom)), "grid", width=0.8)
        yield Text(x, area.bottom + LINE, text, SMALL, "quiet")
    for text, y in upwards.ticks():
        yield Path(((area.x, y), (area.right, y)), "grid", width=0.8)
        yield Text(area.x - 6, y + SMALL * MIDDLE, text, SMALL, "quiet", anchor="end")
    corners = (area.x, area.y), (area.x, area.bottom), (area.right, area.bottom)
    yield Path(corners, "line", width=0.8)
    yield Text(EDGE, area.y - 6, above, SMALL, anchor="start")
    yield Text(area.right, area.bottom + 2 * LINE, below, SMALL, anchor="end")


def group(disc: Disc) -> Group:
    """Return a circle with its name and sentence."""
    circle = Circle(disc.x, disc.y, disc.radius, disc.tone)
    return Group(disc.name, disc.about, [circle])


def _sentence(network: NetworkFigures) -> str:
    return (
        f"{network.name}: {thousands(network.params)} parameters, {thousands(network.macs)} MACs, "
        f"training must keep {byte_size(network.must_keep)}, "
        f"inference needs {byte_size(network.inference_bytes)}"
    )


def _families(figure: ComparisonFigure) -> list[str]:
    """Return the family of each network, in the order of the comparison's entries."""
    comparison = figure.comparison
    families = {
        name: report.spec.document.name if report.spec else report.name
        for name, report in zip(comparison.names, comparison.reports, strict=True)
    }
    return [families[network.name] for network in comparison.entries]


def _tones(figure: ComparisonFigure) -> dict[str, str]:
    """Return a tone for each family; none where there is one family, or too many."""
    families = list(dict.fromkeys(_families(figure)))
    if not 1 < len(families) <= len(COLOURS):
        return {}
    return dict(zip(families, COLOURS, strict=False))


def _round_below(value: float) -> int:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a value."""
    power = 10 ** max(math.floor(math.log10(max(value, 1))), 0)
    return int(max(unit * power for unit in (1, 2, 5) if unit * power <= max(value, 1)))


class Names:
    """The names beside the circles, none over another."""

    def __init__(self, area: Bounds, discs: Sequence[Disc]) -> None:
        self._area = area
        self._discs = discs
        self._taken: list[Bounds] = []
        self._leaders: list[tuple[Point, Point]] = []
        self._marks: list[Mark] = []
        self.omitted = max(len(discs) - MOST_NAMES, 0)
        """Number of names that are not drawn."""
        for disc in discs[:MOST_NAMES]:
            self._place(disc)

    def marks(self) -> list[Mark]:
        """Return the names, and lines to those that are not next to their circle."""
        return self._marks

    def _place(self, disc: Disc) -> None:
        name = fitting(disc.name, SMALL, LONGEST)
        width, height = text_width(name, SMALL), SMALL * 1.25
        best: tuple[float, Bounds] | None = None
        for ring in range(RINGS):
            for bounds in _around(disc, width, height, 3.0 + 7.0 * ring):
                if not self._is_free(disc, bounds):
                    continue
                cost = sum(_covered(bounds, other) for other in self._discs) + 3 * ring
                cost += HIDDEN * sum(_hides(bounds, other) for other in self._discs)
                if best is None or cost < best[0]:
                    best = cost, bounds
            if best and best[0] <= 3 * (ring + 1):
                break
        if best is None:
            self.omitted += 1
            return
        bounds = best[1]
        self._taken.append(bounds._replace(x=bounds.x - 3, right=bounds.right + 3))
        leader = leader_of(disc, bounds)
        if math.dist(*leader) > LEADER:
            self._leaders.append(leader)
            self._marks.append(Path(leader, "line", width=0.6))
        self._marks.append(
            Text(bounds.x, bounds.bottom - height * 0.25, name, SMALL, anchor="start")
        )

    def _is_free(self, disc: Disc, bounds: Bounds) -> bool:
        """Whether a name has room, and no line to a name crosses another."""
        area = self._area
        inside = (
            area.x <= bounds.x
            and bounds.right <= area.right
            and area.y <= bounds.y
            and bounds.bottom <= area.bottom
        )
        if not inside or any(bounds.overlaps(other) for other in self._taken):
            return False
        leader = leader_of(disc, bounds)
        return not (
            any(crosses(*leader, other) for other in self._taken)
            or any(crosses(*other, bounds) for other in self._leaders)
        )


def _around(disc: Disc, width: float, height: float, distance: float) -> Iterator[Bounds]:
    """Yield places for a name at a distance from its circle, the usual ones first."""
    for turn in (0, 8, 4, 12, 2, 14, 6, 10, 1, 15, 3, 13, 5, 11, 7, 9):
        angle = turn * math.pi / 8
        x = disc.x + math.cos(angle) * (disc.radius + distance + width / 2)
        y = disc.y - math.sin(angle) * (disc.radius + distance + height / 2)
        yield Bounds(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _covered(bounds: Bounds, disc: Disc) -> float:
    """Return how far a name reaches into a circle."""
    x = min(max(disc.x, bounds.x), bounds.right)
    y = min(max(disc.y, bounds.y), bounds.bottom)
    return max(disc.radius + 1 - math.dist((x, y), (disc.x, disc.y)), 0.0)


def _hides(bounds: Bounds, disc: Disc) -> bool:
    """Whether a name stands on a circle's dot."""
    across = bounds.x - DOT < disc.x < bounds.right + DOT
    return across and bounds.y - DOT < disc.y < bounds.bottom + DOT


def leader_of(disc: Disc, bounds: Bounds) -> tuple[Point, Point]:
    """Return the line from a circle's edge to the nearest point of its name."""
    end = min(max(disc.x, bounds.x), bounds.right), min(max(disc.y, bounds.y), bounds.bottom)
    distance = math.dist(end, (disc.x, disc.y)) or 1.0
    share = min(disc.radius / distance, 1.0)
    return (disc.x + (end[0] - disc.x) * share, disc.y + (end[1] - disc.y) * share), end


def crosses(start: Point, end: Point, bounds: Bounds) -> bool:
    """Whether a line passes through a rectangle, by the shares of it that are within its sides."""
    (x1, y1), (x2, y2) = start, end
    # Nearly all are beside each other, which is known without a division.
    if (x1 <= bounds.x and x2 <= bounds.x) or (x1 >= bounds.right and x2 >= bounds.right):
        return False
    if (y1 <= bounds.y and y2 <= bounds.y) or (y1 >= bounds.bottom and y2 >= bounds.bottom):
        return False
    first, last = 0.0, 1.0
    for axis, (low, high) in enumerate(((bounds.x, bounds.right), (bounds.y, bounds.bottom))):
        length = end[axis] - start[axis]
        if abs(length) < 1e-9:
            if not low < start[axis] < high:
                return False
            continue
        shares = sorted(((low - start[axis]) / length, (high - start[axis]) / length))
        first, last = max(first, shares[0]), min(last, shares[1])
    return first < last

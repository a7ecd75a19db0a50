"""Layout of a figure: the places of its boxes, the ways of its lines.

Boxes that follow each other stand below each other, boxes that do not depend on each other stand
beside each other, and the boxes of a block stand inside its frame: the layout is recursive. In a
frame there are rows of boxes; between two rows is a channel (`routing.py`) for the lines from one
to the other; a line that passes rows has a lane beside them. So no line crosses a box. A frame is
entered at ports on its upper edge and left at its lower edge, so that from outside it is a box like
any other. A group of boxes beside others, which has rows of its own, is a frame that is not drawn.

Lengths are in points, x to the right and y downwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate
from math import ceil
from operator import or_
from typing import Final, NamedTuple, TypeAlias

from archspec.render.figure.columns import columns
from archspec.render.figure.drawing import Point
from archspec.render.figure.ordering import components, ranks, series, shortcuts
from archspec.render.figure.outline import Box
from archspec.render.figure.routing import Key, Wire, buses, route
from archspec.render.figure.wiring import Wiring

COLUMN_GAP: Final = 18.0
"""Width between two boxes beside each other."""
LANE: Final = 10.0
"""Width of a lane, a line's way past rows."""
PADDING: Final = 12.0
"""Width between a frame and what is inside."""
STRAIGHT: Final = 19.0
"""Height of a gap in which no line bends."""
LEAD: Final = 8.0
"""Height between a row and the first track below it."""
TRACK: Final = 6.0
"""Height between two tracks."""
ARRIVAL: Final = 13.0
"""Height between the last track and the row below it: a rounded corner and an arrow's head."""
BELOW_TITLE: Final = 7.0
"""Least height between the title of a frame and the first row."""
PORT: Final = 8.0
"""Least width between two ports."""
DEEPEST: Final = 40
"""Number of undrawn frames inside each other; what is deeper stands in rows without them."""


class Size(NamedTuple):
    """Extent of a box with its text."""

    width: float
    height: float


class Placed(NamedTuple):
    """A box at its place."""

    box: Box
    x: float
    """Left edge."""
    y: float
    """Upper edge."""
    width: float
    height: float
    depth: int
    """Number of frames around it."""
    title: float
    """The x where the text of a frame's title begins, between the lines that come in."""

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def moved(self, x: float, y: float) -> Placed:
        """Return the box moved right and down."""
        return self._replace(x=self.x + x, y=self.y + y, title=self.title + x)


class Line(NamedTuple):
    """A connection of two boxes without boxes inside: points joined by straight lines."""

    source: Box
    target: Box | None
    """The box that reads the source's output; None for an output of the wiring."""
    points: tuple[Point, ...]
    shortcut: bool
    """Whether a longer way joins the two boxes as well."""


class Layout(NamedTuple):
    """A figure: frames before what is in them."""

    boxes: tuple[Placed, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


Measure: TypeAlias = Callable[[Box], Size]
"""The size of a box without what is inside; for a block, that of its title."""


def layout(whole: Box, measure: Measure, *, tallest: float = float("inf")) -> Layout:
    """Return the places of all boxes of an outline, and the lines between them.

    Args:
        whole: The outline.
        measure: The size that a box needs for its text.
        tallest: Height from which on a chain of boxes is broken into columns.
    """
    wiring = Wiring(whole)
    leaves: list[_Leaf] = []
    frame = _framed(_Plan(wiring, measure, tallest, leaves), whole)
    boxes: list[Placed] = []
    frame.place(PADDING, PADDING, 0, boxes)
    lines = tuple(_lines(wiring, leaves))
    return Layout(tuple(boxes), lines, frame.width + 2 * PADDING, frame.height + 2 * PADDING)


class _Plan(NamedTuple):
    """The same for all frames of a figure."""

    wiring: Wiring
    measure: Measure
    tallest: float
    leaves: list[_Leaf]
    """The boxes with nothing inside, in the order of their numbers."""


def _framed(plan: _Plan, box: Box) -> _Frame:
    """Return a box with boxes inside as a frame."""
    items = [_framed(plan, inner) if inner.boxes else _Leaf(plan, inner) for inner in box.boxes]
    title = plan.measure(box) if box.item else Size(0.0, 0.0)
    return _Frame(plan, box, items, title)


def _lines(wiring: Wiring, leaves: Sequence[_Leaf]) -> Iterator[Line]:
    """Yield all lines, each joined of its parts in the frames that it passes."""
    for source, target, shortcut in shortcuts(wiring.sources):
        points = _way(leaves[source], leaves[target])
        yield Line(wiring.boxes[source], wiring.boxes[target], points, shortcut)
    for source in sorted(wiring.outputs):
        frames = _frames_around(leaves[source])
        while frames and not frames[-1].drawn:
            frames.pop()
        points = _joined([frame.exit(source) for frame in frames])
        if points:
            yield Line(wiring.boxes[source], None, points, shortcut=False)


def _frames_around(item: _Item) -> list[_Frame]:
    frames = []
    while item.parent is not None:
        item = item.parent
        frames.append(item)
    return frames


def _way(source: _Leaf, target: _Leaf) -> tuple[Point, ...]:
    """Return the way of a line: out of the frames around its source, into those of its target."""
    out, into = _frames_around(source), _frames_around(target)
    while len(out) > 1 and len(into) > 1 and out[-2] is into[-2]:
        out.pop()
        into.pop()
    number = source.number
    parts = [frame.exit(number) for frame in out[:-1]]
    parts.append(out[-1].inner(number, target.number))
    parts += [frame.entry(number, target.number) for frame in reversed(into[:-1])]
    return _joined(parts)


def _joined(parts: Iterable[Sequence[Point]]) -> tuple[Point, ...]:
    """Return parts of a line as one, without points on its straight pieces."""
    points: list[Point] = []
    for point in (point for part in parts for point in part):
        if points and _near(points[-1], point):
            continue
        if len(points) > 1 and _straight(points[-2], points[-1], point):
            points.pop()
        points.append(point)
    return tuple(points)


def _near(one: Point, other: Point) -> bool:
    return abs(one[0] - other[0]) < 0.01 and abs(one[1] - other[1]) < 0.01


def _straight(one: Point, middle: Point, other: Point) -> bool:
    return any(abs(one[i] - middle[i]) < 0.01 and abs(middle[i] - other[i]) < 0.01 for i in (0, 1))


_End: TypeAlias = tuple[int, int]
"""An item of a frame and a port of it, by their numbers."""

_OUT: Final[_End] = (-1, 0)
"""The end of lines that leave a frame."""


@dataclass(eq=False)
class _Port:
    """A place on the upper edge where the outputs of some boxes come in together."""

    sources: tuple[int, ...]
    x: float = 0.0
    """Place from the axis."""


class _Item(ABC):
    """A member of a row. Places in it are given from its axis, an x."""

    parent: _Frame | None = None
    left: float
    right: float
    height: float
    ports: list[_Port]
    port_of: dict[int, int]
    """The number of the port at which each box outside comes in."""
    exits: dict[int, float]
    """Place on the lower edge, from the axis, of each box inside that is read outside."""
    is_merge = False

    @abstractmethod
    def numbers(self) -> Iterable[int]:
        """Return the numbers of the boxes in it."""

    def reach(self, height: float) -> float:  # noqa: ARG002  (a box is as wide at any height)
        """Return how far it reaches to the right of its axis, from its top down to a height."""
        return self.right

    @abstractmethod
    def place(self, x: float, y: float, depth: int, boxes: list[Placed]) -> None:
        """Add its boxes to `boxes`, with its axis at x and its upper edge at y."""


class _Leaf(_Item):
    """A box with nothing inside."""

    def __init__(self, plan: _Plan, box: Box) -> None:
        self.box = box
        self.number = len(plan.leaves)
        plan.leaves.append(self)
        size = plan.measure(box)
        self.left = self.right = size.width / 2
        self.height = size.height
        self.is_merge = box.is_merge
        sources = plan.wiring.sources[self.number]
        self.ports = [_Port(sources)] if sources else []
        self.port_of = dict.fromkeys(sources, 0)
        self.exits = {self.number: 0.0}

    def numbers(self) -> Iterable[int]:
        return (self.number,)

    def place(self, x: float, y: float, depth: int, boxes: list[Placed]) -> None:
        width = self.left + self.right
        boxes.append(Placed(self.box, x, y, width, self.height, depth, x))


@dataclass(eq=False)
class _Source:
    """The beginning of lines in a frame: a port of it, or a box inside."""

    row: int
    """0 for a port."""
    x: float = 0.0
    targets: dict[int, dict[Key, float]] = field(default_factory=dict)
    """The x of each end, by rows."""
    lane: float = 0.0
    """The x of its lane, if it has one."""

    @property
    def last(self) -> int:
        return max(self.targets)

    @property
    def passes(self) -> bool:
        """Whether the lines have a lane."""
        return self.last > self.row + 1


class _Channel:
    """The gap below a row, with its lines."""

    def __init__(self, wires: list[Wire], height: float, top: float) -> None:
        self.wires = wires
        self.height = height
        self.top = top
        """Height above the first track."""
        self._ending: dict[Key, list[Wire]] = {}
        for wire in wires:
            for end in wire.bottoms:
                self._ending.setdefault(end, []).append(wire)

    def wire(self, key: Key, end: Key) -> Wire:
        """Return the wire of a line with these ends."""
        return next(wire for wire in self._ending[end] if key in wire.tops)


class _Frame(_Item):
    """A block with its rows: arranged once, then placed."""

    def __init__(
        self,
        plan: _Plan,
        box: Box | None,
        items: Sequence[_Item],
        title: Size,
        *,
        main: int | None = None,
        level: int = 0,
        to_left: bool = False,
        inside: bool = False,
    ) -> None:
        self.box = box
        self._plan = plan
        self._title = title
        self._level = level
        self._to_left = to_left
        self.drawn = box is not None and box.item is not None
        self._inside = inside or self.drawn
        self._padding = PADDING if self.drawn else 0.0
        self._main = plan.wiring.last(box) if box is not None else main
        self._numbers = [number for item in items for number in item.numbers()]
        self.rows = self._arranged(items)
        self.items = [item for row in self.rows for item in row]
        for item in self.items:
            item.parent = self
        self._home = {number: i for i, item in enumerate(self.items) for number in item.numbers()}
        self._row_of = [r for r, row in enumerate(self.rows, 1) for _ in row]
        self._axis = self._axes()
        self._sources = self._joined_sources()
        self._add_lanes()
        self._add_ports()
        self._channels = self._routed()
        self._stack()
        self._ways: dict[tuple[Key, Key], tuple[Point, ...]] = {}

    def numbers(self) -> Iterable[int]:
        return self._numbers

    @property
    def width(self) -> float:
        return self.left + self.right

    # Which boxes stand in which row.

    def _arranged(self, items: Sequence[_Item]) -> list[list[_Item]]:
        home = {number: i for i, item in enumerate(items) for number in item.numbers()}
        inputs = [
            sorted({home[s] for port in item.ports for s in port.sources if s in home})
            for item in items
        ]
        rows: list[list[_Item]] = []
        for group in series(inputs):
            parts = components(group, inputs)
            if len(group) == 1:
                rows.append([items[group[0]]])
            elif len(parts) == 1 or self._level == DEEPEST:
                rows += [[items[i] for i in row] for row in ranks(group, inputs)]
            else:
                rows.append([self._grouped(items, part, parts) for part in parts])
        return rows

    def _grouped(self, items: Sequence[_Item], part: list[int], parts: list[list[int]]) -> _Item:
        if len(part) == 1:
            return items[part[0]]
        return _Frame(
            self._plan,
            None,
            [items[i] for i in part],
            Size(0.0, 0.0),
            main=self._main,
            level=self._level + 1,
            to_left=part is parts[0],
            inside=self._inside,
        )

    # Where they stand in the row.

    def _axes(self) -> list[float]:
        """Return the x of each item's axis, from the axis of the frame."""
        leading = self._leading()
        axes: list[float] = []
        first = 0
        for row in self.rows:
            places: list[float] = []
            x = 0.0
            for item in row:
                start = x
                if self._ends_alone(item):  # then what is below it may reach further to the right
                    height = item.height + STRAIGHT
                    edges = (p + o.reach(height) for p, o in zip(places, row, strict=False))
                    start = max((edge + COLUMN_GAP for edge in edges), default=0.0)
                places.append(start + item.left)
                x = max(x, start + item.left + item.right + COLUMN_GAP)
            leads = [i for i in range(len(row)) if first + i in leading]
            if len(leads) == 1:
                axis = places[leads[0]]
            else:
                axis = places[len(row) // 2] if len(row) % 2 else (x - COLUMN_GAP) / 2
            axes += [place - axis for place in places]
            first += len(row)
        return axes

    def _ends_alone(self, item: _Item) -> bool:
        """Whether no line leaves an item, as none leaves a head that only helps to train."""
        inside = set(item.numbers())
        wiring = self._plan.wiring
        return all(
            inside.issuperset(wiring.readers[number])
            and not (number in wiring.outputs and self._inside)
            for number in inside
        )

    def reach(self, height: float) -> float:
        """Return how far it reaches to the right of its axis, from its top down to a height."""
        last = sum(top < height for top in self._tops[1:])
        if self.drawn or self._cuts or last == len(self.rows):
            return self.right
        below = (wire.high for wire in self._channels[last].wires)
        return max([self._extents(range(1, last + 1))[1], *below])

    def _leading(self) -> set[int]:
        """Return the items on a way to the one that the frame's output comes from."""
        end = self._home.get(-1 if self._main is None else self._main, len(self.items) - 1)
        leading = {end}
        for number in range(end, -1, -1):
            if number in leading:
                for port in self.items[number].ports:
                    leading.update(self._home[s] for s in port.sources if s in self._home)
        return leading

    # What is joined with what.

    def _joined_sources(self) -> dict[Key, _Source]:
        """Return where lines begin, and where each of them ends; add the ports and the exits."""
        outside: dict[int, list[tuple[int, int]]] = {}
        sources: dict[Key, _Source] = {}
        for i, item in enumerate(self.items):
            for k, port in enumerate(item.ports):
                for number in port.sources:
                    if number in self._home:
                        source = self._source(sources, number)
                        ends = source.targets.setdefault(self._row_of[i], {})
                        ends[i, k] = self._axis[i] + port.x
                    else:
                        outside.setdefault(number, []).append((i, k))
        together: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for number, places in outside.items():
            together.setdefault(tuple(places), []).append(number)
        self.ports = [_Port(tuple(sorted(numbers))) for numbers in together.values()]
        self.port_of = {number: k for k, port in enumerate(self.ports) for number in port.sources}
        for p, ends_inside in enumerate(together):
            source = sources["in", p] = _Source(0)
            for i, k in ends_inside:
                ends = source.targets.setdefault(self._row_of[i], {})
                ends[i, k] = self._axis[i] + self.items[i].ports[k].x
        self.exits = {}
        for number in self._numbers:
            if self._leaves(number):
                source = self._source(sources, number)
                source.targets[len(self.rows) + 1] = {_OUT: source.x}
        return sources

    def _source(self, sources: dict[Key, _Source], number: int) -> _Source:
        """Return where lines of a box inside begin; add it to the sources."""
        if number not in sources:
            i = self._home[number]
            x = self._axis[i] + self.items[i].exits[number]
            sources[number] = _Source(self._row_of[i], x)
        return sources[number]

    def _leaves(self, number: int) -> bool:
        if any(reader not in self._home for reader in self._plan.wiring.readers[number]):
            return True
        return number in self._plan.wiring.outputs and self._inside

    # The lanes of lines that pass rows, and the places of ports.

    def _add_lanes(self) -> None:
        """Give each source whose lines pass rows a lane beside those, short lanes inside."""
        size = 2 * len(self.rows) + 3  # rows and the gaps between them, ports and exits included
        extents = {side: [0.0] * size for side in (-1, 1)}
        first = 0
        for r, row in enumerate(self.rows, 1):
            numbers = range(first, first + len(row))
            extents[-1][2 * r] = max(self.items[i].left - self._axis[i] for i in numbers)
            extents[1][2 * r] = max(self.items[i].right + self._axis[i] for i in numbers)
            first += len(row)
        spans = []
        self._passed: set[int] = set()
        """The gaps that lanes come into from above."""
        for number, source in enumerate(self._sources.values()):
            if source.passes:
                end = source.last
                by_side = self._by_side(end)
                span = 2 * source.row + 1, 2 * end + by_side
                spans.append((span[1] - span[0], span[0], number, source))
        taken = {side: [0] * size for side in (-1, 1)}  # lanes as bits, one LANE apart
        for length, start, _, source in sorted(spans, key=lambda each: each[:3]):
            side = self._side(source)
            passed = slice(start, start + length)
            used = reduce(or_, taken[side][passed])
            number = ceil(max(extents[side][passed]) / LANE + 0.7)
            while used >> number & 1:
                number += 1
            taken[side][passed] = [each | 1 << number for each in taken[side][passed]]
            self._passed.update(range(source.row + 1, (start + length) // 2))
            source.lane = side * number * LANE
        places = [0.0, *(source.lane for source in self._sources.values() if source.passes)]
        self.left = max([*extents[-1], -min(places)])
        self.right = max([*extents[1], *places])

    def _by_side(self, row: int) -> bool:
        """Whether lanes arrive at a row from the side: it is a merge alone."""
        if row > len(self.rows):
            return False
        items = self.rows[row - 1]
        return len(items) == 1 and items[0].is_merge

    def _side(self, source: _Source) -> int:
        ends = [x for row in source.targets.values() for key, x in row.items() if key != _OUT]
        balance = sum(ends) / len(ends) if ends else 0.0
        balance += source.x if source.row else 0.0
        if abs(balance) < 1.0:
            return -1 if self._to_left else 1
        return -1 if balance < 0 else 1

    def _add_ports(self) -> None:
        """Let each port be above where its lines go, and each exit below where they come from."""
        taken: list[float] = []
        ports = [(p, self._sources["in", p]) for p in range(len(self.ports))]
        for p, source in sorted(ports, key=lambda each: len(each[1].targets.get(1, ()))):
            direct = list(source.targets.get(1, {}).values())
            if source.passes and not direct:
                x = source.lane
            elif len(self.ports) == 1 and len(direct) != 1:
                x = 0.0
            else:
                x = sum(direct) / len(direct)
            while any(abs(x - other) < PORT for other in taken):
                x += PORT / 2
            taken.append(x)
            source.x = self.ports[p].x = x
        for number, source in self._sources.items():
            ends = source.targets.get(len(self.rows) + 1)
            if ends and isinstance(number, int):
                self.exits[number] = source.lane if source.passes else source.x
                ends[_OUT] = self.exits[number]

    # The lines in the gaps between rows.

    def _routed(self) -> list[_Channel]:
        """Return the channel below each row, the first one below the ports."""
        wires: list[list[Wire]] = [[] for _ in range(len(self.rows) + 1)]
        for key, source in self._sources.items():
            bottoms = dict(source.targets.get(source.row + 1, {}))
            if source.row == len(self.rows):
                continue
            if source.passes and (source.row or bottoms):
                bottoms["lane", key] = source.lane
            if bottoms:
                wires[source.row].append(Wire({key: source.x}, bottoms))
            for row, ends in source.targets.items():
                if source.row + 1 < row <= len(self.rows) and not self._by_side(row):
                    wires[row - 1].append(Wire({key: source.lane}, dict(ends)))
        channels = []
        for number, each in enumerate(wires):
            joined = buses(each)
            tracks = route(joined)
            for wire in joined:
                self.left = max(self.left, -wire.low)
                self.right = max(self.right, wire.high)
            channels.append(_Channel(joined, *self._gap(number, tracks)))
        return channels

    def _gap(self, number: int, tracks: int) -> tuple[float, float]:
        """Return the height of a gap, and that of its upper part, above the first track."""
        if number == len(self.rows):
            return self._padding, 0.0
        top = LEAD if number else 0.0
        if number == 0 and self.drawn:
            top = self._title.height + 2.0
        if tracks:
            return top + (tracks - 1) * TRACK + ARRIVAL, top
        if number == 0:
            return (self._title.height + BELOW_TITLE if self.drawn else 0.0), 0.0
        return STRAIGHT, 0.0

    # Heights, columns, the frame.

    def _stack(self) -> None:
        """Set the height of each row, in as many columns as are easy to look at."""
        heights = [max(item.height for item in row) for row in self.rows]
        gaps = [channel.height for channel in self._channels]
        first = gaps[0]
        ends = list(accumulate(gap + height for gap, height in zip(gaps, heights, strict=False)))
        cuts = [g for g in range(1, len(ends)) if self._can_end(g)]
        width = self.left + self.right + 2 * COLUMN_GAP
        chosen = columns(ends, cuts, width, self._plan.tallest)
        self._tops, self._floors, self._shifts = [0.0], [0.0], [0.0]
        self._cuts: dict[int, float] = {}
        right, lowest = 0.0, 0.0
        if len(chosen) > 1:
            first = max(first, gaps[0] - BELOW_TITLE + ARRIVAL, ARRIVAL)
        for number, rows in enumerate(chosen):
            left_here, right_here = self._extents(rows)
            shift = 0.0
            if number:
                self._cuts[rows[0] - 1] = right + COLUMN_GAP
                shift = right + 2 * COLUMN_GAP + left_here
            y = first
            for row in rows:
                self._tops.append(y)
                self._floors.append(y + heights[row - 1])
                self._shifts.append(shift)
                y += heights[row - 1] + gaps[row]
            right = shift + right_here
            lowest = max(lowest, y - gaps[rows[-1]])
        if len(chosen) > 1:
            self.left, self.right = self._extents(chosen[0])[0], right
            lowest += LEAD
            for exit_ in self.exits:
                self.exits[exit_] += self._shifts[-1]
        self.height = lowest + gaps[-1]
        if self._padding:
            self.left += self._padding
            self.right += self._padding
            self._entitle()

    def _can_end(self, gap: int) -> bool:
        """Whether a column can end above a gap: one box's output, and nothing else, passes."""
        wires = self._channels[gap].wires
        return gap not in self._passed and len(wires) == 1 and len(wires[0].tops) == 1

    def _extents(self, rows: range) -> tuple[float, float]:
        """Return how far the rows of a column reach to the left and the right of the axis."""
        left = right = 0.0
        for number, item in enumerate(self.items):
            if self._row_of[number] in rows:
                left = max(left, item.left - self._axis[number])
                right = max(right, item.right + self._axis[number])
        places = [
            source.lane
            for source in self._sources.values()
            if source.passes and source.row + 1 in rows
        ]
        inner = [*rows[:-1], *([0] if rows[0] == 1 else [])]
        places += [
            x for g in inner for wire in self._channels[g].wires for x in (wire.low, wire.high)
        ]
        return max([left, *(-x for x in places)]), max([right, *places])

    def _entitle(self) -> None:
        """Find room for the title between the lines that come in, or make it."""
        width = self._title.width
        lines = sorted(port.x for port in self.ports)
        starts = [-self.left, *(x + 2 for x in lines)]
        ends = [*(x - 2 for x in lines), self.right]
        for start, end in zip(starts, ends, strict=True):
            if end - start >= width:
                self._title_at = start
                return
        self.left = max(self.left, width - ends[0])
        self._title_at = -self.left

    # Everything in its place.

    def place(self, x: float, y: float, depth: int, boxes: list[Placed]) -> None:
        """Add the frame with its upper left corner at (x, y), and all boxes in it."""
        self._corner = (x + self.left, y)
        if self.box is not None and self.drawn:
            title = x + self.left + self._title_at
            boxes.append(Placed(self.box, x, y, self.width, self.height, depth, title))
            depth += 1
        for number, item in enumerate(self.items):
            row = self._row_of[number]
            axis = x + self.left + self._axis[number] + self._shifts[row]
            item.place(axis - item.left, y + self._tops[row], depth, boxes)

    def inner(self, source: int, target: int) -> tuple[Point, ...]:
        """Return the way of a line from one item to another."""
        return self._way(source, self._end(source, target))

    def entry(self, source: int, target: int) -> tuple[Point, ...]:
        """Return the way of a line that comes in."""
        return self._way(("in", self.port_of[source]), self._end(source, target))

    def exit(self, source: int) -> tuple[Point, ...]:
        """Return the way of a line that leaves."""
        return self._way(source, _OUT)

    def _end(self, source: int, target: int) -> _End:
        i = self._home[target]
        return i, self.items[i].port_of[source]

    def _way(self, key: Key, end: _End) -> tuple[Point, ...]:
        if (key, end) not in self._ways:
            x, y = self._corner
            self._ways[key, end] = tuple((x + a, y + b) for a, b in self._points(key, end))
        return self._ways[key, end]

    def _points(self, key: Key, end: _End) -> Iterator[Point]:
        source = self._sources[key]
        shift = self._shifts[source.row]
        y = 0.0
        if isinstance(key, int):
            y = self._tops[source.row] + self.items[self._home[key]].height
        row = len(self.rows) + 1 if end == _OUT else self._row_of[end[0]]
        if row == source.row + 1 and end == _OUT:
            yield source.x + shift, y
            yield source.x + shift, self.height
        elif row == source.row + 1:
            yield from self._crossing(source.row, key, end, y)
        else:
            shift = self._shifts[source.row + 1]
            lane = source.lane + shift
            if source.row or 1 in source.targets:
                yield from self._crossing(source.row, key, ("lane", key), y)
            else:
                yield lane, y
            if end == _OUT:
                yield lane, self.height
            elif self._by_side(row):
                i = end[0]
                item, axis = self.items[i], self._axis[i] + shift
                middle = self._tops[row] + item.height / 2
                yield lane, middle
                yield (axis + item.right if lane > axis else axis - item.left), middle
            else:
                yield from self._crossing(row - 1, key, end, None)

    def _crossing(self, gap: int, key: Key, end: Key, y: float | None) -> Iterator[Point]:
        """Yield a line's points from above a gap to the row below it, or to the lane there."""
        channel = self._channels[gap]
        wire = channel.wire(key, end)
        shift = self._shifts[gap]
        start, stop = wire.tops[key] + shift, wire.bottoms[end] + shift
        top = channel.top + self._floors[gap]
        below = None if end == ("lane", key) else self._tops[gap + 1]
        if gap in self._cuts:
            between, stop = self._cuts[gap], wire.bottoms[end] + self._shifts[gap + 1]
            up = self._tops[gap + 1] - ARRIVAL
            yield start, self._floors[gap] if y is None else y
            yield start, self._floors[gap] + LEAD
            yield between, self._floors[gap] + LEAD
            yield between, up
            yield stop, up
            if below is not None:
                yield stop, below
            return
        if y is not None:
            yield start, y
        if wire.track is not None:
            level = top + wire.track * TRACK
            yield start, level
            if wire.bottoms[end] in wire.detours:
                aside, track = wire.detours[wire.bottoms[end]]
                yield aside + shift, level
                level = top + track * TRACK
                yield aside + shift, level
            yield stop, level
        if below is not None:
            yield stop, below

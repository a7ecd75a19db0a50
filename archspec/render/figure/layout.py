"""Layout of a figure: the places of its boxes, the ways of its lines.

Boxes that follow each other stand below each other on one axis, boxes that do not depend on each
other stand beside each other, and what is inside a block stands inside its frame, so that the
layout is recursive. A line to the next box is straight or a bend in the gap between them; a
shortcut, which passes by boxes, has a lane of its own beside those. So no line crosses a box, and
lines cross each other only where the network has no other way.

Lengths are in points, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from archspec.graph.graph import Graph
from archspec.render.figure.drawing import Point
from archspec.render.figure.outline import Box

ROW_GAP: Final = 22.0
"""Height between two boxes."""
COLUMN_GAP: Final = 18.0
"""Width between two boxes beside each other."""
LANE: Final = 10.0
"""Width of a shortcut's lane."""
PADDING: Final = 12.0
"""Width between a frame and what is inside."""


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
    axis: float
    """The x at which lines enter at the top and leave at the bottom."""

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


class Line(NamedTuple):
    """A connection: points joined by straight lines with rounded corners."""

    source: Box
    target: Box
    points: tuple[Point, ...]
    shortcut: bool
    """Whether it passes by boxes."""
    arrives: bool
    """Whether it ends at a box; false where it goes on inside a frame, or outside."""


class Layout(NamedTuple):
    """A figure: frames before what is in them."""

    boxes: tuple[Placed, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


Measure: TypeAlias = Callable[[Box], Size]
"""The size of a box without what is inside; for a block, that of its title."""


def layout(graph: Graph, whole: Box, measure: Measure) -> Layout:
    """Return the places of all boxes of an outline, and the lines between them.

    Args:
        graph: The network.
        whole: Its outline.
        measure: The size that a box needs for its text.
    """
    frame = _Frame(graph, whole, measure)
    boxes: list[Placed] = []
    lines: list[Line] = []
    frame.place(PADDING, PADDING, 0, boxes, lines)
    return Layout(tuple(boxes), tuple(lines), frame.width + 2 * PADDING, frame.height + 2 * PADDING)


Member: TypeAlias = int
"""A box of a frame by its number; or one of the frame's ports, below 0: `-1 - node` is where the
output of that node, which is outside, comes in."""


@dataclass(eq=False)
class _Block:
    """Members arranged together, around an axis. Lengths are relative to it and to the top."""

    members: list[Member]
    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    spots: dict[Member, tuple[float, float]] = field(default_factory=dict)
    """Axis and upper edge of each member."""
    lanes: dict[tuple[Member, Member], float] = field(default_factory=dict)
    """The x of the lane of each shortcut, from a source to a target."""

    def put(self, inner: _Block, x: float, y: float) -> None:
        """Add an inner block with its axis at x and its upper edge at y."""
        self.left = max(self.left, inner.left - x)
        self.right = max(self.right, inner.right + x)
        self.height = max(self.height, y + inner.height)
        for member, (at, top) in inner.spots.items():
            self.spots[member] = (at + x, top + y)
        self.lanes.update((ends, at + x) for ends, at in inner.lanes.items())


class _Frame:
    """A block with its boxes: arranged once, then placed."""

    def __init__(self, graph: Graph, box: Box, measure: Measure) -> None:
        self.box = box
        self.inner: list[_Frame | _Leaf] = [
            (_Frame if each.boxes else _Leaf)(graph, each, measure) for each in box.boxes
        ]
        self.owner = {
            node: number
            for number, each in enumerate(box.boxes)
            for node in range(each.start, each.end)
        }
        self.sources: list[int] = sorted(
            {node for each in self.inner for node in each.sources if node not in self.owner}
        )
        """Nodes outside whose output comes in."""
        self.leaving: set[int] = set()
        """Nodes inside whose output leaves, those of repeats aside; the frame around adds them."""
        for each in self.inner:
            for node in each.sources:
                if node in self.owner:
                    feeding = self.inner[self.owner[node]]
                    if isinstance(feeding, _Frame):
                        feeding.leave(node)
        self._arrange()
        title = measure(box) if box.path else Size(0.0, 0.0)
        padding = PADDING if box.path else 0.0
        self.top = title.height
        self.left = max(self.arranged.left, title.width if self.sources else 0.0) + padding
        self.right = max(self.arranged.right, title.width - self.left) + padding
        self.height = self.top + self.arranged.height + padding

    @property
    def width(self) -> float:
        return self.left + self.right

    def member(self, node: int) -> Member:
        """The box that a node is in, or the port at which its output comes in."""
        return self.owner.get(node, -1 - node)

    def edges(self) -> Iterator[tuple[Member, Member, int]]:
        """Source, target and node of every line between two members."""
        for number, each in enumerate(self.inner):
            for node in each.sources:
                yield self.member(node), number, node

    def leave(self, node: int) -> None:
        """Take note that the output of a node inside leaves the frame."""
        node = self.box.start + (node - self.box.start) % (self.box.stop - self.box.start)
        self.leaving.add(node)
        inner = self.inner[self.owner[node]]
        if isinstance(inner, _Frame):
            inner.leave(node)

    def _arrange(self) -> None:
        ports = [-1 - node for node in self.sources]
        order = [*ports, *range(len(self.inner))]
        place = {member: number for number, member in enumerate(order)}
        bit = {member: 1 << number for member, number in place.items()}
        before = dict.fromkeys(order, 0)
        self.kept: dict[Member, list[Member]] = {member: [] for member in order}
        shortcuts = []
        inputs: dict[Member, dict[Member, None]] = {member: {} for member in order}
        for source, target, _ in self.edges():
            inputs[target][source] = None
        for target in order:
            for source in sorted(inputs[target], key=place.__getitem__, reverse=True):
                if before[target] & bit[source]:
                    shortcuts.append((source, target))
                else:
                    self.kept[target].append(source)
                before[target] |= before[source] | bit[source]
        after = dict.fromkeys(order, 0)
        for target in reversed(order):
            for source in self.kept[target]:
                after[source] |= after[target] | bit[target]
        self.arranged = _Arranging(self, bit, before, after, shortcuts).block(order)

    def size(self, member: Member) -> tuple[float, float, float]:
        """Extent of a member to the left and the right of its axis, and its height."""
        if member < 0:
            return 0.0, 0.0, 0.0
        inner = self.inner[member]
        return inner.left, inner.right, inner.height

    def entry(self, node: int) -> float:
        """The x, from the axis, where the output of a node outside comes in."""
        return self.arranged.spots[-1 - node][0]

    def exit(self, node: int) -> float:
        """The x, from the axis, where the output of a node inside, or of its repeat, leaves."""
        node = self.box.start + (node - self.box.start) % (self.box.stop - self.box.start)
        number = self.owner[node]
        return self.arranged.spots[number][0] + self.inner[number].exit(node)

    def place(self, x: float, y: float, depth: int, boxes: list[Placed], lines: list[Line]) -> None:
        """Add the frame with its upper left corner at (x, y), and all in it."""
        axis = x + self.left
        if self.box.path:
            boxes.append(Placed(self.box, x, y, self.width, self.height, depth, axis))
            depth += 1
        spots = self.arranged.spots
        for number, inner in enumerate(self.inner):
            at, down = spots[number]
            inner.place(axis + at - inner.left, y + self.top + down, depth, boxes, lines)
        for source, target, node in self.edges():
            at, down = spots[target]
            inner = self.inner[target]
            end = End(axis + at + inner.entry(node), y + self.top + down, axis + at, inner)
            if source < 0:
                start = (axis + spots[source][0], y)
                box = self.box
            else:
                at, down = spots[source]
                above = self.inner[source]
                start = (axis + at + above.exit(node), y + self.top + down + above.height)
                box = above.box
            lane = self.arranged.lanes.get((source, target))
            points = _bend(start, end) if lane is None else _around(start, end, axis + lane)
            arrives = isinstance(inner, _Leaf)
            lines.append(Line(box, inner.box, points, lane is not None, arrives))
        if self.box.path:
            self._leave(axis, y, lines)

    def _leave(self, axis: float, y: float, lines: list[Line]) -> None:
        """Add the lines from inside to the lower edge of the frame."""
        for node in sorted(self.leaving | {self.box.stop - 1}):
            number = self.owner[node]
            at, down = self.arranged.spots[number]
            inner = self.inner[number]
            start = (axis + at + inner.exit(node), y + self.top + down + inner.height)
            points = (start, (start[0], y + self.height))
            lines.append(Line(inner.box, self.box, points, shortcut=False, arrives=False))


class _Leaf:
    """A box with nothing inside."""

    def __init__(self, graph: Graph, box: Box, measure: Measure) -> None:
        size = measure(box)
        self.box = box
        self.left = self.right = size.width / 2
        self.height = size.height
        inside = range(box.start, box.stop)
        sources = {node for each in graph.nodes[box.start : box.stop] for node in each.inputs}
        self.sources = sorted(node for node in sources if node not in inside)

    def entry(self, node: int) -> float:  # noqa: ARG002
        """The x of every line from above, from the axis."""
        return 0.0

    def exit(self, node: int) -> float:  # noqa: ARG002
        """The x of every line to below, from the axis."""
        return 0.0

    def place(
        self,
        x: float,
        y: float,
        depth: int,
        boxes: list[Placed],
        lines: list[Line],  # noqa: ARG002
    ) -> None:
        """Add the box with its upper left corner at (x, y)."""
        width = self.left + self.right
        boxes.append(Placed(self.box, x, y, width, self.height, depth, x + self.left))


class End(NamedTuple):
    """End of a line."""

    x: float
    y: float
    """The port, on the upper edge of a member."""
    axis: float
    member: _Frame | _Leaf


def _bend(start: Point, end: End) -> tuple[Point, ...]:
    """Return a line from the lower edge of a member to the upper edge of one below it."""
    if abs(start[0] - end.x) < 0.5:
        return (start, (start[0], end.y))
    middle = end.y - ROW_GAP / 2
    return (start, (start[0], middle), (end.x, middle), (end.x, end.y))


def _around(start: Point, end: End, lane: float) -> tuple[Point, ...]:
    """Return a line from a member's lower edge along a lane; it enters a merge from the side."""
    down = start[1] + ROW_GAP * 0.3
    path = (start, (start[0], down), (lane, down))
    if end.member.box.is_merge:
        middle = end.y + end.member.height / 2
        side = end.member.right if lane > end.axis else -end.member.left
        return (*path, (lane, middle), (end.axis + side, middle))
    up = end.y - ROW_GAP * 0.3
    x = end.x + (6.0 if lane > end.x else -6.0) if end.x == end.axis else end.x
    return (*path, (lane, up), (x, up), (x, end.y))


class _Arranging:
    """Members of one frame on their way into blocks."""

    def __init__(
        self,
        frame: _Frame,
        bit: dict[int, int],
        before: dict[int, int],
        after: dict[int, int],
        shortcuts: Iterable[tuple[int, int]],
    ) -> None:
        self._frame = frame
        self._bit = bit
        self._before = before
        self._after = after
        self._shortcuts = list(shortcuts)

    def block(self, members: list[int]) -> _Block:
        """Arrange members, given in the order of the graph."""
        if len(members) == 1:
            return self._single(members[0])
        groups = self._components(members)
        if len(groups) > 1:
            return self._beside([self.block(group) for group in groups])
        return self._below(self._series(members))

    def _single(self, member: int) -> _Block:
        left, right, height = self._frame.size(member)
        return _Block([member], left, right, height, {member: (0.0, 0.0)})

    def _components(self, members: Sequence[int]) -> list[list[int]]:
        """Members in groups without a line between two of them."""
        inside = set(members)
        group_of: dict[int, int] = {}
        groups: dict[int, list[int]] = {}
        for member in members:
            joined = {group_of[s] for s in self._frame.kept[member] if s in inside}
            number = min(joined, default=len(group_of))
            groups.setdefault(number, []).append(member)
            group_of[member] = number
            for other in joined - {number}:
                for each in groups.pop(other):
                    groups[number].append(each)
                    group_of[each] = number
        place = {member: at for at, member in enumerate(members)}
        return sorted(
            (sorted(group, key=place.__getitem__) for group in groups.values()),
            key=lambda group: place[group[0]],
        )

    def _series(self, members: list[int]) -> list[_Block]:
        """Connected members as blocks below each other, each of which all lines go through."""
        every = 0
        for member in members:
            every |= self._bit[member]
        blocks: list[_Block] = []
        rest: list[int] = []
        for member in members:
            comparable = self._before[member] | self._after[member] | self._bit[member]
            if comparable & every == every:
                if rest:
                    blocks.append(self._inner(rest, len(members)))
                    rest = []
                blocks.append(self._single(member))
            else:
                rest.append(member)
        if rest:
            blocks.append(self._inner(rest, len(members)))
        return blocks

    def _inner(self, members: list[int], outer: int) -> _Block:
        if len(members) < outer or len(self._components(members)) > 1:
            return self.block(members)
        return self._ranks(members)

    def _ranks(self, members: list[int]) -> _Block:
        """Members in rows, each below all that it depends on."""
        inside = set(members)
        rank: dict[int, int] = {}
        rows: dict[int, list[_Block]] = {}
        for member in members:
            sources = [s for s in self._frame.kept[member] if s in inside]
            rank[member] = 1 + max((rank[s] for s in sources), default=-1)
            rows.setdefault(rank[member], []).append(self._single(member))
        return self._below([self._beside(row) for _, row in sorted(rows.items())])

    def _beside(self, blocks: list[_Block]) -> _Block:
        """Blocks beside each other. The axis is that of the one that leads on, or the middle."""
        if len(blocks) == 1:
            return blocks[0]
        last = len(self._frame.inner) - 1
        done = self._bit[last]
        leading = [
            any(self._after[m] & done or m == last for m in block.members) for block in blocks
        ]
        places: list[float] = []
        x = 0.0
        for block in blocks:
            if places:
                x += COLUMN_GAP
            places.append(x + block.left)
            x += block.left + block.right
        if sum(leading) == 1:
            axis = places[leading.index(True)]
        else:
            axis = x / 2 if len(blocks) % 2 == 0 else places[len(blocks) // 2]
        result = _Block([m for block in blocks for m in block.members])
        for block, place in zip(blocks, places, strict=True):
            result.put(block, place - axis, 0.0)
        return result

    def _below(self, blocks: list[_Block]) -> _Block:
        result = _Block([m for block in blocks for m in block.members])
        y = 0.0
        index_of: dict[int, int] = {}
        for number, block in enumerate(blocks):
            if number:
                y += ROW_GAP
            result.put(block, 0.0, y)
            y += block.height
            index_of.update(dict.fromkeys(block.members, number))
        if len(blocks) > 1:
            self._add_lanes(result, blocks, index_of)
        return result

    def _add_lanes(self, result: _Block, blocks: list[_Block], index_of: dict[int, int]) -> None:
        """Give each shortcut between two of the blocks a lane to the right of those it passes."""
        here = [each for each in self._shortcuts if each[0] in index_of and each[1] in index_of]
        taken = set(here)
        self._shortcuts = [each for each in self._shortcuts if each not in taken]
        here.sort(key=lambda each: (index_of[each[1]] - index_of[each[0]], index_of[each[0]]))
        used: list[tuple[int, int, bool, float]] = []
        for source, target in here:
            first, last = index_of[source], index_of[target]
            passed = blocks[first : last + 1]
            to_left = min(result.spots[source][0], result.spots[target][0]) < 0
            at = max(block.left if to_left else block.right for block in passed) + LANE
            for start, stop, side, x in used:
                if side == to_left and start < last and first < stop:
                    at = max(at, x + LANE)
            used.append((first, last, to_left, at))
            result.lanes[source, target] = -at if to_left else at
            if to_left:
                result.left = max(result.left, at)
            else:
                result.right = max(result.right, at)

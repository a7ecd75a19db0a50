"""Two networks as boxes that tell what differs: equal layers folded, counterparts at one height."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, pairwise
from typing import Final

from archspec.cost.difference import Difference, RowPair
from archspec.graph.graph import Scope
from archspec.render.difference import is_quiet
from archspec.render.figure.drawing import Point
from archspec.render.figure.layout import Layout, Line, Placed
from archspec.render.figure.outline import Box, fold_repeats, opened

FOLD: Final = "equal"
"""Kind of a box that stands for layers which are equal in both networks."""


class Side:
    """One of two networks: its boxes, and the rows of the difference that each shows."""

    def __init__(self, difference: Difference, *, first: bool) -> None:
        self.first = first
        """Whether the network is the first of the two."""
        self._report = report = difference.before if first else difference.after
        self._steps = difference.steps
        rows = [step.before if first else step.after for step in self._steps]
        placed = [(row.start, number) for number, row in enumerate(rows) if row]
        self._starts = [start for start, _ in placed]
        self._numbers = [number for _, number in placed]
        self._paths = {row.start: (row.path, row.stop) for row in rows if row}
        self._runs = _runs([is_quiet(step, difference.shared) for step in self._steps])
        self._last_use = list(range(len(report.graph.nodes)))
        for node in report.graph.nodes:
            for index in node.inputs:
                self._last_use[index] = node.index
        self.spans: dict[Box, str] = {}
        """Names of what each folded box stands for."""
        depth = difference.depth
        self.root = opened(report, None if depth is None else depth - 1, ops=difference.by_ops)
        self._parents: dict[tuple[int, int], tuple[int, int]] = {}
        """The first and the last row of each box, and of the box around it."""
        self._close(self.root)

    def fold(self, other: Side, ends: AbstractSet[int]) -> None:
        """Fold what is equal in both networks, and repeats that differ by the same.

        Args:
            other: The other network.
            ends: Numbers of rows that are the last of what is folded: `branching` of both.
        """
        self._sections = list(accumulate(number - 1 in ends for number in range(len(self._steps))))
        self._fold(self.root, other)
        fold_repeats(self.root, self._signature, alike=True)

    def branching(self) -> Iterator[int]:
        """Yield the numbers of equal rows of which a row that is not among the next ones reads."""
        rows = [
            self._numbers[bisect_right(self._starts, at) - 1]
            for at in range(self._report.graph.size)
        ]
        for node in self._report.graph.nodes:
            for index in node.inputs:
                number = rows[index]
                if self._runs[number] and self._runs[number] != self._runs[rows[node.index]]:
                    yield number

    def numbers(self, box: Box) -> Sequence[int]:
        """Numbers of the rows that a box shows, in the order of `Difference.steps`."""
        low, high = bisect_left(self._starts, box.start), bisect_left(self._starts, box.end)
        return self._numbers[low:high]

    def rows(self, box: Box) -> list[RowPair]:
        """Rows that a box shows."""
        return [self._steps[number] for number in self.numbers(box)]

    def mark(self, box: Box) -> str:
        """Return `-`, `+` or `~` where a box is in one network only or differs, or else `=`."""
        numbers = self.numbers(box)
        marks = {"=" if self._runs[each] else self._steps[each].mark for each in numbers}
        return marks.pop() if len(marks) == 1 else "~"

    def _close(self, box: Box) -> None:
        """Let no box be smaller than a row."""
        path, stop = self._paths.get(box.start, ("", 0))
        if box.item and box.path == path and box.stop == stop:
            box.boxes = []
        for inner in box.boxes:
            self._parents.setdefault(self._extent(inner), self._extent(box))
            self._close(inner)

    def _extent(self, box: Box) -> tuple[int, int]:
        """Numbers of the first and of the last row that a box shows."""
        numbers = self.numbers(box)
        return numbers[0], numbers[-1]

    def _fold(self, box: Box, other: Side) -> None:
        """Let one box stand for equal ones that follow each other in both networks."""
        kept: list[Box] = []
        run: list[Box] = []
        outside: set[int] = set()
        place: tuple[int, ...] = ()
        for inner in box.boxes:
            here = self._foldable(inner, other)
            sources = self._sources(inner)
            if run:
                outside |= {index for index in sources if index < run[0].start}
                if here != place or len(outside) > 1:
                    kept += self._folded(run, other)
                    run = []
            if here and (run or len(sources) <= 1):
                outside, place = (outside if run else sources), here
                run.append(inner)
            else:
                self._fold(inner, other)
                kept.append(inner)
        box.boxes = kept + self._folded(run, other)

    def _foldable(self, box: Box, other: Side) -> tuple[int, ...]:
        """Return what boxes that are folded into one have in common; empty for others.

        It is the run of quiet rows, and the rows of the box around them in the other network.
        """
        first, last = self._extent(box)
        parent = other._parents.get((first, last))
        if not self._runs[first] or self._runs[first] != self._runs[last] or parent is None:
            return ()
        section = self._sections[first]
        return (self._runs[first], section, *parent) if section == self._sections[last] else ()

    def _sources(self, box: Box) -> set[int]:
        """Return the nodes outside of a box from which it reads."""
        return {index for node in box.nodes for index in node.inputs if index < box.start}

    def _folded(self, run: Sequence[Box], other: Side) -> list[Box]:
        """Return one box for a run of unchanged ones; the boxes where it would hide a shortcut."""
        if not run:
            return []
        start, stop = run[0].start, run[-1].stop
        scope = Scope(run[0].path, FOLD, "", start, stop, row=True)
        fold = Box(self._report, scope, start, stop)
        leaves_early = any(use >= stop for use in self._last_use[start : stop - 1])
        if leaves_early or len(self.numbers(fold)) == 1:
            for box in run:
                self._fold(box, other)
            return list(run)
        self.spans[fold] = run[0].name if len(run) == 1 else f"{run[0].name} to {run[-1].name}"
        return [fold]

    def _signature(self, box: Box) -> tuple[object, ...]:
        """Return what differs in a box; repeats are folded where they differ by the same."""
        return tuple(
            (step.mark, *(repr((each.what, each.before, each.after)) for each in step.changes))
            for step in self.rows(box)
        )


def _runs(quiet: Sequence[bool]) -> list[int]:
    """Return the number of the run of quiet rows that each is in, from 1; 0 for the others."""
    runs: list[int] = []
    run = 0
    for before, here in pairwise([False, *quiet]):
        run += here and not before
        runs.append(run if here else 0)
    return runs


def counterparts(
    sides: Sequence[Side], layouts: Sequence[Layout]
) -> Iterator[tuple[Placed, Placed]]:
    """Yield the innermost boxes of both networks that show the same row of the difference."""
    before, after = (
        {side.numbers(each.box)[0]: each for each in layout.boxes if not each.box.boxes}
        for side, layout in zip(sides, layouts, strict=True)
    )
    for number, each in before.items():
        if number in after:
            yield each, after[number]


def levelled(
    ends: Iterable[tuple[Placed, Placed]], layouts: Sequence[Layout]
) -> tuple[Layout, Layout]:
    """Return two layouts with room put in between, so that counterparts stand at one height.

    Counterparts in another order than in the other network stay where they are.
    """
    first, second = map(_Stretch, layouts)
    for a, b in sorted(ends, key=lambda each: (each[0].y, each[1].y)):
        if a.y <= first.reached or b.y <= second.reached:
            continue
        difference = second.at(b.y) - first.at(a.y)
        if difference > 0:
            first.insert(a, difference)
        else:
            second.insert(b, -difference)
        first.reached, second.reached = a.y, b.y
    return first.layout(), second.layout()


class _Stretch:
    """A layout on its way to a taller one."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._places: list[float] = []
        """Heights at which room is put in, rising."""
        self._room: list[float] = [0.0]
        """Room above the first of these heights, the second, and so on."""
        self.reached = -1.0
        """Height down to which boxes have their place."""
        self._frames: dict[int, list[float]] = {}
        """Upper edges of the frames around the first node of each."""
        for each in layout.boxes:
            if each.box.boxes:
                self._frames.setdefault(each.box.start, []).append(each.y)

    def at(self, y: float) -> float:
        """Return the new height of what was at y."""
        return y + self._room[bisect_right(self._places, y)]

    def insert(self, placed: Placed, room: float) -> None:
        """Put room in above a box; above the frames around it, where it is the first in them."""
        if room < 0.05:
            return
        frames = self._frames.get(placed.box.start, ())
        above = [y for y in frames if y > self.reached]
        self._places.append(min([placed.y, *above]))
        self._room.append(self._room[-1] + room)

    def layout(self) -> Layout:
        """Return the taller layout."""
        boxes = {each.box: self._moved(each) for each in self._layout.boxes}
        old = {each.box: each for each in self._layout.boxes}
        lines = [
            line._replace(points=tuple(self._points(line, old, boxes)))
            for line in self._layout.lines
        ]
        return self._layout._replace(
            boxes=tuple(boxes.values()), lines=tuple(lines), height=self.at(self._layout.height)
        )

    def _moved(self, placed: Placed) -> Placed:
        top = self.at(placed.y)
        height = self.at(placed.bottom) - top if placed.box.boxes else placed.height
        return placed._replace(y=top, height=height)

    def _points(self, line: Line, old: dict[Box, Placed], new: dict[Box, Placed]) -> list[Point]:
        """Return a line that still ends at its boxes."""
        points = [(x, self.at(y)) for x, y in line.points]
        points[0] = (points[0][0], new[line.source].bottom)
        if line.target:
            end = line.points[-1][1]
            y = new[line.target].y + end - old[line.target].y
            for number in range(len(points) - 1, 0, -1):
                if line.points[number][1] != end:
                    break
                points[number] = (points[number][0], y)
        return points

"""Layout of maps: from left to right in columns, wrapped into bands below each other.

A line turns only in the gap between two columns, and runs along a row where no map stands. So no
line crosses a map, and texts have room of their own between the turns.

Lengths are in points, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil
from typing import Final, NamedTuple

from archspec.render.figure.drawing import Point
from archspec.render.figure.grid import Grid, Run

GAP: Final = 34.0
"""Smallest width between two columns."""

TEXT_GAP: Final = 8.0
"""Smallest width between two texts beside each other."""

LEAD: Final = 44.0
"""Width before the first column of a band that goes on from another one."""

MOST_MARGIN: Final = 200.0
"""Greatest width of the lines beside a band; more of them run closer to each other."""

TURN: Final = 8.0
"""Width between a column and the lines that turn beside it."""

EXIT: Final = 26.0
"""Width between a band and the lines that lead from it to the next."""

LANE: Final = 6.0
"""Width between lines that run beside each other."""

ARROW: Final = 12.0
"""Width between the last turn of a line and its end."""

THIN: Final = 12.0
"""Height of a row in which only lines run."""

ROW_GAP: Final = 14.0
"""Height between two rows."""

BAND_GAP: Final = 12.0
"""Height between a band and the lines between bands."""


class Extents(NamedTuple):
    """Extents of a map with its texts."""

    left: float
    """Width to the left of the middle, numbers beside the map included."""
    right: float
    """Width to the right of the middle."""
    up: float
    """Height above the axis."""
    down: float
    """Height below the axis."""
    above: float
    """Height of the text above."""
    below: float
    """Height of the text below."""
    text: float
    """Width of the text above, which is around the middle of the map."""
    operation: float
    """Width of the text below, which is around the middle of the gap before the map."""


class Place(NamedTuple):
    """Place of a map."""

    x: float
    """The middle."""
    gap: float
    """Middle of the text below, in the gap before it."""
    axis: float
    """The y at which lines come and go."""
    top: float
    """Upper edge of its row's text."""
    bottom: float
    """Lower edge of its row's maps, where the text below begins."""
    band: int


class Route(NamedTuple):
    """A line from a map to another."""

    source: int
    target: int
    points: tuple[Point, ...]
    """Its turns, both ends excepted; none if it is straight."""
    branches: bool
    """Whether the first point is where the line leaves another from its source, and no turn."""
    shortcut: bool
    """Whether the line passes by maps."""
    adjacent: bool
    """Whether the line leads to the next column."""


class Bands(NamedTuple):
    """A layout."""

    places: list[Place]
    routes: list[Route]
    width: float
    height: float
    spans: list[tuple[float, float]]
    """Upper and lower edge of each band."""


def bands(extents: Sequence[Extents], grid: Grid, most: float, below: float) -> Bands:
    """Return the places of maps and the lines between them.

    Args:
        extents: The extents of each map.
        grid: The columns and rows of the maps.
        most: The width beyond which a band is wrapped.
        below: Height that is free below each band.

    """
    return _Wrapping(grid, extents, most, below).layout()


@dataclass
class _Column:
    """A column and the gap before it."""

    maps: list[int] = field(default_factory=list)
    leaving: dict[int, int] = field(default_factory=dict)
    """Lanes in which the lines of each map in the column before turn."""
    arriving: dict[int, int] = field(default_factory=dict)
    """Lanes in which the lines to each map of this column turn."""
    lanes: tuple[int, int] = (0, 0)
    """Number of lanes behind the column before, and before this one."""
    x: float = 0.0
    """The middle of the maps."""
    gap: float = 0.0
    """The middle of the gap's text."""

    @property
    def turns(self) -> bool:
        """Whether lines turn in the gap."""
        return any(self.lanes)


class _Row(NamedTuple):
    """Heights of a row in a band."""

    axis: float
    """The y at which lines come and go."""
    top: float
    """Upper edge of the texts above the maps."""
    bottom: float
    """Lower edge of the maps."""
    end: float
    """Lower edge of the texts below the maps."""


class _Wrapping:
    """Columns and rows on their way to places."""

    def __init__(self, grid: Grid, extents: Sequence[Extents], most: float, below: float) -> None:
        self._grid = grid
        self._extents = extents
        self._most = most
        self._below = below
        self._columns = [_Column() for _ in range(max(grid.column) + 1)]
        for number, column in enumerate(grid.column):
            self._columns[column].maps.append(number)
        self._find_turns()
        breaks = self._breaks()
        # Of each band: its columns, from the first up to but without the last.
        self._ranges = list(zip(breaks, [*breaks[1:], len(self._columns)], strict=True))
        # Of each band but the last: the rows of the lines from it to the next.
        self._crossing = [self._rows_across(each) for each in breaks[1:]]
        lanes = max(map(len, self._crossing), default=0)
        self._lane = min(LANE, MOST_MARGIN / max(lanes, 1))
        self._margin = TURN + self._lane * lanes if lanes else 0.0
        self._rights = [self._place(*each, self._margin) for each in self._ranges]
        self._axes: list[dict[int, float]] = []
        self._spans: list[tuple[float, float]] = []

    def layout(self) -> Bands:
        """Return the places and lines of all bands."""
        places: list[Place | None] = [None] * len(self._extents)
        y = 0.0
        for band, (first, last) in enumerate(self._ranges):
            if band:
                y += 2 * BAND_GAP + self._lane * (len(self._crossing[band - 1]) - 1)
            rows = self._rows(first, last, y)
            self._axes.append({row: each.axis for row, each in rows.items()})
            for column in self._columns[first:last]:
                for number in column.maps:
                    row = rows[self._grid.row[number]]
                    places[number] = Place(column.x, column.gap, *row[:3], band)
            end = max(row.end for row in rows.values())
            self._spans.append((y, end))
            y = end + self._below
        placed = [each for each in places if each is not None]
        leading: dict[int, Run] = {}  # of maps at the end of a band: the line that leads on
        for run in sorted(self._grid.runs, key=lambda each: (each.shortcut, each.target)):
            leading.setdefault(run.source, run)
        routes = [
            self._route(run, placed, branches=leading[run.source] is not run)
            for run in self._grid.runs
        ]
        exits = [EXIT + self._lane * len(each) for each in self._crossing]
        width = max(map(sum, zip(self._rights, [*exits, 0.0], strict=True)))
        return Bands(placed, routes, width, y, self._spans)

    def _find_turns(self) -> None:
        """Give lines that turn in the same gap a lane for each map at which they start or end."""
        grid = self._grid
        out: list[dict[int, tuple[int, int]]] = [{} for _ in self._columns]
        into: list[dict[int, tuple[int, int]]] = [{} for _ in self._columns]
        for source, target, row, _ in grid.runs:
            for number, turns, column in (
                (source, out, grid.column[source] + 1),
                (target, into, grid.column[target]),
            ):
                if row != grid.row[number]:
                    low, high = turns[column].get(number, (row, row))
                    rows = (low, high, row, grid.row[number])
                    turns[column][number] = (min(rows), max(rows))
        for each, leaving, arriving in zip(self._columns, out, into, strict=True):
            each.leaving, behind = _lanes(leaving)
            each.arriving, before = _lanes(arriving)
            each.lanes = (behind, before)

    def _place(self, first: int, last: int, margin: float) -> float:
        """Give the columns of one band their x, and return the right edge of all."""
        edge = margin  # of the columns so far; then of the texts above and below
        texts = operations = -TEXT_GAP
        for number in range(first, last):
            column, following = self._columns[number], self._columns[number + 1 : number + 2]
            wide = [self._extents[each] for each in column.maps]
            text = max(each.text for each in wide)
            operation = max(each.operation for each in wide)
            left, right = max(each.left for each in wide), max(each.right for each in wide)
            if column.turns or any(each.turns for each in following):
                left, right = max(left, text / 2), max(right, text / 2)
            before = _zone(column.lanes[1], ARROW)
            if number == 0:
                # No line leads to the input: what follows it is named right below.
                column.gap = x = max(margin + left, text / 2, operation / 2)
            elif number == first:
                behind = _zone(column.lanes[0], TURN)
                inner = max(LEAD - before, operation + TEXT_GAP)
                x = max(margin + behind + inner + before + left, text / 2)
                column.gap = x - left - before - inner / 2
            elif column.turns:
                behind = _zone(column.lanes[0], TURN)
                room = behind + max(operation + 2 * TEXT_GAP, GAP) + before
                x = edge + room + left
                if operation:  # the text below an input may be wider than its map
                    least = operations + TEXT_GAP + operation / 2
                    x = max(x, 2 * least - edge - behind + left + before)
                column.gap = (edge + behind + x - left - before) / 2
            else:
                x = max(edge + GAP + left, texts + TEXT_GAP + text / 2)
                if operation:
                    x = max(x, 2 * (operations + TEXT_GAP + operation / 2) - edge + left)
                column.gap = (edge + x - left) / 2
            column.x = x
            edge, texts = x + right, x + text / 2
            operations = column.gap + operation / 2 if operation else operations
        return max(edge, texts, operations)

    def _breaks(self) -> list[int]:
        """Return the first column of each band; bands break where the fewest lines cross."""
        count = len(self._columns)
        self._place(0, count, 0.0)
        edges = [
            (
                column.x - max(self._extents[each].left for each in column.maps),
                column.x + max(self._extents[each].right for each in column.maps),
            )
            for column in self._columns
        ]
        crossing = self._lines_across()
        total = edges[-1][1] - edges[0][0]
        most = self._most - 2 * LEAD
        parts = ceil(total / most)
        fair = min(most, 1.1 * total / parts)
        breaks = [0]
        while edges[-1][1] - edges[breaks[-1]][0] > most:
            start = breaks[-1]
            end = start + 1
            while end < count and edges[end][1] - edges[start][0] <= fair:
                end += 1
            earliest = min(start + 1 + (end - start) // 2, end)
            choices = range(earliest, end + 1)
            breaks.append(min(choices, key=lambda each: (crossing[each], -each)))
        return breaks

    def _lines_across(self) -> list[int]:
        """Return for each column how many lines cross the gap before it, from each map one."""
        grid = self._grid
        passing = [0] * (len(self._columns) + 2)
        sources: list[set[int]] = [set() for _ in self._columns]
        for source, target, _, _ in grid.runs:
            first = grid.column[source] + 1
            sources[first].add(source)
            passing[first + 1] += 1
            passing[grid.column[target] + 1] -= 1
        passing = list(accumulate(passing))
        return [count + len(each) for count, each in zip(passing, [*sources, ()], strict=False)]

    def _rows_across(self, column: int) -> list[int]:
        """Return the rows along which lines cross the gap before a column, from top to bottom.

        Lines from the column before it cross the gap as one, and part behind it.
        """
        grid = self._grid
        return sorted(
            {
                grid.row[source] if grid.column[source] == column - 1 else row
                for source, target, row, _ in grid.runs
                if grid.column[source] < column <= grid.column[target]
            }
        )

    def _rows(self, first: int, last: int, y: float) -> dict[int, _Row]:
        """Return the rows of a band, from top to bottom."""
        grid = self._grid
        maps: dict[int, list[Extents]] = {}
        for column in self._columns[first:last]:
            for number in column.maps:
                maps.setdefault(grid.row[number], []).append(self._extents[number])
        for source, target, row, _ in grid.runs:
            if grid.column[source] < last - 1 and grid.column[target] >= first:
                maps.setdefault(row, [])
            if grid.column[source] == first - 1:
                maps.setdefault(grid.row[source], [])
        rows = {}
        for row, inside in sorted(maps.items()):
            above = max((each.above for each in inside), default=0.0)
            up = max((each.up for each in inside), default=THIN / 2)
            down = max((each.down for each in inside), default=THIN / 2)
            below = max((each.below for each in inside), default=0.0)
            axis = y + above + up
            rows[row] = _Row(axis, y, axis + down, axis + down + below)
            y = rows[row].end + (ROW_GAP if inside else 0.0)
        return rows

    def _route(self, run: Run, places: Sequence[Place], *, branches: bool) -> Route:
        """Return the turns of a line; those behind the point where it leaves another."""
        grid = self._grid
        source, target, row, shortcut = run
        start, end = places[source], places[target]
        points: list[Point] = []
        now, last = grid.row[source], self._ranges[start.band][1]
        parts_later = grid.column[source] == last - 1 and start.band < end.band
        if not parts_later and row != now:
            points += self._turn(self._behind(source), start.band, now, row)
            now = row
        for band in range(start.band, end.band):
            # The lowest row's line turns first on the right, and runs along the uppermost lane.
            crossing = self._crossing[band]
            lane = self._lane * (len(crossing) - 1 - crossing.index(now))
            right, left = self._rights[band] + EXIT + lane, self._lane + lane
            y = self._spans[band][1] + self._below + BAND_GAP + lane
            above, below = self._axes[band][now], self._axes[band + 1][now]
            points += [(right, above), (right, y), (left, y), (left, below)]
            if now != row:
                lane = self._columns[last].leaving[source]
                turn = self._turn(self._margin + TURN + LANE * lane, band + 1, now, row)
                points = turn if branches else points + turn
                now = row
        branches = branches and parts_later and row != grid.row[source]
        if row != grid.row[target]:
            points += self._turn(self._before(target), end.band, row, grid.row[target])
        adjacent = grid.column[target] == grid.column[source] + 1
        return Route(source, target, tuple(points), branches, shortcut, adjacent)

    def _turn(self, x: float, band: int, row: int, other: int) -> list[Point]:
        axes = self._axes[band]
        return [(x, axes[row]), (x, axes[other])]

    def _behind(self, source: int) -> float:
        """Return the x at which the lines of a map turn behind its column."""
        column = self._columns[self._grid.column[source]]
        lane = self._columns[self._grid.column[source] + 1].leaving[source]
        return self._edges(column)[1] + TURN + LANE * lane

    def _before(self, target: int) -> float:
        """Return the x at which lines to a map turn before its column."""
        column = self._columns[self._grid.column[target]]
        return self._edges(column)[0] - ARROW - LANE * column.arriving[target]

    def _edges(self, column: _Column) -> tuple[float, float]:
        """Return the left and the right edge of a column beside which lines turn."""
        wide = [self._extents[each] for each in column.maps]
        text = max(each.text for each in wide) / 2
        left = max(text, *(each.left for each in wide))
        right = max(text, *(each.right for each in wide))
        return column.x - left, column.x + right


def _lanes(spans: dict[int, tuple[int, int]]) -> tuple[dict[int, int], int]:
    """Return a lane for each span of rows, spans that overlap in different ones; and their number.

    Shorter spans are nearer to the column.
    """
    lanes: dict[int, int] = {}
    taken: list[list[tuple[int, int]]] = []
    for number, (low, high) in sorted(spans.items(), key=lambda each: each[1][1] - each[1][0]):
        lane = 0
        while lane < len(taken) and any(a <= high and low <= b for a, b in taken[lane]):
            lane += 1
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[number] = lane
    return lanes, len(taken)


def _zone(lanes: int, room: float) -> float:
    """Return the width that lanes need beside a column."""
    return room + LANE * (lanes - 1) + TURN if lanes else 0.0

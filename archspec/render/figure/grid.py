"""Columns and rows of maps, and of the lines between them.

A map stands in the column behind the last one that it is made from. The longest way through the
network is the first row; other ways have rows below it, lines past maps have rows above it. What
would be in the same columns of a row is in different rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from archspec.errors import UsageError, call
from archspec.render.figure.ordering import shortcuts

MOST_LANES: Final = 500
"""Largest number of lines with a row of their own."""


class Run(NamedTuple):
    """A line from a map to another, along a row."""

    source: int
    target: int
    row: int
    shortcut: bool


class Grid:
    """The columns and rows of maps and lines."""

    def __init__(self, sources: Sequence[Sequence[int]], vectors: Collection[int] = ()) -> None:
        """Place maps.

        Args:
            sources: The numbers of the maps that each one is made from, all smaller than its own.
            vectors: The numbers of those with one place. A way goes on through images where it can:
                what gates them, or draws a path for them, is beside it.

        Raises:
            UsageError: More than `MOST_LANES` lines need a row of their own.

        """
        self._sources = sources
        self._readers: list[list[int]] = [[] for _ in sources]
        self.column = [0] * len(sources)
        """Column of each map."""
        for number, read in enumerate(sources):
            for source in read:
                self._readers[source].append(number)
                self.column[number] = max(self.column[number], self.column[source] + 1)
        self._leader = [
            max(
                read,
                key=lambda each: (each not in vectors, self.column[each], -each),
                default=None,
            )
            for read in sources
        ]
        self._chains = self._ways(vectors)
        self._chain_of = {
            number: chain for chain, maps in enumerate(self._chains) for number in maps
        }
        self._taken: dict[int, int] = {}  # columns in which something is, as bits, of each row
        self.row = [0] * len(sources)
        """Row of each map; those above the first row are below 0."""
        self._place_ways()
        self.runs = list(self._runs())
        """Lines, one for each source of each map."""

    def _ways(self, vectors: Collection[int]) -> list[list[int]]:
        """Return ways through the network, each map in one, from the input on.

        A way goes on to the reader that the most columns follow, an image before vectors, of those
        for which its last map is the last source that is an image, or the last source.
        """
        rest = [0] * len(self._readers)  # columns on the longest way behind a map
        for number in range(len(rest) - 1, -1, -1):
            rest[number] = max((rest[each] + 1 for each in self._readers[number]), default=0)
        heirs: set[int] = set()
        for number, reading in enumerate(self._readers):
            led = [each for each in reading if self._leader[each] == number]
            if led:
                heirs.add(max(led, key=lambda each: (each not in vectors, rest[each], -each)))
        ways: dict[int, list[int]] = {}  # by their last map so far
        for number, leader in enumerate(self._leader):
            way = ways.pop(leader) if leader is not None and number in heirs else []
            way.append(number)
            ways[number] = way
        return sorted(ways.values())

    def _place_ways(self) -> None:
        """Put each way in a row, the shorter ones nearer to the way that they leave."""
        following: dict[int | None, list[int]] = {}
        for chain, maps in enumerate(self._chains):
            leader = self._leader[maps[0]]
            origin = None if leader is None else self._chain_of[leader]
            following.setdefault(origin, []).append(chain)
        ready = [(0, chain) for chain in following.get(None, [])]
        heapify(ready)
        while ready:
            _, chain = heappop(ready)
            maps = self._chains[chain]
            leader = self._leader[maps[0]]
            start = 0 if leader is None else self.row[leader]
            row = self._free(self._bits(*self._interval(maps)), start, 1)
            for each in maps:
                self.row[each] = row
            for each in following.get(chain, []):
                first, last = self._interval(self._chains[each])
                heappush(ready, (last - first, each))

    def _interval(self, maps: list[int]) -> tuple[int, int]:
        """Return the columns of a way: from behind its source to before its last reader."""
        leading = self._leader[maps[0]]
        first = 0 if leading is None else self.column[leading] + 1
        last = self.column[maps[-1]]
        reader = self._reader(maps[-1])
        return first, last if reader is None else max(last, self.column[reader] - 1)

    def _is_last(self, number: int) -> bool:
        """Return whether a map is the last of its way."""
        return self._chains[self._chain_of[number]][-1] == number

    def _reader(self, number: int) -> int | None:
        """Return the reader of a way's last map to which a line runs along the way's row."""
        return min(self._readers[number], key=lambda each: (self.column[each], each), default=None)

    @staticmethod
    def _bits(first: int, last: int) -> int:
        return ((1 << (last - first + 1)) - 1) << first if last >= first else 0

    def _free(self, bits: int, row: int, step: int) -> int:
        """Return the next row with free columns, and take them."""
        while self._taken.get(row, 0) & bits:
            row += step
        self._taken[row] = self._taken.get(row, 0) | bits
        return row

    def _runs(self) -> Iterator[Run]:
        """Yield a line for each source of each map, and give those that need one a row."""
        waiting = []
        for source, target, shortcut in shortcuts(self._sources):
            span = self.column[target] - self.column[source]
            if self._leader[target] == source:
                bends = self.row[source] != self.row[target]
                yield Run(source, target, self.row[target], shortcut and bends)
            elif span == 1 or (self._is_last(source) and self._reader(source) == target):
                yield Run(source, target, self.row[source], shortcut)
            else:
                waiting.append((span, source, target, shortcut))
        if len(waiting) > MOST_LANES:
            hint = call("draw", ..., style="maps", depth=1)
            raise UsageError(
                f"{len(waiting):,} lines pass by maps, too many for a figure; {hint} folds blocks"
            )
        for _, source, target, shortcut in sorted(waiting):
            bits = self._bits(self.column[source] + 1, self.column[target] - 1)
            start = min(self.row[source], self.row[target]) - 1
            yield Run(source, target, self._free(bits, start, -1), shortcut)

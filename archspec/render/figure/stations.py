"""The maps of a network: the outputs that are drawn, and what is only named between them.

A block is one map unless it is opened. A layer that keeps its input's shape, such as a norm or a
dropout, has no map of its own: its name stands where the map before it is made. A flatten, which
moves no value, is named where the map after it is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from archspec.cost.report import GROUPS, Report
from archspec.errors import UsageError
from archspec.ops.convolution import Convolution
from archspec.ops.shape import Shape
from archspec.render.figure.outline import Box, check_count, fold_repeats, folding, opened
from archspec.render.figure.wiring import Wiring

MOST_MAPS: Final = 1_000
"""Largest number of maps in a figure."""

MOST_TOWERS: Final = 4
"""Largest number of groups of a convolution that are drawn apart; of more, none is."""

LAYERS: Final = frozenset({"convolution", "pooling", "fully_connected"})
"""Families of ops whose output is a map of its own, also where its shape is the input's."""


@dataclass(eq=False)
class Station:
    """A map, with the layers that make it."""

    box: Box
    sources: list[int]
    """Numbers of the maps that it is made from."""
    shape: Shape
    before: list[Box] = field(default_factory=list)
    """Layers without a map between a source and its own layer, in order."""
    after: list[Box] = field(default_factory=list)
    """Layers without a map behind its own layer: the map is the output of the last one."""
    towers: int = 1
    """Number of groups of channels that are drawn apart."""
    circle: bool = False
    """Whether the station is a merge that keeps a shape, which is a circle and not a map."""

    @property
    def groups(self) -> int:
        """Number of groups that its convolution computes apart, if they are drawn apart; else 1."""
        op = self.box.main.op
        groups = op.groups if isinstance(op, Convolution) and not self.box.is_block else 1
        return groups if groups <= MOST_TOWERS else 1

    @property
    def pools(self) -> bool:
        """Whether the source is pooled, each channel by itself, and the spatial axes are kept."""
        return (
            not self.box.is_block and self.box.main.op.family == "pooling" and self.shape.rank > 0
        )


@dataclass(frozen=True)
class Repeated:
    """An opened block that stands for several equal ones."""

    times: int
    first: int
    last: int
    """The maps in it are those from `first` to `last`, by number."""


def stations(
    report: Report, depth: int | None, *, ops: bool, repeats: bool
) -> tuple[list[Station], list[Repeated]]:
    """Return the maps of a network in its order, and the blocks that stand for several.

    Args:
        report: The network.
        depth: Levels of the path that have maps; if None, groups are opened and blocks are not.
        ops: Whether layers such as `conv` are opened into their primitive ops.
        repeats: Whether every repeat of a block is drawn.

    Raises:
        UsageError: There are more than `MOST_MAPS`.

    """
    root = opened(report, None if depth is None else depth - 1, ops=ops)
    if depth is None:
        _close_blocks(root)
    if not repeats:
        fold_repeats(root)
    check_count(root, advice := folding(depth, style="maps"))
    maps = _Choosing(Wiring(root)).maps()
    if len(maps) > MOST_MAPS:
        raise UsageError(f"{len(maps):,} maps are too many for a figure{advice}")
    _split_towers(maps)
    return maps, list(_repeated(root, maps))


def _close_blocks(root: Box) -> None:
    """Close every block; groups of steps and layers made of several ops stay as they are."""
    for box in root.walk():
        if box.is_block and box.row.kind not in GROUPS:
            box.boxes = []


class _Choosing:
    """The choice of the leaves of an outline that are maps."""

    def __init__(self, wiring: Wiring) -> None:
        self._leaves = wiring.boxes
        self._sources = wiring.sources
        self._readers = wiring.readers

    def maps(self) -> list[Station]:
        """Return the maps, each with the layers that are only named."""
        maps: list[Station] = []
        states: list[str] = []
        map_of: list[int] = []  # of a leaf: its map, or the one before it
        waiting: dict[int, list[Box]] = {}  # leaves without a map, up to the next map
        for number, box in enumerate(self._leaves):
            state = self._state(number, states)
            states.append(state)
            sources = self._sources[number]
            if state == "after":
                maps[map_of[sources[0]]].after.append(box)
                map_of.append(map_of[sources[0]])
                continue
            before = [each for source in sources for each in waiting.pop(source, [])]
            if state == "before":
                waiting[number] = [*before, box]
                map_of.append(map_of[sources[0]])
                continue
            map_of.append(len(maps))
            origins = sorted({map_of[source] for source in sources})
            shape = box.row.shape
            circle = box.is_merge and any(maps[each].shape == shape for each in origins)
            maps.append(Station(box, origins, shape, before, circle=circle))
        return maps

    def _state(self, number: int, states: Sequence[str]) -> Literal["map", "before", "after"]:
        """Return whether a leaf is a map, or is named before the next one, or after the last."""
        box, sources, readers = self._leaves[number], self._sources[number], self._readers[number]
        if len(sources) != 1 or box.is_merge or box.is_block:
            return "map"
        op = box.main.op
        (source,) = sources
        keeps = op.family not in LAYERS and box.row.shape == self._leaves[source].row.shape
        moves = op.view and len(readers) == 1 and not self._leaves[readers[0]].is_merge
        if not keeps and not moves:
            return "map"
        if keeps and states[source] != "before" and len(self._readers[source]) == 1:
            return "after"
        return "before" if len(readers) == 1 else "map"


def _split_towers(maps: list[Station]) -> None:
    """Draw the groups of channels apart that a grouped convolution makes or reads apart."""
    reads = [1] * len(maps)
    for number in range(len(maps) - 1, -1, -1):
        each = maps[number]
        apart = each.groups if each.groups > 1 else reads[number] if each.pools else 1
        for source in each.sources:
            reads[source] = max(reads[source], apart)
    for number, each in enumerate(maps):
        made = maps[each.sources[0]].towers if each.pools else each.groups
        towers = made if made > 1 else reads[number]
        if each.shape.rank and not each.circle and each.shape.channels % towers == 0:
            each.towers = towers


def _repeated(root: Box, maps: list[Station]) -> list[Repeated]:
    starts = [each.box.start for each in maps]
    result = []
    for box in root.walk():
        if box.boxes and box.times > 1:
            first = bisect_right(starts, box.start - 1)
            last = bisect_right(starts, box.stop - 1) - 1
            if first <= last:
                result.append(Repeated(box.times, first, last))
    return result

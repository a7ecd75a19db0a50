"""Tensors of a file with more axes than archspec's shapes: how a node's axes are split and ordered.

Files cut maps into windows, channels into heads and blocks into channels by a Reshape that splits
axes, a Transpose that orders the parts, and a Reshape that joins them. In between there are up to
seven axes. A `View` says which parts of a node's axes these are, and adds nothing to the graph;
what is read at last becomes a reshape, a permute and a reshape, or the one op that does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, TypeAlias

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.model import BATCH
from archspec.imports.onnx.source import Dims, Step, is_one, same
from archspec.ops.op import Op
from archspec.ops.shuffles import ChannelShuffle, DepthToSpace, SpaceToDepth


class Part(NamedTuple):
    """A part of a node's axis, counted from the one that changes most slowly."""

    axis: int
    """The node's axis, or `BATCH`."""
    place: int = 0


Parts: TypeAlias = tuple[Part, ...]


class Pick(NamedTuple):
    """One place of a part."""

    part: Part
    at: int
    step: Step
    """The step that takes it."""


@dataclass(frozen=True, eq=False)
class View:
    """A tensor of the file whose axes are parts of a node's axes, in any order, split or joined."""

    node: Node
    split: tuple[tuple[Any, ...], ...]
    """The extents of the parts of each of the node's axes; their product is its extent."""
    axes: tuple[Parts, ...]
    """The parts of each of the file's axes; none for an axis of extent 1."""
    batch: Any = 1
    """Extent of the batch in the file."""
    pick: Pick | None = None
    """A part of which the tensor has one place alone: no axis has the part."""

    @property
    def known(self) -> bool:
        """Whether the shape is known: always."""
        return True

    def extent(self, part: Part) -> Any:
        """Return the extent of a part."""
        return self.batch if part.axis == BATCH else self.split[part.axis][part.place]

    @property
    def dims(self) -> Dims:
        """The extents in the order of the file."""
        return tuple(prod(map(self.extent, parts)) for parts in self.axes)

    file_dims = dims

    @property
    def rank(self) -> int:
        """Number of axes in the file."""
        return len(self.axes)

    @property
    def groups(self) -> tuple[Parts, ...]:
        """The parts of each of the file's axes that are longer than 1, without the batch."""
        return tuple(
            tuple(p for p in parts if p.axis != BATCH and not is_one(self.extent(p)))
            for parts in self.axes
        )

    @property
    def width(self) -> int:
        """Number of the file's axes that are longer than 1, without the batch."""
        return sum(map(bool, self.groups))

    def at(self, axis: int) -> int:
        """Return an axis counted from 0."""
        return range(self.rank)[axis]

    def transposed(self, order: Sequence[int]) -> View:
        """Return the view with the file's axes in another order."""
        return replace(self, axes=tuple(self.axes[axis] for axis in order))

    def reshaped(self, to: Sequence[Any]) -> View | None:
        """Return the view with other extents; None where they do not fit, or cut the batch."""
        left = [[part, self.extent(part)] for parts in self.axes for part in parts]
        cuts: dict[Part, list[Any]] = {}
        """The extents of the parts that each part becomes."""
        axes: list[list[tuple[Part, int]]] = []
        for wanted in to:
            total: Any = 1
            parts = []
            while not same(total, wanted):
                if not left:
                    return None
                part, extent = left[0]
                if _divides(total * extent, wanted):
                    left.pop(0)
                elif part.axis != BATCH and _divides(wanted, total * extent):
                    rest = total * extent // wanted
                    left[0][1], extent = rest, extent // rest
                else:
                    return None
                pieces = cuts.setdefault(part, [])
                parts.append((part, len(pieces)))
                pieces.append(extent)
                total = total * extent
            axes.append(parts)
        if any(not is_one(extent) for _, extent in left):
            return None
        split, first = [], {}
        for axis, extents in enumerate(self.split):
            pieces = []
            for place, extent in enumerate(extents):
                part = Part(axis, place)
                first[part] = len(pieces)
                pieces += cuts.get(part, [extent])
            split.append(tuple(pieces))
        pick = self.pick
        if pick is not None:
            pick = pick._replace(part=Part(pick.part.axis, first[pick.part]))
        return View(
            self.node,
            tuple(split),
            tuple(
                tuple(Part(part.axis, first.get(part, 0) + at) for part, at in parts)
                for parts in axes
            ),
            self.batch,
            pick,
        )


def _divides(by: Any, extent: Any) -> bool:
    """Whether an extent may be a multiple of another; of formulas, equal products tell at last."""
    if isinstance(by, int):
        return bool(same(extent // by * by, extent))
    return not isinstance(extent, int)


def in_node_order(split: Sequence[Sequence[Any]], parts: Iterable[Part]) -> list[Part]:
    """Return parts in the order in which their values stand in the node."""
    wanted = set(parts)
    every = (Part(axis, at) for axis, extents in enumerate(split) for at in range(len(extents)))
    return [part for part in every if part in wanted]


def channels_last(axes: Sequence[Parts], last: int) -> list[int]:
    """Return the places of the axes that are longer than 1, that of the channels at the end.

    They are what is nothing but channels, the node's last axis; else what has some of them.
    """
    places = [at for at, parts in enumerate(axes) if parts]

    def rank(at: int) -> tuple[bool, Part]:
        return all(part.axis == last for part in axes[at]), max(axes[at])

    channels = max(places, key=rank, default=-1)
    return sorted(places, key=lambda at: at == channels)


def blocks(
    current: Sequence[Part], target: Sequence[Part], most: int
) -> Iterator[tuple[list[Parts], list[Parts]]]:
    """Yield steps that bring parts into another order; each orders a few blocks of neighbours.

    Args:
        current: The parts in their present order.
        target: The same parts in the order that is wanted.
        most: Largest number of blocks of a step.

    Yields:
        The blocks in their order before the step, and in that after it.
    """
    after = dict(pairwise(target))
    while list(current) != list(target):
        runs: list[Parts] = []
        for part in current:
            if runs and after.get(runs[-1][-1]) == part:
                runs[-1] = (*runs[-1], part)
            else:
                runs.append((part,))
        if len(runs) > most:  # the first block that is out of place is brought there
            at = next(i for i, part in enumerate(current) if part != target[i])
            (run,) = (run for run in runs if run[0] == target[at])
            start = list(current).index(run[0])
            stop = start + len(run)
            runs = [tuple(current[:at]), tuple(current[at:start]), run, tuple(current[stop:])]
            ordered = [runs[0], runs[2], runs[1], runs[3]]
        else:
            ordered = sorted(runs, key=lambda run: list(target).index(run[0]))
        yield [run for run in runs if run], [run for run in ordered if run]
        current = [part for run in ordered for part in run]


def shuffle(split: Sequence[Sequence[Any]], groups: Sequence[Parts]) -> Op | None:
    """Return the op that orders the parts of axes like this; None if it takes several.

    Args:
        split: The extents of the parts of each axis.
        groups: The parts that each axis of the result is made of.

    Example:
        >>> channels = (Part(2, 1), Part(2, 0))
        >>> shuffle([(8,), (8,), (4, 6)], [(Part(0),), (Part(1),), channels])
        ChannelShuffle(trainable=True, groups=4)
    """
    rank = len(split) - 1
    counts = [len(extents) for extents in split]
    if len(groups) != len(split) or not rank:
        return None
    *places, channels = groups
    whole = [(Part(axis),) for axis in range(rank)]
    if places == whole and counts == [1] * rank + [2]:
        swapped = channels == (Part(rank, 1), Part(rank, 0))
        return ChannelShuffle(groups=split[rank][0]) if swapped else None
    if places == whole and counts == [2] * rank + [1]:
        cut = tuple(Part(axis, 1) for axis in range(rank))
        factor = tuple(extents[1] for extents in split[:rank])
        if channels == (*cut, Part(rank)):
            return SpaceToDepth(factor=one_or_each(factor))
        if channels == (Part(rank), *cut):
            return SpaceToDepth(factor=one_or_each(factor), order="channels")
    if counts == [1] * rank + [rank + 1]:
        for order, first, rest in (("places", 0, rank), ("channels", 1, 0)):
            grown = [(Part(axis), Part(rank, first + axis)) for axis in range(rank)]
            if places == grown and channels == (Part(rank, rest),):
                factor = tuple(split[rank][first : first + rank])
                op: Op = DepthToSpace.parse({"factor": one_or_each(factor), "order": order})
                return op
    return None

"""The outline of a network: the boxes of its figure, nested as its blocks are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Final

from archspec.cost.report import GROUPS, Report, Row
from archspec.errors import UsageError, call
from archspec.graph.graph import SEPARATOR, Node, Scope
from archspec.ops.merge import Merge

MOST_BOXES: Final = 5_000
"""Largest number of boxes in a figure."""

GROUP: Final = "layers"
"""Kind of a scope that is a group of the spec."""

LEAST_ALIKE: Final = 3
"""Least number of blocks that are folded into one if they are alike rather than equal."""


@dataclass(eq=False)
class Box:
    """A layer, or a block with what is in it.

    Repeats are one box, which stands for all of them.
    """

    report: Report = field(repr=False)
    """The network."""
    item: Node | Scope | None
    """The layer or block that it shows; None for the whole network."""
    start: int
    stop: int
    """The nodes of the graph that it stands for are start to stop, without its repeats."""
    boxes: list[Box] = field(default_factory=list)
    """The boxes inside, in the order of the graph; none of a layer and of a folded block."""
    times: int = 1
    """Number of repeats that follow each other, or stand beside each other."""
    parallel: bool = False
    """Whether the repeats stand beside each other."""
    last: Row | None = None
    """Costs of its counterpart in the last repeat of a block around it, if that is larger."""

    @cached_property
    def row(self) -> Row:
        """Its costs, all its repeats together."""
        whole = Scope(self.report.graph.name, GROUP, "", self.start, self.stop)
        return self.report.row(self.item or whole)

    @property
    def path(self) -> str:
        """The path of its first repeat; empty for the whole network."""
        return self.item.name if self.item else ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(SEPARATOR)[2]

    @property
    def end(self) -> int:
        """The node after its last one, repeats included."""
        return self.start + self.times * (self.stop - self.start)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of its first repeat."""
        return self.report.graph.nodes[self.start : self.stop]

    @property
    def main(self) -> Node:
        """The first of them that owns a kernel, or else the first."""
        return next((node for node in self.nodes if node.layer.kernels), self.nodes[0])

    @property
    def is_block(self) -> bool:
        """Whether the box is a block, or a group, rather than a layer such as `conv`."""
        return isinstance(self.item, Scope) and not self.item.row

    @property
    def is_group(self) -> bool:
        """Whether the box is a group of the spec."""
        return isinstance(self.item, Scope) and self.item.kind == GROUP and not self.item.row

    @property
    def is_merge(self) -> bool:
        """Whether the box is a merge, such as an addition."""
        return isinstance(self.item, Node) and isinstance(self.item.op, Merge)

    def walk(self) -> Iterator[Box]:
        """Yield it and all the boxes inside it, outermost first."""
        yield self
        for box in self.boxes:
            yield from box.walk()


def outline(
    report: Report, depth: int | None = None, *, ops: bool = False, repeats: bool = False
) -> Box:
    """Return the boxes of a network.

    Args:
        report: The network with its costs.
        depth: Levels of the path that have boxes, as those of the table have rows; unless given,
            all but what shares the weights of another block, which is drawn there. A block that
            would be opened further is one box.
        ops: Whether layers such as `conv` are opened into their primitive ops as well.
        repeats: Whether every repeat of a block has a box of its own.

    Raises:
        UsageError: There are more than `MOST_BOXES`.

    """
    root = opened(report, None if depth is None else depth - 1, ops=ops)
    if depth is None:
        for box in root.walk():
            if box.row.shared_with:
                box.boxes = []
    _dissolve(root)
    if not repeats:
        fold_repeats(root, alike=True)
    check_count(root, folding(depth))
    return root


def opened(report: Report, depth: int | None = None, *, ops: bool = False) -> Box:
    """Return the boxes of a network, each repeat by itself, however many there are.

    `depth` levels of blocks are opened, all unless given.
    """
    graph = report.graph
    scopes = (scope for scope in graph.scopes if scope.start < scope.stop)
    root = Box(report, None, 0, len(graph.nodes))
    root.boxes = _Opening(report, deque(scopes), ops=ops).boxes(0, len(graph.nodes), depth)
    return root


def folding(depth: int | None, function: str = "draw", **settings: str) -> str:
    """Return advice to fold blocks, for the end of a message; nothing if all blocks are folded.

    Args:
        depth: Levels of the path that have boxes.
        function: The function of `archspec` that takes the depth.
        settings: Its other arguments.

    """
    return "" if depth == 1 else f"; {call(function, ..., **settings, depth=1)} folds blocks"


def check_count(root: Box, advice: str) -> None:
    """Raise `UsageError` for more than `MOST_BOXES`, with advice as `folding` returns it."""
    count = sum(1 for _ in root.walk()) - 1
    if count > MOST_BOXES:
        raise UsageError(f"{count:,} boxes are too many for a figure{advice}")


class _Opening:
    """Scopes on the way to boxes, in the order of the graph, outer ones before those inside."""

    def __init__(self, report: Report, scopes: deque[Scope], *, ops: bool) -> None:
        self._report = report
        self._scopes = scopes
        self._ops = ops

    def boxes(self, start: int, stop: int, depth: int | None) -> list[Box]:
        """Return the boxes of the nodes from start to stop; `depth` levels of blocks are opened."""
        boxes = []
        while start < stop:
            while self._scopes and self._scopes[0].start < start:
                self._scopes.popleft()  # inside a folded one
            if self._scopes and self._scopes[0].start == start:
                scope = self._scopes.popleft()
                box = Box(self._report, scope, start, scope.stop)
                if depth != 0 and (self._ops or not scope.row):
                    inside = None if depth is None else depth - 1
                    box.boxes = self.boxes(start, scope.stop, inside)
            else:
                box = Box(self._report, self._report.graph.nodes[start], start, start + 1)
            boxes.append(box)
            start = box.stop
        return boxes


def _dissolve(box: Box) -> None:
    """Replace blocks whose frames would add nothing by the boxes in them.

    That is a block alone in another; and parts of a published block that are not units, as boxes in
    them begin with different outputs: the rows of a fractal, which join its columns.
    """
    for inner in box.boxes:
        _dissolve(inner)
    spread = {inner.row.kind for inner in box.boxes if _is_spread(inner)}
    if spread:
        box.boxes = [
            each
            for inner in box.boxes
            for each in (inner.boxes if inner.row.kind in spread and inner.boxes else [inner])
        ]
    if box.item and len(box.boxes) == 1 and box.boxes[0].boxes:
        box.boxes = box.boxes[0].boxes


def _is_spread(box: Box) -> bool:
    """Whether boxes in a part of a published block begin with different outputs."""
    if not box.boxes or box.row.kind in GROUPS:
        return False
    inside = (node.inputs for node in box.nodes)
    begins = {inputs for inputs in inside if all(each < box.start for each in inputs)}
    return len(begins) > 1


def fold_repeats(
    box: Box, signature: Callable[[Box], Hashable] = lambda _: None, *, alike: bool = False
) -> None:
    """Let the first of several equal blocks that follow each other stand for all of them.

    Args:
        box: The box in which blocks are folded, at any depth.
        signature: Further property in which the blocks must be equal.
        alike: Whether three or more blocks are folded also if they differ in their numbers of
            channels alone, as the layers of a dense block do; or if they stand beside each other,
            as the paths of ResNeXt.
    """
    kept: list[Box] = []
    for run in _runs(box.boxes, signature, alike=alike):
        first = run[0]
        first.times = len(run)
        first.parallel = len(run) > 1 and _is_beside(run)
        kept.append(first)
    box.boxes = kept
    for inner in kept:
        if inner.times > 1 and isinstance(inner.item, Scope):
            together = box.report.row(inner.item._replace(stop=inner.end))
            inner.row = together._replace(label=inner.row.label)
        fold_repeats(inner, signature, alike=alike)
        if inner.times > 1 and alike and not inner.parallel:
            _add_last(inner)


def _runs(
    boxes: list[Box], signature: Callable[[Box], Hashable], *, alike: bool
) -> Iterator[list[Box]]:
    """Yield boxes in runs of those that are folded together."""
    equal: dict[Box, Hashable] = {}
    loose: dict[Box, Hashable] = {}
    branches = [box for box in boxes if box.row.kind == "branch"]
    read = _read_outside(branches) if alike and len(branches) >= LEAST_ALIKE else {}
    for box in boxes:
        structure = _structure(box) if box.is_block else None
        equal[box] = loose[box] = box if structure is None else (structure, signature(box))
        if alike and box.is_block and box.row.kind == "branch":
            loose[box] = (_branch_structure(box), read.get(box), signature(box))
        elif alike and structure is not None:
            loose[box] = (_growing_structure(box), signature(box))
    for _, same in groupby(boxes, loose.__getitem__):
        run = list(same)
        if len(run) >= LEAST_ALIKE:
            yield run
        else:
            yield from (list(group) for _, group in groupby(run, equal.__getitem__))


def _add_last(box: Box) -> None:
    """Add to the boxes in a folded one what their counterparts in its last repeat cost."""
    by = (box.times - 1) * (box.stop - box.start)
    for inner in box.walk():
        if inner is box or inner.item is None:
            continue
        if isinstance(inner.item, Scope):
            last = box.report.row(inner.item._replace(start=inner.start + by, stop=inner.end + by))
        else:
            last = box.report.row(box.report.graph.nodes[inner.start + by])
        last = last._replace(path=inner.row.path, label=inner.row.label)
        inner.last = None if _amounts(last) == _amounts(inner.row) else last


def _amounts(row: Row) -> tuple[object, ...]:
    return row.shape, row.params, row.macs, row.other_ops, row.activations


def _branch_structure(box: Box) -> Hashable:
    """Return what a branch computes of which outputs."""
    return tuple(
        (
            node.layer,
            *((i >= box.start, i - box.start if i >= box.start else i) for i in node.inputs),
        )
        for node in box.nodes
    )


def _read_outside(boxes: list[Box]) -> dict[Box, Hashable]:
    """Return which outputs of each box are read by which nodes after all of them."""
    owner = {node: box for box in boxes for node in range(box.start, box.stop)}
    read: dict[Box, list[tuple[int, int]]] = {box: [] for box in boxes}
    for node in boxes[0].report.graph.nodes[boxes[0].stop :]:
        for index in node.inputs:
            box = owner.get(index)
            if box is not None and node.index >= box.stop:
                read[box].append((index - box.start, node.index))
    return {box: tuple(each) for box, each in read.items()}


def _is_beside(run: list[Box]) -> bool:
    """Whether blocks read the same outputs, rather than each that of the one before."""
    last = run[0].stop - 1
    return all(last not in node.inputs for node in run[1].nodes)


def _growing_structure(box: Box) -> Hashable:
    """Return what a box computes, whatever the number of its channels."""
    inside = (
        (node.op, node.shape[:-1], tuple(i - box.start for i in node.inputs)) for node in box.nodes
    )
    return box.name.rstrip("0123456789"), box.row.kind, *inside


def _structure(box: Box) -> tuple[object, ...] | None:
    """Return what a box computes of the output before it; None where it has any other input."""
    inputs = [tuple(i - box.start for i in node.inputs) for node in box.nodes]
    if any(i < -1 for each in inputs for i in each):
        return None
    layers = (node.layer for node in box.nodes)
    return (box.row.kind, *zip(layers, inputs, strict=True))

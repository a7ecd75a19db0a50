"""The outline of a network: the boxes of its figure, nested as its blocks are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from archspec.cost.report import Report, Row
from archspec.errors import UsageError, call
from archspec.graph.graph import SEPARATOR, Graph, Node, Scope
from archspec.ops.merge import Merge

MOST_BOXES: Final = 5_000
"""Largest number of boxes in a figure."""


@dataclass(eq=False)
class Box:
    """A layer, or a block with what is in it.

    Repeats that follow each other are one box, which stands for all of them.
    """

    item: Node | Scope | None
    """The layer or block that it shows; None for the whole network."""
    start: int
    stop: int
    """The nodes of the graph that it stands for are start to stop, without its repeats."""
    row: Row
    """Its costs, all its repeats together."""
    boxes: list[Box] = field(default_factory=list)
    """The boxes inside, in the order of the graph; none of a layer and of a folded block."""
    times: int = 1
    """Number of repeats that follow each other."""

    @property
    def path(self) -> str:
        """The path of its first repeat; empty for the whole network."""
        return self.row.path if self.item else ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(SEPARATOR)[2]

    @property
    def end(self) -> int:
        """The node after its last one, repeats included."""
        return self.start + self.times * (self.stop - self.start)

    @property
    def is_merge(self) -> bool:
        """Whether it is a merge, such as an addition."""
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
        depth: Levels of blocks that are opened; all unless given.
        ops: Whether layers such as `conv` are opened into their primitive ops as well.
        repeats: Whether every repeat of a block has a box of its own.

    Raises:
        UsageError: There are more than `MOST_BOXES`.

    """
    root = opened(report, depth, ops=ops)
    if not repeats:
        fold_repeats(report, root)
    check_count(root, call("draw", ..., depth=1))
    return root


def opened(report: Report, depth: int | None = None, *, ops: bool = False) -> Box:
    """Return the boxes of a network, each repeat by itself, however many there are."""
    graph = report.graph
    whole = Scope(graph.name, "layers", "", 0, len(graph.nodes))
    scopes = (scope for scope in graph.scopes if scope.start < scope.stop)
    root = Box(None, 0, len(graph.nodes), report.row(whole))
    root.boxes = _Opening(report, deque(scopes), ops=ops).boxes(0, len(graph.nodes), depth)
    return root


def check_count(root: Box, hint: str) -> None:
    """Raise `UsageError` for more than `MOST_BOXES`; the hint is a call that folds blocks."""
    count = sum(1 for _ in root.walk()) - 1
    if count > MOST_BOXES:
        raise UsageError(f"{count:,} boxes are too many for a figure; {hint} folds blocks")


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
            item: Node | Scope
            if self._scopes and self._scopes[0].start == start:
                item = self._scopes.popleft()
                box = Box(item, start, item.stop, self._report.row(item))
                if depth != 0 and (self._ops or not item.row):
                    inside = None if depth is None else depth - 1
                    box.boxes = self.boxes(start, item.stop, inside)
            else:
                item = self._report.graph.nodes[start]
                box = Box(item, start, start + 1, self._report.row(item))
            boxes.append(box)
            start = box.stop
        return boxes


def fold_repeats(
    report: Report, box: Box, beside: Callable[[Box], Hashable] = lambda _: None
) -> None:
    """Let the first of several equal blocks that follow each other stand for all of them.

    Args:
        report: The network.
        box: The box in which blocks are folded, at any depth.
        beside: Further property in which the blocks must be equal.
    """
    kept: list[Box] = []
    last: tuple[object, ...] | None = None
    for inner in box.boxes:
        item = inner.item
        folds = isinstance(item, Scope) and not item.row
        structure = _structure(report.graph, inner) if folds else None
        if structure is not None:
            structure = (*structure, beside(inner))
        if structure is not None and structure == last:
            kept[-1].times += 1
        else:
            kept.append(inner)
        last = structure
    box.boxes = kept
    for inner in kept:
        if inner.times > 1 and isinstance(inner.item, Scope):
            together = report.row(inner.item._replace(stop=inner.end))
            inner.row = together._replace(label=inner.row.label)
        fold_repeats(report, inner, beside)


def _structure(graph: Graph, box: Box) -> tuple[object, ...] | None:
    """Return what a box computes of the output before it; None where it has any other input."""
    inside = graph.nodes[box.start : box.stop]
    inputs = [tuple(i - box.start for i in node.inputs) for node in inside]
    if any(i < -1 for each in inputs for i in each):
        return None
    return (box.row.kind, *((node.layer, each) for node, each in zip(inside, inputs, strict=True)))

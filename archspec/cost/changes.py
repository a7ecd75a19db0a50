"""Changes between two rows of an alignment: arguments, layers, connections, costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from archspec.cost.report import Row
from archspec.graph.graph import SEPARATOR, Graph, Node
from archspec.ops.fields import per_axis
from archspec.ops.windows import Windowed

LayerPairs: TypeAlias = Mapping[str, tuple[Node | None, Node | None]]
"""The layers of two rows by their path below the row, which is empty for a row of one layer."""


class Change(NamedTuple):
    """One difference between two rows, or between two layers in them."""

    what: str
    """An argument of a layer; `layer` (its kind, None where there is none), `inputs`, `kind`,
    `shared_with`, `output`, `params`, `macs`; in `Difference.outputs` the name of an output."""
    before: Any
    after: Any
    layer: str = ""
    """Path of the layer below the row; empty for the row itself."""
    kind: str = ""
    """Kind of the layer, for a change of an argument."""


class PairedRows(NamedTuple):
    """Two rows that were paired, and their layers by the path below the row."""

    before: Row
    after: Row
    layers: LayerPairs


class Pairing:
    """Pairs of layers of two networks, and the changes in them and their connections."""

    def __init__(self, before: Graph, after: Graph) -> None:
        self.graphs = before, after
        self._partner: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._same: set[tuple[int, int]] = set()
        """Pairs of nodes, one of each graph, whose outputs count as the same input."""

    def pair(self, a: Row, b: Row) -> PairedRows:
        """Pair two rows and their layers. All rows must be paired before any is compared."""
        ours, theirs = (
            {
                node.name[len(row.path) :].removeprefix(SEPARATOR): node
                for node in graph.nodes[row.start : row.stop]
            }
            for graph, row in zip(self.graphs, (a, b), strict=True)
        )
        layers = {path: (ours.get(path), theirs.get(path)) for path in ours | theirs}
        for x, y in layers.values():
            if x and y:
                self._partner[0][x.index] = y.index
                self._partner[1][y.index] = x.index
                self._same.add((x.index, y.index))
        self._same.add((a.stop - 1, b.stop - 1))
        return PairedRows(a, b, layers)

    def changes(self, a: Row, b: Row, layers: LayerPairs) -> Iterator[Change]:
        """Yield the changes between two rows that were paired."""
        if a.kind != b.kind:
            yield Change("kind", a.kind, b.kind)
        for path, (x, y) in layers.items():
            if x is None or y is None or x.op.kind != y.op.kind:
                if path:
                    yield Change("layer", x and x.op.kind, y and y.op.kind, path)
                continue
            yield from _arguments(x, y, path)
            yield from self._wiring(x, y, path)
        if a.shared_with != b.shared_with:
            yield Change("shared_with", a.shared_with or None, b.shared_with or None)
        if a.shape != b.shape:
            yield Change("output", tuple(a.shape), tuple(b.shape))
        for figure in ("params", "macs"):
            ours, theirs = getattr(a, figure), getattr(b, figure)
            if ours != theirs:
                yield Change(figure, ours, theirs)

    def _wiring(self, x: Node, y: Node, path: str) -> Iterator[Change]:
        same = [self._is_same(x, i, y, j) for i, j in zip(x.inputs, y.inputs, strict=False)]
        if len(x.inputs) != len(y.inputs) or not all(same):
            names = [
                tuple(graph.nodes[index].name for index in node.inputs)
                for graph, node in zip(self.graphs, (x, y), strict=True)
            ]
            yield Change("inputs", names[0], names[1], path)

    def _is_same(self, x: Node, i: int, y: Node, j: int) -> bool:
        """Return whether x reads from node i what y reads from node j."""
        if (i, j) in self._same:
            return True
        # Where a layer was inserted or removed, the next one reads another node than before, which
        # is not a further change; nor are other layers that read from the same place.
        follows = i == x.index - 1 and j == y.index - 1
        known = i in self._partner[0] and j in self._partner[1]
        if follows and not known:
            self._same.add((i, j))
            return True
        return False

    def outputs(self) -> Iterator[Change]:
        """Yield outputs that differ, or whose loss has another weight."""
        before, after = self.graphs
        for name in dict.fromkeys([*before.outputs, *after.outputs]):
            i, j = before.outputs.get(name), after.outputs.get(name)
            if i is None or j is None or (i, j) not in self._same:
                first = None if i is None else before.nodes[i].name
                second = None if j is None else after.nodes[j].name
                yield Change(name, first, second)
                continue
            weights = [graph.loss_weights.get(name, 1.0) for graph in self.graphs]
            if weights[0] != weights[1]:
                yield Change(f"loss weight of {name}", weights[0], weights[1])


def _arguments(x: Node, y: Node, path: str) -> Iterator[Change]:
    if x.op == y.op or not x.op.kind:  # the input's extent is its output
        return
    ours, theirs = x.op.model_dump(), y.op.model_dump()
    for name, value in ours.items():
        if value != theirs[name] and not _say_the_same(name, x, y):
            yield Change(name, value, theirs[name], path, x.op.kind)


def _say_the_same(name: str, x: Node, y: Node) -> bool:
    """Whether two values of an argument of windows mean the same at their places."""
    a, b = x.op, y.op
    if not (isinstance(a, Windowed) and isinstance(b, Windowed)):
        return False
    seen, also = x.layer.inputs[0], y.layer.inputs[0]
    rank = seen.rank
    if also.rank != rank:
        return False
    if name == "stride":
        return a.steps(rank) == b.steps(rank)
    if name in {"kernel", "size", "dilation"}:
        return per_axis(getattr(a, name), rank, name) == per_axis(getattr(b, name), rank, name)
    if name == "padding" and a.kind == "convolution":
        return [place[1:] for place in a.slides(seen)] == [place[1:] for place in b.slides(also)]
    return False

"""Two descriptions of one network: which layer of one corresponds to which of the other.

Keras sorts a model's layers by depth and otherwise keeps the order of creation, so two descriptions
of one network may list them differently: beside a residual branch, either may have the projection
first. Here layers are matched by how they are joined. Each model is reduced to a graph of what must
agree (see `assembly`): the layers with weights and the merges. Layers with one input and no weights
(activations, pools, padding, dropout) are left out; the shapes after them are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.imports.keras.config import Extents

COMMUTATIVE: Final = frozenset(
    {"AbsoluteDifference", "Add", "Average", "Maximum", "Minimum", "Multiply"}
)
"""Merges whose inputs have no order."""

INPUT: Final = "input"
"""The sort of the nodes that are inputs."""


class LayerWeight(NamedTuple):
    """One array of a layer."""

    name: str
    shape: Extents
    form: Extents
    """The shape that equal weights of different layers share: for a fully connected layer, that in
    the convolution that computes the same."""
    value: Any
    """A Keras variable, or a dataset in an open file."""


class LayerNode(NamedTuple):
    """A layer with weights, a merge, or the input, with its input nodes."""

    name: str
    sort: str
    weights: tuple[LayerWeight, ...]
    """All weights, in Keras's order."""
    shape: Extents
    inputs: tuple[int, ...]

    def __str__(self) -> str:
        pairs = sorted((weight.name, weight.shape) for weight in self.weights)
        weights = ", ".join(f"{name} [{_extents(shape, ', ')}]" for name, shape in pairs)
        extent = _extents(self.shape, "x")
        if not self.inputs:
            return f"an input of {extent}"
        return f"`{self.name}` ({weights or self.sort}), which gives {extent}"

    @property
    def forms(self) -> tuple[tuple[str, Extents], ...]:
        """Names and shapes that the weights of a counterpart must have."""
        return tuple(sorted((weight.name, weight.form) for weight in self.weights))


class Constant(NamedTuple):
    """A layer that computes (x - mean) / deviation with given constants.

    One number applies to all channels.
    """

    name: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class LayerGraph(NamedTuple):
    """A model as a graph: nodes, each after its inputs, and the node of each output."""

    nodes: tuple[LayerNode, ...]
    outputs: Mapping[str, int]
    constants: tuple[Constant, ...] = ()

    @property
    def inputs(self) -> list[int]:
        """The nodes that are inputs."""
        return [index for index, node in enumerate(self.nodes) if node.sort == INPUT]

    @property
    def places(self) -> dict[str, int]:
        """The node of each layer with weights, by its name; of one used again, the first."""
        named: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            if node.weights:
                named.setdefault(node.name, index)
        return named

    @property
    def weighted(self) -> list[LayerNode]:
        """The layers with weights."""
        return [self.nodes[index] for index in self.places.values()]

    @property
    def names(self) -> set[str]:
        """The names of the layers that have weights."""
        return set(self.places)

    def towards(self, outputs: Mapping[str, int]) -> LayerGraph:
        """Return the part of the graph that these outputs need."""
        needed = {*self.inputs, *outputs.values()}
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in needed:
                needed.update(self.nodes[index].inputs)
        place = {index: new for new, index in enumerate(sorted(needed))}
        return LayerGraph(
            tuple(
                self.nodes[index]._replace(inputs=tuple(place[i] for i in self.nodes[index].inputs))
                for index in place
            ),
            {name: place[index] for name, index in outputs.items()},
            self.constants,
        )


def match(ours: LayerGraph, theirs: LayerGraph) -> list[tuple[LayerNode, LayerNode]]:
    """Return pairs of corresponding layers with weights; raise `UsageError` if any is not certain.

    Two nodes are of one kind if their weights have the same names and shapes, they have the same
    channels (for the same image, the same shape), and their inputs are of one kind. The models'
    outputs must be of one kind. From there, inputs are paired backwards: by position, and where
    their order has no meaning, by kind.
    """
    outputs = _paired_outputs(ours, theirs)
    here, there = kinds(ours, theirs)
    if any(here[a] != there[b] for a, b in outputs):
        raise UsageError(_difference(ours, theirs, here, there))
    pairs: dict[int, int] = {}
    waiting = outputs
    while waiting:
        a, b = waiting.pop()
        if a not in pairs:
            pairs[a] = b
            waiting += _paired_inputs(ours, theirs, here, there, a, b)
        elif pairs[a] != b:
            _refuse_ambiguous(theirs.nodes[pairs[a]], theirs.nodes[b])
    layers = [(ours.nodes[a], theirs.nodes[b]) for a, b in sorted(pairs.items())]
    return _once([(mine, other) for mine, other in layers if mine.weights])


def _once(pairs: Sequence[tuple[LayerNode, LayerNode]]) -> list[tuple[LayerNode, LayerNode]]:
    """Return the pairs of layers, those that are used several times once."""
    forth: dict[str, LayerNode] = {}
    back: dict[str, LayerNode] = {}
    once = []
    for mine, other in pairs:
        if mine.name not in forth and other.name not in back:
            forth[mine.name], back[other.name] = other, mine
            once.append((mine, other))
        elif mine.name not in forth or back.get(other.name, mine).name != mine.name:
            raise UsageError("one layer there stands where several stand here")
        elif forth[mine.name].name != other.name:
            raise UsageError(
                f"`{mine.name}` is used several times here, and there it is several layers: "
                f"`{forth[mine.name].name}` and `{other.name}`"
            )
    return once


def _paired_outputs(ours: LayerGraph, theirs: LayerGraph) -> list[tuple[int, int]]:
    here, there = ours.outputs, theirs.outputs
    if len(here) == len(there) == 1:
        return list(zip(here.values(), there.values(), strict=True))
    if here.keys() != there.keys():
        raise UsageError(
            f"the outputs differ: {len(here)} here ({', '.join(here)}), "
            f"{len(there)} there ({', '.join(there)})"
        )
    return [(here[name], there[name]) for name in here]


def kinds(ours: LayerGraph, theirs: LayerGraph) -> tuple[list[int], list[int]]:
    """Return the kind of each node of both graphs, as numbers.

    Shapes are compared if both have the same image, else only channels.
    """
    known: dict[Any, int] = {}
    inputs = paired_inputs(ours, theirs)
    with_shapes = all(mine.shape == other.shape for mine, other in inputs)
    labels = [{node.name: i for i, node in enumerate(side)} for side in zip(*inputs, strict=True)]
    return (
        _kinds(ours, known, labels[0], with_shapes=with_shapes),
        _kinds(theirs, known, labels[1], with_shapes=with_shapes),
    )


def paired_inputs(ours: LayerGraph, theirs: LayerGraph) -> list[tuple[LayerNode, LayerNode]]:
    """Return the corresponding inputs of two networks: by name if those agree, else in order.

    Raises:
        UsageError: The networks differ in the number of their inputs.

    """
    here, there = ([graph.nodes[index] for index in graph.inputs] for graph in (ours, theirs))
    if len(here) != len(there):
        raise UsageError(f"the number of inputs differs: {len(here)} here, {len(there)} there")
    named = {node.name: node for node in there}
    if all(node.name in named for node in here):
        there = [named[node.name] for node in here]
    return list(zip(here, there, strict=True))


def _kinds(
    graph: LayerGraph, known: dict[Any, int], inputs: Mapping[str, int], *, with_shapes: bool
) -> list[int]:
    numbers: list[int] = []
    for node in graph.nodes:
        below = [numbers[index] for index in node.inputs]
        if node.sort == INPUT:
            below = [-1 - inputs[node.name]]
        if node.sort in COMMUTATIVE:
            below.sort()
        shape = without_ones(node.shape) if with_shapes else node.shape[-1:]
        numbers.append(known.setdefault((node.sort, node.forms, shape, *below), len(known)))
    return numbers


def _paired_inputs(
    ours: LayerGraph, theirs: LayerGraph, here: Sequence[int], there: Sequence[int], a: int, b: int
) -> Iterator[tuple[int, int]]:
    """Yield the inputs of two nodes of one kind, in pairs."""
    mine, other = ours.nodes[a], theirs.nodes[b]
    if mine.sort not in COMMUTATIVE:
        yield from zip(mine.inputs, other.inputs, strict=True)
        return
    candidates = _by_kind(other.inputs, there)
    for kind, indices in _by_kind(mine.inputs, here).items():
        yield from _paired_alike(ours, theirs, indices, candidates[kind])


def _by_kind(indices: Iterable[int], numbers: Sequence[int]) -> dict[int, list[int]]:
    groups = defaultdict(list)
    for index in dict.fromkeys(indices):
        groups[numbers[index]].append(index)
    return groups


def _paired_alike(
    ours: LayerGraph, theirs: LayerGraph, mine: list[int], others: list[int]
) -> Iterator[tuple[int, int]]:
    """Yield inputs of one kind, in pairs by their names, the only difference."""
    if len(mine) > 1 or len(others) > 1:
        by_name = {theirs.nodes[index].name: index for index in others}
        names = [ours.nodes[index].name for index in mine]
        if len(set(names)) != len(by_name):
            counts = (len(set(names)), len(by_name))
            raise UsageError(
                f"the networks use layers differently: {counts[0]} here ({', '.join(names)}), "
                f"{counts[1]} there ({', '.join(by_name)})"
            )
        if set(names) != set(by_name):
            _refuse_ambiguous(*(theirs.nodes[index] for index in others[:2]))
        others = [by_name[name] for name in names]
    yield from zip(mine, others, strict=True)


def _refuse_ambiguous(first: LayerNode, *second: LayerNode) -> None:
    raise UsageError(
        f"it is not certain which layer is which: {' and '.join(map(str, (first, *second)))} "
        "stand side by side, made alike from the same input, and have other names here"
    )


def _difference(
    ours: LayerGraph, theirs: LayerGraph, here: Sequence[int], there: Sequence[int]
) -> str:
    """Return where two networks begin to differ: the first node here alone, and the one instead."""
    count = f"{len(ours.weighted)} layers with weights here, {len(theirs.weighted)} there"
    for node in _new(ours, here, set(there)):
        below = sorted(here[index] for index in node.inputs)
        instead = [
            other
            for other in _new(theirs, there, set(here))
            if sorted(there[index] for index in other.inputs) == below
        ]
        if instead:
            # The same weights at another size, or the same size from other weights, say more.
            alike = max(instead, key=lambda o: (o.forms == node.forms, o.shape == node.shape))
            return f"the networks differ ({count}): here {node}; there {alike}"
    for node in _new(ours, here, set(there)):
        return f"the networks differ ({count}): nothing there is like {node}, here"
    return f"the networks differ ({count}): what there follows after `{_end(ours)}` is not here"


def _new(graph: LayerGraph, kinds: Sequence[int], elsewhere: set[int]) -> Iterator[LayerNode]:
    """Yield the first nodes on each path from the input whose kind is not elsewhere."""
    for node, kind in zip(graph.nodes, kinds, strict=True):
        if kind not in elsewhere and all(kinds[index] in elsewhere for index in node.inputs):
            yield node


def _end(graph: LayerGraph) -> str:
    return str(graph.nodes[next(iter(graph.outputs.values()))].name)


def _extents(shape: Sequence[int | None], between: str) -> str:
    return between.join(str(extent or "?") for extent in shape)


def without_ones(shape: Extents) -> Extents:
    """Return a shape without spatial axes if all of them are 1: a vector, as of a dense layer."""
    return shape[-1:] if all(extent == 1 for extent in shape[:-1]) else shape

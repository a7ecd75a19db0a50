"""The proof that a Keras model is the network whose table was shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from os import PathLike
from typing import Any, NamedTuple

from archspec.display import Sentences
from archspec.graph.graph import IN_KERAS, SEPARATOR, Graph
from archspec.graph.sizes import larger, smallest
from archspec.imports.model import Network
from archspec.keras_model.build import as_graph, build, layer_name, outline
from archspec.keras_model.calls import Call, calls_by_layer
from archspec.lazy import np


class Mismatch(NamedTuple):
    """A difference between the graph and the Keras model."""

    where: str
    what: str
    static: Any
    emitted: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.static} in the table, {self.emitted} in Keras"


@dataclass(frozen=True, slots=True)
class Verification(Sentences):
    """Counts of what was compared, and the differences: none, if the table is right."""

    tensors: int
    weights: int
    params: int
    mismatches: tuple[Mismatch, ...]

    def __str__(self) -> str:
        if self.mismatches:
            return "\n".join(["the Keras model differs from the table", *map(str, self.mismatches)])
        return (
            f"verified against Keras: {self.tensors:,} tensors, {self.weights:,} weights, "
            f"{self.params:,} parameters, all equal"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the counts, and every mismatch in words."""
        return {**asdict(self), "mismatches": list(map(str, self.mismatches))}


def verify(spec: Network | Graph | str | PathLike[str], model: Any = None) -> Verification:
    """Compare a network's Keras model with its table.

    Compared are the output shape of each node and the nodes that its inputs come from; the name
    and shape of each weight and whether it is trained; the outputs; and the totals as Keras counts
    them.

    Args:
        spec: A spec, a model file's model, a path or a name as `load` takes them, or a graph.
        model: The Keras model. Default: the one that `build` makes, without values of its weights,
            which take most of the time and memory; an open network's model has them.

    Returns:
        What was compared, and `mismatches`, which is empty if the table is right.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: Keras's backend is not installed.

    Example:
        >>> archspec.verify(archspec.load("lenet5")).mismatches
        ()
    """
    graph = as_graph(spec)
    if model is None:  # an open network is run at two sizes
        model = build(graph) if graph.is_open else outline(graph)
    emitted, mismatches = _calls_by_node(graph, model)
    mismatches += _differing_tensors(graph, model, emitted)
    weights = 0
    for node in graph.nodes:
        if node.layer.owner:  # they are counted where they belong
            continue
        static = [(w.name, w.shape, w.trainable) for w in node.layer.weights]
        made = [
            (w.name, tuple(w.shape), w.trainable and call.layer.trainable)
            for call in emitted.get(node.index, ())
            for w in call.layer.weights
        ]
        mismatches += _differing(node.name, "weights (name, shape, trained)", static, made)
        weights += len(static)
    params = sum(node.layer.params for node in graph.nodes)
    trainable = sum(node.layer.trainable for node in graph.nodes)
    trained = sum(prod(w.shape) for w in model.trainable_weights)
    mismatches += _differing("the model", "parameters", params, model.count_params())
    mismatches += _differing("the model", "trainable parameters", trainable, trained)
    return Verification(len(graph.nodes), weights, params, tuple(mismatches))


def other_network(graph: Graph, model: Any) -> str | None:
    """Return the first way in which a saved model's layers differ from a graph's, or None.

    Compared are the layers' names, and the names and shapes of their weights. What is frozen may
    differ: a model is saved as a stage of its training left it.
    """
    emitted, mismatches = _calls_by_node(graph, model)
    for node in graph.nodes:
        if node.layer.owner:
            continue
        calls = emitted.get(node.index, ())
        static = [(w.name, tuple(w.shape)) for w in node.layer.weights]
        made = [(w.name, tuple(w.shape)) for call in calls for w in call.layer.weights]
        mismatches += _differing(node.name, "weights", static, made)
    if not mismatches:
        return None
    first = mismatches[0]
    return f"{first.where} has {first.what} {first.emitted}, and the spec says {first.static}"


def last_calls(graph: Graph, model: Any) -> list[Call]:
    """Return the call that makes each node's output in a graph's model, in order.

    A layer whose weights several nodes share has a call for each of them.
    """
    calls, _ = _calls_by_node(graph, model)
    return [calls[node.index][-1] for node in graph.nodes]


def _calls_by_node(graph: Graph, model: Any) -> tuple[dict[int, list[Call]], list[Mismatch]]:
    """Return the calls of each node's layers, in order, and what has no counterpart."""
    index = {layer_name(node): node.index for node in graph.nodes}
    users: dict[int, list[int]] = {}
    for node in graph.nodes:  # the calls of a layer are in the order of the nodes
        owner = node.layer.owner.replace(SEPARATOR, IN_KERAS)
        users.setdefault(index.get(owner, node.index), []).append(node.index)
    emitted: dict[int, list[Call]] = {}
    mismatches = []
    calls_of = calls_by_layer(model)
    for layer in model.layers:
        name = layer.name if layer.name in index else layer.name.rpartition(IN_KERAS)[0]
        calls = calls_of[layer.name]
        if name not in index:
            mismatches.append(Mismatch(layer.name, "layer", "none", type(layer).__name__))
            continue
        nodes = users[index[name]] if layer.weights and index[name] in users else [index[name]]
        mismatches += _differing(layer.name, "calls", len(nodes), len(calls))
        for number, call in zip(nodes, calls, strict=False):
            emitted.setdefault(number, []).append(call)
    for chain in emitted.values():  # a shared layer may stand before what leads to its later call
        chain.sort(key=lambda call: call.layer.name in index)
    mismatches += [
        Mismatch(node.name, "layer", node.op.word, "none")
        for node in graph.nodes
        if node.index not in emitted
    ]
    return emitted, mismatches


def _differing_tensors(graph: Graph, model: Any, emitted: dict[int, list[Call]]) -> list[Mismatch]:
    """Return the differences in shapes, inputs and outputs."""
    made = {index: calls[-1].outputs[0] for index, calls in emitted.items()}
    names = {id(tensor): graph.nodes[index].name for index, tensor in made.items()}

    def nodes(tensors: Iterable[Any]) -> list[str]:
        return [names.get(id(tensor), "another tensor") for tensor in tensors]

    mismatches = []
    for index, tensor in made.items():
        node = graph.nodes[index]
        mismatches += _differing(node.name, "shape", node.shape.known, tuple(tensor.shape[1:]))
        if node.inputs:
            sources = [graph.nodes[i].name for i in node.inputs]
            mismatches += _differing(node.name, "inputs", sources, nodes(emitted[index][0].inputs))
    outputs = model.output
    if not isinstance(outputs, dict):
        outputs = dict.fromkeys(graph.outputs, outputs)
    static = {name: [graph.nodes[index].name] for name, index in graph.outputs.items()}
    given = {name: nodes([outputs[name]]) for name in outputs}
    mismatches += _differing("the model", "outputs", static, given)
    return mismatches + (_differing_at_sizes(graph, model, made) if graph.is_open else [])


def _differing_at_sizes(graph: Graph, model: Any, tensors: Mapping[int, Any]) -> list[Mismatch]:
    """Return the differences in shapes of an open network that is run at two sizes."""
    import keras  # noqa: PLC0415

    least = smallest(graph)
    if least is None:
        return []
    watched = keras.Model(model.inputs, list(tensors.values()))
    mismatches = []
    for steps in ((0, 0, 0), (5, 8, 3)):
        sizes = larger(graph, least, steps)
        closed = graph.at(sizes)
        zeros = [
            np.zeros((1, *shape), "float32") for shape in map(tuple, closed.input_shapes.values())
        ]
        outputs = watched(zeros)
        for index, output in zip(tensors, outputs, strict=True):
            node = closed.nodes[index]
            where = f"{node.name} at {' x '.join(map(str, sizes.values()))}"
            mismatches += _differing(where, "shape", tuple(node.shape), tuple(output.shape[1:]))
    return mismatches


def _differing(where: str, what: str, static: Any, emitted: Any) -> list[Mismatch]:
    return [] if static == emitted else [Mismatch(where, what, static, emitted)]

"""Graph -> keras.Model, and the proof that what was costed is what is trained."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from os import PathLike
from typing import Any, NamedTuple

from archspec.compile.expand import expand
from archspec.display import Sentences
from archspec.graph.graph import IN_KERAS, SEPARATOR, Graph, Node
from archspec.keras_model.engine import deep, load_file, load_keras
from archspec.keras_model.weights import copy
from archspec.ops.merge import Merge
from archspec.spec.document import Spec
from archspec.spec.loading import as_spec

PART = IN_KERAS
"""Stands for the graph's separator in the names of Keras's layers.

No step's name contains it, so a layer's name says its path. An op that takes more than one layer
puts it before the name of each but the last: stage1/conv1 may have a stage1-conv1-pad.
"""


def build(spec: Spec | Graph | str | PathLike[str], *, weights: Any = None) -> Any:
    """Return a spec's network as an ordinary functional `keras.Model`.

    A layer is called like its step in the table, with `-` for `/`. The output is a tensor; with
    heads, a dict by name, as are then the losses, metrics and targets that Keras takes. Its keys
    are sorted: in that order Keras lists `model.outputs`.

    Args:
        spec: A spec, a path or a name as `load` takes them, or a graph.
        weights: Where weights are copied from: another model of the network, a `.keras` or `.h5`
            file, or `"imagenet"` for those of keras.applications. As Keras draws them, unless
            given.

    Returns:
        The model, not compiled.

    Raises:
        SpecError: If something is wrong with the spec.
        UsageError: If Keras's backend is not installed, or the weights are not the network's.

    Example:
        >>> archspec.build("lenet5").count_params()
        61706
    """
    graph = _graph(spec)
    keras = load_keras()
    from archspec.keras_model.layers import Layers  # noqa: PLC0415  (it imports Keras)

    layers = Layers()
    tensors: list[Any] = []
    ends = set(graph.outputs.values())
    with deep(len(graph.nodes)), _channels_last(keras):
        for node in graph.nodes:
            inputs = [tensors[index] for index in node.inputs]
            tensors.append(_apply(layers, node, inputs, exact=node.index in ends))
        outputs = {name: tensors[index] for name, index in sorted(graph.outputs.items())}
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        model = keras.Model(tensors[0], outputs, name=re.sub(r"[^A-Za-z0-9_-]", "_", graph.name))
    if weights is not None:
        copy(weights, model)
    return model


def load_model(path: str | os.PathLike[str], *, compile: bool = True) -> Any:  # noqa: A002
    """Return a saved model, as Keras loads it, but of any depth, and looked through first.

    `keras.models.load_model` does the same where `archspec` is imported, as long as no way through
    the network is longer than Python's recursion limit, which is 1,000. Files of every backend load
    on every other.

    Args:
        path: a `.keras` or `.h5` file.
        compile: also load what training needs: optimizer, losses and metrics.

    Returns:
        The model, compiled if it was when it was saved and `compile` is true.

    Raises:
        UsageError: it holds no model, is not as Keras writes it, or Keras cannot load it.

    """
    return load_file(path, compile=compile)


def _apply(layers: Any, node: Node, inputs: list[Any], *, exact: bool) -> Any:
    """The tensor that a node's layers make of its inputs'; if exact, in their weights' dtype.

    In Keras's mixed precision an output is to be so, because the loss is computed of it.
    """
    shapes = node.layer.inputs
    emitted = node.op.emit(layers, layer_name(node), *shapes[:1] or (node.shape,))
    if not inputs:
        return emitted
    y = inputs if isinstance(node.op, Merge) else inputs[0]
    for layer in emitted if isinstance(emitted, tuple) else (emitted,):
        if exact and layer.compute_dtype != layer.variable_dtype:
            layer.dtype_policy = layer.variable_dtype
        y = layer(y)
        layer.trainable = not node.op.frozen
    return y


def layer_name(node: Node) -> str:
    """The name of a node's Keras layer."""
    return node.name.replace(SEPARATOR, PART)


class Mismatch(NamedTuple):
    """Something that the graph says and that is otherwise in the model."""

    where: str
    what: str
    static: Any
    emitted: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.static} in the table, {self.emitted} in Keras"


@dataclass(frozen=True, slots=True)
class Verification(Sentences):
    """What was compared, and what differed: nothing, if the table tells the truth."""

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


def verify(spec: Spec | Graph, model: Any = None) -> Verification:
    """Prove that a network's Keras model is what its table says.

    Compared are the output shape of each node and the nodes that it gets its inputs from; the name
    and shape of each weight and whether it is trained; the outputs; and the totals as Keras counts
    them.

    Args:
        spec: A spec, or a graph.
        model: The Keras model. Unless given, it is built.

    Returns:
        What was compared, and `mismatches`, which are none if the table tells the truth.

    Raises:
        SpecError: If something is wrong with the spec.
        UsageError: If Keras's backend is not installed.

    Example:
        >>> archspec.verify(archspec.load("lenet5")).mismatches
        ()
    """
    graph = _graph(spec)
    if model is None:
        model = build(graph)
    emitted, mismatches = _layers_by_node(graph, model)
    mismatches += _differing_tensors(graph, model, emitted)
    weights = 0
    for node in graph.nodes:
        static = [(w.name, w.shape, w.trainable) for w in node.layer.weights]
        held = [
            (w.name, tuple(w.shape), w.trainable and layer.trainable)
            for layer in emitted.get(node.index, ())
            for w in layer.weights
        ]
        mismatches += _differing(node.name, "weights (name, shape, trained)", static, held)
        weights += len(static)
    params = sum(node.layer.params for node in graph.nodes)
    trainable = sum(node.layer.trainable for node in graph.nodes)
    trained = sum(prod(w.shape) for w in model.trainable_weights)
    mismatches += _differing("the model", "parameters", params, model.count_params())
    mismatches += _differing("the model", "trainable parameters", trainable, trained)
    return Verification(len(graph.nodes), weights, params, tuple(mismatches))


def other_network(graph: Graph, model: Any) -> str | None:
    """Return the first way in which a saved model's layers are not a graph's; None where they are.

    Compared are the layers' names, and the names and shapes of their weights. What is frozen may
    differ: a model is saved as a stage of its training left it.
    """
    emitted, mismatches = _layers_by_node(graph, model)
    for node in graph.nodes:
        static = [(w.name, tuple(w.shape)) for w in node.layer.weights]
        held = [
            (w.name, tuple(w.shape)) for layer in emitted.get(node.index, ()) for w in layer.weights
        ]
        mismatches += _differing(node.name, "weights", static, held)
    if not mismatches:
        return None
    first = mismatches[0]
    return f"{first.where} has {first.what} {first.emitted}, and the spec says {first.static}"


def _layers_by_node(graph: Graph, model: Any) -> tuple[dict[int, list[Any]], list[Mismatch]]:
    """The layers of each node in the order in which they are applied; those of none; and none's."""
    index = {layer_name(node): node.index for node in graph.nodes}
    emitted: dict[int, list[Any]] = {}
    mismatches = []
    for layer in model.layers:
        name = layer.name if layer.name in index else layer.name.rpartition(PART)[0]
        if name in index:
            emitted.setdefault(index[name], []).append(layer)
        else:
            mismatches.append(Mismatch(layer.name, "layer", "none", type(layer).__name__))
    mismatches += [
        Mismatch(node.name, "layer", node.op.kind or "input", "none")
        for node in graph.nodes
        if node.index not in emitted
    ]
    return emitted, mismatches


def _differing_tensors(graph: Graph, model: Any, emitted: dict[int, list[Any]]) -> list[Mismatch]:
    """Where shapes differ, inputs, or outputs."""
    tensors = {index: layers[-1].output for index, layers in emitted.items()}
    names = {id(tensor): graph.nodes[index].name for index, tensor in tensors.items()}

    def nodes(tensor_or_tensors: Any) -> list[str]:
        many = isinstance(tensor_or_tensors, (list, tuple))
        return [
            names.get(id(tensor), "another tensor")
            for tensor in (tensor_or_tensors if many else [tensor_or_tensors])
        ]

    mismatches = []
    for index, tensor in tensors.items():
        node = graph.nodes[index]
        mismatches += _differing(node.name, "shape", tuple(node.shape), tuple(tensor.shape[1:]))
        if node.inputs:
            sources = [graph.nodes[i].name for i in node.inputs]
            mismatches += _differing(node.name, "inputs", sources, nodes(emitted[index][0].input))
    outputs = model.output
    if not isinstance(outputs, dict):
        outputs = dict.fromkeys(graph.outputs, outputs)
    static = {name: [graph.nodes[index].name] for name, index in graph.outputs.items()}
    found = {name: nodes(outputs[name]) for name in outputs}
    return mismatches + _differing("the model", "outputs", static, found)


def _differing(where: str, what: str, static: Any, emitted: Any) -> list[Mismatch]:
    return [] if static == emitted else [Mismatch(where, what, static, emitted)]


def _graph(spec: Spec | Graph | str | PathLike[str]) -> Graph:
    return spec if isinstance(spec, Graph) else expand(as_spec(spec))


@contextlib.contextmanager
def _channels_last(keras: Any) -> Iterator[None]:
    """Whatever the user's keras.json says, inside this layers have their channels last."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)

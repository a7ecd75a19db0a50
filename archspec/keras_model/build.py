"""Graph -> keras.Model, and back from a file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from os import PathLike
from typing import Any, Final

from archspec.compile.network import graph_of
from archspec.graph.graph import IN_KERAS, SEPARATOR, Graph, Node
from archspec.imports.loading import as_network
from archspec.imports.model import Network
from archspec.keras_model.engine import deep, dtype_policy, load_file, load_keras, meanwhile
from archspec.keras_model.weights import copy
from archspec.ops.merge import Merge
from archspec.ops.shape import Shape

WAITING: Final = "uninitialized_variables"
"""Keras's name for its list of the variables that have no values yet."""


def build(
    spec: Network | Graph | str | PathLike[str], *, weights: Any = None, inference: bool = False
) -> Any:
    """Return a spec's network as an ordinary functional `keras.Model`.

    Each layer has the name of its step in the table, with `-` for `/`. The output is a tensor; with
    heads, it is a dict by name, and so are the losses, metrics and targets that Keras takes. Its
    keys are sorted, which is the order of `model.outputs`. Several inputs are a dict by name, too.

    Args:
        spec: A spec, a model file's model, a path or a name as `load` takes them, or a graph.
        weights: Another model of the network, a `.keras` or `.h5` file, or `"imagenet"` for those
            of keras.applications. Default: the initial weights that Keras draws.
        inference: Whether to leave out the heads of a spec, which only help to train.

    Returns:
        The model, not compiled.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: Keras's backend is not installed, or the weights do not fit the network.

    Example:
        >>> archspec.build("lenet5").count_params()
        61706
    """
    graph = as_graph(spec, inference=inference)
    keras = load_keras()
    from archspec.keras_model.layers import Layers  # noqa: PLC0415  (it imports Keras)

    emitter = _Emitter(keras, Layers(), graph)
    # Layers made here have their channels last, whatever the user's keras.json says.
    channels_last = meanwhile(
        keras.config.image_data_format, keras.config.set_image_data_format, "channels_last"
    )
    tensors: list[Any] = []
    with deep(len(graph.nodes)), channels_last:
        for node in graph.nodes:
            tensors.append(emitter.applied(node, [tensors[index] for index in node.inputs]))
        inputs, outputs = (
            {name: tensors[index] for name, index in sorted(places.items())}
            if len(places) > 1
            else tensors[next(iter(places.values()))]
            for places in (graph.inputs, graph.outputs)
        )
        model = keras.Model(inputs, outputs, name=re.sub(r"[^A-Za-z0-9_-]", "_", graph.name))
    if weights is not None:
        copy(weights, model)
    return model


def outline(graph: Graph) -> Any:
    """Return the model of a graph without values of its weights: to be looked at, not run.

    Values take most of the time and memory: VGG-16 is built in 3.3 s, and its outline in 0.12 s.
    """
    keras = load_keras()
    from keras.src.backend.common import global_state  # noqa: PLC0415  (Keras has no public way)

    waiting = list(global_state.get_global_attribute(WAITING) or ())
    try:
        with keras.StatelessScope(initialize_variables=False):
            return build(graph)
    except ValueError:  # a layer of somebody else may make variables of arrays, which are refused
        pass
    finally:  # the next model would give values to the variables of this one
        global_state.set_global_attribute(WAITING, waiting)
    return build(graph)


def load_model(path: str | os.PathLike[str], *, compile: bool = True) -> Any:  # noqa: A002
    """Return a saved model, of any depth, after checking that the file is safe to read.

    `keras.models.load_model` does the same after `import archspec.layers`, for networks in which no
    path is longer than Python's recursion limit, 1,000 layers. Files of every backend load on every
    other.

    Args:
        path: A `.keras` or `.h5` file.
        compile: Whether to load what training needs: optimizer, losses and metrics.

    Returns:
        The model, compiled if it was when it was saved and `compile` is true.

    Raises:
        UsageError: The file holds no model, is not as Keras writes it, or Keras cannot load it.

    Example:
        >>> archspec.build("lenet5").save("lenet5.keras")
        >>> archspec.load_model("lenet5.keras").count_params()
        61706
    """
    return load_file(path, compile=compile)


def as_graph(spec: Network | Graph | str | PathLike[str], *, inference: bool = False) -> Graph:
    """Return the graph of a network, of a path or of a name; a graph as it is."""
    return spec if isinstance(spec, Graph) else graph_of(as_network(spec, inference=inference))


def layer_name(node: Node) -> str:
    """Return the name of a node's Keras layer.

    An op of several layers puts it before the name of each but the last: stage1/conv1 may have
    stage1-conv1 and stage1-conv1-pad. No step's name contains `-`, so this is unambiguous.
    """
    return node.name.replace(SEPARATOR, IN_KERAS)


class _Emitter:
    """Makes and applies the Keras layers of a graph's nodes."""

    def __init__(self, keras: Any, layers: Any, graph: Graph) -> None:
        self.keras = keras
        self.layers = layers
        self.made: dict[str, tuple[Any, ...]] = {}
        """The layers of each node with weights that other nodes share, by its path."""
        self.shapes = shapes_of_shared(graph)
        ends = [graph.nodes[index] for index in graph.outputs.values()]
        self.exact = {node.layer.owner or node.name for node in ends}
        """Paths of nodes whose layers compute in the dtype of their weights, also in mixed
        precision: the loss is computed from what they give."""

    def applied(self, node: Node, inputs: list[Any]) -> Any:
        """Return the tensor that a node's layers compute from its inputs' tensors."""
        owner = node.layer.owner
        x = self.shapes.get(owner or node.name) or (*node.layer.inputs, node.shape)[0]
        is_exact = (owner or node.name) in self.exact
        of_weights = self.keras.config.dtype_policy().variable_dtype
        with dtype_policy(self.keras, of_weights) if is_exact else contextlib.nullcontext():
            emitted = node.op.emit(self.layers, layer_name(node), x)  # also the cells in a layer
        if not inputs:
            return emitted
        chain = emitted if isinstance(emitted, tuple) else (emitted,)
        if owner:
            chain = _with_weights_of(self.made[owner], chain)
        elif node.name in self.shapes:
            self.made[node.name] = chain
        y = inputs if isinstance(node.op, Merge) or len(inputs) > 1 else inputs[0]
        for layer in chain:
            y = layer(y)
            layer.trainable = not node.op.frozen
        return y


def shapes_of_shared(graph: Graph) -> dict[str, Shape]:
    """Return an input's shape for each node with weights that others share, by its path.

    Axes that have several extents are open in it: the layers must suit all of them.
    """
    owners = {node.layer.owner for node in graph.nodes} - {""}
    seen: dict[str, set[Shape]] = {owner: set() for owner in owners}
    for node in graph.nodes if owners else ():
        if (name := node.layer.owner or node.name) in seen:
            seen[name].add(node.layer.inputs[0])
    return {name: _common(sorted(shapes)) for name, shapes in seen.items()}


def _common(shapes: Sequence[Shape]) -> Shape:
    first, *others = shapes
    if not others:
        return first
    from archspec.ops.extent import Extent  # noqa: PLC0415  (nearly never needed)

    axes: list[Any] = [
        extents[0] if len(set(extents)) == 1 else Extent.open(f"axis{i}")
        for i, extents in enumerate(zip(*shapes, strict=True))
    ]
    return Shape(axes)


def _with_weights_of(owner: tuple[Any, ...], chain: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the layers of a node, those that have weights replaced by the owner's.

    The layers without weights, which pad, depend on the extent of the input.
    """
    *before, last = chain
    weighted = [layer for layer in owner if layer.weights]
    return (*before[: len(chain) - len(weighted)], *weighted) if weighted else (*before, last)

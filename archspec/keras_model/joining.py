"""A Keras model in memory as a layer graph; models inside it are taken apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from archspec.errors import UsageError
from archspec.imports.keras.calls import Arrays, ShapedArray
from archspec.imports.keras.config import LayerConfig, UnfamiliarError, name_of
from archspec.keras_model.assembly import SCALING, LayerArray, LayerCall, assembly, unknown
from archspec.keras_model.calls import calls_in_order, is_functional
from archspec.keras_model.description import described
from archspec.keras_model.matching import LayerGraph


def layer_graph(model: Any) -> LayerGraph:
    """Return the layer graph of a functional or sequential Keras model.

    Raises:
        UsageError: It is another kind of model.

    """
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise UsageError(unknown(model.name))
    if any(getattr(layer, "layers", None) for layer in model.layers):
        try:
            return described(json.loads(model.to_json()), _InMemory(model))
        except UnfamiliarError as error:
            raise UsageError(
                f"`{model.name}` has models as layers, and in them what archspec does not know: "
                f"{error}"
            ) from None
    names = [str(tensor.name) for tensor in model.inputs] if len(model.inputs) > 1 else ["input"]
    joined = assembly(
        model.name,
        {
            id(tensor): (name, tuple(tensor.shape[1:]))
            for name, tensor in zip(names, model.inputs, strict=True)
        },
    )
    for layer, got, made in calls_in_order(model):
        weights = [LayerArray(w.name, tuple(w.shape), w) for w in getattr(layer, "weights", ())]
        config = {"data_format": getattr(layer, "data_format", None)}
        kind = type(layer).__name__
        if kind in SCALING:
            config |= layer.get_config()
        joined.add(
            LayerCall(
                layer.name,
                kind,
                config,
                weights,
                [id(tensor) for tensor in got],
                [id(tensor) for tensor in made],
                tuple(made[0].shape[1:]),
            )
        )
    output = model.output if is_functional(model) else model.layers[-1].output
    if not isinstance(output, dict):
        output = dict(enumerate(output if isinstance(output, (list, tuple)) else [output]))
    return joined.finish({str(name): id(tensor) for name, tensor in output.items()})


class _InMemory:
    """The arrays of a Keras model."""

    def __init__(self, model: Any) -> None:
        self._layers = {layer.name: layer for layer in model.layers}

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray]]:
        inner = [self._layers.get(name_of(layer)) for layer in layers]
        return [
            [(tuple(w.shape), w) for w in layer.weights] if layer is not None else []
            for layer in inner
        ]

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        return _InMemory(self._layers[name_of(layers[index])])

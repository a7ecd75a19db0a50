"""Keras's layers of several inputs as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError
from archspec.ops.elementwise import Rescale
from archspec.ops.merge import Add, Concat, MatMul, Max, Mean, Min, Multiply, Subtract
from archspec.ops.op import Op


def add(layer: KerasLayer) -> Node:
    """Add Add."""
    return merged(layer, Add())


def subtract(layer: KerasLayer) -> Node:
    """Add Subtract."""
    return merged(layer, Subtract())


def multiply(layer: KerasLayer) -> Node:
    """Add Multiply."""
    return merged(layer, Multiply())


def average(layer: KerasLayer) -> Node:
    """Add Average."""
    return merged(layer, Mean())


def maximum(layer: KerasLayer) -> Node:
    """Add Maximum."""
    return merged(layer, Max())


def minimum(layer: KerasLayer) -> Node:
    """Add Minimum."""
    return merged(layer, Min())


def merged(layer: KerasLayer, op: Op, *inputs: Node) -> Node:
    """Add a merge of the inputs, by default of all that the layer reads."""
    given = inputs or tuple(layer.inputs)
    if len(given) < 2:
        raise UnlikeError("it has one input alone")
    return layer.add(op, *given)


def concatenate(layer: KerasLayer) -> Node:
    """Add Concatenate."""
    return merged(layer, concat(layer, layer.config.get("axis", -1)))


def concat(layer: KerasLayer, axis: Any) -> Op:
    """Return the op that joins tensors along an axis that Keras counts with the batch."""
    name = layer.axis_name(axis)
    return Concat() if name == "channels" else Concat(axis=name)


def dot(layer: KerasLayer) -> Node:
    """Add Dot, where it is a product of matrices."""
    axes = layer.config.get("axes")
    first, second = (axes, axes) if isinstance(axes, int) else (axes or (None, None))
    if layer.config.get("normalize") or layer.shape.rank != 1:
        raise UnlikeError("it is no product of two matrices")
    a, b = layer.axis(first), layer.axis(second, layer.inputs[1].shape)
    if a != 1:
        raise UnlikeError("it multiplies by the columns of its first input")
    return layer.add(MatMul(transpose_b=b == 1))


def custom_scale(layer: KerasLayer) -> Node:
    """Add CustomScaleLayer of keras.applications' InceptionResNetV2: x + scale * y."""
    x, y = layer.inputs
    scaled = layer.add(Rescale(scale=float(layer.config["scale"])), y, part="scale")
    return layer.add(Add(), x, scaled)


_MODES: Final[Mapping[str, Callable[[], Op]]] = {
    "sum": Add,
    "mul": Multiply,
    "ave": Mean,
    "max": Max,
}


def merge(layer: KerasLayer) -> Node:
    """Add Merge of Keras 1."""
    mode = layer.config.get("mode", "sum")
    if mode == "concat":
        return merged(layer, concat(layer, layer.config.get("concat_axis", -1)))
    if mode not in _MODES:
        raise UnlikeError(f"its mode is {mode!r}")
    return merged(layer, _MODES[mode]())


LAYERS: Final[Mapping[str, Function]] = {
    "Add": add,
    "Subtract": subtract,
    "Multiply": multiply,
    "Average": average,
    "Maximum": maximum,
    "Minimum": minimum,
    "Concatenate": concatenate,
    "Dot": dot,
    "CustomScaleLayer": custom_scale,
    "Merge": merge,
}
"""The function of each class."""

"""Keras's layers of several inputs as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError
from archspec.ops.arrangement import Flatten, Reshape
from archspec.ops.elementwise import Rescale
from archspec.ops.merge import Add, Concat, MatMul, Max, Mean, Min, Multiply, Subtract
from archspec.ops.normalization import UnitNorm
from archspec.ops.op import Op
from archspec.ops.shuffles import Permute


def merging(op: Callable[[], Op]) -> Callable[[KerasLayer], Node]:
    """Return the function of a layer that merges its inputs by an op.

    Where they have unlike numbers of axes, Keras puts axes of extent 1 before the others: a vector
    is added to each place of a map.
    """

    def merge(layer: KerasLayer) -> Node:
        most = max((len(node.shape) for node in layer.inputs), default=0)
        return merged(layer, op(), *(_widened(layer, node, most) for node in layer.inputs))

    return merge


def _widened(layer: KerasLayer, node: Node, axes: int) -> Node:
    """Return a node with so many axes, the first of them of extent 1."""
    x = node.shape
    if not x or len(x) == axes or x.is_open:
        return node
    ones = (1,) * (axes - len(x))
    return layer.add(
        Reshape(to=(*ones, *x)), node, part=f"{node.name.rpartition('/')[2]}_at_places"
    )


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
    return Concat(axis=layer.axis_name(axis))


def dot(layer: KerasLayer) -> Node:
    """Add Dot: a product of matrices, or of two vectors, each a matrix of one row."""
    axes = layer.config.get("axes")
    pair = (axes, axes) if isinstance(axes, int) else (axes or (None, None))
    x, y = layer.inputs
    if not x.shape.rank == y.shape.rank <= 1 or not x.shape or x.shape.is_open or y.shape.is_open:
        raise UnlikeError(f"it is not a product of two matrices, but of {x.shape} and {y.shape}")
    along = [layer.axis(axis, each.shape) for axis, each in zip(pair, (x, y), strict=True)]
    names = [layer.axis_name(axis, each.shape) for axis, each in zip(pair, (x, y), strict=True)]
    if layer.config.get("normalize"):
        x = layer.add(UnitNorm(axis=names[0]), x, part="first_normalized")
        y = layer.add(UnitNorm(axis=names[1]), y, part="second_normalized")
    if not x.shape.rank:
        x = layer.add(Reshape(to=(1, x.shape.channels)), x, part="first_row")
        y = layer.add(Reshape(to=(1, y.shape.channels)), y, part="second_row")
        product = layer.add(MatMul(transpose_b=True), x, y, part="product")
        return layer.add(Flatten(), product)
    if along[0] == 0:
        x = layer.add(Permute(to=("channels", "length")), x, part="turned")
    return layer.add(MatMul(transpose_b=along[1] == 1), x, y)


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
    return merging(_MODES[mode])(layer)


LAYERS: Final[Mapping[str, Function]] = {
    "Add": merging(Add),
    "Subtract": merging(Subtract),
    "Multiply": merging(Multiply),
    "Average": merging(Mean),
    "Maximum": merging(Max),
    "Minimum": merging(Min),
    "Concatenate": concatenate,
    "Dot": dot,
    "CustomScaleLayer": custom_scale,
    "Merge": merge,
}
"""The function of each class."""

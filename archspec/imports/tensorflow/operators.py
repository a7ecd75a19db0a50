"""The operators of TensorFlow's graphs, written as ONNX's: one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from archspec.imports.protobuf import shortest
from archspec.imports.tensorflow.graphs import Operation
from archspec.imports.tensorflow.norms import NORM
from archspec.imports.tensorflow.writing import NOT_KNOWN, Unwritable, Writer
from archspec.ops.normalization import BatchNorm

Rule: TypeAlias = Callable[[Writer, Operation], None]


def _plain(op: str, **attributes: Any) -> Rule:
    """Return the rule of an operator that ONNX has as well."""

    def write(w: Writer, o: Operation) -> None:
        w.step(op, o.inputs, o.outputs[:1], **attributes)

    return write


# Layers with a kernel.


def _is_first(o: Operation) -> bool:
    """Whether an operator has the channels before the places."""
    return o.word("data_format").startswith("NC")


def _check_layout(o: Operation) -> None:
    if _is_first(o):
        raise Unwritable("its channels are before its places")


def _spatial(o: Operation, name: str, rank: int) -> list[int]:
    """Return an attribute along the places, of one number for each axis."""
    numbers = o.integers(name) or [1] * (rank + 2)
    if len(numbers) != rank + 2:
        raise Unwritable(f"its {name} are not those of its input")
    return numbers[1:-1]


def _padding(o: Operation) -> Any:
    word = o.word("padding")
    if word != "EXPLICIT":
        return word.lower() or "valid"
    amounts = o.integers("explicit_paddings")
    return list(zip(amounts[::2], amounts[1::2], strict=True))[1:-1]


def _window(o: Operation, places: Sequence[int]) -> dict[str, Any]:
    """Return how a kernel of these spatial extents moves."""
    return {
        "places": places,
        "strides": _spatial(o, "strides", len(places)),
        "dilations": _spatial(o, "dilations", len(places)),
        "padding": _padding(o),
    }


def convolution(w: Writer, o: Operation) -> None:
    """Write Conv2D or Conv3D, whose kernel is [places, channels of a group, filters]."""
    _check_layout(o)
    rank = 3 if o.kind == "Conv3D" else 2
    x, kernel = o.inputs
    dims = w.kernel(kernel, rank + 2)
    w.convolution(
        x,
        o.outputs[0],
        kernel=w.made("Transpose", kernel, perm=[rank + 1, rank, *range(rank)]),
        groups=w.groups(x, *dims[rank:]),
        **_window(o, dims[:rank]),
    )


def depthwise(w: Writer, o: Operation) -> None:
    """Write DepthwiseConv2dNative, whose kernel is [height, width, channels, multiplier]."""
    _check_layout(o)
    x, kernel = o.inputs
    *places, channels, multiplier = w.kernel(kernel, 4)
    turned = w.made("Transpose", kernel, perm=[2, 3, 0, 1])
    shape = w.ints([channels * multiplier, 1, *places])
    w.convolution(
        x,
        o.outputs[0],
        kernel=w.made("Reshape", turned, shape),
        groups=channels,
        **_window(o, places),
    )


def transposed(w: Writer, o: Operation) -> None:
    """Write Conv2DBackpropInput, which Keras calls Conv2DTranspose."""
    _check_layout(o)
    rank = 3 if o.kind.startswith("Conv3D") else 2
    _, kernel, x = o.inputs
    dims = w.kernel(kernel, rank + 2)
    w.transposed(
        x,
        o.outputs[0],
        kernel=w.made("Transpose", kernel, perm=[rank + 1, rank, *range(rank)]),
        **_window(o, dims[:rank]),
    )


def mat_mul(w: Writer, o: Operation) -> None:
    a, b = o.inputs[:2]
    turn_a = o.flag("transpose_a") or o.flag("adj_x")
    turn_b = o.flag("transpose_b") or o.flag("adj_y")
    w.product(a, b, o.outputs[0], turn_a=turn_a, turn_b=turn_b)


def einsum(w: Writer, o: Operation) -> None:
    w.step("Einsum", o.inputs, o.outputs[:1], equation=o.word("equation"))


def batch_norm(w: Writer, o: Operation) -> None:
    """Write a batch norm; factors that are 1 and offsets that are 0 are none of its weights."""
    _check_layout(o)
    x, gamma, beta, mean, variance = o.inputs[:5]
    if o.flag("is_training") and mean not in w.constants:
        raise Unwritable("it normalises by the statistics of the batch")
    inputs = [
        "" if _is_number(w, gamma, 1) else gamma, "" if _is_number(w, beta, 0) else beta,
        mean, variance,
    ]  # fmt: skip
    w.with_channels(
        "BatchNormalization",
        [x, *inputs],
        o.outputs[0],
        w.rank(o.outputs[0]),
        epsilon=o.real("epsilon", 1e-4),
        momentum=BatchNorm().momentum,
    )


def _is_number(w: Writer, name: str, number: float) -> bool:
    constant = w.constants.get(name)
    return constant is not None and not constant.name and constant.number == number


# Pools and reductions.


def _pool(op: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        _check_layout(o)
        rank = len(o.integers("ksize")) - 2
        size, strides = _spatial(o, "ksize", rank), _spatial(o, "strides", rank)
        w.pool(op, o.inputs[0], o.outputs[0], size, strides, _padding(o))

    return write


def _reduced(op: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        keep = int(o.flag("keep_dims"))
        w.step(op, o.inputs, o.outputs[:1], keepdims=keep)

    return write


# Functions and arithmetic.


def leaky_relu(w: Writer, o: Operation) -> None:
    w.step("LeakyRelu", o.inputs, o.outputs[:1], alpha=shortest(o.real("alpha", 0.2)))


def lrn(w: Writer, o: Operation) -> None:
    size = 2 * o.integer("depth_radius", 5) + 1
    w.with_channels(
        "LRN",
        o.inputs,
        o.outputs[0],
        4,
        size=size,
        alpha=o.real("alpha", 1.0) * size,  # ONNX divides it by the size
        beta=o.real("beta", 0.5),
        bias=o.real("bias", 1.0),
    )


def squared_difference(w: Writer, o: Operation) -> None:
    w.squared(w.made("Sub", *o.inputs), o.outputs[0])


def clipped(w: Writer, o: Operation) -> None:
    w.step("Clip", o.inputs, o.outputs[:1])


def erfc(w: Writer, o: Operation) -> None:
    w.step("Sub", [w.number(1.0), w.made("Erf", *o.inputs)], o.outputs[:1])


def log_of_more(w: Writer, o: Operation) -> None:
    w.step("Log", [w.made("Add", o.inputs[0], w.number(1.0))], o.outputs[:1])


def squared(w: Writer, o: Operation) -> None:
    w.squared(o.inputs[0], o.outputs[0])


def inverse_root(w: Writer, o: Operation) -> None:
    w.inverse_root(o.inputs[0], o.outputs[0])


# Axes and places.


def expand_dims(w: Writer, o: Operation) -> None:
    w.unsqueeze(o.inputs[0], o.outputs[0], w.wanted(o.inputs[1], "axis")[0])


def squeeze(w: Writer, o: Operation) -> None:
    w.squeeze(o.inputs[0], o.outputs[0], o.integers("squeeze_dims"))


def transpose(w: Writer, o: Operation) -> None:
    w.step("Transpose", o.inputs[:1], o.outputs[:1], perm=w.wanted(o.inputs[1], "order"))


def concat(w: Writer, o: Operation) -> None:
    *parts, axis = o.inputs
    w.step("Concat", parts, o.outputs[:1], axis=w.wanted(axis, "axis")[0])


def pack(w: Writer, o: Operation) -> None:
    w.pack(o.inputs, o.outputs[0], o.integer("axis"))


def unpack(w: Writer, o: Operation) -> None:
    w.unpack(o.inputs[0], o.outputs, o.integer("axis"))


def split(w: Writer, o: Operation) -> None:
    axis, x = o.inputs
    w.split(x, o.outputs, w.wanted(axis, "axis")[0])


def split_sizes(w: Writer, o: Operation) -> None:
    x, sizes, axis = o.inputs
    w.split(x, o.outputs, w.wanted(axis, "axis")[0], w.wanted(sizes, "sizes"))


def slice_(w: Writer, o: Operation) -> None:
    w.cut(o.inputs[0], o.outputs[0], *o.inputs[1:])


def strided_slice(w: Writer, o: Operation) -> None:
    begin, end, strides = (w.wanted(each, "places") for each in o.inputs[1:4])
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    masks = {name: o.integer(f"{name}_mask") for name in names}
    w.strided_slice(o.inputs[0], o.outputs[0], begin, end, strides, masks)


def gather(w: Writer, o: Operation) -> None:
    axis = w.wanted(o.inputs[2], "axis")[0] if len(o.inputs) > 2 else 0
    if o.integer("batch_dims"):
        raise Unwritable("it looks up in each example apart")
    w.step("Gather", o.inputs[:2], o.outputs[:1], axis=axis)


def pad(w: Writer, o: Operation) -> None:
    w.pad(o.inputs[0], o.outputs[0], o.inputs[1], value="".join(o.inputs[2:3]))


def mirror_pad(w: Writer, o: Operation) -> None:
    if o.word("mode") != "REFLECT":
        raise Unwritable("it repeats the border")
    w.pad(o.inputs[0], o.outputs[0], o.inputs[1], "reflect")


def _resize(mode: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        places = "half_pixel" if o.flag("half_pixel_centers") else "asymmetric"
        if o.flag("align_corners"):
            places = "align_corners"
        w.resize(o.inputs[0], o.outputs[0], o.inputs[1], mode, places)

    return write


def _blocks(op: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        _check_layout(o)
        size = o.integer("block_size", 2)
        w.with_channels(op, o.inputs, o.outputs[0], 4, blocksize=size)

    return write


def space_to_batch(w: Writer, o: Operation) -> None:
    w.space_to_batch(o.inputs[0], o.outputs[0], *o.inputs[1:3])


def batch_to_space(w: Writer, o: Operation) -> None:
    w.batch_to_space(o.inputs[0], o.outputs[0], o.inputs[2])


def fill(w: Writer, o: Operation) -> None:
    dims, value = o.inputs
    w.fill(dims, value, o.outputs[0])


OPERATORS: Final[Mapping[str, Rule]] = {
    "Abs": _plain("Abs"),
    "Add": _plain("Add"),
    "AddN": _plain("Sum"),
    "AddV2": _plain("Add"),
    "All": _reduced("ReduceMin"),
    "AvgPool": _pool("AveragePool"),
    "AvgPool3D": _pool("AveragePool"),
    "BatchMatMul": mat_mul,
    "BatchMatMulV2": mat_mul,
    "BatchMatMulV3": mat_mul,
    "BatchToSpaceND": batch_to_space,
    "BiasAdd": _plain("Add"),
    "BroadcastTo": _plain("Expand"),
    "Ceil": _plain("Ceil"),
    "ClipByValue": clipped,
    "ConcatV2": concat,
    "Conv2D": convolution,
    "Conv2DBackpropInput": transposed,
    "Conv3D": convolution,
    "Conv3DBackpropInputV2": transposed,
    "Cos": _plain("Cos"),
    "DepthToSpace": _blocks("DepthToSpace"),
    "DepthwiseConv2dNative": depthwise,
    "Div": _plain("Div"),
    "DivNoNan": _plain("Div"),
    "Einsum": einsum,
    "Elu": _plain("Elu"),
    "Equal": _plain("Equal"),
    "Erf": _plain("Erf"),
    "Erfc": erfc,
    "Exp": _plain("Exp"),
    "ExpandDims": expand_dims,
    "Fill": fill,
    "Floor": _plain("Floor"),
    "FloorDiv": _plain("Div"),
    "FloorMod": _plain("Mod"),
    "FusedBatchNorm": batch_norm,
    "FusedBatchNormV2": batch_norm,
    "FusedBatchNormV3": batch_norm,
    NORM: batch_norm,
    "Gather": gather,
    "GatherV2": gather,
    "Greater": _plain("Greater"),
    "GreaterEqual": _plain("GreaterOrEqual"),
    "LRN": lrn,
    "LeakyRelu": leaky_relu,
    "Less": _plain("Less"),
    "LessEqual": _plain("LessOrEqual"),
    "Log": _plain("Log"),
    "Log1p": log_of_more,
    "LogSoftmax": _plain("LogSoftmax", axis=-1),
    "LogicalAnd": _plain("And"),
    "LogicalNot": _plain("Not"),
    "LogicalOr": _plain("Or"),
    "MatMul": mat_mul,
    "Max": _reduced("ReduceMax"),
    "MaxPool": _pool("MaxPool"),
    "MaxPool3D": _pool("MaxPool"),
    "Maximum": _plain("Max"),
    "Mean": _reduced("ReduceMean"),
    "Min": _reduced("ReduceMin"),
    "Minimum": _plain("Min"),
    "MirrorPad": mirror_pad,
    "Mul": _plain("Mul"),
    "Neg": _plain("Neg"),
    "Pack": pack,
    "Pad": pad,
    "PadV2": pad,
    "Pow": _plain("Pow"),
    "Prod": _reduced("ReduceProd"),
    "Range": _plain("Range"),
    "RealDiv": _plain("Div"),
    "Reciprocal": _plain("Reciprocal"),
    "Relu": _plain("Relu"),
    "Relu6": _plain("Clip", min=0.0, max=6.0),
    "Reshape": _plain("Reshape"),
    "ResizeBicubic": _resize("cubic"),
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "ResourceGather": gather,
    "Rsqrt": inverse_root,
    "Select": _plain("Where"),
    "SelectV2": _plain("Where"),
    "Selu": _plain("Selu"),
    "Shape": _plain("Shape"),
    "Sigmoid": _plain("Sigmoid"),
    "Sin": _plain("Sin"),
    "Size": _plain("Size"),
    "Slice": slice_,
    "Softmax": _plain("Softmax", axis=-1),
    "Softplus": _plain("Softplus"),
    "Softsign": _plain("Softsign"),
    "SpaceToBatchND": space_to_batch,
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Split": split,
    "SplitV": split_sizes,
    "Sqrt": _plain("Sqrt"),
    "Square": squared,
    "SquaredDifference": squared_difference,
    "Squeeze": squeeze,
    "StridedSlice": strided_slice,
    "Sub": _plain("Sub"),
    "Sum": _reduced("ReduceSum"),
    "Tanh": _plain("Tanh"),
    "Tile": _plain("Tile"),
    "Transpose": transpose,
    "Unpack": unpack,
}
"""The operators, by TensorFlow's names."""

_LOOP: Final = "it repeats its steps as often as the values say when it runs"
_BRANCH: Final = "it chooses its steps by the values when it runs"
REASONS: Final[Mapping[str, str]] = {
    "While": _LOOP, "StatelessWhile": _LOOP,
    "If": _BRANCH, "StatelessIf": _BRANCH, "Case": _BRANCH, "StatelessCase": _BRANCH,
}  # fmt: skip
"""Why operators that no table can show are unknown."""


def write(w: Writer, o: Operation) -> None:
    """Write an operator; one that has no counterpart becomes an unknown layer."""
    rule = OPERATORS.get(o.kind)
    w.attempt(
        o.kind,
        o.inputs,
        o.outputs,
        rule and partial(rule, w, o),
        on_spread=o.kind in _ON_SPREAD,
        reason=REASONS.get(o.kind, NOT_KNOWN),
    )


_ON_SPREAD: Final = {
    "BatchToSpaceND", "Conv2D", "DepthwiseConv2dNative", "ExpandDims", "Squeeze"
}  # fmt: skip
"""Operators that may read a map whose places stand in the batch."""

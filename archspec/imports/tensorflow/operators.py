"""The operators of TensorFlow's graphs, written as ONNX's: one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from archspec.imports.onnx.writing import Unwritten
from archspec.imports.protobuf import shortest
from archspec.imports.tensorflow.alike import OPERATORS as ALIKE
from archspec.imports.tensorflow.alike import plain
from archspec.imports.tensorflow.graphs import Operation
from archspec.imports.tensorflow.norms import NORM
from archspec.imports.tensorflow.writing import Writer
from archspec.ops.normalization import BatchNorm

Rule: TypeAlias = Callable[[Writer, Operation], None]


# Layers with a kernel.


def _is_first(o: Operation) -> bool:
    """Whether an operator has the channels before the places."""
    return o.word("data_format").startswith("NC")


def _check_layout(o: Operation) -> None:
    if _is_first(o):
        raise Unwritten("its channels are before its places")


def _spatial(o: Operation, name: str, rank: int) -> list[int]:
    """Return an attribute along the places, of one number for each axis."""
    numbers = o.integers(name) or [1] * (rank + 2)
    if len(numbers) != rank + 2:
        raise Unwritten(f"its {name} are not those of its input")
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


def batch_norm(w: Writer, o: Operation) -> None:
    """Write a batch norm; factors that are 1 and offsets that are 0 are none of its weights."""
    _check_layout(o)
    x, gamma, beta, mean, variance = o.inputs[:5]
    if o.flag("is_training") and mean not in w.constants:
        raise Unwritten("it normalises by the statistics of the batch")
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
    return plain(op, lambda o: {"keepdims": int(o.flag("keep_dims"))})


# Functions and arithmetic.


def lrn(w: Writer, o: Operation) -> None:
    numbers = {
        "alpha": o.real("alpha", 1.0), "beta": o.real("beta", 0.5), "bias": o.real("bias", 1.0)
    }  # fmt: skip
    w.response_norm(o.inputs[0], o.outputs[0], o.integer("depth_radius", 5), **numbers)


def erfc(w: Writer, o: Operation) -> None:
    w.step("Sub", [w.number(1.0), w.made("Erf", *o.inputs)], o.outputs[:1])


def log_of_more(w: Writer, o: Operation) -> None:
    w.step("Log", [w.made("Add", o.inputs[0], w.number(1.0))], o.outputs[:1])


# Axes and places.


def concat(w: Writer, o: Operation) -> None:
    *parts, axis = o.inputs
    w.step("Concat", parts, o.outputs[:1], axis=w.wanted(axis, "axis")[0])


def strided_slice(w: Writer, o: Operation) -> None:
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    masks = {name: o.integer(f"{name}_mask") for name in names}
    w.strided_slice(o.inputs, o.outputs[0], masks)


def gather(w: Writer, o: Operation) -> None:
    axis = w.wanted(o.inputs[2], "axis")[0] if len(o.inputs) > 2 else 0
    if o.integer("batch_dims"):
        raise Unwritten("it looks up in each example apart")
    w.step("Gather", o.inputs[:2], o.outputs[:1], axis=axis)


def mirror_pad(w: Writer, o: Operation) -> None:
    if o.word("mode") != "REFLECT":
        raise Unwritten("it repeats the border")
    w.pad(o.inputs[0], o.outputs[0], o.inputs[1], "reflect")


def _resize(mode: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        centred = o.flag("half_pixel_centers") and not o.flag("align_corners")
        w.resize(o.inputs[0], o.outputs[0], o.inputs[1], mode, centred=centred)

    return write


def _blocks(op: str) -> Rule:
    def write(w: Writer, o: Operation) -> None:
        _check_layout(o)
        size = o.integer("block_size", 2)
        w.with_channels(op, o.inputs, o.outputs[0], 4, blocksize=size)

    return write


_SAME: Final = """
    Add Div Erf Mul Reciprocal Reshape Selu Sigmoid Size Softplus Softsign Sub
"""
"""Operators that have the same name in ONNX."""

OPERATORS: Final[Mapping[str, Rule]] = {
    **ALIKE,
    **{op: plain(op) for op in _SAME.split()},
    **{op: _reduced(f"Reduce{op}") for op in ("Max", "Mean", "Min", "Prod", "Sum")},
    "AddV2": plain("Add"),
    "All": _reduced("ReduceMin"),
    "AvgPool": _pool("AveragePool"),
    "AvgPool3D": _pool("AveragePool"),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), mat_mul),
    "BiasAdd": plain("Add"),
    "ClipByValue": plain("Clip"),
    "ConcatV2": concat,
    "Conv2D": convolution,
    "Conv2DBackpropInput": transposed,
    "Conv3D": convolution,
    "Conv3DBackpropInputV2": transposed,
    "DepthToSpace": _blocks("DepthToSpace"),
    "DepthwiseConv2dNative": depthwise,
    "DivNoNan": plain("Div"),
    "Einsum": plain("Einsum", lambda o: {"equation": o.word("equation")}),
    "Erfc": erfc,
    **dict.fromkeys((NORM, "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), batch_norm),
    "Gather": gather,
    "GatherV2": gather,
    "LRN": lrn,
    "LeakyRelu": plain("LeakyRelu", lambda o: {"alpha": shortest(o.real("alpha", 0.2))}),
    "Log1p": log_of_more,
    "MaxPool": _pool("MaxPool"),
    "MaxPool3D": _pool("MaxPool"),
    "MirrorPad": mirror_pad,
    "Pack": lambda w, o: w.pack(o.inputs, o.outputs[0], o.integer("axis")),
    "PadV2": ALIKE["Pad"],
    "RealDiv": plain("Div"),
    "ResizeBicubic": _resize("cubic"),
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "ResourceGather": gather,
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Squeeze": lambda w, o: w.squeeze(o.inputs[0], o.outputs[0], o.integers("squeeze_dims")),
    "StridedSlice": strided_slice,
    "Unpack": lambda w, o: w.unpack(o.inputs[0], o.outputs, o.integer("axis")),
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
        reasons=REASONS,
    )


_ON_SPREAD: Final = {
    "BatchToSpaceND", "Conv2D", "DepthwiseConv2dNative", "ExpandDims", "Squeeze"
}  # fmt: skip
"""Operators that may read a map whose places stand in the batch."""

"""Operators that TensorFlow's graphs and TFLite files have alike: their inputs say all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from archspec.imports.onnx.source import Constant
from archspec.imports.onnx.writing import Unwritten
from archspec.imports.tensorflow.writing import END, Writer


class Operands(Protocol):
    """The names of what an operator reads and gives."""

    @property
    def inputs(self) -> Sequence[str]: ...

    @property
    def outputs(self) -> Sequence[str]: ...


Rule: TypeAlias = Callable[[Writer, Operands], None]
"""Writes an operator."""


def plain(
    op: str, read: Callable[[Any], Mapping[str, Any]] = lambda _: {}, **attributes: Any
) -> Rule:
    """Return the rule of an operator that ONNX has as well.

    Args:
        op: ONNX's name.
        read: Makes ONNX's attributes of the operator's.
        attributes: Attributes that are the same for every operator.
    """

    def write(w: Writer, o: Operands) -> None:
        w.step(op, o.inputs, o.outputs[:1], **attributes, **read(o))

    return write


def _squared(w: Writer, o: Operands) -> None:
    w.step("Mul", [o.inputs[0], o.inputs[0]], o.outputs[:1])


def _squared_difference(w: Writer, o: Operands) -> None:
    difference = w.made("Sub", *o.inputs)
    w.step("Mul", [difference, difference], o.outputs[:1])


def _inverse_root(w: Writer, o: Operands) -> None:
    w.step("Reciprocal", [w.made("Sqrt", o.inputs[0])], o.outputs[:1])


def _expand_dims(w: Writer, o: Operands) -> None:
    w.unsqueeze(o.inputs[0], o.outputs[0], w.wanted(o.inputs[1], "axis")[0])


def _transpose(w: Writer, o: Operands) -> None:
    w.step("Transpose", o.inputs[:1], o.outputs[:1], perm=w.wanted(o.inputs[1], "order"))


def _split(w: Writer, o: Operands) -> None:
    axis, x = o.inputs
    w.split(x, o.outputs, w.wanted(axis, "axis")[0])


def _split_sizes(w: Writer, o: Operands) -> None:
    x, sizes, axis = o.inputs
    w.split(x, o.outputs, w.wanted(axis, "axis")[0], w.wanted(sizes, "sizes"))


def _slice(w: Writer, o: Operands) -> None:
    """Take so many places from a first one on, along each axis; -1 for all that are left."""
    x, begin, size = o.inputs
    pairs = zip(w.wanted(begin, "beginning"), w.wanted(size, "size"), strict=True)
    cuts = [(a, s, END if n < 0 else s + n) for a, (s, n) in enumerate(pairs) if (s, n) != (0, -1)]
    if not cuts:
        w.step("Identity", [x], o.outputs)
        return
    axes, first, stops = zip(*cuts, strict=True)
    w.step("Slice", [x, *map(w.ints, (first, stops, axes))], o.outputs)


def _pad(w: Writer, o: Operands) -> None:
    w.pad(o.inputs[0], o.outputs[0], o.inputs[1], value="".join(o.inputs[2:3]))


def _space_to_batch(w: Writer, o: Operands) -> None:
    w.space_to_batch(o.inputs[0], o.outputs[0], *o.inputs[1:3])


def _batch_to_space(w: Writer, o: Operands) -> None:
    w.batch_to_space(o.inputs[0], o.outputs[0], o.inputs[2])


def _fill(w: Writer, o: Operands) -> None:
    """Repeat a constant number to extents."""
    dims, value = o.inputs
    constant = w.constants.get(value)
    if constant is None or not constant.values:
        raise Unwritten("its value is computed as the network runs")
    one = Constant.of((1,), constant.values[:1], constant.kind)
    w.step("ConstantOfShape", [dims], o.outputs[:1], value=one)


_SAME: Final = """
    Abs Ceil Cos Elu Equal Exp Floor Greater Less Log Neg Pow Range Relu Shape Sin Sqrt Tanh Tile
"""
"""Operators that have the same name in ONNX."""

OPERATORS: Final[Mapping[str, Rule]] = {
    **{op: plain(op) for op in _SAME.split()},
    "AddN": plain("Sum"),
    "BatchToSpaceND": _batch_to_space,
    "BroadcastTo": plain("Expand"),
    "ExpandDims": _expand_dims,
    "Fill": _fill,
    "FloorDiv": plain("Div"),
    "FloorMod": plain("Mod"),
    "GreaterEqual": plain("GreaterOrEqual"),
    "LessEqual": plain("LessOrEqual"),
    "LogSoftmax": plain("LogSoftmax", axis=-1),
    "LogicalAnd": plain("And"),
    "LogicalNot": plain("Not"),
    "LogicalOr": plain("Or"),
    "Maximum": plain("Max"),
    "Minimum": plain("Min"),
    "Pad": _pad,
    "Relu6": plain("Clip", min=0.0, max=6.0),
    "Rsqrt": _inverse_root,
    "Select": plain("Where"),
    "SelectV2": plain("Where"),
    "Slice": _slice,
    "Softmax": plain("Softmax", axis=-1),
    "SpaceToBatchND": _space_to_batch,
    "Split": _split,
    "SplitV": _split_sizes,
    "Square": _squared,
    "SquaredDifference": _squared_difference,
    "Transpose": _transpose,
}
"""The operators, by TensorFlow's names."""

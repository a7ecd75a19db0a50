"""Extents of the outputs of operators that archspec lacks, where the file declares none.

torch's older exporter declares no shapes between layers. Without these rules, all that follows an
operator that archspec does not know would be unknown, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from archspec.imports.onnx.extents import axes_of, common_dims, reduced_dims, reshaped_dims
from archspec.imports.onnx.large_arrays import LARGE
from archspec.imports.onnx.source import Constant, Dims, Step

Rule: TypeAlias = Callable[[Step, Sequence[Any]], Sequence[Any]]
"""Returns the first output's extents from the inputs, of which only constants have values."""


def inferred(step: Step, dims: Sequence[Any], constants: Sequence[Constant | None]) -> Dims | None:
    """Return the extents of a step's first output; None where there is no rule.

    Each input has extents, None where they are not known, and may be a constant.

    Raises:
        CannotFold: The extents of the inputs do not fit each other.
        AttributeError: An input that the rule needs is left out.
        TypeError: The extents of an input that the rule needs are not known.
    """
    rule = RULES.get(step.op)
    if rule is None:
        return None
    inputs = [
        constant or (Constant(own, "float", None, _unread) if name else None)
        for name, own, constant in zip(step.inputs, dims, constants, strict=True)
    ]
    return tuple(rule(step, inputs))


def _unread() -> NoReturn:
    raise NotImplementedError  # of values of the graph the extents alone are known


def _as_of_arrays(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return the extents that the operator gives for arrays."""
    return LARGE[step.op](step, inputs)[0].dims


def _same(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    dims: Sequence[Any] = inputs[0].dims
    return dims


def _common(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return common_dims(*(x.dims for x in inputs))


def _recurrent(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    x, kernel, inner = inputs[:3]
    positions, batch, _ = x.dims
    return positions, kernel.dims[0], batch, inner.dims[-1]


def _reduced(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:
    dims, axes = inputs[0].dims, axes_of(step, inputs)
    if axes is None and "axis" in step.attributes:  # ArgMax
        axes = [step.get("axis", 0)]
    places = range(len(dims)) if axes is None else axes
    return reduced_dims(dims, places, keep=bool(step.get("keepdims", 1)))


def _dense(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:
    x, kernel = inputs[0].dims, inputs[1].dims
    return x[bool(step.get("transA", 0))], kernel[not step.get("transB", 0)]


def _convolved(step: Step, inputs: Sequence[Any]) -> Sequence[Any]:
    x, kernel = inputs[0].dims, inputs[1].dims
    rank = len(kernel) - 2
    if step.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError
    strides, dilations = (step.get(name, []) or [1] * rank for name in ("strides", "dilations"))
    pads = step.get("pads", []) or [0] * (2 * rank)
    window = [(tap - 1) * by + 1 for tap, by in zip(kernel[2:], dilations, strict=True)]
    whole = [n + a + b for n, a, b in zip(x[2:], pads[:rank], pads[rank:], strict=True)]
    places = [(n - w) // by + 1 for n, w, by in zip(whole, window, strides, strict=True)]
    return (x[0], kernel[0], *places)


RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        (
            "Abs", "Acos", "Asin", "Atan", "BitShift", "Cast", "Ceil", "Clip", "Cos", "Cosh",
            "CumSum", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "GroupNormalization",
            "Hardmax", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "IsInf",
            "IsNaN", "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization",
            "LRN", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "ScatterElements",
            "ScatterND", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
            "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "Trilu",
        ),
        _same,
    ),
    **dict.fromkeys(
        (
            "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
            "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where", "Xor",
        ),
        _common,
    ),
    **dict.fromkeys(
        (
            "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
            "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
        ),
        _reduced,
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    "Conv": _convolved,
    **dict.fromkeys(
        ("Concat", "Gather", "MatMul", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
        _as_of_arrays,
    ),
    "Reshape": lambda _, inputs: reshaped_dims(inputs[0].dims, inputs[1].values),
    "Expand": lambda _, inputs: common_dims(inputs[0].dims, inputs[1].values),
    "GatherElements": lambda _, inputs: inputs[1].dims,
    "GridSample": lambda _, inputs: (*inputs[0].dims[:2], *inputs[1].dims[1:-1]),
    "Gemm": _dense,
}  # fmt: skip
"""The rule for each operator; an output that it does not name is as unknown as the layer."""

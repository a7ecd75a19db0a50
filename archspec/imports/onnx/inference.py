"""Extents of the outputs of operators that archspec lacks, where the file declares none.

torch's older exporter declares no shapes between layers. Without these rules, all that follows an
operator that archspec does not know would be unknown, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from archspec.imports.onnx.extents import (
    axes_of,
    common_dims,
    cuts_of,
    reduced_dims,
    reshaped_dims,
    squeezed_dims,
    unsqueezed_dims,
)
from archspec.imports.onnx.source import Constant, Dims, Step

Rule: TypeAlias = Callable[[Step, Sequence[Any], Sequence[Constant | None]], Sequence[Any]]
"""Returns the first output's extents from those of the inputs, and from the constants of them."""


def inferred(
    step: Step, dims: Sequence[Dims | None], constants: Sequence[Constant | None]
) -> Dims | None:
    """Return the extents of a step's first output; None where there is no rule.

    Args:
        step: The step.
        dims: The extents of each input; None where they are not known.
        constants: Each input that is a constant.

    Raises:
        CannotFold: The extents of the inputs do not fit each other.
        TypeError: Those of an input that the rule needs are not known.
    """
    rule = RULES.get(step.op)
    return None if rule is None else tuple(rule(step, dims, constants))


def _same(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return tuple(dims[0])


def _common(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return common_dims(*dims)


def _recurrent(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    positions, batch, _ = dims[0]
    return positions, dims[1][0], batch, dims[2][-1]


def _reduced(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:
    axes = axes_of(step, constants)
    if axes is None and "axis" in step.attributes:  # ArgMax
        axes = [step.get("axis", 0)]
    places = range(len(dims[0])) if axes is None else axes
    return reduced_dims(dims[0], places, keep=bool(step.get("keepdims", 1)))


def _reshaped(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    to: Sequence[Any] = reshaped_dims(dims[0], constants[1].values)
    return to


def _turned(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    order = step.get("perm", []) or list(reversed(range(len(dims[0]))))
    return [dims[0][axis] for axis in order]


def _expanded(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return common_dims(dims[0], constants[1].values)


def _tiled(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return [n * copies for n, copies in zip(dims[0], constants[1].values, strict=True)]


def _gathered(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    axis = step.get("axis", 0) % len(dims[0])
    return (*dims[0][:axis], *dims[1], *dims[0][axis + 1 :])


def _concatenated(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    axis = step.get("axis", 0) % len(dims[0])
    total = sum(each[axis] for each in dims)
    return (*dims[0][:axis], total, *dims[0][axis + 1 :])


def _sliced(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:
    new = list(dims[0])
    for cut in cuts_of(step, constants, dims[0]):
        new[cut.axis] = cut.extent
    return new


def _squeezed(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:
    return squeezed_dims(dims[0], axes_of(step, constants))


def _unsqueezed(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:
    return unsqueezed_dims(dims[0], axes_of(step, constants) or [])


def _multiplied(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    a, b = dims[:2]
    return (*common_dims(a[:-2], b[:-2]), a[-2], b[-1])


def _dense(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    rows = dims[0][1] if step.get("transA", 0) else dims[0][0]
    return (rows, dims[1][0] if step.get("transB", 0) else dims[1][1])


def _convolved(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    x, kernel = dims[:2]
    rank = len(kernel) - 2
    if step.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError
    strides, dilations = (step.get(name, []) or [1] * rank for name in ("strides", "dilations"))
    pads = step.get("pads", []) or [0] * (2 * rank)
    window = [(tap - 1) * by + 1 for tap, by in zip(kernel[2:], dilations, strict=True)]
    whole = [n + a + b for n, a, b in zip(x[2:], pads[:rank], pads[rank:], strict=True)]
    places = [(n - w) // by + 1 for n, w, by in zip(whole, window, strides, strict=True)]
    return (x[0], kernel[0], *places)


def _sampled(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return (*dims[0][:2], *dims[1][1:-1])


def _looked_up(step: Step, dims: Sequence[Any], constants: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001
    return tuple(dims[1])


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
    "Reshape": _reshaped,
    "Transpose": _turned,
    "Expand": _expanded,
    "Tile": _tiled,
    "Gather": _gathered,
    "GatherElements": _looked_up,
    "Concat": _concatenated,
    "Slice": _sliced,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "GridSample": _sampled,
    "MatMul": _multiplied,
    "Gemm": _dense,
}  # fmt: skip
"""The rule for each operator; an output that it does not name is as unknown as the layer."""

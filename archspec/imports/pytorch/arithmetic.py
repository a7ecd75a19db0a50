"""Arithmetic, reductions, activations and constants of ATen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

from archspec.imports.onnx.source import FIXED, MOST_VALUES, Constant
from archspec.imports.pytorch.writing import (
    Arguments,
    Operator,
    Program,
    on_tensors,
    plain,
    with_numbers,
)
from archspec.lazy import np


def _reduced(op: str) -> Operator:
    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        axes = a.get("dim")
        axes = [axes] if isinstance(axes, int) else axes or list(range(p.rank(a["self"])))
        keep = int(bool(a.get("keepdim")))
        p.step(op, [a["self"].name, p.ints(axes)], outputs[:1], keepdims=keep)

    return write


def largest(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the largest value along an axis; where it stands is not known."""
    if any(name in p.read_later for name in outputs[1:]):
        raise ValueError
    _reduced("ReduceMax")(p, a, outputs)


def length(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the root of the sum of squares along axes."""
    if float(a.get("ord", a.get("p")) or 2) != 2:
        raise ValueError
    _reduced("ReduceL2")(p, a, outputs)


def add_product(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    if float(a.get("value") or 1) != 1:
        raise ValueError
    product = p.stepped("Mul", [a["tensor1"].name, a["tensor2"].name])
    p.step("Add", [product, a["self"].name], outputs)


def _arithmetic(op: str, first: str = "self", second: str = "other") -> Operator:
    """Return the function of an operator on two values, of which one may be a number."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        names = [p.operand(a[first]), p.operand(a[second])]
        if a.get("alpha") not in (None, 1, 1.0):
            raise ValueError
        p.step(op, names, outputs)

    return write


def not_equal(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    equal = p.new(outputs[0])
    _arithmetic("Equal")(p, a, [equal])
    p.step("Not", [equal], outputs)


def divide(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a quotient, rounded down where ATen rounds so; other roundings are not known."""
    rounding = a.get("rounding_mode")
    if rounding not in (None, "floor"):
        raise ValueError
    if rounding is None:
        _arithmetic("Div")(p, a, outputs)
        return
    quotient = p.new(outputs[0])
    _arithmetic("Div")(p, a, [quotient])
    p.step("Floor", [quotient], outputs)


def einsum(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Einsum", [each.name for each in a["tensors"]], outputs, equation=str(a["equation"]))


def _softmax(op: str) -> Operator:
    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        p.step(op, [a["self"].name], outputs, axis=int(a["dim"]))

    return write


def clamp(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    low, high = a.get("min", a.get("min_val")), a.get("max", a.get("max_val"))
    limits = {"min": low, "max": high}
    numbers = {key: float(value) for key, value in limits.items() if value is not None}
    p.step("Clip", [a["self"].name], outputs, **numbers)


def gelu(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Gelu", [a["self"].name], outputs, approximate=a.get("approximate") or "none")


def randomized_relu(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the mean slope of a randomized ReLU, which it has when it does not train."""
    if a.get("training"):
        raise ValueError
    slope = (float(a.get("lower", 1 / 8)) + float(a.get("upper", 1 / 3))) / 2
    p.step("LeakyRelu", [a["self"].name], outputs, alpha=slope)


def _filled(number: float | None) -> Operator:
    """Return the function of an operator that makes an array of one number, as zeros are."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        dims = p.dims[outputs[0]]
        value = float(a["fill_value"]) if number is None else number
        if value == 0:
            p.zeros.add(outputs[0])
        if any(not isinstance(n, int) for n in dims):
            raise ValueError
        values = (value,) * prod(dims) if prod(dims) <= MOST_VALUES else None

        def load() -> Any:
            return np.full(dims, value, "float32")

        p.constants[outputs[0]] = Constant(dims, "float", values, load, origin=FIXED)

    return write


def _triangle(upper: int) -> Operator:
    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        diagonal = p.number(int(a.get("diagonal") or 0))
        p.step("Trilu", [a["self"].name, diagonal], outputs, upper=upper)

    return write


def arange(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Keep the numbers from one to another as a constant."""
    start, by = a.get("start") or 0, a.get("step") or 1
    (count,) = p.dims[outputs[0]]
    if not isinstance(count, int) or count > MOST_VALUES:
        raise ValueError
    kind = "int" if isinstance(start, int) and isinstance(by, int) else "float"
    p.constants[outputs[0]] = Constant.of((count,), [start + by * i for i in range(count)], kind)


def cumsum(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("CumSum", [a["self"].name, p.number(int(a["dim"]))], outputs)


def square(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Pow", [a["self"].name, p.number(2.0)], outputs)


def rsqrt(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Reciprocal", [p.stepped("Sqrt", [a["self"].name])], outputs)


def masked_fill(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Where", [a["mask"].name, p.operand(a["value"]), a["self"].name], outputs)


def where(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a choice; a softmax that gives zeros where all its scores are masked is one alone.

    PyTorch writes it out as `where(not any(not (scores == -inf))), zeros, softmax(scores))`.
    """
    makers = {step.outputs[0]: step for step in p.steps if step.outputs}
    name, tests = a["condition"].name, []
    for op in ("Not", "any", "Not", "Equal"):
        step = makers.get(name)
        if step is None or step.op != op:
            p.step("Where", [each.name for each in a.values()], outputs)
            return
        tests.append(step)
        name = step.inputs[0]
    chosen = makers.get(a["other"].name)
    if chosen is None or chosen.op != "Softmax" or chosen.inputs[0] != name:
        raise ValueError
    p.steps[:] = [step for step in p.steps if step not in tests]
    p.step("Identity", [a["other"].name], outputs)


_SAME: Final = """
    Abs Cos Exp Floor HardSwish Mish Neg Reciprocal Relu Selu Sigmoid Sin Softplus Softsign Sqrt
    Tanh
"""
"""Operators that ONNX has too, by its names; ATen's are these in small letters."""

OPERATORS: Final[Mapping[str, Operator]] = {
    **{op.lower(): plain(op) for op in _SAME.split()},
    "mean": _reduced("ReduceMean"),
    "sum": _reduced("ReduceSum"),
    "amax": _reduced("ReduceMax"),
    "max": largest,
    "linalg_vector_norm": length,
    "norm": length,
    "addcmul": add_product,
    "einsum": einsum,
    "add": _arithmetic("Add"),
    "sub": _arithmetic("Sub"),
    "mul": _arithmetic("Mul"),
    "div": divide,
    "floor_divide": lambda p, a, outputs: divide(p, {**a, "rounding_mode": "floor"}, outputs),
    "maximum": _arithmetic("Max"),
    "minimum": _arithmetic("Min"),
    "rsub": _arithmetic("Sub", "other", "self"),
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "_log_softmax": _softmax("LogSoftmax"),
    "relu6": plain("Clip", min=0.0, max=6.0),
    "silu": plain("archspec.Swish"),
    "hardsigmoid": plain("archspec.HardSigmoid"),
    "log_sigmoid": plain("archspec.LogSigmoid"),
    "glu": plain("archspec.Glu"),
    "leaky_relu": with_numbers("LeakyRelu", alpha=("negative_slope", 0.01)),
    "elu": with_numbers("Elu", alpha=("alpha", 1.0)),
    "celu": with_numbers("Celu", alpha=("alpha", 1.0)),
    "gelu": gelu,
    "prelu": on_tensors("PRelu"),
    "hardshrink": with_numbers("Shrink", lambd=("lambd", 0.5)),
    "softshrink": with_numbers("Shrink", lambd=("lambd", 0.5), bias=("lambd", 0.5)),
    "threshold": with_numbers(
        "archspec.Threshold", threshold=("threshold", 0.0), value=("value", 0.0)
    ),
    "rrelu": randomized_relu,
    "hardtanh": lambda p, a, outputs: clamp(p, {"min_val": -1.0, "max_val": 1.0, **a}, outputs),
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), clamp),
    **dict.fromkeys(("zeros", "new_zeros", "zeros_like"), _filled(0.0)),
    **dict.fromkeys(("ones", "new_ones", "ones_like"), _filled(1.0)),
    **dict.fromkeys(("full", "new_full", "full_like"), _filled(None)),
    "eq": _arithmetic("Equal"),
    "ne": not_equal,
    "lt": _arithmetic("Less"),
    "gt": _arithmetic("Greater"),
    "masked_fill": masked_fill,
    "where": where,
    "any": plain("any"),
    **dict.fromkeys(("bitwise_not", "logical_not"), plain("Not")),
    "pow": _arithmetic("Pow", "self", "exponent"),
    "square": square,
    "rsqrt": rsqrt,
    "arange": arange,
    "cumsum": cumsum,
    "triu": _triangle(1),
    "tril": _triangle(0),
}
"""The function of each operator, without its overload and the `_` of those in place."""

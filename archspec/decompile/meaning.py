"""Ops that compute the same, whichever way their arguments are written."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from struct import Struct
from typing import Any

from archspec.element import whole
from archspec.graph.graph import Layer
from archspec.ops.arrangement import Reshape
from archspec.ops.convolution import FullyConnected, TransposedConvolution
from archspec.ops.elementwise import Activate
from archspec.ops.fields import per_axis, per_side
from archspec.ops.functions import FUNCTIONS, Function, Relu
from archspec.ops.merge import AbsoluteDifference, Add, Max, Mean, Min, Multiply
from archspec.ops.op import Op
from archspec.ops.paths import Join
from archspec.ops.pooling import AvgPool
from archspec.ops.shape import Shape
from archspec.ops.windows import Windowed

WINDOWS = frozenset({"kernel", "size", "stride", "dilation", "factor", "output_padding", "by"})
"""Arguments that are one number, or one for each spatial axis."""

SIDES = frozenset({"padding", "amount"})
"""Arguments that are an amount on the sides of the spatial axes, or a word."""


LARGEST = 3e38
"""Largest number that has a place in single precision, about."""

_SINGLE = Struct("f")


def is_commutative(op: object) -> bool:
    """Return whether the order of an op's inputs makes no difference."""
    merges = (Add, Mean, Max, Min, Multiply, AbsoluteDifference)
    return isinstance(op, merges) and not isinstance(op, Join)


def as_kind(op: Op) -> Op:
    """Return an op as one that a spec can write: a reader's own op as the kind that it refines."""
    if op.kind:
        return op
    for base in type(op).__mro__:
        if issubclass(base, Op) and base.kind:
            made: Op = base.parse({name: getattr(op, name) for name in base.model_fields})
            return made
    return op


@lru_cache(maxsize=16_384)
def tidy(op: Op) -> Op:
    """Return the same op with its arguments as short as they can be: 3 for (3, 3)."""
    changes = {}
    op = as_kind(op)
    for name, value in op.model_dump().items():
        short = _short(name, value)
        if short is not value:
            changes[name] = short
    if isinstance(op, Activate) and isinstance(op.function, Function):
        word = op.function.kind
        if op.function == Relu(max=6):
            changes["function"] = "relu6"
        elif op.function == type(op.function)() and word in FUNCTIONS:
            changes["function"] = word
    if "stride" in type(op).model_fields and op.kind.endswith("_pool"):
        stride = changes.get("stride", getattr(op, "stride", None))
        if stride is not None and stride == changes.get("size", getattr(op, "size", None)):
            changes["stride"] = type(op).model_fields["stride"].default
            if changes["stride"] is not None:
                del changes["stride"]
    return op.model_copy(update=changes) if changes else op


def _short(name: str, value: Any) -> Any:
    """Return the shortest way to write an argument: a number, or amounts of windows or sides."""
    if type(value) is float:
        return decimal(value)
    if not isinstance(value, tuple) or not value:
        return value
    if all(type(each) is float for each in value):
        return tuple(map(decimal, value))
    if name in WINDOWS and all(each == value[0] for each in value):
        return value[0]
    if name in SIDES:
        if all(isinstance(each, tuple) and each[0] == each[1] for each in value):
            value = tuple(each[0] for each in value)
        if isinstance(value[0], int) and all(each == value[0] for each in value):
            return "valid" if name == "padding" and value[0] == 0 else value[0]
    return value


def decimal(value: float) -> float:
    """Return the number of fewest digits that is the same in single precision, as layers take it.

    0.075 for 0.07500000000000001, which comes of a product, and 0.17677669 for the root of 1/32.
    """
    if not abs(value) < LARGEST or value.is_integer():
        return value
    (single,) = _SINGLE.unpack(_SINGLE.pack(value))
    for digits in range(1, 10):
        short = float(f"{single:.{digits}g}")
        if _SINGLE.unpack(_SINGLE.pack(short)) == (single,):
            return short
    return value


def meaning_of(layer: Layer) -> Hashable:
    """Return what a layer computes at the shapes of its inputs: equal for equal computations."""
    return meaning(layer.op, layer.inputs)


@lru_cache(maxsize=16_384)
def meaning(op: Op, inputs: tuple[Shape, ...]) -> Hashable:
    """Return what an op computes at these shapes: equal for ops that compute the same."""
    op = tidy(op)
    values = op.model_dump()
    if isinstance(op, Windowed):
        x = inputs[0]
        values |= {
            name: per_axis(values[name], x.rank, name)
            for name in values.keys() & WINDOWS
            if values[name] is not None
        }
        values["stride"] = op.steps(x.rank)
        if not isinstance(op, TransposedConvolution):  # whose padding cuts its output
            values["padding"] = op.mode, tuple(place[1:] for place in op.slides(x))
        if isinstance(op, AvgPool):
            counted = op.counts_zeros and any(map(any, values["padding"][1]))
            values["count_padding"] = counted and per_side(op.padding, x.rank, "padding")  # type: ignore[arg-type]
        values.pop("ceil", None)
    elif isinstance(op, Reshape):
        values["to"] = op.output_shape(inputs[0])
    elif isinstance(op, FullyConnected) and inputs[0].rank < 2:
        del values["each_place"]  # a vector is one place, and a sequence is read place by place
    return type(op), tuple(repr(whole(value)) for value in values.values()), inputs

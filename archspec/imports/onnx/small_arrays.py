"""Operators on a few numbers, without NumPy: what becomes the argument of a Reshape or a Slice.

The numbers may be formulas of open extents.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, product
from math import prod
from typing import Any, Final, TypeAlias

from archspec.imports.onnx.extents import (
    RESHAPING,
    Array,
    CannotFold,
    axes_of,
    common_dims,
    cuts_of,
    filling_of,
    slices_of,
)
from archspec.imports.onnx.source import MOST_VALUES, Step

Small: TypeAlias = Callable[[Step, Sequence[Any]], list[Array]]


def _each(function: Callable[[Any], Any]) -> Small:
    def fold(step: Step, inputs: Sequence[Any]) -> list[Array]:  # noqa: ARG001
        (x,) = inputs
        return [Array(x.dims, [function(item) for item in x.items])]

    return fold


def _strides(dims: Sequence[int]) -> list[int]:
    return [*accumulate(reversed(dims[1:]), operator.mul, initial=1)][::-1] if dims else []


def _taken(x: Array, places: Iterable[Sequence[int]], strides: Sequence[int]) -> list[Any]:
    """Return the items at places along each axis, the last axis changing fastest."""
    axes = [*zip(places, strides, strict=True)]
    if not all(own for own, _ in axes):  # others may have any number
        return []
    # An axis of one place costs nothing for each item: there may be thousands.
    first = sum(own[0] * by for own, by in axes if len(own) == 1)
    moving = [(own, by) for own, by in axes if len(own) > 1]
    steps = [by for _, by in moving]
    at_each = product(*(own for own, _ in moving))
    return [x.items[first + sum(map(operator.mul, at, steps))] for at in at_each]


def _repeated(x: Array, dims: Sequence[int]) -> list[Any]:
    """Return an array's items where its extents of 1 are repeated to those of `dims`."""
    if prod(dims) > MOST_VALUES:
        raise CannotFold
    own = (1,) * (len(dims) - len(x.dims)) + x.dims
    if any(n not in (1, to) for n, to in zip(own, dims, strict=True)):
        raise CannotFold
    steps = [0 if n == 1 else step for n, step in zip(own, _strides(own), strict=True)]
    return _taken(x, map(range, dims), steps)


def _together(function: Callable[..., Any]) -> Small:
    def fold(step: Step, inputs: Sequence[Any]) -> list[Array]:  # noqa: ARG001
        dims = common_dims(*(x.dims for x in inputs))
        columns = [_repeated(x, dims) for x in inputs]
        return [Array(dims, [function(*row) for row in zip(*columns, strict=True)])]

    return fold


def _quotient(a: Any, b: Any) -> Any:
    """Return a / b as ONNX divides: whole numbers towards zero."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a // b


def _pick(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _gather(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x, indices = inputs
    axis = step.get("axis", 0) % len(x.dims)
    before, extent, after = x.dims[:axis], x.dims[axis], x.dims[axis + 1 :]
    if prod(before) * len(indices.items) * prod(after) > MOST_VALUES:
        raise CannotFold
    if prod(before) and any(not -extent <= index < extent for index in indices.items):
        raise CannotFold
    own = [index % extent for index in indices.items] if extent else []
    places = [*map(range, before), own, *map(range, after)]
    return [Array((*before, *indices.dims, *after), _taken(x, places, _strides(x.dims)))]


def _concat(step: Step, inputs: Sequence[Any]) -> list[Array]:
    first = inputs[0]
    axis = step.get("axis", 0) % len(first.dims)
    items: list[Any] = []
    for block in range(prod(first.dims[:axis])):
        for x in inputs:
            run = prod(x.dims[axis:])
            items += x.items[block * run : (block + 1) * run]
    total = sum(x.dims[axis] for x in inputs)
    return [Array((*first.dims[:axis], total, *first.dims[axis + 1 :]), items)]


def _to_shape(rule: Callable[[Step, Sequence[Any]], tuple[Any, ...]]) -> Small:
    return lambda step, inputs: [Array(rule(step, inputs), inputs[0].items)]


def _slice(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x = inputs[0]
    ranges = [range(n) for n in x.dims]
    for cut in cuts_of(step, inputs, x.dims):
        ranges[cut.axis] = range(cut.start, cut.stop, cut.step)
    return [Array(tuple(map(len, ranges)), _taken(x, ranges, _strides(x.dims)))]


def _transpose(step: Step, inputs: Sequence[Any]) -> list[Array]:
    (x,) = inputs
    order = step.get("perm", []) or list(reversed(range(len(x.dims))))
    strides = _strides(x.dims)
    dims = tuple(x.dims[axis] for axis in order)
    items = _taken(x, map(range, dims), [strides[axis] for axis in order])
    return [Array(dims, items)]


def _expand(step: Step, inputs: Sequence[Any]) -> list[Array]:  # noqa: ARG001
    x, to = inputs
    dims = common_dims(x.dims, to.items)
    return [Array(dims, _repeated(x, dims))]


def _range(step: Step, inputs: Sequence[Any]) -> list[Array]:  # noqa: ARG001
    start, stop, by = (x.items[0] for x in inputs)
    count = max(0, math.ceil((stop - start) / by))
    if count > MOST_VALUES:
        raise CannotFold
    return [Array((count,), [start + by * at for at in range(count)])]


def _filled(step: Step, inputs: Sequence[Any]) -> list[Array]:
    (to,) = inputs
    if prod(to.items) > MOST_VALUES:
        raise CannotFold
    return [Array(tuple(to.items), [filling_of(step)] * prod(to.items))]


def _reduced(function: Callable[[list[Any]], Any]) -> Small:
    def fold(step: Step, inputs: Sequence[Any]) -> list[Array]:
        x = inputs[0]
        axes = axes_of(step, inputs)
        if axes is not None and len(axes) < len(x.dims):
            raise CannotFold
        dims = (1,) * len(x.dims) if step.get("keepdims", 1) else ()
        return [Array(dims, [function(x.items)])]

    return fold


def _split(step: Step, inputs: Sequence[Any]) -> list[Array]:
    return [part for cut in slices_of(step, inputs) for part in _slice(cut, inputs[:1])]


def limits_of(step: Step, given: Sequence[Any]) -> list[Any]:
    """Return the least and the greatest value of a Clip; None for no limit.

    Args:
        step: The step, which has them as attributes in older files.
        given: Those that it reads; None for one that is left out.
    """
    limits = [step.attributes.get("min"), step.attributes.get("max")]
    for place, number in enumerate(given):
        if number is not None:
            limits[place] = number
    return limits


def _limited(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x, *rest = inputs
    low, high = limits_of(step, [each and each.items[0] for each in rest])
    items = [n if low is None else max(n, low) for n in x.items]
    return [Array(x.dims, [n if high is None else min(n, high) for n in items])]


def _cast(step: Step, inputs: Sequence[Any]) -> list[Array]:
    (x,) = inputs
    if step.get("to", 1) in (1, 10, 11, 16):
        return [Array(x.dims, [float(n) if isinstance(n, int) else n for n in x.items])]
    return [Array(x.dims, [int(n) if isinstance(n, (float, bool)) else n for n in x.items])]


SMALL: Final[Mapping[str, Small]] = {
    "Identity": _each(lambda x: x),
    "Cast": _cast,
    "Neg": _each(operator.neg),
    "Abs": _each(abs),
    "Floor": _each(lambda x: float(math.floor(x))),
    "Ceil": _each(lambda x: float(math.ceil(x))),
    "Round": _each(lambda x: float(round(x))),
    "Sqrt": _each(math.sqrt),
    "Reciprocal": _each(lambda x: 1 / x),
    "Exp": _each(math.exp),
    "Not": _each(lambda x: not x),
    "Add": _together(operator.add),
    "Sub": _together(operator.sub),
    "Mul": _together(operator.mul),
    "Div": _together(_quotient),
    "Mod": _together(operator.mod),
    "Pow": _together(lambda a, b: a**b if abs(a) < 1e6 and abs(b) < 64 else math.nan),
    "Min": _together(lambda *row: min(row)),
    "Max": _together(lambda *row: max(row)),
    "Clip": _limited,
    "Equal": _together(operator.eq),
    "Less": _together(operator.lt),
    "Greater": _together(operator.gt),
    "LessOrEqual": _together(operator.le),
    "GreaterOrEqual": _together(operator.ge),
    "And": _together(lambda a, b: a and b),
    "Or": _together(lambda a, b: a or b),
    "Where": _together(_pick),
    "Gather": _gather,
    "Concat": _concat,
    **{op: _to_shape(rule) for op, rule in RESHAPING.items()},
    "Slice": _slice,
    "Transpose": _transpose,
    "Expand": _expand,
    "Range": _range,
    "ConstantOfShape": _filled,
    "ReduceProd": _reduced(prod),
    "ReduceSum": _reduced(sum),
    "ReduceMin": _reduced(min),
    "ReduceMax": _reduced(max),
    "Split": _split,
}
"""The rule for small arrays, by operator."""

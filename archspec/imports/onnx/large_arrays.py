"""Operators on arrays of any size: extents are computed now, values when they are asked for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any, Final, TypeAlias

from archspec.errors import UsageError
from archspec.imports.onnx.extents import (
    RESHAPING,
    CannotFold,
    axes_of,
    common_dims,
    cuts_of,
    filling_of,
    flattened_dims,
    reduced_dims,
    slices_of,
)
from archspec.imports.onnx.small_arrays import limits_of
from archspec.imports.onnx.source import FIXED, MALFORMED, Constant, Step
from archspec.lazy import np

_PROMOTING: Final = {"Add", "Div", "Max", "Min", "Mod", "Mul", "Pow", "Sub"}
"""Operators of two numbers of which one may be whole and one real."""


def kind_of(step: Step, given: Sequence[Constant]) -> str:
    """Return the kind of numbers that a step on arrays gives."""
    if step.op == "Cast":
        return "float" if step.get("to", 1) in (1, 10, 11, 16) else "int"
    if step.op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Not"):
        return "int"
    if step.op in ("DequantizeLinear", "QuantizeLinear", "MatMul", "Gemm"):
        return "float"
    if step.op == "ConstantOfShape":
        value = step.attributes.get("value")
        return value.kind if isinstance(value, Constant) else "float"
    if step.op == "Where" and len(given) > 1:
        return given[1].kind
    if step.op in _PROMOTING and any(each.kind == "float" for each in given):
        return "float"  # in ONNX both are of one type, in PyTorch a whole number becomes real
    return given[0].kind


Large: TypeAlias = Callable[[Step, Sequence[Any]], list[Constant]]
"""Returns what a step on arrays gives; of what kind the numbers are, `kind_of` says."""


def changed(x: Constant, dims: Sequence[int], function: Callable[[Any], Any]) -> Constant:
    """Return what follows from a constant; `function` takes and gives NumPy arrays."""
    bare = changed(x.bare, dims, function) if x.bare else None
    dims = tuple(dims)
    return replace(x, dims=dims, values=None, bare=bare, load=lambda: function(x.load()))


def _made(dims: Sequence[int], function: Callable[..., Any], *inputs: Constant) -> list[Constant]:
    """Return what follows from constants; `function` takes and gives NumPy arrays."""
    return [Constant(tuple(dims), "float", None, lambda: function(*(x.load() for x in inputs)))]


def _by_numpy(name: str) -> Callable[..., Any]:
    """Return a function of NumPy, which is imported when it is called."""

    def call(*arguments: Any) -> Any:
        return getattr(np, name)(*arguments)

    return call


def _same(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    return [replace(inputs[0], gain=None, bare=None)]


def _to_shape(rule: Callable[[Step, Sequence[Any]], Sequence[int]]) -> Large:
    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:
        dims = tuple(rule(step, inputs))
        if prod(dims) != inputs[0].size:
            raise CannotFold
        return [changed(inputs[0], dims, lambda array: array.reshape(dims))]

    return fold


def _moved(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    (x,) = inputs
    order = step.get("perm", []) or list(reversed(range(len(x.dims))))
    if sorted(order) != list(range(len(x.dims))):
        raise CannotFold
    return [changed(x, [x.dims[axis] for axis in order], lambda array: array.transpose(order))]


def _repeat(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    x, to = inputs
    dims = common_dims(x.dims, to.values)
    if dims == x.dims:
        return [x]
    if any(not isinstance(n, int) for n in dims) or prod(dims) > 2**31:
        raise CannotFold

    return [changed(x, dims, lambda array: _by_numpy("broadcast_to")(array, dims))]


def _cut(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x = inputs[0]
    dims, index = list(x.dims), [slice(None)] * len(x.dims)
    for cut in cuts_of(step, inputs, x.dims):
        dims[cut.axis] = cut.extent
        backwards = cut.stop < 0
        index[cut.axis] = slice(cut.start, None if backwards else cut.stop, cut.step)
    return [changed(x, dims, lambda array: array[tuple(index)])]


def _parts(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    cuts = slices_of(step, inputs)
    return [part for cut in cuts for part in _cut(cut, inputs[:1])]


def _joined(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    first = inputs[0]
    axis = step.get("axis", 0) % len(first.dims)
    dims = list(first.dims)
    dims[axis] = sum(x.dims[axis] for x in inputs)

    def join(*arrays: Any) -> Any:
        return _by_numpy("concatenate")(arrays, axis)

    return _made(dims, join, *inputs)


def _numpy(name: str) -> Large:
    """Return the rule of an elementwise operation on arrays that may be large."""

    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
        return _made(common_dims(*(x.dims for x in inputs)), _by_numpy(name), *inputs)

    return fold


def _times(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    """Multiply; a factor for each place of the first axis stays apart, as the gain of a kernel."""
    (product,) = _numpy("multiply")(step, inputs)
    for x, gain in (inputs, inputs[::-1]):
        by_filter = len(gain.dims) == len(x.dims) and gain.size == gain.dims[0] == x.dims[0] > 1
        if by_filter and x.size > gain.size and FIXED not in (x.origin, gain.origin):
            return [replace(product, gain=gain, bare=x)]
    return [product]


def _standardized(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    """Norm a constant, as timm does with kernels: along all axes but the second, or its places.

    It stores them as [1, filters, taps], with the gain of each filter as the norm's factor.
    """
    x, gain, offset, mean, variance = (*inputs, None, None, None, None)[:5]
    epsilon = step.get("epsilon", 1e-5)
    own = bool(step.get("training_mode", 0)) or mean is None
    examples = () if step.op == "InstanceNormalization" else (0,)
    axes = (*examples, *range(2, len(x.dims)))
    by_channel = [1, x.dims[1], *[1] * (len(x.dims) - 2)]

    def normed() -> Any:
        array = x.load()
        middle = array.mean(axes, keepdims=True) if own else mean.load().reshape(by_channel)
        spread = array.var(axes, keepdims=True) if own else variance.load().reshape(by_channel)
        return (array - middle) / (spread + epsilon) ** 0.5

    bare = replace(x, values=None, load=normed, is_standardized=True)

    def load() -> Any:
        array = normed() if gain is None else normed() * gain.load().reshape(by_channel)
        return array if offset is None else array + offset.load().reshape(by_channel)

    apart = gain is not None and (offset is None or offset.number == 0) and x.dims[0] == 1
    return [replace(bare, load=load, **({"gain": gain, "bare": bare} if apart else {}))]


def _along(name: str) -> Large:
    """Return the rule of a reduction along some axes."""

    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:
        x = inputs[0]
        rank, keep = len(x.dims), bool(step.get("keepdims", 1))
        axes = tuple(axis % rank for axis in axes_of(step, inputs) or range(rank))
        dims = reduced_dims(x.dims, axes, keep=keep)
        reduced = changed(x, dims, lambda array: getattr(array, name)(axes, keepdims=keep))
        is_mean = name == "mean" and x.origin != FIXED
        return [replace(reduced, gain=None, bare=None, is_standardized=is_mean)]

    return fold


def _length(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    """Return the root of the sum of squares along some axes."""
    (summed,) = _along("sum")(
        step, [changed(inputs[0], inputs[0].dims, lambda x: x * x), *inputs[1:]]
    )
    return [changed(summed, summed.dims, lambda x: x**0.5)]


def _reduced_to(name: str) -> Large:
    """Return the rule of an elementwise operation on any number of arrays."""

    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
        dims = common_dims(*(x.dims for x in inputs))
        return _made(dims, lambda *arrays: reduce(_by_numpy(name), arrays), *inputs)

    return fold


def _looked_up(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, index = inputs
    axis = step.get("axis", 0) % len(x.dims)
    dims = (*x.dims[:axis], *index.dims, *x.dims[axis + 1 :])
    return _made(dims, lambda array, places: array.take(places, axis), x, index)


def _looked_up_at(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, index = inputs
    depth = index.dims[-1]
    if step.get("batch_dims", 0) or depth > len(x.dims):
        raise CannotFold
    dims = (*index.dims[:-1], *x.dims[depth:])
    return _made(dims, lambda array, at: array[tuple(at[..., i] for i in range(depth))], x, index)


def _multiplied(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    a, b, *rest = inputs
    turned = step.op == "Gemm" and bool(step.get("transB", 0))
    if len(a.dims) == 1 or len(b.dims) == 1:
        return _multiplied_by_vector(a, b)
    inner, outer = (b.dims[-1], b.dims[-2]) if turned else (b.dims[-2], b.dims[-1])
    unlike = len(a.dims) < 2 or len(b.dims) < 2 or _differ(a.dims[-1], inner)
    if unlike or {step.get("alpha", 1.0), step.get("beta", 1.0)} != {1.0} or step.get("transA", 0):
        raise CannotFold
    dims = (*common_dims(a.dims[:-2], b.dims[:-2]), a.dims[-2], outer)

    def multiply(a: Any, b: Any, *added: Any) -> Any:
        return sum(added, a @ (b.T if turned else b))

    return _made(dims, multiply, a, b, *filter(None, rest))


def _differ(one: Any, other: Any) -> bool:
    """Whether two extents are unlike whatever is not known of them."""
    return isinstance(one, int) and isinstance(other, int) and one != other


def _multiplied_by_vector(a: Constant, b: Constant) -> list[Constant]:
    """Return the product of two arrays of which one is a vector."""
    one = len(b.dims) == 1
    matrix, vector = (a, b) if one else (b, a)
    inner = matrix.dims[-1] if one or len(matrix.dims) == 1 else matrix.dims[-2]
    if not matrix.dims or not vector.dims or _differ(inner, vector.dims[0]):
        raise CannotFold
    rest = matrix.dims[:-1] if one else (*matrix.dims[:-2], *matrix.dims[-1:])
    return _made(rest if len(matrix.dims) > 1 else (), operator.matmul, a, b)


def _triangle(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, *rest = inputs
    offset = rest[0].values[0] if rest and rest[0] is not None else 0
    word = "triu" if step.get("upper", 1) else "tril"

    return [changed(x, x.dims, lambda array: _by_numpy(word)(array, offset))]


def _positive(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    return _kept_between(inputs[0], 0, None)


def _clipped(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, *rest = inputs
    return _kept_between(x, *limits_of(step, [each and each.values[0] for each in rest]))


def _kept_between(x: Constant, low: Any, high: Any) -> list[Constant]:
    is_open = low is None and high is None
    return _made(x.dims, lambda array: array if is_open else array.clip(low, high), x)


def _logistic(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    (x,) = inputs
    return _made(x.dims, lambda array: 1 / (1 + _by_numpy("exp")(-array)), x)


def _quantized(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    """Return multiples of a scale, none of which is cut off at an end of its type."""
    x, scale, *zero = inputs
    if scale.size != 1:
        raise CannotFold

    def load() -> Any:
        point = zero[0].load() if zero and zero[0] is not None else 0
        with np.errstate(all="ignore"):
            return np.round(x.load() / scale.load()) + np.asarray(point, "float32")

    return [_with_values(Constant(x.dims, "float", None, load))]


def _with_values(constant: Constant) -> Constant:
    """Return a constant with its values, where they are few."""
    if constant.size > MOST_SCALARS:
        return constant
    try:
        values = tuple(constant.load().ravel().tolist())
    except (UsageError, *MALFORMED):  # in another file, or damaged
        return constant
    return replace(constant, values=values)


MOST_SCALARS: Final = 4
"""Largest number of values of a constant that are computed with the graph, as a factor's is."""


def _dequantized(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, scale, *zero = inputs
    axis = step.get("axis", 1)

    def load() -> Any:
        shape = [1] * len(x.dims)
        if scale.size > 1:
            shape[axis % len(x.dims)] = scale.size
        point = (
            np.reshape(zero[0].load(), shape if scale.size > 1 else [1] * len(x.dims))
            if (zero and zero[0] is not None)
            else 0
        )
        values = x.load().astype("float32") - np.asarray(point, "float32")
        return values * np.reshape(scale.load(), shape)

    return [_with_values(Constant(x.dims, "float", None, load))]


def _copied(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    x, copies = inputs

    dims = [n * by for n, by in zip(x.dims, copies.values, strict=True)]
    return [changed(x, dims, lambda array: _by_numpy("tile")(array, copies.values))]


def _summed_up(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, axis = inputs
    if step.get("exclusive", 0) or step.get("reverse", 0):
        raise CannotFold
    return [changed(x, x.dims, lambda array: array.cumsum(int(axis.number)))]


def _scattered(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, places, _ = inputs
    if step.get("reduction", "none") != "none" or places.dims[-1] > len(x.dims):
        raise CannotFold

    def scatter(array: Any, indices: Any, new: Any) -> Any:
        array = array.copy()
        array[tuple(indices[..., axis] for axis in range(indices.shape[-1]))] = new
        return array

    return _made(x.dims, scatter, *inputs)


def _constant_of_shape(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    (to,) = inputs
    dims = tuple(to.values)
    if any(not isinstance(n, int) or n < 0 for n in dims):
        raise CannotFold

    def load() -> Any:
        if prod(dims) > 2**31:
            raise CannotFold
        return _by_numpy("full")(dims, filling_of(step), "float32")

    return [Constant(dims, "float", None, load)]


_OF_NUMPY: Final = """
    Abs Add Ceil Cos Equal Exp Floor Greater Less Reciprocal Sin Sqrt Tanh Where
"""
"""Operators that NumPy has too, by its names in small letters."""

LARGE: Final[Mapping[str, Large]] = {
    **{op: _numpy(op.lower()) for op in _OF_NUMPY.split()},
    "Identity": _same,
    "Cast": _same,
    **{op: _to_shape(rule) for op, rule in RESHAPING.items()},
    "Flatten": _to_shape(lambda step, inputs: flattened_dims(step, inputs[0].dims)),
    "Transpose": _moved,
    "Expand": _repeat,
    "Slice": _cut,
    "Split": _parts,
    "Concat": _joined,
    "Sub": _numpy("subtract"),
    "Mul": _times,
    "Div": _numpy("divide"),
    "Neg": _numpy("negative"),
    "Pow": _numpy("power"),
    "Max": _reduced_to("maximum"),
    "Min": _reduced_to("minimum"),
    "GatherND": _looked_up_at,
    "Relu": _positive,
    "Clip": _clipped,
    "Sigmoid": _logistic,
    "Gather": _looked_up,
    "MatMul": _multiplied,
    "Gemm": _multiplied,
    "BatchNormalization": _standardized,
    "InstanceNormalization": _standardized,
    "ReduceMean": _along("mean"),
    "ReduceL2": _length,
    "ReduceSum": _along("sum"),
    "ReduceMax": _along("max"),
    "DequantizeLinear": _dequantized,
    "QuantizeLinear": _quantized,
    "ConstantOfShape": _constant_of_shape,
    "Tile": _copied,
    "CumSum": _summed_up,
    "Trilu": _triangle,
    "ScatterND": _scattered,
    "Not": _numpy("logical_not"),
}
"""The rule for arrays of any size, by operator."""

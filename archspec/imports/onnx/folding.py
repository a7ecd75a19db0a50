"""Steps on constants, and on shapes: computed while the file is read.

Exporters spell shapes out: Shape, Gather, Mul and Concat give what Reshape takes. Those are lists
of a few whole numbers, or formulas where an extent is open, and are computed here without NumPy.
Of a large array only the extents are computed; its values are when they are asked for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.errors import Problem, UsageError
from archspec.imports.onnx.source import (
    COMPUTED,
    FIXED,
    FROZEN,
    MALFORMED,
    MOST_VALUES,
    STORED,
    Constant,
    Step,
)


class Array(NamedTuple):
    """Few numbers, the last axis changing fastest."""

    dims: tuple[int, ...]
    items: list[Any]


class CannotFold(Exception):  # noqa: N818  (no error: the step is shown as a layer)
    """A step is not computed: no rule, other operands than it takes, or too many values."""


def folded(step: Step, inputs: Sequence[Constant | None]) -> list[Constant]:
    """Return the constants that a step on constants gives.

    Raises:
        CannotFold: It is not computed.
    """
    given = [each for each in inputs if each is not None]
    kind = _kind(step, given)
    small = all(each.values is not None for each in given)
    arrays: list[Array] = []
    if small and step.op in SMALL and all(each.size <= MOST_VALUES for each in given):
        arrays = _computed(step, inputs)
    if arrays:
        made = [Constant.of(result.dims, result.items, kind) for result in arrays]
    elif step.op in LARGE:
        try:
            made = LARGE[step.op](step, inputs)
        except MALFORMED:
            raise CannotFold from None
        if step.op == "Cast" or step.op in _PROMOTING:
            made = [replace(each, kind=kind) for each in made]
    else:
        raise CannotFold
    return [_derived(step, each, given, number) for number, each in enumerate(made)]


def _computed(step: Step, inputs: Sequence[Constant | None]) -> list[Array]:
    """Return the small arrays that a step on small ones gives; none where they are not small."""
    arrays = [each and Array(each.dims, list(each.values or ())) for each in inputs]
    try:
        results = SMALL[step.op](step, arrays)
    except (CannotFold, *MALFORMED, Problem):
        return []
    sizes = [len(result.items) for result in results]
    fits = sizes == [prod(result.dims) for result in results]
    return results if fits and max(sizes, default=0) <= MOST_VALUES else []


def _derived(step: Step, made: Constant, given: Sequence[Constant], number: int) -> Constant:
    """Return the result of a step with what is known of the arrays from which it follows.

    Args:
        step: The step.
        made: One of its results.
        given: What it reads.
        number: Number of the result among those of the step.
    """
    learned = [each for each in given if each.origin != FIXED and each.size > 1]
    if step.op in _ROUNDING:  # stored as whole numbers, which stand for others
        learned = [*given[:1]]
    else:
        learned = learned or [each for each in given if each.origin != FIXED]
    if not given:
        return made
    sources = sorted(learned or given, key=lambda each: each.size, reverse=True)
    sources += [each for each in given if each not in sources and each.kind == "float"]
    names = dict.fromkeys(name for each in sources for name in (each.name, *each.others) if name)
    name, *others = names or ("",)
    count = sum(each.count for each in learned or given if each.kind == "float" or learned)
    part = sources[0].part
    if step.op in ("Slice", "Split"):
        count = min(count, made.size)
        if made.size < sources[0].size:
            bounds = [each.values for each in given[1:]]
            part += f"{step.op}{bounds}{step.attributes.get('axis')}{number}"
    if not learned:
        origin = FIXED
    elif step.op in _ROUNDING or (
        count == made.size and all(each.origin in (STORED, FROZEN) for each in learned)
    ):
        origin = FROZEN if {each.origin for each in learned} == {FROZEN} else STORED
    else:
        origin = COMPUTED
    return replace(
        made,
        name=name,
        count=count,
        origin=origin,
        others=tuple(others),
        part=part,
        is_standardized=made.is_standardized or any(each.is_standardized for each in given),
    )


_PROMOTING: Final = {"Add", "Div", "Max", "Min", "Mod", "Mul", "Pow", "Sub"}
"""Operators of two numbers of which one may be whole and one real."""

_ROUNDING: Final = {"DequantizeLinear", "QuantizeLinear"}
"""Operators between real numbers and the whole ones that stand for them."""


def _kind(step: Step, given: Sequence[Constant]) -> str:
    if step.op == "Cast":
        return "float" if step.get("to", 1) in (1, 10, 11, 16) else "int"
    if step.op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Not"):
        return "int"
    if step.op == "DequantizeLinear":
        return "float"
    if step.op == "ConstantOfShape":
        value = step.attributes.get("value")
        return value.kind if isinstance(value, Constant) else "float"
    if step.op == "Where" and len(given) > 1:
        return given[1].kind
    if step.op in _PROMOTING and any(each.kind == "float" for each in given):
        return "float"  # in ONNX both are of one type, in PyTorch a whole number becomes real
    return given[0].kind if given else "int"


# Small arrays.

Small: TypeAlias = Callable[[Step, Sequence[Any]], list[Array]]


def _each(function: Callable[[Any], Any]) -> Small:
    def fold(step: Step, inputs: Sequence[Any]) -> list[Array]:  # noqa: ARG001
        (x,) = inputs
        return [Array(x.dims, [function(item) for item in x.items])]

    return fold


def _strides(dims: Sequence[int]) -> list[int]:
    return [prod(dims[at + 1 :]) for at in range(len(dims))]


def _repeated(x: Array, dims: Sequence[int]) -> list[Any]:
    """Return an array's items where its extents of 1 are repeated to those of `dims`."""
    if prod(dims) > MOST_VALUES:
        raise CannotFold
    own = (1,) * (len(dims) - len(x.dims)) + x.dims
    if any(n not in (1, to) for n, to in zip(own, dims, strict=True)):
        raise CannotFold
    steps = [0 if n == 1 else step for n, step in zip(own, _strides(own), strict=True)]
    return [x.items[sum(map(operator.mul, place, steps))] for place in product(*map(range, dims))]


def common_dims(*shapes: Sequence[Any]) -> tuple[Any, ...]:
    """Return the extents that arrays are repeated to in an elementwise operation."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in shapes]
    common = []
    for axis in zip(*padded, strict=True):
        wide = [n for n in axis if not (isinstance(n, int) and n == 1)]
        if any(n != wide[0] for n in wide):
            raise CannotFold
        common.append(wide[0] if wide else 1)
    return tuple(common)


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


def axes_of(step: Step, inputs: Sequence[Any]) -> list[int] | None:
    """Return the axes that a step names, in an attribute or, since opset 13, in an input."""
    if "axes" in step.attributes:
        return [int(axis) for axis in step.attributes["axes"]]
    if len(inputs) > 1 and (given := inputs[1]) is not None:
        return [int(axis) for axis in (given.items if isinstance(given, Array) else given.values)]
    return None


def _gather(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x, indices = inputs
    axis = step.get("axis", 0) % len(x.dims)
    outer, extent, inner = prod(x.dims[:axis]), x.dims[axis], prod(x.dims[axis + 1 :])
    if outer * len(indices.items) * inner > MOST_VALUES:
        raise CannotFold
    items = []
    for block in range(outer):
        for index in indices.items:
            if not -extent <= index < extent:
                raise CannotFold
            start = (block * extent + index % extent) * inner
            items += x.items[start : start + inner]
    return [Array((*x.dims[:axis], *indices.dims, *x.dims[axis + 1 :]), items)]


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


def _reshape(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x, to = inputs
    return [Array(reshaped_dims(x.dims, to.items, step.get("allowzero", 0) == 1), x.items)]


def reshaped_dims(dims: Sequence[Any], to: Sequence[Any], keep_zeros: bool = False) -> Any:
    """Return the extents that Reshape gives: 0 copies one, and -1 takes what is left."""
    new = [
        dims[at] if isinstance(n, int) and n == 0 and not keep_zeros else n
        for at, n in enumerate(to)
    ]
    free = [at for at, n in enumerate(new) if isinstance(n, int) and n == -1]
    if len(free) > 1:
        raise CannotFold
    if free:
        known = prod([n for n in new if not (isinstance(n, int) and n == -1)])
        new[free[0]] = _exactly(dims, known)
    return tuple(new)


def _exactly(dims: Sequence[Any], known: Any) -> Any:
    """Return how often `known` goes into the product of `dims`."""
    total: Any = prod(dims)
    if isinstance(total, int) and isinstance(known, int):
        if not known or total % known:
            raise CannotFold
        return total // known
    # With open extents: what both products have is left out of both.
    rest = list(dims)
    if not isinstance(known, int) and known in rest:
        rest.remove(known)
        return prod(rest)
    if isinstance(known, int) and known:
        return total // known
    for extent in dims:
        if not isinstance(extent, int):
            rest = [n for n in dims if n is not extent]
            unit = known // 1 if isinstance(known, int) else None
            for factor in range(1, 4097) if unit is None else ():
                if known == extent * factor and prod(rest) % factor == 0:
                    return prod(rest) // factor
    raise CannotFold


def unsqueezed_dims(dims: Sequence[Any], axes: Sequence[int], new: Any = 1) -> tuple[Any, ...]:
    """Return what an input has for each axis, with `new` put in at axes of the result."""
    rank = len(dims) + len(axes)
    places = {axis % rank for axis in axes}
    if len(places) < len(axes):
        raise ValueError("an axis is put in twice")
    rest = iter(dims)
    return tuple(new if at in places else next(rest) for at in range(rank))


def squeezed_dims(dims: Sequence[Any], axes: Sequence[int] | None) -> tuple[Any, ...]:
    """Return extents without the axes, or without those of 1 where none are named."""
    if axes is None:
        return tuple(n for n in dims if not (isinstance(n, int) and n == 1))
    places = {axis % len(dims) for axis in axes}
    return tuple(n for at, n in enumerate(dims) if at not in places)


def reduced_dims(dims: Sequence[Any], axes: Sequence[int], *, keep: bool) -> tuple[Any, ...]:
    """Return extents with 1 along the axes, or without them unless they are kept."""
    places = {axis % len(dims) for axis in axes}
    return tuple(1 if at in places else n for at, n in enumerate(dims) if keep or at not in places)


def _unsqueeze(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x = inputs[0]
    return [Array(unsqueezed_dims(x.dims, axes_of(step, inputs) or []), x.items)]


def _squeeze(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x = inputs[0]
    return [Array(squeezed_dims(x.dims, axes_of(step, inputs)), x.items)]


class Cut(NamedTuple):
    """The values that Slice takes along an axis."""

    axis: int
    start: int
    stop: int
    step: int

    @property
    def extent(self) -> int:
        return len(range(self.start, self.stop, self.step))


def cuts_of(step: Step, inputs: Sequence[Any], dims: Sequence[Any]) -> list[Cut]:
    """Return what Slice takes along each axis that it names, for an input of these extents."""

    def listed(name: str, place: int) -> list[Any] | None:
        if name in step.attributes:
            return list(step.attributes[name])
        if len(inputs) > place and inputs[place] is not None:
            given = inputs[place]
            return list(given.items if isinstance(given, Array) else given.values)
        return None

    starts, stops = listed("starts", 1), listed("ends", 2)
    if starts is None or stops is None:
        raise CannotFold
    axes = listed("axes", 3)
    if axes is None:
        axes = list(range(len(starts)))
    steps = listed("steps", 4) or [1] * len(starts)
    cuts = []
    for start, stop, axis, by in zip(starts, stops, axes, steps, strict=True):
        place = axis % len(dims)
        extent = dims[place]
        if not isinstance(extent, int):
            whole = isinstance(stop, int) and stop >= 2**31 - 1
            if start == 0 and by == 1 and (whole or stop == extent):
                continue
            raise CannotFold
        cuts.append(Cut(place, *slice(start, stop, by).indices(extent)))
    return cuts


def _slice(step: Step, inputs: Sequence[Any]) -> list[Array]:
    x = inputs[0]
    ranges = [range(n) for n in x.dims]
    for cut in cuts_of(step, inputs, x.dims):
        ranges[cut.axis] = range(cut.start, cut.stop, cut.step)
    strides = _strides(x.dims)
    items = [x.items[sum(map(operator.mul, place, strides))] for place in product(*ranges)]
    return [Array(tuple(map(len, ranges)), items)]


def _transpose(step: Step, inputs: Sequence[Any]) -> list[Array]:
    (x,) = inputs
    order = step.get("perm", []) or list(reversed(range(len(x.dims))))
    strides = _strides(x.dims)
    dims = tuple(x.dims[axis] for axis in order)
    steps = [strides[axis] for axis in order]
    items = [x.items[sum(map(operator.mul, at, steps))] for at in product(*map(range, dims))]
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
    value = step.attributes.get("value")
    number = value.values[0] if isinstance(value, Constant) and value.values else 0.0
    if prod(to.items) > MOST_VALUES:
        raise CannotFold
    return [Array(tuple(to.items), [number] * prod(to.items))]


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
    x = inputs[0]
    axis = step.get("axis", 0) % len(x.dims)
    parts = split_sizes(step, inputs[1] if len(inputs) > 1 else None, x.dims[axis])
    results, start = [], 0
    for size in parts:
        cut = Step("Slice", "", (), (), {"starts": [start], "ends": [start + size], "axes": [axis]})
        results += _slice(cut, [x])
        start += size
    return results


def split_sizes(step: Step, given: Any, extent: int) -> list[int]:
    """Return the extents of the parts that Split gives."""
    if "split" in step.attributes:
        return [int(n) for n in step.attributes["split"]]
    if given is not None:
        return [int(n) for n in (given.items if isinstance(given, Array) else given.values)]
    count = step.get("num_outputs", 0) or len(step.outputs)
    size = -(-extent // count)
    return [min(size, extent - size * at) for at in range(count)]


def _limits(step: Step, given: Sequence[Any]) -> list[Any]:
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
    low, high = _limits(step, [each and each.items[0] for each in rest])
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
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
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


# Large arrays: extents now, values when they are asked for.

Large: TypeAlias = Callable[[Step, Sequence[Any]], list[Constant]]


def changed(x: Constant, dims: Sequence[int], function: Callable[[Any], Any]) -> Constant:
    """Return what follows from a constant; `function` takes and gives NumPy arrays."""
    bare = changed(x.bare, dims, function) if x.bare else None
    dims = tuple(dims)
    return replace(x, dims=dims, values=None, bare=bare, load=lambda: function(x.load()))


def _same(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x = inputs[0]
    return [Constant(x.dims, _kind(step, [x]), x.values, x.load, x.name, x.count)]


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

    def repeated(array: Any) -> Any:
        import numpy as np  # noqa: PLC0415

        return np.broadcast_to(array, dims)

    return [changed(x, dims, repeated)]


def _cut(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x = inputs[0]
    dims, index = list(x.dims), [slice(None)] * len(x.dims)
    for cut in cuts_of(step, inputs, x.dims):
        dims[cut.axis] = cut.extent
        backwards = cut.stop < 0
        index[cut.axis] = slice(cut.start, None if backwards else cut.stop, cut.step)
    return [changed(x, dims, lambda array: array[tuple(index)])]


def _parts(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x = inputs[0]
    axis = step.get("axis", 0) % len(x.dims)
    results, start = [], 0
    for size in split_sizes(step, inputs[1] if len(inputs) > 1 else None, x.dims[axis]):
        cut = Step("Slice", "", (), (), {"starts": [start], "ends": [start + size], "axes": [axis]})
        results += _cut(cut, [x])
        start += size
    return results


def _joined(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    first = inputs[0]
    axis = step.get("axis", 0) % len(first.dims)
    dims = list(first.dims)
    dims[axis] = sum(x.dims[axis] for x in inputs)

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return np.concatenate([x.load() for x in inputs], axis)

    return [Constant(tuple(dims), first.kind, None, load)]


def _numpy(name: str) -> Large:
    """Return the rule of an elementwise operation on arrays that may be large."""

    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
        dims = common_dims(*(x.dims for x in inputs))

        def load() -> Any:
            import numpy as np  # noqa: PLC0415

            return getattr(np, name)(*(x.load() for x in inputs))

        return [Constant(dims, inputs[-1].kind, None, load)]

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

        def load() -> Any:
            import numpy as np  # noqa: PLC0415

            return reduce(getattr(np, name), [x.load() for x in inputs])

        return [Constant(dims, inputs[-1].kind, None, load)]

    return fold


def _looked_up(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, index = inputs
    axis = step.get("axis", 0) % len(x.dims)
    dims = (*x.dims[:axis], *index.dims, *x.dims[axis + 1 :])

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return np.take(x.load(), index.load(), axis)

    return [Constant(dims, x.kind, None, load)]


def _looked_up_at(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, index = inputs
    depth = index.dims[-1]
    if step.get("batch_dims", 0) or depth > len(x.dims):
        raise CannotFold

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return x.load()[tuple(np.moveaxis(index.load(), -1, 0))]

    return [Constant((*index.dims[:-1], *x.dims[depth:]), x.kind, None, load)]


def _multiplied(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    a, b, *rest = inputs
    turned = step.op == "Gemm" and bool(step.get("transB", 0))
    if len(a.dims) == 1 or len(b.dims) == 1:
        return _multiplied_by_vector(a, b)
    inner, outer = (b.dims[-1], b.dims[-2]) if turned else (b.dims[-2], b.dims[-1])
    unlike = len(a.dims) < 2 or len(b.dims) < 2 or a.dims[-1] != inner
    if unlike or {step.get("alpha", 1.0), step.get("beta", 1.0)} != {1.0} or step.get("transA", 0):
        raise CannotFold
    dims = (*common_dims(a.dims[:-2], b.dims[:-2]), a.dims[-2], outer)

    def load() -> Any:
        product = a.load() @ (b.load().T if turned else b.load())
        return product + rest[0].load() if rest and rest[0] is not None else product

    return [Constant(dims, "float", None, load)]


def _multiplied_by_vector(a: Constant, b: Constant) -> list[Constant]:
    """Return the product of two arrays of which one is a vector."""
    one = len(b.dims) == 1
    matrix, vector = (a, b) if one else (b, a)
    inner = matrix.dims[-1] if one or len(matrix.dims) == 1 else matrix.dims[-2]
    if not matrix.dims or not vector.dims or inner != vector.dims[0]:
        raise CannotFold
    rest = matrix.dims[:-1] if one else (*matrix.dims[:-2], *matrix.dims[-1:])
    return [
        Constant(rest if len(matrix.dims) > 1 else (), "float", None, lambda: a.load() @ b.load())
    ]


def _triangle(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, *rest = inputs
    offset = rest[0].values[0] if rest and rest[0] is not None else 0
    word = "triu" if step.get("upper", 1) else "tril"

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return getattr(np, word)(x.load(), offset)

    return [changed(x, x.dims, lambda _: load())]


def _positive(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    return [_kept_between(inputs[0], 0, None)]


def _clipped(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, *rest = inputs
    return [_kept_between(x, *_limits(step, [each and each.values[0] for each in rest]))]


def _kept_between(x: Constant, low: Any, high: Any) -> Constant:
    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return x.load() if low is None and high is None else np.clip(x.load(), low, high)

    return Constant(x.dims, x.kind, None, load)


def _logistic(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return 1 / (1 + np.exp(-inputs[0].load()))

    return [Constant(inputs[0].dims, inputs[0].kind, None, load)]


def _quantized(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    """Return multiples of a scale, none of which is cut off at an end of its type."""
    x, scale, *zero = inputs
    if scale.size != 1:
        raise CannotFold

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        point = zero[0].load() if zero and zero[0] is not None else 0
        with np.errstate(all="ignore"):
            return np.round(x.load() / scale.load()) + np.asarray(point, "float32")

    return [_with_values(Constant(x.dims, "float", None, load, x.name, x.count))]


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
        import numpy as np  # noqa: PLC0415

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

    return [_with_values(Constant(x.dims, "float", None, load, x.name, x.count))]


def _copied(step: Step, inputs: Sequence[Any]) -> list[Constant]:  # noqa: ARG001
    x, copies = inputs

    def repeated(array: Any) -> Any:
        import numpy as np  # noqa: PLC0415

        return np.tile(array, copies.values)

    dims = [n * by for n, by in zip(x.dims, copies.values, strict=True)]
    return [changed(x, dims, repeated)]


def _summed_up(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, axis = inputs
    if step.get("exclusive", 0) or step.get("reverse", 0):
        raise CannotFold
    return [changed(x, x.dims, lambda array: array.cumsum(int(axis.number)))]


def _scattered(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    x, places, updates = inputs
    if step.get("reduction", "none") != "none" or places.dims[-1] > len(x.dims):
        raise CannotFold

    def load() -> Any:
        array = x.load().copy()
        indices = places.load()
        array[tuple(indices[..., axis] for axis in range(indices.shape[-1]))] = updates.load()
        return array

    return [Constant(x.dims, x.kind, None, load)]


def _truth(name: str) -> Large:
    """Return the rule of a comparison of arrays that may be large."""

    def fold(step: Step, inputs: Sequence[Any]) -> list[Constant]:
        return [replace(each, kind="int") for each in _numpy(name)(step, inputs)]

    return fold


def _constant_of_shape(step: Step, inputs: Sequence[Any]) -> list[Constant]:
    (to,) = inputs
    dims = tuple(to.values)
    value = step.attributes.get("value")
    number = value.values[0] if isinstance(value, Constant) and value.values else 0.0
    if any(not isinstance(n, int) or n < 0 for n in dims):
        raise CannotFold

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        if prod(dims) > 2**31:
            raise CannotFold
        return np.full(dims, number, "float32")

    kind = value.kind if isinstance(value, Constant) else "float"
    return [Constant(dims, kind, None, load, "", prod(dims))]


LARGE: Final[Mapping[str, Large]] = {
    "Identity": _same,
    "Cast": _same,
    "Reshape": _to_shape(
        lambda step, inputs: reshaped_dims(
            inputs[0].dims, inputs[1].values, step.get("allowzero", 0) == 1
        )
    ),
    "Flatten": _to_shape(
        lambda step, inputs: (
            prod(inputs[0].dims[: step.get("axis", 1)]),
            prod(inputs[0].dims[step.get("axis", 1) :]),
        )
    ),
    "Squeeze": _to_shape(lambda step, inputs: squeezed_dims(inputs[0].dims, axes_of(step, inputs))),
    "Unsqueeze": _to_shape(
        lambda step, inputs: unsqueezed_dims(inputs[0].dims, axes_of(step, inputs) or [])
    ),
    "Transpose": _moved,
    "Expand": _repeat,
    "Slice": _cut,
    "Split": _parts,
    "Concat": _joined,
    "Add": _numpy("add"),
    "Sub": _numpy("subtract"),
    "Mul": _times,
    "Div": _numpy("divide"),
    "Sqrt": _numpy("sqrt"),
    "Reciprocal": _numpy("reciprocal"),
    "Floor": _numpy("floor"),
    "Ceil": _numpy("ceil"),
    "Neg": _numpy("negative"),
    "Exp": _numpy("exp"),
    "Sin": _numpy("sin"),
    "Cos": _numpy("cos"),
    "Tanh": _numpy("tanh"),
    "Abs": _numpy("abs"),
    "Pow": _numpy("power"),
    "Max": _reduced_to("maximum"),
    "Min": _reduced_to("minimum"),
    "Where": _numpy("where"),
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
    "Equal": _truth("equal"),
    "Less": _truth("less"),
    "Greater": _truth("greater"),
    "Not": _truth("logical_not"),
}
"""The rule for arrays of any size, by operator."""

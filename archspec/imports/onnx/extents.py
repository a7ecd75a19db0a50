"""Extents that operators give, for arrays and for values of the graph alike.

Extents are whole numbers, or formulas where an input is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Any, Final, NamedTuple

from archspec.imports.onnx.source import Constant, Step


class Array(NamedTuple):
    """Few numbers, the last axis changing fastest."""

    dims: tuple[int, ...]
    items: list[Any]


class CannotFold(Exception):  # noqa: N818  (no error: the step is shown as a layer)
    """A step is not computed: no rule, other operands than it takes, or too many values."""


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


def _values(given: Any) -> Sequence[Any]:
    return given.items if isinstance(given, Array) else given.values


def _listed(step: Step, name: str, inputs: Sequence[Any], place: int) -> list[Any] | None:
    """Return what a step has in an attribute or, in newer files, in an input; None without."""
    if name in step.attributes:
        return list(step.attributes[name])
    given = inputs[place] if place < len(inputs) else None
    return None if given is None else list(_values(given))


def axes_of(step: Step, inputs: Sequence[Any]) -> list[int] | None:
    """Return the axes that a step names, in an attribute or, since opset 13, in an input."""
    axes = _listed(step, "axes", inputs, 1)
    return None if axes is None else [int(axis) for axis in axes]


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


def flattened_dims(step: Step, dims: Sequence[Any]) -> tuple[Any, Any]:
    """Return the extents that Flatten gives."""
    axis = step.get("axis", 1)
    return prod(dims[:axis]), prod(dims[axis:])


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


RESHAPING: Final[Mapping[str, Callable[[Step, Sequence[Any]], tuple[Any, ...]]]] = {
    "Reshape": lambda step, inputs: reshaped_dims(
        inputs[0].dims, _values(inputs[1]), step.get("allowzero", 0) == 1
    ),
    "Squeeze": lambda step, inputs: squeezed_dims(inputs[0].dims, axes_of(step, inputs)),
    "Unsqueeze": lambda step, inputs: unsqueezed_dims(inputs[0].dims, axes_of(step, inputs) or []),
}
"""The extents that operators give an array, which keeps its values, from their inputs."""


def reduced_dims(dims: Sequence[Any], axes: Sequence[int], *, keep: bool) -> tuple[Any, ...]:
    """Return extents with 1 along the axes, or without them unless they are kept."""
    places = {axis % len(dims) for axis in axes}
    return tuple(1 if at in places else n for at, n in enumerate(dims) if keep or at not in places)


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
    starts, stops = _listed(step, "starts", inputs, 1), _listed(step, "ends", inputs, 2)
    if starts is None or stops is None:
        raise CannotFold
    axes = _listed(step, "axes", inputs, 3)
    if axes is None:
        axes = list(range(len(starts)))
    steps = _listed(step, "steps", inputs, 4) or [1] * len(starts)
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


def split_sizes(step: Step, inputs: Sequence[Any], extent: int) -> list[int]:
    """Return the extents of the parts that Split gives."""
    sizes = _listed(step, "split", inputs, 1)
    if sizes is not None:
        return [int(n) for n in sizes]
    count = step.get("num_outputs", 0) or len(step.outputs)
    size = -(-extent // count)
    return [min(size, extent - size * at) for at in range(count)]


def slices_of(step: Step, inputs: Sequence[Any]) -> list[Step]:
    """Return the Slices of its first input that a Split is."""
    dims = inputs[0].dims
    axis = step.get("axis", 0) % len(dims)
    sizes = split_sizes(step, inputs, dims[axis])
    stops = accumulate(sizes)
    return [
        Step("Slice", "", (), (), {"starts": [stop - size], "ends": [stop], "axes": [axis]})
        for size, stop in zip(sizes, stops, strict=True)
    ]


def filling_of(step: Step) -> Any:
    """Return the number that ConstantOfShape fills an array with."""
    value = step.attributes.get("value")
    return value.values[0] if isinstance(value, Constant) and value.values else 0.0

"""Numbers of steps that follow from the shape of what they read, as `=in.channels * 6`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod
from typing import Any, Final, TypeAlias

from archspec.ops.axes import names_of_axes
from archspec.ops.shape import Shape

CHANNELS: Final = frozenset({"filters", "units", "groups", "heads"})
"""Arguments that are a number of channels, and follow from no other extent."""

LARGEST_SHARE: Final = 8
"""Largest denominator of a share such as 3/4, whose numerator is not 1."""

Way: TypeAlias = tuple[int, str]
"""The amount that there is to read in an expression, and its text."""


def ways_from_shapes(
    name: str,
    values: Sequence[Any],
    shapes: Sequence[Shape | None],
    of: str,
    *,
    equal: bool = False,
) -> list[Way]:
    """Return the ways in which whole numbers follow from shapes; none where they do not.

    Args:
        name: The argument, or the axis, that the numbers are.
        values: The numbers.
        shapes: The shape that each may follow from.
        of: What the shapes are: `in`, or `input`.
        equal: Whether they must be an extent itself.
    """
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(values) or len({len(shape) for shape in known}) > 1:
        return []
    numbers = [number for each in (values, *known) for number in each]
    if not all(type(number) is int and number > 0 for number in numbers):  # some may be open
        return []
    axes = names_of_axes(known[0])
    ways: list[Way] = []
    for at, axis in enumerate(axes):
        if name in CHANNELS and axis != "channels":
            continue
        extents = [shape[at] for shape in known]
        for cost, text in _shares(values, extents):
            if not (equal and cost):
                ways.append((2 * cost + 4 * (axis != name) + equal, f"{of}.{axis}{text}"))
    if not equal and name not in CHANNELS:
        ways += _products(values, known, axes, of)
    return ways


def _shares(values: Sequence[int], extents: Sequence[int]) -> Iterator[Way]:
    """Yield the ways in which numbers are multiples or shares of extents."""
    common = gcd(values[0], extents[0])
    above, below = values[0] // common, extents[0] // common
    if any(value * below != extent * above for value, extent in zip(values, extents, strict=True)):
        return
    if above == below:
        yield 0, ""
    elif below == 1:
        yield 1, f" * {above}"
    elif above == 1:
        yield 1, f" // {below}"
    elif max(above, below) <= LARGEST_SHARE:
        yield 4, f" * {above} // {below}"


def _products(
    values: Sequence[int], shapes: Sequence[Shape], axes: Sequence[str], of: str
) -> Iterator[Way]:
    """Yield the ways in which numbers are products of extents of neighbouring axes."""
    for start in range(len(axes)):
        for stop in range(start + 2, len(axes) + 1):
            if [*values] == [prod(shape[start:stop]) for shape in shapes]:
                yield 6, " * ".join(f"{of}.{axis}" for axis in axes[start:stop])

"""Input and output of a rule: an op at its place in the network, and the call that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from archspec.ejection.recording import Construction, call
from archspec.ops.axes import place_of_axis
from archspec.ops.shape import Shape

FIRST: Final = "first"
"""The layout with the channels before the spatial axes."""

LAST: Final = "last"
"""The layout with the channels after the spatial axes."""


class Place(NamedTuple):
    """An op's node with its shapes, and whether its input has the channels first or last."""

    op: Any
    x: Shape
    inputs: tuple[Shape, ...]
    y: Shape
    layout: str

    def axis(self, place: int) -> int:
        """Return the axis in PyTorch of an axis of a shape, the batch being 0."""
        rank = self.x.rank
        if self.layout == LAST or not rank:
            return -1 if place == rank else place + 1
        return 1 if place == rank else place + 2

    @property
    def spatial(self) -> tuple[int, ...]:
        """The spatial axes in PyTorch."""
        return tuple(self.axis(place) for place in range(self.x.rank))


class CannotWriteError(Exception):
    """Raised for an op that has no counterpart here; the text says why."""


def permutation_of(rank: int, to: str) -> str:
    axes = (0, rank + 1, *range(1, rank + 1)) if to == FIRST else (0, *range(2, rank + 2), 1)
    return ", ".join(map(str, axes))


def to_first(rank: int) -> str:
    """Return the permutation that puts the channels first."""
    return permutation_of(rank, FIRST)


def plain_call(name: str) -> Callable[[Place], Construction]:
    """Return a rule for an op whose call needs no arguments."""
    return lambda place: call(name)  # noqa: ARG005


def along_axis(name: str) -> Callable[[Place], Construction]:
    """Return a rule for an op along the axis that its argument `axis` names."""

    def rule(place: Place) -> Construction:
        op, x = place.op, place.x
        return call(name, dim=place.axis(place_of_axis(op.kind, op.axis, x)))

    return rule

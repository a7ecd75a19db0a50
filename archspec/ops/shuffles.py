"""Ops that move values between axes, along them, or among the channels."""

from fractions import Fraction
from math import prod
from typing import Annotated, Any, Literal, TypeAlias

from archspec.declare.metadata import Bounds, Converted, Expect
from archspec.element import whole
from archspec.errors import Problem
from archspec.ops.axes import Axis, names_of_axes
from archspec.ops.fields import LARGEST, Count, Window, per_axis
from archspec.ops.op import Reach, Rearrangement, needs_spatial, pointwise
from archspec.ops.shape import Shape

_Step: TypeAlias = Annotated[int, Bounds(ge=-LARGEST, le=LARGEST), Converted(whole)]

Steps: TypeAlias = Annotated[
    _Step | tuple[_Step, ...],
    Expect("a whole number, or one for each spatial axis such as [-3, -3]"),
]
"""A distance along the spatial axes, backwards where it is negative."""


class Permute(Rearrangement, kind="permute", main="to"):
    """The axes in another order, by their names: `permute: [channels, length]` swaps the two.

    The axes of the output are then named by their places, as those of every shape.
    """

    to: tuple[Axis, ...]
    """The input's axes, each once, in their new order."""

    def order(self, x: Shape) -> tuple[int, ...]:
        """Return the place in the input of each axis of the output."""
        names = names_of_axes(x)
        if sorted(self.to) != sorted(names):
            raise Problem(
                "shape",
                f"`permute` needs each axis of its input, {x}, once: {', '.join(names)}",
                help=f"as `permute: [{', '.join(reversed(names))}]`",
            )
        return tuple(names.index(axis) for axis in self.to)

    def output_shape(self, x: Shape) -> Shape:
        return Shape(x[place] for place in self.order(x))

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x) if self.to == names_of_axes(x) else None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.Permute(tuple(place + 1 for place in self.order(x)), name=name)


class Roll(Rearrangement, kind="roll", main="by"):
    """Values moved along the spatial axes; those that leave at one end come in at the other.

    The cyclic shift of Swin is `roll: -3`. (Liu et al. 2021, arXiv:2103.14030, section 3.2)
    """

    by: Steps
    """Distance: one number, or one for each axis; a positive one moves towards the end."""

    def steps(self, x: Shape) -> tuple[int, ...]:
        """Return the distance along each spatial axis."""
        return per_axis(self.by, x.rank, "by")

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        self.steps(x)
        return x

    def reach(self, x: Shape) -> Reach | None:
        return None if any(self.steps(x)) else pointwise(x)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.Roll(self.steps(x), name=name)


class ChannelShuffle(Rearrangement, kind="channel_shuffle", main="groups"):
    """The channels of all groups in turn: the first of each, the second of each, and so on.

    (Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, section 3.1)
    """

    groups: Count
    """Number of groups; it divides the channels."""

    def output_shape(self, x: Shape) -> Shape:
        if x.channels % self.groups:
            raise Problem(
                "shape", f"{x.channels} channels cannot be split into {self.groups} groups"
            )
        return x

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.ChannelShuffle(self.groups, name=name)


class _BlockShuffle(Rearrangement):
    """Base of ops that exchange a block of places and the channels of one place."""

    factor: Window
    """Extent of a block: one number, or one for each spatial axis."""
    order: Literal["places", "channels"] = "places"
    """Whether the places of a block, or the channels, vary most slowly (TensorFlow, or PyTorch)."""

    def factors(self, x: Shape) -> tuple[int, ...]:
        """Return the extent of a block along each spatial axis."""
        needs_spatial(self.kind, x)
        return per_axis(self.factor, x.rank, "factor")


class DepthToSpace(_BlockShuffle, kind="depth_to_space", main="factor"):
    """The channels of each place spread over a block of places: the pixel shuffle.

    (Shi et al. 2016, arXiv:1609.05158, section 3.2)
    """

    def output_shape(self, x: Shape) -> Shape:
        factors = self.factors(x)
        if x.channels % prod(factors):
            raise Problem(
                "shape",
                f"{x.channels} channels cannot be spread over blocks of "
                f"{'x'.join(map(str, factors))} places",
                help=f"their number must be a multiple of {prod(factors)}",
            )
        spatial = (n * f for n, f in zip(x.spatial, factors, strict=True))
        return Shape((*spatial, x.channels // prod(factors)))

    def reach(self, x: Shape) -> Reach | None:
        factors = self.factors(x)
        return Reach((1,) * x.rank, tuple(Fraction(1, factor) for factor in factors))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.DepthToSpace(self.factors(x), self.order, name=name)


class SpaceToDepth(_BlockShuffle, kind="space_to_depth", main="factor"):
    """Each block of places as the channels of one place: the reverse of `depth_to_space`.

    With a fully connected layer at each place it is Swin's patch merging. (Liu et al. 2021,
    section 3.1)
    """

    def output_shape(self, x: Shape) -> Shape:
        factors = self.factors(x)
        if any(n % f for n, f in zip(x.spatial, factors, strict=True)):
            raise Problem(
                "shape",
                f"{x} cannot be cut into blocks of {'x'.join(map(str, factors))} places",
                help="`pad` or `crop` before it makes the extents multiples of them",
            )
        spatial = (n // f for n, f in zip(x.spatial, factors, strict=True))
        return Shape((*spatial, x.channels * prod(factors)))

    def reach(self, x: Shape) -> Reach | None:
        return Reach(self.factors(x), self.factors(x))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.SpaceToDepth(self.factors(x), self.order, name=name)

"""Ops that move, repeat or drop values and compute none."""

from math import prod
from typing import Annotated, Any, Literal

from archspec.declare.metadata import Expect, Instead
from archspec.errors import Problem
from archspec.ops.axes import Axis, place_of_axis
from archspec.ops.fields import Count, Index, Margins, Sides, Window, per_axis, per_side
from archspec.ops.op import Reach, Rearrangement, Work, needs_size, needs_spatial
from archspec.ops.padding import check_mode
from archspec.ops.shape import Shape
from archspec.ops.windows import by_rank, zero_padding


class Flatten(Rearrangement, kind="flatten"):
    """All values as one vector, the channels changing fastest."""

    view = True

    def output_shape(self, x: Shape) -> Shape:
        return Shape((x.size,))

    def reach(self, x: Shape) -> Reach | None:
        return super().reach(x) if x.rank == 0 else None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Flatten(name=name)


class Reshape(Rearrangement, kind="reshape", main="to"):
    """The same values in the same order, with other extents."""

    view = True

    to: Annotated[
        tuple[Count | None, ...],
        Expect("a list, each item a whole number from 1 to 2147483647, or one of them null"),
        Instead({"": "null stands for the one extent that follows from the others"}),
    ]
    """The new extents, channels last; null for one of them, which takes what the others leave."""

    def output_shape(self, x: Shape) -> Shape:
        if len(self.to) > 4:
            raise Problem("shape", "`reshape` gives at most three spatial axes and the channels")
        known = prod([extent for extent in self.to if extent is not None])
        free = self.to.count(None)
        if free > 1:
            raise Problem("shape", "`reshape` can work out one extent, so only one may be null")
        if not self.to or (x.size % known if free else x.size != known):
            others = "x".join("?" if extent is None else str(extent) for extent in self.to)
            raise Problem(
                "shape",
                f"{x} has {x.size} values, {others or 'nothing'} has "
                + (f"a multiple of {known}" if free else str(known if self.to else 0)),
                help=needs_size() if x.is_open else None,
            )
        return Shape(x.size // known if extent is None else extent for extent in self.to)

    def reach(self, x: Shape) -> Reach | None:
        return None if x.rank else super().reach(x)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        to = tuple(-1 if extent is None else extent for extent in self.to)
        return layers.Reshape(to, name=name)


class Pad(Rearrangement, kind="pad", main="amount"):
    """Zeros around the spatial axes, or values of the input."""

    amount: Sides
    """Amount on each side: a number, one for each axis, or [before, after] for each axis."""
    mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    """Values that stand there: zeros, or the input mirrored, its border, or its other end."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        sides = per_side(self.amount, x.rank, "amount")
        check_mode(self.mode, x.spatial, sides)
        spatial = (n + a + b for n, (a, b) in zip(x.spatial, sides, strict=True))
        return Shape((*spatial, x.channels))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        sides = per_side(self.amount, x.rank, "amount")
        if self.mode == "zeros":
            return zero_padding(layers, sides, name)
        return layers.Pad(sides, mode=self.mode, name=name)


class Crop(Rearrangement, kind="crop", main="amount"):
    """Values cut off the ends of the spatial axes.

    With two inputs, `{crop: {offset: 19}, from: [x, image]}`, `x` gets the spatial extents of
    `image`: `offset` values are cut off before, the rest after, as Caffe's Crop does. Without an
    offset the middle stays. (Long, Shelhamer & Darrell 2015)
    """

    most_inputs = 2
    values_of_first = True

    amount: Sides | None = None
    """Amount on each side: a number, one for each axis, or [before, after] for each axis."""
    offset: Margins | None = None
    """Amount cut off before, with a second input: one number, or one for each axis."""

    def output_shape(self, x: Shape, like: Shape | None = None) -> Shape:
        needs_spatial(self.kind, x)
        if (self.amount is None) == (like is None):
            message = "`crop` needs an amount or a second input" + (", not both" if like else "")
            help_ = "as `crop: 2`, or `{crop: {offset: 19}, from: [x, image]}`"
            raise Problem("shape", message, help=help_)
        if self.amount is not None and self.offset is not None:
            message = "the `offset` of `crop` is for a second input, whose extents it gives"
            raise Problem(
                "shape", message, help="leave it out, or write `amount: [[1, 2], [1, 2]]`"
            )
        if self.amount is None or like is not None:
            return self._like(x, like or x)
        sides = per_side(self.amount, x.rank, "amount")
        spatial = tuple(n - a - b for n, (a, b) in zip(x.spatial, sides, strict=True))
        if any(n < 1 for n in spatial):
            raise Problem("shape", f"`crop` leaves nothing of {x}")
        return Shape((*spatial, x.channels))

    def reach(self, x: Shape, like: Shape | None = None) -> Reach | None:  # noqa: ARG002
        return super().reach(x)

    def _like(self, x: Shape, like: Shape) -> Shape:
        if like.rank != x.rank:
            raise Problem("shape", f"`crop` cannot give {x} the spatial extents of {like}")
        offsets = self.offsets(x.rank) or (0,) * x.rank
        for extent, offset, wanted in zip(x.spatial, offsets, like.spatial, strict=True):
            if extent - offset < wanted:
                rest = f" less {self.offset}" if self.offset else ""
                raise Problem("shape", f"`crop` cannot cut {like} out of {x}{rest}")
        return Shape((*like.spatial, x.channels))

    def offsets(self, rank: int) -> tuple[int, ...] | None:
        """Return the offset along each axis; None for the middle."""
        return None if self.offset is None else per_axis(self.offset, rank, "offset")

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        if self.amount is None:
            return layers.CropLike(self.offsets(x.rank), name=name)
        sides = per_side(self.amount, x.rank, "amount")
        return by_rank(layers, "Cropping", x.rank)(sides[0] if x.rank == 1 else sides, name=name)


class Upsample(Rearrangement, kind="upsample", main="factor"):
    """Every value repeated along the spatial axes, or interpolated (two axes)."""

    factor: Window
    """Factor by which axes grow: one number, or one for each axis."""
    method: Literal["nearest", "bilinear"] = "nearest"
    """Method by which new values are computed."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        if self.method == "bilinear" and x.rank != 2:
            raise Problem("shape", "bilinear `upsample` needs two spatial axes")
        factors = per_axis(self.factor, x.rank, "factor")
        return Shape((*(n * f for n, f in zip(x.spatial, factors, strict=True)), x.channels))

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0 if self.method == "nearest" else 7 * y.size)

    def reach(self, x: Shape) -> Reach | None:
        from fractions import Fraction  # noqa: PLC0415  (few networks have one)

        factors = per_axis(self.factor, x.rank, "factor")
        # An axis that stays as long as it is has nothing to interpolate.
        window = (2 if self.method == "bilinear" and factor > 1 else 1 for factor in factors)
        return Reach(tuple(window), tuple(Fraction(1, factor) for factor in factors))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        factors = per_axis(self.factor, x.rank, "factor")
        options = {"interpolation": self.method} if x.rank == 2 else {}
        size = factors[0] if x.rank == 1 else factors
        return by_rank(layers, "UpSampling", x.rank)(size, name=name, **options)


class Slice(Rearrangement, kind="slice"):
    """Some of the channels, or of another axis, from `start` up to but without `stop`."""

    start: Index = 0
    """The first channel, or place."""
    stop: Count | None = None
    """The one after the last; by default all that remain."""
    axis: Axis = "channels"
    """The axis that is cut."""

    def cut(self, x: Shape) -> tuple[int, int, int]:
        """Return the axis's place in the shape, the first value along it, and the one after."""
        place = place_of_axis(self.kind, self.axis, x)
        return place, self.start, x[place] if self.stop is None else self.stop

    def output_shape(self, x: Shape) -> Shape:
        place, start, stop = self.cut(x)
        if not start < stop <= x[place]:
            what = "channels" if self.axis == "channels" else f"places along `{self.axis}`,"
            raise Problem(
                "shape", f"{what} {start} to {stop} are out of range: its input has {x[place]}"
            )
        return Shape((*x[:place], stop - start, *x[place + 1 :]))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        place, start, stop = self.cut(x)
        if place == x.rank:
            return layers.ChannelSlice(start, stop, name=name)
        # The end of an open axis is not known before the model runs.
        return layers.AxisSlice(place + 1, start, self.stop if x.is_open else stop, name=name)


class PadChannels(Rearrangement, kind="pad_channels", main="to"):
    """Channels of zeros appended: the option-A shortcut. (He et al. 2015, section 4.1)"""

    to: Count
    """Number of channels after."""

    def output_shape(self, x: Shape) -> Shape:
        if self.to < x.channels:
            raise Problem("shape", f"{x.channels} channels cannot be padded to {self.to}")
        return Shape((*x.spatial, self.to))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        amounts = ((0, 0),) * x.rank + ((0, self.to - x.channels),)
        return layers.Pad(amounts, value=0.0, name=name)

"""Pools: a window, or the whole plane, becomes one value in each channel."""

from math import prod
from typing import Any

from archspec.errors import Problem
from archspec.ops.fields import Small, Window, by_x, per_axis, per_side
from archspec.ops.op import Reach, Saved, Weight, Weighted, Weightless, Work, needs_spatial
from archspec.ops.padding import ZeroPadding, check_mode
from archspec.ops.shape import Shape
from archspec.ops.windows import Windowed, by_rank, padded


class _Pool(Windowed):
    """Base of pools: each window of a channel becomes one value."""

    family = "pooling"

    extent_field = "size"

    padding: ZeroPadding = "valid"
    """Zeros around the input: same, valid, a number, one an axis, or [before, after] pairs."""
    size: Window
    """Extent of the window, one number or one for each spatial axis."""
    stride: Window | None = None
    """Step between windows; by default the size, so that windows do not overlap."""
    ceil: bool = False
    """Round up, so that a last window may hang over the edge (Caffe); `same` rounds up anyway."""

    def window(self, rank: int) -> tuple[int, ...]:
        return per_axis(self.size, rank, "size")

    def steps(self, rank: int) -> tuple[int, ...]:
        return per_axis(self.size if self.stride is None else self.stride, rank, "stride")

    @property
    def overhangs(self) -> bool:
        return self.ceil

    def output_shape(self, x: Shape) -> Shape:
        slides = self.slides(x)
        if not isinstance(self.padding, str):
            sides = per_side(self.padding, x.rank, "padding")
            for padding, window in zip(map(max, sides), self.window(x.rank), strict=True):
                if padding >= window:
                    raise Problem(
                        "shape",
                        f"the padding of `{self.kind}` ({padding}) must be smaller than its "
                        f"size ({window}), or a window would see padding alone",
                    )
        return Shape((*(place.fits for place in slides), x.channels))

    def weights(self, x: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return ()

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(0, y.size * prod(self.window(x.rank)))

    @property
    def label(self) -> str:
        return f"{self.kind.removesuffix('_pool').upper()}POOL{by_x(self.size)}"

    def is_padded_by_size(self, x: Shape) -> bool:
        """Whether the padding depends on the size of the input, which is open."""
        return any(place.is_open for place in self.slides(x))

    def keras_windows(self, x: Shape) -> dict[str, Any]:
        """Return the windows as the layers take them that compute their padding as they run."""
        padding = self.padding
        return {
            "pool_size": self.window(x.rank),
            "strides": self.steps(x.rank),
            "padding": padding
            if isinstance(padding, str)
            else per_side(padding, x.rank, "padding"),
            "ceil": self.ceil,
        }

    def window_padding(self, layers: Any, name: str, x: Shape, value: float = 0.0) -> Any:
        """Return a layer that pads an input of any size for the windows."""
        return layers.WindowPadding(**self.keras_windows(x), value=value, name=f"{name}-pad")

    def own_pooling(self, layer: Any, layers: Any, name: str, x: Shape) -> Any:
        """Return a pool of archspec's with its amounts, behind their own layer if they are open."""
        by_size = self.is_padded_by_size(x)
        none = ((0, 0),) * x.rank
        pool = layer(
            pool_size=self.window(x.rank),
            strides=self.steps(x.rank),
            padding=none
            if by_size
            else tuple((place.before, place.after) for place in self.slides(x)),
            name=name,
        )
        return (self.window_padding(layers, name, x), pool) if by_size else pool

    def keras_arguments(self, x: Shape, name: str) -> dict[str, Any]:
        return {
            "pool_size": self.window(x.rank),
            "strides": self.steps(x.rank),
            "padding": self.keras_padding(x) or "valid",
            "name": name,
        }


class MaxPool(_Pool, kind="max_pool", main="size"):
    """Maximum over a window; padding never wins. (Krizhevsky et al. 2012 let windows overlap.)"""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    @property
    def label(self) -> str:
        return super().label.removeprefix("MAX")

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        layer = by_rank(layers, "MaxPooling", x.rank)(**self.keras_arguments(x, name))
        if self.keras_padding(x):
            return layer
        if self.is_padded_by_size(x):
            return self.window_padding(layers, name, x, float("-inf")), layer
        return padded(layers, name, self.slides(x), layer, value=float("-inf"))


class AvgPool(_Pool, kind="avg_pool", main="size"):
    """Mean over a window. (LeCun et al. 1998, subsampling)

    Where 6 divides the extents, an adaptive pool to 6x6 is
    `{size: [=in.height // 6, =in.width // 6]}`.
    """

    count_padding: bool = False
    """Whether explicit padding counts in the divisor, as torch does by default."""

    def saved_for_backward(self) -> Saved:
        return Saved()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        if self.is_plain(x):
            return by_rank(layers, "AveragePooling", x.rank)(**self.keras_arguments(x, name))
        counted = self.counts_zeros
        if self.is_padded_by_size(x):
            return layers.OpenAveragePooling(**self.keras_windows(x), counted=counted, name=name)
        slides = self.slides(x)
        return layers.PaddedAveragePooling(
            pool_size=self.window(x.rank),
            strides=self.steps(x.rank),
            padding=tuple((place.before, place.after) for place in slides),
            counted=self.counted_padding(x) if counted else ((0, 0),) * x.rank,
            name=name,
        )

    @property
    def counts_zeros(self) -> bool:
        """Whether amounts of padding are given that count in the divisor."""
        return self.count_padding and not isinstance(self.padding, str)

    def is_plain(self, x: Shape) -> bool:
        """Whether Keras's own layer gives the same means on every backend.

        On torch, Keras's `same` repeats the edge where it pads one side more than the other.
        """
        even = all(place.before == place.after for place in self.slides(x))
        return even and self.keras_padding(x) is not None and not self.counts_zeros

    def counted_padding(self, x: Shape) -> tuple[tuple[int, int], ...]:
        """Return the explicit padding without the overhang, which no convention counts."""
        plain = self.model_copy(update={"ceil": False}).slides(x)
        return tuple((place.before, place.after) for place in plain)


class L2Pool(_Pool, kind="l2_pool", main="size"):
    """Root of the sum of squares over a window. (Sermanet et al. 2012)"""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True, output=True)

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(0, y.size * (2 * prod(self.window(x.rank)) + 1))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return self.own_pooling(layers.L2Pooling, layers, name, x)


class Subsampling(_Pool, Weighted, kind="subsampling", main="size"):
    """Sum over a window, times a learned coefficient, plus a learned bias. (LeCun et al. 1998)"""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("coefficient", (x.channels,)), Weight("bias", (x.channels,)))

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(0, y.size * (prod(self.window(x.rank)) + 2))

    def connection_count(self, x: Shape, y: Shape) -> int:
        return y.size * (prod(self.window(x.rank)) + 1)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    @property
    def label(self) -> str:
        return f"SUBSAMPLING{by_x(self.size)}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return self.own_pooling(layers.Subsampling, layers, name, x)


class MaxUnpool(Weightless, kind="max_unpool", main="size"):
    """Each value put back where a `max_pool` found it, among zeros.

    `{max_unpool: 2, from: [x, before]}`, where `before` is what the `max_pool` of this size read:
    a value goes to the place of the window's largest, the first of them if they are equal. Windows
    do not overlap, and the output is as large as `before`. (Badrinarayanan et al. 2015, SegNet,
    arXiv:1511.00561)
    """

    family = "pooling"

    most_inputs = 2

    size: Window
    """Extent of the window, one number or one for each spatial axis."""

    def output_shape(self, x: Shape, before: Shape | None = None) -> Shape:
        needs_spatial(self.kind, x)
        if before is None:
            raise Problem(
                "shape",
                "`max_unpool` needs a second input: what its `max_pool` read",
                help="as `{max_unpool: 2, from: [x, before]}`",
            )
        sizes = per_axis(self.size, x.rank, "size")
        pooled: tuple[int, ...] = ()
        if before.rank == x.rank:
            extents = zip(before.spatial, sizes, strict=True)
            pooled = (*(n // size for n, size in extents), before.channels)
        if x != pooled:
            makes = f"`max_pool: {_written(self.size)}` makes {Shape(pooled)} of that"
            raise Problem(
                "shape",
                f"`max_unpool` cannot put {x} back into {before}",
                help=makes if pooled and all(n >= 1 for n in pooled) else None,
            )
        return before

    def work(self, *shapes: Shape) -> Work:
        return Work(0, shapes[-1].size)  # a comparison for each place

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def reach(self, x: Shape, before: Shape | None = None) -> Reach | None:  # noqa: ARG002
        from fractions import Fraction  # noqa: PLC0415  (few networks have one)

        sizes = per_axis(self.size, x.rank, "size")
        return Reach((1,) * x.rank, tuple(Fraction(1, size) for size in sizes))

    @property
    def label(self) -> str:
        return f"UNPOOL{by_x(self.size)}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.MaxUnpooling(per_axis(self.size, x.rank, "size"), name=name)


def _written(extents: int | tuple[int, ...]) -> str:
    """Return extents as a spec has them: `3`, or `[3, 1]`."""
    return str(extents if isinstance(extents, int) else [*extents])


class BlurPool(Weightless, kind="blur_pool", main="stride"):
    """A fixed binomial filter, of which every stride-th place is kept.

    (Zhang 2019, arXiv:1904.11486)

    The input is mirrored at its border. The output is ceil(input / stride).
    """

    family = "pooling"

    stride: Window = 2
    """Step between windows, one number or one for each spatial axis."""
    size: Small = 3
    """Extent of the filter along each axis: 3 is [1, 2, 1] / 4."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        check_mode("reflect", x.spatial, self._sides(x))
        steps = per_axis(self.stride, x.rank, "stride")
        return Shape((*(-(-n // s) for n, s in zip(x.spatial, steps, strict=True)), x.channels))

    def _sides(self, x: Shape) -> tuple[tuple[int, int], ...]:
        return (((self.size - 1) // 2, self.size // 2),) * x.rank

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(0, y.size * self.size**x.rank)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:
        return Reach((self.size,) * x.rank, per_axis(self.stride, x.rank, "stride"))

    @property
    def label(self) -> str:
        return f"BLURPOOL{self.size}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        pad = layers.Pad(self._sides(x), mode="reflect", name=f"{name}-pad")
        blur = layers.BlurPooling(
            size=self.size, strides=per_axis(self.stride, x.rank, "stride"), name=name
        )
        return (pad, blur) if self.size > 1 else blur


class _GlobalPool(Weightless):
    """Base of global pools: the whole plane of a channel becomes one value."""

    family = "pooling"

    keep_axes: bool = False
    """Keep the spatial axes, each of extent 1, instead of giving a vector."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        return Shape((1,) * x.rank + (x.channels,)) if self.keep_axes else Shape((x.channels,))

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, x.size)

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    @property
    def label(self) -> str:
        """GAP, GMP: Network in Network's own abbreviation."""
        return "".join(word[0] for word in self.kind.split("_")).upper()


class GlobalAvgPool(_GlobalPool, kind="global_avg_pool"):
    """Mean of each channel over the whole plane. (Lin et al. 2013, section 3.2)"""

    def saved_for_backward(self) -> Saved:
        return Saved()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        layer = by_rank(layers, "GlobalAveragePooling", x.rank)
        return layer(keepdims=self.keep_axes, name=name)


class GlobalMaxPool(_GlobalPool, kind="global_max_pool"):
    """Maximum of each channel over the whole plane."""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return by_rank(layers, "GlobalMaxPooling", x.rank)(keepdims=self.keep_axes, name=name)

"""Convolutions, and the fully connected layer."""

from abc import abstractmethod
from math import prod
from typing import Any

from archspec.errors import Problem
from archspec.ops import banks
from archspec.ops.fields import Bank, Connections, Count, Margins, Window, by_x, per_axis, per_side
from archspec.ops.op import (
    FROZEN_HINTS,
    Op,
    Reach,
    Saved,
    Weight,
    Weighted,
    Work,
    needs_spatial,
    pointwise,
)
from archspec.ops.padding import MODE_HINTS, CutPadding
from archspec.ops.shape import Shape
from archspec.ops.windows import Slide, Windowed, by_rank, padded


def check_groups(groups: int, channels: int, filters: int) -> None:
    """Raise `Problem` where channels cannot be split into as many groups."""
    for what, count in (("input channels", channels), ("filters", filters)):
        if count % groups:
            raise Problem(
                "shape",
                f"{count} {what} cannot be split into {groups} groups",
                help="groups must divide both the input channels and the filters",
            )


class _Kernel(Windowed, Weighted):
    """Base of ops whose kernel slides over the input, which its gradient needs."""

    hints = FROZEN_HINTS | MODE_HINTS

    family = "convolution"

    extent_field = "kernel"

    kernel: Window
    """Extent of the kernel, one number or one for each spatial axis."""
    stride: Window = 1
    """Step between windows, one number or one for each spatial axis."""
    dilation: Window = 1
    """Step between the taps of the kernel."""
    bias: bool = True
    """Whether each output channel has a learned offset."""

    def taps(self, rank: int) -> tuple[int, ...]:
        return per_axis(self.kernel, rank, "kernel")

    def window(self, rank: int) -> tuple[int, ...]:
        dilation = per_axis(self.dilation, rank, "dilation")
        return tuple((k - 1) * d + 1 for k, d in zip(self.taps(rank), dilation, strict=True))

    def steps(self, rank: int) -> tuple[int, ...]:
        return per_axis(self.stride, rank, "stride")

    @abstractmethod
    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        """Return the kernel's shape for an input's."""

    def spread(self, x: Shape) -> bool:
        """Return whether it has both a stride and a dilation, which no backend of Keras has."""
        dilation = per_axis(self.dilation, x.rank, "dilation")
        return max(self.steps(x.rank)) > 1 and max(dilation) > 1

    def work(self, x: Shape, y: Shape) -> Work:
        places = prod(y.spatial)
        return Work(prod(self.kernel_shape(x)) * places, y.size if self.bias else 0)

    def connection_count(self, x: Shape, y: Shape) -> int:
        return self.work(x, y).macs + (y.size if self.bias else 0)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    def keras_arguments(self, x: Shape, name: str) -> dict[str, Any]:
        return {
            "kernel_size": self.taps(x.rank),
            "strides": self.steps(x.rank),
            "dilation_rate": per_axis(self.dilation, x.rank, "dilation"),
            "padding": self.keras_padding(x) or "valid",
            "use_bias": self.bias,
            "name": name,
        }

    def emit_padded(self, layers: Any, name: str, x: Shape, layer: Any) -> Any:
        if self.keras_padding(x):
            return layer
        return padded(layers, name, self.slides(x), layer, mode=self.mode)

    def emit_structured(self, layers: Any, name: str, x: Shape, **arguments: Any) -> Any:
        """Return archspec's own convolution, for what Keras's cannot do."""
        layer = layers.StructuredConv(
            kernel_size=self.taps(x.rank),
            strides=self.steps(x.rank),
            dilation_rate=per_axis(self.dilation, x.rank, "dilation"),
            use_bias=self.bias,
            name=name,
            **arguments,
        )
        if self.keras_padding(x) == "valid":
            return layer
        return padded(layers, name, self.slides(x), layer, mode=self.mode)


class Banked(_Kernel):
    """Base of ops whose kernel may start as a bank of filters, the same for each input channel."""

    initial: Bank | None = None
    """Bank of filters that the kernel starts as (see `initial`); null for random."""

    def slides(self, x: Shape) -> tuple[Slide, ...]:
        slides = super().slides(x)
        if self.initial:
            banks.check(self.initial, self.kind, x, self.taps(x.rank))
        return slides


class Convolution(Banked, kind="convolution", main="filters"):
    """Convolution alone, without normalisation or activation; `conv` is the block with both.

    Kernels have shape (kernel..., channels / groups, filters). Grouped convolution: Krizhevsky et
    al. 2012, section 3.2.
    """

    filters: Count
    """Number of output channels."""
    groups: Count = 1
    """Number of groups of channels that do not see each other."""
    connections: Connections | None = None
    """The input channels that each filter sees, a list for each filter; null for all."""
    standardize: bool = False
    """Whether each filter is used with mean 0 and variance 1 (Qiao et al. 2019)."""

    def output_shape(self, x: Shape) -> Shape:
        if self.connections is not None:
            self._check_connections(self.connections, x)
        check_groups(self.groups, x.channels, self.filters)
        slides = self.slides(x)
        return Shape((*(place.fits for place in slides), self.filters))

    def _check_connections(self, connections: tuple[tuple[int, ...], ...], x: Shape) -> None:
        if len(connections) != self.filters:
            raise Problem(
                "shape",
                f"`connections` has {len(connections)} lists, but there are {self.filters} filters",
                help="a list of input channels for each filter, such as [[0, 1], [1, 2]]",
            )
        for number, channels in enumerate(connections):
            wrong = [channel for channel in channels if channel >= x.channels]
            if wrong or not channels or len({*channels}) < len(channels):
                what = (
                    f"sees channel {wrong[0]}, but there are {x.channels}, counted from 0"
                    if wrong
                    else "sees a channel twice"
                    if channels
                    else "sees no channel"
                )
                raise Problem("shape", f"filter {number} of `connections` {what}")
        for name, value in (("groups", self.groups > 1), ("initial", self.initial)):
            if value:
                message = f"`{self.kind}` cannot have both `connections` and `{name}`"
                raise Problem("shape", message, help="leave one of them out")

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        if self.connections is not None:  # one plane of taps for each connection
            return (*self.taps(x.rank), sum(map(len, self.connections)))
        return (*self.taps(x.rank), x.channels // self.groups, self.filters)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        return (kernel, Weight("bias", (self.filters,))) if self.bias else (kernel,)

    @property
    def label(self) -> str:
        return f"CONV{by_x(self.kernel)}-{self.filters}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        initial = {"kernel_initializer": layers.FilterBank(self.initial)} if self.initial else {}
        if self.connections is not None or self.standardize or self.spread(x):
            return self.emit_structured(
                layers,
                name,
                x,
                filters=self.filters,
                groups=self.groups,
                connections=self.connections,
                standardize=self.standardize,
                **initial,
            )
        arguments = self.keras_arguments(x, name) | {"groups": self.groups} | initial
        layer = by_rank(layers, "Conv", x.rank)(self.filters, **arguments)
        return self.emit_padded(layers, name, x, layer)


class DepthwiseConvolution(Banked, kind="depthwise_convolution", main="kernel"):
    """Each channel convolved by itself; `depthwise_conv` is the block with norm and activation.

    The kernel has shape (kernel..., channels, multiplier).
    """

    multiplier: Count = 1
    """Output channels for each input channel."""

    def output_shape(self, x: Shape) -> Shape:
        extents = (place.fits for place in self.slides(x))
        return Shape((*extents, x.channels * self.multiplier))

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        return (*self.taps(x.rank), x.channels, self.multiplier)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        bias = Weight("bias", (x.channels * self.multiplier,))
        return (kernel, bias) if self.bias else (kernel,)

    @property
    def label(self) -> str:
        return f"DWCONV{by_x(self.kernel)}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        bank = layers.FilterBank(self.initial, depthwise=True) if self.initial else None
        if self.spread(x) or len({*self.steps(x.rank)}) > 1 or x.rank > 2:
            initial = {"kernel_initializer": bank} if bank else {}
            filters = x.channels * self.multiplier
            return self.emit_structured(
                layers, name, x, filters=filters, multiplier=self.multiplier, **initial
            )
        arguments = self.keras_arguments(x, name) | {"depth_multiplier": self.multiplier}
        if bank:
            arguments["depthwise_initializer"] = bank
        layer = by_rank(layers, "DepthwiseConv", x.rank)(**arguments)
        return self.emit_padded(layers, name, x, layer)


class TransposedConvolution(_Kernel, kind="transposed_convolution", main="filters"):
    """The transpose of a convolution; `transposed_conv` is the block with norm and activation.

    Each input value paints a kernel. The output is stride times the input (`same`), as long as the
    painted kernels (`valid`), or, as in torch, what amounts of `padding` leave of these.
    """

    filters: Count
    """Number of output channels."""
    padding: CutPadding = "valid"
    """Length of the output: same, valid, or amounts that are cut off its ends (torch's padding)."""
    output_padding: Margins = 0
    """Amount by which the output is longer at its end, where `padding` is an amount."""
    groups: Count = 1
    """Number of groups of channels that do not see each other."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        check_groups(self.groups, x.channels, self.filters)
        margins = per_axis(self.output_padding, x.rank, "output_padding")
        if max(margins) and isinstance(self.padding, str):
            message = f"`output_padding` goes with an amount of padding, not with {self.padding}"
            raise Problem("shape", message, help="as `{padding: 1, output_padding: 1}`")
        for margin, step in zip(margins, self.steps(x.rank), strict=True):
            if margin and margin >= step:
                message = f"`output_padding` ({margin}) must be smaller than the stride ({step})"
                raise Problem("shape", message)
        spatial = tuple(
            full - before - after
            for full, (before, after) in zip(self._painted(x), self._cuts(x), strict=True)
        )
        if any(n < 1 for n in spatial):
            raise Problem("shape", f"the padding of a transposed convolution leaves nothing of {x}")
        return Shape((*spatial, self.filters))

    def _painted(self, x: Shape) -> tuple[int, ...]:
        """Return how long each axis is with all that the kernels paint: Keras's `valid`."""
        axes = zip(x.spatial, self.steps(x.rank), self.window(x.rank), strict=True)
        return tuple(n * s + max(w - s, 0) for n, s, w in axes)

    def _cuts(self, x: Shape) -> tuple[tuple[int, int], ...]:
        """Return what is cut off each end of the painted axes; a negative number adds zeros."""
        steps, window = self.steps(x.rank), self.window(x.rank)
        if isinstance(self.padding, str):
            cut = self.padding == "same"
            totals = [max(w - s, 0) if cut else 0 for s, w in zip(steps, window, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        margins = per_axis(self.output_padding, x.rank, "output_padding")
        sides = per_side(self.padding, x.rank, "padding")
        # torch's output ends with the last kernel, Keras's `valid` with a whole stride.
        return tuple(
            (before, after + max(s - w, 0) - margin)
            for (before, after), s, w, margin in zip(sides, steps, window, margins, strict=True)
        )

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        return (*self.taps(x.rank), self.filters // self.groups, x.channels)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        return (kernel, Weight("bias", (self.filters,))) if self.bias else (kernel,)

    def work(self, x: Shape, y: Shape) -> Work:
        places = prod(x.spatial)  # the kernel is painted once for each place of the input
        return Work(prod(self.kernel_shape(x)) * places, y.size if self.bias else 0)

    def reach(self, x: Shape) -> Reach | None:
        from fractions import Fraction  # noqa: PLC0415  (few networks have one)

        steps, window = self.steps(x.rank), self.window(x.rank)
        seen = tuple(-(-w // s) for w, s in zip(window, steps, strict=True))
        return Reach(seen, tuple(Fraction(1, s) for s in steps))

    def keras_padding(self, x: Shape) -> str | None:  # noqa: ARG002
        return self.padding if isinstance(self.padding, str) else None

    @property
    def label(self) -> str:
        return f"TCONV{by_x(self.kernel)}-{self.filters}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        if self.groups == 1 and self.keras_padding(x) and not self.spread(x):
            arguments = self.keras_arguments(x, name)
            return getattr(layers, f"Conv{x.rank}DTranspose")(self.filters, **arguments)
        return layers.CutConvTranspose(
            self.filters,
            kernel_size=self.taps(x.rank),
            strides=self.steps(x.rank),
            dilation_rate=per_axis(self.dilation, x.rank, "dilation"),
            groups=self.groups,
            cuts=self._cuts(x),
            use_bias=self.bias,
            name=name,
        )


class LocalConv(_Kernel, kind="local_conv", main="filters"):
    """A convolution whose kernel is learned anew at each place. (LeCun 1989; Taigman et al. 2014)

    The kernel has shape (places, taps * channels, filters), the bias (spatial..., filters).
    """

    filters: Count
    """Number of output channels."""

    def output_shape(self, x: Shape) -> Shape:
        return Shape((*(place.fits for place in self.slides(x)), self.filters))

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        places = prod(place.fits for place in self.slides(x))
        return (places, prod(self.taps(x.rank)) * x.channels, self.filters)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        bias = Weight("bias", self.output_shape(x))
        return (kernel, bias) if self.bias else (kernel,)

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(prod(self.kernel_shape(x)), y.size if self.bias else 0)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        layer = layers.LocalConv(
            self.filters,
            kernel_size=self.taps(x.rank),
            strides=self.steps(x.rank),
            dilation_rate=per_axis(self.dilation, x.rank, "dilation"),
            use_bias=self.bias,
            name=name,
        )
        if self.keras_padding(x) == "valid":
            return layer
        return padded(layers, name, self.slides(x), layer, mode=self.mode)


class FullyConnected(Weighted, kind="fully_connected", main="units"):
    """Every output sees every input of a vector; `fc` is the block with an activation.

    On a sequence it works at each position alone, on its channels, and so on maps with
    `each_place: true`: there it is a 1x1 convolution.
    """

    family = "fully_connected"

    units: Count
    """Number of outputs."""
    bias: bool = True
    """Whether each output has a learned offset."""
    each_place: bool = False
    """Whether the input may be maps, each place by itself; else `flatten` comes first."""

    def output_shape(self, x: Shape) -> Shape:
        if x.rank > 1 and not self.each_place:
            raise Problem(
                "shape",
                f"a fully connected layer needs a vector, not {x}",
                help="put `- flatten` or `- global_avg_pool` before it; for a layer at each place "
                "by itself, set `each_place: true`",
            )
        return Shape((*x.spatial, self.units))

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (x.channels, self.units))
        return (kernel, Weight("bias", (self.units,))) if self.bias else (kernel,)

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(x.channels * y.size, y.size if self.bias else 0)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x) if x.rank else None

    def connection_count(self, x: Shape, y: Shape) -> int:
        return self.work(x, y).macs + (y.size if self.bias else 0)

    @property
    def label(self) -> str:
        return f"FC-{self.units}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Dense(self.units, use_bias=self.bias, name=name)


class Rbf(Op, kind="rbf", main="units"):
    """Squared distances of a vector from codes of -1 and 1. (LeCun et al. 1998, equation 7)

    The codes are fixed. Each unit's is drawn at random, the same in every network of this size, as
    in the paper's first experiments; its later ones, drawn by hand, can be loaded as weights.
    """

    family = "fully_connected"

    units: Count
    """Number of codes."""

    def output_shape(self, x: Shape) -> Shape:
        if x.rank:
            raise Problem(
                "shape", f"`rbf` needs a vector, not {x}", help="put `- flatten` before it"
            )
        return Shape((self.units,))

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("codes", (x.channels, self.units), trainable=False),)

    def work(self, x: Shape, y: Shape) -> Work:
        # A difference, its square, and the sum: the last two are one multiply-add.
        return Work(x.channels * y.channels, x.channels * y.channels)

    def connection_count(self, x: Shape, y: Shape) -> int:
        return x.channels * y.channels

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    @property
    def label(self) -> str:
        return f"RBF-{self.units}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Rbf(self.units, name=name)

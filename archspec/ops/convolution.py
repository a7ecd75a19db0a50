"""Convolutions, and the fully connected layer."""

from fractions import Fraction
from math import prod
from typing import Annotated, Any, Literal

from archspec.declare.metadata import Instead
from archspec.errors import Problem
from archspec.ops import banks
from archspec.ops.fields import Bank, Count, Window, per_axis
from archspec.ops.op import Reach, Saved, Weight, Weighted, Work, needs_spatial, pointwise
from archspec.ops.shape import Shape
from archspec.ops.windows import Slide, Windowed, by_rank, padded


class _Kernel(Windowed, Weighted):
    """A family: a kernel slides over the input, which its gradient needs."""

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

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        raise NotImplementedError

    def check_steps(self, x: Shape) -> None:
        """Raise `Problem` for a stride together with a dilation: no backend of Keras has both."""
        dilation = per_axis(self.dilation, x.rank, "dilation")
        if max(self.steps(x.rank)) > 1 and max(dilation) > 1:
            message = f"`{self.kind}` cannot have both a stride and a dilation"
            raise Problem("shape", message, help="no backend of Keras has both: leave one at 1")

    def work(self, x: Shape, y: Shape) -> Work:
        places = prod(y.spatial)
        return Work(prod(self.kernel_shape(x)) * places, y.size if self.bias else 0)

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
        return padded(layers, name, self.slides(x), layer)


class Banked(_Kernel):
    """A family: the kernel may start as a bank of filters, the same for each input channel."""

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

    def output_shape(self, x: Shape) -> Shape:
        for what, channels in (("input channels", x.channels), ("filters", self.filters)):
            if channels % self.groups:
                raise Problem(
                    "shape",
                    f"{channels} {what} cannot be split into {self.groups} groups",
                    help="groups must divide both the input channels and the filters",
                )
        slides = self.slides(x)
        self.check_steps(x)
        return Shape((*(place.fits for place in slides), self.filters))

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        return (*self.taps(x.rank), x.channels // self.groups, self.filters)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        return (kernel, Weight("bias", (self.filters,))) if self.bias else (kernel,)

    @property
    def label(self) -> str:
        kernel = self.kernel if isinstance(self.kernel, int) else "x".join(map(str, self.kernel))
        return f"CONV{kernel}-{self.filters}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        arguments = self.keras_arguments(x, name) | {"groups": self.groups}
        if self.initial:
            arguments["kernel_initializer"] = layers.FilterBank(self.initial)
        layer = by_rank(layers, "Conv", x.rank)(self.filters, **arguments)
        return self.emit_padded(layers, name, x, layer)


class DepthwiseConv(Banked, kind="depthwise_conv", main="kernel"):
    """Each channel convolved by itself, with `multiplier` kernels. (Sifre 2014; Howard et al. 2017)

    The kernel has shape (kernel..., channels, multiplier). One or two spatial axes.
    """

    multiplier: Count = 1
    """Output channels for each input channel."""

    def output_shape(self, x: Shape) -> Shape:
        slides = self.slides(x)
        if x.rank > 2:
            raise Problem(
                "shape",
                "`depthwise_conv` works on one or two spatial axes",
                help="`convolution` with as many groups as channels does the same in 3-D",
            )
        if len(set(self.steps(x.rank))) > 1:
            strides = " and ".join(map(str, self.steps(x.rank)))
            message = f"`depthwise_conv` takes one stride for all axes, not {strides}"
            raise Problem("shape", message, help="no backend of Keras has more")
        self.check_steps(x)
        return Shape((*(place.fits for place in slides), x.channels * self.multiplier))

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        return (*self.taps(x.rank), x.channels, self.multiplier)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        bias = Weight("bias", (x.channels * self.multiplier,))
        return (kernel, bias) if self.bias else (kernel,)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        arguments = self.keras_arguments(x, name) | {"depth_multiplier": self.multiplier}
        if self.initial:
            bank = layers.FilterBank(self.initial, depthwise=True)
            arguments["depthwise_initializer"] = bank
        layer = by_rank(layers, "DepthwiseConv", x.rank)(**arguments)
        return self.emit_padded(layers, name, x, layer)


class TransposedConv(_Kernel, kind="transposed_conv", main="filters"):
    """The transpose of a convolution: each input value paints a kernel. (Zeiler et al. 2010)

    The output is stride times the input (`same`), or as long as the painted kernels (`valid`).
    """

    filters: Count
    """Number of output channels."""
    padding: Annotated[
        Literal["same", "valid"],
        Instead({"": "torch's padding cuts the output's ends: a step `crop` after it does so"}),
    ] = "valid"
    """Length of the output: same, or valid."""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        self.check_steps(x)
        steps, window = self.steps(x.rank), self.window(x.rank)
        if self.padding == "same":
            spatial = tuple(n * s for n, s in zip(x.spatial, steps, strict=True))
        else:
            spatial = tuple(
                n * s + max(w - s, 0) for n, s, w in zip(x.spatial, steps, window, strict=True)
            )
        return Shape((*spatial, self.filters))

    def kernel_shape(self, x: Shape) -> tuple[int, ...]:
        return (*self.taps(x.rank), self.filters, x.channels)

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", self.kernel_shape(x))
        return (kernel, Weight("bias", (self.filters,))) if self.bias else (kernel,)

    def work(self, x: Shape, y: Shape) -> Work:
        places = prod(x.spatial)  # the kernel is painted once for each place of the input
        return Work(prod(self.kernel_shape(x)) * places, y.size if self.bias else 0)

    def reach(self, x: Shape) -> Reach | None:
        steps, window = self.steps(x.rank), self.window(x.rank)
        seen = tuple(-(-w // s) for w, s in zip(window, steps, strict=True))
        return Reach(seen, tuple(Fraction(1, s) for s in steps))

    def keras_padding(self, x: Shape) -> str | None:  # noqa: ARG002
        return self.padding

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        arguments = self.keras_arguments(x, name)
        return getattr(layers, f"Conv{x.rank}DTranspose")(self.filters, **arguments)


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
        return padded(layers, name, self.slides(x), layer)


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
    """Whether it may work at each place of maps by itself; else `flatten` comes before it."""

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

    @property
    def label(self) -> str:
        return f"FC-{self.units}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Dense(self.units, use_bias=self.bias, name=name)

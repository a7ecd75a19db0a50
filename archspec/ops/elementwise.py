"""Activations, regularisers and scalings: the shape stays."""

from typing import Any, Literal

from archspec.errors import Problem
from archspec.ops.axes import AlongAxis
from archspec.ops.fields import Number, PerChannel, Rate
from archspec.ops.functions import ElementwiseFunction, function
from archspec.ops.op import (
    Elementwise,
    Reach,
    Saved,
    Weight,
    Weighted,
    Weightless,
    Work,
    needs_spatial,
    pointwise,
)
from archspec.ops.shape import Shape


class Activate(Elementwise, kind="activation", main="function"):
    """An elementwise function, or softmax over the channels."""

    family = "activation"

    function: ElementwiseFunction
    """The function by its usual name, or its name with its arguments: `{leaky_relu: 0.1}`."""

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, function(self.function).cost * y.size)

    def saved_for_backward(self) -> Saved:
        return function(self.function).saved

    @property
    def label(self) -> str:
        return function(self.function).kind.upper()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return function(self.function).emit(layers, name)


class PRelu(Elementwise, Weighted, kind="prelu", main="shared"):
    """x, and a learned slope times x below 0. (He et al. 2015, arXiv:1502.01852)"""

    family = "activation"

    shared: Literal["places", "all", "none"] = "places"
    """Values with one slope: all places of a channel, all of the layer, or each its own."""
    initial: Number = 0.25
    """The slopes' initial value."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        shapes = {
            "places": (*(1,) * x.rank, x.channels),
            "all": (1,) * len(x),
            "none": tuple(x),
        }
        return (Weight("alpha", shapes[self.shared]),)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        shared = {
            "places": [*range(1, x.rank + 1)],
            "all": [*range(1, len(x) + 1)],
            "none": [],
        }
        return layers.PReLU(
            alpha_initializer=layers.Constant(self.initial),
            shared_axes=shared[self.shared] or None,
            name=name,
        )


class Glu(Weightless, kind="glu"):
    """The first half of the channels times the sigmoid of the second.

    (Dauphin et al. 2016, arXiv:1612.08083, section 2)
    """

    family = "activation"

    def output_shape(self, x: Shape) -> Shape:
        if x.channels % 2:
            raise Problem(
                "shape", f"`glu` halves the channels, of which its input has {x.channels}"
            )
        return Shape((*x.spatial, x.channels // 2))

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 2 * y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Function("glu", {}, name=name)


class Softmax(AlongAxis, kind="softmax", main="axis"):
    """Softmax over the channels, or another axis: exponentials that sum to one."""

    family = "activation"

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 3 * y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(output=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        if self.axis == "channels":
            return layers.Activation("softmax", name=name)
        return layers.Softmax(self.keras_axis(x), name=name)


class Squash(AlongAxis, kind="squash", main="axis"):
    """A vector v shortened to the length |v|^2 / (1 + |v|^2), its direction kept.

    (Sabour, Frosst & Hinton 2017, arXiv:1710.09829, equation 1) A capsule is the vector of the
    channels at a place: `reshape: [1152, 8]` makes 1,152 capsules of 8 values each.
    """

    family = "activation"

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 3 * y.size)  # square, sum, factor

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.Function("squash", {"axis": self.keras_axis(x)}, name=name)


class _Drop(Elementwise):
    """Base of ops that drop values in training, and do nothing at inference."""

    rate: Rate
    """Share that is dropped in training."""

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def saved_for_backward(self) -> Saved:
        return Saved(mask=self.rate > 0)


class Dropout(_Drop, kind="dropout", main="rate"):
    """Values are zeroed at random in training, the others scaled up. (Srivastava et al. 2014)"""

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Dropout(self.rate, name=name)


class SpatialDropout(_Drop, kind="spatial_dropout", main="rate"):
    """Whole channels are zeroed at random in training. (Tompson et al. 2014)"""

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        return x

    def saved_for_backward(self) -> Saved:
        return Saved()  # one value for a channel

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.Dropout(self.rate, noise_shape=(None, *(1,) * x.rank, x.channels), name=name)


class DropPath(_Drop, kind="drop_path", main="rate"):
    """A residual branch is dropped at random in training. (Huang et al. 2016, arXiv:1603.09382)

    `batch` is the paper's stochastic depth: one draw for the whole batch; at inference the branch
    is multiplied by its chance of survival. With `sample`, as in timm, each example draws for
    itself, and survivors are divided by that chance, so inference needs no change. A branch that
    is dropped is computed all the same.
    """

    mode: Literal["sample", "batch"] = "sample"
    """Unit that is dropped: the branch of one example, or that of the whole batch."""

    def work(self, x: Shape, y: Shape) -> Work:
        return Work(0, y.size) if self.mode == "batch" else super().work(x, y)

    def saved_for_backward(self) -> Saved:
        return Saved()  # one value for an example

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        if self.mode == "batch":
            return layers.BatchDropPath(self.rate, name=name)
        return layers.Dropout(self.rate, noise_shape=(None, *(1,) * len(x)), name=name)


class Scale(Elementwise, Weighted, kind="scale"):
    """Each channel times a learned factor, plus a learned offset (Caffe's Scale)."""

    bias: bool = True
    """Whether each channel has a learned offset."""
    initial: Number = 1.0
    """The factors' initial value."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        factor = Weight("scale", (x.channels,))
        return (factor, Weight("bias", (x.channels,))) if self.bias else (factor,)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size * (2 if self.bias else 1))

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Scale(use_bias=self.bias, initial=self.initial, name=name)


class Rescale(Elementwise, kind="rescale", main="scale"):
    """Every value times a constant, plus a constant, as when pixels become [-1, 1].

    With lists, each channel has constants of its own: (x - mean) / deviation has the scales
    1 / deviation and the offsets -mean / deviation.
    """

    scale: PerChannel
    """The factor, or one for each channel."""
    offset: PerChannel = 0.0
    """Number that is added after, or one for each channel."""

    def output_shape(self, x: Shape) -> Shape:
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != x.channels:
                count = f"{len(value)} {'number' if len(value) == 1 else 'numbers'}"
                channels = f"{x.channels} {'channel' if x.channels == 1 else 'channels'}"
                raise Problem("shape", f"`{name}` has {count}, but its input has {channels}")
        return x

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        shifts = any(self.offset) if isinstance(self.offset, tuple) else self.offset
        return Work(0, y.size * (2 if shifts else 1))

    def saved_for_backward(self) -> Saved:
        return Saved()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Rescaling(_plain(self.scale), _plain(self.offset), name=name)


def _plain(value: float | tuple[float, ...]) -> float | list[float]:
    """Return constants as Keras writes them into its files."""
    return list(value) if isinstance(value, tuple) else value

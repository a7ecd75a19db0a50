"""Activations, regularisers and scalings: the shape stays."""

from typing import Any, Literal

from archspec.ops.fields import Activation, Number, Rate
from archspec.ops.op import Elementwise, Saved, Weight, Weighted, Work, needs_spatial
from archspec.ops.shape import Shape

_NOT_MONOTONE = frozenset({"gelu", "silu", "swish", "mish", "hard_swish"})
"""Functions with a dip below zero: two inputs give one output, which cannot tell the slope."""


class Activate(Elementwise, kind="activation", main="function"):
    """An elementwise function. ReLU: Nair & Hinton 2010; Krizhevsky et al. 2012, section 3.1."""

    family = "activation"

    function: Activation
    """The function, by its usual name."""

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, {"linear": 0, "softmax": 3}.get(self.function, 1) * y.size)

    def saved_for_backward(self) -> Saved:
        # A derivative is taken from the output where that says it: relu's sign, tanh's value.
        by_input = self.function in _NOT_MONOTONE
        return Saved(input=by_input, output=not by_input and self.function != "linear")

    @property
    def label(self) -> str:
        return self.function.upper()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Activation(self.function, name=name)


class Softmax(Elementwise, kind="softmax"):
    """Softmax over the channels: exponentials that sum to one."""

    family = "activation"

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 3 * y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(output=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Activation("softmax", name=name)


class _Drop(Elementwise):
    """A family: values are dropped in training; at inference nothing happens."""

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
    """Every value times a constant, plus a constant, as when pixels become [-1, 1]."""

    scale: Number
    """The factor."""
    offset: Number = 0.0
    """Number that is added after."""

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size * (2 if self.offset else 1))

    def saved_for_backward(self) -> Saved:
        return Saved()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Rescaling(self.scale, self.offset, name=name)

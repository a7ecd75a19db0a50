"""Squeeze-and-excitation: each channel is weighed by what all places say of all channels."""

from typing import ClassVar, Literal

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.blocks.fc import Fc
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import Reshape
from archspec.ops.fields import Count, Positive
from archspec.ops.merge import Multiply
from archspec.ops.op import needs_spatial
from archspec.ops.pooling import GlobalAvgPool
from archspec.spec.operations import divisible


class SqueezeExcitation(Block, kind="squeeze_excitation", main="ratio"):
    """Channel means, a bottleneck, a factor per channel. (Hu et al. 2017, arXiv:1709.01507, sec. 3)

    The bottleneck has 1 / `ratio` of the channels, or `channels`. Its two layers are 1x1
    convolutions, with kernels (1, 1, inputs, outputs) as in keras.applications, or fully connected
    ones, with kernels (inputs, outputs).
    """

    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("se_ratio", "rd_ratio"),
        "a share of the channels is a `ratio` that divides: 0.25 is `ratio: 4`",
    ) | dict.fromkeys(
        ("gate", "gate_activation", "gate_layer"), "the gate's function is `function`"
    )

    ratio: Positive = 16
    """Input channels for each channel of the bottleneck."""
    channels: Count | None = None
    """Channels of the bottleneck; null for input channels / `ratio`."""
    divisor: Count | None = None
    """Divisor of the bottleneck's channels, as `divisible` rounds; null to round them down."""
    activation: Activation = "relu"
    """Activation of the bottleneck."""
    function: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"
    """Function that gives the factors."""
    bias: bool = True
    """Whether the two layers have a learned offset."""
    style: Literal["conv", "fc"] = "conv"
    """Kind of the two layers: 1x1 convolutions, or fully connected ones."""

    def expand(self, b: Builder, x: Node) -> Node:
        needs_spatial(self.kind, x.shape)
        y = b(GlobalAvgPool(keep_axes=self.style == "conv"), x, name="squeeze")
        y = b(self._layer(self._bottleneck(x.channels), self.activation), y, name="reduce")
        y = b(self._layer(x.channels, self.function), y, name="excite")
        if self.style == "fc":
            y = b(Reshape(to=(*(1,) * x.shape.rank, x.channels)), y, name="reshape")
        return b(Multiply(), x, y, name="multiply")

    @property
    def label(self) -> str:
        return "SE"

    def _bottleneck(self, channels: int) -> int:
        if self.channels is not None:
            return self.channels
        reduced = channels / self.ratio
        return max(int(reduced), 1) if self.divisor is None else divisible(reduced, self.divisor)

    def _layer(self, filters: int, activation: Activation) -> Block:
        if self.style == "fc":
            return Fc(units=filters, bias=self.bias, norm=None, activation=activation)
        return Conv(
            filters=filters,
            kernel=1,
            stride=1,
            padding="valid",
            bias=self.bias,
            norm=None,
            activation=activation,
            order="conv-norm-act",
        )

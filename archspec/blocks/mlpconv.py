"""Network in Network: a small perceptron slides over the image instead of a linear filter."""

from typing import Annotated

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.declare.metadata import Expect, MinLength
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count, Window
from archspec.ops.padding import Padding


class MlpConv(Block, kind="mlpconv"):
    """A convolution, then 1x1 convolutions. (Lin et al. 2013, arXiv:1312.4400, section 3.1)"""

    filters: Annotated[tuple[Count, ...], MinLength(1), Expect("a list of positive whole numbers")]
    """Output channels of the convolution and of each 1x1 convolution after it."""
    kernel: Window
    """Extent of the first kernel; the others are 1."""
    stride: Window = 1
    """Step of the first convolution."""
    padding: Padding = "valid"
    """Padding of the first convolution."""
    activation: Activation | None = "relu"
    """Activation after every convolution."""

    def expand(self, b: Builder, x: Node) -> Node:
        first = {"kernel": self.kernel, "stride": self.stride, "padding": self.padding}
        for index, filters in enumerate(self.filters):
            window = {"kernel": 1, "stride": 1, "padding": "valid"} if index else first
            conv = Conv(filters=filters, activation=self.activation, **window)
            x = b(conv, x, name=f"conv{index + 1}")
        return x

"""SqueezeNet's fire module."""

from typing import Literal

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count
from archspec.ops.merge import Add, Concat


class Fire(Block, kind="fire"):
    """Squeeze by 1x1, expand by 1x1 and 3x3 side by side. (Iandola et al. 2016, arXiv:1602.07360)

    A bypass (section 6) adds the input itself (`simple`), or a 1x1 convolution of it (`complex`).
    """

    squeeze: Count
    """Filters of the 1x1 squeeze layer."""
    expand1x1: Count
    """Filters of the 1x1 expand layer."""
    expand3x3: Count
    """Filters of the 3x3 expand layer."""
    bypass: Literal["none", "simple", "complex"] = "none"
    """Bypass that is added to the output."""
    activation: Activation | None = "relu"
    """Activation after every convolution but the bypass's."""

    def expand(self, b: Builder, x: Node) -> Node:
        def conv(filters: int, kernel: int) -> Conv:
            return Conv(
                filters=filters,
                kernel=kernel,
                stride=1,
                padding="same",
                activation=self.activation,
            )

        squeezed = b(conv(self.squeeze, 1), x, name="squeeze")
        narrow = b(conv(self.expand1x1, 1), squeezed, name="expand1x1")
        wide = b(conv(self.expand3x3, 3), squeezed, name="expand3x3")
        y = b(Concat(), narrow, wide, name="concat")
        if self.bypass == "none":
            return y
        if self.bypass == "complex":
            bypass = Conv(filters=y.channels, kernel=1, stride=1, padding="same", activation=None)
            x = b(bypass, x, name="bypass")
        return b(Add(), x, y, name="add")

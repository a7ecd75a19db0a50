"""DenseNet's dense block and the transition between two of them."""

from typing import ClassVar

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count, Rate
from archspec.ops.merge import Concat
from archspec.ops.padding import Padding


class Dense(Block, kind="dense"):
    """Each unit sees the outputs of all before it. (Huang et al. 2016, arXiv:1608.06993, section 3)

    A unit is norm-activation-conv3x3, in the bottleneck version (DenseNet-B) behind a
    norm-activation-conv1x1; its `growth` new channels are appended to its input.
    """

    hints: ClassVar[dict[str, str]] = {
        "": "`dense` is DenseNet's block; the fully connected layer is `fc`, as `fc: 10`",
        "units": "`dense` is DenseNet's block; the fully connected layer is `fc`",
    }

    layers: Count
    """Number of units."""
    growth: Count
    """Channels that each unit adds, the paper's k."""
    bottleneck: Count | None = 4
    """Filters of the 1x1 convolution in multiples of `growth`; null for none."""
    dropout: Rate = 0.0
    """Share dropped after each convolution in training."""
    activation: Activation = "relu"
    """Activation before each convolution."""

    def expand(self, b: Builder, x: Node) -> Node:
        def conv(filters: int, kernel: int, padding: Padding, on: Node, name: str) -> Node:
            block = Conv(
                filters=filters,
                kernel=kernel,
                stride=1,
                padding=padding,
                norm="batch",
                activation=self.activation,
                order="norm-act-conv",
                dropout=self.dropout,
            )
            return b(block, on, name=name)

        for _ in range(self.layers):
            with b.group("unit"):
                new = x
                if self.bottleneck:
                    new = conv(self.bottleneck * self.growth, 1, "valid", new, "conv1x1")
                new = conv(self.growth, 3, 1, new, "conv3x3")
                x = b(Concat(), x, new, name="concat")
        return x

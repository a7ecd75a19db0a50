"""GoogLeNet's Inception module, with its reductions or naive."""

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count
from archspec.ops.merge import Concat
from archspec.ops.pooling import MaxPool


class Inception(Block, kind="inception"):
    """1x1, 3x3, 5x5 and a pool side by side. (Szegedy et al. 2014, arXiv:1409.4842, figure 2)

    The fields are the columns of the paper's table 1. A `reduce` or `pool_proj` left out gives the
    naive module of figure 2a.
    """

    conv1x1: Count
    """Filters of the 1x1 branch."""
    conv3x3: Count
    """Filters of the 3x3 branch."""
    conv5x5: Count
    """Filters of the 5x5 branch."""
    reduce3x3: Count | None = None
    """Filters of the 1x1 reduction before the 3x3; null for none."""
    reduce5x5: Count | None = None
    """Filters of the 1x1 reduction before the 5x5; null for none."""
    pool_proj: Count | None = None
    """Filters of the 1x1 projection after the 3x3 pool; null for none."""
    activation: Activation | None = "relu"
    """Activation after every convolution."""

    def expand(self, b: Builder, x: Node) -> Node:
        def conv(filters: int, kernel: int, on: Node, name: str) -> Node:
            block = Conv(
                filters=filters,
                kernel=kernel,
                stride=1,
                padding="same",
                activation=self.activation,
            )
            return b(block, on, name=name)

        one = conv(self.conv1x1, 1, x, "conv1x1")
        three = conv(self.reduce3x3, 1, x, "reduce3x3") if self.reduce3x3 else x
        three = conv(self.conv3x3, 3, three, "conv3x3")
        five = conv(self.reduce5x5, 1, x, "reduce5x5") if self.reduce5x5 else x
        five = conv(self.conv5x5, 5, five, "conv5x5")
        pool = b(MaxPool(size=3, stride=1, padding="same"), x, name="pool")
        pool = conv(self.pool_proj, 1, pool, "pool_proj") if self.pool_proj else pool
        return b(Concat(), one, three, five, pool, name="concat")

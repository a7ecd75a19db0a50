"""The transition between two dense blocks."""

from math import floor
from typing import Annotated

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.declare.metadata import Bounds, Expect
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.pooling import AvgPool


class Transition(Block, kind="transition", main="compression"):
    """1x1 convolution and 2x2 average pool. (Huang et al. 2016, arXiv:1608.06993, section 3)

    It keeps floor(compression * channels) channels and half of each spatial extent.
    """

    compression: Annotated[float, Bounds(gt=0, le=1), Expect("a number above 0, at most 1")] = 0.5
    """Share of the channels that is kept, the paper's theta."""
    activation: Activation = "relu"
    """Activation before the convolution."""

    def expand(self, b: Builder, x: Node) -> Node:
        conv = Conv(
            # Rounded before the floor: 0.29 * 100 is 28.999999999999996.
            filters=max(floor(round(self.compression * x.channels, 9)), 1),
            kernel=1,
            stride=1,
            padding="valid",
            norm="batch",
            activation=self.activation,
            order="norm-act-conv",
        )
        pool = AvgPool(size=2, stride=2, padding="valid")
        return b(pool, b(conv, x, name="conv"), name="pool")

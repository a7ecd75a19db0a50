"""The dual path: a residual path and a densely connected one, grown by the same units."""

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import Slice
from archspec.ops.fields import Count
from archspec.ops.merge import Add, Concat


class DualPath(Block, kind="dual_path"):
    """Units that add to one path and append to another. (Chen et al. 2017, arXiv:1707.01629)

    Each sees both paths at once. Of its bottleneck's output, the first `filters` channels are
    added to the residual path, the other `growth` are appended to the dense path. Before the first
    unit a 1x1 convolution of the input makes the two paths, the dense one 2 * `growth` wide. The
    output has `filters` + (`layers` + 2) * `growth` channels, those of the residual path first.
    """

    layers: Count
    """Number of units."""
    filters: Count
    """Channels of the residual path."""
    growth: Count
    """Channels that each unit appends to the dense path."""
    width: Count
    """Channels of each group of a unit's 3x3 convolution."""
    cardinality: Count = 32
    """Groups of a unit's 3x3 convolution."""
    stride: Count = 1
    """Step of the first unit."""
    activation: Activation = "relu"
    """Activation before each convolution."""

    def expand(self, b: Builder, x: Node) -> Node:
        paths = self._conv(b, x, "projection", self.filters + 2 * self.growth, stride=self.stride)
        residual, *dense = self._split(b, paths)
        inner = self.width * self.cardinality
        stride = self.stride
        for _ in range(self.layers):
            with b.group("unit"):
                y = self._conv(b, x, "conv1", inner)
                y = self._conv(b, y, "conv2", inner, 3, stride, self.cardinality)
                y = self._conv(b, y, "conv3", self.filters + self.growth)
                summand, new = self._split(b, y)
                residual = b(Add(), residual, summand, name="add")
                dense.append(new)
                x = b(Concat(), residual, *dense, name="concat")
            stride = 1
        return x

    def _conv(
        self,
        b: Builder,
        x: Node,
        name: str,
        filters: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> Node:
        conv = Conv(
            filters=filters,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2 or "valid",
            groups=groups,
            norm="batch",
            activation=self.activation,
            order="norm-act-conv",
        )
        return b(conv, x, name=name)

    def _split(self, b: Builder, y: Node) -> tuple[Node, Node]:
        """Return the channels for the residual path, and those for the dense path."""
        return b(Slice(stop=self.filters), y), b(Slice(start=self.filters), y)

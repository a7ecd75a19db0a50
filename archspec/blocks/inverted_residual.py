"""The inverted residual unit of MobileNetV2, its gated form (MBConv) and its fused one."""

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.blocks.depthwise_conv import DepthwiseConv
from archspec.blocks.gate import Gate, gated
from archspec.blocks.normalized import NORM_HINTS, Norm
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.elementwise import DropPath
from archspec.ops.fields import Count, Positive, Rate, Window
from archspec.ops.merge import Add
from archspec.ops.padding import Padding


class InvertedResidual(Block, kind="inverted_residual", main="filters"):
    """Wide inside, narrow where it is added. (Sandler et al. 2018, arXiv:1801.04381, section 3.3)

    A 1x1 convolution expands, a depthwise one filters, a 1x1 projects. Where the output has the
    input's shape, the input is added. Without expansion the first convolution is left out.

    MBConv: a `gate` before the projection (Tan et al. 2018, arXiv:1807.11626). Fused-MBConv
    (`fused`): one convolution expands and filters; without expansion it is the only one (Tan & Le
    2021, arXiv:2104.00298, figure 2).
    """

    hints = NORM_HINTS

    filters: Count
    """Number of output channels."""
    kernel: Window = 3
    """Extent of the depthwise kernel; of the one that expands, if fused."""
    stride: Window = 1
    """Step of that convolution."""
    expansion: Positive = 6
    """Channels inside, in multiples of the input's."""
    width: Count | None = None
    """Channels inside; null for `expansion` times the input's."""
    padding: Padding = "same"
    """Padding of the convolution that strides: TensorFlow's `same`; torch's is kernel // 2."""
    fused: bool = False
    """Whether one convolution takes the place of the 1x1 that expands and the depthwise one."""
    gate: Gate | None = None
    """Step before the projection that weighs the channels, such as squeeze_excitation, or null."""
    norm: Norm | None = "batch"
    """Normalisation of every convolution."""
    activation: Activation = "relu6"
    """Activation inside."""
    linear: bool = True
    """Whether the projection has no activation, as in all networks of these papers."""
    drop_path: Rate = 0.0
    """Share dropped of the branch in training (stochastic depth), where there is a sum."""

    def expand(self, b: Builder, x: Node) -> Node:
        y = self._fused(b, x) if self.fused else self._projected(b, self._depthwise(b, x))
        if y.shape != x.shape:
            return y
        if self.drop_path:
            y = b(DropPath(rate=self.drop_path), y, name="drop_path")
        return b(Add(), x, y, name="add")

    @property
    def label(self) -> str:
        expansion = f"{self.expansion:g}" if self.width is None else ""
        return f"{'FUSED-' if self.fused else ''}MBCONV{expansion}"

    def _depthwise(self, b: Builder, x: Node) -> Node:
        inner = self._inner(x)
        expand = self._conv(inner, activation=self.activation)
        y = x if inner == x.channels else b(expand, x, name="expand")
        depthwise = DepthwiseConv(
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=1,
            multiplier=1,
            bias=self.norm is None,
            norm=self.norm,
            activation=self.activation,
        )
        return b(depthwise, y, name="depthwise")

    def _fused(self, b: Builder, x: Node) -> Node:
        inner = self._inner(x)
        if inner == x.channels:
            return gated(b, b(self._strided(self.filters), x, name="conv"), self.gate)
        return self._projected(b, b(self._strided(inner), x, name="expand"))

    def _projected(self, b: Builder, y: Node) -> Node:
        project = self._conv(self.filters, activation=None if self.linear else self.activation)
        return b(project, gated(b, y, self.gate), name="project")

    def _inner(self, x: Node) -> int:
        return self.width or max(round(self.expansion * x.channels), 1)

    def _strided(self, filters: int) -> Conv:
        return self._conv(filters, self.kernel, self.stride, self.padding, self.activation)

    def _conv(
        self,
        filters: int,
        kernel: Window = 1,
        stride: Window = 1,
        padding: Padding = "valid",
        activation: Activation | None = None,
    ) -> Conv:
        return Conv(
            filters=filters,
            kernel=kernel,
            stride=stride,
            padding=padding,
            bias=self.norm is None,
            norm=self.norm,
            activation=activation,
            order="conv-norm-act",
        )

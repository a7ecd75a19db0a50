"""A convolution factored into one over space and one over channels."""

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.blocks.depthwise_conv import DepthwiseConv
from archspec.blocks.normalized import Norm
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count, Window
from archspec.ops.padding import Padding


class SeparableConv(Block, kind="separable_conv", main="filters"):
    """Depthwise convolution, then 1x1. (Sifre 2014; Chollet 2016, arXiv:1610.02357, section 2)

    Nothing stands between the two, as in Xception.
    """

    filters: Count
    """Number of output channels."""
    kernel: Window = 3
    """Extent of the depthwise kernel."""
    stride: Window = 1
    """Step of the depthwise convolution."""
    padding: Padding = "valid"
    """Padding of the depthwise convolution."""
    multiplier: Count = 1
    """Depthwise kernels for each input channel."""
    bias: bool | None = None
    """Whether the 1x1 has a bias; by default only without norm."""
    norm: Norm | None = None
    """Normalisation after the 1x1."""
    activation: Activation | None = None
    """Activation at the end."""

    def expand(self, b: Builder, x: Node) -> Node:
        bare = {"bias": False, "norm": None, "activation": None}
        depthwise = DepthwiseConv(**self.passed_to(DepthwiseConv) | bare)
        window = {"kernel": 1, "stride": 1, "padding": "valid"}
        pointwise = Conv(**self.passed_to(Conv) | window)
        return b(pointwise, b(depthwise, x, name="depthwise"), name="pointwise")

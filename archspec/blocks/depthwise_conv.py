"""The depthwise convolution with its norm and activation."""

from typing import ClassVar

from archspec.blocks.activated import Activation, activated
from archspec.blocks.block import Block
from archspec.blocks.normalized import NORM_HINTS, Norm, normalized
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.convolution import DepthwiseConvolution
from archspec.ops.fields import Bank, Count, Window, by_x
from archspec.ops.op import FROZEN_HINTS, Op
from archspec.ops.padding import MODE_HINTS, Padding


class DepthwiseConv(Block, kind="depthwise_conv", main="kernel"):
    """Each channel convolved by itself, by one kernel or several. (Sifre 2014; Howard et al. 2017)

    Then optional normalisation and activation.
    """

    row: ClassVar[bool] = True

    hints: ClassVar[dict[str, str]] = NORM_HINTS | FROZEN_HINTS | MODE_HINTS

    kernel: Window
    """Extent of the kernel, one number or one for each spatial axis."""
    multiplier: Count = 1
    """Output channels for each input channel."""
    stride: Window = 1
    """Step between windows, one number or one for each spatial axis."""
    padding: Padding = "valid"
    """Zeros around the input: same, valid, amounts, causal; or other values, as {reflect: 1}."""
    dilation: Window = 1
    """Step between the taps of the kernel."""
    bias: bool | None = None
    """Whether each output channel has a learned offset; by default only without norm."""
    norm: Norm | None = None
    """Normalisation, or null."""
    activation: Activation | None = None
    """Activation, or null."""
    initial: Bank | None = None
    """Bank of filters that the kernel starts as (see `initial`); null for random."""
    trainable: bool = True
    """Whether training changes the kernels; it always changes the norm's weights."""

    def alone(self) -> Op | None:
        if self.norm is None and self.activation is None:
            return self._convolution()
        return None

    def expand(self, b: Builder, x: Node) -> Node:
        x = b(self._convolution(), x, name="convolution")
        return activated(b, normalized(b, x, self.norm), self.activation)

    def _convolution(self) -> DepthwiseConvolution:
        bias = self.norm is None if self.bias is None else self.bias
        return DepthwiseConvolution(**self.passed_to(DepthwiseConvolution) | {"bias": bias})

    @property
    def label(self) -> str:
        return f"DWCONV{by_x(self.kernel)}"

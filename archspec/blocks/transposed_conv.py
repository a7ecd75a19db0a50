"""The transposed convolution with its norm and activation."""

from typing import ClassVar

from archspec.blocks.activated import Activation, activated
from archspec.blocks.block import Block
from archspec.blocks.normalized import NORM_HINTS, Norm, normalized
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.convolution import TransposedConvolution
from archspec.ops.fields import Count, Margins, Window, by_x
from archspec.ops.op import FROZEN_HINTS, Op
from archspec.ops.padding import CutPadding


class TransposedConv(Block, kind="transposed_conv", main="filters"):
    """The transpose of a convolution: each input value paints a kernel. (Zeiler et al. 2010)

    Then optional normalisation and activation. The output is stride times the input (`same`), as
    long as the painted kernels (`valid`), or, as in torch, what amounts of `padding` leave:
    (input - 1) * stride + kernel - 2 * padding + output_padding.
    """

    row: ClassVar[bool] = True

    hints: ClassVar[dict[str, str]] = NORM_HINTS | FROZEN_HINTS

    filters: Count
    """Number of output channels."""
    kernel: Window
    """Extent of the kernel, one number or one for each spatial axis."""
    stride: Window = 1
    """Step between kernels, one number or one for each spatial axis."""
    padding: CutPadding = "valid"
    """Length of the output: same, valid, or amounts that are cut off its ends (torch's padding)."""
    output_padding: Margins = 0
    """Amount by which the output is longer at its end, where `padding` is an amount."""
    dilation: Window = 1
    """Step between the taps of the kernel."""
    groups: Count = 1
    """Number of groups of channels that do not see each other."""
    bias: bool | None = None
    """Whether each filter has a learned offset; by default only in a layer without norm."""
    norm: Norm | None = None
    """Normalisation, or null."""
    activation: Activation | None = None
    """Activation, or null."""
    trainable: bool = True
    """Whether training changes the kernels; it always changes the norm's weights."""

    def alone(self) -> Op | None:
        if self.norm is None and self.activation is None:
            return self._convolution()
        return None

    def expand(self, b: Builder, x: Node) -> Node:
        x = b(self._convolution(), x, name="convolution")
        return activated(b, normalized(b, x, self.norm), self.activation)

    def _convolution(self) -> TransposedConvolution:
        bias = self.norm is None if self.bias is None else self.bias
        return TransposedConvolution(**self.passed_to(TransposedConvolution) | {"bias": bias})

    @property
    def label(self) -> str:
        return f"TCONV{by_x(self.kernel)}-{self.filters}"

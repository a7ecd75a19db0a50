"""The convolutional layer as papers speak of it: convolution, normalisation, activation."""

from typing import ClassVar, Literal

from archspec.blocks.activated import Activation, activated
from archspec.blocks.block import Block
from archspec.blocks.normalized import NORM_HINTS, Norm, normalized
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.convolution import Convolution
from archspec.ops.elementwise import Dropout
from archspec.ops.fields import Bank, Connections, Count, Rate, Window, by_x
from archspec.ops.op import FROZEN_HINTS
from archspec.ops.padding import MODE_HINTS, Padding

Order = Literal["conv-norm-act", "norm-act-conv"]


class Conv(Block, kind="conv", main="filters"):
    """Convolution, then optional normalisation and activation, or these before it.

    `order: norm-act-conv` is the pre-activation order of He et al. 2016 (arXiv:1603.05027).
    """

    row: ClassVar[bool] = True

    hints: ClassVar[dict[str, str]] = (
        NORM_HINTS
        | FROZEN_HINTS
        | MODE_HINTS
        | dict.fromkeys(
            ("in_channels", "input_channels", "in_filters", "input_shape"),
            "a convolution takes its input channels from the step before: leave it out",
        )
    )

    filters: Count
    """Number of output channels."""
    kernel: Window = 3
    """Extent of the kernel, one number or one for each spatial axis."""
    stride: Window = 1
    """Step between windows, one number or one for each spatial axis."""
    padding: Padding = "valid"
    """Zeros around the input: same, valid, amounts, causal; or other values, as {reflect: 1}."""
    dilation: Window = 1
    """Step between the taps of the kernel."""
    groups: Count = 1
    """Number of groups of channels that do not see each other."""
    connections: Connections | None = None
    """The input channels that each filter sees, a list for each filter; null for all."""
    standardize: bool = False
    """Whether each filter is used with mean 0 and variance 1 (Qiao et al. 2019)."""
    bias: bool | None = None
    """Whether each filter has a learned offset; by default only in a layer without norm."""
    norm: Norm | None = None
    """Normalisation: batch, layer, group, instance, rms, lrn, or null."""
    activation: Activation | None = None
    """Activation, or null."""
    order: Order = "conv-norm-act"
    """Order of convolution, norm and activation."""
    dropout: Rate = 0.0
    """Share of the convolution's outputs dropped in training, before what follows it."""
    initial: Bank | None = None
    """Bank of filters that the kernel starts as (see `initial`); null for random."""
    trainable: bool = True
    """Whether training changes the convolution's weights; it always changes the norm's."""

    def expand(self, b: Builder, x: Node) -> Node:
        if self.order == "norm-act-conv":
            return self._convolve(b, activated(b, normalized(b, x, self.norm), self.activation))
        return activated(b, normalized(b, self._convolve(b, x), self.norm), self.activation)

    def _convolve(self, b: Builder, x: Node) -> Node:
        bias = self.norm is None if self.bias is None else self.bias
        convolution = Convolution(**self.passed_to(Convolution) | {"bias": bias})
        y = b(convolution, x, name="convolution")
        return b(Dropout(rate=self.dropout), y, name="dropout") if self.dropout else y

    @property
    def label(self) -> str:
        return f"CONV{by_x(self.kernel)}-{self.filters}"

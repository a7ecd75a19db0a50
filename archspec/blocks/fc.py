"""The fully connected layer as papers speak of it: with its activation."""

from typing import ClassVar

from archspec.blocks.activated import Activation, activated
from archspec.blocks.block import Block
from archspec.blocks.normalized import NORM_HINTS, Norm, normalized
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.convolution import FullyConnected
from archspec.ops.fields import Count
from archspec.ops.op import FROZEN_HINTS


class Fc(Block, kind="fc", main="units"):
    """Fully connected layer, then optional normalisation and activation.

    Its input is a vector, or a sequence: then it works at each position by itself.
    """

    row: ClassVar[bool] = True

    hints: ClassVar[dict[str, str]] = (
        NORM_HINTS
        | FROZEN_HINTS
        | dict.fromkeys(
            ("in_features", "input_dim", "in_channels", "input_shape"),
            "it takes what the step before gives: leave it out",
        )
    )

    units: Count
    """Number of outputs."""
    bias: bool | None = None
    """Whether each output has a learned offset; by default only in a layer without norm."""
    norm: Norm | None = None
    """Normalisation: batch, layer, group, instance, rms, lrn, or null."""
    activation: Activation | None = None
    """Activation, or null."""
    each_place: bool = False
    """Whether the input may be maps, each place by itself; else `flatten` comes first."""
    trainable: bool = True
    """Whether training changes the layer's weights; it always changes the norm's."""

    def expand(self, b: Builder, x: Node) -> Node:
        bias = self.norm is None if self.bias is None else self.bias
        connected = FullyConnected(**self.passed_to(FullyConnected) | {"bias": bias})
        x = b(connected, x, name="fully_connected")
        return activated(b, normalized(b, x, self.norm), self.activation)

    @property
    def label(self) -> str:
        return f"FC-{self.units}"

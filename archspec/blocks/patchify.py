"""The first step of networks of attention: an image as patches."""

from typing import ClassVar

from archspec.blocks.block import Block
from archspec.blocks.normalized import Norm, normalized
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import Reshape
from archspec.ops.convolution import Convolution
from archspec.ops.fields import Count, Window, by_x


class Patchify(Block, kind="patchify", main="filters"):
    """Each patch of an image as a vector: a convolution whose stride is its kernel.

    The patches become a sequence, row by row (Dosovitskiy et al. 2020, arXiv:2010.11929, section
    3.1), or with `sequence: false` stay maps, as in Swin. What is left at the end is not used.
    """

    row: ClassVar[bool] = True

    filters: Count
    """Channels of a patch."""
    patch: Window
    """Extent of a patch, one number or one for each spatial axis."""
    bias: bool = True
    """Whether each channel has a learned offset."""
    norm: Norm | None = None
    """Normalisation: batch, layer, group, instance, rms, lrn, or null."""
    sequence: bool = True
    """Whether the patches become a sequence, [positions, channels]."""

    def expand(self, b: Builder, x: Node) -> Node:
        convolution = Convolution(
            filters=self.filters,
            kernel=self.patch,
            stride=self.patch,
            padding="valid",
            dilation=1,
            groups=1,
            bias=self.bias,
        )
        y = b(convolution, x, name="convolution")
        if self.sequence and y.shape.rank > 1:
            y = b(Reshape(to=(y.shape.size // y.channels, y.channels)), y, name="sequence")
        return normalized(b, y, self.norm)

    @property
    def label(self) -> str:
        return f"PATCH{by_x(self.patch)}-{self.filters}"

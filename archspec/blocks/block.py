"""The base class of blocks: fields, and one method that adds ops to the builder."""

from abc import abstractmethod
from typing import ClassVar

from archspec.element import Element
from archspec.graph.builder import Builder
from archspec.graph.graph import Node


class Block(Element):
    """A composition of ops and other blocks."""

    row: ClassVar[bool] = False
    """Whether a table shows it as one row, as it does a convolution with its activation."""

    @abstractmethod
    def expand(self, b: Builder, x: Node) -> Node:
        """Add the block on `x` and return the node of its output.

        What is added depends on the fields and on the inputs' shapes, and reads no other node: the
        same block on an input of the same shape is not expanded again.

        A block of several inputs, as many as `most_inputs`, has more parameters after `x`, with
        defaults.

        The spec's `defaults` fill whatever an element added here leaves unsaid. So that they can
        change what a block is made of but not its shape, blocks say every kernel, stride and
        padding.
        """

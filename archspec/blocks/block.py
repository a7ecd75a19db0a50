"""The base class of blocks: fields, and one method that adds ops to the builder."""

from abc import abstractmethod
from typing import Any, ClassVar

from archspec.element import Element
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.op import Op


class Block(Element):
    """A composition of ops and other blocks."""

    row: ClassVar[bool] = False
    """Whether a table shows it as one row, as it does a convolution with its activation."""

    def passed_to(self, cls: type[Element]) -> dict[str, Any]:
        """Return the arguments that a kind of step has too, which the block hands on to it."""
        own = type(self).model_fields
        return {name: getattr(self, name) for name in cls.model_fields if name in own}

    def alone(self) -> Op | None:
        """Return the op that the block is where it adds one alone; None where it adds more.

        Such an op stands at the block's own path, as if the step were the op.
        """
        return None

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

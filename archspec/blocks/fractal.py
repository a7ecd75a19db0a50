"""FractalNet's block: columns of 1, 2, 4, ... convolutions that meet again and again."""

from typing import Annotated, ClassVar

from archspec.blocks.activated import Activation
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.declare.metadata import Bounds, Expect
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.fields import Count, Rate
from archspec.ops.merge import Mean
from archspec.ops.paths import Join

Columns = Annotated[int, Bounds(ge=1, le=16), Expect("a whole number from 1 to 16")]


class Fractal(Block, kind="fractal", main="filters"):
    """Columns, each half as deep as the one before. (Larsson et al. 2016, arXiv:1605.07648)

    The first of C columns has 2^(C-1) convolutions. Wherever columns end together, their mean takes
    the place of all of them. `drop_path` drops some of a mean's inputs in training; a second
    input, from `path_draw`, lets the whole network keep one and the same column instead.
    """

    most_inputs: ClassVar[int] = 2

    filters: Count
    """Number of output channels."""
    columns: Columns = 3
    """Number of columns, the paper's C."""
    dropout: Rate = 0.0
    """Share of each convolution's outputs dropped in training."""
    drop_path: Rate = 0.0
    """Share of the inputs of each join that is dropped in training, the paper's 0.15."""
    activation: Activation = "relu"
    """Activation after each convolution and its batch normalisation."""

    def expand(self, b: Builder, x: Node, draw: Node | None = None) -> Node:
        if draw is not None and draw.shape != (self.columns,):
            raise Problem(
                "shape",
                f"the second input of `fractal` is {draw.shape}, not a draw of its "
                f"{self.columns} columns",
                help=f"let it come from `path_draw: {self.columns}`",
            )
        conv = Conv(
            filters=self.filters,
            kernel=3,
            stride=1,
            padding=1,
            norm="batch",
            activation=self.activation,
            dropout=self.dropout,
        )
        ends = [x] * self.columns
        for row in range(1, 2 ** (self.columns - 1) + 1):
            with b.group("row"):
                # Column j has a convolution in every 2^j-th row; columns that have one meet after.
                meeting = [column for column in range(self.columns) if row % 2**column == 0]
                for column in meeting:
                    ends[column] = b(conv, ends[column], name=f"column{column + 1}")
                if len(meeting) > 1:
                    joined = self._join(b, [ends[column] for column in meeting], draw)
                    ends[: len(meeting)] = [joined] * len(meeting)
        return ends[0]

    def _join(self, b: Builder, ends: list[Node], draw: Node | None) -> Node:
        if not self.drop_path and draw is None:
            return b(Mean(), *ends, name="join")
        if draw is None:
            return b(Join(rate=self.drop_path, columns=None), *ends, name="join")
        columns = tuple(range(len(ends)))
        return b(Join(rate=self.drop_path, columns=columns), *ends, draw, name="join")

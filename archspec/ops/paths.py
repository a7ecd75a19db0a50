"""Drop-path: in training a network of parallel columns loses some, at random. (FractalNet)"""

from typing import Annotated, Any

from archspec.declare.metadata import Bounds, Expect
from archspec.errors import Problem
from archspec.ops.fields import Count, Index, Rate
from archspec.ops.merge import Mean, Merge
from archspec.ops.op import Rearrangement, Work
from archspec.ops.shape import Shape


class PathDraw(Rearrangement, kind="path_draw", main="columns"):
    """Draw the column that a training step keeps in the network. (Larsson et al. 2016, section 3.1)

    It gives one value for each column: a 1 for the one that is kept and 0 for the others, or all
    0 where each `join` draws for itself, as in the other steps and always at inference. It is
    drawn once a step, whatever its input holds, and every `join` reads it.
    """

    columns: Count
    """Number of columns to choose from."""
    global_share: Annotated[float, Bounds(ge=0, le=1), Expect("a number from 0 to 1")] = 0.5
    """Share of the training steps that keep one column; the paper mixes half and half."""

    def output_shape(self, x: Shape) -> Shape:  # noqa: ARG002
        return Shape((self.columns,))

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.PathDraw(self.columns, self.global_share, name=name)


class Join(Mean, kind="join"):
    """The mean of the inputs that survive drop-path. (Larsson et al. 2016, section 3.1)

    In training each input is dropped at random (local drop-path), but never all of them. With
    `columns` the last input is the output of `path_draw`; where that keeps one column, so does the
    join. At inference it is the mean of all. What is dropped is computed all the same.
    """

    rate: Rate = 0.15
    """Share of the inputs that is dropped in training."""
    columns: tuple[Index, ...] | None = None
    """The column of each input, counted from 0; null for local drop-path alone."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if self.columns is None:
            return Merge.output_shape(self, *inputs)
        *values, draw = inputs
        if len(values) != len(self.columns) or not values:
            raise Problem(
                "shape",
                f"`join` names the columns of {len(self.columns)} inputs, but has {len(values)}",
            )
        if draw.rank or max(self.columns) >= draw.channels:
            raise Problem(
                "shape",
                f"the last input of `join` is {draw}, not a draw of that many columns",
                help="with `columns`, the last input is the output of `path_draw`",
            )
        return Merge.output_shape(self, *values)

    def work(self, *shapes: Shape) -> Work:
        if self.columns is None:
            return super().work(*shapes)
        *values, _, y = shapes
        return super().work(*values, y)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Join(self.rate, self.columns, name=name)

"""Biases and masks of attention's scores, beside products and softmax.

Scores are [heads, queries, keys], or [windows, heads, queries, keys] where attention stays within
windows; see the block `attention`.
"""

from math import prod
from typing import Any

from archspec.errors import Problem
from archspec.ops.fields import Index, Window, per_axis
from archspec.ops.op import Elementwise, Reach, Saved, Weight, Weighted, Work
from archspec.ops.shape import Shape


class _OnScores(Elementwise):
    """Base of ops that change the scores of attention, [..., heads, queries, keys]."""

    def check(self, x: Shape) -> None:
        """Raise `Problem` for an input that cannot be the scores of positions for themselves."""
        if x.rank < 2 or x[-1] != x[-2]:
            raise Problem(
                "shape",
                f"`{self.kind}` needs scores, [heads, positions, positions], not {x}",
                help="`matmul: {transpose_b: true}` of queries and keys gives scores",
            )

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None


class RelativePositionBias(_OnScores, Weighted, kind="relative_position_bias", main="window"):
    """A learned offset of each score, by head and by the way from the query to the key.

    The table has a row for each distance that two positions of a window can have, (2 x extent - 1)
    along each axis, and a column for each head. (Liu et al. 2021, arXiv:2103.14030, equation 4)
    """

    window: Window
    """Extents of the window whose positions the queries and keys are, such as [7, 7]."""

    def extents(self) -> tuple[int, ...]:
        """Return the window's extents; one number is the length of a sequence."""
        return (self.window,) if isinstance(self.window, int) else self.window

    def output_shape(self, x: Shape) -> Shape:
        self.check(x)
        extents = self.extents()
        if prod(extents) != x[-1] or not extents:
            raise Problem(
                "shape",
                f"a window of {'x'.join(map(str, extents))} has {prod(extents)} positions, "
                f"the scores have {x[-1]}",
            )
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        distances = prod(2 * extent - 1 for extent in self.extents())
        return (Weight("table", (distances, x[-3])),)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.RelativePositionBias(self.extents(), name=name)


class CausalMask(_OnScores, kind="causal_mask"):
    """Scores of keys after the query become minus infinity: no position sees what comes later.

    (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3)
    """

    def output_shape(self, x: Shape) -> Shape:
        self.check(x)
        return x

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.CausalMask(name=name)


class ShiftedWindowMask(_OnScores, kind="shifted_window_mask"):
    """Scores between places that only the cyclic shift made neighbours become minus infinity.

    The scores are those of windows, row by row, of a map that was rolled back by `shift`. (Liu et
    al. 2021, arXiv:2103.14030, section 3.2 and figure 4)
    """

    extent: Window
    """Extents of the map that was cut into windows."""
    window: Window
    """Extent of a window: one number, or one for each axis."""
    shift: Index | tuple[Index, ...]
    """Distance by which the map was rolled back: one number, or one for each axis."""

    def axes(self) -> tuple[tuple[int, int, int], ...]:
        """Return the map's extent, the window's and the shift along each axis."""
        extents = (self.extent,) if isinstance(self.extent, int) else self.extent
        rank = len(extents)
        windows = per_axis(self.window, rank, "window")
        return tuple(zip(extents, windows, per_axis(self.shift, rank, "shift"), strict=True))

    def output_shape(self, x: Shape) -> Shape:
        self.check(x)
        axes = self.axes()
        if x.rank != 3 or not axes:
            raise Problem(
                "shape",
                f"`{self.kind}` needs scores of windows, [windows, heads, positions, positions], "
                f"not {x}",
            )
        for extent, window, shift in axes:
            if extent % window or shift >= window:
                raise Problem(
                    "shape",
                    f"windows of {window} that are shifted by {shift} do not fit {extent} places",
                    help="the extent must be a multiple of the window, the shift smaller than it",
                )
        windows = prod(extent // window for extent, window, _ in axes)
        positions = prod(window for _, window, _ in axes)
        if (windows, positions) != (x[0], x[-1]):
            raise Problem(
                "shape",
                f"the map has {windows} windows of {positions} positions, "
                f"the scores {x} have {x[0]} of {x[-1]}",
            )
        return x

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.ShiftedWindowMask(*zip(*self.axes(), strict=True), name=name)

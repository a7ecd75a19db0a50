"""The op that gives the spatial axes any extents."""

from fractions import Fraction
from typing import Any, Literal

from archspec.errors import Problem
from archspec.ops.fields import Window, per_axis
from archspec.ops.op import Reach, Rearrangement, Work, needs_spatial
from archspec.ops.shape import Shape

_TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
"""Values along an axis from which one new value is computed."""


class Resize(Rearrangement, kind="resize", main="to"):
    """The spatial axes with other extents, or with those of a second input.

    `{resize: {method: bilinear}, from: [x, skip]}` gives `x` the height and width of `skip`. Pixels
    are areas, and the image's borders stay where they are (half-pixel centres: `align_corners`
    false, in torch's words). One or two spatial axes. The cubic kernel is that of the engine:
    a = -0.5 on TensorFlow and JAX, -0.75 on PyTorch.
    """

    most_inputs = 2

    to: Window | None = None
    """The new extents: one number, or one for each axis; by default those of a second input."""
    method: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    """Method by which new values are computed."""

    def output_shape(self, x: Shape, like: Shape | None = None) -> Shape:
        needs_spatial(self.kind, x)
        if x.rank > 2:
            raise Problem("shape", f"`resize` works on one or two spatial axes, not on {x}")
        if (self.to is None) == (like is None):
            message = "`resize` needs new extents, or a second input" + (
                ": it has both" if like else ""
            )
            help_ = "as `resize: [56, 56]`, or `{resize: {method: bilinear}, from: [x, skip]}`"
            raise Problem("shape", message, help=help_)
        if like is None:
            return Shape((*per_axis(self.to or (), x.rank, "to"), x.channels))
        if like.rank != x.rank:
            raise Problem("shape", f"`resize` cannot give {x} the spatial extents of {like}")
        return Shape((*like.spatial, x.channels))

    def work(self, *shapes: Shape) -> Work:
        x, *_, y = shapes
        changed = sum(n != m for n, m in zip(x.spatial, y.spatial, strict=True))
        taps = _TAPS[self.method] ** changed
        # A product with each tap and their sum: 7 a value for two axes, as in `upsample`.
        return Work(0, 0 if taps == 1 else (2 * taps - 1) * y.size)

    def reach(self, x: Shape, like: Shape | None = None) -> Reach | None:
        y = self.output_shape(x, like)
        if x.is_open or y.is_open:
            return None  # the step depends on the size
        taps = _TAPS[self.method]
        return Reach(
            tuple(1 if n == m else taps for n, m in zip(x.spatial, y.spatial, strict=True)),
            tuple(_whole(Fraction(n, m)) for n, m in zip(x.spatial, y.spatial, strict=True)),
        )

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        to = None if self.to is None else per_axis(self.to, x.rank, "to")
        return layers.Resize(to, self.method, name=name)


def _whole(step: Fraction) -> int | Fraction:
    return int(step) if step.denominator == 1 else step

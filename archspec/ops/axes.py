"""Names of axes: what expressions, `axis` arguments and permutations call them."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from archspec.declare.metadata import Expect, Instead
from archspec.errors import Problem, did_you_mean
from archspec.ops.op import Elementwise, Reach
from archspec.ops.shape import Shape

_NO_BATCH = "the batch is not an axis here: examples do not see each other"

Axis: TypeAlias = Annotated[
    Literal["height", "width", "depth", "length", "channels"],
    Expect("an axis by its name: channels, length, height, width or depth"),
    Instead(
        dict.fromkeys(("positions", "position", "time", "tokens", "sequence", "steps"),
                      did_you_mean("length"))
        | dict.fromkeys(("features", "channel", "last", "c"), did_you_mean("channels"))
        | dict.fromkeys(("rows", "y", "h"), did_you_mean("height"))
        | dict.fromkeys(("columns", "x", "w"), did_you_mean("width"))
        | dict.fromkeys(("batch", "examples", "n"), _NO_BATCH)
        | {"": "axes have names: `length` for one spatial axis, `height` and `width` for two, "
               "`depth`, `height` and `width` for three, and `channels`"}
    ),
]  # fmt: skip
"""An axis of one example, by its name."""

AXES: Final[Mapping[int, tuple[Axis, ...]]] = {
    1: ("length",),
    2: ("height", "width"),
    3: ("depth", "height", "width"),
}
"""Names of the spatial axes, by their number."""


def names_of_axes(x: Shape) -> tuple[Axis, ...]:
    """Return the name of each axis of a shape, `channels` last."""
    return (*AXES.get(x.rank, ()), "channels")


def place_of_axis(kind: str, axis: str, x: Shape) -> int:
    """Return the place of an axis in a shape, from 0.

    Args:
        kind: The kind of step that asks, for the message.
        axis: The axis's name.
        x: The shape.

    Raises:
        Problem: The shape has no such axis.

    Example:
        >>> place_of_axis("softmax", "width", Shape((7, 5, 3)))
        1
    """
    names: tuple[str, ...] = names_of_axes(x)
    if axis not in names:
        has = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
        raise Problem(
            "shape",
            f"`{kind}` has no axis `{axis}` here: its input, {x}, has {has}",
            help="one spatial axis is `length`; two are `height` and `width`; three `depth`, "
            "`height` and `width`",
        )
    return names.index(axis)


class AlongAxis(Elementwise):
    """Base of ops that compute the values along one axis together, and keep the shape."""

    axis: Axis = "channels"
    """The axis whose values belong together."""

    def output_shape(self, x: Shape) -> Shape:
        place_of_axis(self.kind, self.axis, x)
        return x

    def reach(self, x: Shape) -> Reach | None:
        return super().reach(x) if self.axis == "channels" else None

    def keras_axis(self, x: Shape) -> int:
        """Return the axis as Keras numbers it, where the batch is the first: the last is -1."""
        place = place_of_axis(self.kind, self.axis, x)
        return -1 if place == x.rank else place + 1

"""Windows that slide over the spatial axes: what convolutions and pools have in common."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

from archspec.errors import Problem
from archspec.ops.fields import Sides, per_side
from archspec.ops.op import Op, Reach, needs_spatial
from archspec.ops.padding import MODES, Mode, Padding, check_mode
from archspec.ops.shape import Shape


class Slide(NamedTuple):
    """A window's places along one axis: how many, and the padding that they need.

    Of an input whose size is open, `before` and `after` are formulas where they depend on it, which
    say no more than that: the layer computes them as it runs, by the same rule.
    """

    fits: int
    before: int
    after: int

    @property
    def is_open(self) -> bool:
        """Whether the padding depends on the size of the input."""
        return not isinstance(self.before, int) or not isinstance(self.after, int)


def slide(
    extent: int, window: int, stride: int, padding: str | tuple[int, int], *, ceil: bool = False
) -> Slide:
    """Return the places where a window of `window` values fits along `extent` values.

    `same` gives ceil(extent / stride) places and puts the odd padding after, as TensorFlow does.
    With `ceil` a last window may hang over the end, if it starts inside the input or the padding
    before it (Caffe's rule, and torch's `ceil_mode`). A count below 1 means that none fits.
    """
    if padding == "same":
        count = -(-extent // stride)
        total = _at_least_0((count - 1) * stride + window - extent, window - 1)
        return Slide(count, total // 2, total - total // 2)
    before, after = (0, 0) if isinstance(padding, str) else padding
    room = extent + before + after - window
    count = room // stride + 1
    if ceil and room >= 0:
        # More windows than start inside there are only if the padding after is wide enough.
        overlaps = after <= window - stride
        count = -(-room // stride) + 1 if overlaps else -(-(extent + before) // stride)
        most = stride - 1 if overlaps else window - 1 - after
        after += _at_least_0((count - 1) * stride + window - (extent + before + after), most)
    return Slide(count, before, after)


def _at_least_0(amount: int, most: int) -> int:
    """Return an amount of padding, 0 where it would be negative; a formula of it as it is.

    `most` is its largest value at any size.
    """
    if isinstance(amount, int):
        return max(amount, 0)
    return amount if most > 0 else 0


class Windowed(Op):
    """Base of ops each of whose output places sees a window of the input."""

    padding: Padding = "valid"
    """Zeros around the input: same, valid, amounts, causal; or other values, as {reflect: 1}."""

    extent_field: ClassVar[str]
    """Name of the field that holds the window's extent."""

    @abstractmethod
    def window(self, rank: int) -> tuple[int, ...]:
        """Return the window's extent along each axis, dilation included."""

    @abstractmethod
    def steps(self, rank: int) -> tuple[int, ...]:
        """Return the step between windows along each axis."""

    @property
    def overhangs(self) -> bool:
        """Whether a last window may hang over the end."""
        return False

    def slides(self, x: Shape) -> tuple[Slide, ...]:
        """Return the places along each axis; raise `Problem` where the window does not fit."""
        needs_spatial(self.kind, x)
        window = self.window(x.rank)
        amount = self.amount
        sides: tuple[str | tuple[int, int], ...]
        if amount == "causal":
            if x.rank != 1:
                raise Problem(
                    "shape",
                    f"`padding: causal` is for sequences, and the input of `{self.kind}` is {x}",
                    help="amounts pad one side alone, as `padding: [[2, 0], [1, 1]]`",
                )
            sides = ((window[0] - 1, 0),)
        elif isinstance(amount, str):
            sides = (amount,) * x.rank
        else:
            sides = tuple(per_side(amount, x.rank, "padding"))
        slides = tuple(
            slide(*axis, ceil=self.overhangs)
            for axis in zip(x.spatial, window, self.steps(x.rank), sides, strict=True)
        )
        if any(place.fits < 1 for place in slides):
            raise Problem(
                "shape",
                f"the {self.extent_field} of `{self.kind}` "
                f"({'x'.join(map(str, window))}) is larger than its input "
                f"({'x'.join(map(str, x.spatial))}"
                + (")" if amount == "valid" else f", padding {_words(amount)})"),
                help=f"use a smaller {self.extent_field}, `padding: same`, or fewer strides before",
            )
        if self.mode:
            pads = tuple((place.before, place.after) for place in slides)
            check_mode(self.mode, x.spatial, pads)
        return slides

    @property
    def mode(self) -> str:
        """The word for the values that it pads with; empty for zeros."""
        if isinstance(self.padding, Mode):
            return self.padding.kind
        return self.padding if isinstance(self.padding, str) and self.padding in MODES else ""

    @property
    def amount(self) -> str | Sides:
        """The amount of padding, whatever its values."""
        if isinstance(self.padding, Mode):
            return self.padding.amount
        return "same" if self.mode else self.padding

    def reach(self, x: Shape) -> Reach | None:
        return Reach(self.window(x.rank), self.steps(x.rank))

    def keras_padding(self, x: Shape) -> str | None:
        """Return `same` or `valid` where one of the two means exactly this padding, else None."""
        slides = self.slides(x)
        if all(place.before == place.after == 0 for place in slides):
            return "valid"
        if self.mode:
            return None
        same = tuple(
            slide(*axis, "same")
            for axis in zip(x.spatial, self.window(x.rank), self.steps(x.rank), strict=True)
        )
        return "same" if slides == same else None


def _words(padding: str | Sides) -> str:
    return str(padding).replace("(", "[").replace(")", "]")


def padded(
    layers: Any,
    name: str,
    slides: tuple[Slide, ...],
    layer: Any,
    *,
    value: float = 0.0,
    mode: str = "",
) -> tuple[Any, Any]:
    """Return `layer`, which pads nothing itself, behind a layer that pads its input."""
    amounts = tuple((place.before, place.after) for place in slides)
    if mode:
        return layers.Pad(amounts, mode=mode, name=f"{name}-pad"), layer
    if value:
        return layers.Pad(amounts, value=value, name=f"{name}-pad"), layer
    return zero_padding(layers, amounts, f"{name}-pad"), layer


def zero_padding(layers: Any, amounts: tuple[tuple[int, int], ...], name: str) -> Any:
    """Return Keras's zero padding for any number of spatial axes."""
    rank = len(amounts)
    return by_rank(layers, "ZeroPadding", rank)(amounts[0] if rank == 1 else amounts, name=name)


def by_rank(layers: Any, name: str, rank: int) -> Any:
    """Return Keras's layer class for `rank` spatial axes, such as Conv2D."""
    return getattr(layers, f"{name}{rank}D")

"""Shapes: channels last, without the batch."""

from collections.abc import Mapping
from math import prod
from typing import Any

from archspec.ops.atleast import UNKNOWN, AtLeast


def plain(value: Any) -> Any:
    """Return a count, or a list or mapping of counts, as JSON has it: formulas as their text.

    A shape that is not known, and an amount of which a part is not, is None.
    """
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return None if isinstance(value, UnknownShape) else [plain(each) for each in value]
    if isinstance(value, AtLeast):
        return None
    return str(value) if hasattr(value, "terms") else value


class Shape(tuple[int, ...]):
    """The extent of one example: spatial axes first, channels last; `(n,)` for a vector."""

    __slots__ = ()

    @property
    def channels(self) -> int:
        return self[-1]

    @property
    def spatial(self) -> tuple[int, ...]:
        """Spatial extents: `()` for a vector, `(height, width)` for an image."""
        return self[:-1]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self) - 1

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self)

    @property
    def is_open(self) -> bool:
        """Whether an extent depends on the size of the network's input, which is open."""
        for extent in self:  # noqa: SIM110  (`any` takes three times as long; each layer asks)
            if not isinstance(extent, int):
                return True
        return False

    @property
    def known(self) -> tuple[int | None, ...]:
        """The extents as Keras has them: None for one that depends on the input's size."""
        return tuple(extent if isinstance(extent, int) else None for extent in self)

    def __str__(self) -> str:
        if not self.is_open:
            return "x".join(map(str, self))
        from archspec.ops.extent import bracketed  # noqa: PLC0415

        return " x ".join(bracketed(str(extent)) for extent in self)

    def at(self, sizes: Mapping[str, int]) -> "Shape":
        """Return the shape where the input's open axes have these extents."""
        return Shape(n if isinstance(n, int) else n.at(sizes) for n in self)


class UnknownShape(Shape):
    """The shape of a tensor of a model file of which nothing is known: it has no extents."""

    __slots__ = ()

    @property
    def channels(self) -> int:
        """Number of channels, of which nothing is known."""
        return UNKNOWN

    @property
    def size(self) -> int:
        """Number of values, of which nothing is known."""
        return UNKNOWN

    def __str__(self) -> str:
        return "?"

    def at(self, sizes: Mapping[str, int]) -> "Shape":  # noqa: ARG002
        """Return the same shape, which no size makes known."""
        return self


UNKNOWN_SHAPE = UnknownShape()
"""The shape of a tensor of a model file of which nothing is known."""

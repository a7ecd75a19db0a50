"""Shapes: channels last, without the batch."""

from math import prod


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

    def __str__(self) -> str:
        return "x".join(map(str, self))

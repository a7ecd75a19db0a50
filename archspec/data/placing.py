"""Where an image of one extent goes in another, and what of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Region: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""(start, end) along the height and along the width."""


def placement(
    old: tuple[int, ...], new: tuple[int, ...], how: str
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The extent that an image is resized to, and the bars (before, after) that fill the rest."""
    if how != "pad":
        return new, ((0, 0),) * len(new)
    scale = min(n / o for n, o in zip(new, old, strict=True))
    inner = tuple(max(1, min(n, round(o * scale))) for n, o in zip(new, old, strict=True))
    rest = [n - i for n, i in zip(new, inner, strict=True)]
    return inner, tuple((r // 2, r - r // 2) for r in rest)


def shown(old: tuple[int, ...], new: tuple[int, ...], how: str) -> Region:
    """The part of an image that is shown: all of it, or under `crop` its middle."""
    if how != "crop":
        return (0.0, float(old[0])), (0.0, float(old[1]))
    scale = max(n / o for n, o in zip(new, old, strict=True))
    extents = [min(float(o), n / scale) for n, o in zip(new, old, strict=True)]
    margins = [(o - e) / 2 for o, e in zip(old, extents, strict=True)]
    return (margins[0], margins[0] + extents[0]), (margins[1], margins[1] + extents[1])


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an array, (height, width, ...), as EXIF's orientation (1 to 8) has it."""
    import numpy as np  # noqa: PLC0415

    if orientation in {2, 4, 5, 7}:
        values = values[:, ::-1]
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(values, quarters)

"""Arrays of images -> another extent and number of channels.

As in Pillow, which resizes files: bilinear, pixel centres aligned, and each new pixel a mean over
what it covers if an image shrinks. (The backends' functions differ from each other in the last
digits, or do not smooth at all.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LUMINANCE: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""

Region: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""(start, end) along the height and along the width."""


def placement(
    old: tuple[int, ...], new: tuple[int, ...], how: str
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return the extent that an image is resized to, and the bars (before, after) around it."""
    if how != "pad":
        return new, ((0, 0),) * len(new)
    scale = min(n / o for n, o in zip(new, old, strict=True))
    inner = tuple(max(1, min(n, round(o * scale))) for n, o in zip(new, old, strict=True))
    rest = [n - i for n, i in zip(new, inner, strict=True)]
    return inner, tuple((r // 2, r - r // 2) for r in rest)


def visible_region(old: tuple[int, ...], new: tuple[int, ...], how: str) -> Region:
    """Return the region of an image that is used: all of it, or its middle under `crop`."""
    if how != "crop":
        return (0.0, float(old[0])), (0.0, float(old[1]))
    scale = max(n / o for n, o in zip(new, old, strict=True))
    extents = [min(float(o), n / scale) for n, o in zip(new, old, strict=True)]
    margins = [(o - e) / 2 for o, e in zip(old, extents, strict=True)]
    return (margins[0], margins[0] + extents[0]), (margins[1], margins[1] + extents[1])


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an array, (height, width, ...), turned as EXIF's orientation (1 to 8) says."""
    if orientation in {2, 4, 5, 7}:
        values = values[:, ::-1]
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(values, quarters)


def resize(
    images: NDArray[Any], extent: tuple[int, ...], how: str = "stretch", black: float = 0.0
) -> NDArray[Any]:
    """Return images, (images, height, width, channels), resized to another height and width.

    Whole numbers are rounded. `how` is "stretch", "pad" (with bars of `black`) or "crop".
    """
    count, *old, channels = images.shape
    if tuple(old) == extent:
        return images
    inner, bars = placement(tuple(old), extent, how)
    region = visible_region(tuple(old), extent, how)
    rows, columns = (_weights(o, i, r) for o, i, r in zip(old, inner, region, strict=True))
    values: NDArray[Any] = images.astype(np.float32, copy=False)
    values = rows @ values.reshape(count, old[0], old[1] * channels)
    # One large product instead of many small ones.
    values = values.reshape(count, inner[0], old[1], channels).swapaxes(2, 3)
    values = values.reshape(-1, old[1]) @ columns.T
    values = values.reshape(count, inner[0], channels, inner[1]).swapaxes(2, 3)
    if images.dtype.kind in "iu":
        limits = np.iinfo(images.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    values = values.astype(images.dtype, copy=False)
    if inner == extent:
        return values
    return np.pad(values, ((0, 0), *bars, (0, 0)), constant_values=black)


def _weights(old: int, new: int, region: tuple[float, float]) -> NDArray[np.float32]:
    """Return the weight of each old pixel of a line in each new one, (new, old).

    The new pixels fill `region`.
    """
    start, end = region
    scale = (end - start) / new
    position = start + (np.arange(new) + 0.5) * scale - 0.5
    # A new pixel takes from the old ones around it, more from the nearer ones; from a wider circle
    # where it stands for several.
    distance = np.abs(position[:, np.newaxis] - np.arange(old)) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, 1)
    normalised: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return normalised


def match_channels(images: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return images with 1 or 3 channels: grey is repeated, colour becomes its luminance."""
    if images.shape[-1] == channels:
        return images
    if images.shape[-1] == 1:
        return np.repeat(images, channels, axis=-1)
    grey = images.reshape(-1, 3).astype(np.float32, copy=False) @ np.array(LUMINANCE, np.float32)
    grey = grey.reshape(*images.shape[:-1], 1)
    return (np.rint(grey) if images.dtype.kind in "iu" else grey).astype(images.dtype, copy=False)

"""Pixels of a whole batch by their positions: padding, windows, and bilinear interpolation.

Images are (images, height, width, channels).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from archspec.data.augment.augmentation import Fill
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS_AT_ONCE: Final = 2**13
"""Pixels interpolated at a time, so that intermediate values stay in the processor's cache."""

TRIES: Final = 10
"""Attempts to draw a rectangle that fits into its image, before one that does not is cut."""


def pad(
    images: NDArray[Any], rows: int, columns: int, fill: Fill, black: float = 0.0
) -> NDArray[Any]:
    """Return images with `rows` more rows above and below, and `columns` more on either side."""
    sides = ((0, 0), (rows, rows), (columns, columns), (0, 0))
    if fill != "zero":
        return np.pad(images, sides, mode=fill)
    count, height, width, channels = images.shape
    extent = count, height + 2 * rows, width + 2 * columns, channels
    padded = np.full(extent, black, images.dtype) if black else np.zeros(extent, images.dtype)
    padded[:, rows : rows + height, columns : columns + width] = images
    return padded


def windows(
    images: NDArray[Any], tops: NDArray[np.intp], lefts: NDArray[np.intp], extent: tuple[int, int]
) -> NDArray[Any]:
    """Return a window of each image, of `extent`, whose first pixel is at its `tops`, `lefts`."""
    count, height, width, channels = images.shape
    images = np.ascontiguousarray(images)
    image, row, column, value = images.strides
    # A view of every possible window, with rows of adjacent values: copied at memory speed.
    every = np.lib.stride_tricks.as_strided(
        images,
        (count, height - extent[0] + 1, width - extent[1] + 1, extent[0], extent[1] * channels),
        (image, row, column, row, value),
        writeable=False,
    )
    cut: NDArray[Any] = every[np.arange(count), tops, lefts]
    return cut.reshape(count, *extent, channels)


def interpolate(
    images: NDArray[Any],
    rows: NDArray[np.floating],
    columns: NDArray[np.floating],
    fill: Fill,
    black: float = 0.0,
) -> NDArray[np.float32]:
    """Return each image's values at positions between its pixels, bilinearly, as float32.

    `rows` and `columns` are (images, new height, new width), counted from the centre of the first
    pixel. Either extent may be 1, and is then repeated.
    """
    shape = np.broadcast_shapes(rows.shape, columns.shape)
    out = np.empty((*shape, images.shape[-1]), np.float32)
    step = max(1, PIXELS_AT_ONCE // max(1, math.prod(shape[1:])))
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        out[part] = _interpolate(images[part], rows[part], columns[part], fill, black)
    return out


def _interpolate(
    images: NDArray[Any],
    rows: NDArray[np.floating],
    columns: NDArray[np.floating],
    fill: Fill,
    black: float,
) -> NDArray[np.float32]:
    if fill == "zero":  # fades out over the pixel next to the edge
        images, rows, columns = pad(images, 1, 1, "zero", black), rows + 1, columns + 1
    count, height, width, channels = images.shape
    top, bottom, down = _neighbours(rows, height, fill)
    left, right, along = _neighbours(columns, width, fill)
    top += np.arange(count)[:, np.newaxis, np.newaxis] * height
    bottom += np.arange(count)[:, np.newaxis, np.newaxis] * height
    pixels = images.astype(np.float32, copy=False).reshape(count * height * width, channels)

    def between(line: NDArray[np.intp]) -> NDArray[np.float32]:
        first: NDArray[np.float32] = np.take(pixels, line * width + left, axis=0)
        second = np.take(pixels, line * width + right, axis=0)
        second -= first
        second *= along
        first += second
        return first

    upper, lower = between(top), between(bottom)
    lower -= upper
    lower *= down
    upper += lower
    return upper


def _neighbours(
    positions: NDArray[np.floating], extent: int, fill: Fill
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the pixels before and after each position, and its distance from the former."""
    last = extent - 1
    if fill == "reflect" and last:
        positions = last - np.abs(positions % (2 * last) - last)
    positions = np.clip(positions, 0, last)
    before = positions.astype(np.intp)
    way = (positions - before).astype(np.float32)[..., np.newaxis]
    return before, np.minimum(before + 1, last), way


def rectangles(
    random: np.random.Generator,
    count: int,
    extent: tuple[int, int],
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights and widths, in pixels, of random rectangles inside an image of `extent`.

    Their share of its area is drawn evenly, and so is the logarithm of width by height.
    """
    height, width = extent
    areas = random.uniform(*area, (TRIES, count)) * height * width
    ratios = np.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1]), (TRIES, count)))
    heights, widths = np.sqrt(areas / ratios), np.sqrt(areas * ratios)
    fits = (heights <= height) & (widths <= width)
    chosen = fits.argmax(axis=0), np.arange(count)
    return np.minimum(heights[chosen], height), np.minimum(widths[chosen], width)

"""Plain JPEGs -> pixels by OpenCV, where that is installed: more than twice as fast as Pillow.

Both decode a JPEG to the same pixels. Here that is done at a half, a quarter or an eighth while it
is as large as is wanted, which is a mean over what it leaves out; what then is less than twice too
large along one axis is interpolated. Pixels differ from Pillow's by a level or two where there is
noise.
"""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec.data.placing import Region, placement, shown
from archspec.errors import Portable
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Encoded: TypeAlias = Path | bytes
"""An image as it is stored: a file, or what would be in one."""


class UnreadableError(Portable):
    """Why an image cannot be had from its file."""


HALVINGS: Final = 3
"""The most: a JPEG is made of blocks of eight pixels."""

MOST_SHRINKING: Final = 3
"""Along either axis after halving: interpolation would leave out pixels, Pillow does not."""


def interpolated(
    encoded: Encoded, stored: tuple[int, int], shape: Shape, how: str
) -> NDArray[np.uint8] | None:
    """An upright JPEG, grey or RGB, of `stored` height and width, as `shape` says.

    None where it is for Pillow: without OpenCV, if pixels would be left out, if it is damaged.
    """
    import numpy as np  # noqa: PLC0415

    inner, bars = placement(stored, shape.spatial, how)
    region = shown(stored, shape.spatial, how)
    times = halvings(region, inner)
    cv2 = opencv()
    if times is None or cv2 is None:
        return None
    colours = cv2.IMREAD_GRAYSCALE if shape.channels == 1 else cv2.IMREAD_COLOR_RGB
    reduction = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{2**times}") if times else 0
    flags = colours | reduction | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        content = content_of(encoded)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (OSError, cv2.error):
        return None
    # The file may have become another since somebody looked.
    if pixels is None or pixels.shape[:2] != tuple(math.ceil(old / 2**times) for old in stored):
        return None
    if how == "crop":
        pixels = _cut_out(pixels, inner, region, 2**times)
    elif pixels.shape[:2] != inner:
        pixels = cv2.resize(pixels, inner[::-1])
    resized: NDArray[np.uint8] = pixels.reshape(*inner, shape.channels)
    return resized if inner == shape.spatial else np.pad(resized, (*bars, (0, 0)))


def content_of(encoded: Encoded) -> bytes:
    """Return what is in a file.

    As `read_bytes` has it, in half of its system calls: at each, threads change over.
    """
    if isinstance(encoded, bytes):
        return encoded
    descriptor = os.open(encoded, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def halvings(region: Region, extent: tuple[int, ...]) -> int | None:
    """How often an image is halved before it is interpolated; None if much is then left out."""
    factors = [(end - start) / new for (start, end), new in zip(region, extent, strict=True)]
    times = min(max(math.floor(math.log2(min(factors))), 0), HALVINGS)
    return times if max(factors) < MOST_SHRINKING * 2**times else None


def _cut_out(
    pixels: NDArray[np.uint8], extent: tuple[int, ...], region: Region, times: int
) -> NDArray[np.uint8]:
    """What `region` shows of an image that was so many times as large."""
    import numpy as np  # noqa: PLC0415

    cv2 = opencv()
    starts = np.array([start for start, _ in region]) / times
    steps = np.array([end - start for start, end in region]) / times / extent
    y, x = starts + steps / 2 - 0.5  # of the first new pixel
    where = np.array([[steps[1], 0, x], [0, steps[0], y]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut: NDArray[np.uint8] = cv2.warpAffine(
        pixels, where, extent[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return cut


@cache
def opencv() -> Any:
    """OpenCV, or None where it is not installed, or is older than what is used of it."""
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        return None
    if not hasattr(cv2, "IMREAD_COLOR_RGB"):
        return None
    # What is wrong with a file, its caller says; OpenCV would write it to the terminal as well.
    silence = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    silence(0)
    return cv2

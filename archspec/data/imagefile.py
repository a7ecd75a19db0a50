"""An image file or its content, why it cannot be read, and what OpenCV makes of it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from archspec.errors import Portable
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Encoded: TypeAlias = Path | bytes
"""An encoded image: the path of a file, or the content of one."""


class UnreadableError(Portable):
    """The reason why an image file gives no pixels."""


def content_of(encoded: Encoded) -> bytes:
    """Return the content of a file.

    `Path.read_bytes` makes twice as many system calls, and threads take turns at each of them.
    """
    if isinstance(encoded, bytes):
        return encoded
    descriptor = os.open(encoded, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


@cache
def opencv() -> Any:
    """Return OpenCV's module, or None where it is not installed or too old."""
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        return None
    if not hasattr(cv2, "IMREAD_COLOR_RGB"):
        return None
    # Our callers report what is wrong with a file; OpenCV would also print it to the terminal.
    silence = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    silence(0)
    return cv2


def samples_by_opencv(encoded: Encoded, needed_for: str) -> NDArray[Any] | None:
    """Return a file's samples at full depth, (height, width, channels), colours as RGB or RGBA.

    None if OpenCV cannot read the file. If it is not installed, raises `UnreadableError`, which
    names the kind of file that it is `needed_for`.
    """
    cv2 = opencv()
    if cv2 is None:
        raise UnreadableError(
            f"{needed_for} needs OpenCV: `pip install opencv-python-headless`; or save it as a PNG "
            "or TIFF of 8 bits"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(content_of(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None:
        return None
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    channels = pixels.shape[-1]
    samples: NDArray[Any] = pixels[..., [2, 1, 0, 3][:channels]] if channels > 2 else pixels
    return samples

"""PNM files (PGM, PPM, PFM) of more than 8 bits a sample.

Pillow would stretch grey to 16 bits and cut colour to 8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from archspec.data.depth import OF_BYTES, SampleFormat, unsigned
from archspec.data.imagefile import Encoded, UnreadableError, content_of
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


def sample_format(image: Image) -> SampleFormat:
    """Return the type of the samples."""
    args = image.tile[0][3] if image.tile else ()  # type: ignore[attr-defined]
    if image.mode == "F":
        return SampleFormat("float", None)
    if image.mode == "I" and args == "I;16B":
        return unsigned(65535.0)  # which Pillow decodes as it stands
    return unsigned(float(args[1])) if isinstance(args, tuple) and len(args) == 2 else OF_BYTES


def values(image: Image, encoded: Encoded, samples: SampleFormat) -> NDArray[Any]:
    """Return the numbers as they are written, (height, width, channels).

    Raises `UnreadableError` where some are missing.
    """
    if samples.kind == "float":
        return np.asarray(image)
    name, _, offset, _ = image.tile[0]  # type: ignore[attr-defined]
    width, height = image.size
    shape = (height, width, 3 if image.mode == "RGB" else 1)
    count = math.prod(shape)
    body = content_of(encoded)[offset:]
    numbers: NDArray[Any]
    if name == "ppm_plain":
        numbers = np.array(body.split(maxsplit=count)[:count], np.uint32)
    else:
        numbers = np.frombuffer(body[: 2 * count], ">u2")
    if numbers.size != count:
        raise UnreadableError("damaged (pixels are missing)")
    return numbers.reshape(shape)

"""PNG files: 16 bits a sample, transparency, and rows that are missing, which Pillow ignores."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from archspec.data.depth import OF_BYTES, SampleFormat
from archspec.data.imagefile import Encoded, UnreadableError, content_of, samples_by_opencv
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by the type of colour."""

_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip
"""First column, first row, and steps between columns and rows of an interlaced image's passes."""

_PIECE_BYTES: Final = 2**20


def sample_format(image: Image) -> SampleFormat:
    """Return the type of the samples."""
    return SampleFormat("unsigned", 65535.0) if _raw_mode(image).endswith("16B") else OF_BYTES


def values(image: Image, encoded: Encoded, _: SampleFormat) -> NDArray[Any]:
    """Return values of 16 bits, (height, width, channels): grey or RGB, perhaps with alpha.

    Raises `UnreadableError`.
    """
    load(image, encoded)
    if image.mode.startswith("I"):
        samples = np.asarray(image)[..., np.newaxis]
    else:
        needed_for = "a PNG of 16 bits a channel in colour or with alpha"
        decoded = samples_by_opencv(encoded, needed_for)
        if decoded is None or decoded.dtype != np.uint16 or decoded.shape[-1] == 1:
            raise UnreadableError("damaged")
        samples = decoded
    key = image.info.get("transparency")
    if key is None or samples.shape[-1] == 4:
        return samples
    alpha = (samples != np.array(key)).any(axis=-1, keepdims=True) * np.uint16(65535)
    return np.concatenate([samples, alpha], axis=-1)


def load(image: Image, encoded: Encoded) -> None:
    """Decode an image that Pillow has opened.

    Raises `UnreadableError` for missing rows, which Pillow leaves black without a warning.
    """
    # Of 2 or 4 bits Pillow makes 8, but leaves the grey that is transparent as it is written.
    factor = {"L;2": 85, "L;4": 17}.get(_raw_mode(image))
    if factor and "transparency" in image.info:
        image.info["transparency"] *= factor
    image.load()
    width, height = image.size
    # A last pixel that is not black proves most files whole, in a tenth of the time that a look at
    # the last row takes.
    corner = image.getpixel((width - 1, height - 1))
    if any(corner if isinstance(corner, tuple) else (corner,)):
        return
    if image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is None:
        check_rows(content_of(encoded))


def check_rows(content: bytes) -> None:
    """Raise `UnreadableError` if a PNG's data end before its last row.

    They are inflated a piece at a time, and no further than the header announces.
    """
    missing = _announced(content)
    inflater = zlib.decompressobj()
    at = 8
    while at + 8 <= len(content) and missing > 0 and not inflater.eof:
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IDAT":
            data = content[at + 8 : at + 8 + length]
            while data and missing > 0 and not inflater.eof:
                try:
                    missing -= len(inflater.decompress(data, _PIECE_BYTES))
                except zlib.error:  # the decoder reports it
                    return
                data = inflater.unconsumed_tail
        at += 12 + length
    if missing > 0:
        raise UnreadableError("damaged (rows are missing)")


def _announced(content: bytes) -> int:
    """Return the bytes of all rows, each with one for its filter, that the header announces."""
    try:
        width, height, bits, colours, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
        pixel = bits * _CHANNELS[colours]
    except (struct.error, KeyError):
        raise UnreadableError("damaged (its header is not a PNG's)") from None
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * pixel + 7) // 8)
    return total


def _raw_mode(image: Image) -> str:
    args = image.tile[0][3] if image.tile else ""  # type: ignore[attr-defined]
    return args if isinstance(args, str) else ""

"""Whether a PNG holds all of its rows, which Pillow does not look at."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from archspec.data.jpeg import UnreadableError

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by the type of colour."""

_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip
"""Of an interlaced image: first column, first row, and steps between columns and rows."""

_PIECE: Final = 2**20


def check(content: bytes) -> None:
    """Raise `UnreadableError` where a PNG's data end before its last row; else do nothing.

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
                    missing -= len(inflater.decompress(data, _PIECE))
                except zlib.error:  # the decoder's to say
                    return
                data = inflater.unconsumed_tail
        at += 12 + length
    if missing > 0:
        raise UnreadableError("damaged (rows are missing)")


def _announced(content: bytes) -> int:
    """How many bytes of rows, each with a byte for its filter, the header announces."""
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

"""Image files of every layout, written byte by byte: few libraries write all that others send."""

from __future__ import annotations

import struct
import zlib

import numpy as np

COLOURS = {1: 0, 3: 2, 2: 4, 4: 6}
"""PNG's type of colour, by the number of channels."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    values: np.ndarray,
    bits: int = 8,
    *,
    palette: bytes | None = None,
    before: bytes = b"",
    after: bytes = b"",
    rows: int | None = None,
) -> bytes:
    """Return a PNG of (height, width, channels) values.

    `before` and `after` are chunks around the pixels, of which only so many `rows` are there.
    """
    height, width, channels = values.shape
    colours = 3 if palette is not None else COLOURS[channels]
    if palette is not None:
        before = chunk(b"PLTE", palette) + before
    shifts = np.arange(bits - 1, -1, -1)
    lines = []
    for row in values[:rows]:
        digits = (row.reshape(-1, 1).astype(np.uint32) >> shifts) & 1
        lines.append(b"\0" + np.packbits(digits.astype(np.uint8)).tobytes())
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(b"".join(lines)))
        + after
        + chunk(b"IEND", b"")
    )


def transparent(*key: int) -> bytes:
    """Return the chunk that makes one grey or one colour of a PNG transparent."""
    return chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))


def exif(orientation: int) -> bytes:
    """Return EXIF data that say how a camera was held."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def tiff(
    values: np.ndarray,
    *,
    order: str = "<",
    colours: int | None = None,
    extra: int | None = None,
    in_planes: bool = False,
    deflated: bool = False,
    rows_a_strip: int | None = None,
    orientation: int = 1,
    more_pages: bool = False,
) -> bytes:
    """Return a TIFF of (height, width, samples) values, of their own type.

    `colours` is its photometric interpretation, `extra` what the sample after the colours is.
    """
    height, width, samples = values.shape
    rows = rows_a_strip or height
    planes = np.moveaxis(values, -1, 0)[..., np.newaxis] if in_planes else values[np.newaxis]
    strips = [
        plane[top : top + rows].astype(values.dtype.newbyteorder(order)).tobytes()
        for plane in planes
        for top in range(0, height, rows)
    ]
    if deflated:
        strips = [zlib.compress(strip) for strip in strips]
    if colours is None:
        colours = 2 if samples >= 3 else 1
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip + b"\0" * (len(strip) % 2)
    tags = {
        256: (width,), 257: (height,), 258: (values.itemsize * 8,) * samples,
        259: (8 if deflated else 1,), 262: (colours,), 273: offsets, 274: (orientation,),
        277: (samples,), 278: (rows,), 279: [len(strip) for strip in strips],
        284: (2 if in_planes else 1,), 339: ("uif".index(values.dtype.kind) + 1,) * samples,
    }  # fmt: skip
    if extra is not None:
        tags[338] = (extra,)
    start = 8 + len(body)
    size = 2 + 12 * len(tags) + 4
    entries, far = b"", b""
    for tag, numbers in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            data, far = struct.pack(f"{order}I", start + size + len(far)), far + data
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + data
    page = struct.pack(f"{order}H", len(tags)) + entries
    following = start + size + len(far) if more_pages else 0
    file = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start) + body
    file += page + struct.pack(f"{order}I", following) + far
    return file + (page + struct.pack(f"{order}I", 0) if more_pages else b"")

"""Types of picture files, recognised by their first bytes, and which of them archspec reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

HEAD_BYTES: Final = 512
"""Bytes at a file's start that show its type."""


class FileType(NamedTuple):
    """A type of picture file."""

    name: str
    suffixes: tuple[str, ...]
    signature: bytes | None
    """Pattern of a file's first bytes; None if they do not show the type."""
    is_read: bool = True


JPEG: Final = FileType("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), rb"\xff\xd8\xff")
PNG: Final = FileType("PNG", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n")
GIF: Final = FileType("GIF", (".gif",), rb"GIF8[79]a")
TIFF: Final = FileType("TIFF", (".tif", ".tiff"), rb"(II[*+]\0|MM\0[*+])")

READ: Final = (
    JPEG,
    PNG,
    # BM and the size of the second header: a text may begin with BM.
    FileType("BMP", (".bmp", ".dib"), rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    GIF,
    TIFF,
    FileType("WebP", (".webp",), rb"RIFF.{4}WEBP"),
    FileType("PNM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), rb"P([1-6]\s+(#|\d)|[Ff]\s+\d)"),
)

RAW: Final = FileType(
    "camera raw",
    (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    rb"(II\*\0.{4}CR|IIRO|IIRS|IIU\0|MMOR|FUJIFILM|.{4}ftypcrx )",
    is_read=False,
)
HEIC: Final = FileType("HEIC", (".heic", ".heif", ".hif"), None, is_read=False)
AVIF: Final = FileType("AVIF", (".avif",), rb".{4}ftypavi[fs]", is_read=False)

OTHERS: Final = (
    RAW,
    HEIC,
    AVIF,
    *(
        FileType(*others)._replace(is_read=False)
        for others in (
            ("JPEG 2000", (".jp2", ".j2k", ".jpf", ".jpx"), rb"(.{4}jP  \r\n|\xff\x4f\xff\x51)"),
            ("JPEG XL", (".jxl",), rb"(\xff\x0a|.{4}JXL \r\n)"),
            ("PSD", (".psd", ".psb"), rb"8BPS"),
            ("SVG", (".svg", ".svgz"), rb"(\xef\xbb\xbf)?\s*(<\?xml.*|<!.*)?<svg[\s>]"),
            ("DICOM", (".dcm", ".dicom"), rb".{128}DICM"),
            ("OpenEXR", (".exr",), rb"\x76\x2f\x31\x01"),
            ("Radiance HDR", (".hdr",), rb"#\?(RADIANCE|RGBE)"),
            ("XCF", (".xcf",), rb"gimp xcf"),
            ("ICO", (".ico",), rb"\0\0\x01\0[^\0]\0"),
            ("TGA", (".tga",), None),
        )
    ),
)

SUFFIXES: Final = tuple(suffix for each in READ for suffix in each.suffixes)
NAMES: Final = f"{', '.join(each.name for each in READ[:-1])} or {READ[-1].name}"
"""The types that are read, as a message lists them."""

JUNK: Final = ("thumbs.db", "desktop.ini", "ehthumbs.db")
"""Files that Windows leaves in folders of pictures; other systems' names begin with a dot."""

_BY_SUFFIX: Final = {suffix: each for each in (*READ, *OTHERS) for suffix in each.suffixes}

_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_SIGNATURES: Final = tuple(
    (re.compile(each.signature, re.DOTALL), each)
    for each in (RAW, *READ, *OTHERS)  # some camera raws begin as TIFFs do
    if each.signature is not None
)


def by_content(head: bytes) -> FileType | None:
    """Return the type that a file's first bytes show, or None if it is not a known one."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return AVIF if b"avif" in head[16:40] else HEIC
    return next((each for pattern, each in _SIGNATURES if pattern.match(head)), None)


def by_suffix(name: str) -> FileType | None:
    """Return the type that the suffix of a file's name shows, or None."""
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(dot + suffix.lower())


def file_type(name: str, head: bytes) -> FileType | None:
    """Return the type of a file: what its first bytes show, or else its name.

    Camera raws begin as TIFFs do, so for them the name decides.
    """
    by_head, by_name = by_content(head), by_suffix(name)
    if by_head is TIFF and by_name is RAW:
        return RAW
    if by_head is None and by_name and not by_name.is_read:
        return by_name
    return by_head


def counted(names: Iterable[str]) -> str:
    """Return how often each name occurs, the most frequent first, as "28 HEIC, 2 PSD"."""
    return ", ".join(f"{count:,} {name}" for name, count in Counter(names).most_common())

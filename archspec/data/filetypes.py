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
    is_read: bool = True


JPEG: Final = FileType("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG: Final = FileType("PNG", (".png", ".apng"))
BMP: Final = FileType("BMP", (".bmp", ".dib"))
GIF: Final = FileType("GIF", (".gif",))
TIFF: Final = FileType("TIFF", (".tif", ".tiff"))
WEBP: Final = FileType("WebP", (".webp",))
PNM: Final = FileType("PNM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"))

HEIC: Final = FileType("HEIC", (".heic", ".heif", ".hif"), is_read=False)
AVIF: Final = FileType("AVIF", (".avif",), is_read=False)
JPEG2000: Final = FileType("JPEG 2000", (".jp2", ".j2k", ".jpf", ".jpx"), is_read=False)
JPEG_XL: Final = FileType("JPEG XL", (".jxl",), is_read=False)
PSD: Final = FileType("PSD", (".psd", ".psb"), is_read=False)
SVG: Final = FileType("SVG", (".svg", ".svgz"), is_read=False)
DICOM: Final = FileType("DICOM", (".dcm", ".dicom"), is_read=False)
OPENEXR: Final = FileType("OpenEXR", (".exr",), is_read=False)
RADIANCE: Final = FileType("Radiance HDR", (".hdr",), is_read=False)
XCF: Final = FileType("XCF", (".xcf",), is_read=False)
ICO: Final = FileType("ICO", (".ico",), is_read=False)
TGA: Final = FileType("TGA", (".tga",), is_read=False)
RAW: Final = FileType(
    "camera raw",
    (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    is_read=False,
)

TYPES: Final = (
    JPEG, PNG, BMP, GIF, TIFF, WEBP, PNM, HEIC, AVIF, JPEG2000, JPEG_XL, PSD, SVG, DICOM, OPENEXR,
    RADIANCE, XCF, ICO, TGA, RAW,
)  # fmt: skip

READ: Final = tuple(each for each in TYPES if each.is_read)
SUFFIXES: Final = tuple(suffix for each in READ for suffix in each.suffixes)
NAMES: Final = f"{', '.join(each.name for each in READ[:-1])} or {READ[-1].name}"
"""The types that are read, as a message lists them."""

JUNK: Final = ("thumbs.db", "desktop.ini", "ehthumbs.db")
"""Files that Windows leaves in folders of pictures; other systems' names begin with a dot."""

_BY_SUFFIX: Final = {suffix: each for each in TYPES for suffix in each.suffixes}

_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_SIGNATURES: Final = tuple(
    (re.compile(pattern, re.DOTALL), each)
    for pattern, each in (
        (rb"\xff\xd8\xff", JPEG),
        (rb"\x89PNG\r\n\x1a\n", PNG),
        # The two letters and the size of the second header: a text may begin with BM.
        (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", BMP),
        (rb"GIF8[79]a", GIF),
        (rb"(II\*\0.{4}CR|IIRO|IIRS|IIU\0|MMOR|FUJIFILM|.{4}ftypcrx )", RAW),
        (rb"(II[*+]\0|MM\0[*+])", TIFF),
        (rb"RIFF.{4}WEBP", WEBP),
        (rb"P([1-6]\s+(#|\d)|[Ff]\s+\d)", PNM),
        (rb".{4}ftypavi[fs]", AVIF),
        (rb"(.{4}jP  \r\n|\xff\x4f\xff\x51)", JPEG2000),
        (rb"(\xff\x0a|.{4}JXL \r\n)", JPEG_XL),
        (rb"8BPS", PSD),
        (rb"(\xef\xbb\xbf)?\s*(<\?xml.*|<!.*)?<svg[\s>]", SVG),
        (rb".{128}DICM", DICOM),
        (rb"\x76\x2f\x31\x01", OPENEXR),
        (rb"#\?(RADIANCE|RGBE)", RADIANCE),
        (rb"gimp xcf", XCF),
        (rb"\0\0\x01\0[^\0]\0", ICO),
    )
)


def by_content(head: bytes) -> FileType | None:
    """Return the type that a file's first bytes show, or None if it is no known picture."""
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

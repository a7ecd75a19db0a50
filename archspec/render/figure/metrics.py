"""Widths of text in DejaVu Sans, so that a box is as wide as its text without loading a font."""

from __future__ import annotations

from typing import Final
from unicodedata import combining, east_asian_width

_UNITS: Final = 2048
"""Units of the font in the height of a line."""

_FIRST: Final = 32
"""Code of the first character below, the space; the last is the tilde."""

_REGULAR: Final = (
    "651 821 942 1716 1303 1946 1597 563 799 799 1024 1716 651 739 651 690 1303 1303 1303 "
    "1303 1303 1303 1303 1303 1303 1303 690 690 1716 1716 1716 1087 2048 1401 1405 1430 1577 "
    "1294 1178 1587 1540 604 604 1343 1141 1767 1532 1612 1235 1612 1423 1300 1251 1499 1401 "
    "2025 1403 1251 1403 799 690 799 1716 1024 1024 1255 1300 1126 1300 1260 721 1300 1298 "
    "569 569 1186 569 1995 1298 1253 1300 1300 842 1067 803 1298 1212 1675 1212 1212 1075 "
    "1303 690 1303 1716"
)
_BOLD: Final = (
    "713 934 1067 1716 1425 2052 1786 627 936 936 1071 1716 778 850 778 748 1425 1425 1425 "
    "1425 1425 1425 1425 1425 1425 1425 819 819 1716 1716 1716 1188 2048 1585 1561 1503 1700 "
    "1399 1399 1681 1714 762 762 1587 1305 2038 1714 1741 1501 1741 1577 1475 1397 1663 1585 "
    "2259 1579 1483 1485 936 748 936 1716 1024 1024 1382 1466 1214 1466 1389 891 1466 1458 "
    "702 702 1362 702 2134 1458 1407 1466 1466 1010 1219 979 1458 1335 1892 1321 1335 1192 "
    "1458 748 1458 1716"
)
_WIDTHS: Final = tuple(tuple(map(int, widths.split())) for widths in (_REGULAR, _BOLD))

_WIDE, _OTHER, _BOLDER = 2867, 2048, 1.15
"""Units of a full-width character and of any other, and how much wider they are in bold: an upper
bound for most, as the font that shows them is not known."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a line of text.

    Args:
        text: The text.
        size: Size of the font; the width is in the same unit.
        bold: Whether it is the bold font.

    """
    widths = _WIDTHS[bold]
    units = 0.0
    for character in text:
        place = ord(character) - _FIRST
        if 0 <= place < len(widths):
            units += widths[place]
        elif not combining(character):
            wide = east_asian_width(character) in "WF"
            units += (_WIDE if wide else _OTHER) * (_BOLDER if bold else 1.0)
    return units * size / _UNITS


def fitting(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """Return text, or as much of its beginning as fits, followed by two dots."""
    if text_width(text, size, bold=bold) <= width:
        return text
    while text and text_width(f"{text}..", size, bold=bold) > width:
        text = text[:-1]
    return f"{text}.."

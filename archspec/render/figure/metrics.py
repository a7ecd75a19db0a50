"""Widths of text in DejaVu Sans, so that a box is as wide as its text without loading a font."""

from __future__ import annotations

from typing import Final
from unicodedata import combining, east_asian_width

_UNITS: Final = 2048
"""Units of the font in the height of a line."""

_STARTS: Final = (0x20, 0xA0)
"""Codes of the first characters of the two runs below: from the space to the tilde, and the rest of
Latin-1."""

_REGULAR: Final = (
    "651 821 942 1716 1303 1946 1597 563 799 799 1024 1716 651 739 651 690 1303 1303 1303 "
    "1303 1303 1303 1303 1303 1303 1303 690 690 1716 1716 1716 1087 2048 1401 1405 1430 1577 "
    "1294 1178 1587 1540 604 604 1343 1141 1767 1532 1612 1235 1612 1423 1300 1251 1499 1401 "
    "2025 1403 1251 1403 799 690 799 1716 1024 1024 1255 1300 1126 1300 1260 721 1300 1298 "
    "569 569 1186 569 1995 1298 1253 1300 1300 842 1067 803 1298 1212 1675 1212 1212 1075 "
    "1303 690 1303 1716",
    "651 821 1303 1303 1303 1303 690 1024 1024 2048 965 1253 1716 739 2048 1024 1024 1716 821 "
    "821 1024 1303 1303 651 1024 821 965 1253 1985 1985 1985 1087 1401 1401 1401 1401 1401 "
    "1401 1995 1430 1294 1294 1294 1294 604 604 604 604 1587 1532 1612 1612 1612 1612 1612 "
    "1716 1612 1499 1499 1499 1499 1251 1239 1290 1255 1255 1255 1255 1255 1255 2011 1126 "
    "1260 1260 1260 1260 569 569 569 569 1253 1298 1253 1253 1253 1253 1253 1716 1253 1298 "
    "1298 1298 1298 1212 1300 1212",
)
_BOLD: Final = (
    "713 934 1067 1716 1425 2052 1786 627 936 936 1071 1716 778 850 778 748 1425 1425 1425 "
    "1425 1425 1425 1425 1425 1425 1425 819 819 1716 1716 1716 1188 2048 1585 1561 1503 1700 "
    "1399 1399 1681 1714 762 762 1587 1305 2038 1714 1741 1501 1741 1577 1475 1397 1663 1585 "
    "2259 1579 1483 1485 936 748 936 1716 1024 1024 1382 1466 1214 1466 1389 891 1466 1458 "
    "702 702 1362 702 2134 1458 1407 1466 1466 1010 1219 979 1458 1335 1892 1321 1335 1192 "
    "1458 748 1458 1716",
    "713 934 1425 1425 1303 1425 748 1024 1024 2048 1155 1323 1716 850 2048 1024 1024 1716 "
    "897 897 1024 1507 1303 778 1024 897 1155 1323 2120 2120 2120 1188 1585 1585 1585 1585 "
    "1585 1585 2222 1503 1399 1399 1399 1399 762 762 762 762 1716 1714 1741 1741 1741 1741 "
    "1741 1716 1741 1663 1663 1663 1663 1483 1511 1473 1382 1382 1382 1382 1382 1382 2146 "
    "1214 1389 1389 1389 1389 702 702 702 702 1407 1458 1407 1407 1407 1407 1407 1716 1407 "
    "1458 1458 1458 1458 1335 1466 1335",
)
_SIGNS: Final = {
    "\u2013": 1024,
    "\u2014": 2048,
    "\u2026": 2048,
    "\u2190": 1716,
    "\u2192": 1716,
    "\u2212": 1716,
    "\u2264": 1716,
    "\u2265": 1716,
}
"""Widths of dashes, dots, arrows and signs, the same in both fonts."""

_WIDTHS: Final = tuple(
    {
        chr(start + place): int(width)
        for start, run in zip(_STARTS, runs, strict=True)
        for place, width in enumerate(run.split())
    }
    | _SIGNS
    for runs in (_REGULAR, _BOLD)
)

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
    units: float
    try:
        units = sum(map(_WIDTHS[bold].__getitem__, text))
    except KeyError:
        units = sum(_units(character, bold=bold) for character in text)
    return units * size / _UNITS


def is_known(text: str) -> bool:
    """Whether the width of a text is exact, not only an upper bound."""
    return all(character in _WIDTHS[0] for character in text)


def fitting(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """Return text, or as much of its beginning as fits, followed by two dots."""
    room = width * _UNITS / size
    cut_room = room - 2 * _units(".", bold=bold)
    units, kept = 0.0, 0
    for number, character in enumerate(text, start=1):
        units += _units(character, bold=bold)
        if units <= cut_room:
            kept = number
        elif units > room:
            return f"{text[:kept]}.."
    return text


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Return text as lines that fit, broken between words; a word that is too long is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(fitting(word, size, width))
    return lines


def _units(character: str, *, bold: bool) -> float:
    known = _WIDTHS[bold].get(character)
    if known is not None:
        return known
    if combining(character):
        return 0
    wide = east_asian_width(character) in "WF"
    return (_WIDE if wide else _OTHER) * (_BOLDER if bold else 1.0)

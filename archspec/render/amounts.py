"""Amounts as people read them: counts, bytes, and extents along spatial axes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from archspec.cost.report import float_or_int


class PrintedExtents(tuple[int | Fraction, ...]):
    """A number for each spatial axis. Its text in a file has every digit."""

    __slots__ = ()

    def __str__(self) -> str:
        return _joined([str(float_or_int(value)) for value in self])


def extents(value: Any) -> str:
    """Return a field or a stride for people, such as 30.3x25; other values as they are."""
    return _joined(list(map(_number, value))) if isinstance(value, PrintedExtents) else str(value)


def _joined(texts: list[str]) -> str:
    """Return texts joined by `x`, or one text if all axes have the same."""
    return "x".join(texts[:1] if len(set(texts)) == 1 else texts)


def _number(value: int | Fraction) -> str:
    """Return a fraction with its significant digits: 30.3, 1.33, 0.125."""
    if value == int(value):
        return str(int(value))
    return f"{float(value):.1f}" if value >= 10 else f"{float(value):.3g}"


def thousands(value: int) -> str:
    return f"{value:,}"


def byte_size(value: int) -> str:
    """Return bytes in units of 1000, three significant digits: 60,950,432 is 61.0 MB."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    if unit == "B":
        return f"{value} B"
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:,.{digits}f} {unit}"


def short(value: int) -> str:
    """Return a count with three significant digits, in the units of a spec: 138,357,544 is 138M."""
    amount = float(value)
    for unit in ("", "K", "M", "G", "T"):
        if amount < 999.5 or unit == "T":
            break
        amount /= 1000
    if not unit:
        return str(value)
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:,.{digits}f}{unit}"

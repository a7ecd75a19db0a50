"""Amounts as people read them: counts, bytes, and extents along spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from archspec.cost.report import float_or_int
from archspec.ops.atleast import AtLeast

if TYPE_CHECKING:
    from fractions import Fraction


class PrintedExtents(tuple["int | Fraction", ...]):
    """A number for each spatial axis. Its text in a file has every digit."""

    __slots__ = ()

    def __str__(self) -> str:
        return joined([str(float_or_int(value)) for value in self])


def extents(value: Any) -> str:
    """Return a field or a stride for people, such as 30.3x25; other values as they are."""
    return joined(list(map(_number, value))) if isinstance(value, PrintedExtents) else str(value)


def joined(texts: Sequence[str], sign: str = "x") -> str:
    """Return a text for each axis with signs between them, or one if all axes have the same."""
    return sign.join(texts[:1] if len(set(texts)) == 1 else texts)


def _number(value: int | Fraction) -> str:
    """Return a fraction with its significant digits: 30.3, 1.33, 0.125."""
    if value == int(value):
        return str(int(value))
    return f"{float(value):.1f}" if value >= 10 else f"{float(value):.3g}"


LONGEST_FORMULA: Final = 60
"""Largest number of characters of a formula in a cell."""


def thousands(value: int) -> str:
    """Return a count as a table has it: of a long formula in the input's size, the first terms."""
    text = f"{value:,}"
    if isinstance(value, int) or len(text) <= LONGEST_FORMULA:
        return text
    end = max(text.rfind(f" {sign} ", 0, LONGEST_FORMULA) for sign in "+-")
    return f"{text[:end]} + ..." if end > 0 else f"{text[: LONGEST_FORMULA - 4]} ..."


def byte_size(value: int) -> str:
    """Return bytes in units of 1000, three significant digits: 60,950,432 is 61.0 MB.

    A formula in the input's size stays one, in bytes.
    """
    if isinstance(value, AtLeast):
        return f"{byte_size(int(value))} + ?" if value else "?"
    if not isinstance(value, int):
        from archspec.ops.extent import bracketed  # noqa: PLC0415

        return f"{bracketed(thousands(value))} B"
    amount, unit = _scaled(value, ("B", "kB", "MB", "GB", "TB"))
    return f"{value} B" if unit == "B" else f"{_significant(amount)} {unit}"


def short(value: int) -> str:
    """Return a count with three significant digits, in the units of a spec: 138,357,544 is 138M.

    Of a formula in the input's size, the text says no more than that.
    """
    if isinstance(value, AtLeast):
        return f"{short(int(value))} + ?" if value else "?"
    if not isinstance(value, int):
        return "by size"
    amount, unit = _scaled(value, ("", "K", "M", "G", "T"))
    return f"{_significant(amount)}{unit}" if unit else str(value)


def seconds(value: float) -> str:
    """Return a time with three significant digits: 0.00388 is 3.88 ms."""
    if not value:
        return "0"
    for unit in ("s", "ms", "us", "ns"):
        if value >= 0.9995 or unit == "ns":
            break
        value *= 1000
    return f"{_significant(value)} {unit}"


def rate(value: float, unit: str) -> str:
    """Return an amount a second with three significant digits: 3.35e12 B/s is 3.35 TB/s."""
    amount, prefix = _scaled(value, ("", "k", "M", "G", "T"))
    return f"{_significant(amount)} {prefix}{unit}"


def a_second(value: float) -> str:
    """Return how many a second: a whole number, but of few with three significant digits."""
    return f"{value:,.0f}" if value >= 10 else _significant(value)


def _scaled(value: float, units: Sequence[str]) -> tuple[float, str]:
    """Return a value in the first of the units, each 1000 of the one before, that fits."""
    for unit in units[:-1]:
        if value < 999.5:
            return float(value), unit
        value /= 1000
    return float(value), units[-1]


def _significant(value: float) -> str:
    """Return a number with three significant digits, or all of those before the point."""
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}"

"""The columns of a report's table: how each number reads, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from archspec.cost.report import Report, Row, float_or_int
from archspec.errors import UsageError, suggestion


class Column(NamedTuple):
    """One column: `value` is its plain value, `text` how a person reads it."""

    name: str
    title: str
    value: Callable[[Row, Report], Any]
    text: Callable[[Any], str] = str
    left: bool = False
    rank: int = 0
    """The higher, the sooner a narrow terminal goes without it."""
    total: str | None = None
    """The total of `Report.totals` that it adds up to."""


class Extents(tuple[int | Fraction, ...]):
    """A number for each spatial axis; written as one where they are all the same."""

    __slots__ = ()

    def join(self, text: Callable[[int | Fraction], str]) -> str:
        same = len(set(self)) == 1
        return "x".join(map(text, self[:1] if same else self))

    def __str__(self) -> str:
        """To the last digit, as a file has it."""
        return self.join(lambda value: str(float_or_int(value)))


def extents(value: Any) -> str:
    """A field or a stride for people: 30.3x25; what is no number of pixels as it is."""
    return value.join(number) if isinstance(value, Extents) else str(value)


def number(value: int | Fraction) -> str:
    """A fraction with as many digits as say something: 30.3, 1.33, 0.125."""
    if value == int(value):
        return str(int(value))
    return f"{float(value):.1f}" if value >= 10 else f"{float(value):.3g}"


def _field(row: Row, size: bool) -> Any:
    if row.field is None:
        return "all"
    return Extents(row.field.size if size else row.field.stride)


def _activation_bytes(row: Row, report: Report) -> int:
    return row.activations * report.setting.value_bytes * report.setting.batch


def thousands(value: int) -> str:
    return f"{value:,}"


def byte_size(value: int) -> str:
    """Bytes in units of 1000, three significant digits: 60,950,432 is 61.0 MB."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    if unit == "B":
        return f"{value} B"
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:,.{digits}f} {unit}"


COLUMNS = (
    Column("layer", "layer", lambda row, _: row.path, left=True),
    Column("kind", "kind", lambda row, _: row.kind, left=True, rank=9),
    Column("label", "", lambda row, _: row.label, left=True, rank=3),
    Column("output", "output", lambda row, _: str(row.shape), left=True),
    Column("params", "params", lambda row, _: row.params, thousands, total="params"),
    Column(
        "trainable", "trainable", lambda row, _: row.trainable, thousands, rank=9, total="trainable"
    ),
    Column(
        "non_trainable",
        "not trained",
        lambda row, _: row.non_trainable,
        thousands,
        rank=5,
        total="non_trainable",
    ),
    Column("macs", "MACs", lambda row, _: row.macs, thousands, rank=1, total="macs"),
    Column(
        "other_ops", "other ops", lambda row, _: row.other_ops, thousands, rank=6, total="other_ops"
    ),
    Column(
        "activations",
        "activations",
        lambda row, _: row.activations,
        thousands,
        rank=9,
        total="activations",
    ),
    Column("memory", "memory", _activation_bytes, byte_size, rank=2),
    Column("field", "field", lambda row, _: _field(row, True), extents, rank=4),
    Column("stride", "stride", lambda row, _: _field(row, False), extents, rank=7),
)
"""Every column there is, in order."""

USUAL = 8
"""Columns of a higher rank are shown only when they are asked for."""


def choose(names: Sequence[str] | None, report: Report) -> tuple[Column, ...]:
    """The named columns in the named order; without names, the usual ones that say something.

    Raises `UsageError` for a name that is no column's.
    """
    if names:
        known = {column.name: column for column in COLUMNS}
        for name in names:
            if name not in known:
                hint = suggestion(name, known, what="columns")
                raise UsageError(f"there is no column `{name}`; {hint}")
        return tuple(known[name] for name in names)
    silent = "" if report.totals.non_trainable else "non_trainable"
    return tuple(c for c in COLUMNS if c.rank <= USUAL and c.name != silent)


def total(column: Column, report: Report) -> Any:
    """What a column adds up to, None where adding has no meaning."""
    if column.name == "memory":
        return report.totals.activations * report.setting.value_bytes * report.setting.batch
    return None if column.total is None else getattr(report.totals, column.total)

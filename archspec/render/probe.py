"""A probe as a table: for a terminal, in Markdown, as CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.render import table as tables
from archspec.render.table import Style, table
from archspec.text import printable
from archspec.training.probe import CONVENTION, Probe, ProbeRow

PAGE = 100
"""Width of prose where there is no terminal."""


def _number(value: float | None) -> str:
    """Three significant digits."""
    return "" if value is None else "0" if value == 0 else f"{value:#.3g}".rstrip(".")


def _mean(reading: ProbeRow) -> str:
    """The mean, or 0 where it is lost in the spread of the values."""
    mean, std = reading.activity[:2]
    return _number(0.0 if abs(mean) < 0.01 * std else mean)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `value` is its plain value, `text` how a person reads it."""

    name: str
    title: str
    value: Callable[[ProbeRow], Any]
    text: Callable[[ProbeRow], str]
    left: bool = False
    rank: int = 0
    """The higher, the sooner a narrow terminal goes without it."""


COLUMNS = (
    Column("layer", "layer", lambda r: r.row.path, lambda r: r.row.path, left=True),
    Column("label", "", lambda r: r.row.label, lambda r: r.row.label, left=True, rank=2),
    Column("output", "output", lambda r: r.row.shape, lambda r: str(r.row.shape), True, rank=1),
    Column("mean", "mean", lambda r: r.activity.mean, _mean),
    Column("std", "std", lambda r: r.activity.std, lambda r: _number(r.activity.std)),
    Column("dead", "dead", lambda r: r.activity.dead, lambda r: _share(r.activity.dead)),
    Column(
        "saturated",
        "saturated",
        lambda r: r.activity.saturated,
        lambda r: _share(r.activity.saturated),
    ),
    Column(
        "gradient",
        "gradient",
        lambda r: r.activity.gradient,
        lambda r: _number(r.activity.gradient),
    ),
)
"""Every column there is, in order. A column that says nothing of any layer is left out."""


def text(
    probe: Probe,
    *,
    depth: int | None = None,
    ops: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The table for a terminal. `width` None means as wide as needed."""
    style = Style(color)
    page = max(width or PAGE, 20)
    columns, cells = _table(probe.rows(depth, ops=ops))
    lines = [
        style.bold(printable(probe.name)),
        *textwrap.wrap(printable(probe.report.about), page),
        *map(style.dim, textwrap.wrap(_setting(probe), page)),
        "",
        table(columns, cells, style, names="layer", width=width),
        "",
        *map(style.dim, textwrap.wrap(CONVENTION, page)),
    ]
    return "\n".join(lines) + "\n"


def markdown(probe: Probe, *, depth: int | None = None, ops: bool = False) -> str:
    """The table for a README, an issue or a notebook."""
    columns, cells = _table(probe.rows(depth, ops=ops))
    body = tables.markdown(columns, cells)
    return "\n".join(
        [f"### {printable(probe.name)}", "", f"{_setting(probe)}.", "", *body, "", CONVENTION, ""]
    )


def csv(probe: Probe, *, depth: int | None = None, ops: bool = False) -> str:
    """A header and a line for every row, plain numbers."""
    readings = probe.rows(depth, ops=ops)
    return tables.csv(COLUMNS, ([each.value(reading) for each in COLUMNS] for reading in readings))


def _setting(probe: Probe) -> str:
    """What was done, in a line."""
    graph, batch = probe.report.graph, probe.report.setting.batch
    return (
        f"{probe.data} input {graph.input}, batch {batch}, kernels {probe.init}, "
        f"seed {probe.seed}: loss {probe.loss:.4g}"
    )


def _table(rows: Sequence[ProbeRow]) -> tuple[list[Column], list[list[str]]]:
    """The columns that have something to say, and what each says of each row."""
    columns = [column for column in COLUMNS if any(map(column.text, rows))]
    return columns, [[printable(column.text(row)) for column in columns] for row in rows]

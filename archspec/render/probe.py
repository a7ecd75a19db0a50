"""A probe as text, Markdown and CSV."""

from __future__ import annotations

from itertools import compress
from typing import Any

from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import printable
from archspec.training.probe import CONVENTION, Probe, ProbeRow


def _number(value: float) -> str:
    """Return a number of three significant digits."""
    return "0" if value == 0 else f"{value:#.3g}".rstrip(".")


COLUMNS = (
    Column("layer", "layer", printable, left=True, shortens=True),
    Column("label", "", printable, left=True, rank=2),
    Column("output", "output", left=True, rank=1),
    Column("mean", "mean", _number),
    Column("std", "std", _number),
    Column("dead", "dead", "{:.1%}".format),
    Column("saturated", "saturated", "{:.1%}".format),
    Column("gradient", "gradient", _number),
)
"""Every column, in order. One without a value in any row is left out but of CSV."""


def text(
    probe: Probe,
    *,
    depth: int | None = None,
    ops: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the table, and what its columns mean."""
    style = Style(color)
    lines = [
        style.bold(printable(probe.name)),
        *prose(probe.report.about, width),
        *map(style.dim, prose(_setting(probe), width)),
        "",
        _table(probe, depth, ops=ops).text(style, width),
        "",
        *map(style.dim, prose(CONVENTION, width)),
    ]
    return "\n".join(lines) + "\n"


def markdown(probe: Probe, *, depth: int | None = None, ops: bool = False) -> str:
    """Return the table, and what its columns mean."""
    table = _table(probe, depth, ops=ops).markdown()
    return f"### {printable(probe.name)}\n\n{_setting(probe)}.\n\n{table}\n\n{CONVENTION}\n"


def csv(probe: Probe, *, depth: int | None = None, ops: bool = False) -> str:
    """Return a line for every row, of all columns."""
    return PrintedTable(COLUMNS, [_values(reading) for reading in probe.rows(depth, ops=ops)]).csv()


def _setting(probe: Probe) -> str:
    """Return the input, batch, kernels, seed and loss, in a line."""
    graph, batch = probe.report.graph, probe.report.setting.batch
    return (
        f"{probe.data} input {graph.input_text}, batch {batch}, kernels {probe.init}, "
        f"seed {probe.seed}: loss {probe.loss:.4g}"
    )


def _table(probe: Probe, depth: int | None, *, ops: bool) -> PrintedTable:
    """Return a table without empty columns; a mean far below its deviation is shown as 0."""
    rows = []
    for reading in probe.rows(depth, ops=ops):
        row, (mean, std, *_) = _values(reading), reading.activity
        row[3] = 0.0 if abs(mean) < 0.01 * std else mean
        rows.append(row)
    shown = [any(row[i] not in (None, "") for row in rows) for i in range(len(COLUMNS))]
    return PrintedTable(
        list(compress(COLUMNS, shown)), [list(compress(row, shown)) for row in rows]
    )


def _values(reading: ProbeRow) -> list[Any]:
    return [reading.row.path, reading.row.label, reading.row.shape, *reading.activity]

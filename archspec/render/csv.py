"""A report's rows as CSV: plain numbers under plain names."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.analysis.report import Report
from archspec.render.columns import COLUMNS, choose
from archspec.render.table import csv


def render(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """A header and a line for every row; all columns unless some are named."""
    chosen = choose(columns, report) if columns else COLUMNS
    rows = report.rows(depth, ops=ops)
    return csv(chosen, ([column.value(row, report) for column in chosen] for row in rows))

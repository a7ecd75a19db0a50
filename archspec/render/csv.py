"""A report's rows as CSV: plain numbers under plain names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from archspec.analysis.report import Report
from archspec.render.columns import COLUMNS, choose


def render(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """A header and a line for every row; all columns unless some are named."""
    chosen = choose(columns, report) if columns else COLUMNS
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in chosen])
    for row in report.rows(depth, ops=ops):
        writer.writerow([column.value(row, report) for column in chosen])
    return out.getvalue()

"""A report as a Markdown table, for a README, an issue or a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.analysis.report import CONVENTION, Report
from archspec.render.columns import byte_size, choose, total


def render(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """The table with its totals in the last row, and the convention below."""
    chosen = choose(columns, report)
    lines = [
        f"### {report.name}",
        "",
        *([report.about, ""] if report.about else []),
        _row([column.title or column.name for column in chosen]),
        _row(["---" if column.left else "---:" for column in chosen]),
    ]
    lines += [
        _row([column.text(column.value(row, report)) for column in chosen])
        for row in report.rows(depth, ops=ops)
    ]
    sums = [total(column, report) for column in chosen]
    cells = [
        "" if value is None else f"**{column.text(value)}**"
        for column, value in zip(chosen, sums, strict=True)
    ]
    cells[0] = cells[0] or "**total**"
    memory = report.memory
    lines += [
        _row(cells),
        "",
        f"Input {report.graph.input}, batch {report.batch}, {report.dtype}: "
        f"training {byte_size(memory.training)} ({report.optimizer}), "
        f"inference {byte_size(memory.inference)}.",
        "",
        CONVENTION,
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

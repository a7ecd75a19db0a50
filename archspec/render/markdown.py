"""A report as a Markdown table, for a README, an issue or a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.analysis.report import Report
from archspec.render.columns import choose, total
from archspec.render.summary import UNBROKEN, Fact, facts


def render(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """The table with its totals in the last row, and a list of what stands below it."""
    chosen = choose(columns, report)
    sums = [total(column, report) for column in chosen]
    totals = [
        "" if value is None else f"**{column.text(value)}**"
        for column, value in zip(chosen, sums, strict=True)
    ]
    totals[0] = totals[0] or "**total**"
    lines = [
        f"### {report.name}",
        "",
        *([report.about, ""] if report.about else []),
        f"Input {report.graph.input}, batch {report.batch}, {report.dtype}.",
        "",
        _row([column.title or column.name for column in chosen]),
        _row(["---" if column.left else "---:" for column in chosen]),
        *(
            _row([column.text(column.value(row, report)) for column in chosen])
            for row in report.rows(depth, ops=ops)
        ),
        _row(totals),
        "",
        *map(_item, facts(report)),
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _item(fact: Fact) -> str:
    name = f"**{fact.name}:** " if fact.name else ""
    detail = f" ({fact.detail})" if fact.figure and fact.detail else fact.detail
    return f"- {name}{fact.figure}{detail}".replace(UNBROKEN, " ")

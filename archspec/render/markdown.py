"""A report as a Markdown table, for a README, an issue or a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.analysis.report import Report
from archspec.render.columns import choose, total
from archspec.render.diagnostics import printable
from archspec.render.summary import UNBROKEN, Fact, facts
from archspec.render.table import markdown as table


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
    rows = [
        [column.text(column.value(row, report)) for column in chosen]
        for row in report.rows(depth, ops=ops)
    ]
    lines = [
        f"### {printable(report.name)}",
        "",
        *([printable(report.about), ""] if report.about else []),
        f"Input {report.graph.input}, batch {report.setting.batch}, {report.setting.dtype}.",
        "",
        *table(chosen, rows, totals),
        "",
        *map(_item, facts(report)),
    ]
    return "\n".join(lines) + "\n"


def _item(fact: Fact) -> str:
    name = f"**{fact.name}:** " if fact.name else ""
    detail = f" ({fact.detail})" if fact.figure and fact.detail else fact.detail
    return printable(f"- {name}{fact.figure}{detail}", indent=2).replace(UNBROKEN, " ")

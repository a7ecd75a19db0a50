"""A report as a table: for a terminal, in Markdown, as CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from archspec.cost.report import Report
from archspec.render import table as tables
from archspec.render.columns import COLUMNS, Column, choose, total
from archspec.render.formulas import formulas
from archspec.render.summary import UNBROKEN, Fact, facts
from archspec.render.table import GAP, Style
from archspec.text import printable

PAGE = 100
"""Width of prose where there is no terminal."""

NAMES = 13
"""Width of the names below the table."""

NARROWEST = 30
"""Room that prose needs to stand beside a figure."""


def text(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
    width: int | None = None,
    color: bool = False,
    arithmetic: bool = False,
) -> str:
    """The table, its totals, the memory and the claims. `width` None means as wide as needed."""
    style = Style(color)
    parts = [_head(report, style, width)]
    if arithmetic:
        parts.append("\n".join(formulas(report, depth=depth, ops=ops, width=width)))
    else:
        parts.append(_table(report, style, width, columns, depth, ops=ops))
    parts.append("\n".join(_below(report, style, width or PAGE)))
    return "\n\n".join(parts) + "\n"


def markdown(
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
        *tables.markdown(chosen, rows, totals),
        "",
        *map(_item, facts(report)),
    ]
    return "\n".join(lines) + "\n"


def csv(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """A header and a line for every row; all columns unless some are named."""
    chosen = choose(columns, report) if columns else COLUMNS
    rows = report.rows(depth, ops=ops)
    return tables.csv(chosen, ([column.value(row, report) for column in chosen] for row in rows))


def _head(report: Report, style: Style, width: int | None) -> str:
    setting = f"input {report.graph.input}, batch {report.setting.batch}, {report.setting.dtype}"
    about = _wrap(report.about, width or PAGE) if report.about else []
    return "\n".join([style.bold(printable(report.name)), *about, style.dim(setting)])


def _table(
    report: Report,
    style: Style,
    width: int | None,
    names: Sequence[str] | None,
    depth: int | None,
    *,
    ops: bool,
) -> str:
    chosen = choose(names, report)
    return tables.table(
        chosen,
        [
            [column.text(column.value(row, report)) for column in chosen]
            for row in report.rows(depth, ops=ops)
        ],
        style,
        sums=[_total(column, report) for column in chosen],
        names="layer",
        width=width,
        keep_all=bool(names),
    )


def _total(column: Column, report: Report) -> str:
    if column.name == "layer":
        return "total"
    value = total(column, report)
    return "" if value is None else column.text(value)


def _below(report: Report, style: Style, width: int) -> Iterator[str]:
    """The facts, their figures in a column where there is room for it."""
    found = list(facts(report))
    figures = max(len(fact.figure) for fact in found)
    aligned = width - NAMES - figures - len(GAP) >= NARROWEST
    name = ""
    for fact in found:
        indent = ""
        if fact.figure and aligned:
            indent = " " * (figures + len(GAP))
            first, *more = _wrap(fact.detail, width - NAMES - len(indent))
            lines = [f"{fact.figure:>{figures}}{GAP}{first}", *more]
        else:
            lines = _wrap(f"{fact.figure} {fact.detail}".strip(), width - NAMES)
        # The claims of a section stand under one name.
        shown = "" if fact.name == name else fact.name
        name = fact.name
        paint = _paint(fact, style)
        yield (style.bold(shown.ljust(NAMES)) + paint(lines[0])).rstrip()
        yield from (" " * NAMES + paint(indent + line) for line in lines[1:])


def _paint(fact: Fact, style: Style) -> Callable[[str], str]:
    if fact.holds is not None:
        return style.good if fact.holds else style.bad
    return str if fact.figure else style.dim


def _wrap(prose: str, width: int) -> list[str]:
    lines = textwrap.wrap(printable(prose), max(width, 20), break_on_hyphens=False)
    return [line.replace(UNBROKEN, " ") for line in lines] or [""]


def _item(fact: Fact) -> str:
    name = f"**{fact.name}:** " if fact.name else ""
    detail = f" ({fact.detail})" if fact.figure and fact.detail else fact.detail
    return printable(f"- {name}{fact.figure}{detail}", indent=2).replace(UNBROKEN, " ")

"""A report as text, Markdown and CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archspec.cost.report import Report, Row
from archspec.errors import UsageError, suggestion
from archspec.ops.atleast import UNKNOWN
from archspec.render.amounts import PrintedExtents, byte_size, extents, thousands
from archspec.render.summary import UNBROKEN, Fact, facts
from archspec.render.table import GAP, NARROWEST_PAGE, PAGE, Column, PrintedTable, Style
from archspec.text import printable

NAMES = 13
"""Width of the names below the table."""

NARROWEST = 30
"""Room that prose needs to stand beside a figure."""

USUAL = 8
"""Highest rank of a column that is shown unless others are asked for."""

COLUMNS = (
    Column("layer", "layer", left=True, shortens=True),
    Column("kind", "kind", left=True, rank=9),
    Column("label", left=True, rank=3),
    Column("shared_with", "shared with", left=True, rank=5),
    Column("output", "output", left=True),
    Column("params", "params", thousands),
    Column("trainable", "trainable", thousands, rank=9),
    Column("non_trainable", "not trained", thousands, rank=5),
    Column("macs", "MACs", thousands, rank=1),
    Column("other_ops", "other ops", thousands, rank=6),
    Column("activations", "activations", thousands, rank=9),
    Column("memory", "memory", byte_size, rank=2),
    Column("field", "field", extents, rank=4),
    Column("stride", "stride", extents, rank=7),
)
"""Every column, in order."""

BY_NAME = {column.name: column for column in COLUMNS}


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
    """Return the table, its totals, the memory and the claims.

    `arithmetic` shows how each number comes about in place of the table.
    """
    style = Style(color)
    if arithmetic:
        from archspec.render.formulas import formulas  # noqa: PLC0415

        body = "\n".join(formulas(report, depth=depth, ops=ops, width=width))
    else:
        printed = table(report, depth, columns, ops=ops)
        body = printed.text(style, width, keep_all=bool(columns))
    below = "\n".join(_below(report, style, width or PAGE))
    return "\n\n".join([_head(report, style, width), body, below]) + "\n"


def markdown(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """Return the table with its totals, and a list of the facts below it."""
    lines = [
        f"### {printable(report.name)}",
        "",
        *([printable(report.about), ""] if report.about else []),
        f"Input {report.graph.input_text}, batch {report.setting.batch}, {report.setting.dtype}.",
        "",
        table(report, depth, columns, ops=ops).markdown(),
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
    """Return a line for every row; all columns unless some are named."""
    names = columns or [column.name for column in COLUMNS]
    return table(report, depth, names, ops=ops).csv()


def table(
    report: Report,
    depth: int | None = None,
    names: Sequence[str] | None = None,
    *,
    ops: bool = False,
) -> PrintedTable:
    """Return the table with its totals, of the usual columns unless some are named."""
    columns = choose(names, report)
    rows = [
        [value(column.name, row, report) for column in columns]
        for row in report.rows(depth, ops=ops)
    ]
    totals = [_total(column.name, report) for column in columns]
    if None in totals:
        totals[totals.index(None)] = "total"
    return PrintedTable(columns, rows, totals)


def choose(names: Sequence[str] | None, report: Report) -> list[Column]:
    """Return the named columns; without names, the usual ones that are not empty."""
    if not names:
        silent = {"non_trainable": not report.totals.non_trainable}
        silent["shared_with"] = not any(node.layer.owner for node in report.graph.nodes)
        return [each for each in COLUMNS if each.rank <= USUAL and not silent.get(each.name)]
    for name in names:
        if name not in BY_NAME:
            hint = suggestion(name, BY_NAME, what="columns")
            raise UsageError(f"there is no column `{name}`; {hint}")
    return [BY_NAME[name] for name in names]


def value(name: str, row: Row, report: Report) -> Any:
    """Return the value of a row in the column of this name."""
    match name:
        case "layer":
            return row.path
        case "output":
            return str(row.shape)
        case "memory":
            return _activation_bytes(row.activations, report)
        case "field" | "stride":
            if row.field is None:
                return UNKNOWN if row.stop - 1 in report.behind_unknown else "all"
            return PrintedExtents(row.field.size if name == "field" else row.field.stride)
    return getattr(row, name)


def _total(name: str, report: Report) -> int | str | None:
    """Return the sum of a column; None if a sum has no meaning."""
    if name == "memory":
        return _activation_bytes(report.totals.activations, report)
    return getattr(report.totals, name, None)


def _activation_bytes(activations: int, report: Report) -> int:
    return activations * report.setting.value_bytes * report.setting.batch


def _head(report: Report, style: Style, width: int | None) -> str:
    setting = (
        f"input {report.graph.input_text}, batch {report.setting.batch}, {report.setting.dtype}"
    )
    about = _wrapped(report.about, width or PAGE) if report.about else []
    return "\n".join([style.bold(printable(report.name)), *about, style.dim(setting)])


def _below(report: Report, style: Style, width: int) -> Iterator[str]:
    """Yield the facts, their figures in a column where there is room for it."""
    lines_of_facts = list(facts(report))
    figures = max(len(fact.figure) for fact in lines_of_facts)
    aligned = width - NAMES - figures - len(GAP) >= NARROWEST
    name = ""
    for fact in lines_of_facts:
        indent = ""
        if fact.figure and aligned:
            indent = " " * (figures + len(GAP))
            first, *more = _wrapped(fact.detail, width - NAMES - len(indent))
            lines = [f"{fact.figure:>{figures}}{GAP}{first}", *more]
        else:
            lines = _wrapped(f"{fact.figure} {fact.detail}".strip(), width - NAMES)
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


def _wrapped(prose: str, width: int) -> list[str]:
    lines = textwrap.wrap(printable(prose), max(width, NARROWEST_PAGE), break_on_hyphens=False)
    return [line.replace(UNBROKEN, " ") for line in lines] or [""]


def _item(fact: Fact) -> str:
    name = f"**{fact.name}:** " if fact.name else ""
    return printable(f"- {name}{fact.content}", indent=2).replace(UNBROKEN, " ")

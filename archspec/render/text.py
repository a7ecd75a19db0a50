"""A report as a terminal's table: plain in a pipe, narrower where the terminal is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from archspec.analysis.report import Report
from archspec.render.columns import Column, choose, total
from archspec.render.diagnostics import printable
from archspec.render.formulas import formulas
from archspec.render.summary import UNBROKEN, Fact, facts

GAP = "  "
SHORTEST_PATH = 14
"""A path is cut in the middle before the table loses another column, down to this width."""

PAGE = 100
"""Width of prose where there is no terminal."""

NAMES = 13
"""Width of the names below the table."""


def render(
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
    style = _Style(color)
    parts = [_head(report, style, width)]
    if arithmetic:
        parts.append("\n".join(formulas(report, depth=depth, ops=ops, width=width)))
    else:
        parts.append(_table(report, style, width, columns, depth, ops=ops))
    parts.append("\n".join(_below(report, style, width or PAGE)))
    return "\n\n".join(parts) + "\n"


class _Style:
    """ANSI styles, or none."""

    def __init__(self, color: bool) -> None:
        self._on = color

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def good(self, text: str) -> str:
        return self._paint("32", text)

    def bad(self, text: str) -> str:
        return self._paint("1;31", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text.strip() else text


def _head(report: Report, style: _Style, width: int | None) -> str:
    setting = f"input {report.graph.input}, batch {report.batch}, {report.dtype}"
    about = _wrap(report.about, width or PAGE) if report.about else []
    return "\n".join([style.bold(report.name), *about, style.dim(setting)])


def _table(
    report: Report,
    style: _Style,
    width: int | None,
    names: Sequence[str] | None,
    depth: int | None,
    *,
    ops: bool,
) -> str:
    chosen = list(choose(names, report))
    rows = report.rows(depth, ops=ops)
    cells = {c.name: [c.text(c.value(row, report)) for row in rows] for c in chosen}
    sums = {c.name: _total(c, report) for c in chosen}
    widths = {c.name: max(map(len, [c.title, sums[c.name], *cells[c.name]])) for c in chosen}
    if width is not None:
        _fit(chosen, widths, width, keep_all=bool(names))
    if "layer" in widths:
        cells["layer"] = [_shorten(path, widths["layer"]) for path in cells["layer"]]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(widths[c.name]) if c.left else text.rjust(widths[c.name])
            for c, text in zip(chosen, texts, strict=True)
        )
        return GAP.join(padded).rstrip()

    rule = style.dim("-" * (sum(widths[c.name] for c in chosen) + len(GAP) * (len(chosen) - 1)))
    return "\n".join(
        [
            style.bold(line([c.title for c in chosen])),
            rule,
            *(line([cells[c.name][i] for c in chosen]) for i in range(len(rows))),
            rule,
            style.bold(line([sums[c.name] for c in chosen])),
        ]
    )


def _total(column: Column, report: Report) -> str:
    if column.name == "layer":
        return "total"
    value = total(column, report)
    return "" if value is None else column.text(value)


def _fit(chosen: list[Column], widths: dict[str, int], width: int, *, keep_all: bool) -> None:
    """Leave out columns, the least important first, and shorten paths, until the table fits."""

    def excess() -> int:
        return sum(widths[c.name] for c in chosen) + len(GAP) * (len(chosen) - 1) - width

    spare = max(widths.get("layer", 0) - SHORTEST_PATH, 0)
    while not keep_all and excess() > spare:
        least = max(chosen, key=lambda column: column.rank)
        if least.rank == 0:
            break
        chosen.remove(least)
    if excess() > 0 and spare:
        widths["layer"] = max(widths["layer"] - excess(), SHORTEST_PATH)


def _shorten(path: str, width: int) -> str:
    """Cut the middle of a path; its end tells most."""
    if len(path) <= width:
        return path
    tail = (width - 2) * 2 // 3
    return f"{path[: width - 2 - tail]}..{path[-tail:]}"


def _below(report: Report, style: _Style, width: int) -> Iterator[str]:
    """The facts, their figures in a column where there is room for it."""
    found = list(facts(report))
    figures = max(len(fact.figure) for fact in found)
    aligned = width >= 2 * (NAMES + figures)
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


def _paint(fact: Fact, style: _Style) -> Callable[[str], str]:
    if fact.holds is not None:
        return style.good if fact.holds else style.bad
    return str if fact.figure else style.dim


def _wrap(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(printable(text), max(width, 20), break_on_hyphens=False)
    return [line.replace(UNBROKEN, " ") for line in lines] or [""]

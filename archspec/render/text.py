"""A report as a terminal's table: plain in a pipe, narrower where the terminal is."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from archspec.analysis.checks import Check
from archspec.analysis.report import CONVENTION, Report
from archspec.render.columns import Column, byte_size, choose, thousands, total
from archspec.render.formulas import formulas

GAP = "  "
SHORTEST_PATH = 14
"""A path is cut in the middle before the table loses another column, down to this width."""

PAGE = 100
"""Width of prose where there is no terminal."""


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
        parts.append("\n".join(formulas(report, depth=depth, ops=ops)))
    else:
        parts.append(_table(report, style, width, columns, depth, ops=ops))
    parts.append(_summary(report, style, width))
    return "\n\n".join(parts) + "\n"


class _Style:
    """ANSI styles, or none."""

    def __init__(self, color: bool) -> None:
        self._on = color

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._on else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._on else text

    def good(self, text: str) -> str:
        return f"\x1b[32m{text}\x1b[0m" if self._on else text

    def bad(self, text: str) -> str:
        return f"\x1b[1;31m{text}\x1b[0m" if self._on else text


def _head(report: Report, style: _Style, width: int | None) -> str:
    setting = f"input {report.graph.input}, batch {report.batch}, {report.dtype}"
    lines = [style.bold(report.name), *_wrap(report.about, width), style.dim(setting)]
    return "\n".join(line for line in lines if line)


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
    widths = {
        c.name: max(map(len, [c.title, sums[c.name], *cells[c.name]]), default=0) for c in chosen
    }
    if width is not None:
        _fit(chosen, widths, width, keep_all=bool(names))
    if chosen[0].name == "layer":
        cells["layer"] = [_shorten(path, widths["layer"]) for path in cells["layer"]]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(widths[c.name]) if c.left else text.rjust(widths[c.name])
            for c, text in zip(chosen, texts, strict=True)
        )
        return GAP.join(padded).rstrip()

    rule = style.dim("-" * (sum(widths[c.name] for c in chosen) + len(GAP) * (len(chosen) - 1)))
    body = [line([cells[c.name][i] for c in chosen]) for i in range(len(rows))]
    last = line([sums[c.name] for c in chosen])
    return "\n".join([style.bold(line([c.title for c in chosen])), rule, *body, rule, last])


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


def _summary(report: Report, style: _Style, width: int | None) -> str:
    totals, memory = report.totals, report.memory
    facts = [
        (
            "parameters",
            f"{thousands(totals.params)} "
            f"({thousands(totals.trainable)} trainable, {thousands(totals.non_trainable)} not) "
            f"in {totals.weight_layers} weight layers",
        ),
        ("MACs", f"{thousands(totals.macs)} (FLOPs {thousands(totals.flops)}), one example"),
        ("other ops", f"{thousands(totals.other_ops)}, one example"),
        (
            "memory",
            f"weights {byte_size(memory.weights)}, gradients {byte_size(memory.gradients)}, "
            f"{report.optimizer} {byte_size(memory.optimizer)}, "
            f"saved for backward {byte_size(memory.saved)}, "
            f"forward peak {byte_size(memory.forward_peak)}",
        ),
        (
            "",
            f"training {byte_size(memory.training)}, inference {byte_size(memory.inference)}, "
            f"batch {report.batch}, {report.dtype}",
        ),
        ("counting", CONVENTION),
    ]
    indent = 12
    lines = []
    for name, text in facts:
        room = (width or PAGE) - indent
        first, *more = _wrap(text, room)
        lines.append(style.bold(name.ljust(indent)) + first)
        lines += [" " * indent + line for line in more]
    lines += _claims(report.checks, style, indent)
    return "\n".join(lines)


def _claims(checks: Sequence[Check], style: _Style, indent: int) -> list[str]:
    """One line for what holds in each section, one for each claim that does not."""
    lines = []
    for section in dict.fromkeys(check.section for check in checks):
        mine = [check for check in checks if check.section == section]
        held = [check.figure for check in mine if check.holds]
        if held:
            stages = sum(figure.startswith("stage ") for figure in held)
            words = [figure for figure in held if not figure.startswith("stage ")]
            words += [f"{stages} stage shapes"] if stages else []
            source = f" ({mine[0].source})" if mine[0].source else ""
            verb = "agrees on" if section == "published" else "holds for"
            text = f"{verb} {', '.join(words)}{source}"
            lines.append(style.bold(section.ljust(indent)) + style.good(text))
        lines += [
            style.bold(section.ljust(indent))
            + style.bad(f"{check.figure} is {check.found}, not {check.claim}")
            for check in mine
            if not check.holds
        ]
    return lines


def _wrap(text: str, width: int | None) -> list[str]:
    """Prose in lines; in a pipe as wide as a page."""
    return textwrap.wrap(text, max(width or PAGE, 20)) or [""]

"""A proof as text and Markdown: a line for each network, and what is wrong with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from archspec.render.amounts import thousands
from archspec.render.errors import render
from archspec.render.table import PAGE, Column, PrintedTable, Style
from archspec.text import counted, printable

if TYPE_CHECKING:
    from archspec.proof import Proof, Proved

COLUMNS: Final = (
    Column("network", left=True),
    Column("result", left=True),
    Column("parameters", text=thousands),
    Column("MACs", text=thousands),
    Column("claims", text=thousands),
)


def text(
    proof: Proof, *, width: int | None = None, color: bool = False, problems: bool = True
) -> str:
    """Return all that is wrong, then a line for each network, then whether all holds.

    Without `problems`, what is wrong is left out, and so is that not all holds.
    """
    lines = _problems(proof, color=color, width=width or PAGE) if problems else []
    longest = max((len(each.name) for each in proof.networks), default=0)
    lines += [_line(each, longest, Style(color)) for each in proof.networks]
    if problems or proof.holds:
        lines.append(verdict(proof))
    return "\n".join(lines) + "\n"


def _problems(proof: Proof, **screen: Any) -> list[str]:
    """Return each network's problems; a mistake that all variants share is listed once."""
    wrong = (render(each.error, **screen) for each in proof.networks if each.error)
    return list(dict.fromkeys(wrong))


def _line(proved: Proved, width: int, style: Style) -> str:
    name = printable(proved.name).ljust(width)
    if proved.report is None or not proved.holds:
        return f"{name}  {style.bad('failed')}"
    totals = proved.report.totals
    figures = f"{totals.params:>13,} parameters  {thousands(totals.macs):>14} MACs"
    setting = _setting(proved)
    return f"{name}  {style.good('ok')}  {figures}  {counted(proved.claims, 'claim')}{setting}"


def _setting(proved: Proved) -> str:
    """Return the setting that bytes were counted for, if a claim concerns them."""
    checks = proved.report.checks if proved.report else ()
    settings = dict.fromkeys(check.setting for check in checks if check.setting)
    return f" (bytes at {'; '.join(settings)})" if settings else ""


def verdict(proof: Proof) -> str:
    """Return whether all holds, in a line."""
    failed = sum(not each.holds for each in proof.networks)
    networks = counted(len(proof.networks), "network")
    if failed:
        return f"{failed} of {networks} failed"
    return f"{networks}, {counted(proof.claims, 'claim')}: all hold"


def markdown(proof: Proof) -> str:
    """Return a table of the networks, and below it what is wrong."""
    rows = []
    for each in proof.networks:
        totals = each.report.totals if each.report else None
        figures = [totals.params, totals.macs] if totals else [None, None]
        rows.append([each.name, "ok" if each.holds else "**failed**", *figures, each.claims])
    blocks = [f"```\n{text}\n```\n" for text in _problems(proof)]
    return "\n".join(
        [PrintedTable(COLUMNS, rows).markdown(), "", f"{verdict(proof)}.", "", *blocks]
    )

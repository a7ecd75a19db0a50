"""A proof as text: a line for each network, and what is wrong with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.render import table as tables
from archspec.render.errors import render
from archspec.render.table import Heading, Style
from archspec.text import printable

if TYPE_CHECKING:
    from archspec.proof import Proof, Proved


def text(proof: Proof, *, width: int | None = None, color: bool = False) -> str:
    """Everything that is wrong, then a line for each network, then whether all holds."""
    wrong = dict.fromkeys(
        render(each.error, color=color, width=width or tables.PAGE)
        for each in proof.networks
        if each.error
    )
    last = "" if proof.holds else f"{verdict(proof)}\n"
    return "".join(f"{each}\n" for each in wrong) + lines(proof, color=color) + last


def lines(proof: Proof, *, color: bool = False) -> str:
    """A line for each network, and one that says that all holds if it does."""
    longest = max((len(each.name) for each in proof.networks), default=0)
    found = [_line(each, longest, color=color) for each in proof.networks]
    return "\n".join([*found, *([verdict(proof)] if proof.holds else [])]) + "\n"


def _line(proved: Proved, width: int, *, color: bool = False) -> str:
    style = Style(color)
    name = printable(proved.name).ljust(width)
    if proved.report is None or not proved.holds:
        return f"{name}  {style.bad('failed')}"
    totals = proved.report.totals
    figures = f"{totals.params:>13,} parameters  {totals.macs:>14,} MACs"
    setting = _setting(proved)
    return f"{name}  {style.good('ok')}  {figures}  {count(proved.claims, 'claim')}{setting}"


def _setting(proved: Proved) -> str:
    """What bytes were counted for, where a claim is about them."""
    checks = proved.report.checks if proved.report else ()
    said = dict.fromkeys(check.setting for check in checks if check.setting)
    return f" (bytes at {'; '.join(said)})" if said else ""


def verdict(proof: Proof) -> str:
    """Whether all holds, in a line."""
    failed = sum(not each.holds for each in proof.networks)
    networks = count(len(proof.networks), "network")
    if failed:
        return f"{failed} of {networks} failed"
    return f"{networks}, {count(proof.claims, 'claim')}: all hold"


def markdown(proof: Proof) -> str:
    """A table for an issue or a notebook, and below it what is wrong."""
    columns = (
        Heading("network", left=True),
        Heading("result", left=True),
        Heading("parameters"),
        Heading("MACs"),
        Heading("claims"),
    )
    rows = [
        [
            each.name,
            "ok" if each.holds else "**failed**",
            f"{each.report.totals.params:,}" if each.report else "",
            f"{each.report.totals.macs:,}" if each.report else "",
            f"{each.claims:,}",
        ]
        for each in proof.networks
    ]
    wrong = dict.fromkeys(render(each.error) for each in proof.networks if each.error)
    blocks = [f"```\n{text}\n```\n" for text in wrong]
    return "\n".join([*tables.markdown(columns, rows), "", f"{verdict(proof)}.", "", *blocks])


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"

"""The kinds of steps as text and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.errors import call
from archspec.render.table import Column, PrintedTable, Style, tabbed, wrapped

if TYPE_CHECKING:
    from archspec.inventory import Kinds

TITLES: Final = {
    "block": "Blocks",
    "op": "Ops",
    "merge": "Merges",
    "word": "Words that stand beside a kind, or group steps",
}


def text(kinds: Kinds, *, width: int | None = None, color: bool = False) -> str:
    """Return the kinds of each sort, with a line about each."""
    style = Style(color)
    indent = max(map(len, kinds)) + len("    ")
    lines = []
    for sort, title in TITLES.items():
        lines += ["", *map(style.bold, wrapped(title, width))]
        for each in (each for each in kinds.kinds if each.sort == sort):
            first, *more = wrapped(each.about, width, indent) or [""]
            lines.append(f"  {each.kind}".ljust(indent) + first)
            lines += [" " * indent + line for line in more]
    return "\n".join([*lines[1:], "", f"{call('show', ...)} explains one.", ""])


def tabbed_lines(kinds: Kinds) -> str:
    """Return lines for a pipe: kind, sort and what it is, separated by tabs."""
    return tabbed(kinds.kinds)


def markdown(kinds: Kinds) -> str:
    """Return a table of the kinds."""
    columns = [Column(name, left=True) for name in ("kind", "sort", "about")]
    return PrintedTable(columns, kinds.kinds).markdown() + "\n"

"""The kinds of steps, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.errors import call
from archspec.render import table as tables
from archspec.render.table import Heading, Style, tabbed, wrapped

if TYPE_CHECKING:
    from archspec.inventory import Kinds

TITLES: Final = {
    "block": "Blocks",
    "op": "Ops",
    "merge": "Merges",
    "word": "Words that stand beside a kind, or group steps",
}


def text(kinds: Kinds, *, width: int | None = None, color: bool = False) -> str:
    """The kinds of each sort, with a line about each."""
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
    """For a pipe: kind, sort and what it is, behind tabs."""
    return tabbed(kinds.kinds)


def markdown(kinds: Kinds) -> str:
    """A table for a notebook."""
    columns = (Heading("kind", left=True), Heading("sort", left=True), Heading("about", left=True))
    return "\n".join(tables.markdown(columns, [list(each) for each in kinds.kinds])) + "\n"

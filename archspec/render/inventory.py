"""Lists of networks and of kinds as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from archspec.diagnostics import call
from archspec.render import table as tables
from archspec.render.table import Heading, Style, wrapped

if TYPE_CHECKING:
    from archspec.inventory import Kinds, Networks

TITLES: Final = {
    "block": "Blocks",
    "op": "Ops",
    "merge": "Merges",
    "word": "Words that stand beside a kind, or group steps",
}


def networks_text(networks: Networks, *, width: int | None = None, color: bool = False) -> str:
    """Each family, and its networks with as many figures as there is room for."""
    style = Style(color)
    longest = max(map(len, networks))
    figures = _figures((width or tables.PAGE) - len("  ") - longest)
    lines = []
    for family in networks.families:
        first, *more = wrapped(f"{family.name}: {family.about}", width)
        lines += [first.replace(family.name, style.bold(family.name), 1), *more]
        for each in family.networks:
            values = (getattr(each, name) for name, *_ in figures)
            cells = [
                ("" if value is None else f"{value:,} {unit}").rjust(room)
                for value, (_, unit, room) in zip(values, figures, strict=True)
            ]
            lines.append("  ".join([f"  {each.name:<{longest}}", *cells]).rstrip())
    return "\n".join(lines) + "\n"


def _figures(room: int) -> list[tuple[str, str, int]]:
    """The figures that fit beside a name: their names, units and widths."""
    figures = [("params", "parameters", 24), ("macs", "MACs", 20)]
    while figures and sum(len("  ") + width for *_, width in figures) > room:
        figures.pop()
    return figures


def networks_tabbed(networks: Networks) -> str:
    """For a pipe: family, name, parameters, MACs and what it is, behind tabs."""
    return _tabbed(
        (family.name, each.name, each.params, each.macs, family.about)
        for family in networks.families
        for each in family.networks
    )


def networks_markdown(networks: Networks) -> str:
    """A table for a README or a notebook."""
    columns = (
        Heading("family", left=True),
        Heading("network", left=True),
        Heading("parameters"),
        Heading("MACs"),
        Heading("about", left=True),
    )
    rows = [
        [
            family.name,
            each.name,
            *("" if value is None else f"{value:,}" for value in (each.params, each.macs)),
            family.about,
        ]
        for family in networks.families
        for each in family.networks
    ]
    return "\n".join(tables.markdown(columns, rows)) + "\n"


def kinds_text(kinds: Kinds, *, width: int | None = None, color: bool = False) -> str:
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


def kinds_tabbed(kinds: Kinds) -> str:
    """For a pipe: kind, sort and what it is, behind tabs."""
    return _tabbed(kinds.kinds)


def kinds_markdown(kinds: Kinds) -> str:
    """A table for a notebook."""
    columns = (Heading("kind", left=True), Heading("sort", left=True), Heading("about", left=True))
    return "\n".join(tables.markdown(columns, [list(each) for each in kinds.kinds])) + "\n"


def _tabbed(rows: Any) -> str:
    return "".join(
        "\t".join("" if value is None else str(value) for value in row) + "\n" for row in rows
    )

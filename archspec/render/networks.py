"""The networks that come with archspec as text and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from archspec.render.amounts import thousands
from archspec.render.table import PAGE, Column, PrintedTable, Style, tabbed, wrapped

if TYPE_CHECKING:
    from archspec.inventory import Networks

COLUMNS: Final = (
    Column("family", left=True),
    Column("network", left=True),
    Column("parameters", text=thousands),
    Column("MACs", text=thousands),
    Column("about", left=True),
    Column("tags", left=True),
    Column("history", left=True),
)


def text(networks: Networks, *, width: int | None = None, color: bool = False) -> str:
    """Return each family, and its networks with as many figures as there is room for."""
    style = Style(color)
    longest = max(map(len, networks))
    figures = _figures((width or PAGE) - len("  ") - longest)
    lines = []
    for family in networks.families:
        first, *more = wrapped(f"{family.name}: {family.about}", width)
        lines += [first.replace(family.name, style.bold(family.name), 1), *more]
        notes = f"{family.history} [{', '.join(family.tags)}]".strip()
        lines += [f"  {style.dim(line)}" for line in wrapped(notes, width, len("  "))]
        for each in family.networks:
            values = (getattr(each, name) for name, *_ in figures)
            cells = [
                ("" if value is None else f"{value:,} {unit}").rjust(room)
                for value, (_, unit, room) in zip(values, figures, strict=True)
            ]
            lines.append("  ".join([f"  {each.name:<{longest}}", *cells]).rstrip())
    return "\n".join(lines) + "\n"


def _figures(room: int) -> list[tuple[str, str, int]]:
    """Return the figures that fit beside a name, as (attribute, unit, width)."""
    figures = [("params", "parameters", 24), ("macs", "MACs", 20)]
    while figures and sum(len("  ") + width for *_, width in figures) > room:
        figures.pop()
    return figures


def tabbed_lines(networks: Networks) -> str:
    """Return lines for a pipe, with the values of `COLUMNS` between tabs."""
    return tabbed(_rows(networks))


def markdown(networks: Networks) -> str:
    """Return a table of the networks."""
    return PrintedTable(COLUMNS, list(_rows(networks))).markdown() + "\n"


def _rows(networks: Networks) -> Iterator[list[Any]]:
    for family in networks.families:
        for each in family.networks:
            figures = (each.params, each.macs)
            words = (family.about, ", ".join(family.tags), family.history)
            yield [family.name, each.name, *figures, *words]

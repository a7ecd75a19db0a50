"""The networks that come with archspec, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.render import table as tables
from archspec.render.table import Heading, Style, tabbed, wrapped

if TYPE_CHECKING:
    from archspec.inventory import Networks


def text(networks: Networks, *, width: int | None = None, color: bool = False) -> str:
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


def tabbed_lines(networks: Networks) -> str:
    """For a pipe: family, name, parameters, MACs and what it is, behind tabs."""
    return tabbed(
        (family.name, each.name, each.params, each.macs, family.about)
        for family in networks.families
        for each in family.networks
    )


def markdown(networks: Networks) -> str:
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

"""The page of the bundled networks: every family with its paper, every network with its figures.

    python -m archspec.families > docs/families.md

The words are those of the specs, the figures those of their reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from archspec.cost.report import report
from archspec.inventory import Family, networks
from archspec.render.amounts import thousands
from archspec.render.table import Column, PrintedTable

FAMILIES: Final = (
    Column("year"),
    Column("family", left=True),
    Column("paper", left=True),
    Column("tags", left=True),
    Column("what it carries on", left=True),
)

NETWORKS: Final = (
    Column("family", left=True),
    Column("network", left=True),
    Column("input", left=True),
    Column("parameters", text=thousands),
    Column("MACs", text=thousands),
)

_PAPER: Final = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    listed = sorted(networks().families, key=lambda family: (_year(family), family.name))
    members = [(family, each.name) for family in listed for each in family.networks]
    yield from (
        "# Families",
        "",
        "Made from the specs by `python -m archspec.families > docs/families.md`. "
        "`archspec list --tag mobile` lists some of them, `archspec show resnet` prints a spec.",
        "",
        f"{len(listed)} families with {len(members)} networks come with archspec.",
        "",
        PrintedTable(FAMILIES, [_row(family) for family in listed]).markdown(),
        "",
        "## Networks",
        "",
        "Parameters are all of them, trainable or not. MACs are those of one example of the input "
        "shown: [counting.md](counting.md) says how they are counted.",
        "",
    )
    rows = []
    for family, name in members:
        costs = report(name)
        shapes = ", ".join(map(str, costs.graph.input_shapes.values()))
        figures = (costs.totals.params, costs.totals.macs)
        rows.append([family.name, f"`{name}`", shapes, *figures])
    yield PrintedTable(NETWORKS, rows).markdown()


def _row(family: Family) -> list[object]:
    title, _, paper = family.about.partition(" (")
    paper = _PAPER.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", paper.removesuffix(")"))
    link = f"[{title}](../specs/{family.name}.yaml)"
    return [_year(family), link, paper, ", ".join(family.tags), family.history]


def _year(family: Family) -> int:
    """Return the year of a family's paper, which its description names first."""
    year = _YEAR.search(_PAPER.sub("", family.about))
    return int(year[0]) if year else 0


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())

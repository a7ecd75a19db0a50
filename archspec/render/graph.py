"""A graph as text and Markdown: a row for each op, with the ops that its inputs come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.render.table import Column, PrintedTable, Style

if TYPE_CHECKING:
    from archspec.graph.graph import Graph

COLUMNS: Final = (
    Column("name", "op", left=True, shortens=True),
    Column("kind", "kind", left=True),
    Column("shape", "output", left=True),
    Column("inputs", "inputs", left=True, rank=1),
)


def text(graph: Graph, *, width: int | None = None, color: bool = False) -> str:
    """Return a row for each op."""
    return table(graph).text(Style(color), width) + "\n"


def markdown(graph: Graph) -> str:
    """Return a row for each op."""
    return table(graph).markdown() + "\n"


def table(graph: Graph) -> PrintedTable:
    """Return the table: a row for each op."""
    rows = []
    for node in graph.nodes:
        inputs = ", ".join(graph.nodes[each].name for each in node.inputs)
        rows.append([node.name, node.op.word, node.shape, inputs])
    return PrintedTable(COLUMNS, rows)

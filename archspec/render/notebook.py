"""Values in notebooks: the figure above the table, as HTML that follows the notebook's theme.

What a notebook shows is bounded, however large a network is: its blocks are folded until figure and
table can be looked at, and what cannot be folded is cut, which a line says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from archspec.cost.compare import Comparison
from archspec.cost.difference import Difference
from archspec.cost.report import Report, report
from archspec.display import renderer
from archspec.errors import ArchspecError, UsageError
from archspec.figure import AnyFigure, Figure, draw
from archspec.graph.graph import Graph
from archspec.render.figure.drawing import Group
from archspec.render.figure.outline import outline
from archspec.render.figure.svg import svg
from archspec.render.figure.writing import drawing
from archspec.render.markup import escaped
from archspec.render.summary import UNBROKEN, Fact, facts
from archspec.spec.document import Spec
from archspec.text import counted

if TYPE_CHECKING:
    from archspec.render.table import PrintedTable

MOST_BOXES: Final = 400
"""Most boxes of a figure in a notebook."""

MOST_ROWS: Final = 400
"""Most rows of a table, and lines of a text, in a notebook."""

DEEPEST: Final = 4
"""Largest depth to which a network that is too large is opened."""

DARK: Final = (
    "[data-jp-theme-light=false]",  # Jupyter
    ".vscode-dark",
    ".vscode-high-contrast",
    "[theme=dark]",  # Colab
)
"""Selectors of dark pages. On all others a figure is light, on a ground of its own."""


def html(value: object) -> str | None:
    """Return the figure and the table of a value as HTML; None for values without a figure."""
    match value:
        case Spec():
            return _spec(value)
        case Report():
            return _page(*_report(value))
        case Graph():
            table = _table(renderer("graph").table(value))
            return _page(_network(Report(value), ops=True), [table])
        case Comparison():
            module = renderer("comparison")
            notes = map(_paragraph, module.notes(value))
            return _page(draw(value), [_table(module.table(value)), *notes])
        case Difference():
            text = renderer("difference").text(value)
            return _page(draw(value), [_preformatted(text)])
        case AnyFigure():
            return _page(value, [])
    return None


def _spec(spec: Spec) -> str:
    """Return the figure and the table of a spec's network, and its YAML."""
    yaml = _preformatted(renderer("spec").text(spec))
    try:
        figure, parts = _report(report(spec))
    except ArchspecError:  # the spec was read, but its network cannot be made
        return _page(None, [yaml])
    return _page(figure, [*parts, f"<details><summary>YAML</summary>{yaml}</details>"])


def _report(value: Report) -> tuple[Figure | None, list[str]]:
    module = renderer("report")
    depth = _depth(lambda depth: len(value.rows(depth)) <= MOST_ROWS)
    table = _table(module.table(value, 1 if depth == 0 else depth))
    about = [_paragraph(value.about)] if value.about else []
    items = "".join(f"<li>{_fact(fact)}</li>" for fact in facts(value))
    return _network(value), [*about, table, f"<ul>{items}</ul>"]


def _network(value: Report, *, ops: bool = False) -> Figure | None:
    """Return the figure of a network, folded so that it can be looked at; None if it cannot be."""

    def fits(depth: int | None) -> bool:
        try:
            root = outline(value, depth, ops=ops)
        except UsageError:
            return False
        return sum(1 for _ in root.walk()) <= MOST_BOXES

    depth = _depth(fits)
    return None if depth == 0 else Figure((value,), depth=depth, ops=ops)


def _depth(fits: Callable[[int | None], bool]) -> int | None:
    """Return the largest depth that fits, None being all; 0 if none does."""
    if fits(None):
        return None
    if not fits(1):
        return 0
    return next((depth for depth in range(DEEPEST, 1, -1) if fits(depth)), 1)


def _page(figure: AnyFigure | None, parts: Iterable[str]) -> str:
    """Return a figure above other parts."""
    shown = [*_figure(figure), *parts]
    return f'<div class="archspec-output">{"".join(shown)}</div>'


def _figure(figure: AnyFigure | None) -> Iterator[str]:
    """Yield a figure in a pane that scrolls, if there is one that can be looked at."""
    if figure is None:
        return
    try:
        drawn = drawing(figure)
    except UsageError as error:
        yield _paragraph(str(error))
        return
    boxes = sum(isinstance(mark, Group) for mark in drawn.walk())
    if isinstance(figure, Figure) or boxes <= MOST_BOXES:
        yield (
            f'<div style="max-height:40em;overflow:auto" tabindex="0" role="group"'
            f' aria-label="{escaped(drawn.title)}">{svg(drawn, pages=DARK)}</div>'
        )


def _table(table: PrintedTable) -> str:
    """Return a table, cut where it is too long."""
    rows = table.cells()
    last = rows[-1:] if table.totals is not None else []
    body = rows[: len(rows) - len(last)]
    columns = range(len(table.columns))
    more = len(body) - MOST_ROWS
    lines = [_row("td", table, row) for row in body[:MOST_ROWS]]
    if more > 0:
        note = f"... {counted(more, 'more row')}"
        lines.append(f'<tr><td colspan="{len(columns)}" style="text-align:left">{note}</td></tr>')
    lines += [_row("th", table, row) for row in last]
    titles = _row("th", table, [column.title for column in table.columns])
    return f"<table><thead>{titles}</thead><tbody>{''.join(lines)}</tbody></table>"


def _row(tag: str, table: PrintedTable, cells: Sequence[str]) -> str:
    sides = ("left" if column.left else "right" for column in table.columns)
    shown = (
        f'<{tag} style="text-align:{side}">{escaped(cell)}</{tag}>'
        for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _fact(fact: Fact) -> str:
    name = f"<b>{escaped(fact.name)}:</b> " if fact.name else ""
    return f"{name}{escaped(fact.content.replace(UNBROKEN, ' '))}"


def _paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"


def _preformatted(text: str) -> str:
    """Return lines as they are, cut where there are too many."""
    lines = text.splitlines()
    if len(lines) > MOST_ROWS:
        lines[MOST_ROWS:] = [f"... {counted(len(lines) - MOST_ROWS, 'more line')}"]
    body = "\n".join(map(escaped, lines))
    return f"<pre>{body}</pre>"

"""The table of a family's stages as text, Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from archspec.render.figure.listing import Part
from archspec.render.figure.stages import NETWORKS, Cell, Stage, StageTable, stage_tables, title
from archspec.render.figure.tex_text import escaped
from archspec.render.table import Column, PrintedTable, Style
from archspec.text import csv_lines, printable

if TYPE_CHECKING:
    from archspec.figure import Figure

ROW_END: Final = r" \\"

RULE: Final = r"\hline"


def text(figure: Figure, *, width: int | None = None, color: bool = False) -> str:
    """Return the tables for a terminal."""
    style = Style(color)
    pieces = [style.bold(printable(title(figure.reports)))]
    for table in stage_tables(figure.reports):
        lines = _printed(table).lines(style, width)
        lines.insert(-len(table.ends), lines[1])  # the rule below the titles, again
        pieces.append("\n".join([style.dim(table.title), "", *lines, "", *table.notes]))
    return "\n\n".join(pieces) + "\n"


def markdown(figure: Figure) -> str:
    """Return the tables in Markdown, the lines of a cell broken by `<br>`."""
    pieces = [f"### {printable(title(figure.reports))}"]
    for table in stage_tables(figure.reports):
        rows = [*(_cells(table, stage, "\n") for stage in table.stages), *table.ends]
        columns = [Column(name, name, left=True) for name in table.head]
        heading = f"{table.title[0].upper()}{table.title[1:]}."
        pieces += [heading, PrintedTable(columns, rows).markdown(), " ".join(table.notes)]
    return "\n\n".join(filter(None, pieces)) + "\n"


def csv(figure: Figure) -> str:
    """Return a line for each stage and each total, tables one after the other."""
    lines: list[Sequence[str]] = []
    for table in stage_tables(figure.reports):
        totals = ((name, "", *map(str, values)) for name, values in table.totals.items())
        lines += [
            ("stage", "output", *table.names),
            *(_cells(table, stage, "; ")[: 2 + len(table.names)] for stage in table.stages),
            *totals,
        ]
    return csv_lines(lines)


def latex(figure: Figure) -> str:
    r"""Return a `tabular` for each table, a paragraph each, which need no package."""
    tables = ("\n".join(_tabular(table)) for table in stage_tables(figure.reports))
    return "\n\n".join(tables) + "\n"


def as_data(figure: Figure) -> dict[str, Any]:
    """Return the tables as plain data."""
    tables = [table.to_dict() for table in stage_tables(figure.reports)]
    return {"name": title(figure.reports), "style": figure.style, "tables": tables}


FORMATS: Final = {".md": markdown, ".csv": csv, ".tex": latex, ".txt": text}
"""Functions that write a figure of this style, by the suffix of a file."""


def _printed(table: StageTable) -> PrintedTable:
    """Return a table with a row for each line."""
    count = len(table.names)
    columns = [
        Column(name, name, left=place < NETWORKS + count) for place, name in enumerate(table.head)
    ]
    rows: list[Sequence[str]] = []
    for stage in table.stages:
        cells = [
            [stage.name],
            [stage.size],
            *(_lines(cell) for cell in stage.cells),
            *([text] for text in table.costs(stage)),
        ]
        rows += zip_longest(*cells, fillvalue="")
    return PrintedTable(columns, [*rows, *table.ends])


def _cells(table: StageTable, stage: Stage, separator: str) -> list[str]:
    """Return a stage as one text for each column."""
    cells = [separator.join(_lines(cell)) for cell in stage.cells]
    return [stage.name, stage.size, *cells, *table.costs(stage)]


def _lines(cell: Cell | None) -> list[str]:
    if cell is None:
        return []
    return [cell.size, *cell.lines] if cell.size else [*cell.lines]


def _tabular(table: StageTable) -> Iterator[str]:
    count = len(table.names)
    costs = "r|" * (len(table.head) - NETWORKS - count)
    yield f"\\begin{{tabular}}{{|l|c|{'c|' * count}{costs}}}"
    yield RULE
    yield _tex_row(map(escaped, table.head))
    for stage in table.stages:
        # A further row of a group belongs to the name above it.
        yield RULE if stage.name else f"\\cline{{2-{len(table.head)}}}"
        cells = (
            [f"\\multicolumn{{{count}}}{{c|}}{{{_tex_cell(stage.cells[0])}}}"]
            if stage.spans
            else map(_tex_cell, stage.cells)
        )
        yield _tex_row(
            [escaped(stage.name), escaped(stage.size), *cells, *map(escaped, table.costs(stage))]
        )
    for texts in table.ends:
        yield RULE
        yield _tex_row(map(escaped, texts))
    yield RULE
    yield r"\end{tabular}"
    for note in table.notes:
        yield f"% {printable(note)}"


def _tex_row(cells: Sequence[str] | Iterator[str]) -> str:
    return " & ".join(cells) + ROW_END


def _tex_cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    lines = [escaped(cell.size)] if cell.size else []
    for part in cell.parts:
        lines += [_tex_bracket(part)] if part.bracket else map(escaped, part.texts)
    text = _tex_lines(lines)
    # A little space between several lines and the rules.
    high = len(lines) > 1 or any(part.bracket for part in cell.parts)
    return f"$\\vcenter{{\\kern0.4ex\\hbox{{{text}}}\\kern0.4ex}}$" if high else text


def _tex_bracket(part: Part) -> str:
    lines = _tex_lines([escaped(line) for line in part.lines])
    return f"$\\left[\\mbox{{{lines}}}\\right]\\times {part.times}$"


def _tex_lines(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    return f"\\begin{{tabular}}{{@{{}}c@{{}}}}{ROW_END.join(lines)}\\end{{tabular}}"

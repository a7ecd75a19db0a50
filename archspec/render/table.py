"""Tables: columns and rows, made once and written as text of any width, as Markdown or as CSV."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from archspec.graph.graph import SEPARATOR
from archspec.ops.atleast import AtLeast
from archspec.text import csv_lines, printable

GAP = "  "
"""Space between two columns."""

NAMES = 11
"""Width of the names of sentences below a table."""

PAGE = 100
"""Width of prose where there is no terminal, and the most that a terminal gives it."""

NARROWEST_PAGE = 20
"""Width below which prose is not wrapped any narrower."""

SHORTEST_NAME = 14
"""Width down to which names are shortened before the table loses another column."""


class Style:
    """ANSI styles, or none."""

    def __init__(self, color: bool) -> None:
        self._on = color

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def good(self, text: str) -> str:
        return self._paint("32", text)

    def changed(self, text: str) -> str:
        return self._paint("33", text)

    def bad(self, text: str) -> str:
        return self._paint("1;31", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text.strip() else text


class Column(NamedTuple):
    """A column of a table: what it is called, and how its values read."""

    name: str
    """Its name in CSV and in options."""
    title: str = ""
    """Its heading. Markdown, where a column needs one, shows the name of a column without."""
    text: Callable[[Any], str] = str
    """The form of a value for people."""
    left: bool = False
    """Whether values are aligned to the left."""
    rank: int = 0
    """Order in which a narrow terminal leaves columns out, the highest first. 0 always stays."""
    shortens: bool = False
    """Whether a narrow terminal may shorten the values. At most one column of a table."""


class PrintedTable(NamedTuple):
    """Rows of plain values under their columns. None is an empty cell."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    totals: Sequence[Any] | None = None
    """A last row, set apart from the others."""

    def text(self, style: Style, width: int | None = None, *, keep_all: bool = False) -> str:
        """Return the table for a terminal, as `lines` has it."""
        return "\n".join(self.lines(style, width, keep_all=keep_all))

    def lines(self, style: Style, width: int | None = None, *, keep_all: bool = False) -> list[str]:
        """Return the titles, a rule and a line for each row; the totals below another rule.

        Args:
            style: Style of the titles, rules and totals.
            width: Columns of the terminal; None for as wide as needed. To fit, the table leaves
                columns out and shortens the values of the column that `shortens`.
            keep_all: Leave no column out.

        """
        columns = self.columns
        cells = [[column.title for column in columns], *self.cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        shown = list(range(len(columns)))

        def excess(width: int) -> int:
            return sum(widths[each] for each in shown) + len(GAP) * (len(shown) - 1) - width

        if width is not None:
            place = next((i for i, column in enumerate(columns) if column.shortens), 0)
            spare = max(widths[place] - SHORTEST_NAME, 0) if columns[place].shortens else 0
            while not keep_all and excess(width) > spare:
                least = max(shown, key=lambda each: columns[each].rank)
                if columns[least].rank == 0:
                    break
                shown.remove(least)
            if spare and excess(width) > 0:
                room = max(widths[place] - excess(width), SHORTEST_NAME)
                for row in cells[1 : 1 + len(self.rows)]:
                    row[place] = shorten(row[place], room)
                widths[place] = max(len(row[place]) for row in cells)

        def line(row: list[str]) -> str:
            padded = (
                row[each].ljust(widths[each])
                if columns[each].left
                else row[each].rjust(widths[each])
                for each in shown
            )
            return GAP.join(padded).rstrip()

        rule = style.dim("-" * excess(0))
        head, *body = map(line, cells)
        if self.totals is not None:
            body[-1:] = [rule, style.bold(body[-1])]
        return [style.bold(head), rule, *body]

    def markdown(self) -> str:
        """Return the table in Markdown, without a newline at its end."""
        lines = [
            [column.title or column.name for column in self.columns],
            ["---" if column.left else "---:" for column in self.columns],
            *self.cells(),
        ]
        if self.totals is not None:
            lines[-1] = [text and f"**{text}**" for text in lines[-1]]
        return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)

    def csv(self) -> str:
        """Return a line of names and one for each row, of plain values; empty for unknown ones."""
        rows = [
            [None if isinstance(value, AtLeast) else value for value in row] for row in self.rows
        ]
        return csv_lines([[column.name for column in self.columns], *rows])

    def cells(self) -> list[list[str]]:
        """Return the rows as people read them, the totals last."""
        return list(map(self._texts, [*self.rows, *([] if self.totals is None else [self.totals])]))

    def _texts(self, row: Sequence[Any]) -> list[str]:
        return [
            "" if value is None else column.text(value)
            for column, value in zip(self.columns, row, strict=True)
        ]


_MARKDOWN: Final = str.maketrans({"&": "&amp;", "<": "&lt;", "|": "&#124;", "\n": "<br>"})


def _markdown_cell(text: str) -> str:
    """Return the text of a cell as Markdown shows it: no tags, and no end of the cell."""
    return printable(text).translate(_MARKDOWN)


def tabbed(rows: Iterable[Iterable[Any]]) -> str:
    """Return a line for each row, its cells separated by tabs; None is an empty cell."""
    return "".join(
        "\t".join("" if value is None else str(value) for value in row) + "\n" for row in rows
    )


def prose(text: str, width: int | None) -> list[str]:
    """Return the lines of a paragraph that stands alone, as wide as the terminal."""
    return textwrap.wrap(printable(text), max(width or PAGE, NARROWEST_PAGE))


def wrapped(text: str, width: int | None = None, indent: int = 0) -> list[str]:
    """Return the lines of paragraphs that will be indented by some columns."""
    room = max(min(width or PAGE, PAGE) - indent, 1)
    lines: list[str] = []
    for paragraph in filter(None, text.split("\n\n")):
        if lines:
            lines.append("")
        lines += textwrap.wrap(paragraph, room, break_on_hyphens=False)
    return lines


def named(sentences: Iterable[tuple[str, str]], style: Style, width: int | None) -> Iterator[str]:
    """Yield the lines of sentences, each beside its name in a column of its own."""
    for name, sentence in sentences:
        first, *others = wrapped(printable(sentence), width, len(GAP) + NAMES)
        yield f"{style.bold(name.ljust(NAMES))}{GAP}{first}"
        yield from (" " * (NAMES + len(GAP)) + line for line in others)


def shorten(path: str, width: int) -> str:
    """Return a path with abbreviated scopes: stage2/unit1/conv1 becomes s2/u1/conv1."""
    *outer, name = path.split(SEPARATOR)
    outer = [re.sub(r"([A-Za-z])[A-Za-z_]*", r"\1", part) for part in outer]
    short = SEPARATOR.join([*outer, name])
    if len(short) <= width:
        return short
    tail = (width - 2) * 2 // 3
    return f"{short[: width - 2 - tail]}..{short[-tail:]}"

"""Tables: aligned for a terminal, narrower where the terminal is; in Markdown; as CSV."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from archspec.graph.graph import SEPARATOR
from archspec.text import csv_lines, printable

GAP = "  "

PAGE = 100
"""Width of prose, and the most that a terminal gives it."""

SHORTEST_NAME = 14
"""Names are shortened before the table loses another column, down to this width."""


class Columned(Protocol):
    """What the table must know of a column."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def left(self) -> bool: ...
    @property
    def rank(self) -> int:
        """The higher, the sooner a narrow terminal goes without it; at 0 it stays."""
        ...


class Heading(NamedTuple):
    """A column that is nothing but its title."""

    name: str
    left: bool = False
    rank: int = 0

    @property
    def title(self) -> str:
        return self.name


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


def table(
    columns: Sequence[Columned],
    rows: Sequence[Sequence[str]],
    style: Style,
    *,
    sums: Sequence[str] | None = None,
    names: str,
    width: int | None,
    keep_all: bool = False,
) -> str:
    """Rows of cells below their titles, and the sums below a rule.

    A `width` is kept by leaving out columns, unless `keep_all`, and by shortening what stands in
    the column that is called `names`.
    """
    last = [] if sums is None else [sums]
    widths = {
        column.name: max(len(cells[i]) for cells in ([c.title for c in columns], *rows, *last))
        for i, column in enumerate(columns)
    }
    chosen = list(columns)
    if width is not None:
        longest = widths.get(names)
        _fit(chosen, widths, width, names, keep_all=keep_all)
        if longest is not None and widths[names] < longest:
            place = [column.name for column in columns].index(names)
            short = [shorten(cells[place], widths[names]) for cells in rows]
            rows = [
                [*cells[:place], name, *cells[place + 1 :]]
                for cells, name in zip(rows, short, strict=True)
            ]
            widths[names] = max(map(len, (columns[place].title, *short)))
    places = [(columns.index(column), column, widths[column.name]) for column in chosen]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cells[place].ljust(room) if column.left else cells[place].rjust(room)
            for place, column, room in places
        )
        return GAP.join(padded).rstrip()

    rule = style.dim("-" * len(GAP.join("-" * room for *_, room in places)))
    lines = [style.bold(line([column.title for column in columns])), rule, *map(line, rows)]
    lines += [rule, style.bold(line(sums))] if sums is not None else []
    return "\n".join(lines)


def markdown(
    columns: Sequence[Columned], rows: Iterable[Sequence[str]], sums: Sequence[str] | None = None
) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [
        [column.title or column.name for column in columns],
        ["---" if column.left else "---:" for column in columns],
        *rows,
        *([] if sums is None else [sums]),
    ]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(text: str) -> str:
    return printable(text).replace("|", "&#124;").replace("\n", " ")


def csv(columns: Iterable[Columned], rows: Iterable[Iterable[Any]]) -> str:
    """A header of names, and a line for every row."""
    return csv_lines([[column.name for column in columns], *rows])


def _fit(
    chosen: list[Columned], widths: dict[str, int], width: int, names: str, *, keep_all: bool
) -> None:
    """Leave out columns, the least important first, and shorten names, until the table fits."""

    def excess() -> int:
        return sum(widths[c.name] for c in chosen) + len(GAP) * (len(chosen) - 1) - width

    spare = max(widths.get(names, 0) - SHORTEST_NAME, 0)
    while not keep_all and excess() > spare:
        least = max(chosen, key=lambda column: column.rank)
        if least.rank == 0:
            break
        chosen.remove(least)
    if excess() > 0 and spare:
        widths[names] = max(widths[names] - excess(), SHORTEST_NAME)


def tabbed(rows: Iterable[Iterable[Any]]) -> str:
    """A line for each row, its cells behind tabs; None is empty."""
    return "".join(
        "\t".join("" if value is None else str(value) for value in row) + "\n" for row in rows
    )


def wrapped(text: str, width: int | None = None, indent: int = 0) -> list[str]:
    """The lines of paragraphs that are to stand `indent` columns from the left."""
    room = max(min(width or PAGE, PAGE) - indent, 1)
    lines: list[str] = []
    for paragraph in filter(None, text.split("\n\n")):
        if lines:
            lines.append("")
        lines += textwrap.wrap(paragraph, room, break_on_hyphens=False)
    return lines


def shorten(path: str, width: int) -> str:
    """Abbreviate what stands before a layer's own name: stage2/unit1/conv1 becomes s2/u1/conv1."""
    *outer, name = path.split(SEPARATOR)
    outer = [re.sub(r"([A-Za-z])[A-Za-z_]*", r"\1", part) for part in outer]
    short = SEPARATOR.join([*outer, name])
    if len(short) <= width:
        return short
    tail = (width - 2) * 2 // 3
    return f"{short[: width - 2 - tail]}..{short[-tail:]}"

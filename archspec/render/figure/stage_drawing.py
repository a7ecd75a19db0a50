"""The table of a family's stages as a drawing, ruled as in papers, with brackets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.render.figure.drawing import (
    SHARES,
    Anchor,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Text,
)
from archspec.render.figure.faces import EDGE, LABEL, LINE, SMALL, TITLE, heading
from archspec.render.figure.layer_labels import TIMES
from archspec.render.figure.listing import Part
from archspec.render.figure.metrics import text_width, wrapped
from archspec.render.figure.stages import (
    NETWORKS,
    Cell,
    Stage,
    StageTable,
    stage_tables,
    title,
)

if TYPE_CHECKING:
    from archspec.figure import Figure

PAD: Final = 10.0
"""Width between the text of a column and its borders."""

GAP: Final = 4.0
"""Height between the text of a row and its rules."""

BRACKET: Final = 3.5
"""Width of a bracket's ends, and of the space between it and its lines."""

RULE: Final = 1.2
"""Thickness of the rules around the table and its head."""

HAIR: Final = 0.6
"""Thickness of the rules between stages."""

BASE: Final = 9.6
"""Distance of the baseline of a line of text from its top."""

NARROWEST: Final = 320.0
"""Width that notes have at least."""


class _Line(NamedTuple):
    """A line of text on its way to a place."""

    text: str
    tone: str = "ink"
    bold: bool = False

    @property
    def width(self) -> float:
        return text_width(self.text, SMALL, bold=self.bold)

    @property
    def height(self) -> float:
        return LINE

    def marks(self, x: float, y: float, anchor: Anchor) -> Iterator[Mark]:
        if self.text:
            yield Text(x, y + BASE, self.text, SMALL, self.tone, self.bold, anchor)


class _Bracket(NamedTuple):
    """A repeated block on its way to a place."""

    part: Part

    @property
    def times(self) -> str:
        return f"{TIMES} {self.part.times}"

    @property
    def inner(self) -> float:
        """Width of the lines with their bracket."""
        lines = max(text_width(line, SMALL) for line in self.part.lines)
        return lines + 4 * BRACKET

    @property
    def width(self) -> float:
        return self.inner + BRACKET + text_width(self.times, SMALL)

    @property
    def height(self) -> float:
        return LINE * len(self.part.lines) + GAP

    def marks(self, x: float, y: float, anchor: Anchor) -> Iterator[Mark]:
        left = x - SHARES[anchor] * self.width
        right, top, bottom = left + self.inner, y + GAP / 4, y + self.height - GAP / 4
        for side, inwards in ((left, BRACKET), (right, -BRACKET)):
            corners = ((side, top), (side, bottom))
            ends = ((side + inwards, top), *corners, (side + inwards, bottom))
            yield Path(ends, "line", width=0.9)
        for number, line in enumerate(self.part.lines):
            yield Text((left + right) / 2, y + GAP / 2 + number * LINE + BASE, line, SMALL)
        middle = (top + bottom - LINE) / 2 + BASE
        yield Text(right + BRACKET, middle, self.times, SMALL, anchor="start")


class _Box(NamedTuple):
    """The lines of a cell, and the columns that it spans."""

    lines: tuple[_Line | _Bracket, ...]
    first: int
    last: int
    anchor: Anchor = "middle"

    @property
    def width(self) -> float:
        return max((line.width for line in self.lines), default=0.0) + 2 * PAD

    @property
    def height(self) -> float:
        return sum(line.height for line in self.lines)

    def marks(self, lefts: Sequence[float], top: float, height: float) -> Iterator[Mark]:
        """Yield its marks in the middle of a row, columns beginning at `lefts`."""
        left, right = lefts[self.first] + PAD, lefts[self.last + 1] - PAD
        x = left + SHARES[self.anchor] * (right - left)
        y = top + (height - self.height) / 2
        for line in self.lines:
            yield from line.marks(x, y, self.anchor)
            y += line.height


class _Row(NamedTuple):
    """A row of boxes, of a stage or not."""

    boxes: tuple[_Box, ...]
    stage: Stage | None = None

    @property
    def height(self) -> float:
        return max(box.height for box in self.boxes) + 2 * GAP

    def marks(self, lefts: Sequence[float], top: float) -> Iterator[Mark]:
        """Yield its marks, columns beginning at `lefts`."""
        for box in self.boxes:
            yield from box.marks(lefts, top, self.height)


def drawing(figure: Figure) -> Drawing:
    """Return the table of a figure's networks; several below each other if stages differ."""
    tables = stage_tables(figure.reports)
    name = title(figure.reports)
    marks = heading(name)
    width = text_width(name, TITLE, bold=True)
    y = EDGE + LABEL + GAP
    for table in tables:
        grid = _Grid(table)
        marks += grid.marks(EDGE, y)
        width = max(width, grid.width)
        y += grid.height + LINE
    names = ", ".join(name for table in tables for name in table.names)
    description = f"A table of stages, a column for each of: {names}"
    return Drawing(name, description, width + 2 * EDGE, y - LINE + EDGE, marks)


class _Grid:
    """A table with the widths of its columns."""

    def __init__(self, table: StageTable) -> None:
        self._table = table
        self._head = _texts(table, table.head, bold=True)
        self._stages = [_row(table, stage) for stage in table.stages]
        self._ends = [_texts(table, texts) for texts in table.ends]
        widths = _widths([self._head, *self._stages, *self._ends], len(table.head))
        self._lefts = [0.0, *accumulate(widths)]
        room = max(self._lefts[-1], NARROWEST)
        self._notes = [line for note in table.notes for line in wrapped(note, SMALL, room)]
        texts = [table.title, *self._notes]
        self.width = max(self._lefts[-1], *(text_width(text, SMALL) for text in texts))

    @property
    def height(self) -> float:
        rows = (self._head, *self._stages, *self._ends)
        return sum(row.height for row in rows) + LINE * (1 + len(self._notes)) + 2 * GAP

    def marks(self, x: float, y: float) -> Iterator[Mark]:
        """Yield the marks of the table from its corner on."""
        lefts = [x + left for left in self._lefts]
        yield Text(x, y + BASE, self._table.title, SMALL, "quiet", anchor="start")
        y += LINE + GAP
        yield self._ground(x, y, self._head.height)
        yield self._rule(x, y, RULE)
        yield from self._head.marks(lefts, y)
        y += self._head.height
        for row in self._stages:
            stage = row.stage
            first = row is self._stages[0]
            continued = stage is not None and not stage.name
            start = lefts[1] if continued else x
            yield self._rule(start, y, RULE if first else HAIR)
            marks = list(row.marks(lefts, y))
            yield Group(stage.path, _sentence(self._table, stage), marks) if stage else marks[0]
            y += row.height
        ends = sum(row.height for row in self._ends)
        yield self._ground(x, y, ends)
        yield self._rule(x, y, RULE)
        for row in self._ends:
            yield from row.marks(lefts, y)
            y += row.height
        yield self._rule(x, y, RULE)
        y += GAP
        for note in self._notes:
            yield Text(x, y + BASE, note, SMALL, "quiet", anchor="start")
            y += LINE

    def _ground(self, x: float, y: float, height: float) -> Rect:
        return Rect(x, y, self._lefts[-1], height, "ground")

    def _rule(self, x: float, y: float, thickness: float) -> Rect:
        end = self._lefts[-1] + EDGE
        tone = "rule" if thickness == RULE else "track"
        return Rect(x, y - thickness / 2, end - x, thickness, tone)


def _texts(table: StageTable, texts: Sequence[str], *, bold: bool = False) -> _Row:
    """Return a row of single lines: the head, or a row at the end."""
    costs = NETWORKS + len(table.names)
    boxes = []
    for place, text in enumerate(texts):
        anchor: Anchor = "start" if place == 0 else "end" if place >= costs else "middle"
        boxes.append(_Box((_Line(text, bold=bold or place == 0),), place, place, anchor))
    return _Row(tuple(boxes))


def _row(table: StageTable, stage: Stage) -> _Row:
    boxes = [
        _Box((_Line(stage.name),), 0, 0, "start"),
        _Box((_Line(stage.size, "quiet"),), 1, 1),
    ]
    count = len(table.names)
    if stage.spans:
        boxes.append(_Box(_lines(stage.cells[0]), NETWORKS, NETWORKS + count - 1))
    else:
        boxes += [
            _Box(_lines(cell), place, place) for place, cell in enumerate(stage.cells, NETWORKS)
        ]
    boxes += [
        _Box((_Line(text),), place, place, "end")
        for place, text in enumerate(table.costs(stage), NETWORKS + count)
    ]
    return _Row(tuple(boxes), stage)


def _lines(cell: Cell | None) -> tuple[_Line | _Bracket, ...]:
    if cell is None:
        return ()
    lines: list[_Line | _Bracket] = [_Line(cell.size, "quiet")] if cell.size else []
    for part in cell.parts:
        if part.bracket:
            lines.append(_Bracket(part))
        else:
            lines += map(_Line, part.texts)
    return tuple(lines)


def _widths(rows: Sequence[_Row], count: int) -> list[float]:
    """Return the widths of columns in which every box has room."""
    widths = [0.0] * count
    boxes = [box for row in rows for box in row.boxes]
    for box in boxes:
        if box.first == box.last:
            widths[box.first] = max(widths[box.first], box.width)
    for box in boxes:
        columns = range(box.first, box.last + 1)
        short = box.width - sum(widths[column] for column in columns)
        for column in columns if short > 0 else ():
            widths[column] += short / len(columns)
    return widths


def _sentence(table: StageTable, stage: Stage) -> str:
    """Return what a stage is in each network, for a screen reader and on hovering."""
    texts = [f"{stage.name or stage.path}: output {stage.size}" if stage.size else stage.name]
    if stage.spans and stage.cells[0]:
        texts.append(", ".join(stage.cells[0].lines))
    else:
        texts += [
            f"{name} {', '.join(cell.lines)}"
            for name, cell in zip(table.names, stage.cells, strict=True)
            if cell
        ]
    return "; ".join(texts)

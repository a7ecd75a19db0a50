"""The difference of two networks as a figure: both beside each other, what differs marked.

A sign and, for what is in one network only, a dashed outline say the same as the colours do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from archspec.cost.changes import Change
from archspec.cost.difference import Difference, RowPair
from archspec.graph.graph import SEPARATOR
from archspec.render.amounts import thousands
from archspec.render.difference import (
    changed_name,
    changes,
    collapsed,
    common_changes,
    told_changes,
    totals,
    value_text,
)
from archspec.render.figure import faces
from archspec.render.figure.drawing import Circle, Drawing, Group, Mark, Path, Rect, Text
from archspec.render.figure.faces import EDGE, LABEL, LINE, MERGE, MIDDLE, SMALL
from archspec.render.figure.layout import Layout, Placed, Size, layout
from archspec.render.figure.metrics import fitting, text_width, wrapped
from archspec.render.figure.network import CORNER, FRAMES, GUTTER, MARGIN, placed_marks
from archspec.render.figure.outline import Box, check_count, folding
from archspec.render.figure.paired import Side, counterparts, levelled

if TYPE_CHECKING:
    from archspec.figure import DifferenceFigure

TONES: Final = {"-": "removed", "+": "added", "~": "changed"}
"""Tones of what differs, by its mark."""

FOLD: Final = "other"
"""Tone of a box that stands for several equal ones."""

WIDEST: Final = 220.0
"""Largest width of a text in a box."""

HEADING: Final = 400.0
"""Width that the lines above the networks have at least."""

SIGN: Final = 20.0
"""Width beside a label that has a sign before it."""

MOST_LINES: Final = 4
"""Most changes that a box lists; all are in its title."""


def arranged(difference: Difference) -> tuple[list[Side], Sequence[Layout]]:
    """Return the boxes of both networks, what is equal folded, and their places.

    Raises:
        UsageError: There are too many boxes.

    """
    sides = [Side(difference, first=first) for first in (True, False)]
    ends = {number for side in sides for number in side.branching()}
    for side, other in zip(sides, reversed(sides), strict=True):
        side.fold(other, ends)
        check_count(side.root, folding(difference.depth, "diff"))
    layouts = [layout(side.root, _Boxes(difference, side).size) for side in sides]
    return sides, levelled(counterparts(sides, layouts), layouts)


def drawing(figure: DifferenceFigure) -> Drawing:
    """Return both networks beside each other, counterparts at one height."""
    difference = figure.difference
    sides, layouts = arranged(difference)
    shapes = [_Boxes(difference, side) for side in sides]
    names = [fitting(each.name, LABEL, WIDEST, bold=True) for each in difference.totals]
    columns = [
        max(placed.width, text_width(name, LABEL, bold=True) + 2 * EDGE)
        for placed, name in zip(layouts, names, strict=True)
    ]
    width = max(sum(columns) + GUTTER, HEADING + 2 * EDGE)
    spare = (width - sum(columns) - GUTTER) / 2
    title = f"{names[0]} -> {names[1]}"
    marks = faces.heading(title)
    marks += _heading(difference, width - 2 * EDGE)
    top = max(mark.y for mark in marks if isinstance(mark, Text)) + 2 * LINE
    x = spare
    for placed, column, name, each in zip(layouts, columns, names, shapes, strict=True):
        middle = x + column / 2
        marks.append(Text(middle, top, name, LABEL, bold=True))
        marks += placed_marks(placed, each.group, middle - placed.width / 2, top)
        x += column + GUTTER
    x = spare + columns[0] + GUTTER / 2
    bottom = top + max(placed.height for placed in layouts)
    marks.append(Path(((x, top - LINE), (x, bottom - EDGE)), "line", dashed=True, width=0.6))
    boxes = (mark.marks[0] for mark in marks if isinstance(mark, Group))
    present = {mark.tone for mark in boxes if isinstance(mark, Rect | Circle)}
    entries, height = faces.legend(list(_meanings(difference, names, present)), width, bottom)
    marks += [_dashed(mark) for mark in entries]
    advice = folding(difference.depth, "diff")
    return Drawing(title, _description(difference), width, bottom + height, marks, advice)


def _heading(difference: Difference, width: float) -> Iterator[Text]:
    """Yield the totals that differ as a table, and the changes that many layers share."""
    y = EDGE + LABEL + LINE + 4
    rows = totals(difference)
    if difference.equal:
        yield Text(EDGE, y, "Both are equal.", SMALL, "quiet", anchor="start")
    cells = [("", *(each.name for each in difference.totals), "difference"), *rows] if rows else []
    ends = EDGE
    for number, column in enumerate(zip(*cells, strict=True)):
        shown = [fitting(cell, SMALL, WIDEST / 2) for cell in column]
        wide = max(text_width(cell, SMALL) for cell in shown)
        ends += wide + (2 * MARGIN if number else 0.0)
        for row, cell in enumerate(shown):
            tone = "ink" if number == 3 and row else "quiet"
            if number:
                yield Text(ends, y + row * LINE, cell, SMALL, tone, anchor="end")
            elif cell:
                yield Text(EDGE, y + row * LINE, cell, SMALL, tone, anchor="start")
    y += len(cells) * LINE
    for change in common_changes(difference):
        for line in wrapped(f"~ {change}", SMALL, width):
            yield Text(EDGE, y + 3, line, SMALL, anchor="start")
            y += LINE


def _meanings(
    difference: Difference, names: Sequence[str], present: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the tones that boxes have, and what they mean."""
    meanings = {
        TONES["-"]: f"- only in {names[0]}",
        TONES["+"]: f"+ only in {names[1]}",
        TONES["~"]: "~ differs",
        "input": "equal" if not difference.shared else "equal, or with nothing but the above",
        FOLD: "equal layers, folded",
    }
    yield from ((tone, text) for tone, text in meanings.items() if tone in present)


def _dashed(mark: Mark) -> Mark:
    """Return a square of the legend with the outline that boxes of its tone have."""
    if isinstance(mark, Rect) and mark.tone in (TONES["-"], TONES["+"]):
        return mark._replace(dashed=True)
    return mark


def _description(difference: Difference) -> str:
    """Return the changes in a few sentences, for screen readers."""
    marks = [step.mark for step in difference.steps]
    before, after = (each.name for each in difference.totals)
    counts = (
        f"{thousands(marks.count('='))} rows are equal, {thousands(marks.count('~'))} differ, "
        f"{thousands(marks.count('-'))} are only in {before}, "
        f"{thousands(marks.count('+'))} only in {after}."
    )
    sums = (f"{name} {a} -> {b} ({change})." for name, a, b, change in totals(difference))
    return " ".join([counts, *sums])


class _Boxes:
    """The boxes of one of the two networks as marks."""

    def __init__(self, difference: Difference, side: Side) -> None:
        self._difference = difference
        self._side = side

    def size(self, box: Box) -> Size:
        """Return the size of a box; of one with boxes inside, that of its title."""
        if box.boxes:
            return Size(text_width(self._title(box), SMALL, bold=True) + 2 * MARGIN, LINE + 4)
        if box.is_merge:
            pill = box.row.kind not in faces.SIGNS and self._side.mark(box) in TONES
            return Size(faces.merge_width(box) + (2 * LABEL if pill else 0.0), MERGE)
        label, *lines = self._lines(box)
        margin = SIGN if self._side.mark(box) in TONES else MARGIN
        width = max(
            text_width(label, LABEL, bold=True) + 2 * margin,
            *(text_width(line, SMALL) + 2 * MARGIN for line in lines),
        )
        return Size(width, (1 + len(lines)) * LINE + 8)

    def group(self, placed: Placed) -> Group:
        """Return the marks of a box."""
        box = placed.box
        if box.boxes:
            marks = self._frame(placed)
        elif box.is_merge:
            marks = self._merge(placed)
        else:
            marks = self._box(placed)
        return Group(box.path, self._sentence(box), list(marks))

    def _frame(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        mark = self._side.mark(placed.box)
        alone = mark in ("-", "+")
        tone = TONES[mark] if alone else f"frame{placed.depth % FRAMES}"
        yield Rect(x, y, width, height, tone, CORNER, dashed=alone)
        title, bold = self._title(placed.box), mark != "="
        yield Text(
            placed.title + MARGIN,
            y + LINE,
            title,
            SMALL,
            "ink" if bold else "quiet",
            bold,
            anchor="start",
        )

    def _title(self, box: Box) -> str:
        mark = self._side.mark(box)
        name = fitting(faces.entitled(box), SMALL, WIDEST)
        return name if mark == "=" else f"{mark} {name}"

    def _box(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        mark = self._side.mark(placed.box)
        folded = placed.box in self._side.spans
        tone = FOLD if folded else TONES.get(mark, "input")
        yield Rect(x, y, width, height, tone, CORNER, dashed=mark in ("-", "+"))
        if mark in TONES:
            yield Text(x + 6, y + LINE + 2, mark, LABEL, bold=True, anchor="start")
        label, *lines = self._lines(placed.box)
        middle = x + width / 2
        yield Text(middle, y + LINE + 2, label, LABEL, bold=not folded)
        for number, line in enumerate(lines):
            yield Text(
                middle, y + (number + 2) * LINE + 2, line, SMALL, "quiet" if folded else "ink"
            )

    def _merge(self, placed: Placed) -> Iterator[Mark]:
        box, middle, y = placed.box, placed.middle, placed.y + MERGE / 2
        mark = self._side.mark(box)
        if mark not in TONES:
            yield from faces.merge(box, middle, y)
        elif box.row.kind in faces.SIGNS:
            yield from faces.merge(box, middle, y, TONES[mark])
            place = placed.x - 1, placed.y + 4
            yield Text(*place, mark, SMALL, bold=True, anchor="end")
        else:
            dashed = mark in ("-", "+")
            yield Rect(placed.x, placed.y, placed.width, MERGE, TONES[mark], MERGE / 2, dashed)
            yield Text(placed.x + 6, y + SMALL * MIDDLE, mark, SMALL, bold=True, anchor="start")
            yield Text(middle, y + SMALL * MIDDLE, box.row.kind, SMALL)

    def _lines(self, box: Box) -> list[str]:
        """Return the lines of a box: its label, its shape, and its values that differ."""
        shape = faces.shape(box)
        rows = self._side.rows(box)
        if box in self._side.spans:
            noun = "row" if self._difference.depth else "layer"
            lines = [*collapsed(rows, noun), self._side.spans[box], shape]
        else:
            lines = [faces.labelled(box), shape, *self._changed(rows[0])]
        return [fitting(line, SMALL, WIDEST) for line in lines]

    def _changed(self, row: RowPair) -> list[str]:
        """Return the values of a row that differ in the other network."""
        told, _ = told_changes(row, self._difference.shared)
        lines = list(map(self._value, told[:MOST_LINES]))
        if len(told) > MOST_LINES:
            lines.append(f"and {len(told) - MOST_LINES:,} more")
        return lines

    def _value(self, change: Change) -> str:
        """Return what a change is about, and its value in this network."""
        if change.what == "inputs":
            return "inputs differ"  # their paths are too long for a box
        value = change.before if self._side.first else change.after
        if change.what == "layer":
            same = change.layer.rpartition(SEPARATOR)[2] == value
            kind = "" if value is None or same else f" ({value})"
            return f"{'no' if value is None else 'with'} {change.layer}{kind}"
        return f"{changed_name(change)} {value_text(change.what, value)}"

    def _sentence(self, box: Box) -> str:
        """Return a box and its changes, for a screen reader and on hovering."""
        rows = self._side.rows(box)
        mark = self._side.mark(box)
        if box in self._side.spans:
            return f"{self._side.spans[box]}: {', '.join(self._lines(box)[:-2])}"
        row = box.row
        costs = f"output {row.shape}, {thousands(row.params)} params, {thousands(row.macs)} MACs"
        text = f"{box.path}: {faces.labelled(box)}, {costs}"
        if mark == "=":
            return text
        if mark == "~" and not box.boxes:
            told = changes(rows[0], self._difference.shared, signed=True)  # repeats have the same
            return f"~ {box.path}: {', '.join(told)}"
        if mark == "~":
            return f"~ {text}"
        number = 0 if mark == "-" else 1
        return f"{mark} {text}; only in {self._difference.totals[number].name}"

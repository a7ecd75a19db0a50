"""A network as a figure of its blocks: nested boxes, branches beside each other, shortcuts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from archspec.render.figure import faces
from archspec.render.figure.drawing import Drawing, Group, Mark, Path, Rect, Text
from archspec.render.figure.faces import BAR, EDGE, LABEL, LINE, MERGE, SMALL, SWATCH, TITLE, Faces
from archspec.render.figure.layout import Layout, Placed, Size, layout
from archspec.render.figure.metrics import text_width
from archspec.render.figure.outline import Box, folding, outline
from archspec.render.figure.strokes import strokes

if TYPE_CHECKING:
    from archspec.figure import Figure

MARGIN: Final = 8.0
"""Width between a box and its text."""

CORNER: Final = 6.0
"""Radius of the corners of boxes and lines."""

TALLEST: Final = 1_600.0
"""Height from which on a chain of boxes is broken into columns."""

FRAMES: Final = 4
"""Number of tones of frames; those of deeper ones begin again."""

GUTTER: Final = 36.0
"""Width between two networks beside each other."""


def drawing(figure: Figure, *, tallest: float = TALLEST) -> Drawing:
    """Return the figure of networks beside each other, their blocks as deep as the figure says.

    If it is one network, a chain of boxes that is taller than `tallest` is broken into columns.
    """
    alone = len(figure.reports) == 1
    networks = [
        _Network(replace(figure, reports=(report,)), tallest if alone else math.inf)
        for report in figure.reports
    ]
    faces.equalize([each.shapes.faces for each in networks])
    meanings = list(dict.fromkeys(entry for each in networks for entry in each.meanings()))
    legend_width = max((text_width(text, SMALL) for _, text in meanings), default=0.0)
    width = sum(each.width for each in networks) + GUTTER * (len(networks) - 1)
    width = max(width, 2 * EDGE + legend_width + 2 * SWATCH)
    marks: list[Mark] = []
    x = 0.0
    for number, each in enumerate(networks):
        last = number == len(networks) - 1
        marks += each.marks(x, width - x if last else each.width)
        x += each.width + GUTTER
    bottom = max(each.height for each in networks)
    entries, height = faces.legend(meanings, width, bottom)
    marks += entries
    description = "; ".join(faces.description(each.figure) for each in networks)
    advice = folding(figure.depth)
    return Drawing(figure.name, description, width, bottom + height, marks, advice)


class _Network:
    """One network of a figure, with its title."""

    def __init__(self, figure: Figure, tallest: float) -> None:
        self.figure = figure
        report = figure.report
        root = outline(report, figure.depth, ops=figure.ops, repeats=figure.repeats)
        self.shapes = Boxes(figure, root)
        self._placed = layout(root, self.shapes.size, tallest=tallest)
        self._subtitle = faces.subtitle(figure)
        self._top = EDGE + LABEL + 1.5 * LINE
        self.width = max(
            self._placed.width,
            2 * EDGE + text_width(report.name, TITLE, bold=True),
            2 * EDGE + text_width(self._subtitle, SMALL),
        )
        self.height = self._top + self._placed.height

    def meanings(self) -> Iterator[tuple[str, str]]:
        """Yield the tones that are drawn, and what they mean."""
        yield from self.shapes.faces.legend()
        if any(line.shortcut for line in self._placed.lines):
            yield "shortcut", "shortcut"

    def marks(self, x: float, width: float) -> Iterator[Mark]:
        """Yield the marks of the network, in the middle of a column that begins at x."""
        yield from faces.heading(self.figure.report.name, self._subtitle, x)
        shift = x + (width - self._placed.width) / 2
        yield from placed_marks(self._placed, self.shapes.group, shift, self._top)


def placed_marks(
    placed: Layout, group: Callable[[Placed], Group], shift: float, top: float
) -> Iterator[Mark]:
    """Yield a layout moved right and down: frames, lines on them, and boxes above both.

    `group` returns the marks of a box.
    """
    boxes = [each.moved(shift, top) for each in placed.boxes]
    yield from (group(each) for each in boxes if each.box.boxes)
    for stroke in strokes(placed.lines, CORNER):
        points = tuple((x + shift, y + top) for x, y in stroke.points)
        tone = "shortcut" if stroke.line.shortcut else "line"
        yield Path(points, tone, CORNER, arrow=stroke.arrives)
    yield from (group(each) for each in boxes if not each.box.boxes)


class Boxes:
    """The boxes as marks."""

    def __init__(self, figure: Figure, root: Box) -> None:
        self._figure = figure
        leaves = (box for box in root.walk() if box.item and not box.boxes)
        self.faces = Faces(figure, leaves, (box for box in root.walk() if box.item and box.boxes))

    def size(self, box: Box) -> Size:
        """Return the size of a box; of one with boxes inside, that of its title."""
        if box.boxes:
            title = self._title(box)
            width = max(text_width(line, SMALL) for line in title)
            return Size(width + 2 * MARGIN, len(title) * LINE + 4)
        if box.is_merge:
            return Size(faces.merge_width(box), MERGE)
        label = text_width(faces.labelled(box), LABEL, bold=True)
        lines = self._lines(box)
        width = max(label, *(text_width(line, SMALL) for line in lines)) + 2 * MARGIN
        bar = BAR + 4 if self.faces.has_bar(box) else 0.0
        return Size(width, (1 + len(lines)) * LINE + 8 + bar)

    def group(self, placed: Placed) -> Group:
        """Return the marks of a box."""
        box = placed.box
        if box.boxes:
            marks = self._frame(placed)
        elif box.is_merge:
            marks = faces.merge(box, placed.middle, placed.y + MERGE / 2)
        else:
            marks = self._box(placed)
        return Group(box.path, self.faces.sentence(box), list(marks))

    def _frame(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        yield Rect(x, y, width, height, f"frame{placed.depth % FRAMES}", CORNER)
        for number, line in enumerate(self._title(placed.box), 1):
            at = placed.title + MARGIN
            yield Text(at, y + number * LINE, line, SMALL, "quiet", anchor="start")

    def _box(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        box, middle = placed.box, placed.x + placed.width / 2
        yield Rect(x, y, width, height, self.faces.tone(box), CORNER)
        yield Text(middle, y + LINE + 2, faces.labelled(box), LABEL, bold=True)
        for number, line in enumerate(self._lines(box)):
            yield Text(middle, y + (number + 2) * LINE + 2, line, SMALL)
        yield from self.faces.bar(box, x + MARGIN, y + height - BAR - 4, width - 2 * MARGIN)

    def _title(self, box: Box) -> list[str]:
        """Return the title of a block's frame, and what else is asked for."""
        return [faces.entitled(box), *self.faces.shown(box)]

    def _lines(self, box: Box) -> list[str]:
        """Return what stands below the label: a block's name, the output's shape, and figures."""
        inputs = self._figure.report.graph.inputs
        is_named = box.is_block or (len(inputs) > 1 and box.start in inputs.values())
        name = [box.name] if is_named else []
        return [*name, faces.shape(box), *self.faces.shown(box)]

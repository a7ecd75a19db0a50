"""A network as a figure of its blocks: nested boxes, branches beside each other, shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from archspec.figure import MEASURES
from archspec.graph.graph import Node, Scope
from archspec.render import report as table
from archspec.render.amounts import PrintedExtents
from archspec.render.figure.drawing import (
    RAMP,
    Circle,
    Drawing,
    Group,
    Mark,
    Path,
    Rect,
    Text,
)
from archspec.render.figure.layout import PADDING, Line, Placed, Size, layout
from archspec.render.figure.metrics import text_width
from archspec.render.figure.outline import Box, outline
from archspec.render.summary import facts

if TYPE_CHECKING:
    from archspec.figure import Figure

LABEL: Final = 11.0
"""Size of the font of labels."""

SMALL: Final = 9.5
"""Size of the font of all below labels."""

LINE: Final = 13.0
"""Height of a line of text."""

MARGIN: Final = 8.0
"""Width between a box and its text."""

MERGE: Final = 18.0
"""Diameter of a merge's circle."""

BAR: Final = 4.0
"""Height of a bar."""

CORNER: Final = 6.0
"""Radius of the corners of boxes and lines."""

FRAMES: Final = 4
"""Number of tones of frames; those of deeper ones begin again."""

SWATCH: Final = 10.0
"""Side of a square in the legend."""

SIGNS: Final = {"add": "+", "multiply": "\u00d7", "concat": ""}
"""Signs in the circles of merges. Others have the beginning of their kind."""

FAMILIES: Final = {
    "convolution": "convolution",
    "pooling": "pooling",
    "fully_connected": "fully connected",
    "normalization": "normalization",
    "activation": "activation",
    "merge": "merge",
    "block": "block",
    "other": "other",
}
"""The tones of boxes in the legend's order, and what they mean."""


def drawing(figure: Figure) -> Drawing:
    """Return the figure of a network, its blocks opened as deep as the figure says."""
    report = figure.report
    root = outline(report, figure.depth, ops=figure.ops, repeats=figure.repeats)
    faces = _Faces(figure, root)
    placed = layout(report.graph, root, faces.size)
    title, subtitle = report.name, _subtitle(figure)
    meanings = list(faces.legend())
    top = PADDING + LABEL + 1.5 * LINE
    width = max(
        placed.width,
        *(
            2 * PADDING + text_width(text, size, bold=bold)
            for text, size, bold in ((title, LABEL + 2, True), (subtitle, SMALL, False))
        ),
        2 * PADDING
        + max((text_width(text, SMALL) for _, text in meanings), default=0.0)
        + 2 * SWATCH,
    )
    shift = (width - placed.width) / 2
    marks: list[Mark] = [
        Text(PADDING, PADDING + LABEL, title, LABEL + 2, bold=True, anchor="start"),
        Text(PADDING, PADDING + LABEL + LINE, subtitle, SMALL, "quiet", anchor="start"),
    ]
    boxes = [
        each._replace(x=each.x + shift, y=each.y + top, axis=each.axis + shift)
        for each in placed.boxes
    ]
    marks += [faces.group(each) for each in boxes if each.box.boxes]
    marks += [connection(each, shift, top) for each in placed.lines]
    marks += [faces.group(each) for each in boxes if not each.box.boxes]
    bottom = top + placed.height
    entries, height = legend(meanings, width, bottom)
    marks += entries
    description = "; ".join(f"{fact.name} {fact.figure}" for fact in facts(report) if fact.figure)
    return Drawing(title, description, width, bottom + height, marks)


def _subtitle(figure: Figure) -> str:
    """Return the line below the title: the input, and all parameters and MACs."""
    report = figure.report
    columns = {column.name: column for column in table.COLUMNS}
    params, macs = report.totals.params, report.totals.macs
    return (
        f"input {report.graph.input}, {columns['params'].text(params)} parameters, "
        f"{columns['macs'].text(macs)} MACs"
    )


def connection(line: Line, shift: float, top: float) -> Path:
    """Return the mark of a line, moved right and down."""
    return Path(
        tuple((x + shift, y + top) for x, y in line.points),
        "shortcut" if line.shortcut else "line",
        CORNER,
        arrow=line.arrives,
    )


def legend(
    entries: Sequence[tuple[str, str]], width: float, top: float
) -> tuple[list[Mark], float]:
    """Return squares of tones with their meanings, in as many rows as they need, and the height."""
    marks: list[Mark] = []
    x, y = PADDING, top
    for tone, text in entries:
        wide = SWATCH + 5 + text_width(text, SMALL) + 12
        if x > PADDING and x + wide > width - PADDING:
            x, y = PADDING, y + LINE + 2
        marks.append(Rect(x, y, SWATCH, SWATCH, tone, 2))
        marks.append(Text(x + SWATCH + 5, y + SWATCH - 1.5, text, SMALL, "quiet", anchor="start"))
        x += wide
    return marks, (y - top + LINE + PADDING) if entries else 0.0


class _Faces:
    """The looks of each box: its text, tone and size."""

    def __init__(self, figure: Figure, root: Box) -> None:
        self._figure = figure
        self._columns = {column.name: column for column in table.COLUMNS}
        leaves = [box for box in root.walk() if box.item and not box.boxes]
        self._leaves = leaves
        self._most = {
            name: max((self._amount(name, box) for box in leaves), default=0)
            for name in (figure.bar, figure.color)
            if name in MEASURES
        }

    def size(self, box: Box) -> Size:
        """Return the size of a box; of one with boxes inside, that of its title."""
        if box.boxes:
            return Size(text_width(_title(box), SMALL) + 2 * MARGIN, LINE + 6)
        if box.is_merge:
            return Size(MERGE, MERGE)
        label = text_width(_label(box), LABEL, bold=True)
        lines = self._lines(box)
        width = max(label, *(text_width(line, SMALL) for line in lines)) + 2 * MARGIN
        bar = BAR + 4 if self._figure.bar else 0.0
        return Size(width, (1 + len(lines)) * LINE + 8 + bar)

    def group(self, placed: Placed) -> Group:
        """Return the marks of a box."""
        box = placed.box
        if box.boxes:
            marks = self._frame(placed)
        elif box.is_merge:
            marks = merge(placed)
        else:
            marks = self._box(placed)
        return Group(box.path, self._sentence(box), list(marks))

    def legend(self) -> Iterator[tuple[str, str]]:
        """Yield the tones that are drawn, and what they mean."""
        if self._figure.color == "kind":
            present = {self._tone(box) for box in self._leaves if not box.is_merge}
            yield from ((tone, text) for tone, text in FAMILIES.items() if tone in present)
        else:
            column = self._columns[self._figure.color]
            most = self._most[column.name]
            yield "ramp0", f"{column.title}: none"
            yield f"ramp{RAMP - 1}", column.text(most)
        if self._figure.bar:
            column = self._columns[self._figure.bar]
            yield "bar", f"bar: {column.title}, up to {column.text(self._most[column.name])}"

    def _frame(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        yield Rect(x, y, width, height, f"frame{placed.depth % FRAMES}", CORNER)
        yield Text(x + MARGIN, y + LINE, _title(placed.box), SMALL, "quiet", anchor="start")

    def _box(self, placed: Placed) -> Iterator[Mark]:
        x, y, width, height = placed.x, placed.y, placed.width, placed.height
        box, middle = placed.box, placed.x + placed.width / 2
        yield Rect(x, y, width, height, self._tone(box), CORNER)
        yield Text(middle, y + LINE + 2, _label(box), LABEL, bold=True)
        for number, line in enumerate(self._lines(box)):
            yield Text(middle, y + (number + 2) * LINE + 2, line, SMALL)
        name = self._figure.bar
        if name:
            share = self._amount(name, box) / (self._most[name] or 1)
            room, below = width - 2 * MARGIN, y + height - BAR - 4
            yield Rect(x + MARGIN, below, room, BAR, "track")
            yield Rect(x + MARGIN, below, room * share, BAR, "bar")

    def _lines(self, box: Box) -> list[str]:
        """Return what stands below the label: the output's shape, and what else is asked for."""
        lines = [str(box.row.shape)]
        for name in self._figure.show:
            column = self._columns[name]
            value = table.value(name, box.row, self._figure.report)
            lines.append(f"{column.text(value)} {column.title}" if value else "")
        return lines

    def _tone(self, box: Box) -> str:
        if self._figure.color == "kind":
            return _family(box, self._figure.report.graph.nodes)
        most = self._most[self._figure.color]
        share = self._amount(self._figure.color, box) / (most or 1)
        return f"ramp{round(share * (RAMP - 1))}"

    def _amount(self, name: str, box: Box) -> float:
        value = table.value(name, box.row, self._figure.report)
        if isinstance(value, PrintedExtents):
            return float(max(value, default=0))
        return float(value) if isinstance(value, int) else 0.0

    def _sentence(self, box: Box) -> str:
        """Return what a box is and costs, for a screen reader and on hovering."""
        texts = [f"{box.path}: {box.row.label}", f"output {box.row.shape}"]
        for name in ("params", "macs", "memory"):
            value = table.value(name, box.row, self._figure.report)
            texts.append(f"{self._columns[name].text(value)} {self._columns[name].title}")
        return ", ".join(texts)


def merge(placed: Placed, tone: str = "merge") -> Iterator[Mark]:
    """Yield the circle of a merge with its sign."""
    kind = placed.box.row.kind
    y = placed.y + MERGE / 2
    yield Circle(placed.axis, y, MERGE / 2, tone)
    sign = SIGNS.get(kind, kind[:4])
    if kind == "concat":
        for across in (-2.0, 2.0):
            yield Path(((placed.axis + across, y - 5), (placed.axis + across, y + 5)), "line")
    elif sign:
        size = LABEL + 2 if len(sign) == 1 else 6.0
        yield Text(placed.axis, y + size * 0.36, sign, size, bold=len(sign) == 1)


def _family(box: Box, nodes: tuple[Node, ...]) -> str:
    """Return the tone of a box: what its layer does, or `block`."""
    if isinstance(box.item, Scope) and not box.item.row:
        return "block"
    if box.start == 0:
        return "input"
    inside = nodes[box.start : box.stop]
    main = next((node for node in inside if node.layer.kernels), inside[0])
    family = main.op.family
    return family if family in FAMILIES else "other"


def _label(box: Box) -> str:
    return _times(box.row.label, box)


def _title(box: Box) -> str:
    return _times(box.name, box)


def _times(text: str, box: Box) -> str:
    return f"{text} \u00d7 {box.times}" if box.times > 1 else text

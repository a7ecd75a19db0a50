"""A network as a figure of its feature maps: solids to scale, as LeNet-5 and AlexNet are drawn.

Each map has its name above it, and in the gap before it, below, the layers that make it. The window
of a convolution or pool is drawn on the map that it slides over, and tapers to a value of the next.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

from archspec.cost.report import Report
from archspec.ops.windows import Windowed
from archspec.render.figure import faces
from archspec.render.figure.bands import Bands, Extents, Place, Route, bands
from archspec.render.figure.drawing import Drawing, Group, Mark, Path, Point, Text
from archspec.render.figure.faces import BAR, EDGE, LABEL, LINE, MERGE, SMALL, SWATCH, TITLE, Faces
from archspec.render.figure.grid import Grid
from archspec.render.figure.metrics import fitting, text_width
from archspec.render.figure.outline import Box, folding
from archspec.render.figure.solids import (
    NUMBER,
    has_planes,
    moved,
    scale_of,
    solid,
    taper,
)
from archspec.render.figure.stations import Repeated, Station, stations

if TYPE_CHECKING:
    from archspec.figure import Figure

WIDEST_BAND: Final = 1_900.0
"""Width beyond which the maps go on in another band."""

LONGEST_NAME: Final = 130.0
"""Width beyond which a text is shortened."""

TOWER_GAP: Final = 24.0
"""Height between two towers."""

BRACKET: Final = 20.0
"""Height of a bracket with its text."""

CORNER: Final = 5.0
"""Radius of the corners of lines."""

NARROWEST: Final = 340.0
"""Narrowest page."""


def drawing(figure: Figure) -> Drawing:
    """Return the figure of a network's maps, blocks folded unless its depth opens them."""
    report = figure.report
    maps, repeated = stations(report, figure.depth, ops=figure.ops, repeats=figure.repeats)
    shapes = _Shapes(figure, maps)
    levels, count = _levels(repeated)
    extents = [shapes.extents(number) for number in range(len(maps))]
    vectors = {number for number, each in enumerate(maps) if prod(each.shape.spatial) == 1}
    grid = Grid([each.sources for each in maps], vectors)
    placed = bands(extents, grid, WIDEST_BAND, count * BRACKET)
    subtitle = faces.subtitle(figure)
    heads = (
        text_width(report.name, TITLE, bold=True),
        text_width(subtitle, SMALL),
        *(SWATCH + 5 + text_width(text, SMALL) for _, text in shapes.faces.legend()),
    )
    width = max(placed.width, NARROWEST, *heads) + 2 * EDGE
    left, top = (width - placed.width) / 2, EDGE + LABEL + 2.5 * LINE
    marks = faces.heading(report.name, subtitle)
    marks += _Marks(shapes, placed, left, top).all()
    marks += _brackets(repeated, levels, placed, extents, left, top)
    bottom = top + placed.height + LINE
    for line in _caption(maps, shapes, width - 2 * EDGE):
        marks.append(Text(EDGE, bottom + SMALL, line, SMALL, "quiet", anchor="start"))
        bottom += LINE
    entries, height = faces.legend(list(shapes.faces.legend()), width, bottom + 6)
    marks += entries
    about, advice = faces.description(figure), folding(figure.depth, style="maps")
    return Drawing(report.name, about, width, bottom + 6 + height, marks, advice)


class _Shapes:
    """Solids and texts of the maps."""

    def __init__(self, figure: Figure, maps: Sequence[Station]) -> None:
        self.report: Report = figure.report
        self.maps = maps
        self.faces = Faces(figure, (each.box for each in maps))
        drawn = [each for each in maps if not each.circle]
        self.planes = has_planes(each.shape for each in drawn)
        self.scale = scale_of((each.shape, each.towers) for each in drawn)
        self.solids = [
            None
            if each.circle
            else solid(
                each.shape,
                self.scale,
                planes=self.planes,
                towers=each.towers,
                inside=any(_crosses(maps[source], each) for source in each.sources),
            )
            for each in maps
        ]

    def extents(self, number: int) -> Extents:
        """Return the extents of a map with its texts."""
        shape, each = self.solids[number], self.maps[number]
        above, below = self.above(number), [text for _, text in self.below(number)]
        texts = [text_width(text, SMALL, bold=bold) for text, bold in above]
        bar = LONGEST_NAME / 2 if self.faces.has_bar(each.box) and not each.circle else 0.0
        height = len(above) * LINE + (BAR + 4 if bar else 0.0)
        text = max([*texts, bar], default=0.0)
        operation = max([text_width(text, SMALL) for text in below], default=0.0)
        down = len(below) * LINE + (4 if below else 0.0)
        if shape is None:
            half, tall = faces.merge_width(each.box) / 2, MERGE / 2
            return Extents(half, half, tall, tall, height, down, text, operation)
        middle, tall = shape.width / 2, self.height(number) / 2
        left, right = shape.left + middle, shape.right + middle
        low = max(tall + NUMBER + 4, 20.0) if shape.has_numbers else tall
        high = max(tall + NUMBER, 2 * NUMBER) if shape.has_numbers else tall + NUMBER
        return Extents(left, right, high, low, height, down, text, operation)

    def height(self, number: int) -> float:
        """Return the height of a map, all its towers together."""
        shape, towers = self.solids[number], self.maps[number].towers
        return MERGE if shape is None else towers * (shape.height + TOWER_GAP) - TOWER_GAP

    def above(self, number: int) -> list[tuple[str, bool]]:
        """Return the lines above a map, and whether they are bold: its name, what else is shown."""
        each = self.maps[number]
        if each.circle:
            return []
        name = each.box.path
        if text_width(name, SMALL, bold=True) > LONGEST_NAME:
            name = fitting(each.box.name, SMALL, LONGEST_NAME, bold=True)
        lines = [(name, True)]
        if self.planes and each.shape.rank:
            *extents, channels = each.shape
            lines.append((f"{channels}@{'x'.join(map(str, extents))}", False))
        elif not each.shape.rank:
            lines.append((str(each.shape.channels), False))
        return lines + [(text, False) for text in self.faces.shown(each.box)]

    def below(self, number: int) -> list[tuple[int, str]]:
        """Return the lines below a map: the number of each of its layers, and the layer's label."""
        each = self.maps[number]
        boxes = self.boxes(number)
        own = len(each.before)
        return [
            (place, fitting(faces.labelled(box), SMALL, LONGEST_NAME))
            for place, box in enumerate(boxes)
            if place != own or not (each.circle or box.start in self.report.graph.inputs.values())
        ]

    def boxes(self, number: int) -> list[Box]:
        """Return a map's layers in order, its own and those that are only named."""
        each = self.maps[number]
        return [*each.before, each.box, *each.after]


class _Marks:
    """The marks of maps and lines."""

    def __init__(self, shapes: _Shapes, placed: Bands, left: float, top: float) -> None:
        self._shapes = shapes
        self._left = left
        self._top = top
        self._places = [
            each._replace(
                x=each.x + left,
                gap=each.gap + left,
                axis=each.axis + top,
                top=each.top + top,
                bottom=each.bottom + top,
            )
            for each in placed.places
        ]
        self._routes: list[list[Route]] = [[] for _ in shapes.maps]
        for route in placed.routes:
            self._routes[route.target].append(route)

    def all(self) -> Iterator[Mark]:
        """Yield a group for each map and each layer that is only named."""
        for number, each in enumerate(self._shapes.maps):
            own = list(self._map(number))
            for route in self._routes[number]:
                own += self._lines(route)
            boxes = self._shapes.boxes(number)
            groups = [Group(box.path, self._shapes.faces.sentence(box)) for box in boxes]
            main = groups[len(each.before)]
            main.marks += own
            place = self._places[number]
            for line, (layer, text) in enumerate(self._shapes.below(number)):
                y = place.bottom + 4 + line * LINE + SMALL
                groups[layer].marks.append(Text(place.gap, y, text, SMALL, "quiet"))
            yield from groups

    def _map(self, number: int) -> Iterator[Mark]:
        shapes, place = self._shapes, self._places[number]
        box, shape = shapes.maps[number].box, shapes.solids[number]
        if shape is None:
            yield from faces.merge(box, place.x, place.axis)
            return
        tone = shapes.faces.tone(box)
        for x, y in self._corners(number):
            yield from shape.marks(x, y, tone)
        y = place.top
        for text, bold in shapes.above(number):
            yield Text(place.x, y + SMALL, text, SMALL, bold=bold)
            y += LINE
        width = LONGEST_NAME / 2
        yield from shapes.faces.bar(box, place.x - width / 2, y + 2, width)

    def _corners(self, number: int) -> list[Point]:
        """Return the upper left corner of each tower of a map."""
        shape, place = self._shapes.solids[number], self._places[number]
        if shape is None:
            width = faces.merge_width(self._box(number))
            return [(place.x - width / 2, place.axis - MERGE / 2)]
        top = place.axis - self._shapes.height(number) / 2
        step = shape.height + TOWER_GAP
        towers = range(self._shapes.maps[number].towers)
        return [(place.x - shape.width / 2, top + tower * step) for tower in towers]

    def _lines(self, route: Route) -> Iterator[Mark]:
        """Yield the lines of a connection: a window and its taper, a fan, or an arrow."""
        target = self._shapes.maps[route.target]
        wraps = self._places[route.source].band != self._places[route.target].band
        corners = self._window(route) if route.adjacent and (wraps or not route.points) else ()
        if route.points or not route.adjacent:
            yield from self._arrow(route, corners)
            return
        starts, ends = self._corners(route.source), self._corners(route.target)
        apart = _apart(self._shapes.maps[route.source], target)
        for place, start in enumerate(starts):
            for end in [ends[place]] if apart else ends:
                yield from self._link(route, start, end, corners)

    def _link(
        self, route: Route, start: Point, end: Point, corners: Sequence[Point]
    ) -> Iterator[Mark]:
        """Yield the lines from a tower to a tower of the next map."""
        shape, following = self._shapes.solids[route.source], self._shapes.solids[route.target]
        target = self._shapes.maps[route.target]
        # On a sequence each position is connected by itself.
        connected = not target.box.is_block and target.box.main.op.family == "fully_connected"
        connected = connected and target.box.row.shape.rank == 0
        if corners:
            yield from taper(moved(corners, *start), self._end(route.target, end))
        elif connected and shape and following:
            for a, b in zip(shape.far_edge, following.near_edge, strict=True):
                points = (*moved([a], *start), *moved([b], *end))
                yield Path(points, "line", width=0.6)
        else:
            points = (self._start(route.source, start), self._end(route.target, end))
            yield Path(points, "line", arrow=True)

    def _arrow(self, route: Route, corners: Sequence[Point]) -> Iterator[Mark]:
        """Yield a line with turns; a window tapers to its beginning."""
        place, end = self._places[route.source], self._places[route.target]
        towers = self._corners(route.source)
        start = self._start(route.source, towers[0])[0], place.axis
        last = self._end(route.target, self._corners(route.target)[0])[0], end.axis
        turns = moved(route.points, self._left, self._top)
        if corners and not route.branches:
            start = turns[0][0] - CORNER, place.axis
            for corner in towers:
                yield from taper(moved(corners, *corner), start)
        tone = "shortcut" if route.shortcut else "line"
        points = (*turns, last) if route.branches else (start, *turns, last)
        yield Path(points, tone, CORNER, arrow=True)

    def _start(self, number: int, corner: Point) -> Point:
        """Return where lines from a tower start, whose upper left corner is given."""
        shape = self._shapes.solids[number]
        at = shape.exit if shape else (faces.merge_width(self._box(number)), MERGE / 2)
        return corner[0] + at[0], corner[1] + at[1]

    def _end(self, number: int, corner: Point) -> Point:
        """Return where lines to a tower end, whose upper left corner is given."""
        shape = self._shapes.solids[number]
        at = shape.entry if shape else (0.0, MERGE / 2)
        return corner[0] + at[0], corner[1] + at[1]

    def _box(self, number: int) -> Box:
        return self._shapes.maps[number].box

    def _window(self, route: Route) -> tuple[Point, ...]:
        """Return the corners, on a map, of the window of the convolution or pool that reads it.

        They are relative to the map's upper left corner; none if no window slides over it.
        """
        shape = self._shapes.solids[route.source]
        source, target = self._shapes.maps[route.source], self._shapes.maps[route.target]
        moves = any(box.row.shape != source.shape for box in target.before)
        if target.box.is_block or shape is None or moves or not source.shape.rank:
            return ()
        main = target.box.main
        op, reach = main.op, main.layer.reach
        if op.family == "pooling" and reach is None:
            return shape.window(1.0, 1.0)
        if not isinstance(op, Windowed) or reach is None:
            return ()
        *_, down, away = (1, *reach.window) if source.shape.rank == 1 else reach.window
        *_, high, deep = (1, *source.shape.spatial)
        if source.shape.rank == 1:
            high, deep, down, away = deep, 1, away, 1
        side = self._shapes.scale.side
        return shape.window(min(side(down) / side(high), 1.0), min(side(away) / side(deep), 1.0))


def _apart(source: Station, target: Station) -> bool:
    """Return whether each tower of a map is made from one tower of its source alone."""
    alone = target.pools or target.groups > 1
    return source.towers == target.towers > 1 and alone


def _crosses(source: Station, target: Station) -> bool:
    """Return whether lines from every tower of a map lead to every tower of the next."""
    return source.towers > 1 and target.towers > 1 and not _apart(source, target)


def _levels(repeated: Sequence[Repeated]) -> tuple[list[int], int]:
    """Return the level of each bracket, those inside nearer to the maps, and their number."""
    levels = [0] * len(repeated)
    for number in range(len(repeated) - 1, -1, -1):
        each = repeated[number]
        below = [
            levels[other] + 1
            for other in range(number + 1, len(repeated))
            if repeated[other].first <= each.last
        ]
        levels[number] = max(below, default=0)
    return levels, max(levels, default=-1) + 1


def _brackets(
    repeated: Sequence[Repeated],
    levels: Sequence[int],
    placed: Bands,
    extents: Sequence[Extents],
    left: float,
    top: float,
) -> Iterator[Mark]:
    """Yield a bracket below the maps of each block that stands for several, with how many."""
    for each, level in zip(repeated, levels, strict=True):
        places: dict[int, list[tuple[Place, Extents]]] = {}
        for number in range(each.first, each.last + 1):
            place = placed.places[number]
            places.setdefault(place.band, []).append((place, extents[number]))
        for band, inside in places.items():
            start = left + min(place.x - extent.left for place, extent in inside)
            end = left + max(place.x + extent.right for place, extent in inside)
            y = top + placed.spans[band][1] + level * BRACKET + 2
            yield Path(((start, y), (start, y + 4), (end, y + 4), (end, y)), "line", 2.0)
            text = f"\u00d7 {each.times}"
            yield Text((start + end) / 2, y + 4 + SMALL + 1, text, SMALL, "quiet")


def _caption(maps: Sequence[Station], shapes: _Shapes, width: float) -> list[str]:
    """Return the sentences below the maps, in lines: what is drawn, and on which scale."""
    ranks = {each.shape.rank for each in maps if not each.circle}
    texts = []
    if shapes.planes:
        texts.append("Each plane is a channel.")
    elif ranks & {2, 3}:
        texts.append("Height and depth are the spatial extents, width is the channels.")
    if 1 in ranks:
        texts.append("A rectangle is a sequence: its height is the length, its width the channels.")
    if any(rank > 2 for rank in ranks):
        texts.append("Axes before the last two count with the channels.")
    if 0 in ranks:
        texts.append("A bar is a vector.")
    if any(each.towers > 1 for each in maps):
        texts.append("Groups of channels that do not see each other stand above each other.")
    texts.append(
        "Lengths go by the square root: an extent four times as large is drawn twice as long."
    )
    letters = max(int(width / text_width("e", SMALL)), 20)
    return textwrap.wrap(" ".join(texts), letters)

"""What must be true of every figure of feature maps, checked on its marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from archspec.cost.report import Report
from archspec.render.figure.drawing import (
    Circle,
    Drawing,
    Group,
    Path,
    Point,
    Polygon,
    Rect,
    Text,
)
from archspec.render.figure.metrics import text_width

NEAR = 0.3
"""Overlap in points that is none."""


class Area(NamedTuple):
    """A convex area, and the group that it is in."""

    group: int
    points: tuple[Point, ...]
    what: str


def check_nodes(report: Report, drawing: Drawing) -> None:
    """Every layer of the network is in one group: it is a map, in a block's map, or named."""
    ranges = {node.name: (node.index, node.index + 1) for node in report.graph.nodes}
    ranges |= {scope.name: (scope.start, scope.stop) for scope in report.graph.scopes}
    paths = [mark.path for mark in drawing.marks if isinstance(mark, Group)]
    assert len(paths) == len(set(paths))
    layers = [node for path in paths for node in range(*ranges[path])]
    assert sorted(layers) == list(range(len(report.graph.nodes)))


def check_places(drawing: Drawing) -> None:
    """Maps and texts are on the page and apart, and lines run beside both."""
    texts, solids, paths = [], [], []
    groups: list[Sequence[object]] = [
        mark.marks if isinstance(mark, Group) else [mark] for mark in drawing.marks
    ]
    for number, marks in enumerate(groups):
        for mark in marks:
            if isinstance(mark, Text):
                if mark.text.strip():
                    texts.append(Area(number, _corners(*text_box(mark)), mark.text))
            elif isinstance(mark, Path):
                paths.append((number, mark))
            elif mark not in _pictograms(marks):
                solids.append(Area(number, _outline(mark), type(mark).__name__))
    for area in (*texts, *solids):
        for x, y in area.points:
            assert -NEAR <= x <= drawing.width + NEAR, area
            assert -NEAR <= y <= drawing.height + NEAR, area
    for one, other in _close(texts, texts):
        assert not overlap(one.points, other.points), (one.what, other.what)
    for text, solid in _close(texts, solids):
        inside = text.group == solid.group and (solid.what == "Rect" or _is_sign(solid))
        assert inside or not overlap(text.points, solid.points), (text.what, solid)
    for one, other in _close(solids, solids):
        assert one.group == other.group or not overlap(one.points, other.points), (one, other)
    for group, path in paths:
        for start, end in pairwise(path.points):
            line = Area(group, (start, end), "line")
            assert all(
                0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in (start, end)
            )
            for _, solid in _close([line], solids):
                own = {group} | {each.group for each in solids if _contains(each, path.points[0])}
                assert solid.group in own or not overlap(line.points, solid.points), (path, solid)


def crossed_texts(drawing: Drawing) -> list[tuple[str, Path]]:
    """Return the texts through which a line runs."""
    texts = [
        Area(0, _corners(*text_box(mark)), mark.text)
        for mark in drawing.walk()
        if isinstance(mark, Text) and mark.text.strip()
    ]
    lines = [
        (Area(0, ends, "line"), mark)
        for mark in drawing.walk()
        if isinstance(mark, Path)
        for ends in pairwise(mark.points)
    ]
    return [
        (text.what, mark)
        for line, mark in lines
        for _, text in _close([line], texts)
        if overlap(line.points, text.points) and text.what not in ("+", "\u00d7")
    ]


def text_box(text: Text) -> tuple[float, float, float, float]:
    """Return the left, upper, right and lower edge of a line of text."""
    width = text_width(text.text, text.size, bold=text.bold)
    left = text.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    return left, text.y - 0.73 * text.size, left + width, text.y + 0.2 * text.size


def overlap(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Return whether two convex areas overlap: no line, along a side of one, separates them."""
    for points in (one, other):
        for (x1, y1), (x2, y2) in pairwise([*points, points[0]]):
            length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            if not length:
                continue
            across = (y1 - y2) / length, (x2 - x1) / length
            low, high = _shadow(one, across)
            other_low, other_high = _shadow(other, across)
            if high <= other_low + NEAR or other_high <= low + NEAR:
                return False
    return True


def _shadow(points: Sequence[Point], across: Point) -> tuple[float, float]:
    places = [x * across[0] + y * across[1] for x, y in points]
    return min(places), max(places)


def _close(some: Sequence[Area], others: Sequence[Area]) -> Iterator[tuple[Area, Area]]:
    """Yield pairs of areas whose upright rectangles meet, each once."""
    if some is others:
        pairs: Iterator[tuple[Area, Area]] = combinations(some, 2)
    else:
        pairs = ((one, other) for one in some for other in others)
    boxes = {id(each): _box(each.points) for each in (*some, *others)}
    for one, other in pairs:
        a, b = boxes[id(one)], boxes[id(other)]
        if a[0] < b[2] and b[0] < a[2] and a[1] <= b[3] and b[1] <= a[3]:
            yield one, other


def _box(points: Sequence[Point]) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _contains(area: Area, point: Point) -> bool:
    left, top, right, bottom = _box(area.points)
    return left - 1 <= point[0] <= right + 1 and top - 1 <= point[1] <= bottom + 1


def _is_sign(area: Area) -> bool:
    """Return whether an area is the circle of a merge, with its sign in it."""
    return area.what == "Circle"


def _pictograms(marks: Sequence[object]) -> list[object]:
    """Return the marks that are no maps: bars of amounts."""
    return [each for each in marks if isinstance(each, Rect) and each.tone in ("bar", "track")]


def _outline(mark: object) -> tuple[Point, ...]:
    if isinstance(mark, Polygon):
        return mark.points
    if isinstance(mark, Circle):
        x, y, radius, _ = mark
        return _corners(x - radius, y - radius, x + radius, y + radius)
    assert isinstance(mark, Rect)
    return _corners(mark.x, mark.y, mark.x + mark.width, mark.y + mark.height)


def _corners(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))

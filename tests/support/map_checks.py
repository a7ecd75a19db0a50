"""What must be true of every figure of feature maps, checked on its marks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

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


class Area:
    """A convex area, and the group that it is in."""

    def __init__(self, group: int, points: tuple[Point, ...], what: str) -> None:
        self.group, self.points, self.what = group, points, what

    def __repr__(self) -> str:
        return f"{self.what} of group {self.group} at {self.points}"

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """The left, upper, right and lower edge of the upright rectangle around the area."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


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
    lines = {
        Area(group, ends, "line"): path for group, path in paths for ends in pairwise(path.points)
    }
    for line in lines:
        for x, y in line.points:
            assert 0 <= x <= drawing.width, line
            assert 0 <= y <= drawing.height, line
    for line, solid in _close(list(lines), solids):
        own = solid.group == line.group or any(
            other.group == solid.group and _contains(other, lines[line].points[0])
            for other in solids
        )
        assert own or not overlap(line.points, solid.points), (line, solid)


def crossed_texts(drawing: Drawing) -> list[tuple[str, Path]]:
    """Return the texts through which a line runs."""
    texts = [
        Area(0, _corners(*text_box(mark)), mark.text)
        for mark in drawing.walk()
        if isinstance(mark, Text) and mark.text.strip()
    ]
    lines = {
        Area(0, ends, "line"): mark
        for mark in drawing.walk()
        if isinstance(mark, Path)
        for ends in pairwise(mark.points)
    }
    return [
        (text.what, lines[line])
        for line, text in _close(list(lines), texts)
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
    ordered = sorted(others, key=lambda area: area.box[0])
    lefts = [area.box[0] for area in ordered]
    widest = max((area.box[2] - area.box[0] for area in ordered), default=0.0)
    place = {id(area): number for number, area in enumerate(ordered)}
    for one in some:
        left, top, right, bottom = one.box
        first = place[id(one)] + 1 if some is others else bisect_left(lefts, left - widest)
        for other in ordered[first : bisect_left(lefts, right)]:
            its = other.box
            if left < its[2] and top <= its[3] and its[1] <= bottom:
                yield one, other


def _contains(area: Area, point: Point) -> bool:
    left, top, right, bottom = area.box
    return left - 1 <= point[0] <= right + 1 and top - 1 <= point[1] <= bottom + 1


def _is_sign(area: Area) -> bool:
    """Return whether an area is the circle of a merge, with its sign in it."""
    return area.what == "Circle"


def _pictograms(marks: Sequence[object]) -> list[object]:
    """Return the marks that are not maps: bars of amounts."""
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

"""What must be true of every figure of a network's blocks, checked on its layout and its marks."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TypeAlias

from archspec.figure import Figure
from archspec.render.figure.drawing import Drawing, Group, Rect, Text
from archspec.render.figure.layout import Layout, Line, Placed, layout
from archspec.render.figure.metrics import text_width
from archspec.render.figure.network import CORNER, TALLEST, Boxes
from archspec.render.figure.outline import Box, outline
from archspec.render.figure.strokes import Stroke, strokes

Segment: TypeAlias = tuple[float, float, float, float]
"""Left, upper, right and lower end of a horizontal or vertical line."""

NEAR = 0.02


def laid_out(figure: Figure, tallest: float = TALLEST) -> tuple[Box, Layout]:
    """Return a figure's outline and its layout."""
    root = outline(figure.report, figure.depth, ops=figure.ops, repeats=figure.repeats)
    return root, layout(root, Boxes(figure, root).size, tallest=tallest)


def segments(line: Line | Stroke) -> list[Segment]:
    return [
        (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        for (x1, y1), (x2, y2) in pairwise(line.points)
    ]


def check_layout(figure: Figure, tallest: float = TALLEST) -> Layout:
    """Check the places of a figure's boxes and lines."""
    root, drawn = laid_out(figure, tallest)
    places = check_boxes(root, drawn)
    check_ends(figure, root, drawn, places)
    check_ways(root, drawn)
    check_overlaps(drawn)
    check_strokes(drawn, CORNER)
    return drawn


def check_boxes(root: Box, drawn: Layout) -> dict[int, Placed]:
    """Every box stands once, in its frame, and apart from all others."""
    places = {id(each.box): each for each in drawn.boxes}
    assert len(places) == len(drawn.boxes)
    assert set(places) == {id(box) for box in root.walk() if box.item}
    for box in root.walk():
        inside = [places[id(each)] for each in box.boxes]
        for place in inside:
            left, top, right, bottom = 0.0, 0.0, drawn.width, drawn.height
            if box.item:
                around = places[id(box)]
                left, top, right, bottom = around.x, around.y, around.right, around.bottom
            assert left < place.x
            assert place.right < right
            assert top < place.y
            assert place.bottom < bottom
        for place in _overlapping(inside):
            raise AssertionError(f"{place} overlap")
    return places


def _overlapping(places: list[Placed]) -> list[tuple[str, str]]:
    found = []
    ordered = sorted(places, key=lambda each: each.y)
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other.y >= one.bottom:
                break
            if one.x < other.right and other.x < one.right:
                found.append((one.box.path, other.box.path))
    return found


def check_ends(figure: Figure, root: Box, drawn: Layout, places: dict[int, Placed]) -> None:
    """There is one line for every box that reads another; it begins and ends at their edges."""
    leaves = [box for box in root.walk() if not box.boxes]
    owner = {}
    for box in leaves:
        owner.update(dict.fromkeys(range(box.start, box.stop), id(box)))
    for box in reversed(list(root.walk())):
        size = box.stop - box.start
        for node in range(box.stop, box.end):
            owner[node] = owner[node - size]
    expected = {
        (owner[source], id(box))
        for box in leaves
        for node in figure.report.graph.nodes[box.start : box.stop]
        for source in node.inputs
    }
    expected = {(source, target) for source, target in expected if source != target}
    found = [(id(line.source), id(line.target)) for line in drawn.lines if line.target]
    assert len(found) == len(set(found))
    assert set(found) == expected
    for line in drawn.lines:
        source = places[id(line.source)]
        (x, y), (x2, y2) = line.points[0], line.points[-1]
        assert abs(y - source.bottom) < NEAR
        assert source.x < x < source.right
        if line.target is not None:
            target = places[id(line.target)]
            above = abs(y2 - target.y) < NEAR and target.x < x2 < target.right
            beside = min(abs(x2 - target.x), abs(x2 - target.right)) < NEAR
            assert above or (target.box.is_merge and beside and target.y < y2 < target.bottom)
        for left, top, right, bottom in segments(line):
            assert left == right or top == bottom or min(right - left, bottom - top) < NEAR
            assert left > 0
            assert right < drawn.width
            assert top > 0
            assert bottom < drawn.height


def check_ways(root: Box, drawn: Layout) -> None:
    """No line passes a box but the frames that its ends are in."""
    around: dict[int, set[int]] = defaultdict(set)
    for box in root.walk():
        for inner in box.walk():
            if box.boxes:
                around[id(inner)].add(id(box))
    for line in drawn.lines:
        frames = around[id(line.source)] | (around[id(line.target)] if line.target else set())
        left, right = min(x for x, _ in line.points), max(x for x, _ in line.points)
        top, bottom = min(y for _, y in line.points), max(y for _, y in line.points)
        extent = (left, top, right, bottom)
        near = [
            place
            for place in drawn.boxes
            if id(place.box) not in frames and not _apart(extent, place)
        ]
        for segment in segments(line):
            for place in near:
                assert _apart(segment, place), (
                    f"{line.source.path} to {line.target and line.target.path} "
                    f"passes {place.box.path}"
                )


def _apart(segment: Segment, place: Placed) -> bool:
    left, top, right, bottom = segment
    return (
        right < place.x + NEAR
        or left > place.right - NEAR
        or bottom < place.y + NEAR
        or top > place.bottom - NEAR
    )


def check_overlaps(drawn: Layout) -> None:
    """Two lines share a stretch only where a reader who follows either ends at the same box.

    They have one source or one target, or each source leads to each of the targets.
    """
    joined = {(id(line.source), id(line.target)) for line in drawn.lines}
    by_place = defaultdict(list)
    for line in drawn.lines:
        for left, top, right, bottom in segments(line):
            if bottom - top > right - left:
                by_place["x", round(left)].append((left, top, bottom, line))
            else:
                by_place["y", round(top)].append((top, left, right, line))
    for stretches in by_place.values():
        stretches.sort(key=lambda each: each[1])
        for number, (at, _, end, line) in enumerate(stretches):
            for other_at, start, _, other in stretches[number + 1 :]:
                if start > end - 1:
                    break
                if abs(at - other_at) > 1 or line is other:
                    continue
                across = {(id(line.source), id(other.target)), (id(other.source), id(line.target))}
                assert across <= joined, (
                    f"{line.source.path} to {line.target and line.target.path} is on "
                    f"{other.source.path} to {other.target and other.target.path} at {at}, {start}"
                )


def crossings(drawn: Layout) -> int:
    """Return how often lines cross that have neither a source nor a target in common."""
    flat, upright = [], []
    for line in drawn.lines:
        for left, top, right, bottom in segments(line):
            (upright if bottom - top > right - left else flat).append(
                (left, top, right, bottom, line)
            )
    return sum(
        left + 1 < x < right - 1
        and top + 1 < y < bottom - 1
        and line.source is not other.source
        and line.target is not other.target
        for left, y, right, _, line in flat
        for x, top, _, bottom, other in upright
    )


def check_text(drawing: Drawing) -> None:
    """Text is inside of its box, and everything on the page."""
    for mark in drawing.walk():
        if isinstance(mark, Group):
            rects = [each for each in mark.marks if isinstance(each, Rect)]
            for text in mark.marks:
                if isinstance(text, Text) and rects:
                    _check_inside(text, rects[0])
        elif isinstance(mark, Text):
            _check_inside(mark, Rect(0, 0, drawing.width, drawing.height, "paper"))


def _check_inside(text: Text, rect: Rect) -> None:
    width = text_width(text.text, text.size, bold=text.bold)
    left = text.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    assert rect.x - NEAR <= left, text
    assert left + width <= rect.x + rect.width + NEAR, text
    assert rect.y <= text.y - text.size * 0.76, text
    assert text.y + text.size * 0.24 <= rect.y + rect.height, text


def check_strokes(drawn: Layout, radius: float) -> None:
    """All of every line is drawn, and each line that arrives has its arrow."""
    made = strokes(drawn.lines, radius)
    covered: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for stroke in made:
        for left, top, right, bottom in segments(stroke):
            flat = right - left > bottom - top
            for near in (-1, 0, 1):
                place = ("y", round(top) + near) if flat else ("x", round(left) + near)
                covered[place].append((left, right) if flat else (top, bottom))
    for line in drawn.lines:
        for left, top, right, bottom in segments(line):
            flat = right - left > bottom - top
            place = ("y", round(top)) if flat else ("x", round(left))
            at, end = (left, right) if flat else (top, bottom)
            for start, stop in sorted(covered[place]):
                at = max(at, stop) if start < at + NEAR else at
            assert at > end - 0.2, (line, at, end)
    arrows = {stroke.points[-1] for stroke in made if stroke.arrives}
    ends = {line.points[-1] for line in drawn.lines if line.target}
    assert {_rounded(each) for each in arrows} == {_rounded(each) for each in ends}


def _rounded(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0]), round(point[1])

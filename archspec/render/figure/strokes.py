"""Strokes of lines: what several lines share is drawn once.

Lines with one source leave it together, and lines with one target arrive together. Drawn again and
again, the shared part would look bolder, and its file would grow with the number of lines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from archspec.render.figure.drawing import Point
from archspec.render.figure.layout import Line


class Stroke(NamedTuple):
    """Part of a line that no other has drawn."""

    line: Line
    points: tuple[Point, ...]
    arrives: bool
    """Whether the stroke ends with the line, at the box that reads the output."""


def strokes(lines: Iterable[Line], radius: float) -> list[Stroke]:
    """Return what is to be drawn of lines, shortcuts first, so that others are above them.

    Args:
        lines: All lines, each horizontal or vertical everywhere.
        radius: Radius of rounded corners: a stroke begins as far before the place where it leaves
            what is already drawn.
    """
    result: list[Stroke] = []
    begun: defaultdict[int, _Drawn] = defaultdict(_Drawn)
    ended: defaultdict[int, _Drawn] = defaultdict(_Drawn)
    for line in sorted(lines, key=lambda each: each.shortcut):
        backwards = line.points[::-1]
        length = sum(abs(x2 - x1) + abs(y2 - y1) for (x1, y1), (x2, y2) in pairwise(line.points))
        start = begun[id(line.source)].along(line.points)
        stop = length - (ended[id(line.target)].along(backwards) if line.target else 0.0)
        begun[id(line.source)].add(line.points)
        if line.target is not None:
            ended[id(line.target)].add(backwards)
        if start < stop + 2 * radius:
            begin, end = max(0.0, start - radius), min(length, stop + radius)
            points = tuple(_cut(line.points, begin, end))
            arrives = line.target is not None and stop > length - 0.01
            result.append(Stroke(line, points, arrives))
    return result[::-1]


_Place: TypeAlias = tuple[bool, float, bool]
"""The straight line that a stretch is on: whether it is vertical, where it is, and whether it leads
to larger numbers."""


class _Drawn:
    """Stretches that are drawn: on each straight line, intervals that do not touch, in order."""

    def __init__(self) -> None:
        self._intervals: defaultdict[_Place, list[tuple[float, float]]] = defaultdict(list)

    def along(self, points: Sequence[Point]) -> float:
        """Return the length from the beginning of a line that is drawn."""
        done = 0.0
        for one, other in pairwise(points):
            place, low, high = _stretch(one, other)
            intervals = self._intervals[place]
            at = bisect_right(intervals, (low + 0.05, high * 2 + 1e9)) - 1
            reached = intervals[at][1] if at >= 0 and intervals[at][1] > low else low
            if reached < high - 0.05:
                return done + reached - low
            done += high - low
        return done

    def add(self, points: Sequence[Point]) -> None:
        for one, other in pairwise(points):
            place, low, high = _stretch(one, other)
            kept = []
            for left, right in self._intervals[place]:
                if right < low - 0.05 or left > high + 0.05:
                    kept.append((left, right))
                else:
                    low, high = min(low, left), max(high, right)
            self._intervals[place] = sorted([*kept, (low, high)])


def _stretch(one: Point, other: Point) -> tuple[_Place, float, float]:
    """Return the straight line from one point to another, and where on it both are, in its way."""
    vertical = abs(one[0] - other[0]) < 0.01
    begin, end = (one[1], other[1]) if vertical else (one[0], other[0])
    forwards = end >= begin
    sign = 1 if forwards else -1
    return (vertical, round(one[0 if vertical else 1], 1), forwards), begin * sign, end * sign


def _cut(points: Sequence[Point], begin: float, end: float) -> Iterator[Point]:
    """Yield the points of a line from one length to another."""
    done = 0.0
    first = True
    for (x1, y1), (x2, y2) in pairwise(points):
        length = abs(x2 - x1) + abs(y2 - y1)
        if done + length > begin and done < end:
            if first:
                share = max(0.0, begin - done) / length
                yield x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
                first = False
            share = min(length, end - done) / length
            yield x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
        done += length

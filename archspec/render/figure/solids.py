"""Feature maps as solids, to scale: cuboids in perspective, stacked planes, bars for vectors.

Lengths are in points from the upper left corner of a solid, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, prod
from typing import Final, NamedTuple, TypeAlias

from archspec.ops.shape import Shape
from archspec.render.figure.drawing import Mark, Path, Point, Polygon, Rect, Text
from archspec.render.figure.metrics import text_width

TALLEST: Final = 130.0
"""Height of the largest spatial extent."""

WIDEST: Final = 64.0
"""Width of the largest number of channels."""

LONGEST: Final = 120.0
"""Height of the longest vector."""

STEEPEST: Final = (22.0, 2.6, 8.0)
"""Upper bounds of the three scales, so that small networks are not drawn large."""

THINNEST: Final = 1.5
"""Shortest side that is drawn."""

BAR_WIDTH: Final = 9.0
"""Width of a vector's bar."""

ACROSS, UPWARDS = 0.42, 0.30
"""Way to the right and upwards of a line that leads away from the viewer, for each point of it."""

NUMBER: Final = 8.0
"""Size of the font of extents along edges."""

MOST_PLANES: Final = 24
"""Largest number of channels that are drawn as planes."""


class Scale(NamedTuple):
    """Points for the square root of an extent: an extent four times as large has twice the side."""

    spatial: float
    channels: float
    vector: float

    def side(self, extent: int) -> float:
        """Return the length of a spatial extent."""
        return _length(self.spatial, extent)


def _length(scale: float, extent: int) -> float:
    return max(scale * float(extent**0.5), THINNEST)


def scale_of(shapes: Iterable[tuple[Shape, int]]) -> Scale:
    """Return the scale at which all maps of a figure fit.

    Args:
        shapes: The shape of each map, and how many towers its channels are drawn in.
    """
    spatial = channels = vector = 1
    for shape, towers in shapes:
        if shape.rank:
            spatial = max(spatial, *shape.spatial[-2:])
            channels = max(channels, thickness(shape) // towers)
        else:
            vector = max(vector, shape.channels)
    largest = zip((TALLEST, WIDEST, LONGEST), (spatial, channels, vector), STEEPEST, strict=True)
    return Scale(*(min(length / extent**0.5, most) for length, extent, most in largest))


def thickness(shape: Shape) -> int:
    """Return the values at each place of the last two spatial axes: channels, times other axes."""
    return prod(shape[:-3]) * shape.channels


def has_planes(shapes: Iterable[Shape]) -> bool:
    """Whether every channel of a figure's maps is a plane: images all, with few channels each."""
    maps = [shape for shape in shapes if shape.rank]
    return bool(maps) and all(each.rank == 2 and each.channels <= MOST_PLANES for each in maps)


@dataclass(frozen=True)
class Cuboid:
    """A cuboid in perspective: channels to the right, height downwards, width away from the viewer.

    Without depth it is a rectangle.
    """

    front: float
    """Width of the front, the channels."""
    side: float
    """Height of the front and the side."""
    dx: float
    """Way to the right of the edges that lead away."""
    dy: float
    """Way upwards of the edges that lead away."""
    texts: tuple[str, str, str] = ("", "", "")
    """Extents along the edges: of the height, of those that lead away, of the front's width."""
    inside: bool = False
    """Whether the height's number is on the front, if it fits there."""

    @property
    def width(self) -> float:
        return self.front + self.dx

    @property
    def height(self) -> float:
        return self.side + self.dy

    @property
    def axis(self) -> float:
        """The y at which lines come and go."""
        return self.height / 2

    @property
    def left(self) -> float:
        """Width of the numbers beside it on the left."""
        down, away, across = (text_width(text, NUMBER) for text in self.texts)
        down = 0.0 if self._down_inside else down - self._down_end
        widest = max(down if self.texts[0] else 0.0, away + 3 - self.dx / 2 if away else 0.0)
        return max(widest, (across - self.front) / 2)

    @property
    def _down_inside(self) -> bool:
        return self.inside and text_width(self.texts[0], NUMBER) + 6 < self.front

    @property
    def _down_base(self) -> float:
        """The y of the baseline of the height's number: below what comes in."""
        return max(self.dy + 0.85 * self.side, self.axis + 16)

    @property
    def _down_end(self) -> float:
        """The x where the height's number ends, left of a wider one that is on its line."""
        below = (self.front - text_width(self.texts[2], NUMBER)) / 2
        return min(-3.0, below - 1) if self._down_base > self.height - 1 else -3.0

    @property
    def has_numbers(self) -> bool:
        """Whether there are extents along its edges."""
        return any(self.texts)

    @property
    def right(self) -> float:
        """Width of the numbers beside it on the right."""
        across = text_width(self.texts[2], NUMBER)
        return max((across - self.front) / 2 - self.dx, 0.0)

    @property
    def entry(self) -> Point:
        """Point of its left outline where lines end."""
        above = self.dy - self.axis
        return (above / self.dy * self.dx if above > 0 else 0.0, self.axis)

    @property
    def exit(self) -> Point:
        """Middle of its side, where lines start."""
        return (self.front + self.dx / 2, self.axis)

    @property
    def far_edge(self) -> tuple[Point, Point]:
        """The upper and the lower end of its right edge."""
        return (self.width, 0.0), (self.width, self.side)

    @property
    def near_edge(self) -> tuple[Point, Point]:
        """The upper and the lower end of its left edge."""
        return (0.0, self.dy), (0.0, self.height)

    def window(self, down: float, away: float) -> tuple[Point, ...]:
        """Return the corners of a window in the middle of its side, of such shares of it."""
        return tuple(
            (
                self.front + (0.5 + u * away) * self.dx,
                self.dy + (0.5 + v * down) * self.side - (0.5 + u * away) * self.dy,
            )
            for u, v in _CORNERS
        )

    def marks(self, x: float, y: float, tone: str) -> list[Mark]:
        """Return the marks of the solid with its upper left corner at (x, y)."""
        w, h, dx, dy = self.front, self.side, self.dx, self.dy
        marks: list[Mark] = []
        if dx or dy:
            top = ((0, dy), (dx, 0), (w + dx, 0), (w, dy))
            side = ((w, dy), (w + dx, 0), (w + dx, h), (w, dy + h))
            marks.append(Polygon(moved(top, x, y), f"{tone}_top"))
            marks.append(Polygon(moved(side, x, y), tone))
        marks.append(Rect(x, y + dy, w, h, f"{tone}_front" if dx else tone))
        down, away, across = self.texts
        if down and self._down_inside:
            base = y + dy + (h + NUMBER) / 2 - 1
            marks.append(Text(x + 3, base, down, NUMBER, "ink", anchor="start"))
        elif down:
            at = (x + self._down_end, y + self._down_base)
            marks.append(Text(*at, down, NUMBER, "quiet", anchor="end"))
        if away:
            at = (x + dx / 2 - 3, y + min(dy / 2 - 1, self.axis - NUMBER))
            marks.append(Text(*at, away, NUMBER, "quiet", anchor="end"))
        if across:
            marks.append(Text(x + w / 2, y + dy + h + NUMBER + 1, across, NUMBER, "quiet"))
        return marks


_CORNERS: Final = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
"""Corners of a window from its middle, as shares of it."""


@dataclass(frozen=True)
class Planes:
    """A plane for each channel, each one nearer than the one before it, to the right and down."""

    count: int
    across: float
    """Width of a plane."""
    side: float
    """Height of a plane."""
    step: float
    """Way to the right and down from a plane to the next."""
    left: float = 0.0
    """Width of the numbers on the left: 0, as they stand above."""
    right: float = 0.0
    """Width of the numbers on the right: 0, as they stand above."""
    has_numbers: bool = False
    """Whether the extents stand along the edges: False, as they stand above."""

    @property
    def depth(self) -> float:
        """Way from the first plane to the last."""
        return (self.count - 1) * self.step

    @property
    def width(self) -> float:
        return self.across + self.depth

    @property
    def height(self) -> float:
        return self.side + self.depth

    @property
    def axis(self) -> float:
        """The y at which lines come and go."""
        return self.height / 2

    @property
    def entry(self) -> Point:
        """Point of its left outline where lines end."""
        plane = max(ceil((self.axis - self.side) / self.step - 1e-9), 0)
        return (plane * self.step, self.axis)

    @property
    def exit(self) -> Point:
        """Point of its right outline where lines start."""
        plane = min(int(self.axis / self.step + 1e-9), self.count - 1)
        return (plane * self.step + self.across, self.axis)

    @property
    def far_edge(self) -> tuple[Point, Point]:
        """The upper and the lower end of the last plane's right edge."""
        return (self.width, self.depth), (self.width, self.height)

    @property
    def near_edge(self) -> tuple[Point, Point]:
        """The upper and the lower end of the first plane's left edge."""
        return (0.0, 0.0), (0.0, self.side)

    def window(self, down: float, away: float) -> tuple[Point, ...]:
        """Return the corners of a window on the last plane, of such shares of it."""
        middle = min(0.65, 1 - away / 2)
        return tuple(
            (
                self.depth + (middle + u * away) * self.across,
                self.depth + (0.5 + v * down) * self.side,
            )
            for u, v in _CORNERS
        )

    def marks(self, x: float, y: float, tone: str) -> list[Mark]:
        """Return the marks of the solid with its upper left corner at (x, y)."""
        offsets = [number * self.step for number in range(self.count)]
        return [Rect(x + at, y + at, self.across, self.side, tone) for at in offsets]


Solid: TypeAlias = Cuboid | Planes


def solid(
    shape: Shape, scale: Scale, *, planes: bool = False, towers: int = 1, inside: bool = False
) -> Solid:
    """Return a map, or one of its towers, as a solid.

    Args:
        shape: The map's shape. Spatial axes before the last two count with the channels.
        scale: The scale of the figure.
        planes: Whether each channel is a plane.
        towers: Number of towers in which the channels are drawn.
        inside: Whether the height is written on the front, so that no line crosses it.
    """
    if not shape.rank:
        length = _length(scale.vector, shape.channels)
        return Cuboid(BAR_WIDTH, length, BAR_WIDTH * ACROSS, BAR_WIDTH * UPWARDS)
    down = scale.side(shape[max(shape.rank - 2, 0)])
    if planes:
        step = min(max(60.0 / shape.channels, 2.5), 7.0)
        return Planes(shape.channels, scale.side(shape[1]), down, step)
    front = _length(scale.channels, thickness(shape) // towers)
    across = "x".join(map(str, (*shape[:-3], shape.channels // towers)))
    if shape.rank == 1:
        return Cuboid(front, down, 0.0, 0.0, (str(shape[0]), "", across))
    away = scale.side(shape[-2])
    texts = (str(shape[-3]), str(shape[-2]), across)
    return Cuboid(front, down, away * ACROSS, away * UPWARDS, texts, inside)


def taper(corners: Iterable[Point], end: Point) -> list[Mark]:
    """Return a window's outline, and lines from its corners to a point of the next map."""
    unique = list(dict.fromkeys(corners))
    marks: list[Mark] = []
    if len(unique) > 1:
        marks.append(Path((*unique, unique[0]), "line", width=0.8))
    return marks + [Path((corner, end), "line", width=0.6) for corner in unique]


def moved(points: Iterable[Point], x: float, y: float) -> tuple[Point, ...]:
    """Return points moved to the right and down."""
    return tuple((a + x, b + y) for a, b in points)

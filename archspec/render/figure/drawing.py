"""A drawing: marks with places, in points, x to the right and y downwards.

Every figure is one, and every file format is made of one. A mark has no colour but a tone, a word
of the palette, whose colours depend on what is drawn on: light, dark, or paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]

Anchor: TypeAlias = Literal["start", "middle", "end"]

SHARES: Final[dict[Anchor, float]] = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""Share of a text's width that is left of its place, by its anchor."""

DASHES: Final = (4, 3)
"""Points of a dash, and of the gap after it."""


class Colours(NamedTuple):
    """Colours of an area and of its outline, as `#rrggbb` or `none`."""

    fill: str
    stroke: str


class Tone(NamedTuple):
    """The colours of a kind of mark, on light and on dark ground."""

    light: Colours
    dark: Colours


def _tone(fill: str, stroke: str, dark_fill: str, dark_stroke: str) -> Tone:
    return Tone(Colours(fill, stroke), Colours(dark_fill, dark_stroke))


TONES: Final[dict[str, Tone]] = {
    "paper": _tone("#ffffff", "none", "#15191f", "none"),
    "ink": _tone("#15191f", "none", "#eef1f5", "none"),
    "quiet": _tone("#56606d", "none", "#a7b1be", "none"),
    "line": _tone("none", "#4a5460", "none", "#a7b1be"),
    "arrow": _tone("#4a5460", "none", "#a7b1be", "none"),
    "shortcut": _tone("none", "#b3480a", "none", "#ff9d5c"),
    "shortcut_arrow": _tone("#b3480a", "none", "#ff9d5c", "none"),
    "frame0": _tone("#f5f7fa", "#aeb8c4", "#1c222a", "#4d5866"),
    "frame1": _tone("#eaeff4", "#a2adba", "#232b34", "#566271"),
    "frame2": _tone("#dfe6ee", "#95a2b1", "#2b343f", "#606d7d"),
    "frame3": _tone("#d4dde7", "#8998a9", "#333e4a", "#6b7989"),
    "bar": _tone("#15191f", "none", "#eef1f5", "none"),
    "track": _tone("#dfe3e8", "none", "#3a434e", "none"),
    # A table's rules, and the ground of its first and last rows.
    "rule": _tone("#4a5460", "none", "#a7b1be", "none"),
    "ground": _tone("#f5f7fa", "none", "#1c222a", "none"),
    # What a step does: tints of Okabe's and Ito's palette, which the colour-blind tell apart.
    "input": _tone("#ffffff", "#56606d", "#262d36", "#a7b1be"),
    "convolution": _tone("#d5e8f6", "#0072b2", "#123a52", "#56b4e9"),
    "pooling": _tone("#fbe3d3", "#b34d00", "#4a2a12", "#f0955a"),
    "fully_connected": _tone("#d3efe6", "#00785a", "#0f3d31", "#3fc49d"),
    "normalization": _tone("#f3e0ec", "#a04a7d", "#432a3a", "#dd95bf"),
    "activation": _tone("#fdf3c4", "#8f7600", "#453c0a", "#e6cf4a"),
    "merge": _tone("#ffffff", "#15191f", "#262d36", "#eef1f5"),
    "block": _tone("#e2e4f5", "#4a53a8", "#2a2f55", "#9aa3ee"),
    "other": _tone("#eceef0", "#6a7480", "#2b323a", "#8d98a5"),
    # Lines of a chart, and the points at their ends.
    "grid": _tone("none", "#e3e7ec", "none", "#343c46"),
    "first": _tone("none", "#0072b2", "none", "#56b4e9"),
    "first_point": _tone("#0072b2", "none", "#56b4e9", "none"),
    "second": _tone("none", "#b34d00", "none", "#f0955a"),
    "second_point": _tone("#b34d00", "none", "#f0955a", "none"),
    "grid_point": _tone("#b4bcc6", "none", "#5b6673", "none"),
    # What differs between two networks.
    "added": _tone("#d3efe6", "#00785a", "#0f3d31", "#3fc49d"),
    "removed": _tone("#fbe3d3", "#b34d00", "#4a2a12", "#f0955a"),
    "changed": _tone("#fdf3c4", "#8f7600", "#453c0a", "#e6cf4a"),
}
"""Every tone that has a name. On paper it is the light one."""


def colours(tone: str, theme: str = "light") -> Colours:
    """Return the colours of a tone in a theme; where a format cannot know, `auto` is light."""
    return TONES[tone].dark if theme == "dark" else TONES[tone].light


RAMP: Final = 9
"""Steps of the ramp of tones from a small amount to a large one, `ramp0` to `ramp8`."""


def _mixed(low: str, high: str, share: float) -> str:
    pairs = [(int(low[i : i + 2], 16), int(high[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


TONES.update(
    {
        f"ramp{step}": _tone(
            _mixed("#f3f7fb", "#5aa7da", step / (RAMP - 1)),
            "#3d6f93",
            _mixed("#1d252d", "#1f6f9f", step / (RAMP - 1)),
            "#7fb2d3",
        )
        for step in range(RAMP)
    }
)

SHADES: Final = {"_top": 0.12, "_front": 0.25}
"""Endings of the tones of a solid's further sides, and how much of the outline is in their fill."""


TONES.update(
    {
        name + ending: Tone(
            *(Colours(_mixed(fill, stroke, share), stroke) for fill, stroke in TONES[name])
        )
        for name in (
            *("input", "convolution", "pooling", "fully_connected", "normalization"),
            *("activation", "merge", "block", "other"),
            *(f"ramp{step}" for step in range(RAMP)),
        )
        for ending, share in SHADES.items()
    }
)


class Rect(NamedTuple):
    """A rectangle, its corners rounded by `radius`."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    radius: float = 0.0
    dashed: bool = False


class Circle(NamedTuple):
    """A circle around (x, y)."""

    x: float
    y: float
    radius: float
    tone: str


class Polygon(NamedTuple):
    """A closed shape with straight sides."""

    points: tuple[Point, ...]
    tone: str


class Path(NamedTuple):
    """A line through points, its corners rounded by `radius`, with an arrow's head at its end."""

    points: tuple[Point, ...]
    tone: str
    radius: float = 0.0
    arrow: bool = False
    dashed: bool = False
    width: float = 1.2

    @property
    def head_tone(self) -> str:
        """Tone of the arrow's head."""
        own = f"{self.tone}_arrow"
        return own if own in TONES else "arrow"


class Text(NamedTuple):
    """A line of text; (x, y) is on its baseline, at its start, middle or end."""

    x: float
    y: float
    text: str
    size: float
    tone: str = "ink"
    bold: bool = False
    anchor: Anchor = "middle"


@dataclass
class Group:
    """Marks that show one part of a network."""

    path: str
    """The part's path, the same in a figure and in a table."""
    title: str
    """Its costs in a sentence, for screen readers and on hovering."""
    marks: list[Mark] = field(default_factory=list)


Mark: TypeAlias = Rect | Circle | Polygon | Path | Text | Group


class Look(NamedTuple):
    """The ground and the size of a drawing in a file."""

    theme: str = "auto"
    """One of `archspec.figure.THEMES`."""
    scale: float = 2.0
    """Pixels of a PNG to a point of the drawing."""


@dataclass
class Drawing:
    """Marks on a page, in the order in which they are drawn."""

    title: str
    """Name of the picture, for screen readers."""
    description: str
    """Content of the picture in a few sentences, for screen readers."""
    width: float
    height: float
    marks: list[Mark] = field(default_factory=list)
    advice: str = ""
    """Advice to draw less, for the end of a message that it is too large for a format."""

    def walk(self) -> Iterator[Mark]:
        """Yield every mark, a group before what is in it."""
        yield from _walk(self.marks)

    def tones(self) -> list[str]:
        """Return the tones of its marks and of its ground, in the order of `TONES`."""
        present = {"paper"}
        for mark in self.walk():
            if not isinstance(mark, Group):
                present.add(mark.tone)
                if isinstance(mark, Path) and mark.arrow:
                    present.add(mark.head_tone)
        return [tone for tone in TONES if tone in present]


def _walk(marks: Iterable[Mark]) -> Iterator[Mark]:
    for mark in marks:
        yield mark
        if isinstance(mark, Group):
            yield from _walk(mark.marks)


Segment: TypeAlias = tuple[Point, ...]
"""One point: the start, or a straight line to it. Three: a cubic curve's two controls and end."""

_ROUND: Final = 0.5523
"""Distance of a cubic curve's controls along the sides of the corner that it rounds, as a share: it
is nearly a quarter of a circle."""


def rounded(points: Sequence[Point], radius: float) -> list[Segment]:
    """Return a line through points as straight lines and curves around its corners.

    A corner between short sides is rounded less, by half of the shorter one.
    """
    segments: list[Segment] = [(points[0],)]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        sides = _distance(before, corner), _distance(corner, after)
        cut = min(radius, *(side / 2 for side in sides))
        if cut < 0.01:
            segments.append((corner,))
            continue
        start, end = _towards(corner, before, cut), _towards(corner, after, cut)
        controls = _towards(start, corner, cut * _ROUND), _towards(end, corner, cut * _ROUND)
        segments += [(start,), (*controls, end)]
    segments.append((points[-1],))
    return segments


def outline(mark: Rect | Circle | Polygon | Path) -> list[Segment]:
    """Return the outline of a mark; all but that of a path is closed by its last point."""
    match mark:
        case Path():
            return rounded(mark.points, mark.radius)
        case Polygon():
            return [*((point,) for point in mark.points), (mark.points[0],)]
        case Circle():
            radius = mark.radius
            return _round_box(mark.x - radius, mark.y - radius, 2 * radius, 2 * radius, radius)
    return _round_box(mark.x, mark.y, mark.width, mark.height, mark.radius)


def _round_box(x: float, y: float, width: float, height: float, radius: float) -> list[Segment]:
    """Return the outline of a rectangle, clockwise from its upper left corner."""
    right, bottom = x + width, y + height
    if radius <= 0:
        return [((x, y),), ((right, y),), ((right, bottom),), ((x, bottom),), ((x, y),)]
    radius = min(radius, width / 2, height / 2)
    near = radius * (1 - _ROUND)
    return [
        ((x + radius, y),),
        ((right - radius, y),),
        ((right - near, y), (right, y + near), (right, y + radius)),
        ((right, bottom - radius),),
        ((right, bottom - near), (right - near, bottom), (right - radius, bottom)),
        ((x + radius, bottom),),
        ((x + near, bottom), (x, bottom - near), (x, bottom - radius)),
        ((x, y + radius),),
        ((x, y + near), (x + near, y), (x + radius, y)),
    ]


ARROW: Final = 5.0
"""Length of an arrow's head, in points."""


def arrow_head(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the triangle at the end of a line, and nothing for a line without a length."""
    end = points[-1]
    before = next((each for each in reversed(points) if _distance(each, end) > 0.01), None)
    if before is None:
        return ()
    base = _towards(end, before, ARROW)
    length = _distance(before, end)
    across = (
        (end[1] - before[1]) / length * ARROW * 0.4,
        (before[0] - end[0]) / length * ARROW * 0.4,
    )
    return (
        end,
        (base[0] + across[0], base[1] + across[1]),
        (base[0] - across[0], base[1] - across[1]),
    )


def decimal(value: float) -> str:
    """Return a length with at most one digit after the point, a tenth of a point."""
    return f"{value:.1f}".removesuffix(".0")


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _towards(start: Point, end: Point, length: float) -> Point:
    share = length / (_distance(start, end) or 1.0)
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)

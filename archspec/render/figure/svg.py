"""A drawing as SVG: light or dark as the viewer prefers, readable by screen readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from archspec.render.figure.drawing import (
    TONES,
    Circle,
    Drawing,
    Group,
    Mark,
    Path,
    Point,
    Polygon,
    Rect,
    Text,
    arrow_head,
    rounded,
)
from archspec.render.figure.metrics import text_width
from archspec.text import printable

FONTS: Final = "DejaVu Sans, Verdana, Geneva, sans-serif"
"""Verdana's letters are about as wide; `textLength` makes any other font's fit."""


def svg(drawing: Drawing, *, inline: bool = False) -> str:
    """Return a drawing as an SVG document.

    Args:
        drawing: The drawing.
        inline: Whether it becomes part of an HTML page, which has its own ground and colours.

    """
    width, height = _number(drawing.width), _number(drawing.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="archspec" role="img"'
        f' aria-label="{escaped(drawing.title)}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="{FONTS}">',
        f"<title>{escaped(drawing.title)}</title>",
        f"<desc>{escaped(drawing.description)}</desc>",
    ]
    if not inline:
        lines += [
            f"<style>{style(drawing)}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
        ]
    return "\n".join([*lines, *_marks(drawing.marks), "</svg>"]) + "\n"


def style(drawing: Drawing | None = None) -> str:
    """Return the style sheet of the tones that a drawing has, or of all."""
    tones = list(TONES)
    if drawing is not None:
        present = {tone for mark in drawing.walk() for tone in _tones(mark)}
        tones = [tone for tone in TONES if tone == "paper" or tone in present]
    light = "".join(_rule(tone, dark=False) for tone in tones)
    dark = "".join(_rule(tone, dark=True) for tone in tones)
    return f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def escaped(text: str) -> str:
    """Return text for XML, also inside of quotes, without characters that XML cannot have."""
    text = printable(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def _rule(tone: str, *, dark: bool) -> str:
    fill, stroke = TONES[tone].dark if dark else TONES[tone].light
    return f".archspec .{tone}{{fill:{fill};stroke:{stroke}}}"


def _tones(mark: Mark) -> Iterator[str]:
    if not isinstance(mark, Group):
        yield mark.tone
        if isinstance(mark, Path) and mark.arrow:
            yield _arrow_tone(mark)


def _arrow_tone(path: Path) -> str:
    return "shortcut_arrow" if path.tone == "shortcut" else "arrow"


def _marks(marks: Iterable[Mark]) -> Iterator[str]:
    for mark in marks:
        yield from _mark(mark)


def _mark(mark: Mark) -> Iterator[str]:
    match mark:
        case Group():
            title = escaped(mark.title)
            yield f'<g data-path="{escaped(mark.path)}"><title>{title}</title>'
            yield from _marks(mark.marks)
            yield "</g>"
        case Rect():
            x, y, width, height, tone, radius, _ = mark
            rounding = f' rx="{_number(radius)}"' if radius else ""
            yield (
                f'<rect class="{tone}" x="{_number(x)}" y="{_number(y)}" width="{_number(width)}"'
                f' height="{_number(height)}"{rounding}{_dashes(mark)}/>'
            )
        case Circle():
            x, y, radius, tone = mark
            centre = f'cx="{_number(x)}" cy="{_number(y)}"'
            yield f'<circle class="{tone}" {centre} r="{_number(radius)}"/>'
        case Polygon():
            yield f'<polygon class="{mark.tone}" points="{_points(mark.points)}"/>'
        case Path():
            yield (
                f'<path class="{mark.tone}" d="{_path(mark)}"'
                f' stroke-width="{_number(mark.width)}"{_dashes(mark)}/>'
            )
            if mark.arrow and (head := arrow_head(mark.points)):
                yield f'<polygon class="{_arrow_tone(mark)}" points="{_points(head)}"/>'
        case Text():
            yield _text(mark)


def _text(mark: Text) -> str:
    if not mark.text.strip():
        return ""
    weight = ' font-weight="bold"' if mark.bold else ""
    anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
    length = _number(text_width(mark.text, mark.size, bold=mark.bold))
    return (
        f'<text class="{mark.tone}" x="{_number(mark.x)}" y="{_number(mark.y)}"'
        f' font-size="{_number(mark.size)}"{weight}{anchor}'
        f' textLength="{length}" lengthAdjust="spacingAndGlyphs">{escaped(mark.text)}</text>'
    )


def _path(path: Path) -> str:
    words = []
    for number, segment in enumerate(rounded(path.points, path.radius)):
        letter = "M" if number == 0 else "L" if len(segment) == 1 else "C"
        words.append(letter + _points(segment))
    return "".join(words)


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _dashes(mark: Rect | Path) -> str:
    return ' stroke-dasharray="4 3"' if mark.dashed else ""


def _number(value: float) -> str:
    """Return a length with at most one digit after the point, a tenth of a point."""
    return f"{value:.1f}".removesuffix(".0")

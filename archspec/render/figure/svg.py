"""A drawing as SVG: light or dark as the viewer prefers, readable by screen readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from archspec.render.figure.drawing import (
    DASHES,
    TONES,
    Circle,
    Drawing,
    Group,
    Look,
    Mark,
    Path,
    Point,
    Polygon,
    Rect,
    Text,
    arrow_head,
    colours,
    decimal,
    rounded,
)
from archspec.render.figure.metrics import is_known, text_width
from archspec.render.markup import escaped
from archspec.text import one_line

FONTS: Final = "DejaVu Sans, Verdana, Geneva, sans-serif"
"""Verdana's letters are about as wide; `textLength` makes any other font's fit."""

SIZE: Final = 9.5
"""Size of the font of most texts, which each of another size gives itself."""


def document(drawing: Drawing, look: Look) -> str:
    """Return a drawing as an SVG document."""
    return svg(drawing, theme=look.theme)


def svg(
    drawing: Drawing, *, theme: str = "auto", inline: bool = False, pages: Sequence[str] = ()
) -> str:
    """Return a drawing as an SVG document.

    Its colours are attributes, which every viewer knows; a style sheet has those of a dark ground,
    for viewers that say what their user prefers.

    Args:
        drawing: The drawing.
        theme: One of `archspec.figure.THEMES`.
        inline: Whether it becomes part of an HTML page, which has the style sheet of `style` and
            a ground of its own.
        pages: Selectors of dark pages, such as `[theme=dark]`: inside of one the drawing is dark,
            and elsewhere light, whatever the viewer prefers.

    """
    width, height = decimal(drawing.width), decimal(drawing.height)
    marks = _Marks("" if inline else theme)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="archspec" role="img"'
        f' aria-label="{escaped(drawing.title)}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="{FONTS}" font-size="{SIZE}"'
        f' text-anchor="middle">',
        f"<title>{escaped(drawing.title)}</title>",
        f"<desc>{escaped(drawing.description)}</desc>",
    ]
    if not inline:
        if theme == "auto":
            lines.append(f"<style>{_dark(drawing.tones(), pages)}</style>")
        lines.append(f'<rect{marks.paint("paper")} width="{width}" height="{height}"/>')
    return "\n".join([*lines, *marks.all(drawing.marks), "</svg>"]) + "\n"


def style(drawing: Drawing | None = None, *, theme: str = "auto") -> str:
    """Return the style sheet of a page with a drawing inline, with the drawing's tones or all."""
    tones = TONES if drawing is None else drawing.tones()
    if theme == "dark":
        return _rules(tones, "dark")
    light = _rules(tones, "light")
    return f"{light}{_dark(tones)}" if theme == "auto" else light


def _dark(tones: Iterable[str], pages: Sequence[str] = ()) -> str:
    if pages:
        page = f":is({','.join(pages)}) "
        return f"@media screen{{{''.join(page + _rule(tone, 'dark') for tone in tones)}}}"
    return f"@media screen and (prefers-color-scheme:dark){{{_rules(tones, 'dark')}}}"


def _rules(tones: Iterable[str], theme: str) -> str:
    return "".join(_rule(tone, theme) for tone in tones)


def _rule(tone: str, theme: str) -> str:
    fill, stroke = map(_short, colours(tone, theme))
    # The light tones of a document are attributes, so that a rule need not say what is not there.
    return f".archspec .{tone}{{fill:{fill}" + (f";stroke:{stroke}}}" if stroke != "none" else "}")


def _short(colour: str) -> str:
    """Return a colour as #rgb where that is the same."""
    return f"#{colour[1::2]}" if colour[1::2] == colour[2::2] else colour


class _Marks:
    """Marks as elements, painted for a theme; without a theme, by the page's style sheet."""

    def __init__(self, theme: str) -> None:
        self._theme = theme

    def paint(self, tone: str) -> str:
        """Return the attributes that give a mark its colours."""
        name = f' class="{tone}"' if self._theme in ("", "auto") else ""
        if not self._theme:
            return name
        fill, stroke = map(_short, colours(tone, self._theme))
        return f'{name} fill="{fill}"' + (f' stroke="{stroke}"' if stroke != "none" else "")

    def all(self, marks: Iterable[Mark]) -> Iterator[str]:
        """Yield the elements of marks, one a line."""
        for mark in marks:
            yield from self._mark(mark)

    def _mark(self, mark: Mark) -> Iterator[str]:
        if isinstance(mark, Group):
            title = escaped(mark.title)
            yield f'<g data-path="{escaped(mark.path)}"><title>{title}</title>'
            yield from self.all(mark.marks)
            yield "</g>"
            return
        paint = self.paint(mark.tone)
        match mark:
            case Rect():
                x, y, width, height, _, radius, _ = mark
                rounding = f' rx="{decimal(radius)}"' if radius else ""
                yield (
                    f'<rect{paint} x="{decimal(x)}" y="{decimal(y)}" width="{decimal(width)}"'
                    f' height="{decimal(height)}"{rounding}{_dashes(mark)}/>'
                )
            case Circle():
                centre = f'cx="{decimal(mark.x)}" cy="{decimal(mark.y)}"'
                yield f'<circle{paint} {centre} r="{decimal(mark.radius)}"/>'
            case Polygon():
                yield f'<polygon{paint} points="{_points(mark.points)}"/>'
            case Path():
                strong = "" if mark.width == 1 else f' stroke-width="{decimal(mark.width)}"'
                yield f'<path{paint} d="{_path(mark)}"{strong}{_dashes(mark)}/>'
                if mark.arrow and (head := arrow_head(mark.points)):
                    yield f'<polygon{self.paint(mark.head_tone)} points="{_points(head)}"/>'
            case Text():
                if mark.text.strip():
                    yield f"<text{paint}{_placed(mark)}>{escaped(mark.text)}</text>"


def _placed(mark: Text) -> str:
    """Return the attributes of a text; where its width is known, it has it in every font."""
    size = "" if mark.size == SIZE else f' font-size="{decimal(mark.size)}"'
    weight = ' font-weight="bold"' if mark.bold else ""
    anchor = "" if mark.anchor == "middle" else f' text-anchor="{mark.anchor}"'
    length = ""
    if is_known(one_line(mark.text)):  # which may be longer, where it spells control characters
        width = decimal(text_width(mark.text, mark.size, bold=mark.bold))
        length = f' textLength="{width}" lengthAdjust="spacingAndGlyphs"'
    return f' x="{decimal(mark.x)}" y="{decimal(mark.y)}"{size}{weight}{anchor}{length}'


def _path(path: Path) -> str:
    words = []
    for number, segment in enumerate(rounded(path.points, path.radius)):
        letter = "M" if number == 0 else "L" if len(segment) == 1 else "C"
        words.append(letter + _points(segment))
    return "".join(words)


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{decimal(x)},{decimal(y)}" for x, y in points)


def _dashes(mark: Rect | Path) -> str:
    return f' stroke-dasharray="{DASHES[0]} {DASHES[1]}"' if mark.dashed else ""

"""A drawing as a TikZ picture, to be part of a LaTeX document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from archspec.errors import UsageError
from archspec.render.figure.drawing import (
    DASHES,
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
    outline,
)
from archspec.render.figure.metrics import text_width
from archspec.render.figure.tex_text import ESCAPES, escaped
from archspec.text import one_line

HEAD: Final = r"""% {title}
% {engine} FILE makes a page of it. In a document with \usepackage{{tikz}} it is a picture:
% \input{{FILE}}, within \resizebox{{\linewidth}}{{!}}{{...}} if it is too wide.
\ifdefined\tikzpicture\else
  \documentclass[tikz]{{standalone}}
  \begin{{document}}
  \def\archspecend{{\end{{document}}}}
\fi
% Text of the size #1 that is wider than #2 becomes narrower.
\providecommand\archspectext[3]{{\fontsize{{#1}}{{#1}}\sffamily\sbox0{{#3}}%
  \ifdim\wd0>#2\relax\resizebox{{#2}}{{\height}}{{\usebox0}}\else\usebox0\fi}}
"""
"""Beginning of a file, which also compiles by itself."""

TAIL: Final = r"""\end{tikzpicture}%
\ifdefined\archspecend\expandafter\archspecend\fi
"""

LARGEST: Final = 16_000.0
"""Largest side of a picture in points, somewhat less than TeX's largest length."""

MANY: Final = 2_000
"""Number of marks from which pdflatex may have too little memory, which lualatex extends."""

WIDEST: Final = 4_000.0
"""Largest width of a text in points: it may stand anywhere in a picture."""

ANCHORS: Final = {"start": "base west", "middle": "base", "end": "base east"}
"""TikZ's names for the ends of a text."""


def document(drawing: Drawing, look: Look) -> str:
    """Return a drawing as a `tikzpicture`, with a comment that says how to compile it.

    Raises:
        UsageError: It is larger than TeX can draw.

    """
    if max(drawing.width, drawing.height) > LARGEST:
        raise UsageError(
            f"a figure of {drawing.width:,.0f} x {drawing.height:,.0f} points is larger than TeX "
            f"can draw{drawing.advice}"
        )
    title = one_line(drawing.title)
    texts = [one_line(mark.text) for mark in drawing.walk() if isinstance(mark, Text)]
    simple = len(list(drawing.walk())) < MANY and all(map(_is_plain, texts))
    engine = "pdflatex" if simple else "lualatex"
    lines = [
        HEAD.format(title=title, engine=engine) + r"\begin{tikzpicture}[x=1bp, y=-1bp]",
        *(line for tone in drawing.tones() for line in _style(tone, look.theme)),
        rf"\path[archspec paper] (0,0) rectangle {_point((drawing.width, drawing.height))};",
        *_marks(drawing.marks),
    ]
    return "\n".join(lines) + "\n" + TAIL


def _is_plain(text: str) -> bool:
    """Whether pdflatex has all characters of a text."""
    return all(ord(character) < 0x100 or character in ESCAPES for character in text)


def _style(tone: str, theme: str) -> Iterator[str]:
    """Yield the definitions of a tone: its colours, and the style of a mark that has them."""
    fill, stroke = colours(tone, theme)
    parts = {"fill": fill, "draw": stroke}
    named = {key: colour for key, colour in parts.items() if colour != "none"}
    for key, colour in named.items():
        yield rf"\definecolor{{archspec {tone} {key}}}{{HTML}}{{{colour[1:].upper()}}}"
    style = ", ".join(f"{key}=archspec {tone} {key}" for key in named)
    yield rf"\tikzset{{archspec {tone}/.style={{{style}, line width=1bp}}}}"


def _marks(marks: Iterable[Mark]) -> Iterator[str]:
    for mark in marks:
        match mark:
            case Group():
                yield from _marks(mark.marks)
            case Text():
                if mark.text.strip():
                    yield _text(mark)
            case Rect():
                corners = f", rounded corners={decimal(mark.radius)}bp" if mark.radius else ""
                end = _point((mark.x + mark.width, mark.y + mark.height))
                start = _point((mark.x, mark.y))
                yield f"{_path(mark, corners + _dashes(mark))} {start} rectangle {end};"
            case Circle():
                centre = _point((mark.x, mark.y))
                yield f"{_path(mark)} {centre} circle[radius={decimal(mark.radius)}bp];"
            case Polygon():
                yield f"{_path(mark)} {' -- '.join(map(_point, mark.points))} -- cycle;"
            case Path():
                width = "" if mark.width == 1 else f", line width={decimal(mark.width)}bp"
                yield f"{_path(mark, width + _dashes(mark))} {_line(mark)};"
                if mark.arrow and (head := arrow_head(mark.points)):
                    yield from _marks([Polygon(head, mark.head_tone)])


def _text(mark: Text) -> str:
    place = f"anchor={ANCHORS[mark.anchor]}, inner sep=0, text=archspec {mark.tone} fill"
    size, width = mark.size, min(text_width(mark.text, mark.size, bold=mark.bold), WIDEST)
    text = (r"\bfseries " if mark.bold else "") + escaped(mark.text)
    fitted = rf"\archspectext{{{decimal(size)}bp}}{{{decimal(width)}bp}}{{{text}}}"
    return rf"\node[{place}] at {_point((mark.x, mark.y))} {{{fitted}}};"


def _path(mark: Rect | Circle | Polygon | Path, options: str = "") -> str:
    return rf"\path[archspec {mark.tone}{options}]"


def _line(path: Path) -> str:
    words = []
    for segment in outline(path):
        *controls, end = map(_point, segment)
        if controls:
            words.append(f".. controls {' and '.join(controls)} .. {end}")
        else:
            words.append(f"-- {end}" if words else end)
    return " ".join(words)


def _dashes(mark: Rect | Path) -> str:
    return f", dash pattern=on {DASHES[0]}bp off {DASHES[1]}bp" if mark.dashed else ""


def _point(point: Point) -> str:
    return f"({decimal(point[0])},{decimal(point[1])})"

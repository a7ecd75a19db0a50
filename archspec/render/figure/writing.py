"""A figure in every format: SVG, and files by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.render.figure import maps, network, stage_drawing, stage_text
from archspec.render.figure.drawing import Drawing, Group, Mark
from archspec.render.figure.svg import svg

if TYPE_CHECKING:
    from archspec.figure import Figure

STYLES: Final[dict[str, Callable[[Figure], Drawing]]] = {
    "graph": network.drawing,
    "maps": maps.drawing,
    "table": stage_drawing.drawing,
}

TEXTS: Final[dict[str, dict[str, Callable[[Figure], str]]]] = {
    "table": {
        ".txt": stage_text.text,
        ".md": stage_text.markdown,
        ".csv": stage_text.csv,
        ".tex": stage_text.latex,
    }
}
"""Text that a style has of its own, by the suffix of its files."""


def text(figure: Figure) -> str:
    """Return the table; of other styles a line that says what is drawn."""
    own = TEXTS.get(figure.style, {}).get(".txt")
    return own(figure) if own else f"{figure!r}\n"


def markdown(figure: Figure) -> str:
    """Return the table; other styles as SVG, which Markdown takes as it is."""
    own = TEXTS.get(figure.style, {}).get(".md")
    return own(figure) if own else as_svg(figure)


def as_data(figure: Figure) -> dict[str, Any]:
    """Return plain data: the figure's settings and its marks, or what a table says."""
    if figure.style == "table":
        return stage_text.as_data(figure)
    drawn = drawing(figure)
    return {
        "name": figure.name,
        "style": figure.style,
        "depth": figure.depth,
        "width": drawn.width,
        "height": drawn.height,
        "marks": [_mark(mark) for mark in drawn.marks],
    }


def _mark(mark: Mark) -> dict[str, Any]:
    kind = type(mark).__name__.lower()
    if isinstance(mark, Group):
        inside = [_mark(each) for each in mark.marks]
        return {"mark": kind, "path": mark.path, "title": mark.title, "marks": inside}
    return {"mark": kind, **mark._asdict()}


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG document."""
    return svg(drawing(figure))


def drawing(figure: Figure) -> Drawing:
    """Return the marks of a figure, in its style."""
    return STYLES[figure.style](figure)


def write(figure: Figure, path: Path) -> Path:
    """Write a figure to a file in the format of its suffix."""
    forms = {".svg": as_svg, **TEXTS.get(figure.style, {})}
    if path.suffix not in forms:
        raise UsageError(f"{path}: the suffix says what to write: {', '.join(forms)}")
    path.write_text(forms[path.suffix](figure), encoding="utf-8", newline="\n")
    return path

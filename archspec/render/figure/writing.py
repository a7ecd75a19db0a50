"""A figure in every format: as text for a terminal, and as files by their suffix."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec import atomic
from archspec.render.figure import formats
from archspec.render.figure.drawing import Drawing, Group, Look, Mark
from archspec.render.figure.svg import svg

if TYPE_CHECKING:
    from archspec.figure import AnyFigure

STYLES: Final = {
    "graph": "network",
    "maps": "maps",
    "table": "stage_drawing",
    "plot": "plot",
    "difference": "difference",
    "front": "front",
    "roofline": "roofline",
}
"""Modules of this package by style. Each has a function `drawing`, which returns the marks of a
figure."""

TEXTS: Final = {"table": "stage_text"}
"""Modules by style, for styles that are also written without marks. Each has `FORMATS`, functions
by suffix, which return a figure as text and come before the formats of drawings; and `as_data`,
which returns it as plain data."""


def text(figure: AnyFigure, **screen: Any) -> str:
    """Return the figure for a terminal; of one that text cannot show, a line that names it.

    Args:
        figure: The figure.
        screen: Columns (`width`) and whether there are colours (`color`), if it is for a terminal.

    """
    printed = _texts(figure.style).get(".txt")
    return printed(figure, **screen) if printed else f"{figure!r}\n"


def as_data(figure: AnyFigure) -> dict[str, Any]:
    """Return plain data: the figure's settings and its marks, or what a table says."""
    if written := _written(figure.style):
        return dict(written.as_data(figure))
    drawn = drawing(figure)
    return {
        "name": figure.name,
        "style": figure.style,
        "depth": figure.depth,
        "width": drawn.width,
        "height": drawn.height,
        "marks": [_mark(mark) for mark in drawn.marks],
    }


def as_svg(figure: AnyFigure) -> str:
    """Return a figure as an SVG document."""
    return svg(drawing(figure))


def drawing(figure: AnyFigure) -> Drawing:
    """Return the marks of a figure, in its style."""
    drawn: Drawing = import_module(f"{__package__}.{STYLES[figure.style]}").drawing(figure)
    return drawn


def suffixes(style: str) -> tuple[str, ...]:
    """Return the suffixes of files that a figure of a style can be written to."""
    return tuple(dict.fromkeys([*formats.FORMATS, ".json", *_texts(style)]))


def content(
    figure: AnyFigure, suffix: str, *, theme: str = "auto", scale: float = 2.0
) -> str | bytes:
    """Return a figure as the content of a file.

    Args:
        figure: The figure.
        suffix: One of `suffixes`.
        theme: One of `archspec.figure.THEMES`.
        scale: Pixels of a PNG to a point.

    Raises:
        UsageError: The figure is too large for the format.

    """
    if printed := _texts(figure.style).get(suffix):
        return printed(figure)
    if suffix == ".json":
        return json.dumps(as_data(figure), indent=2, allow_nan=False) + "\n"
    return formats.encoded(drawing(figure), suffix, Look(theme, scale))


def write(figure: AnyFigure, path: Path, **look: Any) -> Path:
    """Write a figure to a file in the format of its suffix, and return its path.

    Args:
        figure: The figure.
        path: The file.
        look: `theme` and `scale` (see `content`).

    Raises:
        UsageError: There is no such format, or the file cannot be written.

    """
    formats.check_suffix(path, suffixes(figure.style))
    return atomic.save(path, content(figure, path.suffix, **look))


def _texts(style: str) -> Mapping[str, Callable[..., str]]:
    written = _written(style)
    return written.FORMATS if written else {}


def _written(style: str) -> Any:
    """Return the module that writes figures of a style without marks, if there is one."""
    return import_module(f"{__package__}.{TEXTS[style]}") if style in TEXTS else None


def _mark(mark: Mark) -> dict[str, Any]:
    kind = type(mark).__name__.lower()
    if isinstance(mark, Group):
        inside = [_mark(each) for each in mark.marks]
        return {"mark": kind, "path": mark.path, "title": mark.title, "marks": inside}
    return {"mark": kind, **mark._asdict()}

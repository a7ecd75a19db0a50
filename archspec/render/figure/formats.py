"""A drawing in the formats of files, each of which is a module that is imported on use."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any, Final

from archspec.render.figure.drawing import Drawing, Group, Look, Mark

FORMATS: Final = {
    ".svg": "svg",
    ".pdf": "pdf",
    ".png": "png",
    ".html": "page",
    ".tex": "tex",
    ".json": "formats",
}
"""Modules of this package by the suffix of what they write. Each has a function `document`, which
returns a drawing as the text or the bytes of a file."""


def encoded(drawing: Drawing, suffix: str, look: Look | None = None) -> str | bytes:
    """Return a drawing as the content of a file.

    Args:
        drawing: The drawing.
        suffix: A key of `FORMATS`.
        look: Its ground and size. Default: light or dark as its viewer prefers, twice the size.

    """
    module = import_module(f"{__package__}.{FORMATS[suffix]}")
    content: str | bytes = module.document(drawing, look or Look())
    return content


def document(drawing: Drawing, _: Look) -> str:
    """Return a drawing as JSON: every mark with its place in points."""
    return json.dumps(as_data(drawing), indent=2, allow_nan=False) + "\n"


def as_data(drawing: Drawing) -> dict[str, Any]:
    """Return a drawing as plain data."""
    return {
        "title": drawing.title,
        "width": drawing.width,
        "height": drawing.height,
        "marks": [_mark(mark) for mark in drawing.marks],
    }


def _mark(mark: Mark) -> dict[str, Any]:
    kind = type(mark).__name__.lower()
    if isinstance(mark, Group):
        inside = [_mark(each) for each in mark.marks]
        return {"mark": kind, "path": mark.path, "title": mark.title, "marks": inside}
    return {"mark": kind, **mark._asdict()}

"""A drawing in the formats of files, each of which is a module that is imported on use."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

from archspec.errors import UsageError
from archspec.render.figure.drawing import Drawing, Look

FORMATS: Final = {".svg": "svg", ".pdf": "pdf", ".png": "png", ".html": "page", ".tex": "tex"}
"""Modules of this package by the suffix of what they write. Each has a function `document`, which
returns a drawing as the text or the bytes of a file."""


def encoded(drawing: Drawing, suffix: str, look: Look | None = None) -> str | bytes:
    """Return a drawing as the content of a file.

    Args:
        drawing: The drawing.
        suffix: A key of `FORMATS`.
        look: Its ground and size. Default: light or dark as its viewer prefers, twice the size.

    Raises:
        UsageError: The drawing is too large for the format.

    """
    module = import_module(f"{__package__}.{FORMATS[suffix]}")
    content: str | bytes = module.document(drawing, look or Look())
    return content


def check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise `UsageError` if a path has none of the suffixes."""
    if path.suffix not in suffixes:
        raise UsageError(f"{path}: the suffix says what to write: {', '.join(suffixes)}")

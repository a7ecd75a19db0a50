"""A drawing as a PDF of one page, on which a point of the drawing is a point of paper."""

from __future__ import annotations

from typing import Final

from archspec.render.figure import canvas
from archspec.render.figure.drawing import Drawing, Look
from archspec.text import one_line

LARGEST: Final = 14_400.0
"""Largest width and height of a page that all viewers show; a larger drawing is made smaller."""


def document(drawing: Drawing, look: Look) -> bytes:
    """Return a drawing as a PDF: its text can be searched and copied."""
    unit = min(1.0, LARGEST / max(drawing.width, drawing.height))
    about = {
        "Title": one_line(drawing.title),
        "Subject": one_line(drawing.description),
        "Creator": "archspec",
        "Producer": None,
        "CreationDate": None,  # the same figure is the same bytes
    }
    return canvas.rendered(drawing, "pdf", look, about, unit)

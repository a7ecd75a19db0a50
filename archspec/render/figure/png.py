"""A drawing as a PNG: the only format without text and of a fixed size."""

from __future__ import annotations

import math
from typing import Final

from archspec.errors import UsageError
from archspec.render.figure import canvas
from archspec.render.figure.drawing import Drawing, Look
from archspec.text import one_line

MOST_PIXELS: Final = 2**26
"""Largest number of pixels, which take 4 bytes each while they are drawn."""

LONGEST: Final = 2**16 - 1
"""Largest number of pixels across or down that matplotlib draws."""


def document(drawing: Drawing, look: Look) -> bytes:
    """Return a drawing as a PNG with `look.scale` pixels to a point.

    Raises:
        UsageError: It would be too large.

    """
    width, height = drawing.width * look.scale, drawing.height * look.scale  # may be infinite
    if width * height > MOST_PIXELS or max(width, height) > LONGEST:
        largest = min(
            math.sqrt(MOST_PIXELS / (drawing.width * drawing.height)),
            LONGEST / max(drawing.width, drawing.height),
        )
        raise UsageError(
            f"a PNG of {width:,.0f} x {height:,.0f} pixels would be too large; `scale=` can be up "
            f"to {math.floor(largest * 100) / 100:g}, and SVG and PDF have no such limit"
            f"{drawing.advice}"
        )
    about = {"Title": one_line(drawing.title), "Software": "archspec"}
    return canvas.rendered(drawing, "png", look, about)

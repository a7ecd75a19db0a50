"""A network's worst mistakes as a picture: each image with what is right and what was said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from archspec.render.figure.metrics import text_width
from archspec.render.figures import INK, QUIET, head, picture
from archspec.text import label

COLUMNS: Final = 6
"""Largest number of images in a row."""

SIDE: Final = 1.05
"""Inches of an image."""

TEXT: Final = 0.42
"""Inches of the two lines below it."""

GAP: Final = 0.3
APART: Final = 0.08
"""Least inches between the texts of two images."""

SIZE: Final = 9
"""Size of the font of a text that fits."""

LEFT: Final = 0.3
TOP: Final = 0.75


def write_mistakes(
    captions: Sequence[tuple[str, str]],
    pictures: Sequence[Any],
    title: str,
    heading: str,
    *files: Path,
) -> None:
    """Draw the images, the worst mistake first: below each what is right, and what was said.

    Args:
        captions: Both texts of each mistake.
        pictures: Their images as bytes, each (height, width, channels).
        title: The picture's title.
        heading: The line below it.
        files: Paths of the picture.

    """
    columns = min(COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width = max(2 * LEFT + columns * SIDE + (columns - 1) * GAP, 3.6)
    height = TOP + rows * (SIDE + TEXT + GAP)
    with picture(width, height, files, [title, *chain(*captions)]) as figure:
        head(figure, label(title, 40), LEFT, below=heading)
        # One pair of axes, in inches: making one for each image takes longer than drawing all.
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        for place, ((right, said), image) in enumerate(zip(captions, pictures, strict=True)):
            row, column = divmod(place, columns)
            x = LEFT + column * (SIDE + GAP)
            y = height - TOP - row * (SIDE + TEXT + GAP) - SIDE
            axes.imshow(
                image.squeeze(),
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="none",
                aspect="auto",
                extent=_within(x, y, *image.shape[:2]),
            )
            for line, (text, colour) in enumerate(((right, INK), (said, QUIET))):
                size = min(SIZE, SIZE * 72 * (SIDE + GAP - APART) / text_width(text, SIZE))
                figure.text(
                    (x + SIDE / 2) / width,
                    (y - 0.06 - 0.16 * line) / height,
                    text,
                    ha="center",
                    va="top",
                    color=colour,
                    fontsize=size,
                )
        axes.set(xlim=(0, width), ylim=(0, height))


def _within(x: float, y: float, rows: int, columns: int) -> tuple[float, float, float, float]:
    """Return the left, right, lower and upper edge of an image in the middle of its square."""
    wide, high = (SIDE * pixels / max(rows, columns) for pixels in (columns, rows))
    left, lower = x + (SIDE - wide) / 2, y + (SIDE - high) / 2
    return left, left + wide, lower, lower + high

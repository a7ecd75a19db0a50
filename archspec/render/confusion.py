"""The confusion matrix as a picture, SVG and PNG: which class is taken for which."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.evaluation.scores import Scores
from archspec.lazy import np
from archspec.render.figures import INK, QUIET, head, picture
from archspec.text import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

COUNTED: Final = 20
"""Most classes of which each cell holds its count."""

NAMED: Final = 100
"""Most classes whose names stand on the axes."""

FINEST: Final = 400
"""Most dots across the matrix; of more classes, a dot is several."""

COUNTED_CELL: Final = 0.42
NAMED_CELL: Final = 0.115
SMALLEST: Final = 1.4
UNNAMED: Final = 6.5
"""Inches: a cell with its count, a cell beside its name, and a matrix at least or without names."""

LETTER: Final = 0.08
"""Inches that a letter takes, at the usual size of nine points."""

LEFT: Final = 0.2
TOP: Final = 0.85
BOTTOM: Final = 0.45

MARKS: Final = (0, 0.01, 0.05, 0.2, 0.5, 1)
"""Shares that are named beside the shades."""


def write_confusion(scores: Scores, title: str, *files: Path) -> None:
    """Draw the confusion matrix: a row is a true class, a column a predicted one.

    The greater a cell's share of its row, the darker it is. The shade follows the root of the
    share, so that mistakes are seen beside what is right.
    """
    classes = len(scores.classes)
    counted, named = classes <= COUNTED, classes <= NAMED
    names = [label(name) for name in scores.classes] if named else []
    side = max(COUNTED_CELL * classes, SMALLEST) if counted else UNNAMED
    if named and not counted:
        side = max(side, NAMED_CELL * classes)
    size = min(9.0, 72 * 0.8 * side / classes)
    longest = LETTER * size / 9 * max(map(_letters, names), default=0)
    # Names that are wider than their columns are turned.
    turn = 0 if longest < 0.9 * side / classes else 45 if counted else 90
    below = {0: 0.15, 45: 0.75 * longest + 0.1, 90: longest}[turn] if named else 0.0
    left = LEFT + 0.3 + longest
    width = max(left + side + 0.9, 4.2)
    height = TOP + side + below + BOTTOM
    bottom = (BOTTOM + below) / height
    with picture(width, height, files, [title, *names]) as figure:
        shares, together = _shares(scores)
        line = f"accuracy {scores.accuracy:.2%} of {scores.images:,} images"
        if together > 1:
            line += f"; a dot is the highest of {together} x {together} classes"
        head(figure, label(title, int(width / LETTER * 0.75)), LEFT, below=line)
        axes = figure.add_axes((left / width, bottom, side / width, side / height))
        image = _shade(axes, shares, together)
        many = "" if named else f" ({classes:,} classes)"
        axes.set(xlim=(-0.5, classes - 0.5), ylim=(classes - 0.5, -0.5))
        axes.set(xlabel=f"predicted{many}", ylabel=f"true class{many}")
        axes.set_yticks(range(len(names)), names, fontsize=size)
        axes.set_xticks(
            range(len(names)),
            names,
            fontsize=size,
            rotation=turn,
            rotation_mode="anchor" if turn else None,
            ha="right" if turn else "center",
            va={0: "top", 45: "top", 90: "center"}[turn],
        )
        if counted:
            _counts(axes, scores)
        else:
            beside = figure.add_axes(
                ((left + side + 0.15) / width, bottom, 0.15 / width, side / height)
            )
            bar = figure.colorbar(image, cax=beside, ticks=list(MARKS))
            bar.ax.set_yticklabels([f"{mark:.0%}" for mark in MARKS])
            bar.ax.set_title("of row", fontsize=8, loc="left")


def _letters(name: str) -> int:
    """Return the width of a name in letters: East Asian ones count as two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in {"W", "F"}) for letter in name)


def _shares(scores: Scores) -> tuple[Any, int]:
    """(dots, dots) shares of the rows, and the number of classes in each direction of a dot.

    Such a dot shows the highest of its shares, so that no mistake is lost.
    """
    classes = len(scores.classes)
    together = -(-classes // FINEST)
    dots = -(-classes // together)
    images = Counter[int]()
    for cell in scores.cells:
        images[cell.truth] += cell.images
    shares = np.zeros((dots, dots))
    for cell in scores.cells:
        place = cell.truth // together, cell.predicted // together
        shares[place] = max(shares[place], cell.images / images[cell.truth])
    return shares, together


def _shade(axes: Axes, shares: Any, together: int) -> AxesImage:
    from matplotlib.colors import PowerNorm  # noqa: PLC0415

    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[["right", "top"]].set_visible(True)
    end = together * len(shares) - 0.5  # the last dot may be of fewer classes
    return axes.imshow(
        shares,
        cmap="Blues",
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        extent=(-0.5, end, end, -0.5),
        interpolation="none",
    )


def _counts(axes: Axes, scores: Scores) -> None:
    """The images of each cell that has some and, beside each row, the share that is right."""
    longest = max(len(f"{cell.images:,}") for cell in scores.cells)
    size = min(9.0, 72 * COUNTED_CELL * 0.9 / (0.65 * longest))
    per_class = scores.per_class()
    for cell in scores.cells:
        light = cell.images > 0.36 * per_class[cell.truth].images
        axes.text(
            cell.predicted,
            cell.truth,
            f"{cell.images:,}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if light else INK,
        )
    right = len(per_class) - 0.5
    for place, score in enumerate(per_class):
        recall = "-" if score.recall is None else f"{score.recall:.1%}"
        axes.annotate(
            recall, (right, place), (6, 0), textcoords="offset points", va="center", color=QUIET
        )
    axes.annotate(
        "recall", (right, -0.5), (6, 4), textcoords="offset points", va="bottom", color=QUIET
    )

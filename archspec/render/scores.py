"""`Scores` as tables: for a terminal, as wide as it is, and in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from archspec.evaluation.scores import Cell, ClassScore, Scores
from archspec.render import table as tables
from archspec.render.table import GAP, Style
from archspec.text import LONGEST_LABEL as LONGEST
from archspec.text import label

PAGE: Final = 100
"""Width of a table where there is no terminal."""

FEW: Final = 20
"""Most classes that are all shown; of more, the worst."""

MOST: Final = 10
"""How many of the worst classes, and of the mistakes, are shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as `archspec.render.table` wants it."""

    name: str
    title: str
    left: bool = False
    rank: int = 0
    """The higher, the sooner a narrow terminal goes without it."""


CLASS: Final = Column("class", "class", left=True)

MEASURES: Final = (
    Column("recall", "recall"),
    Column("precision", "precision", rank=2),
    Column("f1", "F1", rank=1),
    Column("images", "images", rank=3),
)

MISTAKES: Final = (
    Column("class", "class", left=True),
    Column("taken", "taken for", left=True),
    Column("images", "images"),
    Column("share", "of the class", rank=1),
)


def text(scores: Scores, *, width: int | None = None, color: bool = False) -> str:
    """The figures of the whole and, of few classes, the confusion matrix.

    Of many, or where the terminal is too narrow, the worst classes and the commonest mistakes.
    """
    style = Style(color)
    head = textwrap.fill(headline(scores), max(width or PAGE, 20))
    parts = [head, _matrix(scores, style, width or PAGE)]
    if not parts[-1]:
        shown = _shown(scores)
        rows = [_cells(score) for score in shown]
        heading = "" if len(shown) == len(scores.classes) else style.bold("worst classes") + "\n"
        columns = (CLASS, *MEASURES)
        body = tables.table(columns, rows, style, names="class", width=width)
        parts[-1] = heading + body
        if mistakes := scores.confused(MOST):
            longest = max(8, min(LONGEST, ((width or PAGE) - len("images")) // 2 - len(GAP)))
            rows = [_mistake(cell, scores, longest) for cell in mistakes]
            body = tables.table(MISTAKES, rows, style, names="class", width=width)
            parts.append(style.bold("commonest mistakes") + "\n" + body)
    return "\n\n".join(parts) + "\n"


def markdown(scores: Scores) -> str:
    """The figures of the whole, the classes (of many, the worst), and the commonest mistakes."""
    shown = _shown(scores)
    means = [("mean of classes", scores.macro()), ("mean of images", scores.weighted())]
    sums = [
        [f"**{name}**", *map(_share, (mean.recall, mean.precision, mean.f1)), ""]
        for name, mean in means
    ]
    sums[-1][-1] = f"{scores.images:,}"
    lines = [headline(scores) + ".", ""]
    if len(shown) < len(scores.classes):
        lines += [f"The worst {len(shown)} of {len(scores.classes):,} classes:", ""]
    lines += tables.markdown((CLASS, *MEASURES), [*map(_cells, shown), *sums])
    if mistakes := scores.confused(MOST):
        lines += ["", "The commonest mistakes:", ""]
        lines += tables.markdown(MISTAKES, [_mistake(cell, scores) for cell in mistakes])
    return "\n".join(lines) + "\n"


def headline(scores: Scores) -> str:
    """One line: the figures of the whole."""
    images = "image" if scores.images == 1 else "images"
    figures = [f"accuracy {scores.accuracy:.2%} of {scores.images:,} {images}"]
    figures += [f"top-{k} {share:.2%}" for k, share in scores.top_k.items()]
    figures += [f"macro F1 {scores.macro().f1:.2%}{_of_present(scores)}"]
    figures += [f"calibration error {scores.calibration_error:.2%}"]
    return ", ".join(figures)


def _of_present(scores: Scores) -> str:
    """Of how many classes a mean is, where some have no images."""
    present = scores.present
    if present == len(scores.classes):
        return ""
    return f" (of the {present:,} of {len(scores.classes):,} classes with images)"


def _matrix(scores: Scores, style: Style, width: int) -> str:
    """The confusion matrix with the measures of each class; nothing where it does not fit.

    Columns are headed by the names where these are short enough, else by the numbers of the rows.
    """
    classes = len(scores.classes)
    if classes > FEW:
        return ""
    counts = [["."] * classes for _ in range(classes)]
    for cell in scores.cells:
        counts[cell.truth][cell.predicted] = f"{cell.images:,}"
    names = [label(name) for name in scores.classes]
    numbers = [str(number) for number in range(1, classes + 1)]
    digits = len(numbers[-1])
    numbered = [f"{n:>{digits}} {name}" for n, name in zip(numbers, names, strict=True)]
    for titles, heads in ((names, names), (numbers, numbered)):
        rooms = [max(map(len, column)) for column in zip(titles, *counts, strict=True)]
        first = max(len("true class"), *map(len, heads))
        needed = first + sum(rooms) + len(GAP) * (classes + 1) + len("recall")
        if needed <= width:
            columns = [
                Column("class", "true class", left=True),
                *(Column(f"taken for {i}", title) for i, title in enumerate(titles)),
                *MEASURES,
            ]
            rows = [
                [head, *row, *_cells(score)[1:]]
                for head, row, score in zip(heads, counts, scores.per_class(), strict=True)
            ]
            return tables.table(columns, rows, style, names="class", width=width)
    return ""


def _shown(scores: Scores) -> list[ClassScore]:
    """All classes if they are few, else those of the lowest F1 among those with images."""
    found = scores.per_class()
    if len(found) <= FEW:
        return found
    with_images = [score for score in found if score.images]
    return sorted(with_images, key=lambda score: (score.f1 or 0.0, -score.images))[:MOST]


def _cells(score: ClassScore) -> Sequence[str]:
    shares = map(_share, (score.recall, score.precision, score.f1))
    return [label(score.name), *shares, f"{score.images:,}"]


def _mistake(cell: Cell, scores: Scores, longest: int = LONGEST) -> Sequence[str]:
    images = sum(each.images for each in scores.cells if each.truth == cell.truth)
    names = (label(scores.classes[place], longest) for place in (cell.truth, cell.predicted))
    return [*names, f"{cell.images:,}", _share(cell.images / images)]


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

"""Scores as text and Markdown: figures of the whole, classes, and mistakes."""

from __future__ import annotations

from typing import Final

from archspec.evaluation.class_score import ClassScore
from archspec.evaluation.scores import Cell, Scores
from archspec.render.table import GAP, PAGE, Column, PrintedTable, Style, prose
from archspec.text import LONGEST_LABEL as LONGEST
from archspec.text import counted, label

FEW: Final = 20
"""Most classes that are all shown; of more, the worst."""

MOST: Final = 10
"""Most of the worst classes, and of the mistakes, that are shown."""

CLASS: Final = Column("class", "class", left=True, shortens=True)

MEASURES: Final = (
    Column("recall", "recall"),
    Column("precision", "precision", rank=2),
    Column("f1", "F1", rank=1),
    Column("images", "images", rank=3),
)

MISTAKES: Final = (
    CLASS,
    Column("taken", "taken for", left=True),
    Column("images", "images"),
    Column("share", "of the class", rank=1),
)


def text(scores: Scores, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of the whole and, of few classes, the confusion matrix.

    Of many, or where the terminal is too narrow, the worst classes and the commonest mistakes.
    """
    style = Style(color)
    parts = ["\n".join(prose(headline(scores), width))]
    if matrix := _matrix(scores, width or PAGE):
        parts.append(matrix.text(style, width))
    else:
        shown = _shown(scores)
        heading = "" if len(shown) == len(scores.classes) else style.bold("worst classes") + "\n"
        parts.append(heading + _classes(shown).text(style, width))
        longest = max(8, min(LONGEST, ((width or PAGE) - len("images")) // 2 - len(GAP)))
        mistakes = _mistakes(scores, longest)
        if mistakes.rows:
            parts.append(f"{style.bold('commonest mistakes')}\n{mistakes.text(style, width)}")
    return "\n\n".join(parts) + "\n"


def markdown(scores: Scores) -> str:
    """Return the figures of the whole, the classes (of many, the worst), and the mistakes."""
    shown = _shown(scores)
    macro, weighted = (
        [f"**mean of {name}**", *map(_share, (mean.recall, mean.precision, mean.f1))]
        for name, mean in (("classes", scores.macro()), ("images", scores.weighted()))
    )
    lines = [headline(scores) + ".", ""]
    if len(shown) < len(scores.classes):
        lines += [f"The worst {len(shown)} of {len(scores.classes):,} classes:", ""]
    lines.append(_classes(shown, [*macro, ""], [*weighted, f"{scores.images:,}"]).markdown())
    mistakes = _mistakes(scores, LONGEST)
    if mistakes.rows:
        lines += ["", "The commonest mistakes:", "", mistakes.markdown()]
    return "\n".join(lines) + "\n"


def headline(scores: Scores) -> str:
    """Return the figures of the whole in one line."""
    figures = [f"accuracy {scores.accuracy:.2%} of {counted(scores.images, 'image')}"]
    figures += [f"top-{k} {share:.2%}" for k, share in scores.top_k.items()]
    figures += [f"macro F1 {scores.macro().f1:.2%}{_of_present(scores)}"]
    figures += [f"calibration error {scores.calibration_error:.2%}"]
    return ", ".join(figures)


def _of_present(scores: Scores) -> str:
    """Return the number of classes in a mean, if some have no images."""
    present = scores.present
    if present == len(scores.classes):
        return ""
    return f" (of the {present:,} of {len(scores.classes):,} classes with images)"


def _matrix(scores: Scores, width: int) -> PrintedTable | None:
    """Return the confusion matrix with the measures of each class; None where it does not fit.

    Columns are headed by the names where these are short enough, else by the numbers of the rows.
    """
    classes = len(scores.classes)
    if classes > FEW:
        return None
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
                CLASS._replace(title="true class"),
                *(Column(f"taken for {i}", title) for i, title in enumerate(titles)),
                *MEASURES,
            ]
            rows = [
                [head, *row, *_class(score)[1:]]
                for head, row, score in zip(heads, counts, scores.per_class(), strict=True)
            ]
            return PrintedTable(columns, rows)
    return None


def _shown(scores: Scores) -> list[ClassScore]:
    """Return all classes if they are few, else those of the lowest F1 among those with images."""
    per_class = scores.per_class()
    if len(per_class) <= FEW:
        return per_class
    with_images = [score for score in per_class if score.images]
    return sorted(with_images, key=lambda score: (score.f1 or 0.0, -score.images))[:MOST]


def _classes(shown: list[ClassScore], *means: list[str]) -> PrintedTable:
    return PrintedTable((CLASS, *MEASURES), [*map(_class, shown), *means])


def _class(score: ClassScore) -> list[str]:
    shares = map(_share, (score.recall, score.precision, score.f1))
    return [label(score.name), *shares, f"{score.images:,}"]


def _mistakes(scores: Scores, longest: int) -> PrintedTable:
    """Return the commonest mistakes, names of classes cut to `longest` characters."""
    return PrintedTable(
        MISTAKES, [_mistake(cell, scores, longest) for cell in scores.confused(MOST)]
    )


def _mistake(cell: Cell, scores: Scores, longest: int) -> list[str]:
    images = sum(each.images for each in scores.cells if each.truth == cell.truth)
    names = (label(scores.classes[place], longest) for place in (cell.truth, cell.predicted))
    return [*names, f"{cell.images:,}", _share(cell.images / images)]


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

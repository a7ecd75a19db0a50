"""Scores of sets of labels as text and Markdown: of whole sets, and label by label."""

from __future__ import annotations

from typing import Final

from archspec.evaluation.label_scores import LabelScore, LabelScores
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import counted, label

MOST: Final = 20
"""Largest number of labels that are shown: those with the lowest F1."""

COLUMNS: Final = (
    Column("label", "label", left=True, shortens=True),
    Column("recall", "recall"),
    Column("precision", "precision", rank=2),
    Column("f1", "F1", rank=1),
    Column("average_precision", "average precision", rank=3),
    Column("images", "images", rank=4),
)


def text(scores: LabelScores, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of the whole, and those of each label."""
    figures = "\n".join(prose(headline(scores), width))
    return f"{figures}\n\n{table(scores).text(Style(color), width)}\n"


def markdown(scores: LabelScores) -> str:
    """Return the figures of the whole, and those of each label."""
    return f"{headline(scores)}.\n\n{table(scores).markdown()}\n"


def headline(scores: LabelScores) -> str:
    """Return the figures of the whole in one line."""
    figures = ", ".join(
        f"{name.replace('_', ' ').replace('f1', 'F1')} {figure:.2%}"
        for name, figure in scores.figures.items()
    )
    more = len(scores.labels) - MOST
    worst = f"; the worst {MOST} of {len(scores.labels):,} labels" if more > 0 else ""
    images = counted(scores.images, "image")
    return f"{figures} over {images}, at the threshold {scores.threshold:g}{worst}"


def table(scores: LabelScores) -> PrintedTable:
    """Return a row for each label, or for the worst of many among those that occur."""
    shown = scores.labels
    if len(shown) > MOST:
        occurring = (each for each in shown if each.images)
        shown = tuple(sorted(occurring, key=lambda each: each.f1 or 0.0)[:MOST])
    return PrintedTable(COLUMNS, [_row(each) for each in shown])


def _row(score: LabelScore) -> list[str]:
    shares = (score.recall, score.precision, score.f1, score.average_precision)
    told = ["-" if share is None else f"{share:.1%}" for share in shares]
    return [label(score.name), *told, f"{score.images:,}"]

"""Scores of sets of labels, or of numbers, as text and Markdown: of the whole, and one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from archspec.evaluation.label_scores import LabelScores
from archspec.evaluation.number_scores import NumberScores
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import counted, label

OutputScores: TypeAlias = LabelScores | NumberScores

MOST: Final = 20
"""Largest number of labels or values that are shown: those with the lowest F1 or r2."""

LABELS: Final = (
    Column("label", "label", left=True, shortens=True),
    Column("recall", "recall"),
    Column("precision", "precision", rank=2),
    Column("f1", "F1", rank=1),
    Column("average_precision", "average precision", rank=3),
    Column("images", "images", rank=4),
)

VALUES: Final = (
    Column("value", "value", left=True, shortens=True),
    Column("mae", "mae"),
    Column("rmse", "rmse"),
    Column("r2", "r2"),
    Column("mean_mae", "mae of the mean", rank=1),
    Column("mean_rmse", "rmse of the mean", rank=2),
)


def text(scores: OutputScores, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of the whole, and those of each label or value."""
    figures = "\n".join(prose(headline(scores), width))
    return f"{figures}\n\n{table(scores).text(Style(color), width)}\n"


def markdown(scores: OutputScores) -> str:
    """Return the figures of the whole, and those of each label or value."""
    return f"{headline(scores)}.\n\n{table(scores).markdown()}\n"


def headline(scores: OutputScores) -> str:
    """Return the figures of the whole in one line."""
    if isinstance(scores, LabelScores):
        form, noun, outputs = "{:.2%}", "labels", len(scores.labels)
        at = f", at the threshold {scores.threshold:g}"
    else:
        form, noun, outputs, at = "{:.4g}", "values", len(scores.values), ""
    figures = ", ".join(
        f"{name.replace('_', ' ').replace('f1', 'F1')} {form.format(figure)}"
        for name, figure in scores.figures.items()
    )
    worst = f"; the worst {MOST} of {outputs:,} {noun}" if outputs > MOST else ""
    return f"{figures} over {counted(scores.images, 'image')}{at}{worst}"


def table(scores: OutputScores) -> PrintedTable:
    """Return a row for each label or value; of many, for the worst, and labels that occur."""
    if isinstance(scores, LabelScores):
        return PrintedTable(LABELS, list(_labels(scores)))
    return PrintedTable(VALUES, list(_values(scores)))


def _labels(scores: LabelScores) -> Iterator[list[str]]:
    shown = scores.labels
    if len(shown) > MOST:
        occurring = (each for each in shown if each.images)
        shown = tuple(sorted(occurring, key=lambda each: each.f1 or 0.0)[:MOST])
    for each in shown:
        shares = (each.recall, each.precision, each.f1, each.average_precision)
        told = ["-" if share is None else f"{share:.1%}" for share in shares]
        yield [label(each.name), *told, f"{each.images:,}"]


def _values(scores: NumberScores) -> Iterator[list[str]]:
    shown = scores.values
    if len(shown) > MOST:
        shown = tuple(sorted(shown, key=lambda each: 1.0 if each.r2 is None else each.r2)[:MOST])
    for each in shown:
        r2 = "-" if each.r2 is None else f"{each.r2:.3f}"
        mean = f"{each.mean_mae:.4g}", f"{each.mean_rmse:.4g}"
        yield [label(each.name), f"{each.mae:.4g}", f"{each.rmse:.4g}", r2, *mean]

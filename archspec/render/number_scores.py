"""Scores of a regression as text and Markdown: errors of each value beside those of its mean."""

from __future__ import annotations

from typing import Final

from archspec.evaluation.number_scores import NumberScores, ValueScore
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import counted, label

MOST: Final = 20
"""Largest number of values that are shown: those with the lowest r2."""

COLUMNS: Final = (
    Column("value", "value", left=True, shortens=True),
    Column("mae", "mae"),
    Column("rmse", "rmse"),
    Column("r2", "r2"),
    Column("mean_mae", "mae of the mean", rank=1),
    Column("mean_rmse", "rmse of the mean", rank=2),
)


def text(scores: NumberScores, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of the whole, and those of each value."""
    figures = "\n".join(prose(headline(scores), width))
    return f"{figures}\n\n{table(scores).text(Style(color), width)}\n"


def markdown(scores: NumberScores) -> str:
    """Return the figures of the whole, and those of each value."""
    return f"{headline(scores)}.\n\n{table(scores).markdown()}\n"


def headline(scores: NumberScores) -> str:
    """Return the figures of the whole in one line."""
    figures = ", ".join(f"{name} {figure:.4g}" for name, figure in scores.figures.items())
    more = len(scores.values) - MOST
    worst = f"; the worst {MOST} of {len(scores.values):,} values" if more > 0 else ""
    return f"{figures} over {counted(scores.images, 'image')}{worst}"


def table(scores: NumberScores) -> PrintedTable:
    """Return a row for each value, or for the worst of many."""
    shown = scores.values
    if len(shown) > MOST:
        shown = tuple(sorted(shown, key=lambda each: 1.0 if each.r2 is None else each.r2)[:MOST])
    return PrintedTable(COLUMNS, [_row(each) for each in shown])


def _row(value: ValueScore) -> list[str]:
    r2 = "-" if value.r2 is None else f"{value.r2:.3f}"
    mean = f"{value.mean_mae:.4g}", f"{value.mean_rmse:.4g}"
    return [label(value.name), f"{value.mae:.4g}", f"{value.rmse:.4g}", r2, *mean]

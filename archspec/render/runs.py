"""A comparison of runs as text, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from archspec.data.task import TaskKind
from archspec.render.table import Column, PrintedTable, Style, wrapped
from archspec.runs.comparison import SEEDS, Figures, RunComparison, RunEntry
from archspec.text import csv_lines, duration, label, printable

LONGEST: Final = 48
"""Characters of an entry's name that are shown."""


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


NAME: Final = Column("name", "run", left=True, shortens=True)
COUNT: Final = Column("runs", "runs", rank=1)

FIGURES: Final = (
    Column("epochs", "epochs", _whole, rank=4),
    Column("best_epoch", "best epoch", _whole, rank=5),
    Column("validation", "validation, last", "{:.2%}".format, rank=6),
    Column("best", "validation, best", "{:.2%}".format, rank=2),
    Column("test", "test", "{:.2%}".format),
    Column("params", "params", _whole, rank=3),
    Column("seconds", "time", duration, rank=7),
    Column("images_per_second", "images/s", "{:,.0f}".format, rank=8),
)
"""A column for each field of `Figures`."""

_MEANING: Final[Mapping[TaskKind, str]] = {
    "classification": "Validation and test are accuracies",
    "multi_label": "Validation and test are the shares of right answers about labels",
    "regression": "Validation and test are mean absolute errors (mae)",
}

SPREADS: Final = ("validation", "best", "test")
"""Figures that several runs show with the standard deviation beside their mean."""


def text(comparison: RunComparison, *, width: int | None = None, color: bool = False) -> str:
    """Return the table, and below it which runs are one line and what the figures are."""
    style = Style(color)
    below = [line for each in _below(comparison) for line in wrapped(printable(each), width)]
    table = _table(comparison).text(style, width)
    return "\n".join([table, "", *map(style.dim, below)]) + "\n"


def markdown(comparison: RunComparison) -> str:
    """Return the table, and below it which runs are one line and what the figures are."""
    below = [f"- {printable(line)}" for line in _below(comparison)]
    return "\n".join([_table(comparison).markdown(), "", *below]) + "\n"


def csv(comparison: RunComparison) -> str:
    """Return a line for every run, of plain numbers."""
    rows: list[list[object]] = [
        ["entry", "folder", "network", "outcome", *SEEDS, *Figures._fields],
        *(
            [
                entry.name,
                str(each.run.folder),
                each.run.name,
                each.run.outcome,
                *(each.settings[key] for key in SEEDS),
                *each.figures,
            ]
            for entry in comparison.entries
            for each in entry.runs
        ),
    ]
    return csv_lines(rows)


def _table(comparison: RunComparison) -> PrintedTable:
    several = any(len(entry.runs) > 1 for entry in comparison.entries)
    columns = [NAME, *([COUNT] if several else []), *(each._replace(text=str) for each in FIGURES)]
    rows = [
        [
            label(entry.name, LONGEST),
            *([len(entry.runs)] if several else []),
            *(
                _figure(column, entry, numbers=comparison.task == "regression")
                for column in FIGURES
            ),
        ]
        for entry in comparison.entries
    ]
    return PrintedTable(columns, rows)


def _figure(column: Column, entry: RunEntry, *, numbers: bool) -> str:
    mean, deviation = entry.figure(column.name)
    if mean is None:
        return "-"
    spread = deviation is not None and column.name in SPREADS
    text = "{:.4g}".format if column.name in SPREADS and numbers else column.text
    return text(mean) + (f" ± {text(deviation)}" if spread else "")


def _below(comparison: RunComparison) -> Sequence[str]:
    """Explanations of the table's figures, and of the runs that are one line."""
    lines = [_MEANING[comparison.task] + "; the best epoch's model is tested."]
    together = [entry for entry in comparison.entries if len(entry.runs) > 1]
    if together:
        alike = "network and recipe, all but the seed" if comparison.by == "recipe" else "network"
        lines[0] += f" A line is the mean of runs of the same {alike}, ± their standard deviation:"
        for entry in together:
            named = (
                f"{each.run.folder} (seed {seed})"
                for each, seed in zip(entry.runs, entry.seeds, strict=True)
            )
            lines.append(f"{entry.name}: {', '.join(named)}")
    return [*lines, *comparison.notes]

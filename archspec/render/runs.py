"""`RunComparison` as a table: for a terminal, in Markdown, as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from archspec.render import table as tables
from archspec.render.table import Style, wrapped
from archspec.runs.comparison import SEEDS, Figures, RunComparison, RunEntry
from archspec.text import csv_lines, duration, label, printable

LONGEST: Final = 48
"""Characters of an entry's name that are shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `text` is how a person reads its value."""

    name: str
    title: str
    text: Callable[[float], str] = str
    left: bool = False
    rank: int = 0
    """The higher, the sooner a narrow terminal goes without it."""
    spreads: bool = False
    """Whether the standard deviation of several runs stands beside their mean."""


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _share(value: float) -> str:
    return f"{value:.2%}"


NAME: Final = Column("name", "run", left=True)
COUNT: Final = Column("runs", "runs", rank=1)

COLUMNS: Final = (
    Column("epochs", "epochs", _whole, rank=4),
    Column("best_epoch", "best epoch", _whole, rank=5),
    Column("validation", "validation, last", _share, rank=6, spreads=True),
    Column("best", "validation, best", _share, rank=2, spreads=True),
    Column("test", "test", _share, spreads=True),
    Column("params", "params", _whole, rank=3),
    Column("seconds", "time", duration, rank=7),
    Column("images_per_second", "images/s", "{:,.0f}".format, rank=8),
)
"""A column for each field of `Figures`."""


def text(comparison: RunComparison, *, width: int | None = None, color: bool = False) -> str:
    """The table for a terminal. `width` None means as wide as needed."""
    style = Style(color)
    columns, rows = _table(comparison)
    body = tables.table(columns, rows, style, names="name", width=width)
    below = [line for each in _below(comparison) for line in wrapped(printable(each), width)]
    return "\n".join([body, "", *map(style.dim, below)]) + "\n"


def markdown(comparison: RunComparison) -> str:
    """The table for a README, an issue or a notebook."""
    columns, rows = _table(comparison)
    below = [f"- {printable(line)}" for line in _below(comparison)]
    return "\n".join([*tables.markdown(columns, rows), "", *below]) + "\n"


def csv(comparison: RunComparison) -> str:
    """A header and a line for every run, plain numbers."""
    header = ["entry", "folder", "network", "outcome", *SEEDS, *Figures._fields]
    return csv_lines(
        [
            header,
            *(
                [
                    entry.name,
                    str(each.run.folder),
                    each.run.name,
                    each.run.outcome,
                    *(each.settings[key] for key in SEEDS),
                    *("" if value is None else value for value in each.figures),
                ]
                for entry in comparison.entries
                for each in entry.runs
            ),
        ]
    )


def _table(comparison: RunComparison) -> tuple[list[Column], list[list[str]]]:
    several = any(len(entry.runs) > 1 for entry in comparison.entries)
    columns = [NAME, *([COUNT] if several else []), *COLUMNS]
    rows = [[_cell(column, entry) for column in columns] for entry in comparison.entries]
    return columns, rows


def _cell(column: Column, entry: RunEntry) -> str:
    if column is NAME:
        return label(entry.name, LONGEST)
    if column is COUNT:
        return str(len(entry.runs))
    mean, deviation = entry.figure(column.name)
    if mean is None:
        return "-"
    spread = f" ± {column.text(deviation)}" if column.spreads and deviation is not None else ""
    return column.text(mean) + spread


def _below(comparison: RunComparison) -> Sequence[str]:
    """What the table's figures are, and which runs are one line."""
    lines = ["Validation and test are accuracies; the best epoch's model is tested."]
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

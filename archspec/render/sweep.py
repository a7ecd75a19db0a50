"""A sweep as text, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from archspec.cost.compare import FIGURES
from archspec.cost.report import CONVENTION
from archspec.render.amounts import byte_size, thousands
from archspec.render.comparison import COLUMNS
from archspec.render.summary import common_setting
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.studies.sweep import shown_value, shown_values
from archspec.text import counted, csv_lines, printable

if TYPE_CHECKING:
    from archspec.studies.sweep import Sweep

MOST_ROWS: Final = 40
"""Rows of the front that are printed."""

MOST_REASONS: Final = 8
"""Reasons that are printed why combinations are not networks."""

TITLES: Final = {column.name: column.title for column in COLUMNS if column.name in FIGURES}
"""Titles of figures, as a comparison has them."""


def title(figure: str) -> str:
    """Return the title of a figure."""
    return TITLES.get(figure, figure)


def amount(figure: str, value: int) -> str:
    """Return the value of a figure for people."""
    return byte_size(value) if "bytes" in figure or figure == "must_keep" else thousands(value)


def text(sweep: Sweep, *, width: int | None = None, color: bool = False) -> str:
    """Return the front as a table, and what the other candidates are."""
    style = Style(color)
    lines = [style.bold(printable(sweep.name)), *prose(_space(sweep), width), ""]
    if sweep.front:
        lines += [table(sweep).text(style, width), *_more(sweep), ""]
    for note in _notes(sweep):
        lines += prose(note, width)
    below = [_setting(sweep), CONVENTION]
    small = [style.dim(line) for each in below for line in prose(each, width)]
    return "\n".join([*lines, "", *small]) + "\n"


def markdown(sweep: Sweep) -> str:
    """Return the front as a table, and what the other candidates are."""
    tables = [table(sweep).markdown()] if sweep.front else []
    parts = [_space(sweep), *tables, *_notes(sweep), _setting(sweep), CONVENTION]
    return "\n\n".join(parts) + "\n"


def csv(sweep: Sweep) -> str:
    """Return a line for every candidate."""
    names = sweep.space.names
    return csv_lines([[*names, *sweep.columns, "within", "problem"], *sweep.rows()])


def written(sweep: Sweep, form: str) -> str:
    """Return a sweep in one of the formats `text`, `markdown`, `csv` and `json`."""
    if form == "json":
        return json.dumps(sweep.to_dict(), allow_nan=False) + "\n"
    return {"text": text, "markdown": markdown, "csv": csv}[form](sweep)


def table(sweep: Sweep) -> PrintedTable:
    """Return the front: values and figures."""
    names, ranked = sweep.space.names, _ranked(sweep)
    columns = [
        *(Column(name, name, variable, left=True) for name in names),
        *(
            Column(name, title(name), partial(amount, name), rank=rank)
            for rank, name in enumerate(ranked)
        ),
    ]
    rows = [
        [*each.values.values(), *(each.figures[name] for name in ranked)]
        for each in sweep.front[:MOST_ROWS]
    ]
    return PrintedTable(columns, rows)


def _ranked(sweep: Sweep) -> Sequence[str]:
    """Return the figures, those of objectives first: they stay in a narrow terminal."""
    goals = [goal.figure for goal in sweep.objectives]
    return [*goals, *(name for name in sweep.columns if name not in goals)]


def variable(value: Any) -> str:
    """Return the value of a variable for people."""
    return printable(shown_value(value))


def _more(sweep: Sweep) -> list[str]:
    more = len(sweep.front) - MOST_ROWS
    return [f"... {more:,} more"] if more > 0 else []


def _space(sweep: Sweep) -> str:
    """Return the variables and their values in a line."""
    shown = "; ".join(printable(f"{each.name} {each}") for each in sweep.space.dimensions)
    return f"{counted(len(sweep), 'candidate')}: {shown}"


def _notes(sweep: Sweep) -> list[str]:
    """Return the counts of the candidates, and why some are not networks."""
    goals = ", ".join(map(str, sweep.objectives))
    notes = []
    if sweep.front:
        notes.append(f"front: {len(sweep.front):,} of {sweep.within:,} by {goals}")
    outside = sweep.valid - sweep.within
    if outside:
        conditions = [*sweep.where, *(["budget"] if sweep.space.spec.document.budget else [])]
        notes.append(f"outside of {', '.join(conditions)}: {outside:,}")
    if sweep.nearest:
        notes.append(f"none is within; the nearest is {sweep.nearest}")
    if sweep.problems:
        notes.append(f"no networks: {len(sweep.problems):,}")
        notes += [
            f"  {count:,} as {shown_values(first.values)}: {printable(why)}"
            for why, count, first in sweep.reasons[:MOST_REASONS]
        ]
        if (more := len(sweep.reasons) - MOST_REASONS) > 0:
            notes.append(f"  and {counted(more, 'more reason')}")
    return notes


def _setting(sweep: Sweep) -> str:
    return f"must keep at {common_setting([sweep.setting])}"

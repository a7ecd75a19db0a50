"""A sweep as a figure: all candidates by two figures, and the Pareto front among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.render.figure.drawing import Circle, Drawing, Path
from archspec.render.figure.faces import EDGE, LABEL, LINE, heading, legend
from archspec.render.figure.plot import NUMBERS, SIZE, Axis, Bounds, Disc, Names, axes, group
from archspec.render.sweep import amount, title
from archspec.studies.sweep import INVALID, WITHIN, shown_values
from archspec.text import counted

if TYPE_CHECKING:
    from archspec.studies.sweep import Candidate, FrontFigure, Sweep

CELL: Final = 2.0
"""Side of a square in which one candidate is drawn, however many there are."""

DOT: Final = 1.3
"""Radius of the dot of a candidate."""

MOST_NAMED: Final = 12
"""Most candidates of the front whose values are written beside them."""

MOST_JOINED: Final = 1_000
"""Most candidates of the front that are drawn."""


def drawing(figure: FrontFigure) -> Drawing:
    """Return the plot of a sweep: a dot for each candidate, circles and a line for the front."""
    sweep = figure.sweep
    width, height = SIZE
    page = NUMBERS + width + 2 * EDGE
    name = f"Candidates of {sweep.name}"
    goals = ", ".join(map(str, sweep.objectives))
    subtitle = f"{counted(sweep.valid, 'network')}, {len(sweep.front):,} on the front by {goals}"
    marks = heading(name, subtitle)
    x, y = EDGE + NUMBERS, EDGE + LABEL + 3.2 * LINE
    area = Bounds(x, y, x + width, y + height)
    first, second = _figures(sweep)
    valid = [index for index, state in enumerate(sweep.states) if state != INVALID]
    columns = sweep.column(first), sweep.column(second)
    across = Axis([columns[0][index] for index in valid], x, width)
    upwards = Axis([columns[1][index] for index in valid], area.bottom, -height)
    marks += axes(area, across, upwards, title(first), title(second))
    seen: dict[tuple[int, int], int] = {}
    for index in valid:
        place = across.at(columns[0][index]), upwards.at(columns[1][index])
        cell = int(place[0] / CELL), int(place[1] / CELL)
        state = sweep.states[index]
        seen[cell] = min(state, seen.get(cell, state))
    for (column, row), state in seen.items():
        tone = "first_point" if state == WITHIN else "grid_point"
        marks.append(Circle((column + 0.5) * CELL, (row + 0.5) * CELL, DOT, tone))
    discs = [
        Disc(
            shown_values(each.values),
            _sentence(each),
            across.at(each.figures[first]),
            upwards.at(each.figures[second]),
            3.2,
            "pooling",
        )
        for each in sweep.front[:MOST_JOINED]
    ]
    if len(sweep.objectives) == 2 and len(discs) > 1:
        marks.append(Path(tuple((disc.x, disc.y) for disc in discs), "second", width=1.0))
    marks += [group(disc) for disc in discs]
    every = -(-len(discs) // MOST_NAMED) or 1
    marks += Names(area, discs[::every]).marks()
    meanings = [("pooling", "front"), ("first_point", "within every condition")]
    if sweep.within < sweep.valid:
        meanings.append(("grid_point", "outside"))
    entries, high = legend(meanings, page, area.bottom + 3 * LINE)
    marks += entries
    about = "; ".join(_sentence(each) for each in sweep.front[:MOST_NAMED])
    return Drawing(name, about, page, area.bottom + 3 * LINE + high, marks)


def _figures(sweep: Sweep) -> tuple[str, str]:
    """Return the figures of both axes: the first two objectives, or what there is beside one."""
    goals = [goal.figure for goal in sweep.objectives]
    others = [name for name in ("params", "macs") if name not in goals]
    first, second = [*goals, *others][:2]
    return first, second


def _sentence(candidate: Candidate) -> str:
    figures = (f"{title(name)} {amount(name, n)}" for name, n in candidate.figures.items())
    return f"{shown_values(candidate.values)}: {', '.join(figures)}"

"""Trials of a search as figures: score against size, and parallel coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from archspec.render.figure.drawing import Drawing, Group, Mark, Path, Text
from archspec.render.figure.faces import EDGE, LINE, MIDDLE, SMALL
from archspec.render.figure.history import ticks
from archspec.render.figure.metrics import fitting
from archspec.render.figure.plot import NUMBERS, Axis, Bounds, Disc, Names, group
from archspec.render.study import described, score
from archspec.render.sweep import amount, title
from archspec.studies.sweep import shown_value, shown_values

if TYPE_CHECKING:
    from archspec.studies.study import Study

WIDTH: Final = 560.0
HEIGHT: Final = 260.0
"""Width and height of a chart without its numbers."""

MOST: Final = 2_000
"""Trials that are drawn: the last ones."""

MOST_NAMED: Final = 6
"""Trials of the front whose values stand beside them."""

LEVELS: Final = 12
"""Values of a variable that have a mark on its axis."""


class _Line:
    """A linear axis between two places."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        spare = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
        self.low, self.high = low - spare, high + spare
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)


def front(study: Study) -> Drawing | None:
    """Return the score of each complete trial against its size, with the front among them."""
    trials = study.complete[-MOST:]
    if not trials:
        return None
    goal, *others = study.goals
    across = next((each.figure for each in others if not each.is_score), "params")
    left, bottom = EDGE + NUMBERS, EDGE + LINE + HEIGHT
    area = Bounds(left, EDGE + LINE, left + WIDTH, bottom)
    sizes = Axis([each.figures.get(across, 0) for each in trials], left, WIDTH)
    scores = _Line([each.scores[goal.figure] for each in trials], bottom, area.y)
    marks: list[Mark] = []
    for value in ticks(scores.low, scores.high):
        y = scores.at(value)
        marks.append(Path(((left, y), (area.right, y)), "grid", width=0.8))
        label = score(goal.figure, value)
        marks.append(Text(left - 6, y + SMALL * MIDDLE, label, SMALL, "quiet", anchor="end"))
    for text, x in sizes.ticks():
        marks.append(Path(((x, area.y), (x, bottom)), "grid", width=0.8))
        marks.append(Text(x, bottom + LINE, text, SMALL, "quiet"))
    marks.append(Text(EDGE, EDGE + SMALL, title(goal.figure), SMALL, anchor="start"))
    marks.append(Text(area.right, bottom + 2 * LINE, title(across), SMALL, anchor="end"))
    best = {each.number for each in study.front}
    discs = [
        Disc(
            shown_values(each.values),
            f"trial {each.number}: {described(each)}",
            sizes.at(each.figures.get(across, 0)),
            scores.at(each.scores[goal.figure]),
            4.0 if each.number in best else 2.6,
            "pooling" if each.number in best else "convolution",
        )
        for each in trials
    ]
    marks += [group(disc) for disc in discs]
    named = [disc for disc in discs if disc.tone == "pooling"]
    marks += Names(area, named[:MOST_NAMED]).marks()
    name = f"{title(goal.figure)} against {title(across)}"
    return Drawing(name, study.name, area.right + EDGE, bottom + 2 * LINE + EDGE, marks)


def parallel(study: Study) -> Drawing | None:
    """Return parallel coordinates: an axis for each variable and score, a line for each trial."""
    trials = study.complete[-MOST:]
    if not trials:
        return None
    goal = study.goals[0]
    params = [trial.figures.get("params", 0) for trial in trials]
    scores = [trial.scores[goal.figure] for trial in trials]
    columns: list[tuple[str, Sequence[Any], Callable[[Any], str]]] = [
        *(
            (each.name, [trial.values[each.name] for trial in trials], shown_value)
            for each in study.plan.space.dimensions
        ),
        ("params", params, lambda value: amount("params", int(value))),
        (goal.figure, scores, partial(score, goal.figure)),
    ]
    top, bottom = EDGE + 2 * LINE, EDGE + 2 * LINE + HEIGHT
    left, right = EDGE + NUMBERS, EDGE + NUMBERS + WIDTH
    names = len(study.plan.space.dimensions)
    gap = (right - left) / (len(columns) - 1)
    marks: list[Mark] = []
    heights: list[list[float]] = []
    for i, (name, values, text) in enumerate(columns):
        x = left + i * gap
        marks.append(Path(((x, top), (x, bottom)), "line", width=0.8))
        marks.append(Text(x, EDGE + LINE, fitting(title(name), SMALL, gap - 6), SMALL))
        at, levels = _scale(values, bottom, top, most=LEVELS if i < names else 0)
        heights.append([at(value) for value in values])
        for value, y in levels:
            label = fitting(text(value), SMALL, gap - 10)
            marks.append(Text(x - 5, y + SMALL * MIDDLE, label, SMALL, "quiet", anchor="end"))
    best = {each.number for each in study.front}
    order = sorted(range(len(trials)), key=lambda i: trials[i].number in best)
    for i in order:
        is_best = trials[i].number in best
        points = tuple((left + k * gap, column[i]) for k, column in enumerate(heights))
        line = Path(points, "second" if is_best else "first", width=1.8 if is_best else 0.5)
        marks.append(Group(f"trial {trials[i].number}", described(trials[i]), [line]))
    name = "Trials by their values"
    return Drawing(name, study.name, right + NUMBERS + EDGE, bottom + EDGE, marks)


def _scale(
    values: Sequence[Any], bottom: float, top: float, most: int
) -> tuple[Callable[[Any], float], list[tuple[Any, float]]]:
    """Return the height of a value on an axis, and the values that are written beside it."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float}:
        line = _Line(values, bottom, top)
        distinct = sorted(set(values))
        shown = distinct if len(distinct) <= most else ticks(line.low, line.high)
        return line.at, [(value, line.at(value)) for value in shown]
    distinct = sorted(set(map(repr, values)))
    words = {word: i for i, word in enumerate(distinct)}
    line = _Line([0, max(len(distinct) - 1, 1)], bottom, top)
    first = {repr(value): value for value in values}
    return (
        lambda value: line.at(words[repr(value)]),
        [(first[word], line.at(i)) for word, i in words.items()][:most],
    )

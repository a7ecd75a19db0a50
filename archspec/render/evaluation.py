"""An evaluation as text and Markdown: each run, their ensemble, and where the last of them errs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from archspec.display import renderer
from archspec.evaluation.label_scores import LabelScores
from archspec.evaluation.number_scores import NumberScores
from archspec.evaluation.scores import Scores
from archspec.render.table import Column, PrintedTable, Style
from archspec.text import label

if TYPE_CHECKING:
    from archspec.evaluation.evaluation import Evaluation, Result
    from archspec.evaluation.scores import TaskScores

LONGEST: Final = 40
"""Characters of a run's name that are shown."""


def text(evaluation: Evaluation, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of each run and of all together, and the scores of the classes."""
    style, scores = Style(color), evaluation.result.scores
    parts = [style.bold(_heading(evaluation)), *_measures(evaluation)]
    if evaluation.ensemble is not None:
        table = _table(evaluation, evaluation.ensemble).text(style, width)
        parts.append(f"{table}\n\n{_gain(evaluation.runs, evaluation.ensemble)}")
    parts.append(renderer(scores.RENDERER).text(scores, width=width, color=color))
    return "\n\n".join(parts)


def markdown(evaluation: Evaluation) -> str:
    """Return the figures of each run and of all together, and the scores of the classes."""
    scores = evaluation.result.scores
    parts = [f"{_heading(evaluation)}.", *(f"{line}." for line in _measures(evaluation))]
    if evaluation.ensemble is not None:
        parts.append(_table(evaluation, evaluation.ensemble).markdown())
        parts.append(f"{_gain(evaluation.runs, evaluation.ensemble)}.")
    parts.append(renderer(scores.RENDERER).markdown(scores))
    return "\n\n".join(parts)


def _heading(evaluation: Evaluation) -> str:
    """Return the images, and how each was evaluated."""
    images = f"{evaluation.result.scores.images:,} images"
    flipped = ", each with its mirror image" if evaluation.flip else ""
    count = evaluation.mc_dropout
    passes = "" if count is None else f", mean of {count:,} passes with dropout"
    return f"{evaluation.data}, {evaluation.part}: {images}{flipped}{passes}"


def _measures(evaluation: Evaluation) -> list[str]:
    """Loss and metrics of a single run in a line; none of several, which are in the table."""
    result = evaluation.result
    if evaluation.ensemble is not None or not result.measures:
        return []
    return [
        ", ".join(f"{name} {value:.4f}" for name, value in result.measures.items())
        + _of_all(result)
    ]


def _of_all(result: Result) -> str:
    """Return a note on the classes in Keras's means, if the table's means have fewer."""
    if not isinstance(result.scores, Scores):
        return ""
    classes = len(result.scores.classes)
    if result.scores.present == classes or not result.measures.keys() - {"loss", "accuracy"}:
        return ""
    return f" (Keras's measures; means over all {classes:,} classes, 0 for one without images)"


def _table(evaluation: Evaluation, ensemble: Result) -> PrintedTable:
    results = [*evaluation.runs, ensemble]
    measured = list(dict.fromkeys(name for each in results for name in each.measures))
    columns = [
        Column("run", "run", left=True, shortens=True),
        *(column for column, _ in _figures(ensemble.scores)),
        *(Column(name, name, rank=2 if name == "loss" else 6) for name in measured),
    ]
    *rows, last = (
        [
            label(each.name, LONGEST),
            *(text for _, text in _figures(each.scores)),
            *(f"{each.measures[name]:.4f}" if name in each.measures else "-" for name in measured),
        ]
        for each in results
    )
    return PrintedTable(columns, rows, last)


def _figures(found: TaskScores) -> list[tuple[Column, str]]:
    """Return the figures of the whole, each with its column."""
    if isinstance(found, Scores):
        shares = [
            (Column("accuracy", "accuracy"), found.accuracy),
            (Column("error", "error", rank=1), 1 - found.accuracy),
            *((Column(f"top-{k}", f"top-{k}", rank=3), share) for k, share in found.top_k.items()),
            (Column("f1", "macro F1", rank=4), found.macro().f1),
            (Column("calibration", "calibration error", rank=5), found.calibration_error),
        ]
        return [(column, f"{share:.2%}") for column, share in shares]
    text = "{:.2%}" if isinstance(found, LabelScores) else "{:.4g}"
    return [
        (
            Column(name, name.replace("_", " ").replace("f1", "F1"), rank=2 * (place > 0)),
            text.format(figure),
        )
        for place, (name, figure) in enumerate(found.figures.items())
    ]


def _gain(runs: tuple[Result, ...], ensemble: Result) -> str:
    """Return a line with the error of one run and that of the ensemble, as in papers."""
    mean = statistics.fmean(_error(run.scores) for run in runs)
    error = _error(ensemble.scores)
    if isinstance(ensemble.scores, NumberScores):
        return f"mae {mean:.4g} for a run on average -> {error:.4g} for {len(runs)} together"
    what = "wrong sets" if isinstance(ensemble.scores, LabelScores) else "error"
    return f"{what} {mean:.2%} for a run on average -> {error:.2%} for {len(runs)} together"


def _error(found: TaskScores) -> float:
    match found:
        case LabelScores():
            return 1 - found.exact_match
        case NumberScores():
            return found.mae
    return 1 - found.accuracy

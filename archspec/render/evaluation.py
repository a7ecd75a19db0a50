"""An evaluation as text and Markdown: each run, their ensemble, and where the last of them errs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from archspec.render import scores
from archspec.render.table import Column, PrintedTable, Style
from archspec.text import label

if TYPE_CHECKING:
    from archspec.evaluation.evaluation import Evaluation, Result

LONGEST: Final = 40
"""Characters of a run's name that are shown."""


def text(evaluation: Evaluation, *, width: int | None = None, color: bool = False) -> str:
    """Return the figures of each run and of all together, and the scores of the classes."""
    style = Style(color)
    parts = [style.bold(_heading(evaluation)), *_measures(evaluation)]
    if evaluation.ensemble is not None:
        table = _table(evaluation, evaluation.ensemble).text(style, width)
        parts.append(f"{table}\n\n{_gain(evaluation.runs, evaluation.ensemble)}")
    parts.append(scores.text(evaluation.result.scores, width=width, color=color))
    return "\n\n".join(parts)


def markdown(evaluation: Evaluation) -> str:
    """Return the figures of each run and of all together, and the scores of the classes."""
    parts = [f"{_heading(evaluation)}.", *(f"{line}." for line in _measures(evaluation))]
    if evaluation.ensemble is not None:
        parts.append(_table(evaluation, evaluation.ensemble).markdown())
        parts.append(f"{_gain(evaluation.runs, evaluation.ensemble)}.")
    parts.append(scores.markdown(evaluation.result.scores))
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
    classes = len(result.scores.classes)
    if result.scores.present == classes or not result.measures.keys() - {"loss", "accuracy"}:
        return ""
    return f" (Keras's measures; means over all {classes:,} classes, 0 for one without images)"


def _table(evaluation: Evaluation, ensemble: Result) -> PrintedTable:
    results = [*evaluation.runs, ensemble]
    measured = list(dict.fromkeys(name for each in results for name in each.measures))
    columns = [
        Column("run", "run", left=True, shortens=True),
        Column("accuracy", "accuracy"),
        Column("error", "error", rank=1),
        *(Column(f"top-{k}", f"top-{k}", rank=3) for k in ensemble.scores.top_k),
        Column("f1", "macro F1", rank=4),
        Column("calibration", "calibration error", rank=5),
        *(Column(name, name, rank=2 if name == "loss" else 6) for name in measured),
    ]
    *rows, last = ([*_figures(each), *_measured(each, measured)] for each in results)
    return PrintedTable(columns, rows, last)


def _figures(result: Result) -> list[str]:
    scores = result.scores
    shares = [scores.accuracy, 1 - scores.accuracy, *scores.top_k.values(), scores.macro().f1]
    texts = [f"{share:.2%}" for share in (*shares, scores.calibration_error)]
    return [label(result.name, LONGEST), *texts]


def _measured(result: Result, names: list[str]) -> list[str]:
    return [f"{result.measures[name]:.4f}" if name in result.measures else "-" for name in names]


def _gain(runs: tuple[Result, ...], ensemble: Result) -> str:
    """Return a line with the error of one run and that of the ensemble, as in papers."""
    mean = statistics.fmean(1 - run.scores.accuracy for run in runs)
    error = 1 - ensemble.scores.accuracy
    return f"error {mean:.2%} for a run on average -> {error:.2%} for {len(runs)} together"

"""`Evaluation` as text: a row for each run and their ensemble, then where the last of them errs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from archspec.render import scores as score_tables
from archspec.render import table as tables
from archspec.render.scores import Column
from archspec.render.table import Style
from archspec.text import label

if TYPE_CHECKING:
    from archspec.evaluation.evaluation import Evaluation, Result

LONGEST: Final = 40
"""Characters of a run's name that are shown."""


def text(evaluation: Evaluation, *, width: int | None = None, color: bool = False) -> str:
    """As wide as `width`, or as a page where there is no terminal."""
    style = Style(color)
    result = evaluation.result
    flipped = ", each with its mirror image" if evaluation.flip else ""
    count = evaluation.mc_dropout
    passes = "" if count is None else f", mean of {count:,} passes with dropout"
    heading = f"{evaluation.data}, {evaluation.part}: {result.scores.images:,} images{flipped}"
    parts = [style.bold(heading + passes)]
    if evaluation.ensemble is None:
        if result.measures:
            measures = (f"{name} {value:.4f}" for name, value in result.measures.items())
            parts.append(", ".join(measures) + _of_all(result))
    else:
        everything = [*evaluation.runs, evaluation.ensemble]
        measured = list(dict.fromkeys(name for each in everything for name in each.measures))
        columns = _columns(list(result.scores.top_k), measured)
        rows = [_cells(each, measured) for each in everything]
        body = tables.table(columns, rows[:-1], style, sums=rows[-1], names="run", width=width)
        parts.append(f"{body}\n\n{_gain(evaluation.runs, evaluation.ensemble)}")
    return "\n\n".join([*parts, score_tables.text(result.scores, width=width, color=color)])


def _of_all(result: Result) -> str:
    """What Keras's means over classes are of, where they are not those of the classes below."""
    classes = len(result.scores.classes)
    if result.scores.present == classes or not result.measures.keys() - {"loss", "accuracy"}:
        return ""
    return f" (Keras's measures; means over all {classes:,} classes, 0 for one without images)"


def _columns(top: Sequence[int], measured: Sequence[str]) -> list[Column]:
    return [
        Column("run", "run", left=True),
        Column("accuracy", "accuracy"),
        Column("error", "error", rank=1),
        *(Column(f"top-{k}", f"top-{k}", rank=3) for k in top),
        Column("f1", "macro F1", rank=4),
        Column("calibration", "calibration error", rank=5),
        *(Column(name, name, rank=2 if name == "loss" else 6) for name in measured),
    ]


def _cells(result: Result, measured: Sequence[str]) -> list[str]:
    scores = result.scores
    shares = [scores.accuracy, 1 - scores.accuracy, *scores.top_k.values(), scores.macro().f1]
    return [
        label(result.name, LONGEST),
        *(f"{share:.2%}" for share in (*shares, scores.calibration_error)),
        *(f"{result.measures[name]:.4f}" if name in result.measures else "-" for name in measured),
    ]


def _gain(runs: tuple[Result, ...], ensemble: Result) -> str:
    """One line, as papers put it: the error of one run and that of all together."""
    mean = statistics.fmean(1 - run.scores.accuracy for run in runs)
    error = 1 - ensemble.scores.accuracy
    return f"error {mean:.2%} for a run on average -> {error:.2%} for {len(runs)} together"

"""A search as text, Markdown and CSV."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from archspec.render.sweep import amount, title, variable
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.runs.files import INDEX
from archspec.studies.files import BEST
from archspec.studies.sweep import shown_values
from archspec.text import counted, csv_lines, duration, printable

if TYPE_CHECKING:
    from archspec.studies.storage import Trial
    from archspec.studies.study import Study

MOST_ROWS: Final = 10
"""Trials that are printed, the best ones."""


def text(study: Study, *, width: int | None = None, color: bool = False) -> str:
    """Return the best trials as a table, and where all of them are."""
    style = Style(color)
    lines = [style.bold(printable(study.name)), *prose(summary(study), width), ""]
    if study.complete:
        lines += [table(study).text(style, width), ""]
    if study.best:
        lines += prose(best(study), width)
    return "\n".join([*lines, str(study.folder)]) + "\n"


def markdown(study: Study) -> str:
    """Return the best trials as a table, and where all of them are."""
    parts = [summary(study), *([table(study).markdown(), best(study)] if study.best else [])]
    return "\n\n".join(parts) + "\n"


def csv(study: Study) -> str:
    """Return a line for every trial."""
    names = study.plan.space.names
    goals = [goal.figure for goal in study.goals]
    figures = study.plan.sizes
    head = ["trial", "state", *names, *goals, *figures, "epochs", "seconds", "folder", "note"]
    rows = [
        [
            each.number,
            each.state,
            *(each.values.get(name) for name in names),
            *(each.scores.get(name) for name in goals),
            *(each.figures.get(name) for name in figures),
            each.epochs or None,
            round(each.seconds, 3),
            each.folder,
            each.note,
        ]
        for each in study.trials
    ]
    return csv_lines([head, *rows])


def table(study: Study) -> PrintedTable:
    """Return the best complete trials: values, scores and figures."""
    names = study.plan.space.names
    goals = [each.figure for each in study.goals]
    figures = study.plan.sizes
    columns = [
        Column("trial", "trial"),
        *(Column(name, name, variable, left=True) for name in names),
        *(Column(name, title(name), partial(score, name)) for name in goals),
        *(Column(name, title(name), partial(amount, name), rank=1) for name in figures),
        Column("seconds", "time", duration, rank=2),
    ]
    rows = [
        [
            each.number,
            *(each.values[name] for name in names),
            *(each.scores[name] for name in goals),
            *(each.figures.get(name) for name in figures),
            each.seconds,
        ]
        for each in study.ranked[:MOST_ROWS]
    ]
    return PrintedTable(columns, rows)


def summary(study: Study) -> str:
    """Return what was searched, and how many trials came to which end, in a line."""
    states = [each.state for each in study.trials]
    counts = [f"{states.count(each)} {each}" for each in dict.fromkeys(sorted(states))]
    goals = ", ".join(map(str, study.goals))
    return f"{goals}, seed {study.plan.seed}; {counted(len(states), 'trial')}: {', '.join(counts)}"


def best(study: Study) -> str:
    """Return a sentence about the best trial."""
    trial = study.best
    if trial is None:
        return "no trial is complete"
    run = f", {trial.folder}" if trial.folder else ""
    return f"best: {described(trial)} (trial {trial.number}{run}; {BEST}, {INDEX})"


def described(trial: Trial) -> str:
    """Return the values, the scores and the figures of a trial in a line."""
    shown = [shown_values(trial.values)]
    shown += [f"{title(name)} {score(name, value)}" for name, value in trial.scores.items()]
    shown += [
        f"{amount(name, n)} {title(name)}"
        for name, n in trial.figures.items()
        if name not in trial.scores
    ]
    return printable(", ".join(shown))


def progress(study: Study, trial: Trial) -> str:
    """Return a line about a trial that ended."""
    done = sum(each.is_done for each in study.trials)
    state = "" if trial.state == "complete" else f", {trial.state} after epoch {trial.epochs}"
    if state and trial.note:
        state += printable(f" ({trial.note})")
    is_best = ", best" if study.best and study.best.number == trial.number else ""
    line = f"trial {trial.number} ({done} of {study.plan.trials}): {described(trial)}"
    return f"{line}{state}, {duration(trial.seconds)}{is_best}"


def score(name: str, value: float) -> str:
    """Return the value of an objective for people."""
    if name == "accuracy":
        return f"{value:.2%}"
    return f"{value:.4f}" if name == "loss" else amount(name, int(value))

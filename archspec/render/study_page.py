"""The page of a search: `index.html` in its folder, which needs no other file and no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from archspec.render import study as texts
from archspec.render.figure import trials as figures
from archspec.render.figure.svg import style, svg
from archspec.render.html import files, page, row, scrolling, section
from archspec.render.markup import entities, escaped
from archspec.render.sweep import amount, title, variable
from archspec.runs.files import INDEX
from archspec.studies.files import BEST, TABLE
from archspec.text import duration

if TYPE_CHECKING:
    from archspec.render.figure.drawing import Drawing
    from archspec.studies.storage import Trial
    from archspec.studies.study import Study

MOST_ROWS: Final = 1_000
"""Trials in the page's table: the last ones. The CSV has all."""

_SHEET: Final = Path(__file__).with_name("run_page.css")


def html(study: Study) -> str:
    """Return the page: the front, parallel coordinates, and each trial with its run."""
    best = study.best
    verdict = f"best: {texts.described(best)}" if best else "no trial is complete yet"
    sections = [
        _figure("front", "All trials that are complete", figures.front(study)),
        _figure("parallel", "Parallel coordinates", figures.parallel(study)),
        section("trials", "Trials", _table(study), wide=True),
        section("search", "Search", _search(study)),
        section("files", "Files", files(study.folder, (BEST, TABLE), str(study.folder))),
    ]
    body = (
        f'<main>\n<header data-part="head">\n<h1>Search of {escaped(study.name)}</h1>\n'
        f'<p class="verdict finished">{escaped(verdict)}</p>\n'
        f'<p class="quiet">{escaped(texts.summary(study))}</p>\n</header>\n'
        f'<div class="sections">\n{"".join(sections)}</div>\n</main>\n'
    )
    sheet = _SHEET.read_text(encoding="utf-8") + style()
    return page(f"search of {study.name}", body, sheet=sheet)


def _figure(part: str, heading: str, drawing: Drawing | None) -> str:
    if drawing is None:
        return ""
    return section(part, heading, scrolling(heading, svg(drawing, inline=True)), wide=True)


def _table(study: Study) -> str:
    names = study.plan.space.names
    goals = [goal.figure for goal in study.goals]
    sizes = study.plan.sizes
    heads = ["trial", "state", *names, *map(title, goals), *map(title, sizes), "epochs", "time"]
    rows = "".join(_row(study, each, sizes) for each in study.trials[-MOST_ROWS:])
    return scrolling("Trials", f"<table>{row(map(escaped, heads), 'th')}{rows}</table>")


def _row(study: Study, trial: Trial, sizes: list[str]) -> str:
    number = str(trial.number)
    if trial.folder:
        number = f'<a href="{escaped(trial.folder)}/{INDEX}">{number}</a>'
    goals = [goal.figure for goal in study.goals]
    cells = [
        f"{trial.state}: {trial.note}" if trial.note else trial.state,
        *(variable(trial.values[n]) if n in trial.values else "" for n in study.plan.space.names),
        *(texts.score(n, trial.scores[n]) if n in trial.scores else "" for n in goals),
        *(amount(n, trial.figures[n]) if n in trial.figures else "" for n in sizes),
        str(trial.epochs or ""),
        duration(trial.seconds) if trial.seconds else "",
    ]
    return row([number, *map(escaped, cells)])


def _search(study: Study) -> str:
    plan = study.plan
    lines = [f"{each.name}: {each}" for each in plan.space.dimensions]
    lines += [f"objective: {', '.join(map(str, plan.goals))}"]
    lines += [f"condition: {each}" for each in plan.where]
    lines += [f"budget: {name} {bound}" for name, bound in plan.spec.document.budget.items()]
    lines += [f"trials: {plan.trials}", f"seed: {plan.seed}", f"pruner: {plan.pruner}"]
    lines += [f"train.{name}: {variable(value)}" for name, value in plan.recipe.items()]
    return f"<pre>{entities(chr(10).join(lines))}</pre>"

"""A run's folder -> the point from which the run resumes, if it can.

Nothing is written here, so that a refused request leaves the folder as it was. `find` checks what
can be checked without Keras; `check` compares the data and the best model with the run's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archspec.errors import UsageError, call
from archspec.keras_model.engine import load_file
from archspec.keras_model.verify import other_network
from archspec.runs import checkpoints, storage, summary
from archspec.runs.checkpoints import Checkpoint
from archspec.runs.files import BEST, CHECKPOINTS, DATA, FINAL, HISTORY, RESULT, SPEC
from archspec.runs.origin import MAY_CHANGE, RunSetup, changes, listed, read_spec
from archspec.runs.outcome import Run, saved_model
from archspec.runs.records import DataRecord
from archspec.runs.storage import DamagedError
from archspec.training import description
from archspec.training.session import Session, TrainingPlan, plan_training


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The plan, data and checkpoint with which a run resumes."""

    plan: TrainingPlan
    data: DataRecord | None
    """Record of the data; None if the run was stopped before it was written."""
    checkpoint: Checkpoint | None
    """The newest whole checkpoint; None if the first epoch was never completed."""
    warnings: tuple[str, ...]

    @property
    def epoch(self) -> int:
        """Number of the last whole epoch, or 0."""
        return self.checkpoint.epoch if self.checkpoint else 0


def find(home: Path, recipe: Mapping[str, Any]) -> ResumePoint:
    """Return the point from which a run resumes; raise `SpecError` or `UsageError` if it cannot."""
    for place in (home, home / CHECKPOINTS):
        if storage.exists(place) and not os.access(place, os.W_OK):
            raise UsageError(f"{place} cannot be written: no permission")
    saved, damaged = checkpoints.latest(home)
    if damaged and not saved:
        raise UsageError(f"no checkpoint in {home} can be read: {_start_anew(home)}")
    if saved is None:
        _check_nothing_done(home)
    if saved is None and not storage.exists(home / DATA):  # stopped between the first files
        data, (spec, before) = None, read_spec(home)
    else:
        setup = RunSetup.read(home)
        spec, before, data = setup.spec, setup.recipe, setup.data
    _check_may_change(home, recipe)
    planned = plan_training(spec, recipe)
    other = [*changes(before.to_dict(), planned.recipe.to_dict(), "")]
    if other:
        raise UsageError(
            f"{home} resumes with its own recipe, but {listed(other)}; {_may_change(home)}"
        )
    done, epochs = saved.epoch if saved else 0, planned.recipe.epochs
    if epochs < done:
        raise UsageError(
            f"the run in {home} has {done} whole epochs already, and `epochs={epochs}` is "
            "fewer: give more, or train again from the start in another folder"
        )
    _check_unended(home, epochs)
    warnings = (f"{path} is damaged: resuming from the checkpoint before it" for path in damaged)
    return ResumePoint(planned, data, saved, tuple(warnings))


def _check_may_change(home: Path, recipe: Mapping[str, Any]) -> None:
    """Raise `UsageError` for keys that a resumed run can never change."""
    sections = {key.partition(".")[0] for key in MAY_CHANGE}
    given = {key: value for key, value in recipe.items() if value is not None}
    if other := [key for key in given if key.partition(".")[0] not in sections]:
        named = ", ".join(f"`{key}=...`" for key in other)
        raise UsageError(
            f"{home} resumes with its own recipe, without {named}; {_may_change(home)}"
        )


def _may_change(home: Path) -> str:
    may = ", ".join(f"`{key}`" for key in MAY_CHANGE)
    return f"only {may} may change. To change more, {_start_anew(home)}"


def _check_nothing_done(home: Path) -> None:
    """Raise `UsageError` if a run without a checkpoint has results that would be overwritten."""
    ended = _ended(home)
    if ended is not None and not ended.history:
        return  # interrupted in its first epoch
    done = [name for name in (BEST, HISTORY, FINAL, RESULT) if storage.exists(home / name)]
    if done:
        raise UsageError(
            f"{home} has no checkpoint left to resume from, and its results "
            f"({', '.join(done)}) are not overwritten: {_start_anew(home)}"
        )


def _ended(home: Path) -> Run | None:
    """Return the result of a run; None if it has not ended, or if the file is damaged."""
    try:
        return Run.read(home) if storage.exists(home / RESULT) else None
    except DamagedError:
        return None


def _check_unended(home: Path, epochs: int) -> None:
    ended = _ended(home)
    if ended is None:
        return
    more = epochs > len(ended.history)
    if ended.outcome == "interrupted" or (ended.outcome == "finished" and more):
        return
    # A run that stopped early or diverged would do so again.
    hint = _start_anew(home)
    if ended.outcome == "finished":
        hint = f"`epochs=` above {len(ended.history)} trains it further"
    elif ended.saved is None:
        hint = "start a new run with another recipe"
    raise UsageError(f"the run in {home} has ended ({summary.verdict(ended)}); {hint}")


def check(session: Session, point: ResumePoint, home: Path) -> Iterator[str]:
    """Yield warnings; raise `UsageError` if the data or the best model are not the run's."""
    if point.data is not None:
        _check_same_data(session, point.data, home)
    yield from _check_best(session, home, point.checkpoint)


def _check_same_data(session: Session, before: DataRecord, home: Path) -> None:
    now = description.data_record(session)
    if before.fingerprint != now.fingerprint:
        raise UsageError(
            f"the data are not those that {home} began with: the fingerprint was "
            f"{before.fingerprint[:12]} and is {now.fingerprint[:12]}; {_start_anew(home)}"
        )
    if before.images != now.images or (before.split and before.split != now.split):
        raise UsageError(
            f"this archspec splits the data differently than the one that {home} began with, so "
            f"held-out images would be trained on: {_start_anew(home)}"
        )


def _check_best(session: Session, home: Path, saved: Checkpoint | None) -> Iterator[str]:
    """Yield a warning if the best model is missing or damaged; raise if it is another network's.

    Such a model is written again from its epoch's checkpoint, or without one, the best epoch is
    chosen among those to come.
    """
    if saved is None or saved.state.written_epoch is None:
        return
    path = home / BEST
    wrong = f"there is no {path}"
    if storage.exists(path):
        storage.check_readable(path)
        try:
            model = load_file(path)
        except UsageError as error:
            wrong = str(error)
        else:
            if different := other_network(session.plan.graph, model):
                raise UsageError(
                    f"{path} is not the model of this run: {different}; replace or remove it"
                )
            return
    epoch = saved.state.best_epoch
    saved.state.written_epoch = None
    if epoch == saved.epoch or (epoch and checkpoints.of_epoch(home, epoch)):
        yield f"{wrong}: it is written again, from its epoch's checkpoint"
    else:
        saved.state.best_epoch = None
        yield f"{wrong}: the best epoch will be one of those after epoch {saved.epoch}"


def _start_anew(home: Path) -> str:
    """Return how to start another run, with this one's weights if it has any."""
    spec = call("fit", home / SPEC)
    try:
        saved_model(home)
    except UsageError:
        return f"start a new run: {spec}"
    return f"start a new run with its weights: {spec} with `transfer.from={str(home)!r}`"

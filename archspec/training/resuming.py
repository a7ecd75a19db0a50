"""A run's folder -> where the run goes on, if it can.

Nothing is written here: a request that is refused leaves the folder as it was. What can be known
without Keras is `find`'s, and the rest, that the data and the best model are the run's, `check`'s.
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
from archspec.runs import checkpoint, storage, summary
from archspec.runs.files import BEST, CHECKPOINTS, DATA, FINAL, HISTORY, RESULT, SPEC
from archspec.runs.origin import MAY_CHANGE, RunSetup, changes, listed, read_spec
from archspec.runs.outcome import Run, saved_model
from archspec.runs.records import DataRecord
from archspec.runs.storage import DamagedError
from archspec.training import description
from archspec.training.session import Session, TrainingPlan, plan_training


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run goes on, and with what, as far as that can be known without Keras."""

    plan: TrainingPlan
    data: DataRecord | None
    """None where the run was stopped before it could say."""
    held: checkpoint.Checkpoint | None
    warnings: tuple[str, ...]

    @property
    def epoch(self) -> int:
        return self.held.epoch if self.held else 0


def find(home: Path, recipe: Mapping[str, Any]) -> ResumePoint:
    """Find where a run goes on; raise `SpecError` or `UsageError` where it cannot."""
    for place in (home, home / CHECKPOINTS):
        if storage.exists(place) and not os.access(place, os.W_OK):
            raise UsageError(f"{place} cannot be written: no permission")
    held, damaged = checkpoint.latest(home)
    if damaged and not held:
        raise UsageError(f"no checkpoint in {home} can be read: {_anew(home)}")
    if held is None:
        _check_nothing_done(home)
    if held is None and not storage.exists(home / DATA):  # stopped between the first files
        data, (spec, began) = None, read_spec(home)
    else:
        beginning = RunSetup.read(home)
        spec, began, data = beginning.spec, beginning.recipe, beginning.data
    _check_may_change(home, recipe)
    planned = plan_training(spec, recipe)
    other = [*changes(began.to_dict(), planned.recipe.to_dict(), "")]
    if other:
        raise UsageError(
            f"{home} goes on with its own recipe: {listed(other)}; {_may_change(home)}"
        )
    done, epochs = held.epoch if held else 0, planned.recipe.epochs
    if epochs < done:
        raise UsageError(
            f"the run in {home} has {done} whole epochs already, and `epochs={epochs}` is "
            "fewer: give more, or train it again from the start in another folder"
        )
    _check_unended(home, epochs)
    warnings = (f"{path} is damaged: going on from the checkpoint before it" for path in damaged)
    return ResumePoint(planned, data, held, tuple(warnings))


def _check_may_change(home: Path, recipe: Mapping[str, Any]) -> None:
    """Raise where a key is given that no run can change, whatever its value."""
    sections = {key.partition(".")[0] for key in MAY_CHANGE}
    given = {key: value for key, value in recipe.items() if value is not None}
    if other := [key for key in given if key.partition(".")[0] not in sections]:
        named = ", ".join(f"`{key}=...`" for key in other)
        raise UsageError(
            f"{home} goes on with its own recipe, without {named}; {_may_change(home)}"
        )


def _may_change(home: Path) -> str:
    may = ", ".join(f"`{key}`" for key in MAY_CHANGE)
    return f"only {may} may change. Else {_anew(home)}"


def _check_nothing_done(home: Path) -> None:
    """Raise where a run without a checkpoint has whole epochs, which would be overwritten."""
    ended = _ended(home)
    if ended is not None and not ended.history:
        return  # interrupted in its first epoch
    done = [name for name in (BEST, HISTORY, FINAL, RESULT) if storage.exists(home / name)]
    if done:
        raise UsageError(
            f"{home} has no checkpoint left to go on from, and what it has trained "
            f"({', '.join(done)}) is not overwritten: {_anew(home)}"
        )


def _ended(home: Path) -> Run | None:
    """How a run ended; None where it did not, or that is damaged, and is to be written again."""
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
    # What made one stop early, or diverge, would do so again.
    mend = _anew(home)
    if ended.outcome == "finished":
        mend = f"`epochs=` with more than {len(ended.history)} goes on with it"
    elif ended.saved is None:
        mend = "start a new run with another recipe"
    raise UsageError(f"the run in {home} has ended ({summary.verdict(ended)}); {mend}")


def check(session: Session, start: ResumePoint, home: Path) -> Iterator[str]:
    """Yield what a user should know; raise `UsageError` where data or best model are others."""
    if start.data is not None:
        _check_same_data(session, start.data, home)
    yield from _check_best(session, home, start.held)


def _check_same_data(session: Session, before: DataRecord, home: Path) -> None:
    now = description.data_record(session)
    if before.fingerprint != now.fingerprint:
        raise UsageError(
            f"the data are not those that {home} began with: their fingerprint was "
            f"{before.fingerprint[:12]} and is {now.fingerprint[:12]}: {_anew(home)}"
        )
    if before.images != now.images or (before.split and before.split != now.split):
        raise UsageError(
            f"this archspec splits the data otherwise than that which {home} began with: "
            f"images would be trained on that were held out: {_anew(home)}"
        )


def _check_best(session: Session, home: Path, held: checkpoint.Checkpoint | None) -> Iterator[str]:
    """Yield what is to be said of the best model so far; raise where it is another network's.

    One that is missing or damaged is written again from its epoch's checkpoint. If that is not
    there any more, the best epoch is chosen among those to come.
    """
    if held is None or held.state.written_epoch is None:
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
                    f"{path} is not the model of this run: {different}; put that back, or remove it"
                )
            return
    epoch = held.state.best_epoch
    held.state.written_epoch = None
    if epoch == held.epoch or (epoch and checkpoint.of_epoch(home, epoch)):
        yield f"{wrong}: it is written again, from its epoch's checkpoint"
    else:
        held.state.best_epoch = None
        yield f"{wrong}: the best epoch will be one of those after epoch {held.epoch}"


def _anew(home: Path) -> str:
    """How to start another run, with this one's weights where it has any."""
    spec = call("fit", home / SPEC)
    try:
        saved_model(home)
    except UsageError:
        return f"start a new run: {spec}"
    return f"start a new run with its weights: {spec} with `transfer.from={str(home)!r}`"

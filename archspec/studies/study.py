"""A search as its folder and its storage have it: the plan, the trials and the best of them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec import arguments, atomic
from archspec.display import Displayed, renderer
from archspec.errors import UsageError
from archspec.runs import folder as folders
from archspec.runs.files import INDEX, SPEC
from archspec.spec.document import Spec
from archspec.spec.writing import to_yaml
from archspec.studies import storage
from archspec.studies.files import BEST, TABLE
from archspec.studies.goals import Objective, front
from archspec.studies.plan import Plan
from archspec.studies.storage import Trial

if TYPE_CHECKING:
    import optuna

WRITING: Final = 100
"""Times that a process tries to write a folder's files, which another process writes too."""

BETWEEN: Final = 0.1
"""Seconds between two of these times."""


@dataclass(frozen=True, repr=False)
class Study(Displayed):
    """The trials of a search so far. Print it, or read its trials and the best."""

    RENDERER = "study"

    folder: Path
    """The search's folder."""
    plan: Plan
    trials: tuple[Trial, ...]

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Study:
        """Return the study in a folder as it is, without taking part.

        Raises:
            UsageError: There is none, or Optuna is missing.
        """
        home = Path(arguments.place("folder", folder))
        with storage.quiet():
            found, _ = storage.find(str(home), None)
            return cls.of(found, home)

    @classmethod
    def of(cls, study: optuna.Study, folder: Path) -> Study:
        """Return the trials so far of a study of Optuna."""
        plan = storage.plan_of(study)
        return cls(folder, plan, storage.trials_of(study, plan))

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.plan.spec.name

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives."""
        return self.plan.goals

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """The trials that have a score."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """Complete trials that no other beats in every objective; of one objective the best."""
        ranked = self.ranked
        costs = [[goal.cost(t.scores[goal.figure]) for goal in self.goals] for t in ranked]
        return tuple(ranked[i] for i in front(costs))

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """Complete trials, the best by the first objective first; of equals the smallest."""
        goal = self.goals[0]
        return tuple(
            sorted(
                self.complete,
                key=lambda t: (goal.cost(t.scores[goal.figure]), t.figures["params"], t.number),
            )
        )

    @property
    def best(self) -> Trial | None:
        """The best trial by the first objective, of equals the one with the fewest parameters.

        None where no trial is complete.
        """
        return self.ranked[0] if self.ranked else None

    def spec(self, trial: Trial | None = None) -> Spec:
        """Return the spec of a trial, by default of the best, to report, draw or build.

        Raises:
            UsageError: No trial is complete.
        """
        chosen = trial or self.best
        if chosen is None:
            raise UsageError("no trial is complete yet")
        return self.plan.space.network(chosen.values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the settings and all trials."""
        best = self.best
        return {
            "name": self.name,
            "folder": str(self.folder),
            "objectives": list(map(str, self.goals)),
            "where": list(self.plan.where),
            "seed": self.plan.seed,
            "best": best.number if best else None,
            "front": [trial.number for trial in self.front],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def write(self) -> None:
        """Write the folder's table, page and best network; wait while another process does."""
        for _ in range(WRITING):
            with suppress(UsageError), folders.claimed(self.folder):
                self._write()
                return
            time.sleep(BETWEEN)
        self._write()  # so that what is wrong is told

    def _write(self) -> None:
        module = renderer(self.RENDERER)
        atomic.save(self.folder / TABLE, module.csv(self))
        if self.best:
            atomic.save(self.folder / BEST, self._resolved(self.best))
        atomic.save(self.folder / INDEX, renderer("study_page").html(self))

    def _resolved(self, trial: Trial) -> str:
        """Return the spec of a trial, its variables set, with the recipe that it was trained by."""
        with suppress(FileNotFoundError):
            return (self.folder / trial.folder / SPEC).read_text(encoding="utf-8")
        data = self.spec(trial).to_dict()
        data.pop("search", None)
        return to_yaml(data)

    def __repr__(self) -> str:
        """Return one line, as a study may be in a list."""
        return f"<Study of {self.name}: {len(self.complete)} of {len(self.trials)} trials complete>"

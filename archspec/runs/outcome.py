"""The result of a run: `run.json`, and the model that it saved."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from archspec.data.task import TaskKind
from archspec.display import Displayed
from archspec.errors import ArchspecError, UsageError, call
from archspec.keras_model.build import load_model
from archspec.runs import storage
from archspec.runs.files import BEST, CLAIM, FINAL, RESULT, SPEC
from archspec.runs.state import history_fault
from archspec.runs.storage import STRICT, Amount, NotNegativeInt, RecordedNumber

Outcome: TypeAlias = Literal["finished", "stopped early", "interrupted", "diverged"]

EpochMeasures: TypeAlias = Mapping[str, RecordedNumber]
"""Measures of an epoch by name."""

Accuracy: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Run(Displayed):
    """The result of a training run, and the folder that holds it."""

    RENDERER = "run"

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    folder: Path = field(default=Path(), kw_only=True)
    """The run's folder, which `run.json` does not name."""
    name: str
    outcome: Outcome
    history: tuple[EpochMeasures, ...]
    """A row for each completed epoch, as in `history.csv`."""
    best_epoch: int | None
    """The completed epoch with the highest validation accuracy, of a classification; among equals,
    and for other tasks, the one with the lowest validation loss, then the first. Without
    validation images, accuracy and loss are those of training. None if no epoch's loss was
    finite."""
    test: EpochMeasures
    """Measures of the best epoch's model on the test images; empty if the run was interrupted, has
    no best epoch or no test images."""
    test_accuracy: Accuracy | None
    """Accuracy of the main output on the test images, from 0 to 1; None for labels and numbers,
    whose scores are in `test`."""
    seconds: Amount
    """Time of training and validation, without imports and test."""
    params: NotNegativeInt
    task: TaskKind = "classification"
    """The kind of task that the network was trained for."""
    advice: str = ""
    """The reason why the loss became infinite or NaN, if it did, and possible remedies."""

    @classmethod
    def read(cls, home: str | PathLike[str]) -> Run:
        """Return the run in a folder.

        Raises:
            UsageError: The folder does not hold a run that has ended.

        """
        home = Path(home)
        try:
            run = replace(storage.read(home / RESULT, cls), folder=home)
        except FileNotFoundError:
            raise UsageError(why_no_run(home)) from None
        if fault := history_fault(run.history, run.best_epoch):
            raise storage.damaged(home / RESULT, fault)
        return run

    @property
    def images_per_second(self) -> float:
        """Training throughput: the median over epochs, without the first, which compiles.

        0 if every epoch was too short to time.
        """
        rates = [row["images_per_second"] for row in self.history[1:] or self.history]
        return statistics.median([rate for rate in rates if rate] or [0.0])

    @property
    def saved(self) -> str | None:
        """Name of the best epoch's model file, or of the last epoch's if no epoch was the best."""
        if self.best_epoch is not None:
            return BEST
        return None if self.outcome == "diverged" else FINAL

    def model(self) -> Any:
        """Return the Keras model in `saved`; raise `UsageError` if there is none."""
        if self.saved is None:
            raise UsageError(_no_model(self.folder))
        if not storage.exists(path := self.folder / self.saved):
            raise UsageError(f"there is no {path}, which the run saved: put it back")
        return load_model(path)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in `run.json`. A number that is not finite is None."""
        data: dict[str, Any] = storage.plain({**asdict(self), "folder": str(self.folder)})
        return data

    def write(self) -> None:
        """Write `run.json`."""
        storage.write(self.folder / RESULT, self, without=("folder",))


def saved_model(home: Path) -> Path:
    """Return the file of a run's best model, or of its last one if no epoch was the best.

    Raises:
        UsageError: There is no such file.

    """
    best, final = home / BEST, home / FINAL
    if storage.exists(best):
        return best
    if not storage.exists(final):
        if storage.exists(home / RESULT) and Run.read(home).saved is None:
            raise UsageError(_no_model(home))
        raise UsageError(
            f"{home} holds no trained model: neither {BEST} nor {FINAL} is there; "
            f"{call('resume', home)} goes on with a run that was stopped"
        )
    if storage.exists(home / SPEC) and Run.read(home).best_epoch is not None:
        raise UsageError(
            f"there is no {best}, the model of the run's best epoch: put it back, "
            f"or name {final}, the model of its last epoch"
        )
    return final


def _no_model(home: Path) -> str:
    return f"{home} holds no model: the run diverged in its first epoch"


def why_no_run(home: Path) -> str:
    """Return the reason why a folder does not hold a run that has ended."""
    if not storage.exists(home):
        return f"there is no folder {home}"
    if storage.exists(home / SPEC):
        return f"the run in {home} has not ended: {call('resume', home)} goes on with it"
    if storage.exists(home / CLAIM):
        return f"{home} holds no {SPEC}: its run never began, so start it again elsewhere"
    return f"{home} is not the folder of a run"


class DivergedError(ArchspecError):
    """The loss of a training became infinite or not a number.

    Attributes:
        run: The run's result: `run.advice` gives the reason and possible remedies, `run.folder`
            holds the epochs before.

    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        epoch = len(self.run.history) + 1
        why = f"The loss became infinite or not a number in epoch {epoch}."
        return f"{self.run.advice or why} The run is in {self.run.folder}."

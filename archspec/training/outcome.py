"""What came of a run, read from its folder or just ended."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from archspec.diagnostics import UsageError, call
from archspec.emit.model import load_model
from archspec.training import folder
from archspec.training.beginnings import SPEC

Outcome: TypeAlias = Literal["finished", "stopped early", "interrupted", "diverged"]

RESULT: Final = "run.json"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a training run, and the folder that holds it."""

    folder: Path
    name: str
    outcome: Outcome
    history: tuple[Mapping[str, float], ...]
    """A row for each completed epoch, as in `history.csv`."""
    best_epoch: int | None
    """The completed epoch with the highest validation accuracy; of several, the one with the lowest
    validation loss, and then the first. Without validation images, the training's accuracy and loss
    decide. None where no epoch's loss was finite."""
    test: Mapping[str, float]
    """The best epoch's score on the test images; empty where the run was interrupted, has no best
    epoch, or no test images."""
    test_accuracy: float | None
    """The main output's, from 0 to 1."""
    seconds: float
    """Training and validation, without imports and without the test."""
    params: int
    advice: str = ""
    """Why the loss became no number, if it did, and what may help."""

    @classmethod
    def read(cls, home: str | PathLike[str]) -> Run:
        """The run that a folder holds; raise `UsageError` where it holds none that has ended."""
        home = Path(home)
        try:
            held = json.loads((home / RESULT).read_text(encoding="utf-8"))
            held["history"] = tuple(held["history"])
            return cls(folder=home, **held)
        except FileNotFoundError:
            raise UsageError(no_run(home)) from None
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise UsageError(f"{home / RESULT} cannot be read: {error}") from None

    @property
    def images_per_second(self) -> float:
        """Training throughput: the median epoch's, without the first, which holds compilations."""
        rows = self.history[1:] or self.history
        return statistics.median([row["images_per_second"] for row in rows] or [0.0])

    @property
    def saved(self) -> str | None:
        """The file of the best epoch's model, or of the last where no epoch was a good one."""
        if self.best_epoch is not None:
            return "best.keras"
        return None if self.outcome == "diverged" else "final.keras"

    def model(self) -> Any:
        """The Keras model in `saved`."""
        if self.saved is None:
            raise UsageError(f"{self.folder} holds no model: the run diverged in its first epoch")
        return load_model(self.folder / self.saved)

    def write(self) -> None:
        held = {name: value for name, value in asdict(self).items() if name != "folder"}
        folder.write_text(self.folder / RESULT, json.dumps(held, indent=2) + "\n")


def no_run(home: Path) -> str:
    """Why a folder holds no run that has ended."""
    if not home.is_dir():
        return f"there is no folder {home}"
    if (home / SPEC).is_file():
        return f"the run in {home} has not ended: {call('resume', home)} goes on with it"
    if (home / folder.CLAIM).exists():
        return f"{home} holds no {SPEC}, with which a run begins: start it again elsewhere"
    return f"{home} is not the folder of a run"

"""The state of a run besides its weights: history and best epoch, as each checkpoint holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from archspec.runs.storage import Amount, NotNegativeInt, RecordedNumber
from archspec.runs.units import LayerMeasures


@dataclass(slots=True)
class RunState:
    """History, best epoch and training time of a run, as plain data."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True)  # older files hold more

    rows: list[dict[str, RecordedNumber]] = field(default_factory=list)
    """The run's history: a row for each whole epoch."""
    best_epoch: NotNegativeInt | None = None
    written_epoch: NotNegativeInt | None = None
    """The epoch whose model is in `best.keras`."""
    seconds: Amount = 0.0
    """Time of training and validation, over all processes that trained the run."""
    units: list[LayerMeasures] = field(default_factory=list)
    """Measures of each layer before the first epoch and after each; empty without `watch_units`."""
    stopped: bool = False
    """Whether a callback ended the run before its last epoch."""

    def judge(self, accuracy: str | None, images: int) -> None:
        """Make the newest epoch the best one if it ranks above the best so far.

        It is judged by the main accuracy on so many images, or if that is None, by the loss. Only
        the newest epoch's weights are available. Ranks are a total order, so that comparing each
        epoch once finds the best of all.
        """
        rank = _rank(self.rows[-1], accuracy, images)
        if rank is None:
            return
        best = self.best_epoch and _rank(self.rows[self.best_epoch - 1], accuracy, images)
        if not best or rank > best:
            self.best_epoch = len(self.rows)


def _rank(row: Mapping[str, float], accuracy: str | None, images: int) -> tuple[int, float] | None:
    """Return an epoch's rank: most images right, then lowest loss; None for an infinite or NaN one.

    Measures are of the validation images, or of the training images where there are none.
    """
    loss = row.get("val_loss", row.get("loss", math.inf))
    if accuracy is None:
        return (0, -loss) if math.isfinite(loss) else None
    right = round(row.get(f"val_{accuracy}", row.get(accuracy, 0.0)) * images)
    return (right, -loss) if math.isfinite(loss) else None


def history_fault(rows: Sequence[Mapping[str, float]], *epochs: int | None) -> str | None:
    """Return what is wrong with a history read from a file, which may have been edited.

    Its rows must be of the epochs 1, 2, 3, ..., and `epochs` must be among them.
    """
    for epoch, row in enumerate(rows, 1):
        if row.get("epoch") != epoch:
            return f"row {epoch} of its history is not of epoch {epoch}"
        if not {"seconds", "images_per_second"} <= row.keys():
            return f"row {epoch} of its history lacks `seconds` or `images_per_second`"
    for number in epochs:
        if number is not None and not 1 <= number <= len(rows):
            return f"its history has {len(rows)} epochs, but it names epoch {number}"
    return None

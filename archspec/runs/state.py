"""The history of a run and its best epoch, as each checkpoint holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from archspec.runs.storage import Amount, Count, Number
from archspec.runs.units import LayerMeasures


@dataclass(slots=True)
class RunState:
    """What a record must know again when a run goes on: plain data, kept in each checkpoint."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True)  # older ones say more

    rows: list[dict[str, Number]] = field(default_factory=list)
    """The run's history: a row for each whole epoch."""
    best_epoch: Count | None = None
    written_epoch: Count | None = None
    """The one that best.keras is of."""
    seconds: Amount = 0.0
    """Of training and validation, over all sittings."""
    units: list[LayerMeasures] = field(default_factory=list)
    """What each layer did, before the first epoch and after each; empty unless it is watched."""
    stopped: bool = False
    """Whether a callback ended the run before its last epoch."""

    def judge(self, accuracy: str, images: int) -> None:
        """Make the newest epoch the best if it ranks higher than the best before it.

        Only then are its weights at hand. As ranks are a total order, the best of all epochs is
        what remains: nothing but `rows` decides. `images` are those that an epoch is judged by.
        """
        newest = self.rows[-1]
        rank = _rank(newest, accuracy, images)
        if rank is None:
            return
        best = self.best_epoch and _rank(self.rows[self.best_epoch - 1], accuracy, images)
        if not best or rank > best:
            self.best_epoch = len(self.rows)


def _rank(row: Mapping[str, float], accuracy: str, images: int) -> tuple[int, float] | None:
    """Images right, then the loss, the lower the better; None where the loss is not finite.

    Of the validation; without validation images, of the training.
    """
    loss = row.get("val_loss", row.get("loss", math.inf))
    right = round(row.get(f"val_{accuracy}", row.get(accuracy, 0.0)) * images)
    return (right, -loss) if math.isfinite(loss) else None


def history_fault(rows: Sequence[Mapping[str, float]], *epochs: int | None) -> str | None:
    """Return what is wrong with a history read from a file, which may have been edited.

    Its rows are of the epochs 1, 2, 3, ..., and `epochs` are some of these.
    """
    for epoch, row in enumerate(rows, 1):
        if row.get("epoch") != epoch:
            return f"row {epoch} of its history is not of epoch {epoch}"
        if not {"seconds", "images_per_second"} <= row.keys():
            return f"row {epoch} of its history does not say how fast it was"
    for number in epochs:
        if number is not None and not 1 <= number <= len(rows):
            return f"its history has {len(rows)} epochs, and none is the {number}."
    return None

"""Finding a learning rate: the loss while the rate rises (Smith 2017, arXiv:1506.01186, 3.3).

A good highest rate is where the loss falls fastest. Where the loss is lowest the rate is too high:
there it already rises again between the sampled steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from archspec.display import Sentences
from archspec.errors import UsageError
from archspec.imports.loading import spec_for
from archspec.spec.document import Spec
from archspec.training.session import Session, plan_training, prepare

LOWEST: Final = 1e-6
HIGHEST: Final = 10.0
STEPS: Final = 100

BLOWN_UP: Final = 4.0
"""Multiple of its lowest value from which the smoothed loss will not recover."""

SMOOTHING: Final = 0.8
"""Weight of the former average in each smoothed loss."""


@dataclass(frozen=True, slots=True)
class Rates(Sentences):
    """Learning rates that were tried, in rising order, and the loss at each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Loss of each step's batch, smoothed."""
    chosen: float
    """The rate at which the loss falls fastest, to two digits."""

    def rows(self) -> list[dict[str, float]]:
        """Return a row for each step."""
        pairs = zip(self.rates, self.losses, strict=True)
        return [{"learning_rate": rate, "loss": loss} for rate, loss in pairs]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the chosen rate, and each rate that was tried with its loss."""
        return {"chosen": self.chosen, "tried": self.rows()}

    def __str__(self) -> str:
        return f"learning rate {self.chosen:g}: the loss falls fastest there"


def find_lr(spec: Spec | str | PathLike[str], **recipe: Any) -> Rates:
    """Find a learning rate by training a few steps while the rate rises.

    The rate rises from 1e-6 to 10 over 100 steps, or until the loss blows up. Nothing is saved.

    Args:
        spec: A spec, a path, or a name that comes with archspec.
        recipe: Keys of the recipe, as for `fit`. Schedule and warm-up are ignored, and one device
            is used.

    Returns:
        The rates that were tried, the smoothed loss at each, and the rate at which the loss fell
        fastest.

    Raises:
        SpecError: The spec is wrong.
        UsageError: An argument is wrong, Keras's backend is not installed, or the loss falls at
            no rate.

    Example:
        >>> rates = archspec.find_lr("lenet5")
        >>> rates.rates[0] < rates.chosen < rates.rates[-1]
        True
        >>> run = archspec.fit("lenet5", epochs=1, learning_rate=rates.chosen)
    """
    without = {"schedule": None, "warmup": 0, "learning_rate": LOWEST, "devices": 1}
    session = prepare(plan_training(spec_for("`archspec.find_lr`", spec), recipe | without))
    rates: list[float] = []
    losses: list[float] = []
    for rate, loss in _steps(session):
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        if smoothed(losses)[-1] > BLOWN_UP * min(smoothed(losses)):
            break
    return Rates(tuple(rates), tuple(smoothed(losses)), chosen(rates, smoothed(losses)))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return exponential moving averages, without a bias at the beginning."""
    average, share, averages = 0.0, 0.0, []
    for loss in losses:
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        share = SMOOTHING * share + 1 - SMOOTHING
        averages.append(average / share)
    return averages


def chosen(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return the rate at which the loss falls fastest, before its lowest value."""
    lowest = min(range(len(losses)), key=losses.__getitem__, default=0)
    falls = [losses[n + 1] - losses[n - 1] for n in range(1, lowest)]
    if not falls or min(falls) >= 0:
        raise UsageError(
            "the loss falls at no learning rate: check the labels and the network first"
        )
    return float(f"{rates[1 + falls.index(min(falls))]:.1e}")


def _steps(session: Session) -> Iterator[tuple[float, Any]]:
    """Yield learning rates, each with the loss of its step.

    All steps take as many images, a whole batch or all that there are: for another number the
    network would be compiled anew, and a loss of fewer images stood among the others.
    """
    model, feed = session.model, session.train
    steps = max(1, feed.images // feed.batch)
    session.compile(session.stages()[0], Path())
    for number in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / (STEPS - 1))
        model.optimizer.learning_rate = rate
        model.reset_metrics()  # otherwise the loss is averaged with earlier ones
        epoch, step = divmod(number, steps)
        measured = model.train_on_batch(*feed.batch_at(epoch + 1, step), return_dict=True)
        yield rate, float(measured["loss"])

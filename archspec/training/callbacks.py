"""Watchers: plain objects that are notified of a run's progress.

`as_keras_callback` makes a Keras callback of one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from archspec.evaluation.inference import averages
from archspec.runs.outcome import Run
from archspec.system import MemoryUse

Logs: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about a run that are known before its first step."""

    name: str
    epochs: int
    """Number of the last epoch."""
    images: int
    """Images per epoch."""
    batch: int
    """Images per step."""
    first_epoch: int = 1
    """Number of the first epoch, above 1 in a resumed run."""
    validation_images: int = 0
    measure: str = "accuracy"
    """Keras's name of the main output's measure: its accuracy, or for numbers `mae`."""
    flops_per_image: int = 0
    """FLOPs of a training step per image, as `pace.training_flops` counts them; 0 if unknown."""
    peak_flops: float = 0.0
    """FLOPs per second of all devices of the run; 0 if unknown."""
    memory: Callable[[], MemoryUse] | None = None
    """Function that returns the memory in use, such as `system.memory`."""
    folder: Path = Path()
    """The run's folder."""
    least_loss: float | None = None
    """Least possible validation loss, or loss without validation; None if it is 0 or unknown."""

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return math.ceil(self.images / self.batch)

    @property
    def validation_steps(self) -> int:
        """Batches per validation."""
        return math.ceil(self.validation_images / self.batch)


class Watcher:
    """A base class whose methods a run calls; a subclass overrides those that it needs.

    Epochs and steps count from 1. An epoch calls `epoch_begins`, perhaps `rate_changes`,
    `steps_done` many times, perhaps `validated` many times, `epoch_ends`, and `saved` if it is
    whole. `says` and `warns` may be called at any time.
    """

    def begins(self, facts: RunFacts) -> None:
        """Note that training begins."""

    def epoch_begins(self, epoch: int) -> None:
        """Note that an epoch begins."""

    def rate_changes(self, rate: float) -> None:
        """Note that this epoch has another learning rate than the one before."""

    def steps_done(self, steps: int, logs: Logs) -> None:
        """Note that `steps` steps of the epoch are done; `logs` are means over them."""

    def validated(self, steps: int) -> None:
        """Note that `steps` batches of the validation are done; 0 when it begins."""

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        """Note that an epoch ends, with the measures of training and validation."""

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:
        """Note that the state after `epoch` is saved in `path`."""

    def says(self, text: str) -> None:
        """Show a line of text."""

    def warns(self, text: str) -> None:
        """Show a warning."""

    def ends(self, run: Run) -> None:
        """Note that the run ended, with its result."""


def as_keras_callback(keras: Any, watcher: Watcher) -> Any:
    """Return a Keras callback that notifies `watcher`, without waiting for the device."""

    class Watching(keras.callbacks.Callback):  # type: ignore[misc]
        # Keras then reads a step's logs in another thread, which does the waiting.
        async_safe = True

        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()
            self.steps = self.validated = 0
            self.rate: float | None = None

        def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
            self.steps = 0
            watcher.epoch_begins(epoch + 1)
            rate = learning_rate(keras, self.model)
            if rate != self.rate:
                self.rate = rate
                watcher.rate_changes(rate)

        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            with self.lock:
                if batch >= self.steps:  # threads may overtake each other
                    self.steps = batch + 1
                    watcher.steps_done(self.steps, averages(keras, logs or {}))

        def on_test_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
            with self.lock:
                self.validated = 0
                watcher.validated(0)

        def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
            with self.lock:
                if batch >= self.validated:
                    self.validated = batch + 1
                    watcher.validated(self.validated)

        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            watcher.epoch_ends(epoch + 1, averages(keras, logs or {}))

    return Watching()


def learning_rate(keras: Any, model: Any) -> float:
    """Return the next step's learning rate with float32 digits: 0.1, not 0.10000000149011612."""
    return float(f"{float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)):.7g}")

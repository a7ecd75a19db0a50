"""What a training run tells whoever watches it.

The watchers are plain objects; `as_keras_callback` is all that Keras sees of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from archspec.evaluation.inference import averages
from archspec.system import MemoryUse

Logs: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run before its first step."""

    name: str
    epochs: int
    """The number of the last one."""
    images: int
    """That an epoch trains on."""
    batch: int
    first_epoch: int = 1
    """A later one where a run goes on."""
    validation_images: int = 0
    accuracy: str = "accuracy"
    """The measure that people look at first, as Keras calls it."""
    flops_per_image: int = 0
    """Of a training step, as `pace.training_flops` counts them; 0 where unknown."""
    peak_flops: float = 0.0
    """A second, of all that the run computes on; 0 where unknown."""
    memory: Callable[[], MemoryUse] | None = None
    """Measures the memory in use, as `machine.memory` does."""
    least_loss: float | None = None
    """What the validation loss, or without validation the loss, does not fall below; None where
    that is 0, or not known."""

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return math.ceil(self.images / self.batch)

    @property
    def validation_steps(self) -> int:
        return math.ceil(self.validation_images / self.batch)


class Ending(Protocol):
    """What watchers may know of how a run ended."""

    @property
    def folder(self) -> Path: ...
    @property
    def outcome(self) -> str: ...
    @property
    def best_epoch(self) -> int | None: ...
    @property
    def test(self) -> Logs: ...
    @property
    def seconds(self) -> float: ...
    @property
    def advice(self) -> str: ...


class Watcher:
    """What is told of a run, in this order; a subclass hears what it overrides.

    Epochs and steps count from 1. An epoch is begins, rate_changes (perhaps), steps_done (many),
    validated (perhaps), epoch_ends, saved (perhaps). `says` and `warns` may come at any time.
    """

    def begins(self, facts: RunFacts) -> None: ...

    def epoch_begins(self, epoch: int) -> None: ...

    def rate_changes(self, rate: float) -> None:
        """The epoch that begins has another learning rate than the one before."""

    def steps_done(self, steps: int, logs: Logs) -> None:
        """So many steps of the epoch; `logs` are the measures' means over them."""

    def validated(self, steps: int) -> None:
        """So many batches of the validation; 0 when it begins."""

    def epoch_ends(self, epoch: int, logs: Logs) -> None: ...

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:
        """The state after `epoch` is safe in `path`."""

    def says(self, text: str) -> None: ...

    def warns(self, text: str) -> None: ...

    def ends(self, ending: Ending) -> None: ...


def as_keras_callback(keras: Any, watcher: Watcher) -> Any:
    """A Keras callback that tells `watcher`, without making the device wait after each step."""

    class Watching(keras.callbacks.Callback):  # type: ignore[misc]
        # Lets Keras read a step's logs in another thread, which is where they are waited for.
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
    """The one of the next step, in the digits that a float32 has: 0.1, not 0.10000000149011612."""
    return float(f"{float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)):.7g}")

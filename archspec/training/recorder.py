"""What a run writes down while it trains: its history, its best model, what it can go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from archspec.recipe.averaging import averaged
from archspec.runs import checkpoint, folder, units
from archspec.runs.checkpoint import Checkpoint
from archspec.runs.files import BEST, HISTORY
from archspec.runs.state import RunState
from archspec.training.callbacks import Logs, Watcher, learning_rate
from archspec.training.feeding import Feed
from archspec.training.hosts import ALONE, Hosts
from archspec.training.interrupt import Interrupt
from archspec.training.units import Units

BEST_SHARE: Final = 0.02
"""Of the time, at most, goes into best.keras: a small network's epoch is over before it is written.
A best epoch that came too soon after the one before is in its checkpoint, which stays meanwhile."""


def images_per_second(images: int, seconds: float) -> float:
    """Images a second; 0 where the clock is too coarse to tell."""
    return round(images / seconds, 1) if seconds > 0 else 0.0


class Recorder(Watcher):
    """A watcher that writes each epoch down, and stops a run that must not go on.

    It is the last of a model's callbacks, so that a checkpoint holds what the others remember.
    """

    def __init__(
        self,
        keras: Any,
        model: Any,
        train: Feed,
        home: Path,
        *,
        judged: int,
        accuracy: str,
        interrupt: Interrupt,
        memory: RunState,
        watchers: Sequence[Watcher] = (),
        hosts: Hosts = ALONE,
    ) -> None:
        self.memory = memory
        self.diverged = False
        """Whether the loss was no number any more."""
        self.failed = range(0)
        """The steps of the epoch, one or more told of together, in which that came about."""
        self.losses: list[float] = []
        """Of the epoch under way, each the mean so far."""
        self.rate = 0.0
        """The learning rate that the epoch began with."""
        self.remembering: Any = None
        """Knows what Keras's callbacks remember, of the stage under way."""
        self.units: Units | None = None
        """Looks at what the layers do, in the stage under way, where that is wanted."""
        self.epoch = self.step = 0
        self._keras = keras
        self._model = model
        self._train = train
        self._home = home
        self._judged = judged
        self._accuracy = accuracy
        self._interrupt = interrupt
        self._watchers = watchers
        self._hosts = hosts
        self._started = self._seconds = 0.0
        self._best_is_due = -math.inf

    def epoch_begins(self, epoch: int) -> None:
        # At its end a schedule gives the next epoch's already.
        self.rate = learning_rate(self._keras, self._model)
        self._started = time.monotonic()
        self.epoch, self.step, self.losses = epoch, 0, []
        self._train.epoch = epoch

    def steps_done(self, steps: int, logs: Logs) -> None:
        before, self.step = self.step, min(steps, self._train.steps)
        self._seconds = time.monotonic() - self._started
        self._hear(logs, before)
        if self._hosts.count == 1:  # others would wait for ever in a step that this one leaves out
            self._stop_if_needed()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        self._hear(logs, self.step - 1)
        self._interrupt.requested = self._hosts.any(self._interrupt.requested)
        self._stop_if_needed()
        if self.diverged or self.step < self._train.steps:
            return  # not a whole epoch
        memory, images = self.memory, self._train.images
        memory.rows.append(
            {
                "epoch": epoch,
                **logs,
                "learning_rate": self.rate,
                "seconds": round(self._seconds, 4),
                "images_per_second": images_per_second(images, self._seconds),
            }
        )
        memory.judge(self._accuracy, self._judged)
        memory.seconds += time.monotonic() - self._started
        if self.units is not None:
            memory.units.append(self.units.measure())
        memory.stopped = bool(self._model.stop_training) and not self._interrupt.requested
        with self._hosts.all_succeed():
            if self._hosts.leads:
                self._save(epoch)

    def _save(self, epoch: int) -> None:
        plain, arrays = self.remembering.memory()
        arrays |= checkpoint.variables_of(self._keras, self._model)
        memory = self.memory
        behind = memory.best_epoch if memory.best_epoch != memory.written_epoch else None
        path = checkpoint.save(self._home, Checkpoint(epoch, arrays, memory, plain), spared=behind)
        self.publish(epoch, at_once=self._hosts.count > 1)
        for watcher in self._watchers:
            watcher.saved(path, epoch, best=memory.best_epoch == epoch)

    def publish(self, epoch: int, *, at_once: bool = True) -> None:
        """Write what people read of an epoch whose checkpoint is safe.

        That comes first, and a run that goes on from it does this again: else one that was killed
        in between would show another epoch than it remembers. Unless `at_once`, the best model
        waits until it is due.
        """
        folder.write_rows(self._home / HISTORY, self.memory.rows)
        units.write(self._home, self.memory.units)
        if at_once or time.monotonic() >= self._best_is_due:
            self.write_best(epoch)

    def write_best(self, epoch: int | None = None) -> None:
        """Bring best.keras up to date, from a checkpoint unless the model is just after `epoch`."""
        memory = self.memory
        best = memory.best_epoch
        if best is None or best == memory.written_epoch:
            return
        began = time.monotonic()
        held = None
        if best != epoch and (held := checkpoint.of_epoch(self._home, best)) is None:
            memory.best_epoch = memory.written_epoch  # a damaged disk
            return
        path = self._home / BEST
        averages = averaged(self._keras, self._model)
        with self._as_it_was(held), averages, folder.whole(path) as partial:
            self._model.save(partial)
        memory.written_epoch = best
        now = time.monotonic()
        self._best_is_due = now + (now - began) / BEST_SHARE

    @contextmanager
    def _as_it_was(self, held: Checkpoint | None) -> Iterator[None]:
        """The model as a checkpoint holds it, and then as it is; as it is for None."""
        if held is None:
            yield
            return
        now = checkpoint.variables_of(self._keras, self._model)
        now = {name: array.copy() for name, array in now.items()}  # torch's are the variables' own
        try:
            checkpoint.restore(self._model, held)
            yield
        finally:
            checkpoint.restore(self._model, Checkpoint(self.epoch, now))

    def _hear(self, logs: Logs, before: int) -> None:
        """The mean loss so far; after so many steps it was still a number."""
        if math.isfinite(loss := logs.get("loss", 0.0)):
            self.losses.append(loss)
        elif not self.diverged:
            self.diverged, self.failed = True, range(before + 1, self.step + 1)

    def _stop_if_needed(self) -> None:
        if self.diverged or self._interrupt.requested:
            self._model.stop_training = True

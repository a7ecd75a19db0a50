"""Writing a run's checkpoints, history and best model while it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from archspec import atomic
from archspec.recipe.averaging import averaged
from archspec.runs import checkpoints, folder, units
from archspec.runs.checkpoints import Checkpoint
from archspec.runs.files import BEST, HISTORY
from archspec.runs.state import RunState
from archspec.training.callbacks import Logs, Watcher, learning_rate
from archspec.training.interrupt import Interrupt
from archspec.training.session import Session
from archspec.training.units import Units

BEST_SHARE: Final = 0.02
"""Largest share of the time to spend on writing `best.keras`.

A small network's epoch is shorter than writing it. A best epoch that comes too soon after another
is not written yet, and its checkpoint is kept meanwhile.
"""


class Recorder(Watcher):
    """A watcher that saves each epoch, and stops a run that diverged or was interrupted.

    It must be the last of a model's callbacks, so that checkpoints hold the others' latest state.
    """

    def __init__(
        self,
        session: Session,
        home: Path,
        interrupt: Interrupt,
        state: RunState,
        watchers: Sequence[Watcher],
    ) -> None:
        self.state = state
        self.diverged = False
        """Whether the loss became infinite or NaN."""
        self.failed = range(0)
        """The steps, reported together, in one of which that happened."""
        self.losses: list[float] = []
        """Mean losses of the epoch under way, as reported."""
        self.rate = 0.0
        """The learning rate that the epoch began with."""
        self.callback_state: Any = None
        """Keras callback that returns the state of the other ones in this stage."""
        self.units: Units | None = None
        """Measures of the layers in this stage, with `watch_units`."""
        self.epoch = self.step = 0
        self._session = session
        self._keras, self._model, self._train = session.keras, session.model, session.train
        self._hosts = session.devices.hosts
        self._home = home
        self._interrupt = interrupt
        self._watchers = watchers
        self._started = self._seconds = 0.0
        self._best_is_due = -math.inf

    def epoch_begins(self, epoch: int) -> None:
        # At the epoch's end a schedule already returns the next epoch's rate.
        self.rate = learning_rate(self._keras, self._model)
        self._started = time.monotonic()
        self.epoch, self.step, self.losses = epoch, 0, []
        self._train.epoch = epoch

    def steps_done(self, steps: int, logs: Logs) -> None:
        before, self.step = self.step, min(steps, self._train.steps)
        self._seconds = time.monotonic() - self._started
        self._check_loss(logs, before)
        if self._hosts.count == 1:  # other hosts would wait forever for this one's step
            self._stop_if_needed()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        self._check_loss(logs, self.step - 1)
        self._interrupt.requested = self._hosts.any(self._interrupt.requested)
        self._stop_if_needed()
        if self.diverged or self.step < self._train.steps:
            return  # not a whole epoch
        state, images, seconds = self.state, self._train.images, self._seconds
        state.rows.append(
            {
                "epoch": epoch,
                **logs,
                "learning_rate": self.rate,
                "seconds": round(seconds, 4),
                # 0 if the clock is too coarse to tell.
                "images_per_second": round(images / seconds, 1) if seconds > 0 else 0.0,
            }
        )
        state.judge(self._session.accuracy, len(self._session.data.validation) or images)
        state.seconds += time.monotonic() - self._started
        if self.units is not None:
            state.units.append(self.units.measure())
        state.stopped = bool(self._model.stop_training) and not self._interrupt.requested
        with self._hosts.all_succeed():
            if self._hosts.leads:
                self._save(epoch)

    def _save(self, epoch: int) -> None:
        plain, arrays = self.callback_state.read()
        arrays |= checkpoints.variables_of(self._keras, self._model)
        state = self.state
        behind = state.best_epoch if state.best_epoch != state.written_epoch else None
        path = checkpoints.save(self._home, Checkpoint(epoch, arrays, state, plain), spared=behind)
        self.publish(epoch, at_once=self._hosts.count > 1)
        for watcher in self._watchers:
            watcher.saved(path, epoch, best=state.best_epoch == epoch)

    def publish(self, epoch: int, *, at_once: bool = True) -> None:
        """Write the files for people after an epoch's checkpoint is saved.

        The checkpoint comes first, and a resumed run publishes its epoch again, so that these files
        agree with it even if the run was killed in between. Unless `at_once`, the best model waits
        until it is due.
        """
        folder.write_rows(self._home / HISTORY, self.state.rows)
        units.write(self._home, self.state.units)
        if at_once or time.monotonic() >= self._best_is_due:
            self.write_best(epoch)

    def write_best(self, epoch: int | None = None) -> None:
        """Write `best.keras` if it is out of date, from a checkpoint unless `epoch` is the best."""
        state = self.state
        best = state.best_epoch
        if best is None or best == state.written_epoch:
            return
        began = time.monotonic()
        saved = None
        if best != epoch and (saved := checkpoints.of_epoch(self._home, best)) is None:
            state.best_epoch = state.written_epoch  # a damaged disk
            return
        path = self._home / BEST
        averages = averaged(self._keras, self._model)
        with self._restored(saved), averages, atomic.whole(path) as partial:
            self._model.save(partial)
        state.written_epoch = best
        now = time.monotonic()
        self._best_is_due = now + (now - began) / BEST_SHARE

    @contextmanager
    def _restored(self, saved: Checkpoint | None) -> Iterator[None]:
        """Restore the model from a checkpoint for a while; leave it as it is for None."""
        if saved is None:
            yield
            return
        now = checkpoints.variables_of(self._keras, self._model)
        now = {name: array.copy() for name, array in now.items()}  # torch's share memory
        try:
            checkpoints.restore(self._model, saved)
            yield
        finally:
            checkpoints.restore(self._model, Checkpoint(self.epoch, now))

    def _check_loss(self, logs: Logs, before: int) -> None:
        """Record the mean loss so far, or that it failed after step `before`."""
        if math.isfinite(loss := logs.get("loss", 0.0)):
            self.losses.append(loss)
        elif not self.diverged:
            self.diverged, self.failed = True, range(before + 1, self.step + 1)

    def _stop_if_needed(self) -> None:
        if self.diverged or self._interrupt.requested:
            self._model.stop_training = True

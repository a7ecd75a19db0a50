"""Progress of a training run for programs: one JSON object per line.

Every object has `event` and `time` (seconds since 1970). Unknown values are null, and so are
infinite or NaN measures. Epochs and steps count from 1. The events, in order:

start    name, epochs, first_epoch, images, batch, steps (per epoch), validation_images,
         flops_per_image, peak_flops (per second), least_loss (the least possible loss)
step     epoch, step, measures, images_per_second, share_of_peak, seconds_left, memory_bytes;
         at most one per second
epoch    epoch, step (the last one), whole (whether no step is missing), measures (validation's
         begin with val_), learning_rate (at its beginning), images_per_second, share_of_peak,
         seconds_left, memory_bytes
saved    epoch, path, best
message  text
warning  text
end      outcome, folder, best_epoch, test (measures), seconds, advice (why the loss became infinite
         or NaN, if it did)

Keys may be added, but none changes its meaning or is removed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from archspec.runs.outcome import Run
from archspec.runs.storage import plain
from archspec.system import Gauge
from archspec.training.callbacks import Logs, RunFacts, Watcher
from archspec.training.pace import Pace
from archspec.training.progress import write_at_once

STEP_SECONDS: Final = 1.0
"""Shortest time between two step events."""


class Events(Watcher):
    """A watcher that writes each event at once. Training goes on if its reader has gone."""

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._lock = threading.RLock()  # some backends report steps in another thread
        self._last_step = float("-inf")
        self._rate: float | None = None

    def begins(self, facts: RunFacts) -> None:
        with self._lock:
            self._facts = facts
            self._pace = Pace(facts, self._clock)
            self._gauge = Gauge(facts.memory, self._clock)
            self._write(
                "start",
                name=facts.name,
                epochs=facts.epochs,
                first_epoch=facts.first_epoch,
                images=facts.images,
                batch=facts.batch,
                steps=facts.steps,
                validation_images=facts.validation_images,
                flops_per_image=facts.flops_per_image or None,
                peak_flops=facts.peak_flops or None,
                least_loss=facts.least_loss,
            )

    def epoch_begins(self, epoch: int) -> None:
        with self._lock:
            self._pace.epoch_begins(epoch)

    def rate_changes(self, rate: float) -> None:
        with self._lock:
            self._rate = rate

    def steps_done(self, steps: int, logs: Logs) -> None:
        with self._lock:
            self._pace.steps_done(steps)
            now = self._clock()
            if now - self._last_step >= STEP_SECONDS:
                self._last_step = now
                pace = self._pace
                known = {"epoch": pace.epoch, "step": pace.steps, "measures": dict(logs)}
                self._write("step", **known, **self._rates())

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        with self._lock:
            steps = self._pace.steps
            self._write(
                "epoch",
                epoch=epoch,
                step=steps,
                whole=steps >= self._facts.steps,
                measures=dict(logs),
                learning_rate=self._rate,
                **self._rates(),
            )

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:
        self._write("saved", epoch=epoch, path=str(path), best=best)

    def says(self, text: str) -> None:
        self._write("message", text=text)

    def warns(self, text: str) -> None:
        self._write("warning", text=text)

    def ends(self, run: Run) -> None:
        self._write(
            "end",
            outcome=run.outcome,
            folder=str(run.folder),
            best_epoch=run.best_epoch,
            test=dict(run.test),
            seconds=run.seconds,
            advice=run.advice or None,
        )

    def _rates(self) -> dict[str, Any]:
        pace = self._pace
        return {
            "images_per_second": pace.images_per_second or None,
            "share_of_peak": pace.share_of_peak or None,
            "seconds_left": pace.seconds_left,
            "memory_bytes": self._gauge.read() or None,
        }

    def _write(self, event: str, **values: Any) -> None:
        values = {"event": event, "time": self._now(), **values}
        with self._lock:
            write_at_once(self._stream, json.dumps(plain(values), allow_nan=False) + "\n")

"""How far a training run is, for programs: a JSON object a line.

Every object has `event` and `time` (seconds since 1970). What is not known is null, and so is a
measure that is infinite or not a number. Epochs and steps count from 1. The events, in order:

start    name, epochs, first_epoch, images, batch, steps (of an epoch), validation_images,
         flops_per_image, peak_flops (a second), least_loss (that smoothed labels allow)
step     epoch, step, measures, images_per_second, share_of_peak, seconds_left, memory_bytes;
         at most one a second
epoch    epoch, step (its last), whole (whether none is missing), measures (those of the validation
         begin with val_), learning_rate (the one that it began with), images_per_second,
         share_of_peak, seconds_left, memory_bytes
saved    epoch, path, best
message  text
warning  text
end      outcome, folder, best_epoch, test (measures), seconds, advice (why the loss became no
         number, where it did)

Keys may be added, but none changes its meaning or goes away.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from archspec.system import Gauge
from archspec.training.callbacks import Ending, Logs, RunFacts, Watcher
from archspec.training.pace import Pace
from archspec.training.progress import tell

STEP_SECONDS: Final = 1.0


class Events(Watcher):
    """Writes each event at once; a reader who went away is no reason to end a training."""

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
        self._lock = threading.RLock()  # some backends tell of steps in a thread of their own
        self._told = float("-inf")
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
            if now - self._told >= STEP_SECONDS:
                self._told = now
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

    def ends(self, ending: Ending) -> None:
        self._write(
            "end",
            outcome=ending.outcome,
            folder=str(ending.folder),
            best_epoch=ending.best_epoch,
            test=dict(ending.test),
            seconds=ending.seconds,
            advice=ending.advice or None,
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
        found = {"event": event, "time": self._now(), **values}
        with self._lock:
            tell(self._stream, json.dumps(_without_infinities(found), allow_nan=False) + "\n")


def _without_infinities(value: Any) -> Any:
    """JSON has no infinity, and no number that is none."""
    if isinstance(value, dict):
        return {name: _without_infinities(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

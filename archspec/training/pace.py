"""The speed of a run and its remaining time, from the times at which steps were done."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from archspec.training.callbacks import RunFacts

INTERVAL_SECONDS: Final = 0.1
"""Shortest interval to measure: steps are reported in bunches."""

INTERVALS: Final = 300
"""Number of recent intervals to use: half a minute of short steps, or that many long ones."""

OUTLIER: Final = 10
"""Multiple of the usual time per step from which an interval is left out: it includes a
compilation for a smaller batch, or a laptop that slept."""

PAUSES: Final = 5
"""Number of recent epochs whose pauses for validation are used."""


class Pace:
    """The recent speed of training, and the time left at that speed.

    The first report of a run includes the compilation. It is left out, unless it is of a whole
    epoch and the only one so far.
    """

    def __init__(self, facts: RunFacts, clock: Callable[[], float] = time.monotonic) -> None:
        self.epoch = facts.first_epoch
        self.steps = 0
        self._facts = facts
        self._clock = clock
        self._last = clock()
        self._first: tuple[float, int] | None = None
        self._intervals: deque[tuple[float, int]] = deque(maxlen=INTERVALS)
        self._seconds = 0.0
        self._steps = 0
        self._usual = 0.0
        self._pauses: list[float] = []

    def epoch_begins(self, epoch: int) -> None:
        """Note that an epoch begins."""
        now = self._clock()
        if self.steps:
            self._pauses.append(now - self._last)
        self.epoch, self.steps, self._last = epoch, 0, now

    def steps_done(self, steps: int) -> None:
        """Note that `steps` steps of the epoch are done."""
        # The last report of an epoch counts a full bunch of steps on TensorFlow.
        steps = min(steps, self._facts.steps)
        now = self._clock()
        seconds, new = now - self._last, steps - self.steps
        self._last, self.steps = now, steps
        if self._first is None:
            self._first = seconds, new
            return
        self._seconds += seconds
        self._steps += new
        if self._steps and self._seconds >= INTERVAL_SECONDS:
            self._intervals.append((self._seconds, self._steps))
            self._seconds, self._steps = 0.0, 0
            self._usual = _without_outliers(self._intervals)

    @property
    def seconds_per_step(self) -> float:
        """Time per training step, without validation; 0 if unknown."""
        if self._usual:
            return self._usual
        if self._steps:
            return self._seconds / self._steps
        seconds, steps = self._first or (0.0, 0)
        return seconds / steps if steps >= self._facts.steps else 0.0

    @property
    def images_per_second(self) -> float:
        """Training throughput, without validation; 0 if unknown."""
        seconds = self.seconds_per_step * self._facts.steps
        return self._facts.images / seconds if seconds else 0.0

    @property
    def share_of_peak(self) -> float:
        """The network's FLOPs per second as a share of the machine's peak; 0 if unknown."""
        if not self._facts.peak_flops:
            return 0.0
        return self.images_per_second * self._facts.flops_per_image / self._facts.peak_flops

    @property
    def seconds_left(self) -> float | None:
        """Time until the end of the last epoch, validations included; None if unknown."""
        step = self.seconds_per_step
        if not step:
            return None
        pause = self._pause(step)
        rest = max(0, self._facts.steps - self.steps)
        waited = 0.0 if rest else self._clock() - self._last
        this = rest * step + max(0.0, pause - waited)
        return this + (self._facts.epochs - self.epoch) * (self._facts.steps * step + pause)

    def _pause(self, step: float) -> float:
        """Return the time from an epoch's last step to the next epoch: validating and saving."""
        known = self._pauses[1:]  # the first includes a compilation
        if known:
            return statistics.median(known[-PAUSES:])
        # A forward pass is a third of a training step.
        return self._facts.validation_steps * step / 3


def _without_outliers(intervals: Collection[tuple[float, int]]) -> float:
    """Return the seconds per step over intervals (seconds, steps), without outliers."""
    median = statistics.median(seconds / steps for seconds, steps in intervals)
    kept = [(s, n) for s, n in intervals if s <= OUTLIER * median * n]
    return sum(seconds for seconds, _ in kept) / sum(steps for _, steps in kept)


def training_flops(macs: Sequence[int], trained: Sequence[bool]) -> int:
    """Return the FLOPs of a training step on one image.

    A MAC is 2 FLOPs. A layer has up to three passes of equal cost: forward, the gradient of its
    weights if it is trained, and the gradient of its inputs if it or a layer before it is.
    """
    first = list(trained).index(True) if any(trained) else len(trained)
    passes = (1 + own + (index >= first) for index, own in enumerate(trained))
    return sum(2 * macs * count for macs, count in zip(macs, passes, strict=True))

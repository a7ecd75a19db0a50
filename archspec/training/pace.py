"""How fast a run goes, and when it will be over: arithmetic on the times when steps are done."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from archspec.training.callbacks import RunFacts

INTERVAL_SECONDS: Final = 0.1
"""The shortest time that is looked at: steps are told of in bunches."""

INTERVALS: Final = 300
"""How many of the latest are looked at: half a minute of short steps, or that many long ones."""

OUTLIER: Final = 10
"""An interval whose steps took this many times the usual held up something else: a compilation
for a smaller batch, a laptop that slept."""

PAUSES: Final = 5
"""How many of the latest epochs' validations are looked at."""


class Pace:
    """The recent rate of steps, and what is left to do at it.

    The first report of a run holds the compilation: it is left out, unless it is of a whole epoch
    and there is no other yet.
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
        now = self._clock()
        if self.steps:
            self._pauses.append(now - self._last)
        self.epoch, self.steps, self._last = epoch, 0, now

    def steps_done(self, steps: int) -> None:
        # Told of several at once, TensorFlow counts those that the last time had room for.
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
        """Of training alone; 0 where nothing is known yet."""
        if self._usual:
            return self._usual
        if self._steps:
            return self._seconds / self._steps
        seconds, steps = self._first or (0.0, 0)
        return seconds / steps if steps >= self._facts.steps else 0.0

    @property
    def images_per_second(self) -> float:
        """Of training alone; 0 where nothing is known yet."""
        seconds = self.seconds_per_step * self._facts.steps
        return self._facts.images / seconds if seconds else 0.0

    @property
    def share_of_peak(self) -> float:
        """What the network's static FLOPs are of the machine's peak; 0 where unknown."""
        if not self._facts.peak_flops:
            return 0.0
        return self.images_per_second * self._facts.flops_per_image / self._facts.peak_flops

    @property
    def seconds_left(self) -> float | None:
        """Until the last epoch's end, validations included; None where nothing is known yet."""
        step = self.seconds_per_step
        if not step:
            return None
        pause = self._pause(step)
        rest = max(0, self._facts.steps - self.steps)
        waited = 0.0 if rest else self._clock() - self._last
        this = rest * step + max(0.0, pause - waited)
        return this + (self._facts.epochs - self.epoch) * (self._facts.steps * step + pause)

    def _pause(self, step: float) -> float:
        """From an epoch's last step to the next one's beginning: validating, saving."""
        known = self._pauses[1:]  # the first held a compilation
        if known:
            return statistics.median(known[-PAUSES:])
        # A forward pass is a third of a training step.
        return self._facts.validation_steps * step / 3


def _without_outliers(intervals: Collection[tuple[float, int]]) -> float:
    """Seconds per step over intervals of so many seconds and steps."""
    median = statistics.median(seconds / steps for seconds, steps in intervals)
    kept = [(s, n) for s, n in intervals if s <= OUTLIER * median * n]
    return sum(seconds for seconds, _ in kept) / sum(steps for _, steps in kept)


def training_flops(macs: Sequence[int], trained: Sequence[bool]) -> int:
    """FLOPs of a training step on one image, from each layer's MACs and whether it is trained.

    A MAC is 2 FLOPs, and a layer has up to three passes of as many: forward, the gradient of its
    weights if it is trained, and that of its inputs if it or a layer before it is.
    """
    first = list(trained).index(True) if any(trained) else len(trained)
    passes = (1 + own + (index >= first) for index, own in enumerate(trained))
    return sum(2 * macs * count for macs, count in zip(macs, passes, strict=True))

"""Copies of a run's folder as `kill -9` would have left it, made while the run goes on.

So one training is at once a run that nothing disturbed, and many that were stopped somewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np

import archspec
from archspec.training.callbacks import Logs, RunFacts, Watcher


def left(home: Path, epoch: int, step: int) -> Path:
    """Return the copy of a run's folder after a step of an epoch."""
    return home.with_name(f"{home.name}-{epoch}-{step}")


def measures(home: Path) -> list[dict[str, float]]:
    """Return the measures of each epoch of a run, and last those of the test images."""
    run = archspec.Run.read(home)
    timed = {"seconds", "images_per_second"}
    rows = [{k: v for k, v in row.items() if k not in timed} for row in run.history]
    return [*rows, dict(run.test)]


def assert_same(home: Path, other: Path) -> None:
    """Assert that two runs came to the same: weights, history but for its times, and the score."""
    assert measures(home) == measures(other)
    one, two = (archspec.load_model(run / "final.keras").get_weights() for run in (home, other))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


class Interrupts(Watcher):
    """Presses Ctrl-C within an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_begins(self, epoch: int) -> None:
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


class Copies(Watcher):
    """Makes `left(home, epoch, step)` of a run at each of some moments.

    The run must report each step: `steps_per_execution=1`.
    """

    def __init__(self, *moments: tuple[int, int]) -> None:
        self.moments = moments
        self.home = Path()
        self.epoch = 0

    def begins(self, facts: RunFacts) -> None:
        self.home = facts.folder.absolute()

    def epoch_begins(self, epoch: int) -> None:
        self.epoch = epoch

    def steps_done(self, steps: int, logs: Logs) -> None:  # noqa: ARG002
        if (self.epoch, steps) in self.moments:
            shutil.copytree(self.home, left(self.home, self.epoch, steps))

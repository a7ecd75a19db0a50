"""Copies of a run's folder as `kill -9` would have left it, made while the run goes on.

So one training is at once a run that nothing disturbed, and many that were stopped somewhere.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from archspec.training.callbacks import Logs, RunFacts, Watcher


def left(home: Path, epoch: int, step: int) -> Path:
    """Return the copy of a run's folder after a step of an epoch."""
    return home.with_name(f"{home.name}-{epoch}-{step}")


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

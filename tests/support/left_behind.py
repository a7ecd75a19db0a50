"""Copies of a run's folder as `kill -9` would have left it, made while the run goes on.

So one training is at once a run that nothing disturbed, and many that were stopped somewhere.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import zipfile
from pathlib import Path
from typing import Any

import h5py
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


def weights(home: Path) -> dict[str, np.ndarray]:
    """Return the weights of a run's final model by their places in its file.

    To read them takes a tenth of the time that it takes to build the model for them.
    """
    with zipfile.ZipFile(home / "final.keras") as file:
        content = io.BytesIO(file.read("model.weights.h5"))
    found: dict[str, np.ndarray] = {}

    def note(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in place:
            found[place] = item[()]

    with h5py.File(content) as stored:
        stored["layers"].visititems(note)
    return found


def assert_same(home: Path, other: Path) -> None:
    """Assert that two runs came to the same: weights, history but for its times, and the score."""
    assert measures(home) == measures(other)
    one, two = weights(home), weights(other)
    assert one
    assert one.keys() == two.keys()
    assert all(np.array_equal(array, two[place]) for place, array in one.items())


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

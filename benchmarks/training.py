"""`archspec fit` against what people write by hand, side by side in one run, on Keras's backend.

    python benchmarks/training.py             # all
    python benchmarks/training.py start       # some: lenet5, resnet20, augmented, bfloat16, start

`lenet5` (batch 32) and ResNet-20 (batch 128, images of CIFAR's size, without and with the recipe's
augmentation, and in mixed_bfloat16): each round of `archspec.fit` comes after one of a tuned loop
(`loops.py`), which trains the same Keras model on the same images. The first round, which
compiles, does not count, and nobody validates. `steps` is training alone; `epoch` is all that a
user waits for: archspec writes a checkpoint each epoch, and its best model; the loop writes
nothing. Figures are medians of the rounds, and of their ratios. `cpu` is the ratio of processor
time, which tells more where other processes compute.

`start`: from the command to the end of its first step, which for archspec is its first report, and
to the end of an epoch's run; each a whole process, against `bare.py`.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from loops import Task, loop
from run import ARCHSPEC, chosen

import archspec
from archspec.data.dataset import load
from archspec.keras_model.engine import dtype_policy
from archspec.recipe.train import Recipe
from archspec.training.callbacks import Logs, RunFacts, Watcher

IMAGES = 2_560
"""Images of CIFAR's size. Speed depends on their number, not on their content."""

ROUNDS = 5
STARTS = 7

SETTLING_SECONDS = 0.5
"""Time in which archspec's pipeline finishes reading ahead into the next epoch."""

FIT = [ARCHSPEC, "fit", "lenet5", "--epochs", "1"]
BARE = [sys.executable, str(Path(__file__).with_name("bare.py"))]


class Took(NamedTuple):
    """Seconds on the wall, and of all processor cores together."""

    wall: float
    cpu: float


def now() -> Took:
    return Took(time.perf_counter(), time.process_time())


def since(start: Took) -> Took:
    return Took(*(after - before for after, before in zip(now(), start, strict=True)))


class Turns(Watcher):
    """Lets the other side go first in each round of so many epochs, and takes the times of both."""

    def __init__(self, other: Callable[[], float], epochs: int) -> None:
        self.rounds: dict[str, list[Took]] = {"loop": [], "steps": [], "epoch": []}
        self.images = 0
        self._other = other
        self._epochs = epochs
        self._times: dict[str, list[Took]] = {}

    def begins(self, facts: RunFacts) -> None:
        self.images = facts.images
        self._other()  # compiles

    def epoch_begins(self, epoch: int) -> None:
        if epoch % self._epochs == 1 % self._epochs:
            self._times = {name: [] for name in self.rounds}
            time.sleep(SETTLING_SECONDS)
            for _ in range(self._epochs):
                start = now()
                self._other()
                self._times["loop"].append(since(start))
        self._start = now()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self._times["steps"].append(since(self._start))

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:  # noqa: ARG002
        self._times["epoch"].append(since(self._start))
        if epoch > self._epochs and epoch % self._epochs == 0:
            for name, times in self._times.items():
                self.rounds[name].append(Took(*map(sum, zip(*times, strict=True))))


def throughput(
    name: str, network: str, optimizer: Any, loss: Any, *, epochs: int, **recipe: Any
) -> None:
    """Epochs of `archspec.fit`, each beside a hand-written one."""
    spec = archspec.load(network)
    recipe |= {"data.validation": 0, "data.test": 0, "epochs": (1 + ROUNDS) * epochs}
    resolved = Recipe.resolve(spec.train, recipe)
    data = load(resolved.data, archspec.report(spec).graph.input)
    part = data.train
    with dtype_policy(keras, resolved.precision):
        model = archspec.build(spec)
    model.compile(optimizer, loss)
    task = Task(
        model,
        data.preprocessing(part.pixels.read(part.indices)),
        np.eye(len(data.class_names), dtype=np.float32)[part.labels],
        batch=resolved.batch,
        crop=bool(resolved.augment),
    )
    turns = Turns(loop(task), epochs)
    with tempfile.TemporaryDirectory() as home:
        archspec.fit(spec, out=Path(home, "run"), watchers=[turns], **recipe)
    theirs = turns.rounds["loop"]
    for side, ours in turns.rounds.items():
        rate = epochs * turns.images / statistics.median(took.wall for took in ours)
        row = f"{name:9} {'hand-written' if side == 'loop' else f'archspec, {side}':16}"
        print(f"{row}{rate:10,.0f} images/s{'' if side == 'loop' else ratios(theirs, ours)}")
        name = ""


def ratios(theirs: Sequence[Took], ours: Sequence[Took]) -> str:
    """Return the ratios of the sides' times: medians over the turns."""
    turns = list(zip(theirs, ours, strict=True))
    wall = statistics.median(a.wall / b.wall for a, b in turns)
    cpu = statistics.median(a.cpu / b.cpu for a, b in turns)
    return f"   {wall:5.2f} x   cpu {cpu:5.2f} x"


def lenet5() -> None:
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    throughput("lenet5", "lenet5", keras.optimizers.Adam(), loss, epochs=20)


def resnet20(name: str = "resnet20", **recipe: Any) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-4)
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "images.npz")
        np.savez(path, x=images, y=np.arange(IMAGES) % 10)
        recipe = {"augment": [], **recipe, "data": {"source": "arrays", "path": str(path)}}
        loss = keras.losses.CategoricalCrossentropy()
        throughput(name, "cifar_resnet20", optimizer, loss, epochs=1, **recipe)


def augmented() -> None:
    resnet20("augmented", augment=[{"random_crop": {"padding": 4}}, "horizontal_flip"])


def bfloat16() -> None:
    resnet20("bfloat16", precision="mixed_bfloat16")


def start() -> None:
    """Print the time until the first step, and until the end of an epoch."""
    first: dict[str, list[Took]] = {"hand-written": [], "archspec": []}
    whole: dict[str, list[Took]] = {name: [] for name in first}
    with tempfile.TemporaryDirectory() as home:
        for number in range(STARTS + 1):  # the first has byte code and disk caches to fill
            for mark, taken in (("first step", first), ("", whole)):
                out = str(Path(home, f"{mark}{number}"))
                ours = process([*FIT, "--json", "--out", out], mark and '"event": "step"')
                for name, took in (("hand-written", process(BARE, mark)), ("archspec", ours)):
                    taken[name] += [took] if number else []
    for what, taken in (("first step", first), ("one epoch", whole)):
        for name, ours in taken.items():
            seconds = statistics.median(took.wall for took in ours)
            row = f"{what if name == 'hand-written' else '':12}{name:16}{seconds:7.2f} s"
            print(row + ("" if name == "hand-written" else ratios(ours, taken["hand-written"])))


def process(command: Sequence[str], mark: str) -> Took:
    """Return the time until a process prints a line with `mark` (then it is killed) or ends."""
    start = time.perf_counter()
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd="/"
    )
    assert running.stdout is not None  # noqa: S101
    found = any(mark and mark in line for line in running.stdout)
    wall = time.perf_counter() - start
    if found:
        os.kill(running.pid, signal.SIGKILL)
    _, status, usage = os.wait4(running.pid, 0)
    if found != bool(mark) or (status and not found):
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return Took(wall, usage.ru_utime + usage.ru_stime)


BENCHMARKS = {
    "lenet5": lenet5,
    "resnet20": resnet20,
    "augmented": augmented,
    "bfloat16": bfloat16,
    "start": start,
}


def main() -> None:
    names = chosen(argparse.ArgumentParser(description="archspec fit"), BENCHMARKS).names
    print(f"Keras {keras.version()} on {keras.backend.backend()}")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()

"""`archspec fit` on a GPU against what people write by hand in PyTorch and in JAX.

    KERAS_BACKEND=jax python benchmarks/gpu.py        # or torch: what Keras runs on
    KERAS_BACKEND=jax python benchmarks/gpu.py --network cifar_resnet20 --batch 32 --images 320

ResNet-50 at 224x224 in mixed_bfloat16 by SGD with momentum, on images that lie in memory (`arrays`)
and on JPEGs of 500x375 (`folder`). By hand are PyTorch, channels last and compiled, and JAX
(`resnets.py`), each where it is installed; both get batches that threads have prepared, decoded by
OpenCV as archspec's are. TensorFlow takes no part.

Each side is a process of its own, one after the other. Images/s are the median of the rounds, each
an epoch, of which the first, which compiles, does not count. `share` is what three forward passes
of the network's FLOPs are of the machine's peak, as archspec measures that: the fastest of a few
large products in bfloat16. `memory` is the device's peak by its own count, on `arrays`, and what
that is of what the report says training must keep. JAX's holds what was tried out while compiling.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml
from photos import photos
from resnets import MOMENTUM, TRAININGS, ResNet, described

import archspec
from archspec import system as machine
from archspec.errors import ArchspecError
from archspec.keras_model.engine import load_keras
from archspec.training import pace
from archspec.training.callbacks import Logs, RunFacts, Watcher

ENGINES = {"jax": "JAX", "torch": "PyTorch"}
POLICY = "mixed_bfloat16"
WIDTH, HEIGHT = 500, 375
"""Size of a JPEG, as most of ImageNet's have."""

AHEAD = 3
"""Batches that are prepared while the device is busy."""

ARRAYS, FOLDER = "arrays.npz", "photos"
SOURCES = {"arrays": ARRAYS, "folder": FOLDER}


class Task(NamedTuple):
    """The network that every side trains, and its images."""

    network: str
    settings: dict[str, Any]
    batch: int
    images: int
    rounds: int
    """Measured rounds; one comes before them."""
    home: str
    """The folder of the images."""

    @property
    def spec(self) -> archspec.Spec:
        return archspec.load(self.network, **self.settings)

    @property
    def report(self) -> archspec.Report:
        return archspec.report(
            self.spec, batch=self.batch, dtype=POLICY, optimizer="momentum" if MOMENTUM else "sgd"
        )


class Measurements(NamedTuple):
    """The measurements of a side's process."""

    device: str
    params: int
    rates: dict[str, list[float]]
    """Images per second of each round, by source."""
    memory: int | None
    """Bytes of the device; None where it keeps no count."""
    flops: float = 0.0
    """FLOPs a second of the machine at its best; 0 where the side does not measure it."""


# archspec's side


class Rounds(Watcher):
    """Takes the time of each epoch's steps."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.peak = 0.0

    def begins(self, facts: RunFacts) -> None:
        self.images, self.peak = facts.images, facts.peak_flops

    def epoch_begins(self, epoch: int) -> None:  # noqa: ARG002
        self._start = time.perf_counter()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self.rates.append(self.images / (time.perf_counter() - self._start))


def by_archspec(task: Task) -> Measurements:
    keras = load_keras()
    sides: dict[str, Rounds] = {}
    for source, place in SOURCES.items():
        watcher = sides[source] = Rounds()
        run = archspec.fit(
            task.spec,
            out=Path(task.home, f"run-{source}"),
            watchers=[watcher],
            data={
                "source": source,
                "path": str(Path(task.home, place)),
                "normalize": "torch",
                "validation": 0,
                "test": 0,
                "cache": False,
            },
            batch=task.batch,
            epochs=1 + task.rounds,
            precision=POLICY,
            optimizer={"sgd": {"learning_rate": 0.1, "momentum": MOMENTUM}},
            schedule=None,
            augment=[],
        )
        if source == "arrays":  # before there is another network beside it
            used = machine.memory(keras)
    gpus = machine.describe(keras).get("gpus", [{"name": "CPU"}])
    rates = {source: watcher.rates[1:] for source, watcher in sides.items()}
    peak = used.peak if used.device else None
    return Measurements(gpus[0]["name"], run.params, rates, peak, watcher.peak)


# By hand


def by_hand(task: Task, engine: str) -> Measurements:
    training = TRAININGS[engine](network_of(task))
    rates: dict[str, list[float]] = {}
    peak = None
    for source, read in (("arrays", arrays(task)), ("folder", folder(task))):
        rates[source] = []
        with contextlib.closing(batches(task, read)) as stream:
            for number in range(1 + task.rounds):
                start = time.perf_counter()
                for _ in range(task.images // task.batch):
                    loss = training.step(*next(stream))
                training.wait(loss)
                if number:
                    rates[source].append(task.images / (time.perf_counter() - start))
                elif peak is None:
                    training.forget()
        peak = peak or training.memory()
    return Measurements(training.device, training.params, rates, peak)


def network_of(task: Task) -> ResNet:
    spec = task.spec
    settings = {name: value for name, (value, _) in spec.settings.items()}
    found = described(spec.document.name, settings)
    if found is None:
        raise SystemExit(f"nobody has written {spec.name} by hand: take a resnet or cifar_resnet")
    return found


Read = Callable[[Any], tuple[Any, Any]]
"""Places of a batch -> its bytes (images, height, width, channels) and labels."""


def arrays(task: Task) -> Read:
    with np.load(Path(task.home, ARRAYS)) as held:
        images, labels = held["x"], held["y"]
    return lambda places: (images[places], labels[places])


def folder(task: Task) -> Read:
    files = sorted(Path(task.home, FOLDER).glob("*/*.jpg"))
    classes = {name: index for index, name in enumerate(sorted({f.parent.name for f in files}))}
    labels = np.array([classes[file.parent.name] for file in files])
    height, width, _ = task.report.graph.input
    pool = ThreadPoolExecutor(os.cpu_count())

    def decode(place: int) -> Any:
        return cv2.resize(cv2.imread(str(files[place]), cv2.IMREAD_COLOR_RGB), (width, height))

    return lambda places: (np.stack(list(pool.map(decode, places))), labels[places])


def batches(task: Task, read: Read) -> Iterator[tuple[Any, Any]]:
    """Yield batches without end, prepared ahead; each epoch has another order."""
    random = np.random.default_rng(0)
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(AHEAD) as pool:
        while True:
            order = random.permutation(task.images)
            for start in range(0, task.images, task.batch):
                waiting.append(pool.submit(read, order[start : start + task.batch]))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()


# All of them


def process(task: Task, side: str) -> Measurements | str:
    """Return the measurements of a side's process, or a message that it failed."""
    print(f"... {side}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--task", json.dumps(task)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return f"failed with status {done.returncode}, see above"
    return Measurements(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = arguments()
    if options.side:
        task = Task(*json.loads(options.task))
        result = by_archspec(task) if options.side == "archspec" else by_hand(task, options.side)
        print(json.dumps(result._asdict()))
        return
    backend = os.environ.get("KERAS_BACKEND", "")
    if backend not in ENGINES or not installed(backend):
        there = " or ".join(filter(installed, ENGINES)) or "jax or torch, which are not installed"
        raise SystemExit(f"KERAS_BACKEND says what archspec trains on: {there}, not {backend!r}")
    with tempfile.TemporaryDirectory() as home:
        images = options.images - options.images % options.batch
        task = Task(options.network, dict(options.set), options.batch, images, options.rounds, home)
        try:
            report = task.report
        except ArchspecError as error:
            raise SystemExit(str(error)) from None
        network_of(task)
        make_images(task, report)
        show(task, report, backend)


def show(task: Task, report: archspec.Report, backend: str) -> None:
    extent = "x".join(map(str, report.graph.input))
    static = report.memory.must_keep
    print(f"{report.name}, {extent}, {report.totals.params:,} parameters, {POLICY}")
    print(f"batches of {task.batch}, {task.images:,} images; {os.cpu_count()} cores")
    print(f"must keep, by the report: {static / 1e9:.2f} GB")
    ours = process(task, "archspec")
    if isinstance(ours, str):
        raise SystemExit(f"archspec's side {ours}")
    print(f"{ours.device}: {ours.flops / 1e12:,.3g} TFLOP/s in bfloat16")
    results: dict[str, Measurements | str] = {f"archspec, {ENGINES[backend]}": ours}
    for engine, name in ENGINES.items():
        side = f"{name} by hand"
        results[side] = process(task, engine) if installed(engine) else "left out: not installed"
    nodes = report.graph.nodes
    trained = [node.layer.trainable > 0 for node in nodes]
    flops = pace.training_flops([node.layer.macs for node in nodes], trained)
    print(f"\n{'':27}{'images/s':>10}{'archspec/it':>13}{'share':>8}{'memory':>19}")
    for source in SOURCES:
        for side, result in results.items():
            row = f"{source:8}{side:19}"
            if isinstance(result, str):
                print(row, result)
                continue
            if result.params != report.totals.params:
                raise SystemExit(f"{side} has {result.params:,} parameters: another network")
            rate, own = (statistics.median(each.rates[source]) for each in (result, ours))
            share = rate * flops / ours.flops if ours.flops else 0
            print(f"{row}{rate:10,.0f}{own / rate:11.2f} x{share:8.1%}{memory(result, static):>19}")


def memory(result: Measurements, static: int) -> str:
    """Return a side's peak, also as a multiple of the report's figure."""
    if result.memory is None:
        return "n/a"
    return f"{result.memory / 1e9:.2f} GB, {result.memory / static:.2f} x"


def installed(engine: str) -> bool:
    return importlib.util.find_spec(engine) is not None


def make_images(task: Task, report: archspec.Report) -> None:
    """Bytes that say nothing, and JPEGs, of as many classes as the network knows."""
    (output,) = (report.graph.nodes[index] for index in report.graph.outputs.values())
    classes = output.layer.output.size
    if task.images < classes:
        raise SystemExit(f"{task.images:,} images cannot be of {classes:,} classes: --set classes=")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (task.images, *report.graph.input), np.uint8)
    np.savez(Path(task.home, ARRAYS), x=images, y=np.arange(task.images) % classes)
    photos(Path(task.home, FOLDER), task.images, classes, WIDTH, HEIGHT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", default="resnet50", help="a resnet, or a cifar_resnet")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=2_560, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that count")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    return parser.parse_args()


def setting(text: str) -> tuple[str, Any]:
    """`units=[1,1,1,1]` as a name and a value."""
    name, _, value = text.partition("=")
    return name, yaml.safe_load(value)


if __name__ == "__main__":
    main()

"""archspec against what people do today, side by side in one run.

    python benchmarks/run.py             # all
    python benchmarks/run.py build       # one: build, graphs

Figures are ratios of medians, the two sides taking turns, because machines are noisy. Absolute
times are of this machine. docs/performance.md keeps a table of results.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import archspec

KERAS_SUMMARY = "import keras; keras.applications.VGG16(weights=None).summary()"
ARCHSPEC = str(Path(sys.executable).parent / "archspec")
ROUNDS = 5
ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # users have their byte code cached


class Cost(NamedTuple):
    """What one process took."""

    seconds: float
    peak_mb: float


def whole_process(command: Sequence[str]) -> Cost:
    """Wall time and peak memory of a command from start to end, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return Cost(seconds, usage.ru_maxrss / 1000)


def build() -> None:
    """`archspec build vgg16` against Keras's own summary, each as a whole process."""
    ours, theirs = [], []
    whole_process([ARCHSPEC, "build", "vgg16"])  # byte code, disk cache
    whole_process([sys.executable, "-c", KERAS_SUMMARY])
    for _ in range(ROUNDS):
        ours += [whole_process([ARCHSPEC, "build", "vgg16"]) for _ in range(5)]
        theirs.append(whole_process([sys.executable, "-c", KERAS_SUMMARY]))
    ours_s, theirs_s = (statistics.median(c.seconds for c in costs) for costs in (ours, theirs))
    ours_mb, theirs_mb = (max(c.peak_mb for c in costs) for costs in (ours, theirs))
    print(f"build   archspec build vgg16         {ours_s:7.3f} s   {ours_mb:7.0f} MB")
    print(f"        keras VGG16().summary()      {theirs_s:7.3f} s   {theirs_mb:7.0f} MB")
    print(
        f"        ratio                        {theirs_s / ours_s:7.1f} x   "
        f"{theirs_mb / ours_mb:7.1f} x"
    )


def graphs() -> None:
    """ResNet-50 specs expanded and costed, row by row, in one process."""
    spec = archspec.load("resnet50")

    def once() -> None:
        report = archspec.report(spec)
        _ = report.totals, report.memory, report.rows()

    once()
    rates = [1 / median_seconds(once, 50) for _ in range(ROUNDS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    rate = statistics.median(rates)
    print(f"graphs  resnet50 expanded and costed {rate:7.0f} /s  {peak:7.0f} MB")


def median_seconds(work: Callable[[], None], times: int) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


BENCHMARKS = {"build": build, "graphs": graphs}


def main(names: Sequence[str]) -> None:
    for name in names or BENCHMARKS:
        if name not in BENCHMARKS:
            raise SystemExit(f"there is no benchmark {name!r}; {', '.join(BENCHMARKS)}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

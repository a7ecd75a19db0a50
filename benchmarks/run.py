"""archspec against what people do today, side by side in one run.

    python benchmarks/run.py                             # all
    python benchmarks/run.py build                       # one: build, graphs
    python benchmarks/run.py build graphs --against CHECKOUT   # beside another one of archspec

Figures are ratios of medians, the two sides taking turns, because machines are noisy. Absolute
times are of this machine. docs/performance.md keeps a table of results.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

HERE = Path(__file__).parents[1]
KERAS_SUMMARY = "import keras; keras.applications.VGG16(weights=None).summary()"
ARCHSPEC = str(Path(sys.executable).parent / "archspec")
ROUNDS = 5
ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # users have their byte code cached


class Cost(NamedTuple):
    """Time and memory of one process."""

    seconds: float
    processor: float
    """Seconds of processor time, in the process and in the system for it."""
    peak_mb: float


def whole_process(command: Sequence[str], environment: Mapping[str, str] = ENVIRONMENT) -> Cost:
    """Return the times and peak memory of a command from start to end; its output is dropped."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def asked(process: subprocess.Popen[str], line: str) -> float:
    """Return the number that a process answers to a line of its input."""
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def chosen(parser: argparse.ArgumentParser, benchmarks: Collection[str]) -> argparse.Namespace:
    """Parse the command line, whose `names` are of benchmarks, and print the machine's load."""
    parser.add_argument("names", nargs="*", help=f"{', '.join(benchmarks)}; all by default")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in benchmarks:
            parser.error(f"there is no benchmark {name!r}; {', '.join(benchmarks)}")
    arguments.names = arguments.names or list(benchmarks)
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return arguments


def build(against: Path | None) -> None:
    """`archspec build vgg16`, a whole process, against Keras's summary or another checkout."""
    if against is not None:
        build_against(against)
        return
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


def build_against(checkout: Path) -> None:
    """Compare both checkouts in processor time, and with an interpreter that does nothing."""
    nothing = [sys.executable, "-I", "-c", "pass"]
    command = [sys.executable, "-SP", "-c", "from archspec.cli import main; main()"]
    command += ["build", "vgg16"]
    with TemporaryDirectory() as folder:
        sides = [installed(tree, Path(folder, f"{n}")) for n, tree in enumerate((HERE, checkout))]
        for side in sides:
            whole_process(command, side)
        costs: list[list[Cost]] = [[], [], []]
        for number in range(10 * ROUNDS):
            for index in (0, 1) if number % 2 else (1, 0):
                costs[index].append(whole_process(command, sides[index]))
            costs[2].append(whole_process(nothing))
    ours, theirs, start = (statistics.median(c.processor for c in each) for each in costs)
    ours_mb, theirs_mb = (max(c.peak_mb for c in each) for each in costs[:2])
    paired = statistics.median(
        a.processor / b.processor for a, b in zip(costs[0], costs[1], strict=True)
    )
    print(f"build   archspec build vgg16   {ours * 1e3:5.0f} ms   {ours_mb:4.0f} MB")
    print(f"        the other checkout     {theirs * 1e3:5.0f} ms   {theirs_mb:4.0f} MB")
    print(f"        ratio of pairs         {paired:5.2f} x   {ours_mb / theirs_mb:4.2f} x")
    print(f"        python -I -c pass      {start * 1e3:5.0f} ms, {ours / start:.1f} x in ours")


def installed(checkout: Path, folder: Path) -> dict[str, str]:
    """Lay a checkout out as an install does; return the environment of its commands.

    They run without `site`, whose `.pth` files, as of an editable install, take time of their own.
    """
    for name, target in (("archspec", ""), ("cli", "cli"), ("specs", "specs")):
        shutil.copytree(checkout / name, folder / "archspec" / target, dirs_exist_ok=True)
    packages = Path(click.__file__).parents[1]
    return ENVIRONMENT | {"PYTHONPATH": f"{folder}{os.pathsep}{packages}"}


GRAPHS = {
    "resnet50, totals and memory": "report(resnet)",
    "resnet50, with all rows": "report(resnet).rows()",
    "resnet50, loaded each time": "report(archspec.load('resnet50'))",
    "resnet50, its YAML read each time": "report(archspec.load('mine.yaml', 'resnet50'))",
    "resnet50, a new YAML text each time": "report(archspec.load(next(texts), 'resnet50'))",
    "densenet201, totals and memory": "report(densenet)",
    "densenet201, with all rows": "report(densenet).rows()",
    "densenet201, each time of a new width": "report(next(new))",
}
"""Work by what it is: code that `WORKER` runs."""

WORKER = """
import statistics, sys, time
from pathlib import Path
import archspec

def report(spec):
    made = archspec.report(spec)
    made.totals, made.memory
    return made

resnet, densenet = archspec.load("resnet50"), archspec.load("densenet201")
new = iter([archspec.load("densenet201", growth=growth) for growth in range(33, 333)])
for width in range(65, 365):  # of the stem
    text = Path("mine.yaml").read_text().replace("filters: 64", f"filters: {width}")
    Path(f"mine{width}.yaml").write_text(text)
texts = iter([f"mine{width}.yaml" for width in range(65, 365)])
for line in sys.stdin:
    work, seconds = compile(line, "work", "exec"), []
    for number in range(26):
        start = time.process_time()
        exec(work)
        seconds.append(time.process_time() - start)
    print(statistics.median(seconds[1:]), flush=True)
"""
"""A process that runs each line of its input 25 times, and prints the processor time of one."""


def graphs(against: Path | None) -> None:
    """Specs expanded and costed in one process, in processor time."""
    checkouts = [checkout for checkout in (HERE, against) if checkout is not None]
    # The text of the older side, which both understand; a file of one's own has no parsed data.
    text = (checkouts[-1] / "specs" / "resnet.yaml").read_text(encoding="utf-8")
    with ExitStack() as folders:
        paths = [Path(folders.enter_context(TemporaryDirectory())) for _ in checkouts]
        for path in paths:
            (path / "mine.yaml").write_text(text, encoding="utf-8")
        graphs_of([graph_worker(*side) for side in zip(checkouts, paths, strict=True)])


def graphs_of(sides: Sequence[subprocess.Popen[str]]) -> None:
    """Print what workers take, in turn; the first is this checkout's."""
    seconds: dict[str, list[list[float]]] = {what: [[] for _ in sides] for what in GRAPHS}
    for _ in range(2 * ROUNDS):
        for what, work in GRAPHS.items():
            for side, taken in zip(sides, seconds[what], strict=True):
                taken.append(asked(side, work))
    for what, each in seconds.items():
        ours, *theirs = map(statistics.median, each)
        beside = f"  against {1 / theirs[0]:5.0f} /s  {theirs[0] / ours:5.2f} x" if theirs else ""
        print(f"graphs  {what:38} {1 / ours:5.0f} /s{beside}")
    for side in sides:
        side.stdin.close()
        side.wait()


def graph_worker(checkout: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-S", "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=installed(checkout, folder),
        cwd=folder,
    )


BENCHMARKS = {"build": build, "graphs": graphs}


def main() -> None:
    parser = argparse.ArgumentParser(description="archspec side by side with others.")
    parser.add_argument("--against", type=Path, help="another checkout of archspec")
    arguments = chosen(parser, BENCHMARKS)
    for name in arguments.names:
        BENCHMARKS[name](arguments.against)


if __name__ == "__main__":
    main()

"""Candidates: how many a sweep costs in a second, in how much memory, and how fast one is rejected.

    python benchmarks/search.py                       # all
    python benchmarks/search.py sweep --against CHECKOUT   # beside `report` of another archspec
    python benchmarks/search.py memory reject
    python benchmarks/search.py reject --tuner PYTHON   # of an environment with keras-tuner

Times are of the processor. Both sides of a comparison take turns in one run, because machines are
noisy; ratios are medians of pairs. docs/performance.md keeps a table of results.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from run import ENVIRONMENT, HERE, asked, chosen, whole_process

ROUNDS = 15

RESNET = """
name: candidates
input: [224, 224, 3]
vars: {width: 64, second: 4, third: 6, classes: 1000}
defaults: {conv: {norm: batch, activation: relu}, residual: {style: bottleneck}}
layers:
  - conv: {filters: =width, kernel: 7, stride: 2, padding: 3}
  - max_pool: {size: 3, stride: 2, padding: 1}
  - for:
      filters: "=[width, 2 * width, 4 * width, 8 * width]"
      n: "=[3, second, third, 3]"
      stride: [1, 2, 2, 2]
    name: stage
    layers:
      - repeat: =n
        residual: {filters: =filters, stride: =stride if index == 0 else 1}
  - global_avg_pool
  - fc: {units: =classes, activation: softmax}
"""
"""ResNet-50 with variables: 16 bottlenecks where they are not set."""

SPACE = {"width": "48..80:4", "second": "2..6", "third": "4..9", "input": "160..256:32"}
"""1,080 candidates about as large as ResNet-50."""

LARGE = (
    "width=16..128:4",
    "second=2..8",
    "third=3..12",
    "input=128..320:16",
    "classes=10,100,200,1000",
)
"""Options of 105,560 candidates."""

WORKER = """
import itertools, sys, time
from archspec.cost.report import report
from archspec.spec.document import choose
from archspec.spec.loading import find

text, *ranges = sys.argv[1:]
source, validated, _ = find(text)
names, columns = [], []
for each in ranges:
    name, _, values = each.partition("=")
    bounds, _, step = values.partition(":")
    first, last = map(int, bounds.split(".."))
    names.append(name)
    columns.append(range(first, last + 1, int(step or 1)))
points = list(itertools.product(*columns))

def with_sweep():
    import archspec
    vary = {name: list(column) for name, column in zip(names, columns)}
    archspec.sweep(text, vary)

def with_report():
    for point in points:
        values = dict(zip(names, point))
        values["input"] = [values["input"], values["input"], 3]
        costs = report(choose(validated, source, None, values))
        costs.totals, costs.memory

def with_text():
    import archspec
    for point in points[::5]:
        values = dict(zip(names, point))
        values["input"] = [values["input"], values["input"], 3]
        costs = archspec.report(archspec.load(text, **values))
        costs.totals, costs.memory

for line in sys.stdin:
    start = time.process_time()
    globals()[line.strip()]()
    done = len(points[::5] if line.startswith("with_text") else points)
    print(done / (time.process_time() - start), flush=True)
"""
"""A process that costs all candidates for each line of its input, and prints how many a second."""

KERAS = """
import sys, time
import keras

for line in sys.stdin:
    start = time.process_time()
    keras.applications.ResNet50(weights=None, classes=int(line)).count_params()
    keras.backend.clear_session()
    print(time.process_time() - start, flush=True)
"""
"""A process that builds a ResNet-50 to count its parameters, as a tuner does that has a limit."""

TUNER = """
import io, sys, tempfile, time
from contextlib import redirect_stderr, redirect_stdout
import keras, keras_tuner

def network(hp):
    model = keras.applications.ResNet50(weights=None, classes=hp.Int("classes", 10, 1000))
    model.compile("sgd", "categorical_crossentropy")
    return model

for line in sys.stdin:
    tuner = keras_tuner.RandomSearch(
        network, objective="val_loss", max_trials=2, max_consecutive_failed_trials=100,
        max_model_size=1_000_000, directory=tempfile.mkdtemp(), seed=int(line),
    )
    start = time.process_time()
    with redirect_stdout(io.StringIO()) as told, redirect_stderr(told):
        tuner.search(verbose=0)
    assert {each.status for each in tuner.oracle.trials.values()} <= {"FAILED", "INVALID"}
    print((time.process_time() - start) / len(tuner.oracle.trials), flush=True)
"""
"""A process in which keras-tuner rejects ResNet-50s by its `max_model_size`."""

REJECTING = """
import sys, time
import archspec
from archspec.cost.setting import setting
from archspec.studies.goals import bounds
from archspec.studies.proposals import Proposer
from archspec.studies.space import space_of
from archspec.studies.sweep import Assessor

spec = archspec.load(sys.argv[1])
space = space_of(spec, {"width": "48..80:4", "second": "2..6", "third": "4..9"})
assessor = Assessor(space, ("params",), bounds("params < 1M"), setting(spec), None)
for line in sys.stdin:
    proposer = Proposer(assessor, 0)
    points = [space.values(index) for index in range(space.count)]
    start = time.process_time()
    assert not any(map(proposer.is_within, points))
    print((time.process_time() - start) / len(points), flush=True)
"""
"""A process that rejects all candidates of a space, and prints the seconds of each."""


def worker(
    code: str, *arguments: str, checkout: Path = HERE, python: str = sys.executable
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
    )


def sweep(spec: Path, against: Path | None, _: str | None) -> None:
    """ResNet-50-sized candidates, with totals and must-keep memory."""
    ranges = [f"{name}={values}" for name, values in SPACE.items()]
    ours = worker(WORKER, str(spec), *ranges)
    theirs = worker(WORKER, str(spec), *ranges, checkout=against or HERE)
    turns = [(ours, "with_sweep"), (theirs, "with_report"), (theirs, "with_text")]
    for each in turns:  # warm
        asked(*each)
    rounds = []
    for number in range(ROUNDS):
        order = turns if number % 2 else turns[::-1]
        rates = [asked(*each) for each in order]
        rounds.append(rates if number % 2 else rates[::-1])
    swept, reported, loaded = (statistics.median(side) for side in zip(*rounds, strict=True))
    where = "the other checkout" if against else "this checkout"
    print(f"sweep   archspec.sweep, candidates a second of one core  {swept:7,.0f}")
    for name, rate, place in (("chosen from one text", reported, 1), ("loaded each", loaded, 2)):
        ratio = statistics.median(each[0] / each[place] for each in rounds)
        what = f"{where}: report of specs {name}"
        print(f"        {what:48} {rate:7,.0f}   ratio of rounds {ratio:.2f} x")


def memory(spec: Path, *_: object) -> None:
    """A hundred thousand candidates in a process of its own, their table written."""
    options = [part for each in LARGE for part in ("--vary", each)]
    table = spec.with_name("sweep.csv")
    command = [sys.executable, "-m", "archspec", "sweep", str(spec), *options, "-o", str(table)]
    cost = whole_process(command)
    with table.open(encoding="utf-8") as lines:
        count = sum(1 for _ in lines) - 1
    print(
        f"memory  {count:,} candidates   {cost.peak_mb:5.0f} MB   {cost.processor:5.0f} s of "
        f"processor   {count / cost.processor:,.0f}/s"
    )


def reject(spec: Path, _: Path | None, tuner: str | None) -> None:
    """One candidate over its budget: by its figures, and by building a Keras model."""
    ours = worker(REJECTING, str(spec))
    theirs = worker(TUNER, python=tuner) if tuner else worker(KERAS)
    what = "keras-tuner, max_model_size" if tuner else "build, count_params"
    asked(ours, "warm"), asked(theirs, "10")
    pairs = [(asked(ours, "again"), asked(theirs, str(100 + n))) for n in range(5)]
    here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"reject  archspec                  {here * 1e3:9.2f} ms")
    print(f"        {what:27} {there * 1e3:8.2f} ms")
    print(f"        ratio of pairs            {statistics.median(b / a for a, b in pairs):9,.0f} x")


BENCHMARKS = {"sweep": sweep, "memory": memory, "reject": reject}


def main() -> None:
    parser = argparse.ArgumentParser(description="Candidates of sweeps and searches.")
    parser.add_argument("--against", type=Path, help="another checkout of archspec, for sweep")
    parser.add_argument("--tuner", metavar="PYTHON", help="an interpreter, for reject")
    arguments = chosen(parser, BENCHMARKS)
    with TemporaryDirectory() as folder:
        spec = Path(folder, "candidates.yaml")
        spec.write_text(RESNET, encoding="utf-8")
        for name in arguments.names:
            BENCHMARKS[name](spec, arguments.against, arguments.tuner)


if __name__ == "__main__":
    main()

"""`archspec draw` against `archspec build`, and against `keras.utils.plot_model`.

    pip install --target PACKAGES pydot       # which plot_model needs, beside Graphviz
    PYTHONPATH=PACKAGES python benchmarks/drawing.py

Whole processes; the two sides take turns, and figures are medians of the ratios of pairs. Absolute
times are of this machine. docs/performance.md keeps a table of results.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from run import ARCHSPEC, Cost, chosen, whole_process

NETWORKS = ("vgg16", "googlenet", "densenet201")

KERAS = {"vgg16": "VGG16", "densenet201": "DenseNet201"}
"""The same networks in `keras.applications`, which has no GoogLeNet."""

PLOT = """
import sys, keras
model = getattr(keras.applications, sys.argv[1])(weights=None)
keras.utils.plot_model(model, sys.argv[2], show_shapes=True)
"""


def turns(ours: list[str], theirs: list[str], rounds: int) -> list[tuple[Cost, Cost]]:
    """Return what both commands cost in turns, without the first, which fills caches."""
    pairs = []
    for number in range(rounds + 1):
        costs = {side: whole_process((ours, theirs)[side]) for side in (number % 2, 1 - number % 2)}
        pairs.append((costs[0], costs[1]))
    return pairs[1:]


def against_build(folder: Path, rounds: int) -> None:
    """Compare in processor time, which other work on the machine changes least."""
    for network in NETWORKS:
        draw = [ARCHSPEC, "draw", network, "-o", str(folder / "net.svg")]
        pairs = turns(draw, [ARCHSPEC, "build", network], rounds)
        ours, theirs = (
            1e3 * statistics.median(c.processor for c in side) for side in zip(*pairs, strict=True)
        )
        ratio = statistics.median(a.processor / b.processor for a, b in pairs)
        size = (folder / "net.svg").stat().st_size / 1e3
        print(
            f"draw    {network:12} {ours:5.0f} ms   build {theirs:5.0f} ms   ratio {ratio:5.2f}"
            f"   {max(a.peak_mb for a, _ in pairs):4.0f} MB   SVG of {size:.0f} kB"
        )


def against_keras(folder: Path, rounds: int) -> None:
    """Compare by the clock and in processor time."""
    if importlib.util.find_spec("pydot") is None or shutil.which("dot") is None:
        raise SystemExit("keras.utils.plot_model needs pydot on PYTHONPATH, and Graphviz")
    for network, name in KERAS.items():
        draw = [ARCHSPEC, "draw", network, "-o", str(folder / "ours.svg")]
        plot = [sys.executable, "-c", PLOT, name, str(folder / "theirs.svg")]
        pairs = turns(draw, plot, rounds)
        for what in ("seconds", "processor"):
            numbers = [(getattr(a, what), getattr(b, what)) for a, b in pairs]
            ours, theirs = map(statistics.median, zip(*numbers, strict=True))
            ratio = statistics.median(b / a for a, b in numbers)
            print(
                f"plot    {network:12} {what:9}  {ours:6.2f} s   plot_model {theirs:6.2f} s"
                f"   ratio {ratio:5.1f} x"
            )


BENCHMARKS = {"build": against_build, "keras": against_keras}


def main() -> None:
    parser = argparse.ArgumentParser(description="Drawing side by side with others.")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of turns")
    arguments = chosen(parser, BENCHMARKS)
    with TemporaryDirectory() as folder:
        for name in arguments.names:
            BENCHMARKS[name](Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()

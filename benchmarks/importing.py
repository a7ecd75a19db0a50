"""`archspec import` of DenseNet-201: a model file becomes a spec in under a second.

    python benchmarks/importing.py

The processor time of the whole command, as a median of rounds, and its peak of memory. The model is
written by Keras first, with random weights, which the command leaves on disk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from run import ARCHSPEC, whole_process

NETWORK = "densenet201"

LIMIT = 1.0
"""Seconds of processor time."""

WRITE = "import sys, archspec; archspec.build(sys.argv[1]).save(sys.argv[2])"


def main() -> None:
    """Print what the command costs; fail where it takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        model, spec = Path(folder) / "net.keras", Path(folder) / "net.yaml"
        whole_process([sys.executable, "-c", WRITE, NETWORK, str(model)])
        costs = [
            whole_process([ARCHSPEC, "import", str(model), "-o", str(spec)])
            for _ in range(rounds + 1)
        ][1:]
        lines = len(spec.read_text(encoding="utf-8").splitlines())
    seconds = statistics.median(cost.processor for cost in costs)
    print(f"{NETWORK}.keras becomes {lines} lines in {seconds:.2f} s of processor time")
    if seconds > LIMIT:
        sys.exit(f"that is over {LIMIT} s")


if __name__ == "__main__":
    main()

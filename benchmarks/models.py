"""A model file's table: archspec against the framework that wrote the file, as whole processes.

    python benchmarks/models.py                       # ResNet-50 as .keras and as ONNX
    python benchmarks/models.py resnet50.keras net.onnx

Each round runs both, one after the other, so that both see the machine in the same state; times are
medians. Computing time is that of all threads, which other programs on the machine hardly change;
memory is the most that was resident.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from run import ARCHSPEC, ROUNDS, Cost, whole_process

KERAS = (
    "import sys, keras; "
    "keras.saving.load_model(sys.argv[1], compile=False).summary(print_fn=lambda *_, **__: None)"
)
MAKE = (
    "import sys, keras, archspec; model = keras.applications.ResNet50(weights=None); "
    "[archspec.export(model, file) for file in sys.argv[1:]]"
)
ONNX = "import sys, onnx; onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]))"


def main(paths: list[str]) -> None:
    with TemporaryDirectory() as folder:
        print(f"{'file':24}{'program':12}{'time':>9}{'computing':>12}{'memory':>10}")
        for path in paths or made(Path(folder)):
            theirs = ("onnx", ONNX) if path.endswith(".onnx") else ("keras", KERAS)
            commands = {
                theirs[0]: [sys.executable, "-c", theirs[1], path],
                "archspec": [ARCHSPEC, "build", path],
            }
            whole_process(commands["archspec"])  # compiles modules that were never imported
            rounds = [{name: whole_process(command) for name, command in commands.items()}
                      for _ in range(ROUNDS)]  # fmt: skip
            medians = {name: middle([each[name] for each in rounds]) for name in commands}
            for name, cost in medians.items():
                print(f"{Path(path).name:24}{name:12}" + shown(cost))
            first, ours = medians[theirs[0]], medians["archspec"]
            ratios = [a / b for a, b in zip(first, ours, strict=True)]
            print(f"{'':24}{'times':12}{ratios[0]:8.1f}x{ratios[1]:11.1f}x{ratios[2]:9.1f}x")


def made(folder: Path) -> list[str]:
    """Return keras.applications' ResNet-50, untrained, as a `.keras` file and as ONNX."""
    files = [str(folder / name) for name in ("resnet50.keras", "resnet50.onnx")]
    # In a process of its own: the most memory that a process had counts for what it starts.
    subprocess.run([sys.executable, "-c", MAKE, *files], check=True, capture_output=True)
    return files


def middle(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*[statistics.median(column) for column in zip(*costs, strict=True)])


def shown(cost: Cost) -> str:
    return f"{cost.seconds:7.2f} s{cost.processor:10.2f} s{cost.peak_mb:7.0f} MB"


if __name__ == "__main__":
    main(sys.argv[1:])

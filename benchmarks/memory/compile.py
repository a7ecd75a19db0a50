"""The compiled truth: what XLA plans for the training step of many networks, kept as data.

    pip install 'keras-archspec[measure]'
    python benchmarks/memory/compile.py                      # all that truth.json lacks
    python benchmarks/memory/compile.py --network vgg16      # one network
    python benchmarks/memory/compile.py --check              # compile again what is there

`truth.json`, beside this file, has an entry a line: network, batch, dtype, and the bytes by part
as `archspec measure` has them. The optimizer is SGD with momentum. The estimate of `archspec build
--engine jax-gpu` is calibrated and judged on it. Each entry is written at once, and what is there
is left alone, so that the hours may be spread. No GPU is needed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import archspec
from archspec.atomic import whole
from archspec.compile.expand import expand
from archspec.device.finding import find
from archspec.errors import ArchspecError
from archspec.measurement.compiling import compiled
from archspec.measurement.job import Job, versions
from archspec.measurement.measurement import DEFAULT_OPTIMIZER
from archspec.recipe.train import Recipe

TRUTH = Path(__file__).with_name("truth.json")
DEVICE, ENGINE, OPTIMIZER = "h100", "jax-gpu", "momentum"

NETWORKS = (
    "resnet50_keras",
    "vgg16",
    "squeezenet_v1_1",
    "mobilenet_v2",
    "densenet121",
    "googlenet",
    "alexnet",
    "inception_v3",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_s_16",
    "unet_padded",
    "xception",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "regnet_y_800mf",
    "lenet5",
    "cifar_resnet20",
    "mobilenet",
    "mixer_s_16",
    "nin_imagenet",
    "se_resnet50",
    "wrn_28_10",
    "resnet18",
)
"""Networks of a family each, but for the ResNets, whose blocks differ."""

SETTINGS = tuple(itertools.product(("float32", "mixed_bfloat16"), (32, 8, 128, 256)))

NOTE = (
    "entries at batch 8 and 32 were compiled for an H100 described with 3.35232 TB/s and 84.98 GB, "
    "not the table's 3.35 and 80; of 8 compiled again, one differed, by 0.06 %"
)

Case: TypeAlias = tuple[str, int, str]
"""Network, batch and dtype."""


def read() -> dict[Case, dict[str, Any]]:
    """Return the entries that are there, by case."""
    if not TRUTH.exists():
        return {}
    entries = json.loads(TRUTH.read_text(encoding="utf-8"))["entries"]
    return {(each["network"], each["batch"], each["dtype"]): each for each in entries}


def write(entries: dict[Case, dict[str, Any]]) -> None:
    """Write the entries in the order of the networks, each in a line."""
    ranks = {name: rank for rank, name in enumerate(NETWORKS)}
    ordered = sorted(entries, key=lambda case: (ranks.get(case[0], len(ranks)), case[2], case[1]))
    head = {
        "command": "python benchmarks/memory/compile.py",
        "device": DEVICE,
        "engine": ENGINE,
        "optimizer": OPTIMIZER,
        "note": NOTE,
        "versions": versions(),
    }
    lines = ",\n".join(f"  {json.dumps(entries[case])}" for case in ordered)
    with whole(TRUTH) as partial:
        text = json.dumps(head, indent=1)[:-2] + f',\n "entries": [\n{lines}\n ]\n}}\n'
        partial.write_text(text, encoding="utf-8")


def measured(case: Case) -> dict[str, Any]:
    """Return the entry of a case, compiled now."""
    network, batch, dtype = case
    settings = {"batch": batch, "precision": dtype, "optimizer": DEFAULT_OPTIMIZER}
    recipe = Recipe.resolve({}, settings)
    job = Job(expand(archspec.load(network)), recipe, find(DEVICE), "training")
    memory = compiled(job).to_dict()
    parts = ("arguments", "temporaries", "outputs", "aliased", "total")
    bytes_ = {part: memory[part] for part in parts}
    return {"network": network, "batch": batch, "dtype": dtype, **bytes_}


def cases(network: str | None) -> Iterator[Case]:
    """Yield the cases, of which each setting's come before the next setting's."""
    for dtype, batch in SETTINGS:
        for name in [network] if network else NETWORKS:
            yield name, batch, dtype


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network", help="one network instead of all")
    parser.add_argument("--check", action="store_true", help="compile again what is there")
    options = parser.parse_args()
    entries = read()
    failures = 0
    for case in cases(options.network):
        if (case in entries) is not options.check:
            continue
        start = time.perf_counter()
        try:
            entry = measured(case)
        except ArchspecError as error:
            print(*case, error, file=sys.stderr)
            failures += 1
            continue
        seconds = time.perf_counter() - start
        print(*case, f"{entry['total'] / 1e6:,.0f} MB in {seconds:.0f} s", flush=True)
        if not options.check:
            entries[case] = entry
            write(entries)
        elif entry != entries[case]:
            failures += 1
            print("  was", json.dumps(entries[case]), flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())

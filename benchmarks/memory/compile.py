"""The compiled truth: what XLA plans for the training step of many networks, kept as data.

    pip install 'keras-archspec[measure]'
    python benchmarks/memory/compile.py                      # all that the truth lacks
    python benchmarks/memory/compile.py --network vgg16      # one network
    python benchmarks/memory/compile.py --check              # compile again what is there
    python benchmarks/memory/compile.py --engine cpu         # for a CPU; needs `[jax]` alone
    python benchmarks/memory/compile.py --engine jax-tpu     # for a TPU; needs `[measure-tpu]`
    python benchmarks/memory/compile.py --engine tensorflow-gpu   # needs `[tensorflow]` as well

`truth/`, beside this file, has a file for each engine, with an entry a line: network, batch, dtype,
and the bytes by part as `archspec measure` has them. The optimizer is SGD with momentum. The
estimate of `archspec build --engine` is calibrated and judged on it. Each entry is written at once,
and what is there is left alone, so that the hours may be spread. No GPU is needed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import archspec
from archspec.atomic import whole
from archspec.compile.expand import expand
from archspec.device.device import Device
from archspec.device.finding import find
from archspec.device.table import ANY_CPU
from archspec.errors import ArchspecError, UsageError
from archspec.measurement import dump
from archspec.measurement.compiling import LOOK_SECONDS, compiled
from archspec.measurement.dump import CompiledMemory
from archspec.measurement.job import Job, versions
from archspec.measurement.measurement import SGD_WITH_MOMENTUM
from archspec.recipe.train import Recipe

TRUTH = Path(__file__).with_name("truth")
STEP = Path(__file__).with_name("tensorflow_step.py")
OPTIMIZER = "momentum"


class Campaign(NamedTuple):
    """What is compiled for an engine."""

    device: Device
    batches: tuple[int, ...]
    note: str = ""
    """What a reader of the entries must know."""


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

DTYPES = ("float32", "mixed_bfloat16")

CAMPAIGNS = {
    "jax-gpu": Campaign(
        find("h100"),
        (32, 8, 128, 256),
        "entries at batch 8 and 32 were compiled for an H100 described with 3.35232 TB/s and 84.98 "
        "GB, not the table's 3.35 and 80; of 8 compiled again, one differed, by 0.06 %",
    ),
    "jax-tpu": Campaign(find("v5e"), (32, 8, 128, 256)),
    "cpu": Campaign(ANY_CPU, (32, 8, 128)),
    "tensorflow-gpu": Campaign(
        find("h100"),
        (32, 8, 128),
        "programs as TensorFlow makes them for a CPU, compiled by JAX's compiler for GPUs",
    ),
}
"""The engines, whose truth is compiled."""

Case: TypeAlias = tuple[str, int, str]
"""Network, batch and dtype."""


def read(engine: str) -> dict[Case, dict[str, Any]]:
    """Return the entries that are there, by case."""
    path = TRUTH / f"{engine}.json"
    if not path.exists():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["entries"]
    return {(each["network"], each["batch"], each["dtype"]): each for each in entries}


def write(engine: str, entries: dict[Case, dict[str, Any]]) -> None:
    """Write the entries in the order of the networks, each in a line."""
    campaign = CAMPAIGNS[engine]
    ranks = {name: rank for rank, name in enumerate(NETWORKS)}
    ordered = sorted(entries, key=lambda case: (ranks.get(case[0], len(ranks)), case[2], case[1]))
    head = {
        "command": f"python benchmarks/memory/compile.py --engine {engine}",
        "device": campaign.device.name,
        "engine": engine,
        "optimizer": OPTIMIZER,
        **({"note": campaign.note} if campaign.note else {}),
        "versions": installed(engine),
    }
    lines = ",\n".join(f"  {json.dumps(entries[case])}" for case in ordered)
    with whole(TRUTH / f"{engine}.json") as partial:
        text = json.dumps(head, indent=1)[:-2] + f',\n "entries": [\n{lines}\n ]\n}}\n'
        partial.write_text(text, encoding="utf-8")


def installed(engine: str) -> dict[str, str]:
    """Return the versions of the packages on which an engine's entries depend."""
    of_tensorflow = {"tensorflow": metadata.version("tensorflow")}
    return versions() | (of_tensorflow if engine == "tensorflow-gpu" else {})


def measured(engine: str, case: Case) -> dict[str, Any]:
    """Return the entry of a case, compiled now."""
    network, batch, dtype = case
    if engine == "tensorflow-gpu":
        memory = of_tensorflow(case).to_dict()
    else:
        settings = {"batch": batch, "precision": dtype, "optimizer": SGD_WITH_MOMENTUM}
        recipe = Recipe.resolve({}, settings)
        device = CAMPAIGNS[engine].device
        memory = compiled(Job(expand(archspec.load(network)), recipe, device, "training")).to_dict()
    parts = ("arguments", "temporaries", "outputs", "aliased", "total")
    bytes_ = {part: memory[part] for part in parts}
    return {"network": network, "batch": batch, "dtype": dtype, **bytes_}


def of_tensorflow(case: Case) -> CompiledMemory:
    """Return the memory of a step of Keras on TensorFlow; the process ends with the layout."""
    with tempfile.TemporaryDirectory(prefix="archspec-") as name:
        folder = Path(name)
        command = [sys.executable, STEP, *map(str, case), name]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while (program := dump.finished(folder)) is None:
                if process.poll() is not None:
                    last = (folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise UsageError(last.strip().rpartition("\n")[2])
                time.sleep(LOOK_SECONDS)
            return dump.read(program, {}, {})
        finally:
            process.kill()
            process.wait()


def cases(campaign: Campaign, network: str | None) -> Iterator[Case]:
    """Yield the cases, of which each setting's come before the next setting's."""
    networks = [network] if network else NETWORKS
    for dtype, batch, name in itertools.product(DTYPES, campaign.batches, networks):
        yield name, batch, dtype


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--engine", choices=CAMPAIGNS, default="jax-gpu")
    parser.add_argument("--network", help="one network instead of all")
    parser.add_argument("--check", action="store_true", help="compile again what is there")
    options = parser.parse_args()
    engine = options.engine
    campaign = CAMPAIGNS[engine]
    entries = read(engine)
    failures = 0
    for case in cases(campaign, options.network):
        if (case in entries) is not options.check:
            continue
        start = time.perf_counter()
        try:
            entry = measured(engine, case)
        except ArchspecError as error:
            print(*case, error, file=sys.stderr)
            failures += 1
            continue
        seconds = time.perf_counter() - start
        print(*case, f"{entry['total'] / 1e6:,.0f} MB in {seconds:.0f} s", flush=True)
        if not options.check:
            entries[case] = entry
            write(engine, entries)
        elif entry != entries[case]:
            failures += 1
            print("  was", json.dumps(entries[case]), flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())

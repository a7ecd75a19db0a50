"""The memory of a network on a device, by the word of the compiler for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

from archspec import arguments
from archspec.compile.expand import expand
from archspec.cost.optimizers import MOMENTUM, Optimizer
from archspec.cost.report import Report, report
from archspec.cost.setting import RECIPE_BATCH, setting
from archspec.cost.size import graph_at, refuse_open
from archspec.device.device import Device
from archspec.device.finding import find
from archspec.device.table import ANY_CPU
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.graph.graph import Graph
from archspec.imports.loading import spec_for
from archspec.measurement import cache, compiling
from archspec.measurement.dump import CompiledMemory
from archspec.measurement.job import Job, Purpose, versions
from archspec.recipe.mistakes import places
from archspec.recipe.train import Recipe
from archspec.spec.document import Spec

SCHEMA_VERSION: Final = 1
"""Version of the JSON form. It grows when a key changes its meaning or goes."""

ENGINES: Final[Mapping[str, str]] = {"cuda": "jax-gpu", "tpu": "jax-tpu", "cpu": "cpu"}
"""Names of the engines, by JAX's platform."""

SGD_WITH_MOMENTUM: Final = {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}
"""The optimizer that reports call `momentum`, as a recipe names it."""

CONVENTION: Final = (
    "XLA's own plan of the memory, for Keras on JAX with the state donated. arguments: weights, "
    "optimizer state, the batch; temporaries: activations, gradients, workspaces; aliased: outputs "
    "that take the place of arguments. A card adds what its driver keeps, and convolutions chosen "
    "by trying them may need other workspaces."
)
"""Meaning of the figures, shown under every table."""

PURPOSES: Final[tuple[Purpose, ...]] = ("training", "inference")


@dataclass(frozen=True, slots=True)
class Measurement(Displayed):
    """The memory of a network's training step and forward pass, as compiled for a device."""

    RENDERER = "measurement"

    report: Report
    """The network's report at the same batch, dtype and optimizer."""
    device: Device
    training: CompiledMemory
    inference: CompiledMemory
    versions: Mapping[str, str]
    """Versions of the packages that compiled it."""
    at_hand: Mapping[str, Any] | None = None
    """The name of the GPU of this machine and its peak bytes after a step; None without one."""

    @property
    def name(self) -> str:
        return self.report.name

    @property
    def engine(self) -> str:
        """Name of the engine, as `jax-gpu`."""
        return ENGINES[self.device.platform]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        shown = self.report.setting
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "device": self.device.name,
            "device_title": self.device.title,
            "device_memory_bytes": self.device.memory or None,
            "engine": self.engine,
            "batch": shown.training_batch,
            "dtype": shown.dtype,
            "optimizer": shown.optimizer.to_dict(),
            "convention": CONVENTION,
            "must_keep": self.report.memory.must_keep,
            "compiled": {
                "training": self.training.to_dict(),
                "inference": self.inference.to_dict(),
            },
            "at_hand": dict(self.at_hand) if self.at_hand else None,
            "versions": dict(self.versions),
        }


def measure(
    spec: Spec | str | PathLike[str],
    device: Device | str = "h100",
    *,
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    at: str | int | Sequence[int] | None = None,
    fresh: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Compile a network's training step and forward pass for a device, and return their memory.

    No such device is needed, and no memory for the weights. What was compiled once is kept in the
    user's cache folder.

    Args:
        spec: A spec, a path, or the name of a network.
        device: A name such as `h100`, or the path of a `.txtpb` file that describes a GPU to XLA;
            or `cpu`, for which all CPUs are alike.
        batch: Images of a step. Default: the recipe's, or 32.
        dtype: Keras dtype policy. Default: the recipe's, or float32.
        optimizer: Keras's name, or one name with its arguments. Default: the recipe's, or Adam, as
            everywhere.
        at: Size of an open input, as `"512x768"`.
        fresh: Whether to compile again what was compiled before.
        progress: Function that is called with a line for each compilation that begins.

    Returns:
        Bytes by part, and the largest buffers with the steps that they belong to.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong, the compiler is not installed, or it refuses the network.

    Example:
        >>> measured = archspec.measure("vgg16", "h100", batch=32)  # doctest: +SKIP
        >>> measured.training.total  # doctest: +SKIP
        5619355112
    """
    known = find(device, {ANY_CPU.name: ANY_CPU})
    if batch is not None:
        batch = arguments.whole("batch", batch)
    spec = spec_for("`archspec.measure`", spec)
    recipe = recipe_of(spec, batch, dtype, optimizer)
    graphs: dict[Purpose, Graph] = {
        "training": _sized(spec, at),
        "inference": _sized(spec_for("`archspec.measure`", spec, inference=True), at),
    }
    installed = versions()
    memories: dict[Purpose, CompiledMemory] = {}
    jobs = {purpose: Job(graphs[purpose], recipe, known, purpose) for purpose in PURPOSES}
    for purpose, job in jobs.items():
        digest = job.digest(installed)
        kept = None if fresh else cache.read(digest)
        if kept is None:
            compiling.check(known.platform)
            if progress is not None:
                progress(f"compiling the {purpose} step for {known} ...")
            kept = compiling.compiled(job)
            cache.keep(digest, kept)
        memories[purpose] = kept
    optimizer = {recipe.optimizer.name: recipe.optimizer.arguments}
    return Measurement(
        report(spec, batch=recipe.batch, dtype=recipe.precision, optimizer=optimizer, at=at),
        known,
        memories["training"],
        memories["inference"],
        installed,
        compiling.run_once(jobs["training"]),
    )


def remembered(
    spec: Spec, device: Device, batch: int, dtype: str, optimizer: Any, at: Any
) -> int | None:
    """Return the bytes of a training step that `measure` compiled before; None if it did not."""
    recipe = recipe_of(spec, batch, dtype, optimizer)
    job = Job(_sized(spec, at), recipe, device, "training")
    kept = cache.read(job.digest(versions()))
    return None if kept is None else kept.total


def _sized(spec: Spec, at: Any) -> Graph:
    if at is not None:
        return graph_at(spec, at)
    graph = expand(spec)
    refuse_open(graph, "`measure`")
    return graph


def recipe_of(spec: Spec, batch: int | None, dtype: str | None, optimizer: Any) -> Recipe:
    """Return the recipe of a spec with the given batch, dtype and optimizer."""
    setting(spec, batch, dtype, optimizer)  # whose messages name the arguments
    overrides: dict[str, Any] = {}
    if batch is not None or "batch" not in spec.train:
        overrides["batch"] = batch or RECIPE_BATCH
    if dtype is not None:
        overrides["precision"] = dtype
    if optimizer is not None:
        chosen = Optimizer.read(optimizer)
        overrides["optimizer"] = SGD_WITH_MOMENTUM if chosen.name == MOMENTUM else chosen.to_dict()
    with places(spec):
        recipe = Recipe.resolve(spec.train, overrides)
    if recipe.precision == "float64":
        raise UsageError("`dtype='float64'` cannot be measured: JAX computes in float32 at most")
    return recipe

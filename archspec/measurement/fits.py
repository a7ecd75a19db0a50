"""The largest batch of a training step that fits in a memory, by each figure of its bytes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec import arguments
from archspec.cost.checks import bytes_of
from archspec.cost.estimate.engines import engine as named_engine
from archspec.cost.estimate.engines import estimate
from archspec.cost.estimate.footprint import Footprint, LinearFootprint
from archspec.cost.report import Report, refuse_unknown, report
from archspec.cost.size import refuse_open
from archspec.device.device import Device
from archspec.device.finding import find
from archspec.device.table import BY_NAME
from archspec.display import Displayed
from archspec.errors import Problem, SpecError, UsageError
from archspec.imports.loading import as_network
from archspec.imports.model import Network
from archspec.spec.bundled import bundled
from archspec.spec.document import Spec

SCHEMA_VERSION: Final = 1
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""

MUST_KEEP: Final = "must keep"
COMPILED: Final = "compiled"

LEAST_ROOM: Final = 1_000
"""Least bytes of a memory: a plain 24 is meant as 24 GB."""

SMALLER: Final = (2, 4, 8)
"""Parts of the input's extents that are tried where nothing fits."""


class Fit(NamedTuple):
    """Largest batch that fits by one figure."""

    figure: str
    """`must keep`, the name of an engine, or `compiled`."""
    footprint: Footprint | None
    """Bytes for any batch; None for `compiled`, which is known for one batch alone."""
    batch: int
    """Largest batch that fits, 0 if none does; of `compiled`, the batch that was compiled."""
    bytes: int
    """Bytes of a step with that batch, or with one example where none fits."""
    fits: bool
    """Whether a step with that batch fits."""
    accumulate: int | None
    """Batches to accumulate for `global_batch`; None if none is asked for, or none fits."""
    accumulated_batch: int | None
    """Examples of each of these batches."""

    def to_dict(self) -> dict[str, Any]:
        figures = self._asdict()
        del figures["footprint"]
        parts = self.footprint
        return {
            **figures,
            "fixed_bytes": parts.fixed if parts else None,
            "example_bytes": parts.example if parts else None,
        }


class Remedy(NamedTuple):
    """A change by which something fits."""

    option: str
    """The change as the command takes it, as `--dtype mixed_bfloat16`."""
    batch: int
    """Largest batch that then fits by every figure."""


@dataclass(frozen=True, slots=True)
class Fits(Displayed):
    """The largest batches that fit. Print it, or read `entries`."""

    RENDERER = "fits"

    report: Report
    memory: int
    """Bytes that there are."""
    device: Device | None
    """The device whose memory that is; None where the memory was given."""
    global_batch: int | None
    """Examples whose gradients are wanted in one update of the weights."""
    entries: tuple[Fit, ...]
    remedies: tuple[Remedy, ...]
    """Changes by which something fits, where nothing does by one of the figures."""
    notes: tuple[str, ...]
    """Reasons why a figure is missing, and how to get it."""

    @property
    def name(self) -> str:
        return self.report.name

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        setting = self.report.setting
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "memory_bytes": self.memory,
            "device": self.device.name if self.device else None,
            "dtype": setting.dtype,
            "optimizer": setting.optimizer.to_dict(),
            "global_batch": self.global_batch,
            "entries": [entry.to_dict() for entry in self.entries],
            "remedies": [remedy._asdict() for remedy in self.remedies],
            "notes": list(self.notes),
        }


def fits(
    spec: Network | str | PathLike[str],
    memory: int | str | None = None,
    *,
    device: Device | str | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    global_batch: int | None = None,
    engine: str | None = None,
    at: str | int | Sequence[int] | None = None,
) -> Fits:
    """Return the largest batch of a training step that fits in a memory, by each figure.

    The figures are what must be kept on any engine, the estimate for one, and the compiler's plan
    where `archspec.measure` has made one for that batch.

    Args:
        spec: A spec, or a path or a name as `load` takes them.
        memory: Bytes, or text such as `"24GB"` or `"80 GiB"`. Default: the device's.
        device: Name of a device, such as `"h100"`, as `archspec.measure` takes it.
        dtype: As in `report`.
        optimizer: As in `report`.
        global_batch: Examples whose gradients are to make one update of the weights: so many
            batches are accumulated as reach it. Default: none.
        engine: As in `report`. Default: `"jax-gpu"`; `"jax-tpu"` for a TPU.
        at: As in `report`.

    Returns:
        An entry for each figure, with the largest batch and its bytes, and, where nothing fits, the
        changes by which something does.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong.

    Example:
        >>> archspec.fits("vgg16", "24GB").entries[0].batch
        366
    """
    known = None if device is None else find(device)
    if memory is None and known is None:
        raise UsageError(
            "`fits` needs a memory, as `memory='24GB'`, or a device, as `device='h100'`; "
            f"devices: {', '.join(BY_NAME)}"
        )
    room = _room(memory) if memory is not None else known.memory if known else 0
    wanted = None if global_batch is None else arguments.whole("global_batch", global_batch)
    loaded = as_network(spec)
    usual = "jax-tpu" if known is not None and known.platform == "tpu" else "jax-gpu"
    engine_name = named_engine(usual if engine is None else engine)
    options: dict[str, Any] = {"dtype": dtype, "optimizer": optimizer, "at": at}
    costs = report(loaded, batch=1, **options)
    refuse_open(costs.graph, "`fits`")
    refuse_unknown(costs, "`fits`")
    notes: list[str] = []
    entries = []
    for name, footprint in _footprints(costs, engine_name, notes, asked=engine is not None):
        entries.append(_fit(name, footprint, room, wanted, _accumulator(costs)))
    if max(entry.batch for entry in entries) == arguments.LARGEST:
        notes.append(f"no batch over {arguments.LARGEST:,} is considered")
    smallest = min(entry.batch for entry in entries)
    if known is not None and smallest and isinstance(loaded, Spec):
        found = _compiled(loaded, known, entries[-1].batch, costs, at, room)
        if found is not None:
            entries.append(found)
        else:
            command = _measure_command(loaded, known, entries[-1].batch, costs, options)
            notes.append(f"the compiler's plan is not known; `{command}` makes it")
    remedies: tuple[Remedy, ...] = ()
    if not smallest:
        remedies = tuple(_remedies(loaded, costs, engine_name, room, options))
    return Fits(costs, room, known, wanted, tuple(entries), remedies, tuple(notes))


def _measure_command(
    spec: Spec, device: Device, batch: int, costs: Report, options: Mapping[str, Any]
) -> str:
    """Return the command that compiles the same step, so that its plan is remembered for it."""
    setting = costs.setting
    words = [*_arguments(spec), "--device", device.source if device.target else device.name]
    words += ["--batch", str(batch), "--dtype", setting.dtype]
    if options["optimizer"] is not None:
        optimizer = setting.optimizer.to_dict()
        words += ["--optimizer", optimizer if isinstance(optimizer, str) else json.dumps(optimizer)]
    if (at := options["at"]) is not None:
        words += ["--at", str(at) if isinstance(at, str | int) else "x".join(map(str, at))]
    return shlex.join(["archspec", "measure", *words])


def _arguments(spec: Spec) -> list[str]:
    """Return a spec as a command takes it: a file and its variant, or a name, and its variables."""
    file = spec.source.name
    words = [file, *(["--variant", spec.variant] if spec.variant else [])]
    if not Path(file).is_file() or file in map(str, bundled().values()):
        words = [spec.name]
    for name, value in spec.overrides.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


def _room(memory: Any) -> int:
    """Return a number of bytes, given as one or with a unit, which is easily left out."""
    try:
        room = bytes_of(memory)
    except Problem:
        room = 0
    if room < LEAST_ROOM:
        needed = f"a number of bytes from {LEAST_ROOM:,}, or text such as 24GB or 80 GiB"
        raise arguments.wrong("memory", memory, needed)
    return room


def _footprints(
    costs: Report, engine: str, notes: list[str], *, asked: bool
) -> Iterator[tuple[str, Footprint]]:
    """Yield the figures that are known for any batch, with their bytes."""
    parts = costs.memory
    fixed = parts.weights + parts.gradients + parts.optimizer
    yield MUST_KEEP, LinearFootprint(fixed, parts.saved)
    try:
        yield engine, estimate(costs, engine).footprint
    except UsageError as error:
        if asked:
            raise
        notes.append(str(error))


def _accumulator(costs: Report) -> int:
    """Return the bytes of the sums of gradients that accumulation keeps beside the gradients."""
    setting = costs.setting
    if setting.optimizer.arguments.get("gradient_accumulation_steps"):
        return 0  # counted with the optimizer's state
    return costs.memory_model.trainable * setting.weight_bytes


def _fit(name: str, footprint: Footprint, room: int, wanted: int | None, sums: int) -> Fit:
    """Return what fits by a figure."""
    largest = min(footprint.largest_batch(room), arguments.LARGEST)
    steps: int | None = None
    if wanted is not None:
        steps = 1 if largest >= wanted else _steps(wanted, footprint.largest_batch(room - sums))
    each = wanted // steps if wanted and steps else None
    return Fit(name, footprint, largest, footprint.at(largest or 1), largest > 0, steps, each)


def _steps(wanted: int, largest: int) -> int | None:
    """Return the fewest equal batches, none over the largest, that make the wanted one."""
    if largest < 1:
        return None
    small = [n for n in range(1, isqrt(wanted) + 1) if wanted % n == 0]
    divisors = [*small, *(wanted // n for n in reversed(small))]
    return next(n for n in divisors if wanted // n <= largest)


def _compiled(
    spec: Spec, device: Device, batch: int, costs: Report, at: Any, room: int
) -> Fit | None:
    """Return the compiler's word on a batch, if it was asked before."""
    from archspec.measurement.measurement import remembered  # noqa: PLC0415

    setting = costs.setting
    found = remembered(spec, device, batch, setting.dtype, setting.optimizer.to_dict(), at)
    if found is None:
        return None
    return Fit(COMPILED, None, batch, found, found <= room, None, None)


def _remedies(
    spec: Network, costs: Report, engine: str, room: int, options: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Yield the changes by which something fits."""
    settings: list[tuple[str, Network, dict[str, Any]]] = []
    sizes: list[tuple[str, Network, dict[str, Any]]] = []
    if costs.setting.weight_bytes == costs.setting.value_bytes > 2:
        settings.append(("--dtype mixed_bfloat16", spec, {"dtype": "mixed_bfloat16"}))
    if costs.memory.optimizer:
        settings.append(("--optimizer sgd", spec, {"optimizer": "sgd"}))
    if len(costs.graph.inputs) == 1 and costs.graph.input.rank:
        *extents, channels = costs.graph.input
        for part in SMALLER:
            smaller = [max(1, extent // part) for extent in extents]
            if options["at"] is not None:
                size = "x".join(map(str, smaller))
                sizes.append((f"--at {size}", spec, {"at": size}))
            elif isinstance(spec, Spec):
                shape = [*smaller, channels]
                text = ",".join(map(str, shape))
                resized = replace(spec, overrides={**spec.overrides, "input": shape})
                sizes.append((f"--set input=[{text}]", resized, {}))
    found = False
    for option, changed, given in [*settings, *sizes]:
        if largest := _largest(changed, engine, room, {**options, **given}):
            found = True
            yield Remedy(option, largest)
    if found or not settings:
        return
    # No change helps alone: the settings together, at the largest size at which they do.
    names = " ".join(option for option, *_ in settings)
    together = {name: value for *_, given in settings for name, value in given.items()}
    for option, changed, given in [("", spec, {}), *sizes]:
        if largest := _largest(changed, engine, room, {**options, **together, **given}):
            yield Remedy(f"{names} {option}".strip(), largest)
            return


def _largest(spec: Network, engine: str, room: int, options: Mapping[str, Any]) -> int:
    """Return the largest batch that fits by every figure; 0 if the spec gives no network."""
    try:
        costs = report(spec, batch=1, **options)
        figures = list(_footprints(costs, engine, [], asked=False))
    except (SpecError, UsageError):
        return 0  # too small for its windows, say
    return min(each.largest_batch(room) for _, each in figures)

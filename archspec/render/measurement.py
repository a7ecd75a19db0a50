"""A measurement of memory as text and Markdown."""

from __future__ import annotations

from archspec.measurement.dump import CompiledMemory
from archspec.measurement.measurement import CONVENTION, Measurement
from archspec.render.amounts import byte_size
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import printable

PARTS = (
    Column("part", "", left=True),
    Column("training", "training", byte_size),
    Column("inference", "inference", byte_size),
)

BUFFERS = (
    Column("bytes", "bytes", byte_size),
    Column("shape", "shape", left=True, rank=1),
    Column("role", "role", left=True),
    Column("step", "step", printable, left=True, shortens=True),
    Column("operation", "operation", left=True, rank=2),
)


def text(measured: Measurement, *, width: int | None = None, color: bool = False) -> str:
    """Return the bytes by part, and the largest buffers at the peak of a training step."""
    style = Style(color)
    lines = [
        style.bold(printable(measured.name)),
        *prose(measured.report.about, width),
        *map(style.dim, prose(_setting(measured), width)),
        "",
        _parts(measured).text(style, width),
        "",
        *prose(_of_the_device(measured), width),
    ]
    if measured.training.buffers:
        lines += ["", *prose(_heading(measured.training), width)]
        lines += [_buffers(measured.training).text(style, width)]
    lines += ["", *map(style.dim, prose(CONVENTION, width))]
    return "\n".join(lines) + "\n"


def markdown(measured: Measurement) -> str:
    """Return the bytes by part, and the largest buffers at the peak of a training step."""
    parts = [
        f"### {printable(measured.name)}",
        f"{_setting(measured)}.",
        _parts(measured).markdown(),
        _of_the_device(measured),
    ]
    if measured.training.buffers:
        parts += [_heading(measured.training), _buffers(measured.training).markdown()]
    return "\n\n".join([*parts, CONVENTION]) + "\n"


def _setting(measured: Measurement) -> str:
    """Return the device, the setting and the compiler, in a line."""
    version = measured.versions.get("jax", "")
    return (
        f"compiled for {printable(measured.device.title)} by XLA (jax {version}): "
        f"{measured.report.setting}"
    )


def _parts(measured: Measurement) -> PrintedTable:
    trained, inferred = measured.training, measured.inference
    names = ("arguments", "temporaries", "outputs", "aliased", "total")
    rows = [[name, getattr(trained, name), getattr(inferred, name)] for name in names]
    return PrintedTable(PARTS, rows)


def _of_the_device(measured: Measurement) -> str:
    """Return how the totals stand to the device's memory, and to the other figures."""
    total, memory = measured.training.total, measured.device.memory
    kept = measured.report.memory.must_keep
    text = f"must keep: {byte_size(kept)}, {kept / total:.2f} of it"
    if memory:
        portion = "less than 0.1%" if total < memory / 1000 else f"{total / memory:.1%}"
        share = f"{portion} of the device's {byte_size(memory)}"
        if total > memory:
            share = f"more than the device's {byte_size(memory)}"
        text = f"training takes {share}; {text}"
    if measured.at_hand:
        peak, name = measured.at_hand["peak"], measured.at_hand["device"]
        text += f". One step on this machine's {name} allocated {byte_size(peak)} at its peak"
    return text


def _heading(memory: CompiledMemory) -> str:
    roles = ", ".join(f"{role} {byte_size(size)}" for role, size in memory.roles)
    return f"alive at the peak of training, {byte_size(memory.at_peak)} ({roles}); the largest:"


def _buffers(memory: CompiledMemory) -> PrintedTable:
    return PrintedTable(
        BUFFERS,
        [[each.bytes, each.shape, each.role, each.step, each.operation] for each in memory.buffers],
    )

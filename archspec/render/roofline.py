"""A roofline as text, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from archspec.cost.roofline import Bound, Roofline
from archspec.render.amounts import a_second, byte_size, rate, seconds, thousands
from archspec.render.table import Column, PrintedTable, Style, named, prose
from archspec.text import printable

COUNTING: Final = (
    "The least time of a row that runs alone as one kernel: the longer of its multiply-adds at the "
    "peak and its bytes (inputs, weights, outputs, each once) at the bandwidth. Other arithmetic, "
    "and starting kernels, is left out. Backward: the multiply-adds again for the weights and for "
    "each input that needs a gradient."
)


def _percent(value: float) -> str:
    return f"{value:.1%}" if value else ""


def _intensity(value: float) -> str:
    if not value:
        return "0"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


COLUMNS: Final = (
    Column("layer", "layer", left=True, shortens=True),
    Column("label", left=True, rank=3),
    Column("output", "output", left=True, rank=2),
    Column("macs", "MACs", thousands, rank=4),
    Column("bytes", "moved", byte_size, rank=1),
    Column("intensity", "FLOP/B", _intensity, rank=1),
    Column("seconds", "least time", seconds),
    Column("share", "share", _percent, rank=5),
    Column("binds", "bound by", left=True),
)
"""Every column, in order."""


def text(
    roofline: Roofline,
    *,
    depth: int | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the table, and below it the totals and how they are counted."""
    style = Style(color)
    head = [style.bold(printable(roofline.name)), *prose(_setting(roofline), width)]
    body = table(roofline, depth).text(style, width)
    below = named(_facts(roofline), style, width)
    counting = [style.dim(line) for line in prose(COUNTING, width)]
    return "\n".join([*head, "", body, "", *below, "", *counting]) + "\n"


def markdown(roofline: Roofline, *, depth: int | None = None) -> str:
    """Return the table, and below it the totals and how they are counted."""
    facts = [f"- **{name}:** {line}" for name, line in _facts(roofline)]
    lines = [f"### {printable(roofline.name)}", "", _setting(roofline), ""]
    return "\n".join([*lines, table(roofline, depth).markdown(), "", *facts, "", COUNTING]) + "\n"


def csv(roofline: Roofline, *, depth: int | None = None) -> str:
    """Return a line for every row, with times in seconds."""
    return table(roofline, depth).csv()


def table(roofline: Roofline, depth: int | None = None) -> PrintedTable:
    """Return the table with its totals."""
    total = roofline.total
    rows = [_cells(row, total.seconds) for row in roofline.rows(depth)]
    return PrintedTable(COLUMNS, rows, ["total", "", "", *_cells(total, total.seconds)[3:]])


def _cells(row: Bound, total: float) -> Sequence[Any]:
    share = row.seconds / total if total else 0.0
    output = str(row.shape) if row.kind else ""
    figures = (row.macs, row.bytes, row.intensity, row.seconds, share, row.binds)
    return (row.path, row.label, "" if row.path == "update" else output, *figures)


def _setting(roofline: Roofline) -> str:
    """Return the device and the setting, in a line."""
    part = "a training step" if roofline.training else "inference"
    setting = roofline.report.setting
    return (
        f"{part} at batch {roofline.batch(roofline.parts[0])}, {setting.dtype}, on "
        f"{roofline.device.title}: {rate(roofline.peak, 'FLOP/s')} ({roofline.rate}), "
        f"{rate(roofline.device.bandwidth, 'B/s')}; multiply-adds bind from "
        f"{_intensity(roofline.ridge)} FLOP/B on"
    )


def _facts(roofline: Roofline) -> Iterator[tuple[str, str]]:
    """Yield the totals, each with its name."""
    inference, step = roofline.inference, roofline.step
    yield "inference", _sentence(inference, roofline.batch("inference"))
    backward, update = seconds(roofline.backward.seconds), seconds(roofline.update.seconds)
    yield (
        "training",
        f"{_sentence(step, roofline.batch('forward'))}; of it backward {backward}, update {update}",
    )
    whole = "a training step" if roofline.training else "inference"
    yield "floor", f"{seconds(roofline.floor)} for {whole}, however an engine joins rows"
    yield "peaks", f"from {roofline.device.source}"


def _sentence(total: Bound, batch: int) -> str:
    compute = total.in_compute / total.seconds if total.seconds else 0.0
    most = a_second(batch / total.seconds if total.seconds else 0.0)
    return (
        f"{seconds(total.seconds)} for a batch of {batch}: at most {most} examples a "
        f"second; {compute:.0%} of it bound by compute, {1 - compute:.0%} by memory"
    )

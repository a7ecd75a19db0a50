"""Measured times as text, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from archspec.measurement.timing import TimedRow, Timing, Timings
from archspec.render.amounts import a_second, rate, seconds, thousands
from archspec.render.table import Column, PrintedTable, Style, named, prose
from archspec.text import counted, printable

READING: Final = (
    "Median of the samples after two runs to warm up; the spread is the middle half of the "
    "samples, in per cent of the median. Equal rows are run once; a time includes the start of "
    "the call. A measured peak is not that of a data sheet: a row whose tensors stay in a cache, "
    "or whose convolution saves multiplications, may be faster than its least time."
)


def _multiple(value: float) -> str:
    return f"{value:.2f}x" if value < 10 else f"{value:,.0f}x"


COLUMNS: Final = (
    Column("layer", "layer", left=True, shortens=True),
    Column("label", left=True, rank=3),
    Column("output", "output", left=True, rank=4),
    Column("rows", "rows", thousands, rank=2),
    Column("macs", "MACs", thousands, rank=5),
    Column("least", "least time", seconds),
    Column("measured", "measured", seconds),
    Column("spread", "spread", "{:.0%}".format, rank=1),
    Column("ratio", "ratio", _multiple),
    Column("binds", "bound by", left=True, rank=2),
)
"""Every column, in order."""


def text(timings: Timings, *, width: int | None = None, color: bool = False) -> str:
    """Return the table, the whole network below it, and how it was measured."""
    style = Style(color)
    lines = [style.bold(printable(timings.name)), *prose(_setting(timings), width), ""]
    lines += [table(timings).text(style, width), "", *named(_facts(timings), style, width)]
    return "\n".join([*lines, "", *map(style.dim, prose(READING, width))]) + "\n"


def markdown(timings: Timings) -> str:
    """Return the table, the whole network below it, and how it was measured."""
    facts = "\n".join(f"- **{name}:** {line}" for name, line in _facts(timings))
    parts = [f"### {printable(timings.name)}", _setting(timings), table(timings).markdown(), facts]
    return "\n\n".join([*parts, READING]) + "\n"


def csv(timings: Timings) -> str:
    """Return a line for every distinct row, with times in seconds."""
    return table(timings).csv()


def table(timings: Timings) -> PrintedTable:
    """Return the table of the distinct rows."""
    return PrintedTable(COLUMNS, list(map(_cells, timings.rows)))


def _cells(row: TimedRow) -> list[Any]:
    bound, timing = row.bound, row.timing
    return [
        bound.path,
        bound.label,
        str(bound.shape),
        row.equals,
        bound.macs,
        bound.seconds,
        timing.seconds,
        _spread(timing),
        row.ratio,
        bound.binds,
    ]


def _spread(timing: Timing) -> float:
    return (timing.upper - timing.lower) / timing.seconds


def _setting(timings: Timings) -> str:
    roofline = timings.roofline
    setting = roofline.report.setting
    return (
        f"inference at batch {setting.batch}, {setting.dtype}, {timings.backend}, on "
        f"{roofline.device.title}: {rate(roofline.peak, 'FLOP/s')}, "
        f"{rate(roofline.device.bandwidth, 'B/s')} ({roofline.device.source})"
    )


def _facts(timings: Timings) -> Iterator[tuple[str, str]]:
    """Yield the times of the whole network, each with its name."""
    roofline = timings.roofline
    setting = roofline.report.setting
    least = roofline.inference.seconds
    yield "inference", _whole(timings.inference, least, setting.batch)
    rows = counted(sum(row.equals for row in timings.rows), "row")
    yield "rows", f"{seconds(timings.rows_seconds)} if all {rows} run alone, one after the other"
    if timings.step:
        yield "training", _whole(timings.step, roofline.step.seconds, setting.training_batch)


def _whole(timing: Timing, least: float, batch: int) -> str:
    ratio = timing.seconds / least if least else 0.0
    return (
        f"{seconds(timing.seconds)} for a batch of {batch} ({_spread(timing):.0%} spread), "
        f"{a_second(batch / timing.seconds)} examples a second; least time {seconds(least)}, "
        f"measured {_multiple(ratio)}"
    )

"""The largest batches that fit in a memory, as text and Markdown."""

from __future__ import annotations

from archspec.measurement.fits import COMPILED, Fits
from archspec.render.amounts import byte_size, thousands
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import printable

COLUMNS = (
    Column("figure", "figure", left=True),
    Column("fixed", "fixed", byte_size, rank=1),
    Column("example", "an example", byte_size, rank=1),
    Column("batch", "largest batch", thousands),
    Column("bytes", "its step", byte_size),
)

WANTED = (
    Column("accumulate", "accumulate", thousands),
    Column("accumulated_batch", "batches of", thousands),
)


def text(found: Fits, *, width: int | None = None, color: bool = False) -> str:
    """Return the largest batch by each figure, and what to change where none fits."""
    style = Style(color)
    lines = [style.bold(printable(found.name)), *prose(_heading(found), width), ""]
    lines += [_table(found).text(style, width), ""]
    for line in _lines(found):
        lines += prose(line, width)
    return "\n".join(lines).rstrip() + "\n"


def markdown(found: Fits) -> str:
    """Return the same as a table and sentences."""
    parts = [f"### {printable(found.name)}", _heading(found), _table(found).markdown()]
    return "\n\n".join([*parts, *_lines(found)]) + "\n"


def _heading(found: Fits) -> str:
    setting = found.report.setting
    where = f"of {printable(found.device.title)}" if found.device else "of memory"
    return (
        f"a training step in {byte_size(found.memory)} {where}: {setting.dtype}, "
        f"{setting.optimizer.label}"
    )


def _table(found: Fits) -> PrintedTable:
    columns = [*COLUMNS, *(WANTED if found.global_batch else ())]
    rows = []
    for entry in found.entries:
        parts = entry.footprint
        fixed, example = (parts.fixed, parts.example) if parts else (None, None)
        row: list[object] = [entry.figure, fixed, example, entry.batch, entry.bytes]
        if found.global_batch:
            row += [entry.accumulate, entry.accumulated_batch]
        rows.append(row)
    return PrintedTable(columns, rows)


def _lines(found: Fits) -> list[str]:
    """Return the sentences below the table."""
    lines = []
    if any(entry.accumulate not in (None, 1) for entry in found.entries):
        lines.append(
            f"accumulate: so many batches make one update with {found.global_batch:,} examples, "
            "as `gradient_accumulation_steps` of the optimizer; the sums of the gradients are "
            "counted. Batch norms see one of these batches at a time."
        )
    lines += [
        f"the compiler plans {byte_size(entry.bytes)}: batch {entry.batch:,} does not fit"
        for entry in found.entries
        if entry.figure == COMPILED and not entry.fits
    ]
    lines += [
        f"{entry.figure}: {found.global_batch:,} examples are out of reach, as not even one fits "
        "beside the sums of the gradients"
        for entry in found.entries
        if found.global_batch and entry.fits and entry.footprint and not entry.accumulate
    ]
    if not all(entry.fits for entry in found.entries if entry.figure != COMPILED):
        none = ", ".join(entry.figure for entry in found.entries if not entry.fits)
        lines.append(f"not even one example fits, by: {none}")
        lines += [
            f"with `{remedy.option}`: batch {remedy.batch:,}" for remedy in found.remedies
        ] or ["no other dtype, optimizer or input size that was tried makes it fit"]
    return [*lines, *found.notes]

"""A comparison of networks as text, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.cost.compare import FIGURES, Comparison, NetworkFigures
from archspec.cost.report import CONVENTION
from archspec.errors import UsageError, nearest
from archspec.graph.graph import inputs_text
from archspec.render.amounts import PrintedExtents, byte_size, extents, thousands
from archspec.render.summary import common_setting
from archspec.render.table import Column, PrintedTable, Style, prose
from archspec.text import printable

USUAL = 8
"""Highest rank of a column that is shown unless others are asked for."""

RATIO = "_ratio"
"""End of the name of a column that shows a figure in multiples of the first network's."""


def _multiple(value: float) -> str:
    if value < 0.001:
        return "0x" if value == 0 else "<0.001x"
    if value < 0.1:
        return f"{value:.2g}x"
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"


_FIGURES = (
    Column("name", "network", printable, left=True, shortens=True),
    Column("input", "input", left=True, rank=7),
    Column("params", "params", thousands),
    Column("trainable", "trainable", thousands, rank=9),
    Column("non_trainable", "not trained", thousands, rank=9),
    Column("macs", "MACs", thousands),
    Column("flops", "FLOPs", thousands, rank=9),
    Column("other_ops", "other ops", thousands, rank=9),
    Column("activations", "activations", thousands, rank=8),
    Column("weight_layers", "depth", thousands, rank=2),
    Column("layers", "layers", thousands, rank=9),
    Column("connections", "connections", thousands, rank=9),
    Column("weight_bytes", "size", byte_size, rank=3),
    Column("inference_bytes", "inference", byte_size, rank=9),
    Column("must_keep", "must keep", byte_size, rank=1),
    Column("field", "field", extents, rank=6),
    Column("batch", "batch", thousands, rank=5),
    Column("dtype", "dtype", left=True, rank=8),
    Column("optimizer", "optimizer", left=True, rank=5),
)

_RATIO_RANKS = {"params": 4, "macs": 5, "must_keep": 7}


def _with_ratio(column: Column) -> tuple[Column, ...]:
    if column.name not in FIGURES:
        return (column,)
    rank = _RATIO_RANKS.get(column.name, 9)
    return column, Column(column.name + RATIO, "ratio", _multiple, rank=rank)


COLUMNS = tuple(each for column in _FIGURES for each in _with_ratio(column))
"""Every column, in order. A figure's title also names its column; its ratio's column follows it."""


def find(name: str) -> Column:
    """Return the column of a name or a title. Raise `UsageError` if there is none."""
    wanted = name.strip().lower()
    for column in COLUMNS:
        if wanted in (column.name, _title(column)):
            return column
    match = nearest(wanted, [each for c in COLUMNS for each in (c.name, _title(c))])
    names = ", ".join(column.name for column in _FIGURES)
    known = f"columns: {names}; a figure's ratio is called as in params{RATIO}"
    raise UsageError(
        f"there is no column `{name}`; " + (f"did you mean `{match}`?" if match else known)
    )


def figure_of(column: Column) -> str:
    """Return the field of `NetworkFigures` that a column shows, or shows the ratio of."""
    return column.name.removesuffix(RATIO)


def _title(column: Column) -> str:
    """Return a title as an option may have it; a ratio's is its figure's, as in size_ratio."""
    figure = figure_of(column)
    if column.name == figure:
        return column.title.lower()
    return next(_title(each) + RATIO for each in _FIGURES if each.name == figure)


def text(
    comparison: Comparison,
    *,
    columns: Sequence[str] | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """Return the table, and below it what its figures are for."""
    style = Style(color)
    printed = table(comparison, columns).text(style, width, keep_all=bool(columns))
    below = [*prose(_setting(comparison), width), *prose(CONVENTION, width)]
    below += [line for sentence in _added(comparison) for line in prose(sentence, width)]
    return "\n".join([printed, "", *map(style.dim, below)]) + "\n"


def markdown(comparison: Comparison, *, columns: Sequence[str] | None = None) -> str:
    """Return the table, and below it what its figures are for."""
    lines = [table(comparison, columns).markdown(), *notes(comparison)]
    return "\n\n".join(lines) + "\n"


def notes(comparison: Comparison) -> list[str]:
    """Return what the figures are for, and how they are counted."""
    return [f"At {_setting(comparison)}.", CONVENTION, *_added(comparison)]


def _added(comparison: Comparison) -> list[str]:
    """Return the basis of each column that was asked for, of tools and of an engine."""
    lines = [
        f"{each.convention}: {each.rule.tool}: {each.rule.about}."
        for each in comparison.baseline.counted
    ]
    if (estimate := comparison.baseline.estimate) is not None:
        lines.append(f"{estimate.engine}: {estimate.basis}; {estimate.accuracy}.")
    return lines


def csv(comparison: Comparison, *, columns: Sequence[str] | None = None) -> str:
    """Return a line for every network; all columns unless some are named."""
    return table(comparison, columns or [column.name for column in COLUMNS]).csv()


def table(comparison: Comparison, names: Sequence[str] | None = None) -> PrintedTable:
    """Return the table, of the usual columns that tell the networks apart unless some are named."""
    columns = _choose(names, comparison)
    tools = comparison.baseline.counted
    rows = [
        [
            *[_value(column, network, comparison) for column in columns],
            *([network.estimate.bytes] if network.estimate else []),
            *[each.figure for each in network.counted],
        ]
        for network in comparison.entries
    ]
    if (estimate := comparison.baseline.estimate) is not None:
        columns.append(Column("estimate", estimate.engine, byte_size))
    columns += [Column(each.convention, each.title, thousands) for each in tools]
    return PrintedTable(columns, rows)


def _value(column: Column, network: NetworkFigures, comparison: Comparison) -> Any:
    figure = figure_of(column)
    if column.name != figure:
        return comparison.ratio(network, figure)
    match figure:
        case "input":
            return inputs_text(network.inputs)
        case "field":
            return PrintedExtents(network.field)
        case "batch":
            return network.setting.training_batch
        case "dtype":
            return network.setting.dtype
        case "optimizer":
            return network.setting.optimizer.label
    return getattr(network, figure)


def _choose(names: Sequence[str] | None, comparison: Comparison) -> list[Column]:
    """Return the named columns; without names the usual ones that tell the networks apart."""
    if names:
        return [find(name) for name in names]
    silent = {"input"} if common_input(comparison) else set()
    settings = [network.setting for network in comparison.entries]
    silent |= {
        name
        for name, values in (
            ("batch", {each.training_batch for each in settings}),
            ("dtype", {each.dtype for each in settings}),
            ("optimizer", {each.optimizer.label for each in settings}),
        )
        if len(values) == 1
    }
    if not silent >= {"batch", "dtype", "optimizer"}:
        silent.add("must_keep" + RATIO)  # of trainings that differ in more than the network
    if len(comparison.entries) == 1:
        silent |= {figure + RATIO for figure in FIGURES}
    return [column for column in COLUMNS if column.rank <= USUAL and column.name not in silent]


def common_input(comparison: Comparison) -> str:
    """Return the input of all networks; empty where they differ."""
    inputs = {inputs_text(network.inputs) for network in comparison.entries}
    return inputs.pop() if len(inputs) == 1 else ""


def _setting(comparison: Comparison) -> str:
    """Return the setting of the figures, in a line."""
    common = common_input(comparison)
    parts = [f"input {common}"] if common else []
    parts.append(common_setting([network.setting for network in comparison.entries]))
    if len(comparison.entries) > 1:
        parts.append(f"ratios to {printable(comparison.baseline.name)}")
    return ", ".join(parts)

"""A comparison as a table: for a terminal, in Markdown, as CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.cost.compare import FIGURES, Comparison, Entry
from archspec.cost.report import CONVENTION
from archspec.errors import UsageError, nearest
from archspec.render import table as tables
from archspec.render.columns import Extents, byte_size, extents, thousands
from archspec.render.summary import common_setting
from archspec.render.table import Style, table
from archspec.text import printable

PAGE = 100
"""Width of prose where there is no terminal."""

USUAL = 8
"""Columns of a higher rank are shown only when they are asked for."""

RATIO = "_ratio"
"""Ends the name of a column that shows a figure in multiples of the first network's."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. A figure's is also called by its title; a ratio's stands behind its figure's."""

    name: str
    title: str
    text: Callable[[Any], str] = str
    left: bool = False
    rank: int = 0
    """The higher, the sooner a narrow terminal goes without it."""

    @property
    def figure(self) -> str:
        """The field of `Entry` that it shows, or shows the ratio of."""
        return self.name.removesuffix(RATIO)

    def value(self, network: Entry, comparison: Comparison) -> Any:
        """The plain value."""
        if self.name != self.figure:
            return comparison.ratio(network, self.figure)
        match self.name:
            case "input":
                return str(network.input)
            case "field":
                return Extents(network.field)
            case "batch":
                return network.setting.training_batch
            case "dtype":
                return network.setting.dtype
            case "optimizer":
                return network.setting.optimizer.label
        return getattr(network, self.name)


def _multiple(value: float | None) -> str:
    if value is None:
        return ""
    if value < 0.001:
        return "0x" if value == 0 else "<0.001x"
    if value < 0.1:
        return f"{value:.2g}x"
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"


_FIGURES = (
    Column("name", "network", printable, left=True),
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
    Column("weight_bytes", "size", byte_size, rank=3),
    Column("inference_bytes", "inference", byte_size, rank=9),
    Column("training_bytes", "training", byte_size, rank=1),
    Column("field", "field", extents, rank=6),
    Column("batch", "batch", thousands, rank=5),
    Column("dtype", "dtype", left=True, rank=8),
    Column("optimizer", "optimizer", left=True, rank=5),
)

_RATIO_RANKS = {"params": 4, "macs": 5, "training_bytes": 7}


def _with_ratio(column: Column) -> tuple[Column, ...]:
    if column.name not in FIGURES:
        return (column,)
    rank = _RATIO_RANKS.get(column.name, 9)
    return column, Column(column.name + RATIO, "ratio", _multiple, rank=rank)


COLUMNS = tuple(each for column in _FIGURES for each in _with_ratio(column))
"""Every column there is, in order."""


def find(name: str) -> Column:
    """The column that is called so, by name or title; `UsageError` for none."""
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


def _title(column: Column) -> str:
    """A title as one may write it; a ratio's is its figure's, as in size_ratio."""
    if column.name == column.figure:
        return column.title.lower()
    return next(_title(each) + RATIO for each in _FIGURES if each.name == column.figure)


def text(
    comparison: Comparison,
    *,
    columns: Sequence[str] | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The table for a terminal. `width` None means as wide as needed."""
    style = Style(color)
    chosen = _choose(columns, comparison)
    rows = _cells(chosen, comparison)
    body = table(chosen, rows, style, names="name", width=width, keep_all=bool(columns))
    room = max(width or PAGE, 20)
    below = [
        line for part in (_setting(comparison), CONVENTION) for line in textwrap.wrap(part, room)
    ]
    return "\n".join([body, "", *map(style.dim, below)]) + "\n"


def markdown(comparison: Comparison, *, columns: Sequence[str] | None = None) -> str:
    """The table for a README, an issue or a notebook."""
    chosen = _choose(columns, comparison)
    body = tables.markdown(chosen, _cells(chosen, comparison))
    return "\n".join([*body, "", f"At {_setting(comparison)}.", "", CONVENTION]) + "\n"


def csv(comparison: Comparison, *, columns: Sequence[str] | None = None) -> str:
    """A header and a line for every network, plain numbers; all columns unless some are named."""
    chosen = _choose(columns, comparison) if columns else COLUMNS
    entries = comparison.entries
    return tables.csv(chosen, ([each.value(net, comparison) for each in chosen] for net in entries))


def _choose(names: Sequence[str] | None, comparison: Comparison) -> list[Column]:
    """The named columns; without names the usual ones that tell the networks apart."""
    if names:
        return [find(name) for name in names]
    silent = {"input"} if _common_input(comparison) else set()
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
        silent.add("training_bytes" + RATIO)  # of trainings that differ in more than the network
    if len(comparison.entries) == 1:
        silent |= {figure + RATIO for figure in FIGURES}
    return [column for column in COLUMNS if column.rank <= USUAL and column.name not in silent]


def _cells(columns: Sequence[Column], comparison: Comparison) -> list[list[str]]:
    return [
        [column.text(column.value(network, comparison)) for column in columns]
        for network in comparison.entries
    ]


def _common_input(comparison: Comparison) -> str:
    """The input of all networks, nothing where they differ."""
    inputs = {str(network.input) for network in comparison.entries}
    return inputs.pop() if len(inputs) == 1 else ""


def _setting(comparison: Comparison) -> str:
    """What the figures hold for, in a line."""
    common = _common_input(comparison)
    parts = [f"input {common}"] if common else []
    parts.append(common_setting([network.setting for network in comparison.entries]))
    if len(comparison.entries) > 1:
        parts.append(f"ratios to {printable(comparison.baseline.name)}")
    return ", ".join(parts)

"""A difference of two networks as text: one line for all that is equal, one for a differing row."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archspec.cost.changes import Change
from archspec.cost.difference import Difference, RowPair, Shared
from archspec.element import show
from archspec.graph.graph import SEPARATOR
from archspec.ops.atleast import AtLeast
from archspec.render.amounts import thousands
from archspec.render.comparison import find
from archspec.render.summary import UNBROKEN, common_setting
from archspec.render.table import NARROWEST_PAGE, PAGE, Column, PrintedTable, Style, prose
from archspec.text import counted, printable

MOST_CHANGES = 8
"""Most changes inside a row that are shown: a row may be a whole stage."""

INDENT = " " * 4

FIGURES = ("params", "macs", "activations", "weight_layers", "weight_bytes", "must_keep")
"""Figures whose totals are compared."""

SAID = {"function": "activation", "macs": "MACs"}
"""Arguments that are shown by another name than their own."""


COLUMNS = (
    Column("mark", left=True),
    Column("layer", "layer", left=True, shortens=True),
    Column("label", left=True, rank=2),
    Column("output", "output", left=True),
    Column("params", "params", thousands, rank=1),
    Column("macs", "MACs", thousands, rank=3),
)

TOTALS = (
    Column("total", "total", left=True, shortens=True),
    Column("before", "before"),
    Column("after", "after"),
    Column("difference", "difference"),
)


def text(difference: Difference, *, width: int | None = None, color: bool = False) -> str:
    """Return both networks' rows, marked `-` (first only), `+` (second only) and `~` (changed)."""
    style = Style(color)
    before, after = (printable(each.name) for each in difference.totals)
    if difference.equal:
        return style.good(_equal(difference, before, after)) + "\n"
    page = width or PAGE
    lines = [style.bold(f"--- {before}"), style.bold(f"+++ {after}")]
    for line in common_changes(difference):
        lines += map(style.changed, _wrapped([line], page, first="~ "))
    lines += ["", *_body(difference, style, width), ""]
    lines += _totals(difference, style, width)
    return "\n".join(lines) + "\n"


def markdown(difference: Difference) -> str:
    """Return the same text in a block of code that Markdown colours as a diff."""
    return f"```diff\n{text(difference)}```\n"


def common_changes(difference: Difference) -> list[str]:
    """Return the changes that all layers of a kind share, and those of outputs."""
    outputs = (f"output {_change(each)}" for each in difference.outputs)
    return [*map(_everywhere, difference.shared), *outputs]


def _equal(difference: Difference, before: str, after: str) -> str:
    entry = difference.totals[0]
    renamed = sum(step.is_renamed for step in difference.steps)
    names = f", {counted(renamed, 'row')} by another name" if renamed else ""
    return (
        f"{before} and {after} are equal: {counted(len(difference.steps), 'row')}{names}, "
        f"{thousands(entry.params)} params, {thousands(entry.macs)} MACs"
    )


def _body(difference: Difference, style: Style, width: int | None) -> Iterator[str]:
    shared = difference.shared
    shown = [step for step in difference.steps if not is_quiet(step, shared)]
    titles, _, *lines = PrintedTable(COLUMNS, [*map(_cells, shown)]).lines(
        Style(color=False), width
    )
    yield style.bold(titles)
    rows = iter(lines)
    paint = {"-": style.bad, "+": style.good, "~": style.changed}
    quiet: list[RowPair] = []
    for step in difference.steps:
        if is_quiet(step, shared):
            quiet.append(step)
            continue
        yield from _collapsed(quiet, style)
        quiet = []
        yield paint[step.mark](next(rows))
        if step.changes:
            yield from _wrapped(changes(step, shared), width or PAGE, first=INDENT)
    yield from _collapsed(quiet, style)


def is_quiet(step: RowPair, shared: Sequence[Shared]) -> bool:
    """Whether a row is equal, or differs only by changes that all layers share."""
    return (
        step.mark in "=~"
        and all(
            change.what in {"params", "macs"} or _is_shared(change, shared)
            for change in step.changes
        )
        and (step.mark == "=" or any(_is_shared(change, shared) for change in step.changes))
    )


def _is_shared(change: Change, shared: Sequence[Shared]) -> bool:
    return any(each.covers(change) for each in shared)


def _collapsed(steps: Sequence[RowPair], style: Style) -> Iterator[str]:
    if steps:
        yield style.dim(f"... {', '.join(collapsed(steps, 'row'))}")


def collapsed(steps: Sequence[RowPair], noun: str) -> list[str]:
    """Return what stands for quiet rows: how many are equal, how many differ as all do."""
    equal = sum(step.mark == "=" for step in steps)
    parts = [counted(equal, f"equal {noun}")] if equal else []
    if equal < len(steps):
        parts.append(f"{counted(len(steps) - equal, noun)} with nothing but the above")
    return parts


def _cells(step: RowPair) -> list[Any]:
    row = step.row
    return [step.mark, row.path, row.label, row.shape, row.params, row.macs]


def changes(step: RowPair, shared: Sequence[Shared], *, signed: bool = False) -> list[str]:
    """Return the changes of a row but for shared ones: first those of its layers.

    Args:
        step: The row.
        shared: Changes that are told elsewhere.
        signed: Whether parameters and MACs have their difference too.
    """
    inside, own = told_changes(step, shared)
    parts = [f"called {step.before.path} before"] if step.before and step.is_renamed else []
    parts += map(_change, inside[:MOST_CHANGES])
    if len(inside) > MOST_CHANGES:
        parts.append(f"{counted(len(inside) - MOST_CHANGES, 'more change')} inside")
    return [*parts, *(_change(each) + (_signed(each) if signed else "") for each in own)]


def _signed(change: Change) -> str:
    if change.what not in ("params", "macs"):
        return ""
    return f" ({change.after - change.before:+,})"


def told_changes(step: RowPair, shared: Sequence[Shared]) -> tuple[list[Change], list[Change]]:
    """Return the changes of a row's layers but for shared ones, and those that follow from them."""
    inside = [each for each in step.changes if each.kind or each.what in {"layer", "inputs"}]
    own = [each for each in step.changes if each not in inside]
    return [each for each in inside if not _is_shared(each, shared)], own


def _change(change: Change) -> str:
    before, after = (value_text(change.what, value) for value in (change.before, change.after))
    return f"{changed_name(change)} {before} -> {after}"


def changed_name(change: Change) -> str:
    """Return the argument, after the layer's path unless the row is that layer."""
    if change.what == "layer":
        return change.layer
    above, _, end = change.layer.rpartition(SEPARATOR)
    path = above if end == change.kind else change.layer
    what = SAID.get(change.what, change.what)
    return f"{path} {what}" if path else what


def value_text(what: str, value: Any) -> str:
    """Return a value of a change for people."""
    if value is None:
        return "none"
    if what == "output" and not isinstance(value, str):
        return "x".join(map(str, value))
    if what == "inputs":
        return " and ".join(value)
    if what in {"params", "macs"}:
        return thousands(value)
    return value if isinstance(value, str) else show(value)


def _everywhere(shared: Shared) -> str:
    change = Change(*shared[1:4], kind=shared.kind)
    return f"{_change(change)} in all {shared.layers:,} {shared.kind} layers of both"


def _totals(difference: Difference, style: Style, width: int | None) -> Iterator[str]:
    """Yield the totals in which the networks differ."""
    rows = totals(difference)
    if not rows:
        names = ", ".join(find(figure).title for figure in FIGURES)
        yield from _wrapped([f"total: no difference in {names}"], width or PAGE, first="")
        return
    titles, _, *lines = PrintedTable(TOTALS, rows).lines(style, width)
    yield from (titles, *lines)
    setting = common_setting([difference.before.setting, difference.after.setting])
    yield from map(style.dim, prose(setting, width))


def totals(difference: Difference) -> list[tuple[str, str, str, str]]:
    """Return the totals that differ: title, before, after, and their difference."""
    before, after = difference.totals
    rows = []
    for figure in FIGURES:
        column = find(figure)
        a, b = getattr(before, figure), getattr(after, figure)
        sign = "-" if b < a else "+"
        if isinstance(b - a, AtLeast):
            rows.append((column.title, column.text(a), column.text(b), "?"))
        elif a != b:
            rows.append(
                (column.title, column.text(a), column.text(b), sign + column.text(abs(b - a)))
            )
    return rows


def _wrapped(parts: Iterable[str], width: int, *, first: str) -> list[str]:
    """Return the parts, separated by commas, in lines that end between two parts."""
    joined = ", ".join(parts).replace(" ", UNBROKEN).replace(f",{UNBROKEN}", ", ")
    lines = textwrap.wrap(
        printable(joined),
        max(width, NARROWEST_PAGE),
        initial_indent=first,
        subsequent_indent=INDENT,
        break_on_hyphens=False,
    )
    return [line.replace(UNBROKEN, " ") for line in lines]

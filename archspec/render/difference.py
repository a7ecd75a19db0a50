"""A difference as text: what is equal in a line, what is not row by row."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from archspec.cost.changes import Change
from archspec.cost.difference import Difference, Shared, Step
from archspec.element import show
from archspec.graph.graph import SEPARATOR
from archspec.render.columns import thousands
from archspec.render.comparison import PAGE, find
from archspec.render.summary import UNBROKEN, common_setting
from archspec.render.table import Style, table
from archspec.text import printable

MOST_CHANGES = 8
"""So many changes inside a row are shown, which may stand for a whole stage."""

INDENT = " " * 4

FIGURES = ("params", "macs", "activations", "weight_layers", "weight_bytes", "training_bytes")
"""What the last line adds up."""

SAID = {"function": "activation", "macs": "MACs"}
"""What is called otherwise than where it is defined."""


class _Heading(NamedTuple):
    name: str
    title: str = ""
    left: bool = True
    rank: int = 0


COLUMNS = (
    _Heading("mark"),
    _Heading("layer", "layer"),
    _Heading("label", rank=2),
    _Heading("output", "output"),
    _Heading("params", "params", left=False, rank=1),
    _Heading("macs", "MACs", left=False, rank=3),
)

TOTALS = (
    _Heading("total", "total"),
    _Heading("before", "before", left=False),
    _Heading("after", "after", left=False),
    _Heading("difference", "difference", left=False),
)


def text(difference: Difference, *, width: int | None = None, color: bool = False) -> str:
    """Both networks' rows: `-` in the first alone, `+` in the second, `~` in both but changed."""
    style = Style(color)
    before, after = (printable(each.name) for each in difference.totals)
    if difference.equal:
        return style.good(_equal(difference, before, after)) + "\n"
    page = width or PAGE
    lines = [style.bold(f"--- {before}"), style.bold(f"+++ {after}")]
    for said in (*map(_everywhere, difference.shared), *map(_output, difference.outputs)):
        lines += map(style.changed, _wrapped([said], page, first="~ "))
    lines += ["", *_body(difference, style, width), ""]
    lines += _totals(difference, style, width)
    return "\n".join(lines) + "\n"


def markdown(difference: Difference) -> str:
    """The same text in a block that is coloured as a diff where Markdown is shown."""
    return f"```diff\n{text(difference)}```\n"


def _equal(difference: Difference, before: str, after: str) -> str:
    entry = difference.totals[0]
    renamed = sum(step.is_renamed for step in difference.steps)
    names = f", {_count(renamed, 'row')} by another name" if renamed else ""
    return (
        f"{before} and {after} are equal: {_count(len(difference.steps), 'row')}{names}, "
        f"{thousands(entry.params)} params, {thousands(entry.macs)} MACs"
    )


def _body(difference: Difference, style: Style, width: int | None) -> Iterator[str]:
    shared = difference.shared
    shown = [step for step in difference.steps if not _is_quiet(step, shared)]
    lines = table(
        COLUMNS, list(map(_cells, shown)), Style(color=False), names="layer", width=width
    ).splitlines()
    yield style.bold(lines[0])
    rows = iter(lines[2:])
    paint = {"-": style.bad, "+": style.good, "~": style.changed}
    quiet: list[Step] = []
    for step in difference.steps:
        if _is_quiet(step, shared):
            quiet.append(step)
            continue
        yield from _collapsed(quiet, style)
        quiet = []
        yield paint[step.mark](next(rows))
        if step.changes:
            yield from _wrapped(_changes(step, shared), width or PAGE, first=INDENT)
    yield from _collapsed(quiet, style)


def _is_quiet(step: Step, shared: Sequence[Shared]) -> bool:
    """Whether a row is equal, or differs in nothing that is not said of all layers at once."""
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


def _collapsed(steps: Sequence[Step], style: Style) -> Iterator[str]:
    equal = sum(step.mark == "=" for step in steps)
    parts = [_count(equal, "equal row")] if equal else []
    if equal < len(steps):
        parts.append(f"{_count(len(steps) - equal, 'row')} with nothing but the above")
    if parts:
        yield style.dim(f"... {', '.join(parts)}")


def _cells(step: Step) -> list[str]:
    row = step.row
    figures = [thousands(row.params), thousands(row.macs)]
    return [step.mark, row.path, row.label, str(row.shape), *figures]


def _changes(step: Step, shared: Sequence[Shared]) -> list[str]:
    """What differs in a row: first in its layers, then what comes of it."""
    inside = [each for each in step.changes if each.kind or each.what in {"layer", "inputs"}]
    own = [each for each in step.changes if each not in inside]
    inside = [each for each in inside if not _is_shared(each, shared)]
    parts = [f"called {step.before.path} before"] if step.before and step.is_renamed else []
    parts += map(_change, inside[:MOST_CHANGES])
    if len(inside) > MOST_CHANGES:
        parts.append(f"{_count(len(inside) - MOST_CHANGES, 'more change')} inside")
    return [*parts, *map(_change, own)]


def _change(change: Change) -> str:
    before, after = (_value(change.what, value) for value in (change.before, change.after))
    return f"{_name(change)} {before} -> {after}"


def _name(change: Change) -> str:
    """The argument, behind the layer's path unless the layer is what the row is about."""
    if change.what == "layer":
        return change.layer
    above, _, end = change.layer.rpartition(SEPARATOR)
    path = above if end == change.kind else change.layer
    what = SAID.get(change.what, change.what)
    return f"{path} {what}" if path else what


def _value(what: str, value: Any) -> str:
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


def _output(change: Change) -> str:
    return f"output {_change(change)}"


def _totals(difference: Difference, style: Style, width: int | None) -> Iterator[str]:
    """What the networks differ by as a whole."""
    before, after = difference.totals
    rows = []
    for figure in FIGURES:
        column = find(figure)
        a, b = getattr(before, figure), getattr(after, figure)
        sign = "-" if b < a else "+"
        if a != b:
            rows.append(
                [column.title, column.text(a), column.text(b), sign + column.text(abs(b - a))]
            )
    if not rows:
        names = ", ".join(find(figure).title for figure in FIGURES)
        yield from _wrapped([f"total: no difference in {names}"], width or PAGE, first="")
        return
    lines = table(TOTALS, rows, style, names="total", width=width).splitlines()
    yield from (lines[0], *lines[2:])
    setting = common_setting([difference.before.setting, difference.after.setting])
    yield from map(style.dim, textwrap.wrap(setting, max(width or PAGE, 20)))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _wrapped(parts: Iterable[str], width: int, *, first: str) -> list[str]:
    """The parts in lines that end between two of them."""
    said = ", ".join(parts).replace(" ", UNBROKEN).replace(f",{UNBROKEN}", ", ")
    lines = textwrap.wrap(
        printable(said),
        max(width, 20),
        initial_indent=first,
        subsequent_indent=INDENT,
        break_on_hyphens=False,
    )
    return [line.replace(UNBROKEN, " ") for line in lines]

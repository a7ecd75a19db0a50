"""Outline of a document: sections, steps, groups and blocks as a tree."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Examined, Region
from archspec.assist.hints import summary
from archspec.assist.sketch import Entry, Mapping, Node, Sequence, children
from archspec.assist.steps import Step, inner_lists, is_step_list, steps_in
from archspec.compile.step import GROUPS
from archspec.errors import KeyPath

_SORTS = {"vars": "variable", "variants": "variant", "blocks": "block", "heads": "block"}
"""The sort of what stands below a section."""


class Symbol(NamedTuple):
    """An entry of the outline."""

    name: str
    detail: str
    sort: str
    """One of section, variable, variant, block, step and group."""
    region: Region
    """All of it."""
    selection: Region
    """Its name."""
    children: tuple[Symbol, ...] = ()


def outline(document: Document) -> tuple[Symbol, ...]:
    """Return the sections of a document with all that is in them."""
    if not document.is_spec or not isinstance(document.root, Mapping):
        return ()
    good = document.good if document.report else None
    symbols = []
    for entry in document.root.entries:
        path: KeyPath = (entry.name,)
        inner = _steps(path, entry.value, good) or tuple(
            _named(entry.name, each, good) for each in children(entry.value) if each.key
        )
        if entry.name:
            symbols.append(_symbol(entry.name, _scalar(entry.value), "section", entry, inner))
    return tuple(symbols)


def _named(section: str, entry: Entry, good: Examined | None) -> Symbol:
    """Return what stands under a name in a section; of a block or a head, with its steps."""
    path: KeyPath = (section, entry.name, "layers")
    steps = entry.value.at("layers") if entry.value else None
    sort = _SORTS.get(section, "variable")
    return _symbol(entry.name, _scalar(entry.value), sort, entry, _steps(path, steps, good))


def _steps(path: KeyPath, steps: Node | None, good: Examined | None) -> tuple[Symbol, ...]:
    if not isinstance(steps, Sequence) or not is_step_list(path):
        return ()
    return tuple(_step(step, good) for step in steps_in(path, steps) if step.kind)


def _step(step: Step, good: Examined | None) -> Symbol:
    kind = step.kind.text if step.kind else ""
    name = step.name
    rows = good.rows.get(step.path, ()) if good else ()
    detail = summary(rows) if rows else ""
    inner: list[Symbol] = []
    for path, steps in inner_lists(step):
        branch = _steps(path, steps, good)
        if kind == "branches":
            region = Region(steps.start, steps.stop)
            label = f"branch {path[-1] + 1}" if isinstance(path[-1], int) else str(path[-1])
            inner.append(Symbol(label, "", "group", region, region, branch))
        else:
            inner += branch
    title = kind if not name or not name.text else f"{name.text}: {kind}"
    shown = name if name and name.text else step.kind
    sort = "group" if kind in GROUPS and kind != "share" else "step"
    return _symbol(title, detail, sort, step.entry, tuple(inner), shown)


def _symbol(
    name: str,
    detail: str,
    sort: str,
    entry: Entry,
    inner: tuple[Symbol, ...],
    shown: Node | None = None,
) -> Symbol:
    stop = max([entry.stop, *(each.region.stop for each in inner)])
    shown = shown or entry.key
    selection = Region(shown.start, shown.stop) if shown else Region(entry.start, stop)
    region = Region(min(entry.start, selection.start), max(stop, selection.stop))
    return Symbol(name[:100], detail[:100], sort, region, selection, inner)


def _scalar(value: Node | None) -> str:
    is_scalar = value is not None and not isinstance(value, (Mapping, Sequence))
    return value.text.partition("\n")[0] if value and is_scalar else ""

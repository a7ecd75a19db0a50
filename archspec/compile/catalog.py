"""Names to classes: every kind of step there is.

The kinds are the classes found in `archspec.ops` and `archspec.blocks`; there is no list to keep.
Third parties add theirs by entry points in the groups `archspec.ops` and `archspec.blocks`, whose
names are the kinds. They are looked up only for a kind that is not archspec's own.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

from archspec import blocks, ops
from archspec.element import KINDS, Element
from archspec.errors import Mend, Problem, UsageError, nearest, suggestion
from archspec.ops.op import Op
from archspec.vocabulary import KIND_NOTES, folded, unseparated
from archspec.vocabulary import KINDS as KIND_WORDS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_MOST_USED = ("convolution", "pooling", "elementwise", "normalization", "merge", "arrangement")
"""Modules of the ops that most networks use."""

GROUPS = ("archspec.ops", "archspec.blocks")
"""Entry point groups in which third parties register kinds."""


def find(kind: str) -> type[Element]:
    """Return the class of a kind; raise `Problem` if there is none."""
    cls = get(kind)
    if cls is None:
        raise unknown_kind(kind)
    return cls


def get(kind: str) -> type[Element] | None:
    """Return the class of a kind, or None if there is none."""
    if kind not in KINDS:
        # A block's file is called after it, so a spec pays for the blocks that it uses.
        if kind in _modules("blocks"):
            importlib.import_module(f"archspec.blocks.{kind}")
        else:
            for module in _ops_modules():
                importlib.import_module(module)
                if kind in KINDS:
                    break
    if kind not in KINDS:
        _load_third_party(kind)
    return KINDS.get(kind)


def unknown_kind(kind: str, more: tuple[str, ...] = ()) -> Problem:
    """Return the problem of an unknown kind; `more` are kinds that the spec itself defines."""
    message = f"there is no kind of step called `{kind}`"
    return Problem("unknown-kind", message, help=_meant(kind, {*kinds(), *more}))


_WITH_VALUE = re.compile(r"(?P<kind>\w+)\s*(?::|=|\(|\s)\s*(?P<value>[^()]+)\)?")
"""A kind and its argument in one word, as `conv:64`, `conv 64`, `conv=64` and `conv(64)`."""


def _meant(kind: str, names: set[str]) -> str:
    """Return a help line for a word that is not a kind."""
    written = _WITH_VALUE.fullmatch(kind[:80])
    if written and written["kind"] in names:
        value = {"{": "{...}", "[": "[...]"}.get(written["value"][0], written["value"])
        if "," in value:
            return f"arguments are named, as `{written['kind']}: {{name: value}}`"
        missing = "a space is" if ":" in kind else "a colon and a space are"
        right = f"{written['kind']}: {value}"
        help_ = f"{missing} missing: write `{right}`"
        return help_ if "..." in value else Mend(help_, right, kind)
    plain = {unseparated(name): name for name in names}
    for word in (unseparated(kind), folded(kind)):
        if word in KIND_NOTES:
            return KIND_NOTES[word]
        ours = KIND_WORDS.get(word) or plain.get(word)
        if ours in names:
            return Mend(f"archspec says `{ours}`", ours, kind)
    return suggestion(kind, names, what="kinds", meant=nearest(folded(kind), sorted(names)))


def kinds() -> dict[str, type[Element]]:
    """Return every kind with its class, ops first, third parties' included."""
    for module in _ops_modules():
        importlib.import_module(module)
    for name in _modules("blocks"):
        importlib.import_module(f"archspec.blocks.{name}")
    _load_third_party()
    return dict(sorted(KINDS.items(), key=lambda item: (not issubclass(item[1], Op), item[0])))


def is_extended() -> bool:
    """Return whether there are kinds that are not archspec's own, installed or defined here."""
    own = (f"{ops.__name__}.", f"{blocks.__name__}.")
    return bool(_entries()) or not all(cls.__module__.startswith(own) for cls in KINDS.values())


@cache
def _modules(package: str) -> frozenset[str]:
    path = {"ops": ops, "blocks": blocks}[package].__path__
    return frozenset(module.name for module in pkgutil.iter_modules(path))


@cache
def _ops_modules() -> tuple[str, ...]:
    """Return the modules of ops, those first whose ops most networks use.

    A spec pays for the modules up to the last one that it uses.
    """
    names = sorted(_modules("ops"), key=lambda name: ((*_MOST_USED, name).index(name), name))
    return tuple(f"archspec.ops.{name}" for name in names)


def _load_third_party(kind: str | None = None) -> None:
    for entry in _entries():
        if kind is None or entry.name == kind:
            _check(entry)


@cache
def _entries() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415  (slow, and rarely needed)

    return tuple(entry for group in GROUPS for entry in entry_points(group=group))


def _check(entry: EntryPoint) -> None:
    """Load a third party's kind; raise `UsageError` where its package is broken."""
    try:
        loaded = entry.load()
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise UsageError(f"the installed kind `{entry.name}` cannot be loaded: {what}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Element) and loaded.kind == entry.name):
        raise UsageError(
            f"the installed entry point `{entry.name}` is not an op or block of that kind"
        )

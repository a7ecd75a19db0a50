"""Mistakes of a document: those that `archspec build` and `archspec check` report."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeAlias

from archspec.assist.document import Document, Region
from archspec.errors import Diagnostic, Span

Identity: TypeAlias = tuple[str, str, Span | None]
"""Code, message and place of a diagnostic."""


class Mistake(NamedTuple):
    """A diagnostic and where it is in the text."""

    diagnostic: Diagnostic
    region: Region


def mistakes(document: Document) -> tuple[Mistake, ...]:
    """Return everything that is wrong with a spec, in the order of the text.

    These are the mistakes of all variants that were examined so far. One that not all of them have
    gets a note that says which ones do. A text that is not a spec has no mistakes.
    """
    if not document.is_spec:
        return ()
    members = [document.examined.member, *document.members.values()]
    found: dict[Identity, tuple[Diagnostic, list[str]]] = {}
    for member in members:
        for each in member.diagnostics:
            _, names = found.setdefault(identity(each), (each, []))
            names.append(member.name)
    mistakes = []
    for diagnostic, names in found.values():
        if len(names) < len(members):
            note = f"in {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}"
            diagnostic = replace(diagnostic, notes=(*diagnostic.notes, note))  # noqa: PLW2901
        mistakes.append(Mistake(diagnostic, document.region(diagnostic.span)))
    return tuple(sorted(mistakes, key=lambda mistake: mistake.region))


def identity(diagnostic: Diagnostic) -> Identity:
    """Return what two diagnostics have in common if they are the same mistake."""
    return diagnostic.code, diagnostic.message, diagnostic.span


def full_message(diagnostic: Diagnostic) -> str:
    """Return the message with its notes and its help, a line each, as `archspec build` prints."""
    lines = [diagnostic.message, *(f"note: {note}" for note in diagnostic.notes)]
    if diagnostic.help:
        lines.append(f"help: {diagnostic.help}")
    return "\n".join(lines)

"""Lenses: lines above the spec and its variants that show their totals."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Member, Region
from archspec.assist.sketch import Mapping, children, find
from archspec.render.amounts import byte_size, short


class Lens(NamedTuple):
    """A line of figures above a place."""

    region: Region
    text: str
    variant: str | None = None
    """The variant whose figures a click on it shows; None if a click does nothing."""


def lenses(document: Document) -> tuple[Lens, ...]:
    """Return the totals of the network, and of each variant that was examined."""
    root = document.root
    if not document.is_spec or not isinstance(root, Mapping):
        return ()
    shown = document.examined.member
    found = []
    key = root.key_at("name") or root.entries[0].key
    report = document.report
    if key is not None and shown.totals is not None and report is not None:
        must_keep = byte_size(report.memory.must_keep)
        text = f"{shown.name}: {figures(shown)} · training must keep {must_keep}"
        found.append(Lens(Region(key.start, key.stop), text))
    members = {**document.members, shown.name: shown}
    for entry in children(find(root, ("variants",))):
        member = members.get(entry.name)
        if entry.key is not None and member is not None:
            state = "shown" if member is shown else "click to show its figures"
            text = f"{figures(member)} · {state}"
            variant = None if member is shown else member.name
            found.append(Lens(Region(entry.key.start, entry.key.stop), text, variant))
    return tuple(found)


def figures(member: Member) -> str:
    """Return the totals of a network in a few words."""
    if member.totals is None:
        count = len(member.diagnostics)
        return f"{count} mistake{'' if count == 1 else 's'}"
    totals = member.totals
    return (
        f"{short(totals.params)} params · {short(totals.macs)} MACs · "
        f"{totals.weight_layers:,} weight layers"
    )

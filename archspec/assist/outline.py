"""Outline of a document: sections, steps, groups and blocks as a tree."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Region


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


def outline(document: Document) -> tuple[Symbol, ...]:  # noqa: ARG001
    """Return the sections of a document with all that is in them."""
    return ()

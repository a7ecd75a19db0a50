"""Definitions and uses of names of steps, blocks and variables."""

from __future__ import annotations

from archspec.assist.document import Document, Region


def definition(document: Document, offset: int) -> Region | None:  # noqa: ARG001
    """Return where the name at an offset is defined; None where there is no such name."""
    return None


def references(document: Document, offset: int) -> tuple[Region, ...]:  # noqa: ARG001
    """Return every place that uses or defines the name at an offset, in the order of the text."""
    return ()

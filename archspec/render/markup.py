"""Text in HTML and XML, where four characters mean something else than themselves."""

from __future__ import annotations

from archspec.text import one_line


def escaped(text: str) -> str:
    """Return text for HTML and XML, also inside of quotes, on one line and safe to print."""
    return entities(one_line(text))


def entities(text: str) -> str:
    """Return text with the characters escaped that mean something in HTML and XML."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text

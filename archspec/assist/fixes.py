"""Quick fixes: the replacements that diagnostics carry (`archspec.errors.Mend`)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from archspec.assist.diagnostics import Mistake, mistakes
from archspec.assist.document import Document, Edit, Region
from archspec.errors import Mend

_NEEDS_QUOTES: Final = re.compile(r"[,:\[\]{}]| #")
_TEXT: Final = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_=][\w./=-]*")
"""A replacement that is text, and no number, truth value or list."""


class Fix(NamedTuple):
    """A change that mends a mistake."""

    title: str
    mistake: Mistake
    edit: Edit


def fixes(document: Document, region: Region) -> tuple[Fix, ...]:
    """Return the fixes of all mistakes that a region touches."""
    touched = [
        each
        for each in mistakes(document)
        if each.region.start <= region.stop and region.start <= each.region.stop
    ]
    return tuple(fix for mistake in touched if (fix := fix_of(document, mistake)) is not None)


def fix_of(document: Document, mistake: Mistake) -> Fix | None:
    """Return the fix of a mistake; None where its diagnostic carries no replacement.

    The replacement takes the place of the word that it is for, or of all that is marked. If the
    word is there several times, nobody knows which one is meant, unless it is in an expression.
    """
    mend = mistake.diagnostic.help
    if not isinstance(mend, Mend) or mistake.diagnostic.span is None:
        return None
    start, stop = mistake.region
    if ": " in mend.replacement and document.text.startswith(":", stop):
        return None  # a key with its value, for a key that has a value already
    written = document.text[start:stop]
    bare = written[1:-1] if written[:1] in ("'", '"') and written[-1:] == written[:1] else written
    if mend.word is None or bare == mend.word:
        if "\n" in written:
            return None
        text = _scalar(mend.replacement, written)
        return Fix(_title(written, text), mistake, Edit(mistake.region, text))
    word = re.compile(rf"(?<![\w.]){re.escape(mend.word)}(?!\w)")
    if not word.search(written):  # it may be an attribute, as in `in.chanels`
        word = re.compile(rf"(?<=\.){re.escape(mend.word)}(?!\w)")
    places = [match.span() for match in word.finditer(written)]
    if bare.startswith("="):
        text = word.sub(lambda _: mend.replacement, written)
        edit = Edit(mistake.region, text)
    elif len(places) == 1:
        edit = Edit(Region(start + places[0][0], start + places[0][1]), mend.replacement)
    else:
        return None
    return Fix(_title(mend.word, mend.replacement), mistake, edit) if places else None


def _title(wrong: str, right: str) -> str:
    return f"Replace `{_short(wrong)}` by `{_short(right)}`"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _scalar(replacement: str, written: str) -> str:
    """Return a replacement in quotes where an expression needs them, or its key had them."""
    if replacement.startswith("=") and _NEEDS_QUOTES.search(replacement):
        quote = "'" if '"' in replacement else '"'
        return f"{quote}{replacement}{quote}"
    if written[:1] == '"' and _TEXT.fullmatch(replacement):
        return f'"{replacement}"'  # a text that had quotes may need them, as in JSON
    return replacement

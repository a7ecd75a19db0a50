"""A spec while it is written: its text, and what is known of its network.

Every feature of `archspec.assist` is a function of a `Document` and, mostly, an offset: the number
of characters of the text before a place. Servers translate these to what their clients count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from archspec.cost.report import Report


class Region(NamedTuple):
    """A stretch of a text: offsets of its first character and of the one after its last."""

    start: int
    stop: int


class Edit(NamedTuple):
    """A change of a text: what stands in a region afterwards."""

    region: Region
    text: str


@dataclass(frozen=True)
class Document:
    """A text that may be a spec. `edited` gives the next one, which keeps the last good report."""

    text: str
    name: str = "<spec>"
    """Name of the file, as messages show it; `.json` admits JSON."""
    variant: str | None = None
    """The variant whose figures are shown; by default the one that `archspec build` would show."""
    before: Document | None = field(default=None, repr=False, compare=False)
    """The last document whose network could be computed, if this one's cannot."""

    def edited(self, text: str) -> Document:
        """Return the document with another text."""
        return Document(text, self.name, self.variant, self if self.report else self.before)

    def showing(self, variant: str | None) -> Document:
        """Return the document with another variant chosen."""
        return Document(self.text, self.name, variant, self.before)

    @property
    def report(self) -> Report | None:
        """The network's costs; None where the text has a mistake."""
        return None

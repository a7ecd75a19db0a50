"""Values of a spec with their places in its text, and the limits of such a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from archspec.errors import Span

MAX_BYTES: Final = 2**20
MAX_NESTING: Final = 64
MAX_VALUES: Final = 100_000
"""Largest number of values, counted as if every alias were written out."""

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""The ends of lines that the YAML parser knows; `str.splitlines` knows more."""


@dataclass(slots=True)
class Located:
    """A value and its place. An alias has its own place and shares its anchor's children.

    Lines and columns count from 0, as the parser does. Few places are asked for, so `span` works
    one out when it is.
    """

    value: Any
    line: int
    column: int
    end_line: int
    end_column: int
    size: int = 1
    """Number of values, with those inside."""
    height: int = 0
    """Levels of collections inside."""

    def end(self, lines: tuple[str, ...]) -> tuple[int, int]:
        """Return the line and column where the value ends in a text of these lines."""
        line, column = self.end_line, self.end_column
        # The parser ends a text block at the line after it.
        while column == 0 and line > self.line:
            line -= 1
            column = len(lines[line].rstrip())
        return line, column

    def span(self, lines: tuple[str, ...]) -> Span:
        """Return the place in a text of these lines."""
        end_line, end_column = self.end(lines)
        return Span(self.line + 1, self.column + 1, end_line + 1, end_column + 1)


@dataclass(slots=True)
class LocatedCollection(Located):
    """A list or a mapping, with its values by index or key, and its keys."""

    children: dict[str | int, Located] = field(default_factory=dict)
    keys: dict[str | int, Located] = field(default_factory=dict)


def location(event: Any) -> tuple[int, int, int, int]:
    """Return where an event of the parser begins and ends, as `Located` has it."""
    start, end = event.start_mark, event.end_mark
    return start.line, start.column, end.line, end.column

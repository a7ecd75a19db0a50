"""Values of a spec with their places in its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from archspec.errors import Span


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

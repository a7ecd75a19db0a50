"""Places in a text as editors count them: lines, and code units in a line; code units alone.

The language server protocol counts UTF-16 code units unless both sides agree on something else, and
JavaScript counts them always: a character outside of Unicode's first plane, as most emoji, is two.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

_BREAK: Final = re.compile("\r\n|\r|\n")

UNITS: Final[Mapping[str, Callable[[str], int]]] = {
    "utf-8": lambda text: len(text.encode(errors="surrogatepass")),
    "utf-16": lambda text: len(text.encode("utf-16-le", errors="surrogatepass")) // 2,
    "utf-32": len,
}
"""Number of code units of a text, by the name of the encoding."""


class Lines:
    """The lines of a text, to translate offsets in characters to lines and columns and back."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.units = UNITS[encoding]
        self.starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line, from 0, and the code units before an offset in it."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.starts, offset) - 1
        return line, self.units(self.text[self.starts[line] : offset])

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and a column in code units; the nearest if there is none."""
        if line >= len(self.starts):
            return len(self.text)
        start, stop = self.starts[line], self.end(line)
        written = self.text[start:stop]
        if written.isascii() or self.units is len:
            return min(start + column, stop)
        for index, character in enumerate(written):
            if column <= 0:
                return start + index
            column -= self.units(character)
        return stop

    def end(self, line: int) -> int:
        """Return the offset of a line's end, before the characters that break it."""
        stop = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        return self.starts[line] + len(self.text[self.starts[line] : stop].rstrip("\r\n"))


@lru_cache(maxsize=8)
def lines_of(text: str, encoding: str = "utf-16") -> Lines:
    """Return the lines of a text; those of the last few texts are kept."""
    return Lines(text, encoding)


class Units:
    """Offsets of a text as Python counts them, in characters, and as browsers do, in UTF-16."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._wide = [] if text.isascii() else [i for i, c in enumerate(text) if c > "\uffff"]
        self._wide_units = [index + before for before, index in enumerate(self._wide)]

    def unit(self, offset: int) -> int:
        """Return a browser's offset for one of Python's."""
        return offset + bisect_left(self._wide, offset)

    def offset(self, unit: int) -> int:
        """Return Python's offset for one of a browser's."""
        return max(0, min(unit - bisect_left(self._wide_units, unit), self._length))

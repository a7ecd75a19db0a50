"""The sections of a Darknet configuration, with their options as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from archspec.imports.modeltext import TextProblem

MOST_SECTIONS: Final = 50_000
"""Largest number of sections of a file."""

_NAMES: Final = {
    "conv": "convolutional", "deconv": "deconvolutional", "conn": "connected", "max": "maxpool",
    "avg": "avgpool", "soft": "softmax", "activ": "activation", "lrn": "normalization",
    "network": "net",
}  # fmt: skip
"""Darknet's shorter words for its sections."""


@dataclass
class Section:
    """A section: `[convolutional]` and its options."""

    kind: str
    line: int
    options: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Each option's text and its line."""

    def __contains__(self, name: str) -> bool:
        return name in self.options

    def word(self, name: str, default: str = "") -> str:
        """Return the text of an option."""
        return self.options.get(name, (default, 0))[0]

    def integer(self, name: str, default: int = 0) -> int:
        """Return the whole number of an option."""
        numbers = self.integers(name)
        return numbers[0] if numbers else default

    def integers(self, name: str) -> list[int]:
        """Return the whole numbers of an option, which commas separate; [] where it is absent.

        As Darknet does, what follows the digits is passed over: `2.0` is 2, and so is `2#comment`.
        """
        text, line = self.options.get(name, ("", 0))
        words = [word for word in text.split(",") if word]
        numbers = [re.match(r"[-+]?\d{1,18}(?!\d)", word) for word in words]
        for word, number in zip(words, numbers, strict=True):
            if number is None:
                raise TextProblem(line, f"`{name}` must be a whole number, not {word[:40]!r}")
        return [int(number[0]) for number in numbers if number]

    def real(self, name: str, default: float) -> float:
        """Return the number of an option."""
        text, line = self.options.get(name, ("", 0))
        try:
            return float(text) if text else default
        except ValueError:
            message = f"`{name}` must be a number, not {text[:40]!r}"
            raise TextProblem(line, message) from None


def sections(text: str) -> list[Section]:
    """Return the sections of a configuration.

    As Darknet does, blanks are dropped wherever they stand, and a line that begins with `#` or `;`
    is a comment; behind a value there is none.

    Raises:
        TextProblem: A line is neither a section nor an option.
    """
    found: list[Section] = []
    for number, written in enumerate(text.split("\n"), 1):
        line = re.sub(r"[ \t\r\f\v]", "", written)
        if not line or line[0] in "#;\0":
            continue
        if line[0] == "[":
            if len(found) >= MOST_SECTIONS:
                raise TextProblem(number, f"more than {MOST_SECTIONS:,} sections")
            kind = line.strip("[]").lower()
            found.append(Section(_NAMES.get(kind, kind), number))
            continue
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise TextProblem(
                number,
                f"expected a section, as `[convolutional]`, or an option, not {line[:40]!r}",
                help="an option is written as `filters=32`",
            )
        if not found:
            raise TextProblem(number, f"`{name[:40]}` stands before the first section")
        found[-1].options.setdefault(name, (value, number))  # Darknet takes the first, too
    return found

"""Problems of a spec, gathered one by one and raised in the order of the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from archspec.errors import Diagnostic, Problem, Span, SpecError
from archspec.spec.source import Source

MOST_FOUND: Final = 100
"""Largest number of problems: each takes time, and nobody reads more."""


class Findings:
    """The problems of one spec so far."""

    def __init__(self, source: Source, found: Iterable[Diagnostic] = ()) -> None:
        self.source = source
        self.found = list(found)
        self._said = {(diagnostic.message, diagnostic.span) for diagnostic in self.found}

    def report(self, problem: Problem, path: tuple[str | int, ...], *, key: bool = False) -> None:
        """Add a problem of the value at `path`, or of its key; `SpecError` when there are enough.

        The same again at the same place, as in the next round of a loop, is not added.
        """
        diagnostic = problem.at(self.source.span(path, key=key))
        said = (diagnostic.message, diagnostic.span)
        if said in self._said:
            return
        self._said.add(said)
        self.found.append(diagnostic)
        if len(self.found) >= MOST_FOUND:
            raise self.error()

    def error(self) -> SpecError:
        return spec_error(self.source, self.found)


def spec_error(source: Source, found: Iterable[Diagnostic]) -> SpecError:
    """Return the error of some diagnostics, each once, in the order of the text."""
    unique = list(dict.fromkeys(found))
    unique.sort(key=lambda d: d.span or Span(0, 0, 0, 0))
    named = tuple(
        Diagnostic(d.code, d.message, d.span, d.notes, d.help, d.file or source.name)
        for d in unique
    )
    return SpecError(named, source.lines)

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

    def __init__(self, source: Source, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self.source = source
        self.diagnostics = list(diagnostics)
        self._reported = {(each.message, each.span) for each in self.diagnostics}

    def report(self, problem: Problem, path: tuple[str | int, ...], *, key: bool = False) -> None:
        """Add a problem of the value at `path`, or of its key; `SpecError` when there are enough.

        A problem that repeats at the same place, as in the next round of a loop, is not added.
        """
        diagnostic = problem.at(self.source.span(path, key=key))
        identity = (diagnostic.message, diagnostic.span)
        if identity in self._reported:
            return
        self._reported.add(identity)
        self.diagnostics.append(diagnostic)
        if len(self.diagnostics) >= MOST_FOUND:
            raise self.error()

    def error(self) -> SpecError:
        return spec_error(self.source, self.diagnostics)


def spec_error(source: Source, diagnostics: Iterable[Diagnostic]) -> SpecError:
    """Return the error of some diagnostics, each once, in the order of the text."""
    unique = list(dict.fromkeys(diagnostics))
    unique.sort(key=lambda d: d.span or Span(0, 0, 0, 0))
    named = tuple(
        Diagnostic(d.code, d.message, d.span, d.notes, d.help, d.file or source.name)
        for d in unique
    )
    return SpecError(named, source.lines)

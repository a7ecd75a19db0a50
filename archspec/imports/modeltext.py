"""Model files that people write as text: the lines, and errors that name one of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archspec.element import ArgumentProblems, Element
from archspec.errors import Diagnostic, Problem, Span, SpecError
from archspec.imports.limits import MOST_TEXT, read_all


class TextProblem(Problem):
    """A mistake at a line of a text, counted from 1."""

    def __init__(self, line: int, message: str, *, help: str | None = None) -> None:  # noqa: A002
        super().__init__("syntax", message, help=help)
        self.line = line


@dataclass(frozen=True)
class ModelText:
    """A model file's text."""

    path: str
    text: str = field(repr=False)

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return Path(self.path).stem

    def error(self, problem: TextProblem) -> SpecError:
        """Return the error that shows a problem at its line."""
        lines = self.text.split("\n")
        line = min(max(problem.line, 1), len(lines))
        shown = lines[line - 1]
        start = len(shown) - len(shown.lstrip()) + 1
        span = Span(line, start, line, max(len(shown.rstrip()) + 1, start))
        diagnostic = Diagnostic(
            problem.code, problem.message, span, help=problem.help, file=self.path
        )
        return SpecError((diagnostic,), lines)


def parse_op(kind: type[Element], arguments: dict[str, Any], line: int, where: str) -> Any:
    """Return the op with these arguments.

    Args:
        kind: The op's class.
        arguments: Its arguments.
        line: The line of the layer, counted from 1.
        where: The layer, as messages call it.

    Raises:
        TextProblem: The op does not take them.
    """
    try:
        return kind.parse(arguments)
    except ArgumentProblems as problems:
        raise TextProblem(line, f"{where}: {problems}") from None


def read_text(path: str | os.PathLike[str], what: str) -> ModelText:
    """Return the text of a model file; bytes that are not UTF-8 are replaced.

    Args:
        path: The file.
        what: The kind of file, for messages: `a Darknet configuration`.

    Raises:
        UsageError: It cannot be read, or is larger than archspec reads.
    """
    content = read_all(path, MOST_TEXT, what).decode("utf-8-sig", errors="replace")
    return ModelText(os.fspath(path), content.replace("\r\n", "\n").replace("\r", "\n"))

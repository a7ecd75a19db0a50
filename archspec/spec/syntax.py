"""Errors of the YAML parser, explained to people who write specs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import yaml

from archspec.errors import Diagnostic, Mend, Span

_QUOTES_HELP = "put the text in quotes"
_SYNTAX: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "sequence entries are not allowed",
        "a list cannot start here",
        "put each `- item` on a line of its own, or write [item, item]",
    ),
    ("mapping keys are not allowed", "no key is allowed to start here with `?`", _QUOTES_HELP),
    ("escape", "this escape is not known", r"write a backslash as `\\`, or use single quotes"),
    ("hexdecimal", "this escape is not complete", r"write a backslash as `\\`"),
    (
        "alphabetic or numeric",
        "`&` and `*` must be followed by the name of an anchor",
        _QUOTES_HELP,
    ),
    ("tag", "tags (`!...`) are not part of the language", _QUOTES_HELP),
    (
        "block scalar",
        "`|` and `>` start a text block on the lines below: nothing else can follow them here",
        _QUOTES_HELP,
    ),
    ("<document start>", "this follows the end of the spec", "leave it out"),
)
"""A part of the parser's message, our message, and a help line."""


_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}


def expression_end(line: str, start: int, *, flow: bool) -> int | None:
    """Return the column at which the author of the expression at `start` meant it to end.

    That is where its brackets and quotes are closed, while YAML may end it at a comma or a bracket
    before: within `{}` and `[]` (`flow`), or at ` #`. None where something stays open.
    """
    waiting: list[str] = []
    quote = ""
    for column in range(start, len(line)):
        character = line[column]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _CLOSERS:
            waiting.append(_CLOSERS[character])
        elif waiting:
            if character == waiting[-1]:
                waiting.pop()
        elif (flow and character in ",]}") or (character == "#" and line[column - 1].isspace()):
            return len(line[:column].rstrip())
    return None if quote or waiting else len(line.rstrip())


def quoted(line: str, start: int, end: int) -> Mend:
    """Return a help line that shows the line with quotes from `start` to `end`."""
    text = line[start:end]
    text = f"'{text}'" if '"' in text and "'" not in text else '"' + text.replace('"', "'") + '"'
    whole = f"{line[:start]}{text}{line[end:]}".strip()
    return Mend(f"put it in quotes: `{whole if len(whole) <= _LONGEST else text}`", text)


_LONGEST: Final = 120
"""Longest corrected line that is shown."""

_EXPRESSION: Final = re.compile(r"(?:^|[\[{,:-])\s*=")
_NO_SPACE: Final = re.compile(r"(?:^|[\s{\[,-])(\w+):(?=[\[{\w=])")
"""A key whose colon has no space after it, so that YAML takes it for a part of a text."""


def _missing_space(number: int, line: str, match: re.Match[str]) -> Diagnostic:
    at = Span(number, match.start(1) + 1, number, match.end() + 1)
    written = f"{line[: match.end()]} {line[match.end() :]}".strip()
    hint = Mend(f"write `{written[:_LONGEST]}`", f"{match[1]}: ")
    return Diagnostic("syntax", f"a space is missing after `{match[1]}:`", at, help=hint)


def _unquoted_expression(line: str, column: int) -> tuple[int, int] | None:
    """Return start and end of the expression around `column`, where YAML found a mistake."""
    starts = [match.end() - 1 for match in _EXPRESSION.finditer(line, 0, column + 1)]
    if not starts:
        return None
    start = starts[-1]
    flow = sum(line.count(c, 0, start) for c in "[{") > sum(line.count(c, 0, start) for c in "]}")
    end = expression_end(line, start, flow=flow)
    if end is None or column > end or not re.search(r"[,:\[\]{}#]", line[start:end]):
        return None
    return start, end


UNQUOTED: Final = "an expression with a comma, colon, bracket or ` #` needs quotes here"


def explain(error: yaml.MarkedYAMLError, lines: tuple[str, ...]) -> Diagnostic:
    """Return a diagnostic for the YAML parser's error, in the words of someone who writes specs."""
    problem = error.problem or ""
    context = error.context or ""
    span = _span_of_mark(error.problem_mark, lines)
    line = lines[span.line - 1]
    before, rest = line[: span.column - 1], line[span.column - 1 :]
    start = _span_of_mark(error.context_mark, lines) if error.context_mark else span
    opener = lines[start.line - 1][start.column - 1 : start.column]

    def syntax(message: str, help: str | None, at: Span = span) -> Diagnostic:  # noqa: A002
        return Diagnostic("syntax", message, at, help=help)

    indent = line[: len(line) - len(line.lstrip())]
    if rest.startswith("\t") or ("\t" in indent and "flow" not in context):
        column = line.index("\t", 0 if "\t" in indent else span.column - 1) + 1
        at = Span(span.line, column, span.line, column + 1)
        return syntax("a tab cannot indent a line", "replace it by spaces", at)
    if "quoted scalar" in context and ("end of stream" in problem or "document" in problem):
        return syntax(f"this quote is never closed: {opener}", f"end the text with {opener}", start)
    inside = _unquoted_expression(line, span.column - 1)
    if inside is not None:
        at = span._replace(column=inside[0] + 1, end_column=inside[1] + 1)
        return replace(syntax(UNQUOTED, quoted(line, *inside), at), code="expression")
    above = start if "expected ':'" in problem else span
    for number in (above.line, above.line - 1):
        match = _NO_SPACE.search(lines[number - 1]) if number else None
        if match and ("mapping values" in problem or "expected ':'" in problem):
            return _missing_space(number, lines[number - 1], match)
    if "',' or" in problem and opener in ("[", "{"):
        closer = {"[": "]", "{": "}"}[opener]
        hint = f"end it with `{closer}`, or put a comma between its entries"
        if start.line < span.line or not rest.strip():
            if re.search(rf"\s#.*{re.escape(closer)}", lines[start.line - 1][start.column :]):
                hint = f"` #` starts a comment, and the `{closer}` is in it"
            diagnostic = syntax(f"this `{opener}` is not closed", hint, start)
            return replace(diagnostic, notes=(f"line {span.line} cannot be read as part of it",))
        return syntax(f"a comma or `{closer}` is missing here", hint)
    if rest[:1] in ("]", "}"):
        return syntax(f"this `{rest[0]}` closes nothing", "leave it out, or open it before")
    if "mapping values are not allowed" in problem:
        if key := re.fullmatch(r"[\s-]*(\S+)", before):
            at = span._replace(column=key.start(1) + 1, end_column=span.column)
            return syntax(
                f"no key is allowed here: `{key[1]}`",
                "line it up with the keys that it belongs to; the line above it must be complete",
                at,
            )
        hint = f"{_QUOTES_HELP}; several `key: value` on one line need `{{}}` around them"
        return syntax("a colon and a space are not allowed in an unquoted text", hint)
    if "cannot start any token" in problem:
        return syntax(f"an unquoted text cannot start with `{rest[:1]}`", _QUOTES_HELP)
    if "expected ':'" in problem:
        at = start._replace(end_column=len(lines[start.line - 1].rstrip()) + 1)
        return syntax("this is neither `key: value` nor `- item`", "is a `:` missing?", at)
    if any(part in problem for part in ("expected key", "<block end>", "'-' indicator")):
        if before.rstrip().endswith(("'", '"')):
            return syntax("this follows a closing quote", "put the whole text in quotes")
        if before.strip():
            return syntax("this follows a complete value", _QUOTES_HELP)
        return syntax(
            "this line does not line up with any line above it",
            "indent it exactly as the entries it belongs to",
        )
    if "node content" in problem:
        return syntax("a value is missing here", 'write one; an empty text is ""')
    for part, message, hint in _SYNTAX:
        if part in problem or part in context:
            return syntax(message, hint)
    return syntax("this is not YAML", None)


def _span_of_mark(mark: Any, lines: tuple[str, ...]) -> Span:
    """Return a mark's character; for one at the very end, the end of the last line with text."""
    line, column = mark.line, mark.column
    if line >= len(lines) or (line == len(lines) - 1 and not lines[line]):
        line = max((i for i, text in enumerate(lines) if text.strip()), default=0)
        column = len(lines[line].rstrip())
    return Span(line + 1, column + 1, line + 1, column + 2)

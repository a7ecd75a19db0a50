"""A SpecError as text: each problem with its place, its line of the spec, and the help."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from archspec.errors import Diagnostic, Span, SpecError
from archspec.text import printable, visible

MAX_SHOWN: Final = 20
"""Most problems that are shown in full."""

_TAB: Final = "    "
_CUT: Final = "..."
_RESET: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_RED: Final = "\x1b[1;31m"
_CYAN: Final = "\x1b[36m"


def render(
    error: SpecError,
    *,
    color: bool = False,
    width: int = 100,
    say: Callable[[str], str] = str,
) -> str:
    """Return all problems of an error, without a newline at the end.

    Args:
        error: The error.
        color: Whether to colour the text.
        width: Columns to which source lines are cut around the place. Messages are not wrapped.
        say: Function that puts a message or a help line into the reader's words.

    """
    total = len(error.diagnostics)
    blocks = [
        _diagnostic(diagnostic, error.lines, color, width, say)
        for diagnostic in error.diagnostics[:MAX_SHOWN]
    ]
    if total > MAX_SHOWN:
        blocks.append(f"... and {total - MAX_SHOWN:,} more")
    blocks.append(f"{total:,} error{'' if total == 1 else 's'}")
    return "\n".join(blocks)


def _diagnostic(
    diagnostic: Diagnostic,
    source: Sequence[str],
    color: bool,
    width: int,
    say: Callable[[str], str],
) -> str:
    def paint(code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if color else text

    span = diagnostic.span
    place = printable(diagnostic.file or "<spec>") + (f":{span.line}:{span.column}" if span else "")
    label = paint(_RED, f"error[{diagnostic.code}]")
    lines = [
        f"{paint(_BOLD, place + ':')} {label} {paint(_BOLD, printable(say(diagnostic.message)))}"
    ]
    if span is not None and span.line <= len(source):
        gutter = f"{span.line:>5} | "
        shown, marks = _snippet(source[span.line - 1], span, max(width - len(gutter), 20))
        lines.append(paint(_CYAN, gutter) + shown)
        lines.append(paint(_CYAN, "| ".rjust(len(gutter))) + paint(_RED, marks))
    notes = [("note", note) for note in diagnostic.notes]
    for kind, text in [*notes, ("help", diagnostic.help)]:
        if text is not None:
            lines.append(f"{paint(_CYAN, kind + ':')} {printable(say(text), indent=len(kind) + 2)}")
    return "\n".join(line.rstrip() for line in lines)


def _snippet(line: str, span: Span, room: int) -> tuple[str, str]:
    """Return up to `room` columns of a line around a span's start, and the marks below."""
    line = line.rstrip()
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line)
    # A line may be a megabyte long: only the characters near enough to be shown are read.
    offset = max(0, start - room)
    cells = [_cell(character) for character in line[offset : start + room]]
    start, end = start - offset, end - offset
    widths = [_columns(cell) for cell in cells]
    first, last = _window(widths, start, room, cut=offset > 0 or start + offset + room < len(line))
    left = _CUT if offset + first > 0 else ""
    right = _CUT if offset + last < len(line) else ""
    shown = left + "".join(cells[first:last]) + right
    before = len(left) + sum(widths[first:start])
    marked = sum(widths[start : min(end, last)])
    return shown, " " * before + "^" + "~" * (marked - 1)


def _window(widths: list[int], focus: int, room: int, *, cut: bool) -> tuple[int, int]:
    """Return the range of cells to show: all if they fit, else most of them after `focus`."""
    beyond = 1 if focus == len(widths) else 0  # the caret may stand after the last cell
    if not cut and sum(widths) + beyond <= room:
        return 0, len(widths)
    room -= 2 * len(_CUT)
    first, used = focus, 0
    while first > 0 and used + widths[first - 1] <= room // 3:
        first -= 1
        used += widths[first]
    last = focus
    while last < len(widths) and used + widths[last] <= room:
        used += widths[last]
        last += 1
    while first > 0 and used + widths[first - 1] <= room:
        first -= 1
        used += widths[first]
    return first, last


def _cell(character: str) -> str:
    """Return the visible form of one character of a source line."""
    return _TAB if character == "\t" else visible(character)


def _columns(cell: str) -> int:
    """Return the width of a cell in columns of a terminal."""
    if len(cell) > 1 or cell.isascii():
        return len(cell)
    if unicodedata.combining(cell):
        return 0
    return 2 if unicodedata.east_asian_width(cell) in ("W", "F") else 1

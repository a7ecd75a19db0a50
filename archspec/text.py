"""Text that is safe to print, a few values as people read them, and names that are free."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain, count
from typing import Any, Final

MAX_TEXT: Final = 2_000
"""Largest length of a message that is shown: it may quote what the user wrote."""

LONGEST_LABEL: Final = 24
"""Characters of a class's name that are shown."""

_CONTROL: Final = re.compile(
    r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""A style of a terminal, or a character that changes how others are shown or cannot be written."""

FORMULA: Final = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""Beginnings that a spreadsheet takes for a formula; some know the wide forms too."""

_NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


def visible(character: str) -> str:
    if character.isprintable() or character == "\xa0":
        return character
    import unicodedata  # noqa: PLC0415  (hardly any text needs it)

    # Control, format (such as a change of writing direction), surrogate and separator.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def without_controls(text: str, *, styled: bool = False) -> str:
    """Return text in which nothing moves a cursor, changes a title or turns a line around.

    Control characters become escapes, but for ends of lines and tabs. Where it is `styled`,
    colours and bold stay.
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: _harmless(found[0], styled=styled), text)


def _harmless(found: str, *, styled: bool) -> str:
    if styled and len(found) > 1:
        return found
    return "".join(each.encode("unicode_escape").decode() for each in found)


def printable(text: str, indent: int = 0) -> str:
    """Return a message that is safe to print; lines after the first are indented."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "..."
    lines = text.split("\n")
    return f"\n{' ' * indent}".join(
        line if line.isprintable() else "".join(map(visible, line)) for line in lines
    )


def label(name: str, longest: int = LONGEST_LABEL) -> str:
    """Return a class's name on one line, without its middle where it is long."""
    shown = without_controls(name).replace("\n", " ").replace("\t", " ")
    if len(shown) <= longest:
        return shown
    tail = (longest - 2) // 2
    return f"{shown[: longest - 2 - tail]}..{shown[-tail:]}"


def one_line(text: str) -> str:
    """Return text that is safe to print, on one line."""
    return printable(text).replace("\n", " ")


def csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV without anything that a spreadsheet would compute.

    Text that a spreadsheet would read as a formula, because it begins with one of `FORMULA` and is
    not a number, gets an apostrophe before it. Characters that cannot be encoded are escaped.
    """
    import csv  # noqa: PLC0415  (only tables that are written as CSV need it)
    import io  # noqa: PLC0415

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return out.getvalue().encode(errors="backslashreplace").decode()


def _inert(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", "\\r")  # which `csv` does not quote, and readers take for a new line
    return f"'{text}" if text.startswith(FORMULA) and not _NUMBER.fullmatch(text) else text


def free_name(
    name: str, is_taken: Callable[[str], bool], *, mark: str = "_", first: int = 2
) -> str:
    """Return a name, or the first one with a number behind it, that is not taken.

    Args:
        name: The name.
        is_taken: Whether something else has a name.
        mark: Text between the name and the number.
        first: The first number that is tried.
    """
    numbered = (f"{name}{mark}{number}" for number in count(first))
    return next(each for each in chain([name], numbered) if not is_taken(each))


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 image` or `2,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_error(measure: str) -> bool:
    """Return whether a run's main measure is the error of numbers, and not an accuracy."""
    return measure == "mae" or measure.endswith("_mae")


def number(name: str, value: float) -> str:
    """Return a measure for people: accuracies as percentages."""
    if "accuracy" in name:
        return f"{value:.1%}"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, as 1:02:03 or 0:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Names of classes, parts and files, as folders, tables and archives write them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from typing import Final

from archspec.errors import UsageError

TRAIN, VALIDATION, TEST = range(3)
"""The parts of a data set: which examples are trained on, validated and tested."""

PARTS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""Names, in any case, of folders, files and rows that are parts of the data, not classes."""

MOST_CLASSES: Final = 100_000

LONGEST_NAME: Final = 200
"""Characters of a class's name; a longer label is a text about an image."""

TURNS: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Kinds of characters that turn the direction of others, and so can make one name look like
another."""

_WHOLE: Final = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?")
_FRACTION: Final = re.compile(r"-?\d*\.\d+(?:e[+-]?\d+)?", re.IGNORECASE)


def legible(path: str) -> str:
    """Return a file's name as it can be written to a terminal."""
    return path if is_displayable(path) else ascii(path)


def is_displayable(name: str) -> bool:
    """Return whether a name can be shown: it has no characters that control a terminal.

    Those are control characters, separators of lines, halves of characters, and characters that
    turn the direction of the text after them. Joiners of emoji and of letters can be shown.
    """
    return not any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in TURNS
        for character in name
    )


def label_of(text: str) -> str:
    """Return a label as it names a class: 3.0, as tables with gaps have whole numbers, is 3."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def class_of(number: str, class_names: tuple[str, ...], place: str) -> str | None:
    """Return the class with a number; None for a negative one, which means no class.

    Raises `UsageError`, which names the `place`, if there is no such class.
    """
    whole = _WHOLE.fullmatch(number)
    index = int(whole[1]) if whole else len(class_names)
    if index >= len(class_names):
        raise UsageError(f"{place}: the label {number} is not one of {len(class_names)} classes")
    return class_names[index] if index >= 0 else None


def in_order(labels: Collection[str], where: str) -> tuple[str, ...]:
    """Return the classes of a set of labels: numbers in numerical order, names by the alphabet.

    Raises `UsageError` where labels cannot name classes.
    """
    check_names(labels, where)
    if all(map(_WHOLE.fullmatch, labels)):
        return tuple(sorted(labels, key=int))
    fractions = set(filter(_FRACTION.fullmatch, labels))
    if fractions and all(label in fractions or _WHOLE.fullmatch(label) for label in labels):
        raise UsageError(
            f"{where}: the labels are numbers such as {min(fractions)}; "
            "classes have names or whole numbers"
        )
    return tuple(sorted(labels))


def check_names(names: Collection[str], where: str) -> None:
    """Raise `UsageError` if there are too many names, equal ones, or some that cannot be shown."""
    if len(names) > MOST_CLASSES:
        raise UsageError(f"{where} has {len(names):,} classes, more than {MOST_CLASSES:,}")
    if len(set(names)) < len(names):
        raise UsageError(f"{where} has two classes of the same name")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise UsageError(f"{where}: a label is a text, not a class's name: {name[:60]} ...")
        if not is_displayable(name) or not name:
            raise UsageError(f"{where}: a class has a name that cannot be shown: {name!a}")


def check_columns(names: Collection[str], where: object) -> None:
    """Raise `UsageError` if a table has equal names of columns, or some that cannot be shown."""
    if hidden := [name for name in names if not is_displayable(name)]:
        raise UsageError(f"{where} has a column whose name cannot be shown: {hidden[0]!a:.80}")
    counts = Counter(filter(None, names))
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise UsageError(f"{where} has two columns `{min(repeated)}`: rename one of them")

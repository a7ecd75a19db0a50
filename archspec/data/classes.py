"""Labels as they are written in a table or an archive -> classes in their order."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from archspec.data.examples import MOST_CLASSES, is_displayable
from archspec.errors import UsageError

LONGEST_NAME: Final = 200
"""Characters of a class's name; what is longer is a text about an image."""

_WHOLE: Final = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?")
_FRACTION: Final = re.compile(r"-?\d*\.\d+(?:e[+-]?\d+)?", re.IGNORECASE)


def label_of(text: str) -> str:
    """A label as it names a class: 3.0, as tables with gaps have whole numbers, is 3."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def named(text: str, class_names: tuple[str, ...], place: str) -> str | None:
    """The class that a number stands for, None for a negative one, which says there is none.

    Raises `UsageError`, at `place`, where there is no such class.
    """
    whole = _WHOLE.fullmatch(text)
    number = int(whole[1]) if whole else len(class_names)
    if number >= len(class_names):
        raise UsageError(f"{place}: the label {text} is none of {len(class_names)} classes")
    return class_names[number] if number >= 0 else None


def in_order(labels: Collection[str], where: str) -> tuple[str, ...]:
    """The classes of a set of labels: numbers in their order, names in the alphabet's.

    Raises `UsageError` where they are no names of classes.
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
    """Raise `UsageError` for too many names, equal ones, and what cannot be shown."""
    if len(names) > MOST_CLASSES:
        raise UsageError(f"{where} has {len(names):,} classes, more than {MOST_CLASSES:,}")
    if len(set(names)) < len(names):
        raise UsageError(f"{where} has two classes of one name")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise UsageError(f"{where}: a label is a text, not a class's name: {name[:60]} ...")
        if not is_displayable(name) or not name:
            raise UsageError(f"{where}: a class has a name that cannot be shown: {name!a}")

"""Groups of images that must stay together: frames of a video, slices of a patient, by their names.

A pattern that could take exponential time is refused by its form, because `re` cannot be stopped.
Other patterns take at most polynomial time in the length of a name, which is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from archspec.data.names import legible
from archspec.errors import UsageError
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", str, bytes)

MOST_PATTERN: Final = 200
"""Largest number of characters of a pattern."""

MOST_REPEATS: Final = 4
"""Largest number of repeats of variable length in a pattern: `*`, `+`, `?`, `{2,3}`."""

MOST_NAME: Final = 512
"""Largest number of characters of a name."""

_TOKENS: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|<?[=!]|[:>]|[aiLmsux-]+[:)])|\(|\)|\|"
    r"|[*+?][?+]?|\{\d*,?\d*\}[?+]?|.",
    re.DOTALL,
)
"""The tokens of a pattern: escapes, sets, openings of groups, `)`, `|`, repeats, characters."""


def check(pattern: str) -> None:
    """Raise ValueError for a pattern that is wrong or could take too long."""
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"the pattern has {len(pattern)} characters, of at most {MOST_PATTERN}")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`{pattern}` is not a regular expression: {error}") from None
    repeats, branching, closed = 0, [False], False
    for piece in _TOKENS.findall(pattern):
        is_repeat = piece[0] in "*+?" or (piece[0] == "{" and len(piece) > 2)
        if is_repeat and closed:
            raise ValueError(
                f"`{pattern}` repeats a group that contains a repeat or a choice, which may never "
                "end; repeat single characters or sets of them, as `[a-z0-9]+`"
            )
        closed = False
        if is_repeat:
            varies = piece[0] != "{" or "," in piece
            repeats += varies
            branching[-1] = branching[-1] or varies
        elif piece == "|":
            branching[-1] = True
        elif piece == ")" and len(branching) > 1:
            closed = branching.pop()
            branching[-1] = branching[-1] or closed
        elif piece.startswith("(") and not piece.endswith(")"):
            branching.append(False)
    if repeats > MOST_REPEATS:
        raise ValueError(
            f"`{pattern}` has {repeats} repeats of variable length, of at most {MOST_REPEATS}: "
            "leave out what need not be matched around the group"
        )


def by_names(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the group of each name: what the pattern matches, or its first group in brackets.

    Raises `UsageError` for a name that it does not match.
    """
    compiled = re.compile(pattern)
    groups = []
    for name in names:
        if len(name) > MOST_NAME:
            raise UsageError(
                f"`{legible(name[:60])}...` is too long for `group`, with {len(name):,} characters "
                f"of at most {MOST_NAME}"
            )
        match = compiled.search(name)
        group = match and match[1 if compiled.groups else 0]
        if group is None:
            raise UsageError(
                f"`group: {pattern}` does not match `{legible(name)}`; it must match the name of "
                "every image, and so must its group in round brackets, if it has one"
            )
        groups.append(group)
    return groups


def numbered(groups: Sequence[T]) -> tuple[NDArray[np.intp], list[T]]:
    """Return the number of each example's group, and the groups by these numbers."""
    known: dict[T, int] = {}
    numbers = [known.setdefault(group, len(known)) for group in groups]
    return np.array(numbers, np.intp), list(known)

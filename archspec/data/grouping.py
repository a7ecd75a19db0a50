"""Images that must not be split: frames of one video, slices of one patient, as their names say.

A pattern that could take exponential time is refused before it is used, by its form: `re` cannot
be stopped. What is left takes at most polynomial time in the length of a name, which is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from archspec.data.examples import legible
from archspec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_PATTERN: Final = 200
"""Characters of a pattern."""

MOST_REPEATS: Final = 4
"""Repeats in a pattern that may match more or less: `*`, `+`, `?`, `{2,3}`."""

MOST_NAME: Final = 512
"""Characters of a name."""

_TOKENS: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|<?[=!]|[:>]|[aiLmsux-]+[:)])|\(|\)|\|"
    r"|[*+?][?+]?|\{\d*,?\d*\}[?+]?|.",
    re.DOTALL,
)
"""The parts of a pattern: escapes, sets, openings of groups, `)`, `|`, repeats, characters."""


def check(pattern: str) -> None:
    """Raise ValueError for a pattern that is wrong or could take too long."""
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"the pattern has {len(pattern)} characters, of at most {MOST_PATTERN}")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`{pattern}` is not a regular expression: {error}") from None
    repeats, branching, closed = 0, [False], False
    for part in _TOKENS.findall(pattern):
        is_repeat = part[0] in "*+?" or (part[0] == "{" and len(part) > 2)
        if is_repeat and closed:
            raise ValueError(
                f"`{pattern}` repeats a group with a repeat or a choice in it, which may take "
                "for ever; repeat single characters or sets of them, as `[a-z0-9]+`"
            )
        closed = False
        if is_repeat:
            varies = part[0] != "{" or "," in part
            repeats += varies
            branching[-1] = branching[-1] or varies
        elif part == "|":
            branching[-1] = True
        elif part == ")" and len(branching) > 1:
            closed = branching.pop()
            branching[-1] = branching[-1] or closed
        elif part.startswith("(") and not part.endswith(")"):
            branching.append(False)
    if repeats > MOST_REPEATS:
        raise ValueError(
            f"`{pattern}` has {repeats} repeats that vary, of at most {MOST_REPEATS}: write what "
            "follows the group no more than needed"
        )


def by_names(pattern: str, names: Sequence[str]) -> list[str]:
    """The group of each name: what the pattern's first group matches, or all that it matches.

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
                f"`group: {pattern}` does not match `{legible(name)}`; it must match every image's "
                "name, and where it has a group in round brackets, that too"
            )
        groups.append(group)
    return groups


def numbered(groups: Sequence[str]) -> tuple[NDArray[np.intp], list[str]]:
    """A number for each example's group, and the groups by these numbers."""
    import numpy as np  # noqa: PLC0415

    known: dict[str, int] = {}
    numbers = [known.setdefault(group, len(known)) for group in groups]
    return np.array(numbers, np.intp), list(known)

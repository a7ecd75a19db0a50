"""Checks of arguments of public functions, with errors that name the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable
from typing import Any, Final

from archspec.errors import UsageError, nearest

LARGEST: Final = 2**31 - 1
"""Largest count."""

LONGEST: Final = 60
"""Largest length of a value in a message."""


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number from `least` to `LARGEST`, also one of NumPy's, but not a bool."""
    try:
        number = None if isinstance(value, bool) else value.__index__()
    except (AttributeError, TypeError):
        number = None
    if number is None or not least <= number <= LARGEST:
        raise wrong(name, value, f"a whole number from {least} to {LARGEST}")
    return int(number)


def flag(name: str, value: Any) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise wrong(name, value, "True or False")
    return value


def finite(name: str, value: Any) -> float:
    """Return a finite number above 0, also one of NumPy's, but not a bool."""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise wrong(name, value, "a finite number above 0")
    return number


def text(name: str, value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise wrong(name, value, "a text")
    return value


def one_of(name: str, value: Any, known: Collection[str], *, beside: str = "") -> str:
    """Return one of the known words. `beside` names other valid values, for the message."""
    if isinstance(value, str) and value in known:
        return value
    match = nearest(value, known) if isinstance(value, str) else None
    hint = f"; did you mean `{match}`?" if match else ""
    raise wrong(name, value, f"one of {', '.join(known)}{beside}", hint)


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return names as a tuple; a single name may be given without a list."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable):
        words = tuple(value)
        if words and all(isinstance(each, str) for each in words):
            return words
    raise wrong(name, value, "a list of names")


def place(name: str, value: Any) -> str:
    """Return a path, or a name instead of one, as text."""
    if isinstance(value, os.PathLike):
        value = value.__fspath__()
    if not isinstance(value, str) or not value:
        raise wrong(name, value, "a path or a name")
    return value


def wrong(name: str, value: Any, expected: str, hint: str = "") -> UsageError:
    """Return the error of an argument with a wrong value."""
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."
    return UsageError(f"`{name}={shown}` must be {expected}{hint}")

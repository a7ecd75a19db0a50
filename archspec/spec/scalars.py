"""Meaning of an unquoted text: YAML 1.2's core schema, where `no` is a word and `1e-3` a number."""

from __future__ import annotations

import re
from typing import Final

from archspec.errors import Problem

MAX_DIGITS: Final = 100

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def plain_scalar(text: str) -> str | float | bool | None:
    """Return the value of an unquoted text; raise `Problem` for a number that cannot be one."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text.isdecimal() and text.isascii() and len(text) <= MAX_DIGITS:  # most numbers
        return int(text)
    if _NOT_FINITE.fullmatch(text):
        raise Problem("value", f"`{text}` is not a number that a spec can use")
    whole = _INT.fullmatch(text)
    if whole is None and _FLOAT.fullmatch(text) is None:
        return text
    if len(text) > MAX_DIGITS:  # also keeps clear of Python's own limit on digits
        raise Problem("limit", f"a number of {len(text):,} characters is too long")
    if whole is None:
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Problem("value", f"`{text}` is too large for a number")
        return number
    if whole["octal"]:
        return int(whole["octal"], 8)
    return int(whole["hex"], 16) if whole["hex"] else int(text)

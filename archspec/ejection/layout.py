"""Lines of Python in black's layout: on one line what fits, else an item a line.

Text that is laid out is a tree: a string, or `Brackets` with items between them. What is split gets
a trailing comma, which black keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

WIDTH = 88
"""Longest line, black's default."""

INDENT = "    "

SHORT = 12
"""Longest text in brackets that are not split where others can be."""


@dataclass
class Brackets:
    """Items in brackets, between a text before and a text or further brackets after."""

    before: str
    items: list[Code]
    close: str = ")"
    after: list[Code] = field(default_factory=list)
    comma: bool = True
    """Whether a trailing comma is added where it is split; not after a single argument."""
    is_tuple: bool = False
    one_a_line: bool = False
    """Whether items have lines of their own even where they fit on one together."""


Code: TypeAlias = "str | Brackets | Joined"


@dataclass
class Joined:
    """Parts one after the other, as the name of an argument and its value."""

    parts: list[Code]


def escaped(text: str) -> str:
    """Return a text as it stands in a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")


def flat(code: Code) -> str:
    """Return code on one line."""
    if isinstance(code, str):
        return code
    if isinstance(code, Joined):
        return "".join(map(flat, code.parts))
    inside = ", ".join(map(flat, code.items))
    if code.is_tuple and len(code.items) == 1:
        inside += ","
    return code.before + inside + code.close + "".join(map(flat, code.after))


def lines(code: Code, indent: int, *, end: str = "") -> list[str]:
    """Return code as lines at a depth of indentation, `end` after the last of them."""
    text = flat(code) + end
    margin = INDENT * indent
    if len(margin) + len(text) <= WIDTH or isinstance(code, str):
        return [margin + text]
    if isinstance(code, Joined):
        *first, last = code.parts
        if isinstance(last, Brackets):
            before = "".join(map(flat, first)) + last.before
            return lines(replace(last, before=before), indent, end=end)
        return [margin + text]
    target, equals, before = code.before.partition(" = ")
    if equals and len(margin) + len(code.before) > WIDTH:
        value = lines(replace(code, before=before), indent + 1)
        return [f"{margin}{target} = (", *value, f"{margin}){end}"]
    is_literal = code.before.endswith(("[", "{")) and len(code.items) > 1
    one_a_line = code.one_a_line or is_literal
    if code.after and isinstance(last := code.after[-1], Brackets):
        head = flat(replace(code, after=code.after[:-1])) + last.before
        if len(margin) + len(head) <= WIDTH:
            if len(flat(last)) > SHORT:
                return lines(replace(last, before=head), indent, end=end)
            one_a_line = True  # else black would split the short brackets
    tail = lines(Joined([code.close, *code.after]), indent, end=end)
    inside = flat(Brackets("", code.items, "", is_tuple=code.is_tuple))
    if len(margin) + len(INDENT) + len(inside) <= WIDTH and not one_a_line:
        return [margin + code.before, margin + INDENT + inside, *tail]
    result = [margin + code.before]
    for item in code.items:
        comma = "," if code.comma or len(code.items) > 1 else ""
        result += lines(item, indent + 1, end=comma)
    return [*result, *tail]


def indented(lines: Iterable[str]) -> list[str]:
    """Return lines one level deeper; empty ones stay empty."""
    return [INDENT + line if line else "" for line in lines]


def unindented(code: Code) -> list[str]:
    """Return code as the lines of a function, without their indentation."""
    return [line.removeprefix(INDENT) for line in lines(code, 1)]

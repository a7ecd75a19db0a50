"""Expressions and functions of a program as Python."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from archspec.ejection.layout import Brackets, Code, Joined, flat
from archspec.ejection.levels import HOLE
from archspec.ejection.program import (
    Arithmetic,
    Both,
    Choice,
    Comparison,
    Constant,
    Expression,
    Extent,
    Formula,
    Item,
    Made,
    Not,
    Operand,
    Row,
    SameShape,
    Symbol,
    Table,
    Text,
)

_CHOICE, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _ATOM = range(7)


def import_lines(imports: Iterable[str]) -> list[str]:
    """Return imports in their order, one line a module, those of Python itself first."""
    names: dict[str, set[str]] = {}
    for line in imports:
        head, _, imported = line.partition(" import ")
        names.setdefault(head, set()).update(imported.split(", ") if imported else ())
    ordered = sorted(names, key=lambda head: (head.startswith("from"), head.split()[1].lower()))
    groups: tuple[list[str], list[str]] = ([], [])
    for head in ordered:
        line = f"{head} import {', '.join(sorted(names[head]))}" if names[head] else head
        groups[head.split()[1].split(".")[0] not in sys.stdlib_module_names].append(line)
    standard, others = groups
    return [*standard, "", *others] if standard else others


class PythonWriter:
    """The base of writers: what is the same in every framework."""

    prefix = ""
    """Module in which the framework's classes are, with a dot."""

    own: frozenset[str] = frozenset()
    """Classes that the program defines itself."""

    def code(self, expression: Expression) -> Code:
        """Return an expression as code that may be split over lines."""
        if isinstance(expression, Made):
            before = f"{self.class_name(expression.name)}("
            return Brackets(before, self.arguments(expression.arguments))
        if isinstance(expression, Row):
            items = [self.code(each) for each in expression.items]
            return Brackets("(", items, is_tuple=True)
        if isinstance(expression, Table):
            items = [
                Joined([f"{literal(key)}: ", self.code(each)]) for key, each in expression.items
            ]
            return Brackets("{", items, "}")
        return self.text(expression)

    def arguments(self, pairs: Sequence[tuple[int | str, Expression]]) -> list[Code]:
        """Return the arguments of a call."""
        return [
            self.code(value) if isinstance(key, int) else Joined([f"{key}=", self.code(value)])
            for key, value in pairs
        ]

    def class_name(self, name: str) -> str:
        """Return the name under which a class is known in the program."""
        return name if name in self.own else self.prefix + name

    def text(self, expression: Expression, level: int = _CHOICE) -> str:
        """Return an expression as text, in parentheses where what is around binds stronger."""
        text, own = self._text(expression)
        return f"({text})" if own < level else text

    def _text(self, expression: Expression) -> tuple[str, int]:
        if isinstance(expression, Symbol):
            return expression.name, _ATOM
        if isinstance(expression, Constant):
            return literal(expression.value), _ATOM
        if isinstance(expression, Arithmetic):
            level = _SUM if expression.operator in "+-" else _PRODUCT
            left = self.text(expression.left, level)
            right = self.text(expression.right, level + 1)
            return f"{left} {expression.operator} {right}", level
        if isinstance(expression, Comparison):
            left = self.text(expression.left, _SUM)
            operator = expression.operator
            if isinstance(expression.right, Constant) and expression.right.value is None:
                operator = {"==": "is", "!=": "is not"}[operator]
            return f"{left} {operator} {self.text(expression.right, _SUM)}", _COMPARISON
        if isinstance(expression, Both):
            left, right = self.text(expression.left, _AND), self.text(expression.right, _AND + 1)
            return f"{left} and {right}", _AND
        if isinstance(expression, Not):
            if isinstance(expression.condition, SameShape):
                return self.same_shape(expression.condition, "!="), _COMPARISON
            return f"not {self.text(expression.condition, _NOT)}", _NOT
        if isinstance(expression, Choice):
            test, then = self.text(expression.condition, _AND), self.text(expression.then, _AND)
            return f"{then} if {test} else {self.text(expression.other)}", _CHOICE
        if isinstance(expression, Text):
            return self._format(expression), _ATOM
        if isinstance(expression, Formula):
            is_atom = re.fullmatch(r"[\w.]+(\([^()]*\)|\[[^\[\]]*\])?", expression.text)
            return expression.text, _ATOM if is_atom else _CHOICE
        if isinstance(expression, Extent):
            return self.extent(expression), _ATOM
        if isinstance(expression, SameShape):
            return self.same_shape(expression, "=="), _COMPARISON
        return flat(self.code(expression)), _ATOM

    def _format(self, text: Text) -> str:
        if (
            len(text.parts) == 1
            and isinstance(text.parts[0], Symbol)
            and (text.parts[0].role == "name")
        ):
            return text.parts[0].name
        pieces = []
        for part in text.parts:
            if isinstance(part, Constant):
                pieces.append(str(part.value).replace("{", "{{").replace("}", "}}"))
            else:
                pieces.append("{" + self.text(part) + "}")
        return 'f"' + "".join(pieces) + '"'

    def extent(self, extent: Extent) -> str:
        """Return the length of a tensor along an axis."""
        return f"{extent.value.name}.shape[{extent.axis}]"

    def same_shape(self, shapes: SameShape, operator: str) -> str:
        """Return whether two tensors have the same shape."""
        return f"{shapes.left.name}.shape {operator} {shapes.right.name}.shape"

    def operand(self, operand: Operand) -> str:
        """Return what a statement reads."""
        if isinstance(operand, Item):
            return f"{operand.list.name}[{self.text(operand.index)}]"
        return operand.name


def literal(value: Any) -> str:
    """Return a value as Python and black write it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def annotation(values: Sequence[Any]) -> str:
    """Return the type of a parameter that has these values."""
    kinds = {type(value) for value in values if value is not HOLE}
    optional = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {int, float}:
        kinds = {float}
    plain = (int, float, bool, str)
    names = sorted(kind.__name__ if kind in (*plain, tuple) else "object" for kind in kinds)
    if "tuple" in names:
        items = {type(item) for value in values if isinstance(value, tuple) for item in value}
        if len(items) == 1 and (item := items.pop()) in plain:
            names[names.index("tuple")] = f"tuple[{item.__name__}, ...]"
    return " | ".join([*names, *(["None"] if optional else [])]) or "None"

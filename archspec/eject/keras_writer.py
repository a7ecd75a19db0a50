"""A program as source of Keras 3."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from archspec.eject.keras_layers import DEFAULTS, EITHER_PADDING
from archspec.eject.layout import INDENT, Brackets, Code, Joined, lines
from archspec.eject.naming import identifier, name_symbols, name_tensors
from archspec.eject.program import (
    Alias,
    Apply,
    Call,
    Constant,
    Expression,
    For,
    Function,
    If,
    Made,
    Program,
    Sequence_,
    Statement,
    Symbol,
    Value,
    statements,
)
from archspec.eject.python import PythonWriter, annotation, literal

INITIALIZERS = frozenset({"Constant"})
"""Constructors that ops give and that are in `keras.initializers`."""


class KerasWriter(PythonWriter):
    """The functional style: functions from tensors to tensors."""

    prefix = "layers."

    def __init__(self, program: Program, own: Iterable[str]) -> None:
        self.program = program
        self.own = frozenset(own)
        self.common: dict[Symbol, Any] = {}
        self._name_all()
        self._choose_defaults()

    def _name_all(self) -> None:
        taken: set[str] = {"build_model"}
        for function in self.program.functions:
            function.name = identifier(function.name, taken)
            taken.add(function.name)
        for function in self.program.functions:
            name_symbols(function.body, function.parameters)
            names = taken | _symbols(function.body) | {each.name for each in function.parameters}
            for value in function.inputs:
                value.hint = value.hint or "x"
            name_tensors(function.body, function.inputs, function.returns, names)
        name_symbols(self.program.body, ())
        values = [value for value, _ in self.program.inputs.values()]
        for value in values:
            value.hint = "x" if len(values) == 1 else value.hint
        names = taken | _symbols(self.program.body) | {"inputs", "outputs"}
        name_tensors(self.program.body, values, [*self.program.outputs.values()], names)

    def _choose_defaults(self) -> None:
        """Let a parameter have the value that most calls give it as its default."""
        given: dict[Symbol, list[Any]] = {}
        bodies = [*(each.body for each in self.program.functions), self.program.body]
        for body in bodies:
            for statement in statements(body):
                if isinstance(statement, Call):
                    for symbol, expression in statement.arguments.items():
                        value = expression.value if isinstance(expression, Constant) else _VARIES
                        given.setdefault(symbol, []).append(value)
        for symbol, values in given.items():
            known = [value for value in values if value is not _VARIES]
            if symbol.role == "name" or len(values) < 2 or not known:
                continue
            best = max(known, key=lambda value: sum(_equal(value, each) for each in known))
            count = sum(_equal(best, each) for each in known)
            is_usual = isinstance(best, (bool, str, type(None))) or best == 1
            if symbol.name in ("filters", "kernel", "kernel_size", "units", "size"):
                continue
            if count >= 2 and (2 * count >= len(values) or is_usual):
                self.common[symbol] = best

    # Functions.

    def functions(self) -> list[str]:
        """Return the lines of all functions but the one that builds the model."""
        result: list[str] = []
        for function in self.program.functions:
            result += [*self.function(function), "", ""]
        return result

    def function(self, function: Function) -> list[str]:
        """Return the lines of a function."""
        required = [each for each in function.parameters if each not in self.common]
        optional = [each for each in function.parameters if each in self.common]
        names: list[Code] = [f"{value.name}: keras.KerasTensor" for value in function.inputs]
        names += [
            f"{each.name}: {self.annotation(each)}" for each in required if each.role != "name"
        ]
        if optional or any(each.role == "name" for each in required):
            names.append("*")
        names += [
            f"{each.name}: {self.annotation(each)} = {literal(self.common[each])}"
            for each in optional
        ]
        names += [f"{each.name}: str" for each in required if each.role == "name"]
        result = "keras.KerasTensor"
        if len(function.returns) > 1:
            result = f"tuple[{', '.join([result] * len(function.returns))}]"
        signature = Brackets(f"def {function.name}(", names, one_a_line=True)
        head = lines(signature, 0, end=f" -> {result}:")
        return [
            *head,
            *self.docstring(function),
            *self.body(function.body, 1),
            f"{INDENT}return {', '.join(self.operand(each) for each in function.returns)}",
        ]

    def docstring(self, function: Function) -> list[str]:
        """Return the lines of a function's docstring."""
        element = function.elements[0]
        about = re.sub(r"\s+", " ", (type(element).__doc__ or "").strip().split("\n\n")[0])
        about = about.split("`", maxsplit=1)[0] if len(about) > 200 else about
        text = about or f"Return `{function.kind}` of a tensor."
        return [f"{INDENT}{line}" for line in _quoted(text)]

    def annotation(self, symbol: Symbol) -> str:
        """Return the type of a parameter."""
        return annotation(symbol.values)

    # Statements.

    def body(self, body: Sequence[Statement], depth: int) -> list[str]:
        """Return the lines of statements."""
        result: list[str] = []
        for statement in body:
            result += self.statement(statement, depth)
        return result

    def statement(self, statement: Statement, depth: int) -> list[str]:
        """Return the lines of a statement."""
        margin = INDENT * depth
        if isinstance(statement, Alias):
            return [f"{margin}{statement.target} = {statement.source}"]
        if isinstance(statement, If):
            return [
                f"{margin}if {self.text(statement.condition)}:",
                *self.body(statement.body, depth + 1),
            ]
        if isinstance(statement, For):
            return self.loop(statement, depth)
        if isinstance(statement, Call):
            return lines(self.call(statement), depth)
        return lines(self.applied(statement), depth)

    def call(self, call: Call) -> Code:
        """Return the call of a function."""
        arguments: list[Code] = [self.operand(each) for each in call.inputs]
        required = [s for s in call.function.parameters if s not in self.common]
        optional = [s for s in call.function.parameters if s in self.common]
        named: list[Code] = []
        for symbol in required:
            value = self.code(call.arguments[symbol])
            if symbol.role == "name":
                named.append(Joined(["name=", value]))
            else:
                arguments.append(value)
        given: list[Code] = []
        for symbol in optional:
            expression = call.arguments[symbol]
            if isinstance(expression, Constant) and _equal(expression.value, self.common[symbol]):
                continue
            given.append(Joined([f"{symbol.name}=", self.code(expression)]))
        targets = ", ".join(each.name for each in call.targets)
        before = f"{targets} = {call.function.name}("
        return Brackets(before, [*arguments, *given, *named])

    def applied(self, apply: Apply) -> Code:
        """Return a layer applied to its inputs."""
        made = self.layer(apply.layer)
        read = [self.operand(each) for each in apply.inputs]
        items: list[Code] = [Brackets("[", [*read], "]")] if len(read) > 1 else [*read]
        inputs = Brackets("(", items, comma=False)
        return Brackets(
            f"{apply.target.name} = {made.before}", made.items, made.close, [inputs]
        )

    def layer(self, made: Made) -> Brackets:
        """Return a constructor's call without the arguments that have their default."""
        defaults = DEFAULTS.get(made.name, {})
        pairs = [
            (key, value)
            for key, value in made.arguments
            if not (
                isinstance(value, Constant)
                and (
                    (key in defaults and _equal(value.value, defaults[str(key)]))
                    or (isinstance(value.value, str) and value.value == EITHER_PADDING)
                )
            )
        ]
        pairs = [(self._place(made.name, key, pairs), value) for key, value in pairs]
        return Brackets(f"{self.class_name(made.name)}(", self.arguments(pairs))

    def _place(self, name: str, key: int | str, pairs: Sequence[Any]) -> int | str:
        """Return the place of an argument that everybody gives by position."""
        first = {pair[0] for pair in pairs}
        if key == "kernel_size" and name.startswith("Conv") and 0 in first:
            return 1
        if key in ("kernel_size", "pool_size") and 0 not in first and name in DEFAULTS:
            return 0
        return key

    def class_name(self, name: str) -> str:
        return f"keras.initializers.{name}" if name in INITIALIZERS else super().class_name(name)

    def loop(self, loop: For, depth: int) -> list[str]:
        """Return the lines of a loop."""
        margin = INDENT * depth
        used = self._reads_index(loop)
        before = [f"{margin}{each.name} = []" for each in loop.collected]
        after = [
            f"{margin}{INDENT}{each.name}.append({each.of.name})"
            for each in loop.collected
            if each.of
        ]
        head = lines(self._loop_head(loop, used=used), depth, end=":")
        return [*before, *head, *self.body(loop.body, depth + 1), *after]

    def _loop_head(self, loop: For, *, used: bool) -> Code:
        index = loop.index.name if used else "_"
        if not loop.variables:
            if isinstance(loop.count, Constant):
                stop = str(loop.count.value + 1) if used else str(loop.count.value)
            else:
                stop = f"{self.text(loop.count, 5)} + 1" if used else self.text(loop.count)
            return f"for {index} in range({'1, ' if used else ''}{stop})"
        names = [symbol.name for symbol in loop.variables]
        values = [*loop.variables.values()]
        if all(isinstance(each, Sequence_) for each in values):
            rows: list[Code] = []
            for row in zip(*(each.items for each in values), strict=True):
                items = [self.code(each) for each in row]
                rows.append(items[0] if len(items) == 1 else Brackets("(", items, is_tuple=True))
            table: Code = Brackets("[", rows, "]")
        elif len(values) == 1:
            table = self.code(values[0])
        else:
            table = Brackets("zip(", [*(self.code(each) for each in values), "strict=True"])
        target = ", ".join(names)
        if used:
            inner = f"({target})" if len(names) > 1 else target
            return Joined([f"for {index}, {inner} in ", Brackets("enumerate(", [table, "start=1"])])
        return Joined([f"for {target} in ", table])

    def _reads_index(self, loop: For) -> bool:
        from archspec.eject.program import expressions, parts  # noqa: PLC0415

        return any(
            part is loop.index
            for statement in statements(loop.body)
            for expression in expressions(statement)
            for part in parts(expression)
        )


_VARIES = object()


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _symbols(body: Sequence[Statement]) -> set[str]:
    names: set[str] = set()
    for statement in statements(body):
        if isinstance(statement, For):
            names |= {statement.index.name, *(each.name for each in statement.variables)}
    return names


def _quoted(text: str) -> list[str]:
    """Return a text as the lines of a docstring."""
    import textwrap  # noqa: PLC0415

    text = text.replace("\\", "\\\\").replace('"""', "'''")
    if len(text) <= 72:
        return [f'"""{text}"""']
    wrapped = textwrap.wrap(text, 76)
    return [f'"""{wrapped[0]}', *wrapped[1:], '"""']

"""A program as source of Keras 3."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archspec.ejection.about import about
from archspec.ejection.keras_layers import DEFAULTS, EITHER_PADDING
from archspec.ejection.keras_training import Training
from archspec.ejection.layer_sources import short_form, table
from archspec.ejection.layout import INDENT, WIDTH, Brackets, Code, Joined, escaped, indented, lines
from archspec.ejection.levels import equal, expression_of
from archspec.ejection.naming import RESERVED, identifier, name_symbols, name_tensors
from archspec.ejection.parts import own_parts
from archspec.ejection.program import (
    Alias,
    Append,
    Apply,
    Call,
    Constant,
    Expression,
    For,
    Function,
    If,
    Item,
    Made,
    Program,
    Row,
    Statement,
    Symbol,
    expressions,
    statements,
)
from archspec.ejection.python import PythonWriter, annotation, import_lines, literal
from archspec.graph.graph import Graph

INITIALIZERS = frozenset({"Constant"})
"""Constructors that ops give and that are in `keras.initializers`."""


class KerasWriter(PythonWriter):
    """The functional style: functions from tensors to tensors."""

    prefix = "layers."

    keeps_inputs = True
    """Whether the network's inputs are read at its end."""

    input_name = "inputs"
    """Variable of the network's input, where there is one alone."""

    given_names = frozenset({"filters", "kernel", "kernel_size", "units", "size"})
    """Parameters that have no default: a reader wants to see them in every call."""

    def __init__(self, program: Program, graph: Graph) -> None:
        self.program = program
        self.graph = graph
        self.own = frozenset(self._own_uses())
        self.common: dict[Symbol, Any] = {}
        self.shared: dict[str, str] = {}
        """The variable of each layer that is applied several times, by its path."""
        self._name_all({"build_model", *self.own})
        self._choose_defaults()

    def _own_uses(self) -> dict[str, list[set[int | str]]]:
        """Return the classes that Keras lacks, each with the arguments of its uses."""
        uses: dict[str, list[set[int | str]]] = {}
        for statement in self.program.statements():
            if isinstance(statement, Apply):
                for part in expressions(statement):
                    if isinstance(part, Made) and part.name in table():
                        uses.setdefault(part.name, []).append({key for key, _ in part.arguments})
        return uses

    def _name_all(self, taken: set[str]) -> None:
        parameters = {each.name for each in self.program.parameters}
        for function in self.program.functions:
            function.name = identifier(function.name, taken | parameters)
            taken.add(function.name)
        for function in self.program.functions:
            _rename_parameters(function, taken)
            name_symbols(function.body, function.parameters)
            names = taken | _symbols(function.body)
            own = {each.name for each in function.parameters}
            for place, value in enumerate(function.inputs):
                value.hint = _input_names(function)[place]
            name_tensors(function.body, function.inputs, function.returns, names, own)
        name_symbols(self.program.body, self.program.parameters)
        values = [value for value, _ in self.program.inputs.values()]
        for value in values:
            value.hint = self.input_name if len(values) == 1 else value.hint
        names = taken | parameters | _symbols(self.program.body)
        for statement in statements(self.program.body):
            if isinstance(statement, Apply) and statement.reuse not in self.shared:
                variable = identifier(statement.reuse.replace("/", "_"), names)
                self.shared[statement.reuse] = variable
                names.add(variable)
        outputs = [*self.program.outputs.values()]
        kept = [*outputs, *values] if self.keeps_inputs else outputs
        name_tensors(self.program.body, values, kept, names)

    def _choose_defaults(self) -> None:
        """Let a parameter have the value that most calls give it as its default."""
        given: dict[Symbol, list[Any]] = {}
        for statement in self.program.statements():
            if isinstance(statement, Call):
                for symbol, expression in statement.arguments.items():
                    value = expression.value if isinstance(expression, Constant) else _VARIES
                    given.setdefault(symbol, []).append(value)
        for symbol, values in given.items():
            known = [value for value in values if value is not _VARIES]
            if symbol.role == "name" or symbol.name in self.given_names or len(known) < 2:
                continue
            best = max(known, key=lambda value: sum(equal(value, each) for each in known))
            count = sum(equal(best, each) for each in known)
            is_usual = isinstance(best, (bool, str, type(None))) or best == 1
            if count >= 2 and (2 * count >= len(values) or is_usual):
                self.common[symbol] = best

    # The program.

    def source(self, about: Sequence[str], script: Training | None = None) -> str:
        """Return the whole program, with lines about it in its docstring; a script at its end."""
        names, own = self.definitions()
        classes, imports = own_parts(table(), names)
        remarks = [line for note in (script.notes if script else []) for line in _remark(note)]
        if remarks:
            remarks = ["", "Training is not as in archspec:", "", *remarks]
        needed = {*imports, *own, "import keras", "from keras import layers"}
        needed |= script.imports if script else set()
        head = self.beginning([*about, *remarks], needed, has_classes=bool(self.own))
        body = [*classes]
        for function in self.program.functions:
            body += ["", *self.function(function), ""]
        body += ["", *self.build_model(), "", ""]
        body += [*script.lines, "", "", *TRAIN] if script else MAIN
        return "\n".join([*head, *body]) + "\n"

    @staticmethod
    def beginning(about: Sequence[str], imports: Iterable[str], *, has_classes: bool) -> list[str]:
        """Return the first lines of a program: its docstring and its imports."""
        future = ["from __future__ import annotations", ""] if has_classes else []
        return ['"""' + about[0], *about[1:], '"""', "", *future, *import_lines(imports), ""]

    def definitions(self) -> tuple[list[str], set[str]]:
        """Return what the program needs of `layer_sources.json`, and further imports."""
        uses = self._own_uses()
        return [short_form(each, uses[each]) for each in uses], set()

    def build_model(self) -> list[str]:
        """Return the lines of the function that builds the model."""
        result = self.head()
        names = {}
        for name, (value, extents) in self.program.inputs.items():
            shape = self.code(extents)
            named = Joined(["name=", literal(name)])
            result += lines(Brackets(f"{value.name} = keras.Input(", [shape, named]), 1)
            names[name] = value.name
        result += self.body(self.program.body, 1)
        inputs = _mapping(names)
        outputs = _mapping({k: self.operand(v) for k, v in self.program.outputs.items()})
        title = re.sub(r"[^A-Za-z0-9_-]", "_", self.program.name)
        model = Brackets("return keras.Model(", [inputs, outputs, f"name={literal(title)}"])
        return [*result, *lines(model, 1)]

    def head(self, about: str = "Return the network.") -> list[str]:
        """Return the first lines of the function that builds the model."""
        signature = Brackets("def build_model(", self.options(), one_a_line=True)
        head = lines(signature, 0, end=" -> keras.Model:")
        return [*head, *quoted(about, self.constants())]

    def constants(self) -> str:
        """Return the sentence about variables that are not parameters; "" if there are none."""
        given = ", ".join(f"{k}={literal(v)}" for k, v in self.program.constants.items())
        other = "Other variables" if self.program.parameters else "Variables"
        return f"{other} of its spec are constants here: {given}." if given else ""

    def options(self) -> list[Code]:
        """Return the declarations of the program's parameters, which all have a default."""
        return [
            Joined(
                [
                    f"{each.name}: {self.annotation(each)} = ",
                    self.code(expression_of(each.values[0])),
                ]
            )
            for each in self.program.parameters
        ]

    # Functions.

    def function(self, function: Function) -> list[str]:
        """Return the lines of a function."""
        named = [each for each in function.parameters if each.role == "name"]
        others = [each for each in function.parameters if each.role != "name"]
        names: list[Code] = [self.tensor(value.name) for value in function.inputs]
        names += self.declared(others)
        names += ["*"] if named and "*" not in names else []
        names += [f"{each.name}: str" for each in named]
        result, last = self.result(function)
        signature = Brackets(f"def {function.name}(", names, one_a_line=True)
        head = lines(signature, 0, end=f" -> {result}:")
        return [
            *head,
            *self.docstring(function),
            *self.body(function.body, 1),
            *last,
        ]

    def declared(self, parameters: Sequence[Symbol]) -> list[Code]:
        """Return the declarations of parameters; those with a default are given by name alone."""
        required = [each for each in parameters if each not in self.common]
        optional = [each for each in parameters if each in self.common]
        return [
            *(f"{each.name}: {self.annotation(each)}" for each in required),
            *(["*"] if optional else []),
            *(
                f"{each.name}: {self.annotation(each)} = {literal(self.common[each])}"
                for each in optional
            ),
        ]

    def tensor(self, name: str) -> str:
        """Return the declaration of an input of a function."""
        return f"{name}: keras.KerasTensor"

    def result(self, function: Function) -> tuple[str, list[str]]:
        """Return the type of a function's result, and the line that returns it."""
        names = ", ".join(self.operand(each) for each in function.returns)
        kind = "keras.KerasTensor"
        if len(function.returns) > 1:
            kind = f"tuple[{', '.join([kind] * len(function.returns))}]"
        return kind, [f"{INDENT}return {names}"]

    def docstring(self, function: Function) -> list[str]:
        """Return the lines of a function's docstring."""
        known = [each for each in function.elements if each is not None]
        return quoted(about(known) if known else f"Return `{function.kind}` of a tensor.")

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
            sources = ", ".join(map(self.operand, statement.tensors.values()))
            return [f"{margin}{', '.join(statement.tensors)} = {sources}"]
        if isinstance(statement, Append):
            kept = statement.list.of
            return [f"{margin}{statement.list.name}.append({kept.name})"] if kept else []
        if isinstance(statement, If):
            return [
                f"{margin}if {self.text(statement.condition)}:",
                *self.body(statement.body, depth + 1),
            ]
        if isinstance(statement, For):
            return self.loop(statement, depth)
        if isinstance(statement, Call):
            targets = ", ".join(each.name for each in statement.targets)
            return lines(Joined([f"{targets} = ", self.call(statement)]), depth)
        if statement.reuse:
            return self.reused(statement, depth)
        return lines(self.applied(statement), depth)

    def reused(self, apply: Apply, depth: int) -> list[str]:
        """Return the lines of a layer that is applied several times."""
        variable = self.shared[apply.reuse]
        result = []
        if apply.first:
            result = lines(Joined([f"{variable} = ", self.layer(apply.layer)]), depth)
        call = Brackets(f"{apply.target.name} = {variable}(", self._read(apply), comma=False)
        return [*result, *lines(call, depth)]

    def _read(self, apply: Apply) -> list[Code]:
        first = apply.inputs[0]
        if isinstance(first, Item) and len(apply.inputs) == first.list.count:
            places = [Item(first.list, Constant(place)) for place in range(first.list.count)]
            if [*apply.inputs] == places:
                return [first.list.name]
        read: list[Code] = [self.operand(each) for each in apply.inputs]
        return [Brackets("[", read, "]")] if len(read) > 1 else read

    def call(self, call: Call) -> Brackets:
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
        others: list[Code] = []
        for symbol in optional:
            expression = call.arguments[symbol]
            if not is_value(expression, self.common[symbol]):
                others.append(Joined([f"{symbol.name}=", self.code(expression)]))
        return Brackets(f"{call.function.name}(", [*arguments, *others, *named])

    def applied(self, apply: Apply) -> Code:
        """Return a layer applied to its inputs."""
        made = self.layer(apply.layer)
        inputs = Brackets("(", self._read(apply), comma=False)
        return Brackets(f"{apply.target.name} = {made.before}", made.items, made.close, [inputs])

    def layer(self, made: Made) -> Brackets:
        """Return a constructor's call without the arguments that have their default."""
        pairs = [
            (key, value)
            for key, value in given(made, DEFAULTS.get(made.name, {}))
            if not is_value(value, EITHER_PADDING)
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
        head = lines(self._loop_head(loop, used=used), depth, end=":")
        return [*before, *head, *self.body(loop.body, depth + 1)]

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
        columns = [each.items for each in values if isinstance(each, Row)]
        if len(columns) == len(values):
            rows: list[Code] = []
            for row in zip(*columns, strict=True):
                items = [self.code(each) for each in row]
                rows.append(items[0] if len(items) == 1 else Brackets("(", items, is_tuple=True))
            table: Code = Brackets("[", rows, "]")
        elif len(values) == 1:
            table = self.code(values[0])
        else:
            table = Brackets("zip(", [*(self.code(each) for each in values), "strict=True"])
        rows_of = Joined([" in ", Brackets("enumerate(", [table, "start=1"]) if used else table])
        start = f"for {index}, " if used else "for "
        if len(names) == 1:
            return Joined([f"{start}{names[0]} in ", *rows_of.parts[1:]])
        target = ", ".join(names)
        head = f"{start}({target})" if used else f"{start}{target}"
        if len(head) < WIDTH - 24:
            return Joined([f"{head} in ", *rows_of.parts[1:]])
        return Brackets(f"{start}(", [*names], ")", rows_of.parts, one_a_line=True)

    def _reads_index(self, loop: For) -> bool:
        return any(
            part is loop.index
            for statement in statements(loop.body)
            for part in expressions(statement)
        )


MAIN = ('if __name__ == "__main__":', f"{INDENT}build_model().summary()")
"""Lines that show the network when the program is run."""

TRAIN = ('if __name__ == "__main__":', f"{INDENT}train_model()")
"""Lines that train the network when the program is run."""

_VARIES = object()


def is_value(expression: Expression, value: Any) -> bool:
    """Return whether an expression is a constant, and this one."""
    return isinstance(expression, Constant) and equal(expression.value, value)


def given(made: Made, defaults: Mapping[str, Any]) -> list[tuple[int | str, Expression]]:
    """Return the arguments of a call that are not the defaults."""
    return [
        (key, value)
        for key, value in made.arguments
        if not (key in defaults and is_value(value, defaults[str(key)]))
    ]


def _mapping(names: Mapping[str, str]) -> Code:
    """Return the only one of some tensors, or a dict of all."""
    if len(names) == 1:
        return next(iter(names.values()))
    pairs: list[Code] = [f"{literal(name)}: {value}" for name, value in sorted(names.items())]
    return Brackets("{", pairs, "}")


def _rename_parameters(function: Function, taken: set[str]) -> None:
    """Give parameters that are called like something else another name."""
    used = {*taken, *RESERVED}
    for symbol in function.parameters:
        if symbol.name in used and symbol.role != "name":
            kinds = {type(value) for value in symbol.values}
            name = symbol.name
            if kinds == {int}:
                name = f"{name.removesuffix('s')}_count"
            else:
                name = f"with_{name}" if kinds == {bool} else f"{name}_value"
            symbol.name = identifier(name, used)
        used.add(symbol.name)


def _input_names(function: Function) -> list[str]:
    """Return names of a function's inputs."""
    named = getattr(type(function.elements[0]), "input_names", ())
    if len(named) == len(function.inputs) > 1:
        return [*named]
    return ["x", "other", *(f"other_{n}" for n in range(2, len(function.inputs)))]


def _symbols(body: Sequence[Statement]) -> set[str]:
    names: set[str] = set()
    for statement in statements(body):
        if isinstance(statement, For):
            names |= {statement.index.name, *(each.name for each in statement.variables)}
    return names


def _remark(text: str) -> list[str]:
    """Return a sentence as an item of a list."""
    return textwrap.wrap(f"- {escaped(text)}", WIDTH - 8, subsequent_indent="  ")


def quoted(*paragraphs: str) -> list[str]:
    """Return a text as the lines of a function's docstring."""
    result: list[str] = []
    for text in filter(None, paragraphs):
        wrapped = textwrap.wrap(escaped(text), WIDTH - len(INDENT) - 3)
        result += ["", *wrapped] if result else wrapped
    if len(result) == 1 and len(result[0]) <= WIDTH - len(INDENT) - 6:
        return [f'{INDENT}"""{result[0]}"""']
    return indented([f'"""{result[0]}', *result[1:], '"""'])

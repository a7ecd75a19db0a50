"""A program as classes: a `keras.layers.Layer` for each kind of block, and a `keras.Model`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import Final

from archspec.ejection.chains import UnrollError, is_chain, is_row
from archspec.ejection.keras_writer import KerasWriter
from archspec.ejection.layer_sources import table
from archspec.ejection.layout import INDENT, Brackets, Code, Joined, indented, lines
from archspec.ejection.naming import RESERVED, name_classes, singular
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
    Made,
    Program,
    Statement,
    Symbol,
    Text,
    statements,
)
from archspec.ejection.python import literal
from archspec.ejection.recording import layer_name
from archspec.graph.graph import Graph
from archspec.text import free_name

# fmt: off
TAKEN: Final = frozenset(
    {
        "activity_regularizer",
        "add_loss",
        "add_metric",
        "add_variable",
        "add_weight",
        "autocast",
        "build",
        "build_from_config",
        "built",
        "call",
        "call_signature_parameters",
        "compile",
        "compile_from_config",
        "compiled",
        "compiled_loss",
        "compiled_metrics",
        "compute_dtype",
        "compute_loss",
        "compute_mask",
        "compute_metrics",
        "compute_output_shape",
        "compute_output_spec",
        "count_params",
        "distribute_reduction_method",
        "distribute_strategy",
        "dtype",
        "dtype_policy",
        "evaluate",
        "export",
        "fit",
        "from_config",
        "get_build_config",
        "get_compile_config",
        "get_config",
        "get_layer",
        "get_metrics_result",
        "get_quantization_layer_structure",
        "get_state_tree",
        "get_weights",
        "input",
        "input_dtype",
        "input_spec",
        "jit_compile",
        "layers",
        "load_own_variables",
        "load_weights",
        "loss",
        "losses",
        "make_predict_function",
        "make_test_function",
        "make_train_function",
        "metrics",
        "metrics_names",
        "metrics_variables",
        "name",
        "non_trainable_variables",
        "non_trainable_weights",
        "output",
        "path",
        "predict",
        "predict_function",
        "predict_on_batch",
        "predict_step",
        "quantization_mode",
        "quantize",
        "quantized_build",
        "quantized_call",
        "rematerialized_call",
        "reset_metrics",
        "run_eagerly",
        "save",
        "save_own_variables",
        "save_weights",
        "set_state_tree",
        "set_weights",
        "stateless_call",
        "stateless_compute_loss",
        "steps_per_execution",
        "summary",
        "supports_jit",
        "supports_masking",
        "symbolic_call",
        "test_function",
        "test_on_batch",
        "test_step",
        "to_json",
        "train_function",
        "train_on_batch",
        "train_step",
        "trainable",
        "trainable_variables",
        "trainable_weights",
        "unrolled_steps_per_execution",
        "variable_dtype",
        "variables",
        "weights",
    }
)
# fmt: on
"""Public attributes of `keras.Model`, which no layer may be called. A test reads them."""


class SubclassedWriter(KerasWriter):
    """The subclassed style."""

    def __init__(self, program: Program, graph: Graph) -> None:
        super().__init__(program, graph)
        self.title = name_classes(program, {*table(), "Any"})
        self.attributes: dict[int | str, str] = {}
        """The attribute of each layer or list of layers, by the statement's identity; of a layer
        that is applied several times by its path."""
        self.prefixes: list[str] = []
        """The names of a class's uses, with which names begin that only one use has."""
        self.variables: dict[int, str] = {}
        """The variable of each layer in such a loop of `call`, by the statement's identity."""
        self.rows: set[int] = set()
        """The statements in loops of several layers, by their identity."""
        self.is_call = False
        self.parameters: Sequence[Symbol] = ()

    def definitions(self) -> tuple[list[str], set[str]]:
        names, imports = super().definitions()
        return ["register", *names], {*imports, "from typing import Any"}

    # Classes.

    def function(self, function: Function) -> list[str]:
        parameters = [each for each in function.parameters if each.role != "name"]
        self.prefixes = [f"{layer_name(path)}-" for path in function.paths]
        self._begin(function.body, parameters)
        result, last = self.result(function)
        inputs = [self.tensor(each.name) for each in function.inputs]
        return [
            "@register",
            f"class {function.name}(layers.Layer):",
            *self.docstring(function),
            *self.methods(self.declared(parameters), function.body, inputs, result, indented(last)),
        ]

    def methods(
        self,
        declared: Sequence[Code],
        body: Sequence[Statement],
        inputs: Sequence[Code],
        result: str,
        last: Sequence[str],
        first: Sequence[str] = (),
    ) -> list[str]:
        """Return the lines of a class below its docstring.

        Args:
            declared: The declarations of its parameters.
            body: The statements.
            inputs: The declarations of what `call` takes.
            result: The type of what it gives.
            last: The lines that return it.
            first: The lines before all others of `call`.
        """
        taken = Brackets("def __init__(", ["self", *declared, "**options: Any"], one_a_line=True)
        call = Brackets("def call(", ["self", *inputs], one_a_line=True)
        return [
            "",
            *lines(taken, 1, end=" -> None:"),
            f"{INDENT * 2}super().__init__(**options)",
            *(f"{INDENT * 2}self.{each.name} = {each.name}" for each in self.parameters),
            *self.made(body, 2),
            "",
            *lines(call, 1, end=f" -> {result}:"),
            *first,
            *self.called(body, 2),
            *last,
            *self.config(),
        ]

    def config(self) -> list[str]:
        """Return the lines of `get_config`; none where there are no parameters."""
        if not self.parameters:
            return []
        pairs = [f'"{each.name}": self.{each.name}' for each in self.parameters]
        config = Brackets("return {", ["**super().get_config()", *pairs], "}", one_a_line=True)
        return ["", f"{INDENT}def get_config(self) -> dict[str, Any]:", *lines(config, 2)]

    def build_model(self) -> list[str]:
        program = self.program
        self.prefixes = []
        self._begin(program.body, program.parameters)
        inputs = {name: value.name for name, (value, _) in program.inputs.items()}
        entries: dict[str, Code] = {}
        for name, (_, extents) in program.inputs.items():
            shape = self.code(extents)
            entries[name] = Brackets("keras.Input(", [shape, f"name={literal(name)}"])
        taken = "inputs: keras.KerasTensor"
        unpacked: list[str] = []
        entry: Code = next(iter(entries.values()))
        if len(inputs) > 1:
            taken = "inputs: dict[str, keras.KerasTensor]"
            unpacked = [f"{INDENT * 2}{v} = inputs[{literal(k)}]" for k, v in inputs.items()]
            items: list[Code] = [Joined([f"{literal(k)}: ", each]) for k, each in entries.items()]
            entry = Brackets("{", items, "}")
        outputs = {name: self.operand(each) for name, each in sorted(program.outputs.items())}
        kind = "keras.KerasTensor"
        returned: Code = f"return {next(iter(outputs.values()))}"
        if len(outputs) > 1:
            kind = f"dict[str, {kind}]"
            pairs = [f"{literal(k)}: {v}" for k, v in outputs.items()]
            returned = Brackets("return {", [*pairs], "}")
        title = re.sub(r"[^A-Za-z0-9_-]", "_", program.name)
        given = [each.name for each in program.parameters]
        last = lines(returned, 2)
        return [
            "@register",
            f"class {self.title}(keras.Model):",
            f'{INDENT}"""The network."""',
            *self.methods(self.options(), program.body, [taken], kind, last, unpacked),
            "",
            "",
            *self.head("Return the network, built for its input."),
            *lines(Brackets(f"model = {self.title}(", [*given, f"name={literal(title)}"]), 1),
            *lines(Brackets("model(", [entry], comma=False), 1),
            f"{INDENT}return model",
        ]

    # Attributes.

    def _begin(self, body: Sequence[Statement], parameters: Sequence[Symbol]) -> None:
        """Give the layers of a class their attributes."""
        self.parameters = parameters
        self.attributes = {}
        self.rows = {
            id(inner)
            for each in statements(body)
            if isinstance(each, For) and not is_chain(each)
            for inner in each.body
        }
        taken = {*TAKEN, *(each.name for each in parameters)}
        for statement in _layers(body):
            key = _key(statement)
            if key in self.attributes:
                continue
            word = self._word(statement)
            if id(statement) in self.rows:
                word = self._word(statement, last=True)
                word = re.sub(r"_*\d+$", "", word) or word
                word += "" if word.endswith("s") else "s"
            if isinstance(statement, For):
                word = re.sub(r"_.*", "", re.sub(r"\d+", "", word)).strip("_") or "layer"
                word += "" if word.endswith("s") else "s"
            word = f"{word}_layers" if iskeyword(word) else word
            self.attributes[key] = free_name(word, taken.__contains__)
            taken.add(self.attributes[key])

    def _word(self, statement: Statement, *, last: bool = False) -> str:
        if isinstance(statement, For):
            return self._word(next(_layers(statement.body, into_chains=True)))
        name = self._name(statement)
        parts = name.parts if isinstance(name, Text) else (name,)
        text = "".join(str(each.value) for each in parts if isinstance(each, Constant))
        text = text.rpartition("-")[2] if last else text
        word = re.sub(r"\W+", "_", text).strip("_") or "layer"
        return f"layer_{word}" if word[0].isdigit() else word

    def _name(self, statement: Statement) -> Expression:
        """Return the name of a layer within its class."""
        if isinstance(statement, Call):
            names = [s for s in statement.function.parameters if s.role == "name"]
            if names:
                return self._local(statement.arguments[names[0]])
            return self._local(Constant(layer_name(statement.function.paths[0])))
        given = dict(statement.layer.arguments) if isinstance(statement, Apply) else {}
        return self._local(given["name"])

    def _local(self, name: Expression) -> Expression:
        """Return a layer's name without that of the block around it."""
        first = name.parts[0] if isinstance(name, Text) else name
        if not isinstance(first, Constant):
            return _local(name)
        text = str(first.value)
        prefix = max((each for each in self.prefixes if text.startswith(each)), key=len, default="")
        rest = Constant(text.removeprefix(prefix))
        return Text((rest, *name.parts[1:])) if isinstance(name, Text) else rest

    # What is made.

    def made(self, body: Sequence[Statement], depth: int, into: str = "") -> list[str]:
        """Return the lines of `__init__`; in a loop, layers are appended to the list `into`."""
        self.is_call = False
        result: list[str] = []
        margin = INDENT * depth
        for statement in body:
            if isinstance(statement, If):
                if not into:
                    names = dict.fromkeys(self.attributes[_key(e)] for e in _layers(statement.body))
                    result += [f"{margin}self.{name} = None" for name in names]
                inside = self.made(statement.body, depth + 1, into)
                if inside:
                    result += [f"{margin}if {self.text(statement.condition)}:", *inside]
            elif isinstance(statement, For):
                if is_chain(statement):
                    name = into or f"self.{self.attributes[id(statement)]}"
                    result += [] if into else [f"{margin}{name} = []"]
                else:
                    name = ""
                    lists = [self.attributes[id(each)] for each in _layers(statement.body)]
                    result += [f"{margin}self.{each} = []" for each in lists]
                head = self._loop_head(statement, used=self._reads_index(statement))
                result += lines(head, depth, end=":")
                result += self.made(statement.body, depth + 1, name)
            elif isinstance(statement, (Apply, Call)):
                if isinstance(statement, Apply) and statement.reuse and not statement.first:
                    continue
                made = self._made(statement)
                listed = into
                if id(statement) in self.rows:
                    listed = f"self.{self.attributes[id(statement)]}"
                if listed:
                    result += lines(Brackets(f"{listed}.append(", [made], comma=False), depth)
                else:
                    before = f"self.{self.attributes[_key(statement)]} = "
                    result += lines(Joined([before, made]), depth)
        return result

    def _made(self, statement: Apply | Call) -> Brackets:
        name = self._name(statement)
        if isinstance(statement, Apply):
            pairs = [(k, name if k == "name" else v) for k, v in statement.layer.arguments]
            return self.layer(Made(statement.layer.name, tuple(pairs)))
        arguments = {
            s: name if s.role == "name" else each for s, each in statement.arguments.items()
        }
        whole = self.call(replace(statement, inputs=(), arguments=arguments))
        if not any(s.role == "name" for s in statement.function.parameters):
            whole.items.append(Joined(["name=", self.code(name)]))
        return whole

    # What is computed.

    def called(self, body: Sequence[Statement], depth: int) -> list[str]:
        """Return the lines of `call`."""
        self.is_call = True
        result: list[str] = []
        margin = INDENT * depth
        for statement in body:
            if isinstance(statement, (Alias, Append)):
                result += super().statement(statement, depth)
            elif isinstance(statement, If):
                first = next(_layers(statement.body), None)
                test = self.text(statement.condition)
                if first is not None:
                    test = f"self.{self.attributes[_key(first)]} is not None"
                result += [f"{margin}if {test}:", *self.called(statement.body, depth + 1)]
            elif isinstance(statement, For) and not is_chain(statement):
                result += self._called_row(statement, depth)
            elif isinstance(statement, For):
                tensor = statement.carried[0].name
                variable = "layer" if tensor != "layer" else "each"
                listed = self.attributes[id(statement)]
                result += [
                    f"{margin}for {variable} in self.{listed}:",
                    f"{margin}{INDENT}{tensor} = {variable}({tensor})",
                ]
            elif isinstance(statement, Call):
                read: list[Code] = [self.operand(each) for each in statement.inputs]
                targets = ", ".join(each.name for each in statement.targets)
                name = self._callee(statement)
                call = Brackets(f"{targets} = {name}(", read, comma=len(read) > 1)
                result += lines(call, depth)
            else:
                before = f"{statement.target.name} = {self._callee(statement)}("
                result += lines(Brackets(before, self._read(statement), comma=False), depth)
        return result

    def _callee(self, statement: Statement) -> str:
        return self.variables.get(id(statement)) or f"self.{self.attributes[_key(statement)]}"

    def _called_row(self, loop: For, depth: int) -> list[str]:
        """Return the lines of a loop over several lists of layers."""
        inner = [*_layers(loop.body)]
        tensors = {each.name for each in loop.carried}
        for each in inner:
            if isinstance(each, (Apply, Call)):
                tensors |= {target.name for target in each.targets}
        names: list[Code] = []
        for each in inner:
            name = singular(self.attributes[id(each)])
            name = f"{name}_layer" if name in {*tensors, *RESERVED} else name
            self.variables[id(each)] = name
            names.append(name)
        lists: list[Code] = [f"self.{self.attributes[id(each)]}" for each in inner]
        table = Brackets("zip(", [*lists, "strict=True"]) if len(lists) > 1 else lists[0]
        row = ", ".join(map(str, names))
        head: Code = Joined([f"for {row} in ", table])
        if len(row) > 50 and len(names) > 1:
            head = Brackets("for (", names, ") in ", [table], one_a_line=True)
        return [*lines(head, depth, end=":"), *self.called(loop.body, depth + 1)]

    def _text(self, expression: Expression) -> tuple[str, int]:
        text, level = super()._text(expression)
        if self.is_call and isinstance(expression, Symbol) and expression in self.parameters:
            return f"self.{text}", level
        return text, level


def _layers(body: Sequence[Statement], *, into_chains: bool = False) -> Iterator[Statement]:
    """Yield the statements that have an attribute: layers, blocks, and loops of them."""
    for each in body:
        if isinstance(each, If):
            yield from _layers(each.body, into_chains=into_chains)
        elif isinstance(each, For):
            if not is_chain(each) and not is_row(each):
                raise UnrollError(each.starts)
            if into_chains or not is_chain(each):
                yield from _layers(each.body, into_chains=into_chains)
            else:
                yield each
        elif isinstance(each, (Apply, Call)):
            yield each


def _key(statement: Statement) -> int | str:
    reuse = statement.reuse if isinstance(statement, Apply) else ""
    return reuse or id(statement)


def _local(name: Expression) -> Expression:
    """Return a layer's name without that of the block around it, which Keras puts before it."""
    if not isinstance(name, Text) or not isinstance(name.parts[0], Symbol):
        return name
    if name.parts[0].role != "name":
        return name
    first, *rest = [*name.parts[1:], Constant("")]
    kept: list[Expression] = [first, *rest]
    if isinstance(first, Constant):
        kept[0] = Constant(str(first.value).lstrip("-"))
    kept = [each for each in kept if each != Constant("")]
    if all(isinstance(each, Constant) for each in kept):
        text = "".join(str(each.value) for each in kept if isinstance(each, Constant))
        return Constant(text or "layer")
    return Text(tuple(kept))

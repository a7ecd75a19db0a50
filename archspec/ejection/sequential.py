"""A program as a `keras.Sequential`: functions that add layers to a model."""

from __future__ import annotations

import re

from archspec.ejection.keras_writer import KerasWriter
from archspec.ejection.layout import INDENT, Brackets, Code, lines
from archspec.ejection.program import Alias, Apply, Call, Function, Operand, Statement
from archspec.ejection.python import literal
from archspec.errors import UsageError, listed
from archspec.graph.graph import Graph


def check_sequential(graph: Graph) -> None:
    """Raise `UsageError`, which names the first step that is the reason, if it cannot be one."""
    help_ = "write it in the functional style"
    if len(graph.inputs) > 1:
        names = listed(list(graph.inputs))
        raise UsageError(f"a sequential model has one input, not {names}; {help_}")
    before = 0
    for node in graph.nodes[1:]:
        what = ""
        if len(node.inputs) > 1:
            what = f"`{node.name}` has {len(node.inputs)} inputs"
        elif node.inputs != (before,):
            read = graph.nodes[node.inputs[0]].name
            what = f"`{node.name}` reads `{read}`, which is not the layer before it"
        elif node.layer.owner:
            what = f"`{node.name}` shares the weights of `{node.layer.owner}`"
        if what:
            raise UsageError(f"this network cannot be a sequential model: {what}; {help_}")
        before = node.index
    if len(graph.outputs) > 1:
        names = listed(list(graph.outputs))
        raise UsageError(f"a sequential model has one output, not {names}; {help_}")


class SequentialWriter(KerasWriter):
    """The sequential style."""

    def tensor(self, name: str) -> str:  # noqa: ARG002
        return "model: keras.Sequential"

    def result(self, function: Function) -> tuple[str, list[str]]:  # noqa: ARG002
        return "None", []

    def operand(self, operand: Operand) -> str:  # noqa: ARG002
        return "model"

    def statement(self, statement: Statement, depth: int) -> list[str]:
        if isinstance(statement, Call):
            return lines(self.call(statement), depth)
        return [] if isinstance(statement, Alias) else super().statement(statement, depth)

    def applied(self, apply: Apply) -> Code:
        return Brackets("model.add(", [self.layer(apply.layer)], comma=False)

    def build_model(self) -> list[str]:
        ((name, (_, extents)),) = self.program.inputs.items()
        shape = self.code(extents)
        title = literal(re.sub(r"[^A-Za-z0-9_-]", "_", self.program.name))
        entry = Brackets("keras.Input(", [shape, f"name={literal(name)}"])
        return [
            *self.head(),
            *lines(Brackets("model = keras.Sequential(", [f"name={title}"]), 1),
            *lines(Brackets("model.add(", [entry], comma=False), 1),
            *self.body(self.program.body, 1),
            f"{INDENT}return model",
        ]

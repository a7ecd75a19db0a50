"""TensorFlow's graphs: the operators that lead to the outputs of a signature, in one list.

A graph has calls of functions, whose operators stand where they are called. A value has the name of
its operator, behind a number for the function that it is in, and the number of the output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.errors import UsageError
from archspec.imports.limits import refuse
from archspec.imports.protobuf import Reader, Schemas, Span
from archspec.imports.tensorflow.names import common_root

MOST_CALLS: Final = 30
"""Largest number of functions that call each other."""

MOST_STEPS: Final = 300_000
"""Largest number of operators that are followed."""

SCHEMAS: Final[Schemas] = {
    "SavedModel": {2: ("meta_graphs", "MetaGraph*")},
    "MetaGraph": {
        1: ("meta_info_def", "MetaInfo"),
        2: ("graph_def", "Graph"),
        5: ("signature_def", "SignatureEntry*"),
        3: ("saver_def", "Saver"),
        7: ("object_graph_def", "Objects"),
    },
    "Saver": {3: ("restore_op_name", "text")},
    "MetaInfo": {4: ("tags", "text*"), 5: ("tensorflow_version", "text")},
    "Graph": {1: ("node", "Node*"), 2: ("library", "Library")},
    "Library": {1: ("function", "spans")},
    "FunctionHead": {1: ("signature", "Name")},
    "Name": {1: ("name", "text")},
    "Function": {
        1: ("signature", "Signature"),
        3: ("node_def", "Node*"),
        4: ("ret", "TextEntry*"),
    },
    "Signature": {1: ("name", "text"), 2: ("input_arg", "Name*"), 3: ("output_arg", "Name*")},
    "Node": {
        1: ("name", "text"),
        2: ("op", "text"),
        3: ("input", "text*"),
        5: ("attr", "AttributeEntry*"),
    },
    "AttributeEntry": {1: ("key", "text"), 2: ("value", "Attribute")},
    "Attribute": {
        1: ("list", "List"),
        2: ("s", "bytes"),
        3: ("i", "int"),
        4: ("f", "float"),
        5: ("b", "int"),
        6: ("type", "int"),
        7: ("shape", "Shape"),
        8: ("tensor", "Tensor"),
        10: ("func", "Name"),
    },
    "List": {3: ("i", "int*"), 7: ("shape", "Shape*")},
    "Shape": {2: ("dim", "Dimension*"), 3: ("unknown_rank", "int")},
    "Dimension": {1: ("size", "int")},
    "Tensor": {
        1: ("dtype", "int"),
        2: ("tensor_shape", "Shape"),
        4: ("tensor_content", "spans"),
        5: ("float_val", "float*"),
        6: ("double_val", "double*"),
        7: ("int_val", "int*"),
        8: ("string_val", "text*"),
        10: ("int64_val", "int*"),
        11: ("bool_val", "int*"),
        13: ("half_val", "int*"),
    },
    "SignatureEntry": {1: ("key", "text"), 2: ("value", "Ends")},
    "Ends": {1: ("inputs", "EndEntry*"), 2: ("outputs", "EndEntry*")},
    "EndEntry": {1: ("key", "text"), 2: ("value", "End")},
    "End": {1: ("name", "text"), 2: ("dtype", "int"), 3: ("tensor_shape", "Shape")},
    "TextEntry": {1: ("key", "text"), 2: ("value", "text")},
    "Objects": {1: ("nodes", "Object*")},
    "Object": {1: ("children", "Child*"), 7: ("variable", "Variable")},
    "Child": {1: ("node_id", "int"), 2: ("local_name", "text")},
    "Variable": {3: ("trainable", "int"), 6: ("name", "text")},
}
"""Every message that is read: the numbers are those of TensorFlow's definitions."""

FLOATS: Final = {1: "float32", 2: "float64", 14: "bfloat16", 19: "float16"}
INTEGERS: Final = {3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool",
                   17: "uint16", 22: "uint32", 23: "uint64"}  # fmt: skip
DTYPES: Final = {**FLOATS, **INTEGERS}
"""NumPy's name of each type of numbers, by TensorFlow's number."""

Dims: TypeAlias = "tuple[int | None, ...] | None"
"""A shape with the batch; None where it is not told, and for an open extent."""


@dataclass(frozen=True)
class Operation:
    """An operator of a graph or of a function."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...] = ()
    """Names of its values; none before it is carried out."""

    def integers(self, name: str) -> list[int]:
        return list(self.attributes.get(name, {}).get("list", {}).get("i", []))

    def integer(self, name: str, default: int = 0) -> int:
        return int(self.attributes.get(name, {}).get("i", default))

    def real(self, name: str, default: float) -> float:
        return float(self.attributes.get(name, {}).get("f", default))

    def flag(self, name: str) -> bool:
        return bool(self.attributes.get(name, {}).get("b", 0))

    def word(self, name: str) -> str:
        return bytes(self.attributes.get(name, {}).get("s", b"")).decode(errors="replace")

    def declared(self, output: int = 0) -> Dims:
        """Return the shape that the file declares for an output."""
        shapes = self.attributes.get("_output_shapes", {}).get("list", {}).get("shape", [])
        return dims_of(shapes[output]) if output < len(shapes) else None

    @property
    def declared_outputs(self) -> int:
        """Number of outputs whose shapes the file declares."""
        return len(self.attributes.get("_output_shapes", {}).get("list", {}).get("shape", []))

    @property
    def dtype(self) -> int:
        """TensorFlow's number of the type of its numbers."""
        return int(self.attributes.get("dtype", {}).get("type", 0))


@dataclass
class Scope:
    """A graph or a function: its operators, and the names of their outputs so far."""

    steps: dict[str, Operation]
    number: int = 0
    values: dict[str, list[str]] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)
    """Number of each operator's outputs, as far as any is read."""


def dims_of(shape: Mapping[str, Any]) -> Dims:
    """Return the extents in a shape's message."""
    if shape.get("unknown_rank"):
        return None
    sizes = [dim.get("size", 0) for dim in shape.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)


def scope_of(nodes: Sequence[Mapping[str, Any]]) -> Scope:
    steps = {}
    for node in nodes:
        attributes = {
            entry.get("key", ""): entry.get("value", {}) for entry in node.get("attr", [])
        }
        inputs = tuple(each for each in node.get("input", []) if not each.startswith("^"))
        name = node.get("name", "")
        steps[name] = Operation(name, node.get("op", ""), inputs, attributes)
    outputs: dict[str, int] = {}
    for step in steps.values():
        for source, number in map(source_of, step.inputs):
            outputs[source] = max(outputs.get(source, 0), number + 1)
    return Scope(steps, outputs=outputs)


def source_of(text: str) -> tuple[str, int]:
    """Return the operator that an input names, and the number of its output.

    A graph writes `name` or `name:1`, a function `name:output:1`.
    """
    name, *rest = text.split(":")
    return name, int(rest[-1]) if rest and rest[-1].isdecimal() else 0


class Program:
    """The operators that lead to some outputs, each after what it reads."""

    def __init__(self, reader: Reader, path: Path, functions: Mapping[str, Span]) -> None:
        self.reader = reader
        self.path = path
        self.functions = functions
        """The place of each function in the file."""
        self.operations: list[Operation] = []
        self.root = ""
        """The part before the names of operators that all of them share."""
        self.names: list[str] = []
        """The names of the operators of the first function with some."""
        self._scopes = 0

    def function(self, name: str) -> Mapping[str, Any]:
        """Return a function."""
        if name not in self.functions:
            refuse(self.path, f"there is no function `{name[:80]}`")
        return self.reader.message("Function", self.functions[name])

    def follow(self, scope: Scope, wanted: Sequence[str], depth: int = 0) -> None:
        """Add the operators that some of a scope need."""
        stack = [(name, False) for name in reversed(wanted)]
        begun: set[str] = set()
        while stack:
            name, is_ready = stack.pop()
            if name in scope.values:
                continue
            step = scope.steps.get(name)
            if step is None:
                refuse(self.path, f"an operator reads `{name[:80]}`, which is not there")
            if is_ready:
                if len(self.operations) >= MOST_STEPS:
                    refuse(self.path, f"it has more than {MOST_STEPS:,} operators")
                scope.values[name] = self._add(scope, step, depth)
                continue
            if name in begun:
                raise UsageError(f"{self.path} cannot be shown: its operators form a loop")
            begun.add(name)
            stack.append((name, True))
            sources = [source_of(each)[0] for each in step.inputs]
            stack += [(each, False) for each in reversed(sources) if each not in scope.values]

    def _add(self, scope: Scope, step: Operation, depth: int) -> list[str]:
        """Add an operator, or those of a function that it calls; return its values' names."""
        inputs = [value_of(scope, each) for each in step.inputs]
        called = step.attributes.get("f", {}).get("func", {})
        if step.kind in CALLS and called:
            return self._call(called.get("name", ""), inputs, depth)
        if step.kind in _SAME and inputs:
            return inputs if step.kind == "IdentityN" else inputs[:1]
        numbers = range(_output_count(scope, step))
        outputs = [f"{scope.number}/{step.name}:{number}" for number in numbers]
        self.operations.append(
            Operation(step.name, step.kind, tuple(inputs), step.attributes, tuple(outputs))
        )
        return outputs

    def _call(self, name: str, inputs: Sequence[str], depth: int) -> list[str]:
        """Add the operators of a function; return the names of its outputs."""
        if depth >= MOST_CALLS:
            refuse(self.path, f"more than {MOST_CALLS} functions call each other")
        function = self.function(name)
        scope = scope_of(function.get("node_def", []))
        self._scopes += 1
        scope.number = self._scopes
        signature = function.get("signature", {})
        for argument, value in zip(signature.get("input_arg", []), inputs, strict=False):
            scope.values[argument.get("name", "")] = [value]
        if not self.root:
            self.root = common_root(scope.steps)
            self.names = list(scope.steps)
        returned = {
            entry.get("key", ""): entry.get("value", "") for entry in function.get("ret", [])
        }
        results = [
            returned.get(each.get("name", ""), "") for each in signature.get("output_arg", [])
        ]
        self.follow(scope, [source_of(each)[0] for each in results], depth + 1)
        return [value_of(scope, each) for each in results]


CALLS: Final = {"PartitionedCall", "StatefulPartitionedCall"}
_SAME: Final = {
    "Identity", "IdentityN", "ReadVariableOp", "StopGradient", "PreventGradient", "CheckNumerics",
    "Cast", "PlaceholderWithDefault", "EnsureShape",
}  # fmt: skip
"""Operators whose output is their input."""


def value_of(scope: Scope, text: str) -> str:
    """Return the name of the value that an input names; of one that nothing makes, any."""
    name, number = source_of(text)
    values = scope.values.get(name, [])
    return values[number] if number < len(values) else f"{scope.number}/{text}"


def _output_count(scope: Scope, step: Operation) -> int:
    """Return the number of an operator's outputs, as far as any is read or declared."""
    return min(max(scope.outputs.get(step.name, 1), step.declared_outputs), MOST_STEPS)


def added_suffix(names: Iterable[str], root: str, variables: Iterable[str]) -> str:
    """Return the `_1` that Keras adds to each layer's name when it exports a model; else nothing.

    Args:
        names: The names of the operators.
        root: The part before them that all have in common.
        variables: The names of the variables, to which nothing is added.
    """
    inside = [name.removeprefix(root) for name in names if name.startswith(root)]
    layers = {name.partition("/")[0] for name in inside if "/" in name}
    owners = {name.partition("/")[0] for name in variables if "/" in name}
    # A second call of a layer has a higher number.
    is_added = all(re.search(r"_\d+$", name) for name in layers) and not layers & owners
    return "_1" if is_added and owners & {name.removesuffix("_1") for name in layers} else ""

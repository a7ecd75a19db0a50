"""TensorFlow's SavedModels: the graph behind a signature, with the checkpoint beside it.

A signature leads to a graph of TensorFlow's operators: calls of functions are followed, and each
operator is written as the steps of ONNX that do the same, which are read as an ONNX file is. The
shapes of weights are in the graph; their values are read from the checkpoint when asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Final

from archspec.errors import UsageError
from archspec.imports.arrays import item_size, numbers_in
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.keras.reader import read_saved
from archspec.imports.limits import mapped, refuse
from archspec.imports.model import ImportedModel
from archspec.imports.onnx.reader import build
from archspec.imports.onnx.source import FIXED, FROZEN, MOST_VALUES, STORED, Constant, Source
from archspec.imports.protobuf import Reader, shortest
from archspec.imports.tensorflow.graphs import (
    CALLS,
    DTYPES,
    FLOATS,
    INTEGERS,
    SCHEMAS,
    Dims,
    Operation,
    Program,
    Scope,
    added_suffix,
    dims_of,
    scope_of,
    source_of,
    value_of,
)
from archspec.imports.tensorflow.names import is_nameless, layer_name
from archspec.imports.tensorflow.norms import with_norms
from archspec.imports.tensorflow.operators import write
from archspec.imports.tensorflow.writing import MOST_SHORT, OPSET, Writer
from archspec.lazy import np
from archspec.ops.fields import LARGEST


def read(path: str | os.PathLike[str], *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of a SavedModel: the folder, or the `saved_model.pb` in it.

    Raises:
        UsageError: It cannot be read, is damaged, or no signature leads to a network.
    """
    path = Path(path)
    described = read_saved(path if path.is_dir() else path.parent, given)
    if described is not None:
        return described
    file = path / "saved_model.pb" if path.is_dir() else path
    reader = Reader(mapped(file), SCHEMAS, file)
    graphs = reader.message("SavedModel").get("meta_graphs", [])
    serving = [
        graph for graph in graphs if "serve" in graph.get("meta_info_def", {}).get("tags", [])
    ]
    if not graphs:
        refuse(file, "it holds no graph")
    graph = (serving or graphs)[0]
    key, ends = _signature(file, graph)
    spans = graph.get("graph_def", {}).get("library", {}).get("function", [])
    functions = {
        reader.message("FunctionHead", span).get("signature", {}).get("name", ""): span
        for span in spans
    }
    program = Program(reader, path, functions)
    scope = scope_of(graph.get("graph_def", {}).get("node", []))
    net = _Net(program, graph, scope, file.parent / "variables" / "variables")
    source = net.source(ends)
    version = graph.get("meta_info_def", {}).get("tensorflow_version", "")
    written = f", written by TensorFlow {version}" if version else ""
    told = []
    if key != "serving_default":
        told.append(f"The signature {key} is shown.")
    if net.params and not net.has_values:
        told.append("The values of the weights are not there: a folder `variables` has them.")
    model = build(
        path,
        source,
        name=(path if path.is_dir() else path.parent).resolve().name,
        format_name=f"SavedModel{written}",
        opset=OPSET,
        writer="TensorFlow",
        params=sum(net.params.values()) if net.params else None,
        given=given,
        channels_last=True,
        told=[*told, *net.told],
    )
    return model if net.has_values or not net.params else replace(model, _read_weights=None)


class _Net(Writer):
    """A SavedModel as it is written in ONNX's operators."""

    def __init__(
        self, program: Program, graph: Mapping[str, Any], scope: Scope, prefix: Path
    ) -> None:
        super().__init__(program.path)
        self.program = program
        self.main = scope
        self.files = prefix
        """Path of the checkpoint's files, without what ends their names."""
        self.has_values = prefix.with_suffix(".index").is_file()
        self.restore = graph.get("saver_def", {}).get("restore_op_name", "")
        self.trainable = _trainable(graph.get("object_graph_def", {}).get("nodes", []))
        self.params: dict[str, int] = {}
        """Number of values of each variable that the network uses."""
        self.suffix = ""
        """The end of all layers' names that Keras adds when it traces a model for its export."""
        self._checkpoint: Any = None
        self._keys: dict[str, str] | None = None

    def source(self, ends: Mapping[str, Any]) -> Source:
        """Return the graph between the ends of a signature."""
        inputs: dict[str, Dims] = {}
        whole: set[str] = set()
        for entry in ends.get("inputs", []):
            name, end = entry["key"], entry.get("value", {})
            inputs[name] = dims_of(end.get("tensor_shape", {"unknown_rank": 1}))
            self.main.values[source_of(end.get("name", ""))[0]] = [name]
            self.dims[name] = inputs[name] or ()
            if end.get("dtype") in INTEGERS:
                whole.add(name)
        made = {}
        for entry in ends.get("outputs", []):
            text = entry.get("value", {}).get("name", "")
            self.program.follow(self.main, [source_of(text)[0]])
            made[entry["key"]] = value_of(self.main, text)
        operations = []
        for each in self.program.operations:
            if not self._is_array(each):
                operations.append(each)
                for number, output in enumerate(each.outputs):
                    dims = each.declared(number)
                    if dims is not None:
                        self.dims[output] = dims
        names = self.program.names
        self.suffix = added_suffix(names, self.program.root, self.trainable)
        for each in with_norms(operations, self.constants, list(made.values())):
            self.scope, self.full_name = self._names_of(each)
            write(self, each)
        for name, value in made.items():
            self.step("Identity", [value], [_output_name(name)])
        outputs = list(map(_output_name, made))
        return Source("", self.steps, self.constants, inputs, outputs, self.dims, frozenset(whole))

    def _is_array(self, o: Operation) -> bool:
        """Whether an operator is a variable or a constant, which is kept."""
        if o.kind in {"VarHandleOp", "VariableV2", "Variable"}:
            self.constants[o.outputs[0]] = self._variable(o)
            return True
        if o.kind == "Const":
            constant = self._constant(o)
            if constant is not None:
                self.constants[o.outputs[0]] = constant
                return True
        return False

    def _names_of(self, o: Operation) -> tuple[str, str]:
        """Return the name of an operator's layer, and the operator's own."""
        if is_nameless(o.name):
            return o.kind, ""
        layer, mark, rest = o.name.removeprefix(self.program.root).partition("/")
        name = f"{layer.removesuffix(self.suffix)}{mark}{rest}" if mark else layer
        return layer_name(name, ""), name

    def _variable(self, o: Operation) -> Constant:
        dims = tuple(n or 0 for n in dims_of(o.attributes.get("shape", {}).get("shape", {})) or ())
        name = o.word("shared_name") or o.name
        # A second handle of one variable has a number after its name.
        stored = name if name in self.trainable else re.sub(r"_\d+$", "", name)
        if any(n > LARGEST for n in dims):
            refuse(self.path, f"the variable `{name[:80]}` has impossible extents")
        self.params[name] = prod(dims)
        origin = STORED if self.trainable.get(stored, True) else FROZEN

        def load() -> Any:
            return self._value(name, o.name, dims)

        kind = "float" if o.dtype in FLOATS else "int" if o.dtype in INTEGERS else "other"
        return Constant(dims, kind, None, load, name, prod(dims), origin)

    def _value(self, name: str, handle: str, dims: tuple[int, ...]) -> Any:
        """Return the value of a variable from the checkpoint."""
        from archspec.imports.tensorflow.checkpoint import (  # noqa: PLC0415  (a table needs none)
            Checkpoint,
        )

        if self._keys is None:
            self._keys = _keys(self.program, self.main, self.restore)
        if self._checkpoint is None:
            self._checkpoint = Checkpoint(self.files)
        key = self._keys.get(handle)
        if key is None:
            raise UsageError(f"{self.path}: nothing restores `{name}`")
        array = self._checkpoint.values(key)
        if array.shape != dims:
            path = self._checkpoint.path
            refuse(path, f"`{key[:80]}` has other extents than the graph's variable")
        return array

    def _constant(self, o: Operation) -> Constant | None:
        """Return a constant, with its values if they are few; None for one of texts."""
        tensor = o.attributes.get("value", {}).get("tensor", {})
        dims = tuple(n or 0 for n in dims_of(tensor.get("tensor_shape", {})) or ())
        number = tensor.get("dtype", 0)
        dtype = DTYPES.get(number)
        size = prod(dims)
        written: list[Any] = next((tensor[name] for name in _LISTS if name in tensor), [])
        if dtype is None or any(n > LARGEST for n in dims):
            return None
        reader = self.program.reader

        def load() -> Any:
            if size * item_size(dtype) > LARGEST:
                refuse(self.path, f"the constant `{o.name[:80]}` has {size:,} values")
            if tensor.get("tensor_content"):
                start, stop = tensor["tensor_content"][-1]
                data = reader.data[start:stop]
                if len(data) != size * item_size(dtype):
                    refuse(self.path, f"the constant `{o.name[:80]}` is cut")
                array = numbers_in(data, dtype)
            else:
                listed = written[:size]
                if dtype in _HALVES:  # listed by their bits
                    array = numbers_in(np.array(listed or [0], "<u2").tobytes(), dtype)
                else:
                    array = np.array(listed or [0], dtype)
                # Equal values at the end are written once.
                array = np.pad(array, (0, max(size - array.size, 0)), "edge")[:size]
            return array.reshape(dims)

        kind = "float" if number in FLOATS else "int"
        values = None
        if size <= MOST_VALUES:
            if written and not tensor.get("tensor_content") and dtype not in _HALVES:
                values = [*written, *[written[-1]] * (size - len(written))][:size]
            else:
                values = load().ravel().tolist()
            if dtype == "float32" and size <= MOST_SHORT:
                values = list(map(shortest, values))
        many = size > MOST_FACTORS and kind == "float"
        return Constant(
            dims,
            kind,
            None if values is None else tuple(values),
            load,
            o.name if many else "",
            size if many else 0,
            STORED if many else FIXED,
        )


_HALVES: Final = ("float16", "bfloat16")
"""Types of 16 bits, whose lists have the bits as whole numbers."""

MOST_FACTORS: Final = 4
"""Largest number of values of a constant that is part of the arithmetic, and no stored weight."""

_LISTS: Final = ("float_val", "double_val", "int_val", "int64_val", "bool_val", "half_val")
"""Fields of a constant's message that may have its values."""


def _output_name(name: str) -> str:
    """Return the name of an output, which an input may have too."""
    return f"{name} "


def _keys(program: Program, scope: Scope, restore: str) -> dict[str, str]:
    """Return the key in the checkpoint of each variable, by the operator that makes it.

    The graph itself says so: it has the operators that read the checkpoint and assign each array.
    """
    step = scope.steps.get(restore)
    if step is None:
        return {}
    handles = {name: name for name in scope.steps}
    steps = scope.steps
    if step.kind in CALLS:
        name = step.attributes.get("f", {}).get("func", {}).get("name", "")
        if name not in program.functions:
            return {}
        function = program.function(name)
        arguments = [
            each.get("name", "") for each in function.get("signature", {}).get("input_arg", [])
        ]
        given = [source_of(each)[0] for each in step.inputs]
        handles = dict(zip(arguments, given, strict=False))
        steps = scope_of(function.get("node_def", [])).steps
    found: dict[str, str] = {}
    for each in steps.values():
        if each.kind not in ("AssignVariableOp", "Assign") or len(each.inputs) != 2:
            continue
        handle, (source, number) = (
            handles.get(source_of(each.inputs[0])[0]),
            source_of(each.inputs[1]),
        )
        while source in steps and steps[source].kind == "Identity" and steps[source].inputs:
            source, number = source_of(steps[source].inputs[0])
        read = steps.get(source)
        if handle is None or read is None or read.kind != "RestoreV2" or len(read.inputs) < 2:
            continue
        names = steps.get(source_of(read.inputs[1])[0])
        tensor = {} if names is None else names.attributes.get("value", {}).get("tensor", {})
        keys = tensor.get("string_val", [])
        if number < len(keys):
            found[handle] = keys[number]
    return found


def _trainable(objects: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Return whether training changes each variable.

    Keras lists the trainable ones beside the model; what it stores with a variable itself is true
    for those of frozen layers too, and counts for models of others.
    """
    found = {
        each["variable"].get("name", ""): bool(each["variable"].get("trainable"))
        for each in objects
        if "variable" in each
    }
    lists = {
        child.get("local_name", ""): child.get("node_id", 0)
        for child in (objects[0].get("children", []) if objects else [])
    }
    place = lists.get("trainable_variables", -1)
    if 0 <= place < len(objects):
        listed = [child.get("node_id", 0) for child in objects[place].get("children", [])]
        names = [objects[at].get("variable", {}) for at in listed if 0 <= at < len(objects)]
        found = dict.fromkeys(found, False) | {each.get("name", ""): True for each in names}
    return found


def _signature(file: Path, graph: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the ends of the signature that serves, or of the first."""
    signatures = {
        entry.get("key", ""): entry.get("value", {}) for entry in graph.get("signature_def", [])
    }
    usable = {key: ends for key, ends in signatures.items() if ends.get("inputs")}
    if not usable:
        raise UsageError(
            f"{file} has no signature, so nothing says where its network begins: save it with "
            "`tf.saved_model.save(model, path, signatures=...)`, or with `model.export(path)` of "
            "Keras"
        )
    key = "serving_default" if "serving_default" in usable else next(iter(usable))
    return key, usable[key]

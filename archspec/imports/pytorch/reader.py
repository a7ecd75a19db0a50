"""A program of `torch.export` becomes a graph: each operator by a function of a table."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Final

from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.limits import fault, refuse
from archspec.imports.model import ImportedModel
from archspec.imports.onnx.reader import build
from archspec.imports.onnx.source import (
    FIXED,
    REASON,
    STORED,
    Constant,
    Dims,
    Source,
    scope_name,
)
from archspec.imports.onnx.writing import Unwritten
from archspec.imports.pytorch import arithmetic, arrangement, layers, pooling, recurrent
from archspec.imports.pytorch.archive import Archive, opened, read_archive, read_array
from archspec.imports.pytorch.writing import (
    REAL_TYPES,
    Operator,
    Program,
    Tensor,
    tensor_name,
    tensor_names,
)
from archspec.ops.fields import LARGEST

OPSET: Final = 20
"""Version of ONNX's operators in which ATen's are written."""

ATEN: Final[Mapping[str, Operator]] = {
    **layers.OPERATORS,
    **pooling.OPERATORS,
    **recurrent.OPERATORS,
    **arrangement.OPERATORS,
    **arithmetic.OPERATORS,
}
"""The function of each operator of ATen, without its overload and the `_` of those in place."""


def read(path: Path, *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of an archive of `torch.export.save`.

    Raises:
        UsageError: The file is damaged, or holds no such archive.
    """
    archive = read_archive(path)
    try:
        reader = _Reader(path, archive)
        graph = reader.source()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        refuse(path, f"its {archive.place} is not as PyTorch writes it: {fault(error)}")
    version = str(archive.program.get("torch_version", "")).partition("+")[0]
    return build(
        path,
        graph,
        name=reader.name or path.stem,
        format_name=f"PyTorch {version} .pt2".replace("  ", " "),
        opset=OPSET,
        writer="torch.export",
        params=reader.params,
        given=given,
    )


class _Reader:
    """Follows a program's nodes."""

    def __init__(self, path: Path, archive: Archive) -> None:
        self.path = path
        self.stored = archive.stored
        self.archive: zipfile.ZipFile
        """The archive, where `opened` has it open."""
        module = archive.program.get("graph_module", {})
        self.graph: Mapping[str, Any] = module.get("graph", {})
        self.signature: Mapping[str, Any] = module.get("signature", {})
        self.params = 0
        """Number of parameters, as torch counts them."""
        self.name = ""
        """The class of the model."""
        dims = {
            name: _dims(meta.get("sizes", []))
            for name, meta in self.graph.get("tensor_values", {}).items()
        }
        read = {
            name
            for node in self.graph.get("nodes", [])
            for each in node.get("inputs", [])
            for name in tensor_names(_argument(each.get("arg", {})))
        }
        ends = {_output_name(spec) for spec in self.signature.get("output_specs", [])}
        self.written = Program(dims, read | ends)

    def source(self) -> Source:
        """Return the graph."""
        written = self.written
        inputs: dict[str, Dims | None] = {}
        places: dict[str, str] = {}
        for spec in self.signature.get("input_specs", []):
            (kind, value), *_ = spec.items()
            arg = value.get("arg", {})
            name = arg.get("name") or arg.get("as_tensor", {}).get("name", "")
            if kind == "user_input":
                if name:
                    inputs[name] = written.dims.get(name)
                continue
            stored = next((str(value[key]) for key in _STORED_NAMES if key in value), name)
            if name in written.dims:
                # A parameter with two names, as tied weights have, is stored once.
                place = (self.stored.get(stored) or {}).get("path_name", stored)
                if kind == "parameter" and place not in places:
                    self.params += prod(written.dims[name])
                first = places.setdefault(place, stored)
                written.constants[name] = self._array(name, first, kind)
        for node in self.graph.get("nodes", []):
            self._node(node)
        for name in written.stacked:
            written.constants.pop(name, None)
        specs = self.signature.get("output_specs", [])
        outputs = [written.current.get(name, name) for name in map(_output_name, specs) if name]
        return Source(
            self.name,
            written.steps,
            written.constants,
            inputs,
            outputs,
            written.dims,
            opened=self.opened,
        )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the archive, once for all arrays that are read in the context."""
        with opened(self.path) as self.archive:
            yield

    def _array(self, name: str, stored: str, role: str) -> Constant:
        """Return a parameter or a buffer, which is read when it is asked for."""
        dims = self.written.dims[name]
        if any(not isinstance(n, int) or not 0 <= n <= LARGEST for n in dims):
            refuse(self.path, f"the array {stored[:60]!r} has impossible extents")
        meta = self.graph["tensor_values"][name]
        kind = "float" if meta.get("dtype") in REAL_TYPES else "int"
        entry = self.stored.get(stored)

        def load() -> Any:
            return read_array(self.archive, self.path, stored, entry, dims)

        origin = STORED if role == "parameter" else FIXED
        return Constant(dims, kind, None, load, stored, prod(dims), origin)

    def _node(self, node: Mapping[str, Any]) -> None:
        """Write a node: as an operator that archspec does not know where no function writes it."""
        p, outputs = self.written, _outputs(node)
        self._enter(node, outputs)
        if not outputs:
            return
        arguments = self._arguments(node)
        name = _operator_name(node)
        write = ATEN.get(name.rstrip("_") if not name.startswith("_") else name)
        changed = tensor_name(next(iter(arguments.values()), None)) if name.endswith("_") else ""
        if changed in p.slices:
            write = arrangement.written_into  # what the slice was cut from changes with it
        before, reason = len(p.steps), {}
        if write is not None:
            try:
                write(p, arguments, outputs)
            except (LookupError, TypeError, ValueError, AttributeError) as why:
                del p.steps[before:]
                write = None
                if isinstance(why, Unwritten):
                    reason[REASON] = str(why)
        if write is None:
            tensors = [name for value in arguments.values() for name in tensor_names(value)]
            if changed in p.slices:
                whole = p.whole(changed)
                p.current[whole] = p.new(whole)
                p.dims[p.current[whole]] = p.dims[whole]
                tensors, outputs = [whole, *tensors], [p.current[whole], *outputs]
            p.step(name or "operator", tensors, outputs, **reason)
        elif changed and changed not in p.slices:
            p.current[changed] = outputs[0]

    def _enter(self, node: Mapping[str, Any], outputs: Sequence[str]) -> None:
        """Take the names of the modules in which a node is."""
        stack = node.get("metadata", {}).get("nn_module_stack", "").split(";")
        modules = [each for each in (part.split(",", 2) for part in stack) if len(each) == 3]
        if modules and not modules[0][1]:
            self.name = self.name or modules[0][2].rpartition(".")[2]
        if outputs:
            function = node.get("name") or outputs[0]
            paths, classes = [each[1] for each in modules], [each[2] for each in modules]
            self.written.scope = scope_name(paths, classes, function)

    def _arguments(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return a node's arguments by name, those changed in place as they are now."""
        arguments = {
            each.get("name", str(at)): _argument(each.get("arg", {}))
            for at, each in enumerate(node.get("inputs", []))
        }
        for value in arguments.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Tensor):
                    each.name = self.written.current.get(each.name, each.name)
        return arguments


def _operator_name(node: Mapping[str, Any]) -> str:
    """Return the name of an operator without its overload: ATen's own, or one with its library."""
    target = str(node.get("target", "")).removeprefix("torch.ops.")
    parts = target.split(".")
    return parts[1] if parts[0] == "aten" and len(parts) > 1 else target


_STORED_NAMES: Final = (
    "parameter_name",
    "buffer_name",
    "tensor_constant_name",
    "custom_obj_name",
)
"""Keys under which the signature has what a stored array is called."""


def _output_name(spec: Mapping[str, Any]) -> str:
    """Return the name of an output that is a tensor and the model's own; empty for another."""
    arg = spec.get("user_output", {}).get("arg", {})
    return str(arg.get("as_tensor", {}).get("name", ""))


def _argument(arg: Mapping[str, Any]) -> Any:
    """Return the value of an argument; None where it has none, or is only known at run time."""
    given: tuple[str, Any] = next(iter(arg.items()), ("as_none", None))
    kind, value = given
    if kind == "as_tensor":
        return Tensor(value["name"])
    if kind in ("as_tensors", "as_optional_tensors"):
        flat = [each.get("as_tensor", each) if isinstance(each, dict) else {} for each in value]
        return [Tensor(each["name"]) if "name" in each else None for each in flat]
    if kind == "as_sym_int":
        return value.get("as_int")
    if kind == "as_sym_ints":
        return [each.get("as_int") for each in value]
    if kind in ("as_sym_float", "as_sym_bool"):
        return value.get("as_float", value.get("as_bool"))
    return None if kind == "as_none" else value


def _outputs(node: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for each in node.get("outputs", []):
        if "as_tensor" in each:
            names.append(each["as_tensor"]["name"])
        elif "as_tensors" in each:
            names += [tensor["name"] for tensor in each["as_tensors"]]
    return names


def _dims(sizes: Sequence[Mapping[str, Any]]) -> Dims:
    return tuple(
        each["as_int"] if "as_int" in each else str(each.get("as_expr", {}).get("expr_str", "?"))
        for each in sizes
    )

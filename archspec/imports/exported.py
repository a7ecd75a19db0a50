"""PyTorch's `torch.export` archives, `.pt2`: a zip with the graph as JSON, read without torch.

The graph has ATen's operators. Each is written as the steps of ONNX that do the same, and read as
an ONNX file is; `archspec.imports.onnx` then knows one vocabulary. Shapes stand in the archive, and
weights as plain bytes, which are read when they are asked for. Pickles in it are never opened.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.errors import UsageError
from archspec.imports.arrays import numbers_in
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.limits import check_members, fault, open_file, parse_json, refuse
from archspec.imports.model import ImportedModel
from archspec.imports.onnx.reader import build
from archspec.imports.onnx.source import (
    FIXED,
    MOST_VALUES,
    REASON,
    SCOPE,
    STORED,
    Constant,
    Dims,
    Source,
    Step,
    scope_name,
)
from archspec.ops.fields import LARGEST

OPSET: Final = 20
"""Version of ONNX's operators in which ATen's are written."""

_DTYPES: Final = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16",
                  7: "float32", 8: "float64", 12: "bool", 13: "bfloat16"}  # fmt: skip
"""Names of torch's element types by the archive's numbers."""

_OLD: Final = "serialized_exported_program.json"


def read(path: Path, *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of an archive of `torch.export.save`.

    Raises:
        UsageError: The file is damaged, or holds no such archive.
    """
    with _opened(path) as archive:
        names = archive.namelist()
        place = _graph_member(names, path)
        program = parse_json(archive.read(place), place, path)
        root = place.split("models/")[0] if "models/" in place else ""
        stored: dict[str, Any] = {}
        for kind in ("weights", "constants"):  # buffers that a state_dict has not are constants
            folder = f"{root}data/{kind}/"
            config = f"{folder}{Path(place).stem}_{kind}_config.json"
            if config in names:
                stored |= _entries(parse_json(archive.read(config), config, path), folder)
    try:
        reader = _Program(path, program, stored)
        graph = reader.source()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        refuse(path, f"its {place} is not as PyTorch writes it: {fault(error)}")
    version = str(program.get("torch_version", "")).partition("+")[0]
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


_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # a kind of compression that Python does not know is one, too
    UnicodeDecodeError,
)
"""Exceptions by which `zipfile` tells that an archive is damaged."""


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose members are safe to read; refuse it if one that is read is damaged."""
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
            check_members(archive.infolist(), os.fstat(file.fileno()).st_size, path)
            yield archive
        except _DAMAGE as error:
            refuse(path, f"the zip is damaged ({error!s:.100})")


def _graph_member(names: Sequence[str], path: Path) -> str:
    graphs = [
        name for name in names if name.endswith(_OLD) or re.search(r"(^|/)models/.*\.json$", name)
    ]
    return graphs[0] if graphs else refuse(path, "it has no graph")


def _entries(config: Any, folder: str) -> dict[str, Any]:
    """Return what the archive says of each array by its name, with the path of the member."""
    entries = config.get("config", {}) if isinstance(config, dict) else {}
    return {
        name: {**entry, "path_name": f"{folder}{entry.get('path_name', '')}"}
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }


Arguments: TypeAlias = Mapping[str, Any]


class _Program:
    """Writes a program's ATen operators as ONNX's steps."""

    def __init__(self, path: Path, program: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        self.path = path
        self.stored = stored
        self.archive: zipfile.ZipFile
        """The archive, where `opened` has it open."""
        module = program.get("graph_module", {})
        self.graph: Mapping[str, Any] = module.get("graph", {})
        self.signature: Mapping[str, Any] = module.get("signature", {})
        self.dims: dict[str, Dims] = {
            name: _dims(meta.get("sizes", []))
            for name, meta in self.graph.get("tensor_values", {}).items()
        }
        self.steps: list[Step] = []
        self.constants: dict[str, Constant] = {}
        self.params = 0
        """Number of parameters, as torch counts them."""
        self.name = ""
        """The class of the model."""
        self.scope = ""
        """Name of the step at hand."""
        self.slices: dict[str, tuple[str, int, slice | int]] = {}
        """The value that each slice was cut from, the axis and the places."""
        self.current: dict[str, str] = {}
        """The value that stands for each that was changed in place."""
        self.copies: dict[str, str] = {}
        """The value that each copy is one of."""
        self.stacked: set[str] = set()
        """Parameters of recurrences, which are stacked as ONNX has them."""
        self.read_later = {
            name
            for node in self.graph.get("nodes", [])
            for each in node.get("inputs", [])
            for name in _names(_argument(each.get("arg", {})))
        } | {_output_name(spec) for spec in self.signature.get("output_specs", [])}
        """The values that a node reads, and the outputs."""
        self.zeros: set[str] = set()
        """The values that are zeros, as a recurrence's first state is."""

    def source(self) -> Source:
        """Return the graph."""
        inputs: dict[str, Dims | None] = {}
        places: dict[str, str] = {}
        for spec in self.signature.get("input_specs", []):
            (kind, value), *_ = spec.items()
            arg = value.get("arg", {})
            name = arg.get("name") or arg.get("as_tensor", {}).get("name", "")
            if kind == "user_input":
                if name:
                    inputs[name] = self.dims.get(name)
                continue
            stored = next((str(value[key]) for key in _STORED_NAMES if key in value), name)
            if name in self.dims:
                # A parameter with two names, as tied weights have, is stored once.
                place = (self.stored.get(stored) or {}).get("path_name", stored)
                if kind == "parameter" and place not in places:
                    self.params += prod(self.dims[name])
                first = places.setdefault(place, stored)
                self.constants[name] = self._array(name, first, kind)
        for node in self.graph.get("nodes", []):
            self._node(node)
        for name in self.stacked:
            self.constants.pop(name, None)
        specs = self.signature.get("output_specs", [])
        outputs = [self.current.get(name, name) for name in map(_output_name, specs) if name]
        return Source(
            self.name,
            self.steps,
            self.constants,
            inputs,
            outputs,
            self.dims,
            opened=self.opened,
        )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the archive, once for all arrays that are read in the context."""
        with _opened(self.path) as self.archive:
            yield

    def _array(self, name: str, stored: str, role: str) -> Constant:
        """Return a parameter or a buffer, which is read when it is asked for."""
        dims = self.dims[name]
        if any(not isinstance(n, int) or not 0 <= n <= LARGEST for n in dims):
            refuse(self.path, f"the array {stored[:60]!r} has impossible extents")
        meta = self.graph["tensor_values"][name]
        kind = "float" if meta.get("dtype") in (6, 7, 8, 13) else "int"
        entry = self.stored.get(stored)

        def load() -> Any:
            return _read_array(self, stored, entry, dims)

        origin = STORED if role == "parameter" else FIXED
        return Constant(dims, kind, None, load, stored, prod(dims), origin)

    def _node(self, node: Mapping[str, Any]) -> None:
        metadata = node.get("metadata", {})
        stack = [each.split(",", 2) for each in metadata.get("nn_module_stack", "").split(";")]
        full = [each for each in stack if len(each) == 3]
        if full and not full[0][1]:
            self.name = self.name or full[0][2].rpartition(".")[2]
        outputs = _outputs(node)
        if not outputs:
            return
        function = node.get("name") or outputs[0]
        self.scope = scope_name([each[1] for each in full], [each[2] for each in full], function)
        arguments = {
            each.get("name", str(at)): _argument(each.get("arg", {}))
            for at, each in enumerate(node.get("inputs", []))
        }
        for value in arguments.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Tensor):
                    each.name = self.current.get(each.name, each.name)
        target = node.get("target", "").removeprefix("torch.ops.")
        parts = target.split(".")
        name = parts[1] if parts[0] == "aten" and len(parts) > 1 else target
        write = ATEN.get(name.rstrip("_") if not name.startswith("_") else name)
        changed = _name(next(iter(arguments.values()), None)) if name.endswith("_") else ""
        if changed in self.slices:
            write = written_into  # what the slice was cut from changes with it
        before, reason = len(self.steps), {}
        if write is not None:
            try:
                write(self, arguments, outputs)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as why:
                del self.steps[before:]
                write = None
                if isinstance(why, _Unwritten):
                    reason[REASON] = str(why)
        if write is None:
            tensors = [name for value in arguments.values() for name in _names(value)]
            if changed in self.slices:
                whole = self.whole(changed)
                self.current[whole] = self.new(whole)
                self.dims[self.current[whole]] = self.dims[whole]
                tensors, outputs = [whole, *tensors], [self.current[whole], *outputs]
            self.step(name or "operator", tensors, outputs, **reason)
        elif changed and changed not in self.slices:
            self.current[changed] = outputs[0]

    def whole(self, name: str) -> str:
        """Return the value of which another is a slice, or a slice of a slice."""
        while name in self.slices:
            name = self.slices[name][0]
        return name

    # What the functions of operators use.

    def step(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a step."""
        attributes[SCOPE] = self.scope
        self.steps.append(Step(op, "", tuple(inputs), tuple(outputs), attributes))

    def stepped(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a step and return the name of its output."""
        output = self.new("archspec")
        self.step(op, inputs, [output], **attributes)
        return output

    def constant(self, constant: Constant) -> str:
        """Return the name of a constant."""
        name = f"archspec_constant_{len(self.constants)}"
        self.constants[name] = constant
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant with one value."""
        return self.constant(
            Constant.of((), [value], "float" if isinstance(value, float) else "int")
        )

    def ints(self, values: Sequence[int]) -> str:
        """Return the name of a constant that is a list of whole numbers."""
        return self.constant(Constant.of((len(values),), list(values)))

    def new(self, like: str) -> str:
        """Return the name of a value between two steps."""
        return f"{like}_archspec_{len(self.steps)}"

    def rank(self, tensor: Tensor) -> int:
        return len(self.dims[tensor.name])

    def shape_of(self, output: str) -> list[int]:
        """Return the extents of a value for Reshape: 0 for an open first one, -1 for another."""
        return [
            n if isinstance(n, int) else 0 if at == 0 else -1
            for at, n in enumerate(self.dims[output])
        ]


class _Unwritten(ValueError):  # noqa: N818  (no error: the layer is shown as unknown)
    """A clause that says why ONNX, or archspec, has no operator for one of ATen."""


_STORED_NAMES: Final = (
    "parameter_name",
    "buffer_name",
    "tensor_constant_name",
    "custom_obj_name",
)
"""Keys under which the signature has what a stored array is called."""


class Tensor:
    """An argument that is a tensor."""

    def __init__(self, name: str) -> None:
        self.name = name


def _output_name(spec: Mapping[str, Any]) -> str:
    """Return the name of an output that is a tensor and the model's own; empty for another."""
    arg = spec.get("user_output", {}).get("arg", {})
    return str(arg.get("as_tensor", {}).get("name", ""))


def _names(value: Any) -> list[str]:
    """Return the names of the tensors in an argument."""
    listed = value if isinstance(value, list) else [value]
    return [each.name for each in listed if isinstance(each, Tensor)]


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


def _read_array(p: _Program, stored: str, entry: Mapping[str, Any] | None, dims: Dims) -> Any:
    """Return an array of the open archive."""
    import numpy as np  # noqa: PLC0415

    if entry is None or entry.get("use_pickle"):
        raise UsageError(
            f"{p.path} has {stored} in a pickle, which archspec does not open: save the program "
            "with PyTorch 2.9 or later for its weights"
        )
    meta = entry.get("tensor_meta", {})
    dtype = _DTYPES.get(meta.get("dtype", 0))
    if dtype is None:
        raise UsageError(f"{p.path} has {stored} in a type of numbers that archspec does not read")
    member = str(entry.get("path_name", ""))
    try:
        raw = p.archive.read(member)
    except KeyError:
        refuse(p.path, f"it has no {member[:100]}")
    array = numbers_in(raw, dtype)
    strides = [each.get("as_int", 0) for each in meta.get("strides", [])]
    start = meta.get("storage_offset", {}).get("as_int", 0)
    last = start + sum((n - 1) * step for n, step in zip(dims, strides, strict=True))
    if min([*strides, start], default=0) < 0 or (prod(dims) and last >= array.size):
        refuse(p.path, f"the array {stored[:60]!r} is cut")
    bytes_ = array.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        array[start:], dims, [step * bytes_ for step in strides], writeable=False
    ).copy()


# Operators of ATen: one function each, called as ATen calls the operator.

Writer: TypeAlias = Callable[[_Program, Arguments, Sequence[str]], None]


def _name(value: Any) -> str:
    return value.name if isinstance(value, Tensor) else ""


def _first(a: Arguments) -> Tensor:
    """Return the first argument that is a tensor."""
    return next(value for value in a.values() if isinstance(value, Tensor))


def _each(value: Any, count: int) -> list[int]:
    """Return one number for each axis; ATen repeats a single one."""
    numbers = list(value) if isinstance(value, list) else [value]
    return [int(n) for n in (numbers * count if len(numbers) == 1 else numbers)]


def _plain(op: str, **attributes: Any) -> Writer:
    """Return the function of an operator on one tensor."""

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        p.step(op, [_name(next(iter(a.values())))], outputs[:1], **attributes)

    return write


def same(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write what keeps every value."""
    x = _first(a).name
    p.copies[outputs[0]] = p.copies.get(x, x)
    p.step("Identity", [x], outputs[:1])


def _with(op: str, **names: tuple[str, float]) -> Writer:
    """Return the function of an operator with numbers: ONNX's name, ATen's, and the default."""

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        numbers = {
            ours: float(a[theirs] if a.get(theirs) is not None else default)
            for ours, (theirs, default) in names.items()
        }
        p.step(op, [_name(next(iter(a.values())))], outputs[:1], **numbers)

    return write


def convolution(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    rank = p.rank(a["weight"]) - 2
    padding = a.get("padding", 0)
    attributes: dict[str, Any] = {
        "strides": _each(a.get("stride") or 1, rank),
        "dilations": _each(a.get("dilation") or 1, rank),
        "group": int(a.get("groups") or 1),
    }
    if isinstance(padding, str):
        attributes["auto_pad"] = "VALID" if padding == "valid" else "SAME_UPPER"
    else:
        attributes["pads"] = _each(padding or 0, rank) * 2
    op = "ConvTranspose" if a.get("transposed") else "Conv"
    if a.get("transposed"):
        attributes["output_padding"] = _each(a.get("output_padding") or 0, rank)
    inputs = [a["input"].name, a["weight"].name, _name(a.get("bias"))]
    p.step(op, inputs if inputs[2] else inputs[:2], outputs[:1], **attributes)


def conv_transpose(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    convolution(p, {**a, "transposed": True}, outputs)


def linear(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    inputs = [a["input"].name, a["weight"].name, _name(a.get("bias"))]
    p.step("Gemm", inputs if inputs[2] else inputs[:2], outputs, transB=1)


def addmm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    factors = {name: float(a[name]) for name in ("alpha", "beta") if a.get(name) is not None}
    p.step("Gemm", [a["mat1"].name, a["mat2"].name, a["self"].name], outputs, **factors)


def add_products(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write beta * self + alpha * (batch1 @ batch2)."""
    product = _times(p, p.stepped("MatMul", [a["batch1"].name, a["batch2"].name]), a.get("alpha"))
    p.step("Add", [product, _times(p, a["self"].name, a.get("beta"))], outputs)


def _times(p: _Program, name: str, factor: float | None) -> str:
    """Return a value times a number."""
    return name if factor in (None, 1) else p.stepped("Mul", [name, p.number(float(factor or 0))])


def matmul(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("MatMul", [value.name for value in a.values() if isinstance(value, Tensor)], outputs)


def batch_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    names = ("input", "weight", "bias", "running_mean", "running_var")
    if not _name(a.get("running_mean")):
        if p.dims[a["input"].name][0] != 1:
            raise _Unwritten("it normalises by the statistics of the batch alone")
        instance_norm(p, a, outputs[:1])  # those of one example are the batch's
        return
    p.step(
        "BatchNormalization",
        [_name(a.get(name)) for name in names],
        outputs[:1],
        epsilon=float(a.get("eps", 1e-5)),
        momentum=1 - float(a.get("momentum", 0.1)),
    )


def layer_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step(
        "LayerNormalization",
        [_name(a.get(name)) for name in ("input", "weight", "bias")],
        outputs[:1],
        epsilon=float(a.get("eps", 1e-5)),
        axis=-len(a["normalized_shape"]),
    )


def group_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step(
        "GroupNormalization",
        [_name(a.get(name)) for name in ("input", "weight", "bias")],
        outputs[:1],
        epsilon=float(a.get("eps", 1e-5)),
        num_groups=int(a["num_groups"]),
    )


def native_group_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    group_norm(p, {**a, "num_groups": a["group"]}, outputs)


def instance_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    names = [_name(a.get(name)) for name in ("input", "weight", "bias")]
    p.step("InstanceNormalization", names, outputs, epsilon=float(a.get("eps", 1e-5)))


def pool(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    _pool(p, a, outputs, "MaxPool")


def avg_pool(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    if a.get("divisor_override"):
        raise ValueError
    counted = 1 if a.get("count_include_pad", True) else 0
    _pool(p, a, outputs, "AveragePool", count_include_pad=counted)


def _pool(p: _Program, a: Arguments, outputs: Sequence[str], op: str, **more: Any) -> None:
    rank = p.rank(a["self"]) - 2
    kernel = _each(a["kernel_size"], rank)
    p.step(
        op,
        [a["self"].name],
        outputs,
        kernel_shape=kernel,
        strides=_each(a.get("stride") or kernel, rank),
        pads=_each(a.get("padding") or 0, rank) * 2,
        dilations=_each(a.get("dilation") or 1, rank),
        ceil_mode=int(bool(a.get("ceil_mode"))),
        **more,
    )


def _adaptive(whole: str, window: str) -> Writer:
    """Return the function of a pool to a given size."""

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        x = a["self"].name
        before, after = p.dims[x][2:], p.dims[outputs[0]][2:]
        if all(n == 1 for n in after):
            p.step(whole, [x], outputs[:1])
            return
        if any(not isinstance(n, int) or n % m for n, m in zip(before, after, strict=True)):
            raise _Unwritten("its windows are of several sizes")
        kernel = [n // m for n, m in zip(before, after, strict=True)]
        p.step(window, [x], outputs[:1], kernel_shape=kernel, strides=kernel)

    return write


def _reduced(op: str) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        axes = a.get("dim")
        axes = [axes] if isinstance(axes, int) else axes or list(range(p.rank(a["self"])))
        keep = int(bool(a.get("keepdim")))
        p.step(op, [a["self"].name, p.ints(axes)], outputs[:1], keepdims=keep)

    return write


def largest(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the largest value along an axis; where it stands is not known."""
    if any(name in p.read_later for name in outputs[1:]):
        raise ValueError
    _reduced("ReduceMax")(p, a, outputs)


def length(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the root of the sum of squares along axes."""
    if float(a.get("ord", a.get("p")) or 2) != 2:
        raise ValueError
    _reduced("ReduceL2")(p, a, outputs)


def _shaped(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write what gives the same values other extents."""
    x = _first(a)
    p.step("Reshape", [x.name, p.ints(p.shape_of(outputs[0]))], outputs)


def root(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write x * rsqrt(mean(x^2) + epsilon), times a weight."""
    names = [a["input"].name, _name(a.get("weight"))]
    # Without an epsilon torch takes that of the type, here of float32.
    epsilon = float(a["eps"]) if a.get("eps") is not None else 2.0**-23
    axis = -len(a["normalized_shape"])
    p.step("RMSNormalization", names, outputs[:1], epsilon=epsilon, axis=axis)


def regrouped(p: _Program, x: str, output: str, dims: Sequence[Any], order: Sequence[int]) -> None:
    """Write values whose axes are split, moved and joined again, as those of shuffles are."""
    first = [0, *dims[1:]]
    split = p.stepped("Reshape", [x, p.ints(first)])
    moved = p.stepped("Transpose", [split], perm=list(order))
    p.step("Reshape", [moved, p.ints(p.shape_of(output))], [output])


def channel_shuffle(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    x, groups = a["self"].name, int(a["groups"])
    batch, channels, *rest = p.dims[x]
    order = [0, 2, 1, *range(3, len(rest) + 3)]
    regrouped(p, x, outputs[0], [batch, groups, channels // groups, *rest], order)


def pixel_unshuffle(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    x, by = a["self"].name, int(a["downscale_factor"])
    batch, channels, height, width = p.dims[x]
    regrouped(
        p, x, outputs[0], [batch, channels, height // by, by, width // by, by], (0, 1, 3, 5, 2, 4)
    )


def weight_norm(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a direction at a length: g * v / |v|. (Salimans & Kingma 2016, equation 2)"""
    direction, length = a["v"].name, a["g"].name
    rank, kept = len(p.dims[direction]), int(a.get("dim") or 0)
    axes = p.ints([axis for axis in range(rank) if axis != kept % rank])
    squares = p.stepped("Mul", [direction, direction])
    norm = p.stepped("Sqrt", [p.stepped("ReduceSum", [squares, axes], keepdims=1)])
    p.step("Mul", [direction, p.stepped("Div", [length, norm])], outputs[:1])


def expand(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    to = [n if n >= 0 else 1 for n in p.shape_of(outputs[0])]
    p.step("Expand", [a["self"].name, p.ints([n or 1 for n in to])], outputs)


def permute(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    rank = p.rank(a["self"])
    p.step("Transpose", [a["self"].name], outputs, perm=[axis % rank for axis in a["dims"]])


def transpose(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    order = list(range(p.rank(a["self"])))
    one, other = a.get("dim0", a.get("axis0")), a.get("dim1", a.get("axis1"))
    order[one], order[other] = order[other], order[one]
    p.step("Transpose", [a["self"].name], outputs, perm=order)


def turned(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    order = list(reversed(range(p.rank(a["self"]))))
    p.step("Transpose", [a["self"].name], outputs, perm=order)


def cat(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Concat", [each.name for each in a["tensors"]], outputs, axis=int(a.get("dim") or 0))


def stack(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0) % len(p.dims[outputs[0]])
    parts = [p.stepped("Unsqueeze", [each.name, p.ints([axis])]) for each in a["tensors"]]
    p.step("Concat", parts, outputs, axis=axis)


def roll(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("archspec.Roll", [a["self"].name], outputs, by=list(a["shifts"]), axes=list(a["dims"]))


def add_product(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    if float(a.get("value") or 1) != 1:
        raise ValueError
    product = p.stepped("Mul", [a["tensor1"].name, a["tensor2"].name])
    p.step("Add", [product, a["self"].name], outputs)


def split(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0)
    sizes = [p.dims[output][axis] for output in outputs]
    p.step("Split", [a["self"].name, p.ints(sizes)], outputs, axis=axis)


def slice_(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis, start, stop = int(a.get("dim") or 0), a.get("start") or 0, a.get("end")
    if stop is None:
        stop = 2**63 - 1
    by = a.get("step") or 1
    p.slices[outputs[0]] = a["self"].name, axis, slice(start, stop, by)
    inputs = [a["self"].name, *(p.ints([n]) for n in (start, stop, axis, by))]
    p.step("Slice", inputs, outputs)


def written_into(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Keep a constant of which a slice is filled, as the mask of shifted windows is made.

    It is one that the program made, or a copy of a stored one, as the bias of Swin v2's queries,
    keys and values, of which the keys have none.

    Raises:
        KeyError: It is no constant, or the value is none.
        ValueError: It is a stored array.
    """
    name, value, cuts = a["self"].name, a.get("value", a.get("src", 0)), []
    while name in p.slices:
        name, axis, cut = p.slices[name]
        cuts.append((axis, cut))
    base = p.constants[p.copies.get(name, name)]
    given = p.constants[p.copies.get(value.name, value.name)] if isinstance(value, Tensor) else None
    if name not in p.copies and (base.name or base.count):
        raise ValueError

    def load() -> Any:
        array = part = base.load().copy()
        for axis, cut in reversed(cuts):
            part = part[(slice(None),) * axis + (cut,)]
        part[...] = value if given is None else given.load()
        return array

    filled = replace(base, values=None, load=load)
    if name in p.copies:  # whose own step comes before this one
        p.current[name] = p.constant(filled)
        p.copies[p.current[name]] = p.current[name]
        p.dims[p.current[name]] = p.dims[name]
    else:
        p.constants[name] = filled
    p.step("Identity", [p.current.get(name, name)], outputs)


def unbind(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0)
    for at, output in enumerate(outputs):
        p.step("Gather", [a["self"].name, p.number(at)], [output], axis=axis)


def select(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis, index = int(a["dim"]), int(a["index"])
    p.slices[outputs[0]] = a["self"].name, axis, index
    p.step("Gather", [a["self"].name, p.number(index)], outputs, axis=axis)


def index(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the lookup along one axis by an array of numbers."""
    places = [at for at, each in enumerate(a["indices"]) if each is not None]
    if len(places) != 1:
        raise ValueError
    p.step("Gather", [a["self"].name, a["indices"][places[0]].name], outputs, axis=places[0])


def _arithmetic(op: str) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        names = [
            value.name if isinstance(value, Tensor) else p.number(float(value))
            for value in (a["self"], a["other"])
        ]
        if a.get("alpha") not in (None, 1, 1.0):
            raise ValueError
        p.step(op, names, outputs)

    return write


def einsum(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Einsum", [each.name for each in a["tensors"]], outputs, equation=str(a["equation"]))


def rsub(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    _arithmetic("Sub")(p, {"self": a["other"], "other": a["self"]}, outputs)


def _softmax(op: str) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        p.step(op, [a["self"].name], outputs, axis=int(a["dim"]))

    return write


def dropout(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    x = _first(a)
    if a.get("train") or a.get("training"):
        p.step("Dropout", [x.name], outputs[:1], ratio=float(a["p"]))
    else:
        p.step("Identity", [x.name], outputs[:1])


def clamp(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    low, high = a.get("min", a.get("min_val")), a.get("max", a.get("max_val"))
    limits = {"min": low, "max": high}
    numbers = {key: float(value) for key, value in limits.items() if value is not None}
    p.step("Clip", [a["self"].name], outputs, **numbers)


def hardtanh(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    clamp(p, {"min_val": -1.0, "max_val": 1.0, **a}, outputs)


def gelu(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Gelu", [a["self"].name], outputs, approximate=a.get("approximate") or "none")


def threshold(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    numbers = {"threshold": float(a["threshold"]), "value": float(a["value"])}
    p.step("archspec.Threshold", [a["self"].name], outputs, **numbers)


def randomized_relu(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the mean slope of a randomized ReLU, which it has when it does not train."""
    if a.get("training"):
        raise ValueError
    slope = (float(a.get("lower", 1 / 8)) + float(a.get("upper", 1 / 3))) / 2
    p.step("LeakyRelu", [a["self"].name], outputs, alpha=slope)


def prelu(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("PRelu", [a["self"].name, a["weight"].name], outputs)


def embedding(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Gather", [a["weight"].name, a["indices"].name], outputs, axis=0)


def _resized(mode: str, places: str = "half_pixel") -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        x = _first(a)
        sizes = [n if isinstance(n, int) else None for n in p.dims[outputs[0]]]
        first = p.dims[x.name][0]
        sizes[0] = first if isinstance(first, int) else 1
        if None in sizes:
            raise ValueError
        corners = "align_corners" if a.get("align_corners") else places
        known = [n for n in sizes[2:] if n is not None]
        axes = list(range(2, len(sizes)))
        p.step(
            "Resize",
            [x.name, "", "", p.ints(known)],
            outputs,
            mode=mode,
            axes=axes,
            coordinate_transformation_mode=corners,
        )

    return write


def _padded(mode: str) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        given = list(a.get("pad", a.get("padding")) or [])
        rank = p.rank(a["self"])
        before, after = [0] * rank, [0] * rank
        for at in range(len(given) // 2):  # from the last axis on
            before[rank - 1 - at], after[rank - 1 - at] = given[2 * at], given[2 * at + 1]
        words = {"replicate": "edge", "circular": "wrap"}
        chosen = str(a.get("mode") or mode)
        p.step(
            "Pad",
            [a["self"].name, p.ints([*before, *after]), p.number(float(a.get("value") or 0))],
            outputs,
            mode=words.get(chosen, chosen),
        )

    return write


def pixel_shuffle(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    factor = int(a["upscale_factor"])
    p.step("DepthToSpace", [a["self"].name], outputs, blocksize=factor, mode="CRD")


def attention(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write scaled dot-product attention: a product, a softmax, a product."""
    q, k, v = (a[name].name for name in ("query", "key", "value"))
    rank = len(p.dims[q])
    size, places = p.dims[q][-1], p.dims[q][-2]
    if a.get("is_causal") and p.dims[k][-2] != places:
        raise ValueError
    if a.get("enable_gqa"):
        k, v = (_for_heads(p, each, p.dims[q][-3]) for each in (k, v))
    names = [p.new(outputs[0] + word) for word in ("key", "scale", "score", "share")]
    order = [*range(rank - 2), rank - 1, rank - 2]
    scope, scale = p.scope, a.get("scale") or size**-0.5
    p.step("Transpose", [k], names[:1], perm=order)
    p.scope = f"{scope}.scale"
    p.step("Mul", [q, p.number(float(scale))], names[1:2])
    p.scope = f"{scope}.scores"
    p.step("MatMul", [names[1], names[0]], names[2:3])
    scores = names[2]
    if a.get("attn_mask") is not None:
        p.scope = f"{scope}.mask"
        scores = p.stepped("Add", [scores, a["attn_mask"].name])
    if a.get("is_causal"):
        p.scope = f"{scope}.mask"
        scores = p.stepped("archspec.CausalMask", [scores])
    p.scope = f"{scope}.softmax"
    p.step("Softmax", [scores], names[3:4], axis=-1)
    p.scope = f"{scope}.values"
    p.step("MatMul", [names[3], v], outputs)


def _for_heads(p: _Program, x: str, heads: Any) -> str:
    """Return keys or values each of which several heads share, once for each head."""
    dims = p.dims[x]
    return _repeated(p, x, len(dims) - 3, heads // dims[-3])


def _repeated(p: _Program, x: str, axis: int, count: int) -> str:
    """Return a value whose places along an axis stand several times, one after the other."""
    dims = [n if isinstance(n, int) else 0 if at == 0 else -1 for at, n in enumerate(p.dims[x])]
    apart = p.stepped("Unsqueeze", [x, p.ints([axis + 1])])
    ones = [1] * (len(dims) + 1)
    ones[axis + 1] = count
    wide = p.stepped("Expand", [apart, p.ints(ones)])
    dims[axis] *= count
    return p.stepped("Reshape", [wide, p.ints(dims)])


def repeat_interleave(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a["dim"]) % p.rank(a["self"])
    p.step("Identity", [_repeated(p, a["self"].name, axis, int(a["repeats"]))], outputs)


def _filled(number: float | None) -> Writer:
    """Return the function of an operator that makes an array of one number, as zeros are."""

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        dims = p.dims[outputs[0]]
        value = float(a["fill_value"]) if number is None else number
        if value == 0:
            p.zeros.add(outputs[0])
        if any(not isinstance(n, int) for n in dims):
            raise ValueError
        values = (value,) * prod(dims) if prod(dims) <= MOST_VALUES else None
        p.constants[outputs[0]] = Constant(
            dims, "float", values, lambda: _full(dims, value), origin=FIXED
        )

    return write


def _full(dims: Dims, value: float) -> Any:
    import numpy as np  # noqa: PLC0415

    return np.full(dims, value, "float32")


def _compared(op: str, *, isnt: bool = False) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        other = a["other"]
        name = other.name if isinstance(other, Tensor) else p.number(float(other))
        if isnt:
            p.step("Not", [p.stepped(op, [a["self"].name, name])], outputs)
        else:
            p.step(op, [a["self"].name, name], outputs)

    return write


def _triangle(upper: int) -> Writer:
    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        diagonal = p.number(int(a.get("diagonal") or 0))
        p.step("Trilu", [a["self"].name, diagonal], outputs, upper=upper)

    return write


def arange(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Keep the numbers from one to another as a constant."""
    start, by = a.get("start") or 0, a.get("step") or 1
    (count,) = p.dims[outputs[0]]
    if not isinstance(count, int) or count > MOST_VALUES:
        raise ValueError
    kind = "int" if isinstance(start, int) and isinstance(by, int) else "float"
    p.constants[outputs[0]] = Constant.of((count,), [start + by * i for i in range(count)], kind)


def repeat(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    copies, x = list(a["repeats"]), a["self"].name
    more = len(copies) - len(p.dims[x])
    if more:
        x = p.stepped("Unsqueeze", [x, p.ints(range(more))])
    p.step("Tile", [x, p.ints(copies)], outputs)


def cumsum(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("CumSum", [a["self"].name, p.number(int(a["dim"]))], outputs)


def power(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    _arithmetic("Pow")(p, {"self": a["self"], "other": a["exponent"]}, outputs)


def square(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Pow", [a["self"].name, p.number(2.0)], outputs)


def rsqrt(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Reciprocal", [p.stepped("Sqrt", [a["self"].name])], outputs)


def masked_fill(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    value = a["value"]
    name = value.name if isinstance(value, Tensor) else p.number(float(value))
    p.step("Where", [a["mask"].name, name, a["self"].name], outputs)


def anywhere(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("any", [a["self"].name], outputs)


def where(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a choice; a softmax that gives zeros where all its scores are masked is one alone.

    PyTorch writes it out as `where(not any(not (scores == -inf))), zeros, softmax(scores))`.
    """
    makers = {step.outputs[0]: step for step in p.steps if step.outputs}
    name, tests = a["condition"].name, []
    for op in ("Not", "any", "Not", "Equal"):
        step = makers.get(name)
        if step is None or step.op != op:
            p.step("Where", [each.name for each in a.values()], outputs)
            return
        tests.append(step)
        name = step.inputs[0]
    chosen = makers.get(a["other"].name)
    if chosen is None or chosen.op != "Softmax" or chosen.inputs[0] != name:
        raise ValueError
    p.steps[:] = [step for step in p.steps if step not in tests]
    p.step("Identity", [a["other"].name], outputs)


def _recurrence(op: str, gates: Sequence[int], **attributes: Any) -> Writer:
    """Return the function of a recurrence.

    Args:
        op: ONNX's operator.
        gates: The place among torch's gates of each of ONNX's.
        attributes: Attributes that all its steps have.
    """

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        x, scope = a["input"].name, p.scope
        params = [p.constants[each.name] for each in a["params"]]
        ways, layers = 1 + bool(a.get("bidirectional")), int(a["num_layers"])
        each = 4 if a.get("has_biases") else 2
        if any(name not in p.zeros for name in _names(a["hx"])):
            raise _Unwritten("it begins with a state that it is given")
        if any(name in p.read_later for name in outputs[2:]):
            raise _Unwritten("its last cell is read")
        if len(params) != each * ways * layers:
            raise _Unwritten("its state is projected to fewer channels")
        states: list[str] | None = [] if {*outputs[1:2]} & p.read_later else None
        turned = bool(a.get("batch_first"))
        if turned:
            x = p.stepped("Transpose", [x], perm=[1, 0, 2])
        for layer in range(layers):
            p.scope = f"{scope}.{layer}" if layers > 1 else scope
            own = params[layer * ways * each : (layer + 1) * ways * each]
            arrays = [_stacked(own[at::each], gates) for at in range(each)]
            names = [p.constant(arrays[0]), p.constant(arrays[1])]
            if each == 4:
                names.append(p.constant(_joined(arrays[2], arrays[3])))
            direction = "bidirectional" if ways == 2 else "forward"
            y = p.new("archspec")
            made = [y]
            if states is not None:
                states.append(p.new("archspec_state"))
                made.append(states[-1])
            p.step(op, [x, *names], made, direction=direction, **attributes)
            if layer == layers - 1 and outputs[0] not in p.read_later:
                continue
            y = p.stepped("Transpose", [y], perm=[0, 2, 1, 3])
            x = p.stepped("Reshape", [y, p.ints([0, 0, -1])])
        if outputs[0] in p.read_later:
            axes = [1, 0, 2] if turned else [0, 1, 2]
            p.step("Transpose", [x], outputs[:1], perm=axes)
        if states is not None:
            p.step("Concat", states, outputs[1:2], axis=0)
        p.stacked.update(each.name for each in a["params"])

    return write


def _recurrent_cell(gates: Callable[..., None]) -> Writer:
    """Return the function of one step of a recurrence: two products, and what `gates` does.

    Args:
        gates: Writes the rest, from the program, the products of input and state, the states
            before and the outputs.
    """

    def write(p: _Program, a: Arguments, outputs: Sequence[str]) -> None:
        states = _names(a["hx"])
        scope, products = p.scope, []
        for word, x in (("input", a["input"].name), ("state", states[0])):
            p.scope = f"{scope}.{word}"
            short = "ih" if word == "input" else "hh"
            names = [x, a[f"w_{short}"].name, _name(a.get(f"b_{short}"))]
            products.append(p.stepped("Gemm", [each for each in names if each], transB=1))
        p.scope = scope
        gates(p, products, states, outputs)

    return write


def _plain_cell(function: str) -> Writer:
    def gates(
        p: _Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
    ) -> None:
        del states  # the product has it
        p.step(function, [p.stepped("Add", products)], outputs)

    return _recurrent_cell(gates)


def _apart(p: _Program, x: str, count: int) -> list[str]:
    """Return equal parts of the channels."""
    parts = [p.new(f"{x}_{at}") for at in range(count)]
    p.step("Split", [x], parts, axis=-1, num_outputs=count)
    return parts


def _lstm_cell(
    p: _Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
) -> None:
    enter, forget, new, out = _apart(p, p.stepped("Add", products), 4)
    kept = p.stepped("Mul", [p.stepped("Sigmoid", [forget]), states[1]])
    added = p.stepped("Mul", [p.stepped("Sigmoid", [enter]), p.stepped("Tanh", [new])])
    p.step("Add", [kept, added], outputs[1:2])
    p.step("Mul", [p.stepped("Sigmoid", [out]), p.stepped("Tanh", [outputs[1]])], outputs[:1])


def _gru_cell(
    p: _Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
) -> None:
    (reset, update, new), (reset_2, update_2, new_2) = (_apart(p, each, 3) for each in products)
    gate = p.stepped("Sigmoid", [p.stepped("Add", [reset, reset_2])])
    share = p.stepped("Sigmoid", [p.stepped("Add", [update, update_2])])
    sum_ = p.stepped("Add", [new, p.stepped("Mul", [gate, new_2])])
    new = p.stepped("Tanh", [sum_])
    difference = p.stepped("Sub", [states[0], new])
    p.step("Add", [new, p.stepped("Mul", [share, difference])], outputs)


def _stacked(arrays: Sequence[Constant], gates: Sequence[int]) -> Constant:
    """Return the arrays of all directions as one, with the gates in ONNX's order."""

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        parts = [np.split(each.load(), len(gates)) for each in arrays]
        return np.stack([np.concatenate([way[gate] for gate in gates]) for way in parts])

    dims = (len(arrays), *arrays[0].dims)
    count = sum(each.count for each in arrays)
    return Constant(dims, "float", None, load, arrays[0].name, count)


def _joined(first: Constant, second: Constant) -> Constant:
    """Return the two biases of a recurrence side by side."""

    def load() -> Any:
        import numpy as np  # noqa: PLC0415

        return np.concatenate([first.load(), second.load()], 1)

    dims = (first.dims[0], first.dims[1] + second.dims[1])
    return Constant(dims, "float", None, load, first.name, first.count + second.count)


def _by_rank(name: str, write: Writer) -> dict[str, Writer]:
    """Return a function under the names that ATen has for one to three spatial axes."""
    return {f"{name}{rank}d": write for rank in (1, 2, 3)}


ATEN: Final[Mapping[str, Writer]] = {
    **_by_rank("conv", convolution),
    **_by_rank("conv_transpose", conv_transpose),
    "convolution": convolution,
    "linear": linear,
    "addmm": addmm,
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), matmul),
    "baddbmm": add_products,
    "matmul": matmul,
    "batch_norm": batch_norm,
    **dict.fromkeys(
        ("_native_batch_norm_legit", "_native_batch_norm_legit_functional",
         "_native_batch_norm_legit_no_training", "native_batch_norm"),
        batch_norm,
    ),
    "layer_norm": layer_norm,
    "native_layer_norm": layer_norm,
    "group_norm": group_norm,
    "native_group_norm": native_group_norm,
    "rms_norm": root,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), weight_norm),
    "instance_norm": instance_norm,
    **_by_rank("max_pool", pool),
    **{f"max_pool{rank}d_with_indices": pool for rank in (2, 3)},
    **_by_rank("avg_pool", avg_pool),
    **_by_rank("adaptive_avg_pool", _adaptive("GlobalAveragePool", "AveragePool")),
    **_by_rank("_adaptive_avg_pool", _adaptive("GlobalAveragePool", "AveragePool")),
    **_by_rank("adaptive_max_pool", _adaptive("GlobalMaxPool", "MaxPool")),
    "mean": _reduced("ReduceMean"),
    "sum": _reduced("ReduceSum"),
    "amax": _reduced("ReduceMax"),
    "max": largest,
    "linalg_vector_norm": length,
    "norm": length,
    **dict.fromkeys(
        ("flatten", "unflatten", "view", "_unsafe_view", "reshape", "squeeze", "unsqueeze",
         "view_copy", "reshape_as", "view_as"),
        _shaped,
    ),
    "expand": expand,
    "expand_as": expand,
    "permute": permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    "t": turned,
    "numpy_T": turned,
    "cat": cat,
    "stack": stack,
    "roll": roll,
    "addcmul": add_product,
    "einsum": einsum,
    "concat": cat,
    "split": split,
    "split_with_sizes": split,
    "chunk": split,
    "slice": slice_,
    "select": select,
    "index": index,
    "unbind": unbind,
    "add": _arithmetic("Add"),
    "sub": _arithmetic("Sub"),
    "mul": _arithmetic("Mul"),
    "div": _arithmetic("Div"),
    "maximum": _arithmetic("Max"),
    "minimum": _arithmetic("Min"),
    "rsub": rsub,
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "_log_softmax": _softmax("LogSoftmax"),
    "dropout": dropout,
    "feature_dropout": dropout,
    "relu": _plain("Relu"),
    "relu6": _plain("Clip", min=0.0, max=6.0),
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "silu": _plain("archspec.Swish"),
    "mish": _plain("Mish"),
    "hardswish": _plain("HardSwish"),
    "hardsigmoid": _plain("archspec.HardSigmoid"),
    "selu": _plain("Selu"),
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "log_sigmoid": _plain("archspec.LogSigmoid"),
    "exp": _plain("Exp"),
    "abs": _plain("Abs"),
    "neg": _plain("Neg"),
    "glu": _plain("archspec.Glu"),
    "leaky_relu": _with("LeakyRelu", alpha=("negative_slope", 0.01)),
    "elu": _with("Elu", alpha=("alpha", 1.0)),
    "celu": _with("Celu", alpha=("alpha", 1.0)),
    "gelu": gelu,
    "prelu": prelu,
    "hardshrink": _with("Shrink", lambd=("lambd", 0.5)),
    "softshrink": _with("Shrink", lambd=("lambd", 0.5), bias=("lambd", 0.5)),
    "threshold": threshold,
    "rrelu": randomized_relu,
    "hardtanh": hardtanh,
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), clamp),
    "embedding": embedding,
    **dict.fromkeys(("zeros", "new_zeros", "zeros_like"), _filled(0.0)),
    **dict.fromkeys(("ones", "new_ones", "ones_like"), _filled(1.0)),
    **dict.fromkeys(("full", "new_full", "full_like"), _filled(None)),
    "eq": _compared("Equal"),
    "ne": _compared("Equal", isnt=True),
    "lt": _compared("Less"),
    "gt": _compared("Greater"),
    "masked_fill": masked_fill,
    "where": where,
    "any": anywhere,
    **dict.fromkeys(("bitwise_not", "logical_not"), _plain("Not")),
    "pow": power,
    "square": square,
    "sqrt": _plain("Sqrt"),
    "reciprocal": _plain("Reciprocal"),
    "rsqrt": rsqrt,
    "arange": arange,
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    "cumsum": cumsum,
    "triu": _triangle(1),
    "tril": _triangle(0),
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "lstm": _recurrence("LSTM", (0, 3, 1, 2)),
    "gru": _recurrence("GRU", (1, 0, 2), linear_before_reset=1),
    "rnn_tanh": _recurrence("RNN", (0,), activations=["Tanh", "Tanh"]),
    "lstm_cell": _recurrent_cell(_lstm_cell),
    "gru_cell": _recurrent_cell(_gru_cell),
    "rnn_tanh_cell": _plain_cell("Tanh"),
    "rnn_relu_cell": _plain_cell("Relu"),
    **_by_rank("upsample_nearest", _resized("nearest", "asymmetric")),
    **_by_rank("_upsample_nearest_exact", _resized("nearest")),
    "upsample_linear1d": _resized("linear"),
    "upsample_bilinear2d": _resized("linear"),
    "upsample_trilinear3d": _resized("linear"),
    "upsample_bicubic2d": _resized("cubic"),
    "pad": _padded("constant"),
    "constant_pad_nd": _padded("constant"),
    **_by_rank("reflection_pad", _padded("reflect")),
    **_by_rank("replication_pad", _padded("replicate")),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "scaled_dot_product_attention": attention,
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "alias", "to", "_to_copy", "lift_fresh_copy", "type_as"),
        same,
    ),
}  # fmt: skip
"""The function of each operator of ATen, without its overload and the `_` of those in place."""

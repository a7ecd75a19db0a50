"""The contents of an ONNX file, as values: steps, constants and declared shapes of its graph.

The file is mapped into memory, so the bytes of its arrays are read when a weight is asked for, and
not before. Arrays in other files are never opened: their shapes stand in this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, TypeAlias

from archspec.errors import UsageError
from archspec.imports.arrays import item_size, numbers_in
from archspec.imports.limits import mapped, refuse
from archspec.imports.onnx.proto import FLOATS, INTS, SCHEMAS
from archspec.imports.protobuf import Reader, Span
from archspec.lazy import np
from archspec.ops.fields import LARGEST

MOST_VALUES: Final = 4096
"""Largest number of values of a constant that are read with the graph, for shapes and factors."""

MOST_AXES: Final = 64
"""Largest number of axes of an array."""

Dims: TypeAlias = tuple[Any, ...]
"""Extents as the file has them, the batch among them: whole numbers, formulas, names or None."""


def is_one(extent: Any) -> bool:
    return isinstance(extent, int) and extent == 1


def same(a: Any, b: Any) -> bool:
    """Whether two extents are equal; a name or None is only equal to itself."""
    return type(a) is type(b) and bool(a == b)


STORED: Final = "stored"
"""Origin of an array that was learned, as far as the file tells."""

COMPUTED: Final = "computed"
"""Origin of an array that an exporter computed: of what, the file does not tell."""

FROZEN: Final = "frozen"
"""Origin of a weight that training did not change."""

MALFORMED: Final = (
    ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError
)  # fmt: skip
"""Errors of rules on a step whose inputs and attributes are not as ONNX defines them."""

FIXED: Final = "fixed"
"""Origin of an array that was never learned, as a mask, a grid or a buffer."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that the file holds, or that follows from such arrays alone."""

    dims: tuple[int, ...]
    kind: str
    """`float`, `int`, or `other`."""
    values: tuple[Any, ...] | None
    """The values, the last axis changing fastest; None where there are too many to read at once."""
    load: Callable[[], Any]
    """Read the array, as NumPy's."""
    name: str = ""
    """Name of the stored array from which it follows."""
    count: int = 0
    """Number of stored values from which it follows."""
    origin: str = STORED
    """`STORED`, `FROZEN`, `COMPUTED` or `FIXED`."""
    others: tuple[str, ...] = ()
    """Names of further stored arrays from which it follows."""
    part: str = ""
    """The part of the stored array that it is; empty for the whole."""
    gain: Constant | None = None
    """A factor for each place of the first axis that is in it, as the gain of a kernel is."""
    bare: Constant | None = None
    """The array without its gain; None where it has none."""
    is_standardized: bool = False
    """Whether the network subtracts its mean, or divides it by its deviation, each time it runs."""

    @property
    def size(self) -> int:
        return prod(self.dims)

    @property
    def number(self) -> Any:
        """The only value, or the value that all have; None where there is none."""
        values = self.values
        if not values or any(value != values[0] for value in values):
            return None
        return values[0]

    def vector(self) -> Any:
        """Read the array as a vector."""
        return self.load().reshape(-1)

    @classmethod
    def of(cls, dims: Sequence[int], values: Sequence[Any], kind: str = "int") -> Constant:
        """Return a constant with these values."""

        def load() -> Any:
            return np.array(values, "float32" if kind == "float" else "int64").reshape(dims)

        return cls(tuple(dims), kind, tuple(values), load, origin=FIXED)


@dataclass(frozen=True, eq=False)
class Step:
    """A node of the file's graph."""

    op: str
    """The operator; with its domain before it, unless that is ONNX's own."""
    name: str
    inputs: tuple[str, ...]
    """Names of what it reads; empty for an optional input that is left out."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def input(self, place: int) -> str:
        """Return the name of an input; empty for one that is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute of the type that its default has; the default where it has none."""
        value = self.attributes.get(name, default)
        if default is not None and value is not None and not isinstance(value, type(default)):
            if isinstance(default, float) and isinstance(value, int):
                return float(value)
            return default
        return value


@dataclass(eq=False)
class Source:
    """A graph of a file."""

    name: str
    steps: list[Step]
    constants: dict[str, Constant]
    inputs: dict[str, Dims | None]
    """The declared shape of each input that is not a constant."""
    outputs: list[str]
    declared: dict[str, Dims]
    """The declared shape of values, by name."""
    integers: frozenset[str] = frozenset()
    """The inputs that are whole numbers."""
    opened: Callable[[], AbstractContextManager[object]] = nullcontext
    """Returns a context in which the file is open and its constants can be loaded."""


@dataclass(frozen=True, eq=False)
class ModelSource:
    """An ONNX file."""

    graph: Source
    producer: str
    version: str
    opset: int
    functions: Mapping[str, Mapping[str, Any]]
    """The file's own operators, by domain and name."""


def read_source(path: Any) -> ModelSource:
    """Return what an ONNX file holds.

    Raises:
        UsageError: It cannot be read, or is not an ONNX file.
    """
    reader = Reader(mapped(path), SCHEMAS, path)
    model = reader.message("Model")
    if "graph" not in model or not model["graph"].get("node"):
        refuse(path, "it has no graph")
    opsets = {
        entry.get("domain", ""): entry.get("version", 0) for entry in model.get("opset_import", [])
    }
    graphs = _Graphs(reader, path, model.get("producer_name", ""))
    functions = {
        f"{each.get('domain', '')}.{each.get('name', '')}": graphs.function(each)
        for each in model.get("functions", [])
    }
    return ModelSource(
        graphs.graph(model["graph"]),
        model.get("producer_name", ""),
        model.get("producer_version", ""),
        opsets.get("", opsets.get("ai.onnx", 0)),
        functions,
    )


class _Graphs:
    """Makes values of messages."""

    def __init__(self, reader: Reader, path: object, producer: str) -> None:
        self.reader = reader
        self.path = path
        self.is_torch = producer == "pytorch"

    def graph(self, message: Mapping[str, Any]) -> Source:
        constants = {
            tensor.get("name", ""): self.constant(tensor)
            for tensor in message.get("initializer", [])
        }
        for sparse in message.get("sparse_initializer", []):
            name = sparse.get("values", {}).get("name", "")
            constants[name] = self.sparse(sparse)
        inputs, integers = {}, set()
        for each in message.get("input", []):
            name = each.get("name", "")
            if name not in constants:
                inputs[name] = dims_of(each)
                tensor = each.get("type", {}).get("tensor_type", {})
                if tensor.get("elem_type") in INTS:
                    integers.add(name)
        declared = {
            each.get("name", ""): dims
            for each in (*message.get("value_info", []), *message.get("output", []))
            if (dims := dims_of(each)) is not None
        }
        return Source(
            message.get("name", ""),
            [self.step(node) for node in message.get("node", [])],
            constants,
            inputs,
            [each.get("name", "") for each in message.get("output", [])],
            declared,
            frozenset(integers),
        )

    def step(self, message: Mapping[str, Any]) -> Step:
        domain = message.get("domain", "")
        op = message.get("op_type", "")
        attributes = {
            each.get("name", ""): self.attribute(each) for each in message.get("attribute", [])
        }
        if "metadata_props" in message:
            attributes[SCOPE] = _scope(message["metadata_props"])
        return Step(
            op if domain in ("", "ai.onnx") else f"{domain}.{op}",
            message.get("name", ""),
            tuple(message.get("input", ())),
            tuple(message.get("output", ())),
            attributes,
        )

    def function(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what one of the file's own operators does."""
        defaults = message.get("attribute_proto", [])
        return {
            "input": message.get("input", []),
            "output": message.get("output", []),
            "steps": [self.step(node) for node in message.get("node", [])],
            "defaults": {each.get("name", ""): self.attribute(each) for each in defaults},
        }

    def attribute(self, message: Mapping[str, Any]) -> Any:
        """Return an attribute's value. Numbers that are 0 may be left out of a file."""
        if "ref_attr_name" in message:
            return Reference(message["ref_attr_name"])
        if "t" in message:
            # torch has weights among the initializers alone, other programs in nodes, too.
            return self.constant(message["t"], FIXED if self.is_torch else STORED)
        if "g" in message:
            return self.graph(message["g"])
        if "sparse_tensor" in message:
            return self.sparse(message["sparse_tensor"])
        if "strings" in message:
            return [each.decode("utf-8", "replace") for each in message["strings"]]
        if "s" in message:
            return message["s"].decode("utf-8", "replace")
        for name in ("ints", "floats", "i", "f"):
            if name in message:
                return message[name]
        return {1: 0.0, 2: 0, 3: "", 6: [], 7: [], 8: []}.get(message.get("type", 0))

    def constant(self, message: Mapping[str, Any], origin: str = STORED) -> Constant:
        name = message.get("name", "")
        dims = self._dims(message, name)
        type_ = message.get("data_type", 0)
        kind = "float" if type_ in FLOATS else "int" if type_ in INTS else "other"
        count = prod(dims)
        values: tuple[Any, ...] | None = None
        away = bool(message.get("external_data")) or message.get("data_location", 0) == 1
        if count <= MOST_VALUES and not away and kind != "other":
            values = self._values(message, type_, count)

        def load() -> Any:
            return self._array(message, type_, dims, name, away=away)

        if kind != "float":
            origin = FIXED
        elif self.is_torch and origin == STORED and _is_folded(name):
            origin = COMPUTED
        return Constant(dims, kind, values, load, name, count, origin)

    def _values(self, message: Mapping[str, Any], type_: int, count: int) -> tuple[Any, ...] | None:
        import struct  # noqa: PLC0415

        letter = _LETTERS.get(type_)
        values: list[Any] = []
        if "raw_data" in message and letter is not None:
            raw = self._bytes(message["raw_data"])
            if len(raw) == count * struct.calcsize("<" + letter):
                values = list(struct.unpack(f"<{count}{letter}", raw))
        else:
            for name, kind in _LISTS.items():
                if name in message and type_ not in (10, 16):
                    values = list(self.reader.numbers(kind, message[name]))
        return tuple(values) if len(values) == count else None

    def _array(
        self,
        message: Mapping[str, Any],
        type_: int,
        dims: tuple[int, ...],
        name: str,
        *,
        away: bool,
    ) -> Any:
        if away:
            raise UsageError(
                f"{self.path} has no weights in it: {name} is in another file, which archspec "
                "does not open; save the model in one file for its weights"
            )
        dtype = {**FLOATS, **INTS}.get(type_, "V0")
        stored = next((name for name in ("raw_data", *_LISTS) if name in message), "")
        spans = message.get(stored, [])
        if stored == "raw_data":
            raw = self._bytes(spans)
            size = item_size(dtype)
            if size == 0 or len(raw) % size:
                refuse(self.path, f"the array {name[:60]!r} is cut")
            array = numbers_in(raw, dtype)
        elif _LISTS.get(stored, "int") != "int":
            kind = _LISTS[stored]
            array = numbers_in(self._bytes(spans), "float32" if kind == "float" else "float64")
        else:
            listed = list(self.reader.numbers("int", spans))
            if type_ in (10, 16):  # the bits as whole numbers
                array = numbers_in(np.array(listed).astype("<u2").tobytes(), dtype)
            else:
                array = np.array(listed, dtype)
        if array.size != prod(dims):
            refuse(
                self.path, f"the array {name[:60]!r} has {array.size:,} of {prod(dims):,} values"
            )
        return array.reshape(dims)

    def _bytes(self, spans: Sequence[Span]) -> bytes:
        return b"".join(self.reader.data[start:stop] for start, stop in spans)

    def _dims(self, message: Mapping[str, Any], name: str) -> tuple[int, ...]:
        dims = tuple(message.get("dims", ()))
        if len(dims) > MOST_AXES or any(not 0 <= n <= LARGEST for n in dims):
            refuse(self.path, f"the array {name[:60]!r} has impossible extents")
        return dims

    def sparse(self, message: Mapping[str, Any]) -> Constant:
        values = self.constant(message.get("values", {}))
        indices = self.constant(message.get("indices", {}))
        dims = self._dims(message, values.name)

        def load() -> Any:
            if prod(dims) > 2**31:
                refuse(self.path, f"the array {values.name[:60]!r} has {prod(dims):,} values")
            array = np.zeros(prod(dims), "float32")
            at = indices.load()
            flat = at if at.ndim == 1 else np.ravel_multi_index(tuple(at.T), dims)
            array[flat] = values.load()
            return array.reshape(dims)

        return Constant(dims, values.kind, None, load, values.name, prod(dims))


FULL_NAME: Final = "archspec.full_name"
"""Attribute with the name of a step whose name in `SCOPE` another one has."""

FILLED: Final = "archspec.filled"
"""Attribute of a convolution whose kernel may have zeros for more channels than its input has."""

REASON: Final = "archspec.reason"
"""Attribute with a clause that says why archspec has no layer for a step."""

SCOPE: Final = "archspec.scope"
"""Attribute under which a step keeps the name that the file's metadata have for it."""


def _scope(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of a step that torch wrote, from its stack of modules."""
    texts = {each.get("key", ""): each.get("value", "") for each in entries}
    scopes = re.findall(r"'([^']*)'", texts.get("pkg.torch.onnx.name_scopes", ""))
    classes = re.findall(r"'([^']*)'", texts.get("pkg.torch.onnx.class_hierarchy", ""))
    if not scopes:
        return ""
    return scope_name(scopes[:-1], classes[:-1], scopes[-1])


def scope_name(modules: Sequence[str], classes: Sequence[str], function: str) -> str:
    """Return the name of a step from torch's stack of modules.

    Args:
        modules: Paths of the modules around it, the outermost first.
        classes: The classes of these modules.
        function: The name of the step itself.
    """
    path = next((each for each in reversed(modules) if each), "")
    inside = classes[-1] if classes else ""
    is_leaf = ".nn.modules." in inside and not re.search(
        r"container|transformer|\.MultiheadAttention", inside
    )
    if path and is_leaf:
        return path
    return f"{path}.{function}" if path else function


@dataclass(frozen=True)
class Reference:
    """An attribute of a file's own operator that is given where the operator is used."""

    name: str


def _is_folded(name: str) -> bool:
    """Whether torch's exporters give an array this name because they computed it.

    Weights have the names of modules.
    """
    if name.startswith("onnx::"):
        return "." not in name
    return name.rstrip("0123456789").removesuffix("_") in _FOLDED


_FOLDED: Final = {
    "val", "lifted_tensor", "_lifted_tensor", "_tensor_constant", "add", "cat", "clone",
    "concat", "cos", "div", "exp", "expand", "flatten", "full", "index", "index_select",
    "linear", "masked_fill", "matmul", "mm", "mul", "neg", "ones", "permute", "pow", "repeat",
    "reshape", "roll", "select", "sigmoid", "sin", "slice", "softmax", "split", "squeeze",
    "stack", "sub", "t", "to", "_to_copy", "transpose", "unflatten", "unsqueeze", "view",
    "where", "zeros",
}  # fmt: skip
"""Names of what torch's exporters computed, without their numbers."""

_LETTERS: Final = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i", 7: "q", 9: "?", 10: "e",
                   11: "d", 12: "I", 13: "Q"}  # fmt: skip

_LISTS: Final = {
    "float_data": "float",
    "double_data": "double",
    "int32_data": "int",
    "int64_data": "int",
    "uint64_data": "int",
}


def dims_of(message: Mapping[str, Any]) -> Dims | None:
    """Return the declared shape of a value: numbers, names of open extents, None for neither."""
    tensor = message.get("type", {}).get("tensor_type", {})
    if "shape" not in tensor:
        return None
    dims = tensor["shape"].get("dim", [])
    if len(dims) > MOST_AXES:
        return None
    return tuple(
        each["dim_value"] if each.get("dim_value", 0) > 0 else each.get("dim_param") or None
        for each in dims
    )

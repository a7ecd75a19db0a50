"""A TFLite file as its tables: operators with their tensors, read in place, within bounds."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError, extra
from archspec.imports.limits import mapped, refuse
from archspec.lazy import np

MOST_OPERATORS: Final = 100_000
"""Largest number of operators; a network of archspec's has at most 50,000 nodes."""

MOST_TENSORS: Final = 1_000_000
"""Largest number of tensors."""

MOST_ENDS: Final = 10_000
"""Largest number of inputs, or of outputs, of an operator."""

MOST_AXES: Final = 16
"""Largest number of axes of a tensor."""

MOST_NAME: Final = 1_000
"""Characters of a name that are read; a fused operator has the names of all that it was."""

_DTYPES: Final = {
    0: "<f4",
    1: "<f2",
    2: "<i4",
    3: "u1",
    4: "<i8",
    6: "?",
    7: "<i2",
    9: "i1",
    10: "<f8",
}
"""NumPy's name of each number type, by TFLite's number."""

INTEGERS: Final = {2, 3, 4, 6, 7, 9}
"""The types of whole numbers and of truth values, by TFLite's number."""

_RESULTS: Final = {"DENSIFY", "DEQUANTIZE"}
"""Operators that only give a constant another form."""


class Tensor(NamedTuple):
    """A tensor: its declaration, and where its values are."""

    place: int
    """Its index in the file."""
    name: str
    shape: tuple[int, ...] | None
    """Its extents with the batch, -1 for an open one; None where the file has none."""
    dtype: int
    buffer: int
    scales: tuple[float, ...] = ()
    zeros: tuple[int, ...] = ()
    axis: int = 0
    """The axis along which `scales` and `zeros` differ, where there are several."""
    is_sparse: bool = False


class Operator(NamedTuple):
    """An operator of the main subgraph."""

    kind: str
    """TFLite's name of it: `CONV_2D`; of a custom one, the name that it gives itself."""
    inputs: tuple[int, ...]
    """Indices of its tensors; -1 for an optional one that is absent."""
    outputs: tuple[int, ...]
    options: Any
    """The table of its arguments, as FlatBuffers has it; None where it has none."""

    def read(self, table: str) -> Any:
        """Return its arguments as a table of the schema, such as `Conv2DOptions`."""
        import tflite  # noqa: PLC0415

        options = getattr(tflite, table)()
        if self.options is None:
            raise ValueError(f"{self.kind} has no {table}")
        options.Init(self.options.Bytes, self.options.Pos)
        return options


@dataclass
class TfliteFile:
    """A subgraph of a TFLite file, whose bytes stay on disk."""

    path: str
    _model: Any = field(repr=False)
    _graph: Any = field(repr=False)
    number: int = 0
    """Its number among the subgraphs; 0 is the main one."""

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The operators in the order in which they run."""
        import tflite  # noqa: PLC0415

        count = self._bounded(self._graph.OperatorsLength(), MOST_OPERATORS, "operators")
        codes = self._bounded(self._model.OperatorCodesLength(), MOST_OPERATORS, "operator codes")
        kinds = []
        for code in map(self._model.OperatorCodes, range(codes)):
            number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
            kind = tflite.BUILTIN_OPCODE2NAME.get(number, f"operator {number}")
            custom = code.CustomCode() if kind == "CUSTOM" else None
            kinds.append(_text(custom) or kind)
        found = []
        for operator in map(self._graph.Operators, range(count)):
            index = operator.OpcodeIndex()
            if index >= len(kinds):
                refuse(self.path, "an operator is of no kind")
            inputs = self._indices(operator.InputsLength(), operator.Inputs)
            outputs = self._indices(operator.OutputsLength(), operator.Outputs)
            found.append(Operator(kinds[index], inputs, outputs, operator.BuiltinOptions()))
        return tuple(found)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The declarations of all tensors."""
        count = self._bounded(self._graph.TensorsLength(), MOST_TENSORS, "tensors")
        return tuple(self._tensor(index) for index in range(count))

    def _tensor(self, index: int) -> Tensor:
        table = self._graph.Tensors(index)
        axes = self._bounded(table.ShapeLength(), MOST_AXES, "axes")
        shape = tuple(table.Shape(axis) for axis in range(axes))
        # The signature, which may be absent, has -1 where the shape has a 1 in place of any extent.
        if table.ShapeSignatureLength() == axes:
            shape = tuple(table.ShapeSignature(axis) for axis in range(axes))
        scales: tuple[float, ...] = ()
        zeros: tuple[int, ...] = ()
        axis = 0
        quantization = table.Quantization()
        if quantization is not None:
            most = self._bounded(quantization.ScaleLength(), MOST_TENSORS, "scales")
            scales = tuple(quantization.Scale(i) for i in range(most))
            most = self._bounded(quantization.ZeroPointLength(), MOST_TENSORS, "zero points")
            zeros = tuple(quantization.ZeroPoint(i) for i in range(most))
            axis = quantization.QuantizedDimension()
        is_sparse = table.Sparsity() is not None
        declared = shape if axes or table.HasRank() else None
        name = _text(table.Name())
        return Tensor(
            index, name, declared, table.Type(), table.Buffer(), scales, zeros, axis, is_sparse
        )

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the network's inputs."""
        return self._indices(self._graph.InputsLength(), self._graph.Inputs)

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the network's outputs."""
        return self._indices(self._graph.OutputsLength(), self._graph.Outputs)

    @property
    def subgraph_count(self) -> int:
        return int(self._model.SubgraphsLength())

    def inside(self, operator: Operator) -> tuple[TfliteFile, ...]:
        """Return the subgraphs that an operator runs, and those that these run."""
        found: dict[int, TfliteFile] = {}
        pending = list(_subgraphs(operator))
        while pending:
            number = pending.pop()
            if number in found or not 0 <= number < self.subgraph_count:
                continue
            found[number] = TfliteFile(
                self.path, self._model, self._model.Subgraphs(number), number
            )
            pending += [each for inner in found[number].operators for each in _subgraphs(inner)]
        return tuple(found.values())

    @property
    def description(self) -> str:
        """The words of the file about its writer."""
        return _text(self._model.Description())

    @property
    def name(self) -> str:
        """The name of the main subgraph."""
        return _text(self._graph.Name())

    @cached_property
    def origins(self) -> dict[int, int]:
        """The constant that each constant is another form of: itself, or what is dequantized."""
        found = {tensor.place: tensor.place for tensor in self.tensors if self._is_stored(tensor)}
        for operator in self.operators:
            if operator.kind in _RESULTS and operator.inputs and operator.inputs[0] in found:
                found.update(dict.fromkeys(operator.outputs, found[operator.inputs[0]]))
        return found

    def is_constant(self, index: int) -> bool:
        """Whether a tensor's values stand in the file."""
        return index in self.origins

    def values(self, index: int) -> Any:
        """Return the values of a constant as floats or integers, a NumPy array.

        Raises:
            UsageError: It is stored sparsely, in an unknown type, or not wholly in the file.
        """
        tensor = self.tensors[self.origins[index]]
        if tensor.is_sparse:
            raise UsageError(
                f"the weights of {self.path} cannot be read: {tensor.name} is stored sparsely"
            )
        dtype, shape = _DTYPES.get(tensor.dtype), tensor.shape or ()
        if dtype is None:
            raise UsageError(
                f"the weights of {self.path} cannot be read: {tensor.name} is of TFLite's type "
                f"{tensor.dtype}"
            )
        buffer = self._model.Buffers(tensor.buffer)
        stored = buffer.DataAsNumpy() if buffer.DataLength() else b""
        try:
            values = np.frombuffer(stored, dtype).reshape(shape)
        except ValueError:
            refuse(self.path, f"{tensor.name} has {len(stored):,} bytes for the shape {shape}")
        if not tensor.scales:
            return values
        places = [1] * len(shape)
        if len(tensor.scales) > 1:
            places[tensor.axis] = len(tensor.scales)
        scales = np.asarray(tensor.scales, "float32").reshape(places)
        zeros = np.asarray(tensor.zeros or (0,), "float32")
        zeros = zeros.reshape(places if zeros.size > 1 else [1] * len(shape))
        return (values.astype("float32") - zeros) * scales

    def _is_stored(self, tensor: Tensor) -> bool:
        if not 0 < tensor.buffer < self._model.BuffersLength():
            return False
        buffer = self._model.Buffers(tensor.buffer)
        # Of a file over 2 GB, a buffer may have an offset and a size instead of its bytes.
        return bool(buffer.DataLength() or buffer.Size())

    def _indices(self, count: int, read: Callable[[int], int]) -> tuple[int, ...]:
        most = self._bounded(count, MOST_ENDS, "inputs or outputs")
        indices = tuple(read(place) for place in range(most))
        if any(not -1 <= index < self._graph.TensorsLength() for index in indices):
            refuse(self.path, "an operator reads a tensor that is not there")
        return indices

    def _bounded(self, count: int, most: int, what: str) -> int:
        if count > most:
            refuse(self.path, f"it declares {count:,} {what}, more than {most:,}")
        return count


@contextlib.contextmanager
def in_bounds(path: str | os.PathLike[str]) -> Iterator[None]:
    """Refuse a file if what is read of it, inside, refers to places that it does not have."""
    try:
        yield
    except struct.error:
        refuse(path, "a table in it refers to a place after its end")
    except ValueError as error:  # what flatbuffers and NumPy say of arrays that end early
        refuse(path, f"an operator or an array in it is incomplete ({error!s:.200})")
    except TypeError as error:
        if not str(error).startswith("bad number"):  # what flatbuffers says of a place
            raise
        refuse(path, "a table in it refers to a place before its beginning")


def open_tflite(path: str | os.PathLike[str]) -> TfliteFile:
    """Return the main subgraph of a TFLite file.

    Raises:
        UsageError: It cannot be read, is damaged, or the packages that read it are missing.
    """
    with extra("tflite", "a TFLite file is read with the packages flatbuffers and tflite"):
        import tflite  # noqa: PLC0415
    content = mapped(path)
    with in_bounds(path):
        model = tflite.Model.GetRootAsModel(content, 0)
        if not model.SubgraphsLength():
            refuse(path, "it holds no network")
        return TfliteFile(os.fspath(path), model, model.Subgraphs(0))


_SUBGRAPHS: Final = {
    "CALL": ("CallOptions", ("Subgraph",)),
    "CALL_ONCE": ("CallOnceOptions", ("InitSubgraphIndex",)),
    "IF": ("IfOptions", ("ThenSubgraphIndex", "ElseSubgraphIndex")),
    "WHILE": ("WhileOptions", ("CondSubgraphIndex", "BodySubgraphIndex")),
}
"""The options in which operators name the subgraphs that they run."""


def _subgraphs(operator: Operator) -> Iterator[int]:
    """Yield the numbers of the subgraphs that an operator runs."""
    if operator.kind in _SUBGRAPHS and operator.options is not None:
        table, names = _SUBGRAPHS[operator.kind]
        options = operator.read(table)
        yield from (getattr(options, name)() for name in names)


def _text(name: bytes | None) -> str:
    return (name or b"")[:MOST_NAME].decode(errors="replace")

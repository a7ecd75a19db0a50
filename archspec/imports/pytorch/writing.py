"""The steps of ONNX that a program becomes, and what the functions of its operators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from archspec.imports.onnx.source import SCOPE, Dims
from archspec.imports.onnx.writing import Unwritten, Writer

REAL_TYPES: Final = (6, 7, 8, 13)
"""Numbers of the types of real numbers in torch's archives."""


class Tensor:
    """An argument that is a tensor."""

    def __init__(self, name: str) -> None:
        self.name = name


class Program(Writer):
    """A program's steps in ONNX's operators."""

    def __init__(self, dims: dict[str, Dims], read_later: set[str]) -> None:
        """Begin with the shape of each value, and the names of those that are read."""
        super().__init__({})
        self.dims = dims
        self.read_later = read_later
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
        self.zeros: set[str] = set()
        """The values that are zeros, as a recurrence's first state is."""

    def whole(self, name: str) -> str:
        """Return the value of which another is a slice, or a slice of a slice."""
        while name in self.slices:
            name = self.slices[name][0]
        return name

    def step(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a step."""
        super().step(op, inputs, outputs, **attributes, **{SCOPE: self.scope})

    def operand(self, value: Any) -> str:
        """Return the name of a tensor, or of a constant that is a number."""
        return value.name if isinstance(value, Tensor) else self.number(float(value))

    def rank(self, tensor: Tensor) -> int:
        """Return the number of a tensor's axes."""
        return len(self.dims[tensor.name])

    def shape_of(self, output: str) -> list[int]:
        """Return the extents of a value for Reshape: 0 for an open first one, -1 for another."""
        return [
            n if isinstance(n, int) else 0 if at == 0 else -1
            for at, n in enumerate(self.dims[output])
        ]


Arguments: TypeAlias = Mapping[str, Any]
"""Arguments of an operator by ATen's names for them."""

Operator: TypeAlias = Callable[[Program, Arguments, Sequence[str]], None]
"""Writes an operator of ATen with its arguments and the names of its outputs.

One that it cannot write raises `ValueError`, `LookupError`, `TypeError` or `AttributeError`.
"""


def tensor_name(value: Any) -> str:
    return value.name if isinstance(value, Tensor) else ""


def tensor_names(value: Any) -> list[str]:
    """Return the names of the tensors in an argument."""
    listed = value if isinstance(value, list) else [value]
    return [each.name for each in listed if isinstance(each, Tensor)]


def first_tensor(a: Arguments) -> Tensor:
    """Return the first argument that is a tensor; raise `Unwritten` where none is."""
    found = next((value for value in a.values() if isinstance(value, Tensor)), None)
    if found is None:
        raise Unwritten("it reads no tensor")
    return found


def each_axis(value: Any, count: int) -> list[int]:
    """Return one number for each axis; ATen repeats a single one."""
    numbers = list(value) if isinstance(value, list) else [value]
    return [int(n) for n in (numbers * count if len(numbers) == 1 else numbers)]


def plain(op: str, **attributes: Any) -> Operator:
    """Return the function of an operator on one tensor."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        p.step(op, [first_tensor(a).name], outputs[:1], **attributes)

    return write


def on_tensors(op: str, **attributes: Any) -> Operator:
    """Return the function of an operator on all its tensors, which ONNX has in the same order."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        names = [value.name for value in a.values() if isinstance(value, Tensor)]
        p.step(op, names, outputs, **attributes)

    return write


def with_numbers(op: str, **names: tuple[str, float]) -> Operator:
    """Return the function of an operator with numbers: ONNX's name, ATen's, and the default."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        numbers = {
            ours: float(a[theirs] if a.get(theirs) is not None else default)
            for ours, (theirs, default) in names.items()
        }
        p.step(op, [first_tensor(a).name], outputs[:1], **numbers)

    return write


def by_rank(name: str, write: Operator) -> dict[str, Operator]:
    """Return a function under the names that ATen has for one to three spatial axes."""
    return {f"{name}{rank}d": write for rank in (1, 2, 3)}

"""Writes operators of other programs as the steps of ONNX that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.imports.onnx.source import Constant, Step


class Unwritten(ValueError):  # noqa: N818  (no error: the layer is shown as unknown)
    """Raised where ONNX or archspec has no operator for another's; the text says why."""


class Writer:
    """Writes steps. Values go by names, constants among them."""

    name = ""
    """Name of the steps."""
    prefix = "archspec"
    """The beginning of the names of values between two steps."""

    def __init__(self, constants: dict[str, Constant]) -> None:
        """Begin without steps; constants that the steps read are added to those given."""
        self.constants = constants
        self.steps: list[Step] = []

    def step(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a step; optional inputs that are left out at the end are dropped."""
        names = list(inputs)
        while names and not names[-1]:
            names.pop()
        self.steps.append(Step(op, self.name, tuple(names), tuple(outputs), attributes))

    def stepped(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a step and return the name of its output."""
        output = self.new(self.prefix)
        self.step(op, inputs, [output], **attributes)
        return output

    def new(self, like: str) -> str:
        """Return the name of a value between two steps."""
        return f"{like}_archspec_{len(self.steps)}"

    def constant(self, constant: Constant) -> str:
        """Return the name of a constant."""
        name = f"archspec constant {len(self.constants)}"
        self.constants[name] = constant
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant with one value."""
        kind = "float" if isinstance(value, float) else "int"
        return self.constant(Constant.of((), [value], kind))

    def ints(self, values: Sequence[int]) -> str:
        """Return the name of a constant that is a list of whole numbers."""
        return self.constant(Constant.of((len(values),), list(values)))

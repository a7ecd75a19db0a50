"""Operators of ONNX before version 7, written as those of today.

Until then an operand of fewer axes stood at an axis that the step names (`broadcast=1, axis=1`), so
that a bias of maps is a vector of their channels. Today an axis of 1 stands for each other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from archspec.imports.onnx.source import Constant, Source, Step

_BROADCAST: Final = {
    "Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor",
}  # fmt: skip


def written_today(graph: Source, constants: dict[str, Constant]) -> list[Step]:
    """Return the steps as operators of today; constants with axes of 1 are added to those given."""
    ranks = {name: len(dims) for name, dims in graph.inputs.items() if dims}
    ranks |= {name: len(constant.dims) for name, constant in constants.items()}
    return [*_written(graph.steps, ranks, constants)]


def _written(
    steps: Iterable[Step], ranks: dict[str, int], constants: dict[str, Constant]
) -> Iterable[Step]:
    for step in steps:
        ranks.update(dict.fromkeys(step.outputs, _rank(step, ranks, constants)))
        if step.op in _BROADCAST and step.get("broadcast", 0) and len(step.inputs) == 2:
            yield _broadcast(step, ranks, constants)
        elif step.op == "Concat":
            yield _with(step, axis=step.get("axis", 1))
        elif step.op == "Upsample" and "height_scale" in step.attributes:
            scales = [1.0, 1.0, step.get("height_scale", 1.0), step.get("width_scale", 1.0)]
            yield _with(step, scales=scales)
        else:
            yield step


def _with(step: Step, **attributes: Any) -> Step:
    """Return a step with further attributes."""
    return replace(step, attributes={**step.attributes, **attributes})


def _rank(step: Step, ranks: Mapping[str, int], constants: Mapping[str, Constant]) -> int:
    """Return the number of axes of a step's outputs; 0 where it is not known."""
    before = ranks.get(step.inputs[0], 0) if step.inputs else 0
    if step.op in ("Flatten", "Gemm"):
        return 2
    if step.op == "Reshape":
        shape = constants.get(step.input(1))
        return shape.size if shape else len(step.get("shape", []))
    axes = len(step.get("axes", []))
    if step.op == "Squeeze":
        return max(before - axes, 0)
    if step.op == "Unsqueeze":
        return before + axes
    if step.op.startswith("Reduce") and not step.get("keepdims", 1):
        return max(before - axes, 0)
    return before


def _broadcast(step: Step, ranks: Mapping[str, int], constants: dict[str, Constant]) -> Step:
    """Return a step whose second operand has an axis of 1 for each that it lacks at its end."""
    first, second = step.inputs
    constant, axis, rank = constants.get(second), step.get("axis", -1), ranks.get(first, 0)
    if constant is None or axis < 0:
        return step
    more = rank - axis - len(constant.dims)
    if more <= 0:
        return step
    dims = (*constant.dims, *[1] * more)
    name = f"{second}_archspec_{more}"
    constants[name] = replace(constant, dims=dims, load=lambda: constant.load().reshape(dims))
    return replace(step, inputs=(first, name))

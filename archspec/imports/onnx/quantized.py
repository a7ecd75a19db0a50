"""Layers of whole numbers, read as the layers of real numbers that they stand for.

onnxruntime quantizes a network in three ways: with QuantizeLinear and DequantizeLinear around each
layer, with operators that take and give whole numbers (QLinearConv), or with scales that are found
as the network runs (DynamicQuantizeLinear, MatMulInteger). The first has the layers as they were;
the others are written as those here, before the graph is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from archspec.imports.onnx.extents import CannotFold
from archspec.imports.onnx.folding import folded
from archspec.imports.onnx.source import Constant, Step

MICROSOFT: Final = "com.microsoft."


class _Rewriting:
    """Steps and constants while layers of whole numbers are replaced."""

    def __init__(self, steps: Sequence[Step], constants: dict[str, Constant]) -> None:
        self.constants = constants
        self.users: dict[str, list[Step]] = {}
        for step in steps:
            for name in step.inputs:
                self.users.setdefault(name, []).append(step)
        self.makers = {output: step for step in steps for output in step.outputs}
        self.gone: set[int] = set()

    def constant(self, step: Step, place: int) -> Constant | None:
        """Return an input that is a constant."""
        name = step.input(place)
        return self.constants.get(name) if name else None

    def real(
        self, step: Step, array: int, scale: Constant | None, zero: int, axis: int
    ) -> str | None:
        """Return the name of the real numbers that an input stands for; itself for a value."""
        name = step.input(array)
        whole = self.constants.get(name)
        if whole is None or scale is None:
            return name
        given = [whole, scale, self.constant(step, zero) if zero >= 0 else None]
        try:
            (result,) = folded(Step("DequantizeLinear", "", (), (), {"axis": axis}), given)
        except CannotFold:
            return None
        new = f"{name}_archspec_real"
        self.constants[new] = result
        return new

    def product(self, first: Constant | None, second: Constant | None) -> Constant | None:
        """Return the product of two scales."""
        if first is None or second is None:
            return None
        try:
            return folded(Step("Mul", "", (), ()), [first, second])[0]
        except CannotFold:
            return None


Rule: TypeAlias = Callable[[_Rewriting, Step], Step | None]


def floated(steps: Sequence[Step], constants: dict[str, Constant]) -> list[Step]:
    """Return the steps with those of whole numbers written as those of real ones.

    The kernels in real numbers are added to the constants.
    """
    if not any(step.op in RULES or step.op == "DynamicQuantizeLinear" for step in steps):
        return list(steps)
    for step in steps:
        if step.op == "DynamicQuantizeLinear":  # the values stay what they are
            for name, number in zip(step.outputs[1:], (1.0, 0), strict=False):
                kind = "float" if number else "int"
                constants[name] = Constant.of((), [number], kind)
    rewriting = _Rewriting(steps, constants)
    new = {}
    for step in steps:
        rule = RULES.get(step.op)
        written = rule(rewriting, step) if rule is not None else None
        if written is not None:
            new[id(step)] = written
    return [new.get(id(step), step) for step in steps if id(step) not in rewriting.gone]


def _like(step: Step, op: str, inputs: Sequence[str | None], **attributes: object) -> Step | None:
    """Return a step of another operator, with the attributes of the first one."""
    if any(name is None for name in inputs):
        return None
    names = [name or "" for name in inputs]
    while names and not names[-1]:
        names.pop()
    return Step(op, step.name, tuple(names), step.outputs, {**step.attributes, **attributes})


def _with_kernel(op: str, bias: int) -> Rule:
    """Return the rule of x and the kernel, each with its scale and zero, and a bias at a place."""

    def write(r: _Rewriting, step: Step) -> Step | None:
        scale, is_first = r.constant(step, 4), op == "Conv" or step.get("transB", 0)
        kernel = r.real(step, 3, scale, 5, 0 if is_first else 1)
        offset = r.real(step, bias, r.product(r.constant(step, 1), scale), -1, 0)
        return _like(step, op, [step.inputs[0], kernel, offset])

    return write


def _matrix(r: _Rewriting, step: Step) -> Step | None:
    """Write QLinearMatMul: both factors, each with its scale and zero."""
    return _like(step, "MatMul", [step.inputs[0], r.real(step, 3, r.constant(step, 4), 5, -1)])


def _by_integers(op: str, axis: int) -> Rule:
    """Return the rule of a product of whole numbers, whose output is cast and scaled after it."""

    def write(r: _Rewriting, step: Step) -> Step | None:
        following, scale = _scaled_after(r, step)
        if scale is None:
            return None
        kernel = r.real(step, 1, scale, 3, axis)
        written = _like(step, op, [step.inputs[0], kernel])
        if written is None or kernel == step.inputs[1]:
            return None
        r.gone.update(map(id, following))
        return Step(op, step.name, written.inputs, following[-1].outputs, written.attributes)

    return write


def _scaled_after(r: _Rewriting, step: Step) -> tuple[list[Step], Constant | None]:
    """Return the cast and the product after a step, and the kernel's scale in the product."""
    following: list[Step] = []
    name = step.outputs[0]
    while len(r.users.get(name, ())) == 1 and len(following) < 2:
        (user,) = r.users[name]
        following.append(user)
        if user.op == "Mul":
            other = next((each for each in user.inputs if each != name), name)
            made = r.makers.get(other)
            names = [other] if made is None or made.op != "Mul" else made.inputs
            scales = [each for each in map(r.constants.get, names) if each is not None]
            scale = scales[0] if scales else None
            for each in scales[1:]:
                scale = r.product(scale, each)
            return following, scale
        if user.op != "Cast":
            break
        name = user.outputs[0]
    return following, None


def _dense(scale: int, zero: int, bias: int) -> Rule:
    """Return the rule of x, the kernel, and its scale, its zero and a bias at these places."""

    def write(r: _Rewriting, step: Step) -> Step | None:
        kernel = r.real(step, 1, r.constant(step, scale), zero, -1)
        return _like(step, "Gemm", [step.inputs[0], kernel, *step.inputs[bias : bias + 1]])

    return write


def _on(op: str, *places: int) -> Rule:
    """Return the rule of an operator without weights, which reads values at these places."""

    def write(r: _Rewriting, step: Step) -> Step | None:
        names = [r.real(step, place, r.constant(step, place + 1), place + 2, 1) for place in places]
        return _like(step, op, names)

    return write


RULES: Final[Mapping[str, Rule]] = {
    "QLinearConv": _with_kernel("Conv", 8),
    "QLinearMatMul": _matrix,
    "ConvInteger": _by_integers("Conv", 0),
    "MatMulInteger": _by_integers("MatMul", -1),
    f"{MICROSOFT}QGemm": _with_kernel("Gemm", 6),
    f"{MICROSOFT}DynamicQuantizeMatMul": _dense(2, 3, 4),
    f"{MICROSOFT}MatMulIntegerToFloat": _dense(3, 5, 6),
    f"{MICROSOFT}QLinearAdd": _on("Add", 0, 3),
    f"{MICROSOFT}QLinearMul": _on("Mul", 0, 3),
    f"{MICROSOFT}QLinearSigmoid": _on("Sigmoid", 0),
    f"{MICROSOFT}QLinearLeakyRelu": _on("LeakyRelu", 0),
    f"{MICROSOFT}QLinearSoftmax": _on("Softmax", 0),
    f"{MICROSOFT}QLinearAveragePool": _on("AveragePool", 0),
    f"{MICROSOFT}QLinearGlobalAveragePool": _on("GlobalAveragePool", 0),
    f"{MICROSOFT}QLinearReduceMean": _on("ReduceMean", 0),
    # The output's scale and zero, then each value with its own.
    f"{MICROSOFT}QLinearConcat": lambda _, step: _like(step, "Concat", step.inputs[2::3]),
}
"""The rule for each operator of whole numbers."""

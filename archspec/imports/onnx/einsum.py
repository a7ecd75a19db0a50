"""Einsum of two values: their axes in another order, and one product of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

from archspec.imports.onnx.axes import reshape, transpose
from archspec.imports.onnx.folding import folded
from archspec.imports.onnx.products import mat_mul
from archspec.imports.onnx.source import Constant, Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported


def einsum(t: Trace, step: Step) -> None:
    """Add a product of two tensors, as a product of matrices with their axes moved."""
    terms, arrow, result = step.get("equation", "").replace(" ", "").partition("->")
    first, comma, second = terms.partition(",")
    names = list(step.inputs)
    if not arrow or not comma or "," in second or "." in terms:
        raise Unsupported("its equation is not one of two tensors and their product")
    if t.constant(step, 0) is not None:
        first, second, names = second, first, names[::-1]
    if any(len({*term}) < len(term) for term in (first, second, result)):
        raise Unsupported("it reads a diagonal")
    if {*first} ^ {*second} != {*result} - ({*first} & {*second}):
        raise Unsupported("it adds up along an axis of one input alone")
    made = _Made(t, step)
    extents = {
        **dict(zip(first, made.dims(names[0]), strict=True)),
        **dict(zip(second, made.dims(names[1]), strict=True)),
    }
    both = [each for each in result if each in first and each in second]
    left = [each for each in result if each in first and each not in second]
    right = [each for each in result if each in second and each not in first]
    inner = [each for each in first if each in second and each not in result]

    def as_matrices(name: str, term: str, rows: list[str], columns: list[str]) -> str:
        turned = made("Transpose", name, perm=[term.index(e) for e in (*both, *rows, *columns)])
        outer = [extents[each] for each in both]
        sides = [prod([extents[each] for each in side]) for side in (rows, columns)]
        return made("Reshape", turned, shape=[*outer, *sides])

    a = as_matrices(names[0], first, left, inner)
    b = as_matrices(names[1], second, inner, right)
    given = [*both, *left, *right]
    product = made("MatMul", a, b)
    parts = made("Reshape", product, shape=[extents[each] for each in given])
    t.values[step.outputs[0]] = t.values[
        made("Transpose", parts, perm=[given.index(each) for each in result])
    ]


class _Made:
    """Follows steps that are written for another."""

    def __init__(self, t: Trace, step: Step) -> None:
        self._t = t
        self._step = step
        self._count = 0

    def dims(self, name: str) -> Sequence[Any]:
        """Return the extents of a value or a constant."""
        constant = self._t.constants.get(name)
        return constant.dims if constant else self._t.seen(replace(self._step, inputs=(name,))).dims

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Follow a step, and return the name of its output."""
        self._count += 1
        output = f"{self._step.outputs[0]}/{self._count}"
        if "shape" in attributes:
            to = attributes.pop("shape")
            self._t.constants[f"{output}/shape"] = Constant.of((len(to),), to)
            inputs = (*inputs, f"{output}/shape")
        step = replace(
            self._step,
            op=op,
            inputs=inputs,
            outputs=(output,),
            attributes={**self._step.attributes, **attributes},
        )
        constants = [self._t.constants.get(each) for each in inputs]
        if all(constants):
            (self._t.constants[output],) = folded(step, constants)
        else:
            {"Transpose": transpose, "Reshape": reshape, "MatMul": mat_mul}[op](self._t, step)
        return output


LAYERS: Final[dict[str, Handler]] = {
    "Einsum": einsum,
}
"""The function for each operator."""

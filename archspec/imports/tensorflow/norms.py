"""Batch norms that Keras writes as arithmetic: found before their weights are computed together.

x * m + (beta - mean * m), where m is gamma / sqrt(variance + epsilon), are two operators on the
map. The numbers m and beta - mean * m are computed from weights alone, so which is which is told
from how each is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from archspec.imports.onnx.source import Constant
from archspec.imports.tensorflow.graphs import Operation

MOST_INSIDE = 64
"""Largest number of operators that compute the factor of a norm."""

NORM = "archspec norm"
"""Kind of the operator that stands for a norm: its inputs are x, gamma, beta, mean and variance."""


class _Weights:
    """Values that are computed from weights and constants alone."""

    def __init__(self, operations: Sequence[Operation], constants: Mapping[str, Constant]) -> None:
        self.constants = constants
        self.makers: dict[str, Operation] = {}
        """The operator that computes each value, from weights alone."""
        for each in operations:
            if each.inputs and all(self.has(value) for value in each.inputs):
                self.makers.update(dict.fromkeys(each.outputs, each))

    def has(self, value: str) -> bool:
        return value in self.constants or value in self.makers

    def within(self, value: str) -> Iterator[Operation]:
        """Yield the operators that compute a value, the last of them first."""
        pending, count = [value], 0
        while pending and count < MOST_INSIDE:
            maker = self.makers.get(pending.pop())
            count += 1
            if maker is not None:
                yield maker
                pending += maker.inputs

    def variables(self, value: str) -> list[str]:
        """Return the variables that a value is computed from."""
        names = [value, *(name for each in self.within(value) for name in each.inputs)]
        constants = self.constants
        return [*dict.fromkeys(n for n in names if n in constants and constants[n].name)]

    def first(self, value: str, kind: str) -> Operation | None:
        """Return an operator of a kind by which a value is computed."""
        return next((each for each in self.within(value) if each.kind == kind), None)

    def epsilon(self, root: Operation) -> float:
        """Return the one number that is added to the variance under a root."""
        for each in self.within(root.inputs[0]):
            for name in each.inputs:
                constant = self.constants.get(name)
                number = constant.number if constant and not constant.name else None
                if isinstance(number, float):
                    return number
        return 1e-3


def with_norms(
    operations: Sequence[Operation], constants: Mapping[str, Constant], outputs: Sequence[str]
) -> list[Operation]:
    """Return operators with each batch norm as one, in the place of its last.

    Args:
        operations: The operators, each after what it reads.
        constants: The constants and variables; the latter have names.
        outputs: The values that are read from outside.
    """
    weights = _Weights(operations, constants)
    readers: dict[str, list[Operation]] = {}
    for each in operations:
        for value in dict.fromkeys(each.inputs):
            readers.setdefault(value, []).append(each)
    found: dict[str, Operation | None] = {}
    """The operator in the place of each that is a part of a norm, by its first output; or none."""
    for product in operations:
        if product.kind != "Mul" or len(product.inputs) != 2:
            continue
        known = [value for value in product.inputs if weights.has(value)]
        if len(known) != 1:
            continue
        (x,) = (value for value in product.inputs if value not in known)
        root = weights.first(known[0], "Rsqrt")
        last = readers.get(product.outputs[0], [])
        if root is None or len(last) != 1 or product.outputs[0] in outputs:
            continue
        (sum_,) = last
        offset = next((each for each in sum_.inputs if weights.has(each)), "")
        if sum_.kind not in ("Add", "AddV2") or not offset:
            continue
        inside = weights.variables(root.inputs[0])
        inner = weights.variables(known[0])
        outer = [each for each in weights.variables(offset) if each not in inner]
        moved = weights.first(offset, "Mul")
        means = [each for each in outer if moved and each in weights.variables(moved.outputs[0])]
        factors = [each for each in inner if each not in inside]
        shifts = [each for each in outer if each not in means]
        parts = (factors, shifts, means, inside)
        sizes = {constants[each].size for part in parts for each in part}
        if any(len(part) > 1 for part in parts) or not (means and inside) or len(sizes) != 1:
            continue
        names = ["".join(part) for part in parts]
        found[product.outputs[0]] = None
        found[sum_.outputs[0]] = replace(
            sum_,
            kind=NORM,
            inputs=(x, *names),
            attributes={**sum_.attributes, "epsilon": {"f": weights.epsilon(root)}},
        )
    made = [found.get(each.outputs[0], each) for each in operations]
    return [each for each in made if each is not None]

"""Steps on constants, and on shapes: computed while the file is read.

Exporters spell shapes out: Shape, Gather, Mul and Concat give what Reshape takes. Those are lists
of a few whole numbers, or formulas where an extent is open (`small_arrays.py`). Of a large array
only the extents are computed; its values are when they are asked for (`large_arrays.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Final

from archspec.errors import Problem
from archspec.imports.onnx.extents import Array, CannotFold
from archspec.imports.onnx.large_arrays import LARGE, kind_of
from archspec.imports.onnx.small_arrays import SMALL
from archspec.imports.onnx.source import (
    COMPUTED,
    FIXED,
    FROZEN,
    MALFORMED,
    MOST_VALUES,
    STORED,
    Constant,
    Step,
)


def folded(step: Step, inputs: Sequence[Constant | None]) -> list[Constant]:
    """Return the constants that a step on constants gives.

    Raises:
        CannotFold: It is not computed.
    """
    given = [each for each in inputs if each is not None]
    kind = kind_of(step, given)
    small = all(each.values is not None for each in given)
    arrays: list[Array] = []
    if small and step.op in SMALL and all(each.size <= MOST_VALUES for each in given):
        arrays = _computed(step, inputs)
    if arrays:
        made = [Constant.of(result.dims, result.items, kind) for result in arrays]
    elif step.op in LARGE:
        try:
            made = LARGE[step.op](step, inputs)
        except MALFORMED:
            raise CannotFold from None
        made = [replace(each, kind=kind) for each in made]
    else:
        raise CannotFold
    return [_derived(step, each, given, number) for number, each in enumerate(made)]


def _computed(step: Step, inputs: Sequence[Constant | None]) -> list[Array]:
    """Return the small arrays that a step on small ones gives; none where they are not small."""
    arrays = [each and Array(each.dims, list(each.values or ())) for each in inputs]
    try:
        results = SMALL[step.op](step, arrays)
    except (CannotFold, *MALFORMED, Problem):
        return []
    sizes = [len(result.items) for result in results]
    fits = sizes == [prod(result.dims) for result in results]
    return results if fits and max(sizes, default=0) <= MOST_VALUES else []


def _derived(step: Step, made: Constant, given: Sequence[Constant], number: int) -> Constant:
    """Return a step's result of this number with what is known of the arrays that it reads."""
    learned = [each for each in given if each.origin != FIXED and each.size > 1]
    if step.op in _ROUNDING:  # stored as whole numbers, which stand for others
        learned = [*given[:1]]
    else:
        learned = learned or [each for each in given if each.origin != FIXED]
    sources = sorted(learned or given, key=lambda each: each.size, reverse=True)
    sources += [each for each in given if each not in sources and each.kind == "float"]
    names = dict.fromkeys(name for each in sources for name in (each.name, *each.others) if name)
    name, *others = names or ("",)
    count = sum(each.count for each in learned or given if each.kind == "float" or learned)
    part = sources[0].part
    if step.op in ("Slice", "Split"):
        count = min(count, made.size)
        if made.size < sources[0].size:
            bounds = [each.values for each in given[1:]]
            part += f"{step.op}{bounds}{step.attributes.get('axis')}{number}"
    if not learned:
        origin = FIXED
    elif step.op in _ROUNDING or (
        count == made.size and all(each.origin in (STORED, FROZEN) for each in learned)
    ):
        origin = FROZEN if {each.origin for each in learned} == {FROZEN} else STORED
    else:
        origin = COMPUTED
    return replace(
        made,
        name=name,
        count=count,
        origin=origin,
        others=tuple(others),
        part=part,
        is_standardized=made.is_standardized or any(each.is_standardized for each in given),
    )


_ROUNDING: Final = {"DequantizeLinear", "QuantizeLinear"}
"""Operators between real numbers and the whole ones that stand for them."""

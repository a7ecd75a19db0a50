"""The space of a sweep or a search: variables with their values, and the network of each point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, Final

from archspec import arguments
from archspec.compile.plan import compile_plan
from archspec.element import show
from archspec.errors import Problem, UsageError, suggestion
from archspec.spec.document import Spec, Validated, choose, searchable
from archspec.spec.findings import Findings
from archspec.spec.source import read_value
from archspec.spec.space import Dimension, dimension, numbers

INPUT, VARIANT = "input", "variant"

_RANGE: Final = re.compile(r"\s*([-+.\w]+?)\s*\.\.\s*([-+.\w]+?)\s*(?::\s*([-+.\w]+)\s*)?")
"""A range as an option has it: `8..64`, `8..64:8`."""


@dataclass(frozen=True)
class Space:
    """Variables with their values; every combination of these is a point, a candidate network."""

    spec: Spec
    dimensions: tuple[Dimension, ...]

    @property
    def names(self) -> list[str]:
        """Names of the variables."""
        return [each.name for each in self.dimensions]

    @cached_property
    def count(self) -> int | None:
        """Number of points; None where a variable may have any value between two bounds."""
        columns = [each.values for each in self.dimensions]
        lengths = [len(values) for values in columns if values is not None]
        return prod(lengths) if len(lengths) == len(columns) else None

    @cached_property
    def _columns(self) -> list[tuple[str, tuple[Any, ...]]]:
        """The values of each variable, the last one first."""
        return [(each.name, each.values or ()) for each in reversed(self.dimensions)]

    def values(self, index: int) -> dict[str, Any]:
        """Return the values of a point by its number; the last variable changes fastest."""
        values = {}
        for name, choices in self._columns:
            index, place = divmod(index, len(choices))
            values[name] = choices[place]
        return {each.name: values[each.name] for each in self.dimensions}

    def network(self, values: Mapping[str, Any]) -> Spec:
        """Return the spec of a point."""
        others = {name: value for name, value in values.items() if name != VARIANT}
        spec = replace(self.spec, variant=values[VARIANT]) if VARIANT in values else self.spec
        if INPUT in others:
            others[INPUT] = _extent(spec, others[INPUT])
        return replace(spec, overrides={**spec.overrides, **others})


def space_of(spec: Spec, vary: Mapping[str, Any]) -> Space:
    """Return the space of some variables of a spec, or of its `search:` section if none are given.

    Args:
        spec: The spec.
        vary: The values of each variable, as `search:` has them, or as text: `8..64:8`, `1,2,4`.

    Raises:
        SpecError: The spec has mistakes that no values mend.
        UsageError: A variable does not exist, or one has no such values.
    """
    if not isinstance(vary, Mapping):
        raise arguments.wrong("vary", vary, 'variables with their values, as {"width": [8, 16]}')
    findings = Findings(spec.source, spec.diagnostics)
    compile_plan(spec, findings)
    if findings.diagnostics:
        raise findings.error()
    given = vary or spec.document.search
    if not given:
        example = next(iter(spec.document.vars), "width")
        raise UsageError(
            f"{spec.source.name} has no `search:` section: write one, as "
            f"`search: {{{example}: [16, 32, 64]}}`, or give the values by `vary=...`"
        )
    return Space(spec, tuple(_dimension(spec, name, values) for name, values in given.items()))


def _dimension(spec: Spec, name: str, written: Any) -> Dimension:
    """Return the values of a variable; raise `UsageError` if it does not exist or has none such."""
    known = searchable(spec.document)
    if name not in known:
        hint = suggestion(str(name), known, what="variables")
        raise UsageError(f"{spec.source.name} has no variable `{name}`; {hint}")
    if isinstance(written, range):
        written = list(written)
    try:
        found = _read(name, written) if isinstance(written, str) else dimension(name, written)
    except Problem as problem:
        hint = f"; {problem.help}" if problem.help else ""
        raise UsageError(f"{problem.message}{hint}") from None
    validated = Validated(spec.document, spec.diagnostics, spec.lost)
    for value in found.choices:  # numbers of a range may always be set
        if name == VARIANT:
            choose(validated, spec.source, value, {})
        else:
            value = _extent(spec, value) if name == INPUT else value  # noqa: PLW2901
            choose(validated, spec.source, spec.variant, {name: value})
    return found


def _read(name: str, text: str) -> Dimension:
    """Return values as an option has them: a range, or values with commas between."""
    match = _RANGE.fullmatch(text)
    if match:
        bounds = [_number(name, part) for part in match.groups() if part is not None]
        return numbers(name, bounds[:2], *bounds[2:])
    values = read_value(f"[{text}]")
    return dimension(name, values)


def _number(name: str, text: str) -> Any:
    value = read_value(text)
    if type(value) not in (int, float):
        message = f"the range of `{name}` must be two numbers, not {show(value)}"
        raise Problem("type", message, help="as `8..64`, or `8..64:8` with a step")
    return value


def _extent(spec: Spec, value: Any) -> Any:
    """Return the shape of an input: `128` and `128x96` are its extent, without the channels."""
    if "inputs" in spec.settings:
        raise UsageError(f"{spec.source.name} names its inputs: vary a variable in their shapes")
    written = spec.settings[INPUT][0]
    if not isinstance(written, (list, tuple)):
        return value
    extent: Any = None
    if type(value) is int:
        extent = [value] * (len(written) - 1)
    elif isinstance(value, str) and re.fullmatch(r"\d{1,9}(x\d{1,9})*", value):
        extent = [int(part) for part in value.split("x")]
        if len(extent) != len(written) - 1:
            raise UsageError(f"`input={value}` must have {len(written) - 1} extents, as the spec's")
    return value if extent is None else [*extent, written[-1]]

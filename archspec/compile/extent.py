"""The extents of a spec's inputs: what comes in, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.compile.step import is_count, meant
from archspec.element import show, whole
from archspec.errors import KeyPath, Problem, UsageError
from archspec.ops.fields import LARGEST
from archspec.spec.document import Spec
from archspec.spec.findings import Findings
from archspec.spec.template import BROKEN, expression_meant
from archspec.spec.variables import input_shapes

MOST_INPUTS = 1_000
"""Largest number of inputs of a network."""

_KNOWN_EXTENT = (
    "every figure depends on it, so it must be known: write the size you train at, as "
    "`input: [224, 224, 3]`; a variant may set another"
)


def _is_extent(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_count, value))


def input_extents(
    spec: Spec, variables: Mapping[str, Any], findings: Findings
) -> dict[str, tuple[int, ...] | None]:
    """Return the extent of each input; None for one that is reported to be wrong.

    Args:
        spec: The spec.
        variables: The values of its variables.
        findings: Where mistakes are reported.

    Raises:
        UsageError: For a value that was set from outside.
    """
    if len(spec.inputs) > MOST_INPUTS:
        message = f"{len(spec.inputs):,} inputs are more than {MOST_INPUTS:,}"
        path = spec.settings["inputs"][1]
        if path is None:
            raise UsageError(f"`inputs`, as it was set: {message}")
        findings.report(Problem("limit", message), path, key=True)
        raise findings.error()
    shapes = input_shapes(spec, variables, findings)
    return {name: _extent(spec, name, shape, variables, findings) for name, shape in shapes.items()}


def _extent(
    spec: Spec, name: str, extent: Any, variables: Mapping[str, Any], findings: Findings
) -> tuple[int, ...] | None:
    """Return the extent of an input from its value."""
    written, path = spec.inputs[name]
    lost = path == ("input",) and written is None and spec.source.data.get("input", 0) is not None
    if extent is BROKEN or lost:
        return None  # the spec has an invalid input, or none, which was reported
    place: KeyPath = ()
    extent = whole(extent)
    if not (isinstance(extent, tuple) and 1 <= len(extent) <= 4):
        help_ = meant(extent, _is_extent) or (
            "as [height, width, channels]: up to three spatial axes, then the channels; "
            "[values] is a vector"
        )
        problem = Problem("value", f"`{name}` cannot be {show(extent)}", help=help_)
    else:
        wrong = [i for i, n in enumerate(extent) if type(n) is not int or not 1 <= n <= LARGEST]
        if not wrong:
            return extent
        place, n = (wrong[0],), extent[wrong[0]]
        message = f"`{name}` needs whole numbers from 1 to {LARGEST}, not {show(n)}"
        unknown = n is None or str(n).lower() in ("none", "null", "?", "-1", "any")
        hint = _KNOWN_EXTENT if unknown else expression_meant(n, variables)
        problem = Problem("value", message, help=hint or meant(n, is_count))
    if path is None:
        hint = f"; {problem.help}" if problem.help else ""
        raise UsageError(f"`{name}`, as it was set: {problem.message}{hint}")
    findings.report(problem, (*path, *place))
    return None

"""The extents of a spec's inputs: what comes in, channels last.

An axis is a whole number, or open: `null`, or `multiple of 32` where only such sizes fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from archspec.compile.step import is_count, meant
from archspec.element import show, whole
from archspec.errors import KeyPath, Mend, Problem, UsageError
from archspec.ops.axes import AXES
from archspec.ops.fields import LARGEST
from archspec.spec.document import Spec
from archspec.spec.findings import Findings
from archspec.spec.template import BROKEN, expression_meant
from archspec.spec.variables import input_shapes

MOST_INPUTS = 1_000
"""Largest number of inputs of a network."""

_OPEN: Final = Mend("write `null` for an axis of any size", "null")

_CHANNELS: Final = "only spatial axes may be open: the weights depend on the channels"

_MULTIPLE: Final = re.compile(r"multiple of ([1-9][0-9]{0,9})")


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
    extent = whole(extent)
    problems: dict[KeyPath, Problem] = {}
    if not (isinstance(extent, tuple) and 1 <= len(extent) <= 4):
        help_ = meant(extent, _is_extent) or (
            "as [height, width, channels]: up to three spatial axes, then the channels; "
            "[values] is a vector"
        )
        problems[()] = Problem("value", f"`{name}` cannot be {show(extent)}", help=help_)
    else:
        *spatial, channels = extent
        names = AXES.get(len(spatial), ())
        extents = (*map(_opened, spatial, names), channels)
        for axis, n in enumerate(extents):
            if not _is_valid(n):
                message = f"`{name}` needs whole numbers from 1 to {LARGEST}, not {show(n)}"
                hint = _meant_axis(n, variables, is_spatial=axis < len(spatial))
                problems[(axis,)] = Problem("value", message, help=hint)
        if not problems:
            return extents
    for place, problem in problems.items():
        if path is None:
            more = f"; {problem.help}" if problem.help else ""
            raise UsageError(f"`{name}`, as it was set: {problem.message}{more}")
        findings.report(problem, (*path, *place))
    return None


def _meant_axis(value: Any, variables: Mapping[str, Any], *, is_spatial: bool) -> str | None:
    """Return a help line for a wrong extent: of an open axis, or a number in other words."""
    if value is None or str(value).lower() in ("none", "null", "?", "-1", "any", "open"):
        return _OPEN if is_spatial else _CHANNELS
    if isinstance(value, str) and "mult" in value.lower():
        if not is_spatial:
            return _CHANNELS
        unit = re.search("[1-9][0-9]{0,8}", value)
        right = f"multiple of {unit[0] if unit else 32}"
        return Mend(f"an axis whose size is open is `null`, or as `{right}`", right)
    return expression_meant(value, variables) or meant(value, is_count)


def _opened(value: object, name: str) -> Any:
    """Return the extent of an axis; the formula of one that is open."""
    if value is None:
        unit = 1
    else:
        match = _MULTIPLE.fullmatch(value) if isinstance(value, str) else None
        unit = int(match[1]) if match else LARGEST + 1
    if unit > LARGEST:
        return value
    from archspec.ops.extent import Extent  # noqa: PLC0415

    return Extent.open(name, unit)


def _is_valid(extent: Any) -> bool:
    if type(extent) is int:
        return 1 <= extent <= LARGEST
    return hasattr(extent, "terms")  # an `Extent`

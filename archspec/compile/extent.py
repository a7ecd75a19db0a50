"""The extent of a spec's input: what comes in, channels last."""

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

_KNOWN_EXTENT = (
    "every figure depends on it, so it must be known: write the size you train at, as "
    "`input: [224, 224, 3]`; a variant may set another"
)


def _is_extent(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_count, value))


def input_extent(
    spec: Spec, extent: Any, variables: Mapping[str, Any], findings: Findings
) -> tuple[int, ...] | None:
    """Return the extent of the input from its value; None where that is reported to be wrong.

    Raises `UsageError` for a value that was set from outside.
    """
    written = spec.source.data.get("input", BROKEN)
    if extent is BROKEN or (extent is None and written is not None):
        return None  # the spec has an invalid input, which was reported
    place: KeyPath = ()
    extent = whole(extent)
    if not (isinstance(extent, tuple) and 2 <= len(extent) <= 4):
        help_ = meant(extent, _is_extent) or (
            "as [height, width, channels]; one to three spatial axes, then the channels"
        )
        problem = Problem("value", f"`input` cannot be {show(extent)}", help=help_)
    else:
        wrong = [i for i, n in enumerate(extent) if type(n) is not int or not 1 <= n <= LARGEST]
        if not wrong:
            return extent
        place, n = (wrong[0],), extent[wrong[0]]
        message = f"`input` needs whole numbers from 1 to {LARGEST}, not {show(n)}"
        unknown = n is None or str(n).lower() in ("none", "null", "?", "-1", "any")
        hint = _KNOWN_EXTENT if unknown else expression_meant(n, variables)
        problem = Problem("value", message, help=hint or meant(n, is_count))
    path = spec.settings["input"][1]
    if path is None:
        hint = f"; {problem.help}" if problem.help else ""
        raise UsageError(f"`input`, as it was set: {problem.message}{hint}")
    findings.report(problem, (*path, *place))
    return None

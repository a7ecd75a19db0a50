"""The values of a spec's variables, and of its inputs' shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from archspec.errors import KeyPath, Problem, UsageError
from archspec.spec.document import INPUT_KEYS, no_value
from archspec.spec.expressions import Meter
from archspec.spec.operations import has_arguments
from archspec.spec.template import BROKEN, Passed, compile_template, evaluate, names_in

if TYPE_CHECKING:
    from archspec.spec.document import Spec
    from archspec.spec.findings import Findings


def variables(spec: Spec, findings: Findings, choices: Collection[str]) -> dict[str, Any]:
    """Return the values of all variables; BROKEN for what was reported.

    Args:
        spec: The spec.
        findings: Where mistakes are reported.
        choices: Names that a value may have with arguments, as `{leaky_relu: 0.1}`.

    Raises:
        UsageError: If a value that was set from outside is wrong.
    """
    settings = {name: each for name, each in spec.settings.items() if name not in INPUT_KEYS}
    templates = {}
    for name, (value, path) in settings.items():
        mappings = has_arguments(value, choices)
        if path is None and not mappings and has_arguments(value):
            raise no_value(name, "a mapping")
        templates[name] = compile_template(
            value, path or (), settings.keys(), findings, shaped=False, mappings=mappings
        )
    values: dict[str, Any] = {}
    meter = Meter()
    for first in templates:
        trail = [first]  # each needs the one after it
        underway = {first}
        while trail:
            name = trail[-1]
            needed = next((n for n in names_in(templates[name]) if n not in values), None)
            if needed is not None and needed not in underway:
                trail.append(needed)
                underway.add(needed)
                continue
            if needed is None:
                path = settings[name][1]
                values[name] = _value(findings, name, path, templates[name], values, meter)
            else:
                _report_circle(spec, findings, trail, needed)
                values[name] = BROKEN
            trail.pop()
    return values


def input_shapes(spec: Spec, values: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """Return the shape of each input as its expressions give it; BROKEN for what was reported.

    Args:
        spec: The spec.
        values: The values of its variables.
        findings: Where mistakes are reported.

    Raises:
        UsageError: If a shape that was set from outside is wrong.
    """
    shapes = {}
    meter = Meter()
    for name, (written, path) in spec.inputs.items():
        template = compile_template(written, path or (), values.keys(), findings, shaped=False)
        shapes[name] = _value(findings, name, path, template, values, meter)
    return shapes


def _value(
    findings: Findings,
    name: str,
    path: KeyPath | None,
    template: Any,
    values: Mapping[str, Any],
    meter: Meter,
) -> Any:
    try:
        return evaluate(template, values, meter=meter)
    except Problem as problem:
        if path is None:
            raise UsageError(f"`{name}`, as it was set: {problem.message}") from None
        findings.report(problem, path)
    except Passed:
        pass
    return BROKEN


def _report_circle(spec: Spec, findings: Findings, trail: list[str], needed: str) -> None:
    circle = [*trail[trail.index(needed) :], needed]
    message = f"variables that depend on each other: {' -> '.join(circle)}"
    path = spec.settings[trail[-1]][1]
    if path is None:
        raise UsageError(message)
    findings.report(Problem("circular", message), path)

"""The values of a spec's variables, and of its `input`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archspec.errors import Problem, UsageError
from archspec.spec.template import BROKEN, Passed, compile_template, evaluate, names_in

if TYPE_CHECKING:
    from archspec.spec.document import Spec
    from archspec.spec.findings import Findings


def variables(spec: Spec, findings: Findings) -> dict[str, Any]:
    """Return the values of all variables and `input`; BROKEN for what was reported.

    Raises:
        UsageError: If a value that was set from outside is wrong.
    """
    known = spec.settings.keys() - {"input"}
    templates = {
        name: compile_template(value, path or (), known, findings, shaped=False)
        for name, (value, path) in spec.settings.items()
    }
    values: dict[str, Any] = {}
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
                values[name] = _value(spec, findings, name, templates[name], values)
            else:
                _report_circle(spec, findings, trail, needed)
                values[name] = BROKEN
            trail.pop()
    return values


def _value(spec: Spec, findings: Findings, name: str, template: Any, values: dict[str, Any]) -> Any:
    path = spec.settings[name][1]
    try:
        return evaluate(template, values)
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

"""The engines by name, and the estimate of a training step on one of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from archspec import arguments
from archspec.cost.estimate import ESTIMATED
from archspec.cost.estimate.footprint import Estimate, Rule
from archspec.cost.size import refuse_open
from archspec.errors import UsageError

if TYPE_CHECKING:
    from archspec.cost.report import Report

NOT_MEASURED: Final = {
    "jax-tpu": "too few networks were compiled for a TPU; `archspec measure` with "
    "`device=v5e` tells what its compiler plans",
}
"""Reasons why an engine has no estimate."""


def engine(value: Any) -> str:
    """Return the name of an engine that has an estimate.

    Raises:
        UsageError: There is no such engine, or nothing was measured on it.
    """
    if isinstance(value, str) and value in NOT_MEASURED:
        raise UsageError(
            f"there is no estimate for {value}: {NOT_MEASURED[value]}; "
            "what a step must keep is the same on every engine"
        )
    return arguments.one_of("engine", value, ESTIMATED)


def estimate(report: Report, name: str) -> Estimate:
    """Return the estimated bytes of a training step, in the report's setting.

    Args:
        report: The network, of known size.
        name: The name of an engine.

    Raises:
        UsageError: The engine has no estimate, or none for such a network.
    """
    name = engine(name)
    refuse_open(report.graph, "an estimate")
    rule: Rule = import_module(f"archspec.cost.estimate.{name.replace('-', '_')}").RULE
    batch = report.setting.training_batch
    return Estimate(name, rule.footprint(report), batch, rule.band, rule.basis)

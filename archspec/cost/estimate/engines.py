"""The engines by name, and the estimate of a training step on one of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archspec import arguments
from archspec.cost.estimate import ESTIMATED
from archspec.cost.estimate.footprint import Estimate, Rule
from archspec.cost.size import refuse_open

if TYPE_CHECKING:
    from archspec.cost.report import Report


def engine(value: Any) -> str:
    """Return the name of an engine that has an estimate; raise `UsageError` for another."""
    return arguments.one_of("engine", value, ESTIMATED)


def estimate(report: Report, name: str) -> Estimate:
    """Return the estimated bytes of a training step, in the report's setting.

    Args:
        report: The network, of known size.
        name: The name of an engine.

    Raises:
        UsageError: There is no such engine, or it has no estimate for such a network.
    """
    name = engine(name)
    refuse_open(report.graph, "an estimate")
    rule: Rule = import_module(f"archspec.cost.estimate.{name.replace('-', '_')}").RULE
    batch = report.setting.training_batch
    return Estimate(name, rule.footprint(report), batch, rule.band, rule.basis)

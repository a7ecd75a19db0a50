"""Bytes of a step as terms of its graph, weighed by factors that were fitted to compiled steps.

A rule names terms: bytes that are the same for every batch, and bytes of each example. Factors and
errors of an engine are in a file that `benchmarks/memory/calibrate.py` writes, beside the rule.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from archspec.cost.estimate.footprint import ErrorBand, Footprint, LinearFootprint

if TYPE_CHECKING:
    from archspec.cost.report import Report

Terms: TypeAlias = Mapping[str, tuple[int, int]]
"""Fixed bytes and those of an example, by the name of the factor that weighs them."""


@dataclass(frozen=True, slots=True)
class CalibratedRule(ABC):
    """The rule of an engine whose terms are weighed by fitted factors."""

    basis: str
    """The rule in a few words."""
    calibration: Path
    """The file of the factors and the errors."""

    @abstractmethod
    def footprint(self, report: Report) -> Footprint:
        """Return the bytes of a step for any batch, in the report's setting."""

    @abstractmethod
    def known(self, report: Report) -> int:
        """Return the bytes at the report's batch that no factor weighs."""

    @abstractmethod
    def terms_at(self, report: Report) -> Mapping[str, int]:
        """Return the bytes at the report's batch, by the name of the factor that weighs them."""

    @property
    def factors(self) -> Mapping[str, Fraction]:
        """The factors by name."""
        return {
            name: Fraction(str(each)) for name, each in read(self.calibration)["factors"].items()
        }

    @property
    def band(self) -> ErrorBand:
        """Errors of the estimate, as the calibration found them."""
        errors: Mapping[str, Any] = read(self.calibration)["errors"]
        lists = {name: tuple(errors[name]) for name in ("batches", "dtypes")}
        return ErrorBand(**{**errors, **lists})


@dataclass(frozen=True, slots=True)
class LinearRule(CalibratedRule):
    """A rule by which each example takes the same bytes, beside weights, state and inputs."""

    terms: Callable[[Report], Terms]
    """Bytes of the terms of a network."""

    def footprint(self, report: Report) -> LinearFootprint:
        factors = self.factors
        fixed = example = Fraction(0)
        for name, (once, each) in self.terms(report).items():
            fixed, example = fixed + factors[name] * once, example + factors[name] * each
        memory = report.memory
        return LinearFootprint(
            memory.weights + memory.optimizer + ceil(fixed), input_bytes(report) + ceil(example)
        )

    def known(self, report: Report) -> int:
        memory, batch = report.memory, report.setting.training_batch
        return memory.weights + memory.optimizer + input_bytes(report) * batch

    def terms_at(self, report: Report) -> Mapping[str, int]:
        batch = report.setting.training_batch
        return {name: once + batch * each for name, (once, each) in self.terms(report).items()}


def input_bytes(report: Report) -> int:
    """Return the bytes of an example's inputs."""
    shapes = report.graph.input_shapes.values()
    return sum(shape.size for shape in shapes) * report.setting.weight_bytes


@cache
def read(calibration: Path) -> Mapping[str, Any]:
    """Return the content of a calibration."""
    loaded: Mapping[str, Any] = json.loads(calibration.read_text(encoding="utf-8"))
    return loaded

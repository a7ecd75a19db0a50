"""The plan of a search: what its spec, its space and its objectives are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from archspec.cost.setting import setting
from archspec.spec.document import Spec, choose, validate
from archspec.spec.source import parse
from archspec.studies.goals import Objective, bounds, objectives
from archspec.studies.space import Space, space_of
from archspec.studies.sweep import Assessor

FIGURES: Final = ("params", "macs")
"""Figures of every trial, beside those of objectives."""

SETTING: Final = ("batch", "precision", "optimizer")
"""Keys of the recipe that bytes depend on: of use also where nothing is trained."""


@dataclass(frozen=True)
class Plan:
    """All that a process needs to know to take part in a search."""

    source: str
    """The text of the spec."""
    place: str
    """The file that it stood in."""
    variant: str | None
    overrides: Mapping[str, Any]
    vary: Mapping[str, Any]
    """The values of variables; by default those of the spec's `search:`."""
    objectives: tuple[str, ...]
    where: tuple[str, ...]
    """Conditions beside the spec's `budget:`."""
    trials: int
    seed: int
    pruner: str
    recipe: Mapping[str, Any]
    """Keys that override the spec's `train:`."""

    @cached_property
    def spec(self) -> Spec:
        """The spec, with its variant and its variables."""
        source = parse(self.source, self.place)
        return choose(validate(source), source, self.variant, self.overrides)

    @cached_property
    def space(self) -> Space:
        """The space of candidates."""
        return space_of(self.spec, self.vary)

    @cached_property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives."""
        return objectives(self.objectives, scores=True)

    @property
    def sizes(self) -> list[str]:
        """Figures of trials that are not objectives."""
        goals = [goal.figure for goal in self.goals]
        return [name for name in self.assessor.columns if name not in goals]

    @property
    def trains(self) -> bool:
        """Whether candidates are trained: an objective is a score."""
        return any(goal.is_score for goal in self.goals)

    @cached_property
    def assessor(self) -> Assessor:
        """Figures and conditions of candidates, before any is trained."""
        columns = [goal.figure for goal in self.goals if not goal.is_score]
        names = tuple(dict.fromkeys([*FIGURES, *columns]))
        given = [self.recipe.get(key) for key in SETTING]
        return Assessor(self.space, names, bounds(self.where), setting(self.spec, *given), None)

"""Proposals of a search: values that no condition forbids, drawn by Optuna or at random.

Values that give no network, or one over budget, cost a millisecond here and never become a trial.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from archspec.element import show
from archspec.errors import SpecError, UsageError
from archspec.spec.space import Dimension
from archspec.studies.space import Space
from archspec.studies.sweep import Assessor, shown_values

STARTUP: Final = 10
"""Trials that are drawn at random before earlier ones guide the rest."""

GUIDED: Final = 32
"""Draws by earlier trials until one is within the conditions; then values are drawn at random."""

MOST_DRAWS: Final = 10_000
"""Random draws until a search gives up. A smaller space is gone through whole."""


class NothingLeftError(Exception):
    """Every network of the space was tried that is within the conditions."""


class Proposer:
    """Propose values of a space that are within the conditions and were not tried before."""

    def __init__(self, assessor: Assessor, seed: int) -> None:
        self.assessor = assessor
        self.seed = seed
        self._verdicts: dict[str, str] = {}
        """Mistakes or missed conditions by the text of values; "" for values that are fine."""
        self._nearest = (float("inf"), "")

    @property
    def space(self) -> Space:
        return self.assessor.space

    def propose(
        self, index: int, tried: set[str], guided: Callable[[int], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return values for a trial: the same for the same seed, number and earlier trials.

        Args:
            index: Number of the trial.
            tried: Texts of the values of other trials, as `key` gives them.
            guided: Function that returns values by earlier trials, another time others; none where
                there are too few of them.

        Raises:
            NothingLeftError: All that is within the conditions was tried.
            UsageError: Nothing that was drawn is within the conditions.
        """
        for attempt in range(GUIDED):
            values = guided(attempt)
            if not values:
                break
            if self.key(values) not in tried and self.is_within(values):
                return dict(values)
        chance = random.Random(f"{self.seed}/{index}")  # noqa: S311  (no secret depends on it)
        for values in self._drawn(chance):
            if self.key(values) not in tried and self.is_within(values):
                return values
        count = self.space.count
        if count is not None and count <= MOST_DRAWS:
            if any(not why for why in self._verdicts.values()):
                raise NothingLeftError
            raise UsageError(f"none of {count:,} candidates is within the conditions{self.nearest}")
        raise UsageError(
            f"none of {MOST_DRAWS:,} candidates drawn at random is new and within the conditions"
            f"{self.nearest}"
        )

    @property
    def nearest(self) -> str:
        """The end of a sentence about the network that came nearest to the conditions."""
        return f"; the nearest is {self._nearest[1]}" if self._nearest[1] else ""

    def is_within(self, values: Mapping[str, Any]) -> bool:
        """Return whether values give a network that meets every condition."""
        key = self.key(values)
        if key not in self._verdicts:
            self._verdicts[key] = self._verdict(values)
        return not self._verdicts[key]

    def _verdict(self, values: Mapping[str, Any]) -> str:
        try:
            report = self.assessor.report(self.space.network(values))
        except SpecError as error:
            why = error.diagnostics[0].message
            self._nearest = min(self._nearest, (1e300, f"{shown_values(values)}: {why}"))
            return why
        except UsageError as error:
            return str(error)
        miss = self.assessor.miss(report)
        if miss is None:
            return ""
        text = f"{shown_values(values)}: {miss.text}"
        self._nearest = min(self._nearest, (miss.excess, text))
        return miss.text

    def _drawn(self, chance: random.Random) -> Iterator[dict[str, Any]]:
        """Yield values at random; of a small space all, in a random order."""
        count = self.space.count
        if count is not None and count <= MOST_DRAWS:
            order = [*range(count)]
            chance.shuffle(order)
            yield from map(self.space.values, order)
            return
        for _ in range(MOST_DRAWS):
            yield {each.name: _any_value(each, chance) for each in self.space.dimensions}

    def key(self, values: Mapping[str, Any]) -> str:
        """Return values as a text: equal for equal ones."""
        return json.dumps([values[each.name] for each in self.space.dimensions])


def _any_value(dimension: Dimension, chance: random.Random) -> Any:
    values = dimension.values
    if values is not None and not dimension.log:
        return chance.choice(values)
    if dimension.log:
        low, high = dimension.low, dimension.high
        value = low * (high / low) ** chance.random()
        return min(max(round(value), low), high) if dimension.is_whole else value
    return chance.uniform(dimension.low, dimension.high)


class Coding:
    """The values of a dimension as Optuna has them: numbers, or words where they are others."""

    def __init__(self, dimension: Dimension) -> None:
        self.dimension = dimension
        self._values = {_code(value): value for value in dimension.choices}

    def distribution(self) -> Any:
        """Return Optuna's distribution of the values."""
        from optuna import distributions  # noqa: PLC0415

        d = self.dimension
        if not d.is_range:
            return distributions.CategoricalDistribution([*self._values])
        if d.is_whole:
            step = int(d.step or 1)
            return distributions.IntDistribution(int(d.low), int(d.high), log=d.log, step=step)
        return distributions.FloatDistribution(d.low, d.high, log=d.log, step=d.step)

    def suggested(self, trial: Any) -> Any:
        """Return the value that a trial of Optuna has."""
        d = self.dimension
        if not d.is_range:
            return self.decoded(trial.suggest_categorical(d.name, [*self._values]))
        if d.is_whole:
            low, high, step = int(d.low), int(d.high), int(d.step or 1)
            return trial.suggest_int(d.name, low, high, step=step, log=d.log)
        return trial.suggest_float(d.name, d.low, d.high, step=d.step, log=d.log)

    def encoded(self, value: Any) -> Any:
        """Return the form in which Optuna stores a value."""
        return value if self.dimension.is_range else _code(value)

    def decoded(self, code: Any) -> Any:
        """Return the value that Optuna stores in this form."""
        return code if self.dimension.is_range else self._values[code]


def _code(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else show(value)

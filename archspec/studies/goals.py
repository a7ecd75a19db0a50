"""Goals of a sweep or a search: figures to make small or large, and the bounds of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from archspec.cost.checks import (
    CLAIMS,
    COMPARISONS,
    FIGURES,
    MUST_KEEP,
    TRAINING,
    TRAINING_NAMES,
    read_bound,
)
from archspec.cost.report import Report
from archspec.errors import Problem, UsageError, suggestion

SCORES: Final = ("accuracy", "loss")
"""Objectives that only training gives: the validation score of `fit`."""

_BOUNDED: Final = {**CLAIMS, **FIGURES}
"""Figures that a condition may be about."""

_OFFERED: Final = (*FIGURES, *(f"{TRAINING}.{name}" for name in TRAINING_NAMES))
"""Figures for a condition that can be had, so that no engine without an estimate is among them."""

_DIRECTIONS: Final = {"min": False, "minimize": False, "max": True, "maximize": True}


class Objective(NamedTuple):
    """A figure that is to be as small or as large as possible."""

    figure: str
    maximize: bool

    @property
    def is_score(self) -> bool:
        """Whether only training gives it."""
        return self.figure in SCORES

    def cost(self, value: float) -> float:
        """Return a value in the sense that less is better."""
        return -value if self.maximize else value

    def __str__(self) -> str:
        """Return the objective as it is written."""
        return f"{'max' if self.maximize else 'min'} {self.figure}"


class Bound(NamedTuple):
    """A condition that a network must meet, such as `params < 20K`."""

    text: str
    figure: str
    symbol: str
    number: int

    def actual(self, report: Report) -> int | None:
        """Return the figure that it is about; None where that depends on an open size."""
        value = _BOUNDED[self.figure](report)
        return value if isinstance(value, int) else None

    def holds(self, actual: int) -> bool:
        """Return whether a figure meets the condition."""
        return bool(COMPARISONS[self.symbol](actual, self.number))


def objectives(written: str | Iterable[str], *, scores: bool = False) -> tuple[Objective, ...]:
    """Return objectives from texts such as `min macs`, or one text with commas between them.

    Args:
        written: The objectives; `macs` alone is `min macs`, and `accuracy` alone is `max accuracy`.
        scores: Whether those that only training gives are possible.

    Raises:
        UsageError: One is none, or none is there.
    """
    found = tuple(_objective(text, scores=scores) for text in _texts(written))
    names = [each.figure for each in found]
    if not found:
        raise UsageError("there is no objective: write one, as `min macs`")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"`{twice}` is an objective twice")
    return found


def _objective(text: object, *, scores: bool) -> Objective:
    words = text.replace(":", " ").split() if isinstance(text, str) else []
    direction, name = words if len(words) == 2 else ("", words[0] if len(words) == 1 else "")
    if not name or (direction and direction not in _DIRECTIONS):
        raise UsageError(
            f"{text!r} is not an objective: write `min` or `max` and a figure, as `min macs`"
        )
    known = (*SCORES, *FIGURES) if scores else tuple(FIGURES)
    if name in SCORES and not scores:
        raise UsageError(f"`{name}` is known after training only: `archspec search` trains")
    if name not in known:
        hint = suggestion(name, known, what="figures")
        raise UsageError(f"there is no figure `{name}` to minimize or maximize; {hint}")
    return Objective(name, _DIRECTIONS.get(direction, name == "accuracy"))


def bounds(written: str | Sequence[str]) -> tuple[Bound, ...]:
    """Return conditions from texts such as `params < 20K`; raise `UsageError` if one is none."""
    return tuple(_bound(part) for text in _texts(written) for part in _texts(str(text)))


def _texts(written: Any) -> list[Any]:
    """Return what commas separate in a text, or the items of a list; 20,000 is one number."""
    if isinstance(written, str):
        return re.split(r",(?!\d{3}\b)", written)
    return [*written] if isinstance(written, Iterable) else [written]


def _bound(text: str) -> Bound:
    place = next((i for i, sign in enumerate(text) if sign in "<>="), None)
    if place is None:
        raise UsageError(f"{text!r} is not a condition: write one as `params < 20K`")
    name = text[:place].strip()
    if name not in _BOUNDED:
        meant = MUST_KEEP if name == TRAINING else None
        hint = suggestion(name, _OFFERED, what="figures", meant=meant)
        raise UsageError(f"there is no figure `{name}`; {hint}")
    in_bytes = "_bytes" in name or name == "must_keep"
    try:
        symbol, number = read_bound(text[place:], in_bytes=in_bytes)
    except Problem as problem:
        raise UsageError(f"{text.strip()!r}: {problem.message}; {problem.help}") from None
    return Bound(text.strip(), name, symbol, number)


def front(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the points that no other one beats: the Pareto front, sorted by the first cost.

    A point beats another if it is nowhere worse and somewhere better. Of equal ones the first is
    taken.

    Args:
        costs: The costs of each point, of which less is better.
    """
    order = sorted(range(len(costs)), key=lambda i: (*costs[i], i))
    best: list[int] = []
    for i in order:
        point = costs[i]
        # Sorted so, a later point can only be beaten by an earlier one. With two costs, the last
        # of the front has the least second cost.
        rivals = best[-1:] if len(point) <= 2 else best
        if not any(all(a <= b for a, b in zip(costs[j], point, strict=True)) for j in rivals):
            best.append(i)
    return best

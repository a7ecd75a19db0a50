"""The sweep: the figures of all combinations of some variables' values, and their Pareto front."""

from __future__ import annotations

import os
import signal
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec import arguments, atomic
from archspec.compile.expand import expand
from archspec.cost.checks import FIGURES
from archspec.cost.report import CONVENTION, Report
from archspec.cost.setting import Setting, setting
from archspec.cost.size import at_if_open, graph_at
from archspec.display import Displayed, renderer
from archspec.errors import SpecError, UsageError
from archspec.figure import AnyFigure
from archspec.imports.loading import spec_for
from archspec.spec.document import Spec
from archspec.studies.goals import Bound, Objective, bounds, front, objectives
from archspec.studies.space import Space, space_of

COLUMNS: Final = ("params", "macs", "other_ops", "activations", "must_keep")
"""Figures of every sweep."""

OBJECTIVES: Final = "min macs, max params"
"""Objectives of a sweep that names none: what a network costs against what it can hold."""

MOST_POINTS: Final = 10_000_000
"""Largest number of combinations."""

CHUNK: Final = 200
"""Combinations that a process takes at a time: a fifth of a second of ResNet-50s."""

LARGEST: Final = 2**63 - 1
"""Largest figure, so that a table of many networks is small."""

WITHIN, OUTSIDE, INVALID = range(3)
"""States of a combination: it meets every condition, not every one, or is not a network."""


class Candidate(NamedTuple):
    """A combination of values, and the figures of its network."""

    number: int
    """Place in the sweep, from 0; the last variable changes fastest."""
    values: Mapping[str, Any]
    figures: Mapping[str, int]
    """Figures by name; empty where the values give no network."""
    within: bool
    """Whether the values give a network that meets every condition."""
    problem: str = ""
    """The reason why the values give no network."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**self._asdict(), "values": dict(self.values), "figures": dict(self.figures)}


class _Miss(NamedTuple):
    """A network that does not meet a condition: how far it is from that, and what it has."""

    excess: float = float("inf")
    """The figure in multiples of its bound, or the reverse for a figure that is too small."""
    number: int = -1
    text: str = ""


class _Part(NamedTuple):
    """The results of some combinations."""

    figures: array[int]
    states: bytearray
    problems: dict[int, str]
    nearest: _Miss


@dataclass(frozen=True)
class Assessor:
    """Assess the networks of a space: figures and conditions, without building anything."""

    space: Space
    columns: tuple[str, ...]
    where: tuple[Bound, ...]
    setting: Setting
    at: Any

    def report(self, spec: Spec) -> Report:
        """Return the costs of a network.

        Raises:
            SpecError: It is none.
            UsageError: A value cannot be set, or the size does not fit.
        """
        at = at_if_open(spec, self.at)
        return Report(expand(spec) if at is None else graph_at(spec, at), spec, self.setting)

    def miss(self, report: Report) -> _Miss | None:
        """Return by how much a network misses a condition; None if it meets all."""
        broken = [
            (each.actual, each.bound, f"{each.figure} is {each.found}, not {each.claim}")
            for each in (report.checks if self._has_budget else ())
            if each.section == "budget" and not each.holds
        ]
        for bound in self.where:
            actual = bound.actual(report)
            if actual is None:
                raise UsageError(
                    f"`{bound.text}` depends on the size of the input: give it by `at`"
                )
            if not bound.holds(actual):
                missed = f"{bound.figure} is {actual:,}, not {bound.symbol} {bound.number:,}"
                broken.append((actual, bound.number, missed))
        if not broken:
            return None
        excess = max(max(a / max(b, 1), b / max(a, 1)) for a, b, _ in broken)
        return _Miss(excess, -1, "; ".join(text for *_, text in broken))

    @cached_property
    def _has_budget(self) -> bool:
        return bool(self.space.spec.document.budget)

    def part(self, start: int, stop: int) -> _Part:
        """Return the results of the combinations from one number up to another."""
        figures, states = array("q"), bytearray()
        problems: dict[int, str] = {}
        nearest = _Miss()
        read = [FIGURES[name] for name in self.columns]
        for index in range(start, stop):
            row, problem, missed = [0] * len(read), "", None
            try:
                costs = self.report(self.space.network(self.space.values(index)))
            except SpecError as error:
                problem = _reason(error)
            except UsageError as error:
                problem = str(error)
            else:
                row = [figure(costs) for figure in read]
                if not all(isinstance(n, int) for n in row):
                    raise UsageError("a sweep of open inputs needs a size: `at='512x768'`")
                if max(row) > LARGEST:
                    problem, row = f"a figure is over {LARGEST:,}", [0] * len(read)
                else:
                    missed = self.miss(costs)
            if problem:
                problems[index] = problem
            elif missed:
                nearest = min(nearest, missed._replace(number=index))
            figures.extend(row)
            states.append(INVALID if problem else OUTSIDE if missed else WITHIN)
        return _Part(figures, states, problems, nearest)


@dataclass(frozen=True, repr=False)
class Sweep(Displayed):
    """All combinations of some variables' values. Print it, or read its candidates and front."""

    RENDERER = "sweep"

    space: Space
    columns: tuple[str, ...]
    """Names of the figures."""
    objectives: tuple[Objective, ...]
    """Objectives of the front."""
    where: tuple[str, ...]
    """Conditions beside the spec's `budget:`."""
    setting: Setting
    """Setting that bytes are counted for."""
    figures: array[int]
    """The figures of one candidate after the other; zeros where there is no network."""
    states: bytearray
    """State of each candidate: 0 within the conditions, 1 outside, 2 no network."""
    problems: Mapping[int, str]
    """The reason why a candidate is not a network, by its number."""
    nearest: str = ""
    """The network that comes nearest to the conditions, where none meets them."""

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.space.spec.name

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.states)

    def __iter__(self) -> Iterator[Candidate]:
        """Yield all candidates, those that are not networks too."""
        return map(self.candidate, range(len(self)))

    def candidate(self, index: int) -> Candidate:
        """Return a candidate by its number."""
        width, state = len(self.columns), self.states[index]
        row = self.figures[index * width : (index + 1) * width]
        figures = {} if state == INVALID else dict(zip(self.columns, row, strict=True))
        values = self.space.values(index)
        return Candidate(index, values, figures, state == WITHIN, self.problems.get(index, ""))

    def column(self, name: str) -> Sequence[int]:
        """Return a figure of all candidates."""
        return self.figures[self.columns.index(name) :: len(self.columns)]

    @property
    def valid(self) -> int:
        """Number of candidates that are networks."""
        return len(self) - self.states.count(INVALID)

    @property
    def within(self) -> int:
        """Number of candidates that meet every condition."""
        return self.states.count(WITHIN)

    @cached_property
    def reasons(self) -> Sequence[tuple[str, int, Candidate]]:
        """Why candidates are not networks, how many for each reason, and the first of these."""
        counts = Counter(self.problems.values())
        first: dict[str, int] = {}
        for index, reason in self.problems.items():
            first.setdefault(reason, index)
        return [(why, n, self.candidate(first[why])) for why, n in counts.most_common()]

    @cached_property
    def front(self) -> tuple[Candidate, ...]:
        """Candidates within the conditions that no other beats in every objective."""
        chosen = [index for index, state in enumerate(self.states) if state == WITHIN]
        columns = [(goal, self.column(goal.figure)) for goal in self.objectives]
        costs = [[goal.cost(column[index]) for goal, column in columns] for index in chosen]
        return tuple(self.candidate(chosen[i]) for i in front(costs))

    def figure(self) -> FrontFigure:
        """Return the plot of all candidates, with the front among them."""
        return FrontFigure(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table or the plot to a file, in the format of its suffix.

        Args:
            path: A file: `.csv` and `.json` have all candidates, `.md` and `.txt` the front;
                `.svg`, `.png`, `.pdf`, `.html` and `.tex` the plot.

        Returns:
            The path.

        Raises:
            UsageError: There is no such format, or the file cannot be written.

        Example:
            >>> archspec.sweep("lenet5", {"classes": "2..20"}).save("sweep.csv").name
            'sweep.csv'
        """
        target = Path(arguments.place("path", path))
        if target.suffix not in _TABLES:
            return self.figure().save(target)
        return atomic.save(target, renderer(self.RENDERER).written(self, _TABLES[target.suffix]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: all candidates as rows, and the front."""
        return {
            "name": self.name,
            "convention": CONVENTION,
            **self.setting.to_dict(),
            "variables": {each.name: list(each.values or ()) for each in self.space.dimensions},
            "objectives": list(map(str, self.objectives)),
            "where": list(self.where),
            "candidates": len(self),
            "valid": self.valid,
            "within": self.within,
            "nearest": self.nearest,
            "front": [each.to_dict() for each in self.front],
            "columns": [*self.space.names, *self.columns, "within", "problem"],
            "rows": list(self.rows()),
        }

    def rows(self) -> Iterator[list[Any]]:
        """Yield the values, the figures and the state of every candidate."""
        for each in self:
            figures = [each.figures.get(name) for name in self.columns]
            yield [*each.values.values(), *figures, each.within, each.problem]

    def __repr__(self) -> str:
        """Return one line, as a sweep may be in a list."""
        return f"<Sweep of {self.name}: {len(self):,} candidates, {len(self.front):,} on the front>"


_TABLES: Final = {".csv": "csv", ".json": "json", ".md": "markdown", ".txt": "text"}


@dataclass(frozen=True, repr=False)
class FrontFigure(AnyFigure):
    """The candidates of a sweep by two figures, with the Pareto front among them."""

    sweep: Sweep
    style: str = field(default="front", init=False)
    depth: None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.sweep.name


def sweep(
    spec: Spec | str | os.PathLike[str],
    vary: Mapping[str, Any] | None = None,
    *,
    front: str | Sequence[str] = OBJECTIVES,
    where: str | Sequence[str] = (),
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    inference: bool = False,
    at: str | int | Sequence[int] | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Return the figures of all combinations of some variables' values, and their Pareto front.

    Nothing is built or trained. Combinations that give no network are counted, with the reason.

    Args:
        spec: A spec, or a path or a name as `load` takes them.
        vary: The values of each variable: a list, a range as text, `"8..64:8"`, or what `search:`
            takes. `input` takes sizes, as `[128, 160]`, and `variant` the names of variants.
            Default: those of the spec's `search:`.
        front: Objectives of the front, as `"min macs"`, `"max params"` or `"macs"`, which is
            minimized.
        where: Conditions beside the spec's `budget:`, as `"params < 20K"`.
        batch: As for `report`; so are `dtype`, `optimizer`, `inference` and `at`.
        dtype: See `batch`.
        optimizer: See `batch`.
        inference: See `batch`.
        at: See `batch`.
        jobs: Number of processes. Where it is above 1, a script needs `if __name__ == "__main__":`.
        progress: Function that is given the number of candidates done, and of all.

    Returns:
        A sweep that prints itself: `front`, the candidates in order, `to_dict()`, `save(path)`.

    Raises:
        SpecError: The spec has mistakes that no values mend.
        UsageError: An argument is wrong, or there are more than 10,000,000 combinations.

    Example:
        >>> found = archspec.sweep("lenet5", {"classes": [2, 10, 100]}, front="min params")
        >>> len(found), found.front[0].values
        (3, {'classes': 2})
    """
    network = spec_for("`archspec.sweep`", spec, inference=inference)
    space = space_of(network, vary or {})
    count = space.count
    if count is None:
        free = next(each.name for each in space.dimensions if each.values is None)
        raise UsageError(f"`{free}` may have any value: a sweep needs a step, as `0.1..0.5:0.1`")
    if count > MOST_POINTS:
        raise UsageError(f"{count:,} combinations are more than {MOST_POINTS:,}")
    arguments.whole("jobs", jobs)
    goals, conditions = objectives(front), bounds(where)
    columns = tuple(dict.fromkeys([*COLUMNS, *(goal.figure for goal in goals)]))
    assessor = Assessor(space, columns, conditions, setting(network, batch, dtype, optimizer), at)
    figures, states = array("q"), bytearray()
    problems: dict[int, str] = {}
    miss = _Miss()
    for part in _parts(assessor, count, min(jobs, -(-count // CHUNK))):
        figures.extend(part.figures)
        states.extend(part.states)
        problems.update(part.problems)
        miss = min(miss, part.nearest)
        if progress:
            progress(len(states), count)
    nearest = ""
    if miss.text and WITHIN not in states:
        nearest = f"{shown_values(space.values(miss.number))}: {miss.text}"
    texts = tuple(each.text for each in conditions)
    return Sweep(space, columns, goals, texts, assessor.setting, figures, states, problems, nearest)


def shown_values(values: Mapping[str, Any]) -> str:
    """Return the values of variables as people read them: `width 16, depth 3`."""
    return ", ".join(f"{name} {shown_value(value)}" for name, value in values.items())


def shown_value(value: Any) -> str:
    """Return the value of a variable as people read it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown_value, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _reason(error: SpecError) -> str:
    """Return why a combination is not a network: its first mistake."""
    more = len(error.diagnostics) - 1
    return error.diagnostics[0].message + (f" (and {more} more)" if more else "")


def _parts(assessor: Assessor, count: int, jobs: int) -> Iterator[_Part]:
    """Yield the results of all combinations, in order, from one process or several."""
    starts = range(0, count, CHUNK)
    if jobs == 1:
        for start in starts:
            yield assessor.part(start, min(start + CHUNK, count))
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (assessor,)) as pool:
        waiting: list[Future[_Part]] = []
        try:
            for start in starts:
                waiting.append(pool.submit(_assess, start, min(start + CHUNK, count)))
                if len(waiting) >= 4 * jobs:  # no more results wait than are read
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_ASSESSOR: list[Assessor] = []
"""The assessor of a process that takes parts of a sweep."""


def _begin(assessor: Assessor) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that asks
    _ASSESSOR[:] = [assessor]


def _assess(start: int, stop: int) -> _Part:
    return _ASSESSOR[0].part(start, stop)

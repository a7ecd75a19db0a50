"""Runs side by side: their results, and their measures epoch by epoch.

Runs that differ only in their seeds are one entry, with the mean and the spread of its runs. All
values are read from the runs' folders.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec import arguments, atomic
from archspec.data.task import MAIN_MEASURES, TaskKind
from archspec.display import Displayed, renderer
from archspec.element import show
from archspec.errors import SpecError, UsageError, suggestion
from archspec.graph.graph import MAIN_OUTPUT
from archspec.runs import origin, units
from archspec.runs.files import SPEC
from archspec.runs.origin import NOT_THE_NETWORK, RunSetup
from archspec.runs.outcome import Run
from archspec.runs.storage import plain
from archspec.runs.units import MEASURES, LayerMeasures
from archspec.text import is_error

SCHEMA_VERSION = 1
"""Version of the JSON form. It grows when a key changes its meaning or goes."""

SEEDS: Final = ("seed", "data.seed")
"""Keys of a recipe in which repetitions of a run may differ."""

NOT_THE_RESULT: Final = frozenset(
    {
        *("data.cache", "data.path", "devices", "jit", "steps_per_execution", "tensorboard"),
        "watch_units",
    }
)
"""Keys of a recipe that do not change what is learnt, except by rounding."""

BY: Final = ("recipe", "network", "run")
"""Ways to group runs into entries: by network and recipe, by network, or each run alone."""

CURVES: Final = ("loss", "error")
"""Measures that are drawn by default; of numbers there is `mae` instead of the error."""

TRAIN: Final = "train_"
VALIDATION: Final = "val_"
"""Prefixes of a measure's name that choose only the training or the validation curve."""

PARTS: Final[tuple[str, ...]] = ("", VALIDATION)
"""Prefixes of the history's columns for training and validation images."""

MOST_SHOWN: Final = 3
"""Largest number of differing values in an entry's name."""


class Figures(NamedTuple):
    """Results of a run as numbers, None where it has none."""

    epochs: int
    best_epoch: int | None
    validation: float | None
    """Accuracy on the validation images after the last epoch; of numbers their `mae`."""
    best: float | None
    """The same after the best epoch."""
    test: float | None
    """The same of the best epoch's model on the test images."""
    params: int
    seconds: float
    images_per_second: float | None


class Curve(NamedTuple):
    """Mean and extremes of a measure over an entry's runs, for the epochs that all of them have."""

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedRun:
    """A run, with its network and settings."""

    run: Run
    network: Mapping[str, Any]
    settings: Mapping[str, Any]
    """Variables of the spec and all of the recipe, by dotted keys."""
    units: tuple[LayerMeasures, ...]

    @classmethod
    def read(cls, home: Path) -> ComparedRun:
        """Read a run's folder; raise `UsageError` or `SpecError`."""
        if home.suffix == ".keras":
            raise UsageError(f"{home} is a model: name the folder of its run")
        run = Run.read(home)
        setup = RunSetup.read(home)
        network = origin.network(setup.spec)
        network = {key: value for key, value in network.items() if key not in NOT_THE_NETWORK}
        settings = dict(_flat({**network.get("vars", {}), **setup.recipe.to_dict()}))
        return cls(run, network, settings, units.read(home))

    @property
    def figures(self) -> Figures:
        run = self.run
        key = VALIDATION + self.measure
        last = run.history[-1] if run.history else {}
        best = run.history[run.best_epoch - 1] if run.best_epoch else {}
        return Figures(
            len(run.history),
            run.best_epoch,
            last.get(key),
            best.get(key),
            run.test.get(self.measure, run.test_accuracy),
            run.params,
            run.seconds,
            run.images_per_second or None,
        )

    @property
    def measure(self) -> str:
        """Name of the history's column with the main output's accuracy, or with its `mae`."""
        first = self.run.history[0] if self.run.history else {}
        name = MAIN_MEASURES[self.run.task]
        return name if name in first else f"{MAIN_OUTPUT}_{name}"

    def measures(self) -> list[str]:
        """Return the names of all measures that can be drawn."""
        keys = [key for key in (self.run.history or [{}])[0] if key != "epoch"]
        named = [key.removeprefix(VALIDATION) for key in keys]
        layers = self.units[0] if self.units else {}
        of_layers = [f"{name}:{layer}" for name in MEASURES for layer in layers]
        is_share = self.measure in keys and not is_error(self.measure)
        error = ["error"] if is_share else []
        return list(dict.fromkeys([*error, *named, *of_layers]))

    def values(self, measure: str, part: str) -> dict[int, float]:
        """Return a measure by epoch; `part` is "" or `VALIDATION`. Empty if the run lacks it."""
        name, _, layer = measure.partition(":")
        if layer:
            if part:
                return {}
            by_epoch = {n: layers.get(layer, {}).get(name) for n, layers in enumerate(self.units)}
            return {n: float(value) for n, value in by_epoch.items() if value is not None}
        if measure == "error" and is_error(self.measure):
            return {}
        key = self.measure if measure in {"error", MAIN_MEASURES[self.run.task]} else measure
        rows = {int(row["epoch"]): row for row in self.run.history}
        values = {n: float(row[part + key]) for n, row in rows.items() if part + key in row}
        return {n: 1 - value for n, value in values.items()} if measure == "error" else values


@dataclass(frozen=True, slots=True, eq=False)
class RunEntry:
    """One run, or several that differ only in their seeds."""

    name: str
    runs: tuple[ComparedRun, ...]

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seed of each run."""
        return tuple(show(each.settings["seed"]) for each in self.runs)

    def figure(self, name: str) -> tuple[float | None, float | None]:
        """Return mean and standard deviation of a field of `Figures` over the runs that have it.

        The deviation divides by n - 1, and is None for a single run.
        """
        values = [getattr(each.figures, name) for each in self.runs]
        known = [float(value) for value in values if value is not None]
        if not known:
            return None, None
        return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None

    def curve(self, measure: str, part: str = "") -> Curve | None:
        """Return a measure's mean and extremes; None if a run of the entry lacks the measure."""
        several = [each.values(measure, part) for each in self.runs if each.run.history]
        shared = sorted(set.intersection(*map(set, several))) if several else []
        if not shared:
            return None
        columns = [[values[epoch] for values in several] for epoch in shared]
        return Curve(
            tuple(shared),
            tuple(map(_mean, columns)),
            tuple(map(min, columns)),
            tuple(map(max, columns)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class RunComparison(Displayed):
    """Runs side by side: a table when printed, `entries` as values, curves by `draw`."""

    RENDERER = "runs"

    entries: tuple[RunEntry, ...]
    by: str
    notes: tuple[str, ...] = ()
    """Remarks, such as a run that has no curve."""

    def to_dict(self, curves: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the comparison as plain data: the JSON form, versioned by `schema_version`.

        Args:
            curves: Measures whose curves to include; by default `loss` and `error`, of numbers
                `loss` and `mae`.

        """
        return {
            "schema_version": SCHEMA_VERSION,
            "by": self.by,
            "entries": [
                {
                    "name": entry.name,
                    "runs": [
                        {
                            "folder": str(each.run.folder),
                            "name": each.run.name,
                            "outcome": each.run.outcome,
                            **{key: each.settings[key] for key in SEEDS},
                            **each.figures._asdict(),
                        }
                        for each in entry.runs
                    ],
                    "figures": {
                        name: dict(zip(("mean", "deviation"), entry.figure(name), strict=True))
                        for name in Figures._fields
                    },
                    "curves": {
                        part + measure: plain(curve._asdict())
                        for measure, parts in self.drawn(curves)
                        for part in parts
                        if (curve := entry.curve(measure, part))
                    },
                }
                for entry in self.entries
            ],
            "notes": list(self.notes),
        }

    def drawn(self, curves: Sequence[str] | None = None) -> list[tuple[str, tuple[str, ...]]]:
        """Return the measures to draw, each with the parts of the data that some run has it for.

        Raises:
            UsageError: No run has a measure.

        """
        named = self.curves if curves is None else arguments.names("curves", curves)
        drawn = []
        for name in named:
            measure, parts = name, PARTS
            for prefix, only in ((TRAIN, PARTS[:1]), (VALIDATION, PARTS[1:])):
                if name.startswith(prefix):
                    measure, parts = name.removeprefix(prefix), only
            known = tuple(p for p in parts if any(run.values(measure, p) for run in self.compared))
            if not known:
                measures = dict.fromkeys(m for run in self.compared for m in run.measures())
                hint = suggestion(measure, list(measures), what="measures")
                raise UsageError(f"no run has a measure `{name}` to draw; {hint}")
            drawn.append((measure, known))
        return drawn

    @property
    def task(self) -> TaskKind:
        """The kind of task that all runs were trained for."""
        return self.entries[0].runs[0].run.task

    @property
    def curves(self) -> tuple[str, str]:
        """The measures that are drawn by default."""
        return CURVES if self.task != "regression" else ("loss", MAIN_MEASURES[self.task])

    def missing(self, curves: Sequence[str] | None = None) -> Iterator[str]:
        """Yield a sentence for each entry without a measure that others have."""
        for measure, parts in self.drawn(curves):
            for entry in self.entries:
                if any(each.run.history for each in entry.runs) and not any(
                    entry.curve(measure, part) for part in parts
                ):
                    yield f"{entry.name} has no `{measure}`, so no curve of it is drawn"

    @property
    def compared(self) -> Iterator[ComparedRun]:
        """Iterator over the runs of all entries."""
        return (each for entry in self.entries for each in entry.runs)

    def draw(self, path: str | PathLike[str], curves: Sequence[str] | None = None) -> None:
        """Draw the curves of all entries in one picture.

        Args:
            path: A file, `.svg` or `.png`.
            curves: Measures, one panel each: `loss`, `accuracy`, `error` or another column of
                `history.csv`. The prefix `train_` or `val_` chooses only one curve. Runs with
                `watch_units` also have `gradient:LAYER`, `dead:LAYER` and `saturated:LAYER`.

        Raises:
            UsageError: No run has a measure, or the file cannot be written.

        """
        place = Path(arguments.place("path", path))
        if place.suffix not in {".svg", ".png"}:
            raise UsageError(f"`path={str(place)!r}` must end in .svg or .png")
        with atomic.saving(place) as partial:
            renderer("run_curves").write_comparison(self, self.drawn(curves), partial)


def compare_runs(
    *runs: Run | str | PathLike[str], by: str = "recipe", sort: str | None = None
) -> RunComparison:
    """Compare trained runs: results side by side, and curves.

    Args:
        runs: Two or more runs that have ended, or their folders.
        by: How to group runs into entries: by `recipe` (same network and recipe, any seeds), by
            `network`, or each `run` alone.
        sort: A figure to sort by, such as `test`; with a leading `-` largest first. By default
            entries are in the order given.

    Returns:
        A comparison that prints itself as a table; `draw` draws its curves.

    Raises:
        UsageError: An argument is wrong, or a folder does not hold a run that has ended; the
            message names every such folder.

    Example:
        >>> other = archspec.fit("lenet5", epochs=2, optimizer="sgd")
        >>> comparison = archspec.compare_runs("runs/lenet5-1", other)
        >>> len(comparison.entries)
        2
        >>> comparison.draw("curves.svg", ["loss", "error"])
    """
    arguments.one_of("by", by, BY)
    key = None if sort is None else arguments.text("sort", sort).removeprefix("-")
    if key is not None and key not in Figures._fields:
        hint = suggestion(key, Figures._fields, what="figures")
        raise UsageError(f"`sort={sort!r}`: there is no figure `{key}` to sort by; {hint}")
    compared = _read(runs)
    _check_same_task([each.run for each in compared])
    groups: dict[str, list[ComparedRun]] = {}
    for each in compared:
        groups.setdefault(_key(each, by), []).append(each)
    names = _names(list(groups.values()), by)
    entries = [
        RunEntry(name, tuple(group)) for name, group in zip(names, groups.values(), strict=True)
    ]
    if key is not None and sort is not None:
        largest_first = sort.startswith("-")

        def rank(entry: RunEntry) -> tuple[bool, float]:
            value = entry.figure(key)[0]
            return value is None, (value or 0.0) * (-1 if largest_first else 1)

        entries.sort(key=rank)
    return RunComparison(tuple(entries), by, tuple(_notes(entries)))


def _read(runs: Sequence[Any]) -> list[ComparedRun]:
    """Read the runs; raise one `UsageError` for all that cannot be read."""
    places = [Path(arguments.place("runs", getattr(run, "folder", run))) for run in runs]
    if len(places) < 2:
        given = f"only {places[0]} is" if places else "no run is"
        raise UsageError(f"{given} given: name the folders of two runs or more to compare")
    seen: set[Path] = set()
    problems: list[str] = []
    compared: list[ComparedRun] = []
    for place in places:
        if place.resolve() in seen:
            problems.append(f"{place} is given twice")
            continue
        seen.add(place.resolve())
        try:
            compared.append(ComparedRun.read(place))
        except UsageError as error:
            problems.append(str(error))
        except SpecError as error:
            problems.append(f"{place / SPEC}: {error.diagnostics[0].message}")
    if problems:
        raise UsageError("\n".join(problems))
    return compared


def _check_same_task(runs: Sequence[Run]) -> None:
    first = runs[0]
    for other in runs[1:]:
        if other.task != first.task:
            raise UsageError(
                f"{first.folder} was trained for {first.task} and {other.folder} for {other.task}: "
                "compare runs of one task"
            )


def _notes(entries: Sequence[RunEntry]) -> Iterator[str]:
    for entry in entries:
        for each in entry.runs:
            if not each.run.history:
                ended = each.run.outcome
                yield f"{each.run.folder} has no whole epoch ({ended}), so it has no curve"
        lengths = {len(each.run.history) for each in entry.runs} - {0}
        if len(lengths) > 1:
            yield (
                f"{entry.name}: its runs have {min(lengths)} to {max(lengths)} epochs, and its "
                "curve ends with the shortest"
            )


def _key(each: ComparedRun, by: str) -> str:
    """Return a text that is equal for the runs of one entry."""
    if by == "run":
        return str(each.run.folder)
    shared: list[Any] = [each.network]
    if by == "recipe":
        ignored = {*SEEDS, *NOT_THE_RESULT}
        shared.append({k: v for k, v in each.settings.items() if k not in ignored})
    return json.dumps(shared, sort_keys=True, default=str)


def _names(groups: Sequence[Sequence[ComparedRun]], by: str) -> list[str]:
    """Return each group's name: its network's, with the settings in which others of it differ."""
    ignored = NOT_THE_RESULT if by == "run" else {*NOT_THE_RESULT, *SEEDS}
    networks = [group[0].run.name for group in groups]
    names = []
    for group, name in zip(groups, networks, strict=True):
        others = [other for other, theirs in zip(groups, networks, strict=True) if theirs == name]
        if len(others) == 1:
            names.append(name)
            continue
        settings = [other[0].settings for other in others]
        differing = [
            key
            for key in dict.fromkeys(key for each in settings for key in each)
            if key not in ignored and len({str(each.get(key)) for each in settings}) > 1
        ]
        words = ", ".join(
            f"{key.rpartition('.')[2]}={_shown(group[0].settings.get(key))}"
            for key in differing[:MOST_SHOWN]
        )
        same = len(set(networks)) == 1
        names.append(words if words and same else f"{name} {words}".rstrip())
    return [
        group[0].run.folder.name if names.count(name) > 1 else name
        for group, name in zip(groups, names, strict=True)
    ]


def _shown(value: Any) -> str:
    """Return a value as in a command-line option: words without quotes."""
    return value if isinstance(value, str) else show(value)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that is not a mapping, with its dotted key."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan

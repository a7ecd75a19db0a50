"""Runs side by side: what each came to, and how its measures went, epoch by epoch.

Runs of the same network and recipe but of other seeds are one entry, with the mean and the spread
of its runs. Nothing is computed anew: all of it stands in the runs' folders.
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

from archspec import arguments
from archspec.display import Displayed, renderer
from archspec.element import show
from archspec.errors import SpecError, UsageError, suggestion
from archspec.runs import origin, units
from archspec.runs.origin import SAYS_NOTHING, RunSetup
from archspec.runs.outcome import Run
from archspec.runs.units import MEASURES, LayerMeasures

SCHEMA_VERSION = 1
"""The version of the JSON form. It grows when a key changes its meaning or goes."""

SEEDS: Final = ("seed", "data.seed")
"""Keys of a recipe in which runs that are repetitions of each other may differ."""

SAYS_NO_MORE: Final = frozenset(
    {
        *("data.cache", "data.path", "devices", "jit", "steps_per_execution", "tensorboard"),
        "watch_units",
    }
)
"""Keys of a recipe on which what is learnt does not depend, but for rounding."""

BY: Final = ("recipe", "network", "run")
"""What the runs of an entry have in common: network and recipe, the network, or nothing."""

CURVES: Final = ("loss", "error")
"""The measures that are drawn unless others are named."""

TRAIN: Final = "train_"
VALIDATION: Final = "val_"
"""How the name of a measure begins of which only this part's curve is meant."""

PARTS: Final[tuple[str, ...]] = ("", VALIDATION)
"""How the columns of a history begin that are of training, and of validation images."""

MOST_SHOWN: Final = 3
"""How many values that differ an entry is named by."""


class Figures(NamedTuple):
    """What a run came to. None where it has no such thing."""

    epochs: int
    best_epoch: int | None
    validation: float | None
    """Accuracy of the last epoch."""
    best: float | None
    """Accuracy on the validation images of the best epoch."""
    test: float | None
    """Accuracy of the best epoch's model."""
    params: int
    seconds: float
    images_per_second: float | None


class Curve(NamedTuple):
    """A measure of an entry's runs over the epochs that all of them have."""

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A run, and what tells it from others."""

    run: Run
    network: Mapping[str, Any]
    settings: Mapping[str, Any]
    """The variables of its spec and all of its recipe, by dotted keys."""
    units: tuple[LayerMeasures, ...]

    @classmethod
    def read(cls, home: Path) -> Compared:
        """Read a run's folder; raise `UsageError` or `SpecError`."""
        if home.suffix == ".keras":
            raise UsageError(f"{home} is a model: name the folder of its run")
        run = Run.read(home)
        began = RunSetup.read(home)
        network = origin.network(began.spec)
        network = {key: value for key, value in network.items() if key not in SAYS_NOTHING}
        settings = dict(_flat({**network.get("vars", {}), **began.recipe.to_dict()}))
        return cls(run, network, settings, units.read(home))

    @property
    def figures(self) -> Figures:
        run = self.run
        key = VALIDATION + self.accuracy
        last = run.history[-1] if run.history else {}
        best = run.history[run.best_epoch - 1] if run.best_epoch else {}
        return Figures(
            len(run.history),
            run.best_epoch,
            last.get(key),
            best.get(key),
            run.test_accuracy,
            run.params,
            run.seconds,
            run.images_per_second or None,
        )

    @property
    def accuracy(self) -> str:
        """The column of the main output's accuracy."""
        first = self.run.history[0] if self.run.history else {}
        return "accuracy" if "accuracy" in first else "output_accuracy"

    def measures(self) -> list[str]:
        """The names of all that can be drawn."""
        keys = [key for key in (self.run.history or [{}])[0] if key != "epoch"]
        named = [key.removeprefix(VALIDATION) for key in keys]
        found = ["error" if self.accuracy in keys else "", *named]
        layers = self.units[0] if self.units else {}
        found += [f"{name}:{layer}" for name in MEASURES for layer in layers]
        return list(dict.fromkeys(filter(None, found)))

    def values(self, measure: str, part: str) -> dict[int, float]:
        """A measure by epoch; `part` is "", or `VALIDATION`. Empty where there is none."""
        name, _, layer = measure.partition(":")
        if layer:
            if part:
                return {}
            found = {n: layers.get(layer, {}).get(name) for n, layers in enumerate(self.units)}
            return {n: float(value) for n, value in found.items() if value is not None}
        key = self.accuracy if measure in {"accuracy", "error"} else measure
        rows = {int(row["epoch"]): row for row in self.run.history}
        values = {n: float(row[part + key]) for n, row in rows.items() if part + key in row}
        return {n: 1 - value for n, value in values.items()} if measure == "error" else values


@dataclass(frozen=True, slots=True, eq=False)
class RunEntry:
    """One run, or several that only their seeds tell apart."""

    name: str
    runs: tuple[Compared, ...]

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seed of each run."""
        return tuple(show(each.settings["seed"]) for each in self.runs)

    def figure(self, name: str) -> tuple[float | None, float | None]:
        """The mean of a field of `Figures`, and its standard deviation.

        Both are of the runs that have it; the deviation, with n - 1, is None for a single one.
        """
        values = [getattr(each.figures, name) for each in self.runs]
        known = [float(value) for value in values if value is not None]
        if not known:
            return None, None
        return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None

    def curve(self, measure: str, part: str = "") -> Curve | None:
        """A measure's mean and extremes; None where a run of the entry does not have it."""
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
    """Runs side by side. Print it, read its entries, or `draw` their curves."""

    RENDERER = "runs"

    entries: tuple[RunEntry, ...]
    by: str
    notes: tuple[str, ...] = ()
    """What else is to be known, as which run has no curve."""

    def to_dict(self, curves: Sequence[str] | None = None) -> dict[str, Any]:
        """Everything, as plain data: the JSON form, versioned by `schema_version`.

        Args:
            curves: The measures whose curves are in it; by default `loss` and `error`.

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
                        part + measure: {
                            key: _finite(values) for key, values in curve._asdict().items()
                        }
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
        """The measures that are named, and of each the parts that some run has.

        Raises:
            UsageError: No run has it.

        """
        named = CURVES if curves is None else arguments.names("curves", curves)
        found = []
        for name in named:
            measure, parts = name, PARTS
            for prefix, only in ((TRAIN, PARTS[:1]), (VALIDATION, PARTS[1:])):
                if name.startswith(prefix):
                    measure, parts = name.removeprefix(prefix), only
            here = tuple(p for p in parts if any(each.values(measure, p) for each in self.compared))
            if not here:
                known = list(dict.fromkeys(m for each in self.compared for m in each.measures()))
                hint = suggestion(measure, known, what="measures")
                raise UsageError(f"no run has a measure `{name}` to draw; {hint}")
            found.append((measure, here))
        return found

    def missing(self, curves: Sequence[str] | None = None) -> Iterator[str]:
        """Yield a sentence for each entry that lacks a measure which others have."""
        for measure, parts in self.drawn(curves):
            for entry in self.entries:
                if any(each.run.history for each in entry.runs) and not any(
                    entry.curve(measure, part) for part in parts
                ):
                    yield f"{entry.name} has no `{measure}`, so no curve of it is drawn"

    @property
    def compared(self) -> Iterator[Compared]:
        """The runs of all entries."""
        return (each for entry in self.entries for each in entry.runs)

    def draw(self, path: str | PathLike[str], curves: Sequence[str] | None = None) -> None:
        """Draw the curves of all entries in one picture.

        Args:
            path: A file, `.svg` or `.png`.
            curves: The measures, a panel each: `loss`, `accuracy`, `error` or another column of
                `history.csv`; with `train_` or `val_` before it only that part's curve. After
                `watch_units` also `gradient:LAYER`, `dead:LAYER` and `saturated:LAYER`.

        Raises:
            UsageError: No run has the measure, or the file cannot be written.

        """
        place = Path(arguments.place("path", path))
        if place.suffix not in {".svg", ".png"}:
            raise UsageError(f"`path={str(place)!r}` must end in .svg or .png")
        drawn = self.drawn(curves)
        try:
            renderer("run_curves").write_comparison(self, drawn, place)
        except OSError as error:
            raise UsageError(f"cannot write {place}: {error.strerror}") from None


def compare_runs(
    *runs: Run | str | PathLike[str], by: str = "recipe", sort: str | None = None
) -> RunComparison:
    """Return trained runs side by side.

        print(archspec.compare_runs("runs/a-1", "runs/a-2", "runs/b-1"))
        archspec.compare_runs("runs/a-1", "runs/b-1").draw("curves.svg", ["loss", "error"])

    Args:
        runs: Two or more runs that have ended, or their folders.
        by: What the runs of one entry have in common: `recipe` (network and recipe, all but the
            seeds), `network`, or nothing but being the same `run`.
        sort: A field of `Figures` to sort by, such as `test`; largest first after a `-`. As given
            unless said.

    Returns:
        A comparison that prints itself; `draw` draws its curves.

    Raises:
        UsageError: An argument is wrong, or a folder holds no run that has ended; all of them are
            named.

    """
    arguments.one_of("by", by, BY)
    key = None if sort is None else arguments.text("sort", sort).removeprefix("-")
    if key is not None and key not in Figures._fields:
        hint = suggestion(key, Figures._fields, what="figures")
        raise UsageError(f"`sort={sort!r}`: there is no figure `{key}` to sort by; {hint}")
    compared = _read(runs)
    groups: dict[str, list[Compared]] = {}
    for each in compared:
        groups.setdefault(_key(each, by), []).append(each)
    names = _names(list(groups.values()), by)
    entries = [
        RunEntry(name, tuple(group)) for name, group in zip(names, groups.values(), strict=True)
    ]
    if key is not None and sort is not None:
        with_it = [entry for entry in entries if entry.figure(key)[0] is not None]
        with_it.sort(key=lambda entry: entry.figure(key)[0] or 0.0, reverse=sort.startswith("-"))
        entries = [*with_it, *(entry for entry in entries if entry not in with_it)]
    return RunComparison(tuple(entries), by, tuple(_notes(entries)))


def _read(runs: Sequence[Any]) -> list[Compared]:
    """The runs; raise for all that cannot be read at once."""
    places = [Path(arguments.place("runs", getattr(run, "folder", run))) for run in runs]
    if len(places) < 2:
        given = f"{places[0]} alone" if places else "no run"
        raise UsageError(f"there is {given} to compare: name the folders of two runs or more")
    seen: set[Path] = set()
    problems: list[str] = []
    compared: list[Compared] = []
    for place in places:
        if place.resolve() in seen:
            problems.append(f"{place} stands twice")
            continue
        seen.add(place.resolve())
        try:
            compared.append(Compared.read(place))
        except UsageError as error:
            problems.append(str(error))
        except SpecError as error:
            problems.append(f"{place}: {error.diagnostics[0].message}")
    if problems:
        raise UsageError("\n".join(problems))
    return compared


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


def _key(each: Compared, by: str) -> str:
    """Equal for the runs of one entry."""
    if by == "run":
        return str(each.run.folder)
    said: Any = each.network
    if by == "recipe":
        alike = {k: v for k, v in each.settings.items() if k not in {*SEEDS, *SAYS_NO_MORE}}
        said = [said, alike]
    return json.dumps(said, sort_keys=True, default=str)


def _names(groups: Sequence[Sequence[Compared]], by: str) -> list[str]:
    """What to call each group: its network's name, and what tells it from others of that name."""
    ignored = SAYS_NO_MORE if by == "run" else {*SAYS_NO_MORE, *SEEDS}
    named = [group[0].run.name for group in groups]
    found = []
    for group, name in zip(groups, named, strict=True):
        others = [other for other, theirs in zip(groups, named, strict=True) if theirs == name]
        if len(others) == 1:
            found.append(name)
            continue
        settings = [other[0].settings for other in others]
        differing = [
            key
            for key in dict.fromkeys(key for each in settings for key in each)
            if key not in ignored and len({str(each.get(key)) for each in settings}) > 1
        ]
        said = [f"{_last(key)}={_shown(group[0].settings.get(key))}" for key in differing]
        words = ", ".join(said[:MOST_SHOWN])
        same = len(set(named)) == 1
        found.append(words if words and same else f"{name} {words}".rstrip())
    often = {name for name in found if found.count(name) > 1}
    return [
        group[0].run.folder.name if name in often else name
        for group, name in zip(groups, found, strict=True)
    ]


def _shown(value: Any) -> str:
    """A value as an option has it: words without quotes."""
    return value if isinstance(value, str) else show(value)


def _last(key: str) -> str:
    """The last word of a dotted key."""
    return key.rpartition(".")[2]


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping, by its dotted key."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]

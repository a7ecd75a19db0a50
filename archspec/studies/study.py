"""The search: networks of a space trained one after the other, each proposed by those before.

Optuna proposes values, stores the trials, and says which to end early. What is stored is all that
another process needs to take part: the spec, the objectives and the recipe.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments, atomic
from archspec.cost.checks import FIGURES as KNOWN
from archspec.cost.setting import setting
from archspec.display import Displayed, renderer
from archspec.errors import UsageError, beside, extra
from archspec.runs import folder as folders
from archspec.runs.files import INDEX, SPEC
from archspec.runs.outcome import DivergedError, Run
from archspec.spec.document import Spec, choose, validate
from archspec.spec.loading import as_spec
from archspec.spec.source import parse
from archspec.spec.writing import to_yaml
from archspec.studies.files import BEST, DATABASE, STUDY, TABLE, TRIALS
from archspec.studies.goals import Objective, bounds, front, objectives
from archspec.studies.proposals import STARTUP, Coding, NothingLeftError, Proposer
from archspec.studies.space import Space, space_of
from archspec.studies.sweep import Assessor
from archspec.training.callbacks import Logs, RunFacts, Watcher
from archspec.training.fit import fit, resume

if TYPE_CHECKING:
    import optuna

PRUNERS: Final = ("median", "halving", "hyperband", "none")
"""Ways to end a trial early: by the median of others, by successive halving, by Hyperband."""

PARENT: Final = Path("searches")
"""Folder of the folders of searches."""

HEARTBEAT: Final = 10
"""Seconds between the signs of life of a trial, in a database."""

GRACE: Final = 60
"""Seconds without a sign of life after which a trial is repeated."""

LOST: Final = 10.0
"""Seconds after its start from which on a trial is repeated whose folder no process holds."""

PAUSE: Final = 0.5
"""Seconds between two looks at what other processes do."""

WRITING: Final = 100
"""Times that a process tries to write a folder's files, which another process writes too."""

MOST_RESTARTS: Final = 3
"""Times that each process of a search is started again after it was killed."""

FIGURES: Final = ("params", "macs")
"""Figures of every trial, beside those of objectives."""

SETTING: Final = ("batch", "precision", "optimizer")
"""Keys of the recipe that bytes depend on: of use also where nothing is trained."""

_ATTRIBUTE: Final = "archspec"


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


class Trial(NamedTuple):
    """A candidate of a search, and what came of it."""

    number: int
    values: Mapping[str, Any]
    state: str
    """complete, pruned, running, waiting or failed."""
    scores: Mapping[str, float]
    """Values of the objectives; empty for a trial that is not complete."""
    figures: Mapping[str, int]
    folder: str
    """The folder of its run; "" where nothing was trained."""
    seconds: float
    epochs: int
    """Epochs that reported a score."""
    last: float | None
    """The last of these scores."""
    note: str = ""
    """Why it ended early."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {key: dict(v) if isinstance(v, Mapping) else v for key, v in self._asdict().items()}


@dataclass(frozen=True, repr=False)
class Study(Displayed):
    """The trials of a search so far. Print it, or read its trials and the best."""

    RENDERER = "study"

    folder: Path
    """The search's folder."""
    plan: Plan
    trials: tuple[Trial, ...]

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Study:
        """Return the study in a folder as it is, without taking part.

        Raises:
            UsageError: There is none, or Optuna is missing.
        """
        home = Path(arguments.place("folder", folder))
        with _optuna():
            found, _ = _found(str(home), None)
            return _study(home, found)

    @property
    def name(self) -> str:
        """Name of the spec."""
        return self.plan.spec.name

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives."""
        return self.plan.goals

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """The trials that have a score."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """Complete trials that no other beats in every objective; of one objective the best."""
        ranked = self.ranked
        costs = [[goal.cost(t.scores[goal.figure]) for goal in self.goals] for t in ranked]
        return tuple(ranked[i] for i in front(costs))

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """Complete trials, the best by the first objective first; of equals the smallest."""
        goal = self.goals[0]
        return tuple(
            sorted(
                self.complete,
                key=lambda t: (goal.cost(t.scores[goal.figure]), t.figures["params"], t.number),
            )
        )

    @property
    def best(self) -> Trial | None:
        """The best trial by the first objective, of equals the one with the fewest parameters.

        None where no trial is complete.
        """
        return self.ranked[0] if self.ranked else None

    def spec(self, trial: Trial | None = None) -> Spec:
        """Return the spec of a trial, by default of the best, to report, draw or build.

        Raises:
            UsageError: No trial is complete.
        """
        chosen = trial or self.best
        if chosen is None:
            raise UsageError("no trial is complete yet")
        return self.plan.space.network(chosen.values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the settings and all trials."""
        best = self.best
        return {
            "name": self.name,
            "folder": str(self.folder),
            "objectives": list(map(str, self.goals)),
            "where": list(self.plan.where),
            "seed": self.plan.seed,
            "best": best.number if best else None,
            "front": [trial.number for trial in self.front],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def write(self) -> None:
        """Write the folder's table, page and best network; wait while another process does."""
        for _ in range(WRITING):
            with suppress(UsageError), folders.claimed(self.folder):
                self._write()
                return
            time.sleep(PAUSE / 5)
        self._write()  # so that what is wrong is told

    def _write(self) -> None:
        module = renderer(self.RENDERER)
        atomic.save(self.folder / TABLE, module.csv(self))
        if self.best:
            atomic.save(self.folder / BEST, self._resolved(self.best))
        atomic.save(self.folder / INDEX, renderer("study_page").html(self))

    def _resolved(self, trial: Trial) -> str:
        """Return the spec of a trial, its variables set, with the recipe that it was trained by."""
        with suppress(FileNotFoundError):
            return (self.folder / trial.folder / SPEC).read_text(encoding="utf-8")
        data = self.spec(trial).to_dict()
        data.pop("search", None)
        return to_yaml(data)

    def __repr__(self) -> str:
        """Return one line, as a study may be in a list."""
        return f"<Study of {self.name}: {len(self.complete)} of {len(self.trials)} trials complete>"


def search(
    spec: Spec | str | os.PathLike[str],
    *,
    vary: Mapping[str, Any] | None = None,
    objective: str | Sequence[str] = "max accuracy",
    where: str | Sequence[str] = (),
    trials: int = 20,
    seed: int = 0,
    pruner: str = "median",
    jobs: int = 1,
    out: str | os.PathLike[str] | None = None,
    storage: str | None = None,
    progress: Callable[[Study, Trial], None] | None = None,
    **recipe: Any,
) -> Study:
    """Search the values of a spec's variables for the best network within its budget.

    Candidates that are no networks, or outside the conditions, are rejected at once; the others are
    trained by `fit`. With one process, the same seed gives the same search. Ctrl-C ends it after
    the current step, and `join_search` goes on.

    Args:
        spec: A spec, or a path or a name as `load` takes them.
        vary: The values of each variable, as `sweep` takes them. Default: those of the spec's
            `search:`.
        objective: What is best: `"max accuracy"` or `"min loss"`, the validation score of `fit`, or
            a figure such as `"min macs"`; several give a front.
        where: Conditions beside the spec's `budget:`, as `"params < 20K"`.
        trials: Number of candidates to train.
        seed: The same one repeats a search.
        pruner: When trials end early: `"median"` if they are worse than half of the others at the
            same epoch, `"halving"`, `"hyperband"`, or `"none"`.
        jobs: Number of processes that train at the same time.
        out: The search's folder, which must not exist; by default searches/NAME-N.
        storage: Where trials are stored: the URL of a database, or a file that ends in `.journal`.
            Default: an SQLite file in the folder.
        progress: Function that is given the study and each trial that ended.
        recipe: Keys that override the spec's `train:`, as in `fit`.

    Returns:
        A study that prints itself: `best`, `front`, `trials`, `spec()`, and the `folder`, in which
        each trial has the folder of its run.

    Raises:
        SpecError: The spec is wrong.
        UsageError: An argument is wrong, nothing is within the conditions, or Optuna is missing.
        KeyboardInterrupt: Ctrl-C was pressed.

    Example:
        >>> found = archspec.search("digits_net", trials=2, epochs=2)
        >>> len(found.trials), found.best.figures["params"] < 20_000
        (2, True)
    """
    network = as_spec(spec)
    arguments.one_of("pruner", pruner, PRUNERS)
    arguments.whole("trials", trials)
    arguments.whole("seed", seed, least=0)
    arguments.whole("jobs", jobs)
    space_of(network, vary or {})
    goals = objectives(objective, scores=True)
    trains = any(goal.is_score for goal in goals)
    unused = next((key for key in recipe if not trains and key not in SETTING), None)
    if unused:
        raise UsageError(f"`{unused}` is for training, and {', '.join(map(str, goals))} needs none")
    url = f"sqlite:///{DATABASE}" if storage is None else _absolute(storage)
    plan = Plan(
        "\n".join(network.source.lines),
        network.source.name,
        network.variant,
        dict(network.overrides),
        {name: list(v) if isinstance(v, range) else v for name, v in (vary or {}).items()},
        tuple(map(str, goals)),
        tuple(each.text for each in bounds(where)),
        trials,
        seed,
        pruner,
        {"deterministic": True, **recipe} if trains else recipe,
    )
    with _optuna():
        _check(plan)
        opened = _storage(url, Path()) if storage else None  # before there is a folder
        home = folders.create(network.name, out, PARENT)
        record = {"storage": url, "study": home.name if storage else network.name}
        atomic.save(home / STUDY, json.dumps(record, indent=2) + "\n")
        study = _made(opened or _storage(url, home), record["study"], plan)
        return _take_part(home, study, jobs, progress)


def join_search(
    place: str | os.PathLike[str],
    *,
    trials: int | None = None,
    jobs: int = 1,
    study: str | None = None,
    progress: Callable[[Study, Trial], None] | None = None,
) -> Study:
    """Go on with a search that was stopped, or take part in one that another process began.

    Args:
        place: The search's folder, or the storage that it was given: the URL of a database or a
            journal. Runs go into the folder, or into a new one where that is elsewhere.
        trials: The new number of trials of the whole search.
        jobs: Number of processes that train at the same time.
        study: Name of the search, where the storage has several.
        progress: Function that is given the study and each trial that ended.

    Returns:
        The study, as `search` does.

    Raises:
        UsageError: There is no search, or Optuna is missing.
        KeyboardInterrupt: Ctrl-C was pressed.

    Example:
        >>> begun = archspec.search("digits_net", trials=1, epochs=1)
        >>> found = archspec.join_search(begun.folder, trials=2)
        >>> len(found.trials)
        2
    """
    where = arguments.place("place", place)
    arguments.whole("jobs", jobs)
    with _optuna():
        found, home = _found(where, study)
        if trials is not None:
            plan = replace(_plan(found), trials=arguments.whole("trials", trials))
            found.set_user_attr(_ATTRIBUTE, asdict(plan))
        if home is None:
            home = folders.create(found.study_name, None, PARENT)
            record = {"storage": _absolute(where), "study": found.study_name}
            atomic.save(home / STUDY, json.dumps(record, indent=2) + "\n")
        return _take_part(home, found, jobs, progress)


# Storages.


@contextmanager
def _optuna() -> Iterator[None]:
    """Run with Optuna, quiet: what it says of trials, a search says itself."""
    with extra("search", "a search needs Optuna"):
        import optuna  # noqa: PLC0415
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _absolute(storage: str) -> str:
    """Return a storage's URL or journal so that processes in other folders find it, too."""
    url = arguments.place("storage", storage)
    kind, found, path = url.partition(":///")
    if found and kind.startswith("sqlite"):
        return f"{kind}:///{Path(path).resolve()}"
    if "://" in url:
        return url
    if not url.endswith(".journal"):
        raise arguments.wrong("storage", url, "the URL of a database, or FILE.journal")
    return str(Path(url).resolve())


def _storage(url: str, home: Path) -> optuna.storages.BaseStorage:
    """Return the storage at a URL or in a journal; a relative SQLite file is in the folder."""
    from optuna import storages  # noqa: PLC0415

    if "://" not in url:
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

        try:
            return storages.JournalStorage(JournalFileBackend(url))
        except OSError as error:
            raise UsageError(f"the journal {url} cannot be opened: {error.strerror}") from None
    if url == f"sqlite:///{DATABASE}":
        url = f"sqlite:///{(home / DATABASE).resolve()}"
    wait = {"connect_args": {"timeout": 120}} if url.startswith("sqlite:") else {}
    try:
        return storages.RDBStorage(
            url,
            engine_kwargs=wait,
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=_repeat,
        )
    except Exception as error:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        if not isinstance(error, (SQLAlchemyError, ImportError, ValueError)):
            raise
        reason = str(error).splitlines()[0]
        raise UsageError(f"the storage {url} cannot be opened: {reason}") from None


def _repeat(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Repeat a trial whose process died: from its last whole epoch, where its run can resume.

    One that died before all its values were stored is not repeated, as another is proposed.
    """
    if trial.params.keys() != {each.name for each in _plan(study).space.dimensions}:
        return
    from optuna.storages import RetryHeartbeatStaleTrialCallback  # noqa: PLC0415

    RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)(study, trial)


def _made(storage: optuna.storages.BaseStorage, name: str, plan: Plan) -> optuna.Study:
    """Return a new study in a storage."""
    import optuna  # noqa: PLC0415

    directions = ["maximize" if goal.maximize else "minimize" for goal in plan.goals]
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise UsageError(
            f"the storage has a search `{name}` already: take part in it, or give another folder"
        ) from None
    study.set_user_attr(_ATTRIBUTE, asdict(plan))
    return study


def _found(where: str, name: str | None) -> tuple[optuna.Study, Path | None]:
    """Return the study at a place, and its folder if the place is one."""
    import optuna  # noqa: PLC0415

    home: Path | None = None
    url = where
    if "://" not in where and not where.endswith(".journal"):
        home = Path(where)
        try:
            record = json.loads((home / STUDY).read_text(encoding="utf-8"))
            url, name = str(record["storage"]), str(record["study"])
        except OSError:
            hint = "" if home.exists() else beside(home)
            raise UsageError(f"{home} is not the folder of a search{hint}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{home / STUDY} is damaged") from None
    elif "://" not in where and not Path(where).is_file():
        raise UsageError(f"there is no journal {where}{beside(Path(where))}")
    storage = _storage(url, home or Path())
    names = optuna.get_all_study_names(storage)
    if name is None and len(names) != 1:
        listed = ", ".join(names) or "none"
        raise UsageError(f"the storage has several searches, or none: name one of them: {listed}")
    name = name or names[0]
    if name not in names:
        raise UsageError(f"the storage has no search `{name}`")
    return optuna.load_study(study_name=name, storage=storage), home


def _plan(study: optuna.Study) -> Plan:
    """Return what a study is about."""
    data = study.user_attrs.get(_ATTRIBUTE)
    if not isinstance(data, dict):
        raise UsageError(f"the study `{study.study_name}` was not made by `archspec search`")
    lists = {name: tuple(data[name]) for name in ("objectives", "where")}
    return Plan(**{**data, **lists})


def _study(home: Path, study: optuna.Study) -> Study:
    """Return the trials of a study so far."""
    plan = _plan(study)
    codings = {each.name: Coding(each) for each in plan.space.dimensions}
    trials = [
        _trial(plan, codings, each)
        for each in study.get_trials(deepcopy=False)
        if each.params or each.state.name == "RUNNING"  # not one for which nothing was left
    ]
    return Study(home, plan, tuple(trials))


def _trial(plan: Plan, codings: Mapping[str, Coding], trial: optuna.trial.FrozenTrial) -> Trial:
    state = {"complete": "complete", "pruned": "pruned", "fail": "failed"}
    name = trial.state.name.lower()
    values = {
        key: coding.decoded(trial.params[key])
        for key, coding in codings.items()
        if key in trial.params
    }
    scores = {}
    if name == "complete":
        scores = dict(zip((goal.figure for goal in plan.goals), trial.values, strict=True))
    reported = trial.intermediate_values
    begun, ended = trial.datetime_start, trial.datetime_complete
    return Trial(
        trial.number,
        values,
        state.get(name, name),
        scores,
        dict(trial.user_attrs.get("figures", {})),
        str(trial.user_attrs.get("folder", "")),
        (ended - begun).total_seconds() if begun and ended else 0.0,
        max(reported, default=0),
        reported[max(reported)] if reported else None,
        str(trial.user_attrs.get("note", "")),
    )


# Taking part.


def _check(plan: Plan) -> None:
    """Raise for what would fail every trial, before there is a folder."""
    first = Proposer(plan.assessor, plan.seed).propose(0, set(), lambda _: {})
    if not plan.trains:
        return
    from archspec.training.session import plan_training  # noqa: PLC0415

    task = plan_training(plan.space.network(first), plan.recipe).task
    if task.kind != "classification" and any(goal.figure == "accuracy" for goal in plan.goals):
        raise UsageError(f"`accuracy` is of classes, and this task is {task}: write `min loss`")


def _take_part(
    home: Path,
    study: optuna.Study,
    jobs: int,
    progress: Callable[[Study, Trial], None] | None,
) -> Study:
    """Run trials in this process, or watch others that do, until all are done."""
    shown = {each.number for each in _study(home, study).trials if each.state in _ENDED}

    def show() -> None:
        found = _study(home, study)
        new = [each for each in found.trials if each.state in _ENDED and each.number not in shown]
        shown.update(each.number for each in new)
        if new:
            found.write()
        for each in new if progress else ():
            progress(found, each)  # type: ignore[misc]

    try:
        if jobs == 1:
            _Worker(home, study).run(show)
        else:
            with _exiting():
                _watch(home, study, jobs, show)
    finally:
        found = _study(home, study)
        found.write()
    return found


_ENDED: Final = ("complete", "pruned")


def _watch(home: Path, study: optuna.Study, jobs: int, show: Callable[[], None]) -> None:
    """Start processes that take part, and start those again that are killed."""
    command = [sys.executable, "-m", "archspec", "search", "--join", str(home), "--quiet"]

    def start() -> subprocess.Popen[bytes]:
        # In a group of their own a terminal's Ctrl-C does not reach them: told a second time, by
        # this process, they would end at once, in the middle of an epoch.
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, process_group=0)  # noqa: S603

    workers = [start() for _ in range(jobs)]
    restarts = MOST_RESTARTS * jobs
    failed = 0
    try:
        while workers:
            time.sleep(PAUSE)
            show()
            for worker in [each for each in workers if each.poll() is not None]:
                workers.remove(worker)
                if (worker.returncode or 0) < 0 and restarts and not _is_done(study):
                    restarts -= 1
                    workers.append(start())
                elif worker.returncode == INTERRUPTED:
                    raise KeyboardInterrupt  # noqa: TRY301
                elif worker.returncode:
                    failed = worker.returncode
    except KeyboardInterrupt:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
    if failed and not _is_done(study):
        raise UsageError(f"the processes of the search failed with exit code {failed}; see above")


INTERRUPTED: Final = 130
"""Exit code of a process that Ctrl-C ended."""


@contextmanager
def _exiting() -> Iterator[None]:
    """End this process by SIGTERM and SIGHUP as `sys.exit` does: with what it started."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    kinds = [signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])]
    if threading.current_thread() is not threading.main_thread():
        kinds = []  # only the main thread may
    kinds = [each for each in kinds if signal.getsignal(each) is signal.SIG_DFL]
    for each in kinds:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each in kinds:
            signal.signal(each, signal.SIG_DFL)


def _counts(study: optuna.Study) -> Mapping[str, int]:
    """Return the number of trials in each state."""
    states = [each.state.name for each in study.get_trials(deepcopy=False)]
    return {name: states.count(name) for name in ("COMPLETE", "PRUNED", "RUNNING", "WAITING")}


def _is_done(study: optuna.Study) -> bool:
    counts = _counts(study)
    return counts["COMPLETE"] + counts["PRUNED"] >= _plan(study).trials


class _EndedEarlyError(Exception):
    """A trial that is worse than others at its epoch."""


class _SurplusError(Exception):
    """A trial that is one too many, as two processes began it at the same time."""


class _Reporter(Watcher):
    """Report the score of each epoch of a run, and end the run if it is not worth going on."""

    def __init__(self, trial: optuna.Trial, goal: Objective, *, prunes: bool) -> None:
        self._trial = trial
        self._goal = goal
        self._prunes = prunes
        self.measure = "accuracy"
        """Keras's name of the main output's measure."""
        self._score: float | None = None

    def begins(self, facts: RunFacts) -> None:
        self.measure = facts.measure

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self._score = score_of(logs, self._goal.figure, self.measure)

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:  # noqa: ARG002
        if not self._prunes or self._score is None:
            return
        self._trial.report(self._score, epoch)
        if self._trial.should_prune():
            raise _EndedEarlyError


def score_of(logs: Mapping[str, float], figure: str, measure: str) -> float:
    """Return an epoch's score of the validation images, or without any of those trained on."""
    name = "loss" if figure == "loss" else measure
    return logs.get(f"val_{name}", logs.get(name, float("nan")))


class _Worker:
    """A process that takes part in a search."""

    def __init__(self, home: Path, study: optuna.Study) -> None:
        self.home = home
        self.plan = _plan(study)
        self.codings = {each.name: Coding(each) for each in self.plan.space.dimensions}
        self.distributions = {name: each.distribution() for name, each in self.codings.items()}
        self.proposer = Proposer(self.plan.assessor, self.plan.seed)
        self.study = study
        study.sampler = _sampler(self)
        epochs = self.plan.recipe.get("epochs") or self.plan.spec.train.get("epochs") or 1
        study.pruner = _pruner(self.plan.pruner, epochs)

    def decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return values from those that Optuna has."""
        return {name: coding.decoded(params[name]) for name, coding in self.codings.items()}

    def run(self, show: Callable[[], None]) -> None:
        """Run trials until the search has as many as it should."""
        import optuna  # noqa: PLC0415

        while not _is_done(self.study):
            self._repeat_lost()
            counts = _counts(self.study)
            under_way = counts["COMPLETE"] + counts["PRUNED"] + counts["RUNNING"]
            if under_way >= self.plan.trials and not counts["WAITING"]:
                time.sleep(PAUSE)  # others run the last ones; one that is killed is repeated
                optuna.storages.fail_stale_trials(self.study)
                continue
            try:
                self.study.optimize(self._run, n_trials=1, catch=(_SurplusError,))
            except NothingLeftError:
                return
            finally:
                show()

    def _repeat_lost(self) -> None:
        """Repeat trials whose process is gone: whose run's folder nobody holds."""
        import optuna  # noqa: PLC0415

        for trial in self.study.get_trials(
            deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)
        ):
            attributes = trial.user_attrs
            run = self.home / str(attributes.get("folder", ""))
            if attributes.get("host") != socket.gethostname() or not attributes.get("folder"):
                continue
            since = time.time() - float(attributes.get("begun", 0))
            if since < LOST or not run.is_dir():
                continue
            try:
                with folders.claimed(run):
                    pass
            except UsageError:
                continue
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                _repeat(self.study, trial)

    def _run(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Run a trial: train its network, and return the values of the objectives."""
        import optuna  # noqa: PLC0415

        if self._rank(trial.number) >= self.plan.trials:
            raise _SurplusError  # before it has values
        values = {name: coding.suggested(trial) for name, coding in self.codings.items()}
        spec = self.plan.space.network(values)
        report = self.plan.assessor.report(spec)
        figures = {name: KNOWN[name](report) for name in self.plan.assessor.columns}
        trial.set_user_attr("figures", figures)
        scores: Mapping[str, float] = {}
        if self.plan.trains:
            try:
                scores = self._trained(trial, spec)
            except _EndedEarlyError:
                raise optuna.TrialPruned from None
            except DivergedError as error:
                trial.set_user_attr("note", f"diverged: {error.run.advice}"[:500])
                raise optuna.TrialPruned from None
        found = tuple(float({**figures, **scores}[goal.figure]) for goal in self.plan.goals)
        if any(map(math.isnan, found)):  # Optuna would repeat it without end
            trial.set_user_attr("note", "no epoch had a finite score")
            raise optuna.TrialPruned
        return found if len(found) > 1 else found[0]

    def _rank(self, number: int) -> int:
        """Return the number of trials that were begun before one, and did not fail."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(each.number < number and each.state.name != "FAIL" for each in trials)

    def _trained(self, trial: optuna.Trial, spec: Spec) -> Mapping[str, float]:
        """Train a trial's network and return its scores; go on with a run that was stopped."""
        goal = next(each for each in self.plan.goals if each.is_score)
        reporter = _Reporter(trial, goal, prunes=len(self.plan.goals) == 1)
        run: Run | None = None
        if before := trial.user_attrs.get("folder"):
            with suppress(UsageError):  # it never began, or is on another machine
                run = resume(self.home / before, watchers=[reporter])
        if run is None:
            name = f"{TRIALS}/{trial.number:04}"
            trial.set_user_attr("folder", name)
            trial.set_user_attr("host", socket.gethostname())
            trial.set_user_attr("begun", time.time())
            run = fit(spec, out=self.home / name, watchers=[reporter], **self.plan.recipe)
        if run.outcome == "interrupted":
            frozen = self.study.get_trials(deepcopy=False)[trial.number]
            _repeat(self.study, frozen)
            raise KeyboardInterrupt
        rows = [row for row in run.history if row["epoch"] == run.best_epoch]
        if not rows:
            return {each.figure: float("nan") for each in self.plan.goals if each.is_score}
        return {
            each.figure: score_of(rows[0], each.figure, reporter.measure)
            for each in self.plan.goals
            if each.is_score
        }


def _pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    """Return Optuna's pruner of a name; none looks at the first epoch."""
    from optuna import pruners  # noqa: PLC0415

    match name:
        case "median":
            return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(1, epochs // 5))
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 9))
        case "hyperband":
            return pruners.HyperbandPruner(max(1, epochs // 9), max(epochs, 1))
    return pruners.NopPruner()


def _sampler(worker: _Worker) -> optuna.samplers.BaseSampler:
    """Return a sampler whose proposals are within the conditions and new.

    Each trial has random numbers of its own, by the search's seed and the trial's place, so that a
    search which was stopped goes on as it would have.
    """
    from optuna import samplers  # noqa: PLC0415

    class Within(samplers.BaseSampler):  # type: ignore[misc]
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:  # noqa: ARG002
            return worker.distributions

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            earlier = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
            proposed = [t for t in earlier if t.params.keys() == search_space.keys()]
            index = sum(
                not t.system_attrs.get("retry_history")
                for t in earlier
                if t.params.keys() == search_space.keys() or t.state.name != "FAIL"
            )
            tried = {worker.proposer.key(worker.decoded(t.params)) for t in proposed}

            def guided(attempt: int) -> Mapping[str, Any]:
                seed = (worker.plan.seed * 1_000_003 + index * 101 + attempt) % 2**32
                # The most promising of many draws is often over the budget, as larger networks are
                # better: later attempts choose among fewer, which are more like good trials.
                inner = samplers.TPESampler(
                    seed=seed,
                    multivariate=True,
                    n_startup_trials=STARTUP,
                    n_ei_candidates=max(24 >> attempt // 2, 1),
                    constant_liar=False,
                )
                found = inner.sample_relative(study, trial, search_space)
                return worker.decoded(found) if found.keys() == search_space.keys() else {}

            values = worker.proposer.propose(index, tried, guided)
            return {name: worker.codings[name].encoded(v) for name, v in values.items()}

        def sample_independent(self, *_: Any) -> Any:
            raise NotImplementedError("all values of a trial are proposed together")

    return Within()

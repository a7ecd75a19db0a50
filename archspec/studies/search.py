"""The search: networks of a space trained one after the other, each proposed by those before.

Optuna proposes values, stores the trials, and says which to end early. What is stored is all that
another process needs to take part: the spec, the objectives and the recipe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec import arguments, atomic
from archspec.errors import UsageError
from archspec.imports.loading import spec_for
from archspec.runs import folder as folders
from archspec.spec.document import Spec
from archspec.studies import storage as storages
from archspec.studies.files import DATABASE, STUDY
from archspec.studies.goals import bounds, objectives
from archspec.studies.plan import SETTING, Plan
from archspec.studies.proposals import Proposer
from archspec.studies.space import space_of
from archspec.studies.storage import Trial
from archspec.studies.study import Study
from archspec.studies.worker import PAUSE, Worker, is_done

if TYPE_CHECKING:
    import optuna

PRUNERS: Final = ("median", "halving", "hyperband", "none")
"""Ways to end a trial early: by the median of others, by successive halving, by Hyperband."""

PARENT: Final = Path("searches")
"""Folder of the folders of searches."""

MOST_RESTARTS: Final = 3
"""Times that each process of a search is started again after it was killed."""

INTERRUPTED: Final = 130
"""Exit code of a process that Ctrl-C ended."""


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

    Candidates that are not networks, or miss a condition, are rejected at once; the others are
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
        KeyboardInterrupt: Ctrl-C was pressed; the message says how to go on.

    Example:
        >>> found = archspec.search("digits_net", trials=2, epochs=2)
        >>> len(found.trials), found.best.figures["params"] < 20_000
        (2, True)
    """
    network = spec_for("`archspec.search`", spec)
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
    url = f"sqlite:///{DATABASE}" if storage is None else storages.absolute(storage)
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
    with storages.quiet():
        _check(plan)
        opened = storages.opened(url, Path()) if storage else None  # before there is a folder
        home = folders.create(network.name, out, PARENT)
        record = {"storage": url, "study": home.name if storage else network.name}
        study = storages.create(opened or storages.opened(url, home), record["study"], plan)
        # Last: who finds it may take part, and two that make the tables hinder each other.
        atomic.save(home / STUDY, json.dumps(record, indent=2) + "\n")
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
        >>> found = archspec.join_search("searches/digits_net-1", trials=3)
        >>> len(found.trials)
        3
    """
    where = arguments.place("place", place)
    arguments.whole("jobs", jobs)
    with storages.quiet():
        found, home = storages.find(where, study)
        if trials is not None:
            plan = replace(storages.plan_of(found), trials=arguments.whole("trials", trials))
            storages.keep_plan(found, plan)
        if home is None:
            home = folders.create(found.study_name, None, PARENT)
            record = {"storage": storages.absolute(where), "study": found.study_name}
            atomic.save(home / STUDY, json.dumps(record, indent=2) + "\n")
        return _take_part(home, found, jobs, progress)


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
    shown = {each.number for each in Study.of(study, home).trials if each.is_done}

    def show() -> None:
        found = Study.of(study, home)
        new = [each for each in found.trials if each.is_done and each.number not in shown]
        shown.update(each.number for each in new)
        if new:
            found.write()
        if progress:
            for each in new:
                progress(found, each)

    try:
        if jobs == 1:
            Worker(home, study).run(show)
        else:
            with _exiting():
                _watch(home, study, jobs, show)
    except KeyboardInterrupt:
        message = f"stopped; `archspec.join_search({str(home)!r})` goes on"
        raise KeyboardInterrupt(message) from None
    finally:
        found = Study.of(study, home)
        found.write()
    return found


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
                if (worker.returncode or 0) < 0 and restarts and not is_done(study):
                    restarts -= 1
                    workers.append(start())
                elif worker.returncode == INTERRUPTED:
                    raise KeyboardInterrupt  # noqa: TRY301
                elif worker.returncode:
                    failed = worker.returncode
    except KeyboardInterrupt:
        if os.name == "posix":  # on Windows, Ctrl-C reaches every process of the console by itself
            for worker in workers:
                worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
    if failed and not is_done(study):
        raise UsageError(f"the processes of the search failed with exit code {failed}; see above")


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

"""A process that takes part in a search: it trains proposed networks, and repeats lost trials."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.cost.checks import FIGURES
from archspec.errors import EngineError, UsageError
from archspec.runs import folder as folders
from archspec.runs.outcome import DivergedError, Run
from archspec.spec.document import Spec
from archspec.studies import storage
from archspec.studies.files import TRIALS
from archspec.studies.goals import Objective
from archspec.studies.proposals import STARTUP, Coding, NothingLeftError, Proposer
from archspec.training.callbacks import Logs, RunFacts, Watcher
from archspec.training.fit import fit, resume

if TYPE_CHECKING:
    import optuna

LOST: Final = 10.0
"""Seconds after its start from which on a trial is repeated whose folder no process holds."""

PAUSE: Final = 0.5
"""Seconds between two looks at what other processes do."""


def _counts(study: optuna.Study) -> Mapping[str, int]:
    """Return the number of trials in each state."""
    states = [each.state.name for each in study.get_trials(deepcopy=False)]
    return {name: states.count(name) for name in ("COMPLETE", "PRUNED", "RUNNING", "WAITING")}


def is_done(study: optuna.Study) -> bool:
    """Return whether a search has as many trials as it should."""
    counts = _counts(study)
    return counts["COMPLETE"] + counts["PRUNED"] >= storage.plan_of(study).trials


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


class Worker:
    """A process that takes part in a search."""

    def __init__(self, home: Path, study: optuna.Study) -> None:
        self.home = home
        self.plan = storage.plan_of(study)
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

        while not is_done(self.study):
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
                storage.repeat(self.study, trial)

    def _run(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Run a trial: train its network, and return the values of the objectives."""
        import optuna  # noqa: PLC0415

        if self._rank(trial.number) >= self.plan.trials:
            raise _SurplusError  # before it has values
        values = {name: coding.suggested(trial) for name, coding in self.codings.items()}
        spec = self.plan.space.network(values)
        report = self.plan.assessor.report(spec)
        figures = {name: FIGURES[name](report) for name in self.plan.assessor.columns}
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
            except EngineError as error:
                trial.set_user_attr("note", str(error)[:500])
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
            storage.repeat(self.study, frozen)
            raise KeyboardInterrupt
        best = next((row for row in run.history if row["epoch"] == run.best_epoch), {})
        return {
            each.figure: score_of(best, each.figure, reporter.measure)
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


def _sampler(worker: Worker) -> optuna.samplers.BaseSampler:
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

"""The storage of a search: Optuna's database or journal, with the plan beside the trials."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.errors import UsageError, beside, extra, suggestion
from archspec.studies.files import DATABASE, STUDY
from archspec.studies.plan import Plan
from archspec.studies.proposals import Coding

if TYPE_CHECKING:
    import optuna

HEARTBEAT: Final = 10
"""Seconds between the signs of life of a trial, in a database."""

GRACE: Final = 60
"""Seconds without a sign of life after which a trial is repeated."""

_ATTRIBUTE: Final = "archspec"


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

    @property
    def is_done(self) -> bool:
        """Whether it counts among the trials of a search: it is complete, or ended early."""
        return self.state in ("complete", "pruned")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {key: dict(v) if isinstance(v, Mapping) else v for key, v in self._asdict().items()}


@contextmanager
def quiet() -> Iterator[None]:
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


def absolute(storage: str) -> str:
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


def opened(url: str, home: Path) -> optuna.storages.BaseStorage:
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
    wait = {}
    if url.startswith("sqlite:"):
        # A transaction waits for its lock where it begins: SQLite refuses at once one that has read
        # and wants to write, if another is about to.
        wait = {"connect_args": {"timeout": 120, "isolation_level": "IMMEDIATE"}}
    try:
        return storages.RDBStorage(
            url,
            engine_kwargs=wait,
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=repeat,
        )
    except Exception as error:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        if not isinstance(error, (SQLAlchemyError, ImportError, ValueError)):
            raise
        reason = str(error).splitlines()[0]
        raise UsageError(_shown(f"the storage {url} cannot be opened: {reason}")) from None


def _shown(message: str) -> str:
    """Return a message without the passwords in its URLs."""
    return re.sub(r"(://[^\s:/@]*:)[^\s/@]*@", r"\1***@", message)


def repeat(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Repeat a trial whose process died: from its last whole epoch, where its run can resume.

    One that died before all its values were stored is not repeated, as another is proposed.
    """
    if trial.params.keys() != set(plan_of(study).space.names):
        return
    from optuna.storages import RetryHeartbeatStaleTrialCallback  # noqa: PLC0415

    RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)(study, trial)


def create(storage: optuna.storages.BaseStorage, name: str, plan: Plan) -> optuna.Study:
    """Return a new study in a storage."""
    import optuna  # noqa: PLC0415

    directions = ["maximize" if goal.maximize else "minimize" for goal in plan.goals]
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        raise UsageError(
            f"the storage has a search `{name}` already: take part in it, or give another folder"
        ) from None
    keep_plan(study, plan)
    return study


def keep_plan(study: optuna.Study, plan: Plan) -> None:
    """Store what a study is about."""
    study.set_user_attr(_ATTRIBUTE, asdict(plan))


def find(where: str, name: str | None) -> tuple[optuna.Study, Path | None]:
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
    elif (file := _file(where)) is not None and not file.is_file():
        raise UsageError(f"there is no storage {file}{beside(file)}")
    storage = opened(url, home or Path())
    names = optuna.get_all_study_names(storage)
    if not names:
        raise UsageError(_shown(f"the storage {where} has no search"))
    if name is None and len(names) > 1:
        raise UsageError(
            f"the storage has several searches: give `study={names[0]!r}`, or another of: "
            f"{', '.join(names)}"
        )
    name = name or names[0]
    if name not in names:
        hint = suggestion(name, names, what="searches")
        raise UsageError(f"the storage has no search `{name}`; {hint}")
    return optuna.load_study(study_name=name, storage=storage), home


def _file(storage: str) -> Path | None:
    """Return the file that a storage is; None for a database of a server."""
    if "://" not in storage:
        return Path(storage)
    kind, found, path = storage.partition(":///")
    return Path(path) if found and kind.startswith("sqlite") else None


def plan_of(study: optuna.Study) -> Plan:
    """Return what a study is about."""
    data = study.user_attrs.get(_ATTRIBUTE)
    if not isinstance(data, dict):
        raise UsageError(f"the study `{study.study_name}` was not made by `archspec search`")
    lists = {name: tuple(data[name]) for name in ("objectives", "where")}
    return Plan(**{**data, **lists})


def trials_of(study: optuna.Study, plan: Plan) -> tuple[Trial, ...]:
    """Return the trials of a study so far."""
    codings = {each.name: Coding(each) for each in plan.space.dimensions}
    return tuple(
        _trial(plan, codings, each)
        for each in study.get_trials(deepcopy=False)
        if each.params or each.state.name == "RUNNING"  # not one for which nothing was left
    )


def _trial(plan: Plan, codings: Mapping[str, Coding], trial: optuna.trial.FrozenTrial) -> Trial:
    state = {"complete": "complete", "pruned": "pruned", "fail": "failed"}
    name = trial.state.name.lower()
    values = {
        key: coding.decoded(trial.params[key])
        for key, coding in codings.items()
        if key in trial.params
    }
    figures = dict(trial.user_attrs.get("figures", {}))
    scores: dict[str, float] = {}
    if name == "complete":  # Optuna has figures as floats
        scores = dict(zip((goal.figure for goal in plan.goals), trial.values, strict=True))
        scores |= {figure: figures[figure] for figure in scores if figure in figures}
    reported = trial.intermediate_values
    begun, ended = trial.datetime_start, trial.datetime_complete
    return Trial(
        trial.number,
        values,
        state.get(name, name),
        scores,
        figures,
        str(trial.user_attrs.get("folder", "")),
        (ended - begun).total_seconds() if begun and ended else 0.0,
        max(reported, default=0),
        reported[max(reported)] if reported else None,
        str(trial.user_attrs.get("note", "")),
    )

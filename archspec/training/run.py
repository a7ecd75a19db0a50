"""Spec -> trained model: the last step of the pipeline, in a run folder that explains itself."""

from __future__ import annotations

import errno
import json
import statistics
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, TypeAlias

from archspec import __version__
from archspec.diagnostics import UsageError
from archspec.emit.engine import load_keras
from archspec.emit.model import load_model
from archspec.spec.document import Spec
from archspec.spec.loading import as_spec, load
from archspec.spec.writing import to_yaml
from archspec.training import checkpoint, folder, summary
from archspec.training.hosts import ALONE, Hosts
from archspec.training.pictures import confusion as score_pictures
from archspec.training.pictures import curves as pictures
from archspec.training.record import Memory, Record
from archspec.training.scoring import scores
from archspec.training.scoring.inference import scores_of
from archspec.training.session import Session, plan, prepare
from archspec.training.watching import machine
from archspec.training.watching.callbacks import Interrupt, Watcher, as_keras_callback, averages
from archspec.training.watching.diagnosis import diagnose, wrong_data
from archspec.training.watching.tensorboard import TensorBoard

Outcome: TypeAlias = Literal["finished", "stopped early", "interrupted", "diverged"]

SPEC: Final = "spec.yaml"
"""The network with its variables, and the whole recipe: `archspec fit RUN/spec.yaml` repeats it."""

DATA: Final = "data.json"
RESULT: Final = "run.json"

VERSIONS: Final = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a training run, and the folder that holds it."""

    folder: Path
    name: str
    outcome: Outcome
    history: tuple[Mapping[str, float], ...]
    """A row for each completed epoch, as in `history.csv`."""
    best_epoch: int | None
    """The completed epoch of the highest validation accuracy, or of the lowest validation loss
    among those that got at most one image less right. None where no epoch's loss was a number."""
    test: Mapping[str, float]
    """The best epoch's score on the test images; empty where the run was interrupted, has no best
    epoch, or no test images."""
    test_accuracy: float | None
    """The main output's, from 0 to 1."""
    seconds: float
    """Training and validation, without imports and without the test."""
    params: int
    advice: str = ""
    """Why the loss became no number, if it did, and what may help."""

    @classmethod
    def read(cls, home: str | PathLike[str]) -> Run:
        """The run that a folder holds; raise `UsageError` where it holds none that has ended."""
        home = Path(home)
        try:
            held = json.loads((home / RESULT).read_text(encoding="utf-8"))
            held["history"] = tuple(held["history"])
            return cls(folder=home, **held)
        except FileNotFoundError:
            raise UsageError(_no_run(home)) from None
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise UsageError(f"{home / RESULT} cannot be read: {error}") from None

    @property
    def images_per_second(self) -> float:
        """Training throughput: the median epoch's, which the first one's start-up cannot spoil."""
        return statistics.median([row["images_per_second"] for row in self.history] or [0.0])

    @property
    def saved(self) -> str | None:
        """The file of the best epoch's model, or of the last where no epoch was a good one."""
        if self.best_epoch is not None:
            return "best.keras"
        return None if self.outcome == "diverged" else "final.keras"

    def model(self) -> Any:
        """The Keras model in `saved`."""
        if self.saved is None:
            raise UsageError(f"{self.folder} holds no model: the run diverged in its first epoch")
        return load_model(self.folder / self.saved)

    def write(self) -> None:
        held = {name: value for name, value in asdict(self).items() if name != "folder"}
        folder.write_text(self.folder / RESULT, json.dumps(held, indent=2) + "\n")


def _no_run(home: Path) -> str:
    if not home.is_dir():
        return f"there is no folder {home}"
    if (home / SPEC).is_file():
        return f"the run in {home} has not ended: archspec fit --resume {home} goes on with it"
    return f"{home} is not the folder of a run"


def fit(
    spec: Spec | str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    watchers: Sequence[Watcher] = (),
    hosts: Hosts = ALONE,
    **recipe: Any,
) -> Run:
    """Train a spec's network by its recipe.

    What is given here as `recipe` goes before what the spec's `train:` says: epochs=3,
    data="digits", learning_rate=0.1, and any other of its keys. `out` is the run's folder, which
    must not exist; without it, runs/NAME-N with the next free N. `watchers` are told how it goes.
    Ctrl-C stops after the step under way and saves.

    Where `hosts` are several, each of them calls this with the same recipe. The first alone has the
    folder and tells the watchers; Ctrl-C on any stops them all after the epoch under way.

    Raises `SpecError` for what is wrong in the spec, and `UsageError` for what is wrong here or
    where Keras's backend is not installed.
    """
    if hosts.count > 1:
        hosts.join(load_keras())
    with hosts.together():
        if out is not None and hosts.leads:
            folder.check_free(out)
        spec = as_spec(spec)
        planned = plan(spec, recipe)
    watchers = watchers if hosts.leads else ()
    for watcher in watchers:  # Keras takes seconds to start, in which nothing else is seen
        watcher.says(f"training {spec.name}")
    session = prepare(planned, hosts)
    with _kept(hosts, lambda: folder.create(planned.spec.name, out)) as home:
        folder.write_text(home / DATA, _data(session))
        return _train(session, home, watchers)


def resume(
    home: str | PathLike[str],
    *,
    watchers: Sequence[Watcher] = (),
    epochs: int | None = None,
    devices: int | Literal["all"] | None = None,
    hosts: Hosts = ALONE,
) -> Run:
    """Go on with a run that was stopped, from its last whole epoch; or for more `epochs` in all.

    With `deterministic`, and on as many devices as before, what comes out is what would have come
    without the stop, bit for bit. Of several `hosts`, each must see the folder. Raises `UsageError`
    where the folder holds no run, another process trains in it, or its data are not any more what
    they were.
    """
    home = Path(home)
    watchers = watchers if hosts.leads else ()
    if hosts.count > 1:
        hosts.join(load_keras())
    with hosts.together():
        if not (home / SPEC).is_file():
            where = f" on host {hosts.index}; all hosts must see the same one"
            raise UsageError(_no_run(home) + (where if hosts.count > 1 else ""))
    with _kept(hosts, lambda: home) as kept:
        with hosts.together():
            held, damaged = checkpoint.latest(home)
            _check_unended(home, epochs)
            planned = plan(load(home / SPEC), {"epochs": epochs, "devices": devices})
        done = held.epoch if held else 0
        hosts.agree("checkpoint in this folder", str(done))
        for watcher in watchers:
            watcher.says(f"going on with {home} after epoch {done}")
        session = prepare(planned, hosts)
        with hosts.together():
            _check_same_data(session, home)
        for path in damaged:
            for watcher in watchers:
                watcher.warns(f"{path} is damaged: going on from the checkpoint before it")
        return _train(session, kept, watchers, held)


@contextmanager
def _kept(hosts: Hosts, make: Callable[[], Path]) -> Iterator[Path]:
    """The run's folder, on the host that leads; on another, one that is thrown away.

    Keras's callbacks write there.
    """
    with ExitStack() as stack:
        with hosts.together():
            if hosts.leads:
                home = make()
                stack.enter_context(folder.claimed(home))
            else:
                home = Path(stack.enter_context(TemporaryDirectory(prefix="archspec-")))
        yield home


def _check_unended(home: Path, epochs: int | None) -> None:
    if (home / RESULT).is_file():
        ended = Run.read(home)
        if ended.outcome != "interrupted" and not (epochs or 0) > len(ended.history):
            raise UsageError(
                f"the run in {home} has ended ({summary.verdict(ended)}); "
                f"--epochs with more than {len(ended.history)} goes on with it"
            )


def _check_same_data(session: Session, home: Path) -> None:
    try:
        before = json.loads((home / DATA).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{home / DATA} cannot be read: {error}") from None
    if before != session.data.fingerprint:
        raise UsageError(
            f"the data are not those that {home} began with: their fingerprint was {before[:12]} "
            f"and is {session.data.fingerprint[:12]}; start a new run with --from {home}"
        )


def _train(
    session: Session,
    home: Path,
    watchers: Sequence[Watcher],
    held: checkpoint.Checkpoint | None = None,
) -> Run:
    keras, model, hosts = session.keras, session.model, session.devices.hosts
    if session.recipe.tensorboard and hosts.leads:
        watchers = [*watchers, TensorBoard(home)]
    folder.write_text(home / SPEC, _spec(session))
    folder.write_text(home / "environment.json", _environment(session, home))
    done = held.epoch if held else 0
    interrupt = Interrupt()
    record = Record(
        keras,
        model,
        session.train,
        home,
        judged=len(session.data.validation) or session.train.images,
        accuracy=session.objective.accuracy,
        interrupt=interrupt,
        memory=Memory(**held.facts["record"]) if held else Memory(),
        watchers=watchers,
        hosts=hosts,
    )
    with interrupt.caught(), _full_disk_explained(home):
        aligning = session.devices.aligning(keras)
        stages = deque(stage for stage in session.stages() if stage.last_epoch >= max(done, 1))
        stage = stages.popleft()
        callbacks = session.compile(stage, home)
        reminded = []
        if held:
            checkpoint.restore(keras, model, held)
            record.publish(done)
            reminded = [_reminded(keras, callbacks, held)]
        facts = session.facts(done, watchers)
        for watcher in watchers:
            for line in session.describe():
                watcher.says(line)
            watcher.begins(facts)
        while True:
            record.callbacks = callbacks
            watching = [as_keras_callback(keras, watcher) for watcher in (*watchers, record)]
            with session.train.heard(), session.validation.heard():
                model.fit(
                    session.train.for_keras(keras),
                    initial_epoch=done,
                    # Of one that had stopped early none, but callbacks have their last word.
                    epochs=done if record.memory.stopped else stage.last_epoch,
                    steps_per_epoch=_steps_per_epoch(session),
                    validation_data=session.validation.for_keras(keras)
                    if session.validation.steps
                    else None,
                    shuffle=False,  # that is the feed's
                    callbacks=[*aligning, *callbacks, *reminded, *watching],
                    verbose=0,
                )
            if model.stop_training or record.memory.stopped or not stages:
                break
            if hosts.leads:
                record.write_best()  # the next stage's optimizer holds other variables
            done = stage.last_epoch
            stage, reminded = stages.popleft(), []
            callbacks = session.compile(stage, home)
        with hosts.together():
            run = _finish(session, home, record, interrupt)
    for watcher in watchers:
        watcher.ends(run)
    return run


def _steps_per_epoch(session: Session) -> int | None:
    """What Keras is told: of TensorFlow's iterators it then makes one an epoch, and not two.

    That of several devices may begin to read before its epoch does.
    """
    alone = session.devices.count == 1 and session.keras.backend.backend() == "tensorflow"
    return session.train.steps if alone else None


@contextmanager
def _full_disk_explained(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise UsageError(
            f"{home} cannot be written: {error.strerror}; make room, and "
            f"`archspec fit --resume {home}` goes on from the last whole epoch"
        ) from None


def _reminded(keras: Any, callbacks: Sequence[Any], held: checkpoint.Checkpoint) -> Any:
    """A callback that lets the others remember; Keras lets them forget when a training begins."""

    class Reminded(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            checkpoint.restore_memory(callbacks, held.facts["callbacks"], held.arrays)

    return Reminded()


def _finish(session: Session, home: Path, record: Record, interrupt: Interrupt) -> Run:
    """Save what was reached, score the best epoch on the test images, and tell of it all.

    A host that does not lead only knows.
    """
    model, memory, leads = session.model, record.memory, session.devices.hosts.leads
    if leads:
        record.write_best()
    outcome: Outcome = "finished"
    advice = ""
    if record.diverged:
        outcome = "diverged"
        advice = _advice(session.alone(), record) if leads else ""
    elif interrupt.requested:
        outcome = "interrupted"
    elif len(memory.rows) < session.recipe.epochs:
        outcome = "stopped early"
    if outcome != "diverged" and leads:
        with folder.whole(home / "final.keras") as partial:
            model.save(partial)
    test: Mapping[str, float] = {}
    best = memory.best_epoch is not None and len(session.data.test)
    if outcome != "interrupted" and best and leads:
        alone = session.alone()
        alone.model.load_weights(home / "best.keras")
        test = _test(alone, home)
    run = Run(
        folder=home,
        name=session.plan.spec.name,
        outcome=outcome,
        history=tuple(memory.rows),
        best_epoch=memory.best_epoch,
        test=test,
        test_accuracy=test[session.objective.accuracy] if test else None,
        seconds=memory.seconds,
        params=model.count_params(),
        advice=advice,
    )
    if not leads:
        return run
    if run.history:
        files = home / "curves.svg", home / "curves.png"
        accuracy = session.objective.accuracy
        pictures.write_curves(run.history, run.best_epoch, run.name, *files, accuracy=accuracy)
    folder.write_text(home / "summary.md", summary.page(run, session.data.describe()))
    run.write()
    return run


def _advice(session: Session, record: Record) -> str:
    """Why the loss became no number, as far as the model and its batch show."""
    steps = record.failed
    for step in steps:
        x, y, *_ = session.train.batch_at(record.epoch, step - 1)
        if wrong_data(session.model, x, y):
            steps = range(step, step + 1)
            break
    return diagnose(
        session.keras,
        session.model,
        epoch=record.epoch,
        steps=steps,
        losses=[row["loss"] for row in record.memory.rows] + record.losses,
        learning_rate=record.rate,
        precision=session.recipe.precision,
        x=x,
        y=y,
    )


def _test(session: Session, home: Path) -> Mapping[str, float]:
    """What Keras measures on the test images; how each class fared is written beside it."""
    keras, model, part = session.keras, session.model, session.data.test
    feed = session.train.looking_at(part)
    with feed.heard():
        measured = model.evaluate(feed.for_keras(keras), verbose=0, return_dict=True)
        found = scores_of(keras, model, feed, session.data.class_names)
    scores.write(found, home)
    name = session.plan.spec.name
    score_pictures.write_confusion(found, name, home / "confusion.svg", home / "confusion.png")
    return averages(keras, measured)


def _spec(session: Session) -> str:
    """The network and the recipe; its paths are whole, for a run that goes on from elsewhere."""
    recipe = session.recipe.to_dict()
    for section, key in (("data", "path"), ("transfer", "from")):
        held = recipe.get(section) or {}
        if held.get(key) and Path(held[key]).exists():
            held[key] = str(Path(held[key]).resolve())
    return to_yaml(session.plan.spec.to_dict() | {"train": recipe})


def _data(session: Session) -> str:
    """On what a run learns; enough to prepare another image in the same way."""
    data = session.data
    held = {
        "source": data.name,
        "description": data.describe(),
        "images": {
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
        "class_names": data.class_names,
        "preprocessing": data.preprocessing.to_dict(),
        "fingerprint": data.fingerprint,
        "fingerprint_covers": data.covers,
        "skipped": data.skipped,
    }
    return json.dumps(held, indent=2, ensure_ascii=False) + "\n"


def _environment(session: Session, home: Path) -> str:
    """On what each sitting of a run computes; a run that goes on has another sitting."""
    versions = {"archspec": __version__}
    for name in VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    sitting = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "backend": session.keras.backend.backend(),
        "seed": session.recipe.seed,
        "devices": session.devices.count,
        "hosts": session.devices.hosts.count,
        "machine": machine.describe(session.keras),
        "versions": versions,
    }
    path = home / "environment.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return json.dumps([*before, sitting], indent=2) + "\n"

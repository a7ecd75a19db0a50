"""Spec -> trained model: the last step of the pipeline, in a run folder that explains itself."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archspec import arguments
from archspec.data.splitting import SPLIT_RULE
from archspec.display import renderer
from archspec.errors import UsageError, call
from archspec.evaluation import scores
from archspec.evaluation.inference import averages, scores_of
from archspec.keras_model.engine import load_file, load_keras
from archspec.runs import checkpoint, folder, storage, summary
from archspec.runs.files import (
    BEST,
    CONFUSION_PICTURES,
    CURVES,
    FINAL,
    SPEC,
    UNITS_PICTURES,
)
from archspec.runs.outcome import DivergedError, Outcome, Run, why_no_run
from archspec.runs.records import TransferRecord
from archspec.runs.state import RunState
from archspec.spec.document import Spec
from archspec.spec.loading import as_spec
from archspec.training import description, resuming, units
from archspec.training.callback_state import callback_state
from archspec.training.callbacks import Watcher, as_keras_callback
from archspec.training.data_check import DataCheck
from archspec.training.diagnosis import diagnose, wrong_data
from archspec.training.hosts import ALONE, Hosts
from archspec.training.interrupt import Interrupt
from archspec.training.recorder import Recorder
from archspec.training.session import Session, plan_training, prepare
from archspec.training.tensorboard import TensorBoard


def fit(
    spec: Spec | str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    watchers: Sequence[Watcher] = (),
    hosts: Hosts = ALONE,
    **recipe: Any,
) -> Run:
    """Train a spec's network by its recipe.

        run = archspec.fit("lenet5", epochs=3)
        run.best_epoch, run.test_accuracy, run.folder

    The first Ctrl-C or SIGTERM stops the training after the step under way and saves: the run that
    is returned has the outcome `interrupted`. A handler of your own, or the system's of SIGTERM,
    which ends the process, gets the signal after that. Before the first step there is nothing to
    save: then it gets the signal at once, and so it does the second time; if it comes back,
    `KeyboardInterrupt` is raised.

    Args:
        spec: A spec, a path, or a name that comes with archspec.
        out: The run's folder, which must not exist; by default runs/NAME-N with the next free N.
        watchers: Who is told how it goes.
        hosts: Several, where each of them calls this with the same recipe. The first alone has the
            folder and tells the watchers; Ctrl-C on any stops them all after the epoch under way.
        recipe: What goes before the spec's `train:` section: epochs=3, data="digits",
            learning_rate=0.1, or any other of its keys.

    Returns:
        The run: its history, its scores, and the folder that holds its models.

    Raises:
        SpecError: Something is wrong in the spec.
        UsageError: An argument is wrong, or Keras's backend is not installed.
        DivergedError: The loss became infinite or not a number. The error has the run.
        KeyboardInterrupt: Ctrl-C was pressed before the first step, or twice.

    """
    with Interrupt().caught() as interrupt:
        if hosts.count > 1:
            hosts.join(load_keras())
        with hosts.all_succeed():
            if out is not None and hosts.leads:
                folder.check_free(arguments.place("out", out))
            spec = as_spec(spec)
            planned = plan_training(spec, recipe)
        watchers = watchers if hosts.leads else ()
        for watcher in watchers:  # Keras takes seconds to start, in which nothing else is seen
            watcher.says(f"training {spec.name}")
        session = prepare(planned, hosts)
        with _kept(hosts, lambda: folder.create(planned.spec.name, out)) as home:
            run = _train(session, home, watchers, interrupt)
    return _sound(run)


def resume(
    home: str | PathLike[str],
    *,
    watchers: Sequence[Watcher] = (),
    hosts: Hosts = ALONE,
    **recipe: Any,
) -> Run:
    """Go on with a run that was stopped, from its last whole epoch; or for more `epochs` in all.

        archspec.resume("runs/lenet5-1")

    With `deterministic`, and on as many devices as before, what comes out is what would have come
    without the stop, bit for bit. Ctrl-C and SIGTERM stop it as they stop `fit`. Nothing in the
    folder changes before it is known that the run can go on.

    Args:
        home: The run's folder. Of several `hosts`, each must see it.
        watchers: Who is told how it goes.
        hosts: Several, where each of them calls this.
        recipe: What is to be otherwise from now on: `epochs` in all, `devices`, and the other keys
            in `archspec.runs.origin.MAY_CHANGE`.

    Returns:
        The run, with the epochs before and those after.

    Raises:
        UsageError: The folder holds no run that can go on, another process trains in it, something
            else of the recipe was to change, or the network or the data are not what they were.
        SpecError: `spec.yaml` in the folder is wrong.
        DivergedError: The loss became infinite or not a number. The error has the run.
        KeyboardInterrupt: Ctrl-C was pressed before the first step, or twice.

    """
    home = Path(arguments.place("home", home))
    watchers = watchers if hosts.leads else ()
    with Interrupt().caught() as interrupt:
        if hosts.count > 1:
            hosts.join(load_keras())
        with hosts.all_succeed():
            if not storage.exists(home / SPEC):
                where = f" on host {hosts.index}; all hosts must see the same one"
                raise UsageError(why_no_run(home) + (where if hosts.count > 1 else ""))
        with _kept(hosts, lambda: home) as kept:
            with hosts.all_succeed():
                start = resuming.find(home, recipe)
            hosts.agree("checkpoint in this folder", str(start.epoch))
            for watcher in watchers:
                watcher.says(f"going on with {home} after epoch {start.epoch}")
            rule = SPLIT_RULE if start.data is None else start.data.split_rule
            session = prepare(
                start.plan, hosts, TransferRecord.read(home) if start.held else None, rule
            )
            with hosts.all_succeed():
                for warning in (*start.warnings, *resuming.check(session, start, home)):
                    for watcher in watchers:
                        watcher.warns(warning)
            run = _train(session, kept, watchers, interrupt, start.held)
    return _sound(run)


def _sound(run: Run) -> Run:
    """The run; raise `DivergedError` where its loss became infinite or not a number."""
    if run.outcome == "diverged":
        raise DivergedError(run)
    return run


@contextmanager
def _kept(hosts: Hosts, make: Callable[[], Path]) -> Iterator[Path]:
    """The run's folder, on the host that leads; on another, one that is thrown away.

    Keras's callbacks write there.
    """
    with ExitStack() as stack:
        with hosts.all_succeed():
            if hosts.leads:
                home = make()
                stack.enter_context(folder.claimed(home))
            else:
                home = Path(stack.enter_context(TemporaryDirectory(prefix="archspec-")))
        yield home


def _train(
    session: Session,
    home: Path,
    watchers: Sequence[Watcher],
    interrupt: Interrupt,
    held: checkpoint.Checkpoint | None = None,
) -> Run:
    keras, model, hosts = session.keras, session.model, session.devices.hosts

    def stop() -> None:
        if hosts.count == 1:  # others would wait for ever in a step that this one leaves out
            model.stop_training = True

    interrupt.begin_training(stop)
    done = held.epoch if held else 0
    record = Recorder(
        keras,
        model,
        session.train,
        home,
        judged=len(session.data.validation) or session.train.images,
        accuracy=session.objective.accuracy,
        interrupt=interrupt,
        state=held.state if held else RunState(),
        watchers=watchers,
        hosts=hosts,
    )
    unchanged = DataCheck(session.data, watchers, hosts)
    with _explained_if_unwritable(home):
        aligning = session.devices.aligning(keras)
        stages = deque(stage for stage in session.stages() if stage.last_epoch >= max(done, 1))
        stage = stages.popleft()
        callbacks = session.compile(stage, home)
        record.callback_state = callback_state(keras, callbacks, held)
        record.units = units.of(session)
        if held:
            checkpoint.restore(model, held)
        # The first that changes in the folder: until here the request might have been refused.
        description.write(session, home)
        if session.recipe.tensorboard and hosts.leads:
            watchers = [*watchers, TensorBoard(home)]
        if held:
            record.publish(done)
        elif record.units is not None:
            record.state.units.append(record.units.measure())
        facts = session.facts(done, watchers)
        for watcher in watchers:
            for line in session.describe():
                watcher.says(line)
            watcher.begins(facts)
        while True:
            watching = [
                as_keras_callback(keras, watcher) for watcher in (*watchers, unchanged, record)
            ]
            with session.train.reading_errors(), session.validation.reading_errors():
                model.fit(
                    **_fed(session),
                    initial_epoch=done,
                    # Of one that had stopped early none, but callbacks have their last word.
                    epochs=done if record.state.stopped else stage.last_epoch,
                    validation_data=session.validation.for_keras(keras)
                    if session.validation.steps
                    else None,
                    shuffle=False,  # that is the feed's
                    callbacks=[*aligning, *callbacks, record.callback_state, *watching],
                    verbose=0,
                )
            if model.stop_training or record.state.stopped or not stages:
                break
            if hosts.leads:
                record.write_best()  # the next stage's optimizer holds other variables
            done = stage.last_epoch
            stage = stages.popleft()
            callbacks = session.compile(stage, home)
            record.callback_state = callback_state(keras, callbacks)
            record.units = units.of(session)
        with hosts.all_succeed():
            run = _finish(session, home, record, interrupt)
    for watcher in watchers:
        watcher.ends(run)
    return run


def _fed(session: Session) -> dict[str, Any]:
    """What Keras's `fit` is told of the training images, by its arguments.

    For each epoch it makes an iterator of TensorFlow's, which takes as long as a few steps of a
    small network, and a second one unless it is told how many steps there are. One that is endless
    serves all epochs, if no execution of several steps reaches from one into the next. That of
    several devices may begin to read before its epoch does.
    """
    keras, train = session.keras, session.train
    if session.devices.count > 1 or keras.backend.backend() != "tensorflow":
        return {"x": train.for_keras(keras)}
    endless = train.steps % session.model.steps_per_execution == 0
    return {"x": train.for_keras(keras, endless=endless), "steps_per_epoch": train.steps}


@contextmanager
def _explained_if_unwritable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        if not full and not Path(str(error.filename)).is_relative_to(home):
            raise
        mend = "make room, and" if full else "once that is mended,"
        raise UsageError(
            f"{home} cannot be written: {error.strerror}; {mend} "
            f"{call('resume', home)} goes on from the last whole epoch"
        ) from None


def _finish(session: Session, home: Path, record: Recorder, interrupt: Interrupt) -> Run:
    """Save what was reached, score the best epoch on the test images, and tell of it all.

    A host that does not lead only knows.
    """
    model, state, leads = session.model, record.state, session.devices.hosts.leads
    if leads:
        record.write_best()
    outcome: Outcome = "finished"
    advice = ""
    if record.diverged:
        outcome = "diverged"
        advice = _advice(session.alone(), record) if leads else ""
    elif interrupt.requested:
        outcome = "interrupted"
    elif len(state.rows) < session.recipe.epochs:
        outcome = "stopped early"
    if outcome != "diverged" and leads:
        with folder.whole(home / FINAL) as partial:
            model.save(partial)
    test: Mapping[str, float] = {}
    best = state.best_epoch is not None and len(session.data.test)
    if outcome != "interrupted" and best and leads:
        alone = session.alone()
        # Its optimizer is another than this one, where a stage of other layers has followed.
        alone.model.set_weights(load_file(home / BEST).get_weights())
        test = _test(alone, home)
    run = Run(
        folder=home,
        name=session.plan.spec.name,
        outcome=outcome,
        history=tuple(state.rows),
        best_epoch=state.best_epoch,
        test=test,
        test_accuracy=test[session.objective.accuracy] if test else None,
        seconds=state.seconds,
        params=model.count_params(),
        advice=advice,
    )
    if not leads:
        return run
    if run.history:
        files = [home / name for name in CURVES]
        accuracy = session.objective.accuracy
        least = session.least_loss
        renderer("curves").write_curves(
            run.history,
            run.best_epoch,
            run.name,
            *files,
            accuracy=accuracy,
            least_loss=least.value if least else None,
        )
    if state.units:
        renderer("units").write_units(
            state.units, run.name, *(home / name for name in UNITS_PICTURES)
        )
    description.data_record(session).write(home)  # which may have skipped more images by now
    summary.write(
        run,
        data=session.data.describe(),
        transferred=session.transferred,
        least_loss=session.least_loss,
        has_units=bool(session.recipe.watch_units),
    )
    run.write()
    return run


def _advice(session: Session, record: Recorder) -> str:
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
        losses=[row["loss"] for row in record.state.rows] + record.losses,
        learning_rate=record.rate,
        precision=session.recipe.precision,
        x=x,
        y=y,
    )


def _test(session: Session, home: Path) -> Mapping[str, float]:
    """What Keras measures on the test images; how each class fared is written beside it.

    Those that cannot be read, before or while they are scored, do not count.
    """
    keras, model, data = session.keras, session.model, session.data
    data.check_unchanged(data.test)
    part, scored = data.read_well(data.test), None
    while scored is None or len(part) < len(scored):
        scored = part
        if not len(part):
            raise UsageError(f"none of the {len(data.test):,} test images can be read any more")
        feed = session.train.looking_at(part)
        with feed.reading_errors():
            measured = model.evaluate(feed.for_keras(keras), verbose=0, return_dict=True)
            found = scores_of(keras, model, feed, data.class_names)
        part = data.read_well(part)
    scores.write(found, home)
    name = session.plan.spec.name
    renderer("confusion").write_confusion(
        found, name, *(home / each for each in CONFUSION_PICTURES)
    )
    return averages(keras, measured)

"""Spec -> trained network: `fit` and `resume`, which fill a run's folder."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archspec import arguments, atomic
from archspec.data.splitting import SPLIT_RULE
from archspec.display import renderer
from archspec.errors import UsageError, call
from archspec.evaluation import mistakes, scores
from archspec.evaluation.inference import averages, scores_of
from archspec.evaluation.scores import Scores, TaskScores
from archspec.imports.loading import spec_for
from archspec.keras_model.engine import load_file, load_keras
from archspec.keras_model.refusals import explained
from archspec.runs import checkpoints, folder, storage, summary
from archspec.runs.checkpoints import Checkpoint
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
from archspec.training import description, resuming, units
from archspec.training.callback_state import callback_state
from archspec.training.callbacks import Watcher, as_keras_callback
from archspec.training.data_check import DataCheck
from archspec.training.diagnosis import diagnose, wrong_data
from archspec.training.hosts import ALONE, Hosts, as_hosts
from archspec.training.interrupt import Interrupt
from archspec.training.page import PageWriter
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
    """Train a spec's network by its recipe, into a new folder.

    Ctrl-C or SIGTERM stops the training after the current step and saves it: `outcome` is then
    `interrupted`. When that is done, the signal goes on to the handler that was there before: your
    own, or the system's of SIGTERM, which ends the process. Only Python's handler of Ctrl-C is left
    out, so that the run is returned. Before the first step, and for a second signal, that handler
    is called at once, and if it returns, `KeyboardInterrupt` is raised.

    Args:
        spec: A spec, a path, or the name of a bundled network.
        out: The run's folder, which must not exist; by default runs/NAME-N with the next free N.
        watchers: Objects to notify of progress, each a `training.callbacks.Watcher`.
        hosts: The hosts that train together, each of which calls `fit` with the same recipe. Only
            the first has the folder and notifies watchers. Ctrl-C on any host stops all of them
            after the current epoch.
        recipe: Keys that override the spec's `train:` section: `data`, `batch`, `epochs`,
            `optimizer`, `learning_rate`, `loss`, `metrics`, `schedule`, `warmup`, `callbacks`,
            `augment`, `class_weights`, `seed`, `deterministic`, `precision`, `jit`,
            `steps_per_execution`, `devices`, `tensorboard`, `watch_units`, `transfer`. They take
            what the spec does, such as data="digits" or optimizer={"sgd": {"momentum": 0.9}}; a key
            with dots, as in **{"data.resize": "crop"}, sets one value inside.

    Returns:
        The run: its history, its test scores, and the folder that holds its models.

    Raises:
        SpecError: The spec is wrong.
        UsageError: An argument is wrong, or Keras's backend is not installed.
        EngineError: There is too little memory, or no kernel for a step of the network.
        DivergedError: The loss became infinite or not a number. The error's `run` says why.
        KeyboardInterrupt: Ctrl-C was pressed before the first step, or twice.

    Example:
        >>> run = archspec.fit("lenet5", epochs=2)
        >>> run.outcome, len(run.history), run.folder.name
        ('finished', 2, 'lenet5-1')
    """
    leads = as_hosts(hosts).leads
    with Interrupt().caught() as interrupt:
        if hosts.count > 1:
            hosts.join(load_keras())
        with hosts.all_succeed():
            if out is not None and leads:
                folder.check_free(arguments.place("out", out))
            spec = spec_for("`archspec.fit`", spec)
            plan = plan_training(spec, recipe)
        watchers = watchers if leads else ()
        for watcher in watchers:  # a sign of life, as Keras takes seconds to start
            watcher.says(f"training {spec.name}")
        with explained(
            f"; {call('fits', ..., memory=...)} finds the largest `batch=` that fits; "
            f"this one is {plan.recipe.batch}"
        ):
            session = prepare(plan, hosts)
            with _claimed(hosts, lambda: folder.create(plan.spec.name, out)) as home:
                run = _train(session, home, watchers, interrupt)
    return _converged(run)


def resume(
    run: str | PathLike[str],
    *,
    watchers: Sequence[Watcher] = (),
    hosts: Hosts = ALONE,
    **recipe: Any,
) -> Run:
    """Resume a run that was stopped, after its last whole epoch, or train a finished one further.

    With `deterministic` and as many devices as before, the result is bit for bit that of a run
    without the stop. Ctrl-C and SIGTERM act as in `fit`. The folder does not change before it is
    known that the run can resume.

    Args:
        run: The run's folder, which each of several `hosts` must see.
        watchers: Objects to notify of progress, each a `training.callbacks.Watcher`.
        hosts: The hosts that train together, each of which calls `resume`.
        recipe: Keys of the recipe that are to change: `epochs` (of the whole run), `devices`,
            `jit`, `steps_per_execution`, `tensorboard`, `data.path` and `data.cache`. Others are
            refused.

    Returns:
        The run, with the epochs before and after the stop.

    Raises:
        UsageError: The folder does not hold a run that can resume, another process trains in it,
            another key of the recipe was to change, or network or data have changed.
        SpecError: `spec.yaml` in the folder is wrong.
        EngineError: There is too little memory, or no kernel for a step of the network.
        DivergedError: The loss became infinite or not a number. The error's `run` says why.
        KeyboardInterrupt: Ctrl-C was pressed before the first step, or twice.

    Example:
        >>> len(archspec.resume("runs/lenet5-1", epochs=3).history)
        3
    """
    home = Path(arguments.place("run", run))
    watchers = watchers if as_hosts(hosts).leads else ()
    with Interrupt().caught() as interrupt:
        if hosts.count > 1:
            hosts.join(load_keras())
        with hosts.all_succeed():
            if not storage.exists(home / SPEC):
                where = f" on host {hosts.index}; all hosts must see the same folder"
                raise UsageError(why_no_run(home) + (where if hosts.count > 1 else ""))
        with _claimed(hosts, lambda: home) as place:
            with hosts.all_succeed():
                point = resuming.find(home, recipe)
            hosts.agree("checkpoint in this folder", str(point.epoch))
            for watcher in watchers:
                watcher.says(f"resuming {home} after epoch {point.epoch}")
            rule = SPLIT_RULE if point.data is None else point.data.split_rule
            transferred = TransferRecord.read(home) if point.checkpoint else None
            with explained(
                f"; with more, {call('resume', home)} goes on from the last whole epoch"
            ):
                session = prepare(point.plan, hosts, transferred, rule)
                with hosts.all_succeed():
                    for warning in (*point.warnings, *resuming.check(session, point, home)):
                        for watcher in watchers:
                            watcher.warns(warning)
                resumed = _train(session, place, watchers, interrupt, point.checkpoint)
    return _converged(resumed)


def _converged(run: Run) -> Run:
    """Return the run; raise `DivergedError` if its loss became infinite or not a number."""
    if run.outcome == "diverged":
        raise DivergedError(run)
    return run


@contextmanager
def _claimed(hosts: Hosts, make: Callable[[], Path]) -> Iterator[Path]:
    """Yield the run's folder, claimed for this process; on other hosts a temporary one.

    Keras's callbacks write there too.
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
    checkpoint: Checkpoint | None = None,
) -> Run:
    """Train the stages of a session, from a checkpoint or from the start, and finish the run."""
    keras, model, hosts = session.keras, session.model, session.devices.hosts

    def stop() -> None:
        if hosts.count == 1:  # other hosts would wait forever for this one's step
            model.stop_training = True

    interrupt.begin_training(stop)
    done = checkpoint.epoch if checkpoint else 0
    state = checkpoint.state if checkpoint else RunState()
    page = PageWriter(session, home, state, watchers)
    recorder = Recorder(session, home, interrupt, state, (*watchers, page))
    data_check = DataCheck(session.data, watchers, hosts)
    with _explained_if_unwritable(home):
        aligning = session.devices.aligning(keras)
        stages = deque(stage for stage in session.stages() if stage.last_epoch >= max(done, 1))
        stage = stages.popleft()
        callbacks = session.compile(stage, home)
        recorder.callback_state = callback_state(keras, callbacks, checkpoint)
        recorder.units = units.of(session)
        if checkpoint:
            checkpoints.restore(model, checkpoint)
        # The first change in the folder: until here the run might have been refused.
        description.write(session, home)
        if session.recipe.tensorboard and hosts.leads:
            watchers = [*watchers, TensorBoard(home)]
        if checkpoint:
            recorder.publish(done)
        elif recorder.units is not None:
            recorder.state.units.append(recorder.units.measure())
        if hosts.leads:
            page.begin()
        facts = session.facts(home, done, watchers)
        for watcher in watchers:
            for line in session.describe():
                watcher.says(line)
            watcher.begins(facts)
        notified = (*watchers, data_check, recorder)
        while True:
            _fit_stage(session, recorder, done, stage.last_epoch, [*aligning, *callbacks], notified)
            if model.stop_training or recorder.state.stopped or not stages:
                break
            if hosts.leads:
                recorder.write_best()  # the next stage's optimizer has other variables
            done = stage.last_epoch
            stage = stages.popleft()
            callbacks = session.compile(stage, home)
            recorder.callback_state = callback_state(keras, callbacks)
            recorder.units = units.of(session)
        with hosts.all_succeed():
            run = _finish(session, home, recorder, interrupt, page)
    for watcher in watchers:
        watcher.ends(run)
    return run


def _fit_stage(
    session: Session,
    recorder: Recorder,
    done: int,
    last_epoch: int,
    callbacks: Sequence[Any],
    watchers: Sequence[Watcher],
) -> None:
    """Train one stage with Keras, from the epoch after `done` to its last one."""
    keras, validation = session.keras, session.validation
    watching = [as_keras_callback(keras, watcher) for watcher in watchers]
    with session.train.reading_errors(), validation.reading_errors():
        session.model.fit(
            **_training_batches(session),
            initial_epoch=done,
            # No epoch if a callback had stopped the run, but callbacks still end it.
            epochs=done if recorder.state.stopped else last_epoch,
            validation_data=validation.for_keras(keras) if validation.steps else None,
            shuffle=False,  # the feed shuffles
            callbacks=[*callbacks, recorder.callback_state, *watching],
            verbose=0,
        )


def _training_batches(session: Session) -> dict[str, Any]:
    """Return the arguments of Keras's `fit` for the training images.

    Keras makes a TensorFlow iterator for each epoch, and another one unless it is given the number
    of steps. That takes as long as a few steps of a small network. One endless iterator serves all
    epochs, if no execution of several steps crosses the end of an epoch. With several devices it
    could read an epoch too early.
    """
    keras, train = session.keras, session.train
    if session.devices.count > 1 or keras.backend.backend() != "tensorflow":
        return {"x": train.for_keras(keras)}
    endless = train.steps % session.model.steps_per_execution == 0
    return {"x": train.for_keras(keras, endless=endless), "steps_per_epoch": train.steps}


@contextmanager
def _explained_if_unwritable(home: Path) -> Iterator[None]:
    """Raise `UsageError` if the run's folder cannot be written, as on a full disk."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        if not full and not Path(str(error.filename)).is_relative_to(home):
            raise
        remedy = "make room, and" if full else "once that is fixed,"
        raise UsageError(
            f"{home} cannot be written: {error.strerror}; {remedy} "
            f"{call('resume', home)} goes on from the last whole epoch"
        ) from None


def _finish(
    session: Session, home: Path, recorder: Recorder, interrupt: Interrupt, page: PageWriter
) -> Run:
    """Save the models, score the best one on the test images, and write the result.

    A host that does not lead writes nothing.
    """
    model, state, leads = session.model, recorder.state, session.devices.hosts.leads
    if leads:
        recorder.write_best()
    outcome: Outcome = "finished"
    advice = ""
    if recorder.diverged:
        outcome = "diverged"
        advice = _advice(session.alone(), recorder) if leads else ""
    elif interrupt.requested:
        outcome = "interrupted"
    elif len(state.rows) < session.recipe.epochs:
        outcome = "stopped early"
    if outcome != "diverged" and leads:
        with atomic.whole(home / FINAL) as partial:
            model.save(partial)
    test: Mapping[str, float] = {}
    result: TaskScores | None = None
    best = state.best_epoch is not None and len(session.data.test)
    if outcome != "interrupted" and best and leads:
        alone = session.alone()
        # The saved model's optimizer differs from this one if another stage has followed.
        alone.model.set_weights(load_file(home / BEST).get_weights())
        test, result = _test(alone, home)
    measure, least = session.objective.measure, session.least_loss
    run = Run(
        folder=home,
        name=session.plan.spec.name,
        task=session.plan.task.kind,
        outcome=outcome,
        history=tuple(state.rows),
        best_epoch=state.best_epoch,
        test=test,
        test_accuracy=test[measure] if test and session.accuracy else None,
        seconds=state.seconds,
        params=model.count_params(),
        advice=advice,
    )
    if not leads:
        return run
    if run.history:
        renderer("curves").write_curves(
            run.history,
            run.best_epoch,
            run.name,
            *(home / name for name in CURVES),
            measure=measure,
            least_loss=least.value if least else None,
        )
    if state.units:
        pictures = [home / name for name in UNITS_PICTURES]
        renderer("units").write_units(state.units, run.name, *pictures)
    description.data_record(session).write(home)  # more images may have been skipped by now
    summary.write(
        run,
        data=session.data.describe(),
        transferred=session.transferred,
        least_loss=least,
        has_units=session.recipe.watch_units,
    )
    run.write()
    page.write(run, result)
    return run


def _advice(session: Session, recorder: Recorder) -> str:
    """Return the reason why the loss failed, as far as the model and its batch show it."""
    steps = recorder.failed
    for step in steps:
        x, y, *_ = session.train.batch_at(recorder.epoch, step - 1)
        if wrong_data(session.model, x, y):
            steps = range(step, step + 1)
            break
    return diagnose(
        session.keras,
        session.model,
        epoch=recorder.epoch,
        steps=steps,
        losses=[row["loss"] for row in recorder.state.rows] + recorder.losses,
        learning_rate=recorder.rate,
        precision=session.recipe.precision,
        x=x,
        y=y,
    )


def _test(session: Session, home: Path) -> tuple[Mapping[str, float], TaskScores]:
    """Return Keras's measures of the test images, and their scores, which are written too.

    Images that cannot be read, before or while they are scored, do not count.
    """
    keras, model, data = session.keras, session.model, session.data
    data.check_unchanged(data.test)
    part, scored = data.without_failed(data.test), None
    while scored is None or len(part) < len(scored):
        scored, wrong = part, mistakes.tally_of(data.task, part)
        if not len(part):
            raise UsageError(f"none of the {len(data.test):,} test images can be read any more")
        feed = session.train.looking_at(part)
        with feed.reading_errors():
            measures = model.evaluate(feed.for_keras(keras), verbose=0, return_dict=True)
            result = scores_of(keras, model, data, part, batch=feed.batch, mistakes=wrong)
        part = data.without_failed(part)
    scores.write(result, home)
    if isinstance(result, Scores):
        pictures = [home / name for name in CONFUSION_PICTURES]
        renderer("confusion").write_confusion(result, session.plan.spec.name, *pictures)
    mistakes.write(wrong.worst(), data.test, data.task, session.plan.spec.name, home)
    return averages(keras, measures) | result.figures, result

"""Spec -> trained model: the last step of the pipeline, in a run folder that explains itself."""

from __future__ import annotations

import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TextIO, TypeAlias

from archspec import __version__
from archspec.diagnostics import Diagnostic, Problem, UsageError, suggestion
from archspec.emit.engine import load_keras
from archspec.emit.model import build, load_model
from archspec.expand import expand
from archspec.graph.graph import Graph
from archspec.spec.document import Spec
from archspec.spec.findings import spec_error
from archspec.spec.loading import as_spec
from archspec.spec.writing import to_yaml
from archspec.training import compilation, folder, machine
from archspec.training import data as training_data
from archspec.training.callbacks import (
    Facts,
    Interrupt,
    Logs,
    Watcher,
    as_keras_callback,
    averages,
)
from archspec.training.data import Data
from archspec.training.progress import Progress, duration, tell
from archspec.training.recipe import Recipe, RecipeError, places

Outcome: TypeAlias = Literal["finished", "stopped early", "interrupted", "diverged"]

VERSIONS: Final = ("keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a training run, and the folder that holds it."""

    folder: Path
    outcome: Outcome
    history: tuple[Mapping[str, float], ...]
    """A row for each completed epoch, as in `history.csv`."""
    best_epoch: int | None
    """The completed epoch of the highest validation accuracy, or of the lowest validation loss
    among those that got at most one image less right. None where no epoch's loss was a number."""
    test: Mapping[str, float]
    """The best epoch's score on the test images; empty where the run was interrupted, or has no
    best epoch."""
    test_accuracy: float | None
    """The main output's, from 0 to 1."""
    seconds: float
    """Training and validation, without imports and without the test."""

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


def fit(
    spec: Spec | str | PathLike[str],
    *,
    data: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    out: str | PathLike[str] | None = None,
    progress: TextIO | None = None,
) -> Run:
    """Train a spec's network by its recipe.

    What is given here goes before what the spec says. `out` is the run's folder, which must not
    exist; without it, runs/NAME-N with the next free N. `progress` is where to show a live line.
    Ctrl-C stops after the step under way and saves.

    Raises `SpecError` for what is wrong in the spec, and `UsageError` for what is wrong here or
    where Keras's backend is not installed.
    """
    overrides = {
        "data": data,
        "epochs": epochs,
        "batch": batch,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    if out is not None:
        folder.check_free(out)
    spec = as_spec(spec)
    with places(spec):
        recipe = Recipe.resolve(spec.train, overrides)
        graph = expand(spec)
        _check_fit(spec, graph, recipe)
        if progress:  # Keras takes seconds to start, in which nothing else is seen
            tell(progress, f"training {spec.name}\n")
        keras = load_keras()
        images = training_data.load(recipe.data, graph.input)
        keras.utils.set_random_seed(recipe.seed)
        with _given(spec, optimizer):
            training = _prepare(keras, graph, recipe, images)
        _try_out(training, recipe, images)
    home = folder.create(spec.name, out)
    folder.write_text(home / "spec.yaml", to_yaml(spec.to_dict()))
    folder.write_text(home / "recipe.yaml", to_yaml(recipe.to_dict()))
    folder.write_text(home / "environment.json", _environment(keras, recipe))
    run = _train(training, recipe, images, home, progress)
    folder.write_text(home / "summary.md", summary(spec.name, training.model, images, run))
    return run


def _check_fit(spec: Spec, graph: Graph, recipe: Recipe) -> None:
    """Raise `SpecError` where the network and the data do not go together."""
    outputs = {name: graph.nodes[index].shape for name, index in graph.outputs.items()}
    main = next(iter(outputs))
    places: dict[str, tuple[str | int, ...]] = {
        "input": ("input",),
        main: ("layers", len(spec.document.layers) - 1),
    }
    found: list[Diagnostic] = []
    for name, problem in training_data.misfits(recipe.data.source, graph.input, outputs):
        found.append(problem.at(spec.source.span(places.get(name, ("heads", name)))))
    if found:
        raise spec_error(spec.source, found)


@dataclass(frozen=True, slots=True)
class _Training:
    """A compiled model and what it is to be trained with."""

    keras: Any
    model: Any
    objective: compilation.Objective
    callbacks: list[Any]
    steps_per_epoch: int

    def labels(self, labels: Any, classes: int) -> Any:
        """As the loss wants them, for each of the model's outputs."""
        if self.objective.one_hot:
            labels = self.keras.utils.to_categorical(labels, classes)
        return compilation.for_outputs(self.model, lambda *_: labels)


def _prepare(keras: Any, graph: Graph, recipe: Recipe, images: Data) -> _Training:
    steps_per_epoch = math.ceil(len(images.y_train) / recipe.batch)
    optimizer = compilation.optimizer(keras, recipe, steps_per_epoch)
    callbacks = compilation.callbacks(keras, recipe)
    model = build(graph)
    objective = compilation.objective(keras, recipe, model, graph.loss_weights)
    macs = recipe.batch * sum(node.layer.macs for node in graph.nodes)
    model.compile(
        optimizer,
        loss=objective.loss,
        loss_weights=objective.loss_weights,
        metrics=objective.metrics,
        steps_per_execution=compilation.steps_per_execution(keras, macs, steps_per_epoch),
    )
    return _Training(keras, model, objective, callbacks, steps_per_epoch)


@contextmanager
def _given(spec: Spec, optimizer: str | Mapping[str, Any] | None) -> Iterator[None]:
    """Make the problems of an `optimizer` given in place of the spec's no fault of the text."""
    try:
        yield
    except RecipeError as error:
        own = Recipe.resolve(spec.train).optimizer
        used = Recipe.resolve(spec.train, {"optimizer": optimizer}).optimizer
        if used == own or any(path[0] != "optimizer" for path, _ in error.problems):
            raise
        said = [f"{p.message}; {p.help}" if p.help else p.message for _, p in error.problems]
        raise UsageError(f"--optimizer: {'; '.join(said)}") from None


def _try_out(training: _Training, recipe: Recipe, images: Data) -> None:
    """Measure one batch, for what Keras says of loss, metrics and monitors only in use."""
    x, y = images.x_train[: recipe.batch], images.y_train[: recipe.batch]
    labels = training.labels(y, len(images.class_names))
    try:
        measured = training.model.evaluate(
            *compilation.feed(training.keras, x, labels, batch=recipe.batch),
            batch_size=recipe.batch,
            verbose=0,
            return_dict=True,
        )
    except (TypeError, ValueError) as error:
        place = "metrics" if recipe.metrics else "loss"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        refused = f"Keras cannot measure with this loss and these metrics: {reason}"
        raise RecipeError([((place,), Problem("value", refused))]) from None
    names = {name for name, value in measured.items() if isinstance(value, float)}
    if len(images.y_validation):
        names |= {f"val_{name}" for name in names}
    problems: list[tuple[tuple[str | int, ...], Problem]] = []
    for index, callback in enumerate(recipe.callbacks):
        monitor = callback.arguments.get("monitor")
        if "monitor" in callback.arguments and monitor not in names:
            hint = suggestion(str(monitor), names, what="measures")
            unknown = Problem("value", f"there is no `{monitor}` to monitor", help=hint)
            problems.append((("callbacks", index, callback.name, "monitor"), unknown))
    if problems:
        raise RecipeError(problems)


def _train(
    training: _Training, recipe: Recipe, images: Data, home: Path, progress: TextIO | None
) -> Run:
    keras, model, accuracy = training.keras, training.model, training.objective.accuracy

    def feed(x: Any, y: Any, shuffle_seed: int | None = None) -> tuple[Any, Any]:
        labels = training.labels(y, len(images.class_names))
        return compilation.feed(keras, x, labels, batch=recipe.batch, shuffle_seed=shuffle_seed)

    validation = feed(images.x_validation, images.y_validation)
    interrupt = Interrupt()
    record = _Record(training, images, home, interrupt)
    line = progress and Progress(progress)
    watchers: list[Watcher] = [record, line] if line else [record]
    facts = Facts(
        model.name,
        recipe.epochs,
        len(images.y_train),
        recipe.batch,
        validation_images=len(images.y_validation),
        accuracy=accuracy,
        memory=lambda: machine.memory(keras),
    )
    for watcher in watchers:
        watcher.begins(facts)
    started = time.monotonic()
    try:
        with interrupt.caught():
            x, y = feed(images.x_train, images.y_train, recipe.seed)
            model.fit(
                x,
                y,
                batch_size=recipe.batch,
                epochs=recipe.epochs,
                shuffle=y is not None,  # a pipeline does it itself
                validation_data=validation if len(images.y_validation) else None,
                callbacks=[*(as_keras_callback(keras, w) for w in watchers), *training.callbacks],
                verbose=0,
            )
    finally:
        if line:
            line.close()
    seconds = time.monotonic() - started

    outcome: Outcome = "finished"
    if record.diverged:
        outcome = "diverged"
    elif interrupt.requested:
        outcome = "interrupted"
    elif len(record.rows) < recipe.epochs:
        outcome = "stopped early"
    if outcome != "diverged":
        with folder.whole(home / "final.keras") as partial:
            model.save(partial)
    test: Mapping[str, float] = {}
    if outcome != "interrupted" and record.best_epoch is not None:
        model.load_weights(home / "best.keras")
        test = model.evaluate(
            *feed(images.x_test, images.y_test),
            batch_size=recipe.batch,
            verbose=0,
            return_dict=True,
        )
    return Run(
        folder=home,
        outcome=outcome,
        history=tuple(record.rows),
        best_epoch=record.best_epoch,
        test=averages(keras, test),
        test_accuracy=float(test[accuracy]) if test else None,
        seconds=seconds,
    )


class _Record(Watcher):
    """Writes each epoch down, keeps the best one's model, and stops a run that must not go on."""

    def __init__(self, training: _Training, images: Data, home: Path, interrupt: Interrupt) -> None:
        self.rows: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        self.diverged = False
        self._training = training
        self._images = len(images.y_train)
        self._judged = len(images.y_validation) or self._images
        self._most_right = 0
        self._best = (-math.inf, math.inf)
        self._home = home
        self._interrupt = interrupt
        self._rate = self._started = self._seconds = 0.0
        self._steps = 0

    def epoch_begins(self, epoch: int) -> None:  # noqa: ARG002  (the watcher's face)
        # At its end a schedule gives the next epoch's already.
        self._rate = float(self._training.model.optimizer.learning_rate)
        self._started = time.monotonic()
        self._steps = 0

    def steps_done(self, steps: int, logs: Logs) -> None:
        self._steps = steps
        self._seconds = time.monotonic() - self._started
        self._stop_if_needed(logs)

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        self._stop_if_needed(logs)
        if self.diverged or self._steps < self._training.steps_per_epoch:
            return  # not a whole epoch
        self.rows.append(
            {
                "epoch": epoch,
                **logs,
                "learning_rate": self._rate,
                "seconds": round(self._seconds, 4),
                "images_per_second": round(self._images / self._seconds, 1),
            }
        )
        folder.write_rows(self._home / "history.csv", self.rows)
        if self._is_best(logs):
            self.best_epoch = epoch
            with folder.whole(self._home / "best.keras") as partial:
                self._training.model.save(partial)

    def _is_best(self, logs: Logs) -> bool:
        """Whether this epoch beats the best so far.

        On a small validation set one image more is luck: of the accuracies next to the highest,
        the lowest loss wins. Without a validation set the training images must do.
        """
        accuracy = self._training.objective.accuracy
        right = round(logs.get(f"val_{accuracy}", logs[accuracy]) * self._judged)
        loss = logs.get("val_loss", logs["loss"])
        if not math.isfinite(loss):
            return False
        self._most_right = max(self._most_right, right)
        if right < self._most_right - 1:
            return False
        best_right, best_loss = self._best
        if best_right >= self._most_right - 1 and best_loss <= loss:
            return False
        self._best = (right, loss)
        return True

    def _stop_if_needed(self, logs: Logs) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            self.diverged = True
        if self.diverged or self._interrupt.requested:
            self._training.model.stop_training = True


def _environment(keras: Any, recipe: Recipe) -> str:
    versions = {"archspec": __version__, "python": platform.python_version()}
    for name in VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    environment = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "backend": keras.backend.backend(),
        "devices": compilation.devices(keras),
        "platform": platform.platform(),
        "seed": recipe.seed,
        "versions": versions,
    }
    return json.dumps(environment, indent=2) + "\n"


def verdict(run: Run) -> str:
    """One line: how the run ended, and its score."""
    done = len(run.history)
    epochs = "epoch" if done == 1 else "epochs"
    ended = {
        "finished": f"trained {done} {epochs}",
        "stopped early": f"stopped early, after {done} {epochs}",
        "interrupted": f"interrupted after {done} whole {epochs}: no test score",
        "diverged": f"the loss became infinite or not a number in epoch {done + 1}: "
        "a lower learning rate may help",
    }[run.outcome]
    if run.test_accuracy is None:
        return ended
    return f"test accuracy {run.test_accuracy:.2%} (epoch {run.best_epoch}); {ended}"


def summary(name: str, model: Any, images: Data, run: Run) -> str:
    """`summary.md`: what was trained, what came of it, how to use it."""
    speed = f", {run.images_per_second:,.0f} images/s" if run.history else ""
    rows = [
        ("result", verdict(run)),
        ("data", images.describe()),
        ("parameters", f"{model.count_params():,}"),
        ("time", duration(run.seconds) + speed),
    ]
    if run.best_epoch is not None:
        best = run.history[run.best_epoch - 1]
        measures = ", ".join(f"{key} {best[key]:.4f}" for key in best if key.startswith("val_"))
        rows.append(("best epoch", f"{run.best_epoch}" + (f": {measures}" if measures else "")))
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    text = f"# {name}\n\n| | |\n|---|---|\n{table}\n"
    if run.saved is not None:
        text += _USE.format(saved=run.saved)
    return text


_USE: Final = """
`{saved}` is an ordinary Keras model:

```python
import archspec

model = archspec.load_model("{saved}")
```

After that import `keras.saving.load_model` does the same, up to a depth of a thousand layers or so.

`spec.yaml` and `recipe.yaml` say what was trained and how, `history.csv` how each epoch went, and
`environment.json` on what.
"""

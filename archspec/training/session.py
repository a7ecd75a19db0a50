"""Spec, recipe and data -> all that a training needs, found right before its first step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from archspec import system
from archspec.compile.expand import expand
from archspec.data import augment, dataset
from archspec.data.dataset import Data
from archspec.data.ranging import unknown_range
from archspec.data.splitting import SPLIT_RULE, SplitRule
from archspec.errors import Diagnostic, Problem, RecipeError, UsageError
from archspec.graph.graph import Graph
from archspec.keras_model.build import build, layer_name
from archspec.keras_model.engine import first_line, load_keras
from archspec.keras_model.optimizers import name_publicly
from archspec.recipe import callback_files, compilation, overrides
from archspec.recipe.least_loss import LeastLoss, least_loss
from archspec.recipe.mistakes import places
from archspec.recipe.train import Recipe
from archspec.runs.files import CALLBACKS
from archspec.runs.records import TransferRecord
from archspec.spec.document import Spec
from archspec.spec.findings import spec_error
from archspec.training import pace, tensorboard, transfer, units
from archspec.training.callbacks import RunFacts, Watcher
from archspec.training.distribution import Devices, choose
from archspec.training.feeding import Feed
from archspec.training.hosts import ALONE, Hosts

SAMPLE: Final = 1_000
"""Training images from which augmentations learn what they need to know of all."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A spec and a recipe that go together, as far as can be known without Keras."""

    spec: Spec
    graph: Graph
    recipe: Recipe
    settings: Mapping[str, Any]
    """Keys of the recipe that go before those of the spec's `train:` section."""


def plan_training(spec: Spec, settings: Mapping[str, Any]) -> TrainingPlan:
    """Raise `SpecError` or `UsageError` for what is wrong that can be known without Keras."""
    with _explained(spec, settings):
        recipe = Recipe.resolve(spec.train, settings)
        callback_files.check(recipe)
        if recipe.tensorboard:
            tensorboard.check()
        graph = expand(spec)
        _check_fit(spec, graph, recipe)
        _check_stages(recipe)
        transfer.check_steps(recipe.transfer, graph)
    return TrainingPlan(spec, graph, recipe, settings)


def _check_stages(recipe: Recipe) -> None:
    """Raise where a stage's recipe is wrong, or its learning rate still rises when it is over."""
    for stage in transfer.stages(recipe.transfer, recipe.epochs):
        staged = recipe.for_stage(stage.epochs, stage.learning_rate)
        if staged.warmup > staged.epochs:
            which = "stage" if recipe.transfer and recipe.transfer.unfreeze else "training"
            message = f"`warmup` is {staged.warmup:,} epochs long, and a {which} {staged.epochs:,}"
            hint = "each stage has a warm-up of its own" if which == "stage" else None
            raise RecipeError([(("warmup",), Problem("value", message, help=hint))])


@contextmanager
def _explained(spec: Spec, settings: Mapping[str, Any]) -> Iterator[None]:
    """Make a recipe's problems those of an option, or of the spec at their places in its text."""
    with places(spec):
        own = Recipe.resolve(spec.train).optimizer.name
        with overrides.blamed(overrides.given(settings), own):
            yield


def _check_fit(spec: Spec, graph: Graph, recipe: Recipe) -> None:
    """Raise where the network, the data and what is done to them do not go together."""
    outputs = {name: graph.nodes[index].shape for name, index in graph.outputs.items()}
    main = next(iter(outputs))
    spans: dict[str, tuple[str | int, ...]] = {
        "input": ("input",),
        main: ("layers", len(spec.document.layers) - 1),
    }
    found: list[Diagnostic] = []
    if not any(node.layer.trainable for node in graph.nodes):
        why = "its weights are all `trainable: false`"
        if not any(node.layer.params for node in graph.nodes):
            why = "it has no weights"
        nothing = Problem("value", f"nothing of `{graph.name}` can be trained: {why}")
        found.append(nothing.at(spec.source.span(("layers",))))
    weighted = recipe.class_weights if isinstance(recipe.class_weights, dict) else ()
    for name, misfit in dataset.misfits(recipe.data, graph.input, outputs, weighted):
        found.append(misfit.at(spec.source.span(spans.get(name, ("heads", name)))))
    if found:
        raise spec_error(spec.source, found)
    wrong = [
        (("augment", index), problem)
        for index, augmentation in enumerate(recipe.augment)
        if (problem := augmentation.misfit(graph.input, outputs[main].size)) is not None
    ]
    if wrong:
        raise RecipeError(wrong)


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A network built for its recipe, and the data that it is to learn."""

    keras: Any
    plan: TrainingPlan
    data: Data
    model: Any
    objective: compilation.Objective
    train: Feed
    validation: Feed
    transferred: TransferRecord | None
    """What the network started with, where that was not chance."""
    devices: Devices

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    def stages(self) -> tuple[transfer.Stage, ...]:
        return transfer.stages(self.recipe.transfer, self.recipe.epochs)

    def compile(self, stage: transfer.Stage, home: Path) -> list[Any]:
        """Make the model ready for a stage's epochs; give Keras's callbacks for them.

        What the stage freezes is frozen; the optimizer and its schedule begin anew.
        """
        recipe = self.recipe.for_stage(stage.epochs, stage.learning_rate)
        transfer.freeze(
            self.model,
            self.plan.graph,
            stage.freeze,
            self.transferred.new if self.transferred else (),
        )
        with self.devices.scope():
            self._compile(recipe)
            self.model.optimizer.build(self.model.trainable_variables)
        compilation.spare_from_decay(self.model)
        self.devices.make_steps(self.model)
        return compilation.callbacks(self.keras, recipe, home / CALLBACKS)

    def alone(self) -> Session:
        """The same with its present weights, on one device of this host: for what is no training.

        Where that is so already, it is this one itself.
        """
        if self.devices.count == 1:
            return self
        model, objective = _network(self.keras, self.plan, Devices())
        model.set_weights(self.model.get_weights())
        train = replace(self.train, devices=Devices())
        session = replace(
            self,
            model=model,
            objective=objective,
            train=train,
            validation=train.looking_at(self.data.validation),
            devices=Devices(),
        )
        session._compile(self.recipe)  # noqa: SLF001
        return session

    def _compile(self, recipe: Recipe) -> Mapping[str, Any]:
        """Compile the model, and give what Keras measures of made-up predictions.

        That makes the metrics' variables. Made within the first step, as Keras does, TensorFlow
        counts that step twice.
        """
        keras, steps, objective, model = self.keras, self.train.steps, self.objective, self.model
        macs = recipe.batch * sum(node.layer.macs for node in self.plan.graph.nodes)
        per_execution = compilation.steps_per_execution(keras, recipe, macs, steps)
        model.compile(
            compilation.optimizer(keras, recipe, steps),
            loss=objective.loss,
            loss_weights=objective.loss_weights,
            metrics=objective.metrics,
            jit_compile=compilation.jit(keras, recipe),
            steps_per_execution=self.devices.steps_per_execution(per_execution),
        )
        name_publicly(keras, model)
        x, y, *_ = self.train.looking_at(self.data.train).batch_at(1, 0)

        def predict(_: str, output: Any) -> Any:
            return keras.ops.full((len(x), output.shape[-1]), 1 / output.shape[-1])

        predictions = compilation.for_outputs(model, predict)
        model.compute_loss(y=y, y_pred=predictions)
        model.compute_metrics(None, y, predictions)
        measured: Mapping[str, Any] = model.get_metrics_result()
        model.reset_metrics()
        return measured

    def describe(self) -> Iterator[str]:
        """Lines that say what is learned from what."""
        yield self.data.describe()
        yield from self.data.notes
        if self.transferred:
            yield str(self.transferred)
        if self.least_loss:
            yield str(self.least_loss)

    @property
    def least_loss(self) -> LeastLoss | None:
        """The least that the loss can be, where smoothed labels keep it from 0."""
        graph, train = self.plan.graph, self.train
        return least_loss(
            self.recipe,
            {name: graph.nodes[index].shape.size for name, index in graph.outputs.items()},
            graph.loss_weights,
            mean_weight=1.0
            if train.weights is None
            else float(train.weights[train.part.labels].mean()),
            validated=len(self.data.validation) > 0,
        )

    def facts(self, done: int, watchers: Sequence[Watcher]) -> RunFacts:
        """What watchers are told of a run of which so many epochs are done."""
        nodes = self.plan.graph.nodes
        trained = {layer.name for layer in self.model.layers if layer.trainable_weights}
        flags = [layer_name(node) in trained for node in nodes]
        return RunFacts(
            self.plan.spec.name,
            self.recipe.epochs,
            self.train.images,
            self.recipe.batch,
            first_epoch=done + 1,
            validation_images=len(self.data.validation),
            accuracy=self.objective.accuracy,
            flops_per_image=pace.training_flops([node.layer.macs for node in nodes], flags),
            peak_flops=self._peak_flops() if watchers else 0.0,
            memory=partial(system.memory, self.keras),
            least_loss=self.least_loss.value if self.least_loss else None,
        )

    def _peak_flops(self) -> float:
        """Of all devices together; what is made several of one CPU is no faster than it."""
        cpu = system.devices(self.keras)[0].startswith("cpu")
        count = self.devices.hosts.count if cpu else self.devices.count
        return count * system.peak_flops(self.keras, self.recipe.precision)


def prepare(
    plan: TrainingPlan,
    hosts: Hosts = ALONE,
    transferred: TransferRecord | None = None,
    rule: SplitRule = SPLIT_RULE,
) -> Session:
    """Load Keras and the data, build the network, and try one batch.

    A run that goes on tells what it has `transferred`, which need not be there any more, and by
    which `rule` its images were split. Several
    hosts must do this together. Raises `SpecError` and `UsageError` for what only Keras and the
    data can tell.
    """
    graph, recipe = plan.graph, plan.recipe
    with _explained(plan.spec, plan.settings):
        if recipe.transfer is not None and transferred is None:
            with hosts.all_succeed(), _of_source():
                transfer.file_of(recipe.transfer.source)
        keras = load_keras()
        hosts.join(keras)
        with hosts.all_succeed():
            compilation.set_up(keras, recipe)
            devices = choose(keras, recipe, hosts)
            data = dataset.load(recipe.data, graph.input, rule)
            data = dataset.observed(data, recipe.data.normalize)
            devices.check_images(len(data.train), len(data.validation))
        said = [plan.spec.to_dict(), recipe.to_dict(), data.fingerprint]
        hosts.agree("network, recipe or data", json.dumps(said, sort_keys=True, default=str))
        with hosts.all_succeed():
            return _session(keras, plan, data, devices, transferred)


def _session(
    keras: Any, plan: TrainingPlan, data: Data, devices: Devices, transferred: TransferRecord | None
) -> Session:
    graph, recipe = plan.graph, plan.recipe
    keras.utils.set_random_seed(recipe.seed)
    model, objective = _network(keras, plan, devices)
    if recipe.transfer is not None:
        if transferred is None:
            source = recipe.transfer.source
            with _of_source():
                transferred = transfer.begin(keras, model, graph, source, data.class_names)
        transfer.check_steps(recipe.transfer, graph, transferred.new)
    _check_range(recipe, data)
    units.check(recipe, devices)
    train = Feed(
        data.train,
        data.preprocessing,
        batch=recipe.batch,
        classes=len(data.class_names),
        one_hot=objective.one_hot,
        outputs=tuple(graph.outputs) if len(graph.outputs) > 1 else None,
        seed=recipe.seed,
        augmentations=augment.fit(recipe.augment, _sample(data)) if recipe.augment else (),
        weights=_class_weights(recipe, data),
        devices=devices,
    )
    validation = train.looking_at(data.validation)
    session = Session(keras, plan, data, model, objective, train, validation, transferred, devices)
    _try_out(session)
    return session


@contextmanager
def _of_source() -> Iterator[None]:
    """Make what is wrong with a source a problem of the recipe that names it."""
    try:
        yield
    except UsageError as error:
        raise RecipeError([(("transfer", "from"), Problem("value", str(error)))]) from None


def _network(keras: Any, plan: TrainingPlan, devices: Devices) -> tuple[Any, compilation.Objective]:
    """The network, and what it is to learn, on the devices."""
    with devices.scope(), compilation.precision(keras, plan.recipe):
        model = build(plan.graph)
    with devices.scope():
        return model, compilation.objective(keras, plan.recipe, model, plan.graph.loss_weights)


def _check_range(recipe: Recipe, data: Data) -> None:
    """Raise `RecipeError` for augmentations that need black and white, where nothing says them."""
    if data.train.pixels.range is not None:
        return
    wrong = [
        (("augment", index), unknown_range(f"`{each.name}`", data.values))
        for index, each in enumerate(recipe.augment)
        if each.needs_range
    ]
    if wrong:
        raise RecipeError(wrong)


def _class_weights(recipe: Recipe, data: Data) -> Any:
    """(classes,) or None."""
    import numpy as np  # noqa: PLC0415

    if recipe.class_weights is None:
        return None
    weights = dataset.class_weights(recipe.class_weights, data)
    return np.array([weights[index] for index in range(len(data.class_names))], np.float32)


def _sample(data: Data) -> Any:
    part = data.train
    every = -(-len(part) // SAMPLE)
    return part.pixels.read(part.indices[::every])


def _try_out(session: Session) -> None:
    """Raise `RecipeError` for what Keras says of losses, metrics and monitors only in use."""
    recipe = session.recipe
    try:
        with session.devices.scope():
            measured = session._compile(recipe)  # noqa: SLF001
    except UsageError:  # of an image file, which is of the first batch by chance
        raise
    except Exception as error:  # noqa: BLE001  (each backend raises its own)
        place = "metrics" if recipe.metrics else "loss"
        refused = f"Keras cannot measure with this loss and these metrics: {first_line(error)}"
        raise RecipeError([((place,), Problem("value", refused))]) from None
    names = {name for name, value in measured.items() if not len(getattr(value, "shape", ()))}
    if session.validation.steps:
        names |= {f"val_{name}" for name in names}
    compilation.check_measures(recipe, {*names, "learning_rate"})

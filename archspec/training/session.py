"""Spec, recipe and data -> a session: all that a training needs, checked before its first step."""

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
from archspec.cost.size import graph_at
from archspec.data import augment, dataset
from archspec.data.dataset import Data
from archspec.data.examples import Preview
from archspec.data.fitting import unknown_range
from archspec.data.sources import SOURCES
from archspec.data.splitting import SPLIT_RULE, SplitRule
from archspec.data.targets import TargetScale
from archspec.data.task import Task
from archspec.errors import Diagnostic, KeyPath, Problem, RecipeError, UsageError
from archspec.graph.graph import Graph
from archspec.keras_model.build import build, layer_name
from archspec.keras_model.engine import dtype_policy, first_line, load_keras
from archspec.keras_model.optimizers import name_publicly
from archspec.keras_model.refusals import refusal
from archspec.ops.tokens import Embedding
from archspec.recipe import callback_files, compilation, overrides, task_choice
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
"""Number of training images from which augmentations estimate statistics."""


MOST_UNSCALED: Final = 20.0
"""Standard deviation of numbers above which a line advises to standardize them."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A spec and a recipe that fit each other, as far as can be checked without Keras."""

    spec: Spec
    graph: Graph
    recipe: Recipe
    """The recipe, with the loss of its task where it names none."""
    task: Task
    """The task of the network, found from its outputs, the loss and the labels."""
    settings: Mapping[str, Any]
    """Keys of the recipe that go before those of the spec's `train:` section."""


def plan_training(spec: Spec, settings: Mapping[str, Any]) -> TrainingPlan:
    """Check all that can be checked without Keras; settings override the spec's `train:` section.

    Raises:
        SpecError: The spec, its recipe or its data are wrong.
        UsageError: A setting is wrong.

    """
    with _explained(spec, settings):
        recipe = Recipe.resolve(spec.train, settings)
        callback_files.check(recipe)
        if recipe.tensorboard:
            tensorboard.check()
        graph, recipe = _at_size(spec, recipe)
        _check_words(graph, recipe)
        task, preview = _check_fit(spec, graph, recipe)
        if recipe.loss is None:
            recipe = recipe.model_copy(update={"loss": task_choice.LOSSES[task.kind]})
        recipe = _with_columns(recipe, preview)
        _check_stages(recipe)
        transfer.check_steps(recipe.transfer, graph)
    return TrainingPlan(spec, graph, recipe, task, settings)


def _check_words(graph: Graph, recipe: Recipe) -> None:
    """Raise `RecipeError` if the numbers of words would be changed before they are looked up."""
    how = recipe.data.normalize
    for node in graph.nodes if how != "none" else ():
        if isinstance(node.op, Embedding) and graph.nodes[node.inputs[0]].is_input:
            message = (
                f"`normalize: {how}` would change the numbers of words that `{node.name}` reads"
            )
            hint = "write `normalize: none`"
            raise RecipeError([(("data", "normalize"), Problem("value", message, help=hint))])


def _check_stages(recipe: Recipe) -> None:
    """Raise `RecipeError` if a stage's recipe is wrong, or its warm-up is longer than the stage."""
    for stage in transfer.stages(recipe.transfer, recipe.epochs):
        staged = recipe.for_stage(stage.epochs, stage.learning_rate)
        if staged.warmup > staged.epochs:
            which = "stage" if recipe.transfer and recipe.transfer.unfreeze else "training"
            message = f"`warmup` is {staged.warmup:,} epochs long, and a {which} {staged.epochs:,}"
            hint = "each stage has its own warm-up" if which == "stage" else None
            raise RecipeError([(("warmup",), Problem("value", message, help=hint))])


@contextmanager
def _explained(spec: Spec, settings: Mapping[str, Any]) -> Iterator[None]:
    """Attribute the problems of a recipe to settings, or to places in the spec's text."""
    with places(spec):
        own = Recipe.resolve(spec.train).optimizer.name
        with overrides.blaming(overrides.as_overrides(settings), own):
            yield


def _at_size(spec: Spec, recipe: Recipe) -> tuple[Graph, Recipe]:
    """Return the network at the size of its images, and the recipe, which says it from then on.

    Raises `RecipeError` if an input is open and no size is known, or the other way round.
    """
    size = recipe.data.size
    if size is None:
        graph = expand(spec)
        if not graph.is_open:
            return graph, recipe
        size = _size_of_images(graph, recipe)
    try:
        graph = graph_at(spec, size)
    except UsageError as error:
        message = str(error).replace("`at=`", "`size`")
        raise RecipeError([(("data", "size"), Problem("value", message))]) from None
    data = recipe.data.model_copy(update={"size": tuple(graph.input.spatial)})
    return graph, recipe.model_copy(update={"data": data})


def _size_of_images(graph: Graph, recipe: Recipe) -> tuple[int, ...]:
    """Return the size of the data's images, if all have one; raise `RecipeError` otherwise."""
    inputs = graph.input_shapes
    name = next(name for name, shape in inputs.items() if shape.is_open)
    preview = SOURCES[recipe.data.source].preview(recipe.data, inputs)
    found = preview.shapes.get(name, preview.shape)
    if found is not None and found.rank == inputs[name].rank:
        return tuple(found.spatial)
    message = f"the input of {graph.name} is open, and in training all images have one size"
    help_ = "give it: `data.size: 224` for height and width, or `data.size: [224, 320]`"
    raise RecipeError([(("data", "size"), Problem("value", message, help=help_))])


def _with_columns(recipe: Recipe, preview: Preview) -> Recipe:
    """Return a recipe that names the columns of features, so that no later table is read otherwise.

    Those of a network's only vector are a list.
    """
    if not preview.features:
        return recipe
    several = len(preview.features) > 1
    features: Any = dict(preview.features) if several else next(iter(preview.features.values()))
    data = recipe.data.model_copy(update={"features": features})
    return recipe.model_copy(update={"data": data})


def _check_fit(spec: Spec, graph: Graph, recipe: Recipe) -> tuple[Task, Preview]:
    """Return the task and the data's facts; raise if network, data and recipe do not fit."""
    outputs = task_choice.endings(graph)
    main = next(iter(outputs))
    spans: dict[str, tuple[str | int, ...]] = {main: ("layers", len(spec.document.layers) - 1)}
    several = len(graph.inputs) > 1
    spans |= {name: ("inputs", name) if several else ("input",) for name in graph.inputs}
    if not any(node.layer.trainable for node in graph.nodes):
        why = "its weights are all `trainable: false`"
        if not any(node.layer.params for node in graph.nodes):
            why = "it has no weights"
        nothing = Problem("value", f"nothing of `{graph.name}` can be trained: {why}")
        raise spec_error(spec.source, [nothing.at(spec.source.span(("layers",)))])
    task, preview, problems = task_choice.examine(recipe, graph.input_shapes, outputs)
    diagnostics: list[Diagnostic] = []
    wrong: list[tuple[KeyPath, Problem]] = []
    for place, problem in problems:
        if isinstance(place, str):
            diagnostics.append(problem.at(spec.source.span(spans.get(place, ("heads", place)))))
        else:
            wrong.append((place, problem))
    if diagnostics:
        raise spec_error(spec.source, diagnostics)
    wrong += [
        (("augment", index), misfit)
        for index, augmentation in enumerate(recipe.augment)
        if (misfit := augmentation.misfit(graph.input, outputs[main].shape.size)) is not None
    ]
    if wrong:
        raise RecipeError(wrong)
    return task, preview


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A network built for its recipe, and its data."""

    keras: Any
    plan: TrainingPlan
    data: Data
    model: Any
    objective: compilation.Objective
    train: Feed
    validation: Feed
    transferred: TransferRecord | None
    """The source of the initial weights, where they are not random."""
    devices: Devices

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    @property
    def accuracy(self) -> str | None:
        """Keras's name of the accuracy by which epochs are judged; None where the loss does so.

        Of classes the accuracy says more than the loss; of labels, most of which an example does
        not have, it says less.
        """
        return self.objective.measure if self.plan.task.kind == "classification" else None

    def stages(self) -> tuple[transfer.Stage, ...]:
        """Return the stages of the training."""
        return transfer.stages(self.recipe.transfer, self.recipe.epochs)

    def compile(self, stage: transfer.Stage, home: Path) -> list[Any]:
        """Freeze and compile the model for a stage, and return Keras's callbacks for it.

        Optimizer and schedule start anew.
        """
        recipe = self.recipe.for_stage(stage.epochs, stage.learning_rate)
        transfer.freeze(
            self.model,
            self.plan.graph,
            stage.freeze,
            self.transferred.new if self.transferred else (),
        )
        with self.devices.scope():
            # A training of one stage begins with the model as `prepare` compiled it to try it out.
            if self.recipe.transfer is not None or self.model.optimizer.built:
                self._compile(recipe)
            self.model.optimizer.build(self.model.trainable_variables)
        compilation.spare_from_decay(self.model)
        self.devices.make_steps(self.model)
        return compilation.callbacks(self.keras, recipe, home / CALLBACKS)

    def alone(self) -> Session:
        """Return the session with its present weights on one device, for uses other than training.

        That is the session itself if it has one device.
        """
        if self.devices.count == 1:
            return self
        model, objective = _network(self.keras, self.plan, Devices(), self.data.scale)
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
        """Compile the model, and return Keras's measures of made-up predictions.

        This creates the metrics' variables. Keras would create them in the first step, which
        TensorFlow then counts twice.
        """
        keras, steps, objective, model = self.keras, self.train.steps, self.objective, self.model
        macs = recipe.batch * sum(node.layer.macs for node in self.plan.graph.nodes)
        per_execution = compilation.steps_per_execution(keras, recipe, macs, steps)
        model.compile(
            compilation.optimizer(keras, recipe, steps),
            loss=objective.loss,
            loss_weights=objective.loss_weights,
            metrics=objective.metrics,
            jit_compile=compilation.jit(keras, recipe, model),
            steps_per_execution=self.devices.steps_per_execution(per_execution),
        )
        name_publicly(keras, model)
        _, y, *_ = self.train.looking_at(self.data.train).batch_at(1, 0)
        count = len(next(iter(y.values())) if isinstance(y, dict) else y)

        def predict(_: str, output: Any) -> Any:
            return keras.ops.full((count, output.shape[-1]), 1 / output.shape[-1])

        predictions = compilation.for_outputs(model, predict)
        model.compute_loss(y=y, y_pred=predictions)
        model.compute_metrics(None, y, predictions)
        measured: Mapping[str, Any] = model.get_metrics_result()
        model.reset_metrics()
        return measured

    def describe(self) -> Iterator[str]:
        """Yield lines about the data, the initial weights and the least possible loss."""
        yield self.data.describe()
        if self.plan.task.kind != "classification":
            yield f"task: {self.plan.task}; loss {self.recipe.chosen_loss.name}"
        yield from self.data.notes
        yield from self._cautions()
        if self.transferred:
            yield str(self.transferred)
        if self.least_loss:
            yield str(self.least_loss)

    def _cautions(self) -> Iterator[str]:
        """Yield lines about numbers that are hard to learn as they are."""
        if self.plan.task.kind != "regression":
            return
        moving = [each.name for each in self.recipe.augment if each.moves]
        if moving:
            named = " and ".join(f"`{name}`" for name in moving)
            yield f"{named}: the picture moves, its numbers do not, which is wrong for places in it"
        deviations = self.data.train.labels.std(axis=0)
        if self.data.scale is None and deviations.max() > MOST_UNSCALED:
            yield (
                f"the labels' deviations are up to {deviations.max():.3g}: if training is slow, "
                "write `data.targets: standardize`"
            )

    @property
    def least_loss(self) -> LeastLoss | None:
        """The least possible loss, where smoothed labels keep it from 0."""
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

    def facts(self, home: Path, done: int, watchers: Sequence[Watcher]) -> RunFacts:
        """Return the facts for watchers of the run in a folder, after `done` epochs."""
        nodes = self.plan.graph.nodes
        trained = {layer.name for layer in self.model.layers if layer.trainable_weights}
        flags = [layer_name(node) in trained for node in nodes]
        # Measuring the peak takes a third of a second, the first time.
        peak = self.devices.peak_flops(self.keras, self.recipe.precision) if watchers else 0.0
        return RunFacts(
            self.plan.spec.name,
            self.recipe.epochs,
            self.train.images,
            self.recipe.batch,
            first_epoch=done + 1,
            folder=home,
            validation_images=len(self.data.validation),
            measure=self.objective.measure,
            flops_per_image=pace.training_flops([node.layer.macs for node in nodes], flags),
            peak_flops=peak,
            memory=partial(system.memory, self.keras),
            least_loss=self.least_loss.value if self.least_loss else None,
        )


def prepare(
    plan: TrainingPlan,
    hosts: Hosts = ALONE,
    transferred: TransferRecord | None = None,
    rule: SplitRule = SPLIT_RULE,
) -> Session:
    """Load Keras and the data, build the network, and try one batch; all hosts must do it.

    For a resumed run, `transferred` is the source of its initial weights, which is not read again,
    and `rule` the one by which its images were split.

    Raises:
        SpecError: Something is wrong that only Keras or the data show.
        UsageError: The same for a setting, or Keras's backend is not installed.

    """
    graph, recipe = plan.graph, plan.recipe
    with _explained(plan.spec, plan.settings):
        if recipe.transfer is not None and transferred is None:
            with hosts.all_succeed(), _source_errors():
                transfer.file_of(recipe.transfer.source)
        keras = load_keras()
        hosts.join(keras)
        with hosts.all_succeed():
            compilation.set_up(keras, recipe)
            devices = choose(keras, recipe, hosts)
            data = dataset.load(recipe.data, graph.input_shapes, rule, plan.task.kind)
            data = dataset.observed(data, recipe.data.normalize)
            devices.check_images(len(data.train), len(data.validation))
        same = [plan.spec.to_dict(), recipe.to_dict(), data.fingerprint]
        hosts.agree("network, recipe or data", json.dumps(same, sort_keys=True, default=str))
        with hosts.all_succeed():
            return _session(keras, plan, data, devices, transferred)


def _session(
    keras: Any, plan: TrainingPlan, data: Data, devices: Devices, transferred: TransferRecord | None
) -> Session:
    graph, recipe = plan.graph, plan.recipe
    keras.utils.set_random_seed(recipe.seed)
    model, objective = _network(keras, plan, devices, data.scale)
    if recipe.transfer is not None:
        if transferred is None:
            source = recipe.transfer.source
            with _source_errors():
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
        weights=None
        if recipe.class_weights is None
        else dataset.class_weights(recipe.class_weights, data),
        scale=data.scale,
        devices=devices,
    )
    validation = train.looking_at(data.validation)
    session = Session(keras, plan, data, model, objective, train, validation, transferred, devices)
    _try_out(session)
    return session


@contextmanager
def _source_errors() -> Iterator[None]:
    """Turn an error of the source of weights into a problem of the recipe that names it."""
    try:
        yield
    except UsageError as error:
        raise RecipeError([(("transfer", "from"), Problem("value", str(error)))]) from None


def _network(
    keras: Any, plan: TrainingPlan, devices: Devices, scale: TargetScale | None
) -> tuple[Any, compilation.Objective]:
    """Return model and objective, made on the devices."""
    with devices.scope(), dtype_policy(keras, plan.recipe.precision):
        model = build(plan.graph)
    with devices.scope():
        return model, compilation.objective(
            keras, plan.recipe, model, plan.graph.loss_weights, plan.task.kind, scale
        )


def _check_range(recipe: Recipe, data: Data) -> None:
    """Raise `RecipeError` for augmentations that need black and white where they are unknown."""
    if data.train.pixels.range is not None:
        return
    wrong = [
        (("augment", index), unknown_range(f"`{each.name}`", data.values))
        for index, each in enumerate(recipe.augment)
        if each.needs_range
    ]
    if wrong:
        raise RecipeError(wrong)


def _sample(data: Data) -> Any:
    part = data.train
    every = -(-len(part) // SAMPLE)
    return part.pixels.read(part.indices[::every])


def _try_out(session: Session) -> None:
    """Raise `RecipeError` for losses, metrics and monitors that Keras refuses only in use."""
    recipe = session.recipe
    try:
        with session.devices.scope():
            measured = session._compile(recipe)  # noqa: SLF001
    except UsageError:  # an unreadable image that happens to be in the first batch
        raise
    except Exception as error:  # each backend raises its own
        if refusal(error):
            raise
        place = "metrics" if recipe.metrics else "loss"
        refused = f"Keras cannot measure with this loss and these metrics: {first_line(error)}"
        raise RecipeError([((place,), Problem("value", refused))]) from None
    names = {name for name, value in measured.items() if not len(getattr(value, "shape", ()))}
    if session.validation.steps:
        names |= {f"val_{name}" for name in names}
    callback_files.check_measures(recipe, {*names, "learning_rate"})

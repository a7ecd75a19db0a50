"""Recipe -> what Keras's `compile` and `fit` take.

Every function gets the `keras` module as an argument, so importing this one costs nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from archspec import system
from archspec.data.targets import TargetScale
from archspec.data.task import MAIN_MEASURES, TaskKind
from archspec.errors import Problem, RecipeError
from archspec.graph.graph import MAIN_OUTPUT
from archspec.recipe import callback_files, schedules
from archspec.recipe.averaging import core, seeing_averages
from archspec.recipe.families import LOSSES, METRICS, OPTIMIZERS
from archspec.recipe.mistakes import check_all
from archspec.recipe.objects import make_object
from archspec.recipe.sections import Named
from archspec.recipe.train import OF_INDICES, Recipe

UNCHANGING: Final = frozenset({"Identity", "Flatten", "Reshape"})
"""Layers of Keras that leave all values of their input as they are."""

SECONDS_PER_EXECUTION: Final = 0.25
"""Longest time that TensorFlow runs steps without updating the progress line."""

FEWEST_STEPS: Final = 200
"""Steps of a training from which running several at once is worth their graph.

Of a small network on digits, 45 steps took 0.6 s more of processor time with a loop of them in the
graph, which takes longer to make, and 495 steps 0.4 s less.
"""

FLOPS_PER_SECOND: Final = {"cpu": 2e10, "gpu": 1e13}
"""Rough speeds, rather too low: their magnitude decides the steps per execution."""

OF_DISTRIBUTIONS: Final = frozenset(
    {"categorical_generalized_cross_entropy", "dice", "kl_divergence", "poisson", "tversky"}
)
"""Losses of probabilities that have no `from_logits`."""


DETERMINISTIC_XLA: Final = "--xla_gpu_deterministic_ops=true"


def set_up(keras: Any, recipe: Recipe) -> None:
    """Check a recipe, and make the process deterministic if it says so; raise `RecipeError`.

    Determinism comes first because XLA reads its flags when JAX computes for the first time, as an
    optimizer does. Keras's random seed must be set afterwards.
    """
    if recipe.deterministic:
        _make_deterministic(keras)
    check(keras, recipe)


def check(keras: Any, recipe: Recipe) -> None:
    """Raise `RecipeError` for everything in a recipe that Keras or its backend refuses."""
    check_all(
        partial(optimizer, keras, recipe, 1),
        partial(make_object, keras, LOSSES, recipe.chosen_loss, ("loss",)),
        partial(_metrics, keras, recipe, logits=False),
        partial(callback_files.make, keras, recipe, Path(), monitor=_monitor(recipe)),
        partial(steps_per_execution, keras, recipe, 1, 1),
        partial(_check_precision, keras, recipe),
    )


def optimizer(keras: Any, recipe: Recipe, steps_per_epoch: int) -> Any:
    """Return the recipe's optimizer, with the recipe's schedule as its learning rate."""
    made = make_object(keras, OPTIMIZERS, recipe.optimizer, ("optimizer",))
    inner = core(made)
    inner.learning_rate = schedules.learning_rate(
        keras,
        recipe,
        _peak(keras, inner),
        steps_per_epoch=steps_per_epoch,
        steps_per_update=inner.gradient_accumulation_steps or 1,
    )
    return made


def _peak(keras: Any, optimizer: Any) -> Any:
    """Return the highest learning rate: a number, or the optimizer's own schedule."""
    config = optimizer.get_config()["learning_rate"]
    if isinstance(config, dict):
        return keras.optimizers.schedules.deserialize(config)
    return float(config)


def spare_from_decay(model: Any) -> None:
    """Exclude biases, and the scales and offsets of norms, from weight decay.

    Call it after each `compile`: an optimizer does not save it.
    """
    spared = [weight for weight in model.weights if len(weight.shape) < 2 or weight.name == "bias"]
    core(model.optimizer).exclude_from_weight_decay(var_list=spared)


def callbacks(keras: Any, recipe: Recipe, folder: Path) -> list[Any]:
    """Return Keras's callbacks of the recipe, which write to `folder`, and those of its schedule.

    They must come before the callbacks that record the learning rate or save the optimizer.
    """
    made = callback_files.make(keras, recipe, folder, monitor=_monitor(recipe))
    callback_files.make_folders(recipe.callbacks, folder)
    inner = core(make_object(keras, OPTIMIZERS, recipe.optimizer, ("optimizer",)))
    if inner.use_ema:
        made = seeing_averages(keras, made)
    return made + schedules.callbacks(
        keras,
        recipe,
        _peak(keras, inner),
        steps_per_update=inner.gradient_accumulation_steps or 1,
        monitor=_monitor(recipe),
    )


def _monitor(recipe: Recipe) -> str:
    return "val_loss" if recipe.data.validation else "loss"


@dataclass(frozen=True, slots=True)
class Objective:
    """Loss and metrics: one of each, or one for each output by its name."""

    loss: Any
    metrics: Any
    loss_weights: Any
    measure: str
    """Name of the main output's measure in Keras's logs: its accuracy, or for numbers `mae`."""
    one_hot: bool
    """Whether a label is a vector with 1 at the class, and not the class's number."""


def objective(
    keras: Any,
    recipe: Recipe,
    model: Any,
    loss_weights: Mapping[str, float],
    kind: TaskKind = "classification",
    scale: TargetScale | None = None,
) -> Objective:
    """Return the recipe's loss and metrics for each output of `model`, with the task's measure.

    An output that `loss_weights` does not name has the weight 1. Numbers are learnt on the scale
    `scale`.
    """

    def loss(name: str, output: Any) -> Any:
        logits = not gives_probabilities(keras, output)
        chosen = recipe.chosen_loss.name
        if logits and chosen in OF_DISTRIBUTIONS and kind != "regression":
            message = f"`{chosen}` compares probabilities, but `{name}` gives scores"
            hint = "end it with a softmax, or use another loss"
            raise RecipeError([(("loss",), Problem("value", message, help=hint))])
        return make_object(keras, LOSSES, recipe.chosen_loss, ("loss",), from_logits=logits)

    def metrics(_: str, output: Any) -> list[Any]:
        logits = not gives_probabilities(keras, output)
        return [_measure(keras, kind, logits, one_hot, scale), *_metrics(keras, recipe, logits)]

    one_hot = kind == "classification" and recipe.chosen_loss.name not in OF_INDICES
    measure = MAIN_MEASURES[kind]
    heads = isinstance(model.output, dict)
    return Objective(
        loss=for_outputs(model, loss),
        metrics=for_outputs(model, metrics),
        loss_weights={name: loss_weights.get(name, 1.0) for name in model.output}
        if heads
        else None,
        measure=f"{MAIN_OUTPUT}_{measure}" if heads else measure,
        one_hot=one_hot,
    )


def _measure(
    keras: Any, kind: TaskKind, logits: bool, one_hot: bool, scale: TargetScale | None
) -> Any:
    """Return the measure of a task, whatever the loss.

    That is the share of images whose class has the highest score, the share of labels that are
    right, or the mean absolute error in the units of the labels. For some losses, Keras takes the
    word `accuracy` for the share of right scores.
    """
    metrics = keras.metrics
    if kind == "multi_label":
        return metrics.BinaryAccuracy(name="accuracy", threshold=0.0 if logits else 0.5)
    if kind == "regression" and scale is not None:
        from archspec.keras_model.measures import ScaledMeanAbsoluteError  # noqa: PLC0415

        return ScaledMeanAbsoluteError(scale.deviation)
    if kind == "regression":
        return metrics.MeanAbsoluteError(name="mae")
    cls = metrics.CategoricalAccuracy if one_hot else metrics.SparseCategoricalAccuracy
    return cls(name="accuracy")


def _metrics(keras: Any, recipe: Recipe, logits: bool) -> list[Any]:
    """Return the recipe's metrics; raise `RecipeError` unless their names differ."""
    made: list[Any] = []
    taken = {*MAIN_MEASURES.values(), "loss"}
    labels = {
        "from_logits": logits,
        "sparse_y_true": recipe.chosen_loss.name in OF_INDICES,
        "sparse_y_pred": False,
    }

    def make(index: int, named: Named) -> None:
        path = ("metrics", index)
        metric = make_object(keras, METRICS, named, path, name=named.name, **labels)
        if metric.name in taken:
            message = f"there is a measure `{metric.name}` already"
            hint = f"give this one another name, as `{{{named.name}: {{name: other}}}}`"
            raise RecipeError([(path, Problem("duplicate", message, help=hint))])
        taken.add(metric.name)
        made.append(metric)

    check_all(*(partial(make, index, named) for index, named in enumerate(recipe.metrics)))
    return made


def for_outputs(model: Any, make: Callable[[str, Any], Any]) -> Any:
    """Call `make` with an output's name and tensor: for the only one, or for each by its name."""
    if isinstance(model.output, dict):
        return {name: make(name, tensor) for name, tensor in model.output.items()}
    return make(MAIN_OUTPUT, model.output)


def gives_probabilities(keras: Any, output: Any) -> bool:
    """Return whether a model's output lies between 0 and 1; otherwise it is logits.

    A softmax or a sigmoid may be a layer, an activation of one, an op, the last layer of a nested
    model, and followed by layers that leave all values as they are.
    """
    functions = (keras.activations.softmax, keras.activations.sigmoid)
    layer = output._keras_history.operation  # noqa: SLF001  (Keras has no public way)
    if nested := getattr(layer, "outputs", None):
        return len(nested) == 1 and gives_probabilities(keras, nested[0])
    activation = getattr(layer, "activation", None)
    kind = type(layer).__name__
    is_linear = kind == "Activation" and activation is keras.activations.linear
    if is_linear or kind in UNCHANGING:
        return gives_probabilities(keras, layer.input)
    from_keras = type(layer).__module__.startswith("keras.")
    return activation in functions or (from_keras and kind in {"Softmax", "Sigmoid"})


def _check_precision(keras: Any, recipe: Recipe) -> None:
    if recipe.precision == "float64" and keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        if not jax.config.jax_enable_x64:
            message = "JAX computes in float64 only if that was set before its start"
            hint = "set the environment variable JAX_ENABLE_X64=1"
            raise RecipeError([(("precision",), Problem("value", message, help=hint))])


def jit(keras: Any, recipe: Recipe, model: Any) -> Any:
    """Return Keras's `jit_compile` for a model.

    For TensorFlow on CPUs `auto` is False, as XLA is slower there, but True where a transposed
    convolution is dilated: TensorFlow's own kernels for CPUs have no dilation. A deterministic
    TensorFlow refuses XLA.
    """
    if recipe.jit != "auto" or not _is_tensorflow_on_cpu(keras):
        return recipe.jit
    layers = keras.layers
    transposed = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
    needs_xla = any(
        isinstance(layer, transposed) and max(layer.dilation_rate) > 1
        for layer in model._flatten_layers()  # noqa: SLF001  (Keras has no public way)
    )
    return needs_xla and not recipe.deterministic


def steps_per_execution(
    keras: Any, recipe: Recipe, macs_per_step: int, steps_per_epoch: int
) -> int:
    """Return how many steps the backend runs without returning to Python.

    A step costs TensorFlow half a millisecond in Python, more than a small network's arithmetic.
    PyTorch refuses any number but 1; JAX gains nothing, nor does a training of few steps.
    """
    backend = keras.backend.backend()
    if recipe.steps_per_execution != "auto":
        if backend == "torch" and recipe.steps_per_execution > 1:
            message = "with PyTorch, Keras runs one step per execution"
            hint = "leave it out, or write auto"
            raise RecipeError([(("steps_per_execution",), Problem("value", message, help=hint))])
        return min(recipe.steps_per_execution, steps_per_epoch)
    if backend != "tensorflow" or recipe.epochs * steps_per_epoch < FEWEST_STEPS:
        return 1
    kind = "cpu" if _is_tensorflow_on_cpu(keras) else "gpu"
    # Forward and backward cost three passes, each with two operations a multiply-add.
    seconds = max(5e-4, 6 * macs_per_step / FLOPS_PER_SECOND[kind])
    return max(1, min(steps_per_epoch, math.floor(SECONDS_PER_EXECUTION / seconds)))


def _is_tensorflow_on_cpu(keras: Any) -> bool:
    return keras.backend.backend() == "tensorflow" and not system.devices(keras)[0].startswith(
        "gpu"
    )


def _make_deterministic(keras: Any) -> None:
    """Set the backend's own switch; without it some sums are computed in no fixed order."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415

            tf.config.experimental.enable_op_determinism()
        case "torch":
            import torch  # noqa: PLC0415

            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as PyTorch asks for
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False
        case "jax":
            from jax._src.xla_bridge import backends_are_initialized  # noqa: PLC0415

            flags = os.environ.get("XLA_FLAGS", "")
            if DETERMINISTIC_XLA in flags:
                return
            if not backends_are_initialized():
                os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC_XLA}".strip()
            elif system.devices(keras)[0].startswith("gpu"):  # a CPU needs no switch
                message = "JAX has started computing, and cannot be made deterministic any more"
                hint = f"set the environment variable XLA_FLAGS={DETERMINISTIC_XLA}"
                raise RecipeError([(("deterministic",), Problem("value", message, help=hint))])

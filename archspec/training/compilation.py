"""Recipe -> what Keras's `compile` and `fit` take: its objects by the names that a recipe gives.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from archspec.diagnostics import Problem, suggestion
from archspec.element import show
from archspec.spec.document import Path
from archspec.training.recipe import Named, Recipe, RecipeError

MAIN: Final = "output"
"""What a graph calls the output of its `layers`, beside which heads stand."""

SECONDS_PER_EXECUTION: Final = 0.25
"""How long TensorFlow may run steps without coming back to Python: the progress line's patience."""

NUMBERS: Final = frozenset(
    {
        "baseline",
        "clipnorm",
        "clipvalue",
        "ema_overwrite_frequency",
        "global_clipnorm",
        "gradient_accumulation_steps",
        "ignore_class",
        "loss_scale_factor",
        "weight_decay",
    }
)
"""Arguments that are numbers where they are not None, which their default does not show.

Keras looks at most of them only in the middle of its first step.
"""

FLOPS_PER_SECOND: Final = {"cpu": 2e10, "gpu": 1e13}
"""Rough and low: only the order of magnitude matters, to choose the steps per execution."""


@dataclass(frozen=True, slots=True)
class Family:
    """One of Keras's families of classes, and how a recipe spells their names."""

    word: str
    module: str
    base: str

    def classes(self, keras: Any) -> dict[str, Any]:
        module = getattr(keras, self.module)
        base = getattr(module, self.base)
        return {
            self._spell(name): cls
            for name, cls in vars(module).items()
            if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
        }

    def _spell(self, name: str) -> str:
        """As Keras itself does: optimisers in lower case, the others in snake case."""
        if self.module == "optimizers":
            return name.lower()
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

    def make(self, keras: Any, named: Named, path: Path, **extra: Any) -> Any:
        """An instance with the recipe's arguments; `extra` gives way to them.

        Raises `RecipeError` for a name or an argument that Keras does not have.
        """
        classes = self.classes(keras)
        if named.name not in classes:
            hint = suggestion(named.name, classes, what=f"{self.word}s")
            unknown = f"Keras has no {self.word} `{named.name}`"
            raise RecipeError([(path, Problem("unknown-name", unknown, help=hint))])
        cls = classes[named.name]
        parameters = _parameters(cls)
        inside = (*path, named.name)
        problems = [
            ((*inside, argument), problem)
            for argument, value in named.arguments.items()
            if (problem := _wrong(named.name, parameters, argument, value)) is not None
        ]
        if problems:
            raise RecipeError(problems)
        given = {name: value for name, value in extra.items() if name in parameters}
        try:
            return cls(**(given | named.arguments))
        except (TypeError, ValueError) as error:
            refused = f"Keras refuses these arguments of `{named.name}`: {error}"
            raise RecipeError([(inside, Problem("value", refused))]) from None


OPTIMIZERS: Final = Family("optimizer", "optimizers", "Optimizer")
LOSSES: Final = Family("loss", "losses", "Loss")
METRICS: Final = Family("metric", "metrics", "Metric")
CALLBACKS: Final = Family("callback", "callbacks", "Callback")


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(cls).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind in named}


def _wrong(
    owner: str, parameters: Mapping[str, inspect.Parameter], argument: str, value: Any
) -> Problem | None:
    if argument not in parameters:
        hint = suggestion(argument, parameters, what=f"arguments of `{owner}`")
        return Problem("unknown-key", f"`{owner}` has no argument `{argument}`", help=hint)
    default = parameters[argument].default
    optional = default is None and argument in NUMBERS
    if (optional and value is None) or not (optional or _is_number(default)) or _is_number(value):
        return None
    return Problem("type", f"`{argument}` of `{owner}` must be a number, not {show(value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def optimizer(keras: Any, recipe: Recipe, steps_per_epoch: int) -> Any:
    """The recipe's optimiser, its learning rate following the recipe's schedule."""
    path = ("optimizer",)
    made = OPTIMIZERS.make(keras, recipe.optimizer, path)
    schedule = recipe.schedule
    if schedule is None:
        return made
    peak = float(made.learning_rate)
    schedules = keras.optimizers.schedules
    if schedule.cosine is not None:
        warmup = schedule.cosine.warmup
        rate = schedules.CosineDecay(
            0.0 if warmup else peak,
            decay_steps=max(1, recipe.epochs - warmup) * steps_per_epoch,
            warmup_target=peak if warmup else None,
            warmup_steps=warmup * steps_per_epoch,
        )
    elif schedule.step is not None:
        at = sorted(schedule.step.at)
        rate = schedules.PiecewiseConstantDecay(
            # Keras's boundary is the last iteration of the old rate; iterations count from 0.
            [epoch * steps_per_epoch - 1 for epoch in at],
            [peak * schedule.step.factor**n for n in range(len(at) + 1)],
        )
    else:
        return made  # a plateau's callback changes it
    arguments = {**recipe.optimizer.arguments, "learning_rate": rate}
    cls = OPTIMIZERS.classes(keras)[recipe.optimizer.name]
    return cls(**arguments)


def callbacks(keras: Any, recipe: Recipe) -> list[Any]:
    """Keras callbacks of the recipe, and the one that its schedule may need."""
    monitor = "val_loss" if recipe.data.validation else "loss"
    made = [
        CALLBACKS.make(keras, named, ("callbacks", index), monitor=monitor)
        for index, named in enumerate(recipe.callbacks)
    ]
    plateau = recipe.schedule.plateau if recipe.schedule else None
    if plateau is not None:
        made.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor=monitor, factor=plateau.factor, patience=plateau.patience
            )
        )
    return made


@dataclass(frozen=True, slots=True)
class Objective:
    """What is minimised and what is measured: one of each, or one for each output by its name."""

    loss: Any
    metrics: Any
    loss_weights: Any
    accuracy: str
    """The name of the main output's accuracy in Keras's logs."""
    one_hot: bool
    """Whether a label is a vector of classes and not a whole number."""


def objective(
    keras: Any, recipe: Recipe, model: Any, loss_weights: Mapping[str, float]
) -> Objective:
    """The recipe's loss and metrics for each output of `model`, and the accuracy.

    An output without its weight in `loss_weights` weighs 1.
    """

    def loss(_: str, output: Any) -> Any:
        logits = not ends_in_softmax(keras, output)
        return LOSSES.make(keras, recipe.loss, ("loss",), from_logits=logits)

    def metrics(*_: Any) -> list[Any]:
        made = [
            METRICS.make(keras, named, ("metrics", index))
            for index, named in enumerate(recipe.metrics)
        ]
        return ["accuracy", *made]

    heads = isinstance(model.output, dict)
    return Objective(
        loss=for_outputs(model, loss),
        metrics=for_outputs(model, metrics),
        loss_weights={name: loss_weights.get(name, 1.0) for name in model.output}
        if heads
        else None,
        accuracy=f"{MAIN}_accuracy" if heads else "accuracy",
        one_hot=not recipe.loss.name.startswith("sparse_"),
    )


def for_outputs(model: Any, make: Callable[[str, Any], Any]) -> Any:
    """`make` of an output's name and tensor: for the only one, or for each by its name."""
    if isinstance(model.output, dict):
        return {name: make(name, tensor) for name, tensor in model.output.items()}
    return make(MAIN, model.output)


def ends_in_softmax(keras: Any, output: Any) -> bool:
    """Whether a model's output is a distribution over classes; otherwise it is logits."""
    layer = output._keras_history.operation  # noqa: SLF001  (Keras has no public way)
    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Softmax) or activation is keras.activations.softmax


def feed(
    keras: Any, images: Any, labels: Any, *, batch: int, shuffle_seed: int | None = None
) -> tuple[Any, Any]:
    """Keras's `x` and `y`, in the form that feeds this backend fastest.

    For TensorFlow that is its own pipeline, which prepares batches while a step runs; its `y` is
    None. Keras shuffles arrays itself.
    """
    if keras.backend.backend() != "tensorflow":
        return images, labels
    import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

    examples = tf.data.Dataset.from_tensor_slices((images, labels))
    if shuffle_seed is not None:
        examples = examples.shuffle(len(images), seed=shuffle_seed, reshuffle_each_iteration=True)
    return examples.batch(batch).prefetch(tf.data.AUTOTUNE), None


def steps_per_execution(keras: Any, macs_per_step: int, steps_per_epoch: int) -> int:
    """How many steps to run between two visits to Python.

    A step costs TensorFlow half a millisecond in Python, more than a small network's arithmetic.
    Torch refuses any number but 1; JAX gains nothing.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    kind = "gpu" if devices(keras)[0].startswith("gpu") else "cpu"
    # Forward and backward are three passes of two operations a multiply-add.
    seconds = max(5e-4, 6 * macs_per_step / FLOPS_PER_SECOND[kind])
    return max(1, min(steps_per_epoch, math.floor(SECONDS_PER_EXECUTION / seconds)))


def devices(keras: Any) -> list[str]:
    """What Keras computes on, as `gpu:0`."""
    if keras.backend.backend() == "torch":
        import torch  # noqa: PLC0415  (of the three, only the backend in use is there)

        count = torch.cuda.device_count()
        return [f"gpu:{index}" for index in range(count)] or ["cpu:0"]
    return [str(name).lower() for name in keras.distribution.list_devices()]

"""The recipe: a spec's `train:` section as a value, checked before anything heavy is imported.

`archspec.recipe.compilation` checks what only Keras and its backend know, once Keras is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ValidationError, field_validator

from archspec.data.augment import Augment
from archspec.data.recipe import DataRecipe
from archspec.data.section import RecipeSection, Seed
from archspec.declare.metadata import Expect
from archspec.errors import KeyPath, Mend, Problem, RecipeError
from archspec.ops.fields import Count, Index, Positive
from archspec.recipe import arguments, families
from archspec.recipe.mistakes import check_all, problems
from archspec.recipe.overrides import as_overrides, blaming, overridden
from archspec.recipe.sections import (
    Callback,
    Loss,
    Metric,
    Named,
    NamedOptimizer,
    Schedule,
    Transfer,
)

OF_INDICES: Final = frozenset(
    {"categorical_generalized_cross_entropy", "sparse_categorical_crossentropy"}
)
"""Losses that take a class as its number; the others take a vector with 1 at the class."""

OF_NUMBERS: Final = "sparse_"
"""Prefix of metrics that take a class as its number."""

OF_ANY_LABELS: Final = frozenset({"io_u", "mean_io_u"})
"""Metrics that have an argument for the form of labels."""

SETS_RATE: Final[tuple[str, ...]] = ("initial_learning_rate", "values")
"""Arguments of Keras's schedules that set the learning rate."""

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]


_OF_THE_OPTIMIZER: Final = "it is the optimizer's, as `optimizer: {{sgd: {{{}: {}}}}}`"
_OF_THE_DATA: Final = "it is the data's, as `data: {{source: digits, {}: 0.1}}`"
_OF_THE_LOSS: Final = (
    "it is the loss's, as `loss: {categorical_crossentropy: {label_smoothing: 0.1}}`"
)

HINTS: Final = {
    "clipnorm": _OF_THE_OPTIMIZER.format("clipnorm", 1.0),
    "gradient_accumulation_steps": _OF_THE_OPTIMIZER.format("gradient_accumulation_steps", 4),
    "early_stopping": "it is a callback, as `callbacks: [{early_stopping: {patience: 5}}]`",
    "label_smoothing": _OF_THE_LOSS,
    "learning_rate": _OF_THE_OPTIMIZER.format("learning_rate", 0.1),
    "lr": _OF_THE_OPTIMIZER.format("learning_rate", 0.1),
    "momentum": _OF_THE_OPTIMIZER.format("momentum", 0.9),
    "test_split": _OF_THE_DATA.format("test"),
    "use_ema": _OF_THE_OPTIMIZER.format("use_ema", "true"),
    "val_split": _OF_THE_DATA.format("validation"),
    "validation_split": _OF_THE_DATA.format("validation"),
    "weight_decay": _OF_THE_OPTIMIZER.format("weight_decay", 1e-4),
}
"""Help for keys that other tools have at the top level, and archspec further inside."""


CLASS_LOSS: Final = Named.model_validate({"categorical_crossentropy": {"label_smoothing": 0.1}})
"""The loss of a classification whose recipe names none."""


class Recipe(RecipeSection):
    """The recipe of a training: everything that `archspec fit` needs besides the network."""

    hints: ClassVar[Mapping[str, str]] = HINTS

    data: DataRecipe = DataRecipe()
    """Training data: a mapping, or only the source, as `data: digits`."""
    batch: Count = 32
    """Images per step."""
    epochs: Count = 30
    """Passes over all training images."""
    optimizer: NamedOptimizer = Named.model_validate("adam")
    """One of Keras's optimizers. At every update its `weight_decay` subtracts that share, times the
    learning rate, from each kernel, and nothing from biases and norms: decay apart from the
    gradient (Loshchilov & Hutter 2019, arXiv:1711.05101), also under SGD. Added to the gradient, as
    in many papers, the same number decays 1 / (1 - momentum) times as fast. With `use_ema`,
    averages of the weights over the steps are judged and saved instead of the weights."""
    loss: Loss | None = None
    """One of Keras's losses, for every head; each counts by its `loss_weight`. The default follows
    the task: for classes `categorical_crossentropy` with a `label_smoothing` of 0.1 (Szegedy et al.
    2016, section 7), which suits small data; for sets of labels `binary_crossentropy`; for numbers
    `mean_squared_error`."""
    metrics: tuple[Metric, ...] = ()
    """Keras's metrics to record beside the accuracy, or for numbers beside `mae`, the mean absolute
    error."""
    schedule: Schedule | None = None
    """Change of the learning rate; default: it is constant."""
    warmup: Index = 0
    """Epochs in which the learning rate first rises linearly from zero, step by step, to the
    schedule's. With `plateau` it rises epoch by epoch, each at the mean of its steps."""
    callbacks: tuple[Callback, ...] = ()
    """Keras's callbacks. They write to the folder `callbacks` of the run."""
    augment: tuple[Augment, ...] = ()
    """Random changes to the training images, in this order."""
    class_weights: Annotated[
        Literal["balanced"] | dict[str, Positive] | None,
        Expect("balanced, or a number above 0 for classes by name"),
    ] = None
    """Weight of each class's images in the loss; `balanced`: as if all classes had as many."""
    seed: Seed = 0
    """Seed of the initial weights, the order of the images, and dropout."""
    deterministic: bool = False
    """Whether the same run gives the same bits again, at some cost in speed."""
    precision: Precision = "float32"
    """Keras's dtype policy. With `mixed_`, the weights and the output stay float32."""
    jit: Annotated[Literal["auto"] | bool, Expect("auto, true or false")] = "auto"
    """Whether XLA (for PyTorch, its own compiler) compiles the step."""
    steps_per_execution: Annotated[
        Literal["auto"] | Count, Expect("auto or a whole number from 1 to 2147483647")
    ] = "auto"
    """Steps that the backend runs without returning to Python."""
    devices: Annotated[
        Literal["all"] | Count | None, Expect("all, a whole number from 1 to 2147483647, or null")
    ] = None
    """Devices (of each host) that share a batch; default: one."""
    tensorboard: bool = False
    """Whether to write logs for TensorBoard."""
    watch_units: bool = False
    """Whether to record each layer's gradients, dead and saturated units after each epoch, in
    `units.csv`. See docs/training.md."""
    transfer: Transfer | None = None
    """Trained weights to start from instead of random ones."""

    @field_validator("class_weights", mode="before")
    @classmethod
    def _may_be_numbered(cls, weights: Any) -> Any:
        """Take whole numbers as names: a data set of digits calls its classes by numbers."""
        if not isinstance(weights, Mapping):
            return weights
        return {str(name) if type(name) is int else name: w for name, w in weights.items()}

    @classmethod
    def resolve(
        cls, section: Mapping[str, Any], overrides: Mapping[str, Any] | None = None
    ) -> Recipe:
        """Return the recipe of a `train:` section with overrides.

        Args:
            section: The section, as plain data.
            overrides: Values by dotted keys: `batch`, `data.resize`, `optimizer.sgd.momentum`,
                `augment.random_crop.padding`; and `learning_rate`, which is the optimizer's.

        Raises:
            RecipeError: The section has mistakes.
            UsageError: An override has.

        """
        recipe = cls._read(_plain(section))
        values = as_overrides(_plain(overrides or {}))
        if not values:
            return recipe
        with blaming(values, recipe.optimizer.name):
            return cls._read(overridden(_plain(recipe.to_dict()), values))

    @classmethod
    def _read(cls, data: Any) -> Recipe:
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            raise RecipeError(problems(error, cls, data)) from None
        checks = (_check_arguments, _check_labels, _check_rates)
        check_all(*(partial(check, recipe) for check in checks))
        return recipe

    @property
    def chosen_loss(self) -> Named:
        """The loss; that of a classification where the recipe names none."""
        return self.loss or CLASS_LOSS

    def for_stage(self, epochs: int, learning_rate: float | None) -> Recipe:
        """Return the recipe of a stage, which has an optimizer and a schedule of its own.

        None leaves the learning rate as it is.
        """
        values = as_overrides({"learning_rate": learning_rate, "epochs": epochs})
        return self._read(overridden(_plain(self.to_dict()), values))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `resolve` reads back as the same recipe."""
        return self.model_dump(mode="json", by_alias=True)


def _check_arguments(recipe: Recipe) -> None:
    """Raise `RecipeError` for wrong arguments of Keras's objects, where they are known."""
    schedule = recipe.schedule.keras if recipe.schedule else None
    named = [
        (families.OPTIMIZERS, ("optimizer",), recipe.optimizer),
        (families.LOSSES, ("loss",), recipe.chosen_loss),
        *((families.METRICS, ("metrics", i), metric) for i, metric in enumerate(recipe.metrics)),
        *([(families.SCHEDULES, ("schedule",), schedule)] if schedule else []),
        *((families.CALLBACKS, ("callbacks", i), each) for i, each in enumerate(recipe.callbacks)),
    ]
    check_all(*(partial(arguments.check, family, one, path) for family, path, one in named))


def _check_labels(recipe: Recipe) -> None:
    """Raise `RecipeError` where augmentations or metrics need other labels than the loss takes."""
    loss = recipe.chosen_loss.name
    numbers = loss in OF_INDICES
    problems: list[tuple[KeyPath, Problem]] = []
    mixing = next((one.name for one in recipe.augment if one.mixes_labels), None)
    if mixing and numbers:
        message = f"`{mixing}` mixes classes, and `{loss}` takes one for each image"
        hint = "write `loss: categorical_crossentropy`"
        problems.append((("loss",), Problem("value", message, help=hint)))
    for index, metric in enumerate(recipe.metrics):
        name = metric.name
        if name in OF_ANY_LABELS or name.startswith(OF_NUMBERS) == numbers:
            continue
        other = f"{OF_NUMBERS}{name}" if numbers else name.removeprefix(OF_NUMBERS)
        known = other in families.METRICS.classes
        right = Mend(f"write `{other}`", other, name)
        hint = right if known else "write `loss: categorical_crossentropy`"
        forms = ("the number of an image's class", "a value for each class")
        wants, takes = forms if not numbers else forms[::-1]
        message = f"`{name}` takes {wants}, and `{loss}` {takes}"
        problems.append((("metrics", index), Problem("value", message, help=hint)))
    if problems:
        raise RecipeError(problems)


def _check_rates(recipe: Recipe) -> None:
    """Raise `RecipeError` where a recipe sets a learning rate, or a warm-up, twice."""
    schedule = recipe.schedule
    rate = _innermost(recipe.optimizer).arguments.get("learning_rate")
    twice: list[tuple[KeyPath, str]] = []
    if schedule is not None and isinstance(rate, (str, dict)):
        twice.append((("schedule",), "`optimizer` has a schedule of its learning rate already"))
    if schedule is not None and schedule.keras is not None:
        named = schedule.keras
        path = ("schedule", named.name)
        thaws = recipe.transfer.unfreeze if recipe.transfer else ()
        for argument in filter(named.arguments.__contains__, SETS_RATE):
            if rate is not None:
                message = f"`{argument}` beside the `learning_rate` of `optimizer`"
                twice.append(((*path, argument), message))
            message = f"`learning_rate` beside the `{argument}` of `schedule`"
            twice += [
                (("transfer", "unfreeze", index, "learning_rate"), message)
                for index, thaw in enumerate(thaws)
                if thaw.learning_rate is not None
            ]
        if recipe.warmup and named.arguments.get("warmup_steps"):
            twice.append(((*path, "warmup_steps"), "`warmup_steps` beside `warmup`"))
    if twice:
        raise RecipeError(
            [
                (place, Problem("value", message, help="set it in one place"))
                for place, message in twice
            ]
        )


def _innermost(optimizer: Named) -> Named:
    """Return the optimizer that a recipe's wraps; that itself if it wraps none."""
    try:
        return Named.model_validate(optimizer.arguments.get("inner_optimizer"))
    except ValidationError:
        return optimizer


def _plain(value: Any) -> Any:
    """Return a value with all mappings as dictionaries and all lists as tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value

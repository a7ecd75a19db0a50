"""Values of a recipe's keys: objects of Keras by name, schedules, transfer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from archspec.data.section import NonEmptyText, NotNegative, ProperFraction, RecipeSection, Strict
from archspec.declare.metadata import Expect
from archspec.ops.fields import Count, Index, Positive
from archspec.recipe.families import (
    CALLBACKS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
    KerasFamily,
)


class Named(Strict):
    """An object of Keras by name: `adam`, or `{sgd: {learning_rate: 0.1}}`."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"name": value}
        if isinstance(value, Mapping) and len(value) == 1:
            (name, arguments) = next(iter(value.items()))
            if isinstance(name, str) and (arguments is None or isinstance(arguments, Mapping)):
                return {"name": name, "arguments": dict(arguments or {})}
        raise ValueError(
            "write a name, or one name with its arguments, as `{name: {argument: value}}`"
        )

    @model_serializer
    def _write(self) -> Any:
        return {self.name: self.arguments} if self.arguments else self.name


def _known(family: KerasFamily) -> AfterValidator:
    def check(named: Named) -> Named:
        problem = family.problem(named.name)
        if problem is not None:
            words = {"message": problem.message, "help": problem.help}
            raise PydanticCustomError("unknown_name", "{message}", words)
        return named

    return AfterValidator(check)


def _one_loss(value: Any) -> Any:
    """Return the value; raise for one loss a head, as other libraries take it."""
    if isinstance(value, (list, tuple)) or (isinstance(value, Mapping) and len(value) > 1):
        raise ValueError(
            "write one loss, a name or one name with its arguments: every head has it, and counts "
            "as much as its `loss_weight` in `heads`"
        )
    return value


_A_NAME = Expect("a name, or one name with its arguments")
NamedOptimizer = Annotated[Named, _known(OPTIMIZERS), _A_NAME]
Loss = Annotated[Named, _known(LOSSES), BeforeValidator(_one_loss), _A_NAME]
Metric = Annotated[Named, _known(METRICS), _A_NAME]
Callback = Annotated[Named, _known(CALLBACKS), _A_NAME]


class PlateauSchedule(RecipeSection):
    """Lower the learning rate when the validation loss stops falling."""

    factor: ProperFraction = 0.1
    """Factor by which the learning rate is multiplied."""
    patience: Count = 5
    """Epochs without progress; those of the warm-up are not counted."""
    monitor: NonEmptyText | None = None
    """Measure that has to improve; default: the validation loss, or the loss without validation
    images."""
    min_delta: NotNegative = 1e-4
    """Improvement above which an epoch counts as progress."""
    cooldown: Index = 0
    """Epochs after each step down that are not counted either."""
    min_lr: NotNegative = 0.0
    """Lowest learning rate."""


class StepSchedule(RecipeSection):
    """Multiply the learning rate by `factor` after each of the epochs `at`."""

    at: Annotated[tuple[Count, ...], Field(min_length=1), Expect("a list of epochs, as [80, 120]")]
    """Numbers of epochs after which it changes."""
    factor: ProperFraction = 0.1
    """Factor by which the learning rate is multiplied, each time."""


class CosineSchedule(RecipeSection):
    """Half a cosine down to zero (Loshchilov & Hutter 2017, arXiv:1608.03983), no restarts."""


class Schedule(Strict):
    """A change of the learning rate: `plateau`, `step` or `cosine`, in epochs, or one of Keras's.

    Those of Keras count updates, and start at the optimizer's learning rate unless they have an
    `initial_learning_rate`.
    """

    plateau: PlateauSchedule | None = None
    step: StepSchedule | None = None
    cosine: CosineSchedule | None = None
    keras: Annotated[Named, _known(SCHEDULES)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, Mapping) or len(value) != 1:
            known = ", ".join((*SCHEDULES.own, *SCHEDULES.names))
            raise ValueError(f"write one of {known}")
        ((name, arguments),) = value.items()
        if name in SCHEDULES.own:
            return {name: {} if arguments is None else arguments}
        return {"keras": {name: arguments}}

    @model_serializer
    def _write(self) -> Any:
        if self.keras is not None:
            return self.keras.model_dump(mode="json")
        (name,) = (name for name in SCHEDULES.own if getattr(self, name) is not None)
        return {name: getattr(self, name).model_dump(mode="json")}


class Thaw(RecipeSection):
    """A stage of training: from an epoch on, more of the network is trained."""

    epoch: Count
    """First epoch of the stage, counted from 1."""
    freeze: NonEmptyText = "none"
    """Step up to which the network stays frozen, or `none`."""
    learning_rate: Positive | None = None
    """Learning rate from then on; default: that of the stage before."""


class Transfer(RecipeSection):
    """Start from trained weights, and train all or some of them further."""

    source: Annotated[str, Field(alias="from", min_length=1), Expect("a run, a file or imagenet")]
    """Source of weights: a run's folder, a `.keras` file, or `imagenet` (keras.applications)."""
    freeze: NonEmptyText = "none"
    """Part that is not trained: `all` but the new head, the network up to a step, or `none`."""
    unfreeze: tuple[Thaw, ...] = ()
    """Stages that train more of it. Each starts a new optimizer and schedule."""

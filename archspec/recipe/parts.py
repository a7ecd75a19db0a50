"""What a recipe consists of: names of Keras's with their arguments, schedules, transfer."""

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

from archspec.data.section import Fraction, NotNegative, RecipeSection, Strict, Word
from archspec.declare.metadata import Expect
from archspec.ops.fields import Count, Index, Positive
from archspec.recipe import names


class Named(Strict):
    """Something of Keras by name: `adam`, or `{sgd: {learning_rate: 0.1}}`."""

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


def _known(family: names.Family) -> AfterValidator:
    def check(named: Named) -> Named:
        problem = family.problem(named.name)
        if problem is not None:
            words = {"message": problem.message, "help": problem.help}
            raise PydanticCustomError("unknown_name", "{message}", words)
        return named

    return AfterValidator(check)


def _one_loss(value: Any) -> Any:
    """Many libraries take a loss for each head."""
    if isinstance(value, (list, tuple)) or (isinstance(value, Mapping) and len(value) > 1):
        raise ValueError(
            "write one loss, a name or one name with its arguments: it is that of every head, "
            "which counts as much as its `loss_weight` in `heads` says"
        )
    return value


_A_NAME = Expect("a name, or one name with its arguments")
Optimizer = Annotated[Named, _known(names.OPTIMIZERS), _A_NAME]
Loss = Annotated[Named, _known(names.LOSSES), BeforeValidator(_one_loss), _A_NAME]
Metric = Annotated[Named, _known(names.METRICS), _A_NAME]
Callback = Annotated[Named, _known(names.CALLBACKS), _A_NAME]


class Plateau(RecipeSection):
    """Lower the learning rate when the validation loss stops falling."""

    factor: Fraction = 0.1
    """What the learning rate is multiplied by."""
    patience: Count = 5
    """Epochs without progress; those of the warm-up are not counted."""
    monitor: Word | None = None
    """What has to improve; the validation loss, or without validation images the loss."""
    min_delta: NotNegative = 1e-4
    """Progress is more than this."""
    cooldown: Index = 0
    """Epochs after a step down that are not counted either."""
    min_lr: NotNegative = 0.0
    """The learning rate is never lower."""


class Step(RecipeSection):
    """Multiply the learning rate by `factor` after each of the epochs `at`."""

    at: Annotated[tuple[Count, ...], Field(min_length=1), Expect("a list of epochs, as [80, 120]")]
    """How many epochs have passed."""
    factor: Fraction = 0.1
    """What the learning rate is multiplied by, each time."""


class Cosine(RecipeSection):
    """Half a cosine down to zero (Loshchilov & Hutter 2017, arXiv:1608.03983), no restarts."""


class Schedule(Strict):
    """How the learning rate changes: `plateau`, `step` or `cosine`, in epochs, or as in Keras.

    One of Keras's counts updates, and begins with the optimizer's learning rate unless it says an
    `initial_learning_rate`.
    """

    plateau: Plateau | None = None
    step: Step | None = None
    cosine: Cosine | None = None
    keras: Annotated[Named, _known(names.SCHEDULES)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, Mapping) or len(value) != 1:
            known = ", ".join((*names.SCHEDULES.own, *names.SCHEDULES.names))
            raise ValueError(f"write one of {known}")
        ((name, arguments),) = value.items()
        if name in names.SCHEDULES.own:
            return {name: {} if arguments is None else arguments}
        return {"keras": {name: arguments}}

    @model_serializer
    def _write(self) -> Any:
        if self.keras is not None:
            return self.keras.model_dump(mode="json")
        (said,) = (name for name in names.SCHEDULES.own if getattr(self, name) is not None)
        return {said: getattr(self, said).model_dump(mode="json")}


class Thaw(RecipeSection):
    """From an epoch on, train more of a network that was frozen."""

    epoch: Count
    """The first epoch, counted from 1, that trains it."""
    freeze: Word = "none"
    """What stays frozen: the network up to this step, or `none`."""
    learning_rate: Positive | None = None
    """The learning rate from then on; that of the stage before unless said otherwise."""


class Transfer(RecipeSection):
    """Start from weights that were trained before, and which of them to train further."""

    source: Annotated[str, Field(alias="from", min_length=1), Expect("a run, a file or imagenet")]
    """Whose weights: a run's folder, a `.keras` file, or `imagenet` (keras.applications)."""
    freeze: Word = "none"
    """What is not trained: `all` but the new head, the network up to a step, or `none`."""
    unfreeze: tuple[Thaw, ...] = ()
    """When to train more of it. Each time the optimizer and its schedule begin anew."""

"""The recipe: a spec's `train:` section as a value, checked before anything heavy is imported.

What only Keras knows, the names of its optimisers and their arguments, is checked by
`archspec.training.compilation` once Keras is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from archspec.diagnostics import ArchspecError, Problem, UsageError, suggestion
from archspec.element import Expect, expectation, show
from archspec.ops.fields import Count, Index, Positive
from archspec.spec.document import Path, Spec
from archspec.spec.findings import spec_error
from archspec.training.sources import SOURCES

CALLBACKS: Final = ("early_stopping", "swap_ema_weights")
"""Keras callbacks a recipe may name: those that write no files, call no code, open no connection.

Checkpoints, logs and stopping at a loss that is not a number come with every run. The learning
rate is the schedule's alone.
"""

_ELSEWHERE: Final = {
    "reduce_lr_on_plateau": "write `schedule: {plateau: {factor: 0.1, patience: 5}}` instead"
}
"""Hints for callbacks that stand for something a recipe says otherwise."""

Seed = Annotated[int, Field(ge=0, lt=2**32), Expect("a whole number from 0 to 4294967295")]
Share = Annotated[float, Field(ge=0, le=0.5), Expect("a number from 0 to 0.5")]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"]
Fraction = Annotated[float, Field(gt=0, lt=1), Expect("a number between 0 and 1")]


class RecipeError(ArchspecError):
    """All that is wrong with a recipe, each with its path, which starts inside `train:`."""

    def __init__(self, problems: Iterable[tuple[Path, Problem]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for _, problem in self.problems))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Named(_Part):
    """Something of Keras by name: `adam`, or `{sgd: {learning_rate: 0.1}}`."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"name": value}
        if isinstance(value, dict) and len(value) == 1:
            (name, arguments) = next(iter(value.items()))
            if isinstance(name, str) and (arguments is None or isinstance(arguments, dict)):
                return {"name": name, "arguments": arguments or {}}
        raise ValueError("write a name, or one name with its arguments, as `{adam: {...}}`")

    @model_serializer
    def _write(self) -> str | dict[str, Any]:
        return {self.name: self.arguments} if self.arguments else self.name


class DataRecipe(_Part):
    """What to train on, what of it for what, and how it is made to fit the network."""

    source: str = next(iter(SOURCES))
    """`digits`: 1,797 handwritten digits, bundled with scikit-learn. `folder`: your own images."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """Of `folder` and `arrays`, relative to the working directory."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """Of `tfds`: a data set of TensorFlow Datasets."""
    images: Annotated[str, Field(min_length=1)] | None = None
    """Of `arrays`: the key in an .npz file, or the stem of an .npy file. Else x or images."""
    labels: Annotated[str, Field(min_length=1)] | None = None
    """Of `arrays`, likewise. Else y or labels."""
    classes: (
        Annotated[tuple[str, ...], Field(min_length=2), Expect("a list of two or more names")]
        | None
    ) = None
    """Names of the classes to use, in the order of the network's outputs; all unless given."""
    per_class: Count | None = None
    """At most so many training images of each class."""
    validation: Share = 0.1
    """Share of the images held out to choose the best epoch, where the source holds none out."""
    test: Share = 0.2
    """Share of the images held out for the final score, where the source holds none out."""
    seed: Seed = 0
    """Of the split. It is not the run's, so that runs with other seeds share their test images."""
    stratify: bool = True
    """Whether each class is split in the same shares."""
    resize: Literal["stretch", "pad", "crop"] = "stretch"
    """How an image of other proportions fits: distorted, with black bars, or cut at the sides."""
    normalize: Literal["standardize", "unit", "symmetric", "torch", "caffe", "none"] = "standardize"
    """`standardize` by the training images' mean and deviation, to [0, 1], to [-1, 1], or as the
    published weights of torchvision or Caffe want it."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about image files that cannot be read."""
    cache: Annotated[Literal["auto", True, False], Expect("auto, true or false")] = "auto"
    """Whether decoded images are kept in memory; `auto` where they fit."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("source")
    @classmethod
    def _is_available(cls, source: str) -> str:
        if source not in SOURCES:
            available = ", ".join(SOURCES)
            raise ValueError(f"`{source}` is not available; available: {available}")
        return source

    @field_validator("classes", mode="before")
    @classmethod
    def _may_be_numbers(cls, classes: Any) -> Any:
        """Digits are called by their numbers."""
        if not isinstance(classes, (list, tuple)):
            return classes
        return tuple(str(name) if type(name) is int else name for name in classes)

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        seen: set[str] = set()
        for name in classes or ():
            if name in seen:
                raise ValueError(f"`{name}` stands twice")
            seen.add(name)
        return classes

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> DataRecipe:
        needed = SOURCES[self.source].needs
        for option in ("path", "name"):
            given = getattr(self, option) is not None
            if given and option != needed:
                raise ValueError(f"`{self.source}` takes no `{option}`")
            if not given and option == needed:
                raise ValueError(f"`{self.source}` needs `{option}`")
        for option in ("images", "labels"):
            if getattr(self, option) is not None and self.source != "arrays":
                raise ValueError(f"`{option}` is of `arrays`, not of `{self.source}`")
        if self.path is not None and "\0" in self.path:
            raise ValueError("`path` has a null character in it")
        if self.validation + self.test >= 1:
            raise ValueError("`validation` and `test` leave nothing to train on")
        return self


class Plateau(_Part):
    """Lower the learning rate when the validation loss stops falling."""

    factor: Fraction = 0.1
    patience: Count = 5
    """Epochs without progress."""


class Step(_Part):
    """Multiply the learning rate by `factor` after each of the epochs `at`."""

    at: Annotated[tuple[Count, ...], Field(min_length=1), Expect("a list of epochs, as [80, 120]")]
    factor: Fraction = 0.1


class Cosine(_Part):
    """Half a cosine down to zero (Loshchilov & Hutter 2017, arXiv:1608.03983), no restarts."""

    warmup: Index = 0
    """Epochs of linear increase from zero before it."""


class Schedule(_Part):
    """How the learning rate changes: exactly one of these."""

    plateau: Plateau | None = None
    step: Step | None = None
    cosine: Cosine | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"write one of {', '.join(cls.model_fields)}")
        return {name: {} if arguments is None else arguments for name, arguments in value.items()}


class Thaw(_Part):
    """From an epoch on, train more of a network that was frozen."""

    epoch: Count
    """The first epoch, counted from 1, that trains it."""
    freeze: str = "none"
    """What stays frozen: the network up to this step, or `none`."""
    learning_rate: Positive | None = None
    """The learning rate from then on; as it was unless said otherwise."""


class Transfer(_Part):
    """Start from weights that were trained before, and which of them to train further."""

    source: Annotated[str, Field(alias="from", min_length=1), Expect("a run, a file or imagenet")]
    """Whose weights: a run's folder, a `.keras` file, or `imagenet` (keras.applications)."""
    freeze: str = "none"
    """What is not trained: `all` but the new head, the network up to a step, or `none`."""
    unfreeze: tuple[Thaw, ...] = ()
    """When to train more of it."""


class Recipe(_Part):
    """How to train: everything `archspec fit` needs beside the network."""

    data: DataRecipe = DataRecipe()
    batch: Count = 32
    """Images per step."""
    epochs: Count = 30
    optimizer: Named = Named.model_validate("adam")
    """One of Keras's optimisers."""
    loss: Named = Named.model_validate({"categorical_crossentropy": {"label_smoothing": 0.1}})
    """One of Keras's losses. Smoothed labels (Szegedy et al. 2016, section 7) suit small data."""
    metrics: tuple[Named, ...] = ()
    """Keras's metrics to record beside the accuracy."""
    schedule: Schedule | None = None
    """How the learning rate changes; constant unless said otherwise."""
    warmup: Index = 0
    """Epochs in which the learning rate first rises from zero, in a line."""
    callbacks: tuple[Named, ...] = ()
    augment: tuple[Named, ...] = ()
    """What is done to the training images, at random, in this order."""
    class_weights: Annotated[
        Literal["balanced"] | dict[str, Positive] | None,
        Expect("balanced, or a number above 0 for classes by name"),
    ] = None
    """How much an image of each class counts; `balanced`: as if there were as many of each."""
    seed: Seed = 0
    """Of the initial weights, the order of the images, and dropout."""
    deterministic: bool = False
    """Whether the same run gives the same bits again, at some cost in speed."""
    precision: Precision = "float32"
    """Keras's dtype policy; with `mixed_`, weights stay float32."""
    jit: Annotated[Literal["auto"] | bool, Expect("auto, true or false")] = "auto"
    """Whether XLA (for PyTorch, its own compiler) compiles the step."""
    steps_per_execution: Annotated[Literal["auto"] | Count, Expect("auto or a whole number")] = (
        "auto"
    )
    """Steps between two visits to Python."""
    devices: Annotated[Literal["all"] | Count | None, Expect("a whole number, all or null")] = None
    """How many devices share each batch; one unless said otherwise."""
    tensorboard: bool = False
    """Whether to write logs for TensorBoard."""
    transfer: Transfer | None = None
    """What to start from instead of random weights."""

    @field_validator("callbacks")
    @classmethod
    def _are_allowed(cls, callbacks: tuple[Named, ...]) -> tuple[Named, ...]:
        for callback in callbacks:
            if callback.name not in CALLBACKS:
                hint = _ELSEWHERE.get(callback.name) or suggestion(
                    callback.name, CALLBACKS, what="callbacks"
                )
                raise ValueError(f"there is no `{callback.name}`; {hint}")
        return callbacks

    @classmethod
    def resolve(
        cls, section: Mapping[str, Any], overrides: Mapping[str, Any] | None = None
    ) -> Recipe:
        """The recipe of a `train:` section, changed by what was given outside of it.

        `overrides` may set `data`, `batch`, `epochs`, `optimizer`, `learning_rate` and `seed`;
        None changes nothing. Raises `RecipeError` for the section, `UsageError` for an override.
        """
        try:
            recipe = cls.model_validate(_plain(section))
        except ValidationError as error:
            raise RecipeError(_problems(error)) from None
        given = {name: _plain(v) for name, v in (overrides or {}).items() if v is not None}
        if not given:
            return recipe
        rate = given.get("learning_rate", 1.0)
        if not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise UsageError(f"the learning rate must be a finite number above 0, not {rate}")
        try:
            return cls.model_validate(_changed(recipe, given))
        except ValidationError as error:
            messages = [problem.message for _, problem in _problems(error)]
            raise UsageError("; ".join(messages)) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `resolve` reads back as the same recipe."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


def _changed(recipe: Recipe, given: dict[str, Any]) -> dict[str, Any]:
    """The recipe as plain data, with what was given from outside in its place."""
    changed: dict[str, Any] = _plain(recipe.to_dict())
    if isinstance(given.get("data"), str):
        given["data"] = {**changed["data"], "source": given["data"]}
    if given.get("optimizer") == recipe.optimizer.name:
        del given["optimizer"]  # its arguments stay
    learning_rate = given.pop("learning_rate", None)
    changed |= given
    if learning_rate is not None:
        optimizer = Named.model_validate(changed["optimizer"])
        arguments = {**optimizer.arguments, "learning_rate": learning_rate}
        changed["optimizer"] = {optimizer.name: arguments}
    return changed


def _plain(value: Any) -> Any:
    """Dictionaries and tuples all the way down, whatever mappings and lists there were."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value


def _problems(error: ValidationError) -> list[tuple[Path, Problem]]:
    """Pydantic's findings in archspec's own words."""
    found: dict[Path, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        path: Path = item["loc"]
        if any(other[: len(path)] == path for other in found):
            continue  # a list is wrong because an item of it is
        label = ".".join(map(str, ("train", *path)))
        part, name = _field(path)
        match item["type"]:
            case "extra_forbidden" | "invalid_key":
                hint = suggestion(str(path[-1]), part.model_fields, what="keys")
                found[path] = Problem("unknown-key", f"`{path[-1]}` is not a key here", help=hint)
            case "missing":
                what = _expected(part, name)
                found[path] = Problem("missing", f"`{label}` is missing", help=f"it is {what}")
            case "value_error":
                message = item["msg"].removeprefix("Value error, ")
                found[path] = Problem("value", f"`{label}`: {message}")
            case kind:
                code = "value" if kind.startswith(("greater", "less", "too_")) else "type"
                what = "a mapping" if kind in {"model_type", "dict_type"} else _expected(part, name)
                message = f"`{label}` must be {what}, not {show(item['input'])}"
                found[path] = Problem(code, message)
    return list(found.items())


def _field(path: Path) -> tuple[type[_Part], str]:
    """The part of the recipe that `path` leads into, and the name of its field there."""
    part: type[_Part] = Recipe
    name = ""
    for key in path:
        if name in part.model_fields:
            annotation = part.model_fields[name].annotation
            inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
            part = next((a for a in inner if issubclass(a, _Part)), part)
        name = key if isinstance(key, str) else name
    return part, name


def _expected(part: type[_Part], name: str) -> str:
    info = part.model_fields.get(name)
    if info is None:
        return "something else"
    if str(info.annotation).startswith("tuple") and not info.metadata:
        return "a list"
    return expectation(info)


@contextmanager
def places(spec: Spec) -> Iterator[None]:
    """Make a recipe's problems the spec's, each at its place in the text."""
    try:
        yield
    except RecipeError as error:
        found = [
            problem.at(spec.source.span(("train", *path), key=problem.code == "unknown-key"))
            for path, problem in error.problems
        ]
        raise spec_error(spec.source, found) from None

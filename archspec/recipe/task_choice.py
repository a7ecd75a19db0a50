"""Network, loss and labels -> the task that a training is for; or what is wrong among them.

The labels decide what is possible, the end of the network and the loss what is meant: labels of
whole numbers are classes for an output with a value for each, and numbers for an output of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from archspec.data.examples import Preview
from archspec.data.fitting import input_misfits, source_of
from archspec.data.sources import SOURCES
from archspec.data.splitting import check_several, chosen_classes
from archspec.data.task import Task, TaskKind
from archspec.errors import KeyPath, Problem, suggestion
from archspec.graph.graph import Graph
from archspec.ops.shape import Shape
from archspec.recipe import families
from archspec.recipe.sections import Named
from archspec.recipe.train import CLASS_LOSS, Recipe

KINDS: Final[tuple[TaskKind, ...]] = ("classification", "multi_label", "regression")
"""The kinds of tasks, in the order in which they are tried."""

LOSSES: Final[Mapping[TaskKind, Named]] = {
    "classification": CLASS_LOSS,
    "multi_label": Named.model_validate("binary_crossentropy"),
    "regression": Named.model_validate("mean_squared_error"),
}
"""The loss of a recipe that names none."""

OF_CLASSES: Final = frozenset(
    {
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_generalized_cross_entropy",
        "categorical_hinge",
        "sparse_categorical_crossentropy",
    }
)
"""Losses for one class of several."""

OF_YES_AND_NO: Final = frozenset(
    {
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "dice",
        "hinge",
        "squared_hinge",
        "tversky",
    }
)
"""Losses for a yes or no from each output."""

NUMBER_METRICS: Final = frozenset(
    {
        "concordance_correlation",
        "cosine_similarity",
        "log_cosh_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "pearson_correlation",
        "poisson",
        "r2_score",
        "root_mean_squared_error",
    }
)
"""Metrics that compare numbers."""

CLASS_METRICS: Final = frozenset(
    {
        "categorical_accuracy",
        "categorical_crossentropy",
        "categorical_hinge",
        "io_u",
        "mean_io_u",
        "one_hot_io_u",
        "one_hot_mean_io_u",
        "sparse_categorical_accuracy",
        "sparse_categorical_crossentropy",
        "sparse_top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    }
)
"""Metrics for one class of several."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, float("inf")),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, float("inf")),
}
"""The least and the largest output of activations that have bounds."""

Place: TypeAlias = str | KeyPath
"""The name of an output, or the path of a key in the recipe."""

TRAINED_TASKS: Final = (
    "`fit` trains networks that end in one vector: a class of several, a set of labels, or numbers"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of an output: its shape, and the function that made its values."""

    shape: Shape
    function: str
    """Name of the activation, such as `softmax`; `linear` where there is none."""


def endings(graph: Graph) -> dict[str, Ending]:
    """Return the end of each output of a network, the main one first."""
    return {
        name: Ending(graph.nodes[index].shape, _function(graph, index))
        for name, index in graph.outputs.items()
    }


def _function(graph: Graph, index: int) -> str:
    """Return the activation before a node's output, through layers that leave values as they are.

    A step such as `flatten` changes the shape only.
    """
    while True:
        node = graph.nodes[index]
        function = "softmax" if node.op.kind == "softmax" else getattr(node.op, "function", None)
        unchanging = node.op.kind in {"flatten", "reshape"} or function == "linear"
        if not unchanging or not node.inputs:
            return function if isinstance(function, str) else "linear"
        index = node.inputs[0]


def examine(
    recipe: Recipe, inputs: Mapping[str, Shape], outputs: Mapping[str, Ending]
) -> tuple[Task, Preview, list[tuple[Place, Problem]]]:
    """Return the task of a training, and why the network cannot learn it from the recipe's data.

    No pixels are loaded.

    Returns:
        The task, the data's facts, and problems, each with its place: the name of an input or of an
        output, or the path of a key in the recipe.

    Raises:
        UsageError: Files cannot be read, or have only one class.
        RecipeError: A class that the recipe names does not exist.

    """
    preview = SOURCES[recipe.data.source].preview(recipe.data, inputs)
    source = source_of(recipe.data)
    task, problems = choose(recipe, preview, outputs, source)
    if task.kind == "classification" and task.names:
        check_several(source, task.names)
    if task.kind == "classification" and isinstance(recipe.class_weights, dict):
        problems += _unknown_weights(recipe.class_weights, task.names)
    if len(inputs) > 1:
        problems += _of_one_input(recipe)
    return task, preview, [*input_misfits(recipe.data, preview, inputs), *problems]


def _of_one_input(recipe: Recipe) -> Iterator[tuple[Place, Problem]]:
    """Yield the keys of a recipe that are for networks with one input."""
    for path, is_given in (
        (("augment",), bool(recipe.augment)),
        (("watch_units",), recipe.watch_units),
        (("data", "images"), recipe.data.images is not None and recipe.data.source == "arrays"),
        (("data", "on_error"), recipe.data.on_error == "skip"),
    ):
        if is_given:
            message = f"`{path[-1]}` is for networks with one input"
            yield path, Problem("value", message, help="leave it out")


def _unknown_weights(
    weighted: Iterable[str], class_names: Sequence[str]
) -> Iterator[tuple[Place, Problem]]:
    for name in weighted:
        if name not in class_names:
            hint = suggestion(name, class_names, what="classes")
            unknown = Problem("unknown-name", f"the data has no class `{name}`", help=hint)
            yield ("class_weights", name), unknown


def choose(
    recipe: Recipe, preview: Preview, outputs: Mapping[str, Ending], source: str
) -> tuple[Task, list[tuple[Place, Problem]]]:
    """Return the task of a training, and what in it contradicts the network, the data or itself.

    The recipe's `loss`, which is the same for all outputs, may say what is meant. Raises
    `RecipeError` if a class that the recipe names does not exist.
    """
    names = _names(recipe, preview)
    asked = _Asked(recipe, preview, names, outputs, source)
    fitting = (kind for kind in KINDS if not any(asked.objections(kind)))
    kind = next(fitting, None) or asked.meant()
    task = Task(kind, names.get(kind, ()))
    return task, [*asked.objections(kind), *_unsuited(recipe, task, outputs)]


def _names(recipe: Recipe, preview: Preview) -> dict[TaskKind, tuple[str, ...]]:
    """Return the names of the outputs for each kind of task that the labels may be for."""
    if recipe.data.classes is None and not preview.class_names:
        return dict(preview.names)
    chosen = tuple(preview.class_names[number] for number in chosen_classes(recipe.data, preview))
    if recipe.data.classes is not None or recipe.data.per_class is not None:
        return {"classification": chosen}
    return {**preview.names, "classification": chosen}


@dataclass(frozen=True, slots=True)
class _Asked:
    """All that a task follows from."""

    recipe: Recipe
    preview: Preview
    names: Mapping[TaskKind, tuple[str, ...]]
    outputs: Mapping[str, Ending]
    source: str

    @property
    def loss(self) -> str | None:
        return self.recipe.loss.name if self.recipe.loss else None

    @property
    def main(self) -> Ending:
        return next(iter(self.outputs.values()))

    def meant(self) -> TaskKind:
        """Return the task that a user probably means who contradicts himself."""
        if self.loss in OF_CLASSES or self.main.function == "softmax":
            return "classification"
        if self.loss in OF_YES_AND_NO or self.main.function == "sigmoid":
            is_class = "multi_label" not in self.names and "classification" in self.names
            return "classification" if is_class else "multi_label"
        return next(iter(self.names))

    def objections(self, kind: TaskKind) -> Iterator[tuple[Place, Problem]]:
        """Yield why the training cannot be for a kind of task."""
        for name, ending in self.outputs.items():
            if ending.shape.rank:
                yield name, _no_vector(ending.shape)
                return
        if kind not in self.names:
            yield self._wrong_labels(kind)
            return
        yield from self._wrong_loss(kind)
        for name, ending in self.outputs.items():
            if kind != "classification" and ending.function == "softmax":
                yield name, self._softmax(kind)
            elif ending.shape.size != len(self.names[kind]):
                yield name, self._wrong_count(kind, ending.shape.size)

    def _wrong_labels(self, kind: TaskKind) -> tuple[Place, Problem]:
        """Return that the labels are not those of a kind of task, at what asks for them."""
        why = f" ({self.preview.no_classes})" if self.preview.no_classes else ""
        labels = f"the labels of {self.source} are {_described(self.names)}"
        other = next(iter(self.names))
        if self.loss in OF_CLASSES | OF_YES_AND_NO:
            wants = "one class of several" if self.loss in OF_CLASSES else "yes or no, as 1 and 0"
            message = f"`{self.loss}` is for {wants}, but {labels}{why}"
            hint = f"leave `loss` out, or write `loss: {LOSSES[other].name}`"
            return ("loss",), Problem("value", message, help=hint)
        if kind == "classification":
            return self._first, self._softmax(other)
        message = f"the output is a {self.main.function}, but {labels}{why}"
        return self._first, Problem("value", message, help=self._ending(other))

    def _wrong_loss(self, kind: TaskKind) -> Iterator[tuple[Place, Problem]]:
        """Yield that the loss is for another kind of task."""
        yes_or_no = self.loss in OF_YES_AND_NO
        is_loose = self.main.function != "sigmoid" and not (self.loss is None and self._is_linear)
        wrong = {
            "classification": False,
            "multi_label": self.loss in OF_CLASSES or (not yes_or_no and is_loose),
            "regression": self.loss in OF_CLASSES or yes_or_no,
        }[kind]
        if wrong:
            message = f"`{self.loss}` does not suit {_described([kind])}"
            hint = f"leave `loss` out, or write `loss: {LOSSES[kind].name}`"
            yield ("loss",), Problem("value", message, help=hint)

    @property
    def _is_linear(self) -> bool:
        return self.main.function == "linear"

    @property
    def _first(self) -> str:
        return next(iter(self.outputs))

    def _softmax(self, kind: TaskKind) -> Problem:
        message = (
            "the output is a softmax, which shares 1 among classes, but the labels of "
            f"{self.source} are {_described([kind])}"
        )
        return Problem("value", message, help=self._ending(kind))

    def _ending(self, kind: TaskKind) -> str:
        """Return how a network ends for a kind of task."""
        units = len(self.names[kind])
        return {
            "classification": f"end with `fc: {{units: {units}, activation: softmax}}`",
            "multi_label": f"end with `fc: {{units: {units}, activation: sigmoid}}`",
            "regression": f"end with `fc: {units}`, without an activation",
        }[kind]

    def _wrong_count(self, kind: TaskKind, size: int) -> Problem:
        names = self.names[kind]
        values = f"{size:,} value{'' if size == 1 else 's'}"
        message = f"the output has {values}, but {self.source} has {Task(kind, names).outputs}"
        hint = f"give the last layer {len(names)} units"
        if kind == "classification":
            hint = (
                "give other data with `data=`, such as a folder of images; or give the last layer "
                f"{len(names)} units"
            )
        elif len(names) == 1:
            hint = "give the last layer 1 unit"
        return Problem("shape", message, help=hint)


def _no_vector(shape: Shape) -> Problem:
    """Return that `fit` does not train a network whose output has extents."""
    hint = (
        "for classes, labels or numbers end with `flatten` or `global_avg_pool`, then `fc`; for "
        "masks, boxes or images `archspec.build(...)` makes an ordinary Keras model, to train in a "
        "loop of your own"
    )
    return Problem("shape", f"{TRAINED_TASKS}, but the output is {shape}", help=hint)


def _described(kinds: Sequence[TaskKind] | Mapping[TaskKind, object]) -> str:
    """Return what labels are, by the first of the kinds of task that they may be for."""
    return {
        "classification": "classes",
        "multi_label": "sets of labels",
        "regression": "numbers",
    }[next(iter(kinds))]


def _unsuited(
    recipe: Recipe, task: Task, outputs: Mapping[str, Ending]
) -> Iterator[tuple[Place, Problem]]:
    """Yield the keys of a recipe that are for other tasks."""
    what = _described([task.kind])
    if task.kind != "regression" and recipe.data.targets != "none":
        message = f"`targets` is a scale of numbers, but the labels are {what}"
        yield ("data", "targets"), Problem("value", message, help="leave it out")
    ending = next(iter(outputs.values()))
    if task.kind == "regression" and recipe.data.targets != "none" and ending.function in RANGES:
        low, high = RANGES[ending.function]
        message = (
            f"the output is a {ending.function}, from {low:g} to {high:g}, and standardized "
            "numbers go beyond"
        )
        hint = "end without an activation, or leave `targets` out"
        yield ("data", "targets"), Problem("value", message, help=hint)
    if task.kind == "classification":
        return
    for path, is_given in (
        (("data", "per_class"), recipe.data.per_class is not None),
        (("data", "classes"), recipe.data.classes is not None),
        (("class_weights",), recipe.class_weights is not None),
    ):
        if is_given:
            message = f"`{path[-1]}` is for classes, but the labels are {what}"
            yield path, Problem("value", message, help="leave it out")
    for index, augmentation in enumerate(recipe.augment):
        if augmentation.mixes_labels and task.kind == "regression":
            message = f"`{augmentation.name}` mixes classes, but the labels are numbers"
            yield ("augment", index), Problem("value", message, help="leave it out")
    for index, metric in enumerate(recipe.metrics):
        known = metric.name in families.METRICS.classes
        if task.kind == "regression" and known and metric.name not in NUMBER_METRICS:
            message = f"`{metric.name}` counts right answers, but the labels are numbers"
            hint = "write `root_mean_squared_error` or `r2_score`; every run records `mae`"
            yield ("metrics", index), Problem("value", message, help=hint)
        elif task.kind == "multi_label" and metric.name in CLASS_METRICS:
            message = f"`{metric.name}` is for one class of several, but the labels are {what}"
            hint = "write `auc`, `f1_score` or `precision`; every run records the accuracy"
            yield ("metrics", index), Problem("value", message, help=hint)

"""Transfer learning: start from trained weights, and train only some of them.

    transferred = begin(keras, model, graph, "runs/lenet5-1")     # all but the head
    for stage in stages(recipe.transfer, recipe.epochs):
        freeze(model, graph, stage.freeze, transferred.new) # then compile, and fit until the next

docs/transfer.md has CS231n's advice on what to freeze when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from archspec.errors import KeyPath, Problem, RecipeError, UsageError, beside, nearest, suggestion
from archspec.graph.graph import IN_KERAS, SEPARATOR, Graph
from archspec.imports.keras.config import Extents
from archspec.keras_model import weights
from archspec.keras_model.build import layer_name
from archspec.keras_model.heads import head_layers, match_bodies
from archspec.keras_model.joining import layer_graph
from archspec.keras_model.matching import LayerNode
from archspec.recipe.sections import Transfer
from archspec.runs import storage
from archspec.runs.files import DATA, SPEC
from archspec.runs.origin import RunSetup
from archspec.runs.outcome import saved_model
from archspec.runs.records import TransferRecord

ALL: Final = "all"
NONE: Final = "none"


def begin(
    keras: Any, model: Any, graph: Graph, source: str, class_names: Sequence[str] = ()
) -> TransferRecord:
    """Copy the weights of another model into a new one, except those of the head.

    The source is a run's folder, a `.keras` or `.h5` file, or `imagenet`. The head is copied too if
    it is a run with the same classes in the same order. Weights include the moving statistics of
    norms, but no random states. If an error is raised, the model is unchanged.

    Raises:
        UsageError: The source differs from this network in more than head and classes.

    """
    ours = layer_graph(model)
    with weights.open_source(keras, file_of(source), model, ours) as there:
        try:
            bodies = match_bodies(ours, there.graph)
        except UsageError as error:
            raise UsageError(f"{source} is not a `{graph.name}`: {error}{there.origin}") from None
        if not bodies.before:
            raise UsageError(
                f"{source} has no layer in common with `{graph.name}` but the head, which is new"
            )
        pairs = bodies.before
        if class_names and _classes(source) == tuple(class_names):
            pairs = pairs + [pair for pair in bodies.heads if _shapes(pair[0]) == _shapes(pair[1])]
        copied = weights.assign(keras, pairs, weights.differing_constants(ours, there.graph))
    names = {mine for mine, _ in copied.layers}
    left = [part for part in ours.weighted if part.name not in names]
    return TransferRecord(
        source,
        copied.layers,
        copied.params,
        new=tuple(part.name for part in left),
        new_params=sum(prod(weight.value.shape) for part in left for weight in part.weights),
        steps=tuple(dict.fromkeys(_steps(graph, {part.name for part in left}))),
        notes=copied.notes,
    )


def file_of(source: str) -> str | Path:
    """Return the file with a source's model; raise `UsageError` if there is none."""
    path = Path(source)
    kind = None if source == weights.IMAGENET else storage.kind_of(path)
    if source == weights.IMAGENET or kind == "file":
        return source
    if kind != "folder":
        raise UsageError(f"there is no run or file {path}{beside(path)}")
    return saved_model(path)


def _classes(source: str) -> tuple[str, ...] | None:
    """Return the names of a run's classes; None if the source is not a run's folder."""
    home = Path(source)
    if source == weights.IMAGENET or not all(storage.exists(home / n) for n in (SPEC, DATA)):
        return None
    return RunSetup.read(home).data.class_names


def _shapes(part: LayerNode) -> list[tuple[str, Extents]]:
    return sorted((weight.name, weight.form) for weight in part.weights)


def _steps(graph: Graph, layers: Collection[str]) -> Iterator[str]:
    """Yield the names of these layers' rows in the report's table."""
    rows = [scope for scope in graph.scopes if scope.row]
    for node in graph.nodes:
        if layer_name(node) in layers:
            inside = (row.name for row in rows if row.start <= node.index < row.stop)
            yield next(inside, node.name)


def freeze(model: Any, graph: Graph, until: str, new: Collection[str]) -> int:
    """Freeze a model up to a step, and return the number of parameters that this freezes.

    All else is trained, whatever was frozen before, except for steps with `trainable: false`. A
    frozen batch norm uses its moving statistics and does not update them; frozen dropout still
    drops. The model must be compiled afterwards for this to take effect.

    Args:
        model: The model of `graph`.
        graph: The network.
        until: `none`, `all` (except new layers and the head), or the path of a step, as a report
            shows it: the step is frozen, and all that it depends on.
        new: Names of layers with random weights.

    Raises:
        UsageError: There is no such step, it would freeze a new layer, or nothing would be left
            to train.

    """
    try:
        kept = {*new, *head_layers(layer_graph(model))} if until == ALL else ()
        frozen = _frozen(graph, until, kept, new)
    except Problem as problem:
        hint = f"; {problem.help}" if problem.help else ""
        raise UsageError(f"{problem.message}{hint}") from None
    names = {layer_name(node): node.index in frozen or node.op.frozen for node in graph.nodes}
    for layer in model.layers:
        name = layer.name if layer.name in names else layer.name.rpartition(IN_KERAS)[0]
        layer.trainable = not names.get(name, False)
    return sum(graph.nodes[index].layer.trainable for index in frozen)


def _frozen(graph: Graph, until: str, kept: Collection[str], new: Collection[str]) -> set[int]:
    """Return the nodes that a stage freezes; `all` leaves out the layers `kept`."""
    if until == NONE:
        return set()
    if until == ALL:
        frozen = {node.index for node in graph.nodes if layer_name(node) not in kept}
    else:
        frozen = _up_to(graph, until)
    random = [
        node.name
        for node in graph.nodes
        if node.index in frozen and layer_name(node) in new and not node.op.frozen
    ]
    if random:
        message = f"`{until}` cannot be frozen: `{random[0]}` is new, with random weights"
        raise Problem("value", message, help="freeze an earlier step, or `all` that is not new")
    if not any(node.layer.trainable for node in graph.nodes if node.index not in frozen):
        raise Problem("value", f"nothing is left to train after `{until}`")
    return frozen


def _up_to(graph: Graph, step: str) -> set[int]:
    """Return the nodes of a step and all that they depend on."""
    path = step.replace(IN_KERAS, SEPARATOR)
    waiting = [
        node.index
        for node in graph.nodes
        if node.name == path or node.name.startswith(f"{path}{SEPARATOR}")
    ]
    if not waiting:
        unknown = f"`{graph.name}` has no step `{step}`"
        raise Problem("unknown-name", unknown, help=_suggestion(graph, step))
    ancestors: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index not in ancestors:
            ancestors.add(index)
            waiting += graph.nodes[index].inputs
    owners = {graph.nodes[index].layer.owner for index in ancestors}  # they have the weights
    return ancestors | {node.index for node in graph.nodes if node.name in owners}


def _suggestion(graph: Graph, step: str) -> str:
    """Return a hint with the nearest path, or with the outermost steps."""
    tops = list(dict.fromkeys(path.partition(SEPARATOR)[0] for path in graph.paths))
    near = nearest(step, [*tops, ALL, NONE, *graph.paths])
    return suggestion(step, [near] if near else tops, what="steps")


@dataclass(frozen=True, slots=True)
class Stage:
    """Successive epochs in which the same layers are trained."""

    first_epoch: int
    """Number of the first epoch, from 1."""
    last_epoch: int
    freeze: str
    """The step up to which layers are frozen, as `freeze` takes it."""
    learning_rate: float | None
    """The stage's learning rate; None for the recipe's."""

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.last_epoch + 1 - self.first_epoch


def stages(transfer: Transfer | None, epochs: int) -> tuple[Stage, ...]:
    """Return the stages of a training, the first of which begins with epoch 1.

    Raises:
        RecipeError: The stages' first epochs do not rise, or come after the last epoch.

    """
    begins = [1]
    problems: list[tuple[KeyPath, Problem]] = []
    thaws = transfer.unfreeze if transfer else ()
    for index, thaw in enumerate(thaws):
        label = f"`train.transfer.unfreeze.{index}.epoch` is {thaw.epoch}"
        if thaw.epoch <= begins[-1]:
            message = f"{label}, but the stage before it begins with epoch {begins[-1]}"
        elif thaw.epoch > epochs:
            message = f"{label}, but the last epoch is {epochs}"
        else:
            begins.append(thaw.epoch)
            continue
        problems.append((("transfer", "unfreeze", index, "epoch"), Problem("value", message)))
    if problems:
        raise RecipeError(problems)
    ends = [*(epoch - 1 for epoch in begins[1:]), epochs]
    steps = [transfer.freeze if transfer else NONE, *(thaw.freeze for thaw in thaws)]
    rates: list[float | None] = [None]
    for thaw in thaws:
        rates.append(thaw.learning_rate or rates[-1])
    return tuple(map(Stage, begins, ends, steps, rates))


def check_steps(transfer: Transfer | None, graph: Graph, new: Collection[str] = ()) -> None:
    """Raise `RecipeError` for stages that name an unknown step, or would freeze a new layer."""
    if transfer is None:
        return
    ends: dict[KeyPath, str] = {("transfer", "freeze"): transfer.freeze}
    for index, thaw in enumerate(transfer.unfreeze):
        ends["transfer", "unfreeze", index, "freeze"] = thaw.freeze
    problems = []
    for path, until in ends.items():
        try:
            if until != ALL:
                _frozen(graph, until, (), new)
        except Problem as problem:
            problems.append((path, problem))
    if problems:
        raise RecipeError(problems)

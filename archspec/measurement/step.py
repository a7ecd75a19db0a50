"""A network's training step and forward pass, as JAX functions of arrays that need not exist.

The step is the one that `archspec fit` runs on JAX: Keras's `train_step` of the built model, with
the recipe's optimizer, loss and precision, and the weights and the optimizer's state donated. Its
variables are never filled, so that a network of any size can be described on a small machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from archspec.data.task import TaskKind
from archspec.graph.graph import Graph
from archspec.keras_model.build import build
from archspec.keras_model.engine import dtype_policy
from archspec.recipe import compilation, task_choice
from archspec.recipe.sections import Named
from archspec.recipe.train import OF_INDICES, Recipe

FOR_MAPS: Final = Named.model_validate("sparse_categorical_crossentropy")
"""The loss of a map of classes: the classes of one-hot labels would be as large as the output."""

KINDS: Final[Mapping[str, TaskKind]] = {"softmax": "classification", "sigmoid": "multi_label"}
"""The task of a network whose recipe names no loss, by the function at its end."""


class Program(NamedTuple):
    """A function of arrays, described by their shapes."""

    name: str
    """`training` or `inference`."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    """Shapes and dtypes of the arguments, in the structure that the function takes."""
    donated: tuple[int, ...]
    """Positions of the arguments whose memory the function may reuse for what it returns."""
    names: Mapping[str, tuple[str, ...]]
    """Role and path of each variable, as `weights:conv1/kernel`, by the list that has it."""

    def zeros(self) -> tuple[Any, ...]:
        """Return arguments that are zeros."""
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        made: tuple[Any, ...] = jax.tree.map(
            lambda each: jax.numpy.zeros(each.shape, each.dtype), self.arguments
        )
        return made


@contextmanager
def training_step(keras: Any, graph: Graph, recipe: Recipe) -> Iterator[Program]:
    """Give the training step of a network, for as long as the block lasts.

    Args:
        keras: The keras module, on JAX.
        graph: The network, of known size.
        recipe: The recipe whose batch, precision, optimizer, loss and metrics it has.
    """
    recipe, kind = _with_loss(recipe, graph)
    # An optimizer creates its counters at once, which a scope without state refuses.
    optimizer = _optimizer(keras, recipe)
    with _described(keras, graph, recipe.precision) as model:
        y = _compile(keras, model, optimizer, recipe, kind, graph.loss_weights)
        variables = {
            "weights": model.trainable_variables,
            "statistics": model.non_trainable_variables,
            "optimizer": model.optimizer.variables,
            "metrics": model.metrics_variables,
        }
        state = tuple([_shape(each) for each in group] for group in variables.values())
        names = {
            f"state[{index}]": tuple(f"{role}:{_path(each, model)}" for each in group)
            for index, (role, group) in enumerate(variables.items())
        }
        data = (_batched(model.input, recipe.batch, "float32"), _batched(y, recipe.batch))
        yield Program("training", model.train_step, (state, data), (0,), names)


def compiled_model(keras: Any, graph: Graph, recipe: Recipe) -> tuple[Any, Any]:
    """Return the model of a network, compiled by a recipe, and the labels of one example.

    Its variables have values, as an engine needs that cannot describe a program by shapes alone.

    Args:
        keras: The keras module, on any engine.
        graph: The network, of known size.
        recipe: As in `training_step`.
    """
    recipe, kind = _with_loss(recipe, graph)
    with dtype_policy(keras, recipe.precision):
        model = build(graph)
        optimizer = _optimizer(keras, recipe)
        return model, _compile(keras, model, optimizer, recipe, kind, graph.loss_weights)


def _with_loss(recipe: Recipe, graph: Graph) -> tuple[Recipe, TaskKind]:
    """Return a recipe that names a loss, and the task."""
    kind = _task(recipe, graph)
    if recipe.loss is None:
        dense = any(graph.nodes[index].shape.rank > 1 for index in graph.outputs.values())
        chosen = FOR_MAPS if kind == "classification" and dense else task_choice.LOSSES[kind]
        recipe = recipe.model_copy(update={"loss": chosen})
    return recipe, kind


def _optimizer(keras: Any, recipe: Recipe) -> Any:
    optimizer = compilation.optimizer(keras, recipe, 1)
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _compile(
    keras: Any,
    model: Any,
    optimizer: Any,
    recipe: Recipe,
    kind: TaskKind,
    loss_weights: Mapping[str, float],
) -> Any:
    """Compile a model, create all variables of its training, and return one example's labels."""
    objective = compilation.objective(keras, recipe, model, loss_weights, kind)
    model.compile(
        optimizer,
        loss=objective.loss,
        loss_weights=objective.loss_weights,
        metrics=objective.metrics,
    )
    optimizer.build(model.trainable_variables)
    by_index = kind == "classification" and recipe.chosen_loss.name in OF_INDICES

    def labels(_: str, output: Any) -> Any:
        shape = output.shape[1:-1] if by_index else output.shape[1:]
        return keras.ops.zeros((1, *shape), "int32" if by_index else "float32")

    def predictions(_: str, output: Any) -> Any:
        return keras.ops.full((1, *output.shape[1:]), 1 / output.shape[-1])

    y = compilation.for_outputs(model, labels)
    # The metrics' variables are created by their first use.
    model.compute_loss(y=y, y_pred=compilation.for_outputs(model, predictions))
    model.compute_metrics(None, y, compilation.for_outputs(model, predictions))
    return y


@contextmanager
def forward_pass(keras: Any, graph: Graph, batch: int, precision: str) -> Iterator[Program]:
    """Give the forward pass of a network in inference, for as long as the block lasts.

    Args:
        keras: The keras module, on JAX.
        graph: The network, of known size.
        batch: Examples of a pass.
        precision: Keras dtype policy.
    """
    with _described(keras, graph, precision) as model:

        def predict(trained: Any, others: Any, x: Any) -> Any:
            outputs, _ = model.stateless_call(trained, others, x, training=False)
            return outputs

        groups = {"trained": model.trainable_variables, "others": model.non_trainable_variables}
        weights = ([_shape(each) for each in group] for group in groups.values())
        names = {
            name: tuple(f"weights:{_path(each, model)}" for each in group)
            for name, group in groups.items()
        }
        yield Program(
            "inference", predict, (*weights, _batched(model.input, batch, "float32")), (), names
        )


@contextmanager
def _described(keras: Any, graph: Graph, precision: str) -> Iterator[Any]:
    """Give the model of a network; its variables have shapes, and no values while this lasts."""
    with dtype_policy(keras, precision), keras.StatelessScope():
        try:
            yield build(graph)
        finally:
            # A scope that ends fills the variables of the session that were created in it.
            keras.backend.clear_session(free_memory=False)


def _task(recipe: Recipe, graph: Graph) -> TaskKind:
    """Return the task of a network, from the recipe's loss or the function at the main end."""
    if recipe.loss is not None:
        name = recipe.loss.name
        if name in task_choice.OF_CLASSES:
            return "classification"
        return "multi_label" if name in task_choice.OF_YES_AND_NO else "regression"
    end = next(iter(task_choice.endings(graph).values()))
    if end.function == "linear":
        return "classification" if end.shape.channels > 1 else "regression"
    return KINDS.get(end.function, "regression")


def _path(variable: Any, model: Any) -> str:
    """Return the path of a variable, which begins with its layer; so does that of its state.

    An optimizer calls the state of `conv1/kernel` by one word: `sgd/conv1_kernel_momentum`.
    """
    path = str(variable.path)
    inner = path.rpartition("/")[2]
    for weight in model.trainable_variables:
        if inner.startswith(str(weight.path).replace("/", "_") + "_"):
            return f"{weight.path}/{inner}"
    return path


def _shape(variable: Any) -> Any:
    import jax  # noqa: PLC0415  (loaded already, by Keras)

    return jax.ShapeDtypeStruct(tuple(variable.shape), variable.dtype)


def _batched(tensors: Any, batch: int, dtype: str | None = None) -> Any:
    """Return the shapes of tensors of a batch; their dtypes, where no other is given."""
    import jax  # noqa: PLC0415

    return jax.tree.map(
        lambda each: jax.ShapeDtypeStruct((batch, *each.shape[1:]), dtype or each.dtype), tensors
    )

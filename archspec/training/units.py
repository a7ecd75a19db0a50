"""Gradients, dead and saturated units of each layer, measured between two epochs.

The images are the same each time. The network is left as it was, so that `watch_units` does not
change the result of a training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from archspec.cost.report import Report
from archspec.data.dataset import Subset
from archspec.errors import Problem, RecipeError
from archspec.keras_model.verify import last_calls
from archspec.lazy import np
from archspec.recipe import compilation
from archspec.recipe.train import Recipe
from archspec.runs import checkpoints
from archspec.runs.units import LayerMeasures
from archspec.training import gradients
from archspec.training.activity import BOUNDS, DYING, dead, function_of, linear_range
from archspec.training.distribution import Devices

if TYPE_CHECKING:
    from archspec.training.session import Session

MOST: Final = 2_048
"""Largest number of images to measure units on, evenly spread over the part."""


def check(recipe: Recipe, devices: Devices) -> None:
    """Raise `RecipeError` if a recipe has `watch_units` and several devices."""
    if recipe.watch_units and devices.count > 1:
        message = f"`watch_units` works on one device, not on {devices.count}"
        hint = "leave out `devices`, or `watch_units`"
        raise RecipeError([(("watch_units",), Problem("value", message, help=hint))])


def of(session: Session) -> Units | None:
    """Return `Units` of a session's network as compiled now; None without `watch_units`."""
    return Units(session) if session.recipe.watch_units else None


class Units:
    """Measures of a session's network between two epochs."""

    def __init__(self, session: Session) -> None:
        keras, model = session.keras, session.model
        jit = compilation.jit(keras, session.recipe, model)
        self._keras, self._model = keras, model
        self._rows = Report(session.plan.graph, session.plan.spec).rows()
        nodes = session.plan.graph.nodes
        calls = last_calls(session.plan.graph, model)
        self._layers = [call.layer for call in calls]
        # It shares the network's layers, but not what Keras compiles.
        self._learning = keras.Model(model.input, model.output)
        self._learning.compile(
            gradients.norm_optimizer(keras),
            loss=session.objective.loss,
            loss_weights=session.objective.loss_weights,
            jit_compile=jit,
            auto_scale_loss=False,
        )
        train, validation = session.data.train, session.data.validation
        self._batch = session.train.looking_at(_spread(train, session.recipe.batch))
        self._images = session.train.looking_at(_spread(validation or train, MOST))
        functions = (function_of(node.op) for node in nodes)
        self._watched = {
            index: function
            for index, function in enumerate(functions)
            if function in DYING or function in BOUNDS
        }
        self._acting = None
        if self._watched:
            reduced = [
                _reduced(keras, function, calls[index].outputs[0])
                for index, function in self._watched.items()
            ]
            self._acting = keras.Model(model.input, reduced)
            if jit != "auto":  # Keras resolves "auto" itself, but not if it is set here
                self._acting.jit_compile = jit

    def measure(self) -> LayerMeasures:
        """Return each layer's gradient norm and shares of dead and saturated units.

        A layer and its activation are one, as in the table of `probe`.
        """
        x, y, *_ = self._batch.batch_at(1, 0)
        with self._unchanged():
            _, norms = gradients.measure(self._keras, self._learning, x, y)
        stuck = self._stuck()
        measured: LayerMeasures = {}
        for row in self._rows:
            inside = [
                gradients.of_layer(norms, each) for each in self._layers[row.start : row.stop]
            ]
            known = [norm for norm in inside if norm is not None]
            last = row.stop - 1
            function = self._watched.get(last)
            if known or function:
                measured[row.path] = {
                    "gradient": math.hypot(*known) if known else None,
                    "dead": stuck[last] if function in DYING else None,
                    "saturated": stuck[last] if function in BOUNDS else None,
                }
        return measured

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Restore the moving averages of norms, and the random numbers, at the end."""
        convert = self._keras.ops.convert_to_numpy
        variables = self._model.non_trainable_variables
        values = [convert(variable).copy() for variable in variables]  # torch's share memory
        states = checkpoints.random_state(self._keras)
        states = {name: array.copy() for name, array in states.items()}
        try:
            yield
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            checkpoints.restore_random_state(states)

    def _stuck(self) -> dict[int, float]:
        """Return the share of dead units or saturated outputs of each activation, by its node."""
        if self._acting is None:
            return {}
        feed = self._images
        parts: list[list[Any]] = [[] for _ in self._watched]
        for step in range(feed.steps):
            images = feed.batch_at(1, step)[0]
            count = len(images)
            if count < feed.batch:  # another number would make the backends compile again
                images = np.concatenate([images, np.repeat(images[:1], feed.batch - count, axis=0)])
            outputs = self._acting.predict_on_batch(images)
            outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
            for part, values in zip(parts, outputs, strict=True):
                part.append(np.asarray(values, np.float32)[:count])
        shares = {}
        for (index, function), part in zip(self._watched.items(), parts, strict=True):
            values = np.concatenate(part)
            is_dying = function in DYING
            shares[index] = dead(values.max(axis=0)) if is_dying else float(values.mean())
        return shares


def _reduced(keras: Any, function: str, output: Any) -> Any:
    """Return the largest outputs (images, units), or for tanh and the like, saturated shares."""
    ops = keras.ops
    if function in DYING:
        places = tuple(range(1, len(output.shape) - 1))
        return ops.max(output, axis=places) if places else output
    low, high = linear_range(function)
    beyond = ops.cast(ops.logical_or(output < low, output > high), "float32")
    return ops.mean(ops.reshape(beyond, (-1, math.prod(output.shape[1:]))), axis=1, keepdims=True)


def _spread(part: Subset, most: int) -> Subset:
    """Return at most `most` images, evenly spread over a part."""
    places = np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(int))
    return Subset(part.pixels, part.indices[places], part.labels[places])

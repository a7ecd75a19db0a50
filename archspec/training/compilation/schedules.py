"""Recipe -> the learning rate of each step, as Keras's optimisers take it.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
"""

from __future__ import annotations

from typing import Any

from archspec.diagnostics import Problem
from archspec.spec.document import Path
from archspec.training.compilation.families import SCHEDULES
from archspec.training.recipe.mistakes import RecipeError
from archspec.training.recipe.parts import Named
from archspec.training.recipe.recipe import Recipe

SAYS_A_RATE = ("initial_learning_rate", "values")
"""Arguments of Keras's schedules that are learning rates."""


def check(recipe: Recipe) -> None:
    """Raise `RecipeError` where a recipe says a learning rate, or a warm-up, twice."""
    schedule, said = recipe.schedule, innermost(recipe.optimizer).arguments.get("learning_rate")
    twice: list[tuple[Path, str]] = []
    if schedule is not None and isinstance(said, (str, dict)):
        twice.append((("schedule",), "`optimizer` has a schedule of its learning rate already"))
    if schedule is not None and schedule.keras is not None:
        named = schedule.keras
        path = ("schedule", named.name)
        thaws = recipe.transfer.unfreeze if recipe.transfer else ()
        for argument in filter(named.arguments.__contains__, SAYS_A_RATE):
            if said is not None:
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
                (place, Problem("value", message, help="say it in one place"))
                for place, message in twice
            ]
        )


def innermost(optimizer: Named) -> Named:
    """The optimiser that a recipe's wraps, or else that itself."""
    inner = optimizer.arguments.get("inner_optimizer")
    return optimizer if inner is None else Named.model_validate(inner)


def rate(
    keras: Any,
    recipe: Recipe,
    peak: Any,
    *,
    steps_per_epoch: int,
    steps_per_update: int,
) -> Any:
    """What an optimiser is to take for `peak`, its learning rate: a number or a schedule.

    Keras counts steps also where it gathers the gradients of several for one update; its own
    schedules are given updates.
    """
    from archspec.emit.schedules import Paced, Warmup  # noqa: PLC0415  (it imports Keras)

    schedules = keras.optimizers.schedules
    schedule = recipe.schedule
    warmup = recipe.warmup * steps_per_epoch
    found = peak
    if schedule is not None and schedule.keras is not None:
        found = SCHEDULES.make(keras, schedule.keras, ("schedule",), initial_learning_rate=peak)
    if callable(found):
        if steps_per_update > 1:
            found = Paced(found, every=steps_per_update)
    elif schedule is not None and schedule.cosine is not None:
        found = schedules.CosineDecay(
            peak,
            decay_steps=max(1, recipe.epochs - recipe.warmup) * steps_per_epoch,
            warmup_target=peak if warmup else None,  # which it is from the first step on
            warmup_steps=warmup,
        )
    elif schedule is not None and schedule.step is not None:
        at = sorted(set(schedule.step.at))
        found = schedules.PiecewiseConstantDecay(
            # Keras's boundary is the last step of the old rate; steps count from 0.
            [epoch * steps_per_epoch - 1 for epoch in at],
            [peak * schedule.step.factor**n for n in range(len(at) + 1)],
        )
    elif schedule is not None:
        return found  # a plateau's callbacks change it, which no schedule of Keras's allows
    return Warmup(found, warmup) if warmup else found


def callbacks(
    keras: Any, recipe: Recipe, peak: float, *, steps_per_update: int, monitor: str
) -> list[Any]:
    """Callbacks that change the learning rate between epochs: a plateau's, and its warm-up's."""
    plateau = recipe.schedule.plateau if recipe.schedule else None
    if plateau is None:
        return []
    said = plateau.model_dump()
    lower = keras.callbacks.ReduceLROnPlateau(**{"monitor": monitor, **said})
    return (
        [lower, _rise(keras, recipe.warmup, peak, steps_per_update)] if recipe.warmup else [lower]
    )


def _rise(keras: Any, warmup: int, peak: float, steps_per_update: int) -> Any:
    """A callback that gives each epoch of a warm-up the mean rate of a line.

    It counts the optimiser's epochs, because a run may be resumed and an optimiser begin anew.
    """

    class Rise(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            optimizer = self.model.optimizer
            steps = int(keras.ops.convert_to_numpy(optimizer.iterations)) * steps_per_update
            done = round(steps / self.params["steps"])
            if done <= warmup:
                optimizer.learning_rate = peak * min(1.0, (done + 0.5) / warmup)

    return Rise()

"""Recipe -> the learning rate of each step, as Keras's optimizers take it.

Every function gets the `keras` module as an argument, so importing this one costs nothing.
"""

from __future__ import annotations

from typing import Any

from archspec.recipe.families import SCHEDULES
from archspec.recipe.objects import make_object
from archspec.recipe.train import Recipe


def learning_rate(
    keras: Any,
    recipe: Recipe,
    peak: Any,
    *,
    steps_per_epoch: int,
    steps_per_update: int,
) -> Any:
    """Return the optimizer's learning rate, whose highest is `peak`: a number or a schedule.

    Keras counts steps even where it accumulates gradients of several for an update; its own
    schedules get updates.
    """
    from archspec.keras_model.schedules import Paced, Warmup  # noqa: PLC0415  (it imports Keras)

    schedules = keras.optimizers.schedules
    schedule = recipe.schedule
    warmup = recipe.warmup * steps_per_epoch
    rate = peak
    if schedule is not None and schedule.keras is not None:
        rate = make_object(
            keras, SCHEDULES, schedule.keras, ("schedule",), initial_learning_rate=peak
        )
    if callable(rate):
        if steps_per_update > 1:
            rate = Paced(rate, every=steps_per_update)
    elif schedule is not None and schedule.cosine is not None:
        rate = schedules.CosineDecay(
            peak,
            decay_steps=max(1, recipe.epochs - recipe.warmup) * steps_per_epoch,
            warmup_target=peak if warmup else None,  # which it is from the first step on
            warmup_steps=warmup,
        )
    elif schedule is not None and schedule.step is not None:
        at = sorted(set(schedule.step.at))
        rate = schedules.PiecewiseConstantDecay(
            # Keras's boundary is the last step of the old rate; steps count from 0.
            [epoch * steps_per_epoch - 1 for epoch in at],
            [peak * schedule.step.factor**n for n in range(len(at) + 1)],
        )
    elif schedule is not None:
        return (
            rate  # a plateau's callbacks change it, which is impossible with a schedule of Keras's
        )
    return Warmup(rate, warmup) if warmup else rate


def callbacks(
    keras: Any, recipe: Recipe, peak: float, *, steps_per_update: int, monitor: str
) -> list[Any]:
    """Return the callbacks that change the learning rate between epochs: for a plateau only."""
    plateau = recipe.schedule.plateau if recipe.schedule else None
    if plateau is None:
        return []
    lower = _lower(keras, recipe.warmup, {"monitor": monitor, **plateau.model_dump()})
    return (
        [lower, _rise(keras, recipe.warmup, peak, steps_per_update)] if recipe.warmup else [lower]
    )


def _lower(keras: Any, warmup: int, arguments: dict[str, Any]) -> Any:
    """Return Keras's callback for a plateau, with cooldowns as long as in the recipe.

    Keras counts the last epoch of a cooldown as one without progress. A warm-up is a cooldown, too.
    """

    class Lower(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            self.cooldown_counter = _keras_cooldown(warmup)

    return Lower(**{**arguments, "cooldown": _keras_cooldown(arguments["cooldown"])})


def _keras_cooldown(epochs: int) -> int:
    return epochs + 1 if epochs else 0


def _rise(keras: Any, warmup: int, peak: float, steps_per_update: int) -> Any:
    """Return a callback that sets the mean rate of a linear rise in each epoch of a warm-up.

    It counts the optimizer's epochs, because a stage of transfer starts a new optimizer.
    """

    class Rise(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            optimizer = self.model.optimizer
            steps = int(keras.ops.convert_to_numpy(optimizer.iterations)) * steps_per_update
            done = round(steps / self.params["steps"])
            if done <= warmup:
                optimizer.learning_rate = peak * min(1.0, (done + 0.5) / warmup)

    return Rise()

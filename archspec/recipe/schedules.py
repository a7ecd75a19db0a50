"""Recipe -> the learning rate of each step, as Keras's optimizers take it.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
"""

from __future__ import annotations

from typing import Any

from archspec.recipe.families import SCHEDULES
from archspec.recipe.train import Recipe


def rate(
    keras: Any,
    recipe: Recipe,
    peak: Any,
    *,
    steps_per_epoch: int,
    steps_per_update: int,
) -> Any:
    """What an optimizer is to take for `peak`, its learning rate: a number or a schedule.

    Keras counts steps also where it gathers the gradients of several for one update; its own
    schedules are given updates.
    """
    from archspec.keras_model.schedules import Paced, Warmup  # noqa: PLC0415  (it imports Keras)

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
    lower = _lower(keras, recipe.warmup, {"monitor": monitor, **plateau.model_dump()})
    return (
        [lower, _rise(keras, recipe.warmup, peak, steps_per_update)] if recipe.warmup else [lower]
    )


def _lower(keras: Any, warmup: int, said: dict[str, Any]) -> Any:
    """Keras's callback for a plateau, its cooldowns as long as the recipe says.

    Keras counts the last epoch of a cooldown as one without progress. A warm-up is a cooldown, too.
    """

    class Lower(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            self.cooldown_counter = _keras_cooldown(warmup)

    return Lower(**{**said, "cooldown": _keras_cooldown(said["cooldown"])})


def _keras_cooldown(epochs: int) -> int:
    return epochs + 1 if epochs else 0


def _rise(keras: Any, warmup: int, peak: float, steps_per_update: int) -> Any:
    """A callback that gives each epoch of a warm-up the mean rate of a line.

    It counts the optimizer's epochs, because a run may be resumed and an optimizer begin anew.
    """

    class Rise(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            optimizer = self.model.optimizer
            steps = int(keras.ops.convert_to_numpy(optimizer.iterations)) * steps_per_update
            done = round(steps / self.params["steps"])
            if done <= warmup:
                optimizer.learning_rate = peak * min(1.0, (done + 0.5) / warmup)

    return Rise()

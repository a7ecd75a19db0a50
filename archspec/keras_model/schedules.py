"""Learning-rate schedules that Keras lacks: a warm-up before another, and one that counts updates.

A saved model's optimizer contains its schedule. Importing this module imports Keras, and registers
the schedules with it, as `keras_model.layers` does for layers.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

register = keras.saving.register_keras_serializable(package="archspec")


class _Wrapping(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The base of schedules that change another one, or a constant."""

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        self.schedule = schedule

    def inner(self, step: Any) -> Any:
        """Return the wrapped schedule's rate."""
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return ops.cast(rate, "float32")

    def get_config(self) -> dict[str, Any]:
        return {"schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})


@register
class Warmup(_Wrapping):
    """A linear rise over `steps` to the rate that `schedule` has then; after it, `schedule`.

    No step has a rate of zero, by which some optimizers divide.
    """

    def __init__(self, schedule: Any, steps: int) -> None:
        super().__init__(schedule)
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        share = (ops.cast(step, "float32") + 1) / self.steps
        return ops.where(share < 1, self.inner(self.steps) * share, self.inner(step))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@register
class Paced(_Wrapping):
    """`schedule`, with one step for `every` steps of the optimizer."""

    def __init__(self, schedule: Any, every: int) -> None:
        super().__init__(schedule)
        self.every = every

    def __call__(self, step: Any) -> Any:
        return self.inner(ops.floor_divide(step, self.every))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "every": self.every}

"""What Keras's learning-rate schedules lack: a rise before any of them, and a count of updates.

Keras asks a schedule for the rate of each step; a saved model's optimizer holds its schedule, and
is loaded wherever archspec is imported. This module imports Keras, as `keras_model.layers` does.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

register = keras.saving.register_keras_serializable(package="archspec")


class _Wrapping(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A family: schedules of another one, or of a constant."""

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        self.schedule = schedule

    def inner(self, step: Any) -> Any:
        """The wrapped schedule's rate."""
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
    """A rise in a line from zero, over `steps`, to where `schedule` then is; after it, that.

    No step is taken at a rate of zero, by which some optimizers divide.
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
    """`schedule`, of which one step is `every` of the optimizer's."""

    def __init__(self, schedule: Any, every: int) -> None:
        super().__init__(schedule)
        self.every = every

    def __call__(self, step: Any) -> Any:
        return self.inner(ops.floor_divide(step, self.every))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "every": self.every}

"""A metric that Keras lacks: the error of numbers in the units that they had before scaling.

A saved model that is compiled contains its metrics. Importing this module imports Keras, and
registers the metric with it, as `keras_model.layers` does for layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

register = keras.saving.register_keras_serializable(package="archspec")


@register
class ScaledMeanAbsoluteError(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """Mean absolute error of numbers that are learnt in units of `deviation`, one for each."""

    def __init__(self, deviation: Sequence[float], name: str = "mae", dtype: Any = None) -> None:
        super().__init__(fn=_scaled_error, name=name, dtype=dtype, deviation=list(deviation))
        self.deviation = list(deviation)
        self._direction = "down"

    def get_config(self) -> dict[str, Any]:
        return {"deviation": self.deviation, "name": self.name, "dtype": self.dtype}


def _scaled_error(truth: Any, predicted: Any, deviation: Sequence[float]) -> Any:
    predicted = ops.convert_to_tensor(predicted)
    truth = ops.cast(truth, predicted.dtype)
    scale = ops.cast(ops.convert_to_tensor(deviation), predicted.dtype)
    return ops.mean(ops.abs(predicted - truth) * scale, axis=-1)

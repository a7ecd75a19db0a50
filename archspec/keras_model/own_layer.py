"""The base of the layers that Keras lacks, and their registration with Keras."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import keras

KerasShape: TypeAlias = tuple[Any, ...]
"""A shape as Keras has it: with the batch, which is None if it is open."""

register = keras.saving.register_keras_serializable(package="archspec")


class OwnLayer(keras.layers.Layer):
    """The base of layers that keep their arguments as attributes, and the input's shape."""

    arguments: ClassVar[tuple[str, ...]]

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.arguments}}

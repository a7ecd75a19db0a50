"""The base of the layers that Keras lacks, and their registration with Keras."""

from __future__ import annotations

from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import keras

T = TypeVar("T", bound=type)

KerasShape: TypeAlias = tuple[Any, ...]
"""A shape as Keras has it: with the batch, which is None if it is open."""

OWN: Final[dict[str, Any]] = {}
"""archspec's own layers and initializers, by the names of their classes."""


def register(cls: T) -> T:
    """Make a class one of archspec's own, which Keras then finds for a saved model."""
    OWN[cls.__name__] = cls
    registered: T = keras.saving.register_keras_serializable(package="archspec")(cls)
    return registered


class OwnLayer(keras.layers.Layer):
    """The base of layers that keep their arguments as attributes, and the input's shape."""

    arguments: ClassVar[tuple[str, ...]]

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.arguments}}

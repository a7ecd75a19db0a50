"""What the tests of `archspec.explain` share: small networks whose answers are known by hand."""

from typing import Any

import numpy as np

from archspec.explain.circuit import Circuit
from archspec.explain.subject import Subject, open_subject


def subject_of(model: Any) -> Subject:
    """A model as a subject that takes pixels as they are."""
    return open_subject(model, normalize="none")


def circuit_of(model: Any) -> Circuit:
    """A model as its calls."""
    return subject_of(model).circuit


def linear(keras: Any, shape: tuple[int, ...], classes: int = 3, seed: int = 0) -> Any:
    """A linear network, softmax at its end: scores are `pixels . weights`, without biases."""
    inputs = keras.Input(shape)
    flat = keras.layers.Flatten()(inputs)
    scores = keras.layers.Dense(classes, use_bias=False, name="fc")(flat)
    model = keras.Model(inputs, keras.layers.Softmax(name="shares")(scores))
    size = int(np.prod(shape))
    weights = np.random.default_rng(seed).normal(size=(size, classes)).astype(np.float32)
    model.get_layer("fc").set_weights([weights])
    return model


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random float32 pixels from 0 to 255."""
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype(np.float32)

"""Small networks whose answers are known by hand, and weights for any."""

from typing import Any

import numpy as np
from support.backends import drawn

from archspec.explain.attribution import MapRequest
from archspec.explain.circuit import Circuit
from archspec.explain.gradient import differentiated
from archspec.explain.subject import Subject, open_subject


def subject_of(model: Any) -> Subject:
    """A model as a subject that takes pixels as they are."""
    return open_subject(model, normalize="none")


def request(subject: Subject, pixels: Any, targets: Any, **given: Any) -> MapRequest:
    """Return a request for maps of images for classes."""
    return MapRequest(subject=subject, pixels=pixels, targets=targets, **given)


def circuit_of(model: Any) -> Circuit:
    """A model as its calls."""
    return subject_of(model).circuit


def linear(keras: Any, shape: tuple[int, ...], classes: int = 3) -> Any:
    """A linear network, softmax at its end: scores are `pixels . weights`, without biases."""
    inputs = keras.Input(shape)
    flat = keras.layers.Flatten()(inputs)
    scores = keras.layers.Dense(classes, use_bias=False, name="fc")(flat)
    model = keras.Model(inputs, keras.layers.Softmax(name="shares")(scores))
    size = int(np.prod(shape))
    weights = np.random.default_rng(0).normal(size=(size, classes)).astype(np.float32)
    model.get_layer("fc").set_weights([weights])
    return model


def relu_net(keras: Any, shape: tuple[int, ...], classes: int = 3, seed: int = 0) -> Any:
    """Convolutions, ReLUs, a pool that overlaps and dense layers, on images, signals or volumes."""
    rank = len(shape) - 1
    layers = keras.layers
    conv = getattr(layers, f"Conv{rank}D")
    pool = getattr(layers, f"MaxPooling{rank}D")
    inputs = keras.Input(shape)
    x = conv(6, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = pool(3, strides=2, padding="same", name="pool")(x)
    x = layers.ReLU(name="relu2")(conv(8, 3, padding="same", name="conv2")(x))
    x = layers.Dense(10, activation="relu", name="hidden")(layers.Flatten()(x))
    return seeded(
        keras.Model(inputs, layers.Dense(classes, activation="softmax", name="out")(x)), seed
    )


def seeded(model: Any, seed: int | np.random.Generator = 0) -> Any:
    """The same model with weights by NumPy: the same on every backend.

    Kernels are He's, biases and means small, scales and variances near 1: activations keep their
    size.
    """
    random = np.random.default_rng(seed)
    model.set_weights([drawn(weight, random).astype(np.float32) for weight in model.weights])
    return model


def randomized(model: Any, seed: int = 0) -> Any:
    """The same model with weights no two of which are alike."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.uniform(-1, 1, weight.shape) + (weight.name == "moving_variance"))
    return model


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random float32 pixels from 0 to 255."""
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype(np.float32)


def gradient(
    circuit: Circuit, score: Any, given: np.ndarray, *, watch: Any = (), relu: Any = "vanilla"
) -> np.ndarray:
    """The gradient of `score`, a function of a trace, by prepared images."""

    def function(x: Any) -> Any:
        return score(circuit.run(x, watch=watch, relu=relu)), ()

    return differentiated(circuit, function)(given)[0]

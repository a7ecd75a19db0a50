"""Cases of `support/backends.py`: what a class's score depends on."""

from typing import Any

import numpy as np
from support.networks import images, relu_net, request

from archspec import explain
from archspec.explain.attribution import ATTRIBUTIONS, class_gradients, maps_by
from archspec.explain.subject import open_subject

SHAPE = (12, 9, 3)


def every_method(keras: Any) -> dict[str, np.ndarray]:
    """The maps of all attribution methods, of images whose black pixels make ties."""
    subject = open_subject(relu_net(keras, SHAPE), normalize="unit")
    pixels = images(2, SHAPE)
    pixels[1, :6] = 0
    asked = request(subject, pixels, [0, 2], batch=16, seed=1)
    return {name: maps_by(name)(asked) for name in ATTRIBUTIONS}


def occlusion(keras: Any) -> dict[str, np.ndarray]:
    found = explain.occlusion(
        relu_net(keras, SHAPE), images(1, SHAPE), normalize="unit", patch=4, value="blurred"
    )
    return {item.name: item.values for item in found[0].items}


def segment(keras: Any) -> dict[str, np.ndarray]:
    found = explain.segment(relu_net(keras, SHAPE), images(1, SHAPE), normalize="unit")
    return {"mask": found[0].items[1].values}


def ties(keras: Any) -> dict[str, np.ndarray]:
    """Gradients by pixels that are exactly 0, where a ReLU has a kink and all of a pool are equal.

    Other kinks differ among the engines (see docs/explaining.md): leaky ReLU, `abs`, `celu`.
    """
    layers = keras.layers
    black = np.zeros((1, 4, 4, 1), np.float32)
    found = {}
    for layer in (layers.ReLU(), layers.MaxPooling2D(3, 2), layers.GlobalMaxPooling2D()):
        inputs = keras.Input((4, 4, 1))
        scores = layers.Dense(2, kernel_initializer="ones")(layers.Flatten()(layer(inputs)))
        subject = open_subject(keras.Model(inputs, scores), normalize="unit")
        found[type(layer).__name__] = class_gradients(subject, black, [0])
    return found


CASES = {"every method": every_method, "occlusion": occlusion, "segment": segment, "ties": ties}

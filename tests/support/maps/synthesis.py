"""Cases of `support/backends.py`: images that a search makes, after a number of steps."""

from typing import Any

import numpy as np
from support.networks import images, relu_net

from archspec import explain

SHAPE = (12, 9, 3)


def maximize(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.maximize(
        relu_net(keras, SHAPE), normalize="unit", steps=20, jitter=2, blur=0.5
    )
    return {exhibit.name: exhibit.items[0].values for exhibit in gallery}


def invert(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.invert(
        relu_net(keras, SHAPE),
        images(2, SHAPE),
        layer=["conv1", "hidden"],
        normalize="unit",
        steps=20,
        tv=0.01,
        beta=1.0,
    )
    return {
        f"{exhibit.name}, {item.title}": item.values
        for exhibit in gallery
        for item in exhibit.items
    }


def fool(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.fool(relu_net(keras, SHAPE), images(2, SHAPE), normalize="unit", steps=3)
    return {
        f"{exhibit.name}, {item.name}": item.values
        for exhibit in gallery
        for item in exhibit.items
        if item.name in {"fooled", "random"}
    }


CASES = {"maximize": maximize, "invert": invert, "fool": fool}

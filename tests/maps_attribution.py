"""Cases of `backends.py`: what a class's score depends on."""

from typing import Any

import numpy as np
from explaining import images, relu_net

from archspec import explain

SHAPE = (12, 9, 3)


def saliency(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.saliency(relu_net(keras, SHAPE), images(3, SHAPE), normalize="unit")
    return {exhibit.name: exhibit.items[1].values for exhibit in gallery}


CASES = {"saliency": saliency}

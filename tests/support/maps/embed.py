"""Cases of `support/backends.py`: images on a plane."""

from typing import Any

import numpy as np
from support.networks import images, relu_net

from archspec import explain

SHAPE = (8, 8, 1)


def places(keras: Any) -> dict[str, np.ndarray]:
    """The first two principal components of the features of 40 images."""
    gallery = explain.embed(
        relu_net(keras, SHAPE), images(40, SHAPE), normalize="unit", tsne="none", k=5
    )
    _, table = gallery[1].items
    return {"pca": np.array([row[-2:] for row in table.rows])}


CASES = {"places": places}

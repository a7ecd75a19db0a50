"""Cases of `support/backends.py`: activations of layers, their dead units, their kernels."""

from typing import Any

import numpy as np
from support.networks import images, relu_net

from archspec import explain

SHAPE = (12, 9, 3)


def activations(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.activations(
        relu_net(keras, SHAPE), images(5, SHAPE), dead=True, batch=2, normalize="unit"
    )
    *shown, units = gallery
    maps = {
        f"{exhibit.name}-{item.name}": item.values
        for exhibit in shown
        for item in exhibit.items[1:]
    }
    table = units.items[1]
    for column in ("largest", "share of units dead"):
        at = table.columns.index(column)
        maps[column] = np.array([row[at] for row in table.rows], np.float32)
    return maps


def filters(keras: Any) -> dict[str, np.ndarray]:
    gallery = explain.filters(relu_net(keras, SHAPE), normalize="unit")
    likeness = [row[3] for exhibit in gallery[:3] for row in exhibit.items[1].rows]
    shown = {exhibit.name: exhibit.items[0].values for exhibit in gallery}
    return {**shown, "likeness": np.array(likeness)}


CASES = {"activations": activations, "filters": filters}

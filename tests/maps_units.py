"""Cases of `backends.py`: what layers put out, and which of their units are dead."""

from typing import Any

import numpy as np
from explaining import images, relu_net

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


CASES = {"activations": activations}

"""Curves of `invariance`, for `test_backends.py`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from support.networks import images, relu_net

from archspec import explain


def invariance(keras: Any) -> Mapping[str, Any]:
    gallery = explain.invariance(
        relu_net(keras, (8, 10, 1)),
        images(12, (8, 10, 1)),
        by=["translation", "rotation", "noise"],
        steps=2,
        normalize="unit",
    )
    return {each.name: np.array(each.items[2].rows) for each in gallery}


CASES = {"invariance": invariance}

"""Maps that a file flattens in another order of their axes than archspec does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def in_order(array: Any, maps: Sequence[int], order: Sequence[int]) -> Any:
    """Return an array whose first axis goes over flattened maps, in archspec's order.

    The rows of a dense layer's kernel after a Flatten, or the numbers of a normalisation, are moved
    to where archspec's Flatten puts their values.

    Args:
        array: The array, as the file has it.
        maps: The shape of the maps, channels last.
        order: The axes of the maps, from the slowest in the file to the fastest.

    Example:
        >>> in_order(np.arange(6), (3, 2), (1, 0)).tolist()
        [0, 3, 1, 4, 2, 5]
    """
    split = array.reshape(*(maps[axis] for axis in order), *array.shape[1:])
    back = [order.index(axis) for axis in range(len(order))]
    return split.transpose(*back, *range(len(order), split.ndim)).reshape(array.shape)

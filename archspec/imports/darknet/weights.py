"""The arrays of a `.weights` file: numbers in a row, in the order of the sections."""

from __future__ import annotations

import os
from math import prod
from typing import Any, NamedTuple

from archspec.errors import UsageError
from archspec.imports.limits import open_file
from archspec.imports.model import Arrays
from archspec.lazy import np


class Stored(NamedTuple):
    """An array of a `.weights` file, and where it goes."""

    node: str
    place: int
    """Its place among the weights of the node's op."""
    shape: tuple[int, ...]
    """The shape that it has in the file."""
    axes: tuple[int, ...]
    """The order of these axes in Keras's layout."""
    wanted: tuple[int, ...]
    """The shape of the op's weight."""


def arrays_of(path: str | os.PathLike[str], stored: list[Stored], unreadable: str) -> Arrays:
    """Return the arrays of a `.weights` file by node.

    Raises:
        UsageError: The file does not hold as many numbers as the network has.
    """
    if unreadable:
        raise UsageError(f"{path} cannot be read for a network with {unreadable}")
    need = sum(prod(each.shape) for each in stored)
    with open_file(path) as file:
        head = file.read(12)
        if len(head) < 12:
            raise UsageError(f"{path} is not a file of Darknet's weights: it has {len(head)} bytes")
        major, minor, _ = np.frombuffer(head, "<i4").tolist()
        # A count of the images seen in training, which once had 4 bytes.
        is_long = major * 10 + minor >= 2 and major < 1000 and minor < 1000
        file.read(8 if is_long else 4)
        content = file.read(4 * need + 4)
    if len(content) != 4 * need:
        count = f"more than {need:,}" if len(content) > 4 * need else f"{len(content) // 4:,}"
        raise UsageError(
            f"{path} does not belong to this network: it has {count} numbers, not {need:,}"
        )
    numbers = np.frombuffer(content, "<f4")
    arrays: dict[str, dict[int, Any]] = {}
    start = 0
    for node, place, shape, axes, wanted in stored:
        end = start + prod(shape)
        array = numbers[start:end].reshape(shape).transpose(axes).reshape(wanted)
        arrays.setdefault(node, {})[place] = array
        start = end
    return {node: [places[i] for i in sorted(places)] for node, places in arrays.items()}

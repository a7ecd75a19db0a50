"""Tables of relative positions and masks of windows, found in what exporters add to scores.

Attention within a window adds a learned number to each score, by head and by the way from the query
to the key (Liu et al. 2021, arXiv:2103.14030, equation 4). Exporters write the numbers out for all
pairs of positions: a window of 7x7 has 169 ways, and 2,401 pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import isqrt, prod
from typing import Any

from archspec.graph.graph import Node
from archspec.imports.onnx.source import COMPUTED, FIXED, STORED, Constant, Step
from archspec.imports.onnx.trace import Trace, Value
from archspec.lazy import np
from archspec.ops.attention import RelativePositionBias, ShiftedWindowMask
from archspec.ops.shuffles import Roll

MOST_BETWEEN = 4
"""Largest number of steps between the offsets and the softmax."""

MOST_BEFORE = 16
"""Largest number of layers from a shift of the map to the scores of its windows."""

SCORES = ("windows", "heads", "queries", "keys")
"""The axes of scores within windows."""

LEAST_MASK = -100
"""Largest number that forbids: e^-100 is nothing beside the other scores in single precision."""


def relative_bias(
    t: Trace, step: Step, x: Value, constant: Constant, read: Callable[[], Any]
) -> Node | None:
    """Add the table from which offsets of scores follow; None where they follow from none.

    Scores are [..., heads, queries, keys]; `read` gives the offsets in archspec's order of axes.
    """
    shape = x.node.shape
    if constant.origin != COMPUTED or len(shape) < 3 or not _feeds_softmax(t, step):
        return None
    heads, positions = shape[-3], shape[-1]
    if shape[-2] != positions or constant.size != heads * positions**2:
        return None
    offsets = t.loaded(lambda: read().reshape(heads, positions, positions).transpose(1, 2, 0))
    if offsets is None:
        return None
    followed = constant.count != constant.size  # its sources are in the file
    level = bool((offsets == offsets.flat[0]).all())  # before the training
    for window in _windows(positions):
        if level and (len(window) != 2 or window[0] != window[1]):
            continue
        if followed and _distances(window) * heads != constant.count:
            continue
        table = _table(offsets, window)
        if table is not None:
            if not followed:
                t.note("positions")
            learned = replace(constant, origin=STORED)
            op = RelativePositionBias(window=window)
            return t.add(step, op, x.node, constants=[learned], weights=[table.view])
    return None


def shifted_window_mask(
    t: Trace, step: Step, x: Value, constant: Constant, read: Callable[[], Any]
) -> Node | None:
    """Add the mask of windows that were shifted, if an array that is added to scores is that.

    The array is 0, and one number of -100 or less for places that only the shift made neighbours.
    (Liu et al. 2021, arXiv:2103.14030, figure 4) Scores are [windows, heads, queries, keys];
    `read` gives the array in archspec's order of axes.
    """
    shape = x.node.shape
    rolled = _rolled_before(t, x.node) if len(shape) == len(SCORES) else None
    if rolled is None or not isinstance(rolled.op, Roll) or not _feeds_softmax(t, step):
        return None
    windows, _, positions, _ = shape
    extent, shift = rolled.shape.spatial, [-by for by in rolled.op.steps(rolled.shape)]
    if constant.size != windows * positions**2 or min(shift) < 0:
        return None
    array = t.loaded(lambda: read().reshape(windows, positions, positions))
    if array is None:
        return None
    for window in _windows(positions):
        axes = [*zip(extent, window, shift, strict=False)]
        if len(window) != len(extent) or any(n % own or by >= own for n, own, by in axes):
            continue
        if _forbids(array, axes):
            if array.min() > float("-inf"):
                t.note("finite masks")
            t.used.update((constant.name, *constant.others))
            op = ShiftedWindowMask(extent=tuple(extent), window=window, shift=tuple(shift))
            return t.add(step, op, x.node)
    return None


def _rolled_before(t: Trace, node: Node) -> Node | None:
    """Return the cyclic shift of a map before the queries of scores."""
    for _ in range(MOST_BEFORE):
        if isinstance(node.op, Roll):
            return node
        if not node.inputs:
            return None
        node = t.nodes[node.inputs[0]]
    return None


def _forbids(array: Any, axes: Sequence[tuple[int, int, int]]) -> bool:
    """Whether a mask forbids the pairs of places that a shift alone made neighbours.

    Args:
        array: The mask, [windows, queries, keys].
        axes: Extent of the map, that of a window, and the shift along each axis.
    """
    counts, extents = [n // own for n, own, _ in axes], [own for _, own, _ in axes]
    places = np.indices((*counts, *extents)).reshape(2 * len(axes), len(array), -1)
    alike = np.ones(array.shape, bool)
    for number, (extent, window, shift) in enumerate(axes):
        moved = places[number] * window + places[number + len(axes)] >= extent - shift
        alike &= moved[:, :, None] == moved[:, None]
    lowest = array.min()
    return bool(lowest <= LEAST_MASK and ((array == 0) == alike).all()) and bool(
        ((array == lowest) == ~alike).all()
    )


def is_mask(t: Trace, step: Step, constant: Constant) -> bool:
    """Whether an array that is added to scores only forbids some: 0, and one number below."""
    if constant.origin == FIXED or constant.size < 2 or not _feeds_softmax(t, step):
        return False
    array = t.loaded(constant.load)
    if array is None:
        return False
    lowest = array.min(initial=0)
    return bool(lowest < 0 and ((array == 0) | (array == lowest)).all())


def _feeds_softmax(t: Trace, step: Step) -> bool:
    """Whether nothing but masks and changes of shape stand between a step and a softmax."""
    following: Step | None = step
    for _ in range(MOST_BETWEEN):
        following = t.only_user(following.outputs[0]) if following is not None else None
        if following is None or following.op == "Softmax":
            return following is not None
        if following.op not in ("Add", "Cast", "Identity", "Reshape", "Unsqueeze"):
            return False
    return False


def _windows(positions: int) -> Iterator[tuple[int, ...]]:
    """Yield the extents of windows with so many positions, the squarest first."""
    for side in range(isqrt(positions), 1, -1):
        if positions % side == 0:
            yield side, positions // side
            if side**2 != positions:
                yield positions // side, side
    yield (positions,)


def _distances(window: tuple[int, ...]) -> int:
    """Return the number of distances that two positions of a window can have."""
    return prod(2 * extent - 1 for extent in window)


def _table(offsets: Any, window: tuple[int, ...]) -> Any:
    """Return the table of offsets, [queries, keys, heads]; None if they depend on more.

    Rows are in the order of `RelativePositionBias`: the distance along the last axis is fastest.
    """
    places = np.indices(window).reshape(len(window), -1)
    rows = np.zeros(offsets.shape[:2], "int64")
    for place, extent in zip(places, window, strict=True):
        rows = rows * (2 * extent - 1) + place[:, None] - place[None, :] + extent - 1
    table = np.zeros((_distances(window), offsets.shape[-1]), "float32")
    table[rows] = offsets
    return table if np.array_equal(table[rows], offsets) else None

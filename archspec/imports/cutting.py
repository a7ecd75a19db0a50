"""Slices as TensorFlow writes them, with a start and a stop for each axis, as archspec's ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.ops.arrangement import Crop, Slice
from archspec.ops.axes import names_of_axes
from archspec.ops.op import Op
from archspec.ops.shape import Shape


def cutting(
    x: Shape, starts: Sequence[int], stops: Sequence[int | None]
) -> tuple[type[Op] | None, dict[str, Any]] | None:
    """Return the op that cuts a map, and its arguments.

    Args:
        x: The map's shape.
        starts: The first place along each axis, the batch among them; below 0 from the end.
        stops: The place after the last along each axis; None for its end.

    Returns:
        A slice of one axis, or a crop of several spatial ones; no op where nothing is cut off.
        None where archspec has no op for it.

    Example:
        >>> cutting(Shape((8, 8, 3)), [0, 0, 0, 1], [None, None, None, 2])
        (<class 'archspec.ops.arrangement.Slice'>, {'start': 1, 'stop': 2})
    """
    cuts: dict[int, tuple[int, int | None]] = {}
    for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if place > len(x):
            return None
        extent = x[place - 1] if place else None
        is_known = isinstance(extent, int)
        if (start < 0 or (stop or 0) < 0) and not is_known:
            return None
        first = start + extent if start < 0 and extent is not None else start
        last = stop + extent if stop is not None and stop < 0 and extent is not None else stop
        if last is not None and is_known and extent is not None and last >= extent:
            last = None
        if first or last is not None:
            cuts[place] = first, last
    if 0 in cuts:
        return None
    if not cuts:
        return None, {}
    names = names_of_axes(x)
    if len(cuts) == 1:
        ((place, (first, last)),) = cuts.items()
        arguments: dict[str, Any] = {"start": first} | ({} if last is None else {"stop": last})
        if place <= x.rank:
            arguments["axis"] = names[place - 1]
        return Slice, arguments
    if len(x) in cuts or x.is_open:
        return None
    amounts = []
    for place, extent in enumerate(x.spatial, 1):
        first, last = cuts.get(place, (0, None))
        amounts.append((first, 0 if last is None else extent - last))
    return Crop, {"amount": tuple(amounts)}

"""Arguments of TensorFlow's operators as archspec's ops, for TFLite files and SavedModels alike.

Both have the same operators under other names. Axes are counted with the batch, which is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from archspec.imports.building import one_or_each
from archspec.ops.arrangement import Crop, Pad, PadChannels, Slice, Upsample
from archspec.ops.axes import Axis, names_of_axes
from archspec.ops.merge import Add, Divide, Multiply, Subtract
from archspec.ops.op import Op
from archspec.ops.resizing import Resize
from archspec.ops.shape import Shape

Call: TypeAlias = tuple[type[Op], dict[str, Any]]
"""An op's class and its arguments."""


def axis_name(axis: int, x: Shape) -> Axis | None:
    """Return the name of an axis that is counted with the batch; None for the batch."""
    place = axis + len(x) + 1 if axis < 0 else axis
    names = names_of_axes(x) if x else ()
    return names[place - 1] if 1 <= place <= len(names) else None


def are_all_places(axes: Sequence[int], x: Shape) -> bool:
    """Return whether axes are the spatial ones of a map, all of them."""
    rank = len(x) + 1
    return bool(x) and {axis % rank for axis in axes} == set(range(1, rank - 1))


def transposing(order: Sequence[int] | None, x: Shape) -> tuple[Axis, ...] | None:
    """Return the axes of a map in another order, without the batch; None if that moves."""
    if not x or not order or order[0] != 0 or sorted(order) != list(range(len(x) + 1)):
        return None
    names = names_of_axes(x)
    return tuple(names[place - 1] for place in order[1:])


def padding(x: Shape, amounts: Sequence[int] | None, mode: str = "") -> Call | str:
    """Return the op that pads a map; a clause that says why there is none.

    Args:
        x: The map's shape.
        amounts: The amounts before and after along each axis; None if they are not known.
        mode: The padding's mode, if it is not by zeros.

    Example:
        >>> padding(Shape((8, 8, 3)), [0, 0, 1, 1, 0, 2, 0, 0])
        (<class 'archspec.ops.arrangement.Pad'>, {'amount': ((1, 1), (0, 2))})
    """
    if not x or not amounts or len(amounts) != 2 * (len(x) + 1) or any(amounts[:2]):
        return "its amounts are not in the file"
    _, *places, channels = zip(amounts[::2], amounts[1::2], strict=True)
    if channels == (0, 0):
        return Pad, {"amount": tuple(places)} | ({"mode": mode} if mode else {})
    if any(map(any, places)) or channels[0] or mode:
        return "it pads channels before or beside places"
    return PadChannels, {"to": x.channels + channels[1]}


def resizing(x: Shape, to: Sequence[int], method: str) -> Call:
    """Return the op that resizes a map: an upsample where that repeats each value as often.

    Args:
        x: The map's shape.
        to: The extents along the spatial axes.
        method: `nearest` or `bilinear`.
    """
    pairs = list(zip(x.spatial, to, strict=True))
    if method == "nearest" and all(isinstance(a, int) and b % a == 0 for a, b in pairs):
        return Upsample, {"factor": one_or_each([b // a for a, b in pairs])}
    return Resize, {"to": one_or_each(to), "method": method}


def undilated(
    pads: Sequence[tuple[int, int]],
    crops: Sequence[int],
    kernel: Sequence[int],
    block: Sequence[int],
) -> Any:
    """Return the padding of a dilated convolution whose places stood in the batch.

    Args:
        pads: The amounts that are added along each axis before places go into the batch.
        crops: The amounts that are cut off, before and after along each axis, as they come back.
        kernel: The kernel's spatial extents.
        block: The dilation.

    Returns:
        The padding; None where more is cut off than was added, or the axes are not those.
    """
    if not len(pads) == len(kernel) == len(block) or len(crops) != 2 * len(pads):
        return None
    ends = zip(pads, crops[::2], crops[1::2], strict=True)
    sides = tuple((before - cut, after - end) for (before, after), cut, end in ends)
    if min(map(min, sides)) < 0:
        return None
    total = [(k - 1) * d for k, d in zip(kernel, block, strict=True)]
    if sides == tuple((each // 2, each - each // 2) for each in total):
        return "same"
    return sides if any(map(any, sides)) else "valid"


def rescaling(kind: type[Op], numbers: Sequence[float], *, is_first: bool) -> dict[str, Any] | None:
    """Return the arguments of the rescale that an operator with constants is; None for others.

    Args:
        kind: The op of two maps: `Add`, `Multiply` and so on.
        numbers: The constants, one or one for each channel.
        is_first: Whether they stand before the map.

    Example:
        >>> rescaling(Subtract, [1.0], is_first=True)
        {'scale': -1.0, 'offset': 1.0}
    """
    ones, zeros = [1.0] * len(numbers), [0.0] * len(numbers)
    if kind is Add:
        scale, offset = ones, list(numbers)
    elif kind is Multiply:
        scale, offset = list(numbers), zeros
    elif kind is Subtract and is_first:
        scale, offset = [-1.0] * len(numbers), list(numbers)
    elif kind is Subtract:
        scale, offset = ones, [-number for number in numbers]
    elif kind is Divide and not is_first and all(numbers):
        scale, offset = [1 / number for number in numbers], zeros
    else:
        return None
    return {"scale": one_or_each(scale), "offset": one_or_each(offset)} if numbers else None


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

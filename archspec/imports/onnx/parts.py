"""Operators that take a part of a value: Slice, Split, Gather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.imports.building import one_or_each
from archspec.imports.model import BATCH
from archspec.imports.onnx.activation import elementwise_on
from archspec.imports.onnx.extents import Cut, cuts_of, split_sizes
from archspec.imports.onnx.products import embedding
from archspec.imports.onnx.source import Step
from archspec.imports.onnx.trace import MOST_AXES, Handler, Trace, Unsupported, Value
from archspec.imports.onnx.view import View
from archspec.ops.arrangement import Crop, Slice
from archspec.ops.pooling import MaxPool


def cut_along(
    t: Trace, step: Step, x: Value | View, axis: int, start: int, stop: int
) -> Value | View:
    """Return the values from one place up to another along an axis of the file."""
    extent = x.dims[axis]
    if start == 0 and stop == extent:
        return x
    if isinstance(x, Value) and stop - start == 1 and not x.joined and not x.is_mixed:
        x = _of_split(t, step, x, axis) or x
    if isinstance(x, View):
        if len(x.groups[axis]) == 1 or x.width > MOST_AXES:
            return t.cut(step, x, axis, start, stop)
        x = t.laid(step, x)
    if x.axes[axis] < 0:
        raise Unsupported("it cuts the batch")
    x = t.straight(step, x)
    named = x.name_of(axis)
    more = {} if start == 0 else {"start": start}
    if stop != extent:
        more["stop"] = stop
    return replace(x, node=t.add(step, Slice(axis=named, **more), x.node))


def _of_split(t: Trace, step: Step, x: Value, axis: int) -> View | None:
    """Return a value whose axis is a part of what a reshape split as a view of that; or None."""
    view = t.split_before(step, x)
    parts = view.axes[axis] if view is not None else ()
    if view is None or len(parts) != 1 or parts[0].axis == BATCH:
        return None
    if len(view.split[parts[0].axis]) == 1:
        return None
    t.b.helpers.add(x.node.name)
    return view


def slice_(t: Trace, step: Step) -> None:
    x = t.seen(step)
    given = [t.constant(step, place) for place in range(5)]
    cuts = [
        cut
        for cut in cuts_of(step, given, x.dims)
        if (cut.start, cut.stop, cut.step) != (0, x.dims[cut.axis], 1)
    ]
    if any(cut.step < 1 for cut in cuts):
        raise Unsupported("it goes backwards")
    if isinstance(x, Value) and (op := _crop_of(x, cuts)) is not None:
        elementwise_on(t, step, x, op)
        return
    for cut in cuts:
        if cut.step == 1:
            x = cut_along(t, step, x, cut.axis, cut.start, cut.stop)
        else:
            x = _every(t, step, x, cut)
    t.keep(step, x)


def _crop_of(x: Value, cuts: Sequence[Cut]) -> Crop | None:
    """Return the op that cuts several spatial axes; None for other cuts."""
    places = [x.axes[cut.axis] for cut in cuts]
    if len(cuts) < 2 or len(x.node.shape) - 1 in places or any(cut.step != 1 for cut in cuts):
        return None
    if min(places) < 0:
        raise Unsupported("it cuts the batch")
    sides = [(0, 0)] * x.node.shape.rank
    for place, cut in zip(places, cuts, strict=True):
        sides[place] = (cut.start, x.dims[cut.axis] - cut.stop)
    return Crop(amount=tuple(sides))


def _every(t: Trace, step: Step, x: Value | View, cut: Cut) -> Value | View:
    """Return every second value, or third and so on, along an axis."""
    place = x.axes[cut.axis] if isinstance(x, Value) else -1
    if isinstance(x, Value) and not cut.start and 0 <= place < x.node.shape.rank:
        stride = [1] * x.node.shape.rank  # a pool of one place, as a shortcut's
        stride[place] = cut.step
        one_place = MaxPool(size=1, stride=one_or_each(stride))
        if cut.extent == -(-x.dims[cut.axis] // cut.step) and x.dims[cut.axis] % cut.step:
            return replace(x, node=t.add(step, one_place, x.node))
    view = t.view(step, x)
    dims, at = view.dims, cut.axis
    count, rest = divmod(dims[at], cut.step)
    if rest or cut.start >= cut.step or cut.extent != count:
        raise Unsupported("it takes every second value, but not to the end")
    parts = view.reshaped((*dims[:at], count, cut.step, *dims[at + 1 :]))
    if parts is None:
        raise Unsupported("it takes every second value of several axes")
    return without(t.cut(step, parts, at + 1, cut.start, cut.start + 1), at + 1)


def split(t: Trace, step: Step) -> None:
    x = t.seen(step)
    axis = x.at(step.get("axis", 0))
    sizes = split_sizes(step, [None, t.constant(step, 1)], x.dims[axis])
    if len(sizes) != len(step.outputs) or min(sizes) < 1 or sum(sizes) != x.dims[axis]:
        raise Unsupported("its parts do not make up the axis that it splits")
    start = 0
    for output, size in zip(step.outputs, sizes, strict=True):
        if output in t.users or output in t.source.outputs:
            t.values[output] = cut_along(t, step, x, axis, start, start + size)
        start += size


def gather(t: Trace, step: Step) -> None:
    if t.constant(step, 0) is not None:
        embedding(t, step)
        return
    x = t.seen(step)
    index = t.weight(step, 1, "index")
    axis = x.at(step.get("axis", 0))
    values = list(index.values or ())
    extent = x.dims[axis]
    if not values or not isinstance(extent, int):
        raise Unsupported("it picks values by numbers that are too many, or not known")
    first = values[0] % extent
    if values != list(range(values[0], values[0] + len(values))):
        raise Unsupported("it picks values that do not follow each other")
    y = cut_along(t, step, x, axis, first, first + len(values))
    if index.dims == ():
        y = without(y, axis)
    elif len(index.dims) > 1:
        y = t.reshaped(step, y, (*y.dims[:axis], *index.dims, *y.dims[axis + 1 :]))
    t.keep(step, y)


def without(x: Value | View, axis: int) -> Value | View:
    """Return a value without an axis of extent 1."""
    axes: Any = x.axes[:axis] + x.axes[axis + 1 :]
    return replace(x, axes=axes)


LAYERS: Final[dict[str, Handler]] = {
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
}
"""The function for each operator."""

"""Pools, and reductions along the places of maps."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

from archspec.imports.building import one_or_each
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.activation import elementwise_on
from archspec.imports.onnx.extents import axes_of
from archspec.imports.onnx.source import Step, is_one
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.imports.onnx.windows import along, last, padding_of, window_of
from archspec.ops.elementwise import Rescale
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, L2Pool, MaxPool


def pool(t: Trace, step: Step, kind: type[Any], **more: Any) -> None:
    x = t.value(step)
    if len(step.outputs) > 1 and step.outputs[1] in t.users:
        raise Unsupported("its places of maxima are read")
    step, order = _windowed(step, x)
    y = t.ordered(step, x, order)
    node, rank = y.node, len(order) - 1
    window = window_of(step, rank)
    if max(window.dilations) > 1:
        raise Unsupported("its window is dilated")
    padding = padding_of(step, node.shape.spatial, window)
    if more.get("count_padding") and padding == "same":
        pads = step.get("pads", [])
        pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
        padding = pairs or padding
        if all(before == after for before, after in pairs):
            padding = one_or_each([before for before, _ in pairs])
    if padding == "valid" or isinstance(padding, str):
        more.pop("count_padding", None)
    taps, strides = one_or_each(window.taps), one_or_each(window.strides)
    if taps == strides == 1 and padding == "valid":
        t.note("pool of one place")
        t.values[step.outputs[0]] = x
        return
    if strides != taps:
        more["stride"] = strides
    op = kind(size=taps, padding=padding, **more)
    if step.get("ceil_mode", 0) and padding != "same":
        rounded = kind(size=taps, padding=padding, ceil=True, **more)
        if rounded.output_shape(node.shape) != op.output_shape(node.shape):
            op = rounded
    elementwise_on(t, step, y, op)


def _windowed(step: Step, x: Value) -> tuple[Step, tuple[int, ...]]:
    """Return a step with a window, and the file's axes in archspec's order for it.

    JAX's windows have an extent along every axis: `jax2onnx` puts two axes of 1 before the batch,
    so that it and the channels are places, of which the window takes one.
    """
    rank = x.rank - 2
    taps = step.get("kernel_shape", [])
    thin = [a for a in range(2, x.rank) if x.axes[a] == ABSENT and taps[a - 2 : a - 1] == [1]]
    if x.axes[:1] == (BATCH,) and x.rank > 2 and x.axes[1] != ABSENT and not thin:
        return step, last(x, x.rank)
    window = window_of(step, rank)
    pads = step.get("pads", []) or [0] * (2 * rank)
    given = zip(window.taps, window.strides, pads[:rank], pads[rank:], strict=True)
    moving = [at + 2 for at, numbers in enumerate(given) if numbers != (1, 1, 0, 0)]
    kept = [a for a in range(x.rank) if x.axes[a] >= 0 and a not in moving]
    if not kept or any(x.axes[a] < 0 for a in moving):
        raise Unsupported("its window takes several examples, or all axes")
    channel = max(kept, key=lambda a: x.axes[a])
    places = sorted({*moving, *kept} - {channel}, key=lambda a: x.axes[a])
    if min(places, default=0) < 2:
        raise Unsupported("its places are not those of its window")
    return along(step, places, rank), (*places, channel)


def average_pool(t: Trace, step: Step) -> None:
    counted = {"count_padding": True} if step.get("count_include_pad", 0) else {}
    pool(t, step, AvgPool, **counted)


def lp_pool(t: Trace, step: Step) -> None:
    if step.get("p", 2) != 2:
        raise Unsupported("archspec has the pool of the norm 2 alone")
    pool(t, step, L2Pool)


def _global_pool(t: Trace, step: Step, kind: type[Any], axes: Sequence[int], *, keep: bool) -> None:
    """Add a pool over the given axes; the one that is left is the channels."""
    x = t.value(step)
    places = [x.at(axis) for axis in axes]
    rest = [a for a in range(x.rank) if a not in places and x.axes[a] != BATCH]
    real = [a for a in places if x.axes[a] != ABSENT]
    if any(x.axes[a] == BATCH for a in places):
        raise Unsupported("it works along the batch")
    wide = [a for a in rest if x.axes[a] != ABSENT and not is_one(x.dims[a])]
    if len(wide) > 1 or not (wide or rest):
        raise Unsupported("it leaves more than the channels")
    channel = wide[0] if wide else rest[-1]
    if not real:
        node = x.node
        axis_of_channel = x.axes[channel]
    else:
        spatial = sorted(places, key=lambda a: x.axes[a])
        node = t.aligned(step, x, (*spatial, channel))
        stays = keep and not _becomes_vector(t, step)
        node = t.add(step, kind(**({"keep_axes": True} if stays else {})), node)
        axis_of_channel = len(node.shape) - 1
    result = []
    for a in range(x.rank):
        if a in places:
            if keep:
                kept = real and len(node.shape) > 1
                order = sorted(places, key=lambda a: x.axes[a]).index(a)
                result.append(order if kept else ABSENT)
        else:
            result.append(
                BATCH if x.axes[a] == BATCH else axis_of_channel if a == channel else ABSENT
            )
    t.values[step.outputs[0]] = Value(node, tuple(result), x.batch)


def _becomes_vector(t: Trace, step: Step) -> bool:
    """Whether all that read a pool drop its axes of extent 1."""
    users = t.users.get(step.outputs[0], [])
    for _ in range(4):
        if len(users) != 1 or users[0].op not in ("Dropout", "Identity", "Cast"):
            break
        users = t.users.get(users[0].outputs[0], [])
    vectors = ("Flatten", "Reshape", "Squeeze")
    return bool(users) and all(user.op in vectors for user in users)


def _whole(kind: type[Any]) -> Handler:
    """Return the function of an operator that makes one place of all."""
    return lambda t, step: _global_pool(t, step, kind, range(2, t.value(step).rank), keep=True)


def _reduce(whole: type[Any] | None, window: type[Any], *, is_sum: bool = False) -> Handler:
    """Return the function of an operator that makes one value of those along some axes.

    Args:
        whole: The pool over all places; None if archspec has one over windows alone.
        window: The pool over windows, which reduces some of the axes.
        is_sum: Whether the values are added up: their mean times their number.
    """

    def handler(t: Trace, step: Step) -> None:
        x = t.value(step)
        axes = axes_of(step, [None, t.constant(step, 1)])
        keep = bool(step.get("keepdims", 1))
        if axes is None:
            raise Unsupported("it works along the batch")
        reduced = [x.at(axis) for axis in axes]
        wide = [a for a in range(x.rank) if x.axes[a] >= 0 and not is_one(x.dims[a])]
        if whole is None or is_sum or sum(a not in reduced for a in wide) > 1:
            _window_pool(t, step, x, window, reduced, keep=keep, is_sum=is_sum)
        else:
            _global_pool(t, step, whole, axes, keep=keep)

    return handler


def _window_pool(
    t: Trace,
    step: Step,
    x: Value,
    kind: type[Any],
    reduced: Sequence[int],
    *,
    keep: bool,
    is_sum: bool,
) -> None:
    """Add a pool whose window is all of some axes, and one place of the others."""
    kept = [a for a in x.places if a not in reduced]
    if any(x.axes[a] == BATCH for a in reduced):
        raise Unsupported("it works along the batch")
    if not kept or any(not isinstance(x.dims[a], int) for a in reduced):
        raise Unsupported("it leaves no axis, or its window depends on the size of the input")
    order = x.ending_with(kept[-1])  # the pool's channels are an axis that stays
    size = [x.dims[a] if a in reduced else 1 for a in order[:-1]]
    node = t.add(
        step,
        kind(size=one_or_each(size)),
        t.aligned(step, x, order),
        suffix="-mean" if is_sum else "",
        checked=False,
    )
    if is_sum:
        node = t.add(step, Rescale(scale=float(prod(size))), node)
    left = order if keep else kept
    node = t.reshape(step, node, [1 if a in reduced else x.dims[a] for a in left])
    axes = [left.index(a) if a in left else x.axes[a] for a in range(x.rank)]
    t.values[step.outputs[0]] = Value(
        node, tuple(axis for a, axis in enumerate(axes) if keep or a not in reduced), x.batch
    )


LAYERS: Final[dict[str, Handler]] = {
    "MaxPool": lambda t, step: pool(t, step, MaxPool),
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": _whole(GlobalAvgPool),
    "GlobalMaxPool": _whole(GlobalMaxPool),
    "ReduceMean": _reduce(GlobalAvgPool, AvgPool),
    "ReduceMax": _reduce(GlobalMaxPool, MaxPool),
    "ReduceL2": _reduce(None, L2Pool),
    "ReduceSum": _reduce(None, AvgPool, is_sum=True),
}
"""The function for each operator."""

"""Operators with weights, windows or a function of their own: one function each.

A function is called as ONNX calls the operator. It reads the step's inputs, adds archspec's op, and
keeps the value of its output; what archspec cannot say raises `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, Final, TypeAlias

from archspec.errors import Problem, UsageError
from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.flattening import in_order
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.folding import axes_of
from archspec.imports.onnx.source import FIXED, Constant, Step, is_one
from archspec.imports.onnx.trace import Trace, Unsupported, Value, Weights
from archspec.ops.arrangement import Slice
from archspec.ops.attention import CausalMask
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Dropout, Glu, PRelu, Rescale, Scale, Softmax
from archspec.ops.functions import (
    Celu,
    Elu,
    Gelu,
    HardShrink,
    HardSigmoid,
    LeakyRelu,
    Relu,
    SoftShrink,
)
from archspec.ops.functions import Threshold as ThresholdFunction
from archspec.ops.merge import Concat
from archspec.ops.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    UnitNorm,
)
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, L2Pool, MaxPool
from archspec.ops.recurrence import Gru, Lstm, Rnn
from archspec.ops.tokens import Embedding
from archspec.ops.windows import slide

Handler: TypeAlias = Callable[[Trace, Step], None]


def last(x: Value, rank: int) -> tuple[int, ...]:
    """Return the file's axes in archspec's order, for a tensor of batch, channels and places."""
    if x.rank != rank:
        raise Unsupported(f"its input has {x.rank} axes instead of {rank}")
    return (*range(2, rank), 1)


def placed(node: Node, rank: int, batch: Any) -> Value:
    """Return the value of a node whose file's tensor is batch, channels, places."""
    return Value(node, (BATCH, rank - 2, *range(rank - 2)), batch)


# Windows.


def padding_of(
    step: Step, spatial: Sequence[Any], window: Sequence[int], stride: Sequence[int]
) -> Any:
    """Return the padding of a window: `same`, `valid` or amounts."""
    rank = len(window)
    auto = step.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return "valid"
    if auto == "SAME_UPPER":
        return "same"
    axes = list(zip(spatial, window, stride, strict=True))
    if auto == "SAME_LOWER":
        try:
            places = [slide(*axis, "same") for axis in axes]
        except Problem:
            raise Unsupported("its padding depends on the size of the input") from None
        pairs = tuple((place.after, place.before) for place in places)
    else:
        pads = step.get("pads", [])
        if not pads:
            return "valid"
        if len(pads) != 2 * rank or min(pads) < 0:
            raise Unsupported("its padding is negative, or not as long as its kernel")
        pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if not any(map(any, pairs)):
        return "valid"
    if all(is_same(*axis, pair) for axis, pair in zip(axes, pairs, strict=True)):
        return "same"
    if all(before == after for before, after in pairs):
        return one_or_each([before for before, _ in pairs])
    return pairs


def is_same(extent: Any, window: int, stride: int, pair: tuple[int, int]) -> bool:
    """Whether amounts are those of `same`, at any size of the input."""
    if not isinstance(extent, int):
        return stride == 1 and pair == ((window - 1) // 2, window // 2)
    place = slide(extent, window, stride, "same")
    return (place.before, place.after) == pair


def windows(step: Step, rank: int, kernel: Sequence[int] | None = None) -> dict[str, Any]:
    """Return kernel, stride and dilation of a step, one number for each axis."""
    taps = list(kernel or step.get("kernel_shape", []))
    strides = step.get("strides", []) or [1] * rank
    dilations = step.get("dilations", []) or [1] * rank
    if not len(taps) == len(strides) == len(dilations) == rank:
        raise Unsupported("its window has not as many axes as its input")
    if min(*taps, *strides, *dilations) < 1:
        raise Unsupported("its window is empty")
    return {"taps": taps, "strides": strides, "dilations": dilations}


def conv(t: Trace, step: Step) -> None:
    x, kernel = t.value(step), t.weight(step, 1, "kernel")
    rank = len(kernel.dims)
    gain = kernel.gain
    if kernel.is_standardized:
        t.note("standardized")
    if gain is not None and kernel.bare is not None and gain.size == kernel.dims[0]:
        kernel = kernel.bare
    else:
        gain = None
    is_sum = kernel.number is not None and len(step.inputs) == 2
    if is_sum and kernel.dims[:2] == (1, 1) and x.rank == rank and x.axes[1] == ABSENT:
        _sum_pool(t, step, kernel, float(kernel.number))
        return
    places = _places(step, x, kernel)
    node = t.aligned(step, x, (*places, 1))
    filters, depth = kernel.dims[:2]
    groups = step.get("group", 1)
    along = windows(step, rank - 2, kernel.dims[2:]).items()
    shape = {key: [numbers[a - 2] for a in places] for key, numbers in along}
    window = _along(step, places, rank - 2)
    reach = [(tap - 1) * by + 1 for tap, by in zip(shape["taps"], shape["dilations"], strict=True)]
    bias = _bias(t, step, filters)
    channels = node.shape.channels
    if depth * groups != channels or not groups or filters % groups:
        raise Unsupported(f"its kernel is for {depth * groups} channels, its input has {channels}")
    common = {
        "kernel": one_or_each(shape["taps"]),
        "stride": one_or_each(shape["strides"]),
        "dilation": one_or_each(shape["dilations"]),
        "padding": padding_of(window, node.shape.spatial, reach, shape["strides"]),
        "bias": bias is not None and gain is None,
    }
    op: Op
    taps, order = shape["taps"], range(2, len(places) + 2)
    if depth == 1 and groups == channels > 1:
        op = DepthwiseConvolution(multiplier=filters // groups, **common)
        split = (channels, filters // groups, *taps)
        reads = [lambda: kernel.load().reshape(split).transpose((*order, 0, 1))]
    else:
        op = Convolution(filters=filters, groups=groups, **common)
        stored = (filters, depth, *taps)
        reads = [lambda: kernel.load().reshape(stored).transpose((*order, 1, 0))]
    constants = [kernel]
    if bias is not None and gain is None:
        constants.append(bias)
        # torch's two exporters name what a batch norm was folded into by these.
        named = bias.name == f"{kernel.name}_bias" or kernel.name.startswith("onnx::Conv_")
        if named and len(step.inputs) > 2:
            t.note("folded norm")
        reads.append(lambda: bias.load().reshape(-1))
    result = t.add(step, op, node, constants=constants, weights=reads)
    if gain is not None:
        arrays = [gain] if bias is None else [gain, bias]
        reads = [partial(_vector, each) for each in arrays]
        scale = Scale(bias=bias is not None)
        result = t.add(
            step, scale, result, constants=arrays, weights=reads, after=result, suffix="-gain"
        )
    axes = [places.index(a) if a in places else ABSENT for a in range(2, rank)]
    t.values[step.outputs[0]] = Value(result, (BATCH, len(places), *axes), x.batch)


def _places(step: Step, x: Value, kernel: Constant) -> list[int]:
    """Return the file's spatial axes that a kernel slides along.

    A sequence has an axis of 1 more in programs that convolve maps alone.
    """
    *places, _ = last(x, len(kernel.dims))
    pads = step.get("pads", []) or [0] * 2 * len(places)
    padded = {a for at, a in enumerate(places) if pads[at] or pads[at + len(places)]}
    wide = [a for a in places if x.axes[a] != ABSENT or kernel.dims[a] != 1 or a in padded]
    return wide or places


def _along(step: Step, places: Sequence[int], rank: int) -> Step:
    """Return a step with its padding along some of the spatial axes."""
    pads = step.get("pads", [])
    if not pads or len(places) == rank:
        return step
    kept = [pads[a - 2 + side] for side in (0, rank) for a in places]
    return replace(step, attributes={**step.attributes, "pads": kept})


def _vector(constant: Constant) -> Any:
    return constant.load().reshape(-1)


def _sum_pool(t: Trace, step: Step, kernel: Constant, number: float) -> None:
    """Add the sum over a window, which JAX's average pools are, as a mean; a factor, if not one."""
    taps = list(kernel.dims[2:])
    factor = number * prod(taps)
    following = t.only_user(step.outputs[0])
    while following is not None and following.op in ("Squeeze", "Reshape"):
        following = t.only_user(following.outputs[0])
    divisor = t.constant(following, 1) if following and following.op == "Div" else None
    if following is not None and divisor is not None and divisor.size == 1 and divisor.number:
        t.absorbed.append(following)
        factor /= float(divisor.number)
    _pool(
        t,
        replace(step, attributes={**step.attributes, "kernel_shape": taps}),
        AvgPool,
        **({"count_padding": True} if any(step.get("pads", [])) else {}),
    )
    if factor != 1:
        mean = t.values[step.outputs[0]]
        node = t.add(step, Rescale(scale=factor), mean.node)
        t.values[step.outputs[0]] = replace(mean, node=node)


def _bias(t: Trace, step: Step, filters: int) -> Constant | None:
    """Return a convolution's bias; constants that are added after it are one."""
    if len(step.inputs) > 2 and step.inputs[2]:
        bias = t.constant(step, 2)
        if bias is None or bias.dims != (filters,):
            raise Unsupported("its bias is computed as the network runs")
        if not is_zero(t, bias):
            return bias
    return added_after(t, step, filters, 1, len(t.weight(step, 1, "kernel").dims))


def is_zero(t: Trace, constant: Constant) -> bool:
    """Whether an array was never learned and is 0, as the bias of a layer that has none is."""
    if constant.origin != FIXED:
        return False
    if constant.values is not None:
        return bool(constant.number == 0)
    with t.source.opened():
        return not bool(constant.load().any())


def added_after(t: Trace, step: Step, filters: int, axis: int, rank: int) -> Constant | None:
    """Return a constant for each filter that is added after a step, with axes moved between.

    Args:
        t: The trace.
        step: The step.
        filters: Extent of its channels.
        axis: The axis of the channels in its output.
        rank: Number of axes of its output.
    """
    if id(step) in t.biases:
        constant, adding = t.biases[id(step)]
        t.absorbed.append(adding)
        return constant
    following = t.only_user(step.outputs[0])
    while following is not None and following.op == "Transpose":
        order = following.get("perm", [])
        if sorted(order) != list(range(rank)):
            return None
        axis = order.index(axis)
        following = t.only_user(following.outputs[0])
    if following is None or following.op != "Add" or len(following.inputs) != 2:
        return None
    added = t.constant(following, 0) or t.constant(following, 1)
    if added is None or added.kind != "float" or len(added.dims) > rank or not added.dims:
        return None
    dims = (1,) * (rank - len(added.dims)) + added.dims
    if dims != tuple(filters if at == axis else 1 for at in range(rank)):
        return None
    t.absorbed.append(following)
    return added


def conv_transpose(t: Trace, step: Step) -> None:
    x, kernel = t.value(step), t.weight(step, 1, "kernel")
    rank = len(kernel.dims)
    node = t.aligned(step, x, last(x, rank))
    groups = step.get("group", 1)
    filters = kernel.dims[1] * groups
    shape = windows(step, rank - 2, kernel.dims[2:])
    if kernel.dims[0] != node.shape.channels:
        raise Unsupported(f"its kernel is for {kernel.dims[0]} channels")
    bias = _bias(t, step, filters)
    reach = [(tap - 1) * by + 1 for tap, by in zip(shape["taps"], shape["dilations"], strict=True)]
    more = step.get("output_padding", []) or [0] * (rank - 2)
    padding, more = _cut(step, node, reach, shape["strides"], more)
    op = TransposedConvolution(
        filters=filters,
        kernel=one_or_each(shape["taps"]),
        stride=one_or_each(shape["strides"]),
        dilation=one_or_each(shape["dilations"]),
        padding=padding,
        output_padding=one_or_each(more),
        groups=groups,
        bias=bias is not None,
    )
    places = tuple(range(2, rank))
    reads = [lambda: kernel.load().transpose((*places, 1, 0))]
    constants = [kernel]
    if bias is not None:
        constants.append(bias)
        reads.append(lambda: bias.load().reshape(-1))
    result = t.add(step, op, node, constants=constants, weights=reads)
    t.values[step.outputs[0]] = placed(result, rank, x.batch)


def _cut(
    step: Step, node: Node, reach: Sequence[int], strides: Sequence[int], more: Sequence[int]
) -> tuple[Any, Sequence[int]]:
    """Return what a transposed convolution cuts off its ends, and what it adds at the end."""
    rank = len(reach)
    pads = step.get("pads", []) or [0] * (2 * rank)
    auto = step.get("auto_pad", "NOTSET")
    if "output_shape" in step.attributes:
        wanted = step.get("output_shape", [])[-rank:]
        totals = [
            (n - 1) * s + m + w - out
            for n, s, m, w, out in zip(
                node.shape.spatial, strides, more, reach, wanted, strict=True
            )
        ]
        pairs = [
            (t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals
        ]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        return "same", [0] * rank
    elif auto == "VALID":
        pairs = [(0, 0)] * rank
    else:
        pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    # Amounts below 0 lengthen the end: that is `output_padding`.
    more = [m + max(-after, 0) for m, (_, after) in zip(more, pairs, strict=True)]
    pairs = [(before, max(after, 0)) for before, after in pairs]
    if any(before < 0 for before, _ in pairs):
        raise Unsupported("its padding lengthens the beginning")
    if (
        all(
            pair == ((w - s) // 2, w - s - (w - s) // 2) and not m
            for pair, w, s, m in zip(pairs, reach, strides, more, strict=True)
            if w >= s
        )
        and all(w >= s for w, s in zip(reach, strides, strict=True))
        and any(map(any, pairs))
    ):
        return "same", [0] * rank
    if not any(map(any, pairs)) and not any(more):
        # Keras's `valid` ends with a whole stride, an amount of 0 with the last kernel.
        return ("valid" if all(w >= s for w, s in zip(reach, strides, strict=True)) else 0), more
    if all(before == after for before, after in pairs):
        return one_or_each([before for before, _ in pairs]), more
    return tuple(pairs), more


def _pool(t: Trace, step: Step, kind: type[Any], **more: Any) -> None:
    x = t.value(step)
    if len(step.outputs) > 1 and step.outputs[1] in t.users:
        raise Unsupported("its places of maxima are read")
    step, order = _windowed(step, x)
    node = t.aligned(step, x, order)
    rank = len(order) - 1
    shape = windows(step, rank)
    if max(shape["dilations"]) > 1:
        raise Unsupported("its window is dilated")
    padding = padding_of(step, node.shape.spatial, shape["taps"], shape["strides"])
    if more.get("count_padding") and padding == "same":
        pads = step.get("pads", [])
        pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
        padding = pairs or padding
        if all(before == after for before, after in pairs):
            padding = one_or_each([before for before, _ in pairs])
    if padding == "valid" or isinstance(padding, str):
        more.pop("count_padding", None)
    taps, strides = one_or_each(shape["taps"]), one_or_each(shape["strides"])
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
    axes = tuple(order.index(a) if a in order else x.axes[a] for a in range(x.rank))
    t.values[step.outputs[0]] = Value(t.add(step, op, node), axes, x.batch)


_WINDOW: Final = ("kernel_shape", "strides", "dilations")
"""Attributes of a window, with a number for each axis after the first two."""


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
    shape = windows(step, rank, step.get("kernel_shape", []))
    pads = step.get("pads", []) or [0] * (2 * rank)
    given = zip(shape["taps"], shape["strides"], pads[:rank], pads[rank:], strict=True)
    moving = [at + 2 for at, numbers in enumerate(given) if numbers != (1, 1, 0, 0)]
    kept = [a for a in range(x.rank) if x.axes[a] >= 0 and a not in moving]
    if not kept or any(x.axes[a] < 0 for a in moving):
        raise Unsupported("its window takes several examples, or all axes")
    channel = max(kept, key=lambda a: x.axes[a])
    places = sorted({*moving, *kept} - {channel}, key=lambda a: x.axes[a])
    if min(places, default=0) < 2:
        raise Unsupported("its places are not those of its window")
    attributes: dict[str, Any] = {**step.attributes}
    for name in _WINDOW:
        if step.get(name, []):
            attributes[name] = [step.get(name, [])[a - 2] for a in places]
    attributes["pads"] = [pads[a - 2 + side] for side in (0, rank) for a in places]
    return replace(step, attributes=attributes), (*places, channel)


def max_pool(t: Trace, step: Step) -> None:
    _pool(t, step, MaxPool)


def average_pool(t: Trace, step: Step) -> None:
    counted = {"count_padding": True} if step.get("count_include_pad", 0) else {}
    _pool(t, step, AvgPool, **counted)


def lp_pool(t: Trace, step: Step) -> None:
    if step.get("p", 2) != 2:
        raise Unsupported("archspec has the pool of the norm 2 alone")
    _pool(t, step, L2Pool)


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


def global_average_pool(t: Trace, step: Step) -> None:
    _global_pool(t, step, GlobalAvgPool, range(2, t.value(step).rank), keep=True)


def global_max_pool(t: Trace, step: Step) -> None:
    _global_pool(t, step, GlobalMaxPool, range(2, t.value(step).rank), keep=True)


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
    order = sorted((a for a in range(x.rank) if x.axes[a] >= 0), key=lambda a: x.axes[a])
    kept = [a for a in order if a not in reduced]
    if any(x.axes[a] == BATCH for a in reduced):
        raise Unsupported("it works along the batch")
    if not kept or any(not isinstance(x.dims[a], int) for a in reduced):
        raise Unsupported("it leaves no axis, or its window depends on the size of the input")
    order.sort(key=lambda a: a == kept[-1])  # the pool's channels are an axis that stays
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


# Fully connected.


def gemm(t: Trace, step: Step) -> None:
    kernel = t.weight(step, 1, "kernel")
    alpha, beta = step.get("alpha", 1.0), step.get("beta", 1.0)
    if step.get("transA", 0) or len(kernel.dims) != 2:
        raise Unsupported("its input is transposed")
    turned = bool(step.get("transB", 0))
    bias = t.constant(step, 2)
    if len(step.inputs) > 2 and step.inputs[2] and bias is None:
        raise Unsupported("its bias is computed as the network runs")
    units = kernel.dims[0] if turned else kernel.dims[1]
    if len(step.inputs) < 3:
        bias = added_after(t, step, units, t.value(step).rank - 1, t.value(step).rank)
    if bias is not None and bias.size != units:
        raise Unsupported("its bias has not one number for each unit")

    def matrix() -> Any:
        array = kernel.load()
        return (
            alpha * (array.T if turned else array) if alpha != 1 else (array.T if turned else array)
        )

    def offsets() -> Any:
        array = bias.load().reshape(-1) if bias is not None else None
        return array if beta == 1 else beta * array

    fully_connected(t, step, kernel, matrix, units, bias, offsets)


def mat_mul(t: Trace, step: Step) -> None:
    kernel = t.constant(step, 1)
    if kernel is None:
        _product(t, step)
        return
    dims = kernel.dims
    while len(dims) > 2 and dims[0] == 1:
        dims = dims[1:]
    if len(dims) != 2:
        raise Unsupported("it multiplies by several matrices")
    rank = t.value(step).rank
    bias = added_after(t, step, dims[1], rank - 1, rank)

    def matrix() -> Any:
        return kernel.load().reshape(dims)

    def offsets() -> Any:
        return bias.load().reshape(-1) if bias is not None else None

    fully_connected(t, step, kernel, matrix, dims[1], bias, offsets)


def fully_connected(
    t: Trace,
    step: Step,
    kernel: Constant,
    matrix: Callable[[], Any],
    units: int,
    bias: Constant | None,
    offsets: Callable[[], Any],
) -> None:
    """Add a fully connected layer on the last axis; a flattened map's rows are put in order."""
    x = t.value(step)
    if x.rank < 1 or x.axes[-1] == BATCH:
        raise Unsupported("its input is no vector")
    inner = kernel.size // units if units else 0
    if x.dims[-1] != inner:
        raise Unsupported(f"its kernel is for {inner} values, its input has {x.dims[-1]}")
    maps, order = x.maps, x.order
    if x.is_mixed:
        node = x.node
    else:
        places = sorted((a for a in range(x.rank - 1) if x.axes[a] >= 0), key=lambda a: x.axes[a])
        node = t.aligned(step, x, (*places, x.rank - 1))

    def rows() -> Any:
        array = matrix()
        return in_order(array, maps, order) if order else array

    each_place = {"each_place": True} if node.shape.rank > 1 else {}
    op = FullyConnected(units=units, bias=bias is not None, **each_place)
    constants = [kernel] if bias is None else [kernel, bias]
    reads = [rows] if bias is None else [rows, offsets]
    result = t.add(step, op, node, constants=constants, weights=reads)
    axes = x.axes
    if not x.is_mixed:
        places = sorted((a for a in range(x.rank - 1) if x.axes[a] >= 0), key=lambda a: x.axes[a])
        axes = tuple(
            places.index(a) if a in places else len(places) if a == x.rank - 1 else x.axes[a]
            for a in range(x.rank)
        )
    t.values[step.outputs[0]] = Value(result, axes, x.batch, joined=x.joined)


def _product(t: Trace, step: Step) -> None:
    """Add the product of two values."""
    from archspec.ops.merge import MatMul  # noqa: PLC0415

    a, b = t.value(step, 0), t.value(step, 1)
    if a.rank != b.rank or a.rank < 2:
        raise Unsupported("its inputs have different numbers of axes")

    def order(x: Value, *, swapped: bool) -> tuple[int, ...]:
        outer = [axis for axis in range(x.rank - 2) if x.axes[axis] != BATCH]
        if len(outer) > 2:  # more than a head and a window: axes of extent 1 may go
            outer = [axis for axis in outer if x.axes[axis] != ABSENT]
        inner = [x.rank - 1, x.rank - 2] if swapped else [x.rank - 2, x.rank - 1]
        return (*outer, *inner)

    def fits(x: Value, axes: Sequence[int]) -> bool:
        return [x.axes[axis] for axis in axes] == list(range(len(x.node.shape)))

    left = t.aligned(step, a, order(a, swapped=False))
    turned = not fits(b, order(b, swapped=False)) and fits(b, order(b, swapped=True))
    right = t.aligned(step, b, order(b, swapped=turned))
    op = MatMul(transpose_b=turned)
    axes = order(a, swapped=False)
    result = tuple(axes.index(axis) if axis in axes else a.axes[axis] for axis in range(a.rank))
    t.values[step.outputs[0]] = Value(t.add(step, op, left, right), result, a.batch)


# Functions.


def elementwise(t: Trace, step: Step, op: Op, place: int = 0) -> None:
    """Add an op that leaves every value where it is."""
    x = t.value(step, place)
    t.values[step.outputs[0]] = replace(x, node=t.add(step, op, x.node))


def _activation(word: str) -> Handler:
    def handler(t: Trace, step: Step) -> None:
        elementwise(t, step, Activate(function=word))

    return handler


def _function(make: Callable[[Step], Any]) -> Handler:
    def handler(t: Trace, step: Step) -> None:
        elementwise(t, step, Activate(function=make(step)))

    return handler


def clip(t: Trace, step: Step) -> None:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        number: Any = step.attributes.get(name)
        if number is None and place < len(step.inputs) and step.inputs[place]:
            values = t.numbers(step, place, "limit")
            number = values[0] if values else None
        bounds.append(None if number is None or abs(number) > 1e38 else float(number))
    low, high = bounds
    words: dict[tuple[Any, Any], Any] = {
        (0.0, 6.0): "relu6",
        (0.0, None): "relu",
        (-1.0, 1.0): "hard_tanh",
        (None, None): "linear",
    }
    if (low, high) in words:
        function = words[low, high]
    elif low == 0 and high is not None and high > 0:
        function = Relu(max=high)
    else:
        raise Unsupported(f"archspec has no function that cuts at {low} and {high}")
    elementwise(t, step, Activate(function=function))


def hard_sigmoid(t: Trace, step: Step) -> None:
    elementwise(t, step, Activate(function=_sloped(step.get("alpha", 0.2), step.get("beta", 0.5))))


def _sloped(slope: float, offset: float) -> Any:
    """Return the hard sigmoid with a slope."""
    if abs(offset - 0.5) > 1e-6 or slope <= 0:
        raise Unsupported(f"archspec's hard sigmoid is 0.5 at 0, not {offset:g}")
    return "hard_sigmoid" if abs(slope - 1 / 6) < 1e-3 else HardSigmoid(slope=slope)


def shrink(t: Trace, step: Step) -> None:
    limit, bias = step.get("lambd", 0.5), step.get("bias", 0.0)
    if bias not in (0.0, limit):
        raise Unsupported("archspec has no such shrinkage")
    function = SoftShrink(threshold=limit) if bias else HardShrink(threshold=limit)
    elementwise(t, step, Activate(function=function))


def prelu(t: Trace, step: Step) -> None:
    x, slope = t.value(step), t.weight(step, 1, "slope")
    dims = (1,) * (x.rank - 1 - len(slope.dims)) + slope.dims[-(x.rank - 1) :]
    by_channel = slope.size == x.node.shape.channels
    if x.is_mixed:
        x = t.straight(step, x)
    if slope.size == 1:
        shared, order = "all", None
    elif by_channel and (slope.size == dims[x.channels - 1] or len(slope.dims) == 1):
        shared, order = "places", None
    elif slope.size == x.node.shape.size:
        shared = "none"
        order = [x.axes.index(axis) - 1 for axis in range(len(x.node.shape))]
    else:
        raise Unsupported("archspec shares slopes between all places of a channel, or all values")
    op = PRelu.parse({"shared": shared})
    shape = op.weights(x.node.shape)[0].shape

    def read() -> Any:
        array = -slope.load() if step.get("archspec.negative", 0) else slope.load()
        return (array.reshape(dims).transpose(order) if order else array).reshape(shape)

    node = t.add(step, op, x.node, constants=[slope], weights=[read])
    t.values[step.outputs[0]] = replace(x, node=node)


def softmax(t: Trace, step: Step) -> None:
    x = t.value(step)
    logarithm = step.op == "LogSoftmax"
    axis = x.at(step.get("axis", -1 if t.opset >= 13 else 1))
    if x.axes[axis] == ABSENT:
        raise Unsupported("it works along an axis of one place")
    name = x.name_of(axis)
    if t.opset < 13 and any(not is_one(n) for n in x.dims[axis + 1 :]):
        raise Unsupported("it works along several axes at once")
    if name == "channels" and (logarithm or x.node.shape.rank == 0):
        op: Op = Activate(function="log_softmax" if logarithm else "softmax")
    elif logarithm:
        node = t.aligned(
            step, x, [a for a in range(x.rank) if a != axis and x.axes[a] >= 0] + [axis]
        )
        rest = [a for a in range(x.rank) if a != axis and x.axes[a] >= 0] + [axis]
        node = t.add(step, Activate(function="log_softmax"), node)
        axes = tuple(rest.index(a) if a in rest else x.axes[a] for a in range(x.rank))
        t.values[step.outputs[0]] = Value(node, axes, x.batch)
        return
    else:
        op = Softmax(axis=name)
    elementwise(t, step, op)


def glu(t: Trace, step: Step) -> None:
    x = t.value(step)
    channel = 1 if x.rank > 2 else x.rank - 1
    if x.axes[channel] != len(x.node.shape) - 1:
        raise Unsupported("it halves another axis than the channels")
    elementwise(t, step, Glu())


def quantized(t: Trace, step: Step) -> None:
    """Pass on values that are rounded to whole numbers, or made real again."""
    t.values[step.outputs[0]] = t.value(step)
    t.b.note(
        "The file rounds the values between its layers to whole numbers; the table counts every "
        "value and weight as the number that it stands for. A ReLU may hide in the range of these."
    )


def dropout(t: Trace, step: Step) -> None:
    rate: Any = step.attributes.get("ratio")
    if rate is None and len(step.inputs) > 1 and step.inputs[1]:
        rate = t.numbers(step, 1, "rate")[0]
    rate = 0.5 if rate is None else rate
    if not 0 < rate < 1:
        passed(t, step)
    else:
        elementwise(t, step, Dropout(rate=float(rate)))


def passed(t: Trace, step: Step) -> None:
    """Let a step that changes nothing vanish."""
    t.keep(step, t.seen(step))


# Norms.


def batch_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    learned = [bool(name) for name in step.inputs[1:3]]
    places = [place for place in range(1, 5) if step.inputs[place]]
    arrays = [t.weight(step, place, "statistics") for place in places]
    channels = x.dims[1] if x.rank > 1 else x.dims[-1]
    if any(each.size != channels for each in arrays):
        raise Unsupported("its statistics are not for the channels of its input")
    op = BatchNorm(
        epsilon=step.get("epsilon", 1e-5),
        momentum=step.get("momentum", 0.9),
        scale=learned[0],
        center=learned[1],
    )
    normalized(t, step, x, op, arrays)


def normalized(
    t: Trace, step: Step, x: Value, op: Op, arrays: Sequence[Constant], channel: int = 1
) -> None:
    """Add a norm with an array for each channel, which is one of the file's axes."""
    maps, order = x.maps, x.order
    if x.is_mixed:
        node = x.node
        axes = x.axes
    else:
        channel = channel if x.rank > 1 else 0
        places = sorted(
            (a for a in range(x.rank) if x.axes[a] >= 0 and a != channel), key=lambda a: x.axes[a]
        )
        node = t.aligned(step, x, (*places, channel))
        axes = tuple(
            len(places) if a == channel else places.index(a) if a in places else x.axes[a]
            for a in range(x.rank)
        )

    def read(constant: Constant) -> Callable[[], Any]:
        def array() -> Any:
            flat = constant.load().reshape(-1)
            return in_order(flat, maps, order) if order else flat

        return array

    weights: Weights = [read(each) for each in arrays]
    result = t.add(step, op, node, constants=arrays, weights=weights)
    t.values[step.outputs[0]] = replace(x, node=result, axes=axes)


def layer_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    axis = x.at(step.get("axis", -1))
    if axis != x.rank - 1:
        raise Unsupported("it normalises over more than the channels")
    learned, arrays = _learned(t, step)
    op = LayerNorm(epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, x, op, arrays, axis)


def _learned(t: Trace, step: Step) -> tuple[dict[str, bool], list[Constant]]:
    """Return which of a norm's factors and offsets a step has, and these."""
    names = (*step.inputs, "", "")[1:3]
    learned = {what: bool(name) for what, name in zip(("scale", "center"), names, strict=True)}
    given = zip((1, 2), ("scale", "offset"), names, strict=True)
    return learned, [t.weight(step, place, what) for place, what, name in given if name]


def rms_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    axis = x.at(step.get("axis", -1))
    if axis != x.rank - 1:
        raise Unsupported("it normalises over more than the channels")
    op = RmsNorm(epsilon=step.get("epsilon", 1e-5))
    normalized(t, step, x, op, [t.weight(step, 1, "scale")], axis)


def group_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    learned, arrays = _learned(t, step)
    groups, channel = step.get("num_groups", 0), x.at(step.get("archspec.channels", 1))
    if any(each.size != x.dims[channel] for each in arrays):
        raise Unsupported("it has a factor for each group, not for each channel")
    op = GroupNorm(groups=groups, epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, x, op, arrays, channel)


def instance_normalization(t: Trace, step: Step) -> None:
    learned, arrays = _learned(t, step)
    op = InstanceNorm(epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, t.value(step), op, arrays)


def lrn(t: Trace, step: Step) -> None:
    x = t.value(step)
    op = LocalResponseNorm(
        size=step.get("size", 5),
        alpha=step.get("alpha", 1e-4),
        beta=step.get("beta", 0.75),
        k=step.get("bias", 1.0),
    )
    if x.channels != 1:
        x = replace(x, node=t.aligned(step, x, last(x, x.rank)))
        x = placed(x.node, x.rank, x.batch)
    t.values[step.outputs[0]] = replace(x, node=t.add(step, op, x.node))


def lp_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    if step.get("p", 2) != 2:
        raise Unsupported("archspec divides by the length of a vector alone, the norm 2")
    elementwise(t, step, UnitNorm(axis=x.name_of(x.at(step.get("axis", -1)))))


# Sequences.


def _recurrent(
    t: Trace, step: Step, kind: type[Any], gates: Sequence[int], **arguments: Any
) -> None:
    """Add a recurrence. ONNX's tensors are [positions, batch, channels]."""
    x = t.value(step)
    kernel, inner = t.weight(step, 1, "kernel"), t.weight(step, 2, "recurrent kernel")
    bias = t.constant(step, 3)
    units, ways = inner.dims[-1], kernel.dims[0]
    if step.get("layout", 0):
        raise Unsupported("its axes are in another order than archspec reads")
    if any(step.inputs[place : place + 1] not in ((), ("",)) for place in (4,)):
        lengths = t.constant(step, 4)
        if lengths is None and t.optional(step, 4) is not None:
            raise Unsupported("the lengths of its sequences are given as the network runs")
    if step.get("direction", "forward") == "reverse":
        raise Unsupported("it reads its sequence backwards")
    if x.rank != 3 or x.axes[1] not in (BATCH, ABSENT):
        raise Unsupported("its input is no sequence of vectors")
    if len(step.inputs) > 7 and step.inputs[7]:
        raise Unsupported("it has peepholes")
    whole, final = step.outputs[0], step.outputs[1] if len(step.outputs) > 1 else ""
    wants_all = bool(whole) and (whole in t.users or whole in t.source.outputs)
    wants_last = bool(final) and (final in t.users or final in t.source.outputs)
    if len(step.outputs) > 2 and {step.outputs[2]} & (t.users.keys() | {*t.source.outputs}):
        raise Unsupported("its last cell is read")
    for place in (5, 6):
        first = t.constant(step, place)
        if step.inputs[place : place + 1] not in ((), ("",)) and not (first and _is_zeros(first)):
            raise Unsupported("it begins with a state that it is given")
    node = t.aligned(step, x, (0, 2))
    op = kind(
        units=units,
        bias=bias is not None,
        bidirectional=ways == 2,
        output="sequence" if wants_all or ways == 2 else "last",
        **arguments,
        **_functions(step, kind, ways),
    )
    biases = op.biases
    reads = [r for way in range(ways) for r in _gates_of(way, kernel, inner, bias, gates, biases)]
    constants = [kernel, inner, *([bias] if bias is not None else [])]
    result = t.add(step, op, node, constants=constants, weights=reads)
    if bias is not None and biases == 1:
        t.note("two biases")
    if wants_all:
        if ways == 2:
            t.values[whole] = _two_ways(t, step, result, units, x.batch)
        else:
            t.values[whole] = Value(result, (0, ABSENT, BATCH, 1), x.batch)
    if ways == 2 or (wants_all and wants_last):
        if wants_last:
            t.values[final] = _last_states(t, step, result, units, x.batch)
    else:
        t.values[final] = Value(result, (ABSENT, BATCH, 0), x.batch)


def _gates_of(
    way: int,
    kernel: Constant,
    inner: Constant,
    bias: Constant | None,
    gates: Sequence[int],
    biases: int,
) -> Iterator[Callable[[], Any]]:
    """Yield what reads the weights of a direction, with the gates in Keras's order."""

    def gated(array: Any) -> Any:
        import numpy as np  # noqa: PLC0415

        parts = np.split(array, len(gates), 0)
        return np.concatenate([parts[gate] for gate in gates], 0)

    yield lambda: gated(kernel.load()[way]).T
    yield lambda: gated(inner.load()[way]).T
    if bias is None:
        return

    def offsets() -> Any:
        import numpy as np  # noqa: PLC0415

        both = [gated(half) for half in np.split(bias.load()[way], 2)]
        return both[0] + both[1] if biases == 1 else np.stack(both)

    yield offsets


def _is_zeros(constant: Constant) -> bool:
    """Whether an array is zeros, as the first state of a recurrence is by default."""
    if constant.values is not None:
        return bool(constant.number == 0)
    try:
        return not bool(constant.load().any())
    except UsageError:  # in another file
        return False


def _last_states(t: Trace, step: Step, node: Node, units: int, batch: Any) -> Value:
    """Return the last state of each direction, [directions, batch, units].

    That of the direction which reads the sequence backwards stands at the first position.
    """
    end = node.shape[0]
    ways = node.shape[-1] // units
    states = []
    for way, place in enumerate((end - 1, 0)[:ways]):
        suffix = ("-last", "-first")[way] if ways == 2 else "-last"
        at = t.add(
            step,
            Slice(axis="length", start=place, stop=place + 1),
            node,
            suffix=suffix,
            checked=False,
        )
        if ways == 2:
            part = Slice(start=way * units, stop=(way + 1) * units)
            at = t.add(step, part, at, suffix=f"{suffix}-state", checked=False)
        states.append(at)
    joined = states[0]
    if ways == 2:
        joined = t.add(step, Concat(axis="length"), *states, suffix="-states", checked=False)
    return Value(joined, (0, BATCH, 1), batch)


def _functions(step: Step, kind: type[Any], ways: int) -> dict[str, Any]:
    """Return the functions of a recurrence as arguments: in ONNX first that of the gates."""
    gated = "recurrent_activation" in kind.model_fields
    given = step.get("activations", ["Sigmoid", "Tanh"][not gated :] * ways)
    count = len(given) // ways
    if not count:
        raise Unsupported("it has no functions")
    if step.get("clip", 0) or step.get("input_forget", 0):
        raise Unsupported("it clips its sums, or couples its gates")
    if any(given[:count] != given[i : i + count] for i in range(0, len(given), count)):
        raise Unsupported("its two directions have different functions")
    first, *others = (_in_recurrence(step, str(each)) for each in given[:count])
    if any(each != others[0] for each in others[1:]):
        raise Unsupported("its cell has another function than its candidate")
    if not gated:
        return {"activation": first}
    return {"recurrent_activation": first, "activation": others[0] if others else "tanh"}


def _in_recurrence(step: Step, name: str) -> Any:
    """Return a function among a recurrence's `activations`."""
    plain = {"sigmoid", "tanh", "relu", "softsign", "softplus"}
    if name.lower() in plain:
        return name.lower()
    if name.lower() == "hardsigmoid":
        # Only functions with arguments have theirs in the two lists.
        return _sloped(
            next(iter(step.get("activation_alpha", ())), 0.2),
            next(iter(step.get("activation_beta", ())), 0.5),
        )
    raise Unsupported(f"its function is {name}")


def _two_ways(t: Trace, step: Step, node: Node, units: int, batch: Any) -> Value:
    """Return the outputs of both directions, [positions, directions, batch, units]."""
    split = t.reshape(step, node, (node.shape[0], 2, units))
    return Value(split, (0, 1, BATCH, 2), batch)


def lstm(t: Trace, step: Step) -> None:
    _recurrent(t, step, Lstm, (0, 2, 3, 1))  # ONNX: input, output, forget, candidate


def gru(t: Trace, step: Step) -> None:
    after = bool(step.get("linear_before_reset", 0))
    _recurrent(t, step, Gru, (0, 1, 2), reset_after=after)  # update, reset, candidate in both


def rnn(t: Trace, step: Step) -> None:
    _recurrent(t, step, Rnn, (0,))


def causal_mask(t: Trace, step: Step) -> None:
    """Add the mask of later keys, on scores of [heads, queries, keys]."""
    x = t.value(step)
    axes = [a for a in range(x.rank) if x.axes[a] != BATCH]
    node = t.add(step, CausalMask(), t.aligned(step, x, axes), checked=False)
    where = tuple(axes.index(a) if a in axes else BATCH for a in range(x.rank))
    t.values[step.outputs[0]] = Value(node, where, x.batch)


def embedding(t: Trace, step: Step) -> None:
    """Add the lookup of vectors by numbers: Gather from an array."""
    table, x = t.weight(step, 0, "table"), t.value(step, 1)
    if len(table.dims) != 2 or step.get("axis", 0):
        raise Unsupported("it looks up other than vectors")
    node = t.aligned(step, x, [a for a in range(x.rank) if x.axes[a] != BATCH])
    op = Embedding(words=table.dims[0], filters=table.dims[1])
    result = t.add(step, op, node, constants=[table], weights=[table.load])
    axes = (*x.axes, len(result.shape) - 1)
    t.values[step.outputs[0]] = Value(result, axes, x.batch)


LAYERS: Final[dict[str, Handler]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "ReduceMean": _reduce(GlobalAvgPool, AvgPool),
    "ReduceMax": _reduce(GlobalMaxPool, MaxPool),
    "ReduceL2": _reduce(None, L2Pool),
    "ReduceSum": _reduce(None, AvgPool, is_sum=True),
    "Gemm": gemm,
    "MatMul": mat_mul,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Selu": _activation("selu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Mish": _activation("mish"),
    "HardSwish": _activation("hard_swish"),
    "Swish": _activation("swish"),
    "Exp": _activation("exponential"),
    "Abs": _activation("abs"),
    "archspec.Swish": _activation("swish"),
    "archspec.HardSwish": _activation("hard_swish"),
    "archspec.HardSigmoid": _activation("hard_sigmoid"),
    "archspec.Mish": _activation("mish"),
    "archspec.Glu": glu,
    "archspec.CausalMask": causal_mask,
    "archspec.Threshold": _function(
        lambda step: ThresholdFunction(
            threshold=step.get("threshold", 0.0), value=step.get("value", 0.0)
        )
    ),
    "archspec.LogSigmoid": _activation("log_sigmoid"),
    "archspec.Gelu": _function(lambda step: Gelu(approximate=bool(step.get("tanh", 0)))),
    "Gelu": _function(lambda step: Gelu(approximate=step.get("approximate", "none") == "tanh")),
    "LeakyRelu": _function(lambda step: LeakyRelu(slope=step.get("alpha", 0.01))),
    "Elu": _function(lambda step: Elu(alpha=step.get("alpha", 1.0))),
    "Celu": _function(lambda step: Celu(alpha=step.get("alpha", 1.0))),
    "ThresholdedRelu": _function(
        lambda step: ThresholdFunction(threshold=step.get("alpha", 1.0), value=0.0)
    ),
    "Clip": clip,
    "HardSigmoid": hard_sigmoid,
    "Shrink": shrink,
    "PRelu": prelu,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "DequantizeLinear": quantized,
    "DynamicQuantizeLinear": quantized,
    "Dropout": dropout,
    "QuantizeLinear": quantized,
    "Identity": passed,
    "Cast": passed,
    "CastLike": passed,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LpNormalization": lp_normalization,
    "LSTM": lstm,
    "GRU": gru,
    "RNN": rnn,
}
"""The function for each operator; those of `archspec.` stand for several steps, see `patterns`."""

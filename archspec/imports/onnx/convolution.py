"""Convolutions, and the biases that are added after layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.pooling import pool
from archspec.imports.onnx.source import FILLED, FIXED, Constant, Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.imports.onnx.windows import along, last, padding_of, placed, window_of
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    TransposedConvolution,
)
from archspec.ops.elementwise import Rescale, Scale
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool


def conv(t: Trace, step: Step) -> None:
    x = t.value(step)
    kernel = _kernel(t, step, x)
    rank = len(kernel.dims)
    gain = kernel.gain
    if gain is not None and kernel.bare is not None and gain.size == kernel.dims[0]:
        kernel = kernel.bare
    else:
        gain = None
    is_sum = kernel.number is not None and len(step.inputs) == 2
    if is_sum and kernel.dims[:2] == (1, 1) and x.rank == rank and x.axes[1] == ABSENT:
        _sum_pool(t, step, kernel, float(kernel.number))
        return
    window_of(step, rank - 2, kernel.dims[2:])
    places = _places(step, x, kernel)
    node = t.aligned(step, x, (*places, 1))
    filters, depth = kernel.dims[:2]
    groups = step.get("group", 1)
    moving = along(step, places, rank - 2)
    window = window_of(moving, len(places), [kernel.dims[a] for a in places])
    bias = _bias(t, step, filters)
    channels = node.shape.channels
    if depth * groups != channels or not groups or filters % groups:
        raise Unsupported(f"its kernel is for {depth * groups} channels, its input has {channels}")
    common = {
        **window.arguments,
        "padding": padding_of(moving, node.shape.spatial, window),
        "bias": bias is not None and gain is None,
    }
    op: Op
    taps, order = window.taps, range(2, len(places) + 2)
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
        reads.append(bias.vector)
    result = t.add(step, op, node, constants=constants, weights=reads)
    if gain is not None:
        arrays = [gain] if bias is None else [gain, bias]
        reads = [each.vector for each in arrays]
        scale = Scale(bias=bias is not None)
        result = t.add(
            step, scale, result, constants=arrays, weights=reads, after=result, suffix="-gain"
        )
    axes = [places.index(a) if a in places else ABSENT for a in range(2, rank)]
    t.values[step.outputs[0]] = Value(result, (BATCH, len(places), *axes), x.batch)


def _kernel(t: Trace, step: Step, x: Value) -> Constant:
    """Return a convolution's kernel, without the channels that only fill up its last block."""
    kernel = t.weight(step, 1, "kernel")
    if kernel.is_standardized:
        t.note("standardized")
    if step.get(FILLED, 0) and step.get("group", 1) == 1 and x.dims[1] < kernel.dims[1]:
        return replace(kernel, dims=(kernel.dims[0], x.dims[1], *kernel.dims[2:]))
    return kernel


def _places(step: Step, x: Value, kernel: Constant) -> list[int]:
    """Return the file's spatial axes that a kernel slides along.

    A sequence has an axis of 1 more in programs that convolve maps alone.
    """
    *places, _ = last(x, len(kernel.dims))
    pads = step.get("pads", []) or [0] * 2 * len(places)
    padded = {a for at, a in enumerate(places) if pads[at] or pads[at + len(places)]}
    wide = [a for a in places if x.axes[a] != ABSENT or kernel.dims[a] != 1 or a in padded]
    return wide or places


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
    pool(
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
    if step.input(2):
        bias = t.constant(step, 2)
        if bias is None or bias.dims != (filters,):
            raise Unsupported("its bias is computed as the network runs")
        if bias.origin != FIXED or not t.is_zero(bias):  # as that of a layer that has none
            return bias
    return added_after(t, step, filters, 1, len(t.weight(step, 1, "kernel").dims))


def added_after(t: Trace, step: Step, filters: int, axis: int, rank: int) -> Constant | None:
    """Return a constant for each filter that is added after a step, with axes moved between.

    The step's output has `rank` axes, of which `axis` is the channels.
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
    window = window_of(step, rank - 2, kernel.dims[2:])
    if kernel.dims[0] != node.shape.channels:
        raise Unsupported(f"its kernel is for {kernel.dims[0]} channels")
    bias = _bias(t, step, filters)
    more = step.get("output_padding", []) or [0] * (rank - 2)
    padding, more = _cut(step, node, window.reach, window.strides, more)
    op = TransposedConvolution(
        filters=filters,
        **window.arguments,
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
        reads.append(bias.vector)
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


LAYERS: Final[dict[str, Handler]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
}
"""The function for each operator."""

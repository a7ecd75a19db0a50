"""Layers with a kernel: convolutions, transposed and local ones, and fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archspec.graph.graph import Node
from archspec.imports.darknet.net import Net
from archspec.imports.darknet.sections import Section
from archspec.ops.arrangement import Flatten, Reshape
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    LocalConv,
    TransposedConvolution,
)
from archspec.ops.op import Weight
from archspec.ops.shape import Shape


def padding_of(section: Section, size: int, dilation: int = 1) -> int:
    """Return the zeros on each side: half the kernel with `pad=1`, whatever `padding` is."""
    amount = size // 2 if section.integer("pad") else section.integer("padding")
    return amount * dilation


def strides_of(section: Section) -> int | tuple[int, int]:
    """Return the stride, which may be `stride_x` and `stride_y`."""
    stride = section.integer("stride", 1)
    down, right = section.integer("stride_y", stride), section.integer("stride_x", stride)
    return down if down == right else (down, right)


def convolutional(net: Net, section: Section, x: Node) -> Node:
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    groups, dilation = section.integer("groups", 1), section.integer("dilation", 1)
    has_norm = bool(section.integer("batch_normalize"))
    x = _as_maps(net, section, x)
    if section.integer("antialiasing"):
        return _blurred(net, section, x)
    if "share_index" in section:
        reason = "it uses the weights of another section"
        return net.unknown(section, x, reason=reason, arrays=())
    arguments: dict[str, Any] = {
        "kernel": size,
        "stride": strides_of(section),
        "padding": padding_of(section, size, dilation) or "valid",
        "dilation": dilation,
        "bias": not has_norm,
    }
    channels = x.shape[-1] if x.shape else 0
    if groups > 1 and groups == channels and filters > 0 and filters % channels == 0:
        multiplier = filters // channels
        y = net.add(section, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    else:
        y = net.add(section, Convolution, x, filters=filters, groups=groups, **arguments)
    normed = net.normalized(section, y)
    net.keep(y, normed, (filters, max(channels // max(groups, 1), 1), size, size))
    return net.activated(section, normed, "logistic")


def _as_maps(net: Net, section: Section, x: Node) -> Node:
    """Return a vector as a map of one place, which it is in Darknet."""
    if x.shape and not x.shape.rank:
        return net.add(section, Reshape, x, part="reshape", to=(1, 1, x.shape.channels))
    return x


def _blurred(net: Net, section: Section, x: Node) -> Node:
    """Add a convolution whose output is blurred where it is made smaller: a shape, and weights."""
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    depth = (x.shape.channels if x.shape else 0) // max(section.integer("groups", 1), 1)
    arrays = [Weight("kernel", (size, size, depth, filters)), *offsets(section, "", filters)]
    shape = None
    if x.shape.rank == 2:
        strides = strides_of(section)
        steps = (strides, strides) if isinstance(strides, int) else strides
        padding = 2 * padding_of(section, size, section.integer("dilation", 1))
        reach = (size - 1) * section.integer("dilation", 1) + 1
        places = zip(x.shape.spatial, steps, strict=True)
        spatial = [(n + padding - reach) // max(step, 1) + 1 for n, step in places]
        shape = Shape((*spatial, filters))
    reason = "it blurs its output before the stride"
    net.unreadable = net.unreadable or "a convolution that blurs its output"
    y = net.unknown(section, x, reason=reason, shape=shape, arrays=tuple(arrays))
    return net.activated(section, y, "logistic")


def offsets(section: Section, part: str, filters: int) -> Iterator[Weight]:
    """Yield the bias of a layer, or the arrays of its batch norm."""
    prefix = f"{part}_" if part else ""
    yield Weight(f"{prefix}bias", (filters,))
    if section.integer("batch_normalize"):
        yield Weight(f"{prefix}scale", (filters,))
        yield Weight(f"{prefix}moving_mean", (filters,), False)
        yield Weight(f"{prefix}moving_variance", (filters,), False)


def deconvolutional(net: Net, section: Section, x: Node) -> Node:
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    y = net.add(
        section,
        TransposedConvolution,
        x,
        filters=filters,
        kernel=size,
        stride=section.integer("stride", 1),
        padding=padding_of(section, size) or "valid",
        bias=not section.integer("batch_normalize"),
    )
    normed = net.normalized(section, y)
    net.keep(y, normed, (x.shape[-1] if x.shape else 0, filters, size, size))
    return net.activated(section, normed, "logistic")


def local(net: Net, section: Section, x: Node) -> Node:
    size = section.integer("size", 1)
    # With `pad` the output is as large as if windows of any size had a padding of 1.
    padding = 1 if section.integer("pad") else "valid"
    if padding == 1 and size != 3:
        return _local_over_the_edge(net, section, x, size)
    filters, stride = section.integer("filters", 1), section.integer("stride", 1)
    y = net.add(section, LocalConv, x, filters=filters, kernel=size, stride=stride, padding=padding)
    net.unreadable = net.unreadable or "a [local] section"
    return net.activated(section, y, "logistic")


def _local_over_the_edge(net: Net, section: Section, x: Node, size: int) -> Node:
    """Add a layer of windows whose places are those of a padding of 1, whatever their size."""
    filters, step = section.integer("filters", 1), max(section.integer("stride", 1), 1)
    shape, arrays = None, None
    if x.shape.rank == 2:
        spatial = [(extent - 1) // step + 1 for extent in x.shape.spatial]
        shape = Shape((*spatial, filters))
        kernel = Weight("kernel", (*spatial, size * size * x.shape.channels, filters))
        arrays = (kernel, Weight("bias", tuple(shape)))
    reason = "its windows lie over the edge"
    net.unreadable = net.unreadable or "a [local] section"
    y = net.unknown(section, x, reason=reason, shape=shape, arrays=arrays)
    return net.activated(section, y, "logistic")


def connected(net: Net, section: Section, x: Node) -> Node:
    units, before = section.integer("output", 1), x.shape
    if len(x.shape) > 1:
        x = net.add(section, Flatten, x, part="flatten")
    has_norm = bool(section.integer("batch_normalize"))
    y = net.add(section, FullyConnected, x, units=units, bias=not has_norm)
    normed = net.normalized(section, y)
    if before:
        net.keep(y, normed, (units, before[-1], *before[:-1]), kernel_first=True)
    return net.activated(section, normed, "logistic")

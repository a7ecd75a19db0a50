"""Norms of Caffe, and the factors and offsets that it learns in layers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archspec.graph.graph import Node
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.merging import by_channel, times
from archspec.imports.caffe.net import Laid, Net, Rule, trainable, usual
from archspec.ops.elementwise import Scale
from archspec.ops.merge import Add
from archspec.ops.normalization import BatchNorm, InstanceNorm, LocalResponseNorm, UnitNorm
from archspec.ops.tokens import Parameter


def lrn(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("lrn")
    if param.word("norm_region", "ACROSS_CHANNELS") not in {"ACROSS_CHANNELS", "0"}:
        reason = "its neighbours are those in the plane of a channel"
        return net.unknown(layer, x, reason=reason, shape=x.shape, arrays=())
    return net.add(
        layer,
        LocalResponseNorm,
        x,
        size=param.integer("local_size", 5),
        alpha=param.real("alpha", 1.0),
        beta=param.real("beta", 0.75),
        k=param.real("k", 1.0),
    )


def batch_norm(net: Net, layer: Layer, x: Node) -> Node:
    """Add a batch norm; its factor and offset are those of the Scale layer after it."""
    net.averages += 1
    param = layer.param("batch_norm")
    scale = net.folded.get(layer.line)
    return net.add(
        layer,
        BatchNorm,
        x,
        epsilon=param.real("eps", 1e-5),
        momentum=param.real("moving_average_fraction", 0.999),
        scale=scale is not None,
        center=scale is not None and scale.param("scale").flag("bias_term", default=False),
        **(trainable(scale) if scale else {}),
    )


def batch_norm_with_factors(net: Net, layer: Layer, x: Node) -> Node:
    """Add the norm of Caffe's variants that keeps factors, offsets and statistics in one layer.

    For inference SegNet's has the statistics in its factors.
    """
    param = layer.param("bn")
    if param.word("bn_mode") in {"INFERENCE", "1"}:
        return net.add(layer, Scale, x, **trainable(layer))
    epsilon = param.real("eps", 1e-5)
    return net.add(layer, BatchNorm, x, epsilon=epsilon, **trainable(layer))


def mvn(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("mvn")
    whole = param.flag("across_channels", default=False)
    if whole or not param.flag("normalize_variance", default=True):
        reason = "archspec normalises each channel by its mean and variance"
        return net.unknown(layer, x, reason=reason, shape=x.shape, arrays=())
    epsilon = param.real("eps", 1e-9)
    return net.add(layer, InstanceNorm, x, epsilon=epsilon, scale=False, center=False)


def normalize(net: Net, layer: Layer, x: Node) -> Node:
    """Add SSD's norm: the channels of a place at length 1, times a learned factor."""
    param = layer.param("norm")
    if param.flag("across_spatial", default=True):
        reason = "it normalises over all places"
        return net.unknown(layer, x, reason=reason, shape=x.shape)
    y = net.add(layer, UnitNorm, x, part="norm")
    if param.flag("channel_shared", default=True):
        return net.add(layer, Parameter, y, shape=(1,), use="multiply", **trainable(layer))
    return net.add(layer, Scale, y, bias=False, **trainable(layer))


def scale(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add a learned factor for each channel; with a second input, a product with that."""
    param = layer.param("scale")
    x, *gates = net.usual_nodes(layer, inputs)
    if gates:
        return times(net, layer, x, gates[0])
    if param.integer("axis", 1) != 1 or param.integer("num_axes", 1) != 1:
        return net.unknown(layer, x, reason="it has a factor for each place", shape=x.shape)
    bias = param.flag("bias_term", default=False)
    return net.add(layer, Scale, x, bias=bias, **trainable(layer))


def offset(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add a learned offset for each channel; with a second input, a sum with that."""
    param = layer.param("bias")
    x, *others = net.usual_nodes(layer, inputs)
    if others:
        return net.add(layer, Add, x, by_channel(net, layer, x, others[0]))
    if param.integer("axis", 1) != 1 or param.integer("num_axes", 1) != 1 or not x.shape:
        return net.unknown(layer, x, reason="it has an offset for each place", shape=x.shape)
    return net.add(layer, Parameter, x, shape=(x.shape.channels,), **trainable(layer))


RULES: Final[Mapping[str, Rule]] = {
    "BN": usual(batch_norm_with_factors),
    "BatchNorm": usual(batch_norm),
    "Bias": Rule(offset, range(1, 3)),
    "LRN": usual(lrn),
    "MVN": usual(mvn),
    "Normalize": usual(normalize),
    "Scale": Rule(scale, range(1, 3)),
}

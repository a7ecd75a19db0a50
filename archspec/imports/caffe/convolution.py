"""Convolutions and products of Caffe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.caffe.arrangement import vector
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.net import Laid, Made, Net, Rule, moving, spatial, trainable, usual
from archspec.imports.modeltext import TextProblem
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.tokens import Embedding, Parameter


def _kernel(layer: Layer) -> dict[str, Any]:
    """Return the arguments that Caffe's convolutions have in common."""
    param = layer.param("convolution")
    if not {"kernel_size", "kernel_h", "kernel_w"} & {name for name, _ in param.fields}:
        raise TextProblem(layer.line, f"layer `{layer.name}` has no `kernel_size`")
    arguments: dict[str, Any] = {
        "kernel": spatial(param, "kernel_size", 1),
        "stride": spatial(param, "stride", 1),
        "padding": spatial(param, "pad", 0) or "valid",
        "dilation": spatial(param, "dilation", 1),
    }
    if not param.flag("bias_term", default=True):
        arguments["bias"] = False
    return arguments | trainable(layer)


def convolution(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("convolution")
    filters, groups = param.integer("num_output"), param.integer("group", 1)
    if layer.type != "Convolution" and groups == 1:
        groups = filters
    arguments = _kernel(layer)
    channels = x.shape.channels if x.shape else 0
    if groups > 1 and groups == channels and filters and filters % channels == 0:
        multiplier = filters // channels
        return net.add(layer, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    return net.add(layer, Convolution, x, filters=filters, groups=groups, **arguments)


def deconvolution(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("convolution")
    return net.add(
        layer,
        TransposedConvolution,
        x,
        filters=param.integer("num_output"),
        groups=param.integer("group", 1),
        **_kernel(layer),
    )


def inner_product(net: Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("inner_product")
    arguments: dict[str, Any] = {"units": param.integer("num_output")} | trainable(layer)
    if not param.flag("bias_term", default=True):
        arguments["bias"] = False
    axis, rank = param.integer("axis", 1), len(x.order)
    if rank > 1 and axis in {rank, -1}:
        straight = net.straightened(layer, x)
        node = net.add(layer, FullyConnected, straight.node, each_place=True, **arguments)
        return Laid(node, straight.order)
    if axis not in {1, -rank}:
        reason = "it is applied along an axis that holds places"
        return net.unknown(layer, x.node, reason=reason)
    return net.add(layer, FullyConnected, vector(net, layer, x, "flatten").node, **arguments)


def embed(net: Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("embed")
    words, filters = param.integer("input_dim"), param.integer("num_output")
    frozen = trainable(layer)
    node = net.add(layer, Embedding, x.node, words=words, filters=filters, **frozen)
    if param.flag("bias_term", default=True):
        node = net.add(layer, Parameter, node, part="bias", shape=(filters,), **frozen)
    return Laid(node, (*x.order, len(x.order)))


RULES: Final[Mapping[str, Rule]] = {
    "Convolution": usual(convolution),
    "ConvolutionDepthwise": usual(convolution),
    "Deconvolution": usual(deconvolution),
    "DepthwiseConvolution": usual(convolution),
    "Embed": moving(embed),
    "InnerProduct": moving(inner_product),
}

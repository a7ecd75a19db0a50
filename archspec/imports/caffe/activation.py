"""Functions of Caffe, one value at a time or along an axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archspec.graph.graph import Node
from archspec.imports.caffe.layer import LOSSES, Layer
from archspec.imports.caffe.net import Laid, Made, Net, Rule, moving, pointwise, trainable, usual
from archspec.ops.elementwise import Activate, Dropout, PRelu, Rescale
from archspec.ops.elementwise import Softmax as SoftmaxOp


def _activation(function: str) -> Rule:
    return pointwise(lambda net, layer, x: net.add(layer, Activate, x, function=function))


def relu(net: Net, layer: Layer, x: Node) -> Node:
    slope = layer.param("relu").real("negative_slope")
    function = {"leaky_relu": slope} if slope else "relu"
    return net.add(layer, Activate, x, function=function)


def prelu(net: Net, layer: Layer, x: Node) -> Node:
    shared = layer.param("prelu").flag("channel_shared", default=False)
    return net.add(layer, PRelu, x, shared="all" if shared else "places", **trainable(layer))


def elu(net: Net, layer: Layer, x: Node) -> Node:
    alpha = layer.param("elu").real("alpha", 1.0)
    return net.add(layer, Activate, x, function="elu" if alpha == 1 else {"elu": alpha})


def power(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("power")
    if param.real("power", 1.0) != 1:
        return net.unknown(layer, x, reason="it raises to a power", shape=x.shape, arrays=())
    scale, shift = param.real("scale", 1.0), param.real("shift")
    return net.add(layer, Rescale, x, scale=scale, offset=shift)


def exponential(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("exp")
    plain = (param.real("base", -1.0), param.real("scale", 1.0), param.real("shift"))
    if plain != (-1.0, 1.0, 0.0):
        return net.unknown(layer, x, reason="its base is not e", shape=x.shape, arrays=())
    return net.add(layer, Activate, x, function="exponential")


def dropout(net: Net, layer: Layer, x: Node) -> Node:
    return net.add(layer, Dropout, x, rate=layer.param("dropout").real("dropout_ratio", 0.5))


def softmax(net: Net, layer: Layer, x: Laid) -> Made:
    axis, node = x.name_of(layer.param("softmax").integer("axis", 1)), x.node
    if axis is None:
        reason = "its axis is that of the batch"
        made = net.unknown(layer, node, reason=reason, shape=node.shape, arrays=())
    else:
        made = net.add(layer, SoftmaxOp, node, axis=axis)
    return Laid(made, x.order)


def softmax_with_loss(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add the last function of the network, which Caffe computes together with the loss."""
    net.builder.note(
        f"A {layer.type} layer is read as the {LOSSES[layer.type]} in it; the loss is not part of "
        "the network."
    )
    return net.add(layer, Activate, net.usual(layer, inputs[0]).node, function=LOSSES[layer.type])


RULES: Final[Mapping[str, Rule]] = {
    "AbsVal": _activation("abs"),
    "BNLL": _activation("softplus"),
    "Dropout": pointwise(dropout),
    "ELU": pointwise(elu),
    "Exp": pointwise(exponential),
    "PReLU": usual(prelu),
    "Power": pointwise(power),
    "ReLU": pointwise(relu),
    "ReLU6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": moving(softmax),
    "Split": moving(lambda _, __, x: x),
    "Swish": _activation("swish"),
    "TanH": _activation("tanh"),
    **dict.fromkeys(LOSSES, Rule(softmax_with_loss, range(1, 4))),
}

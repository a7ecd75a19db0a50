"""Guesses at layers: a convolution or the like with its norm and activation, or two of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from archspec.blocks.activated import OPS
from archspec.blocks.conv import Conv
from archspec.blocks.depthwise_conv import DepthwiseConv
from archspec.blocks.fc import Fc
from archspec.blocks.mlpconv import MlpConv
from archspec.blocks.normalized import NORMS
from archspec.blocks.patchify import Patchify
from archspec.blocks.separable_conv import SeparableConv
from archspec.blocks.transposed_conv import TransposedConv
from archspec.decompile.steps import default_of
from archspec.decompile.view import Place, View
from archspec.element import ArgumentProblems, Element
from archspec.ops.arrangement import Reshape
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Dropout
from archspec.ops.op import Op

Proposal: TypeAlias = tuple[Element, tuple[int, ...]]
"""A block, and the nodes that it reads."""

ACTIVATIONS: tuple[Any, ...] = (Activate, *OPS.values())
"""Ops that an argument `activation` may add."""

WORDS = {cls: word for word, cls in NORMS.items()}
"""The word for each op that an argument `norm` may add."""

NORM_OPS: tuple[Any, ...] = tuple(NORMS.values())

LONGEST = 400
"""Largest number of nodes that a guess looks at."""


class Layer(NamedTuple):
    """A convolution or the like with its norm and activation, in this order."""

    kernel: Place
    norm: str | None
    activation: Any
    dropout: float
    last: Place
    """The node at its end."""

    @property
    def op(self) -> Any:
        return self.kernel.op

    @property
    def x(self) -> int:
        """The node that it reads."""
        return self.kernel.inputs[0]


def activation_of(op: Op) -> Any:
    """Return the value of an argument `activation` that adds this op."""
    if isinstance(op, Activate):
        return op.function
    word = next(word for word, cls in OPS.items() if isinstance(op, cls))
    return word if op == type(op)() else op


def layer_of(view: View, last: Place, kinds: Any = Convolution) -> Layer | None:
    """Return the convolution, norm and activation that end at a node; None if there is no such."""
    norm = activation = None
    dropout = 0.0
    for number, place in enumerate(view.chain(last)):
        if isinstance(place.op, kinds):
            return Layer(place, norm, activation, dropout, last)
        if isinstance(place.op, ACTIVATIONS) and number == 0:
            activation = activation_of(place.op)
        elif isinstance(place.op, NORM_OPS) and norm is None and not dropout:
            norm = WORDS[type(place.op)]
        elif isinstance(place.op, Dropout) and not dropout:
            dropout = place.op.rate
        else:
            return None
    return None


def elements(cls: type[Element], **arguments: Any) -> Iterator[Any]:
    """Yield an element with all these arguments; nothing if they are not valid for it."""
    every = {
        name: default_of(cls, name)
        for name, field in cls.model_fields.items()
        if not field.is_required()
    }
    try:
        yield cls.parse(every | arguments)
    except ArgumentProblems:
        return


def proposed(cls: type[Element], *inputs: int, **arguments: Any) -> Iterator[Proposal]:
    """Yield a block with all these arguments on inputs; nothing if they are not valid for it."""
    for element in elements(cls, **arguments):
        yield element, inputs


def bias_of(op: Any, norm: str | None) -> bool | None:
    """Return the argument `bias` of a layer; None where it is the default."""
    return None if op.bias == (norm is None) else op.bias


def fields_of(op: Op, cls: type[Element]) -> dict[str, Any]:
    """Return the arguments that an op and a block have in common."""
    return {name: value for name, value in op.model_dump().items() if name in cls.model_fields}


def _with_layer(view: View, last: Place, cls: type[Element], op: type[Op]) -> Iterator[Proposal]:
    layer = layer_of(view, last, op)
    if layer is None or (layer.dropout and "dropout" not in cls.model_fields):
        return
    given = fields_of(layer.op, cls) | {
        "norm": layer.norm,
        "activation": layer.activation,
        "bias": bias_of(layer.op, layer.norm),
    }
    if "dropout" in cls.model_fields:
        given["dropout"] = layer.dropout
    yield from proposed(cls, layer.x, **given)


def conv(view: View, last: Place) -> Iterator[Proposal]:
    yield from _norm_first(view, last)
    yield from _with_layer(view, last, Conv, Convolution)


def _norm_first(view: View, last: Place) -> Iterator[Proposal]:
    """Propose norm, activation, convolution, where the norm does not belong to one before it."""
    chain = view.chain(last)
    place = next(chain)
    dropout = 0.0
    if isinstance(place.op, Dropout):
        dropout = place.op.rate
        place = next(chain, place)
    if not isinstance(place.op, Convolution):
        return
    op = place.op
    norm = activation = None
    before = next(chain, None)
    if before and isinstance(before.op, ACTIVATIONS):
        activation = activation_of(before.op)
        before = next(chain, None)
    if before is None or not isinstance(before.op, NORM_OPS):
        return
    norm = WORDS[type(before.op)]
    x = view.places[before.inputs[0]]
    if isinstance(x.op, Convolution) and view.is_inner(x.index):
        return
    given = fields_of(op, Conv) | {
        "norm": norm,
        "activation": activation,
        "bias": bias_of(op, norm),
        "dropout": dropout,
        "order": "norm-act-conv",
    }
    yield from proposed(Conv, x.index, **given)


depthwise_conv = partial(_with_layer, cls=DepthwiseConv, op=DepthwiseConvolution)
transposed_conv = partial(_with_layer, cls=TransposedConv, op=TransposedConvolution)
fc = partial(_with_layer, cls=Fc, op=FullyConnected)


def separable_conv(view: View, last: Place) -> Iterator[Proposal]:
    layer = layer_of(view, last)
    depthwise = layer and view.places[layer.x]
    if layer is None or depthwise is None or not isinstance(depthwise.op, DepthwiseConvolution):
        return
    given = fields_of(depthwise.op, SeparableConv) | {
        "filters": layer.op.filters,
        "norm": layer.norm,
        "activation": layer.activation,
        "bias": bias_of(layer.op, layer.norm),
    }
    yield from proposed(SeparableConv, *depthwise.inputs, **given)


def patchify(view: View, last: Place) -> Iterator[Proposal]:
    norm = None
    place: Place | None = last
    if isinstance(last.op, NORM_OPS):
        norm, place = WORDS[type(last.op)], view.before(last)
    if place is None or not isinstance(place.op, Reshape):
        return
    convolution = view.before(place)
    if convolution is None or not isinstance(convolution.op, Convolution):
        return
    op = convolution.op
    yield from proposed(
        Patchify, *convolution.inputs, filters=op.filters, patch=op.kernel, bias=op.bias, norm=norm
    )


def mlpconv(view: View, last: Place) -> Iterator[Proposal]:
    layers: list[Layer] = []
    place = last
    while len(layers) < LONGEST:
        layer = layer_of(view, place)
        if layer is None or (layers and not view.is_inner(place.index)):
            return
        layers.insert(0, layer)
        if layer.op.kernel != 1:
            break
        place = view.places[layer.x]
    if len(layers) < 3:
        return
    given = fields_of(layers[0].op, MlpConv) | {
        "filters": tuple(layer.op.filters for layer in layers),
        "activation": layers[-1].activation,
    }
    yield from proposed(MlpConv, layers[0].x, **given)

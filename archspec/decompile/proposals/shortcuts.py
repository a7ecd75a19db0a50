"""Guesses at units around a shortcut, which may have a gate: residual units and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from archspec.blocks.inverted_residual import InvertedResidual
from archspec.blocks.residual import Residual
from archspec.blocks.squeeze_excitation import SqueezeExcitation
from archspec.decompile.proposals.layers import (
    ACTIVATIONS,
    LONGEST,
    NORM_OPS,
    WORDS,
    Layer,
    Proposal,
    activation_of,
    elements,
    layer_of,
    proposed,
)
from archspec.decompile.view import Place, View
from archspec.element import Element
from archspec.ops.arrangement import PadChannels, Reshape
from archspec.ops.convolution import Convolution, DepthwiseConvolution, FullyConnected
from archspec.ops.elementwise import Dropout, DropPath
from archspec.ops.merge import Add, Multiply
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool, MaxPool


def squeeze_excitation(view: View, last: Place) -> Iterator[Proposal]:
    if len(last.inputs) == 2:
        for x in dict.fromkeys(last.inputs):
            for element in gates_of(view, last, x):
                yield element, (x,)


def gates_of(view: View, multiply: Place, x: int) -> Iterator[Element]:
    """Yield a squeeze-and-excitation that weighs `x`."""
    (other,) = [each for each in multiply.inputs if each != x] or [x]
    place = view.places[other]
    if isinstance(place.op, Reshape):
        place = view.before(place) or place
    kinds = (Convolution, FullyConnected)
    excite = layer_of(view, place, kinds)
    reduce = excite and layer_of(view, view.places[excite.x], kinds)
    if excite is None or reduce is None:
        return
    channels = view.places[x].shape.channels
    given: dict[str, Any] = {
        "activation": reduce.activation,
        "function": excite.activation,
        "bias": reduce.op.bias,
        "style": "fc" if isinstance(reduce.op, FullyConnected) else "conv",
    }
    width = reduce.kernel.shape.channels
    if channels % width == 0:
        yield from elements(SqueezeExcitation, ratio=channels // width, **given)
    yield from elements(SqueezeExcitation, channels=width, **given)


class Branch(NamedTuple):
    """The way from a node back to another one."""

    places: list[Place]
    """The nodes, the last one first."""
    gate: Element | None
    gated: int
    """Number of convolutions before the gate."""

    def of(self, *kinds: type[Op]) -> list[Any]:
        """Return the ops of some kinds, first to last."""
        return [place.op for place in reversed(self.places) if isinstance(place.op, kinds)]


def branch_of(view: View, end: int, start: int) -> Branch | None:
    """Return the way from `end` back to `start`; None if it forks otherwise than for a gate."""
    places: list[Place] = []
    gate: Element | None = None
    after_gate = 0
    index = end
    while index != start:
        place = view.places[index]
        if len(places) > LONGEST or not place.inputs:
            return None
        if isinstance(place.op, Multiply):
            x = view.dominators[index]
            gate = next(gates_of(view, place, x), None) if x in place.inputs else None
            if gate is None:
                return None
            after_gate = sum(isinstance(each.op, Convolution) for each in places)
            index = x
        elif len(place.inputs) == 1:
            places.append(place)
            index = place.inputs[0]
        else:
            return None
    convolutions = sum(isinstance(each.op, Convolution) for each in places)
    return Branch(places, gate, convolutions - after_gate)


def residual(view: View, last: Place) -> Iterator[Proposal]:
    post = not isinstance(last.op, Add)
    add = view.before(last) if post else last
    if add is None or not isinstance(add.op, Add) or len(add.inputs) != 2:
        return
    start = view.dominators[add.index]
    if start < 0:
        return
    ways = [branch_of(view, each, start) for each in add.inputs]
    ways.sort(key=lambda way: len(way.of(Convolution)) if way else 9)
    short, main = ways
    if short is None or main is None:
        return
    convs = main.of(Convolution)
    norms, activations = main.of(*NORM_OPS), main.of(*ACTIVATIONS)
    if len(convs) not in (2, 3) or len(short.of(Convolution)) > 1:
        return
    given: dict[str, Any] = {
        "style": "basic" if len(convs) == 2 else "bottleneck",
        "order": "conv-norm-act" if post else "norm-act-conv",
        "bias": _residual_bias([conv.bias for conv in convs]),
        "norm": WORDS[type(norms[0])] if norms else "batch",
        "gate": main.gate,
        "gate_on": "3x3" if main.gate and main.gated == 2 < len(convs) else "branch",
    }
    if post:
        given["activation"] = activation_of(last.op)
    elif activations:
        given["activation"] = activation_of(activations[0])
    for kind in (Dropout, DropPath):
        if drops := main.of(kind):
            given[drops[0].kind] = drops[0].rate
    strides = [conv.stride for conv in convs]
    given["stride"] = max(strides, key=lambda each: each if isinstance(each, int) else 1)
    if len(convs) == 3 and (strides[0] != 1 or (given["stride"] == 1 and view.strides_early)):
        given["stride_on"] = "1x1"
    if short.places and not short.of(Convolution):
        given["shortcut"] = "pad" if short.of(PadChannels, MaxPool, AvgPool) else "projection"
        given["subsample"] = "average" if short.of(AvgPool) else "stride"
    entries: list[tuple[int, dict[str, Any]]] = [(start, {})]
    if not post:
        entries = [(start, {"preactivate": True}), (start, {"preactivate": False})]
        before = [*view.start_of(start, steps=2)]
        if len(before) == 2:
            entries.insert(0, (before[1].index, {"preactivate": True}))
    for sizes in _residual_sizes(convs):
        for x, more in entries:
            yield from proposed(Residual, x, **given | sizes | more)


def _residual_bias(biases: list[bool]) -> Any:
    if all(biases) or not any(biases):
        return biases[0]
    return "outer"


def _residual_sizes(convs: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield arguments that say how wide a residual unit is."""
    first, *_, last = convs
    if len(convs) == 2:
        yield {"filters": last.filters}
        return
    groups = convs[1].groups
    if groups == 1 and last.filters % first.filters == 0:
        yield {"filters": first.filters, "expansion": last.filters // first.filters}
    for expansion in (4, 2, 1):
        if last.filters % expansion == 0:
            filters = last.filters // expansion
            sizes = {"filters": filters, "expansion": expansion, "cardinality": groups}
            if max(filters // groups, 1) != first.filters // groups:
                sizes["width"] = first.filters // groups
            yield sizes


def inverted_residual(view: View, last: Place) -> Iterator[Proposal]:
    x: int | None = None
    given: dict[str, Any] = {}
    end = last
    if isinstance(last.op, Add):
        x = view.dominators[last.index]
        if len(last.inputs) != 2 or x not in last.inputs or last.inputs[0] == last.inputs[1]:
            return
        (other,) = [each for each in last.inputs if each != x]
        end = view.places[other]
        if isinstance(end.op, DropPath):
            given["drop_path"] = end.op.rate
            end = view.before(end) or end
    project = layer_of(view, end)
    if project is None or project.dropout or _is_activated(view, last):
        return
    given |= {"filters": project.op.filters, "norm": project.norm}
    if x is not None and project.x == x:
        yield from _fused(given, project, project, view)
        return
    if project.activation is not None or project.op.kernel != 1:
        return
    before = view.places[project.x]
    if isinstance(before.op, Multiply):
        under = view.dominators[before.index]
        given["gate"] = under in before.inputs and next(gates_of(view, before, under), None)
        if not given["gate"]:
            return
        before = view.places[under]
        depthwise = _gated_layer(view, before, (Convolution, DepthwiseConvolution))
    else:
        depthwise = layer_of(view, before, (Convolution, DepthwiseConvolution))
    if depthwise is None:
        return
    given["activation"] = depthwise.activation
    if isinstance(depthwise.op, Convolution):
        if depthwise.op.kernel != 1:
            yield from _fused(given, depthwise, project, view)
        return
    given |= {name: getattr(depthwise.op, name) for name in ("kernel", "stride", "padding")}
    inner = depthwise.kernel.shape.channels
    expand = layer_of(view, view.places[depthwise.x])
    starts = [(expand.x, inner)] if expand and expand.op.kernel == 1 else []
    for start, width in [*starts, (depthwise.x, inner)]:
        if x is None or x == start:
            yield from proposed(InvertedResidual, start, **given, **_expansion(view, start, width))


def _is_activated(view: View, last: Place) -> bool:
    """Return whether an activation alone reads a node."""
    readers = view.readers[last.index]
    return len(readers) == 1 and isinstance(view.places[readers[0]].op, ACTIVATIONS)


def _gated_layer(view: View, last: Place, kinds: Any) -> Layer | None:
    """Return a layer at whose end a gate reads, too."""
    before = view.before(last)
    if not isinstance(last.op, ACTIVATIONS) or before is None:
        return layer_of(view, last, kinds)
    layer = layer_of(view, before, kinds)
    return layer and layer._replace(activation=activation_of(last.op), last=last)


def _fused(given: dict[str, Any], wide: Layer, project: Layer, view: View) -> Iterator[Proposal]:
    given = given | {name: getattr(wide.op, name) for name in ("kernel", "stride", "padding")}
    given |= {"fused": True, "activation": wide.activation}
    inner = wide.op.filters if wide is not project else view.places[wide.x].shape.channels
    yield from proposed(InvertedResidual, wide.x, **given, **_expansion(view, wide.x, inner))


def _expansion(view: View, x: int, inner: int) -> dict[str, Any]:
    """Return the arguments that say how wide an inverted residual is inside."""
    channels = view.places[x].shape.channels
    if inner % channels == 0:
        return {"expansion": inner // channels}
    ratio = round(inner / channels, 2)
    return {"expansion": ratio} if round(ratio * channels) == inner else {"width": inner}

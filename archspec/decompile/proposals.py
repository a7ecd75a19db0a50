"""Guesses at blocks, each from the op at its end: a block, its arguments, and what it reads.

A function here may guess wrong, see `recognition.py`. A new block takes part by one function and
its line in `PROPOSALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.blocks.activated import OPS
from archspec.blocks.attention import Attention
from archspec.blocks.conv import Conv
from archspec.blocks.dense import Dense
from archspec.blocks.depthwise_conv import DepthwiseConv
from archspec.blocks.dual_path import DualPath
from archspec.blocks.fc import Fc
from archspec.blocks.fire import Fire
from archspec.blocks.fractal import Fractal
from archspec.blocks.inception import Inception
from archspec.blocks.inverted_residual import InvertedResidual
from archspec.blocks.mlpconv import MlpConv
from archspec.blocks.normalized import NORMS
from archspec.blocks.patchify import Patchify
from archspec.blocks.residual import Residual
from archspec.blocks.separable_conv import SeparableConv
from archspec.blocks.squeeze_excitation import SqueezeExcitation
from archspec.blocks.transformer import Transformer
from archspec.blocks.transition import Transition
from archspec.blocks.transposed_conv import TransposedConv
from archspec.decompile.steps import default_of
from archspec.decompile.view import Place, View
from archspec.element import ArgumentProblems, Element
from archspec.ops.arrangement import PadChannels, Reshape
from archspec.ops.attention import CausalMask, RelativePositionBias
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Dropout, DropPath, Scale
from archspec.ops.merge import Add, Concat, MatMul, Mean, Multiply
from archspec.ops.normalization import LayerNorm
from archspec.ops.op import Op
from archspec.ops.paths import Join
from archspec.ops.pooling import AvgPool, MaxPool
from archspec.ops.shuffles import Roll

Proposal: TypeAlias = tuple[Element, tuple[int, ...]]
"""A block, and the nodes that it reads."""

ACTIVATIONS: tuple[Any, ...] = (Activate, *OPS.values())
"""Ops that an argument `activation` may add."""

WORDS = {cls: word for word, cls in NORMS.items()}
"""The word for each op that an argument `norm` may add."""

_NORMS: tuple[Any, ...] = tuple(NORMS.values())

LONGEST = 400
"""Largest number of nodes that a guess looks at."""


class _Layer(NamedTuple):
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


def _layer(view: View, last: Place, kinds: Any = Convolution) -> _Layer | None:
    """Return the convolution, norm and activation that end at a node; None if there is no such."""
    norm = activation = None
    dropout = 0.0
    for number, place in enumerate(view.chain(last)):
        if isinstance(place.op, kinds):
            return _Layer(place, norm, activation, dropout, last)
        if isinstance(place.op, ACTIVATIONS) and number == 0:
            activation = activation_of(place.op)
        elif isinstance(place.op, _NORMS) and norm is None and not dropout:
            norm = WORDS[type(place.op)]
        elif isinstance(place.op, Dropout) and not dropout:
            dropout = place.op.rate
        else:
            return None
    return None


def _made(cls: type[Element], **arguments: Any) -> Iterator[Any]:
    """Yield an element with all its arguments said; nothing where they do not suit it."""
    every = {
        name: default_of(cls, name)
        for name, field in cls.model_fields.items()
        if not field.is_required()
    }
    try:
        yield cls.parse(every | arguments)
    except ArgumentProblems:
        return


def _bias(op: Any, norm: str | None) -> bool | None:
    """Return the argument `bias` of a layer: None where it is as usual."""
    return None if op.bias == (norm is None) else op.bias


def _fields(op: Op, cls: type[Element]) -> dict[str, Any]:
    """Return the arguments that an op and a block have both."""
    return {name: value for name, value in op.model_dump().items() if name in cls.model_fields}


def _with_layer(view: View, last: Place, cls: type[Element], op: type[Op]) -> Iterator[Proposal]:
    layer = _layer(view, last, op)
    if layer is None or (layer.dropout and "dropout" not in cls.model_fields):
        return
    given = _fields(layer.op, cls) | {
        "norm": layer.norm,
        "activation": layer.activation,
        "bias": _bias(layer.op, layer.norm),
    }
    if "dropout" in cls.model_fields:
        given["dropout"] = layer.dropout
    for element in _made(cls, **given):
        yield element, (layer.x,)


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
    if before is None or not isinstance(before.op, _NORMS):
        return
    norm = WORDS[type(before.op)]
    x = view.places[before.inputs[0]]
    if isinstance(x.op, Convolution) and view.is_inner(x.index):
        return
    given = _fields(op, Conv) | {
        "norm": norm,
        "activation": activation,
        "bias": _bias(op, norm),
        "dropout": dropout,
        "order": "norm-act-conv",
    }
    for element in _made(Conv, **given):
        yield element, (x.index,)


def depthwise_conv(view: View, last: Place) -> Iterator[Proposal]:
    yield from _with_layer(view, last, DepthwiseConv, DepthwiseConvolution)


def transposed_conv(view: View, last: Place) -> Iterator[Proposal]:
    yield from _with_layer(view, last, TransposedConv, TransposedConvolution)


def fc(view: View, last: Place) -> Iterator[Proposal]:
    yield from _with_layer(view, last, Fc, FullyConnected)


def separable_conv(view: View, last: Place) -> Iterator[Proposal]:
    layer = _layer(view, last)
    depthwise = layer and view.places[layer.x]
    if layer is None or depthwise is None or not isinstance(depthwise.op, DepthwiseConvolution):
        return
    given = _fields(depthwise.op, SeparableConv) | {
        "filters": layer.op.filters,
        "norm": layer.norm,
        "activation": layer.activation,
        "bias": _bias(layer.op, layer.norm),
    }
    for element in _made(SeparableConv, **given):
        yield element, depthwise.inputs


def patchify(view: View, last: Place) -> Iterator[Proposal]:
    norm = None
    place: Place | None = last
    if isinstance(last.op, _NORMS):
        norm, place = WORDS[type(last.op)], view.before(last)
    if place is None or not isinstance(place.op, Reshape):
        return
    convolution = view.before(place)
    if convolution is None or not isinstance(convolution.op, Convolution):
        return
    op = convolution.op
    for element in _made(Patchify, filters=op.filters, patch=op.kernel, bias=op.bias, norm=norm):
        yield element, convolution.inputs


def mlpconv(view: View, last: Place) -> Iterator[Proposal]:
    layers: list[_Layer] = []
    place = last
    while len(layers) < LONGEST:
        layer = _layer(view, place)
        if layer is None or (layers and not view.is_inner(place.index)):
            return
        layers.insert(0, layer)
        if layer.op.kernel != 1:
            break
        place = view.places[layer.x]
    if len(layers) < 3:
        return
    given = _fields(layers[0].op, MlpConv) | {
        "filters": tuple(layer.op.filters for layer in layers),
        "activation": layers[-1].activation,
    }
    for element in _made(MlpConv, **given):
        yield element, (layers[0].x,)


def squeeze_excitation(view: View, last: Place) -> Iterator[Proposal]:
    if len(last.inputs) == 2:
        for x in dict.fromkeys(last.inputs):
            for element in _gate(view, last, x):
                yield element, (x,)


def _gate(view: View, multiply: Place, x: int) -> Iterator[Element]:
    """Yield a squeeze-and-excitation that weighs `x`."""
    (other,) = [each for each in multiply.inputs if each != x] or [x]
    place = view.places[other]
    if isinstance(place.op, Reshape):
        place = view.before(place) or place
    kinds = (Convolution, FullyConnected)
    excite = _layer(view, place, kinds)
    reduce = excite and _layer(view, view.places[excite.x], kinds)
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
        yield from _made(SqueezeExcitation, ratio=channels // width, **given)
    yield from _made(SqueezeExcitation, channels=width, **given)


class _Branch(NamedTuple):
    """The way from a node back to another one."""

    places: list[Place]
    """The nodes, the last one first."""
    gate: Element | None
    gated: int
    """Number of convolutions before the gate."""

    def of(self, *kinds: type[Op]) -> list[Any]:
        """Return the ops of some kinds, first to last."""
        return [place.op for place in reversed(self.places) if isinstance(place.op, kinds)]


def _branch(view: View, end: int, start: int) -> _Branch | None:
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
            gate = next(_gate(view, place, x), None) if x in place.inputs else None
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
    return _Branch(places, gate, convolutions - after_gate)


def residual(view: View, last: Place) -> Iterator[Proposal]:
    post = not isinstance(last.op, Add)
    add = view.before(last) if post else last
    if add is None or not isinstance(add.op, Add) or len(add.inputs) != 2:
        return
    start = view.dominators[add.index]
    if start < 0:
        return
    ways = [_branch(view, each, start) for each in add.inputs]
    ways.sort(key=lambda way: len(way.of(Convolution)) if way else 9)
    short, main = ways
    if short is None or main is None:
        return
    convs = main.of(Convolution)
    norms, activations = main.of(*_NORMS), main.of(*ACTIVATIONS)
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
            for element in _made(Residual, **given | sizes | more):
                yield element, (x,)


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
    project = _layer(view, end)
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
        given["gate"] = under in before.inputs and next(_gate(view, before, under), None)
        if not given["gate"]:
            return
        before = view.places[under]
        depthwise = _gated_layer(view, before, (Convolution, DepthwiseConvolution))
    else:
        depthwise = _layer(view, before, (Convolution, DepthwiseConvolution))
    if depthwise is None:
        return
    given["activation"] = depthwise.activation
    if isinstance(depthwise.op, Convolution):
        if depthwise.op.kernel != 1:
            yield from _fused(given, depthwise, project, view)
        return
    given |= {name: getattr(depthwise.op, name) for name in ("kernel", "stride", "padding")}
    inner = depthwise.kernel.shape.channels
    expand = _layer(view, view.places[depthwise.x])
    starts = [(expand.x, inner)] if expand and expand.op.kernel == 1 else []
    for start, width in [*starts, (depthwise.x, inner)]:
        if x is None or x == start:
            for element in _made(InvertedResidual, **given, **_expansion(view, start, width)):
                yield element, (start,)


def _is_activated(view: View, last: Place) -> bool:
    """Return whether an activation alone reads a node."""
    readers = view.readers[last.index]
    return len(readers) == 1 and isinstance(view.places[readers[0]].op, ACTIVATIONS)


def _gated_layer(view: View, last: Place, kinds: Any) -> _Layer | None:
    """Return a layer at whose end a gate reads, too."""
    before = view.before(last)
    if not isinstance(last.op, ACTIVATIONS) or before is None:
        return _layer(view, last, kinds)
    layer = _layer(view, before, kinds)
    return layer and layer._replace(activation=activation_of(last.op), last=last)


def _fused(given: dict[str, Any], wide: _Layer, project: _Layer, view: View) -> Iterator[Proposal]:
    given = given | {name: getattr(wide.op, name) for name in ("kernel", "stride", "padding")}
    given |= {"fused": True, "activation": wide.activation}
    inner = wide.op.filters if wide is not project else view.places[wide.x].shape.channels
    for element in _made(InvertedResidual, **given, **_expansion(view, wide.x, inner)):
        yield element, (wide.x,)


def _expansion(view: View, x: int, inner: int) -> dict[str, Any]:
    """Return the arguments that say how wide an inverted residual is inside."""
    channels = view.places[x].shape.channels
    if inner % channels == 0:
        return {"expansion": inner // channels}
    ratio = round(inner / channels, 2)
    return {"expansion": ratio} if round(ratio * channels) == inner else {"width": inner}


def dense(view: View, last: Place) -> Iterator[Proposal]:
    units = 0
    place = last
    growth = 0
    steps: list[Place] = []
    while isinstance(place.op, Concat) and len(place.inputs) == 2 and units < LONGEST:
        x, new = place.inputs
        added = view.places[new].shape.channels
        if growth not in (0, added) or view.dominators[place.index] != x:
            break
        way = _branch(view, new, x)
        if way is None or (steps and len(steps) != len(way.places)):
            break
        if not steps:
            steps, growth = way.places, added
        units += 1
        place = view.places[x]
    if not units:
        return
    way = _Branch(steps, None, 0)
    convs, activations, drops = way.of(Convolution), way.of(*ACTIVATIONS), way.of(Dropout)
    if len(convs) not in (1, 2) or not activations:
        return
    for element in _made(
        Dense,
        layers=units,
        growth=growth,
        bottleneck=convs[0].filters // growth or None if len(convs) == 2 else None,
        dropout=drops[0].rate if drops else 0.0,
        activation=activation_of(activations[0]),
    ):
        yield element, (place.index,)


def transition(view: View, last: Place) -> Iterator[Proposal]:
    chain = [place for place, _ in zip(view.chain(last), range(4), strict=False)]
    if len(chain) < 4:
        return
    _, convolution, activation, norm = chain
    if isinstance(convolution.op, Convolution) and isinstance(activation.op, ACTIVATIONS):
        (x,) = norm.inputs
        share = convolution.op.filters / view.places[x].shape.channels
        function = activation_of(activation.op)
        for compression in dict.fromkeys((round(share, 2), share)):
            for element in _made(Transition, compression=compression, activation=function):
                yield element, (x,)


def inception(view: View, last: Place) -> Iterator[Proposal]:
    x = view.dominators[last.index]
    if len(last.inputs) != 4 or x < 0:
        return
    ways = [_branch(view, each, x) for each in last.inputs]
    if not all(ways):
        return
    columns = [way.of(Convolution) for way in ways if way]
    if [len(each) for each in columns] not in ([1, 2, 2, 1], [1, 1, 1, 0]):
        return
    one, three, five, pool = columns
    activations = ways[0].of(*ACTIVATIONS) if ways[0] else []
    for element in _made(
        Inception,
        conv1x1=one[0].filters,
        reduce3x3=three[0].filters if three[1:] else None,
        conv3x3=three[-1].filters,
        reduce5x5=five[0].filters if five[1:] else None,
        conv5x5=five[-1].filters,
        pool_proj=pool[0].filters if pool else None,
        activation=activation_of(activations[0]) if activations else None,
    ):
        yield element, (x,)


def fire(view: View, last: Place) -> Iterator[Proposal]:
    concat, bypass = last, "none"
    if isinstance(last.op, Add):
        if len(last.inputs) != 2:
            return
        ends = [view.places[each] for each in last.inputs]
        merges = [place for place in ends if isinstance(place.op, Concat)]
        concat = max(merges, key=lambda place: place.index, default=last)
        (other, *more) = [place for place in ends if place is not concat] or [last]
        if more:
            return
        bypass = "complex" if isinstance(other.op, Convolution) else "simple"
    if not isinstance(concat.op, Concat) or len(concat.inputs) != 2:
        return
    ends_of = [_layer(view, view.places[each]) for each in concat.inputs]
    narrow, wide = ends_of
    if narrow is None or wide is None or narrow.x != wide.x:
        return
    squeezed = view.places[narrow.x]
    before = view.before(squeezed)
    squeeze = None
    if isinstance(squeezed.op, Convolution):
        squeeze = squeezed
    elif before is not None:
        layer = _layer(view, before)
        squeeze = layer and layer.kernel
    if squeeze is None or not isinstance(squeeze.op, Convolution):
        return
    for element in _made(
        Fire,
        squeeze=squeeze.op.filters,
        expand1x1=narrow.op.filters,
        expand3x3=wide.op.filters,
        bypass=bypass,
        activation=narrow.activation,
    ):
        yield element, squeeze.inputs


def dual_path(view: View, last: Place) -> Iterator[Proposal]:
    x = view.dominators[last.index]
    layers = len(last.inputs) - 2
    if layers < 1 or x < 0 or not isinstance(view.places[last.inputs[0]].op, Add):
        return
    grouped = [
        place.op
        for place in view.places[x : last.index]
        if isinstance(place.op, Convolution) and place.op.kernel == 3
    ]
    if not grouped:
        return
    first: Any = grouped[0]
    for element in _made(
        DualPath,
        layers=layers,
        filters=view.places[last.inputs[0]].shape.channels,
        growth=view.places[last.inputs[-1]].shape.channels,
        width=first.filters // first.groups,
        cardinality=first.groups,
        stride=first.stride,
    ):
        yield element, (x,)


def fractal(view: View, last: Place) -> Iterator[Proposal]:
    op: Any = last.op
    drawn = isinstance(op, Join) and op.columns is not None
    columns = len(last.inputs) - drawn
    if columns > 8:
        return
    way: list[Place] = []
    count = 0
    index = last.inputs[0]
    activation: Any = None
    dropout = 0.0
    while count < 2 ** (columns - 1) and len(way) < LONGEST and view.places[index].inputs:
        place = view.places[index]
        way.append(place)
        if isinstance(place.op, ACTIVATIONS) and activation is None:
            activation = activation_of(place.op)
        if isinstance(place.op, Dropout):
            dropout = place.op.rate
        count += isinstance(place.op, Convolution)
        index = place.inputs[0]
    for element in _made(
        Fractal,
        filters=last.shape.channels,
        columns=columns,
        dropout=dropout,
        drop_path=op.rate if isinstance(op, Join) else 0.0,
        activation=activation or "relu",
    ):
        yield element, (index, last.inputs[-1]) if drawn else (index,)


def attention(view: View, last: Place) -> Iterator[Proposal]:
    shift: Any = 0
    projection = values = scores = None
    place = last
    for place in (last, *view.start_of(last.index, steps=12)):
        if isinstance(place.op, Roll) and projection is None:
            shift = place.op.by
        elif isinstance(place.op, FullyConnected) and projection is None:
            projection = place
        elif isinstance(place.op, MatMul):
            values = place
            break
    if projection is None or values is None:
        return
    op: Any = projection.op
    shape = view.places[values.inputs[1]].shape
    if len(shape) < 3:  # a product of two matrices, without heads
        return
    heads, _, size = shape[-3:]
    given: dict[str, Any] = {"heads": heads, "bias": op.bias}
    for place in view.start_of(values.index, steps=8):
        if isinstance(place.op, Dropout):
            given["dropout"] = place.op.rate
        elif isinstance(place.op, CausalMask):
            given["causal"] = True
        elif isinstance(place.op, RelativePositionBias):
            given["relative_position_bias"] = True
        elif isinstance(place.op, MatMul):
            scores = place
            break
    if scores is None:
        return
    starts = []
    for operand in scores.inputs:
        for place in view.start_of(operand, steps=8):
            if isinstance(place.op, FullyConnected):
                starts.append(place)
                break
    if len(starts) < 2:
        return
    given["qkv_bias"] = starts[0].op.bias  # type: ignore[attr-defined]
    channels = projection.shape.channels
    given["head_size"] = None if heads * size == channels else size
    if starts[0].index != starts[1].index:
        inputs = [_before_positions(view, place.inputs[0]) for place in starts]
        for x in inputs[0]:
            for source in inputs[1]:
                for element in _made(Attention, **given):
                    yield element, (x, source)
        return
    for x in _before_positions(view, starts[0].inputs[0]):
        shape = view.places[x].shape
        if shape != last.shape:
            continue
        windows = _windows(view, starts[0].inputs[0], x)
        for window in windows:
            more = {"window": window, "shift": shift if window is not None else 0}
            for element in _made(Attention, **given | more):
                yield element, (x,)


def _before_positions(view: View, index: int) -> list[int]:
    """Return where the input of an attention may be, whose positions are at a node."""
    found = [index]
    for place in view.start_of(index, steps=5):
        inner = view.places[found[-1]].op
        if not isinstance(inner, (Reshape, Roll)) and inner.kind != "permute":
            break
        found.append(place.index)
    return found


def _windows(view: View, start: int, x: int) -> list[Any]:
    """Return what the windows of an attention may be, whose input is `x`."""
    index = start
    while index != x:
        place = view.places[index]
        op: Any = place.op
        source = view.places[place.inputs[0]]
        if isinstance(op, Reshape) and source.shape.rank == 2 and place.shape.rank == 3:
            _, rows, _, columns = place.shape
            columns //= source.shape.channels
            return [rows if rows == columns else (rows, columns)]
        if isinstance(op, Reshape) and source.shape.rank == 1 and place.shape.rank == 2:
            return [place.shape[1]]
        index = source.index
    return [None]


def transformer(view: View, last: Place) -> Iterator[Proposal]:
    post = isinstance(last.op, LayerNorm)
    given: dict[str, Any] = {"order": "post-norm" if post else "pre-norm"}
    add = view.before(last) if post else last
    fcs: list[Any] = []
    ends = []
    for number in (2, 1):
        if add is None or not isinstance(add.op, Add) or len(add.inputs) != 2:
            return
        x = view.dominators[add.index]
        if x not in add.inputs:
            return
        (end,) = [each for each in add.inputs if each != x] or [x]
        place = view.places[end]
        while isinstance(place.op, (DropPath, Scale, Dropout)):
            if isinstance(place.op, Scale):
                given["layer_scale"] = place.op.initial
            else:
                name = "dropout" if isinstance(place.op, Dropout) else "drop_path"
                given[name] = place.op.rate
            place = view.places[place.inputs[0]]
        ends.append(place)
        if number == 1:
            break
        for inner in view.chain(place):
            if inner.index == x or len(fcs) == 2:
                break
            if isinstance(inner.op, FullyConnected):
                fcs.append(inner.op)
            elif isinstance(inner.op, ACTIVATIONS):
                given["activation"] = activation_of(inner.op)
        given.setdefault("activation", None)
        add = view.places[x]
        if post:
            add = view.before(add)
    if len(fcs) < 2 or not isinstance(last.op, (Add, LayerNorm)):
        return
    channels = last.shape.channels
    given["mlp_ratio"] = fcs[1].units / channels
    for inner_attention, _ in attention(view, ends[1]):
        own: Any = inner_attention
        names = (
            "heads",
            "head_size",
            "qkv_bias",
            "causal",
            "window",
            "shift",
            "relative_position_bias",
        )
        more = {name: getattr(own, name) for name in names}
        more["attention_dropout"] = own.dropout
        for element in _made(Transformer, **given | more):
            yield element, (x,)


_Propose: TypeAlias = Callable[[View, Place], Iterator[Proposal]]

PROPOSALS: Final[tuple[tuple[_Propose, tuple[type[Op], ...]], ...]] = (
    (transformer, (Add, LayerNorm)),
    (attention, (Roll, Reshape, FullyConnected)),
    (dual_path, (Concat,)),
    (dense, (Concat,)),
    (fractal, (Mean, Join)),
    (residual, (*ACTIVATIONS, Add)),
    (inverted_residual, (Add, *_NORMS)),
    (inception, (Concat,)),
    (fire, (Add, Concat)),
    (squeeze_excitation, (Multiply,)),
    (transition, (AvgPool,)),
    (mlpconv, ACTIVATIONS),
    (separable_conv, (*ACTIVATIONS, *_NORMS, Convolution)),
    (patchify, (Reshape, *_NORMS)),
    (depthwise_conv, (*ACTIVATIONS, *_NORMS, DepthwiseConvolution)),
    (transposed_conv, (*ACTIVATIONS, *_NORMS, TransposedConvolution)),
    (fc, (*ACTIVATIONS, *_NORMS, FullyConnected)),
    (conv, (*ACTIVATIONS, *_NORMS, Convolution, Dropout)),
)
"""The guesses, larger blocks first, each with the ops at which its block may end."""

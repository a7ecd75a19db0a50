"""Guesses at blocks that join branches, or grow by them: Inception, DenseNet, FractalNet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archspec.blocks.dense import Dense
from archspec.blocks.dual_path import DualPath
from archspec.blocks.fire import Fire
from archspec.blocks.fractal import Fractal
from archspec.blocks.inception import Inception
from archspec.blocks.transition import Transition
from archspec.decompile.proposals.layers import (
    ACTIVATIONS,
    LONGEST,
    Proposal,
    activation_of,
    layer_of,
    proposed,
)
from archspec.decompile.proposals.shortcuts import Branch, branch_of
from archspec.decompile.view import Place, View
from archspec.ops.convolution import Convolution
from archspec.ops.elementwise import Dropout
from archspec.ops.merge import Add, Concat
from archspec.ops.paths import Join


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
        way = branch_of(view, new, x)
        if way is None or (steps and len(steps) != len(way.places)):
            break
        if not steps:
            steps, growth = way.places, added
        units += 1
        place = view.places[x]
    if not units:
        return
    way = Branch(steps, None, 0)
    convs, activations, drops = way.of(Convolution), way.of(*ACTIVATIONS), way.of(Dropout)
    if len(convs) not in (1, 2) or not activations:
        return
    yield from proposed(
        Dense,
        place.index,
        layers=units,
        growth=growth,
        bottleneck=convs[0].filters // growth or None if len(convs) == 2 else None,
        dropout=drops[0].rate if drops else 0.0,
        activation=activation_of(activations[0]),
    )


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
            yield from proposed(Transition, x, compression=compression, activation=function)


def inception(view: View, last: Place) -> Iterator[Proposal]:
    x = view.dominators[last.index]
    if len(last.inputs) != 4 or x < 0:
        return
    ways = [branch_of(view, each, x) for each in last.inputs]
    if not all(ways):
        return
    columns = [way.of(Convolution) for way in ways if way]
    if [len(each) for each in columns] not in ([1, 2, 2, 1], [1, 1, 1, 0]):
        return
    one, three, five, pool = columns
    activations = ways[0].of(*ACTIVATIONS) if ways[0] else []
    yield from proposed(
        Inception,
        x,
        conv1x1=one[0].filters,
        reduce3x3=three[0].filters if three[1:] else None,
        conv3x3=three[-1].filters,
        reduce5x5=five[0].filters if five[1:] else None,
        conv5x5=five[-1].filters,
        pool_proj=pool[0].filters if pool else None,
        activation=activation_of(activations[0]) if activations else None,
    )


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
    ends_of = [layer_of(view, view.places[each]) for each in concat.inputs]
    narrow, wide = ends_of
    if narrow is None or wide is None or narrow.x != wide.x:
        return
    squeezed = view.places[narrow.x]
    before = view.before(squeezed)
    squeeze = None
    if isinstance(squeezed.op, Convolution):
        squeeze = squeezed
    elif before is not None:
        layer = layer_of(view, before)
        squeeze = layer and layer.kernel
    if squeeze is None or not isinstance(squeeze.op, Convolution):
        return
    yield from proposed(
        Fire,
        *squeeze.inputs,
        squeeze=squeeze.op.filters,
        expand1x1=narrow.op.filters,
        expand3x3=wide.op.filters,
        bypass=bypass,
        activation=narrow.activation,
    )


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
    yield from proposed(
        DualPath,
        x,
        layers=layers,
        filters=view.places[last.inputs[0]].shape.channels,
        growth=view.places[last.inputs[-1]].shape.channels,
        width=first.filters // first.groups,
        cardinality=first.groups,
        stride=first.stride,
    )


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
    yield from proposed(
        Fractal,
        *((index, last.inputs[-1]) if drawn else (index,)),
        filters=last.shape.channels,
        columns=columns,
        dropout=dropout,
        drop_path=op.rate if isinstance(op, Join) else 0.0,
        activation=activation or "relu",
    )

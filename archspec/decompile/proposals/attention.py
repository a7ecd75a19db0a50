"""Guesses at attention, and at the transformer's block around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archspec.blocks.attention import Attention
from archspec.blocks.transformer import Transformer
from archspec.decompile.proposals.layers import ACTIVATIONS, Proposal, activation_of, proposed
from archspec.decompile.view import Place, View
from archspec.ops.arrangement import Reshape
from archspec.ops.attention import CausalMask, RelativePositionBias
from archspec.ops.convolution import FullyConnected
from archspec.ops.elementwise import Dropout, DropPath, Scale
from archspec.ops.merge import Add, MatMul
from archspec.ops.normalization import LayerNorm
from archspec.ops.shuffles import Roll


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
                yield from proposed(Attention, x, source, **given)
        return
    for x in _before_positions(view, starts[0].inputs[0]):
        shape = view.places[x].shape
        if shape != last.shape:
            continue
        window = _window(view, starts[0].inputs[0], x)
        more = {"window": window, "shift": shift if window is not None else 0}
        yield from proposed(Attention, x, **given | more)


def _before_positions(view: View, index: int) -> list[int]:
    """Return where the input of an attention may be, whose positions are at a node."""
    found = [index]
    for place in view.start_of(index, steps=5):
        inner = view.places[found[-1]].op
        if not isinstance(inner, (Reshape, Roll)) and inner.kind != "permute":
            break
        found.append(place.index)
    return found


def _window(view: View, start: int, x: int) -> Any:
    """Return what the window of an attention may be, whose input is `x`; None for none."""
    index = start
    while index != x:
        place = view.places[index]
        op: Any = place.op
        source = view.places[place.inputs[0]]
        if isinstance(op, Reshape) and source.shape.rank == 2 and place.shape.rank == 3:
            _, rows, _, columns = place.shape
            columns //= source.shape.channels
            return rows if rows == columns else (rows, columns)
        if isinstance(op, Reshape) and source.shape.rank == 1 and place.shape.rank == 2:
            return place.shape[1]
        index = source.index
    return None


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
        yield from proposed(Transformer, x, **given | more)

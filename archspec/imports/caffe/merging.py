"""Layers of Caffe that make one blob of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archspec.graph.graph import Node
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.net import Laid, Made, Net, Rule, as_before
from archspec.imports.modeltext import TextProblem
from archspec.ops.arrangement import Reshape
from archspec.ops.elementwise import Rescale
from archspec.ops.merge import Add, Concat, Max, Multiply, Subtract
from archspec.ops.op import Op


def times(net: Net, layer: Layer, x: Node, gate: Node, part: str = "") -> Node:
    """Add the product of an input with a gate, a vector of factors for its channels."""
    return net.add(layer, Multiply, x, by_channel(net, layer, x, gate), part=part)


def by_channel(net: Net, layer: Layer, x: Node, vector: Node) -> Node:
    """Return a vector with an axis of 1 for each along which maps have places."""
    if vector.shape.rank or not x.shape.rank:
        return vector
    extents = (*(1,) * x.shape.rank, vector.shape.channels)
    return net.add(layer, Reshape, vector, part="reshape", to=extents)


def axpy(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add gate * x + y, as SENet's own layer computes it."""
    gate, x, y = net.usual_nodes(layer, inputs)
    return net.add(layer, Add, times(net, layer, x, gate, "multiply"), y)


def eltwise(net: Net, layer: Layer, inputs: list[Laid]) -> Made:
    param, blobs = layer.param("eltwise"), net.alike(layer, inputs)
    nodes = [each.node for each in blobs]
    method = {"PROD": "0", "SUM": "1", "MAX": "2"}.get(param.word("operation", "SUM"))
    method = method or param.word("operation")
    factors = param.reals("coeff")
    if method == "1" and factors == [1, -1] and len(nodes) == 2:
        return as_before(net.add(layer, Subtract, *nodes), blobs[0])
    if method == "1" and any(factor != 1 for factor in factors):
        nodes = [
            x if factor == 1 else net.add(layer, Rescale, x, part=f"coeff{n + 1}", scale=factor)
            for n, (x, factor) in enumerate(zip(nodes, factors, strict=False))
        ]
    kinds: dict[str, type[Op]] = {"0": Multiply, "1": Add, "2": Max}
    if method not in kinds:
        raise TextProblem(layer.line, f"layer `{layer.name}`: there is no operation {method!r}")
    return as_before(net.add(layer, kinds[method], *nodes), blobs[0])


def concat(net: Net, layer: Layer, inputs: list[Laid]) -> Made:
    param, blobs = layer.param("concat"), net.alike(layer, inputs)
    nodes = [each.node for each in blobs]
    axis = blobs[0].name_of(param.integer("axis", param.integer("concat_dim", 1)))
    if axis is None:
        return net.unknown(layer, *nodes, reason="it joins batches", arrays=())
    return as_before(net.add(layer, Concat, *nodes, axis=axis), blobs[0])


MOST_INPUTS: Final = 10_000
"""Largest number of inputs of a layer."""

RULES: Final[Mapping[str, Rule]] = {
    "Axpy": Rule(axpy, range(3, 4)),
    "Concat": Rule(concat, range(1, MOST_INPUTS)),
    "Eltwise": Rule(eltwise, range(2, MOST_INPUTS)),
}

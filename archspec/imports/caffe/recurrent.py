"""Recurrences of Caffe, on [times, sequences, values]."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.net import Laid, Net, Rule, laid
from archspec.ops.op import Weight


def recurrence(net: Net, layer: Layer, inputs: list[Laid]) -> Laid:
    """Keep a recurrence as a layer of known shape and weights. (Donahue et al. 2015)"""
    nodes = [each.node for each in inputs]
    extents = [inputs[0].node.shape[axis] for axis in inputs[0].order]
    units = layer.param("recurrent").integer("num_output")
    if len(extents) < 2 or not units:
        return laid(net.unknown(layer, *nodes, reason="archspec does not know its extents"))
    gates = 4 if layer.type == "LSTM" else 1
    sizes = {"input": prod(extents[1:]), "state": units}
    if len(nodes) > 2:
        sizes["static"] = nodes[2].shape.size
    arrays = [Weight(f"{what}_kernel", (size, gates * units)) for what, size in sizes.items()]
    arrays.append(Weight("bias", (gates * units,)))
    if layer.type == "RNN":
        arrays += [Weight("output_kernel", (units, units)), Weight("output_bias", (units,))]
    reason = "an input says where its sequences begin"
    shape = (extents[0], units)
    return Laid(
        net.unknown(layer, *nodes, reason=reason, shape=shape, arrays=tuple(arrays)), (0, 1)
    )


RULES: Final[Mapping[str, Rule]] = {
    "LSTM": Rule(recurrence, range(2, 4)),
    "RNN": Rule(recurrence, range(2, 4)),
}

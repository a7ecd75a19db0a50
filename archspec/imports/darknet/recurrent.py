"""Recurrent sections: their shapes and weights, for archspec does not read what they compute."""

from __future__ import annotations

from typing import Final

from archspec.graph.graph import Node
from archspec.imports.darknet.convolution import offsets
from archspec.imports.darknet.net import Net
from archspec.imports.darknet.sections import Section
from archspec.ops.op import Weight
from archspec.ops.shape import Shape

_GATES: Final = {"gru": "zrh", "lstm": "ifog", "conv_lstm": "ifog"}
"""The gates of a recurrent section: a layer of the input and one of the state for each."""


def recurrent(net: Net, section: Section, x: Node) -> Node:
    """Add a step of a recurrence: its shape and its weights, each layer with a bias or norm."""
    reason = "archspec reads none of Darknet's recurrent layers"
    net.unreadable = net.unreadable or f"a [{section.kind}] section"
    units, has_maps = section.integer("output", 1), section.kind in {"crnn", "conv_lstm"}
    size = section.integer("size", 3)
    window = (size, size) if has_maps else ()
    inner = (x.shape.channels if has_maps else x.shape.size) if x.shape else 0
    layers: list[tuple[str, int, int]] = []
    if section.kind in _GATES:
        for gate in _GATES[section.kind]:
            layers += [(f"w{gate}", inner, units), (f"u{gate}", units, units)]
        if section.integer("peephole") and has_maps:
            layers += [(f"v{gate}", units, units) for gate in "ifo"]
    else:
        hidden = section.integer("hidden", 1)
        layers = [("input", inner, hidden), ("self", hidden, hidden), ("output", hidden, units)]
    arrays = [
        each
        for part, before, after in layers
        for each in (
            Weight(f"{part}_kernel", (*window, before, after)),
            *offsets(section, part, after),
        )
    ]
    shape = Shape((*x.shape.spatial, units) if has_maps else (units,))
    return net.unknown(section, x, reason=reason, shape=shape, arrays=tuple(arrays))

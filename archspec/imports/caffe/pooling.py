"""Pools of Caffe, which rounds the number of windows up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.declare.declaration import DeclarationError
from archspec.errors import Problem
from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.net import Laid, Net, Rule, spatial, usual
from archspec.ops.arrangement import Flatten
from archspec.ops.merge import Concat
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool

_POOLS: Final[Mapping[str, tuple[type[Op], type[Op]]]] = {
    **dict.fromkeys(("MAX", "0"), (MaxPool, GlobalMaxPool)),
    **dict.fromkeys(("AVE", "1"), (AvgPool, GlobalAvgPool)),
}
"""The pool of a window, and that of the whole plane, by Caffe's word or number."""


def pooling(net: Net, layer: Layer, x: Node) -> Node:
    param = layer.param("pooling")
    method = param.word("pool", "MAX")
    if method not in _POOLS:
        return net.unknown(layer, x, reason=f"archspec has no pool of the kind {method}", arrays=())
    window, whole = _POOLS[method]
    net.pooled.update(dict.fromkeys(layer.tops[1:], x))
    if param.flag("global_pooling", default=False):
        return net.add(layer, whole, x, keep_axes=True)
    size, stride = spatial(param, "kernel_size", 1), spatial(param, "stride", 1)
    arguments = _arguments(x, window, size, stride, spatial(param, "pad", 0))
    if param.word("round_mode", "CEIL") in {"FLOOR", "1"}:
        arguments.pop("ceil", None)
    return net.add(layer, window, x, **arguments)


def _arguments(x: Node, pool: type[Op], size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    """Return the arguments of a pool whose last window may hang over the edge."""
    arguments = {"size": size, "stride": stride, "padding": padding or "valid"}
    if _hangs_over(x, arguments):
        arguments["ceil"] = True
    if pool is AvgPool and padding:
        arguments["count_padding"] = True
    return arguments


def _hangs_over(x: Node, arguments: Mapping[str, Any]) -> bool:
    """Whether the last window of a pool hangs over the edge, as Caffe lets it.

    Where none does, rounding up and rounding down are the same, and the op need not say it.
    """
    if x.shape.is_open:
        return True
    try:
        rounded = [MaxPool(**arguments, ceil=ceil).output_shape(x.shape) for ceil in (False, True)]
    except (Problem, DeclarationError):
        return False  # it does not fit at all, which is said where it is added
    return rounded[0] != rounded[1]


def pyramid(net: Net, layer: Layer, x: Node) -> Node:
    """Add pools to 1, 2, 4 places an axis and so on, joined as a vector. (He et al. 2014)"""
    param = layer.param("spp")
    height = param.integer("pyramid_height")
    method = param.word("pool", "MAX")
    if method not in _POOLS or not 0 < height < 10 or x.shape.is_open:
        return net.unknown(layer, x, reason="archspec has no pyramid of this kind", arrays=())
    parts = []
    for level in range(height):
        windows = [-(-extent // 2**level) for extent in x.shape.spatial]
        pads = [
            (each * 2**level - extent + 1) // 2
            for each, extent in zip(windows, x.shape.spatial, strict=True)
        ]
        window, _ = _POOLS[method]
        size = one_or_each(windows)
        arguments = _arguments(x, window, size, size, one_or_each(pads))
        pool = net.add(layer, window, x, part=f"pool{2**level}", **arguments)
        parts.append(net.add(layer, Flatten, pool, part=f"flatten{2**level}"))
    return parts[0] if len(parts) == 1 else net.add(layer, Concat, *parts)


_REGIONS: Final = {
    "PSROIPooling": "psroi_pooling",
    "ROIAlign": "roi_align",
    "ROIPooling": "roi_pooling",
}
"""Types of pools of regions, with what their arguments are called."""


def regions(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Keep the pools of regions as a layer of known shape, for one region. (Girshick 2015)"""
    param = layer.param(_REGIONS[layer.type])
    nodes = net.usual_nodes(layer, inputs)
    channels = param.integer("output_dim") or nodes[0].shape.channels
    extents = [
        param.integer(name) or param.integer("group_size") for name in ("pooled_h", "pooled_w")
    ]
    net.builder.note(f"What comes after a {layer.type} layer is counted for one region.")
    reason = "its regions depend on values"
    shape = (*extents, channels) if all(extents) else None
    return net.unknown(layer, *nodes, reason=reason, shape=shape, arrays=())


RULES: Final[Mapping[str, Rule]] = {
    "Pooling": usual(pooling),
    "SPP": usual(pyramid),
    **dict.fromkeys(_REGIONS, Rule(regions, range(2, 3))),
}

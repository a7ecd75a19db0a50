"""Pools, whose padding Darknet gives as the sum of both sides."""

from __future__ import annotations

from typing import Any

from archspec.element import Element
from archspec.graph.graph import Node
from archspec.imports.darknet.convolution import strides_of
from archspec.imports.darknet.net import Net
from archspec.imports.darknet.sections import Section
from archspec.ops.shape import Shape


def pooled(net: Net, section: Section, x: Node, kind: type[Element]) -> Node:
    """Add a pool. Its padding is the sum of both sides, and one less than its size if not given."""
    strides = strides_of(section)
    size = section.integer("size", strides if isinstance(strides, int) else strides[0])
    padding = section.integer("padding", size - 1)
    steps = (strides, strides) if isinstance(strides, int) else strides
    reason, channels = "", x.shape.channels if x.shape else 0
    if section.integer("maxpool_depth"):
        reason, channels = "it pools over channels", section.integer("out_channels", 1)
    elif section.integer("antialiasing"):
        reason = "it blurs its output before the stride"
    if reason:
        places = zip(x.shape.spatial, steps, strict=False)
        spatial = [(extent + padding - size) // max(step, 1) + 1 for extent, step in places]
        shape = Shape((*spatial, channels)) if len(spatial) == 2 else None
        return net.unknown(section, x, reason=reason, shape=shape, arrays=())
    sides: Any = "valid"
    if len(x.shape) == 3 and padding > 0 and size > 0 and min(steps) > 0:
        sides = _sides(x.shape.spatial, size, steps, padding)
    return net.add(section, kind, x, size=size, stride=strides, padding=sides)


def _sides(extents: tuple[int, ...], size: int, steps: tuple[int, ...], padding: int) -> Any:
    """Return the padding of a pool as it has an effect: as far as windows reach.

    A pool of 2 with stride 2 has a padding of 1 by default, which no window of an even input sees.
    """
    sides, same = [], []
    for extent, step in zip(extents, steps, strict=True):
        before = padding // 2
        count = (extent + padding - size) // step + 1
        after = max((count - 1) * step + size - before - extent, 0)
        sides.append((before, after))
        total = max((-(-extent // step) - 1) * step + size - extent, 0)
        same.append((total // 2, total - total // 2) if count == -(-extent // step) else None)
    if all(side == (0, 0) for side in sides):
        return "valid"
    return "same" if sides == same else tuple(sides)

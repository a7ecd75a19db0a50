"""Sections that move values: upsample, reorg, crop."""

from __future__ import annotations

from archspec.graph.graph import Node
from archspec.imports.darknet.net import Net
from archspec.imports.darknet.sections import Section
from archspec.imports.modeltext import TextProblem
from archspec.ops.arrangement import Crop, Upsample
from archspec.ops.shape import Shape
from archspec.ops.shuffles import SpaceToDepth


def upsample(net: Net, section: Section, x: Node) -> Node:
    stride = section.integer("stride", 2)
    if stride < 0 or section.real("scale", 1.0) != 1:
        spatial = [n * stride if stride > 0 else n // -stride for n in x.shape.spatial]
        shape = Shape((*spatial, x.shape.channels)) if x.shape and stride else None
        reason = "it makes the maps smaller, or scales them"
        return net.unknown(section, x, reason=reason, shape=shape, arrays=())
    return net.add(section, Upsample, x, factor=stride)


def reorg(net: Net, section: Section, x: Node) -> Node:
    if section.integer("reverse"):
        by = max(section.integer("stride", 1), 1)
        shape = None
        if x.shape.rank == 2 and x.shape.channels % by**2 == 0:
            shape = Shape((*(n * by for n in x.shape.spatial), x.shape.channels // by**2))
        return net.unknown(section, x, reason="it is reversed", shape=shape, arrays=())
    net.builder.note(
        "A [reorg] section is a space_to_depth here; Darknet's order of values differs."
    )
    return net.add(section, SpaceToDepth, x, factor=section.integer("stride", 1))


def crop(net: Net, section: Section, x: Node) -> Node:
    """Cut the image to a size at which training places it at random."""
    if len(x.shape) != 3:
        return net.unknown(section, x, reason="its input is not an image", arrays=())
    amounts = []
    for name, extent in zip(("crop_height", "crop_width"), x.shape.spatial, strict=True):
        excess = extent - section.integer(name, 1)
        if excess < 0:
            raise TextProblem(section.line, f"`{name}` is larger than the image, {extent}")
        amounts.append((excess // 2, excess - excess // 2))
    if not any(map(any, amounts)):
        return x
    return net.add(section, Crop, x, amount=tuple(amounts))

"""Sections that read other sections: routes, shortcuts, products of channels or places."""

from __future__ import annotations

from archspec.element import Element
from archspec.graph.graph import Node
from archspec.imports.darknet.net import Net
from archspec.imports.darknet.sections import Section
from archspec.imports.modeltext import TextProblem
from archspec.ops.arrangement import PadChannels, Slice
from archspec.ops.merge import Add, Concat, Multiply
from archspec.ops.op import Weight
from archspec.ops.pooling import MaxPool
from archspec.ops.tokens import Parameter


def route(net: Net, section: Section, x: Node) -> Node:  # noqa: ARG001
    """Join the channels of other layers, or parts of them."""
    numbers = section.integers("layers")
    if not numbers:
        raise TextProblem(section.line, "[route] needs `layers`", help="as `layers=-1,8`")
    nodes = [net.source(section, number) for number in numbers]
    groups, group = section.integer("groups", 1), section.integer("group_id")
    if groups > 1:
        nodes = [_part(net, section, node, n + 1, groups, group) for n, node in enumerate(nodes)]
    return nodes[0] if len(nodes) == 1 else net.add(section, Concat, *nodes)


def _part(net: Net, section: Section, x: Node, number: int, groups: int, group: int) -> Node:
    """Add one of several equal parts of the channels."""
    count = x.shape[-1] // groups if x.shape else 0
    part = "" if len(section.integers("layers")) == 1 else f"part{number}"
    return net.add(section, Slice, x, part=part, start=count * group, stop=count * (group + 1))


def shortcut(net: Net, section: Section, x: Node) -> Node:
    """Add other layers to this one; its own activation comes after the sum."""
    numbers = section.integers("from")
    if not numbers:
        raise TextProblem(section.line, "[shortcut] needs `from`", help="as `from=-3`")
    others = [net.source(section, number) for number in numbers]
    if (kind := section.word("weights_type", "none")) != "none":
        each = x.shape.channels if kind == "per_channel" and x.shape else 1
        y = net.unknown(
            section,
            x,
            *others,
            reason="it learns a factor for each input",
            shape=x.shape,
            arrays=(Weight("factors", (len(numbers) + 1, each)),),
        )
        net.unreadable = net.unreadable or "a [shortcut] with weights"
        return net.activated(section, y, "linear")
    fitted = [_fitted(net, section, other, x, n + 1) for n, other in enumerate(others)]
    return net.activated(section, net.add(section, Add, x, *fitted), "linear")


def _fitted(net: Net, section: Section, other: Node, x: Node, number: int) -> Node:
    """Return a shortcut's input with the shape of its other.

    Of larger maps every second place is taken, or third and so on; channels are cut, or have zeros
    after them.
    """
    if other.shape.rank != x.shape.rank or not x.shape:
        return other
    part = f"from{number}"
    factors = [n // m for n, m in zip(other.shape.spatial, x.shape.spatial, strict=True)]
    if any(n != m for n, m in zip(other.shape.spatial, x.shape.spatial, strict=True)):
        wanted = [m * factor for m, factor in zip(x.shape.spatial, factors, strict=True)]
        if wanted != list(other.shape.spatial) or len({*factors}) > 1:
            return other
        stride = factors[0]
        other = net.add(section, MaxPool, other, part=f"{part}_places", size=1, stride=stride)
    if other.shape[-1] == x.shape[-1]:
        return other
    if other.shape[-1] > x.shape[-1]:
        return net.add(section, Slice, other, part=part, stop=x.shape[-1])
    return net.add(section, PadChannels, other, part=part, to=x.shape[-1])


def product(net: Net, section: Section, x: Node) -> Node:
    """Multiply another layer by this one: a factor for each channel, or for each value."""
    other = net.source(section, section.integer("from", -2))
    return net.activated(section, net.add(section, Multiply, other, x), "linear")


def implicit(net: Net, section: Section, x: Node) -> Node:  # noqa: ARG001
    """Add a learned vector, which other sections add to maps or multiply them by. (YOLOR 2021)"""
    net.unreadable = net.unreadable or f"a [{section.kind}] section"
    shape = (1, 1, section.integer("filters", 128))
    source = next(iter(net.builder.inputs.values()))
    return net.add(section, Parameter, source, shape=shape, use="alone")


def with_other(net: Net, section: Section, x: Node, kind: type[Element]) -> Node:
    """Add an op on this layer and another one."""
    return net.add(section, kind, x, net.source(section, section.integer("from", -2)))

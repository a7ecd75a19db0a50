"""Two networks that are one but for their last layers: what transfer learning may carry over.

The number of classes decides the shape of a network's last layer, its head; all before it is
matched as exactly as a whole network is (see `matching`). Here `ours` gets the weights of `theirs`,
which may have another number of classes, other outputs beside the main one, or no head at all.
"""

from __future__ import annotations

from typing import NamedTuple

from archspec.errors import UsageError
from archspec.graph.graph import MAIN_OUTPUT
from archspec.keras_model.matching import COMMUTATIVE, LayerGraph, LayerNode, kinds, match


class Bodies(NamedTuple):
    """Pairs of layers, ours and theirs: those before the heads, and those of the heads."""

    before: list[tuple[LayerNode, LayerNode]]
    heads: list[tuple[LayerNode, LayerNode]]


def heads(graph: LayerGraph) -> frozenset[int]:
    """The nodes whose shape the number of classes decides.

    For each output that is the layer that makes the classes from something else, and what follows
    it channel by channel, such as a norm.
    """
    found: set[int] = set()
    waiting = list(graph.outputs.values())
    while waiting:
        index = waiting.pop()
        node = graph.nodes[index]
        if index in found or not (node.weights or node.sort in COMMUTATIVE):
            continue
        found.add(index)
        if all(len(weight.shape) < 2 for weight in node.weights):  # it keeps the channels apart
            classes = node.shape[-1]
            waiting += [i for i in node.inputs if graph.nodes[i].shape[-1] == classes]
    return frozenset(found)


def head_layers(graph: LayerGraph) -> dict[str, int]:
    """The layers with weights that the number of classes decides, by name, each with its number."""
    last = [graph.nodes[index] for index in sorted(heads(graph))]
    return {node.name: node.shape[-1] or 0 for node in last if node.weights}


def match_bodies(ours: LayerGraph, theirs: LayerGraph) -> Bodies:
    """Which layer is which, heads and outputs that only one of the two has apart.

    Raises `UsageError` where the networks differ in anything else, or where it is not certain.
    """
    _check_images(ours, theirs)
    ours, theirs = _common(ours, theirs)
    last = head_layers(ours).keys()
    try:
        pairs = match(_for_any_classes(ours), _for_any_classes(theirs))
    except UsageError as error:
        start = _beginning(ours, theirs)
        if start is None:
            raise UsageError(f"{error}{_extents(ours, theirs)}") from None
        return Bodies(match(start, theirs), [])
    whole = [{node.name: node for node in graph.nodes} for graph in (ours, theirs)]
    pairs = [(whole[0][mine.name], whole[1][other.name]) for mine, other in pairs]
    return Bodies(
        [pair for pair in pairs if pair[0].name not in last],
        [pair for pair in pairs if pair[0].name in last],
    )


def _check_images(ours: LayerGraph, theirs: LayerGraph) -> None:
    """Raise `UsageError` where already the images are of another sort."""
    here, there = ours.nodes[0], theirs.nodes[0]
    if len(here.shape) != len(there.shape):
        raise UsageError(f"it has {there} with its channels, here it is {here}")
    if here.shape[-1] != there.shape[-1]:
        raise UsageError(
            f"it has {there}, here it is {here}: the first layer's weights are for "
            f"{there.shape[-1]} channels: give the network here an `input` of as many"
        )


def _extents(ours: LayerGraph, theirs: LayerGraph) -> str:
    """What else may be the reason where images are of another extent and the networks begin alike.

    The second node is the first layer.
    """
    here, there = ours.nodes[0], theirs.nodes[0]
    first = [[node.forms for node in graph.nodes[1:2]] for graph in (ours, theirs)]
    if here.shape == there.shape or first[0] != first[1]:
        return ""
    return f"; it has {there}, here it is {here}, and what follows `flatten` fits one extent only"


def _common(ours: LayerGraph, theirs: LayerGraph) -> tuple[LayerGraph, LayerGraph]:
    """Both networks as far as they lead to outputs that both have.

    A network's only output is the main one of a network with several.
    """
    here, there = dict(ours.outputs), dict(theirs.outputs)
    for one, several in ((here, there), (there, here)):
        if len(one) == 1 and len(several) > 1:
            (index,) = one.values()
            one.clear()
            one[MAIN_OUTPUT if MAIN_OUTPUT in several else next(iter(several))] = index
    both = here.keys() & there.keys()
    if not both:
        return ours, theirs
    return (
        ours.towards({name: here[name] for name in both}),
        theirs.towards({name: there[name] for name in both}),
    )


def _for_any_classes(graph: LayerGraph) -> LayerGraph:
    """The same nodes, but the heads' are alike for all numbers of classes."""
    last = heads(graph)
    opened = (
        node._replace(
            weights=tuple(
                weight._replace(shape=(*weight.shape[:-1], None), form=(*weight.form[:-1], None))
                for weight in node.weights
            ),
            shape=(*node.shape[:-1], None),
        )
        if index in last
        else node
        for index, node in enumerate(graph.nodes)
    )
    return graph._replace(nodes=tuple(opened))


def _beginning(ours: LayerGraph, theirs: LayerGraph) -> LayerGraph | None:
    """What of ours is all of theirs, where theirs ends before a head as ours does."""
    if len(theirs.outputs) > 1:
        return None
    here, there = kinds(ours, theirs)
    ((name, end),) = theirs.outputs.items()
    ends = [index for index, kind in enumerate(here) if index and kind == there[end]]
    return ours.towards({name: ends[0]}) if len(ends) == 1 else None

"""Two networks that differ in their last layers only: the weights that transfer learning copies.

The number of classes decides the shape of a network's last layer, its head; all before it is
matched as exactly as a whole network is (see `matching`). Here `ours` gets the weights of `theirs`,
which may have another number of classes, further outputs, or no head at all.
"""

from __future__ import annotations

from typing import NamedTuple

from archspec.errors import UsageError
from archspec.graph.graph import MAIN_OUTPUT
from archspec.keras_model.matching import (
    COMMUTATIVE,
    LayerGraph,
    LayerNode,
    kinds,
    match,
    paired_inputs,
)


class Bodies(NamedTuple):
    """Pairs of layers, ours and theirs: those before the heads, and those of the heads."""

    before: list[tuple[LayerNode, LayerNode]]
    heads: list[tuple[LayerNode, LayerNode]]


def heads(graph: LayerGraph) -> frozenset[int]:
    """Return the nodes whose shape the number of classes decides.

    For each output, these are the layer that computes the classes from something else, and what
    follows it channel by channel, such as a norm.
    """
    indices: set[int] = set()
    waiting = list(graph.outputs.values())
    while waiting:
        index = waiting.pop()
        node = graph.nodes[index]
        if index in indices or not (node.weights or node.sort in COMMUTATIVE):
            continue
        indices.add(index)
        if all(len(weight.shape) < 2 for weight in node.weights):  # it keeps the channels apart
            classes = node.shape[-1]
            waiting += [i for i in node.inputs if graph.nodes[i].shape[-1] == classes]
    return frozenset(indices)


def head_layers(graph: LayerGraph) -> dict[str, int]:
    """Return the weighted layers of the heads by name, each with its number of classes."""
    last = [graph.nodes[index] for index in sorted(heads(graph))]
    return {node.name: node.shape[-1] or 0 for node in last if node.weights}


def match_bodies(ours: LayerGraph, theirs: LayerGraph) -> Bodies:
    """Return the pairs of corresponding layers, without heads and outputs that only one has.

    Raises `UsageError` where the networks differ in anything else, or where a pair is not certain.
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
    """Raise `UsageError` if the images differ in their axes or channels."""
    for here, there in paired_inputs(ours, theirs):
        if len(here.shape) != len(there.shape):
            raise UsageError(f"it has {there} with its channels, here it is {here}")
        if here.shape[-1] != there.shape[-1]:
            raise UsageError(
                f"it has {there}, here it is {here}: the first layer's weights are for "
                f"{there.shape[-1]} channels: give the network here an `input` of as many"
            )


def _extents(ours: LayerGraph, theirs: LayerGraph) -> str:
    """Return a further possible reason: images of another extent, in networks that begin alike."""
    inputs = paired_inputs(ours, theirs)
    here, there = next((pair for pair in inputs if pair[0].shape != pair[1].shape), inputs[0])
    first = [[node.forms for node in graph.weighted[:1]] for graph in (ours, theirs)]
    if here.shape == there.shape or first[0] != first[1]:
        return ""
    return f"; it has {there}, here it is {here}, and what follows `flatten` fits one extent only"


def _common(ours: LayerGraph, theirs: LayerGraph) -> tuple[LayerGraph, LayerGraph]:
    """Return both networks without the outputs that only one has.

    A network's only output corresponds to the main one of a network with several.
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
    """Return the same nodes, with heads for any number of classes."""
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
    """Return the beginning of ours that is all of theirs, if theirs has no head; else None."""
    if len(theirs.outputs) > 1:
        return None
    here, there = kinds(ours, theirs)
    ((name, end),) = theirs.outputs.items()
    ends = [
        index for index, kind in enumerate(here) if index not in ours.inputs and kind == there[end]
    ]
    return ours.towards({name: ends[0]}) if len(ends) == 1 else None

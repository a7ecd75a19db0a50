"""The proof that a spec gives the graph that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.decompile.meaning import is_commutative, meaning_of
from archspec.graph.graph import Graph


def difference(graph: Graph, made: Graph, order: Sequence[int]) -> str | None:
    """Return what differs between a graph and the one of the spec that was made from it.

    Args:
        graph: The graph.
        made: The graph of the spec.
        order: The node of `graph` that each node of `made` is; -1 for one that was added as the
            output of a head, and computes nothing.

    Returns:
        A sentence about the first difference; None where there is none.
    """
    ours, theirs = graph.nodes, made.nodes
    if len(theirs) != len(order):
        return f"the spec has {len(theirs)} layers, the model {len(order)}"
    if sorted(each for each in order if each >= 0) != [*range(len(ours))]:
        return "a layer is missing, or stands twice"
    names = {node.name: node.index for node in theirs}
    places = [*order]
    for node, index in zip(theirs, order, strict=True):
        if index < 0:
            places[node.index] = places[node.inputs[0]]
            continue
        source = ours[index]
        if source.is_input:
            if source.shape != node.shape:
                return f"`{source.name}` is {source.shape}, in the spec {node.shape}"
            continue
        if not node.op.kind or meaning_of(source.layer)[0] is not type(node.op):  # type: ignore[index]
            return f"`{source.name}` is `{source.op.kind}`, in the spec `{node.op.kind}`"
        inputs = [places[each] for each in node.inputs]
        if is_commutative(source.op):
            same = sorted(inputs) == sorted(source.inputs)
        else:
            same = inputs == [*source.inputs]
            same = same and meaning_of(source.layer) == meaning_of(node.layer)
        if not same:
            return f"`{source.name}` differs in the spec, where it is `{node.name}`"
        weights = source.layer.weights if source.op.kind else node.layer.weights
        if source.shape != node.shape or weights != node.layer.weights:
            return f"`{source.name}` has another shape or other weights in the spec"
        owner = node.layer.owner and ours[order[names[node.layer.owner]]].name
        if source.layer.owner != owner:
            return f"`{source.name}` shares other weights in the spec"
    if [places[index] for index in made.outputs.values()] != [*graph.outputs.values()]:
        return "an output is another layer in the spec"
    return None

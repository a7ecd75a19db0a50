"""A flat graph as the recognition of blocks reads it: who reads whom, and what is alike."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from archspec.decompile.meaning import meaning_of, tidy
from archspec.graph.graph import Graph, Node
from archspec.ops.convolution import Convolution
from archspec.ops.elementwise import Activate
from archspec.ops.op import Op
from archspec.ops.shape import Shape


class Place(NamedTuple):
    """A node of the graph, with its op in the shortest form."""

    index: int  # type: ignore[assignment]  # hides `tuple.index`
    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    node: Node


class View:
    """The nodes of a graph, their readers and their meanings."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.places = [
            Place(node.index, tidy(node.op), node.inputs, node.shape, node) for node in graph.nodes
        ]
        self.readers: list[list[int]] = [[] for _ in self.places]
        """Nodes that read each node; twice where one reads it twice."""
        for place in self.places:
            for each in place.inputs:
                self.readers[each].append(place.index)
        self.ends = frozenset(graph.outputs.values())
        """Nodes that are outputs of the network."""
        owners = {node.layer.owner for node in graph.nodes if node.layer.owner}
        self.shared = frozenset(
            node.index for node in graph.nodes if node.layer.owner or node.name in owners
        )
        """Nodes whose weights more than one node uses."""

    @cached_property
    def meanings(self) -> list[Hashable]:
        """The meaning of each node; the input's name for an input."""
        return [
            meaning_of(place.node.layer) if place.op.kind else place.node.name
            for place in self.places
        ]

    def is_inner(self, index: int) -> bool:
        """Return whether a node has one reader, and is not an output."""
        return len(self.readers[index]) == 1 and index not in self.ends

    def before(self, place: Place) -> Place | None:
        """Return the node that a node reads, if it reads one alone."""
        return self.places[place.inputs[0]] if len(place.inputs) == 1 else None

    def chain(self, place: Place) -> Iterator[Place]:
        """Yield a node and those before it, as long as each reads one and is read by one alone."""
        yield place
        previous = self.before(place)
        while previous is not None and self.is_inner(previous.index) and previous.op.kind:
            yield previous
            previous = self.before(previous)

    def start_of(self, index: int, *, steps: int) -> Iterator[Place]:
        """Yield the nodes before a node, nearest first, along first inputs; at most so many."""
        while steps and self.places[index].inputs:
            index = self.places[index].inputs[0]
            yield self.places[index]
            steps -= 1

    @cached_property
    def strides_early(self) -> bool:
        """Whether the first 1x1 convolution of a bottleneck strides: an activation follows it."""
        for place in self.places:
            op = place.op
            if isinstance(op, Convolution) and op.kernel == 1 and op.stride == 2:
                after = self._next(self._next(place))
                if after is not None and isinstance(after.op, Activate):
                    return True
        return False

    def _next(self, place: Place | None) -> Place | None:
        """Return the node that alone reads a node."""
        if place is None or not self.is_inner(place.index):
            return None
        return self.places[self.readers[place.index][0]]

    @cached_property
    def dominators(self) -> list[int]:
        """The node through which every way from the inputs to a node leads; -1 for none."""
        return dominators_of([place.inputs for place in self.places])


def dominators_of(inputs: Sequence[Sequence[int]]) -> list[int]:
    """Return the node through which every way to each node leads; -1 for none.

    The work is bounded: a node for which it takes too long has none.

    Args:
        inputs: The nodes that each node reads, all of them before it.
    """
    above: list[int] = []
    depth: list[int] = []
    left = 40 * len(inputs) + 100_000
    for reads in inputs:
        common = -1
        for number, each in enumerate(reads):
            if number == 0:
                common = each
                continue
            other = each
            while common != other and left > 0:
                left -= 1
                if common == -1 or other == -1:
                    common = other = -1
                elif depth[common] > depth[other]:
                    common = above[common]
                elif depth[common] < depth[other]:
                    other = above[other]
                else:
                    common, other = above[common], above[other]
            if common != other:
                common = -1
        above.append(common)
        depth.append(depth[common] + 1 if common >= 0 else 0)
    return above

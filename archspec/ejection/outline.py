"""A graph as a tree of items: layers one by one, blocks and groups with the items inside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from archspec.ejection.recording import Construction
from archspec.element import Element
from archspec.graph.graph import Graph, Node
from archspec.ops.shape import Shape

Id: TypeAlias = int | tuple[int, int]
"""A tensor: the index of the node that gives it; with a number for one inside the node."""


@dataclass(eq=False)
class Leaf:
    """One layer applied once."""

    path: str
    node: Node
    construction: Construction
    inputs: tuple[Id, ...]
    out: Id
    owner: str = ""
    """Path of the layer whose weights it uses; its own path where others use its weights."""

    @property
    def is_shared(self) -> bool:
        return bool(self.owner)

    @cached_property
    def sort(self) -> tuple[Any, ...]:
        """Constructor and names of arguments, alike in layers that one line of a program can be."""
        made = self.construction
        return ("layer", made.name, *sorted(map(str, made.arguments)))


@dataclass(eq=False)
class Nest:
    """A block, a group or a branch."""

    path: str
    kind: str
    element: Element | None
    items: list[Item]
    start: int
    stop: int
    sample: int = 0
    """Number of the network that it is of, where a program is to be several."""
    function: int = 0
    """Number of its function among those of its kind; 0 while it has none."""


@dataclass(eq=False)
class Round:
    """Items of one round of a loop; `path` is that of its group, or of what is around the loop."""

    path: str
    items: list[Item]
    is_group: bool


@dataclass(eq=False)
class Loop:
    """Rounds that do the same with other values."""

    rounds: list[Round]


Item: TypeAlias = Leaf | Nest | Loop


def layers_in(items: Iterable[Item]) -> Iterator[Leaf]:
    """Yield the layers of items, those inside blocks and loops too."""
    for item in items:
        if isinstance(item, Leaf):
            yield item
        elif isinstance(item, Nest):
            yield from layers_in(item.items)
        else:
            for each in item.rounds:
                yield from layers_in(each.items)


class Outline:
    """A network as a tree of items. Its layers are recorded once for all its trees."""

    def __init__(
        self, graph: Graph, layers_of: Callable[[Node], Sequence[Construction]], offset: int = 0
    ) -> None:
        """Take a network.

        Args:
            graph: The network.
            layers_of: The constructor calls of a node.
            offset: What is added to each node's index, so that several networks differ in all.
        """
        self.graph = graph
        self.offset = offset
        self.shapes: dict[Id, Shape] = {}
        """Shape of what each node gives."""
        self.readers: dict[int, list[int]] = {}
        """Nodes that read what a node gives."""
        owners = {node.layer.owner for node in graph.nodes} - {""}
        self._leaves = []
        for node in graph.nodes:
            leaves = [] if node.is_input else _leaves(node, layers_of, owners, offset)
            self._leaves.append(leaves)
            self.shapes[node.index + offset] = node.shape
            for index in node.inputs:
                self.readers.setdefault(index + offset, []).append(node.index + offset)

    def items(self, sample: int) -> list[Item]:
        """Return the items, without inputs. Blocks that share weights are dissolved.

        Args:
            sample: Number of the network, which its blocks bear.
        """
        top: list[Item] = []
        open_nests: list[Nest] = []
        scopes = self.graph.scopes
        next_scope = 0
        for index, leaves in enumerate(self._leaves):
            while open_nests and open_nests[-1].stop <= index + self.offset:
                open_nests.pop()
            while next_scope < len(scopes) and scopes[next_scope].start <= index:
                scope = scopes[next_scope]
                next_scope += 1
                place = scope.start + self.offset, scope.stop + self.offset
                nest = Nest(scope.name, scope.kind, scope.element, [], *place, sample)
                (open_nests[-1].items if open_nests else top).append(nest)
                open_nests.append(nest)
            (open_nests[-1].items if open_nests else top).extend(leaves)
        return _dissolved(top)


def _leaves(
    node: Node, layers_of: Callable[[Node], Sequence[Construction]], owners: set[str], offset: int
) -> list[Leaf]:
    chain = layers_of(node)
    owner = node.layer.owner or (node.name if node.name in owners else "")
    leaves: list[Leaf] = []
    inputs: tuple[Id, ...] = tuple(index + offset for index in node.inputs)
    end = node.index + offset
    for number, construction in enumerate(chain):
        is_last = number == len(chain) - 1
        out: Id = end if is_last else (end, number)
        leaves.append(Leaf(node.name, node, construction, inputs, out, owner if is_last else ""))
        inputs = (out,)
    return leaves


def _dissolved(items: list[Item]) -> list[Item]:
    """Return items, those of nests in which weights are shared instead of the nests."""
    result: list[Item] = []
    for item in items:
        if isinstance(item, Nest):
            item.items = _dissolved(item.items)
            if any(isinstance(each, Leaf) and each.is_shared for each in item.items):
                result += item.items
                continue
        result.append(item)
    return result

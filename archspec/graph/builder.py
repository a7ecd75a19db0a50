"""The builder that a block's `expand` adds to. Shapes are known as each layer is added."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from archspec.declare.declaration import DeclarationError
from archspec.element import ArgumentProblems, Element
from archspec.errors import KeyPath, Problem, UsageError
from archspec.graph.graph import (
    SEPARATOR,
    Expansion,
    Graph,
    Input,
    Layer,
    Node,
    Piece,
    PlacedBlock,
    Scope,
    layer_at,
    nodes_of,
    placed_nodes,
    reaching,
    scopes_of,
    shared_layer,
)
from archspec.ops.fields import LARGEST
from archspec.ops.op import Op, needs_size
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.blocks.block import Block

MOST_NODES = 50_000
"""Largest number of nodes in a graph."""

MOST_EDGES = 200_000
"""Largest number of inputs of all nodes: a block may join each layer to all before it."""

LONGEST_PATH = 1_000
"""Largest number of characters in a path: every node below a scope repeats the scope's."""

TRIAL = "trial"
"""Path of an element that is only tried."""

ExpansionKey: TypeAlias = tuple[str, Element, frozenset[str], Shape]
"""Text of the spec's `defaults` and of what else a block may read; the block, its fields that were
given, and its input's shape."""

Mark: TypeAlias = tuple[int, int, int, int]
"""Size of a graph: its nodes, edges, pieces and scopes."""

_Key = TypeVar("_Key", bound=tuple[Any, ...])
_Kept = TypeVar("_Kept")


class Kept(Generic[_Key, _Kept]):
    """Results of blocks, or steps, on an input: kept for the graphs to come.

    A key begins with a text.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        """Number of pieces from which on all are forgotten."""
        self._pieces = 0
        self._known: dict[_Key, _Kept] = {}

    def get(self, key: _Key) -> _Kept | None:
        return self._known.get(key)

    def keep(self, key: _Key, kept: _Kept, expansion: Expansion) -> None:
        """Keep something that has the pieces of an expansion."""
        self._pieces += len(expansion.pieces) + len(key[0]) // 100
        if self._pieces > self.most:
            self._pieces = 0
            self._known.clear()
        self._known[key] = kept


EXPANSIONS: Kept[ExpansionKey, Expansion] = Kept(50_000)


class Builder:
    """Adds ops and blocks to a graph under construction.

    `b(Convolution(...), x, name="conv1")` adds an op or expands a block on the node `x` and returns
    the resulting node, whose `shape` and `channels` may decide what comes next.
    """

    def __init__(
        self,
        inputs: Sequence[int] | Mapping[str, Sequence[int]],
        defaults: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Begin a graph with the shape of its input, or the shapes of several by name."""
        self.pieces: list[Piece] = []
        """Pieces added so far: a block is one where it can be costed as a whole."""
        self.scopes: list[Scope] = []
        """The scopes that are not inside such a block."""
        self.size = 0
        """Number of nodes."""
        self.edges = 0
        """Number of the nodes' inputs."""
        self.full = False
        """Whether something was refused because the graph is as large as it may be."""
        self.prefix = ""
        """Path of the scope in which things are added, with its separator."""
        self.around = ""
        """Text of the variables that a spec's own blocks read: blocks around them may too."""
        self.carry_out: Callable[..., Node] = _cannot
        """Add the steps of a block that the spec defines, to a builder, on a node."""
        self._defaults = dict(defaults or {})
        self._tried = 0
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._filled: dict[tuple[Element, frozenset[str]], Element] = {}
        shapes = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        self.inputs = {name: self.stand_in(name, Shape(shape)) for name, shape in shapes.items()}
        """The node of each input."""
        self.input = next(iter(self.inputs.values()))
        """The node of the first input."""
        self._used.update(self.inputs)

    def __call__(self, element: Element, *inputs: Node, name: str | None = None) -> Node:
        """Add `element` on `inputs` and return its output; its kind and a number name it."""
        filled = self.fill(element)
        return self.place(filled, self.claim(filled.kind, name), inputs)

    @property
    def nodes(self) -> list[Node]:
        """All nodes so far, those in blocks too."""
        return nodes_of(self.pieces)

    def place(self, element: Element, path: str, inputs: tuple[Node, ...]) -> Node:
        """Add `element` without the spec's defaults, at a path that was claimed."""
        if not isinstance(element, Op):
            block: Block = element  # type: ignore[assignment]
            op = block.alone()
            if op is None:
                return self._block(block, path, inputs)
            element = op
        try:
            layer = layer_at(element, tuple([node.layer.output for node in inputs]))
        except Problem as problem:
            problem.path = problem.path or path
            raise
        return self._append(path, layer, tuple([node.index for node in inputs]))

    def learns(self, start: int, stop: int) -> bool:
        """Return whether layers from node `start` up to `stop` have weights, or share some."""
        return any(
            piece.costs.params or (isinstance(piece, Node) and piece.layer.owner)
            for piece in self._between(start, stop)
        )

    def assumes(self, start: int, stop: int) -> bool:
        """Return whether a node from `start` up to `stop` is there for one that failed."""
        return any(
            isinstance(piece, Node) and piece.is_input for piece in self._between(start, stop)
        )

    def _between(self, start: int, stop: int) -> list[Piece]:
        """Return the pieces that are the nodes from `start` up to `stop`."""
        ends = [bisect_left(self.pieces, index, key=_index) for index in (start, stop)]
        return self.pieces[slice(*ends)]

    def share(
        self, path: str, owner: str, start: int, stop: int, inputs: Mapping[int, Node]
    ) -> dict[int, Node]:
        """Add the layers from node `start` up to `stop` once more, with the same weights.

        Args:
            path: The path of the copy, which was claimed.
            owner: The path of the step that the layers are.
            start: The first node of that step.
            stop: The node after its last.
            inputs: What the copy reads instead of each node that the step reads.

        Returns:
            The node of the copy for each of the step's.

        Raises:
            Problem: A layer does not fit, or would have other weights.
        """
        pieces, by = self._between(start, stop), self.size - start
        new = dict(inputs)
        for node in nodes_of(pieces):
            sources = tuple([new.get(i) or self.output(i) for i in node.inputs])
            name = path + node.name[len(owner) :]
            try:
                layer = shared_layer(node.layer, node.name, tuple([x.shape for x in sources]))
            except Problem as problem:
                problem.path = name
                raise
            _check_length(len(name))
            new[node.index] = self._append(name, layer, tuple([x.index for x in sources]))
        ends = [bisect_left(self.scopes, index, key=_start) for index in (start, stop)]
        for scope in scopes_of(pieces, self.scopes[slice(*ends)]):
            if (scope.name + SEPARATOR).startswith(owner + SEPARATOR):
                moved = scope.moved(by, path + scope.name[len(owner) :])
                self.scopes.append(moved._replace(owner=scope.owner or scope.name))
        return new

    def output(self, index: int) -> Node:
        """Return the node at an index that is the output of a piece."""
        piece = self.pieces[bisect_left(self.pieces, index, key=_index)]
        if isinstance(piece, Node):
            return piece
        return placed_nodes(piece.costs.pieces[-1:], piece.name, piece.start, piece.inputs[0])[-1]

    def stand_in(self, path: str, shape: Shape) -> Node:
        """Add a node for one that failed. A graph with such a node is never finished."""
        return self._append(path, _input_at(shape), ())

    def tried(self, element: Element, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of an element's output on inputs of these shapes, and add nothing.

        Raises:
            Problem: As `place` does; and once more was tried than a graph holds.
        """
        if self._tried > MOST_NODES:
            raise Problem("limit", f"more than {MOST_NODES:,} layers were tried")
        trial = Builder({f"input{i}": shape for i, shape in enumerate(shapes)}, self._defaults)
        trial.around_text, trial.carry_out = self.around_text, self.carry_out
        try:
            return trial.place(element, TRIAL, tuple(trial.inputs.values())).shape
        finally:
            self._tried += trial.size

    def fill(self, element: Element) -> Element:
        """Return `element` with the spec's `defaults` for the fields that were not set."""
        defaults = self._defaults.get(element.kind)
        if not defaults:
            return element
        # Two equal elements may differ in which of their fields were set.
        key = (element, frozenset(element.model_fields_set))
        filled = self._filled.get(key)
        if filled is None:
            given = {name: getattr(element, name) for name in element.model_fields_set}
            try:
                filled = self._filled[key] = type(element).parse({**defaults, **given})
            except ArgumentProblems as problems:
                raise next(iter(problems.problems.values())) from None
        return filled

    def claim(self, kind: str, name: str | None) -> str:
        """Return a path in the current scope that nothing else has, and reserve it."""
        if name is None:
            number = self._counts.get(self.prefix + kind, 0)
            while True:
                number += 1
                path = f"{self.prefix}{kind}{number}"
                if path not in self._used:
                    break
            self._counts[self.prefix + kind] = number
        else:
            path = self.prefix + name
            if path in self.inputs:
                message = f"`{path}` is an input of the network"
                raise Problem("duplicate", message, help="give the step or the head another name")
            if path in self._used:
                help_ = (
                    "give one of them another name; in a loop, give the group a `name`, or the "
                    f'step a computed one, as `="{name[:20]}_" + str(index)`'
                )
                raise Problem("duplicate", f"two steps are called `{path}`", help=help_)
        _check_length(len(path))
        self._used.add(path)
        return path

    @contextmanager
    def scope(
        self,
        path: str,
        kind: str,
        label: str = "",
        *,
        row: bool = False,
        element: Element | None = None,
    ) -> Iterator[None]:
        """Put whatever is added inside below `path`; `element` is the block that it is."""
        outer, self.prefix = self.prefix, path + SEPARATOR
        start, place = self.size, len(self.scopes)
        try:
            yield
        finally:
            self.prefix = outer
        if self.size > start:
            label = label or kind.upper()
            scope = Scope(path, kind, label, start, self.size, row, element=element)
            self.scopes.insert(place, scope)

    @contextmanager
    def group(self, kind: str, name: str | None = None) -> Iterator[str]:
        """Put whatever is added inside into a scope of the block, such as unit1."""
        path = self.claim(kind, name)
        with self.scope(path, kind):
            yield path

    def finish(
        self,
        name: str,
        outputs: Mapping[str, Node],
        loss_weights: Mapping[str, float],
        steps: Mapping[KeyPath, Sequence[tuple[int, int]]] | None = None,
    ) -> Graph:
        """Return the graph of all that an output needs, as a Keras model holds it.

        An input that no output needs is left out; if that is all of them, the first stays.
        """
        indices = {output: node.index for output, node in outputs.items()}
        pieces, scopes = self.pieces, self.scopes
        needed = reaching(pieces, indices.values())
        needed[0] |= not any(needed[node.index] for node in self.inputs.values())
        if not all(needed):
            before = list(accumulate(needed, initial=0))  # new index of each node
            pieces = [
                piece.moved(before[piece.index], piece.name, tuple(before[i] for i in piece.inputs))
                for piece in pieces
                if needed[piece.index]
            ]
            scopes = [
                scope._replace(start=before[scope.start], stop=before[scope.stop])
                for scope in scopes
                if before[scope.start] < before[scope.stop]
            ]
            indices = {output: before[index] for output, index in indices.items()}
            steps = {
                path: [(before[start], before[stop]) for start, stop in rounds]
                for path, rounds in (steps or {}).items()
            }
            pieces, scopes = _adopted(pieces, scopes)
        weights = dict(loss_weights)
        return Graph(name, tuple(pieces), indices, tuple(scopes), weights, steps or {})

    def _grow(self, nodes: int, edges: int) -> None:
        """Count what is about to be added; raise `Problem` where that would be too much."""
        self.full = self.size + nodes > MOST_NODES or self.edges + edges > MOST_EDGES
        if self.full:
            message = (
                f"the network has more than {MOST_NODES:,} layers, or {MOST_EDGES:,} connections"
            )
            raise Problem("limit", message)
        self.size += nodes
        self.edges += edges

    def _append(self, path: str, layer: Layer, inputs: tuple[int, ...]) -> Node:
        self._grow(1, len(inputs))
        node = Node(self.size - 1, path, layer, inputs)
        self.pieces.append(node)
        return node

    def _block(self, block: Block, path: str, inputs: tuple[Node, ...]) -> Node:
        if len(inputs) > 1:
            return self._expand(block, path, inputs)
        (x,) = inputs
        key = self.around_text, block, block.model_fields_set, x.layer.output
        expansion = EXPANSIONS.get(key)
        if expansion is None:
            start, edges, first, place = begun = self.mark
            output = self._expand(block, path, inputs)
            if not _is_closed(self.pieces[first:], start, x, output):
                return output
            expansion = self.added(begun, path)
            EXPANSIONS.keep(key, expansion, expansion)
            del self.pieces[first:], self.scopes[place:]
            self.size, self.edges = start, edges
        _check_length(len(path) + expansion.longest)
        self._grow(expansion.size, expansion.edges)
        self.pieces.append(PlacedBlock(self.size - 1, path, expansion, (x.index,)))
        start = self.size - expansion.size
        return placed_nodes(expansion.pieces[-1:], path, start, x.index)[-1]

    def _expand(self, block: Block, path: str, inputs: tuple[Node, ...]) -> Node:
        try:
            with self.scope(path, block.kind, block.label, row=block.row, element=block):
                return block.expand(self, *inputs)
        except Problem as problem:
            problem.path = problem.path or path
            raise
        except DeclarationError as error:
            item = error.errors[0]
            if hasattr(item["input"], "terms"):  # a formula where a layer needs a number
                message = f"`{block.kind}` needs to know the extent {item['input']}"
                unknown = Problem("shape", message, help=needs_size())
                unknown.path = path
                raise unknown from None
            if item["type"] != "less_than_equal":  # the block's mistake, not the user's
                raise
            name = next(part for part in item["loc"] if isinstance(part, str))
            message = f"a layer in `{block.kind}` would have {name}: {item['input']:,}"
            excess = Problem("limit", message, help=f"at most {LARGEST:,} are possible")
            excess.path = path
            raise excess from None

    @property
    def mark(self) -> Mark:
        """Size of the graph: its nodes, edges, pieces and scopes."""
        return self.size, self.edges, len(self.pieces), len(self.scopes)

    def added(self, begun: Mark, path: str) -> Expansion:
        """Return what was added below a path since then."""
        cut = len(path)
        start, _, first, place = begun
        return Expansion(
            tuple([_relative(piece, cut, start) for piece in self.pieces[first:]]),
            tuple([scope.moved(-start, scope.name[cut:]) for scope in self.scopes[place:]]),
        )

    def has_room(self, expansion: Expansion, path: str) -> bool:
        """Return whether the layers of an expansion may be added below a path."""
        return (
            self.size + expansion.size <= MOST_NODES
            and self.edges + expansion.edges <= MOST_EDGES
            and len(path) + expansion.longest <= LONGEST_PATH
        )

    def repeat(self, expansion: Expansion, path: str, x: Node) -> None:
        """Add the layers of an expansion below a path, each piece of it by itself."""
        start, source = self.size, x.index
        for piece in expansion.pieces:
            index, name, _, inputs = piece
            read = tuple([start + each if each >= 0 else source for each in inputs])
            self.pieces.append(piece.moved(start + index, path + name, read))
        self.scopes += [scope.moved(start, path + scope.name) for scope in expansion.scopes]
        self._grow(expansion.size, expansion.edges)

    @cached_property
    def around_text(self) -> str:
        """Text of all beside its arguments and its input that decides what a block becomes."""
        return repr(self._defaults) + self.around


@lru_cache(maxsize=1_024)
def _input_at(shape: Shape) -> Layer:
    return layer_at(Input(extent=tuple(shape)), ())


def _cannot(block: Block, *_: Any) -> Node:
    raise UsageError(f"`{block.kind}` is a block of a spec, and can be used in that spec alone")


def _index(piece: Piece) -> int:
    return piece.index


def _start(scope: Scope) -> int:
    return scope.start


def _check_length(characters: int) -> None:
    if characters > LONGEST_PATH:
        message = f"the path of a step is longer than {LONGEST_PATH:,} characters"
        raise Problem("limit", message, help="use shorter names")


def _adopted(pieces: list[Piece], scopes: list[Scope]) -> tuple[list[Piece], list[Scope]]:
    """Return pieces and scopes, the weights of steps that were left out with their next user."""
    if not any(isinstance(piece, Node) and piece.layer.owner for piece in pieces):
        return pieces, scopes
    owners = {node.name: node.name for node in nodes_of(pieces)}
    for i, piece in enumerate(pieces):
        if isinstance(piece, Node) and (owner := piece.layer.owner):
            first = owners.setdefault(owner, piece.name)
            own = layer_at(piece.op, piece.layer.inputs)
            layer = own if first == piece.name else replace(piece.layer, owner=first, measured={})
            pieces[i] = piece._replace(layer=layer)
    owners = {scope.name: scope.name for scope in scopes_of(pieces, scopes)}
    for i, scope in enumerate(scopes):
        if scope.owner:
            first = owners.setdefault(scope.owner, scope.name)
            scopes[i] = scope._replace(owner="" if first == scope.name else first)
    return pieces, scopes


def reads_alone(pieces: Sequence[Piece], start: int, x: Node) -> bool:
    """Return whether pieces from node `start` on depend on `x` alone, of all before them.

    What shares weights does not: it has the path of another step.
    """
    read = {index for piece in pieces for index in piece.inputs if index < start}
    shares = any(isinstance(piece, Node) and piece.layer.owner for piece in pieces)
    return not shares and read <= {x.index}


def _is_closed(pieces: Sequence[Piece], start: int, x: Node, output: Node) -> bool:
    """Whether pieces from node `start` on read `x` alone and lead to `output`, the last."""
    if not pieces or output.index != pieces[-1].index or not reads_alone(pieces, start, x):
        return False
    read = {index for piece in pieces for index in piece.inputs}
    return x.index in read and all(piece.index in read for piece in pieces[:-1])


def _relative(piece: Piece, cut: int, start: int) -> Piece:
    """Return a piece of a block as an `Expansion` has it."""
    index, name, _, inputs = piece
    inputs = tuple([each - start if each >= start else -1 for each in inputs])
    return piece.moved(index - start, name[cut:], inputs)

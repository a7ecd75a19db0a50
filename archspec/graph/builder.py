"""The builder: what a block's `expand` speaks to. Shapes are known as each layer is added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from archspec.element import ArgumentProblems, Element
from archspec.errors import Problem
from archspec.graph.graph import SEPARATOR, Graph, Input, Layer, Node, Scope, layer_at, reaching
from archspec.ops.fields import LARGEST
from archspec.ops.op import Op
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.blocks.block import Block

MOST_NODES = 50_000
"""A graph with more is refused."""

MOST_EDGES = 200_000
"""A graph whose nodes have more inputs is refused: a block may join each layer to all before it."""

LONGEST_PATH = 1_000
"""In characters: every node below a scope has its path."""


TRIAL = "trial"
"""Path of an element that is only tried."""


class _Part(NamedTuple):
    """What a block expanded to, relative to the node and the path where it began."""

    layers: tuple[tuple[str, Layer, tuple[int, ...]], ...]
    """(name below the block's path, layer, inputs); an input i < 0 is the block's input -1 - i."""
    scopes: tuple[Scope, ...]
    output: int


class Builder:
    """Adds ops and blocks to a graph under construction.

    `b(Convolution(...), x, name="conv1")` adds an op or expands a block on the node `x` and gives
    the resulting node, whose `shape` and `channels` may decide what comes next.
    """

    def __init__(
        self, shape: Sequence[int], defaults: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.nodes: list[Node] = []
        self.scopes: list[Scope] = []
        self._defaults = dict(defaults or {})
        self.edges = 0
        self.full = False
        """Whether something was refused because the graph is as large as it may be."""
        self.prefix = ""
        """Path of the scope in which things are added, with its separator."""
        self._tried = 0
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._parts: dict[tuple[Element, tuple[Shape, ...]], _Part] = {}
        self._filled: dict[tuple[Element, frozenset[str]], Element] = {}
        self.input = self._append("input", layer_at(Input(extent=tuple(shape)), ()), ())

    def __call__(self, element: Element, *inputs: Node, name: str | None = None) -> Node:
        """Add `element` on `inputs`; the name defaults to its kind and a number."""
        filled = self.fill(element)
        return self.place(filled, self.claim(filled.kind, name), inputs)

    def place(self, element: Element, path: str, inputs: tuple[Node, ...]) -> Node:
        """Add `element` as it is at a path that was claimed."""
        if isinstance(element, Op):
            layer = self._layer(element, path, inputs)
            return self._append(path, layer, tuple(node.index for node in inputs))
        return self._block(element, path, inputs)  # type: ignore[arg-type]

    def stand_in(self, path: str, shape: Shape) -> Node:
        """Add a node for one that failed. A graph with such a node is never finished."""
        return self._append(path, layer_at(Input(extent=tuple(shape)), ()), ())

    def tried(self, element: Element, shapes: Sequence[Shape]) -> Shape:
        """The shape of an element's output on inputs of these shapes; nothing is added.

        Raises `Problem` as `place` does, and where all that was tried is as much as a graph holds.
        """
        if self._tried > MOST_NODES:
            raise Problem("limit", f"more than {MOST_NODES:,} layers were tried")
        trial = Builder(shapes[0], self._defaults)
        others = [trial.stand_in(f"input{i}", shape) for i, shape in enumerate(shapes[1:], start=2)]
        try:
            return trial.place(element, TRIAL, (trial.input, *others)).shape
        finally:
            self._tried += len(trial.nodes)

    def fill(self, element: Element) -> Element:
        """`element` with the spec's `defaults` for its kind where it leaves a field unsaid."""
        defaults = self._defaults.get(element.kind)
        if not defaults:
            return element
        # Two equal elements may differ in which of their values were said.
        key = (element, frozenset(element.model_fields_set))
        filled = self._filled.get(key)
        if filled is None:
            said = {name: getattr(element, name) for name in element.model_fields_set}
            try:
                filled = self._filled[key] = type(element).parse({**defaults, **said})
            except ArgumentProblems as problems:
                raise next(iter(problems.problems.values())) from None
        return filled

    def claim(self, kind: str, name: str | None) -> str:
        """A path in the current scope that nothing else has."""
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
            if path in self._used:
                help_ = "give one of them another name; in a loop, a `name` of its own to the group"
                raise Problem("duplicate", f"two steps are called `{path}`", help=help_)
        if len(path) > LONGEST_PATH:
            message = f"the path of a step is longer than {LONGEST_PATH:,} characters"
            raise Problem("limit", message, help="use shorter names")
        self._used.add(path)
        return path

    @contextmanager
    def scope(self, path: str, kind: str, label: str = "", *, row: bool = False) -> Iterator[None]:
        """Whatever is added inside stands below `path`."""
        outer, self.prefix = self.prefix, path + SEPARATOR
        start = len(self.nodes)
        place = len(self.scopes)
        try:
            yield
        finally:
            self.prefix = outer
        stop = len(self.nodes)
        if stop > start:
            scope = Scope(path, kind, label or kind.upper(), start, stop, row)
            self.scopes.insert(place, scope)

    @contextmanager
    def group(self, kind: str, name: str | None = None) -> Iterator[str]:
        """A named scope inside a block, such as unit1: a part of it that is no kind of its own."""
        path = self.claim(kind, name)
        with self.scope(path, kind):
            yield path

    def finish(
        self, name: str, outputs: Mapping[str, Node], loss_weights: Mapping[str, float]
    ) -> Graph:
        """The graph of all that an output needs, as a Keras model holds it."""
        indices = {output: node.index for output, node in outputs.items()}
        needed = reaching(self.nodes, indices.values())
        if all(needed):
            return Graph(name, tuple(self.nodes), indices, tuple(self.scopes), dict(loss_weights))
        before = list(accumulate(needed, initial=0))
        nodes = tuple(
            Node(before[n.index], n.name, n.layer, tuple(before[i] for i in n.inputs))
            for n in self.nodes
            if needed[n.index]
        )
        moved = (
            scope._replace(start=before[scope.start], stop=before[scope.stop])
            for scope in self.scopes
        )
        scopes = tuple(scope for scope in moved if scope.start < scope.stop)
        indices = {output: before[index] for output, index in indices.items()}
        return Graph(name, nodes, indices, scopes, dict(loss_weights))

    def _layer(self, op: Op, path: str, inputs: tuple[Node, ...]) -> Layer:
        try:
            return layer_at(op, tuple(node.layer.output for node in inputs))
        except Problem as problem:
            problem.path = problem.path or path
            raise

    def _append(self, path: str, layer: Layer, inputs: tuple[int, ...]) -> Node:
        index = len(self.nodes)
        self.edges += len(inputs)
        self.full = index >= MOST_NODES or self.edges > MOST_EDGES
        if self.full:
            message = (
                f"the network has more than {MOST_NODES:,} layers, or {MOST_EDGES:,} connections"
            )
            raise Problem("limit", message)
        node = Node(index, path, layer, inputs)
        self.nodes.append(node)
        return node

    def _block(self, block: Block, path: str, inputs: tuple[Node, ...]) -> Node:
        key = (block, tuple(node.layer.output for node in inputs))
        part = self._parts.get(key)
        if part is not None:
            return self._replay(part, path, inputs)
        start, place = len(self.nodes), len(self.scopes)
        try:
            with self.scope(path, block.kind, block.label, row=block.row):
                output = block.expand(self, *inputs)
        except Problem as problem:
            problem.path = problem.path or path
            raise
        except ValidationError as error:
            item = error.errors(include_url=False, include_context=False)[0]
            if item["type"] != "less_than_equal":  # no user's mistake, but the block's
                raise
            message = f"a layer in `{block.kind}` would have {item['loc'][-1]}: {item['input']:,}"
            excess = Problem("limit", message, help=f"at most {LARGEST:,} are possible")
            excess.path = path
            raise excess from None
        self._parts[key] = self._record(path, start, place, inputs, output)
        return output

    def _record(
        self, path: str, start: int, place: int, inputs: tuple[Node, ...], output: Node
    ) -> _Part:
        outside = {node.index: -1 - i for i, node in reversed(list(enumerate(inputs)))}
        cut = len(path)

        def relative(index: int) -> int:
            return index - start if index >= start else outside[index]

        return _Part(
            tuple(
                (node.name[cut:], node.layer, tuple(map(relative, node.inputs)))
                for node in self.nodes[start:]
            ),
            tuple(
                Scope(s.name[cut:], s.kind, s.label, s.start - start, s.stop - start, s.row)
                for s in self.scopes[place:]
            ),
            relative(output.index),
        )

    def _replay(self, part: _Part, path: str, inputs: tuple[Node, ...]) -> Node:
        start = len(self.nodes)
        given = [node.index for node in inputs]
        for name, layer, sources in part.layers:
            absolute = tuple(start + i if i >= 0 else given[-1 - i] for i in sources)
            self._append(path + name, layer, absolute)
        self.scopes.extend(
            Scope(path + s.name, s.kind, s.label, start + s.start, start + s.stop, s.row)
            for s in part.scopes
        )
        return self.nodes[start + part.output] if part.output >= 0 else inputs[-1 - part.output]

"""Blocks in a flat graph, each recognised by its own expansion.

A proposal (`proposals/`) guesses a block, its arguments and what it reads, from the op at its
end. The block is then expanded on inputs of these shapes, and accepted only if that gives exactly
the nodes that are there. So a proposal may be wrong as often as it likes, and a block never is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from archspec.decompile.meaning import is_commutative, meaning_of
from archspec.decompile.proposals.table import PROPOSALS
from archspec.decompile.sharing import chains
from archspec.decompile.steps import Call
from archspec.decompile.view import View
from archspec.element import ArgumentProblems, Element
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.ops.shape import Shape

MOST_ORDERS = 64
"""Largest number of ways to assign the inputs of commutative ops that a match tries."""

WORK = 60
"""Nodes that are expanded in trials, for each node of the graph."""


class Unit(NamedTuple):
    """A step: an element, what it reads, and the nodes that it becomes."""

    element: Element | Call
    inputs: tuple[int, ...]
    nodes: tuple[int, ...]
    """The nodes, in the order in which the element adds them."""
    output: int
    inside: tuple[Unit, ...] = ()
    """The steps of a chain that is used again, which is a group then."""
    owner: int = -1
    """Output of the step whose weights it shares; -1 for a step with its own."""


class _Part(NamedTuple):
    """A node of an expansion."""

    meaning: Hashable
    inputs: tuple[int, ...]
    commutative: bool


class _Trial(NamedTuple):
    """The expansion of a block: its inputs come first, without a meaning."""

    parts: tuple[_Part, ...]
    inputs: int
    output: int


class Recognition:
    """The blocks that have been recognised so far."""

    def __init__(self, view: View, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        self.view = view
        self.units: list[Unit] = []
        self._defaults = defaults
        self._claimed = [not place.op.kind for place in view.places]
        self._trials: dict[Any, _Trial | None] = {}
        self._left = WORK * len(view.places) + 20_000
        self._chains = chains(view)
        self._chain_of = {i: n for n, chain in enumerate(self._chains) for i in chain.nodes}
        for chain in self._chains:
            for copy in chain.copies:
                for index in copy:
                    self._claimed[index] = True

    def run(self) -> list[Unit]:
        """Return the steps of the whole graph, each after those that it reads."""
        for propose, ends in PROPOSALS:
            for place in reversed(self.view.places):
                if isinstance(place.op, ends) and not self._claimed[place.index]:
                    for element, inputs in propose(self.view, place):
                        if self._accept(element, inputs, place.index):
                            break
        return self.steps()

    def steps(self) -> list[Unit]:
        """Return the steps so far; what is in no block is a step by itself."""
        for place in self.view.places:
            if not self._claimed[place.index]:
                self.units.append(Unit(place.op, place.inputs, (place.index,), place.index))
        if self._chains:
            self._share()
        return sorted(self.units, key=lambda unit: unit.output)

    def _share(self) -> None:
        """Make a group of each chain that is used again, and a step of each further use."""
        inside: list[list[Unit]] = [[] for _ in self._chains]
        others: list[Unit] = []
        for unit in self.units:
            number = self._chain_of.get(unit.output)
            (others if number is None else inside[number]).append(unit)
        self.units = others
        for chain, units in zip(self._chains, inside, strict=True):
            units.sort(key=lambda unit: unit.output)
            order = [index for unit in units for index in unit.nodes]
            first, end = units[0], chain.nodes[-1]
            group = (
                first
                if len(units) == 1
                else Unit(first.element, first.inputs, tuple(order), end, tuple(units))
            )
            self.units.append(group)
            for copy in chain.copies:
                place_of = dict(zip(chain.nodes, copy, strict=True))
                nodes = tuple(place_of[index] for index in order)
                inputs = self.view.places[copy[0]].inputs
                self.units.append(Unit(first.element, inputs, nodes, copy[-1], owner=end))

    def _accept(self, element: Element, inputs: Sequence[int], end: int) -> bool:
        """Claim the nodes of a block that ends at a node; return whether it is there."""
        trial = self._trial(element, tuple(self.view.places[i].shape for i in inputs))
        nodes = None if trial is None else self._match(trial, inputs, end)
        if nodes is None:
            return False
        for index in nodes:
            self._claimed[index] = True
        self.units.append(Unit(element, tuple(inputs), nodes, end))
        return True

    def _trial(self, element: Element, shapes: tuple[Shape, ...]) -> _Trial | None:
        """Return the expansion of an element; None where it does not fit, or after much work."""
        key = element, shapes
        if key not in self._trials:
            self._trials[key] = self._expanded(element, shapes) if self._left > 0 else None
        return self._trials[key]

    def _expanded(self, element: Element, shapes: tuple[Shape, ...]) -> _Trial | None:
        builder = Builder({f"input{i}": x for i, x in enumerate(shapes)}, self._defaults)
        try:
            output = builder.place(element, "block", tuple(builder.inputs.values()))
        except (Problem, ArgumentProblems):
            self._left -= 50
            return None
        self._left -= builder.size
        parts = [
            _Part(None, (), False)
            if node.is_input
            else _Part(meaning_of(node.layer), node.inputs, is_commutative(node.op))
            for node in builder.nodes
        ]
        return _Trial(tuple(parts), len(shapes), output.index)

    def _match(self, trial: _Trial, inputs: Sequence[int], end: int) -> tuple[int, ...] | None:
        """Return the nodes that are an expansion, in its order; None if there are none."""
        last = len(trial.parts) - 1
        if trial.output != last:
            return None
        start: dict[int, int] = dict(enumerate(inputs)) | {last: end}
        waiting = [(last, start)]
        tries = 0
        while waiting and tries < MOST_ORDERS:
            tries += 1
            number, known = waiting.pop()
            while number >= trial.inputs:
                ways = self._ways(trial.parts[number], known, number)
                first = next(ways, None)
                if first is None:
                    break
                waiting += [(number - 1, known | way) for way in reversed([*ways])]
                known |= first
                number -= 1
            else:
                nodes = tuple(known[i] for i in range(trial.inputs, last + 1))
                if self._is_closed(nodes, end):
                    return nodes
        return None

    def _ways(self, part: _Part, known: dict[int, int], number: int) -> Iterator[dict[int, int]]:
        """Yield what the inputs of a node of an expansion may be."""
        if number not in known:
            return
        index = known[number]
        place = self.view.places[index]
        if self._claimed[index] or not place.op.kind:
            return
        if self.view.meanings[index] != part.meaning and not part.commutative:
            return
        orders = [place.inputs]
        if part.commutative:
            if len(place.inputs) != len(part.inputs):
                return
            if type(place.op) is not part.meaning[0]:  # type: ignore[index]
                return
            if len(place.inputs) == 2 and place.inputs[0] != place.inputs[1]:
                orders.append(place.inputs[::-1])
        for order in orders:
            way: dict[int, int] = {}
            for i, j in zip(part.inputs, order, strict=True):
                if known.get(i, way.get(i, j)) != j:
                    break
                way[i] = j
            else:
                yield way

    def _is_closed(self, nodes: tuple[int, ...], end: int) -> bool:
        """Return whether nodes are distinct, and only `end` of them is read from outside."""
        own = set(nodes)
        if len(own) < len(nodes):
            return False
        if self._chains and len({self._chain_of.get(index) for index in nodes}) > 1:
            return False
        view = self.view
        return all(
            index == end or (index not in view.ends and own.issuperset(view.readers[index]))
            for index in nodes
        )

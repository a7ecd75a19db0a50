"""Cells: groups of steps with several inputs that stand in several places, written once.

A cell begins at its inputs and ends in one step, and nothing else of it is read from outside, as
in NASNet, where each cell takes the outputs of the two before it. Which steps two places have in
common is found from their ends: going back from both at once for as long as the steps are alike.
Where they are not, or are read elsewhere too, is an input. A cell may hold others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from archspec.decompile.arrangement import (
    Arrangement,
    dominators_of_units,
    joins_of,
    step_of,
)
from archspec.decompile.factoring import (
    HEADER,
    LEAST_GAIN,
    OwnBlock,
    argument_types,
    kind_of,
)
from archspec.decompile.naming import block_name, input_names, suited
from archspec.decompile.recognition import Unit
from archspec.decompile.rolling import Alike, Round, cost
from archspec.decompile.steps import Call, Step, arguments_of
from archspec.decompile.view import View

MOST_UNITS: Final = 64
"""Largest number of steps of a cell."""

MOST_INPUTS: Final = 4
"""Largest number of inputs of a cell."""

NEAREST: Final = 3
"""Number of ends after each with which it is compared."""

WORK: Final = 400_000
"""Steps that are compared until no further cells are looked for."""


class _Pattern(NamedTuple):
    """The steps of a cell as far as all its places have them in common, from the end back."""

    keys: tuple[Hashable, ...]
    reads: tuple[tuple[int, ...], ...]
    """The inputs of each step: numbers of steps; -1, -2 and so on are the inputs of the cell."""

    @property
    def inputs(self) -> int:
        """Number of the cell's inputs."""
        return max(-each for reads in self.reads for each in reads)


class _Place(NamedTuple):
    """Steps that a cell may stand for."""

    units: tuple[int, ...]
    """Numbers of units, in the order of the pattern."""
    inputs: tuple[int, ...]
    """The node that each input is."""


class Cells:
    """Replaces units by cells."""

    def __init__(
        self,
        view: View,
        units: Sequence[Unit],
        defaults: Mapping[str, Mapping[str, Any]],
        *,
        has_shapes: bool = True,
    ) -> None:
        self.view = view
        self._has_shapes = has_shapes
        self.units = [*units]
        self.blocks: list[OwnBlock] = []
        self._defaults = defaults
        self._left = WORK
        self._node = len(view.places)
        """A number that no node has, nor an input of a cell so far."""

    def run(self) -> list[Unit]:
        """Find cells, those that shorten the text most first; return the steps with them."""
        while self._left > 0 and self._replace():
            pass
        return self.units

    def _replace(self) -> bool:
        """Make the cell that shortens the text most; return whether there is one."""
        self._index()
        best: tuple[float, list[_Place], OwnBlock, list[Unit]] | None = None
        for pattern, places in self._candidates():
            most = self._saved(pattern, places, arguments=0)
            if most < LEAST_GAIN or (best is not None and most <= best[0]):
                continue
            made = self._cell(pattern, places)
            if made is not None and (best is None or made[0] > best[0]):
                best = made[0], places, *made[1:]
        if best is None:
            return False
        _, places, block, calls = best
        self.blocks.append(block)
        gone = {number for place in places for number in place.units}
        self.units = [unit for n, unit in enumerate(self.units) if n not in gone]
        self.units = sorted([*self.units, *calls], key=lambda unit: unit.output)
        return True

    def _index(self) -> None:
        """Look up who reads whom."""
        self._unit_of, self._readers = joins_of(self.units)
        self._keys = [self._key(unit) for unit in self.units]
        self._dominators = dominators_of_units(self.units)

    def _key(self, unit: Unit) -> Hashable:
        """Return what steps must have in common to be the same step of a cell; None for none."""
        if unit.owner >= 0 or unit.inside or any(each in self.view.shared for each in unit.nodes):
            return None
        arguments = arguments_of(unit.element)
        types = tuple(kind_of(name, value) for name, value in arguments.items())
        return unit.element.kind, types, len(unit.inputs)

    def _candidates(self) -> Iterator[tuple[_Pattern, list[_Place]]]:
        """Yield patterns that stand in several places, with these."""
        ends: dict[Hashable, list[int]] = {}
        for number, unit in enumerate(self.units):
            if len(unit.inputs) > 1 and self._keys[number] is not None:
                ends.setdefault(self._keys[number], []).append(number)
        for alike in ends.values():
            patterns: dict[_Pattern, None] = {}
            for at, first in enumerate(alike):
                for second in alike[at + 1 : at + 1 + NEAREST]:
                    if self._left > 0:
                        pattern = self._common(first, second)
                        if pattern is not None:
                            patterns[pattern] = None
            for pattern in patterns:
                places: list[_Place] = []
                taken: set[int] = set()
                for end in alike:
                    place = self._place(pattern, end)
                    if place is not None and taken.isdisjoint(place.units):
                        taken.update(place.units)
                        places.append(place)
                if len(places) > 1 and 2 * sum(map(self._is_branch, places)) < len(places):
                    yield pattern, places

    def _is_branch(self, place: _Place) -> bool:
        """Return whether steps are a part of something that has one input.

        The end of a residual unit is an example: all that such steps read comes from one of their
        inputs, or from a node shortly before them.
        """
        outputs = {self.units[number].output: number for number in place.units}
        start = self.units[place.units[0]].output
        while start in outputs:
            start = self._dominators[outputs[start]]
        if start in place.inputs:
            return True
        between: set[int] = set()
        waiting = [*place.inputs]
        while waiting and len(between) <= len(outputs):
            node = waiting.pop()
            if node != start and node in self._unit_of and node not in between:
                between.add(node)
                waiting += self.units[self._unit_of[node]].inputs
        return len(between) <= len(outputs)

    def _common(self, first: int, second: int) -> _Pattern | None:
        """Return what two ends and the steps before them have in common; None for too little."""
        partner: dict[int, int] = {first: second}
        other_side = {second}
        demands: dict[int, list[int]] = {}
        waiting: list[int] = []

        def ask(number: int) -> None:
            pairs = zip(self.units[number].inputs, self.units[partner[number]].inputs, strict=True)
            for ours, theirs in pairs:
                if ours not in demands:
                    demands[ours] = []
                    if ours in self._unit_of:
                        heappush(waiting, -self._unit_of[ours])
                demands[ours].append(theirs)

        ask(first)
        while waiting and len(partner) < MOST_UNITS:
            ours = -heappop(waiting)
            self._left -= 1
            wanted = {*demands[self.units[ours].output]}
            theirs = self._unit_of.get(wanted.pop(), -1) if len(wanted) == 1 else -1
            if theirs < 0 or theirs == ours or theirs in partner or ours in other_side:
                continue
            if self._keys[ours] is None or self._keys[ours] != self._keys[theirs]:
                continue
            if theirs in other_side or not self._reads_alike(ours, theirs, partner):
                continue
            partner[ours] = theirs
            other_side.add(theirs)
            ask(ours)
        return self._pattern(first, partner)

    def _reads_alike(self, ours: int, theirs: int, partner: Mapping[int, int]) -> bool:
        """Return whether two steps are read by the steps found so far alone, and by the same."""
        if not self._is_inner(ours) or not self._is_inner(theirs):
            return False
        readers = [partner.get(each, -1) for each in self._readers[ours]]
        return sorted(readers) == sorted(self._readers[theirs])

    def _is_inner(self, number: int) -> bool:
        return self.units[number].output not in self.view.ends

    def _pattern(self, end: int, partner: Mapping[int, int]) -> _Pattern | None:
        """Return the pattern of steps that were found with their partners."""
        order = sorted(partner, reverse=True)
        numbers = {self.units[number].output: at for at, number in enumerate(order)}
        inputs: dict[tuple[int, int], int] = {}
        reads = []
        for number in order:
            pairs = zip(self.units[number].inputs, self.units[partner[number]].inputs, strict=True)
            reads.append(
                tuple(
                    numbers[pair[0]]
                    if pair[0] in numbers
                    else inputs.setdefault(pair, -len(inputs) - 1)
                    for pair in pairs
                )
            )
        if order[0] != end or not 1 < len(inputs) <= MOST_INPUTS or len(order) < 2:
            return None
        return _Pattern(tuple(self._keys[number] for number in order), tuple(reads))

    def _place(self, pattern: _Pattern, end: int) -> _Place | None:
        """Return the steps of a pattern that end at one; None where they are not there."""
        units: dict[int, int] = {0: end}
        inputs: dict[int, int] = {}
        readers: list[list[int]] = [[] for _ in pattern.keys]
        for at, key in enumerate(pattern.keys):
            self._left -= 1
            number = units.get(at, -1)
            if number < 0 or self._keys[number] != key:
                return None
            if at and (not self._is_inner(number) or sorted(readers[at]) != self._readers[number]):
                return None
            for source, node in zip(pattern.reads[at], self.units[number].inputs, strict=True):
                if source < 0:
                    if inputs.setdefault(source, node) != node:
                        return None
                    continue
                if units.setdefault(source, self._unit_of.get(node, -1)) != self._unit_of.get(node):
                    return None
                readers[source].append(number)
        if len({*units.values()}) < len(units):
            return None
        nodes = tuple(inputs[-n - 1] for n in range(len(inputs)))
        return _Place(tuple(units[at] for at in range(len(units))), nodes)

    def _saved(self, pattern: _Pattern, places: Sequence[_Place], arguments: int) -> float:
        """Return about how much a cell shortens the text."""
        steps = sum(map(self._cost, places[0].units))
        use = 4 + pattern.inputs + 1.4 * arguments
        return (len(places) - 1) * steps - len(places) * use - HEADER - arguments

    def _cost(self, number: int) -> float:
        """Return about how much there is to read in a step and its name."""
        return cost(step_of(self.view, self.units[number])) + (len(self._readers[number]) > 1)

    def _cell(
        self, pattern: _Pattern, places: Sequence[_Place]
    ) -> tuple[float, OwnBlock, list[Unit]] | None:
        """Return how much a cell shortens the text, the cell, and the units that use it."""
        count = pattern.inputs
        ports = [*range(self._node, self._node + count)]
        where = [sum(each) for each in zip(*(place.inputs for place in places), strict=True)]
        order = sorted(range(count), key=where.__getitem__)
        entry = ports[order[0]]
        rounds = [Round(self._steps(pattern, place, ports, entry), entry) for place in places]
        alike = Alike(rounds, are_apart=True)
        body = alike.steps()
        if body is None:
            return None
        values = alike.named(body)
        types = argument_types(values)
        if types is None:
            return None
        gain = self._saved(pattern, places, len(values))
        if gain < LEAST_GAIN:
            return None
        layers = [[self._layer(number) for number in place.units[::-1]] for place in places]
        taken = {block.name for block in self.blocks}
        name = block_name([[*filter(suited, names)] for names in layers], taken, again="_cell")
        self._node += count
        names = input_names(
            [[self._layer_of(place.inputs[each]) for place in places] for each in order]
        )
        block = OwnBlock(
            name,
            types,
            body,
            entry,
            dict(zip([ports[each] for each in order], names, strict=True)),
        )
        calls = [
            Unit(
                Call(name, {key: values[key][number] for key in values}),
                tuple(place.inputs[each] for each in order),
                tuple(index for step in each.steps for index in step.order()),
                self.units[place.units[0]].output,
            )
            for number, (place, each) in enumerate(zip(places, rounds, strict=True))
        ]
        return gain, block, calls

    def _layer_of(self, node: int) -> str:
        """Return the name of the layer that an input is."""
        number = self._unit_of.get(node)
        return "" if number is None else self._layer(number)

    def _layer(self, number: int) -> str:
        return step_of(self.view, self.units[number]).layer

    def _steps(
        self, pattern: _Pattern, place: _Place, ports: Sequence[int], entry: int
    ) -> list[Step]:
        """Return the steps of a place, in the order in which they stand in the cell."""
        outputs = [self.units[number].output for number in place.units]
        inner = []
        for number, reads in zip(place.units, pattern.reads, strict=True):
            inputs = tuple(outputs[each] if each >= 0 else ports[-each - 1] for each in reads)
            inner.append(self.units[number]._replace(inputs=inputs))
        inner.reverse()
        nodes = dict(zip(ports, place.inputs, strict=True))
        arrangement = Arrangement(
            self.view, inner, self._defaults, nodes, has_shapes=self._has_shapes
        )
        return arrangement.sequence(range(len(inner)), entry)

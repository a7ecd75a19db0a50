"""Units in a sequence, and in branches where they stand side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any

from archspec.decompile.meaning import is_commutative
from archspec.decompile.naming import suited
from archspec.decompile.recognition import Unit
from archspec.decompile.steps import PREVIOUS, Call, Step, arguments_of, default_of
from archspec.decompile.view import View, dominators_of
from archspec.ops.merge import Merge
from archspec.ops.op import Op

LONG = 8
"""Number of steps beside which one short branch is not written: a name is easier to follow."""

_OPS = frozenset({"convolution", "fully_connected", "depthwise_convolution", "batch_norm"})

DEEPEST = 12
"""Deepest nesting of branches; what is nested more stands in a sequence, with names."""


def layer_name(names: Sequence[str]) -> str:
    """Return the name of a step from those of its layers: what they begin with."""
    names = [name for name in names if suited(name)] or names
    parts = [re.split(r"[/_.-]", name) for name in names]
    columns = zip(*parts, strict=False)
    shared = [column[0] for column in takewhile(lambda column: len({*column}) == 1, columns)]
    if len(names) == 1 and len(shared) > 1 and "/" in names[0]:
        shared = [part for part in names[0].split("/") if part not in _OPS]
    return "_".join(shared)


def step_of(view: View, unit: Unit) -> Step:
    """Return the step of a unit, without what it reads."""
    element = None if isinstance(unit.element, Call) else type(unit.element)
    arguments = arguments_of(unit.element)
    named = unit.nodes if element else (unit.output,)
    return Step(
        unit.element.kind,
        unit.output,
        unit.nodes,
        element,
        arguments,
        layer=layer_name([view.places[i].node.name for i in named]),
        main="" if element else next(iter(arguments), ""),
    )


def joins_of(units: Sequence[Unit]) -> tuple[dict[int, int], list[list[int]]]:
    """Return the number of the unit that makes each node, and the numbers of each unit's readers.

    A unit that reads another twice is among its readers twice.
    """
    unit_of = {unit.output: number for number, unit in enumerate(units)}
    readers: list[list[int]] = [[] for _ in units]
    for number, unit in enumerate(units):
        for each in unit.inputs:
            if each in unit_of:
                readers[unit_of[each]].append(number)
    return unit_of, readers


def dominators_of_units(units: Sequence[Unit]) -> list[int]:
    """Return the node through which every way to each unit leads; -1 for none."""
    made = {unit.output for unit in units}
    read = dict.fromkeys(each for unit in units for each in unit.inputs)
    nodes = [each for each in read if each not in made]
    outside = len(nodes)
    nodes += [unit.output for unit in units]
    numbers = {node: number for number, node in enumerate(nodes)}
    inputs: list[list[int]] = [[] for _ in range(outside)]
    inputs += ([numbers[each] for each in unit.inputs] for unit in units)
    found = dominators_of(inputs)
    return [nodes[each] if each >= 0 else -1 for each in found[outside:]]


class Arrangement:
    """The sequence of a graph's steps."""

    def __init__(
        self,
        view: View,
        units: Sequence[Unit],
        defaults: Mapping[str, Mapping[str, Any]],
        ports: Mapping[int, int] | None = None,
        *,
        has_shapes: bool = True,
    ) -> None:
        """Take the units.

        Args:
            view: The network.
            units: The units, in order.
            defaults: Values of arguments that the spec says once, by kind and name.
            ports: The node behind each number that stands for an input of a cell.
            has_shapes: Whether steps know the shape that they read, so that numbers follow from it.
        """
        self.view = view
        self.units = units
        self._ports = ports or {}
        self._has_shapes = has_shapes
        self._defaults = defaults
        self._unit_of, self._readers = joins_of(units)
        self._ends = {self._unit_of[each] for each in view.ends if each in self._unit_of}
        self._left = 20 * len(units) + 100_000

    def sequence(self, numbers: Sequence[int], entry: int, depth: int = 0) -> list[Step]:
        """Return steps for units, each after those that it reads.

        Args:
            numbers: The units, in order.
            entry: The node that the first step reads if it says nothing else.
            depth: Number of branches around.
        """
        inside = {*numbers}
        absorbed: set[int] = set()
        forks: dict[int, list[list[int]]] = {}
        for number in reversed(numbers):
            if number in absorbed or depth >= DEEPEST:
                continue
            ways = self._branches(number, inside - absorbed if absorbed else inside)
            if ways is not None:
                forks[number] = ways
                for way in ways:
                    absorbed.update(way)
        steps: list[Step] = []
        previous = entry
        starts = {number: self._dominators[number] for number in forks}
        for number in self._depth_first([n for n in numbers if n not in absorbed], starts):
            unit = self.units[number]
            reads = (starts[number],) if number in forks else unit.inputs
            if unit.owner >= 0:
                step = Step("share", unit.output, unit.nodes, owner=unit.owner)
            elif unit.inside:
                body = [step_of(self.view, each) for each in unit.inside]
                step = Step("layers", unit.output, body=body)
                step.layer = step.body[0].layer
            else:
                step = step_of(self.view, unit)
            if number in forks:
                step.kind, step.arguments = "branches", {"merge": unit.element.kind}
                step.branches = [
                    self.sequence(sorted(way), starts[number], depth + 1) for way in forks[number]
                ]
            if self._has_shapes and len(reads) == 1:
                step.shape = self.view.places[self._ports.get(reads[0], reads[0])].shape
            step.sources = tuple(PREVIOUS if each == previous else each for each in reads)
            if step.sources[1:] == (PREVIOUS,) and is_commutative(unit.element):
                step.sources = step.sources[::-1]
            previous = unit.output
            steps.append(step)
        return steps

    def _depth_first(self, numbers: Sequence[int], starts: Mapping[int, int]) -> list[int]:
        """Return units so that what a unit reads stands right before it, as far as it can.

        Args:
            numbers: The units, in an order in which each is after those that it reads.
            starts: The node at which the branches of a merge start, for those written as branches.
        """
        before: dict[int, list[int]] = {}
        for number in numbers:
            unit = self.units[number]
            reads = (starts[number],) if number in starts else unit.inputs
            owner = (unit.owner,) if unit.owner >= 0 else ()
            found = (self._unit_of.get(each, -1) for each in (*owner, *reads))
            before[number] = [each for each in found if each in before]
        inner = {each for reads in before.values() for each in reads}
        order: dict[int, None] = {}
        for last in numbers:
            waiting = [] if last in inner else [last]
            while waiting:
                missing = [each for each in before[waiting[-1]] if each not in order]
                if missing:
                    waiting += missing[::-1]
                else:
                    order[waiting.pop()] = None
        return [*order]

    @cached_property
    def _dominators(self) -> list[int]:
        """The node from which all inputs of each unit come; -1 for none."""
        return dominators_of_units(self.units)

    def _branches(self, number: int, inside: set[int]) -> list[list[int]] | None:
        """Return the units of each branch that a merge joins; None if they are not branches."""
        unit = self.units[number]
        if not isinstance(unit.element, Merge) or not self._has_defaults(unit.element):
            return None
        start = self._dominators[number]
        if start < 0 or unit.output in self.view.shared:
            return None
        taken: set[int] = set()
        ways: list[list[int]] = []
        for each in unit.inputs:
            way = self._way(each, start, inside, taken)
            if way is None or not self._is_closed(way, each, number):
                return None
            taken.update(way)
            ways.append(way)
        if len(ways) == 2 and any(len(way) < 2 for way in ways) and len(taken) > LONG:
            return None
        return ways

    def _has_defaults(self, op: Op) -> bool:
        given = self._defaults.get(op.kind, {})
        return all(
            value == (given[name] if name in given else default_of(type(op), name))
            for name, value in op.model_dump().items()
        )

    def _way(self, end: int, start: int, inside: set[int], taken: set[int]) -> list[int] | None:
        """Return the units from node `start` up to node `end`."""
        way: set[int] = set()
        waiting = [end]
        while waiting:
            index = waiting.pop()
            if index == start:
                continue
            number = self._unit_of.get(index, -1)
            if number not in inside or number in taken:
                return None
            if number in way:
                continue
            self._left -= 1
            if self._left < 0 or any(i in self.view.shared for i in self.units[number].nodes):
                return None
            way.add(number)
            waiting += self.units[number].inputs
        return sorted(way)

    def _is_closed(self, way: Sequence[int], end: int, merge: int) -> bool:
        """Return whether only the merge reads a branch, and only its last unit."""
        own = {*way}
        for number in way:
            if number in self._ends:
                return False
            readers = self._readers[number]
            if self.units[number].output == end:
                if readers != [merge]:
                    return False
            elif not own.issuperset(readers):
                return False
        return True

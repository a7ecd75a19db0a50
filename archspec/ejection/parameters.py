"""A spec's variables as parameters of its source.

The network is expanded at some values of each variable. Where one program is all these networks,
the variable is a parameter; where none is, because the variable decides which layers there are, it
stays a constant. A value that follows from a variable is the variable, a multiple of it, or an
expression of the spec's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from archspec.compile.expand import expand
from archspec.ejection.abstracting import (
    Evaluated,
    Member,
    Refusals,
    program_of,
    program_of_all,
)
from archspec.ejection.chains import without_loops
from archspec.ejection.naming import RESERVED
from archspec.ejection.outline import Outline
from archspec.ejection.program import Program, expressions
from archspec.ejection.recording import Construction
from archspec.ejection.subclassed import TAKEN
from archspec.element import whole
from archspec.errors import Problem, SpecError, UsageError
from archspec.graph.graph import Graph, Node
from archspec.ops.functions import NAMES
from archspec.spec.document import Spec, Validated, choose
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.findings import Findings
from archspec.spec.template import BROKEN, names_written
from archspec.spec.variables import variables

FEWEST: Final = 3
"""Least number of other values of a variable at which the network must be known."""

MOST: Final = 4
"""Largest number of other values of a variable at which the network is expanded."""


Layers: TypeAlias = Callable[[Graph], Callable[[Node], Sequence[Construction]]]
"""Functions that give the constructor calls of a node, for each network."""

_Result = TypeVar("_Result")


class _Sample(NamedTuple):
    """The network at some values of its variables."""

    values: Mapping[str, Any]
    outline: Outline

    @property
    def graph(self) -> Graph:
        return self.outline.graph


class Parameters:
    """The networks of a spec at some values of its variables."""

    def __init__(
        self,
        spec: Spec,
        base: Outline,
        layers: Layers,
    ) -> None:
        """Take a network.

        Args:
            spec: The spec.
            base: The network with the spec's own values.
            layers: The function that gives a node's layers, for each other network.
        """
        self.spec = spec
        self.layers = layers
        self.base = _Sample(self._values(spec), base)
        self.size = base.offset + len(base.graph.nodes)
        """Number from which on no node is counted yet."""
        self.others: dict[str, list[_Sample]] = {}
        """Other networks by the variable that has another value."""
        self.expressions = [*_expressions(spec.source.data)]
        self.formulas = {
            text: each
            for each in self.expressions
            if not each.shaped and (text := in_python(each.text))
        }

    def program(self, base: Program, refusals: Refusals, *, shapes: bool) -> Program:
        """Return a network's program with all parameters that it can have.

        Args:
            base: The program without any.
            refusals: What had to be given up for it.
            shapes: Whether expressions may ask for the shapes of tensors.
        """
        for name in [each for each in self.base.values if each not in self.others]:
            samples = self._samples(name) if self._is_possible(name) else iter(())
            self.others[name] = [*islice(samples, 1)]
            # Most variables that steer the structure show it at their first other value.
            if self.others[name] and self._at([name], refusals, shapes):
                self.others[name] += samples
        names = [name for name, others in self.others.items() if len(others) >= FEWEST]
        # What is computed from a parameter is none: its default would be that of a constant.
        names = [name for name in names if not self._needed(name) & {*names}]
        names = [name for name in names if name not in self._undecided(names)]
        most = 1.2 * weight(base) + 12

        @cache
        def at(*names: str) -> Program | None:
            program = self._at(names, refusals, shapes)
            return program if program and weight(program) <= most else None

        program = at(*names)
        if program is None:
            kept: list[str] = []
            for name in [name for name in names if at(name)]:
                more = at(*kept, name)
                if more is not None:
                    kept.append(name)
                    program = more
        program = program or base
        chosen = {each.name for each in program.parameters}
        program.constants = {
            name: value
            for name, value in self.base.values.items()
            if name not in chosen and not chosen & self._needed(name)
        }
        return program

    def _needed(self, name: str) -> set[str]:
        """Return the variables from which another is computed, directly or through others."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for other in names_written(self.spec.settings[waiting.pop()][0]):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    def _is_possible(self, name: str) -> bool:
        value = self.base.values[name]
        is_list = isinstance(value, tuple) and {*map(type, value)} == {int}
        return (type(value) in (int, float) or is_list) and name not in TAKEN | RESERVED

    def _samples(self, name: str) -> Iterator[_Sample]:
        """Yield the networks at other values of a variable, as far as there are any."""
        count = 0
        spec = self.spec
        network = Validated(spec.document, spec.diagnostics, spec.lost)
        values = other_values(self.base.values[name], is_whole=self._is_whole(name))
        most = 2 * len(self.base.graph.nodes) + 100  # a larger one would take long
        while count < MOST and (value := next(values, None)) is not None:
            overrides = {**spec.overrides, name: value}
            try:
                other = choose(network, spec.source, spec.variant, overrides)
                sample = self._sample(other, expand(other))
            except (SpecError, UsageError):
                continue
            if len(sample.graph.nodes) > most:
                return
            count += 1
            yield sample

    def _is_whole(self, name: str) -> bool:
        """Return whether a variable is never a fraction, in no variant either."""
        variants = [each for each in self.spec.document.variants.values() if each]
        values = [each.get(name) for each in variants]
        return not any(isinstance(each, float) for each in (*values, self.base.values[name]))

    def _sample(self, spec: Spec, graph: Graph) -> _Sample:
        outline = Outline(graph, self.layers(graph), self.size)
        self.size += len(graph.nodes)
        return _Sample(self._values(spec), outline)

    def _values(self, spec: Spec) -> Mapping[str, Any]:
        found = variables(spec, Findings(spec.source, spec.diagnostics), NAMES)
        return {name: value for name, value in found.items() if value is not BROKEN}

    def _undecided(self, names: Sequence[str]) -> set[str]:
        """Return the variables that a test of the spec depends on whose other side was not seen."""
        depends = _dependence(self.spec.source.data, names)
        depends["in"] = {name for name in names if self._changes_shapes(name)}
        samples = [self.base, *(each for name in names for each in self.others[name])]
        known = {*self.base.values}
        most = max(
            (n for each in samples for value in each.values.values() for n in _numbers(value)),
            default=0,
        )
        result: set[str] = set()
        for expression in self.expressions:
            for test in tests_in(expression.text):
                read = test.names | ({"in"} if test.shaped else set())
                on = {v for name in read for v in depends.get(name, ())}
                if not on:
                    continue
                if read == {"index"}:  # a loop with more rounds than any that was seen
                    bounds = [n for n in map(int, re.findall(r"\d+", test.text)) if n > most - 2]
                    result |= on if bounds else set()
                elif not read <= known or len(_outcomes(test, samples)) < 2:
                    result |= on
        return result

    def _changes_shapes(self, name: str) -> bool:
        """Return whether a layer gets an input of another shape, apart from the last layers."""
        graph = self.base.graph
        ends = {*graph.outputs.values()}
        inputs = {each.name: each.layer.inputs for each in graph.nodes if each.index not in ends}
        return any(
            inputs.get(node.name, node.layer.inputs) != node.layer.inputs
            for other in self.others[name]
            for node in other.graph.nodes
        )

    def _at(self, names: Sequence[str], refusals: Refusals, shapes: bool) -> Program | None:
        """Return the program with some parameters; None if there is none."""
        if not names:
            return None
        samples = [self.base, *(each for name in names for each in self.others[name])]
        members = []
        for sample in samples:
            formulas = {}
            for text, expression in self.formulas.items():
                used = expression.names & {*names}
                if used and expression.names <= {*names}:
                    try:
                        value = whole(expression.evaluate(sample.values))
                    except Problem:
                        continue
                    formulas[text] = Evaluated(value, tuple(sorted(used)))
            values = {name: sample.values[name] for name in names}
            members.append(Member(sample.outline, values, formulas))
        return program_of_all(members, refusals, shapes=shapes)


def written_program(
    outline: Outline,
    spec: Spec | None,
    layers: Layers,
    write: Callable[[Program], _Result],
    *,
    shapes: bool,
) -> _Result:
    """Return a network's program as a writer has it, without the loops that the writer refuses.

    Args:
        outline: The network.
        spec: The spec whose variables become parameters; without it there are none.
        layers: As `Parameters` takes it.
        write: Writes a program.
        shapes: Whether expressions may ask for the shapes of tensors.
    """
    parameters = None if spec is None else Parameters(spec, outline, layers)

    def written(unrolled: AbstractSet[str]) -> _Result:
        refusals = Refusals({*unrolled})
        program = program_of(Member(outline), refusals, shapes=shapes)
        if parameters is not None:
            program = parameters.program(program, refusals, shapes=shapes)
        return write(program)

    return without_loops(written)


def weight(program: Program) -> int:
    """Return the number of statements and expressions of a program: how much there is to read."""
    return sum(1 + sum(1 for _ in expressions(each)) for each in program.statements())


def _numbers(value: Any) -> Sequence[int]:
    values = value if isinstance(value, tuple) else (value,)
    return [each for each in values if type(each) is int]


def _outcomes(test: Expression, samples: Sequence[_Sample]) -> set[str]:
    """Return the values of an expression in all samples; none if it fails in one of them."""
    try:
        return {repr(test.evaluate(each.values)) for each in samples}
    except Problem:
        return set()


def _dependence(data: Any, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the variables on which each name in a spec may depend.

    A name is taken for one everywhere: that of a loop, of `let`, or of a block's argument.
    """
    depends: dict[str, set[str]] = {name: {name} for name in names}
    bindings: list[tuple[str, str]] = []
    blocks = data.get("blocks", {})
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += each.values()
            for key, value in each.items():
                if key in blocks:
                    main = next(iter(blocks[key].get("args", {})), "")
                    given = value if isinstance(value, Mapping) else {main: value}
                    bindings += [
                        (str(k), read) for k, v in given.items() for read in names_written(v)
                    ]
                if key == "repeat":
                    bindings += [("index", name) for name in names_written(value)]
                if key in ("for", "let", "vars") and isinstance(value, Mapping):
                    for name, written in value.items():
                        for read in names_written(written):
                            bindings += [(str(name), read)]
                            bindings += [("index", read)] if key == "for" else []
        elif isinstance(each, (list, tuple)):
            waiting += each
    size = -1
    while size != (size := sum(map(len, depends.values()))):
        for key, name in bindings:
            if more := depends.get(name):
                depends.setdefault(key, set()).update(more)
    return depends


def tests_in(text: str) -> Iterator[Expression]:
    """Yield the parts of an expression that decide something: conditions, and bounds by `max`."""
    tree = _tree(text)
    for node in ast.walk(tree) if tree else ():
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node]
        elif isinstance(node, ast.IfExp):
            parts = [node.test]
        elif isinstance(node, ast.BoolOp):
            parts = node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            parts = [node.operand]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("min", "max", "abs"):
            sides = [ast.unparse(each) for each in node.args]
            yield from (
                _parsed(f"{a} > {b}") for a, b in pairwise([*sides, "0"][: max(2, len(sides))])
            )
        for part in parts:
            if not isinstance(part, (ast.BoolOp, ast.Compare)) or part is node:
                yield _parsed(ast.unparse(part))


def _parsed(text: str) -> Expression:
    return Expression.parse("=" + text.replace("__.", "in."))


def _tree(text: str) -> ast.expr | None:
    """Return the tree of an expression; None if Python reads it otherwise."""
    try:
        return ast.parse(text.removeprefix("=").strip().replace("in.", "__."), mode="eval").body
    except SyntaxError:
        return None


def in_python(text: str) -> str:
    """Return an expression of a spec as Python means it; "" where it may mean something else.

    A quotient of whole numbers is whole in a spec where it can be; lists are tuples.
    """
    tree = _tree(text)
    if tree is None:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
            return ""
        if isinstance(node, ast.Call) and ast.unparse(node.func) not in SAME_IN_PYTHON:
            return ""
        if isinstance(node, (ast.Div, ast.List, ast.Tuple, ast.ListComp, ast.Attribute)):
            return ""
    return ast.unparse(tree)


SAME_IN_PYTHON: Final = ("min", "max", "abs", "int", "len", "sum", "round")
"""Functions that expressions of specs and Python have in common."""


def _expressions(data: Any) -> Iterator[Expression]:
    """Yield the expressions in a spec's text."""
    waiting = [data]
    seen: set[str] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, (list, tuple)):
            waiting += each
        elif is_expression(each) and each not in seen:
            seen.add(each)
            try:
                yield Expression.parse(each)
            except Problem:
                continue


def other_values(value: Any, *, is_whole: bool) -> Iterator[Any]:
    """Yield values that a variable may have beside its own."""
    if isinstance(value, tuple):
        size = len(value)
        yield [each + 1 for each in value]
        yield [2 + k % 3 for k in range(size)]
        yield [*value, 2]
        yield [1 + k % 2 for k in range(size)]
        yield [2 - k % 2 for k in range(size)]
        yield [2 * each for each in value]
    elif is_whole:
        known = {value}
        for other in (1, 2, 3, value + 1, 2 * value, value // 2, 3 * value, value - 1, 5 * value):
            if other not in known and other > 0:
                known.add(other)
                yield other
    else:
        for factor in (0.5, 0.75, 1.4, 0.3, 2.0, 0.9):
            yield round(value * factor, 6)

"""Values of a function's uses, or of a loop's rounds, as expressions.

A level is a body of statements with its uses: a function has a use for each block that it stands
for, a loop one for each round in each use of what is around it. A value that a statement needs is a
list, one entry for each use; `resolve` finds an expression that gives this list from what the level
knows, and makes a parameter or a variable where there is none. So every expression is right for all
uses, whatever it may be.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from operator import eq, gt, le, not_
from typing import Any, Final

from archspec.ejection.outline import Item
from archspec.ejection.positional import argument_name
from archspec.ejection.program import (
    Arithmetic,
    Both,
    Carried,
    Choice,
    Collected,
    Comparison,
    Constant,
    Expression,
    Extent,
    Made,
    Not,
    Row,
    SameShape,
    Symbol,
    Table,
    Text,
    Value,
)
from archspec.ejection.recording import Construction
from archspec.errors import Portable
from archspec.ops.shape import Shape
from archspec.text import free_name

INCOMING: Final = frozenset({"in_channels", "in_features", "channels"})
"""Arguments that are the width of the input. An argument that only happens to equal it is not used
for it."""


class _Hole:
    """A value that a use does not have, or that may be anything."""

    def __repr__(self) -> str:
        return "HOLE"


HOLE: Final = _Hole()

_NUMBER = re.compile(r"(\d+)")


class NotAlikeError(Portable):
    """Raised where uses differ in a way for which there is no expression.

    `loops` are the paths at which the loops begin whose rounds differ; empty for a function.
    """

    def __init__(self, loops: frozenset[str] = frozenset(), kind: str = "") -> None:
        super().__init__(loops, kind)
        self.loops = loops
        self.kind = kind


def equal(a: Any, b: Any) -> bool:
    """Return whether two values are equal and of one type: 1 is neither True nor 1.0."""
    return type(a) is type(b) and bool(a == b)


def _fits(values: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(a is HOLE or equal(a, b) for a, b in zip(values, other, strict=True))


def _single(values: Iterable[Any]) -> Any:
    """Return the one value that there is beside holes; HOLE if there are several."""
    known = [value for value in values if value is not HOLE]
    if known and all(equal(known[0], each) for each in known):
        return known[0]
    return HOLE


class Level(ABC):
    """The base of levels."""

    def __init__(self, samples: Sequence[int]) -> None:
        self.size = len(samples)
        self.samples = samples
        """The number of the network that each use is of, where a program is to be several."""
        self.values: list[Value] = []
        """Tensors that there are at the statement at hand."""
        self.inputs: list[Value] = []
        """Tensors that come in."""
        self.loops: list[LoopLevel] = []
        """Loops before the statement at hand."""
        self.shapes: dict[Any, Shape] = {}
        self.items: list[Item] = []
        """Layers, blocks and loops of all uses."""

    # What is known.

    def symbols(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield what expressions may be made of, the best first."""
        yield from ()

    def resolve(self, values: Sequence[Any], hint: str, *, prefer: Sequence[Symbol] = ()) -> Any:
        """Return an expression for a value of each use."""
        found = self.find(values, hint, prefer=prefer)
        return self.made_up(values, hint) if found is None else found

    @abstractmethod
    def made_up(self, values: Sequence[Any], hint: str) -> Any:
        """Return a new parameter or variable with these values."""

    def find(
        self, values: Sequence[Any], hint: str, *, prefer: Sequence[Symbol] = ()
    ) -> Expression | None:
        """Return an expression for a value of each use from what is known; None if none is."""
        known = [value for value in values if value is not HOLE]
        found: Expression | None
        for symbol in prefer:
            if known and _fits(values, symbol.values):
                return symbol
        constant = _single(values)
        if constant is not HOLE or not known:
            return expression_of(constant if known else None)
        for expression, other in self.symbols():
            if _fits(values, other):
                return expression
        around = self.from_around(values, hint)
        if around is not None:
            return around
        if all(isinstance(value, str) for value in known) and (found := self._text(values)):
            return found
        if all(type(value) is int for value in known):
            found = self._number(values, hint) or self.progression(values, hint)
            if found:
                return found
        if found := self._structure(values, hint, known):
            return found
        if found := self.but_the_first(values, hint):
            return found
        return None if hint in INCOMING else self._choice(values, known)

    def from_around(self, values: Sequence[Any], hint: str) -> Expression | None:  # noqa: ARG002
        """Return an expression of the level around; None if rounds differ, or there is none."""
        return None

    def but_the_first(self, values: Sequence[Any], hint: str) -> Expression | None:  # noqa: ARG002
        """Return an expression for values that are alike in all rounds but the first."""
        return None

    def progression(self, values: Sequence[Any], hint: str) -> Expression | None:  # noqa: ARG002
        """Return an expression for numbers that grow alike in each round of a loop."""
        return None

    def _structure(self, values: Sequence[Any], hint: str, known: list[Any]) -> Expression | None:
        """Return an expression for values of several parts that are alike but for a part."""
        first = known[0]
        if not all(type(value) is type(first) for value in known):
            return None
        if isinstance(first, Construction):
            keys = [*first.arguments]
            if any(each.name != first.name or [*each.arguments] != keys for each in known):
                return None
            arguments = []
            for key in keys:
                part = _part(values, lambda v, k=key: v.arguments[k])
                arguments.append((key, self.resolve(part, argument_name(first, key))))
            return Made(first.name, tuple(arguments))
        if isinstance(first, tuple) and len({len(each) for each in known}) == 1:
            items = []
            for place in range(len(first)):
                part = _part(values, lambda v, p=place: v[p])
                found = self.find(part, hint)
                if found is None:
                    return None
                items.append(found)
            return Row(tuple(items))
        if isinstance(first, dict) and all([*each] == [*first] for each in known):
            pairs = []
            for key in first:
                found = self.find(_part(values, lambda v, k=key: v[k]), str(key))
                if found is None:
                    return None
                pairs.append((key, found))
            return Table(tuple(pairs))
        return None

    def _choice(self, values: Sequence[Any], known: list[Any]) -> Expression | None:
        kinds: list[Any] = []
        for value in known:
            if not any(equal(value, each) for each in kinds):
                kinds.append(value)
        if len(kinds) != 2:
            return None
        if isinstance(kinds[0], bool):
            test = self.test(values)
            is_word = isinstance(test, Symbol) and not all(
                isinstance(each, bool) for each in test.values
            )
            return None if is_word else test
        flags = _part(values, lambda v: equal(v, kinds[0]))
        test = self.test(flags)
        if test is None:
            return None
        then, other = (expression_of(kind) for kind in kinds)
        if isinstance(test, Not):
            return Choice(test.condition, other, then)
        return Choice(test, then, other)

    # Numbers and texts.

    def numbers(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield what numbers may be computed from."""
        for expression, other in self.symbols():
            if all(type(value) is int for value in other if value is not HOLE):
                yield expression, other

    def _number(self, values: Sequence[Any], hint: str) -> Expression | None:
        """Return a product, a quotient or a sum that gives whole numbers."""
        points = [k for k, value in enumerate(values) if value is not HOLE]
        candidates = [
            (expression, other)
            for expression, other in self.numbers()
            if not any(other[k] is HOLE for k in points)
        ]
        for expression, other in candidates:
            found = _multiple(values, expression, other, points)
            if found:
                return found
        if len({values[k] for k in points}) < 3 or hint in INCOMING:
            return None
        for (left, ours), (right, theirs) in combinations(candidates, 2):
            if all(values[k] == ours[k] * theirs[k] for k in points):
                return Arithmetic("*", left, right)
        return None

    def _text(self, values: Sequence[Any]) -> Expression | None:
        """Return a text with the numbers of rounds, or the name of the block, in it."""
        for expression, other in self.prefixes():
            rest = [
                value if value is HOLE or other[k] is HOLE else _after(value, other[k])
                for k, value in enumerate(values)
            ]
            if None in rest:
                continue
            constant = _single(rest)
            if constant is not HOLE:
                return Text((expression, Constant(constant)) if constant else (expression,))
            if (numbered := self._numbered(rest)) is not None:
                return Text((expression, *numbered))
        numbered = self._numbered(values)
        return None if numbered is None else Text(numbered)

    def _numbered(self, values: Sequence[Any]) -> tuple[Expression, ...] | None:
        pieces = _part(values, _NUMBER.split)
        known = [each for each in pieces if each is not HOLE]
        if len({tuple(each[::2]) for each in known}) != 1:
            return None
        found: list[Expression] = []
        for place, piece in enumerate(known[0]):
            if place % 2 == 0:
                if piece:
                    found.append(Constant(piece))
                continue
            texts = _part(pieces, lambda v, p=place: v[p])
            constant = _single(texts)
            if constant is not HOLE:
                found.append(Constant(constant))
                continue
            if any(text is not HOLE and str(int(text)) != text for text in texts):
                return None
            number = self.counter(_part(texts, int))
            if number is None:
                return None
            found.append(number)
        return tuple(found)

    def prefixes(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield texts with which the names of layers may begin."""
        yield from ()

    def counter(self, values: Sequence[Any]) -> Expression | None:
        """Return an expression for the numbers of rounds; None if they are others."""
        for expression, other in self.symbols():
            if _fits(values, other):
                return expression
        return None

    # Conditions.

    def test(self, flags: Sequence[Any]) -> Expression | None:
        """Return a condition that is true in the uses where a flag is; None if there is none."""
        known: list[list[tuple[Expression, int]]] = []
        for atom, values in self.atoms():
            either = [(atom, values), (negated(atom), _part(values, not_))]
            for test, others in either:
                if _fits(flags, others):
                    return test
            known.append([(test, _bits(others)) for test, others in either if HOLE not in others])
        if any(type(flag) is not bool for flag in flags if flag is not HOLE):
            return None
        asked = _bits([flag is not HOLE for flag in flags])
        wanted = _bits([flag is True for flag in flags])
        for first, second in combinations(known[:24], 2):
            for (left, ours), (right, theirs) in product(first, second):
                if ours & theirs & asked == wanted:
                    return Both(left, right)
        return None

    def atoms(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield simple conditions, the best first."""
        for expression, values in self.symbols():
            if self._depends(values):
                continue  # which bound is meant, a few values do not tell
            known = [value for value in values if value is not HOLE]
            kinds = {type(value) for value in known}
            if kinds <= {bool, type(None), str}:
                yield expression, _part(values, bool)
            if kinds <= {int}:
                for bound in sorted(set(known))[:4]:
                    test = Comparison(">", expression, Constant(bound), bound == min(known))
                    yield test, _part(values, bound.__lt__)
            for each in _few(known):
                is_same = Comparison("==", expression, expression_of(each))
                yield is_same, _part(values, partial(equal, each))
        yield from self.shape_atoms()

    def _depends(self, values: Sequence[Any]) -> bool:
        """Return whether a value depends on the program's parameters."""
        by_sample: dict[int, set[str]] = {}
        for sample, value in zip(self.samples, values, strict=True):
            if value is not HOLE:
                by_sample.setdefault(sample, set()).add(repr(value))
        return len({*map(frozenset, by_sample.values())}) > 1

    def shape_atoms(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield whether two tensors have the same shape."""
        recent = self.values[:2] + self.values[-4:]
        for left, right in combinations(dict.fromkeys(recent), 2):
            flags = []
            for a, b in zip(left.ids, right.ids, strict=True):
                x, y = self.shapes.get(a), self.shapes.get(b)
                known = x is not None and y is not None and not (x.is_open or y.is_open)
                flags.append(x == y if known else HOLE)
            if HOLE not in flags:
                yield SameShape(left, right), flags


def _few(known: list[Any]) -> list[Any]:
    kinds: list[Any] = []
    for value in known:
        if not isinstance(value, (bool, Construction, dict)) and not any(
            equal(value, each) for each in kinds
        ):
            kinds.append(value)
        if len(kinds) > 6:
            return []
    return kinds


def _part(values: Sequence[Any], get: Any) -> list[Any]:
    """Return what a function gives for each value; holes stay holes."""
    return [HOLE if value is HOLE else get(value) for value in values]


def _bits(flags: Sequence[Any]) -> int:
    """Return a number whose bits are flags."""
    return sum(1 << k for k, flag in enumerate(flags) if flag)


def _after(text: str, prefix: str) -> str | None:
    return text[len(prefix) :] if text.startswith(prefix) else None


def _multiple(
    values: Sequence[Any], expression: Expression, other: Sequence[Any], points: list[int]
) -> Expression | None:
    if len({other[k] for k in points}) < 2 or any(other[k] == 0 for k in points):
        return None
    first = points[0]
    factor, rest = divmod(values[first], other[first])
    if not rest and factor > 1 and all(values[k] == factor * other[k] for k in points):
        return Arithmetic("*", Constant(factor), expression)
    largest = max(points, key=lambda k: values[k])
    if values[largest] <= 0:
        return None
    for factor in dict.fromkeys((other[largest] // values[largest], 2)):
        if factor > 1 and all(values[k] == other[k] // factor for k in points):
            return Arithmetic("//", expression, Constant(factor))
    return None


def negated(test: Expression) -> Expression:
    """Return the opposite of a condition."""
    if isinstance(test, Not):
        return test.condition
    if isinstance(test, Comparison):
        opposites = {"==": "!=", "!=": "==", ">": "==" if test.is_least else "<="}
        if test.operator in opposites:
            return Comparison(opposites[test.operator], test.left, test.right)
    return Not(test)


def expression_of(value: Any) -> Expression:
    """Return the expression of a value that is the same in all uses."""
    if isinstance(value, Construction):
        pairs = ((key, expression_of(each)) for key, each in value.arguments.items())
        return Made(value.name, tuple(pairs))
    if isinstance(value, (tuple, list)):
        return Row(tuple(expression_of(each) for each in value))
    if isinstance(value, dict):
        return Table(tuple((key, expression_of(each)) for key, each in value.items()))
    return Constant(value)


class FunctionLevel(Level):
    """A function: its parameters are made as they are needed, after the fields of its block."""

    def __init__(
        self,
        names: Sequence[str],
        fields: Mapping[str, Sequence[Any]],
        samples: Sequence[int],
    ) -> None:
        super().__init__(samples)
        self.fields = [Symbol(field, tuple(values)) for field, values in fields.items()]
        self.parameters: list[Symbol] = []
        self.name = Symbol("name", tuple(names), "name")

    def symbols(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        for symbol in (*self.parameters, *self.fields):
            yield symbol, symbol.values

    def numbers(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        yield from super().numbers()
        yield from self.extents()

    def extents(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        """Yield the channels of the function's inputs, and then the other extents."""
        for value in self.inputs:
            shapes = [self.shapes.get(each) for each in value.ids]
            if any(shape is None for shape in shapes):
                continue
            ranks = {len(shape) for shape in shapes if shape is not None}
            for place in range(1, min(ranks) + 1):
                extents = [shape[-place] for shape in shapes if shape is not None]
                if all(type(extent) is int for extent in extents):
                    yield Extent(value, -place), extents

    def made_up(self, values: Sequence[Any], hint: str) -> Symbol:
        taken = {"name", *(symbol.name for symbol in (*self.parameters, *self.fields))}
        name = free_name(re.sub(r"\W", "_", hint or "value"), taken.__contains__, mark="")
        symbol = Symbol(name, tuple(values))
        self.parameters.append(symbol)
        return symbol

    def prefixes(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        yield self.name, self.name.values


class LoopLevel(Level):
    """A loop: each of its uses is one round in one use of the level around it."""

    def __init__(self, around: Level, parents: Sequence[int], rounds: Sequence[int]) -> None:
        super().__init__([around.samples[k] for k in parents])
        self.around = around
        self.parents = parents
        self.rounds = rounds
        self.shapes = around.shapes
        self.index = Symbol("i", tuple(number + 1 for number in rounds), "index")
        self.variables: dict[Symbol, Expression] = {}
        self.firsts: Sequence[Any] = ()
        """The first tensor from outside that each round reads."""
        self.carried: list[Carried] = []
        self.collected: list[Collected] = []

    def extended(self, values: Sequence[Any]) -> list[Any]:
        """Return a value of each use of the level around, for each use of this one."""
        return [values[k] for k in self.parents]

    def lifted(self, values: Sequence[Any]) -> list[Any] | None:
        """Return the value that all rounds of each use around have; None where they differ."""
        result: list[Any] = [HOLE] * self.around.size
        for k, value in zip(self.parents, values, strict=True):
            if value is HOLE:
                continue
            if result[k] is HOLE:
                result[k] = value
            elif not equal(result[k], value):
                return None
        return result

    def symbols(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        for symbol in self.variables:
            yield symbol, symbol.values
        for expression, values in self.around.symbols():
            yield expression, self.extended(values)

    def prefixes(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        for expression, values in self.around.prefixes():
            yield expression, self.extended(values)

    def counter(self, values: Sequence[Any]) -> Expression | None:
        if _fits(values, self.index.values):
            return self.index
        pairs = zip(values, self.index.values, strict=True)
        known = [(value, number) for value, number in pairs if value is not HOLE]
        steps = {value - number for value, number in known}
        if len(steps) == 1:
            (step,) = steps
            return Arithmetic("+" if step > 0 else "-", self.index, Constant(abs(step)))
        sums = {value + number for value, number in known}
        if len(sums) == 1:
            return Arithmetic("-", Constant(sums.pop()), self.index)
        lifted = self.lifted(values)
        if lifted is not None:
            return self.around.counter(lifted)
        return super().counter(values)

    def from_around(self, values: Sequence[Any], hint: str) -> Expression | None:
        lifted = self.lifted(values)
        return None if lifted is None else self.around.resolve(lifted, hint)

    def _choice(self, values: Sequence[Any], known: list[Any]) -> Expression | None:
        if isinstance(self.around, MainLevel) and not isinstance(known[0], (str, type(None))):
            return None  # a variable with a list of its values is easier to read
        return super()._choice(values, known)

    def but_the_first(self, values: Sequence[Any], hint: str) -> Expression | None:
        if isinstance(self.around, MainLevel):
            return None
        known = [v for v in values if v is not HOLE]
        if any(isinstance(v, (bool, tuple, dict, Construction)) for v in known):
            return None
        firsts = [v if r == 0 else HOLE for v, r in zip(values, self.rounds, strict=True)]
        others = [v if r > 0 else HOLE for v, r in zip(values, self.rounds, strict=True)]
        lifted = self.lifted(firsts)
        if lifted is None or not any(v is not HOLE for v in firsts):
            return None
        later = _single(others)
        if later is not HOLE:
            rest: Expression | None = expression_of(later)
        else:
            rest = self.find(others, hint) if any(v is not HOLE for v in others) else None
        if rest is None:
            return None
        first = self.around.resolve(lifted, hint)
        return Choice(Comparison("==", self.index, Constant(1)), first, rest)

    def progression(self, values: Sequence[Any], hint: str) -> Expression | None:
        steps: list[Any] = [HOLE] * self.around.size
        firsts: list[Any] = [HOLE] * self.around.size
        last: dict[int, tuple[int, Any]] = {}
        for k, number, value in zip(self.parents, self.rounds, values, strict=True):
            if value is HOLE:
                return None
            if number == 0:
                firsts[k] = value
            elif k not in last or last[k][0] != number - 1:
                return None
            else:
                step = value - last[k][1]
                if step <= 0 or (steps[k] is not HOLE and steps[k] != step):
                    return None
                steps[k] = step
            last[k] = number, value
        if max(self.rounds) < 2 or any(f is HOLE and k in last for k, f in enumerate(firsts)):
            return None
        step = self.around.find(steps, hint)
        if step is None:
            return None
        passed = Arithmetic("-", self.index, Constant(1))
        grown: Expression = passed if step == Constant(1) else Arithmetic("*", step, passed)
        return Arithmetic("+", self.around.resolve(firsts, hint), grown)

    def made_up(self, values: Sequence[Any], hint: str) -> Symbol:
        lists: list[list[Any]] = [[] for _ in range(self.around.size)]
        for k, value in zip(self.parents, values, strict=True):
            lists[k].append(None if value is HOLE else value)
        symbol = Symbol(hint or "value", tuple(values), "variable")
        rows = [tuple(each) if each else HOLE for each in lists]
        self.variables[symbol] = self.around.resolve(rows, f"{hint}_values")
        return symbol

    def atoms(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        yield (
            Comparison("==", self.index, Constant(1)),
            [number == 0 for number in self.rounds],
        )
        yield from super().atoms()

    def test(self, flags: Sequence[Any]) -> Expression | None:
        lifted = self.lifted(flags)
        if lifted is not None and (found := self.around.test(lifted)):
            return found
        found = super().test(flags)
        if found is not None:
            return found
        for number in sorted(set(self.index.values)):
            for symbol, compare in (("==", eq), (">", gt), ("<=", le)):
                if _fits(flags, [compare(each, number) for each in self.index.values]):
                    return Comparison(symbol, self.index, Constant(number))
        return None


class MainLevel(Level):
    """The program itself: what it needs is a constant, or follows from its parameters.

    It is used once, or once for each of some networks whose parameters have other values.
    """

    def __init__(
        self,
        parameters: Sequence[Symbol],
        formulas: Sequence[tuple[Expression, Sequence[Any]]],
        size: int,
    ) -> None:
        super().__init__(range(size))
        self.parameters = parameters
        self.formulas = formulas

    def symbols(self) -> Iterator[tuple[Expression, Sequence[Any]]]:
        for symbol in self.parameters:
            yield symbol, symbol.values
        yield from self.formulas

    def progression(self, values: Sequence[Any], hint: str) -> Expression | None:  # noqa: ARG002
        """Return numbers that grow with a parameter, from a number on: `64 + 6 * growth`."""
        if HOLE in values:
            return None
        for symbol in self.parameters:
            given = symbol.values
            if {*map(type, given)} != {int} or len({*given}) < 2:
                continue
            at = next(k for k, each in enumerate(given) if each != given[0])
            factor, rest = divmod(values[at] - values[0], given[at] - given[0])
            start = values[0] - factor * given[0]
            if rest or factor < 1 or start < 0:
                continue
            if all(v == start + factor * g for v, g in zip(values, given, strict=True)):
                times = Constant(factor)
                grown = symbol if factor == 1 else Arithmetic("*", times, symbol)
                return Arithmetic("+", Constant(start), grown)
        return None

    def made_up(self, values: Sequence[Any], hint: str) -> Any:  # noqa: ARG002
        if self.size > 1:
            raise NotAlikeError
        return expression_of(values[0])

"""Strings that start with `=`: values computed from variables and from the shapes of steps.

Python's own parser reads the text, an allow-list turns the tree into closures, and nothing is
ever executed as code. Every value is bounded, so no expression can exhaust time or memory.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias, cast

from archspec.element import whole
from archspec.errors import Problem, suggestion
from archspec.spec.operations import (
    ARITHMETIC,
    COMPARE,
    FUNCTIONS,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_NUMBER,
    NUMBERS,
    ON_LISTS,
    Value,
    bounded,
    bounded_list,
    count_items,
    is_number,
    mismatch,
    shortened,
    shown,
    wrong,
)

MAX_CHARACTERS: Final = 1_000

MAX_ROUNDS: Final = 100_000
"""Largest number of rounds of all `for`s; a round with much to compute counts as several."""

INPUTS: Final = ("channels", "height", "width", "depth", "length", "rank")
"""The attributes of `in`, and of the name of a step."""

_POSSIBLE = (
    "an expression computes a value: numbers, texts, lists, variables, in.channels and the like, "
    "+ - * / // % **, comparisons, and or not, `a if c else b`, list[index], list[from:to], "
    "`[x for x in list if c]`, " + " ".join(FUNCTIONS)
)

_OTHER_SIGNS: Final = {
    "&&": "`and` for `&&`",
    "||": "`or` for `||`",
    "?": "`a if c else b` for `c ? a : b`",
    "^": "`**` for `^`",
    "!": "`not` for `!`",
    "=": "`==` where two values are compared",
    "math.": "a function without `math.`",
}
"""Signs of other languages, and a hint at what an expression has for each."""

Shapes: TypeAlias = Callable[[str], Mapping[str, int]]
"""Gives the extents of a step's output by the step's name; of the input of this step for `in`."""

_Evaluation: TypeAlias = Callable[[Mapping[str, Value], Shapes | None], Value]


def is_expression(value: object) -> bool:
    return isinstance(value, str) and value.startswith("=")


class Meter:
    """Bound on the work of expressions with `for`, which may be shared by many of them."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_ROUNDS

    def spend(self, rounds: int) -> None:
        self.left -= rounds
        if self.left < 0:
            message = f"the `for`s of expressions take more than {MAX_ROUNDS:,} rounds"
            raise Problem("limit", message)


class _Locals(ChainMap[str, Value]):
    """Variables, and those of the `for`s around in an expression."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, equal to another of the same text."""

    text: str
    names: frozenset[str] = field(compare=False)
    """The variables it refers to."""
    steps: frozenset[str] = field(compare=False)
    """The names whose shape it asks for, such as `stem.channels`; each may be a variable that
    holds the name instead. `in` is the input."""
    shaped: bool = field(compare=False)
    """Whether the shape of any step is asked for."""
    _looping: bool = field(compare=False, repr=False)
    _run: _Evaluation = field(compare=False, repr=False)

    @classmethod
    @lru_cache(maxsize=1_024)
    def parse(cls, text: str) -> Expression:
        """Return the expression of a text with its leading `=`; raise `Problem` for bad syntax."""
        source = _source(text)
        tree = _tree(source)
        compiler = _Compiler(source)
        run = compiler.compile(tree, 0)
        names, steps = frozenset(compiler.names), frozenset(compiler.steps)
        return cls(text, names, steps, compiler.shaped, compiler.looping, run)

    def evaluate(
        self,
        variables: Mapping[str, Value],
        shapes: Shapes | None = None,
        meter: Meter | None = None,
    ) -> Value:
        """Return the value for some variables and steps; lists are tuples.

        Raises:
            Problem: With code "unknown-name" for a variable that does not exist, "limit" where the
                `for`s take too long, else "expression".
        """
        if not self._looping:
            return self._run(variables, shapes)
        scope = _Locals({}, cast("Any", variables))
        scope.meter = meter or Meter()
        return self._run(scope, shapes)


# A string is matched whole, so that its content stays as it is.
_INPUT = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|\bin\.(?=[^\W\d])""")


def _source(text: str) -> str:
    """Return the text without its `=`, as one line of bounded length."""
    if len(text) > MAX_CHARACTERS:
        _refuse(f"an expression of {len(text):,} characters is longer than {MAX_CHARACTERS:,}")
    return re.sub(r"\s", " ", text.removeprefix("=")).strip()


def _tree(source: str) -> ast.expr:
    if not source:
        _refuse("the expression is empty")
    # `in` is a keyword of Python; a name of the same length keeps every column.
    readable = _INPUT.sub(lambda match: match[0] if match[0] != "in." else "__.", source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about style, on standard error
            return ast.parse(readable, mode="eval").body
    except SyntaxError as error:
        if "was never closed" in error.msg:
            _refuse(f"a `{error.msg[1]}` is not closed in the expression")
        rest = source[max((error.offset or 1) - 1, 0) :]
        where = f"at `{shortened(rest)}`" if rest else "to its end"
        message = f"the expression cannot be read {where}"
        raise Problem("expression", message, help=_sign_meant(source)) from None
    except (ValueError, MemoryError, RecursionError):
        _refuse("the expression cannot be read")


def _sign_meant(source: str) -> str:
    """Return a help line for an expression that is invalid, or has a foreign operator."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|[<>!=]=(?=[^=])", "", source)  # texts and comparisons
    if source.startswith("="):
        return "one `=` begins an expression"
    if " for " in text and not text.startswith("["):
        return "a list has brackets around all of it: `[x for x in list]`"
    replacement = next((ours for sign, ours in _OTHER_SIGNS.items() if sign in text), None)
    return f"write {replacement}" if replacement else _POSSIBLE


def _refuse(message: str) -> NoReturn:
    raise Problem("expression", message, help=_POSSIBLE)


def _arithmetic(
    symbol: str, apply: Callable[[Any, Any], Any], left: _Evaluation, right: _Evaluation
) -> _Evaluation:
    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        a: Any = left(variables, shapes)
        b: Any = right(variables, shapes)
        if type(a) not in NUMBERS or type(b) not in NUMBERS:
            if symbol in ON_LISTS:
                return cast("Value", ON_LISTS[symbol](a, b))
            mismatch(symbol, a, b)
        try:
            result = apply(a, b)
        except ZeroDivisionError:
            wrong(f"{shown(a)} {symbol} {shown(b)} divides by zero")
        except OverflowError:
            wrong(f"{shown(a)} {symbol} {shown(b)} is beyond 2^63")
        if not -MAX_NUMBER <= result <= MAX_NUMBER:
            wrong(f"{shown(a)} {symbol} {shown(b)} is beyond 2^63")
        return cast("Value", result)

    return run


_CONSTANTS: Final = {"true": True, "false": False, "null": None}

_NOT_POSSIBLE: Final[dict[type[ast.expr], str]] = {
    ast.Call: "a function is called by its name, with plain arguments",
    ast.Lambda: "an expression defines no functions",
    ast.SetComp: "a list is written `[x for x in list]`",
    ast.DictComp: "a list is written `[x for x in list]`",
    ast.JoinedStr: 'an expression has no f-strings: `"a" + str(n)` joins a text and a number',
    ast.NamedExpr: "an expression assigns nothing",
    ast.Starred: "an expression has no `*` before a value",
}


class _Compiler:
    """Turns one tree into closures, and collects the names it meets."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.names: set[str] = set()
        self.steps: set[str] = set()
        self.shaped = False
        self.looping = False
        self.local: frozenset[str] = frozenset()
        """Variables of the `for`s around."""

    def compile(self, node: ast.expr, depth: int) -> _Evaluation:
        if depth > MAX_DEPTH:
            _refuse(f"the expression is nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.Constant(value=value):
                return self.constant(value, node)
            case ast.Name(id=name):
                return self.name(name)
            case ast.Attribute(value=value, attr=name):
                return self.attribute(value, name, depth)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                symbol, apply = ARITHMETIC[type(op)]
                a, b = self.compile(left, depth + 1), self.compile(right, depth + 1)
                return _arithmetic(symbol, apply, a, b)
            case ast.UnaryOp(op=op, operand=operand):
                return self.unary(op, self.compile(operand, depth + 1), node)
            case ast.BoolOp(op=op, values=values):
                return _logical(
                    isinstance(op, ast.And), [self.compile(value, depth + 1) for value in values]
                )
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in COMPARE for op in ops
            ):
                return _comparison(
                    self.compile(left, depth + 1),
                    [
                        (COMPARE[type(op)], self.compile(other, depth + 1))
                        for op, other in zip(ops, others, strict=True)
                    ],
                )
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.compile(test, depth + 1)
                yes, no = self.compile(body, depth + 1), self.compile(orelse, depth + 1)
                return lambda v, i: yes(v, i) if condition(v, i) else no(v, i)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                parts = [self.compile(element, depth + 1) for element in elements]
                return lambda v, i: bounded_list(tuple([part(v, i) for part in parts]))
            case (
                ast.ListComp(elt=item, generators=loops)
                | ast.GeneratorExp(elt=item, generators=loops)
            ):
                return self.comprehension(item, loops, depth, node)
            case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=step)):
                bounds = [
                    None if bound is None else self.compile(bound, depth + 1)
                    for bound in (lower, upper, step)
                ]
                return _slicing(self.compile(value, depth + 1), bounds)
            case ast.Subscript(value=value, slice=index):
                return _indexing(self.compile(value, depth + 1), self.compile(index, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(name, [self.compile(each, depth + 1) for each in arguments])
            case _:
                raise self.refusal(node)

    def refusal(self, node: ast.expr) -> Problem:
        reason = _NOT_POSSIBLE.get(type(node), "that is not part of the language")
        written = self.written(node)
        message = f"`{shortened(written)}`: {reason}"
        return Problem("expression", message, help=_sign_meant(written))

    def written(self, node: ast.expr) -> str:
        """Return the text of `node`; the parser counts columns in bytes."""
        return self.source[node.col_offset : node.end_col_offset].decode(errors="replace")

    def constant(self, value: Any, node: ast.expr) -> _Evaluation:
        if is_number(value):
            bounded(value, f"`{shortened(self.written(node))}`")
        elif value is not None and not isinstance(value, str):
            raise self.refusal(node)
        return lambda _v, _i: cast("Value", value)

    def name(self, name: str) -> _Evaluation:
        if name in _CONSTANTS:
            value = _CONSTANTS[name]
            return lambda _v, _i: value
        if name not in self.local:
            self.names.add(name)

        def run(variables: Mapping[str, Value], _: Shapes | None) -> Value:
            try:
                value = variables[name]
            except KeyError:
                known = suggestion(name, variables, what="variables")
                raise Problem(
                    "unknown-name", f"there is no variable `{name}`", help=known
                ) from None
            return bounded(value, name) if type(value) in NUMBERS else value

        return run

    def attribute(self, owner: ast.expr, name: str, depth: int) -> _Evaluation:
        """Return an extent of a step: of `in`, of a name, or of a text that is a step's name."""
        written = self.written(owner)
        if name not in INPUTS:
            what = "the input has" if written == "in" else "the output of a step has"
            help_ = suggestion(name, INPUTS, what="attributes of `in` and of steps")
            wrong(f"{what} no `{name}`", help=help_)
        self.shaped = True
        if isinstance(owner, ast.Name) and owner.id not in (self.local | _CONSTANTS.keys()):
            self.steps.add(written)
            called: _Evaluation = lambda v, _: v.get(written, written)  # noqa: E731
        else:
            called = self.compile(owner, depth + 1)

        def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
            step = called(variables, shapes)
            if not isinstance(step, str):
                wrong(f"`{shortened(written)}` is {shown(step)}, not the name of a step")
            if shapes is None:
                help_ = "only the steps of a network have inputs and outputs"
                wrong(f"`{shortened(written)}.{name}` has no value here", help=help_)
            extents = shapes(step)
            if name not in extents:
                what = "the input of this step" if step == "in" else f"`{shortened(step)}`"
                owned = ", ".join(f"{shortened(written)}.{each}" for each in extents)
                wrong(f"{what} has no {name}", help=f"it has: {owned}")
            return extents[name]

        return run

    def comprehension(
        self, item: ast.expr, generators: list[ast.comprehension], depth: int, node: ast.expr
    ) -> _Evaluation:
        """Return the evaluation of `[item for name in list if condition]`."""
        self.looping = True
        around = self.local
        loops = []
        for each in generators:
            if each.is_async or not isinstance(each.target, ast.Name):
                _refuse(f"`{shortened(self.written(each.target))}`: `for` takes one name")
            source = self.compile(each.iter, depth + 1)
            self.local |= {each.target.id}
            conditions = [self.compile(condition, depth + 1) for condition in each.ifs]
            loops.append(_Loop(each.target.id, source, conditions))
        result = self.compile(item, depth + 1)
        self.local = around
        return _comprehension(result, loops, 1 + len(self.written(node)) // 16)

    def unary(self, op: ast.unaryop, operand: _Evaluation, node: ast.expr) -> _Evaluation:
        if isinstance(op, ast.Not):
            return lambda v, i: not operand(v, i)
        if isinstance(op, ast.Invert):
            raise self.refusal(node)
        symbol = "-" if isinstance(op, ast.USub) else "+"
        apply: Callable[[Any], Any] = operator.neg if symbol == "-" else operator.pos

        def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
            value = operand(variables, shapes)
            if not is_number(value):
                wrong(f"`{symbol}` cannot be applied to {shown(value)}")
            return cast("Value", apply(value))

        return run

    def call(self, name: str, arguments: list[_Evaluation]) -> _Evaluation:
        if name not in FUNCTIONS:
            wrong(
                f"there is no function `{name}`",
                help=suggestion(name, FUNCTIONS, what="functions"),
            )
        function, fewest, most, *_ = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            number = f"{fewest} to {most}" if fewest < most else f"{fewest}"
            wrong(f"{name} takes {number} arguments, and here are {len(arguments)}")

        def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
            values = [argument(variables, shapes) for argument in arguments]
            try:
                result = function(*values)
            except OverflowError:  # a list from outside may hold any number
                wrong(f"{name} is not a number within 2^63")
            return cast("Value", bounded(result, name) if is_number(result) else result)

        return run


def _logical(conjunction: bool, parts: list[_Evaluation]) -> _Evaluation:
    """`and`, `or`: the last value looked at, as in Python."""

    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        value: Value = None
        for part in parts:
            value = part(variables, shapes)
            if bool(value) is not conjunction:
                break
        return value

    return run


def _comparison(
    left: _Evaluation, rest: list[tuple[Callable[[Value, Value], bool], _Evaluation]]
) -> _Evaluation:
    """Return the evaluation of a chain such as `0 < x < 10`."""

    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        a = left(variables, shapes)
        for compare, right in rest:
            b = right(variables, shapes)
            if not compare(a, b):
                return False
            a = b
        return True

    return run


class _Loop(NamedTuple):
    """One `for` of a list that is built: its variable, its list and its conditions."""

    name: str
    items: _Evaluation
    conditions: list[_Evaluation]


def _comprehension(item: _Evaluation, loops: list[_Loop], weight: int) -> _Evaluation:
    """Return the evaluation of a list that is built; each round has a weight."""

    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        around = cast("_Locals", variables)
        scope = _Locals({}, around)
        scope.meter = around.meter
        built: list[Value] = []
        count = 0
        sources = [_iterated(loops[0], around, shapes)]
        while sources:
            loop = loops[len(sources) - 1]
            try:
                scope[loop.name] = next(sources[-1])
            except StopIteration:
                sources.pop()
                scope.pop(loop.name, None)
                continue
            scope.meter.spend(weight)
            if not all(condition(scope, shapes) for condition in loop.conditions):
                continue
            if len(sources) < len(loops):
                sources.append(_iterated(loops[len(sources)], scope, shapes))
                continue
            value = item(scope, shapes)
            built.append(value)
            count += 1 + (count_items(value) if isinstance(value, tuple) else 0)
            if count > MAX_ITEMS:
                wrong(f"the list has more than {MAX_ITEMS:,} items")
        return bounded_list(tuple(built))

    return run


def _iterated(
    loop: _Loop, variables: Mapping[str, Value], shapes: Shapes | None
) -> Iterator[Value]:
    items = loop.items(variables, shapes)
    if not isinstance(items, tuple):
        wrong(f"`for {loop.name}` needs a list, not {shown(items)}")
    return iter(items)


def _slicing(sequence: _Evaluation, bounds: list[_Evaluation | None]) -> _Evaluation:
    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        items = sequence(variables, shapes)
        if not isinstance(items, tuple):
            wrong(f"{shown(items)} is not a list: it has no slices")
        numbers = [None if bound is None else bound(variables, shapes) for bound in bounds]
        for number in map(whole, numbers):
            if number is not None and type(number) is not int:
                wrong(f"a slice has whole numbers, not {shown(number)}")
        if numbers[2] == 0:
            wrong("the step of a slice cannot be 0")
        return items[slice(*map(whole, numbers))]

    return run


def _indexing(sequence: _Evaluation, index: _Evaluation) -> _Evaluation:
    def run(variables: Mapping[str, Value], shapes: Shapes | None) -> Value:
        items, position = sequence(variables, shapes), whole(index(variables, shapes))
        if not isinstance(items, tuple):
            wrong(f"{shown(items)} is not a list: it cannot be indexed")
        if type(position) is not int:
            wrong(f"a list is indexed by a whole number, not {shown(position)}")
        if not -len(items) <= position < len(items):
            wrong(f"there is no item {position}: the list has {len(items):,}, counted from 0")
        item = items[position]
        return bounded(item, f"item {position}") if is_number(item) else item

    return run

"""Strings that start with `=`: values computed from variables and from the shape of the input.

Python's own parser reads the text, an allow-list turns the tree into closures, and nothing is
ever executed as code. Every value is bounded, so no expression can exhaust time or memory.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias, cast

from archspec.element import whole
from archspec.errors import Problem, suggestion
from archspec.spec.operations import (
    ARITHMETIC,
    COMPARE,
    FUNCTIONS,
    MAX_DEPTH,
    MAX_NUMBER,
    NUMBERS,
    ON_LISTS,
    Value,
    bounded,
    bounded_list,
    is_number,
    mismatch,
    shortened,
    shown,
    wrong,
)

MAX_CHARACTERS: Final = 1_000

INPUTS: Final = ("channels", "height", "width", "depth", "length", "rank")
"""The attributes of `in`."""

_POSSIBLE = (
    "an expression computes a value: numbers, texts, lists, variables, in.channels and the like, "
    "+ - * / // % **, comparisons, and or not, `a if c else b`, list[index], " + " ".join(FUNCTIONS)
)

_OTHER_SIGNS: Final = {
    "&&": "`and` for `&&`",
    "||": "`or` for `||`",
    "?": "`a if c else b` for `c ? a : b`",
    "^": "`**` for `^`",
    "!": "`not` for `!`",
    "=": "`==` where two values are compared",
    "input.": "`in.` for `input.`",
    "math.": "a function without `math.`",
}
"""Signs of other languages, and a hint at what an expression has for each."""

_Evaluation: TypeAlias = Callable[[Mapping[str, Value], Mapping[str, int] | None], Value]


def is_expression(value: object) -> bool:
    return isinstance(value, str) and value.startswith("=")


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, equal to another of the same text."""

    text: str
    names: frozenset[str] = field(compare=False)
    """The variables it refers to."""
    inputs: frozenset[str] = field(compare=False)
    """The attributes of `in` it refers to."""
    _run: _Evaluation = field(compare=False, repr=False)

    @classmethod
    @lru_cache(maxsize=1_024)
    def parse(cls, text: str) -> Expression:
        """Return the expression of a text with its leading `=`; raise `Problem` if it is none."""
        source = _source(text)
        tree = _tree(source)
        compiler = _Compiler(source)
        run = compiler.compile(tree, 0)
        return cls(text, frozenset(compiler.names), frozenset(compiler.inputs), run)

    def evaluate(
        self, variables: Mapping[str, Value], inputs: Mapping[str, int] | None = None
    ) -> Value:
        """Return the value for some variables and an input; lists are tuples.

        Raises:
            Problem: With code "unknown-name" for a variable that does not exist, else
                "expression".
        """
        return self._run(variables, inputs)


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
    replacement = next((ours for sign, ours in _OTHER_SIGNS.items() if sign in text), None)
    return f"write {replacement}" if replacement else _POSSIBLE


def _refuse(message: str) -> NoReturn:
    raise Problem("expression", message, help=_POSSIBLE)


def _arithmetic(
    symbol: str, apply: Callable[[Any, Any], Any], left: _Evaluation, right: _Evaluation
) -> _Evaluation:
    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        a: Any = left(variables, inputs)
        b: Any = right(variables, inputs)
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
    ast.Attribute: "only `in` has attributes",
    ast.Lambda: "an expression defines no functions",
    ast.ListComp: "an expression has no loops",
    ast.SetComp: "an expression has no loops",
    ast.DictComp: "an expression has no loops",
    ast.GeneratorExp: "an expression has no loops",
    ast.JoinedStr: "an expression has no f-strings",
    ast.NamedExpr: "an expression assigns nothing",
    ast.Slice: "a list is indexed by one number",
    ast.Starred: "an expression has no `*` before a value",
}


class _Compiler:
    """Turns one tree into closures, and collects the names it meets."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.names: set[str] = set()
        self.inputs: set[str] = set()

    def compile(self, node: ast.expr, depth: int) -> _Evaluation:
        if depth > MAX_DEPTH:
            _refuse(f"the expression is nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.Constant(value=value):
                return self.constant(value, node)
            case ast.Name(id=name):
                return self.name(name)
            case ast.Attribute(value=ast.Name(), attr=name) if self.written(node.value) == "in":
                return self.input(name)
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
        self.names.add(name)

        def run(variables: Mapping[str, Value], _: Mapping[str, int] | None) -> Value:
            try:
                value = variables[name]
            except KeyError:
                known = suggestion(name, variables, what="variables")
                raise Problem(
                    "unknown-name", f"there is no variable `{name}`", help=known
                ) from None
            return bounded(value, name) if type(value) in NUMBERS else value

        return run

    def input(self, name: str) -> _Evaluation:
        if name not in INPUTS:
            wrong(
                f"the input has no `{name}`",
                help=suggestion(name, INPUTS, what="attributes of `in`"),
            )
        self.inputs.add(name)

        def run(_: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            if inputs is None:
                wrong(
                    f"`in.{name}` has no value here",
                    help="only the steps of a network have an input",
                )
            if name not in inputs:
                wrong(
                    f"the input of this step has no {name}",
                    help=f"it has: {', '.join(f'in.{each}' for each in inputs)}",
                )
            return inputs[name]

        return run

    def unary(self, op: ast.unaryop, operand: _Evaluation, node: ast.expr) -> _Evaluation:
        if isinstance(op, ast.Not):
            return lambda v, i: not operand(v, i)
        if isinstance(op, ast.Invert):
            raise self.refusal(node)
        symbol = "-" if isinstance(op, ast.USub) else "+"
        apply: Callable[[Any], Any] = operator.neg if symbol == "-" else operator.pos

        def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            value = operand(variables, inputs)
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

        def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            values = [argument(variables, inputs) for argument in arguments]
            try:
                result = function(*values)
            except OverflowError:  # a list from outside may hold any number
                wrong(f"{name} is not a number within 2^63")
            return cast("Value", bounded(result, name) if is_number(result) else result)

        return run


def _logical(conjunction: bool, parts: list[_Evaluation]) -> _Evaluation:
    """`and`, `or`: the last value looked at, as in Python."""

    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        value: Value = None
        for part in parts:
            value = part(variables, inputs)
            if bool(value) is not conjunction:
                break
        return value

    return run


def _comparison(
    left: _Evaluation, rest: list[tuple[Callable[[Value, Value], bool], _Evaluation]]
) -> _Evaluation:
    """Return the evaluation of a chain such as `0 < x < 10`."""

    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        a = left(variables, inputs)
        for compare, right in rest:
            b = right(variables, inputs)
            if not compare(a, b):
                return False
            a = b
        return True

    return run


def _indexing(sequence: _Evaluation, index: _Evaluation) -> _Evaluation:
    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        items, position = sequence(variables, inputs), whole(index(variables, inputs))
        if not isinstance(items, tuple):
            wrong(f"{shown(items)} is not a list: it cannot be indexed")
        if type(position) is not int:
            wrong(f"a list is indexed by a whole number, not {shown(position)}")
        if not -len(items) <= position < len(items):
            wrong(f"there is no item {position}: the list has {len(items):,}, counted from 0")
        item = items[position]
        return bounded(item, f"item {position}") if is_number(item) else item

    return run

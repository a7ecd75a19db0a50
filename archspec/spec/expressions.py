"""Strings that start with `=`: values computed from variables and from the shape of the input.

Python's own parser reads the text, an allow-list turns the tree into closures, and nothing is
ever executed as code. Every value is bounded, so no expression can exhaust time or memory.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias, cast

from archspec.diagnostics import Problem, suggestion

Value: TypeAlias = "int | float | bool | str | tuple[Value, ...] | None"

MAX_CHARACTERS: Final = 1_000
MAX_NUMBER: Final = 2**63
MAX_ITEMS: Final = 10_000
MAX_DEPTH: Final = 100
"""Of the expression's tree, and of lists within lists."""

INPUTS: Final = ("channels", "height", "width", "depth", "length", "rank")
"""What `in.` may be followed by."""

_POSSIBLE = (
    "an expression computes a value: numbers, texts, lists, variables, in.channels and the like, "
    "+ - * / // % **, comparisons, and or not, `a if c else b`, list[index], "
    "min max round ceil floor sum len divisible abs int range"
)

_Run: TypeAlias = Callable[[Mapping[str, Value], Mapping[str, int] | None], Value]


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
    _run: _Run = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Parse `text`, including its leading `=`; raises Problem("expression")."""
        source = _source(text)
        tree = _tree(source)
        compiler = _Compiler(source)
        run = compiler.compile(tree, 0)
        return cls(text, frozenset(compiler.names), frozenset(compiler.inputs), run)

    def evaluate(
        self, variables: Mapping[str, Value], inputs: Mapping[str, int] | None = None
    ) -> Value:
        """The value for these variables and this input; lists are tuples.

        Raises Problem: "unknown-name" for a variable that is not there, else "expression".
        """
        return self._run(variables, inputs)


# A string is matched whole, so that its content stays as it is.
_INPUT = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|\bin\.(?=[^\W\d])""")


def _source(text: str) -> str:
    """The text without its `=`, as one line of bounded length."""
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
        rest = source[max((error.offset or 1) - 1, 0) :]
        where = f"at `{_short(rest)}`" if rest else "to its end"
        raise Problem(
            "expression", f"the expression cannot be read {where}", help=_POSSIBLE
        ) from None
    except (ValueError, MemoryError, RecursionError):
        _refuse("the expression cannot be read")


def _refuse(message: str) -> NoReturn:
    raise Problem("expression", message, help=_POSSIBLE)


def _wrong(message: str, *, help: str | None = None) -> NoReturn:  # noqa: A002
    raise Problem("expression", message, help=help)


def _shown(value: Value) -> str:
    """A value in a message: short, in the language's own words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"a list of {len(value):,}"
    return _short(f'"{value}"' if isinstance(value, str) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


_NUMBERS = frozenset((int, float, bool))


def _is_number(value: Value) -> bool:
    return type(value) in _NUMBERS


def _bounded(number: Any, what: str) -> Any:
    if not -MAX_NUMBER <= number <= MAX_NUMBER:  # so that NaN fails, too
        _wrong(f"{what} is not a number within 2^63")
    return number


def _list(items: tuple[Value, ...]) -> tuple[Value, ...]:
    """`items` if they are few enough, counting what lists inside them hold."""
    count = depth = 0
    layer = [items]
    while layer:
        count += sum(map(len, layer))
        depth += 1
        if count > MAX_ITEMS:
            _wrong(f"the list has more than {MAX_ITEMS:,} items")
        if depth > MAX_DEPTH:
            _wrong(f"the lists are nested more than {MAX_DEPTH} levels deep")
        layer = [item for part in layer for item in part if isinstance(item, tuple)]
    return items


def _add(a: Any, b: Any) -> Any:
    if not (isinstance(a, tuple) and isinstance(b, tuple)):
        _mismatch("+", a, b)
    return _list(a + b)


def _multiply(a: Any, b: Any) -> Any:
    items, times = (b, a) if isinstance(b, tuple) else (a, b)
    if not (isinstance(items, tuple) and isinstance(times, int)):
        _mismatch("*", a, b)
    if len(items) * times > MAX_ITEMS:
        _wrong(f"the list has more than {MAX_ITEMS:,} items")
    return _list(items * max(0, min(times, MAX_ITEMS)))


def _mismatch(symbol: str, a: Value, b: Value) -> NoReturn:
    _wrong(f"`{symbol}` cannot be applied to {_shown(a)} and {_shown(b)}")


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return a / b


def _power(a: Any, b: Any) -> Any:
    # Bounded before it is computed: 2**64 is past every bound.
    if abs(a) >= 2 and b >= 64:
        _wrong(f"{_shown(a)} ** {_shown(b)} is beyond 2^63")
    result = a**b
    if isinstance(result, complex):
        _wrong(f"{_shown(a)} ** {_shown(b)} is not a real number")
    return result


_ARITHMETIC: Final[dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", _divide),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", _power),
}
_ON_LISTS: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": _add, "*": _multiply}


def _arithmetic(symbol: str, apply: Callable[[Any, Any], Any], left: _Run, right: _Run) -> _Run:
    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        a: Any = left(variables, inputs)
        b: Any = right(variables, inputs)
        if type(a) not in _NUMBERS or type(b) not in _NUMBERS:
            if symbol in _ON_LISTS:
                return cast("Value", _ON_LISTS[symbol](a, b))
            _mismatch(symbol, a, b)
        try:
            result = apply(a, b)
        except ZeroDivisionError:
            _wrong(f"{_shown(a)} {symbol} {_shown(b)} divides by zero")
        except OverflowError:
            _wrong(f"{_shown(a)} {symbol} {_shown(b)} is beyond 2^63")
        if -MAX_NUMBER <= result <= MAX_NUMBER:
            return cast("Value", result)
        _wrong(f"{_shown(a)} {symbol} {_shown(b)} is beyond 2^63")

    return run


def _contains(a: Value, b: Value) -> bool:
    if isinstance(b, tuple):
        return a in b
    if isinstance(a, str) and isinstance(b, str):
        return a in b
    _mismatch("in", a, b)


def _ordered(symbol: str, compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def run(a: Value, b: Value) -> bool:
        if not (_is_number(a) and _is_number(b)) and type(a) is not type(b):
            _mismatch(symbol, a, b)
        try:
            return compare(a, b)
        except TypeError:  # null has no order, nor have all lists
            _mismatch(symbol, a, b)

    return run


_COMPARE: Final[dict[type[ast.cmpop], Callable[[Value, Value], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _ordered("<", operator.lt),
    ast.LtE: _ordered("<=", operator.le),
    ast.Gt: _ordered(">", operator.gt),
    ast.GtE: _ordered(">=", operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda a, b: not _contains(a, b),
}


def _divisible(value: Any, divisor: Any) -> int:
    """`value` rounded to the nearest multiple of `divisor`, and up where that loses over 10 %.

    MobileNet's `make_divisible` (Sandler et al. 2018); at least `divisor`.
    """
    if divisor < 1 or divisor != int(divisor):
        _wrong(f"divisible needs a positive whole number to divide by, not {_shown(divisor)}")
    divisor = int(divisor)
    rounded: int = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _items(value: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The numbers of a list."""
    for item in value:
        if not _is_number(item):
            _wrong(f"{name} needs numbers, not {_shown(item)}")
    return value


def _extreme(name: str, choose: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], tuple):
            values = values[0]
        if not values:
            _wrong(f"{name} of an empty list has no value")
        return choose(_items(values, name))

    return run


def _round(value: Any, digits: int | None = None) -> Any:
    if digits is not None and not (isinstance(digits, int) and abs(digits) <= 20):
        _wrong(f"round needs a number of digits between -20 and 20, not {_shown(digits)}")
    (number,) = _items((value,), "round")
    return round(number, digits)


def _sum(values: Any) -> Any:
    if not isinstance(values, tuple):
        _wrong(f"sum needs a list, not {_shown(values)}")
    return sum(_items(values, "sum"))


def _len(value: Any) -> int:
    if not isinstance(value, tuple | str):
        _wrong(f"len needs a list or a text, not {_shown(value)}")
    return len(value)


def _range(*bounds: Any) -> tuple[int, ...]:
    for bound in bounds:
        if not isinstance(bound, int):
            _wrong(f"range needs whole numbers, not {_shown(bound)}")
    if len(bounds) == 3 and bounds[2] == 0:
        _wrong("range needs a step other than 0")
    numbers = range(*bounds)
    # len() fails on the longest ranges; a slice does not.
    if numbers[MAX_ITEMS:]:
        _wrong(f"range has more than {MAX_ITEMS:,} items")
    return tuple(numbers)


def _of_numbers(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: apply(*_items(values, name))


_FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "min": (_extreme("min", min), 1, MAX_CHARACTERS),
    "max": (_extreme("max", max), 1, MAX_CHARACTERS),
    "round": (_round, 1, 2),
    "ceil": (_of_numbers("ceil", math.ceil), 1, 1),
    "floor": (_of_numbers("floor", math.floor), 1, 1),
    "sum": (_sum, 1, 1),
    "len": (_len, 1, 1),
    "divisible": (_of_numbers("divisible", _divisible), 2, 2),
    "abs": (_of_numbers("abs", abs), 1, 1),
    "int": (_of_numbers("int", int), 1, 1),
    "range": (_range, 1, 3),
}
"""Each function with the fewest and the most arguments it takes."""

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

    def compile(self, node: ast.expr, depth: int) -> _Run:
        if depth > MAX_DEPTH:
            _refuse(f"the expression is nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.Constant(value=value):
                return self.constant(value, node)
            case ast.Name(id=name):
                return self.name(name)
            case ast.Attribute(value=ast.Name(), attr=name) if self.written(node.value) == "in":
                return self.input(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                symbol, apply = _ARITHMETIC[type(op)]
                a, b = self.compile(left, depth + 1), self.compile(right, depth + 1)
                return _arithmetic(symbol, apply, a, b)
            case ast.UnaryOp(op=op, operand=operand):
                return self.unary(op, self.compile(operand, depth + 1), node)
            case ast.BoolOp(op=op, values=values):
                return _logical(
                    isinstance(op, ast.And), [self.compile(value, depth + 1) for value in values]
                )
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _COMPARE for op in ops
            ):
                return _comparison(
                    self.compile(left, depth + 1),
                    [
                        (_COMPARE[type(op)], self.compile(other, depth + 1))
                        for op, other in zip(ops, others, strict=True)
                    ],
                )
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.compile(test, depth + 1)
                yes, no = self.compile(body, depth + 1), self.compile(orelse, depth + 1)
                return lambda v, i: yes(v, i) if condition(v, i) else no(v, i)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                parts = [self.compile(element, depth + 1) for element in elements]
                return lambda v, i: _list(tuple([part(v, i) for part in parts]))
            case ast.Subscript(value=value, slice=index) if not isinstance(index, ast.Slice):
                return _indexing(self.compile(value, depth + 1), self.compile(index, depth + 1))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(name, [self.compile(each, depth + 1) for each in arguments])
            case _:
                raise self.refusal(node)

    def refusal(self, node: ast.expr) -> Problem:
        reason = _NOT_POSSIBLE.get(type(node), "that is not part of the language")
        message = f"`{_short(self.written(node))}`: {reason}"
        return Problem("expression", message, help=_POSSIBLE)

    def written(self, node: ast.expr) -> str:
        """What the user wrote for `node`; the parser counts columns in bytes."""
        return self.source[node.col_offset : node.end_col_offset].decode(errors="replace")

    def constant(self, value: Any, node: ast.expr) -> _Run:
        if _is_number(value):
            _bounded(value, f"`{_short(self.written(node))}`")
        elif value is not None and not isinstance(value, str):
            raise self.refusal(node)
        return lambda _v, _i: cast("Value", value)

    def name(self, name: str) -> _Run:
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
            return _bounded(value, name) if type(value) in _NUMBERS else value

        return run

    def input(self, name: str) -> _Run:
        if name not in INPUTS:
            _wrong(
                f"the input has no `{name}`",
                help=suggestion(name, INPUTS, what="attributes of `in`"),
            )
        self.inputs.add(name)

        def run(_: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            if inputs is None:
                _wrong(
                    f"`in.{name}` has no value here",
                    help="only the steps of a network have an input",
                )
            if name not in inputs:
                _wrong(
                    f"the input of this step has no {name}",
                    help=f"it has: {', '.join(f'in.{each}' for each in inputs)}",
                )
            return inputs[name]

        return run

    def unary(self, op: ast.unaryop, operand: _Run, node: ast.expr) -> _Run:
        if isinstance(op, ast.Not):
            return lambda v, i: not operand(v, i)
        if isinstance(op, ast.Invert):
            raise self.refusal(node)
        symbol = "-" if isinstance(op, ast.USub) else "+"
        apply: Callable[[Any], Any] = operator.neg if symbol == "-" else operator.pos

        def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            value = operand(variables, inputs)
            if not _is_number(value):
                _wrong(f"`{symbol}` cannot be applied to {_shown(value)}")
            return cast("Value", apply(value))

        return run

    def call(self, name: str, arguments: list[_Run]) -> _Run:
        if name not in _FUNCTIONS:
            _wrong(
                f"there is no function `{name}`",
                help=suggestion(name, _FUNCTIONS, what="functions"),
            )
        function, fewest, most = _FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            number = f"{fewest} to {most}" if fewest < most else f"{fewest}"
            _wrong(f"{name} takes {number} arguments, and here are {len(arguments)}")

        def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
            values = [argument(variables, inputs) for argument in arguments]
            try:
                result = function(*values)
            except OverflowError:  # a list from outside may hold any number
                _wrong(f"{name} is not a number within 2^63")
            return cast("Value", _bounded(result, name) if _is_number(result) else result)

        return run


def _logical(conjunction: bool, parts: list[_Run]) -> _Run:
    """`and`, `or`: the last value looked at, as in Python."""

    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        value: Value = None
        for part in parts:
            value = part(variables, inputs)
            if bool(value) is not conjunction:
                break
        return value

    return run


def _comparison(left: _Run, rest: list[tuple[Callable[[Value, Value], bool], _Run]]) -> _Run:
    """A chain such as `0 < x < 10`."""

    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        a = left(variables, inputs)
        for compare, right in rest:
            b = right(variables, inputs)
            if not compare(a, b):
                return False
            a = b
        return True

    return run


def _indexing(sequence: _Run, index: _Run) -> _Run:
    def run(variables: Mapping[str, Value], inputs: Mapping[str, int] | None) -> Value:
        items, position = sequence(variables, inputs), index(variables, inputs)
        if not isinstance(items, tuple):
            _wrong(f"{_shown(items)} is not a list: it cannot be indexed")
        if type(position) is not int:
            _wrong(f"a list is indexed by a whole number, not {_shown(position)}")
        if not -len(items) <= position < len(items):
            _wrong(f"there is no item {position}: the list has {len(items):,}, counted from 0")
        item = items[position]
        return _bounded(item, f"item {position}") if _is_number(item) else item

    return run

"""Values, operators and functions of expressions, each bounded.

Every operation refuses what would cost much time or memory, so that no expression can.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from archspec.element import whole
from archspec.errors import Problem

Value: TypeAlias = "int | float | bool | str | tuple[Value, ...] | dict[str, Value] | None"

MAX_NUMBER: Final = 2**63
MAX_ITEMS: Final = 1_000
MAX_TEXT: Final = 1_000
"""Characters of a text that an expression makes."""
MAX_DEPTH: Final = 100
"""Levels of lists within lists, and of an expression's tree."""


def has_arguments(value: Any, names: Collection[str] | None = None) -> bool:
    """Return whether a value is a name with arguments, or a list with one in it.

    `names` are those that may have arguments; None for any. `{n}` has none: its value is null.
    """
    if isinstance(value, (list, tuple)):
        return any(has_arguments(item, names) for item in value)
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((name, given),) = value.items()
    return given is not None if names is None else name in names


def wrong(message: str, *, help: str | None = None) -> NoReturn:  # noqa: A002
    raise Problem("expression", message, help=help)


def shown(value: Value) -> str:
    """Return a value in a message: short, in the language's own words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"a list of {len(value):,}"
    if isinstance(value, dict):
        return f"`{next(iter(value))}` with arguments"
    return shortened(f'"{value}"' if isinstance(value, str) else str(value))


def shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


NUMBERS = frozenset((int, float, bool))


def is_number(value: Value) -> bool:
    return type(value) in NUMBERS


def bounded(number: Any, what: str) -> Any:
    if not -MAX_NUMBER <= number <= MAX_NUMBER:  # so that NaN fails, too
        wrong(f"{what} is not a number within 2^63")
    return number


def bounded_list(items: tuple[Value, ...]) -> tuple[Value, ...]:
    """`items` if they are few enough, counting what lists inside them hold."""
    if count_items(items) > MAX_ITEMS:
        wrong(f"the list has more than {MAX_ITEMS:,} items")
    return items


def count_items(items: tuple[Value, ...]) -> int:
    """Return the number of items, with those of lists inside; past the largest, it may be less.

    Raises:
        Problem: If the lists are nested too deep.
    """
    count = depth = 0
    layer = [items]
    while layer and count <= MAX_ITEMS:
        count += sum(map(len, layer))
        depth += 1
        if depth > MAX_DEPTH:
            wrong(f"the lists are nested more than {MAX_DEPTH} levels deep")
        layer = [item for part in layer for item in part if isinstance(item, tuple)]
    return count


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, str) and isinstance(b, str):
        if len(a) + len(b) > MAX_TEXT:
            wrong(f"the text has more than {MAX_TEXT:,} characters")
        return a + b
    if not (isinstance(a, tuple) and isinstance(b, tuple)):
        joined = {type(a), type(b)} - NUMBERS == {str}
        mismatch("+", a, b, help="`str(...)` makes a text of a number" if joined else None)
    return bounded_list(a + b)


def _multiply(a: Any, b: Any) -> Any:
    items, times = (b, whole(a)) if isinstance(b, tuple) else (a, whole(b))
    if not (isinstance(items, tuple) and isinstance(times, int)):
        mismatch("*", a, b)
    if len(items) * times > MAX_ITEMS:
        wrong(f"the list has more than {MAX_ITEMS:,} items")
    return bounded_list(items * max(0, min(times, MAX_ITEMS)))


def mismatch(symbol: str, a: Value, b: Value, *, help: str | None = None) -> NoReturn:  # noqa: A002
    wrong(f"`{symbol}` cannot be applied to {shown(a)} and {shown(b)}", help=help)


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return a / b


def _power(a: Any, b: Any) -> Any:
    # Bounded before it is computed: 2**64 is past every bound.
    if abs(a) >= 2 and b >= 64:
        wrong(f"{shown(a)} ** {shown(b)} is beyond 2^63")
    result = a**b
    if isinstance(result, complex):
        wrong(f"{shown(a)} ** {shown(b)} is not a real number")
    return result


ARITHMETIC: Final[dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", _divide),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", _power),
}
ON_LISTS: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": _add, "*": _multiply}


def _contains(a: Value, b: Value) -> bool:
    if isinstance(b, tuple):
        return a in b
    if isinstance(a, str) and isinstance(b, str):
        return a in b
    mismatch("in", a, b)


def _ordered(symbol: str, compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def run(a: Value, b: Value) -> bool:
        if not (is_number(a) and is_number(b)) and type(a) is not type(b):
            mismatch(symbol, a, b)
        try:
            return compare(a, b)
        except TypeError:  # null has no order, nor have all lists
            mismatch(symbol, a, b)

    return run


COMPARE: Final[dict[type[ast.cmpop], Callable[[Value, Value], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _ordered("<", operator.lt),
    ast.LtE: _ordered("<=", operator.le),
    ast.Gt: _ordered(">", operator.gt),
    ast.GtE: _ordered(">=", operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda a, b: not _contains(a, b),
}


def divisible(value: Any, divisor: Any) -> int:
    """Return the multiple of `divisor` nearest to `value`, the next where that is under 90 % of it.

    MobileNet's `make_divisible` (Sandler et al. 2018); at least `divisor`.
    """
    if divisor < 1 or divisor != int(divisor):
        wrong(f"divisible needs a positive whole number to divide by, not {shown(divisor)}")
    divisor = int(divisor)
    rounded: int = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _items(value: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """Return the numbers of a list."""
    if not NUMBERS.issuperset(map(type, value)):
        other = next(item for item in value if not is_number(item))
        wrong(f"{name} needs numbers, not {shown(other)}")
    return value


def _extreme(name: str, choose: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], tuple):
            values = values[0]
        if not values:
            wrong(f"{name} of an empty list has no value")
        return choose(_items(values, name))

    return run


def _round(value: Any, digits: int | None = None) -> Any:
    digits = whole(digits)
    if digits is not None and not (isinstance(digits, int) and abs(digits) <= 20):
        wrong(f"round needs a number of digits between -20 and 20, not {shown(digits)}")
    (number,) = _items((value,), "round")
    return round(number, digits)


def _sum(values: Any) -> Any:
    if not isinstance(values, tuple):
        wrong(f"sum needs a list, not {shown(values)}")
    return sum(_items(values, "sum"))


def _len(value: Any) -> int:
    if not isinstance(value, tuple | str):
        wrong(f"len needs a list or a text, not {shown(value)}")
    return len(value)


def _range(*bounds: Any) -> tuple[int, ...]:
    bounds = whole(bounds)
    for bound in bounds:
        if not isinstance(bound, int):
            wrong(f"range needs whole numbers, not {shown(bound)}")
    if len(bounds) == 3 and bounds[2] == 0:
        wrong("range needs a step other than 0")
    numbers = range(*bounds)
    # len() fails on the longest ranges; a slice does not.
    if numbers[MAX_ITEMS:]:
        wrong(f"range has more than {MAX_ITEMS:,} items")
    return tuple(numbers)


def _str(value: Value) -> str:
    if isinstance(value, tuple):
        wrong(f"str needs a number, not {shown(value)}")
    if isinstance(value, float):
        return str(whole(value))
    return value if isinstance(value, str) else shown(value)


def _of_numbers(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: apply(*_items(values, name))


class Function(NamedTuple):
    """A function that an expression may call with `fewest` to `most` arguments."""

    apply: Callable[..., Any]
    fewest: int
    most: int
    usage: str
    about: str


_ANY = 1_000
"""No expression has room for more arguments."""

FUNCTIONS: Final = {
    "min": Function(_extreme("min", min), 1, _ANY, "min(a, b, ...)", "The smallest; or of a list."),
    "max": Function(_extreme("max", max), 1, _ANY, "max(a, b, ...)", "The largest; or of a list."),
    "round": Function(_round, 1, 2, "round(a, digits)", "The nearest number, half to even."),
    "ceil": Function(
        _of_numbers("ceil", math.ceil), 1, 1, "ceil(a)", "The nearest whole number from above."
    ),
    "floor": Function(
        _of_numbers("floor", math.floor), 1, 1, "floor(a)", "The nearest whole number from below."
    ),
    "sum": Function(_sum, 1, 1, "sum(list)", "All numbers of a list, added."),
    "len": Function(_len, 1, 1, "len(list)", "How many items a list has, or characters a text."),
    "divisible": Function(
        _of_numbers("divisible", divisible),
        2,
        2,
        "divisible(a, n)",
        "The multiple of n nearest to a, never under 90 % of it (MobileNet's rule for channels).",
    ),
    "abs": Function(_of_numbers("abs", abs), 1, 1, "abs(a)", "The number without its sign."),
    "int": Function(_of_numbers("int", int), 1, 1, "int(a)", "The number without its fraction."),
    "str": Function(_str, 1, 1, "str(a)", 'A number as text, as in `"stage" + str(n)`.'),
    "range": Function(
        _range, 1, 3, "range(start, stop, step)", "Whole numbers up to, but not, stop; from 0 by 1."
    ),
}
"""Every function there is."""

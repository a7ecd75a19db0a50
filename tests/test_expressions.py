"""Expressions: what they compute, what they refuse, and what they can never do."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archspec.errors import Problem
from archspec.spec.expressions import Expression, Meter, is_expression

VARIABLES = {"filters": 64, "depth": (2, 2, 3), "half": 0.5, "wide": True, "mode": "basic"}
STEPS = {
    "in": {"channels": 3, "height": 224, "width": 112, "rank": 2},
    "stem": {"channels": 64, "height": 56, "width": 28, "rank": 2},
    "basic": {"channels": 8, "rank": 0},
}


def shapes(name: str) -> dict[str, int]:
    if name not in STEPS:
        raise Problem("unknown-name", f"no step before this one is called `{name}`")
    return STEPS[name]


def value(text: str) -> object:
    return Expression.parse(text).evaluate(VARIABLES, shapes)


def problem(text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        value(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1", 1),
        ("=1.5e1", 15.0),
        ("='a'", "a"),
        ('="in.channels"', "in.channels"),
        (r"='it\'s in.width'", "it's in.width"),
        ("=true", True),
        ("=False", False),
        ("=null", None),
        ("=filters * 4", 256),
        ("= filters\n  + 1\n", 65),
        ("=7 / 2", 3.5),
        ("=6 / 2", 3),
        ("=2**62 / 2", 2**61),
        ("=6 / 2.0", 3.0),
        ("=7 // 2", 3),
        ("=-7 % 4", 1),
        ("=2 ** 10", 1024),
        ("=2 ** -1", 0.5),
        ("=2 ** 63", 2**63),
        ("=-filters", -64),
        ("=+half", 0.5),
        ("=not wide", False),
        ("=filters > 32 and mode", "basic"),
        ("=null or 3", 3),
        ("=0 and 1 / 0", 0),
        ("=1 < 2 < 3", True),
        ("=1 < 2 < 2", False),
        ("=3 in depth", True),
        ("=3 not in depth", False),
        ("='bas' in mode", True),
        ("=mode == 'basic'", True),
        ("=mode == 3", False),
        ("=depth != [2, 2, 3]", False),
        ("=[1, 2] < [1, 3]", True),
        ("='a' < 'b'", True),
        ("=1 if wide else 1 / 0", 1),
        ("=[1, [half]]", (1, (0.5,))),
        ("=(1, 2)", (1, 2)),
        ("=depth[0]", 2),
        ("=depth[-1]", 3),
        ("=depth + [4]", (2, 2, 3, 4)),
        ("=[0] * 3", (0, 0, 0)),
        ("=2 * [1, 2]", (1, 2, 1, 2)),
        ("=[0] * -1", ()),
        ("=[] * 2**62", ()),
        ("=min(3, 1, 2)", 1),
        ("=max(depth)", 3),
        ("=round(2.567, 1)", 2.6),
        ("=round(7.6)", 8),
        ("=ceil(1.2) + floor(1.8)", 3),
        ("=sum(depth)", 7),
        ("=len(depth) + len('ab')", 5),
        ("=abs(-3)", 3),
        ("=int(-1.5)", -1),
        ("=range(4)", (0, 1, 2, 3)),
        ("=range(1, 10, 4)", (1, 5, 9)),
        ("=range(5, 0)", ()),
        ("=in.channels * 2", 6),
        ("=3 in [in.channels]", True),
        ("=in.height // in.width", 2),
        ("=in.rank", 2),
        ("=stem.channels + in.channels", 67),
        ("=mode.channels", 8),  # a variable that holds the name of a step
        ("=('st' + 'em').width", 28),
        ("=[name.channels for name in ['stem', mode]]", (64, 8)),
        ("='down' + str(filters // 8)", "down8"),
        ("=str(16 * 0.5) + str(half) + str(wide) + str(null) + str('a')", "80.5truenulla"),
        ("=depth[1:]", (2, 3)),
        ("=depth[::-1]", (3, 2, 2)),
        ("=depth[-2:9]", (2, 3)),
        ("=[n * filters for n in depth]", (128, 128, 192)),
        ("=[filters for filters in depth] + [filters]", (2, 2, 3, 64)),
        ("=['p' + str(i) for i in range(5, 2, -1)]", ("p5", "p4", "p3")),
        ("=[[i, j] for i in range(3) for j in range(i) if i + j > 1]", ((2, 0), (2, 1))),
        ("=[[j for j in range(i)] for i in range(3)]", ((), (0,), (0, 1))),
        ("=sum(n for n in depth if n > 2)", 3),
        ("=[in.channels for i in [in.rank] if in.width == 112]", (3,)),
    ],
)
def test_values(text, expected):
    found = value(text)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("number", "divisor", "rounded"),
    [
        (96 * 1.4, 8, 136),
        (12, 8, 16),
        (32 * 0.35, 8, 16),  # 8 would lose more than 10 %
        (24 * 0.75, 8, 24),
        (19, 16, 32),
        (3, 8, 8),
        (0, 8, 8),
    ],
)
def test_divisible_rounds_as_mobilenet_does(number, divisor, rounded):
    assert Expression.parse("=divisible(n, d)").evaluate({"n": number, "d": divisor}) == rounded
    assert rounded % divisor == 0
    assert rounded >= 0.9 * number


# The text, a part of the message, a part of the help.
REFUSED = [
    ("=", "empty", "an expression computes"),
    ("=2 *", "cannot be read", "+ - * /"),
    ("=2 $ 3", "at `$ 3`", ""),
    ("=(1", "a `(` is not closed", ""),
    ("=a && b", "at `& b`", "`and` for `&&`"),
    ("=in", "cannot be read", "in.channels"),
    ("=x = 3", "cannot be read", ""),
    ("=1" + " + 1" * 300, "longer than 1,000", ""),
    ("=1" + " + 1" * 200, "nested more than 100", ""),
    ("=" + "(" * 900, "cannot be read", ""),
    ("=" + "-" * 900 + "1", "the expression", ""),
    ("=1 +\0", "cannot be read", ""),
    ("=depth.append(1)", "`depth.append(1)`: a function is called by its name", ""),
    ("=mode.upper", "the output of a step has no `upper`", "attributes of `in` and of steps"),
    ("=in.channels.real", "the output of a step has no `real`", ""),
    ("=in.channels.rank", "`in.channels` is 3, not the name of a step", ""),
    ("=filters.channels", "`filters` is 64, not the name of a step", ""),
    ("=mode.height", "`basic` has no height", "it has: mode.channels, mode.rank"),
    ("=in.chanels", "no `chanels`", "did you mean `channels`?"),
    ("=in.length", "this step has no length", "in.channels, in.height"),
    ("=__import__('os')", "no function `__import__`", "functions: abs"),
    ("=flor(2)", "no function `flor`", "did you mean `floor`?"),
    ("=max(depth, key=len)", "plain arguments", ""),
    ("=max(*depth)", "no `*` before a value", ""),
    ("=lambda: 1", "no functions", ""),
    ("={x for x in depth}", "a list is written `[x for x in list]`", ""),
    ("={x: 1 for x in depth}", "a list is written `[x for x in list]`", ""),
    ("=[x for x in filters]", "`for x` needs a list, not 64", ""),
    ("=[x for x, y in depth]", "`x, y`: `for` takes one name", ""),
    ("=[x async for x in depth]", "", ""),
    ("=[i for i in range(999) for j in range(2)]", "more than 1,000 items", ""),
    ("=[range(900) for i in range(2)]", "more than 1,000 items", ""),
    ("=f'{filters}'", 'no f-strings: `"a" + str(n)`', ""),
    ("=(x := 3)", "assigns nothing", ""),
    ("=depth[0:1.5]", "a slice has whole numbers, not 1.5", ""),
    ("=depth[::0]", "the step of a slice cannot be 0", ""),
    ("=mode[1:]", '"basic" is not a list', ""),
    ("=str(depth)", "str needs a number, not a list of 3", ""),
    ("={1: 2}", "not part of the language", ""),
    ("=1 is 1", "not part of the language", ""),
    ("=~1", "not part of the language", ""),
    ("=2 ^ 3", "not part of the language", "**"),
    ("=1j", "not part of the language", ""),
    ("=b'x'", "not part of the language", ""),
    ("=...", "not part of the language", ""),
    ("=1e999", "2^63", ""),
    ("=9223372036854775809", "2^63", ""),
    ("=2 ** 63 + 1", "2^63", ""),
    ("=9**9**9", "2^63", ""),
    ("=9.0**9**9", "2^63", ""),
    ("=0.1 ** -400", "2^63", ""),
    ("=(-8) ** 0.5", "not a real number", ""),
    ("=1 / 0", "1 / 0 divides by zero", ""),
    ("=1.0 // 0", "divides by zero", ""),
    ("=1 % 0", "divides by zero", ""),
    ("=0 ** -1", "divides by zero", ""),
    ("=depth[3]", "no item 3: the list has 3", ""),
    ("=depth[-4]", "no item -4", ""),
    ("=depth[0.5]", "whole number, not 0.5", ""),
    ("=mode[0]", '"basic" is not a list', ""),
    ("=[1] - 2", "`-` cannot be applied to a list of 1 and 2", ""),
    ("='a' + 1", '`+` cannot be applied to "a" and 1', "`str(...)` makes a text of a number"),
    ("='%d' % 3", "cannot be applied", ""),
    ("='a' * 3", "cannot be applied", ""),
    ("=-mode", "cannot be applied", ""),
    ("=1 < 'a'", "cannot be applied", ""),
    ("=null < null", "`<` cannot be applied to null and null", ""),
    ("=[1] < ['a']", "cannot be applied", ""),
    ("=1 in 2", "`in` cannot be applied", ""),
    ("=[0] * 1001", "more than 1,000 items", ""),
    ("=[[0] * 100] * 11", "more than 1,000 items", ""),
    ("=[0] * 900 + [0] * 900", "more than 1,000 items", ""),
    ("=range(1001)", "more than 1,000 items", ""),
    ("=range(2**63)", "more than 1,000 items", ""),
    ("=range(0, 9, 0)", "a step other than 0", ""),
    ("=range(1.5)", "whole numbers, not 1.5", ""),
    ("=min()", "min takes 1 to", ""),
    ("=divisible(3)", "takes 2 arguments, and here are 1", ""),
    ("=divisible(3, 0)", "a positive whole number", ""),
    ("=divisible(3, 1.5)", "a positive whole number", ""),
    ("=min([])", "empty list", ""),
    ("=max(1, 'a')", 'max needs numbers, not "a"', ""),
    ("=sum(3)", "sum needs a list, not 3", ""),
    ("=sum(['a'])", 'sum needs numbers, not "a"', ""),
    ("=len(3)", "len needs a list or a text", ""),
    ("=int('3')", 'int needs numbers, not "3"', ""),
    ("=round(5, -1000000000)", "between -20 and 20", ""),
    ("=sum([2**63, 2**63])", "2^63", ""),
]


@pytest.mark.parametrize(("text", "message", "hint"), REFUSED)
def test_what_is_refused_and_how_it_is_said(text, message, hint):
    found = problem(text)
    assert found.code == "expression"
    assert message in found.message
    assert hint in (found.help or "")
    assert len(found.message) < 200


def test_an_unknown_name_is_answered_with_the_nearest():
    found = problem("=fliters * 2")
    assert (found.code, found.message) == ("unknown-name", "there is no variable `fliters`")
    assert found.help == "did you mean `filters`?"


def test_the_input_has_no_value_outside_a_network():
    with pytest.raises(Problem, match=r"`in\.channels` has no value here"):
        Expression.parse("=in.channels").evaluate({})


@pytest.mark.parametrize(
    ("text", "times", "message"),
    [("=[a, a, a, a, a]", 10, "more than 1,000 items"), ("=[a]", 200, "more than 100 levels")],
)
def test_lists_are_bounded_through_variables(text, times, message):
    def nested() -> None:
        a = 0
        for _ in range(times):
            a = Expression.parse(text).evaluate({"a": a})

    with pytest.raises(Problem, match=message):
        nested()


@pytest.mark.parametrize("number", [2**64, -(10**5000), math.inf, math.nan], ids=lambda _: "")
@pytest.mark.parametrize("text", ["=x", "=x + 1", "=ceil(x)", "=xs[0] * 1.5", "=sum(xs) + 0.5"])
def test_numbers_from_outside_are_bounded_as_well(text, number):
    with pytest.raises(Problem, match=r"2\^63"):
        Expression.parse(text).evaluate({"x": number, "xs": (number, 1.5)})


def test_an_expression_knows_what_it_refers_to():
    found = Expression.parse("=max(a, in.width) * [b][0] if true else 'c' + in.channels")
    assert found.names == {"a", "b"}
    assert found.steps == {"in"}
    found = Expression.parse("=[a + b[i] + up.channels for i in c for b in i]")
    assert found.names == {"a", "c"}
    assert found.steps == {"up"}


@pytest.mark.parametrize(
    "text",
    [
        "=[i for i in range(1000) for j in range(1000) if false]",
        "=len([sum([1 for j in range(900)]) for i in range(900)])",
        "=[1 for a in b for c in b for d in b for e in b if a > e > 5]",
        "=[" + "[1 for i in b if " * 50 + "false" + "]" * 50 + " for i in b]",
    ],
)
def test_the_work_of_loops_is_bounded(text):
    with pytest.raises(Problem, match="more than 100,000 rounds") as caught:
        Expression.parse(text).evaluate({"b": (0,) * 1_000})
    assert caught.value.code == "limit"


def test_a_meter_bounds_many_expressions_together():
    meter = Meter()
    expression = Expression.parse("=[i for i in range(1000)]")

    def evaluate_often() -> None:
        for _ in range(1_000):
            expression.evaluate({}, meter=meter)

    with pytest.raises(Problem, match="rounds"):
        evaluate_often()


def test_texts_are_bounded():
    long = "a" * 600
    with pytest.raises(Problem, match="the text has more than 1,000 characters"):
        Expression.parse("=a + a").evaluate({"a": long})


def test_expressions_are_values():
    assert {Expression.parse("=a"), Expression.parse("=a")} == {Expression.parse("=a")}
    assert Expression.parse("=a") != Expression.parse("=b")


@pytest.mark.parametrize(("text", "yes"), [("=a", True), ("=", True), ("a=", False), (3, False)])
def test_an_expression_starts_with_an_equals_sign(text, yes):
    assert is_expression(text) is yes


def value_or_problem(text: str) -> None:
    try:
        found = value(text)
    except Problem as problem:
        assert problem.code in ("expression", "unknown-name", "limit")  # noqa: PT017
    else:
        assert isinstance(found, int | float | str | tuple | None)


@given(st.text(max_size=50))
@example("='\\d'")
@example("=1if wide else 0")
@example("='\ud800'")
def test_any_text_gives_a_value_or_a_problem(text):
    value_or_problem("=" + text)


TOKENS = [
    *"+-*/%()[],<>.~^{}:'",
    "//",
    "**",
    "==",
    "in.",
    "in ",
    "not ",
    " and ",
    " if ",
    " else ",
    " for ",
]
WORDS = ["filters", "depth", "half", "mode", "true", "null", "channels", "9", "0", "1e9", "'a'"]
CALLS = ["min(", "max(", "round(", "sum(", "len(", "range(", "divisible(", "int(", "abs(", "str("]


@given(st.lists(st.sampled_from(TOKENS + WORDS + CALLS), max_size=30))
def test_any_tokens_give_a_value_or_a_problem(tokens):
    value_or_problem("=" + "".join(tokens))


# Each part is the text of an expression and the value that Python gives it, computed beside it.
# One difference is meant: a division of whole numbers that is exact gives a whole number.
ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
}
LEAVES = (
    st.integers(0, 30).map(lambda number: (str(number), number))
    | st.sampled_from([0.5, 1.5, 8.25]).map(lambda number: (str(number), number))
    | st.sampled_from([("filters", 64), ("half", 0.5), ("depth[-1]", 3), ("wide", True)])
)


def combine(parts):
    symbol, (left, a), (right, b) = parts
    try:
        return f"({left} {symbol} {right})", ARITHMETIC[symbol](a, b)
    except (ZeroDivisionError, OverflowError):
        return left, a


@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.tuples(st.sampled_from(list(ARITHMETIC)), inner, inner).map(combine)
            | inner.map(lambda part: (f"-{part[0]}", -part[1]))
            | inner.map(lambda part: (f"(not {part[0]})", not part[1]))
            | st.tuples(inner, inner, inner).map(
                lambda parts: (
                    f"({parts[0][0]} if {parts[1][0]} else {parts[2][0]})",
                    parts[0][1] if parts[1][1] else parts[2][1],
                )
            )
        ),
        max_leaves=12,
    )
)
def test_arithmetic_is_pythons(part):
    text, expected = part
    try:
        found = value("=" + text)
    except Problem as problem:
        assert "2^63" in problem.message  # noqa: PT017
    else:
        assert found == expected

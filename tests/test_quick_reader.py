"""The reader without places: it reads what is right, and leaves to the other what may be wrong."""

import pytest

from archspec.spec.bundled import bundled
from archspec.spec.located import MAX_NESTING, MAX_VALUES
from archspec.spec.quick import data_of
from archspec.spec.reader import Reader
from archspec.spec.source import parse


def quick(text):
    reader = Reader("<spec>")
    return data_of(reader.text(text), reader.lines)


@pytest.mark.parametrize("path", bundled().values(), ids=str)
def test_specs_that_come_with_archspec_are_read_quickly(path):
    text = path.read_text(encoding="utf-8")
    reader = Reader("<spec>")
    assert repr(quick(text)) == repr(reader.read(reader.text(text)).root.value)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: [1, 1.0, true, no, 1e-3, ~, '1']", {"a": [1, 1.0, True, "no", 1e-3, None, "1"]}),
        ("a: =n + 1  # more\nb: {c: =n}", {"a": "=n + 1", "b": {"c": "=n"}}),
        ("a: =[1, 2] #3", {"a": "=[1, 2]"}),
        ('a: "=f(1, 2)"\nb: {c: "(3, 3)"}', {"a": "=f(1, 2)", "b": {"c": "(3, 3)"}}),
        ("a: &x {b: 1}\nc: [*x, *x]", {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}),
        ("? a\n: |\n  text\n", {"a": "text\n"}),
        ("{}", {}),
    ],
)
def test_what_is_right_is_read(text, data):
    assert repr(quick(text)) == repr(data)


DEEP = "a: " + "[" * MAX_NESTING + "1" + "]" * MAX_NESTING


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("- 1", id="list"),
        pytest.param("a: 1\n---\nb: 2", id="two documents"),
        pytest.param("~\n---\nb: 2", id="two documents, nothing in the first"),
        pytest.param("a: 1\na: 1", id="key twice"),
        pytest.param("1: a", id="key is a number"),
        pytest.param("[a]: 1", id="key is a list"),
        pytest.param("a: !!str 1", id="tag"),
        pytest.param("a: ! b", id="tag without a name"),
        pytest.param("a: !!map {}", id="tag of a mapping"),
        pytest.param("a: &x {b: 1}\nc: {<<: *x}", id="merge key"),
        pytest.param("a: *x", id="no such anchor"),
        pytest.param("a: &x [*x]", id="anchor inside itself"),
        pytest.param("a: &x 1\nb: &x [*x]", id="anchor inside itself, used before"),
        pytest.param("a: &x {b: 1}\nc: &x {d: *x}", id="anchor inside its mapping, used before"),
        pytest.param("a: (3, 3)", id="list as Python writes it"),
        pytest.param("a: {b: =f(1, 2)}", id="expression cut at a comma"),
        pytest.param("a: ='b #c'", id="expression cut at a comment"),
        pytest.param("a: =b: 1", id="expression with a colon"),
        pytest.param('a: "\\ud800"', id="half of a character"),
        pytest.param("a: .inf", id="number that is none"),
        pytest.param("a: 1e999", id="number that is too large"),
        pytest.param("a: [1", id="open bracket"),
        pytest.param(DEEP, id="too deep"),
        pytest.param("a: &x [[1]]\nb: " + "[" * 62 + "*x" + "]" * 62, id="too deep by an alias"),
        pytest.param(f"a: [{'1, ' * MAX_VALUES}]", id="too many values"),
        pytest.param(
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n"
                for below, name in zip("abcd", "bcde", strict=True)
            ),
            id="too many values by aliases",
        ),
    ],
)
def test_what_may_be_wrong_is_left_to_the_reader_that_knows_places(text):
    assert quick(text) is None


def test_a_place_is_read_when_it_is_asked_for():
    source = parse("a: 1\r\nb:\n  - {c: =x}\n")
    span = source.span(("b", 0, "c"))
    assert (span.line, span.column, span.end_column) == (3, 9, 11)

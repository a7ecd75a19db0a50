"""Printed SpecErrors: place, line, caret and help; bounded and safe to print."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.errors import Diagnostic, Span, SpecError
from archspec.render.errors import render


def one(line: str, start: int, end: int, **options: int) -> list[str]:
    """The source line and the caret line of one problem on `line`."""
    error = SpecError((Diagnostic("value", "wrong", Span(1, start, 1, end)),), (line,))
    _, shown, marks, count = render(error, **options).split("\n")
    assert count == "1 error"
    return [shown, marks]


def test_a_problem_is_its_place_its_line_and_its_mend():
    diagnostic = Diagnostic(
        "unknown-key",
        "`conv` has no `kernal`",
        Span(2, 8, 2, 14),
        ("the kind was read from line 1",),
        "did you mean `kernel`?",
        "nets/tiny.yaml",
    )
    lines = ("layers:", "- conv: {kernal: 3}")
    assert render(SpecError((diagnostic,), lines)) == (
        "nets/tiny.yaml:2:8: error[unknown-key] `conv` has no `kernal`\n"
        "    2 | - conv: {kernal: 3}\n"
        "      |        ^~~~~~\n"
        "note: the kind was read from line 1\n"
        "help: did you mean `kernel`?\n"
        "1 error"
    )


def test_a_problem_without_a_place_has_no_line():
    error = SpecError((Diagnostic("missing", "the spec is empty", help="write one\nas here"),))
    assert render(error) == (
        "<spec>: error[missing] the spec is empty\nhelp: write one\n      as here\n1 error"
    )


def test_a_place_outside_the_text_has_no_line():
    error = SpecError((Diagnostic("value", "wrong", Span(9, 1, 9, 2)),), ("a: 1",))
    assert render(error) == "<spec>:9:1: error[value] wrong\n1 error"


@pytest.mark.parametrize(
    ("line", "start", "end", "shown", "marks"),
    [
        ("a: 1", 4, 5, "a: 1", "   ^"),
        ("a: 12", 4, 6, "a: 12", "   ^~"),
        ("a:", 3, 3, "a:", "  ^"),
        ("a: 1   ", 8, 9, "a: 1", "    ^"),
        ("\ta: 1", 2, 3, "    a: 1", "    ^"),
        ("\ta: 1", 1, 2, "    a: 1", "^~~~"),
        ("名: 網絡", 4, 6, "名: 網絡", "    ^~~~"),
        ("e\u0301: 1", 5, 6, "e\u0301: 1", "   ^"),
        ("a: \x1b[2J", 4, 8, r"a: \x1b[2J", "   ^~~~~~~"),
        ("a: \u202eb", 5, 6, r"a: \u202eb", "         ^"),
        ("a: \x00b", 5, 6, r"a: \x00b", "       ^"),
    ],
)
def test_the_caret_stands_under_what_is_shown(line, start, end, shown, marks):
    assert one(line, start, end) == [f"    1 | {shown}", f"      | {marks}"]


def test_a_span_of_several_lines_is_marked_on_its_first():
    error = SpecError((Diagnostic("value", "wrong", Span(1, 4, 3, 2)),), ("a: [1, ", "2", "]"))
    assert "      |    ^~~\n" in render(error)


@pytest.mark.parametrize(
    ("line", "start", "end", "shown", "marks"),
    [
        ("x" * 60, 1, 61, "x" * 26 + "...", "^" + "~" * 25),
        ("x" * 40 + "name" + "y" * 40, 41, 45, f"...{'x' * 8}name{'y' * 14}...", " " * 11 + "^~~~"),
        ("x" * 40 + "name", 41, 45, f"...{'x' * 22}name", " " * 25 + "^~~~"),
        ("x" * 31 + "n", 32, 33, "x" * 31 + "n", " " * 31 + "^"),
    ],
)
def test_a_long_line_is_cut_around_the_place(line, start, end, shown, marks):
    assert one(line, start, end, width=8 + 32) == [f"    1 | {shown}", f"      | {marks}"]


def test_at_most_twenty_problems_are_shown():
    wrong = tuple(Diagnostic("value", f"wrong {i}", Span(1, 1, 1, 2)) for i in range(1_023))
    shown = render(SpecError(wrong, ("a: 1",))).split("\n")
    assert len([line for line in shown if "error[value]" in line]) == 20
    assert shown[-2:] == ["... and 1,003 more", "1,023 errors"]


def test_colour_is_added_and_nothing_else():
    error = SpecError((Diagnostic("value", "wrong", Span(1, 1, 1, 3), help="mend"),), ("ab",))
    colored = render(error, color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == render(error)
    assert "\x1b" not in render(error)


def test_what_the_user_wrote_cannot_steer_the_terminal():
    wrong = Diagnostic("value", "\x1b[2J\r\x9b", None, ("\x07",), "\x1b]0;x", "a\x1b.yaml")
    assert render(SpecError((wrong,))) == (
        "a\\x1b.yaml: error[value] \\x1b[2J\\r\\x9b\nnote: \\x07\nhelp: \\x1b]0;x\n1 error"
    )


@given(
    st.text("\u0301\t名a\0\u202e", max_size=300),
    st.integers(1, 320),
    st.integers(0, 320),
    st.integers(0, 120),
)
def test_no_line_is_wider_than_asked(line, start, length, width):
    shown, marks = one(line, start, start + length, width=width)
    for text in (shown, marks):
        columns = len(text) - text.count("\u0301") + text.count("名")
        assert columns <= max(width, 28)
    assert marks[8:].strip(" ").startswith("^")


def test_a_line_of_a_megabyte_is_shown_in_bounded_space():
    for filler in ("x", "\0", "\u0301", "名"):
        (shown, marks) = one(filler * 2**20, 2**19, 2**20)
        assert len(shown) + len(marks) < 1_000
    error = SpecError((Diagnostic("value", "x" * 10**6, help="y" * 10**6),))
    assert len(render(error)) < 5_000

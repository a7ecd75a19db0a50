"""Mistakes of shape: all that are independent of each other are found, and no consequences."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.random_specs import KINDS, MERGES, specs
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.errors import Diagnostic, SpecError

HEADER = "name: net\ninput: [8, 8, 3]\nlayers:\n"


def problems(text: str) -> tuple[Diagnostic, ...]:
    try:
        expand(spec_of(text))
    except SpecError as error:
        return error.diagnostics
    return ()


# Steps, and the lines on which a mistake is to be found.
INDEPENDENT = {
    "after a window that does not fit": (
        "- conv: {filters: 8, kernel: 9}\n- group_norm: 3\n- flatten\n- conv: 3", [4, 5, 7]
    ),
    "a vector is needed": ("- conv: {filters: 8, kernel: 9}\n- fc: 10\n- max_pool: 2", [4, 5, 6]),
    "in branches and after them": (
        "- branches: [[conv: {filters: 8, kernel: 9}], [crop: 4]]\n  merge: concat\n- fc: 10",
        [4, 4, 6],
    ),
    "after a sum that does not fit": ("- {add: [input, p]}\n", [4]),
    "channels of a sum": (
        "- {conv: {filters: 8, kernel: 9}, name: a}\n- {conv: {filters: 4, kernel: 1}}\n- add: a",
        [4, 6],
    ),
    "through a block": ("- conv: {filters: 8, kernel: 9}\n- residual: 8\n- fc: 2", [4, 6]),
    "after a reshape": ("- reshape: [4, 4, 4]\n- group_norm: 3\n- reshape: [8, 8]", [4, 5]),
    "what an expression asks": (
        "- conv: {filters: 6, kernel: 9}\n- {group_norm: =in.channels - 2, when: =in.rank == 2}",
        [4, 5],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "lines"), INDEPENDENT.values(), ids=INDEPENDENT)
def test_mistakes_that_do_not_depend_on_each_other_are_all_found(steps, lines):
    assert [found.span.line for found in problems(HEADER + steps)] == lines


# Steps of which only the first is wrong: with one change to it, all the others fit.
CONSEQUENCES = {
    "a smaller window": "- max_pool: 9\n- conv: {filters: 4, kernel: 8}",
    "a larger input": "- max_pool: 9\n- max_pool: 2\n- max_pool: 2",
    "a sum with another way": "- {conv: {filters: 3, kernel: 9}}\n- add: input",
    "an extent": "- conv: {filters: 8, kernel: 9}\n- reshape: [4, 4, 8]\n- crop: 1",
    "a group": "- conv: {filters: 4, kernel: 3, groups: 3}\n- conv: {filters: 9, groups: 3}",
    "channels of a sum": (
        "- {branches: [[conv: 4], [conv: 5]], merge: add}\n- conv: {filters: 5, groups: 5}"
    ),
    "a shortcut": "- residual: {filters: 4, shortcut: identity}\n- conv: {filters: 3, groups: 3}",
    "what an expression asks": (
        "- conv: {filters: 8, kernel: 9}\n- {conv: 4, repeat: =in.height - 9}\n- crop: =in.width"
    ),
    "channels that are appended": "- {pad_channels: 2}\n- {conv: {filters: 4, groups: 4}}",
}


@pytest.mark.parametrize("steps", CONSEQUENCES.values(), ids=CONSEQUENCES)
def test_a_consequence_is_no_mistake(steps):
    assert [found.span.line for found in problems(HEADER + steps)] == [4]


BREAKING: list[dict[str, Any]] = [
    {"kernel": 99, "padding": "valid"},
    {"size": 99, "padding": "valid"},
    {"groups": 97},
    {"kernel": [1, 1, 1, 1]},
    {"amount": 99},
    {"cardinality": 97, "style": "bottleneck"},
    {"shortcut": "identity"},
    {"to": 1},
    {"to": [1, 1, 1, 1, 7]},
]


@given(specs(), st.data())
def test_one_change_to_a_valid_spec_gives_one_mistake(spec, data):
    steps = [
        (step, kind, change)
        for step in spec["layers"]
        for kind, given_ in step.items()
        if isinstance(given_, dict)
        for change in BREAKING
        if change.keys() & given_.keys()
    ]
    assume(steps)
    step, kind, change = data.draw(st.sampled_from(steps))
    fields = {**KINDS, **MERGES}[kind].model_fields if kind in {**KINDS, **MERGES} else change
    step[kind] = step[kind] | {name: v for name, v in change.items() if name in fields}
    found = problems(json.dumps(spec, indent=1))
    assert len(found) <= 1, [each.message for each in found]


def test_numbers_that_are_assumed_are_not_shown():
    (_, second) = problems(f"{HEADER}- conv: {{filters: 8, kernel: 9}}\n- fc: 10")
    assert second.message == "a fully connected layer needs a vector, not ?x?x8"
    assert second.notes == ("at fc1/fully_connected",)


def test_shares_of_a_step_that_fail_alike_are_one_mistake_and_others_are_more():
    start = "name: a, fc: 1}, {name: b, pad_channels: {to: 2}}, {name: e, pad_channels: {to: 3}}"
    text = f"{{name: net, input: [1, 4], layers: [{{{start}, SHARES, {{add: [c, d]}}]}}"
    alike = "{share: a, from: b, name: c}, {share: a, from: b, name: d}"
    (found,) = problems(text.replace("SHARES", alike))
    assert "would be 2x1 for 1x2" in found.message
    others = alike.replace("from: b, name: d", "from: e, name: d")
    assert len(problems(text.replace("SHARES", others))) == 2

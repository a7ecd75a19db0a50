"""What the steps of a scope became, kept for the networks to come of the same text."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from support.random_specs import specs
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.compile.plan import MOST_PLANS, PLANS
from archspec.errors import SpecError
from archspec.graph.builder import Builder
from archspec.graph.graph import Graph
from archspec.spec.document import choose, validate
from archspec.spec.loading import find, load
from archspec.spec.source import parse


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Forget the texts of other tests."""
    PLANS.clear()


def alone(text: str, **values: Any) -> Graph:
    """Return the network of a text as if it was never read before."""
    PLANS.clear()
    return expand(spec_of(text, **values))


def everything(graph: Graph) -> tuple[Any, ...]:
    return graph, graph.nodes, graph.scopes, graph.steps


def networks_of(text: str, *values: dict[str, Any]) -> Iterator[tuple[Graph, Graph]]:
    """Networks of one text, each beside the same one of a text that was never read before."""
    source = parse(text)
    validated = validate(source)
    for each in values:
        yield expand(choose(validated, source, None, each)), alone(text, **each)


def agree(text: str, *values: dict[str, Any]) -> bool:
    """Whether networks that follow one another are what they are alone."""
    return all(everything(a) == everything(b) for a, b in networks_of(text, *values))


@pytest.mark.parametrize(
    "name",
    ["resnet50", "googlenet", "densenet121", "unet", "efficientnet_b0", "fractalnet", "swin_t"],
)
def test_a_bundled_network_is_the_same_each_time(name):
    source, validated, variant = find(name)
    alone = everything(expand(load(name)))
    for _ in range(2):
        assert everything(expand(choose(validated, source, variant, {}))) == alone


@settings(max_examples=20)
@given(specs())
def test_a_random_network_is_the_same_each_time(spec):
    assert agree(yaml.safe_dump(spec, sort_keys=False), {}, {}, {})


STAGES = """
name: net
input: [16, 16, 3]
defaults: {conv: {padding: same}}
vars: {width: 4, n: 2, first: 4, flag: true}
layers:
  - conv: {filters: =first, kernel: 1}
    name: stem
  - for: {filters: "=[width, 2 * width]", times: "=[2, n]"}
    name: stage
    let: {inner: =filters + 1}
    layers:
      - repeat: =times
        name: unit
        layers:
          - conv: {filters: =inner, kernel: 3, stride: =2 if index == 0 else 1}
          - conv: {filters: =filters}
      - branches:
          left: [{conv: 4, name: deep}]
          right: [{conv: 4, when: =flag}]
        merge: concat
        name: both
"""


def test_only_what_changed_is_added_step_by_step(monkeypatch):
    """The stem stands in no scope; of a deeper second stage, the branches and units are new."""
    numbers = []
    place = Builder.place

    def counted(self: Builder, *arguments: Any) -> Any:
        numbers[-1] += 1
        return place(self, *arguments)

    monkeypatch.setattr(Builder, "place", counted)
    source = parse(STAGES)
    validated = validate(source)
    for values in ({}, {}, {"n": 3}, {"n": 3}):
        numbers.append(0)
        expand(choose(validated, source, None, values))
    first, again, deeper, at_last = numbers
    assert again == at_last == 1
    assert again < deeper < first


def test_a_text_that_is_read_again_has_its_plan():
    first, again = expand(spec_of(STAGES)), expand(spec_of(STAGES))
    assert len(PLANS) == 1
    assert everything(again) == everything(first) == everything(alone(STAGES))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n: 2", "n: 2.0"),
        ("flag: true", "flag: false"),
        ("input: [16, 16, 3]", "input: [8, 16, 3]"),
        ("name: deep", "name: deeper"),
    ],
)
def test_another_text_has_a_plan_of_its_own(old, new):
    text = STAGES.replace(old, new)
    before, again = expand(spec_of(STAGES)), expand(spec_of(text))
    assert len(PLANS) == 2
    assert everything(again) == everything(alone(text))
    assert (everything(again) == everything(before)) == ("2.0" in new)


def test_what_is_planned_takes_no_more_room_than_the_text():
    """Aliases of a long text are never written out."""
    text = f"vars: {{a: &a {'x' * 100_000}, b: [{', '.join(['*a'] * 3_000)}]}}"
    spec = spec_of(f"{text}\nname: long\ninput: [8]\nlayers: [fc: 1]")
    tracemalloc.start()
    with pytest.raises(SpecError, match="a list of 3,000 is longer than 1,000"):
        expand(spec)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_mistake_is_found_in_each_text_and_at_its_own_place():
    text = STAGES.replace("filters: =inner", "filter: =inner")
    for blank in ("", "\n\n"):
        with pytest.raises(SpecError) as error:
            expand(spec_of(blank + text))
        (found,) = error.value.diagnostics
        assert found.span.line == text[: text.index("filter:")].count("\n") + 1 + len(blank)
    assert not PLANS


def test_the_plans_of_a_few_texts_are_kept():
    for n in range(3 * MOST_PLANS):
        expand(spec_of(STAGES.replace("n: 2", f"n: {n}")))
        assert 1 <= len(PLANS) <= MOST_PLANS


def test_the_input_and_the_variables_decide():
    values = [{}, {"width": 6}, {"n": 3}, {"first": 5}, {"input": [8, 16, 3]}, {"flag": False}, {}]
    assert agree(STAGES, *values)


INSIDE = [
    "{concat: stage1/unit1}",
    "{concat: stage1/both/left/deep}",
    "{conv: 5}, {share: stage1/unit1/conv2}",
    "{conv: {filters: =tap.channels}}",
    "{concat: =tap}",
]


@pytest.mark.parametrize("step", INSIDE)
def test_steps_inside_a_scope_that_was_before_can_be_referred_to(step):
    text = STAGES.replace("vars: {", "vars: {tap: stage1/unit1, ").replace(
        "2 if index", "1 if index"
    )
    text = f"{text}  - {{name: last, layers: [{step}]}}\n"
    assert agree(text, {}, {"first": 5}, {}, {"n": 1})


def test_the_steps_of_a_copy_can_be_referred_to():
    """A shared group that was before, whose steps are known when they are looked for."""
    text = """
name: net
input: [8, 8, 4]
defaults: {conv: {padding: same}}
vars: {width: 4, last: 2}
layers:
  - {name: tower, layers: [{conv: =width}, {name: inner, layers: [{conv: 4}, {conv: 4}]}]}
  - {share: tower, name: twin, from: input}
  - concat: [twin/inner/conv1, tower/inner/conv1, twin, tower]
  - conv: =last
"""
    assert agree(text, {}, {"last": 3}, {"width": 5}, {})


AROUND = """
name: net
input: [8, 8, 3]
defaults: {conv: {padding: same}}
vars: {width: 4, tap: stem, flag: true}
layers:
  - conv: =width
    name: stem
  - conv: 4
    name: other
  - layers: [LINE, {concat: input}]
    name: group
"""


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("{conv: =stem.channels}", [{"width": 4}, {"width": 6}]),
        ("{conv: =tap.channels}", [{"width": 4}, {"width": 6}, {"tap": "other", "width": 6}]),
        ("{conv: 5, from: stem}", [{"width": 4}, {"width": 6}]),
        ("{concat: stem}", [{"width": 4}, {"width": 6}]),
        ("{concat: =tap}", [{"width": 4}, {"width": 6}, {"tap": "input"}]),
        ("{share: other}", [{"width": 4}, {"width": 4}]),
    ],
)
def test_what_reads_a_step_outside_its_scope_is_carried_out_each_time(line, values):
    assert agree(AROUND.replace("LINE", line), *values)


def test_equal_values_of_other_types_are_told_apart():
    """1 and true are equal in Python, and only one of them is a condition."""
    source = parse(AROUND.replace("LINE", "{conv: 4}, {conv: 4, when: =flag}"))
    validated = validate(source)
    expand(choose(validated, source, None, {"flag": True}))
    with pytest.raises(SpecError, match="`when` must be true or false, not 1"):
        expand(choose(validated, source, None, {"flag": 1}))


OWN = """
name: net
input: [8, 8, 4]
defaults: {conv: {padding: same}}
vars: {width: 4, depth: 2}
blocks:
  pair:
    args: {filters: 4}
    inputs: [below]
    layers:
      - conv: =filters
      - conv: =width
      - concat: below
layers:
  - repeat: =depth
    pair: {filters: 6}
    name: pair
  - {conv: 4, name: last}
  - concat: [pair1/conv1, pair1/below, last]
"""


def test_a_block_of_the_specs_own_is_kept_by_its_arguments_and_what_it_reads():
    assert agree(OWN, {}, {"width": 5}, {"depth": 3}, {"depth": 1}, {})


@pytest.mark.parametrize(
    "wrong", ["add: unit1", "add: stage2/unit9", "conv: {filters: =n - 2}", "max_pool: 99"]
)
def test_a_mistake_is_reported_as_in_the_first_network(wrong):
    text = f"{STAGES}  - {{{wrong}, when: =first > 4}}\n"
    source = parse(text)
    validated = validate(source)
    with pytest.raises(SpecError) as alone:
        expand(spec_of(text, first=5))
    for _ in range(2):
        expand(choose(validated, source, None, {"first": 4}))
        with pytest.raises(SpecError) as after:
            expand(choose(validated, source, None, {"first": 5}))
        assert str(after.value) == str(alone.value)


def test_limits_hold_for_what_is_repeated():
    text = """
    {name: net, input: [4], vars: {n: 10}, layers: [
      {repeat: =n, name: group, layers: [{repeat: 100, activation: relu}]}]}
    """
    source = parse(text)
    validated = validate(source)
    assert expand(choose(validated, source, None, {"n": 400})).size == 40_001
    with pytest.raises(SpecError, match="more than 50,000"):
        expand(choose(validated, source, None, {"n": 500}))

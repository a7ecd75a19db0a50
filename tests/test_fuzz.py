"""Whatever becomes of a spec, it is a network or a SpecError that says where: nothing else.

The bundled specs are changed at random, as data and as text. ARCHSPEC_EXAMPLES=100 draws 100 times
as many examples, new ones each time.
"""

import copy
import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.specs import spec_of

from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.compile.step import GROUPS
from archspec.cost.report import Report, report
from archspec.errors import CODES, SpecError
from archspec.graph.graph import Graph
from archspec.render.errors import render
from archspec.spec.bundled import bundled
from archspec.spec.document import Spec
from archspec.spec.quick import data_of
from archspec.spec.reader import Reader
from archspec.spec.source import parse

TEXTS = [path.read_text(encoding="utf-8") for path in bundled().values()]
EXTRA = """
name: extra
input: [16, 16, =channels]
vars: {channels: 3, n: 2, widths: [4, =n * 4]}
variants: {extra: {}, wide: {widths: [8, 8], n: 1}}
defaults: {conv: {padding: same, norm: batch}, unit: {m: =n}}
blocks:
  unit:
    args: {f: int, m: 1, skip: {type: bool, default: false}}
    layers: [{repeat: =m, conv: =f}, {add: input, when: =skip}]
  both:
    inputs: [below, skip]
    args: {f: =g // 2, g: {type: int, default: 8}, h: "=[f, g][1:]"}
    let: {wide: =skip.channels, wider: =wide + below.channels}
    layers: [{concat: skip}, {name: inside, conv: =f + wide}]
layers:
- {name: stem, conv: 4}
- for: {f: =widths}
  name: stage
  layers: [{name: a, unit: =f}, {max_pool: 2, when: =in.height > 4}]
- {name: b, branches: {left: [], right: [{softmax: {}, from: input}]}, merge: concat}
- {name: c, concat: [b, b/right]}
- for: {i: "=range(4)[1::2]"}
  name: ="g" + str(i)
  from: ="b/" + ["left", "right"][i // 2]
  let: {to: ="c" + str(i)}
  layers: [{name: =to, conv: =in.channels + i}, {add: [=to, =to]}]
- concat: =["g" + str(i) for i in range(4) if i % 2] + ["g1/c1"]
- {name: ="d", both: 4, from: {skip: "=['b', 'c'][1]"}}
- {concat: d/inside}
- {name: out, layers: [global_avg_pool, fc: 10]}
heads:
  side: {from: stage1, loss_weight: 0.5, when: =n > 1, layers: [flatten, fc: 3]}
"""
"""Parts of the language that the bundled specs do not use."""

DATA = [parse(text).data for text in [*TEXTS, *[EXTRA] * 5]]

EXPRESSIONS = [
    "=1 / 0", "=n", "=index", "=in.channels", "=in.height // 2", "=[1, 2]", "=range(5)", "=2 ** 62",
    "='s' + str(n)", "=['stem', 'b']", "=[i for i in range(n)]", "=stem.channels", "=widths[::-1]",
    "=[[i] * 9 for i in range(999) for j in range(999)]", "='a' * 1000000", "=b", "='stage' + 'x'",
    "=nothing", "=x +", "=-1", "=0.5", "='a'", "=true", "=null", "=in.channels * 1000000", "=f",
]  # fmt: skip
EXTREMES = [
    None, True, False, 0, -1, 1, 2, 3, 0.5, 1e300, 10**30, 2**31 - 1, 2**31, 10_000, "", "input",
    "output", "same", "a" * 70, "é", [], {}, [[]], [None], [1, 2], [3, "a"], {"a": 1}, "conv", "=",
]  # fmt: skip
WORDS = [*catalog.kinds(), *GROUPS["branches"], *GROUPS, "input", "args", "default", "type", "stem"]
WORDS += ["let", "inputs", "from", "name"]


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `data` with every key or index of it."""
    for key in data if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], (dict, list)):
            yield from places(data[key])


def misspelt(word: str, random: Random) -> str:
    at = random.randrange(len(word) + 1)
    return random.choice([word[:at] + word[at + 1 :], f"{word[:at]}x{word[at:]}", word[::-1]])


def value(random: Random) -> Any:
    """A value for anywhere: extreme, computed, or from somewhere in some spec."""
    kind = random.randrange(3)
    if kind == 0:
        return copy.deepcopy(random.choice(EXTREMES))
    if kind == 1:
        return random.choice(EXPRESSIONS)
    container, key = random.choice(list(places(random.choice(DATA))))
    return copy.deepcopy(container[key])


def mutate(data: dict[str, Any], random: Random) -> None:
    container, key = random.choice(list(places(data)))
    old = container[key]
    other, place = random.choice(list(places(data)))
    match random.randrange(8):
        case 0:
            del container[key]
        case 1:
            container[key] = value(random)
        case 2:
            container[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(old)
        case 3 if isinstance(container, dict):
            del container[key]
            container[random.choice([misspelt(key, random), random.choice(WORDS)])] = old
        case 3 | 4 if isinstance(container, list):
            container.insert(key, copy.deepcopy(random.choice([old, value(random)])))
        case 4 | 5 if isinstance(old, dict):
            old[random.choice(WORDS)] = value(random)
        case 5:
            container[key] = misspelt(old, random) if isinstance(old, str) else [old]
        case 6:
            container[key] = {"layers": [old], "repeat": random.choice([0, 2, 3, "=n"])}
        case _:
            container[key] = {random.choice(WORDS): old}


PYTHON = re.compile(r"\b(None|True|False|Traceback)\b|<class|object at 0x|\bdict\b|\btuple\b")


def check_error(error: SpecError, text: str) -> None:
    lines = text.splitlines()
    assert error.diagnostics
    assert len(set(error.diagnostics)) == len(error.diagnostics)
    for found in error.diagnostics:
        assert found.code in CODES
        assert found.span is not None
        assert 1 <= found.span.line <= found.span.end_line <= len(lines) + 1
        assert 1 <= found.span.column <= len([*lines, ""][found.span.line - 1]) + 1
        words = re.sub(r'"[^"]*"|`[^`]*`|\[.*\]', "", found.message)  # what is quoted
        assert not PYTHON.search(words), found.message
    assert render(error).count("error[") >= 1


def check_graph(graph: Graph) -> None:
    for node in graph.nodes:
        assert all(index < node.index for index in node.inputs)
        assert all(extent >= 1 for extent in node.shape)
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    costs = Report(graph)
    rows = list(costs.rows())
    for figure in ("params", "trainable", "macs", "other_ops", "activations"):
        assert sum(getattr(row, figure) for row in rows) == getattr(costs.totals, figure)


def check_quick_reader(text: str) -> None:
    """Where the quick reader gives data, the one that knows places gives it, too, unreported."""
    try:
        reader = Reader("<spec>")
        decoded = reader.text(text)
    except SpecError:
        return
    data = data_of(decoded, reader.lines)
    if data is not None:
        root, diagnostics = reader.read(decoded)
        assert diagnostics == ()
        assert repr(data) == repr(root.value)  # 1, 1.0 and True are equal, and not the same


def check(text: str) -> Spec | None:
    """The spec, if it is one."""
    check_quick_reader(text)
    try:
        spec = spec_of(text)
        graph = expand(spec)
    except SpecError as error:
        check_error(error, text)
        return None
    check_graph(graph)
    try:
        assert report(spec).checks is not None
    except SpecError as error:  # of a claim that says nothing
        check_error(error, text)
    return spec


@given(st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=settings().max_examples * 5)
def test_changed_data_is_a_network_or_an_error_with_its_place(seed, times):
    random = Random(seed)  # noqa: S311  (it keeps no secret)
    data = copy.deepcopy(random.choice(DATA))
    for _ in range(times):
        mutate(data, random)
        if not data:
            return
    spec = check(json.dumps(data, indent=1))
    if spec is not None:
        assert expand(spec_of(json.dumps(spec.to_dict()))) == expand(spec)


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=settings().max_examples * 3)
def test_changed_text_is_a_network_or_an_error_with_its_place(seed, times):
    random = Random(seed)  # noqa: S311  (it keeps no secret)
    text = random.choice(TEXTS)
    for _ in range(times):
        at = random.randrange(len(text))
        stop = at + random.choice([0, 1, 1, 2, 10])
        text = (
            text[:at] + random.choice(["", "", "\n", " ", *"-:[]{}=,#&*'\"|x9\t\0é"]) + text[stop:]
        )
    check(text)

"""Specs and graphs from text."""

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pytest

from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.graph.graph import Graph
from archspec.spec.bundled import bundled, read_bundled
from archspec.spec.document import Document, Spec, choose, validate
from archspec.spec.loading import load
from archspec.spec.source import Source, parse, read

SHARE: Final = min(1.0, float(os.environ.get("ARCHSPEC_EXAMPLES", "1")))
"""Share of many cases that a test of each of them tries: a tenth in `make test-fast`."""


def share_of(cases: Iterable[str]) -> list[str]:
    """Return as many of the names of many cases as a run of tests tries."""
    return [*cases][:: round(1 / SHARE)]


def family_names(*without: str) -> list[str]:
    """Return the names of the specs that come with archspec, as many as a run of tests tries."""
    return share_of(sorted({*bundled()} - {*without}))


def telling_families(*without: str) -> list[Any]:
    """Return the families as parameters of a test that takes long.

    Those that bring nothing which the others lack are left to `make test-all`: all kinds of steps,
    all ranks of inputs and all keys of documents are in the rest.
    """
    return telling({name: features_of(name) for name in family_names(*without)})


def features_of(family: str) -> set[Hashable]:
    """Return the kinds of steps in a family, its keys, and the ranks of its inputs."""
    data = read_bundled(family).data
    inputs = [data["input"]] if "input" in data else [*data.get("inputs", {}).values()]
    return words_in(data, {*catalog.kinds()}) | {*data} | {len(each) for each in inputs}


def words_in(data: Any, words: AbstractSet[str]) -> set[Hashable]:
    """Return which of some words are keys or values in plain data."""
    found: set[Hashable] = set()
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += [*each, *each.values()]
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, str) and each in words:
            found.add(each)
    return found


def telling(cases: Mapping[str, AbstractSet[Hashable]]) -> list[Any]:
    """Return cases as parameters of a test: few that have all features, the others marked slow."""
    chosen: list[str] = []
    missing = {feature for features in cases.values() for feature in features}
    while missing:
        chosen.append(max(cases, key=lambda name: len(cases[name] & missing)))
        missing -= cases[chosen[-1]]
    marks = {name: () if name in chosen else (pytest.mark.slow,) for name in cases}
    return [pytest.param(name, id=name, marks=marks[name]) for name in cases]


def families() -> Iterator[tuple[Source, Document]]:
    """Every spec that comes with archspec."""
    for path in bundled().values():
        source = read(path)
        yield source, validate(source).document


def size_of(name: str) -> dict[str, str]:
    """A size for a network that takes any, as the argument `at`; none for another."""
    return {"at": "384x384"} if expand(load(name)).is_open else {}


def spec_of(text: str, variant: str | None = None, **variables: Any) -> Spec:
    """The spec written in `text`."""
    source = parse(text)
    return choose(validate(source), source, variant, variables)


def graph_of(layers: str, extent: str = "[8, 8, 4]") -> Graph:
    """The network of these steps in YAML's short form, as `conv: 8, flatten, fc: 10`."""
    return expand(spec_of(f"{{name: net, input: {extent}, layers: [{layers}]}}"))

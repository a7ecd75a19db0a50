"""Specs and graphs from text."""

import os
from collections.abc import Iterator
from typing import Any, Final

from archspec.compile.expand import expand
from archspec.graph.graph import Graph
from archspec.spec.bundled import bundled
from archspec.spec.document import Document, Spec, choose, validate
from archspec.spec.loading import load
from archspec.spec.source import Source, parse, read

SHARE: Final = min(1.0, float(os.environ.get("ARCHSPEC_EXAMPLES", "1")))
"""Share of the families that a test of each of them tries: a fifth in `make test-fast`."""


def family_names(*without: str) -> list[str]:
    """Return the names of the specs that come with archspec, as many as a run of tests tries."""
    return sorted({*bundled()} - {*without})[:: round(1 / SHARE)]


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

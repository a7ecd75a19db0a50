"""Specs and graphs from text."""

from typing import Any

from archspec.compile.expand import expand
from archspec.graph.graph import Graph
from archspec.spec.document import Spec, choose, validate
from archspec.spec.source import parse


def spec_of(text: str, variant: str | None = None, **variables: Any) -> Spec:
    """The spec written in `text`."""
    source = parse(text)
    return choose(validate(source), source, variant, variables)


def graph_of(layers: str, extent: str = "[8, 8, 4]") -> Graph:
    """The network of these steps in YAML's short form, as `conv: 8, flatten, fc: 10`."""
    return expand(spec_of(f"{{name: net, input: {extent}, layers: [{layers}]}}"))

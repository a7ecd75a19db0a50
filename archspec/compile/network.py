"""The graph of a network, whatever it is: expanded from a spec, or read from a model file."""

from __future__ import annotations

from archspec.graph.graph import Graph
from archspec.imports.model import ImportedModel, Network


def graph_of(network: Network) -> Graph:
    """Return the graph of a spec or of a model file.

    Raises:
        SpecError: The spec has mistakes.
    """
    if isinstance(network, ImportedModel):
        return network.graph
    from archspec.compile.expand import expand  # noqa: PLC0415  (a model file does not need it)

    return expand(network)

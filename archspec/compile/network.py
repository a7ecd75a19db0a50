"""The graph of a network, whatever it is: expanded from a spec, or read from a model file."""

from __future__ import annotations

from archspec.compile.expand import expand
from archspec.graph.graph import Graph
from archspec.imports.model import ImportedModel, Network


def graph_of(network: Network) -> Graph:
    """Return the graph of a spec or of a model file.

    Raises:
        SpecError: The spec has mistakes.
    """
    return network.graph if isinstance(network, ImportedModel) else expand(network)

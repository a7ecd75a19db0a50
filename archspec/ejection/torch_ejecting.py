"""A network as source of PyTorch, and its weights for that source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archspec.ejection.outline import Outline
from archspec.ejection.parameters import written_program
from archspec.ejection.program import Program
from archspec.ejection.torch_ops.network import Torch
from archspec.ejection.torch_writer import TorchWriter
from archspec.graph.graph import Graph
from archspec.spec.document import Spec


class Written(NamedTuple):
    """Source of a network, and its writer, who knows how it came about."""

    writer: TorchWriter
    source: str


def written(graph: Graph, about: Sequence[str], spec: Spec | None = None) -> Written:
    """Return a network as PyTorch's source.

    Args:
        graph: The network.
        about: Lines for the docstring.
        spec: The network's spec, whose variables become parameters; without it there are none.

    Raises:
        UsageError: A step has no counterpart that this writer knows; the message names it.
    """
    torch = Torch(graph)

    def write(program: Program) -> Written:
        writer = TorchWriter(program, graph, torch)
        return Written(writer, writer.module_source(about))

    outline = Outline(graph, torch.layers_of)
    return written_program(outline, spec, lambda other: Torch(other).layers_of, write, shapes=False)

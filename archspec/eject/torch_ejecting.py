"""A network as source of PyTorch, and its weights for that source."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from archspec.eject.abstracting import Member, Refusals, program_of
from archspec.eject.chains import without_loops
from archspec.eject.outline import Outline
from archspec.eject.program import Program
from archspec.eject.torch_layers import Torch
from archspec.eject.torch_writer import TorchWriter
from archspec.graph.graph import Graph


class Written(NamedTuple):
    """Source of a network, and how it came about."""

    program: Program
    writer: TorchWriter
    torch: Torch
    source: str


def written(graph: Graph, about: Sequence[str]) -> Written:
    """Return a network as PyTorch's source.

    Args:
        graph: The network.
        about: Lines for the docstring.

    Raises:
        UsageError: A step has no counterpart that this writer knows; the message names it.
    """
    torch = Torch(graph)
    outline = Outline(graph, torch.layers_of)

    def write(unrolled: AbstractSet[str]) -> Written:
        refusals = Refusals({*unrolled})
        program = program_of(Member(outline), refusals, shapes=False)
        writer = TorchWriter(program, graph, torch)
        return Written(program, writer, torch, writer.module_source(about))

    return without_loops(write)

"""A spec as source code."""

from __future__ import annotations

from os import PathLike

from archspec.compile.expand import expand
from archspec.eject.abstracting import program_of
from archspec.eject.keras_layers import tidied
from archspec.eject.keras_writer import KerasWriter
from archspec.eject.recording import constructions
from archspec.graph.graph import Graph
from archspec.spec.document import Spec
from archspec.spec.loading import as_spec


def eject(spec: Spec | Graph | str | PathLike[str]) -> str:
    graph = spec if isinstance(spec, Graph) else expand(as_spec(spec))
    program = program_of(
        graph, lambda n: tuple(map(tidied, constructions(n, (*n.layer.inputs, n.shape)[0])))
    )
    writer = KerasWriter(program, ())
    body = writer.body(program.body, 1)
    return "\n".join([*writer.functions(), "def build_model() -> keras.Model:", *body])

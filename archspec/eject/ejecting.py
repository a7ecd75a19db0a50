"""A spec as source code."""

from __future__ import annotations

import textwrap
from functools import cache
from os import PathLike

from archspec.compile.expand import expand
from archspec.eject.abstracting import program_of
from archspec.eject.keras_layers import tidied
from archspec.eject.keras_writer import KerasWriter
from archspec.eject.layout import WIDTH
from archspec.eject.recording import Construction, constructions
from archspec.eject.sequential import SequentialWriter, check_sequential
from archspec.errors import UsageError, suggestion
from archspec.graph.graph import Graph, Node
from archspec.keras_model.build import shapes_of_shared
from archspec.spec.document import Spec
from archspec.spec.loading import as_spec


def eject(spec: Spec | Graph | str | PathLike[str], *, style: str = "functional") -> str:
    """Return a network as plain Keras source, in which there is no archspec.

    Args:
        spec: A spec, a path or a name as `load` takes them, or a graph.
        style: `functional`, functions of tensors; or `sequential`, a `keras.Sequential`.

    Returns:
        A module with a function `build_model`, and one for each kind of block.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: The network is not a chain of layers, as a sequential one must be; or a layer of
            a third party cannot be written as source.

    Example:
        >>> "def build_model() -> keras.Model:" in archspec.eject("lenet5")
        True
    """
    if style not in STYLES:
        raise UsageError(f"there is no style `{style}`; {suggestion(style, STYLES, what='styles')}")
    if isinstance(spec, Graph):
        graph, about = spec, spec.name
    else:
        known = as_spec(spec)
        graph, about = expand(known), known.document.about or known.name
    shared = shapes_of_shared(graph)

    @cache
    def layers_of(node: Node) -> tuple[Construction, ...]:
        x = shared.get(node.layer.owner or node.name) or (*node.layer.inputs, node.shape)[0]
        return tuple(tidied(each) for each in constructions(node, x))

    if style == "sequential":
        check_sequential(graph)
    program = program_of(graph, layers_of, shapes=style != "sequential")
    writer = STYLES[style](program, graph)
    return writer.source(_about(graph, about))


STYLES = {"functional": KerasWriter, "sequential": SequentialWriter}
"""The writer of each style."""


def _about(graph: Graph, about: str) -> list[str]:
    params = sum(node.layer.params for node in graph.nodes)
    output = ", ".join(str(graph.nodes[index].shape) for index in graph.outputs.values())
    text = f"Input {graph.input_text}, output {output}; {params:,} parameters."
    return [*textwrap.wrap(_escaped(about), WIDTH - 8), "", *textwrap.wrap(text, WIDTH - 8)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''").strip() or "A network."

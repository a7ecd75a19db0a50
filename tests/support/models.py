"""What tests of model files ask of a model."""

from collections.abc import Callable
from typing import Any

import pytest

import archspec
from archspec.errors import SpecError
from archspec.graph.graph import Graph
from archspec.imports.model import ImportedModel


def kinds(model: ImportedModel) -> list[str | None]:
    """The kinds of all layers but the input."""
    return [node.op.kind for node in model.graph.nodes[1:]]


def ops(model: ImportedModel) -> dict[str, Any]:
    return {node.name: node.op for node in model.graph.nodes}


def shapes(model: ImportedModel) -> dict[str, str]:
    return {node.name: str(node.shape) for node in model.graph.nodes}


def total(graph: Graph, what: str) -> int:
    return sum(getattr(node.layer, what) for node in graph.nodes)


def built(model: ImportedModel) -> Any:
    """The Keras model of a file, with the file's weights."""
    made = archspec.build(model)
    for node, arrays in model.weights().items():
        made.get_layer(node.replace("/", "-")).set_weights(arrays)
    return made


def assert_mistake(read: Callable[[str], object], text: str, message: str, line: int) -> None:
    """Assert that a text has one mistake, which is shown at its line."""
    with pytest.raises(SpecError) as caught:
        read(text)
    (diagnostic,) = caught.value.diagnostics
    assert message in diagnostic.message
    assert diagnostic.span is not None
    assert diagnostic.span.line == line

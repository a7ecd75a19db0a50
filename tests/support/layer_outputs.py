"""Outputs of emitted layers, to be compared with a few lines of NumPy."""

import numpy as np

from archspec.element import Element
from archspec.graph.builder import Builder
from archspec.graph.graph import Graph, Node
from archspec.keras_model.build import build
from archspec.keras_model.verify import verify


def random(*shape: int) -> np.ndarray:
    """Values of a normal distribution, the same for the same shape."""
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def ending_in(builder: Builder, y: Node) -> Graph:
    """The network of a builder that puts out a node."""
    return builder.finish("test", {"output": y}, {"output": 1.0})


def graph_of(element: Element, shape: tuple[int, ...], inputs: int = 1) -> Graph:
    """An element alone; as often on the input as it has inputs."""
    builder = Builder(shape)
    return ending_in(builder, builder(element, *[builder.input] * inputs))


def outputs(
    graph: Graph, x: np.ndarray, *weights: np.ndarray, training: bool = False
) -> np.ndarray:
    """Return what a network's Keras layers, which are those of the table, give for a batch."""
    import keras

    model = build(graph)
    assert not verify(graph, model).mismatches
    if weights:
        model.set_weights(weights)
    y = keras.ops.convert_to_numpy(model(x, training=training))
    for extent, ruled in zip(y.shape[1:], model.output.shape[1:], strict=True):
        # Keras's own rule for the shape holds.
        assert ruled in ((extent, None) if graph.is_open else (extent,))
    return y


def emitted(
    element: Element, x: np.ndarray, *weights: np.ndarray, inputs: int = 1, training: bool = False
) -> np.ndarray:
    """Return the outputs of the Keras layers of an element for a batch."""
    return outputs(graph_of(element, x.shape[1:], inputs), x, *weights, training=training)

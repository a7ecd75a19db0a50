"""Calls of a Keras model and of its layers: what goes in and what comes out, by name or by tensor.

A layer whose weights are shared is called several times. Keras tells its calls apart by attributes
that are not public; they are read here alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

ONLY: Final = "output"
"""Name of a single output; several outputs have their own names."""


class Call(NamedTuple):
    """One call of a layer."""

    layer: Any
    inputs: list[Any]
    outputs: list[Any]


def is_functional(model: Any) -> bool:
    """Return whether a model knows the calls of its layers; a sequential one does not."""
    return hasattr(model, "operations")


def calls_in_order(model: Any) -> Iterator[Call]:
    """Yield all calls of a model, each after those that make its inputs."""
    if not is_functional(model):
        # Keras may assemble a sequential model twice; its layers show the first time.
        last = model.inputs[0]
        for layer in model.layers:
            yield Call(layer, [last], [layer.output])
            last = layer.output
        return
    by_depth = model._nodes_by_depth  # noqa: SLF001
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            yield _call(node.operation, node)


def calls_by_layer(model: Any) -> dict[str, list[Call]]:
    """Return the calls of each layer in a model by its name, in the order they were made."""
    if not is_functional(model):  # Keras may assemble a sequential model twice
        return {layer.name: [_call(layer, layer._inbound_nodes[0])] for layer in model.layers}  # noqa: SLF001
    within = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}  # noqa: SLF001
    return {
        layer.name: [_call(layer, node) for node in layer._inbound_nodes if id(node) in within]  # noqa: SLF001
        for layer in model.layers
    }


def _call(layer: Any, node: Any) -> Call:
    return Call(layer, list(node.input_tensors), list(node.output_tensors))


def inputs_of(model: Any) -> dict[str, Any]:
    """Return the symbolic inputs of a model by name, in the order in which Keras flattens them."""
    if _takes_names(model):
        return {str(name): model.input[name] for name in sorted(model.input)}
    return {tensor.name: tensor for tensor in model.inputs}


def _takes_names(model: Any) -> bool:
    """Return whether a model takes its inputs as a dict; a sequential one takes a single input."""
    return is_functional(model) and isinstance(model.input, Mapping)


def given(model: Any, batch: Mapping[str, Any]) -> Any:
    """Return values as a model takes its inputs: by name, in a list, or the only one.

    In a list they are as `inputs_of` has them: an input without a name of its own gets another one
    whenever its model is made.
    """
    if _takes_names(model):
        return dict(batch)
    values = list(batch.values())
    return values if len(values) > 1 else values[0]


def by_name(outputs: Any) -> dict[str, Any]:
    """Return outputs by name, in the order in which Keras flattens them."""
    if isinstance(outputs, Mapping):
        outputs = {str(name): outputs[name] for name in sorted(outputs)}
    elif isinstance(outputs, (list, tuple)):
        outputs = {f"{ONLY}_{number}": each for number, each in enumerate(outputs)}
    else:
        return {ONLY: outputs}
    return dict(zip([ONLY], outputs.values(), strict=True)) if len(outputs) == 1 else outputs

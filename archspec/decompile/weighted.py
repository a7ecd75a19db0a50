"""The Keras model of an imported spec, with the weights of the model file, and its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.graph.graph import IN_KERAS, SEPARATOR

if TYPE_CHECKING:
    from archspec.decompile.importing import ImportedSpec

EXAMPLES: Final = 2
"""Number of random examples on which two models are compared."""

OPEN: Final = 64
"""Extent of an open axis in these examples, where the spec says no multiple."""

KERAS: Final = "Keras"
"""Beginning of the names of the formats that are run for a comparison."""


def weighted_model(imported: ImportedSpec) -> Any:
    """Return the Keras model of a spec with the weights of the file that it was made from.

    Raises:
        UsageError: The file holds no weights, or others than its layers need.
    """
    from archspec.keras_model.build import build  # noqa: PLC0415  (Keras)

    arrays = imported.model.weights()
    model = build(imported.spec)
    layers = {layer.name: layer for layer in model.layers}
    for node in imported.model.graph.nodes:
        if not node.op.kind or not node.layer.weights:
            continue
        if node.name not in arrays:
            raise UsageError(f"{imported.model.path} holds no weights of `{node.name}`")
        layer = layers[imported.names[node.name].replace(SEPARATOR, IN_KERAS)]
        try:
            layer.set_weights([*arrays[node.name]])
        except ValueError as error:
            message = f"{imported.model.path} has other weights of `{node.name}`: {error!s:.200}"
            raise UsageError(message) from None
    return model


def largest_difference(imported: ImportedSpec, model: Any) -> float:
    """Return the largest difference of outputs between a model and the file's, on random examples.

    Differences are relative to the largest output. The file is run by its own framework.

    Args:
        imported: The spec and its file.
        model: The Keras model of the spec, with the file's weights.

    Raises:
        UsageError: The file is not one of Keras, which alone is run here.
    """
    import numpy as np  # noqa: PLC0415  (slow)

    from archspec.keras_model.engine import load_file, load_keras  # noqa: PLC0415  (Keras)

    if not imported.model.format.startswith(KERAS):
        raise UsageError(
            f"{imported.model.path} is not run here: archspec proves the layers of "
            f"{imported.model.format}, not the outputs"
        )
    original, keras = load_file(imported.model.path), load_keras()
    random = np.random.default_rng(0)
    examples = [
        random.random((EXAMPLES, *(OPEN if n is None else n for n in x.shape[1:])), "float32")
        for x in model.inputs
    ]
    outputs = [
        [
            np.asarray(keras.ops.convert_to_numpy(y))
            for y in keras.tree.flatten(each(keras.tree.pack_sequence_as(each.input, examples)))
        ]
        for each in (original, model)
    ]
    worst = 0.0
    for ours, theirs in zip(*outputs, strict=True):
        scale = max(float(np.abs(ours).max()), 1e-12)
        worst = max(worst, float(np.abs(ours - theirs).max()) / scale)
    return worst

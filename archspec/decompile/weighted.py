"""The Keras model of an imported spec, with the weights of the model file, and its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.graph.graph import IN_KERAS, SEPARATOR
from archspec.lazy import np

if TYPE_CHECKING:
    from archspec.decompile.importing import ImportedSpec

OPEN: Final = 64
"""Extent of an open axis in these examples, where the spec says no multiple."""


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


class Comparison(NamedTuple):
    """Outputs of two models on random examples."""

    difference: float
    """Largest difference, as a share of the largest output."""
    tolerance: float
    """Largest difference that rounding explains."""


def compare_outputs(imported: ImportedSpec, model: Any) -> Comparison:
    """Compare the outputs of a model with those of the file, which its own framework runs.

    Args:
        imported: The spec and its file.
        model: The Keras model of the spec, with the file's weights.

    Raises:
        UsageError: The file's framework is not installed, or it is not run here.
    """
    from archspec.decompile.running import open_runner  # noqa: PLC0415
    from archspec.keras_model.calls import inputs_of  # noqa: PLC0415
    from archspec.keras_model.formats import runner  # noqa: PLC0415

    file = open_runner(imported.model)
    random = np.random.default_rng(0)
    # A model has its inputs and outputs by name, in the order of the names; the file in its own.
    inputs, outputs = (sorted(each) for each in (imported.graph.inputs, imported.graph.outputs))
    examples = {
        name: _example(random, file.batch, tensor)
        for name, tensor in zip(inputs, model.inputs, strict=True)
    }
    given = zip(inputs_of(model), (examples[name] for name in inputs), strict=True)
    ours = dict(zip(outputs, runner(model)(dict(given)).values(), strict=True))
    theirs = file.run([examples[name] for name in imported.graph.inputs])
    worst = 0.0
    for name, expected in zip(imported.graph.outputs, theirs, strict=True):
        array = ours[name]
        if array.shape != expected.shape:
            raise UsageError(
                f"{imported.model.path} gives an array {[*expected.shape]}, and the model of the "
                f"spec {[*array.shape]}"
            )
        scale = max(float(np.abs(expected).max()), 1e-12)
        worst = max(worst, float(np.abs(array - expected).max()) / scale)
    return Comparison(worst, file.tolerance)


def _example(random: Any, batch: int, tensor: Any) -> Any:
    """Return random values for an input: from 0 to 1, or the numbers 0 and 1 of classes."""
    shape = (batch, *(OPEN if n is None else n for n in tensor.shape[1:]))
    if "int" in str(tensor.dtype):
        return random.integers(0, 2, shape).astype(tensor.dtype)
    return random.random(shape, "float32")

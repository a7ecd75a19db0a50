"""The arrays of a file of Keras's: as the weights of nodes, or as a table of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from archspec.imports.arrays import numbers_in
from archspec.imports.building import ModelBuilder
from archspec.imports.keras.layer import FIXED, StoredArray
from archspec.imports.keras.modelfile import ModelFile, open_model
from archspec.imports.keras.stored import layers_in
from archspec.imports.keras.variables import names_of_kind
from archspec.imports.model import Arrays, ImportedModel
from archspec.ops.op import Weight


def read_arrays(path: Path, weights: Mapping[str, Sequence[StoredArray]]) -> Arrays:
    """Return the arrays of nodes, read from the file.

    Args:
        path: The file.
        weights: Where each array of each node is.
    """
    with open_model(path) as file:
        return {
            name: [_array(file.weights.file, source) for source in sources]
            for name, sources in weights.items()
        }


def _array(file: Any, source: StoredArray) -> Any:
    values = [values_of(file[place]) for place in source.places]
    array = values[0] if source.made is None else source.made(*values)
    return array.reshape(source.shape)


def values_of(dataset: Any) -> Any:
    """Return the values of an array in a file, NumPy's; HDF5 has bfloat16 as two bytes."""
    array = dataset[()]
    if array.dtype.str != "|V2":
        return array
    return numbers_in(array.tobytes(), "bfloat16").reshape(array.shape)


def read_weights(file: ModelFile, kind: str = "") -> ImportedModel:
    """Return the layers of a file of weights alone, one after the other, as unknown layers.

    Args:
        file: The file.
        kind: The class of the model, if it is one of the user's own.
    """
    reason = "the file holds weights alone"
    if kind:
        reason = f"only the Python code of {kind} says how it is joined"
    model = ModelBuilder(
        file.path,
        {"input": ()},
        name=file.path.stem.removesuffix(".weights"),
        format_name=f"Keras {file.version} {'model' if kind else 'weights'}".replace("  ", " "),
    )
    holds = "The file holds weights alone"
    if kind:
        holds = f"{kind} is a class of its own, of which Keras saves weights alone"
    model.note(
        f"{holds}: how the layers are joined, and what they compute, is not in the file. They are "
        "listed in its order. For the whole table, export the model where its class is "
        "(`model.export(folder)`) and read that folder."
    )
    x = model.inputs["input"]
    weights: dict[str, Sequence[StoredArray]] = {}
    params = 0
    for number, layer in enumerate(layers_in(file), 1):
        shapes = [tuple(array.shape) for array in layer.arrays]
        names = names_of_kind(layer.kind, len(shapes)) or [
            str(array.name).rpartition("/")[2].partition(":")[0] for array in layer.arrays
        ]
        listed = [
            Weight(name if not name.isdigit() else f"array{name}", shape, name not in FIXED)
            for name, shape in zip(names, shapes, strict=True)
        ]
        x = model.unknown(
            layer.kind or "layer",
            x,
            name=layer.name or f"{layer.kind or 'layer'}_{number}",
            reason=reason,
            arrays=listed,
        )
        weights[x.name] = [
            StoredArray(shape, (array.name,))
            for shape, array in zip(shapes, layer.arrays, strict=True)
        ]
        params += sum(prod(shape) for shape in shapes)
    return model.finish(
        {"output": x}, params=params, weights=lambda: read_arrays(file.path, weights)
    )

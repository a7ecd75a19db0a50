"""Keras's files of every version as networks, read without Keras."""

from pathlib import Path

import numpy as np
import pytest

import archspec

FILES = Path(__file__).parent / "modelfiles"

NET = {
    "backbone/first": (54, "6x6x3"),
    "backbone/norm1": (9, "6x6x3"),
    "backbone/separable/depthwise": (27, "6x6x3"),
    "backbone/separable": (12, "6x6x3"),
    "backbone/projection": (12, "6x6x3"),
    "top/depthwise": (30, "4x4x3"),
    "top/norm2": (9, "4x4x3"),
    "top/hidden": (52, "4"),
    "last": (15, "3"),
}
"""Parameters and output of each layer with weights of the network that every version wrote."""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("net-2.12.keras", "Keras 2.12.0 HDF5"),
        ("net-2.15.keras", "Keras 2.15.0 .keras"),
        ("net-2.15.h5", "Keras 2.15.0 HDF5"),
        ("net-3.0.5.keras", "Keras 3.0.5 .keras"),
    ],
)
def test_models_inside_a_model_are_layers_with_paths(name, form):
    model = archspec.load(FILES / name)
    assert model.format == form
    weighted = {n.name: (n.layer.params, str(n.shape)) for n in model.graph.nodes if n.layer.params}
    assert weighted == NET
    assert model.params == 220
    assert model.unknown == model.notes == ()
    arrays = model.weights()
    assert {node: sum(map(np.size, each)) for node, each in arrays.items()} == {
        node: params for node, (params, _) in NET.items()
    }
    assert arrays["backbone/first"][0].shape == (3, 3, 2, 3)
    assert (arrays["backbone/norm1"][2] > 0).all()  # the moving variance is the last

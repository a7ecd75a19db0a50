"""Every exported file is read back, without its framework, as the network that it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.specs import spec_of

import archspec
from archspec.errors import UsageError
from archspec.graph.graph import Graph
from archspec.imports.model import ImportedModel
from archspec.keras_model.build import as_graph, layer_name
from archspec.keras_model.engine import load_keras
from archspec.keras_model.export import export
from archspec.keras_model.formats import format_of
from archspec.ops.normalization import LocalResponseNorm
from archspec.spec.document import Spec

pytestmark = pytest.mark.keras

RESIDUAL = """
name: residual
input: [12, 12, 3]
layers:
  - {name: stem, conv: {filters: 8, kernel: 3, norm: batch, activation: relu}}
  - max_pool: {size: 3, stride: 2, padding: same}
  - {residual: {filters: 8}, repeat: 2}
  - residual: {filters: 16, stride: 2}
  - global_avg_pool
  - fc: {units: 5, activation: softmax}
"""

MOBILE = """
name: mobile
input: [16, 16, 3]
layers:
  - {conv: {filters: 8, kernel: 3, stride: 2, norm: batch, activation: relu6}}
  - {inverted_residual: {filters: 8, expansion: 2}}
  - {inverted_residual: {filters: 16, expansion: 2, stride: 2}}
  - squeeze_excitation: {channels: 4}
  - {conv: {filters: 8, kernel: 3, groups: 2, activation: hard_swish}}
  - {conv: {filters: 8, kernel: 3, padding: same, dilation: 2, activation: silu}}
  - flatten
  - dropout: 0.5
  - fc: 4
"""

HEADS = """
name: heads
input: [12, 12, 3]
layers:
  - {name: stem, conv: {filters: 4, kernel: 3, activation: relu}}
  - merge: concat
    branches:
      - [{conv: {filters: 3, kernel: 1, activation: leaky_relu}}]
      - [{conv: {filters: 2, kernel: 1}}, {conv: {filters: 4, kernel: 3, padding: same}}]
      - [{max_pool: {size: 3, stride: 1, padding: same}}, {conv: {filters: 2, kernel: 1}}]
  - {transposed_conv: {filters: 3, kernel: 2, stride: 2}}
  - global_max_pool
  - fc: {units: 5, activation: softmax}
heads:
  side: {from: stem, layers: [flatten, fc: 5]}
"""

SMALL = {"lenet5": "", "residual": RESIDUAL, "mobile": MOBILE, "heads": HEADS}

FAMILIES = {
    "cifar_resnet20": {},
    "alexnet_grouped": {"input": [99, 99, 3], "classes": 10},
    "squeezenet_v1_1": {"input": [64, 64, 3]},
    "mobilenet_v2": {"input": [64, 64, 3]},
    "densenet121": {"input": [64, 64, 3]},
    # At 96 the last maps are of one place, and tf2onnx writes a 1x3 convolution as one of a signal.
    "inception_v3": {"input": [128, 128, 3]},
    "resnet50": {"input": [64, 64, 3], "classes": 10},
}

FILES = ("x.keras", "x.h5", "x.onnx", "x.tflite", "x")

EXACT = ("x.keras", "x.h5", "x")
"""Formats whose writers fold nothing."""


def model_of(graph: Graph):
    """A network in which no weight is zero, because converters leave out what changes nothing."""
    model = archspec.build(graph)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(random.uniform(0.1, 0.2, weight.shape) / np.prod(weight.shape[:-1]))
    return model


def written(model, path: Path) -> ImportedModel:
    """Export a model, and read the file."""
    if path.suffix == ".h5":
        model.save(path)
    else:
        try:
            format_of(path).check(path, load_keras().backend.backend())
        except UsageError as error:
            pytest.skip(str(error))
        export(model, path)
    model = archspec.load(path)
    assert isinstance(model, ImportedModel)
    return model


def products(graph: Graph) -> list[tuple[tuple[int, ...], int]]:
    """Return the shape and the MACs of each layer that has some."""
    return sorted((tuple(n.shape), n.layer.macs) for n in graph.nodes if n.layer.macs)


def check(spec: Spec, folder: Path, name: str) -> None:
    graph = as_graph(spec)
    model = model_of(graph)
    file = written(model, folder / name)
    expected, found = archspec.report(spec).totals, archspec.report(file).totals
    assert not file.unknown
    assert products(file.graph) == products(graph)
    assert found.macs == expected.macs
    assert {tuple(file.graph.nodes[at].shape) for at in file.graph.outputs.values()} == {
        tuple(graph.nodes[at].shape) for at in graph.outputs.values()
    }
    if found.params != expected.params:
        assert name not in EXACT
        assert any("fold" in note for note in file.notes)
        assert found.params < expected.params
    if name == "x.onnx" and load_keras().backend.backend() == "jax":
        return  # jax2onnx keeps no names
    if name in ("x.keras", "x.h5", "x.onnx"):
        ours = {layer_name(node) for node in graph.nodes}
        parts = {node.name for node in file.graph.nodes} - ours
        assert {part.rpartition("-")[0] for part in parts} <= ours  # `swish-mul` is a part of swish


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "network",
    [  # the layers of the first two are in the others too
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("lenet5", "residual")),
        *("mobile", "heads"),
    ],
)
def test_an_exported_file_is_read_as_the_network(tmp_path, network, file):
    spec = spec_of(SMALL[network]) if SMALL[network] else archspec.load(network)
    check(spec, tmp_path, file)


def test_gelu_is_read_as_one_layer(tmp_path):
    """TensorFlow computes it with erfc, which ONNX lacks."""
    gelu = "layers: [{conv: {filters: 4, kernel: 3, activation: gelu}}, flatten, fc: 2]"
    check(spec_of(f"name: net\ninput: [8, 8, 3]\n{gelu}"), tmp_path, "x.onnx")


@pytest.mark.parametrize("file", ["x.onnx", "x.tflite", "x"])
def test_a_local_response_norm_is_read_as_one_layer(tmp_path, file):
    """TensorFlow pads the squares, and adds up slices of them."""
    norm = "lrn: {size: 3, alpha: 0.03, beta: 0.6, k: 2}"
    spec = spec_of(f"name: net\ninput: [8, 8, 3]\nlayers: [conv: 6, {norm}, flatten, fc: 2]")
    check(spec, tmp_path, file)
    ops = [each.op for each in archspec.load(tmp_path / file).graph.nodes]
    (op,) = (each for each in ops if isinstance(each, LocalResponseNorm))
    assert (op.size, op.beta, op.k) == (3, pytest.approx(0.6), 2)
    assert op.alpha == pytest.approx(0.03)


@pytest.mark.parametrize("file", ["x.tflite", "x"])
def test_a_padding_that_never_wins_in_a_max_pool_is_read(tmp_path, file):
    """TensorFlow pads by the lowest number, and moves axes between that and the pool."""
    pool = "max_pool: {size: 3, stride: 2, padding: 1}"
    check(spec_of(f"name: net\ninput: [8, 8, 3]\nlayers: [{pool}, flatten, fc: 2]"), tmp_path, file)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("network", FAMILIES)
def test_an_exported_file_of_a_family_is_read_as_the_network(tmp_path, network, file):
    check(archspec.load(network, **FAMILIES[network]), tmp_path, file)

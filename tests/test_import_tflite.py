"""TFLite's networks: what the converter folds, drops and adds is read as what it means."""

from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.broken_files import changed
from support.models import built, kinds, ops

import archspec
from archspec.errors import ArchspecError, UsageError
from archspec.imports.formats import TFLITE, find_format
from archspec.imports.formats import read as read_format
from archspec.imports.model import ImportedModel
from archspec.imports.tensorflow.tflitefile import open_tflite

tflite = pytest.importorskip("tflite")

FILES = Path(__file__).parent / "model_files" / "tflite"


def read(name: str) -> ImportedModel:
    model = archspec.load(FILES / f"{name}.tflite")
    assert isinstance(model, ImportedModel)
    assert model.unknown == ()
    return model


def test_norms_and_activations_are_fused_and_biases_of_zeros_added():
    """A stem with batch norm has a bias now; the layers without one have a bias of zeros."""
    model = read("norms")
    assert [node.name for node in model.graph.nodes] == [
        "keras_tensor",
        "stem_1",
        "stem_relu_1",
        "depthwise_1",
        "separable_1/separable_conv2d",
        "separable_1",
        "relu6_1",
        "pool_1",
        "scores_1",
        "StatefulPartitionedCall_1",
    ]
    found = ops(model)
    assert [found[name].bias for name in ("stem_1", "depthwise_1", "separable_1")] == [
        True, False, False
    ]  # fmt: skip
    assert any("3 biases of zeros are left out" in note for note in model.notes)
    assert any("folds batch norms" in note for note in model.notes)


def test_zero_padding_became_same_where_that_is_the_same():
    """Keras's model pads by one; with a stride of 2 by one at the ends, as `same` does."""
    found = ops(read("padding"))
    assert (found["conv_1"].padding, found["strided_1"].padding) == ("same", "same")


@pytest.mark.parametrize("name", ["dilation_fixed", "dilation_open"])
def test_a_dilation_is_an_attribute_or_stands_in_the_batch(name):
    model = read(name)
    found = ops(model)
    assert [(found[each].dilation, found[each].padding) for each in ("same_1", "valid_1")] == [
        (2, "same"),
        (2, "valid"),
    ]
    assert [str(node.shape) for node in model.graph.nodes if "valid" in node.name] == ["12x12x8"]
    assert sum(node.layer.params for node in model.graph.nodes) == 3 * 3 * (3 + 8) * 8 + 16


def test_a_depthwise_convolution_has_its_own_dilation_beside_a_fused_activation():
    found = ops(read("depthwise"))
    dilations = [op.dilation for op in found.values() if op.kind == "depthwise_convolution"]
    functions = [op.function for op in found.values() if op.kind == "activation"]
    assert (dilations, functions) == ([1, 2], ["relu6", "relu"])


def test_groups_are_read_from_the_depth_of_the_filters():
    op = next(op for op in ops(read("groups")).values() if op.kind == "convolution")
    assert (op.groups, op.filters) == (2, 8)


@pytest.mark.parametrize("name", ["float16", "int8"])
def test_operators_between_types_of_numbers_are_no_layers(name):
    assert [node.op.kind for node in read(name).graph.nodes] == [
        "", "convolution", "activation", "flatten", "fully_connected"
    ]  # fmt: skip


def test_sparse_weights_are_those_that_they_become():
    model = read("sparse")
    assert sum(node.layer.params for node in model.graph.nodes) == 16 * 64 + 64 + 64 * 64 + 64
    with pytest.raises(UsageError, match="stored sparsely"):
        model.weights()


def test_a_file_without_a_shape_signature_has_its_shapes():
    assert str(read("dilation_fixed").graph.input) == "16x16x3"


def test_a_norm_without_a_convolution_is_a_scale_and_repeated_values_an_upsample():
    """The converter declares 1x16x8 for the second upsample; that is not believed."""
    model = read("residual")
    kinds = {node.name: node.op.kind for node in model.graph.nodes}
    assert kinds["norm_1"] == "scale"
    assert (kinds["pad_1"], kinds["crop_1/strided_slice"]) == ("pad", "crop")
    assert [node.op.kind for node in model.graph.nodes].count("upsample") == 2
    assert str(model.graph.output) == "16x16x20"
    assert not any("other shapes" in note for note in model.notes)


def test_a_layer_that_is_used_twice_has_its_weights_once():
    model = read("shared")
    assert [node.layer.params for node in model.graph.nodes] == [0, 84, 0, 0, 28]
    assert str(model.graph.nodes[3].shape) == "6x8x3"


def test_norms_attention_and_functions_are_told_from_their_arithmetic():
    """The file has RSQRT, SQUARED_DIFFERENCE, BATCH_MATMUL and so on instead of layers."""
    kinds = [node.op.kind for node in read("spelled_out").graph.nodes]
    for kind, count in {
        "convolution": 2, "group_norm": 1, "prelu": 1, "layer_norm": 1, "fully_connected": 5,
        "matmul": 2, "softmax": 1, "activation": 2, "unit_norm": 1,
    }.items():  # fmt: skip
        assert kinds.count(kind) == count, kind


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("norms", 1e-5),
        ("padding", 1e-5),
        ("dilation_fixed", 1e-5),
        ("dilation_open", 1e-5),
        ("depthwise", 1e-5),
        ("groups", 1e-5),
        ("float16", 1e-5),
        ("residual", 1e-5),
        ("shared", 1e-5),
        ("spelled_out", 1e-5),
        ("int8", 1e-2),  # TFLite rounds the maps to 8 bits too
    ],
)
def test_the_keras_model_with_its_weights_computes_what_tflite_does(name, tolerance):
    model = read(name)
    image = np.random.default_rng(1).random((1, *model.graph.input), "float32")
    with np.load(FILES / "outputs.npz") as outputs:
        expected = outputs[name]
    found = np.asarray(built(model)(image))
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.keras
def test_an_lstm_is_one_and_computes_what_tflite_does():
    model = read("lstm")
    assert kinds(model) == ["lstm", "fully_connected"]
    with np.load(FILES / "lstm.npz") as expected:
        found = np.asarray(built(model)(expected["x"]))
        np.testing.assert_allclose(found, expected["y"], atol=1e-5)
    assert "An LSTM keeps its cells within 10, archspec's does not." in model.notes


def test_a_loop_is_unknown_and_has_the_weights_that_stand_inside_it():
    """The zeros with which it begins are not weights."""
    model = archspec.load(FILES / "loop.tflite")
    assert [each.type for each in model.unknown] == ["WHILE"]
    assert archspec.report(model).totals.params == 3 * 5 * (8 + 5 + 2) + 5 * 2 + 2


def test_a_damaged_file_gives_a_table_or_a_sentence(tmp_path):
    path = tmp_path / "net.tflite"
    random = Random(0)  # noqa: S311  (it keeps no secret)
    for name in ("norms", "residual", "dilation_open"):
        content = (FILES / f"{name}.tflite").read_bytes()
        for _ in range(45):
            path.write_bytes(content[:8] + changed(content[8:], random))
            assert find_format(path) is TFLITE
            with suppress(ArchspecError):  # anything else fails the test
                assert read_format(path, TFLITE).graph.nodes


@pytest.mark.parametrize(
    ("distance", "message"),
    [(-(10**6), "to a place after its end"), (10**6, "to a place before its beginning")],
)
def test_a_table_outside_of_the_file_is_told_in_plain_words(tmp_path, distance, message):
    content = bytearray((FILES / "norms.tflite").read_bytes())
    root = int.from_bytes(content[:4], "little")
    # A table begins with the distance to the list of its fields, which is before it.
    content[root : root + 4] = distance.to_bytes(4, "little", signed=True)
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"was not opened: a table in it refers {message}"):
        read_format(path, TFLITE)


def test_a_padding_that_tflite_does_not_have_is_told(tmp_path):
    content = bytearray((FILES / "norms.tflite").read_bytes())
    operators = open_tflite(FILES / "norms.tflite").operators
    options = [each.options for each in operators if each.kind == "CONV_2D"][-1]
    at = options.Offset(4)  # the first field, `padding`
    assert content[options.Pos + at] == 1
    content[options.Pos + at] = 5
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    (layer, *_) = read_format(path, TFLITE).unknown
    assert layer.type == "CONV_2D"
    assert layer.reason == "its padding is number 5, and TFLite has 0 and 1 alone"


def test_a_convolution_without_a_kernel_is_an_unknown_layer(tmp_path):
    content = bytearray((FILES / "norms.tflite").read_bytes())
    graph = tflite.Model.GetRootAs(content).Subgraphs(0)
    kinds = [each.kind for each in open_tflite(FILES / "norms.tflite").operators]
    table = graph.Operators(kinds.index("CONV_2D"))._tab  # noqa: SLF001
    inputs = table.Vector(table.Offset(6))  # the second field, after its length
    content[inputs - 4 : inputs] = (1).to_bytes(4, "little")
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    (layer, *_) = read_format(path, TFLITE).unknown
    assert layer.type == "CONV_2D"

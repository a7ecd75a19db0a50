"""SavedModels: what Keras writes as several operators becomes one layer again."""

from pathlib import Path
from random import Random

import pytest

import archspec
from archspec.errors import ArchspecError, UsageError
from archspec.imports.formats import SAVED_MODEL
from archspec.imports.formats import read as read_format
from archspec.imports.model import ImportedModel

FILES = Path(__file__).parent / "model_files" / "saved_model"


def read(name: str) -> ImportedModel:
    model = archspec.load(FILES / name)
    assert isinstance(model, ImportedModel)
    assert model.unknown == ()
    return model


def test_the_layers_are_those_of_the_keras_model():
    """The layers of make_saved_model.py, under their names: a trace of Keras adds `_1` to each."""
    model = read("keras_export")
    assert [(node.name, node.op.kind) for node in model.graph.nodes] == [
        ("image", ""),
        ("conv_1", "convolution"),
        ("norm_1", "batch_norm"),
        ("relu_1", "activation"),
        ("depthwise_1", "depthwise_convolution"),
        ("unscaled_1", "batch_norm"),
        ("add_1", "add"),
        ("dilated_1", "convolution"),
        ("dilated_1/Relu", "activation"),
        ("pool_1", "max_pool"),
        ("up_1/Repeat", "upsample"),
        ("up_1/Repeat_1", "upsample"),
        ("join_1", "concat"),
        ("separable_1/separable_conv2d", "depthwise_convolution"),
        ("separable_1", "convolution"),
        ("transposed_1", "transposed_convolution"),
        ("flatten_1", "flatten"),
        ("scores_1", "fully_connected"),
        ("scores_1/Softmax", "softmax"),
    ]
    assert "TensorFlow 2.21.0" in model.format


def test_the_weights_are_those_of_the_keras_model():
    counts = {
        "conv_1": 3 * 3 * 3 * 8,
        "norm_1": 4 * 8,
        "depthwise_1": 3 * 3 * 8 + 8,
        "unscaled_1": 3 * 8,
        "dilated_1": 3 * 3 * 8 * 8 + 8,
        "separable_1/separable_conv2d": 3 * 3 * 16,
        "separable_1": 16 * 8 + 8,
        "transposed_1": 3 * 3 * 4 * 8 + 4,
        "scores_1": 15 * 15 * 4 * 10 + 10,
    }
    model = read("keras_export")
    found = {node.name: node.layer.params for node in model.graph.nodes if node.layer.params}
    assert found == counts
    assert model.params == sum(counts.values())


def test_a_frozen_layer_is_told_from_the_list_of_trainable_variables():
    """Keras marks its variables as trainable all the same."""
    found = {node.name: node.op for node in read("keras_export").graph.nodes}
    assert [found[name].trainable for name in ("conv_1", "norm_1", "scores_1")] == [
        False,
        True,
        True,
    ]


def test_a_batch_norms_parts_are_told_from_how_they_are_used():
    found = {node.name: node.op for node in read("keras_export").graph.nodes}
    assert (found["norm_1"].scale, found["norm_1"].center) == (True, True)
    assert (found["unscaled_1"].scale, found["unscaled_1"].center) == (False, True)
    assert found["norm_1"].epsilon == 1e-3


def test_a_module_without_keras_of_any_size_of_image():
    model = read("module")
    assert [node.op.kind for node in model.graph.nodes] == [
        "", "rescale", "rescale", "convolution", "batch_norm", "activation", "global_avg_pool",
        "fully_connected",
    ]  # fmt: skip
    convolution = model.graph.nodes[3].op
    assert (convolution.padding, convolution.bias) == (((1, 1), (1, 1)), True)
    assert model.graph.is_open
    assert sum(node.layer.params for node in model.graph.nodes) == 3 * 3 * 3 * 8 + 8 + 32 + 40


def test_a_model_without_a_signature_says_what_to_do(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\x00")  # one graph, with nothing in it
    with pytest.raises(UsageError, match="has no signature, so nothing says where"):
        archspec.load(tmp_path)


def test_a_damaged_file_gives_a_table_or_a_sentence(tmp_path):
    random = Random(0)  # noqa: S311  (it keeps no secret)
    content = (FILES / "module" / "saved_model.pb").read_bytes()
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(random.choice([1, 4, 20])):
            damaged[random.randrange(len(damaged))] = random.choice([0, 1, 127, 255])
        (tmp_path / "saved_model.pb").write_bytes(damaged)
        try:
            model = read_format(tmp_path, SAVED_MODEL)
        except ArchspecError:
            continue  # a sentence
        assert model.graph.nodes


def test_a_layer_that_is_used_twice_has_its_weights_once():
    model = read("shared")
    counts = {
        "share_1": 3 * 5 * 5 + 5,
        "strided_1": 4 * 5 * 6 + 6,
        "dense_1/Tensordot": 6 * 7 + 7,
        "squeeze_1/Tensordot": 4 + 4,
    }
    found = {node.name: node.layer.params for node in model.graph.nodes if node.layer.params}
    assert found == counts
    assert model.params == sum(counts.values())
    assert [node.layer.owner for node in model.graph.nodes if node.layer.owner] == ["share_1"]


def test_sequences_and_products_at_each_place_are_told_from_their_detours():
    """Keras gives a sequence an axis of 1 for a convolution; Dense moves places into the batch."""
    model = read("shared")
    assert [(node.op.kind, str(node.shape)) for node in model.graph.nodes[1:]] == [
        ("convolution", "12x5"),
        ("activation", "12x5"),
        ("convolution", "12x5"),
        ("activation", "12x5"),
        ("convolution", "5x6"),
        ("max_pool", "2x6"),
        ("fully_connected", "2x7"),
        ("permute", "7x2"),
        ("reshape", "7x2x1"),
        ("fully_connected", "7x2x4"),
        ("flatten", "56"),
    ]
    assert not any("other shapes" in note for note in model.notes)


def test_a_loop_is_an_unknown_layer_with_its_weights():
    model = archspec.load(FILES / "recurrent")
    loop = next(node for node in model.graph.nodes if node.name == "recurrence_1/while")
    assert loop.layer.params == 3 * 4 * (5 + 4 + 2)
    assert model.graph.nodes[-1].layer.params == model.params - loop.layer.params == 4 * 3 + 3
    assert any("repeats its steps" in each.reason for each in model.unknown)

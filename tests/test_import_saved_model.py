"""SavedModels: what Keras writes as several operators becomes one layer again."""

import shutil
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.broken_files import changed
from support.checkpoints import masked, write_checkpoint

import archspec
from archspec.errors import ArchspecError, UsageError
from archspec.imports.formats import SAVED_MODEL
from archspec.imports.formats import read as read_format
from archspec.imports.model import ImportedModel
from archspec.imports.protobuf import Reader
from archspec.imports.tensorflow import graphs
from archspec.ops.functions import Gelu

FILES = Path(__file__).parent / "model_files" / "saved_model"


def read(name: str) -> ImportedModel:
    model = archspec.load(FILES / name)
    assert isinstance(model, ImportedModel)
    assert model.unknown == ()
    return model


def test_the_layers_are_those_of_the_keras_model():
    """The layers of make_saved_model.py, without the `_1` that an export adds to each name."""
    model = read("keras_export")
    assert [(node.name, node.op.kind) for node in model.graph.nodes] == [
        ("image", ""),
        ("conv", "convolution"),
        ("norm", "batch_norm"),
        ("relu", "activation"),
        ("depthwise", "depthwise_convolution"),
        ("unscaled", "batch_norm"),
        ("add", "add"),
        ("dilated", "convolution"),
        ("dilated/Relu", "activation"),
        ("pool", "max_pool"),
        ("up/Repeat", "upsample"),
        ("up/Repeat_1", "upsample"),
        ("join", "concat"),
        ("separable/separable_conv2d", "depthwise_convolution"),
        ("separable", "convolution"),
        ("transposed", "transposed_convolution"),
        ("flatten", "flatten"),
        ("scores", "fully_connected"),
        ("scores/Softmax", "activation"),
    ]
    assert "TensorFlow 2.21.0" in model.format


def test_the_weights_are_those_of_the_keras_model():
    counts = {
        "conv": 3 * 3 * 3 * 8,
        "norm": 4 * 8,
        "depthwise": 3 * 3 * 8 + 8,
        "unscaled": 3 * 8,
        "dilated": 3 * 3 * 8 * 8 + 8,
        "separable/separable_conv2d": 3 * 3 * 16,
        "separable": 16 * 8 + 8,
        "transposed": 3 * 3 * 4 * 8 + 4,
        "scores": 15 * 15 * 4 * 10 + 10,
    }
    model = read("keras_export")
    found = {node.name: node.layer.params for node in model.graph.nodes if node.layer.params}
    assert found == counts
    assert model.params == sum(counts.values())


def test_a_frozen_layer_is_told_from_the_list_of_trainable_variables():
    """Keras marks its variables as trainable all the same."""
    found = {node.name: node.op for node in read("keras_export").graph.nodes}
    assert [found[name].trainable for name in ("conv", "norm", "scores")] == [
        False,
        True,
        True,
    ]


def test_a_batch_norms_parts_are_told_from_how_they_are_used():
    found = {node.name: node.op for node in read("keras_export").graph.nodes}
    assert (found["norm"].scale, found["norm"].center) == (True, True)
    assert (found["unscaled"].scale, found["unscaled"].center) == (False, True)
    assert found["norm"].epsilon == 1e-3


def test_a_module_without_keras_of_any_size_of_image():
    model = read("module")
    assert [node.op.kind for node in model.graph.nodes] == [
        "", "rescale", "rescale", "convolution", "batch_norm", "activation", "global_avg_pool",
        "fully_connected",
    ]  # fmt: skip
    convolution = model.graph.nodes[3].op
    assert (convolution.padding, convolution.bias) == (1, True)
    assert model.graph.is_open
    assert sum(node.layer.params for node in model.graph.nodes) == 3 * 3 * 3 * 8 + 8 + 32 + 40


def test_a_model_without_a_signature_says_what_to_do(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\x00")  # one graph, with nothing in it
    with pytest.raises(UsageError, match="has no signature, so nothing says where"):
        archspec.load(tmp_path)


def test_a_damaged_file_gives_a_table_or_a_sentence(tmp_path):
    random = Random(0)  # noqa: S311  (it keeps no secret)
    content = (FILES / "module" / "saved_model.pb").read_bytes()
    for _ in range(80):
        (tmp_path / "saved_model.pb").write_bytes(changed(content, random))
        with suppress(ArchspecError):  # anything else fails the test
            assert read_format(tmp_path, SAVED_MODEL).graph.nodes


def test_a_layer_that_is_used_twice_has_its_weights_once():
    model = read("shared")
    counts = {
        "share": 3 * 5 * 5 + 5,
        "strided": 4 * 5 * 6 + 6,
        "dense/Tensordot": 6 * 7 + 7,
        "squeeze/Tensordot": 4 + 4,
    }
    found = {node.name: node.layer.params for node in model.graph.nodes if node.layer.params}
    assert found == counts
    assert model.params == sum(counts.values())
    assert [node.layer.owner for node in model.graph.nodes if node.layer.owner] == ["share"]


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
        ("reshape", "2x7x1"),
        ("fully_connected", "2x7x4"),
        ("permute", "7x2x4"),
        ("flatten", "56"),
    ]
    assert not any("other shapes" in note for note in model.notes)


SPELLED_OUT = [
    ("convolution", 2 * 2 * 3 * 8 + 8),
    ("group_norm", 16),
    ("prelu", 8),
    ("layer_norm", 16),
    *[("fully_connected", 8 * 8 + 8)] * 4,  # queries, keys, values, output
    ("fully_connected", 8 * 6 + 6),
    ("convolution", 3 * 6 * 4 + 4),
]
"""Layers with parameters of the Keras model that is called so in networks.py."""


def test_norms_attention_and_functions_are_told_from_their_arithmetic():
    """The file has Rsqrt, SquaredDifference, Erfc, Einsum and so on instead of layers."""
    model = read("spelled_out")
    nodes = model.graph.nodes
    counts = [(node.op.kind, node.layer.params) for node in nodes if node.layer.params]
    assert sorted(counts) == sorted(SPELLED_OUT)
    assert [node.op.kind for node in nodes].count("matmul") == 2
    functions = [node.op.function for node in nodes if node.op.kind == "activation"]
    assert functions == [Gelu(), "selu"]
    assert (nodes[-1].op.kind, str(model.graph.output)) == ("unit_norm", "12x4")
    convolutions = [node.op for node in nodes if node.op.kind == "convolution"]
    assert [op.dilation for op in convolutions] == [1, 2]


def test_each_input_of_an_operator_that_reads_all_variables_is_looked_at_a_few_times(monkeypatch):
    """A network's main graph has one call that reads hundreds of variables, and one that saves."""
    variables = [f"variable_{number}" for number in range(300)]
    nodes = [{"name": name, "op": "VarHandleOp"} for name in variables]
    nodes += [{"name": name, "op": "Foo", "input": variables} for name in ("call", "save")]
    nodes.append({"name": "end", "op": "Foo", "input": ["call:2"]})
    looks = []
    source_of = graphs.source_of
    monkeypatch.setattr(graphs, "source_of", lambda text: looks.append(text) or source_of(text))
    program = graphs.Program(Reader(b"", graphs.SCHEMAS, ""), Path(), {})
    program.follow(graphs.scope_of(nodes), ["end"])
    assert [len(each.outputs) for each in program.operations] == [*[1] * 300, 3, 1]
    assert max(Counter(looks).values()) <= 4


def test_a_loop_is_an_unknown_layer_with_its_weights():
    model = archspec.load(FILES / "recurrent")
    loop = next(node for node in model.graph.nodes if node.name == "recurrence/while")
    assert loop.layer.params == 3 * 4 * (5 + 4 + 2)
    assert model.graph.nodes[-1].layer.params == model.params - loop.layer.params == 4 * 3 + 3
    assert any("repeats its steps" in each.reason for each in model.unknown)


RESTORED = [
    ("separable/separable_conv2d", 0, (3, 3, 16, 1)),
    ("separable", 1, (8,)),
    ("transposed", 0, (3, 3, 4, 8)),
    ("conv", 0, (3, 3, 3, 8)),
    ("norm", 1, (8,)),
    ("scores", 1, (10,)),
    ("unscaled", 0, (8,)),
    ("dilated", 1, (8,)),
    ("transposed", 1, (4,)),
    ("norm", 0, (8,)),
    ("depthwise", 1, (8,)),
    ("dilated", 0, (3, 3, 8, 8)),
    ("separable", 0, (1, 1, 16, 8)),
    ("scores", 0, (900, 10)),
    ("depthwise", 0, (3, 3, 8, 1)),
    ("unscaled", 2, (8,)),
    ("norm", 2, (8,)),
    ("unscaled", 1, (8,)),
    ("norm", 3, (8,)),
]
"""Layer, place and shape of the variables that the graph of keras_export restores, by number."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A SavedModel whose checkpoint has a number of its own in each variable."""
    shutil.copytree(FILES / "keras_export", tmp_path / "model")
    variables = tmp_path / "model" / "variables"
    variables.mkdir()
    arrays = {
        f"_all_variables/{number}/.ATTRIBUTES/VARIABLE_VALUE": np.full(shape, number)
        for number, (_, _, shape) in enumerate(RESTORED)
    }
    write_checkpoint(variables / "variables", arrays)
    return variables


def test_each_weight_is_the_variable_that_the_graph_restores(folder):
    """A norm in several steps has its factor first, then offset, mean and variance."""
    weights = archspec.load(folder.parent).weights()
    found = {
        (layer, place): (array.shape, set(array.ravel().tolist()))
        for layer, arrays in weights.items()
        for place, array in enumerate(arrays)
    }
    assert found == {
        (layer, place): (shape, {number}) for number, (layer, place, shape) in enumerate(RESTORED)
    }


def test_without_its_variables_a_model_has_a_table_and_no_weights():
    model = archspec.load(FILES / "keras_export")
    assert not model.has_weights
    assert any("a folder `variables` has them" in note for note in model.notes)


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("variables.index", 3, "check sum of a block"),
        ("variables.index", -1, "does not end as a checkpoint's index does"),
        ("variables.data-00000-of-00001", 9, "the check sum of `_all_variables"),
    ],
)
def test_a_byte_that_changed_is_told_by_a_check_sum(folder, name, place, reason):
    content = bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(content)
    model = archspec.load(folder.parent)
    with pytest.raises(UsageError, match=reason):
        model.weights()


def test_arrays_that_are_cut_are_told(folder):
    data = folder / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(UsageError, match="it ends before the array"):
        archspec.load(folder.parent).weights()


def test_a_damaged_checkpoint_gives_weights_or_a_sentence(folder):
    """The sums are made right again, so that what they protect is read too."""
    random = Random(1)  # noqa: S311  (it keeps no secret)
    index = folder / "variables.index"
    content = index.read_bytes()
    model = archspec.load(folder.parent)
    block = content.index(b"\0\0\0\0\1\0\0\0")  # the end of the first
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(random.choice([1, 2, 4])):
            damaged[random.randrange(block)] = random.choice([0, 1, 127, 128, 255])
        damaged[block + 9 : block + 13] = masked(bytes(damaged[: block + 9]))
        index.write_bytes(damaged)
        with suppress(ArchspecError):  # anything else fails the test
            assert len(model.weights()) == 9


_EXPORT = """
import os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
from keras import layers
x = image = layers.Input((9, 9, 3))
x = layers.Conv2D(8, 3, name="conv")(x)
x = layers.BatchNormalization(name="norm")(x)
x = layers.SeparableConv2D(6, 3, name="separable")(x)
x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(x)
x = layers.Dense(5, name="each_place")(x)
model = keras.Model(image, layers.Dense(2, name="end")(layers.Flatten()(x)))
for variable in model.variables:
    variable.assign(keras.random.normal(variable.shape))
model.save(sys.argv[1] + "/model.keras")
model.export(sys.argv[1] + "/saved", verbose=False)
"""


@pytest.mark.keras
@pytest.mark.slow
def test_the_weights_of_an_export_are_those_of_the_keras_file(tmp_path):
    subprocess.run([sys.executable, "-c", _EXPORT, tmp_path], check=True)
    saved = archspec.load(tmp_path / "saved").weights()
    kept = archspec.load(tmp_path / "model.keras").weights()
    assert [len(each) for each in saved.values()] == [len(each) for each in kept.values()]
    for ours, theirs in zip(saved.values(), kept.values(), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one, other)

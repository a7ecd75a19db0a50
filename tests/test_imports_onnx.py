"""ONNX files and PyTorch's .pt2 archives as networks: one test for each trap of the formats."""

import contextlib
import shutil
import struct
import zipfile
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.broken_files import changed
from support.models import built

import archspec
from archspec.errors import UsageError
from archspec.imports.onnx.proto import SCHEMAS
from archspec.imports.onnx.source import read_source
from archspec.imports.protobuf import Reader, Span
from archspec.ops.shape import UnknownShape
from archspec.ops.unknown import Unknown

FILES = Path(__file__).parent / "model_files" / "onnx"
ONNX = sorted(path.name for path in FILES.glob("*.onnx"))


def layers(name: str) -> dict[str, str]:
    """Return the labels of a file's layers by their names."""
    return {node.name: node.op.label for node in archspec.load(FILES / name).graph.nodes}


def totals(name: str) -> tuple[int, int]:
    costs = archspec.report(archspec.load(FILES / name)).totals
    return costs.params, costs.macs


@pytest.fixture
def onnx():
    """The official package, for tests that write files."""
    return pytest.importorskip("onnx")


@pytest.fixture
def network(tmp_path):
    """A function that returns the model of a file with these nodes."""
    pytest.importorskip("onnx")
    from support.onnx_files import network

    return partial(network, tmp_path / "net.onnx")


# The reader of the wire format, against the official one


@pytest.mark.parametrize("name", ONNX)
def test_a_file_is_read_as_the_onnx_package_reads_it(onnx, name):
    theirs = onnx.load(FILES / name, load_external_data=False)
    ours = read_source(FILES / name)
    graph = theirs.graph
    assert (ours.producer, ours.version) == (theirs.producer_name, theirs.producer_version)
    assert [(s.op.rpartition(".")[2], s.name) for s in ours.graph.steps] == [
        (node.op_type, node.name) for node in graph.node
    ]
    assert [(*s.inputs, *s.outputs) for s in ours.graph.steps] == [
        (*node.input, *node.output) for node in graph.node
    ]
    for step, node in zip(ours.graph.steps, graph.node, strict=True):
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.TensorProto):
                expected = onnx.numpy_helper.to_array(value)
                np.testing.assert_array_equal(step.attributes[attribute.name].load(), expected)
            elif not isinstance(value, onnx.GraphProto):
                value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                read = step.attributes[attribute.name]
                # 1e-5 is read as what it was before it had 32 bits.
                assert (np.float32(read) if isinstance(value, float) else read) == value
    for tensor in graph.initializer:
        constant = ours.graph.constants[tensor.name]
        assert constant.dims == tuple(tensor.dims)
        if not tensor.external_data:
            np.testing.assert_array_equal(constant.load(), onnx.numpy_helper.to_array(tensor))
    assert set(ours.graph.inputs) == {each.name for each in graph.input} - {
        each.name for each in graph.initializer
    }


def test_numbers_of_every_kind_are_read_in_and_out_of_lists():
    data = (
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 1: -1
         b"\x15" + struct.pack("<f", 0.5)  # 2: a float
        + b"\x1a\x03\x01\xac\x02"  # 3: [1, 300] in one piece
        + b"\x18\x07"  # 3: 7 alone
        + b"\x22\x02hi"  # 4: text
        + b"\x7a\x01?"  # 15: not in the table
    )  # fmt: skip
    fields = {1: ("a", "int"), 2: ("b", "float"), 3: ("c", "int*"), 4: ("d", "text")}
    read = Reader(data, {"M": fields}, "x").message("M")
    assert read == {"a": -1, "b": 0.5, "c": [1, 300, 7], "d": "hi"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0a\xff\xff\xff\xff\x0f", "ends in the middle of a field"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends in the middle of a number"),
        (b"\x0b", "a field of an unknown type, 3"),
        (b"\x3a\x02\x08", "ends in the middle"),
        (b"\x08\x01\x0a\x01\x01", "`ir_version` is not as it should be"),  # a number, and a list
    ],
)
def test_damaged_bytes_are_refused_with_a_sentence(data, message):
    with pytest.raises(UsageError, match=message):
        Reader(data, SCHEMAS, "net.onnx").message("Model")


def test_messages_inside_each_other_are_bounded():
    data = b""
    for _ in range(200):
        size = len(data)
        prefix = b"\x0a" + bytes([size & 127 | 128, size >> 7])
        data = prefix + data
    with pytest.raises(UsageError, match="more than 60 messages are inside each other"):
        Reader(data, {"M": {1: ("m", "M")}}, "x").message("M")


def test_arrays_are_not_read_with_the_graph():
    class Watched(bytes):
        reads: list[slice] = []  # noqa: RUF012

        def __getitem__(self, key):
            if isinstance(key, slice):
                self.reads.append(key)
            return super().__getitem__(key)

    tensor = b"\x4a\x84\x80\x80\x00" + b"\0\0\0\0"  # raw_data of four bytes
    data = Watched(tensor)
    read = Reader(data, SCHEMAS, "x").message("Tensor")
    assert read["raw_data"] == [Span(5, 9)]
    assert Watched.reads == []


@pytest.mark.parametrize("name", ["torch_script_net.onnx", "unknown.onnx", "caffe2.onnx"])
def test_a_damaged_file_gives_a_table_or_a_sentence(tmp_path, name):
    content = (FILES / name).read_bytes()
    random = Random(0)  # noqa: S311  (it keeps no secret)
    path = tmp_path / "damaged.onnx"
    for _ in range(150):
        path.write_bytes(changed(content, random))
        with contextlib.suppress(archspec.ArchspecError):
            assert archspec.load(path).graph.nodes


def test_a_pt2_archive_with_another_graph_is_refused_with_its_place(tmp_path):
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(FILES / "torch_net.pt2") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, source.read(name).replace(b'{"as_tensor": {"name"', b'{"as_tensor": {"nam"')
            )
    with pytest.raises(
        UsageError, match=r"model.json is not as PyTorch writes it: `name` is missing"
    ):
        archspec.load(path)


def test_a_pt2_archive_with_damaged_weights_is_refused_when_they_are_asked_for(tmp_path):
    content = bytearray((FILES / "torch_net.pt2").read_bytes())
    with zipfile.ZipFile(FILES / "torch_net.pt2") as source:
        weight = source.read("torch_net/data/weights/weight_0")
    content[content.index(weight)] ^= 1
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    model = archspec.load(path)
    with pytest.raises(UsageError, match=r"net.pt2 was not opened: the zip is damaged \(Bad CRC"):
        model.weights()


# torch


TORCH = ["torch_script_net.onnx", "torch_dynamo_net.onnx", "torch_net.pt2"]


@pytest.mark.parametrize("name", TORCH)
def test_all_of_torchs_exporters_give_one_network(name):
    model = archspec.load(FILES / name)
    shapes = {node.name: tuple(node.shape) for node in model.graph.nodes}
    assert not model.unknown
    assert shapes["conv1"] == (11, 11, 8)
    assert shapes["fc"] == (5,)
    assert totals(name)[1] == 30_408


def test_a_batch_norm_counts_only_where_the_exporter_kept_it():
    # 503 parameters by torch; the moving statistics, 16 numbers, are buffers there.
    unfolded = archspec.report(archspec.load(FILES / "torch_script_unfolded.onnx")).totals
    exported = archspec.load(FILES / "torch_net.pt2")
    assert unfolded.trainable == exported.params == 503
    assert archspec.report(exported).totals.params == 519
    assert totals("torch_script_net.onnx")[0] == 503 - 16 + 8  # a bias instead
    for name in ("torch_script_net.onnx", "torch_dynamo_net.onnx"):
        assert any("batch norm folded in" in note for note in archspec.load(FILES / name).notes)


def test_layers_have_the_names_of_torchs_modules():
    for name in TORCH:
        assert {"conv1", "depthwise", "grouped", "squeeze", "excite", "fc"} <= set(layers(name))


def test_functions_of_several_steps_are_one_layer():
    labels = list(layers("torch_script_net.onnx").values())
    assert labels.count("SWISH") == 1
    assert labels.count("HARD_SWISH") == 1
    assert "MULTIPLY" in labels  # the gate alone


def test_transposes_that_only_change_the_layout_vanish():
    kinds = [node.op.kind for node in archspec.load(FILES / "keras_tf.onnx").graph.nodes]
    assert "permute" not in kinds
    assert "reshape" not in kinds


def test_flattened_maps_are_not_permuted_and_a_note_says_so():
    model = archspec.load(FILES / "torch_script_maps.onnx")
    assert "permute" not in [node.op.kind for node in model.graph.nodes]
    assert any("channels first" in note for note in model.notes)


@pytest.mark.parametrize("name", ["torch_dynamo_attention.onnx", "torch_script_attention.onnx"])
def test_attention_is_products_and_a_softmax(name):
    labels = list(layers(name).values())
    assert labels.count("MATMUL") == 2
    assert labels.count("SOFTMAX") == 1
    assert not archspec.load(FILES / name).unknown


def test_a_split_a_swap_and_a_joint_of_channels_is_a_shuffle():
    for name in ("torch_script_shuffle.onnx", "torch_dynamo_shuffle.onnx", "torch_shuffle.pt2"):
        kinds = [node.op.kind for node in archspec.load(FILES / name).graph.nodes]
        assert kinds[1:] == ["convolution", "group_norm", "channel_shuffle", "depth_to_space"]


def test_the_two_biases_of_a_recurrence_are_added_up():
    model = archspec.load(FILES / "torch_sequence.pt2")
    assert model.params == 631
    assert totals("torch_sequence.pt2")[0] == 631 - 40
    assert any("two biases" in note for note in model.notes)
    assert totals("torch_gru.pt2")[0] == archspec.load(FILES / "torch_gru.pt2").params == 213


def test_weights_in_another_file_are_not_needed_and_not_opened(tmp_path):
    name = "torch_dynamo_attention.onnx"
    path = tmp_path / name
    shutil.copy(FILES / name, path)
    model = archspec.load(path)
    assert archspec.report(model).totals.macs == totals("torch_script_attention.onnx")[1]
    (tmp_path / f"{name}.data").write_bytes(b"\0" * 100_000)
    with pytest.raises(UsageError, match="is in another file, which archspec does not open"):
        model.weights()


def test_open_extents_are_formulas():
    report = archspec.report(archspec.load(FILES / "torch_script_open.onnx"))
    assert "height" in str(report.totals.macs)
    assert report.totals.params == totals("torch_script_net.onnx")[0]


# Keras and tf2onnx


def test_tf2onnx_folds_a_norm_only_after_a_convolution_without_bias():
    labels = layers("keras_tf.onnx")
    assert "bn1" not in labels
    assert labels["bn2"] == "SCALE"
    notes = archspec.load(FILES / "keras_tf.onnx").notes
    assert any("2 numbers a channel instead of 4" in note for note in notes)
    assert any("tf2onnx leaves out biases" in note for note in notes)


def test_tf2onnx_keeps_the_names_of_keras_inside_its_own():
    names = ["conv1", "relu1", "pad", "pool1", "depthwise", "silu", "sum", "joined", "fc1", "fc2"]
    assert [name for name in layers("keras_tf.onnx") if name in names] == names


def test_windows_of_jax_slide_along_places_alone():
    """jax2onnx has the batch and the channels among the places, and sums instead of means."""
    model = archspec.load(FILES / "keras_jax.onnx")
    assert not model.unknown
    labels = list(layers("keras_jax.onnx").values())
    assert [label for label in labels if "POOL" in label] == ["POOL3", "AVGPOOL2"]
    assert labels.count("RESCALE") == 1  # of the pixels: the sum's factor and divisor cancel


def test_a_grouped_convolution_of_tf2onnx_is_unknown_and_named():
    model = archspec.load(FILES / "keras_tf_grouped.onnx")
    assert [layer.type for layer in model.unknown][:1] == ["StatefulPartitionedCall"]


def test_a_bias_whose_shape_follows_from_its_layers_output_is_one():
    nodes = archspec.load(FILES / "keras_torch.onnx").graph.nodes
    assert [node.name for node in nodes if node.op.kind == "parameter"] == []
    assert not any("folded in" in note for note in archspec.load(FILES / "keras_torch.onnx").notes)


def test_amounts_of_padding_that_keras_on_torch_computes_are_known():
    model = archspec.load(FILES / "keras_torch.onnx")
    assert len(model.graph.nodes) < 30
    assert not model.unknown
    assert totals("keras_torch.onnx")[1] == totals("keras_tf.onnx")[1]


# Paddle, Caffe2 and what is rarer


def test_paddles_weights_are_nodes_and_its_extents_have_names():
    assert totals("paddle.onnx") == (3 * 3 * 3 * 4 + 4 + 4 * 2 + 2, 27 * 4 * 64 + 8)
    assert archspec.load(FILES / "paddle.onnx").graph.input == (8, 8, 3)


def test_caffe2s_weights_are_inputs_of_the_graph_and_no_inputs_of_the_network():
    model = archspec.load(FILES / "caffe2.onnx")
    assert list(model.graph.inputs) == ["data"]
    assert totals("caffe2.onnx")[0] == 6 * 27 + 6 + 5 * 96 + 5
    with pytest.raises(UsageError, match="no values for conv1_b"):
        model.weights()


def test_a_declared_shape_that_is_wrong_is_a_note():
    model = archspec.load(FILES / "ceil.onnx")
    assert model.graph.output == (3, 3, 2)
    assert any("z 4x4x2, not 3x3x2" in note for note in model.notes)


def test_of_an_if_that_decides_as_it_runs_one_branch_is_shown():
    model = archspec.load(FILES / "branches.onnx")
    assert [node.op.label for node in model.graph.nodes] == ["INPUT", "CONV3-4", "RELU"]
    assert any("chooses between two networks" in note for note in model.notes)


def test_unknown_operators_are_named_with_what_is_known():
    model = archspec.load(FILES / "unknown.onnx")
    types = [(layer.name, layer.type) for layer in model.unknown]
    assert types[:3] == [("warp", "my.ops.Warp"), ("loop", "Loop"), ("nms", "NonMaxSuppression")]
    nodes = {node.name: node for node in model.graph.nodes}
    warp = nodes["warp"].op
    assert isinstance(warp, Unknown)
    assert nodes["warp"].shape == (6, 6, 4)  # the file declares it
    assert [weight.shape for weight in warp.weights()] == [(4, 7)]
    assert nodes["relu"].op.label == "RELU"
    assert isinstance(nodes["last"].shape, UnknownShape)


@pytest.mark.parametrize(
    ("ending", "macs", "told"),
    [
        ([("ArgMax", ["maps"], {"axis": 1})], "15,552", "15,552"),
        ([("TopK", ["maps", "k"], {"axis": 1})], "15,552", "15,552"),
        ([("my.ops.ArgMax", ["maps"], {})], "15,552 + ?", "at least 15,552 + unknown"),
        # A product of a grid with a matrix.
        ([("AffineGrid", ["maps", "k"], {})], "15,552 + ?", "at least 15,552 + unknown"),
        # What stands in the batch is counted once, so that what follows is too little.
        ([("Tile", ["maps", "copies"], {})], "15,552 + ?", "at least 15,552 + unknown"),
    ],
)
def test_a_type_that_never_multiplies_leaves_the_macs_known(network, onnx, ending, macs, told):
    nodes = [onnx.helper.make_node("Conv", ["x", "kernel"], ["maps"], pads=[1, 1, 1, 1])]
    for op, inputs, attributes in ending:
        domain, _, word = op.rpartition(".")
        nodes.append(onnx.helper.make_node(word, inputs, ["y"], domain=domain, **attributes))
    arrays = {"kernel": np.ones((4, 3, 3, 3), np.float32), "k": np.array([2]),
              "copies": np.array([2, 1, 1, 1])}  # fmt: skip
    model = network([1, 3, 12, 12], nodes, arrays)
    report = archspec.report(model)
    assert len(model.unknown) == 1
    assert f"{report.totals.macs:,}" == macs
    assert any(line.startswith("MACs") and told in line.replace("\xa0", " ")
               for line in str(report).splitlines())  # fmt: skip


@pytest.mark.parametrize(
    ("producer", "op", "arrays", "shape"),
    [
        ("pytorch", "Relu", {}, "16x24x5"),
        ("", "Relu", {}, "5x16x24"),  # nothing tells: as in a file of TensorFlow's
        ("", "Pad", {"pads": np.array([0, 0, 1, 2, 0, 0, 1, 2])}, "18x28x5"),
        ("", "Resize", {"": "", "scales": np.float32([1, 1, 2, 2])}, "32x48x5"),
    ],
)
def test_maps_without_a_convolution_have_the_channels_that_torch_or_a_resize_gives_them(
    network, onnx, producer, op, arrays, shape
):
    nodes = [onnx.helper.make_node(op, ["x", *arrays], ["y"])]
    stored = {name: value for name, value in arrays.items() if name}
    model = network([1, 5, 16, 24], nodes, stored, producer=producer)
    assert str(model.graph.nodes[-1].shape) == shape
    assert not model.unknown


def test_the_numbers_that_say_how_to_resize_are_no_weights(network, onnx):
    nodes = [onnx.helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="cubic")]
    scales = {"scales": np.float32([1, 2, 1, 1])}
    model = network([1, 5, 16, 24], nodes, scales, producer="pytorch")
    (node,) = model.unknown_nodes
    assert node.op.weights() == ()


def test_the_extents_of_a_sum_along_axes_that_are_not_known_are_not_known(network, onnx):
    make = onnx.helper.make_node
    nodes = [
        make("Warp", ["x"], ["axes"], domain="my.ops"),
        make("ReduceLogSum", ["x", "axes"], ["sum"]),
        make("Relu", ["sum"], ["y"]),
    ]
    model = network([1, 5, 16, 24], nodes, {})
    assert isinstance(model.graph.nodes[-2].shape, UnknownShape)


def test_an_array_less_a_value_is_the_value_turned_around_and_the_array_added(network, onnx):
    """As YOLO's boxes are; an axis of one place may stand behind those of the file."""
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "kernel"], ["maps"]),
        make("Reshape", ["maps", "shape"], ["places"]),
        make("Sub", ["grid", "places"], ["y"]),
    ]
    grid = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    arrays = {
        "kernel": np.ones((1, 4, 1, 1), np.float32),
        "shape": np.array([1, 2, 3]),
        "grid": grid,
    }
    model = network([1, 4, 2, 3], nodes, arrays)
    assert not model.unknown
    assert [node.op.kind for node in model.graph.nodes[2:4]] == ["rescale", "parameter"]
    (added,) = (arrays[0] for name, arrays in model.weights().items() if arrays[0].size == 6)
    assert added.ravel().tolist() == grid.ravel().tolist()


def test_a_loop_counts_the_weights_that_its_body_has_or_reads_from_around_it(network, onnx):
    make, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    arrays = {name: np.ones((4, 4), np.float32) for name in ("inner", "outer")}
    body = onnx.helper.make_graph(
        [
            make("MatMul", ["state", "inner"], ["a"]),
            make("MatMul", ["a", "outer"], ["next"]),
            make("Identity", ["go"], ["on"]),
        ],
        "body",
        [value("i", 7, []), value("go", 9, []), value("state", 1, [1, 4])],
        [value("on", 9, []), value("next", 1, [1, 4])],
        [onnx.numpy_helper.from_array(arrays.pop("inner"), "inner")],
    )
    nodes = [make("Loop", ["count", "", "x"], ["y"], body=body)]
    model = network([1, 4], nodes, arrays | {"count": np.array(3)})
    (node,) = model.unknown_nodes
    assert [weight.shape for weight in node.op.weights()] == [(4, 4), (4, 4)]


def test_a_files_own_operators_are_written_out():
    assert list(layers("functions.onnx").values()) == [
        "INPUT", "CONV3-4", "RELU", "CONV3-5", "RELU"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["torch_script_idioms.onnx", "torch_idioms.pt2"])
def test_what_is_expanded_by_hand_and_told_apart_is_known(name):
    """A gate is as large as its maps for a product alone; tokens have an axis for their parts."""
    model = archspec.load(FILES / name)
    assert not model.unknown
    assert totals(name)[0] == (24 + 8) + (64 + 8) + 8 + (192 + 24) + 64
    assert model.params in (None, totals(name)[0])
    assert str(model.graph.output) == "8"


def test_a_kernel_that_two_layers_use_counts_once():
    assert totals("shared.onnx") == (4 * 4 * 9, 2 * 4 * 4 * 9 * 64)


# Constants that are not weights


POSITIONS = ["torch_script_positions.onnx", "torch_positions.pt2"]


@pytest.mark.parametrize("name", POSITIONS)
def test_what_a_model_computes_from_weights_or_keeps_in_a_buffer_is_not_trained(name):
    """40 of 318 parameters are positions of 2 rows and 3 columns, added up to 48 numbers."""
    model = archspec.load(FILES / name)
    costs = archspec.report(model).totals
    assert not model.unknown
    assert costs.trainable == 318 - 40
    assert costs.params - costs.trainable == 48 + 36  # and the mask of 6 queries and 6 keys
    notes = "\n".join(model.notes)
    assert "One layer has 48 numbers that were computed before the network runs" in notes
    assert "One layer has 36 numbers that are constants and not parameters of the model" in notes
    # An ONNX file does not have the 40: the exporter left the 48 alone in it.
    exact = "learned 40 others, from which they follow" if name.endswith(".pt2") else "may have"
    assert f"and the model {exact}" in notes


def test_offsets_of_scores_are_the_table_of_relative_positions_that_they_follow_from():
    """A window of 2x3 has 3 * 5 ways, which both heads have a number for; 72 are written out."""
    for name in POSITIONS:
        model = archspec.load(FILES / name)
        (node,) = [n for n in model.graph.nodes if n.op.kind == "relative_position_bias"]
        assert node.op.window == (2, 3)
        assert node.layer.params == 30
    notes = "\n".join(archspec.load(FILES / POSITIONS[0]).notes)
    assert "One table of relative positions is read out of the offsets" in notes


def test_offsets_whose_values_are_in_another_file_count_as_not_trained():
    model = archspec.load(FILES / "torch_dynamo_positions.onnx")
    costs = archspec.report(model).totals
    assert costs.trainable == 318 - 40 - 30
    assert costs.params - costs.trainable == 48 + 36 + 72


@pytest.mark.parametrize(
    "name", ["torch_script_equal.onnx", "torch_dynamo_equal.onnx", "torch_equal.pt2"]
)
def test_equal_arrays_that_an_exporter_stored_once_count_for_each_layer(name):
    model = archspec.load(FILES / name)
    assert totals(name)[0] == 12 + 4 + 2 * 8 + 2 * (16 + 4)
    assert {"first.0", "second.0", "third"} <= set(layers(name))
    merged = any("the exporter stored once" in note for note in model.notes)
    assert merged == name.endswith(".onnx")


@pytest.mark.parametrize("name", ["torch_script_tied.onnx", "torch_tied.pt2"])
def test_a_table_that_is_also_a_kernel_counts_in_both_layers_and_a_note_says_so(name):
    model = archspec.load(FILES / name)
    assert totals(name)[0] == 55 + 28
    assert model.params in (None, 55)
    (note,) = model.notes
    assert "has 28 numbers in common with" in note


def test_buffers_that_a_state_dict_lacks_are_read_from_the_archives_constants():
    weights = archspec.load(FILES / "torch_positions.pt2").weights()
    by_table = archspec.load(FILES / "torch_script_positions.onnx").weights()
    np.testing.assert_array_equal(weights["add_2"][0], by_table["Add_1"][0])


# Numbers


@pytest.mark.keras
@pytest.mark.parametrize(
    "name",
    [
        "torch_script_net.onnx",
        "torch_script_unfolded.onnx",
        "torch_script_maps.onnx",
        "torch_script_attention.onnx",
        "torch_script_shuffle.onnx",
        "torch_script_sequence.onnx",
        "torch_script_gru.onnx",
        "torch_script_idioms.onnx",
        "torch_script_positions.onnx",
        "torch_script_equal.onnx",
        "keras_tf.onnx",
        "keras_torch.onnx",
        "paddle.onnx",
        "shared.onnx",
    ],
)
def test_with_the_files_weights_the_model_gives_the_files_outputs(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    imported = archspec.load(FILES / name)
    model = built(imported)
    session = onnxruntime.InferenceSession(str(FILES / name), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [n if isinstance(n, int) else 1 for n in given.shape]
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    (expected, *_) = session.run(None, {given.name: x})
    own = imported.graph.input
    if name == "torch_script_gru.onnx":
        got = np.asarray(model(np.moveaxis(x, 1, 0))).transpose(1, 0, 2)
    else:
        rearranged = x if x.shape[1:] == tuple(own) else np.moveaxis(x, 1, -1)
        got = np.asarray(model(rearranged))
        got = got if got.shape == expected.shape else np.moveaxis(got, -1, 1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_an_archive_are_read_from_it():
    model = archspec.load(FILES / "torch_net.pt2")
    weights = model.weights()
    for node in model.graph.nodes:
        if node.name in weights:
            shapes = [array.shape for array in weights[node.name]]
            assert shapes == [weight.shape for weight in node.layer.weights]
    assert weights["conv1"][0].std() > 0


def _whole_numbers(make, form: str):
    """Return the nodes of a convolution and a dense layer, as onnxruntime quantizes them."""
    one = ["scale", "zero"]
    if form == "around":
        return [
            make("QuantizeLinear", ["x", *one], ["q"]),
            make("DequantizeLinear", ["q", *one], ["r"]),
            make("DequantizeLinear", ["kernel", *one], ["w"]),
            make("DequantizeLinear", ["bias", "scale2", "zero2"], ["b"]),
            make("Conv", ["r", "w", "b"], ["maps"]),
            make("Flatten", ["maps"], ["flat"]),
            make("DequantizeLinear", ["matrix", *one], ["m"]),
            make("DequantizeLinear", ["offsets", "scale2", "zero2"], ["o"]),
            make("Gemm", ["flat", "m", "o"], ["y"]),
        ]
    if form == "whole":
        return [
            make("QuantizeLinear", ["x", *one], ["q"]),
            make("QLinearConv", ["q", *one, "kernel", *one, *one, "bias"], ["maps"]),
            make("Flatten", ["maps"], ["flat"]),
            make(
                "QGemm",
                ["flat", *one, "matrix", *one, "offsets", *one],
                ["z"],
                domain="com.microsoft",
            ),
            make("DequantizeLinear", ["z", *one], ["y"]),
        ]
    return [
        make("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make("ConvInteger", ["q", "kernel", "z", "zero"], ["i"]),
        make("Cast", ["i"], ["f"], to=1),
        make("Mul", ["s", "scale"], ["both"]),
        make("Mul", ["f", "both"], ["scaled"]),
        make("DequantizeLinear", ["bias", "scale2", "zero2"], ["b"]),
        make("Reshape", ["b", "shape"], ["b4"]),
        make("Add", ["scaled", "b4"], ["maps"]),
        make("Flatten", ["maps"], ["flat"]),
        make("DynamicQuantizeLinear", ["flat"], ["q2", "s2", "z2"]),
        make("MatMulInteger", ["q2", "matrix", "z2", "zero"], ["i2"]),
        make("Cast", ["i2"], ["f2"], to=1),
        make("Mul", ["s2", "scale"], ["both2"]),
        make("Mul", ["f2", "both2"], ["scaled2"]),
        make("DequantizeLinear", ["offsets", "scale2", "zero2"], ["o"]),
        make("Add", ["scaled2", "o"], ["y"]),
    ]


@pytest.mark.parametrize("form", ["around", "whole", "dynamic"])
def test_layers_of_whole_numbers_are_those_that_they_stand_for(network, onnx, form):
    """Kernels of 8 bits have a scale, biases of 32 that of the input and the kernel together."""
    arrays = {
        "kernel": np.full((4, 3, 3, 3), 3, np.int8),
        "bias": np.full(4, 7, np.int32),
        "matrix": np.arange(4 * 36 * 5, dtype=np.int8).reshape(4 * 36, 5),
        "offsets": np.full(5, -2, np.int32),
        "scale": np.float32(0.5),
        "zero": np.int8(1),
        "scale2": np.float32(0.25),
        "zero2": np.int32(0),
        "shape": np.array([1, 4, 1, 1]),
    }
    nodes = _whole_numbers(onnx.helper.make_node, form)
    model = network([1, 3, 8, 8], nodes, arrays)
    assert not model.unknown
    labels = [node.op.label for node in model.graph.nodes]
    assert labels == ["INPUT", "CONV3-4", "FLATTEN", "FC-5"]
    costs = archspec.report(model).totals
    assert costs.params == costs.trainable == 4 * 27 + 4 + 144 * 5 + 5
    kernel, bias, matrix, offsets = (
        array for arrays in model.weights().values() for array in arrays
    )
    assert (kernel == (3 - 1) * 0.5).all()
    assert (bias == 7 * 0.25).all()
    assert matrix.min() == (-128 - 1) * 0.5
    assert (offsets == -2 * 0.25).all()


@pytest.mark.parametrize(
    ("op", "what"),
    [
        ("TreeEnsembleClassifier", "an ensemble of trees"),
        ("SVMRegressor", "a support vector machine"),
        ("Scaler", "`Scaler` without any layers"),
    ],
)
def test_a_model_that_is_no_network_is_refused_in_a_sentence(network, onnx, op, what):
    """As skl2onnx writes those of scikit-learn."""
    node = onnx.helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml")
    with pytest.raises(UsageError, match=rf"scikit-learn's \({what}\), and no neural network"):
        network([1, 4], [node], {})


def test_the_statistics_of_a_norm_of_unknown_shape_are_not_trained(network, onnx):
    make = onnx.helper.make_node
    names = ["scale", "bias", "mean", "variance"]
    nodes = [
        make("Warp", ["x"], ["w"], domain="my.ops"),
        make("BatchNormalization", ["w", *names], ["y"]),
    ]
    model = network([1, 4, 6, 6], nodes, {name: np.ones(4, np.float32) for name in names})
    node = model.graph.nodes[-1]
    assert (node.layer.params, node.layer.trainable) == (16, 8)

"""Model files as networks: formats by their bytes, names, unknown layers, what is refused."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.commands import run

import archspec
from archspec.cli import main
from archspec.errors import UsageError
from archspec.imports.building import ModelBuilder
from archspec.imports.formats import find_format
from archspec.imports.loading import needs_spec
from archspec.ops.arrangement import Flatten
from archspec.ops.convolution import Convolution, FullyConnected
from archspec.ops.merge import Concat
from archspec.ops.op import Weight
from archspec.render.formulas import formulas
from archspec.render.report import value


def builder(**inputs: tuple[int | None, ...]) -> ModelBuilder:
    shapes = inputs or {"image": (8, 8, 3)}
    return ModelBuilder("net.onnx", shapes, name="net", format_name="ONNX, opset 18")


# Formats


@pytest.mark.parametrize(
    ("name", "content", "format_name"),
    [
        ("a.keras", b"\x89HDF\r\n\x1a\n....", "Keras"),
        ("a.bin", b"\x1c\x00\x00\x00TFL3....", "TFLite"),
        ("a.bin", b"\x08\x08\x12\x07pytorch\x00", "ONNX"),
        ("a.json", b'{"class_name": "Sequential", "config": {"layers": []}}', "Keras"),
        ("a.yaml", b"backend: tensorflow\nclass_name: Model\nconfig:\n  layers: []\n", "Keras"),
        ("a.txt", b"# net\n[net]\nwidth=416\n", "Darknet configuration"),
        ("a.txt", b'name: "LeNet"\ninput: "data"\nlayer {\n}\n', "Caffe prototxt"),
        ("saved_model.pb", b"\x08\x01\x12\xff\x00", "SavedModel"),
        ("a.yaml", b"name: net\ninput: [8, 8, 3]\nlayers:\n- class_name: 3\n", None),
        ("a.json", b'{"name": "net", "layers": [{"conv": 8}]}', None),
        ("a.yaml", b"", None),
    ],
)
def test_the_first_bytes_tell_the_format(tmp_path, name, content, format_name):
    path = tmp_path / name
    path.write_bytes(content)
    found = find_format(path)
    assert (found and found.name) == format_name


@pytest.mark.parametrize(
    ("name", "content", "way_out"),
    [
        ("net.pt", b"\x80\x02}q\x00.", "in PyTorch, write"),
        ("net.mlmodel", b"\x08\x04\x12\x08\n\x05image\0", "give the file that it was"),
        ("net.py", b"import keras\n", "end it with `model.save"),
    ],
)
def test_where_a_spec_is_needed_a_file_that_is_not_read_is_not_to_be_imported(
    tmp_path, name, content, way_out
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=way_out):
        needs_spec(path, "`archspec.fit`")


def test_a_check_reads_a_file_at_a_given_size(tmp_path):
    file = tmp_path / "net.cfg"
    file.write_text("[net]\nheight=8\nwidth=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\n")
    (proved,) = archspec.check(file, input=[32, 32, 3]).networks
    assert proved.report.graph.nodes[0].shape == (32, 32, 3)
    with pytest.raises(
        UsageError, match="has no variable `classes` to set: it takes `input`, `weights`"
    ):
        archspec.check(file, classes=10)
    with pytest.raises(UsageError, match="has no variant `wide`"):
        archspec.check(file, variant="wide")
    with pytest.raises(UsageError, match="is loaded already: give its path"):
        archspec.check(archspec.load(file), input=[32, 32, 3])


GRAPH_DEF = b"\n\x14\n\x05input\x12\x0bPlaceholder\n\x0f\n\x05conv1\x12\x06Conv2D"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
PAGE = b"\n<!DOCTYPE html>\n<html lang=en><title>Sign in</title></html>"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.pb", GRAPH_DEF, r"TensorFlow 1 .*: `tf2onnx.convert`, told the names"),
        ("net.mlmodel", b"\x08\x04\x12\x08\n\x05image\0", "Core ML model: give the file that"),
        ("net.xml", b'<?xml version="1.0"?>\n<net name="n" version="11">', "network of OpenVINO"),
        ("net.param", b"7767517\n3 3\nInput data 0 1 data\n", "network of ncnn"),
        ("net", b'\x3c\0\0\0\0\0\0\0{"w": {"dtype": "F32"}}', "weights without a network"),
        ("net.mat", b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "write `exportONNXNetwork"),
        ("net.json", b'{"format": "layers-model", "modelTopology": {}}', "TensorFlow.js: give"),
        ("n-symbol.json", b'{"nodes": [{"op": "null"}], "arg_nodes": [0]}', "mx.onnx.export_model"),
        ("checkpoint", b'model_checkpoint_path: "model.ckpt"\n', "TensorFlow without a network"),
        ("net.gz", b"\x1f\x8b\x08\0", "unpack it"),
        ("net.py", b"import keras\n", r"Python code, which is not run: end it with `model\.save"),
        ("net.ipynb", b'{"cells": [{"cell_type": "code"}]}', "Python code, which is not run"),
        ("net.pt", b"\x80\x02}q\x00.", r"runs code when it is opened: in PyTorch, write"),
        *(
            (name, POINTER, r"a pointer of Git LFS .*: `git lfs pull` fetches")
            for name in ("net.keras", "net.onnx", "net.h5")
        ),
        *(  # downloads that failed
            (name, content, "is empty, or text that is not of a model: ")
            for name in ("net.keras", "net.tflite", "net.pt2")
            for content in (b"", b"404: not found")
        ),
        *(
            (name, PAGE, r"a web page .*take the address of the file itself")
            for name in ("net.keras", "net.onnx", "net.pb", "net.cfg", "net")
        ),
        *(
            (name, content, r"give the \.onnx beside it, which has the network")
            for name in ("net.onnx.data", "net.onnx_data")
            for content in (b"\0\0\x80\x3f", b"AAAA")
        ),
    ],
)
def test_a_model_that_is_not_read_is_named_with_the_way_out(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        archspec.load(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"], "a checkpoint"),
        (["Manifest.json", "Data"], "a Core ML model"),
        (["config.json", "model.safetensors"], "without a network: in PyTorch, write"),
    ],
)
def test_a_folder_that_is_not_read_is_named_with_the_way_out(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        archspec.load(tmp_path)


def test_code_in_an_archive_of_torchscript_is_told_from_a_pickle(tmp_path):
    for member, message in (("constants.pkl", "jit.load"), ("data.pkl", "torch.export.save")):
        path = tmp_path / f"{member}.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"net/{member}", b"\x80\x02}.")
        with pytest.raises(UsageError, match=message):
            archspec.load(path)


def test_an_onnx_file_that_is_called_pb_is_no_saved_model(tmp_path):
    path = tmp_path / "model.pb"
    path.write_bytes((Path(__file__).parent / "model_files/onnx/shared.onnx").read_bytes())
    assert archspec.load(path).format.startswith("ONNX")


# Joins


def test_what_was_joined_before_is_joined_further():
    """PyTorch's DenseNet joins all maps so far for each layer, which is Keras's join in turns."""
    b = builder()
    image = b.inputs["image"]
    maps = [image]
    joined = image
    for number in range(3):
        conv = Convolution(filters=4, kernel=3, padding="same")
        maps.append(b.add(conv, joined, name=f"conv{number}", type_name="Conv"))
        joined = b.add(Concat(), *maps, name=f"concat{number}", type_name="Concat")
    nodes = b.finish({"out": joined}).graph.nodes
    joins = [node for node in nodes if node.op.kind == "concat"]
    assert [[nodes[i].name for i in node.inputs] for node in joins] == [
        ["image", "conv0"],
        ["concat0", "conv1"],
        ["concat1", "conv2"],
    ]
    assert [node.channels for node in joins] == [7, 11, 15]


# Names


def test_layers_keep_the_names_of_the_file_and_none_is_used_twice():
    b = builder()
    x = b.inputs["image"]
    for name in ("a/conv", "a/conv", "", "\x1b[31m"):
        x = b.add(Flatten(), x, name=name, type_name="Flatten")
    model = b.finish({"probabilities": x})
    names = [node.name for node in model.graph.nodes]
    assert names == ["image", "a/conv", "a/conv_2", "Flatten_1", r"\x1b[31m"]
    assert model.graph.outputs == {"output": 4}
    assert "3 layers are called otherwise here" in model.notes[0]


# Unknown layers


def test_after_a_layer_of_unknown_shape_all_is_unknown_until_the_file_declares_a_shape():
    b = builder()
    x = b.unknown("Lambda", b.inputs["image"], name="lambda", reason="it is code")
    x = b.add(Flatten(), x, name="flatten", type_name="Flatten")
    kernel = Weight("kernel", (192, 10))
    x = b.add(
        FullyConnected(units=10), x, name="fc", type_name="Dense", declared=(10,), arrays=[kernel]
    )
    x = b.add(FullyConnected(units=5, bias=False), x, name="last", type_name="Dense")
    model = b.finish({"y": x})
    shapes = {node.name: str(node.shape) for node in model.graph.nodes}
    assert shapes == {"image": "8x8x3", "lambda": "?", "flatten": "?", "fc": "10", "last": "5"}
    assert [layer.name for layer in model.unknown] == ["lambda", "flatten", "fc"]
    assert archspec.report(model).totals.params == 192 * 10 + 10 * 5


def test_a_layer_that_does_not_fit_has_the_shape_that_the_file_declares():
    b = builder()
    x = b.add(
        Convolution(filters=4, kernel=9, padding="valid"),
        b.inputs["image"],
        name="conv",
        type_name="Conv",
        declared=(2, 2, 4),
    )
    assert str(x.shape) == "2x2x4"
    (layer,) = b.finish({"y": x}).unknown
    assert layer.type == "Conv"
    assert layer.reason == "the kernel of `convolution` (9x9) is larger than its input (8x8)"


def test_shapes_that_the_file_declares_otherwise_are_noted():
    b = builder()
    x = b.add(Flatten(), b.inputs["image"], name="flat", type_name="Flatten", declared=(100,))
    model = b.finish({"y": x})
    assert model.declared == {"flat": (100,)}
    assert model.notes == (
        "The file declares other shapes than archspec computes: flat 100, not 192.",
    )


# Commands


def test_build_prints_the_table_of_a_configuration(tmp_path, capsys):
    layers = [
        {
            "class_name": "Conv2D",
            "config": {
                "name": "first",
                "batch_input_shape": [None, 28, 28, 1],
                "filters": 8,
                "kernel_size": [3, 3],
                "strides": [1, 1],
                "padding": "same",
            },
        },
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dense", "config": {"name": "last", "units": 10}},
    ]
    path = Path(tmp_path, "model.json")
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    path.write_text(json.dumps(config), encoding="utf-8")
    main(["build", str(path)], standalone_mode=False)
    out = capsys.readouterr().out
    assert "first" in out
    assert "62,810" in out


# Totals


def unknown_model() -> archspec.ImportedModel:
    """A network with a layer of unknown weights, and one of which only the work is unknown."""
    b = builder()
    conv = Convolution(filters=4, kernel=3, padding="same")
    x = b.add(conv, b.inputs["image"], name="conv", type_name="Conv2D")
    x = b.unknown("Foo", x, name="foo", reason="it is not known", declared=(8, 8, 4), arrays=[])
    x = b.unknown("Bar", x, name="bar", reason="it is not known", declared=(10,))
    x = b.add(FullyConnected(units=2, bias=False), x, name="fc", type_name="Dense")
    return b.finish({"y": x})


def test_totals_say_at_least_and_which_layers_are_unknown():
    text = str(archspec.report(unknown_model())).replace("\N{NO-BREAK SPACE}", " ")
    assert "parameters   at least 132 + unknown (1 layer: Bar)" in text
    assert "MACs         at least 6,932 + unknown (2 layers: Foo, Bar)" in text
    assert "activations  714  " not in text
    rows = {row.path: row for row in archspec.report(unknown_model()).rows()}
    assert [f"{rows[name].params:,}" for name in ("conv", "foo", "bar", "fc")] == [
        "112", "0", "?", "20",
    ]  # fmt: skip
    assert [f"{rows[name].macs:,}" for name in ("conv", "foo", "bar", "fc")] == [
        "6,912", "?", "?", "20",
    ]  # fmt: skip


def test_the_arithmetic_of_parameters_says_what_is_unknown():
    params = [line.partition("params: ")[2] for line in formulas(archspec.report(unknown_model()))]
    assert [text.partition("  ")[0].rstrip() for text in params] == [
        "0",
        "(3*3*3)*4 = 108 (+4 biases)",
        "0",
        "?",
        "10*2 = 20",
        "2 kernels = 128 (+4 biases) + ?",
    ]


def test_json_has_null_for_a_total_with_unknown_layers_and_what_is_known_of_it():
    data = json.loads(json.dumps(archspec.report(unknown_model()).to_dict()))
    assert (
        data["totals"] | {"params": None, "macs": None, "activations": 8 * 8 * 11 + 12}
        == (data["totals"])
    )
    assert data["at_least"]["macs"] == 6932
    assert data["at_least"]["params"] == 132
    assert "activations" not in data["at_least"]
    assert [layer["type"] for layer in data["unknown"]] == ["Foo", "Bar"]
    macs = {row["path"]: row["macs"] for row in data["rows"]}
    assert macs == {"image": 0, "conv": 6912, "foo": None, "bar": None, "fc": 20}


def test_csv_has_an_empty_cell_for_what_is_unknown():
    from archspec.render.report import csv

    lines = csv(archspec.report(unknown_model()), columns=["layer", "params", "macs"]).splitlines()
    assert lines[2:] == ["conv,112,6912", "foo,0,", "bar,,", "fc,20,20"]


def test_csv_has_an_empty_cell_for_a_total_of_which_a_part_is_unknown():
    from archspec.render.comparison import csv

    costs = archspec.compare(unknown_model(), "lenet5")
    lines = csv(costs, columns=["params", "macs", "activations"]).splitlines()
    assert lines[1:] == [",,716", "61706,416520,9118"]


def test_a_drawn_table_lists_unknown_layers_by_their_types():
    table = str(archspec.draw(unknown_model(), style="table"))
    assert [line.split()[:3] for line in table.splitlines() if "Foo" in line or "Bar" in line] == [
        ["Foo"],
        ["Bar"],
    ]


def test_what_unknown_layers_see_of_the_input_is_unknown():
    b = builder()
    conv = Convolution(filters=4, kernel=3, padding="same")
    x = b.add(conv, b.inputs["image"], name="conv", type_name="Conv2D")
    seen = b.add(
        FullyConnected(units=2),
        b.add(Flatten(), x, name="flat", type_name=""),
        name="fc",
        type_name="Dense",
    )
    x = b.unknown("Foo", x, name="foo", reason="it is not known", declared=(8, 8, 4))
    x = b.add(conv, x, name="last", type_name="Conv2D")
    costs = archspec.report(b.finish({"y": x, "z": seen}))
    fields = {row.path: str(value("field", row, costs)) for row in costs.rows()}
    assert fields == {
        "image": "1",
        "conv": "3",
        "flat": "all",
        "fc": "all",
        "foo": "?",
        "last": "?",
    }


def test_totals_of_an_open_input_are_formulas_and_unknown():
    b = builder(image=(None, None, 3))
    conv = Convolution(filters=4, kernel=3, padding="same")
    x = b.add(conv, b.inputs["image"], name="conv", type_name="Conv2D")
    x = b.unknown("Foo", x, name="foo", reason="it is not known", declared=(None, None, 4))
    costs = archspec.report(b.finish({"y": x}))
    text = str(costs).replace("\N{NO-BREAK SPACE}", " ")
    assert "at least 108*height*width + unknown (1 layer: Foo)" in " ".join(text.split())
    assert costs.to_dict()["totals"]["macs"] is None
    assert costs.to_dict()["at_least"]["macs"] == "108*height*width"


# Damaged files


def test_a_changed_file_is_a_table_or_a_sentence():
    """Bytes, numbers, names and members of every fixture; `make break-models` changes a million."""
    command = [sys.executable, str(Path(__file__).parent / "break_models.py"), "300"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "300 begun" in done.stdout


@pytest.mark.parametrize(
    "content",
    [b"# a" * 20_000, b"\n" * 60_000, b"{\n" * 30_000, b"layers " * 9_000, b", " * 30_000],
)
def test_the_format_of_any_text_is_told_in_linear_time(tmp_path, content):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # seconds of the processor, however busy it is
from archspec.imports.formats import find_format
print(find_format({str(path)!r}))
"""
    done = run(code=code)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr

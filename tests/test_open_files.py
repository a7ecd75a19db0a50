"""Model files whose inputs are of any size: which sizes they take, and one that a user gives."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import run

import archspec
from archspec.errors import UsageError


def functional(path: Path, shape: list[Any], *layers: tuple[str, str, dict[str, Any], list[str]]):
    """Write a functional network as Keras's JSON: of each layer class, name, arguments, inputs."""
    first = {"batch_input_shape": [None, *shape], "name": "image"}
    listed = [{"class_name": "InputLayer", "name": "image", "config": first, "inbound_nodes": []}]
    listed += [
        {
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": [[[each, 0, 0, {}] for each in inputs]],
        }
        for kind, name, config, inputs in layers
    ]
    config = {
        "name": "net",
        "layers": listed,
        "input_layers": [["image", 0, 0]],
        "output_layers": [[layers[-1][1], 0, 0]],
    }
    path.write_text(json.dumps({"class_name": "Functional", "config": config}), encoding="utf-8")
    return path


def conv(name: str, source: str, **config: Any) -> tuple[str, str, dict[str, Any], list[str]]:
    return "Conv2D", name, {"filters": 4, "kernel_size": 3, "padding": "same"} | config, [source]


def unet(path: Path, shape: list[Any]) -> Path:
    """Write a network that halves its maps twice, once by a pool and once by a stride."""
    return functional(
        path,
        shape,
        conv("a", "image"),
        ("MaxPooling2D", "half", {"pool_size": 2}, ["a"]),
        conv("b", "half"),
        conv("quarter", "b", strides=2),
        ("UpSampling2D", "double", {"size": 2}, ["quarter"]),
        ("Concatenate", "join_b", {}, ["double", "b"]),
        ("Conv2DTranspose", "up", {"filters": 4, "kernel_size": 2, "strides": 2}, ["join_b"]),
        ("Concatenate", "join_a", {}, ["up", "a"]),
        conv("end", "join_a", filters=1),
    )


def test_a_unet_of_any_size_takes_the_multiples_with_which_its_maps_can_be_joined(tmp_path):
    model = archspec.load(unet(tmp_path / "unet.json", [None, None, 3]))
    assert model.unknown == ()
    assert str(model.graph.output) == "height x width x 1"
    (note,) = model.notes
    assert "height and width are multiples of 4" in note
    at = {"height": 64, "width": 32}
    closed = archspec.load(unet(tmp_path / "closed.json", [64, 32, 3]))
    assert archspec.report(model, at="64x32").totals == archspec.report(closed).totals
    assert [node.shape.at(at) for node in model.graph.nodes] == [
        node.shape for node in closed.graph.nodes
    ]
    assert "input: [multiple of 4, multiple of 4, 3]" in archspec.import_model(model).text


def test_maps_of_one_size_at_no_multiple_stay_unknown(tmp_path):
    """A valid convolution makes maps smaller by 2, which no size of the input changes."""
    path = functional(
        tmp_path / "net.json",
        [None, None, 3],
        conv("a", "image"),
        conv("b", "a", padding="valid"),
        ("Concatenate", "join", {}, ["a", "b"]),
    )
    assert [layer.name for layer in archspec.load(path).unknown] == ["join"]


def test_a_file_of_open_size_is_read_at_the_size_that_is_given(tmp_path):
    path = unet(tmp_path / "unet.json", [None, None, 3])
    model = archspec.load(path, input=[64, 32, 3])
    assert model.notes == model.unknown == ()
    assert str(model.graph.output) == "64x32x1"
    assert not archspec.import_model(path, input=[64, None, 3]).model.graph.input.known[1]
    for wrong in ([64, 32, 4], [64, 32], [None, None, 1]):
        with pytest.raises(UsageError, match=r"whose input is \[null, null, 3\]: `input` can set"):
            archspec.load(path, input=wrong)
    closed = unet(tmp_path / "closed.json", [64, 32, 3])
    assert str(archspec.load(closed, input=[64, 32, 3]).graph.output) == "64x32x1"
    with pytest.raises(UsageError, match=r"whose input is \[64, 32, 3\]"):
        archspec.load(closed, input=[32, 32, 3])


def test_what_is_unknown_at_any_size_may_be_known_at_one(tmp_path):
    """The spatial axes of an input of any size cannot be reshaped."""
    path = functional(
        tmp_path / "net.json",
        [None, None, 3],
        conv("a", "image"),
        ("Flatten", "flat", {}, ["a"]),
        ("Dense", "fc", {"units": 5}, ["flat"]),
    )
    assert archspec.report(str(path)).unknown
    at = archspec.report(str(path), at="8x6")
    assert not at.unknown
    assert at.totals.macs == 8 * 6 * 4 * 27 + 8 * 6 * 4 * 5


def test_the_size_in_a_darknet_file_is_a_setting(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[maxpool]\nsize=2\nstride=2\n", "utf-8")
    assert str(archspec.load(path).graph.output) == "4x4x3"
    assert str(archspec.load(path, input=[16, 32, 3]).graph.output) == "8x16x3"


def test_the_command_line_imports_a_file_at_a_size(tmp_path):
    path = str(unet(tmp_path / "unet.json", [None, None, 3]))
    done = run("import", path, "--set", "input=[64,32,3]")
    assert "input: [64, 32, 3]" in done.stdout
    done = run("import", path, "--weights", "a.weights")
    assert done.returncode == 2
    assert "no variable `weights` to set: it takes `input`" in done.stderr

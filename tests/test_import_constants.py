"""Constants in ONNX files and PyTorch's programs: what exporters write out, and what it means."""

import numpy as np
import pytest

import archspec

onnx = pytest.importorskip("onnx")

from support.onnx_files import network  # noqa: E402  (imports onnx)

make = onnx.helper.make_node


def constant(name, value):
    return make("Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(value)))


def test_a_bias_of_zeros_that_an_exporter_writes_out_is_none(tmp_path):
    """As torch's exporter does with `optimize=False`: zeros of the type of the input."""
    nodes = [
        make("Shape", ["kernel"], ["filters"], start=0, end=1),
        constant("zero", np.float32(0)),
        make("CastLike", ["zero", "x"], ["like"]),
        make("Expand", ["like", "filters"], ["zeros"]),
        make("Conv", ["x", "kernel", "zeros"], ["y"]),
    ]
    arrays = {"kernel": np.ones((7, 3, 3, 3), "float32")}
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays, producer="pytorch")
    assert not model.unknown
    assert not model.graph.nodes[-1].op.bias
    assert archspec.report(model).totals.params == 7 * 3 * 3 * 3


def test_a_bias_of_zeros_that_is_stored_is_learned(tmp_path):
    """As one is before the training."""
    arrays = {"kernel": np.ones((7, 3, 3, 3), "float32"), "bias": np.zeros(7, "float32")}
    nodes = [make("Conv", ["x", "kernel", "bias"], ["y"])]
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays, producer="pytorch")
    assert archspec.report(model).totals.params == 7 * 3 * 3 * 3 + 7


def test_the_largest_of_one_array_is_itself(tmp_path):
    """Torch's exporter finds the common shape of index arrays so, of which there may be one."""
    nodes = [
        make("Max", ["index"], ["most"]),
        make("Shape", ["most"], ["common"]),
        make("Expand", ["index", "common"], ["full"]),
        make("Gather", ["table", "full"], ["offsets"]),
        make("Add", ["x", "offsets"], ["y"]),
    ]
    arrays = {"index": np.array([2, 0, 1]), "table": np.arange(12, dtype="float32").reshape(4, 3)}
    model = network(tmp_path / "net.onnx", [1, 3, 3], nodes, arrays)
    assert not model.unknown
    ((added,),) = model.weights().values()
    assert added.tolist() == arrays["table"][arrays["index"]].tolist()


def test_a_step_with_too_many_inputs_is_an_unknown_layer(tmp_path):
    """Patterns of several steps look at it too, and find nothing."""
    nodes = [make("Mul", ["x", "x"], ["y"]), make("Add", ["y", "two", "x"], ["z"])]
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, {"two": np.float32(2)})
    ((_, kind, reason),) = model.unknown
    assert (kind, reason) == ("Add", "it has 3 inputs, a constant among them, instead of 2")

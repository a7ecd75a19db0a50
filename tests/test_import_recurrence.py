"""Recurrences in ONNX files: the functions and the gates that they may have."""

from typing import Any

import numpy as np
import pytest

import archspec
from archspec.ops.functions import HardSigmoid
from archspec.ops.recurrence import Gru

onnx = pytest.importorskip("onnx")

from support.onnx_files import network  # noqa: E402  (imports onnx)


def recurrence(tmp_path: Any, kind: str, gates: int, **attributes: Any) -> archspec.ImportedModel:
    """Return the model of a file with one recurrence of 4 units on 5 vectors of 3 values."""
    arrays = {
        "kernel": np.ones((1, gates * 4, 3), "f"),
        "recurrent_kernel": np.ones((1, gates * 4, 4), "f"),
        "bias": np.ones((1, 2 * gates * 4), "f"),
    }
    node = onnx.helper.make_node(kind, ["x", *arrays], ["y"], hidden_size=4, **attributes)
    return network(tmp_path / "net.onnx", [5, 1, 3], [node], arrays)


def op(model: archspec.ImportedModel) -> Any:
    (op,) = (node.op for node in model.graph.nodes if node.op.family == "recurrence")
    return op


def test_the_functions_of_a_recurrence_are_read(tmp_path):
    """ONNX's hard sigmoid has the slope 0.2, unless it is given one."""
    gru = op(recurrence(tmp_path, "GRU", 3, activations=["HardSigmoid", "Relu"]))
    assert gru.activation == "relu"
    assert gru.recurrent_activation.slope == pytest.approx(0.2)
    assert isinstance(gru.recurrent_activation, HardSigmoid)
    assert op(recurrence(tmp_path, "RNN", 1, activations=["Relu"])).activation == "relu"
    lstm = op(recurrence(tmp_path, "LSTM", 4, activations=["Sigmoid", "Tanh", "Tanh"]))
    assert lstm == type(lstm)(units=4)


def test_a_gru_resets_before_the_product_unless_the_file_says_otherwise(tmp_path):
    before, after = (
        recurrence(tmp_path, "GRU", 3, linear_before_reset=number) for number in (0, 1)
    )
    assert op(before) == Gru(units=4, reset_after=False)
    assert op(after) == Gru(units=4)
    assert archspec.report(before).totals.params == 12 * (3 + 4 + 1)
    assert archspec.report(after).totals.params == 12 * (3 + 4 + 2)


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        (["Sigmoid", "Tanh", "Relu"], "its cell has another function than its candidate"),
        (["Elu", "Tanh", "Tanh"], "its function is Elu"),
    ],
)
def test_what_no_lstm_here_computes_is_unknown(tmp_path, functions, reason):
    (layer,) = recurrence(tmp_path, "LSTM", 4, activations=functions).unknown
    assert layer.reason == reason


def test_a_recurrence_that_begins_with_a_given_state_is_unknown_with_its_shape(tmp_path):
    """What it gives is [positions, directions, batch, units]: the batch is the third of four."""
    arrays = {
        "kernel": np.ones((1, 12, 3), "f"),
        "recurrent_kernel": np.ones((1, 12, 4), "f"),
        "state": np.ones((1, 1, 4), "f"),
    }
    inputs = ["x", "kernel", "recurrent_kernel", "", "", "state"]
    gru = onnx.helper.make_node("GRU", inputs, ["y"], hidden_size=4)
    model = network(tmp_path / "net.onnx", [5, 1, 3], [gru], arrays)
    (unknown,) = model.unknown
    assert unknown.reason == "it begins with a state that it is given"
    assert tuple(model.graph.nodes[-1].shape) == (5, 1, 4)
    arrays["state"] *= 0
    assert not network(tmp_path / "net.onnx", [5, 1, 3], [gru], arrays).unknown


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrence_of_all_positions_gives_the_next_one_no_lengths(tmp_path, kind, gates):
    """Its last state has no name, as the lengths that the next one is not given."""
    make = onnx.helper.make_node
    arrays = {
        "kernel": np.ones((1, gates * 4, 4), "f"),
        "recurrent_kernel": np.ones((1, gates * 4, 4), "f"),
        "bias": np.ones((1, 2 * gates * 4), "f"),
        "axis": np.array([1]),
    }
    weights = ["kernel", "recurrent_kernel", "bias"]
    nodes = [
        make(kind, ["x", *weights], ["first"], hidden_size=4),
        make("Squeeze", ["first", "axis"], ["between"]),
        make(kind, ["between", *weights], ["y"], hidden_size=4),
    ]
    model = network(tmp_path / "net.onnx", [5, 1, 4], nodes, arrays)
    assert not model.unknown
    assert [node.op.family for node in model.graph.nodes].count("recurrence") == 2

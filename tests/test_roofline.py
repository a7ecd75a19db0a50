"""The least time of layers on a device: by hand, and what every roofline obeys."""

import json
import math

import pytest
from support.commands import output, run
from support.specs import spec_of

import archspec
from archspec import UsageError
from archspec.cost.roofline import RATES, roofline
from archspec.device.device import Device
from archspec.device.table import DEVICES

ROUND = Device("round", "a device of round numbers", 10**9, 1000.0, {"float32": 1e6}, "this test")
"""A device that moves 1,000 bytes a second, and computes 1,000,000 operations."""


def layers(*steps, extent="[8, 8, 4]"):
    listed = "".join(f"  - {step}\n" for step in steps)
    return spec_of(f"name: net\ninput: {extent}\nlayers:\n{listed}")


CONV_RELU = layers(
    "{name: a, conv: {filters: 8, kernel: 3, padding: same, activation: relu}}",
    "{name: b, conv: {filters: 8, kernel: 3, padding: same, activation: relu}}",
)


def test_a_row_reads_its_input_and_weights_and_writes_its_output_once():
    first, second = roofline(CONV_RELU, ROUND, batch=2).rows()
    assert first.macs == 2 * 64 * 3 * 3 * 4 * 8
    assert first.bytes == 4 * (2 * 64 * (4 + 8) + 3 * 3 * 4 * 8 + 8)
    assert second.bytes == 4 * (2 * 64 * (8 + 8) + 3 * 3 * 8 * 8 + 8)
    assert first.compute == 2 * first.macs / 1e6
    assert first.memory == first.bytes / 1000
    assert (first.binds, first.seconds) == ("memory", first.memory)


def test_a_step_is_forward_backward_and_update():
    roof = roofline(CONV_RELU, ROUND, batch=2, optimizer="momentum", training=True)
    first, second, update = roof.rows()
    # The image needs no gradient: two passes of multiply-adds in the first layer, three after it.
    assert first.macs == 2 * (2 * 64 * 3 * 3 * 4 * 8)
    assert second.macs == 3 * (2 * 64 * 3 * 3 * 8 * 8)
    x, y, kernel, bias = 2 * 64 * 4, 2 * 64 * 8, 3 * 3 * 4 * 8, 8
    forward = x + kernel + bias + y
    # The input and relu's output are kept; the gradient of the output is read, that of weights
    # written.
    assert first.bytes == 4 * (forward + x + y + y + kernel + bias)
    kernel = 3 * 3 * 8 * 8
    forward = y + kernel + bias + y
    assert second.bytes == 4 * (forward + y + y + y + y + 2 * (kernel + bias))
    assert update.bytes == 4 * 5 * archspec.report(CONV_RELU).totals.trainable


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vit_b_16", "densenet121", "siamese"])
def test_rows_add_up_and_no_floor_is_above_them(name):
    for training in (False, True):
        roof = roofline(name, "h100", batch=4, training=training)
        rows = roof.rows()
        assert math.isclose(sum(row.seconds for row in rows), roof.total.seconds)
        assert sum(row.bytes for row in rows) == roof.total.bytes
        assert 0 < roof.floor <= roof.total.seconds
        assert all(row.seconds >= max(row.compute, row.memory) - 1e-12 for row in rows)
        grouped = roof.rows(1)
        assert len(grouped) <= len(rows)
        assert math.isclose(sum(row.seconds for row in grouped), roof.total.seconds)
    assert roof.inference.macs == 4 * archspec.report(name).totals.macs


def test_the_backward_pass_costs_at_most_twice_the_forward_pass():
    roof = roofline("vgg16", "h100", batch=1, training=True)
    first = roof.report.row(roof.report.graph.nodes[1])
    assert roof.step.macs == 3 * roof.inference.macs - first.macs


def test_views_and_dropout_move_nothing_at_inference():
    spec = layers("{name: f, flatten: {}}", "{name: d, dropout: 0.5}", "{name: o, fc: 10}")
    flat, dropout, fc = roofline(spec, ROUND).rows()
    assert (flat.bytes, dropout.bytes, flat.binds) == (0, 0, "")
    assert fc.bytes == 4 * (256 + 2560 + 10 + 10)
    dropped = roofline(spec, ROUND, training=True).rows()[1]
    assert dropped.bytes > 0


def test_a_stride_that_skips_pixels_does_not_read_them():
    (row,) = roofline(layers("{convolution: {filters: 8, kernel: 1, stride: 2}}"), ROUND).rows()
    assert row.bytes == 4 * (16 * 4 + 16 * 8 + 4 * 8 + 8)


def test_half_precision_moves_half_of_the_activations():
    whole = roofline("resnet18", "h100", batch=256)
    half = roofline("resnet18", "h100", batch=256, dtype="mixed_bfloat16")
    params = 4 * whole.report.totals.params
    weights = params  # read once, in float32, in both
    assert half.inference.bytes - weights == (whole.inference.bytes - weights) / 2
    assert (whole.rate, half.rate) == ("tf32", "bfloat16")


def test_every_device_has_a_rate_for_what_it_can_train():
    for device in DEVICES:
        assert roofline("lenet5", device).peak > 0
    assert {rate for rates in RATES.values() for rate in rates} >= {"tf32", "bfloat16"}


def test_what_a_device_cannot_compute_is_refused():
    with pytest.raises(UsageError, match="no peak for float16; it has for float32"):
        roofline("lenet5", "v5e", dtype="float16")
    with pytest.raises(UsageError, match="did you mean `h100`"):
        roofline("lenet5", "h10")
    with pytest.raises(UsageError, match="needs a size"):
        roofline("fcn8s", "h100")
    assert roofline("fcn8s", "h100", at="500x500").inference.seconds > 0


def test_the_command_prints_rows_and_totals():
    text = output("roofline", "vgg16", "--device", "a100", "--batch", "32", "--training")
    lines = text.splitlines()
    assert "156 TFLOP/s (tf32), 1.55 TB/s" in " ".join(lines[:4])
    assert any(line.startswith("update") for line in lines)
    below = text[text.index("\ninference ") :]
    assert "\ntraining " in below
    assert "of it backward" in " ".join(below.split())
    assert max(map(len, below.splitlines())) <= 100
    data = json.loads(output("roofline", "lenet5", "--device", "h100", "--json"))
    assert data["rows_of"] == "inference"
    assert math.isclose(sum(row["seconds"] for row in data["rows"]), data["inference"]["seconds"])
    told = run("roofline", "vgg16")
    assert told.returncode == 2
    assert all(device.name in told.stderr for device in DEVICES)


def test_the_plot_has_a_circle_for_each_row_with_multiply_adds(tmp_path):
    roof = roofline("mobilenet_v2", "h100", batch=32)
    figure = archspec.draw(roof)
    assert repr(figure) == "<Figure of mobilenet_v2 on h100: roofline>"
    for suffix in (".svg", ".png", ".tex", ".pdf", ".html"):
        assert figure.save(tmp_path / f"plot{suffix}").stat().st_size > 1_000
    groups = [mark["path"] for mark in figure.to_dict()["marks"] if mark["mark"] == "group"]
    assert sorted(groups) == sorted(row.path for row in roof.rows() if row.macs)
    with pytest.raises(UsageError, match="drawn as it is"):
        archspec.draw(roof, depth=2)

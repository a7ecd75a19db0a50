"""Bytes of stored weights: by hand, and against what Keras's quantisation really stores."""

from math import prod

import pytest
from support.commands import output, run
from support.specs import graph_of, spec_of

import archspec
from archspec import UsageError
from archspec.cost.stored import stored

BYTES = {"float32": 4, "int8": 1}

DENSE = """
name: dense
input: [12, 12, 3]
layers:
  - conv: {filters: 8, kernel: 3, norm: batch, activation: relu}
  - depthwise_conv: {kernel: 3}
  - flatten
  - fc: {units: 301, activation: relu}
  - fc: 9
"""


def test_a_kernel_is_a_byte_a_value_and_a_scale_for_each_filter():
    graph = graph_of("convolution: {filters: 8, kernel: 3}, batch_norm: {}, flatten, fc: 10")
    conv, norm, inputs = 3 * 3 * 4 * 8, 4 * 8, 6 * 6 * 8
    rest = 4 * (8 + norm + 10)
    assert stored(graph, "int8").bytes == conv + 4 * 8 + inputs * 10 + 4 * 10 + rest
    assert stored(graph, "int4").bytes == conv // 2 + 4 * 8 + inputs * 5 + 4 * 10 + rest
    assert stored(graph, "int8").float_bytes == 4 * (conv + inputs * 10) + rest


def test_a_sparse_kernel_keeps_values_and_where_they_are():
    kernel, rest = 100 * 80, 4 * 80
    graph = graph_of("fc: 80", extent="[100]")
    # 800 values are left: their places take 3,200 bytes, a bit for each of the 8,000 takes 1,000.
    assert stored(graph, "sparse:0.9").bytes == 4 * 800 + kernel // 8 + rest
    assert stored(graph, "sparse:0.99").bytes == 4 * 80 + 4 * 80 + rest
    assert stored(graph, "sparse:0.9").keras_bytes is None


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("form", ["int8", "int4"])
def test_keras_stores_what_the_rule_says(form):
    spec = spec_of(DENSE)
    model = archspec.build(spec)
    model.quantize(form)
    truth = sum(prod(weight.shape) * BYTES[str(weight.dtype)] for weight in model.weights)
    assert archspec.report(spec, stored=form).stored.keras_bytes == truth


def test_the_command_shows_both():
    text = " ".join(output("build", "vgg16", "--stored", "int8").split())
    assert "stored 138 MB weights as int8: 25.0% of float32" in text
    assert "Keras's model.quantize: 183 MB, as it leaves convolutions" in text
    assert '"form": "int4"' in output("build", "lenet5", "--stored", "int4", "--json")


def test_shared_weights_are_stored_once():
    spec = spec_of("name: n\ninput: [8]\nlayers: [{name: a, fc: 8}, {name: b, share: a}]")
    assert archspec.report(spec, stored="int8").stored.bytes == 64 + 4 * 8 + 4 * 8


@pytest.mark.parametrize("form", ["int3", "sparse", "sparse:1.5", "sparse:0"])
def test_another_form_is_refused(form):
    with pytest.raises(UsageError, match="must be int8, int4 or sparse:SHARE"):
        archspec.report("lenet5", stored=form)
    assert run("build", "lenet5", "--stored", form).returncode == 2

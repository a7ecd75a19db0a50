"""Memory: each part by hand on tiny networks, and the peak against a plain simulation."""

from math import prod

import pytest
from helpers import graph_of, spec_of
from hypothesis import given
from hypothesis import strategies as st

from archspec.analysis.memory import (
    ITEM_BYTES,
    OPTIMIZER_SLOTS,
    Memory,
    bytes_of,
    measure,
    owned_values,
    slots_of,
)
from archspec.analysis.report import Report
from archspec.diagnostics import UsageError
from archspec.expand import expand
from archspec.graph.graph import Graph
from archspec.spec.loading import load

IMAGE = 8 * 8 * 4
"""Values of the input of `graph_of`, and of most tensors here."""

CONV = "convolution: {filters: 4, kernel: 3, padding: same}"
RELU = "activation: relu"
NORM = "batch_norm"


def memory_of(graph: Graph) -> Memory:
    return measure(graph, owned_values(graph))


# In images, for all tensors but one are as large as the input.
@pytest.mark.parametrize(
    ("layers", "owned", "saved", "peak"),
    [
        # A convolution keeps its input, ReLU its output, which is the next one's input.
        ([CONV], 2, 1, 2),
        ([CONV, RELU], 2, 2, 2),
        ([CONV, RELU, CONV], 3, 2, 3),
        ([CONV, RELU, CONV, RELU, CONV, RELU], 4, 4, 3),
        # Without an activation between, a convolution keeps the output of the one before.
        ([CONV, CONV, CONV], 4, 3, 3),
        # A norm keeps its input; what it gives is not kept, as ReLU works from its own output.
        ([CONV, NORM, RELU], 2, 3, 2),
        ([CONV, NORM, RELU, CONV], 3, 3, 3),
        # Pre-activation: the input is the caller's, so the norm may not overwrite it.
        ([NORM, RELU, CONV], 3, 2, 3),
        # Several functions dip below zero: their slope needs the input, the next layer the output.
        ([CONV, "activation: silu", CONV], 3, 3, 3),
        ([CONV, "activation: gelu"], 2, 2, 2),
        ([CONV, "activation: linear", CONV], 3, 2, 3),
        # An average needs nothing for its backward pass, a maximum its input.
        ([CONV, "avg_pool: {size: 3, stride: 1, padding: same}"], 3, 1, 3),
        ([CONV, "max_pool: {size: 3, stride: 1, padding: same}"], 3, 2, 3),
        # Local response normalisation keeps both sides.
        ([CONV, "lrn: 5"], 3, 3, 3),
        # A tensor that is read twice is kept once: both convolutions read the input.
        ([f"{{branches: [[{CONV}], [{CONV}]], merge: add}}"], 4, 1, 4),
        # ReLU may not overwrite what the shortcut still needs.
        ([CONV, f"{{branches: [[{RELU}, {CONV}], []], merge: add}}"], 5, 2, 4),
        # A residual unit: input, conv, conv, sum.
        ([f"{{branches: [[{CONV}, {RELU}, {CONV}], []], merge: add}}", RELU], 4, 3, 3),
        # A product needs its factors.
        ([f"{{branches: [[{CONV}], [{CONV}]], merge: multiply}}"], 4, 3, 4),
        # A concatenation is a copy: twice as large as each of its inputs, and itself not kept.
        ([f"{{branches: [[{CONV}], [{CONV}]], merge: concat}}"], 5, 1, 5),
    ],
)
def test_a_tiny_network_in_images(layers, owned, saved, peak):
    graph = graph_of(", ".join(layers))
    memory = memory_of(graph)
    found = (sum(owned_values(graph)), memory.saved_values, memory.forward_values)
    assert found == (owned * IMAGE, saved * IMAGE, peak * IMAGE)


def test_a_view_is_the_tensor_it_shows():
    graph = graph_of(f"{CONV}, flatten, reshape: [4, 64], flatten, fully_connected: 10")
    assert owned_values(graph) == [IMAGE, IMAGE, 0, 0, 0, 10]
    # The fully connected layer keeps the convolution's output, whatever its shape is called.
    assert memory_of(graph).saved_values == IMAGE + IMAGE
    assert memory_of(graph).forward_values == IMAGE + IMAGE + 10


def test_nothing_is_overwritten_through_a_view_that_is_read_elsewhere():
    graph = graph_of(f"{{{CONV}, name: a}}, reshape: [8, 8, 4], {RELU}, add: a")
    assert owned_values(graph) == [IMAGE, IMAGE, 0, IMAGE, IMAGE]


def test_an_output_is_not_overwritten_by_what_comes_after():
    text = """
    name: net
    input: [8, 8, 4]
    layers: [{name: trunk, convolution: {filters: 4, kernel: 1}}, activation: relu]
    heads: {early: {from: trunk, layers: [activation: tanh]}}
    """
    assert owned_values(expand(spec_of(text))) == [IMAGE] * 4


@pytest.mark.parametrize(
    ("step", "mask_bytes"),
    [
        ("dropout: 0.5", IMAGE),
        ("dropout: 0.0", 0),
        ("spatial_dropout: 0.5", 0),  # one draw a channel
        ("drop_path: 0.5", 0),  # one draw an example
    ],
)
def test_dropout_keeps_a_byte_for_each_value_it_may_drop(step, mask_bytes):
    memory = memory_of(graph_of(f"{CONV}, {step}, {CONV}"))
    assert memory.saved_mask_bytes == mask_bytes
    assert memory.saved_values == 2 * IMAGE
    # A mask is bytes in every precision.
    assert memory.at(3, "float16").saved == 3 * (2 * IMAGE * 2 + mask_bytes)


def test_the_five_parts_of_one_convolution():
    memory = memory_of(graph_of("convolution: {filters: 5, kernel: 3}, batch_norm"))
    convolution, norm = 3 * 3 * 4 * 5 + 5, 2 * 5
    parts = memory.at(batch=2, dtype="float32", optimizer="adam")
    assert parts.weights == 4 * (convolution + norm + 2 * 5)  # and the moving statistics
    assert parts.gradients == 4 * (convolution + norm)
    assert parts.optimizer == 2 * parts.gradients
    assert parts.saved == 2 * 4 * (IMAGE + 6 * 6 * 5)
    assert parts.forward_peak == 2 * 4 * (IMAGE + 6 * 6 * 5)
    assert parts.training == parts.weights + parts.gradients + parts.optimizer + parts.saved
    assert parts.inference == parts.weights + parts.forward_peak
    assert parts.to_dict() == {
        "weights": parts.weights,
        "gradients": parts.gradients,
        "optimizer": parts.optimizer,
        "saved": parts.saved,
        "forward_peak": parts.forward_peak,
        "training": parts.training,
        "inference": parts.inference,
    }


@pytest.mark.parametrize("variant", ["vgg16", "resnet50", "densenet121", "googlenet_aux"])
def test_activations_grow_with_the_batch_and_nothing_else_does(variant):
    graph = expand(load(variant))
    one, many = (Report(graph, batch=batch).memory for batch in (1, 96))
    assert (many.weights, many.gradients, many.optimizer) == (
        one.weights,
        one.gradients,
        one.optimizer,
    )
    assert (many.saved, many.forward_peak) == (96 * one.saved, 96 * one.forward_peak)


@pytest.mark.parametrize(
    ("dtype", "weight", "activation"),
    [
        ("float64", 8, 8),
        ("float32", 4, 4),
        ("float16", 2, 2),
        ("bfloat16", 2, 2),
        ("mixed_float16", 4, 2),  # Keras keeps the weights in full precision and computes in half
        ("mixed_bfloat16", 4, 2),
    ],
)
def test_bytes_of_a_dtype_policy(dtype, weight, activation):
    parts = memory_of(graph_of(CONV)).at(1, dtype, "sgd")
    params = 3 * 3 * 4 * 4 + 4
    assert (parts.weights, parts.gradients, parts.optimizer) == (
        params * weight,
        params * weight,
        0,
    )
    assert (parts.saved, parts.forward_peak) == (IMAGE * activation, 2 * IMAGE * activation)
    assert set(ITEM_BYTES) == {
        "float64", "float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "name", "message"),
    [
        (bytes_of, "float31", "dtype `float31` is not known; did you mean `float32`?"),
        (slots_of, "adan", "optimizer `adan` is not known; did you mean `adam`?"),
    ],
)
def test_a_name_that_is_not_known(what, name, message):
    with pytest.raises(UsageError) as caught:
        what(name)
    assert str(caught.value) == message


@pytest.mark.keras
@pytest.mark.parametrize("name", OPTIMIZER_SLOTS)
def test_an_optimizer_keeps_in_keras_what_is_said(name):
    import keras

    if name == "momentum":
        optimizer = keras.optimizers.SGD(momentum=0.9)
    else:
        optimizer = keras.optimizers.get(name)
    weight = keras.Variable([[1.0, 2.0, 3.0]])
    optimizer.build([weight])
    kept = sum(prod(v.shape) for v in optimizer.variables if v.shape == weight.shape)
    assert kept == OPTIMIZER_SLOTS[name] * 3


STEPS = (CONV, RELU, NORM, "flatten", "reshape: [8, 8, 4]", "dropout: 0.5")


@st.composite
def random_networks(draw: st.DrawFn) -> Graph:
    """A chain in which steps are now and then joined with an earlier one of their shape."""
    layers = []
    shaped = []  # steps whose output has the image's shape
    flat = False
    for number in range(draw(st.integers(1, 12))):
        if flat:
            step, flat = "reshape: [8, 8, 4]", False
        elif shaped and draw(st.booleans()):
            merge = draw(st.sampled_from(["add", "multiply"]))
            step = f"{merge}: {draw(st.sampled_from(shaped))}"
        else:
            step = draw(st.sampled_from(STEPS))
            flat = step == "flatten"
        layers.append(f"{{{step}, name: s{number}}}")
        if not flat:
            shaped.append(f"s{number}")
    return graph_of(", ".join(layers))


@given(random_networks())
def test_the_forward_peak_is_that_of_a_plain_simulation(graph):
    owned = owned_values(graph)
    assert measure(graph, owned).forward_values == simulated_peak(graph, owned)


def simulated_peak(graph: Graph, owned: list[int]) -> int:
    """Run the network on paper: before each layer ask of every buffer whether it is needed yet."""
    nodes = graph.nodes
    buffer = {}  # node -> the node whose memory holds its output
    for node in nodes:
        buffer[node.index] = node.index if owned[node.index] else buffer[node.inputs[0]]
    held = {buffer[index] for index in (0, *graph.outputs.values())}
    peak = 0
    for now in nodes:
        needed = {buffer[index] for node in nodes[now.index :] for index in node.inputs}
        made = {buffer[node.index] for node in nodes[: now.index + 1]}
        alive = made & (needed | held | {buffer[now.index]})
        peak = max(peak, sum(owned[index] for index in alive))
    return peak


@given(random_networks())
def test_no_layer_overwrites_what_is_read_after_it(graph):
    """Follow which node's values each buffer holds: a reader must find those of its own input."""
    owned = owned_values(graph)
    buffer: list[int] = []
    holds: dict[int, int] = {}  # buffer -> the node whose values are in it
    shows: list[int] = []  # node -> the node whose values it has under its own shape
    for node in graph.nodes:
        for index in node.inputs:
            assert holds[buffer[index]] == shows[index]
        buffer.append(node.index if owned[node.index] else buffer[node.inputs[0]])
        shows.append(shows[node.inputs[0]] if node.op.view else node.index)
        holds[buffer[node.index]] = shows[node.index]
    for index in (0, *graph.outputs.values()):
        assert holds[buffer[index]] == shows[index]

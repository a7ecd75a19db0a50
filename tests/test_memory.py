"""Memory: each part by hand on tiny networks, and the peak against a plain simulation."""

import json
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.random_specs import specs
from support.specs import graph_of, spec_of

from archspec.compile.expand import expand
from archspec.cost.memory import measure
from archspec.cost.optimizers import KNOWN, MOMENTUM, WRAPPER, Optimizer
from archspec.cost.report import Report, report
from archspec.cost.setting import ITEM_BYTES, RECIPE_BATCH, setting
from archspec.errors import SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.recipe import families
from archspec.recipe.families import OPTIMIZERS
from archspec.recipe.objects import make_object
from archspec.recipe.train import Recipe
from archspec.spec.document import RECIPE_KEYS
from archspec.spec.loading import load

IMAGE = 8 * 8 * 4
"""Values of the input of `graph_of`, and of most tensors here."""

CONV = "convolution: {filters: 4, kernel: 3, padding: same}"
FIXED = "convolution: {filters: 4, kernel: 3, padding: same, trainable: false}"
RELU = "activation: relu"
MAX = "max_pool: {size: 3, stride: 1, padding: same}"
NORM = "batch_norm"
FIXED_NORM = "batch_norm: {trainable: false}"


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
        ([CONV, MAX], 3, 2, 3),
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
        # A fixed convolution needs only its kernel to hand a gradient on; where none is wanted, as
        # before the first weight that is trained, nothing is kept.
        ([CONV, RELU, FIXED, RELU], 3, 3, 3),
        ([FIXED, RELU, CONV], 3, 1, 3),
        ([FIXED, RELU, MAX, CONV], 4, 1, 3),
        ([CONV, FIXED_NORM, RELU], 2, 2, 2),
        ([FIXED, RELU], 2, 0, 2),
        # A concatenation is a copy: twice as large as each of its inputs, and itself not kept.
        ([f"{{branches: [[{CONV}], [{CONV}]], merge: concat}}"], 5, 1, 5),
    ],
)
def test_a_tiny_network_in_images(layers, owned, saved, peak):
    graph = graph_of(", ".join(layers))
    memory = measure(graph)
    found = (sum(memory.owned), memory.saved_values, memory.forward_values)
    assert found == (owned * IMAGE, saved * IMAGE, peak * IMAGE)


def test_a_view_is_the_tensor_it_shows():
    graph = graph_of(f"{CONV}, flatten, reshape: [4, 64], flatten, fully_connected: 10")
    assert measure(graph).owned == (IMAGE, IMAGE, 0, 0, 0, 10)
    # The fully connected layer keeps the convolution's output, whatever its shape is called.
    assert measure(graph).saved_values == IMAGE + IMAGE
    assert measure(graph).forward_values == IMAGE + IMAGE + 10


def test_nothing_is_overwritten_through_a_view_that_is_read_elsewhere():
    graph = graph_of(f"{{{CONV}, name: a}}, reshape: [8, 8, 4], {RELU}, add: a")
    assert measure(graph).owned == (IMAGE, IMAGE, 0, IMAGE, IMAGE)


def test_an_output_is_not_overwritten_by_what_comes_after():
    text = """
    name: net
    input: [8, 8, 4]
    layers: [{name: trunk, convolution: {filters: 4, kernel: 1}}, activation: relu]
    heads: {early: {from: trunk, layers: [activation: tanh]}}
    """
    assert measure(expand(spec_of(text))).owned == (IMAGE,) * 4


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
    memory = measure(graph_of(f"{CONV}, {step}, {CONV}"))
    assert memory.saved_mask_bytes == mask_bytes
    assert memory.saved_values == 2 * IMAGE
    # A mask is bytes in every precision.
    assert memory.at(setting(None, 3, "float16")).saved == 3 * (2 * IMAGE * 2 + mask_bytes)


def test_the_five_parts_of_one_convolution():
    memory = measure(graph_of("convolution: {filters: 5, kernel: 3}, batch_norm"))
    convolution, norm = 3 * 3 * 4 * 5 + 5, 2 * 5
    parts = memory.at(setting(None, 2, "float32", "adam"))
    assert parts.weights == 4 * (convolution + norm + 2 * 5)  # and the moving statistics
    assert parts.gradients == 4 * (convolution + norm)
    assert parts.optimizer == 2 * parts.gradients
    assert parts.saved == 2 * 4 * (IMAGE + 6 * 6 * 5)
    assert parts.forward_peak == 2 * 4 * (IMAGE + 6 * 6 * 5)
    assert parts.must_keep == parts.weights + parts.gradients + parts.optimizer + parts.saved
    assert parts.inference == parts.weights + parts.forward_peak
    assert parts.to_dict() == {
        "weights": parts.weights,
        "gradients": parts.gradients,
        "optimizer": parts.optimizer,
        "saved": parts.saved,
        "forward_peak": parts.forward_peak,
        "must_keep": parts.must_keep,
        "inference": parts.inference,
    }


@pytest.mark.parametrize("variant", ["vgg16", "resnet50", "densenet121", "googlenet_aux"])
def test_activations_grow_with_the_batch_and_nothing_else_does(variant):
    graph = expand(load(variant))
    one, many = (Report(graph, setting=setting(None, batch)).memory for batch in (1, 96))
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
    parts = measure(graph_of(CONV)).at(setting(None, 1, dtype, "sgd"))
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
    ("given", "message"),
    [
        ({"dtype": "float31"}, "dtype `float31` is not known; did you mean `float32`?"),
        ({"optimizer": "adan"}, "optimizer `adan` is not known; did you mean `adam`?"),
        ({"dtype": 32}, "`dtype=32` must be one of float64, float32,"),
        ({"optimizer": 3}, "`optimizer=3` must be a name, or one name with its arguments"),
        ({"optimizer": {"sgd": 0.9}}, "must be a name, or one name with its arguments"),
        ({"optimizer": {"sgd": {}, "adam": {}}}, "must be a name, or one name"),
        (
            {"optimizer": {"sgd": {"momentm": 0.9}}},
            "`sgd` has no argument `momentm`; did you mean `momentum`?",
        ),
        ({"optimizer": {"sgd": {"momentum": "0.9"}}}, "`momentum` of `sgd` must be a number"),
        ({"batch": 2.5}, "`batch=2.5` must be a whole number from 1 to 2147483647"),
        ({"batch": "8"}, "`batch='8'` must be a whole number"),
        ({"batch": True}, "`batch=True` must be a whole number"),
        ({"batch": 0}, "`batch=0` must be"),
        ({"batch": -3}, "`batch=-3` must be"),
        ({"batch": 10**30}, "`batch=1000000000000000000000000000000` must be"),
        ({"batch": float("nan")}, "`batch=nan` must be"),
    ],
)
def test_what_bytes_cannot_be_counted_for(given, message):
    with pytest.raises(UsageError) as caught:
        report(spec_of(RECIPE), **given)
    assert message in str(caught.value)


RECIPE = """
name: mine
input: [8, 8, 3]
layers: [conv: {filters: 4, kernel: 3}, flatten, fc: 2]
budget: {training_bytes: 6KB, inference_bytes: 3KB}
train: {batch: 256, optimizer: {sgd: {momentum: 0.9}}, precision: mixed_bfloat16}
"""


def test_a_recipe_says_what_a_training_is_counted_for():
    costs = report(spec_of(RECIPE))
    assert str(costs.setting) == "batch 256, mixed_bfloat16, momentum"
    assert costs.setting.by_recipe == ("batch", "dtype", "optimizer")
    one = report(spec_of(RECIPE), batch=1, dtype="mixed_bfloat16", optimizer="momentum")
    assert one.setting.by_recipe == ()
    assert costs.memory.saved == 256 * one.memory.saved
    assert costs.memory.optimizer == one.memory.optimizer == costs.memory.gradients
    # A table, and inference, are about one image, as a paper's.
    assert costs.memory.forward_peak == one.memory.forward_peak
    assert "by `train:` batch 256, mixed_bfloat16, momentum" in str(costs).replace(
        "\n" + " " * 22, " "
    )


def test_a_budget_is_judged_by_the_recipe():
    must_keep, inference = report(spec_of(RECIPE)).checks
    assert (must_keep.figure, must_keep.holds) == ("training_bytes.must_keep", False)
    assert must_keep.setting == "batch 256, mixed_bfloat16, momentum"
    assert (inference.figure, inference.holds) == ("inference_bytes", True)
    assert report(spec_of(RECIPE), batch=1).checks[0].holds


def test_what_is_given_goes_before_the_recipe():
    costs = report(spec_of(RECIPE), batch=2, optimizer="adam")
    assert str(costs.setting) == "batch 2, mixed_bfloat16, adam"
    assert costs.setting.by_recipe == ("dtype",)
    assert costs.setting.batch == 2


def test_a_recipe_without_a_batch_has_that_of_a_training():
    assert Recipe().batch == RECIPE_BATCH
    costs = report(spec_of(RECIPE.replace("batch: 256, ", "")))
    assert costs.setting.training_batch == Recipe().batch
    assert report(spec_of(RECIPE.partition("train:")[0])).setting.training_batch == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("batch: many", "`train.batch` must be a whole number from 1 to 2147483647, not"),
        ("batch: 0", "`train.batch` must be a whole number from 1"),
        ("precision: float31", "`train.precision` must be one of"),
        ("optimizer: [adam]", "`train.optimizer`: write a name, or one name with its arguments"),
        ("optimizer: Adam", "Keras has no optimizer `Adam`"),
        ("optimizer: {sgd: {momentm: 0.9}}", "`sgd` has no argument `momentm`"),
        ('optimizer: {muon: {exclude_layers: ["("]}}', "must be a list of regular expressions"),
        ("optimizer: {muon: {exclude_layers: [fc, 3]}}", "must be a list of regular expressions"),
        ("optimizer: {lossscaleoptimizer: {inner_optimizer: ada}}", "Keras has no optimizer `ada`"),
        (
            "optimizer: {lossscaleoptimizer: {inner_optimizer: 3}}",
            "`inner_optimizer`: write a name",
        ),
        ("batch_size: 256", "`batch_size` is not a key here"),
    ],
)
def test_a_recipe_that_says_no_such_thing(said, message):
    text = RECIPE.partition("train:")[0] + f"train: {{{said}}}"
    with pytest.raises(SpecError) as caught:
        report(spec_of(text))
    assert message in str(caught.value)
    assert ":6:" in str(caught.value)


def test_keys_of_a_recipe_are_known_without_reading_it():
    assert {*Recipe.model_fields} == RECIPE_KEYS


def test_every_optimizer_of_a_recipe_has_its_slots():
    assert {*families.OPTIMIZERS.names} <= {*KNOWN}


SHAPES = {
    "fc1/bias": (7,),
    "fc1/kernel": (5, 7),
    "embedding/kernel": (4, 6),
    "conv1/kernel": (3, 3, 2, 4),
    "conv2/kernel": (3, 5, 2),
}
"""Weights of every rank that a network has, by their paths."""

ARGUMENTS = [
    *({name: {}} for name in KNOWN if name not in (MOMENTUM, WRAPPER)),
    {"sgd": {"momentum": 0.9}},
    {"sgd": {"momentum": 0.9, "nesterov": True}},
    {"sgd": {"nesterov": True}},
    {"rmsprop": {"momentum": 0.5}},
    {"rmsprop": {"centered": True}},
    {"rmsprop": {"momentum": 0.5, "centered": True}},
    {"adam": {"amsgrad": True}},
    {"adamw": {"amsgrad": True}},
    {"adam": {"use_ema": True}},
    {"sgd": {"gradient_accumulation_steps": 4}},
    {"adafactor": {"use_ema": True, "gradient_accumulation_steps": 2}},
    {"muon": {"exclude_layers": ["fc[0-9]"]}},
    {"muon": {"exclude_embeddings": False}},
    {"lossscaleoptimizer": {"inner_optimizer": {"adam": {"amsgrad": True}}}},
    {"lossscaleoptimizer": {"inner_optimizer": "lion"}},
]


@pytest.mark.keras
@pytest.mark.parametrize("said", ARGUMENTS, ids=str)
def test_an_optimizer_keeps_in_keras_what_is_said(said):
    import keras

    recipe = Recipe.resolve({"optimizer": said})
    built = make_object(keras, OPTIMIZERS, recipe.optimizer, ("optimizer",))
    weights = []
    for path, shape in SHAPES.items():
        scope, name = path.split("/")
        with keras.name_scope(scope):
            weights.append(keras.Variable(np.ones(shape, "float32"), name=name))
    assert [weight.path for weight in weights] == list(SHAPES)
    built.build(weights)
    # Counts of updates, scales of a loss and stand-ins are single numbers; no weight here is.
    kept = sum(prod(variable.shape) for variable in built.variables if len(variable.shape))
    assert Optimizer.read(said).values(SHAPES.items()) == kept


STEPS = (
    CONV,
    RELU,
    NORM,
    "flatten",
    "reshape: [8, 8, 4]",
    "dropout: 0.5",
    "conv: {filters: 4, kernel: 3, padding: same, norm: batch, activation: relu}",
    "conv: {filters: 4, kernel: 1, norm: batch, order: norm-act-conv, activation: gelu}",
    "residual: 4",
    "residual: {filters: 4, order: norm-act-conv, dropout: 0.5}",
    "fire: {squeeze: 2, expand1x1: 2, expand3x3: 2, bypass: simple}",
)


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


NETWORKS = st.one_of(random_networks(), specs().map(lambda data: expand(spec_of(json.dumps(data)))))


@given(NETWORKS)
def test_blocks_measured_once_for_all_their_places_are_as_each_layer_measured_by_itself(graph):
    measured = measure(graph)
    owned = owned_values(graph)
    assert list(measured.owned) == owned
    assert (measured.saved_values, measured.saved_mask_bytes) == saved_for_backward(graph)
    assert measured.forward_values == simulated_peak(graph, owned)


def owned_values(graph: Graph) -> list[int]:
    """Follow `MemoryModel.owned`, layer by layer."""
    readers = [0] * len(graph.nodes)
    for index in (
        *graph.inputs.values(),
        *graph.outputs.values(),
        *(i for node in graph.nodes for i in node.inputs),
    ):
        readers[index] += 1
    owned: list[int] = []
    alone: list[bool] = []  # whether a node's memory has one reader at most
    for node in graph.nodes:
        shared = node.op.view or (node.op.in_place and alone[node.inputs[0]])
        owned.append(0 if shared else node.shape.size)
        alone.append(readers[node.index] == 1 and (not node.op.view or alone[node.inputs[0]]))
    return owned


def saved_for_backward(graph: Graph) -> tuple[int, int]:
    """Follow a training step layer by layer: each tensor that one of them keeps, and the masks."""
    tensors: set[int] = set()
    inside = mask_bytes = 0
    shown: list[int] = []  # the node whose values a node shows
    reached: list[bool] = []  # whether the backward pass comes to a node
    for node in graph.nodes:
        shown.append(shown[node.inputs[0]] if node.op.view else node.index)
        reached.append(node.layer.learns or any(reached[i] for i in node.inputs))
        if reached[-1] and node.layer.saved.input:
            tensors.update(shown[index] for index in node.inputs)
        if reached[-1] and node.layer.saved.output:
            tensors.add(shown[node.index])
        if reached[-1] and node.layer.saved.mask:
            mask_bytes += node.shape.size
        if reached[-1]:
            inside += node.layer.saved_inside
    return inside + sum(graph.nodes[index].shape.size for index in tensors), mask_bytes


def simulated_peak(graph: Graph, owned: list[int]) -> int:
    """Run the network on paper: before each layer ask of every buffer whether it is needed yet."""
    nodes = graph.nodes
    buffer = {}  # node -> the node whose memory holds its output
    for node in nodes:
        buffer[node.index] = node.index if owned[node.index] else buffer[node.inputs[0]]
    held = {buffer[index] for index in (*graph.inputs.values(), *graph.outputs.values())}
    peak = 0
    for now in nodes:
        needed = {buffer[index] for node in nodes[now.index :] for index in node.inputs}
        made = {buffer[node.index] for node in nodes[: now.index + 1]}
        alive = made & (needed | held | {buffer[now.index]})
        peak = max(peak, sum(owned[index] for index in alive))
    return peak


@given(NETWORKS)
def test_no_layer_overwrites_what_is_read_after_it(graph):
    """Follow which node's values each buffer holds: a reader must find those of its own input."""
    owned = measure(graph).owned
    buffer: list[int] = []
    holds: dict[int, int] = {}  # buffer -> the node whose values are in it
    shows: list[int] = []  # node -> the node whose values it has under its own shape
    for node in graph.nodes:
        for index in node.inputs:
            assert holds[buffer[index]] == shows[index]
        buffer.append(node.index if owned[node.index] else buffer[node.inputs[0]])
        shows.append(shows[node.inputs[0]] if node.op.view else node.index)
        holds[buffer[node.index]] = shows[node.index]
    for index in (*graph.inputs.values(), *graph.outputs.values()):
        assert holds[buffer[index]] == shows[index]

"""The promise: shapes, weights and parameters told without Keras are those of the Keras model."""

import importlib.util
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.random_specs import (
    KINDS,
    MOST_NODES,
    MOST_VALUES,
    arguments,
    element_of,
    inputs,
    specs,
)
from support.specs import spec_of, telling_families

from archspec.compile.expand import expand
from archspec.element import ArgumentProblems
from archspec.errors import Problem, UsageError
from archspec.graph.builder import Builder
from archspec.graph.graph import Graph
from archspec.keras_model.build import build, load_model
from archspec.keras_model.engine import load_keras, meanwhile
from archspec.keras_model.verify import verify
from archspec.ops.convolution import Convolution, FullyConnected
from archspec.ops.elementwise import Activate
from archspec.ops.op import Weight
from archspec.ops.shape import Shape
from archspec.spec.loading import load

pytestmark = pytest.mark.keras

HUNDRED = settings.default.max_examples
"""A hundred examples, or the multiple of it that ARCHSPEC_EXAMPLES asks for."""

HEADS = """
name: two.heads
input: [6, 6, 2]
layers:
  - {conv: {filters: 4, kernel: 3}, name: first}
  - global_avg_pool
  - fc: {units: 3, activation: softmax}
heads:
  aux: {from: first, loss_weight: 0.3, layers: [flatten, fc: {units: 2}]}
"""


@settings(max_examples=3 * HUNDRED)
@given(specs())
def test_a_random_network_is_what_was_costed(written):
    verification = verify(spec_of(json.dumps(written)))
    assert not verification.mismatches, str(verification)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # of one channel
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_alone_is_what_was_costed(kind):
    tried = 0

    @settings(max_examples=HUNDRED // 12)
    @given(st.data())
    def several_on_one_input(data: st.DataObject) -> None:
        nonlocal tried
        x = data.draw(inputs(kind))
        builder = Builder(x)
        outputs = {}
        for number in range(8):
            element = data.draw(arguments(KINDS[kind], x))
            scratch = Builder(x)
            try:
                y = scratch(element_of(kind, element), scratch.input)
            except (Problem, ArgumentProblems):
                continue
            room = MOST_NODES - len(builder.nodes)
            if len(scratch.nodes) <= room and y.shape.size <= MOST_VALUES:
                outputs[f"y{number}"] = builder(element_of(kind, element), builder.input)
        assume(outputs)
        graph = builder.finish("alone", outputs, {})
        # A few are run as well: JAX compiles every op for every shape.
        model = build(graph) if tried < 12 else None
        verification = verify(graph, model)
        assert not verification.mismatches, str(verification)
        if model is not None:
            made = model(np.ones((2, *x), "float32"))
            shapes = [tuple(y.shape[1:]) for y in (made.values() if len(outputs) > 1 else [made])]
            assert sorted(shapes) == sorted(node.shape for node in outputs.values())
        tried += len(outputs)

    several_on_one_input()
    assert tried >= 10


@pytest.mark.parametrize("family", telling_families())
def test_a_bundled_network_is_what_was_costed(family):
    variants = [expand(load(family, name)) for name in load(family).document.variants or [None]]
    smallest = min(variants, key=lambda graph: sum(node.layer.params for node in graph.nodes))
    verification = verify(smallest)
    assert not verification.mismatches, str(verification)


def chain(*elements, name="chain", shape=(4, 4, 2)) -> Graph:
    builder = Builder(shape)
    x = builder.input
    for element in elements:
        x = builder(element, x)
    return builder.finish(name, {"output": x}, {"output": 1.0})


SMALL = chain(Convolution(filters=3, kernel=3, padding=2), Activate(function="relu"))


def test_a_verification_says_what_was_compared():
    assert str(verify(SMALL)) == (
        "verified against Keras: 3 tensors, 2 weights, 57 parameters, all equal"
    )


def test_a_verification_needs_no_memory_for_the_weights():
    million = chain(FullyConnected(units=1_000_000), shape=(1_000_000,))
    assert verify(million).params == 1_000_001_000_000
    assert not verify(SMALL, build(SMALL)).mismatches  # which does not give values to those either


def test_a_layer_may_make_variables_of_arrays(keras, monkeypatch):
    """As `own` ops of other authors may: Keras refuses that of a model without values."""

    class Doubled(keras.layers.Layer):
        def build(self, input_shape):  # noqa: ARG002
            self.two = keras.Variable(np.full(1, 2.0), trainable=False, name="two")

        def call(self, x):
            return x * self.two

    monkeypatch.setattr(Activate, "emit", lambda *_: Doubled(name="activation1"))
    (mismatch,) = verify(chain(Activate(function="relu"))).mismatches[:1]
    assert mismatch.what == "weights (name, shape, trained)"
    assert mismatch.emitted == [("two", (1,), False)]


def tampered(**changes: object) -> Graph:
    """`SMALL`, but its convolution claims something else."""
    node = SMALL.nodes[1]
    changed = node._replace(layer=replace(node.layer, **changes))
    return replace(SMALL, pieces=(SMALL.nodes[0], changed, SMALL.nodes[2]))


KERNEL, BIAS = SMALL.nodes[1].layer.weights


@pytest.mark.parametrize(
    ("graph", "where", "what"),
    [
        (tampered(output=Shape((6, 6, 4))), "convolution1", "shape"),
        (tampered(weights=(KERNEL,)), "convolution1", "weights (name, shape, trained)"),
        (tampered(weights=(BIAS, KERNEL)), "convolution1", "weights (name, shape, trained)"),
        (
            tampered(weights=(KERNEL, Weight("bias", (3,), trainable=False))),
            "convolution1",
            "weights (name, shape, trained)",
        ),
        (tampered(params=58), "the model", "parameters"),
        (tampered(trainable=56), "the model", "trainable parameters"),
        (replace(SMALL, outputs={"output": 1}), "the model", "outputs"),
        (replace(SMALL, pieces=SMALL.nodes[:2], outputs={"output": 1}), "activation1", "layer"),
        (chain(*(node.op for node in SMALL.nodes[1:]), SMALL.nodes[2].op), "activation2", "layer"),
    ],
)
def test_a_verification_can_fail(graph, where, what):
    found = verify(graph, build(SMALL)).mismatches
    assert (where, what) in {(mismatch.where, mismatch.what) for mismatch in found}


def test_a_verification_sees_where_an_input_comes_from():
    first, second = Activate(function="relu"), Activate(function="tanh")
    builder = Builder((3,))
    x = builder(second, builder(first, builder.input))
    graph = builder.finish("chain", {"output": x}, {})
    start, one, two = graph.nodes
    swapped = replace(graph, pieces=(start, one._replace(inputs=(2,)), two._replace(inputs=(0,))))
    assert [m[:2] for m in verify(swapped, build(graph)).mismatches] == [
        ("activation1", "inputs"),
        ("activation2", "inputs"),
    ]


def test_a_mismatch_says_both_sides():
    (mismatch,) = verify(tampered(output=Shape((6, 6, 4))), build(SMALL)).mismatches
    assert str(mismatch) == "convolution1: shape: (6, 6, 4) in the table, (6, 6, 3) in Keras"


def test_layers_are_called_by_their_paths():
    model = build(spec_of(HEADS))
    assert model.name == "two_heads"
    assert {layer.name for layer in model.layers} >= {
        "input",
        "first-convolution",
        "fc1-activation",
        "aux-flatten1",
    }


def test_heads_are_outputs_by_name(tmp_path):
    model = build(spec_of(HEADS))
    assert {name: tuple(y.shape) for name, y in model.output.items()} == {
        "output": (None, 3),
        "aux": (None, 2),
    }
    # Keras lists `outputs` sorted by name on every backend, so zipping the two is safe.
    assert [id(y) for y in model.output.values()] == [id(y) for y in model.outputs]
    x = np.ones((4, 6, 6, 2), "float32")
    targets = {"output": np.zeros((4, 3), "float32"), "aux": np.zeros((4, 2), "float32")}
    losses = {"output": "mean_squared_error", "aux": "mean_absolute_error"}
    model.compile("sgd", losses, loss_weights={"output": 1.0, "aux": 0.3}, run_eagerly=True)
    model.fit(x, targets, verbose=0)
    model.save(tmp_path / "heads.keras")
    loaded = load_model(tmp_path / "heads.keras")
    found = loaded.evaluate(x, targets, verbose=0, return_dict=True)
    y = {name: np.asarray(each) for name, each in loaded(x).items()}
    right = {"output_loss": (y["output"] ** 2).mean(), "aux_loss": np.abs(y["aux"]).mean()}
    assert found["output_loss"] == pytest.approx(right["output_loss"], rel=1e-4)
    assert found["aux_loss"] == pytest.approx(right["aux_loss"], rel=1e-4)
    total = right["output_loss"] + 0.3 * right["aux_loss"]
    assert found["loss"] == pytest.approx(total, rel=1e-4)
    assert not verify(spec_of(HEADS), loaded).mismatches


def test_a_network_may_be_deeper_than_pythons_stack(keras, tmp_path):  # noqa: ARG001
    """Python stops at 1,000 calls; here at 500, as 1,000 layers take long."""
    deep = chain(*[Activate(function="relu")] * 500, shape=(2,))
    with meanwhile(sys.getrecursionlimit, sys.setrecursionlimit, 500):
        model = build(deep)
        model.save(tmp_path / "deep.keras")
        loaded = load_model(tmp_path / "deep.keras")
    assert not verify(deep, loaded).mismatches


def test_a_users_channels_first_is_his_own(keras):
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        assert not verify(SMALL).mismatches
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format(before)


@pytest.mark.parametrize(
    ("backend", "hint"),
    [
        ("tensorflw", "did you mean `tensorflow`?"),
        ("foo", "backends: jax, tensorflow, torch"),
        ("numpy", "backends: jax, tensorflow, torch"),
    ],
)
def test_an_unknown_backend_is_said_with_the_known_ones(monkeypatch, backend, hint):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(UsageError, match=f"no backend `{backend}` of Keras; {re.escape(hint)}"):
        load_keras()


def test_a_missing_backend_is_said_with_its_remedy(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    installed = importlib.util.find_spec("json")
    only_torch = {"torch": installed}.get
    monkeypatch.setattr(importlib.util, "find_spec", only_torch)
    with pytest.raises(UsageError) as caught:
        load_keras()
    assert str(caught.value) == (
        "a Keras model needs tensorflow, which is not installed: "
        "pip install 'keras-archspec[tensorflow]', or set KERAS_BACKEND=torch, which is installed"
    )

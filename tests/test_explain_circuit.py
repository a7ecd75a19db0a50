"""`archspec.explain`: any Keras graph gives, as a circuit, what the model itself gives.

Models here are put together as people write them: ReLUs in every guise, layers called twice, models
in models, several outputs, other precisions, custom layers.
"""

import functools

import numpy as np
import pytest
from support.networks import circuit_of, gradient, seeded, subject_of

from archspec.errors import UsageError
from archspec.explain.attribution import class_gradients
from archspec.explain.gradient import compiled, differentiated
from archspec.explain.subject import open_subject

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

L = keras.layers
OPS = keras.ops
SHAPE = (8, 8, 2)


def model_of(body, *, head="softmax"):
    """A model of images whose middle `body` makes, with a classifier behind it."""
    inputs = keras.Input(SHAPE, name="image")
    x = body(L.Conv2D(4, 3, name="first")(inputs))
    x = L.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else L.Flatten()(x)
    return seeded(keras.Model(inputs, L.Dense(3, activation=head, name="out")(x)))


def shared(x):
    layer = L.Conv2D(4, 3, padding="same", activation="relu", name="twice")
    return layer(layer(x))


def nested_twice(x):
    inner = keras.Sequential([L.Input((6, 6, 4)), L.Conv2D(4, 1, activation="relu", name="c")])
    middle_inputs = keras.Input((6, 6, 4))
    middle = keras.Model(middle_inputs, OPS.relu(inner(inner(middle_inputs))) + middle_inputs)
    return middle(middle(x))


def several_outputs(x):
    left, right = OPS.split(x, 2, axis=-1)
    inputs = {"a": keras.Input((6, 6, 2), name="a"), "b": keras.Input((6, 6, 2), name="b")}
    inner = keras.Model(inputs, {"x": OPS.relu(inputs["a"]), "y": inputs["b"]})
    found = inner({"b": left, "a": right})
    return L.Concatenate()([found["y"], found["x"]])


def masked(x):
    """A mask has to pass through a Dense layer whose activation is taken apart."""
    rows = L.Masking(mask_value=0.0)(OPS.relu(L.Reshape((6, 24))(x)) * 0 + MASKED)
    return L.LSTM(3)(L.Dense(4, activation="relu", name="hidden")(rows))


MASKED = np.concatenate([np.ones((6, 12)), np.zeros((6, 12))], axis=1).astype(np.float32)
MASKED[3:] = 0


def recurrent(x):
    rows = L.Reshape((6, 24))(x)
    states = L.GRU(4, return_sequences=True, return_state=True)(rows)
    rows = L.Bidirectional(L.SimpleRNN(3, activation="relu", return_sequences=True))(states[0])
    return L.TimeDistributed(L.Dense(2, activation="relu"))(rows)


def normalised(x):
    x = L.BatchNormalization()(L.Dropout(0.5)(L.GaussianNoise(1.0)(x)))
    return L.MaxPooling2D(3, 2)(L.RandomFlip()(L.Rescaling(0.1, offset=-1)(x)))


class Doubled(keras.layers.Layer):
    def call(self, x):
        return OPS.relu(2 * x), x


class Mine(keras.layers.Conv2D):
    """A layer of Keras's with another name: its call is Keras's."""


def mine(x):
    return Mine(4, 3, activation="relu", padding="same")(x)


IMAGES = (
    shared,
    nested_twice,
    several_outputs,
    lambda x: Doubled()(x)[0] + Doubled()(x)[1],
    mine,
    L.Lambda(OPS.abs),
    lambda x: L.Add()([L.Dropout(0.5)(x), L.ReLU()(x), x]),
    lambda x: L.Activation("relu", name="act")(inputs=OPS.relu6(x=x)),
    normalised,
    lambda x: L.SeparableConv2D(3, 1, activation="elu")(L.DepthwiseConv2D(2)(x)),
)


def in_turn(x):
    for body in IMAGES:
        x = body(x)
    return x


@pytest.mark.parametrize("body", [in_turn, masked, recurrent], ids=lambda body: body.__name__)
def test_a_circuit_computes_what_the_model_computes(body):
    """Watched whole, each ReLU's gradient replaced: the values are the model's all the same."""
    model = model_of(body)
    given = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    circuit = circuit_of(model)
    expected = OPS.convert_to_numpy(model(given, training=False))

    def values(x):
        found = circuit.run(x, watch=tuple(circuit.calls), relu="guided")
        return found.output, found.before["out"], found.after

    output, logits, after = compiled(circuit, values)(given)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    powers = np.exp(logits)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), expected, atol=2e-6)
    assert {name: each.shape[1:] for name, each in after.items()} == {
        call.name: call.shape for call in circuit.calls.values()
    }


@pytest.mark.parametrize("body", [in_turn, recurrent], ids=lambda body: body.__name__)
def test_the_gradient_is_that_of_the_model(body):
    model = model_of(body)
    circuit = circuit_of(model)
    given = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    found = gradient(circuit, lambda values: values.output[:, 1], given)
    whole = differentiated(circuit, lambda x: (model(x, training=False)[:, 1], ()))
    np.testing.assert_allclose(found, whole(given)[0], atol=1e-7)
    assert np.abs(found).max() > 1e-4


# Layers that are made here have names of their own: Keras counts from the start again after a test
# has cleared its session, and would name a later one alike.
RELUS = {
    "string": L.Dense(4, activation="relu"),
    "function": L.Dense(4, activation=keras.activations.relu),
    "op of Keras": L.Dense(4, activation=OPS.relu),
    "layer": L.Dense(4, activation=L.ReLU(max_value=2)),
    "Activation layer": L.Dense(4, activation=L.Activation("relu")),
    "partial": L.Dense(4, activation=functools.partial(keras.activations.relu, max_value=2)),
    "of one's own": L.Dense(4, activation=lambda x: x * OPS.cast(x > 0, x.dtype)),
    "Activation": L.Activation("relu6"),
    "ReLU": L.ReLU(threshold=0.5, name="over_a_half"),
    "op": OPS.relu,
    "op relu6": OPS.relu6,
    "activation in the graph": lambda x: keras.activations.relu(x, max_value=2, threshold=0.5),
    "maximum": lambda x: OPS.maximum(0.0, x),
    "clip": lambda x: OPS.clip(x, 0, 2),
    "Lambda": L.Lambda(OPS.relu),
}


OTHERS = {
    "leaky_relu": lambda x: keras.activations.relu(x, negative_slope=0.2, max_value=3),
    "leaky_relu:2": L.ReLU(negative_slope=0.1, name="leaky"),
    "leaky_relu:3": L.Dense(4, activation=L.LeakyReLU()),
    "prelu": L.PReLU(),
    "silu": L.Dense(4, activation="swish"),
    "softplus": OPS.softplus,
}
"""Activations that are not ReLUs, by name."""


def test_a_relu_is_found_in_every_guise_and_nothing_else():
    """Each activation has a slice of the input of its own, and so a slice of the gradient."""
    branches = [*RELUS.values(), *OTHERS.values()]
    inputs = keras.Input((len(branches), 4))
    signs = np.array([1, -1, 1, -1], np.float32)
    sides = [branch(inputs[:, at]) * signs for at, branch in enumerate(branches)]
    model = keras.Model(inputs, OPS.sum(L.Concatenate(name="all")(sides), axis=-1))
    circuit = circuit_of(model)
    given = np.random.default_rng(0).normal(size=(20, *inputs.shape[1:])).astype(np.float32) * 3
    found = {
        rule: gradient(circuit, lambda values: values.output, given, relu=rule)
        for rule in ("vanilla", "deconvnet", "guided")
    }
    assert sum(bool(call.rectifier) for call in circuit.calls.values()) == len(RELUS)
    for one, other in (("guided", "vanilla"), ("deconvnet", "guided")):
        apart = np.abs(found[one] - found[other]).max(axis=(0, 2)) > 0
        assert dict(zip(RELUS, apart, strict=False)) == dict.fromkeys(RELUS, True)
        assert not apart[len(RELUS) :].any()
    called = {call.activation for call in circuit.calls.values()}
    assert called >= {name.partition(":")[0] for name in OTHERS}


def test_code_that_is_not_seen_is_said_to_be_so():
    circuit = circuit_of(model_of(lambda x: recurrent(L.Lambda(OPS.abs)(Doubled()(x)[0]))))
    opaque = {call.kind for call in circuit.calls.values() if call.opaque}
    assert opaque == {"Doubled", "Lambda", "GRU", "Bidirectional", "TimeDistributed"}


ENDS = {
    "fused": (L.Dense(3, activation="softmax"), 0),
    "Activation": (lambda x: L.Activation("softmax", dtype="float32")(L.Dense(3)(x)), 0),
    "op": (lambda x: OPS.softmax(L.Dense(3)(x)), 0),
    "logits": (L.Dense(3), 1),
    "reshaped": (lambda x: L.Reshape((3,))(L.Dense(3, activation="softmax")(x[:, None])), 0),
    "nested": (keras.Sequential([L.Input((4,)), L.Dense(3), L.Softmax()]), 0),
    "sigmoid": (L.Dense(3, activation="sigmoid"), 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_scores_are_before_the_softmax_and_probabilities_after_it(name):
    head, is_logits = ENDS[name]
    inputs = keras.Input((4,))
    model = keras.Model(inputs, head(inputs))
    subject = subject_of(model)
    given = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 3
    scores = subject.scores(given, 5)
    kernel, bias = (OPS.convert_to_numpy(each) for each in model.weights)
    np.testing.assert_allclose(scores, given @ kernel + bias, atol=1e-5)
    output = OPS.convert_to_numpy(model(given))
    expected = OPS.convert_to_numpy(OPS.softmax(output)) if is_logits else output
    np.testing.assert_allclose(subject.probabilities(scores), expected, atol=1e-6)


def test_a_mean_of_probabilities_is_not_taken_for_scores():
    inputs = keras.Input((4,))
    heads = [L.Dense(3, activation="softmax")(inputs) for _ in range(2)]
    model = keras.Model(inputs, L.Average()(heads))
    subject = subject_of(model)
    given = np.ones((1, 4), np.float32)
    found = subject.probabilities(subject.scores(given, 1))
    np.testing.assert_allclose(found, OPS.convert_to_numpy(model(given)), atol=1e-6)
    assert any("without a softmax" in note for note in subject.notes)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_values_of_other_precisions_are_float32(policy):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float64 only where it was told so at its start")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = model_of(OPS.relu)
    finally:
        keras.config.set_dtype_policy(before)
    subject = subject_of(model)
    given = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    shares = subject.probabilities(subject.scores(given, 2))
    expected = OPS.convert_to_numpy(OPS.cast(model(given), "float32"))
    np.testing.assert_allclose(shares, expected, atol=1e-2)
    for rule in ("vanilla", "guided"):
        found = class_gradients(subject, given, [0, 1], 2, rule)
        assert found.dtype == np.float32
        assert np.abs(found).max() > 1e-3


def test_an_image_of_whole_numbers_has_a_gradient():
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    x = L.Flatten()(L.Rescaling(1 / 255)(inputs))
    subject = subject_of(keras.Model(inputs, L.Dense(2, activation="softmax")(x)))
    given = np.full((1, 4, 4, 1), 7, np.float32)
    assert np.abs(class_gradients(subject, given, [1], 1)).max() > 0


def test_dropout_that_gives_its_very_input_is_no_ancestor_of_its_sibling():
    inputs = keras.Input((4,), name="image")
    side = L.Dropout(0.5, name="side")(inputs)
    main = L.Dense(2, name="main")(inputs)
    circuit = circuit_of(keras.Model(inputs, {"output": main, "side": L.Dense(1)(side)}))
    assert circuit.scores == "main"
    assert circuit.before("main") == {"main"}


def test_the_channels_have_to_come_last():
    inputs = keras.Input((2, 8, 8))
    x = L.Flatten()(L.Conv2D(4, 3, data_format="channels_first", name="conv")(inputs))
    with pytest.raises(UsageError, match=r"has its channels first.*`conv`"):
        subject_of(keras.Model(inputs, L.Dense(2)(x)))


def test_a_saved_model_gives_the_same(tmp_path):
    model = model_of(shared)
    model.save(tmp_path / "net.keras")
    given = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    found = open_subject(tmp_path / "net.keras", normalize="none").scores(given, 2)
    np.testing.assert_allclose(found, subject_of(model).scores(given, 2), atol=1e-5)

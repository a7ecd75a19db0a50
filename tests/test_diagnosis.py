"""Diagnosis of a loss that is not a number: where, why, and what may help."""

from __future__ import annotations

import numpy as np
import pytest

from archspec.training.diagnosis import diagnose

pytestmark = pytest.mark.keras


@pytest.fixture
def network(keras):
    """Makes a small network that ends in logits or in a softmax, compiled."""

    def network(*, softmax: bool = False, from_logits: bool | None = None, dtype="float32", **sgd):
        layers = keras.layers
        inputs = x = keras.Input((4, 4, 1))
        for layer in (
            layers.Conv2D(2, 3, name="stage1-conv1", dtype=dtype),
            layers.BatchNormalization(name="stage1-norm", dtype=dtype),
            layers.Flatten(name="flatten", dtype=dtype),
            layers.Dense(3, "softmax" if softmax else None, name="fc", dtype=dtype),
        ):
            x = layer(x)
        model = keras.Model(inputs, x)
        logits = not softmax if from_logits is None else from_logits
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        model.compile(keras.optimizers.SGD(**sgd), loss)
        return model

    return network


X = np.linspace(-1, 1, 8 * 16, dtype=np.float32).reshape(8, 4, 4, 1)
Y = np.arange(8) % 3


def diagnosis(keras, model, **known) -> str:
    return diagnose(keras, model, **{"epoch": 3, "steps": range(120, 121), **known})


def fill(model, name: str, value: float) -> None:
    layer = model.get_layer(name)
    layer.set_weights([np.full_like(weight, value) for weight in layer.get_weights()])


def test_the_place_is_named_and_without_evidence_the_rate_is_suspected(keras, network):
    assert diagnosis(keras, network()) == (
        "The loss became infinite or not a number in epoch 3, step 120. The learning rate is most "
        "likely too high: try a tenth of it, or one that `archspec.find_lr(...)` finds, or clip "
        "the gradients with the optimizer's `clipnorm: 1.0`."
    )


def test_steps_that_were_told_of_together_are_named_together(keras, network):
    """TensorFlow may run several steps before it returns to Python."""
    assert "in epoch 3, steps 5 to 8." in diagnosis(keras, network(), steps=range(5, 9))


def test_a_rate_that_makes_a_network_diverge_is_blamed(keras, network):
    model = network(learning_rate=1e30)
    model.fit(X, Y, epochs=3, verbose=0)
    text = diagnosis(keras, model, learning_rate=1e30, losses=[1.1, 40.0, 1e9], x=X, y=Y)
    assert "After this step no layer has finite weights." in text
    assert text.endswith(
        "It grew before that: 1.1, 40, 1e+09. The learning rate of 1e+30 is too high: "
        "`archspec.find_lr(...)` finds one that suits."
    )


def test_a_rate_beyond_float32_is_not_named_as_infinite(keras, network):
    text = diagnosis(keras, network(), learning_rate=float("inf"))
    assert text.endswith(
        "The learning rate is too high: `archspec.find_lr(...)` finds one that suits."
    )


@pytest.mark.parametrize(
    ("rate", "advice"),
    [
        (1e8, "is too high: `archspec.find_lr(...)` finds one that suits."),
        (2.0, "is too high: `archspec.find_lr(...)` finds one that suits."),
        (1.0, "is most likely too high: try 0.1, or one that `archspec.find_lr(...)` finds, or"),
    ],
)
def test_a_rate_far_too_high_is_to_be_looked_for_not_divided(keras, network, rate, advice):
    assert advice in diagnosis(keras, network(), learning_rate=rate)


def test_a_rate_far_too_high_is_to_blame_in_any_precision(keras, network):
    text = diagnosis(keras, network(), learning_rate=1e8, precision="mixed_float16")
    assert "The learning rate of 1e+08 is too high" in text
    assert "bfloat16" not in text


def test_who_clips_already_is_not_told_to(keras, network):
    text = diagnosis(keras, network(clipnorm=1.0), learning_rate=0.5)
    assert text.endswith(
        "The learning rate of 0.5 is most likely too high: try 0.05, or one that "
        "`archspec.find_lr(...)` finds."
    )


@pytest.mark.parametrize(
    ("losses", "grew"),
    [
        ([], False),
        ([2.0], False),
        ([2.0, 1.0, 1.2], False),
        ([2.0, 1.0, 1.6], True),
        ([2.0, 1.0, float("nan"), 4.0, float("inf")], True),
    ],
)
def test_a_loss_grows_by_more_than_chance(keras, network, losses, grew):
    assert ("It grew before that" in diagnosis(keras, network(), losses=losses)) is grew


def test_the_first_layer_that_is_broken_is_named_as_in_the_spec(keras, network):
    model = network()
    fill(model, "stage1-norm", np.nan)
    fill(model, "fc", np.inf)
    text = diagnosis(keras, model, x=X, y=Y)
    assert "The first layer with weights that are not finite is stage1/norm (2 of 3)." in text


def test_weights_that_are_too_large_to_learn_are_shown(keras, network):
    model = network()
    fill(model, "fc", 3e9)
    text = diagnosis(keras, model, learning_rate=0.2, x=X, y=Y)
    assert (
        "The weights of fc have grown to 3e+09. The learning rate of 0.2 is too high: try 0.02"
    ) in text


def test_images_that_are_not_finite_are_to_blame_and_nothing_else(keras, network):
    x = X.copy()
    x[[2, 5], 0, 0, 0] = np.nan, np.inf
    text = diagnosis(keras, network(), x=x, y=Y, losses=[1, 9], learning_rate=1.0)
    assert text.endswith(
        "step 120. 2 of the batch's 8 images hold values that are not finite, the first is "
        "number 3: check the data and their normalisation."
    )


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            np.array([0, 7, 3]),
            "the label 3, but the network's 3 outputs are for labels from 0 to 2",
        ),
        (np.array([0, -1, 2]), "the label -1, but"),
        (np.array([[1, 0, np.nan]]), "labels are not finite"),
    ],
)
def test_labels_that_no_output_has_are_to_blame(keras, network, labels, words):
    text = diagnosis(keras, network(), x=X, y=labels)
    assert words in text
    assert "learning rate" not in text


def test_a_loss_that_takes_scores_as_probabilities_is_to_blame(keras, network):
    text = diagnosis(keras, network(from_logits=False), x=X, y=Y)
    assert "`sparse_categorical_crossentropy` takes the output as a probability" in text
    assert "learning rate" not in text
    assert "as a probability" not in diagnosis(keras, network(softmax=True), x=X, y=Y)
    assert "as a probability" not in diagnosis(keras, network(), x=X, y=Y)


def test_probabilities_of_exactly_0_are_told(keras, network):
    model = network(softmax=True)
    fill(model, "fc", 0)
    layer = model.get_layer("fc")
    layer.set_weights([layer.get_weights()[0], np.array([500, 0, 0], np.float32)])
    text = diagnosis(keras, model, x=X, y=Y)
    assert "16 of the batch's probabilities are exactly 0" in text
    assert "learning rate" not in text
    # They are what a rate leads to, where that was too high.
    grown = diagnosis(keras, model, x=X, y=Y, losses=[1, 9])
    assert "exactly 0" not in grown
    assert "learning rate is too high" in grown


def test_float16_overflows_where_bfloat16_does_not(keras, network):
    model = network(dtype="mixed_float16")
    fill(model, "stage1-conv1", 6e4)
    text = diagnosis(keras, model, x=X, y=Y, precision="mixed_float16", learning_rate=0.1)
    assert "The first layer whose output is not finite in mixed_float16 is stage1/conv1." in text
    assert text.endswith(
        "The largest float16 number is 65,504: `precision: mixed_bfloat16` takes as little memory "
        "and has the range of float32."
    )
    fine = diagnosis(keras, network(dtype="mixed_bfloat16"), x=X, y=Y, precision="mixed_bfloat16")
    assert "float16" not in fine


def test_heads_are_looked_at_by_their_names(keras):
    inputs = keras.Input((4,))
    outputs = {
        "aux": keras.layers.Dense(2, name="aux")(inputs),
        "output": keras.layers.Dense(3, "softmax", name="top")(inputs),
    }
    model = keras.Model(inputs, outputs)
    entropy = keras.losses.SparseCategoricalCrossentropy
    model.compile("sgd", {"aux": entropy(from_logits=True), "output": entropy()})
    x = np.ones((3, 4), np.float32)
    text = diagnosis(
        keras, model, x=x, y={"aux": np.array([0, 1, 2]), "output": np.array([0, 1, 2])}
    )
    assert text.endswith("the label 2, but the network's 2 outputs are for labels from 0 to 1.")


def test_the_model_is_only_looked_at(keras, network):
    model = network(softmax=True)
    before = [np.array(weight) for weight in model.get_weights()]
    diagnosis(keras, model, x=X, y=Y)
    for weight, old in zip(model.get_weights(), before, strict=True):
        assert np.array_equal(weight, old)

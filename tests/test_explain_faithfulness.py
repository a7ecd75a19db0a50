"""`faithfulness`: what is known to be right or wrong of a map comes out."""

import tracemalloc

import numpy as np
import pytest
from support.networks import images, linear, relu_net, request, seeded, subject_of

from archspec import explain
from archspec.errors import UsageError
from archspec.explain import map_trials
from archspec.explain.attribution import maps_by
from archspec.explain.inverting import spread
from archspec.explain.unit_activity import activations_of

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

SHAPE = (6, 8, 1)


def two_classes():
    """Scores w . x and -w . x: the probability of a class falls with what is taken of w * x."""
    model = linear(keras, SHAPE, classes=2)
    weights = model.get_layer("fc").get_weights()[0][:, :1] / 255
    model.get_layer("fc").set_weights([np.concatenate([weights, -weights], axis=1)])
    return subject_of(model), weights[:, 0]


def test_on_a_linear_network_no_order_beats_that_of_weight_times_pixel():
    subject, weights = two_classes()
    pixels = images(3, SHAPE)
    black = np.zeros_like(pixels)

    def curves(orders):
        return map_trials.curves(subject, pixels, black, [0, 0, 0], orders, steps=12, batch=8)

    generator = np.random.default_rng(0)
    best = curves([np.argsort(-weights * each.ravel()) for each in pixels])
    for _ in range(5):
        other = curves([generator.permutation(48) for _ in pixels])
        assert (best.deletion <= other.deletion + 1e-6).all()
        assert (best.insertion >= other.insertion - 1e-6).all()
    # Integrated gradients are weight times pixel there, above black.
    maps = maps_by("integrated-gradients")(request(subject, pixels, [0, 0, 0]))
    found = curves([map_trials.order_of(each, generator) for each in maps])
    np.testing.assert_allclose(found.deletion, best.deletion, atol=1e-5)
    assert found.shares.tolist() == [step / 12 for step in range(13)]


def test_curves_begin_and_end_at_the_image_and_at_what_replaces_it():
    subject, _ = two_classes()
    pixels, fill = images(1, SHAPE), images(1, SHAPE, seed=1)
    shares = [subject.probabilities(subject.scores(each, 1))[0, 1] for each in (pixels, fill)]
    found = map_trials.curves(subject, pixels, fill, [1], [np.arange(48)], steps=1000, batch=8)
    assert found.deletion[0, [0, -1]] == pytest.approx(shares)
    assert found.insertion[0, [0, -1]] == pytest.approx(shares[::-1])
    assert len(found.shares) == 49  # a pixel at a time, at most


def test_curves_hold_a_batch_of_images_at_a_time():
    shape = (32, 32, 3)
    subject, pixels = subject_of(linear(keras, shape)), images(1, shape)

    def curves():
        orders = [np.arange(32 * 32)]
        map_trials.curves(subject, pixels, 0 * pixels, [1], orders, steps=1024, batch=8)

    curves()  # compiles
    tracemalloc.start()
    curves()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1025 * pixels.nbytes / 10


def test_what_replaces_pixels_is_not_said_to_be_the_mean_of_one_image():
    found = explain.faithfulness(
        linear(keras, SHAPE), images(2, SHAPE), normalize="unit", check="curves", steps=2
    )
    assert "pixels are replaced by the image's own mean" in found.notes


def test_weights_are_restored_whatever_happens():
    subject = subject_of(relu_net(keras, SHAPE))
    before = subject.network.model.get_weights()

    def broken(*_, **__):
        assert not np.allclose(subject.network.model.get_weights()[-2], before[-2])
        raise KeyboardInterrupt

    calls = []

    def maps(asked):
        calls.append(subject.network.model.get_weights())
        return map_trials.edges(asked) if len(calls) == 1 else broken()

    with pytest.raises(KeyboardInterrupt):
        map_trials.cascade(request(subject, images(2, SHAPE), [0, 1]), maps)
    for one, other in zip(before, subject.network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_are_re_initialised_one_after_the_other_from_the_last_on():
    subject = subject_of(relu_net(keras, SHAPE))
    trained = subject.network.model.get_weights()
    seen = []

    def maps(asked):
        now = subject.network.model.get_weights()
        seen.append([np.array_equal(a, b) for a, b in zip(trained, now, strict=True)][::2])
        return maps_by("saliency")(asked)

    found = map_trials.cascade(request(subject, images(4, SHAPE), [0, 1, 2, 0]), maps)
    assert found.layers == ("out", "hidden", "conv2", "conv1")
    assert seen == [[each < 4 - depth for each in range(4)] for depth in range(5)]
    assert found.counts == (1, 2, 3, 4)
    assert found.likeness.shape == (4, 4)
    assert found.mean(-1) < 0.7


def test_a_further_output_is_no_layer_of_the_scores():
    inputs = keras.Input(SHAPE)
    x = keras.layers.Normalization(mean=127.0, variance=5_000.0)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    scores = keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(x))
    for name in ("deep", "deeper"):
        x = keras.layers.Conv2D(2, 3, padding="same", activation="relu", name=name)(x)
    other = keras.layers.Dense(2, activation="softmax", name="other")(keras.layers.Flatten()(x))
    model = seeded(keras.Model(inputs, {"output": scores, "other": other}))
    subject = subject_of(model)
    assert list(subject.circuit.calls)[-1] == "other"
    assert [call.name for call in activations_of(subject.circuit)] == ["conv"]
    assert spread(subject.circuit) == ["conv", "scores"]
    found = map_trials.cascade(request(subject, images(2, SHAPE), [0, 1]), maps_by("saliency"))
    assert found.layers[:2] == ("scores", "conv")
    assert found.mean(0) < 1


def test_a_map_that_ignores_the_network_is_caught():
    model = relu_net(keras, SHAPE)
    gallery = explain.faithfulness(
        model, images(6, SHAPE), method=["saliency", "guided"], draws=2, steps=6, normalize="unit"
    )
    assert [each.name for each in gallery] == ["saliency", "guided", "edges", "together"]
    edges = gallery[2].summary
    assert "Spearman 1.00 without the last layer's weights, 1.00 without all" in edges
    assert "does not depend on the network" in edges
    assert "does not depend" not in gallery[0].summary + gallery[1].summary
    table = gallery[3].items[-1]
    assert [row[0] for row in table.rows] == ["saliency", "guided", "edges", "random"]
    assert {item.name for item in gallery[3].items} >= {"deletion", "insertion", "sanity"}
    random = table.rows[-1]
    assert 0 < random[1] < 1


def test_the_pointing_game_knows_both_halves_and_a_constant_map():
    subject = subject_of(linear(keras, SHAPE))
    pairs = map_trials.pairs_of(images(9, SHAPE), np.arange(9) % 3, 9, np.random.default_rng(0))
    assert (pairs.targets[:, 0] != pairs.targets[:, 1]).all()

    def constant(asked):
        return np.zeros((len(asked), 6, 8))

    sides = iter([slice(0, 4), slice(4, 8)])

    def right(asked):
        found = constant(asked)
        found[:, 2, next(sides)] = 1
        return found

    asked = request(subject, pairs.pixels, ())
    assert map_trials.pointing(asked, pairs, constant)[0] == 0.5
    assert map_trials.pointing(asked, pairs, right)[0] == 1
    assert map_trials.pairs_of(images(2, SHAPE), np.zeros(2), 2, np.random.default_rng(0)) is None


def test_the_network_points_at_what_it_reads():
    """A class whose evidence is ink anywhere, the other one against it: weights are constant."""
    model = linear(keras, SHAPE, classes=2)
    model.get_layer("fc").set_weights([np.array([[1.0, -1.0]] * 48, np.float32) / 255])
    pixels = np.zeros((4, *SHAPE), np.float32)
    pixels[::2] = 255
    pairs = map_trials.pairs_of(pixels, np.array([0, 1, 0, 1]), 4, np.random.default_rng(0))
    asked = request(subject_of(model), pixels, ())
    found, _ = map_trials.pointing(asked, pairs, maps_by("integrated-gradients"))
    assert found == 1


def test_what_is_complete_is_said():
    found = explain.faithfulness(
        linear(keras, SHAPE),
        images(3, SHAPE),
        method="integrated-gradients",
        check=["completeness"],
        normalize="none",
    )
    assert found[0].summary == "0.00% missing"


def test_all_leaves_out_what_refuses_and_says_why():
    inputs = keras.Input(SHAPE)
    hidden = keras.layers.Conv2D(2, 3, activation="tanh", name="hidden")(inputs)
    flat = keras.layers.Flatten()(hidden)
    model = seeded(keras.Model(inputs, keras.layers.Dense(3, name="out")(flat)))
    common = {"check": ["pointing"], "normalize": "unit"}
    found = explain.faithfulness(model, images(3, SHAPE), method=["all"], **common)
    names = [each.name for each in found]
    assert "saliency" in names
    assert "guided" not in names
    assert any(note.startswith("left out guided: ") and "no ReLU" in note for note in found.notes)
    with pytest.raises(UsageError, match="no ReLU"):
        explain.faithfulness(model, images(3, SHAPE), method="guided", **common)


def test_alike_means_of_the_same_order():
    one = np.array([[1.0, -2, 3, 4]])
    assert map_trials.spearman(one, -(one**3)) == pytest.approx(1)
    assert map_trials.spearman(one, one[:, ::-1]) == pytest.approx(-1)
    assert map_trials.spearman(one, np.ones((1, 4))) == 0
    assert map_trials.spearman(np.ones((1, 4)), np.ones((1, 4))) == 1

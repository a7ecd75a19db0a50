"""Images that a search makes: those of `maximize`, `invert` and `fool` that are known by hand."""

import numpy as np
import pytest
from support.networks import images, linear

import archspec
from archspec import explain
from archspec.explain.image_search import FLAT, total_variation

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

LAYERS = keras.layers
RANGE = 255
GREY = RANGE / 2  # the origin of a search, where no mean is known

PLAIN = {"normalize": "none", "tv": 0, "jitter": 0}


def convolution(kernel, *, bias: float = 0.0, extent: int = 11):
    """One filter over an image of one channel, with a ReLU fused into it, and a max pool."""
    inputs = keras.Input((extent, extent, 1))
    size = len(kernel)
    conv = LAYERS.Conv2D(1, size, padding="same", activation="relu", name="conv")
    model = keras.Model(inputs, LAYERS.MaxPooling2D(2, padding="same", name="pool")(conv(inputs)))
    conv.set_weights([kernel[..., None, None].astype(np.float32), np.array([bias], np.float32)])
    return model


KERNEL = np.array([[1, -2, 0.5], [0, 3, -1], [0.25, 0, -0.5]])


def test_the_image_of_a_linear_class_is_its_weights():
    """I* = w / (2 l2), where w is the slope for a whole range."""
    model = linear(keras, (4, 5, 1))
    weights = keras.ops.convert_to_numpy(model.get_layer("fc").kernel)[:, 1].reshape(4, 5, 1)
    found = explain.maximize(model, target="1", l2=700, **PLAIN)
    expected = weights * RANGE / (2 * 700)
    assert abs(expected).max() < 0.5  # so that no pixel is clipped
    u = (found[0].items[0].values - GREY) / RANGE
    np.testing.assert_allclose(u, expected, atol=1e-3 * abs(expected).max())


def test_the_image_of_a_unit_of_the_first_layer_is_its_kernel():
    found = explain.maximize(
        convolution(KERNEL), layer="conv", unit=0, at="centre", l2=2000, **PLAIN
    )
    u = (found[0].items[0].values[..., 0] - GREY) / RANGE
    np.testing.assert_allclose(u[4:7, 4:7] / u[5, 5], KERNEL / 3, atol=1e-3)
    u[4:7, 4:7] = 0
    np.testing.assert_allclose(u, 0, atol=1e-4)


def test_jitter_does_not_add_up_to_a_drift():
    """A walk of 200 steps of up to 2 pixels would end some 20 pixels away."""
    model = convolution(np.ones((3, 3)), extent=31)
    settings = {**PLAIN, "jitter": 2, "l2": 500, "start": "mean"}
    found = explain.maximize(model, layer="conv", unit=0, at="centre", **settings)
    u = found[0].items[0].values[..., 0] - GREY
    places = np.arange(31)
    assert abs((u.sum(axis=0) * places).sum() / u.sum() - 15) < 1
    assert abs((u.sum(axis=1) * places).sum() / u.sum() - 15) < 1
    np.testing.assert_allclose(u[:10], 0, atol=1e-2)


def test_a_unit_that_is_off_is_climbed_before_its_relu_and_is_said_to_be_stuck_after_it():
    model = convolution(KERNEL, bias=-1e5)
    before = explain.maximize(model, layer="conv", unit=0, l2=0.1, **PLAIN)
    after = explain.maximize(model, layer="pool", unit=0, l2=0.1, **PLAIN)
    assert "gradient is 0" not in before[0].summary
    assert before[0].items[0].facts["score"] > -1e5
    assert "the gradient is 0 all the way: name the layer before the ReLU" in after[0].summary


def test_the_best_real_image_is_said_and_every_pixel_is_one_that_an_image_can_have():
    model = linear(keras, (4, 5, 1))
    real = images(6, (4, 5, 1))
    kernel = keras.ops.convert_to_numpy(model.get_layer("fc").kernel)
    scores = real.reshape(6, -1) @ kernel
    found = explain.maximize(model, real, normalize="none", l2=0, tv=0, seeds=2)
    assert [exhibit.name for exhibit in found] == ["class 0", "class 1", "class 2", "all classes"]
    for number, exhibit in enumerate(found[:3]):
        first, second, best = exhibit.items
        assert (first.facts["seed"], second.facts["seed"]) == (0, 1)
        np.testing.assert_allclose(best.facts["score"], scores[:, number].max(), rtol=1e-5)
        assert f"image, [{scores[:, number].argmax()}]" in exhibit.summary
        weights = kernel[:, number].reshape(4, 5, 1)
        np.testing.assert_allclose(first.values, np.where(weights > 0, RANGE, 0), atol=1e-3)
        np.testing.assert_allclose(first.facts["score"], RANGE * weights[weights > 0].sum(), 1e-5)


def test_a_seed_gives_the_same_image_whatever_else_is_asked_for():
    model = linear(keras, (4, 5, 1))
    settings = {"normalize": "none", "steps": 50, "jitter": 1, "l2": 500, "tv": 500}
    alone = explain.maximize(model, target="2", seed=1, **settings)
    among = explain.maximize(model, seed=0, seeds=2, **settings)
    np.testing.assert_allclose(alone[0].items[0].values, among[2].items[1].values, atol=1e-2)


def test_total_variation_of_a_lone_pixel():
    lone = np.zeros((1, 5, 5, 1), np.float32)
    lone[0, 2, 2, 0] = 1
    found = [float(total_variation(keras.ops, keras.ops.array(lone), beta)[0]) for beta in (1, 2)]
    np.testing.assert_allclose(found, [2 + np.sqrt(2), 4], atol=25 * FLAT**0.5)


def orthogonal():
    """A 1x1 convolution by an orthogonal matrix: no information is lost."""
    inputs = keras.Input((4, 6, 3))
    conv = LAYERS.Conv2D(3, 1, use_bias=False, name="conv")
    model = keras.Model(inputs, conv(inputs))
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    conv.set_weights([turned[None, None].astype(np.float32)])
    return model


def test_an_orthogonal_layer_is_inverted_exactly():
    given = images(2, (4, 6, 3))
    found = explain.invert(orthogonal(), given, layer="conv", tv=0, normalize="none")
    for exhibit, image in zip(found, given, strict=True):
        np.testing.assert_allclose(exhibit.items[1].values, image, atol=1e-5 * RANGE)
        assert exhibit.items[1].facts["feature error"] < 1e-5


def test_another_image_of_the_same_features_is_not_taken_for_the_first():
    """Global average pooling sees no place: an image and its translation have the same features."""
    inputs = keras.Input((6, 6, 1))
    model = keras.Model(inputs, LAYERS.GlobalAveragePooling2D(name="mean")(inputs))
    square = np.zeros((1, 6, 6, 1), np.float32)
    square[0, 1:3, 1:3] = RANGE
    found = explain.invert(model, square, layer="mean", tv=0, normalize="none")
    facts = found[0].items[1].facts
    assert facts["feature error"] < 1e-3
    assert facts["pixel error"] > 0.1
    assert facts["image"] == "another one of the same features"
    assert "(another image)" in found[0].summary


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_a_flat_start_has_a_slope(beta):
    """The slope of a root at 0 is infinite, and 0 times that is not a number."""
    found = explain.invert(
        orthogonal(), images(1, (4, 6, 3)), beta=beta, tv=1e-5, start="mean", normalize="none"
    )
    assert found[0].items[1].facts["feature error"] < 0.1


def test_features_that_are_0_are_said():
    model = convolution(KERNEL, bias=-1e5)
    found = explain.invert(model, images(1, (11, 11, 1)), layer="conv", steps=2, normalize="none")
    assert "conv has no features, all are 0" in found[0].summary


LEVEL = 1 / 255
"""The smallest change that a file of 8 bits holds, as a share of the range."""

RAW = {"normalize": "none", "white": 255}


def two_classes():
    """A linear network of two classes, whose log odds are pixels . (w0 - w1)."""
    model = linear(keras, (4, 5, 1), classes=2)
    kernel = keras.ops.convert_to_numpy(model.get_layer("fc").kernel).reshape(4, 5, 1, 2)
    return model, kernel[..., 0] - kernel[..., 1]


def grey(count: int = 1, seed: int = 0):
    """Whole numbers far from black and white, so that nothing is clipped, nor rounded."""
    generator = np.random.default_rng(seed)
    return generator.integers(108, 148, (count, 4, 5, 1)).astype(np.float32)


def near(weights, levels):
    """Images that so many levels of every pixel part from those of the other class."""
    given = grey(len(levels))
    sums = (given * weights).sum(axis=(1, 2, 3)) / abs(weights).sum()
    steps = np.rint(sums) - np.array(levels)
    return (given - steps[:, None, None, None] * np.sign(weights)).astype(np.float32)


def odds_of(picture, weights):
    return float((picture.values * weights).sum())


def pictures(exhibit):
    return {item.name: item for item in exhibit.items}


def test_a_linear_network_loses_epsilon_times_the_sum_of_its_weights():
    """Goodfellow et al. 2014, section 3; the probability is 1 up to rounding, and yet it works."""
    model, weights = two_classes()
    given = grey()
    given += np.rint(20 * np.sign(weights) * np.sign((given * weights).sum()))
    (exhibit,) = explain.fool(model, given, epsilon=8 * LEVEL, **RAW)
    found = pictures(exhibit)
    assert found["image"].facts["probability"] == 1
    change = odds_of(found["fooled"], weights) - odds_of(found["image"], weights)
    sign = np.sign(odds_of(found["image"], weights))
    np.testing.assert_allclose(change, -sign * 8 * abs(weights).sum(), rtol=1e-5)
    chance = odds_of(found["random"], weights) - odds_of(found["image"], weights)
    assert abs(chance) < 0.7 * abs(change)
    np.testing.assert_array_equal(abs(found["random"].values - given[0]), 8)


def test_at_black_and_white_less_is_lost():
    model, weights = two_classes()
    given = np.where(weights > 0, 255, 0)[None].astype(np.float32)
    given[0, 0] = 2
    found = pictures(explain.fool(model, given, epsilon=8 * LEVEL, **RAW)[0])
    change = odds_of(found["fooled"], weights) - odds_of(found["image"], weights)
    assert 0 < -change < 8 * abs(weights).sum()
    assert found["fooled"].values.min() >= 0
    assert found["fooled"].values.max() <= 255


def test_what_counts_is_the_file_as_predict_reads_it(tmp_path):
    model, weights = two_classes()
    path = tmp_path / "model.keras"
    model.save(path)
    gallery = explain.fool(path, near(weights, [3, -8, 20]), smallest=True, **RAW)
    folder = gallery.save(tmp_path / "out")
    for number, exhibit in enumerate(gallery):
        found = pictures(exhibit)
        (answer,) = archspec.predict(path, folder / f"{number}-file.png", normalize="none", top=1)
        assert answer.guesses[0].class_name == found["fooled"].facts["class"]
        assert answer.guesses[0].class_name != found["image"].facts["class"]
        assert f"-> {answer.guesses[0].class_name}" in exhibit.summary
        # The smallest change that turns the sign of the odds, in whole levels.
        odds = abs(odds_of(found["image"], weights))
        levels = int(odds / abs(weights).sum()) + 1
        np.testing.assert_allclose(exhibit.facts["epsilon in pixel values"], levels, rtol=1e-6)


def test_a_change_that_rounds_to_nothing_fools_nobody():
    """Half a level is lost in the file: the float image would be another class's."""
    model, weights = two_classes()
    given = grey()
    found = pictures(explain.fool(model, given, epsilon=0.4 * LEVEL, **RAW)[0])
    np.testing.assert_array_equal(found["fooled"].values, given[0])
    assert weights.all()  # so that every pixel was to be changed


@pytest.mark.parametrize("steps", [1, 7])
def test_a_targeted_attack_goes_to_its_class_and_no_farther_than_epsilon(steps):
    model = linear(keras, (4, 5, 1), classes=5)
    given = grey(6, seed=3)
    gallery = explain.fool(model, given, target="4", steps=steps, epsilon=40 * LEVEL, **RAW)
    before = [pictures(each)["image"].facts["class"] for each in gallery]
    after = [pictures(each)["fooled"].facts["class"] for each in gallery]
    assert after.count("4") > before.count("4")
    for exhibit, image in zip(gallery, given, strict=True):
        assert abs(pictures(exhibit)["fooled"].values - image).max() <= 40


def test_along_the_curve_the_attack_beats_random_signs():
    model, weights = two_classes()
    given = near(weights, range(-12, 12, 2))
    gallery = explain.fool(model, given, curve=20 * LEVEL, **RAW)
    chart, table = gallery[-1].items
    attacked, random = chart.lines["gradient signs"], chart.lines["random signs"]
    assert attacked[0] == random[0] == (0.0, 1.0)
    assert attacked[-1][1] == 0
    assert random[-1][1] > 0.5
    assert [row[1] for row in table.rows][-1] == pytest.approx(20)

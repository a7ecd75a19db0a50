"""`invariance`: images moved, turned, redrawn, noisy; `overview`: all that is cheap."""

import os
import signal

import numpy as np
import pytest
from support.networks import images, linear, relu_net, subject_of

import archspec
from archspec import explain
from archspec.data.values import BYTES
from archspec.errors import UsageError
from archspec.evaluation.trained import find, load
from archspec.explain.circuit import Circuit
from archspec.explain.distortions import (
    Distortion,
    Ground,
    Move,
    amounts,
    ground,
    in_planes,
    leaving,
    moved,
)
from archspec.explain.samples import joined, load_samples
from archspec.explain.study import Study

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

BLACK = Ground(np.zeros(1, np.float32), 255.0)
WHITE = Ground(np.full(1, 255, np.float32), 255.0, sign=-1)
EDGE = Ground(None, 255.0)


def change(name: str, around: Ground = BLACK, seed: int = 0) -> Distortion:
    return Distortion(name, around, BYTES, seed)


# What is done to images


def test_a_shift_by_whole_pixels_moves_values_and_brings_background_into_sight():
    given = images(2, (4, 6, 1)).round()
    for around, fill in ((BLACK, 0), (WHITE, 255)):
        found = change("translation-x", around)(given, 2, [0, 1])
        np.testing.assert_array_equal(found[:, :, 2:], given[:, :, :-2])
        np.testing.assert_array_equal(found[:, :, :2], fill)
        found = change("translation-y", around)(given, -1, [0, 1])
        np.testing.assert_array_equal(found[:, :-1], given[:, 1:])
        np.testing.assert_array_equal(found[:, -1], fill)
    found = change("translation-x", EDGE)(given, 2, [0, 1])
    np.testing.assert_array_equal(found[:, :, :2], given[:, :, :1].repeat(2, axis=2))


def test_images_are_turned_about_their_centre_anticlockwise():
    square, oblong = images(1, (5, 5, 3)), images(1, (4, 7, 3))
    np.testing.assert_allclose(
        change("rotation")(square, 90, [0])[0], np.rot90(square[0]), rtol=1e-5
    )
    np.testing.assert_allclose(
        change("rotation")(oblong, 180, [0])[0], oblong[0, ::-1, ::-1], rtol=1e-5
    )


def test_scaling_leaves_the_centre_and_squeezing_the_area():
    disc = np.zeros((1, 41, 61, 1), np.float32)
    y, x = np.mgrid[-20:21, -30:31]
    disc[0, y**2 + x**2 <= 64] = 255
    for name, amount, wide, high in (
        ("scale", 2.0, 2, 2),
        ("scale", 0.5, 0.5, 0.5),
        ("squeeze", 2.0, 2**0.5, 0.5**0.5),
    ):
        ink = change(name)(disc, amount, [0])[0, :, :, 0] / 255
        assert (ink[20].sum(), ink[:, 30].sum()) == pytest.approx((17 * wide, 17 * high), abs=1)
        rows, columns = np.mgrid[0:41, 0:61]
        middle = (ink * rows).sum() / ink.sum(), (ink * columns).sum() / ink.sum()
        assert middle == pytest.approx((20, 30), abs=1e-4)


def test_no_move_at_all_interpolates_to_the_same_values():
    given = images(2, (5, 8, 3))
    np.testing.assert_allclose(moved(given, Move(), EDGE), given, rtol=1e-6)


@pytest.mark.parametrize(("around", "ink"), [(BLACK, 200), (WHITE, 55)])
def test_strokes_grow_and_shrink_by_their_grey_values_and_not_by_a_threshold(around, ink):
    """A stroke of 3 pixels, dark or bright, whose middle is stronger than its sides."""
    paper = float(around.value[0])
    given = np.full((1, 9, 9, 1), paper, np.float32)
    given[:, :, 3:6] = (ink + paper) / 2
    given[:, :, 4] = ink
    wider, narrower = (change("stroke", around)(given, by, [0])[0, 4, :, 0] for by in (1, -1))
    soft = (ink + paper) / 2
    assert wider.tolist() == [paper, paper, soft, ink, ink, ink, soft, paper, paper]
    assert narrower.tolist() == [paper] * 4 + [soft] + [paper] * 4


def test_noise_is_an_images_own_whatever_batch_it_is_in():
    given = np.full((4, 16, 16, 1), 128, np.float32)
    noise = change("noise")
    together = noise(given, 0.1, [0, 1, 2, 3])
    np.testing.assert_array_equal(together[2:], noise(given[2:], 0.1, [2, 3]))
    assert (together[0] != together[1]).any()
    assert (together != change("noise", seed=1)(given, 0.1, [0, 1, 2, 3])).any()
    assert (together - 128).std() == pytest.approx(25.5, rel=0.1)
    strong = noise(given, 2.0, [0, 1, 2, 3])
    assert (strong.min(), strong.max()) == (0, 255)


@pytest.mark.parametrize("name", ["translation-x", "rotation", "scale", "stroke", "noise"])
def test_no_change_gives_the_very_same_pixels(name):
    given = images(2, (5, 8, 3))
    distortion = change(name)
    assert distortion(given, distortion.none, [0, 1]) is given


def test_a_shift_that_cuts_ink_is_known():
    given = np.zeros((2, 6, 8, 1), np.float32)
    given[0, 2, 6] = 255  # one pixel before the right edge
    given[1, 3, 3] = 255
    cuts = {by: change("translation-x").cuts(given, by).tolist() for by in (-4, -3, 0, 1, 2)}
    assert cuts == {
        -4: [False, True],
        -3: [False, False],
        0: [False, False],
        1: [False, False],
        2: [True, False],
    }
    assert leaving(Move(right=2), 6, 8)[:, 6:].all()
    assert change("translation-x", EDGE).cuts(given, 4) is None
    assert change("noise").cuts(given, 0.5) is None


def test_the_background_is_what_most_of_the_border_is():
    dark = np.zeros((3, 8, 8, 1), np.float32)
    dark[:, 3:5, :] = 200  # ink that touches the sides
    assert ground(dark, BYTES).value.tolist() == [0]
    bright = ground(255 - dark, BYTES)
    assert (bright.value.tolist(), bright.sign) == ([255], -1)
    photos = ground(images(3, (8, 8, 3)), BYTES)
    assert photos.value is None
    assert "no single value" in photos.words
    assert ground(dark, BYTES, "white").value.tolist() == [255]
    assert ground(dark, BYTES, "7.5").value.tolist() == [7.5]
    assert ground(dark, BYTES, "edge").value is None
    with pytest.raises(UsageError, match="must be black, white, edge or a number"):
        ground(dark, BYTES, "grey")
    with pytest.raises(UsageError, match="black and white of these arrays are not known"):
        ground(dark, None, "white")


def test_amounts_go_to_both_sides_and_none_comes_twice():
    assert amounts("translation-x", 4, 6) == (-4, -3, -2, -1, 0, 1, 2, 3, 4)
    assert amounts("rotation", 30, 2) == (-30, -15, 0, 15, 30)
    assert amounts("squeeze", 4, 2) == pytest.approx((0.25, 0.5, 1, 2, 4))
    assert amounts("stroke", 2, 4) == (-2, -1.5, -1, 0, 1, 1.5, 2)
    assert amounts("noise", 0.5, 2) == (0, 0.25, 0.5)


def test_signals_are_a_row_and_volumes_are_slices():
    assert in_planes(np.zeros((3, 20, 2))).shape == (3, 1, 20, 2)
    assert in_planes(np.zeros((3, 5, 6, 7, 2))).shape == (15, 6, 7, 2)
    signal_ = images(2, (20, 2))
    found = Distortion("translation-x", BLACK, None, 0)(signal_, 3, [0, 1])
    np.testing.assert_array_equal(found[:, 3:], signal_[:, :-3])
    volume = images(2, (3, 4, 5, 1))
    found = change("translation-y")(volume, 1, [0, 1])
    np.testing.assert_array_equal(found[:, :, 1:], volume[:, :, :-1])


# What networks make of it


def test_no_change_is_what_evaluate_finds_to_the_last_bit(digits_run):
    gallery = explain.invariance(digits_run, by=["translation", "noise"], steps=1)
    expected = archspec.evaluate(digits_run).result.scores.accuracy
    network = load(find(digits_run)[0])
    samples = Study.open(digits_run).all_samples
    pixels, labels = samples.stored(np.arange(len(samples))), samples.labels
    assert 0 < len(labels) < 1797
    batch = network.trained.recipe.batch
    shares = np.concatenate(
        [
            network.answers(pixels[at : at + batch], limits=samples.limits, batch=batch)
            for at in range(0, len(pixels), batch)
        ]
    )
    own = shares[np.arange(len(labels)), labels]
    for exhibit in gallery:
        rows = {row[0]: row for row in exhibit.items[2].rows}
        assert rows[0.0][1] == expected == (shares.argmax(axis=1) == labels).mean()
        assert rows[0.0][2] == own.mean()
        assert rows[0.0][4] == len(labels)


def test_a_run_sees_raw_pixels_whatever_black_and_white_they_have(digits_run, tmp_path):
    """The same digits as bytes, whose white is 255 and not 16: evaluated, and at no change."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.savez(
        tmp_path / "bytes.npz",
        x=np.rint(digits.images[:40] * 255 / 16).astype(np.uint8),
        y=digits.target[:40],
    )
    source = str(tmp_path / "bytes.npz")
    found = explain.invariance(digits_run, "all", data=source, white=255, by="noise", steps=1)
    expected = archspec.evaluate(digits_run, data=source, white=255).result.scores
    assert found[0].items[2].rows[0][1] == expected.accuracy
    assert found.settings["background"].startswith("0")


def circular():
    """A convolution on circular padding, ReLU, global average, softmax: shifts change nothing."""
    inputs = keras.Input((12, 12, 1))
    ops = keras.ops
    x = ops.concatenate([inputs[:, -1:], inputs, inputs[:, :1]], axis=1)
    x = ops.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2)
    x = keras.layers.Conv2D(5, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))


def centred():
    """Images with so much background around them that shifts by 4 are circular shifts."""
    given = np.zeros((6, 12, 12, 1), np.float32)
    given[:, 4:8, 4:8] = images(6, (4, 4, 1))
    return given


def test_a_global_average_on_circular_padding_minds_no_shift_and_a_linear_network_does():
    keras.utils.set_random_seed(1)
    same, other = (
        explain.invariance(model, centred(), by="translation", translation=4, normalize="none")
        for model in (circular(), linear(keras, (12, 12, 1)))
    )
    for exhibit in same:
        rows = np.array(exhibit.items[2].rows)
        assert len(rows) == 9
        np.testing.assert_array_equal(rows[:, 1], 1.0)
        np.testing.assert_allclose(rows[:, 2], rows[4, 2], rtol=1e-5)
        np.testing.assert_array_equal(rows[:, 3], 0.0)  # no ink is cut
    assert np.array(other[0].items[2].rows)[:, 1].min() < 1


def test_images_without_a_class_keep_the_one_that_was_found():
    found = explain.invariance(
        relu_net(keras, (8, 8, 1)), images(5, (8, 8, 1)), by="rotation", normalize="none"
    )
    assert list(found[0].items[0].lines) == ["same class", "probability of the class"]
    assert {row[0]: row[1] for row in found[0].items[2].rows}[0.0] == 1.0


def test_of_many_images_a_sample_is_drawn_and_said(digits_run):
    found, again, other = (
        explain.invariance(digits_run, by="noise", steps=1, sample=20, seed=seed)
        for seed in (0, 0, 1)
    )
    assert found.notes == ("a sample of 20 of 359 images, drawn by seed 0",)
    assert found[0].items[2].rows == again[0].items[2].rows
    assert found[0].items[2].rows != other[0].items[2].rows


def test_signals_volumes_and_vectors_get_what_there_is_of_them():
    ways = {}
    for shape in ((24, 2), (4, 8, 8, 1), (16,)):
        model = linear(keras, shape) if len(shape) < 2 else relu_net(keras, shape)
        found = explain.invariance(model, images(4, shape), steps=1, normalize="none")
        ways[len(shape)] = [each.name for each in found]
        assert found.notes
    assert ways[1] == ["noise"]
    assert ways[2] == ["translation-x", "scale", "noise"]
    assert ways[4][:3] == ["translation-x", "translation-y", "rotation"]
    with pytest.raises(UsageError, match=r"`by=.rotation.`: signals of 24x2 have a length only"):
        explain.invariance(
            relu_net(keras, (24, 2)), images(2, (24, 2)), by="rotation", normalize="none"
        )


def test_ctrl_c_keeps_the_curves_that_are_done(tmp_path):
    def press(done, total):
        if done == 7 < total:
            os.kill(os.getpid(), signal.SIGINT)

    found = explain.invariance(
        linear(keras, (8, 8, 1)),
        images(4, (8, 8, 1)),
        by=["rotation", "scale"],
        steps=2,
        normalize="none",
        progress=press,
    )
    assert found.interrupted
    assert [each.name for each in found] == ["rotation"]
    assert (found.save(tmp_path / "out") / "rotation-curve.csv").exists()


# All that is cheap, on one page


@pytest.fixture(scope="module")
def page(digits_run):
    return explain.overview(digits_run, ["test:3", "test:7"])


def test_an_overview_shows_what_the_methods_show(page, digits_run):
    first, second, network = page
    assert page.notes == ()
    assert [each.name for each in page] == ["test:3", "test:7", "conv1-convolution"]
    shown = {item.name: item for item in first.items}
    assert list(shown) == [
        "image",
        "classes",
        "saliency",
        "smoothgrad",
        "grad-cam",
        "guided",
        "occlusion-fall",
        "occlusion-probability",
        "conv1-activation",
        "conv2-activation",
        "neighbours",
    ]
    assert [item.name for item in second.items] == list(shown)
    alone = explain.saliency(digits_run, "test:3")[0]
    np.testing.assert_array_equal(shown["saliency"].values, alone.items[1].values)
    assert shown["classes"].rows[0][0] == alone.facts["class"] == first.facts["class"]
    assert len(shown["classes"].rows) == 5
    assert network.items[0].values.shape == (8, 3, 3)


def test_neighbours_are_others_and_the_nearest_of_all(page, digits_run):
    shown = next(item for item in page[0].items if item.name == "neighbours")
    assert len(shown.tiles) == 8
    assert not any(tile.startswith("test:3:") for tile in shown.tiles)
    study = Study.open(digits_run)
    features = explain.activations(study.subject, "test", layer="fc3")  # the first eight
    assert len(features) == 8
    nearest = next(iter(shown.tiles)).split(":")[1]
    every = study.all_samples
    own = [
        explain.activations(study.subject, every.only([number]), layer="fc3")[0].items[1].values
        for number in (3, int(nearest), 0, 1, 2)
    ]
    away = [float(((each - own[0]) ** 2).sum()) for each in own[1:]]
    assert away[0] <= min(away[1:])


def test_what_an_overview_cannot_show_is_a_sentence():
    """A linear network has no maps, no ReLU, no features; of a model nothing says its data."""
    found = explain.overview(linear(keras, (6, 7, 1)), images(1, (6, 7, 1)), normalize="none")
    missing = {note.partition(":")[0] for note in found.notes}
    assert {"no neighbours", "no grad-cam", "no guided"} <= missing
    assert {"saliency", "smoothgrad", "occlusion-fall"} <= {item.name for item in found[0].items}


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="it compiles nothing")
def test_an_overview_compiles_nothing_again_for_further_images(monkeypatch):
    traced, run = [], Circuit.run
    monkeypatch.setattr(Circuit, "run", lambda *args, **how: traced.append(1) or run(*args, **how))

    def traces(count: int) -> int:
        traced.clear()
        model = relu_net(keras, (8, 8, 1))
        explain.overview(model, images(count, (8, 8, 1)), normalize="none")
        return len(traced)

    assert traces(2) == traces(3) > 5


def test_an_overview_is_of_one_class_throughout(digits_run):
    found = explain.overview(digits_run, "test:0", target="3")[0]
    of = {item.facts.get("class") for item in found.items if hasattr(item, "facts")}
    assert of - {None} == {"3"}
    with pytest.raises(UsageError, match="has no such class"):
        explain.overview(digits_run, target="cat")
    with pytest.raises(UsageError, match="has no layer `fc9`"):
        explain.overview(digits_run, layer="fc9")


def test_samples_that_are_joined_are_read_in_any_order():
    subject = subject_of(linear(keras, (4, 4, 1)))
    one, other = images(2, (4, 4, 1)), images(3, (4, 4, 1), seed=1)
    both = joined(load_samples(subject, one), load_samples(subject, other))
    order = np.array([4, 0, 2, 1])
    np.testing.assert_array_equal(both.read(order), np.concatenate([one, other])[order])
    assert len(both) == 5

"""Attribution maps of networks whose answer is known by hand."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from support.networks import images, linear, relu_net, request, seeded

from archspec import explain
from archspec.errors import UsageError
from archspec.explain.attribution import ATTRIBUTIONS, maps_by
from archspec.explain.grabcut import Cut, cut
from archspec.explain.methods.grad_cam import raw_maps
from archspec.explain.subject import open_subject

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

LAYERS = keras.layers
TALL = (12, 9, 3)


@pytest.fixture(scope="module")
def net():
    """A network with ReLUs, of images that are not squares."""
    return relu_net(keras, TALL)


@pytest.fixture(scope="module")
def subject(net):
    return open_subject(net, normalize="unit")


def weights_of(model, target):
    """The weights of a linear network for a class, of the image's shape."""
    kernel = np.asarray(model.get_layer("fc").kernel)[:, target]
    return kernel.reshape(model.input_shape[1:])


def sum_of_pixels(shape, weights=1.0):
    """A network whose first class is a weighted sum of the pixels, and whose second is 0."""
    model = linear(keras, shape, classes=2)
    kernel = np.zeros((int(np.prod(shape)), 2), np.float32)
    kernel[:, 0] = np.broadcast_to(weights, shape).ravel()
    model.get_layer("fc").set_weights([kernel])
    return model


# Every method


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_map_has_the_extent_of_an_image_that_is_no_square(name, subject):
    found = maps_by(name)(request(subject, images(2, TALL), [0, 1], batch=16))
    assert found.shape == (2, 12, 9)
    assert found.any()
    assert ATTRIBUTIONS[name] == "signed" or found.min() >= 0


@pytest.mark.parametrize("name", ATTRIBUTIONS)
@pytest.mark.parametrize("shape", [(16, 1), (6, 5, 4, 2), (8, 7, 5)])
def test_signals_volumes_and_many_channels_have_maps(name, shape):
    subject = open_subject(relu_net(keras, shape), normalize="unit")
    found = maps_by(name)(request(subject, images(1, shape), [1], batch=16))
    assert found.shape == (1, *shape[:-1])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["saliency", "smoothgrad", "integrated-gradients", "occlusion"])
def test_a_pixel_that_is_not_connected_has_exactly_0(name):
    weights = np.ones((6, 6, 1))
    weights[2, 3] = 0
    options = {"patch": 1} if name == "occlusion" else {}
    subject = open_subject(sum_of_pixels((6, 6, 1), weights), normalize="none")
    (map_,) = maps_by(name)(request(subject, images(1, (6, 6, 1)), [0]), **options)
    assert map_[2, 3] == 0
    assert np.count_nonzero(map_) == 35


def test_a_method_that_does_not_exist_is_named():
    with pytest.raises(UsageError, match="`by='salience'`"):
        maps_by("salience")


# SmoothGrad


def test_smoothgrad_of_a_linear_network_is_its_weights():
    model = linear(keras, (4, 5, 1))
    found = explain.smoothgrad(model, images(1, (4, 5, 1)), target=2, samples=7, normalize="none")
    np.testing.assert_allclose(found[0].items[2].values, weights_of(model, 2)[..., 0], rtol=1e-5)


def test_smoothgrad_averages_signed_gradients_so_that_noise_cancels(subject):
    """The mean of |gradients| would be at least |their mean|, everywhere."""
    pixels = images(1, TALL)
    few, many = (maps_by("smoothgrad")(request(subject, pixels, [0]), samples=n) for n in (1, 40))
    assert many.sum() < few.sum()


def test_smoothgrad_without_noise_is_saliency(subject):
    asked = request(subject, images(2, TALL), [0, 1])
    plain = maps_by("saliency")(asked)
    found = maps_by("smoothgrad")(asked, noise=0.0, samples=3)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-9)


# Integrated gradients


def test_integrated_gradients_of_a_linear_network_are_pixels_times_weights():
    model = linear(keras, (4, 5, 2))
    pixels = images(1, (4, 5, 2))
    found = explain.integrated_gradients(model, pixels, target=1, steps=1, normalize="none")
    expected = (pixels[0] * weights_of(model, 1)).sum(axis=-1)
    np.testing.assert_allclose(found[0].items[1].values, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("baseline", ["black", "white", "mean", "blurred", 17])
def test_integrated_gradients_sum_to_the_score_above_the_baselines(net, baseline):
    pixels = images(1, TALL)
    found = explain.integrated_gradients(
        net, pixels, target=0, normalize="unit", baseline=baseline
    )[0]
    subject = open_subject(net, normalize="unit")
    start = found.items[2].values
    ends = subject.scores(np.stack([pixels[0], start]), 2)[:, 0]
    total = found.items[1].values.sum()
    assert total == pytest.approx(ends[0] - ends[1], rel=0.0101)
    assert found.facts["missing"] <= 0.01


def test_steps_are_tripled_while_more_than_1_percent_is_missing(net):
    pixels = images(1, TALL)
    coarse = explain.integrated_gradients(net, pixels, normalize="unit", steps=1, limit=1)[0]
    assert coarse.facts["missing"] > 0.01
    assert "over 1%, raise `limit=`" in coarse.summary
    fine = explain.integrated_gradients(net, pixels, normalize="unit", steps=1)[0]
    assert fine.facts["missing"] <= 0.01
    assert fine.facts["steps"] in (3, 9, 27, 81, 243, 729)


def test_the_points_of_three_times_the_steps_hold_those_before(net):
    """Refined from 1 step to 9, the sum is that of 9 steps at once."""
    pixels = images(1, TALL)
    asked = request(open_subject(net, normalize="unit"), pixels, [0])
    explain_ = maps_by("integrated-gradients")
    once = explain_(asked, steps=9, limit=9)
    refined = explain_(asked, steps=1, limit=9)
    np.testing.assert_allclose(refined, once, atol=1e-5 * abs(once).max())


def test_an_image_that_is_its_baseline_has_a_zero_map_which_is_said():
    black = np.zeros((1, 4, 5, 1), np.float32)
    model = linear(keras, (4, 5, 1))
    found = explain.integrated_gradients(model, black, normalize="none", white=255)
    assert "the map is 0 everywhere" in found[0].summary
    assert found[0].facts["missing"] == 0


def test_a_baseline_that_is_no_value_is_named(net):
    with pytest.raises(UsageError, match="`baseline='grey'` must be a raw pixel's value, or one"):
        explain.integrated_gradients(net, images(1, TALL), normalize="unit", baseline="grey")
    with pytest.raises(UsageError, match="`baseline=400`: pixels lie between 0, black, and 255"):
        explain.integrated_gradients(net, images(1, TALL), normalize="unit", baseline=400)


# Grad-CAM


def pooled(shape=(8, 6, 1)):
    """A convolution, a ReLU, global average pooling and one dense layer: CAM's network."""
    inputs = keras.Input(shape)
    x = LAYERS.Conv2D(5, 3, name="conv")(inputs)
    x = LAYERS.GlobalAveragePooling2D(name="pool")(LAYERS.ReLU(name="relu")(x))
    model = keras.Model(inputs, LAYERS.Dense(3, activation="softmax", name="fc")(x))
    return seeded(model)


def test_grad_cam_is_cam_under_a_global_pool():
    model = pooled()
    pixels = images(2, (8, 6, 1)) / 255
    subject = open_subject(model, normalize="none")
    maps_ = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(pixels))
    cam = np.maximum(maps_ @ np.asarray(model.get_layer("fc").kernel)[:, 1], 0)
    found = raw_maps(request(subject, pixels, [1, 1]), "relu")
    np.testing.assert_allclose(found * (6 * 4), cam, rtol=1e-4, atol=1e-6)


def test_grad_cams_layer_is_the_last_one_with_maps_or_the_one_that_is_named():
    found = explain.grad_cam(pooled(), images(1, (8, 6, 1)), normalize="unit")
    assert found.settings["layer"] == "relu"
    assert found[0].items[1].values.shape == (8, 6)
    assert found[0].items[2].values.shape == (6, 4)
    named = explain.grad_cam(pooled(), images(1, (8, 6, 1)), normalize="unit", layer="conv")
    assert named.settings["layer"] == "conv"


def test_grad_cam_of_a_nested_backbone():
    inner = keras.Sequential(
        [LAYERS.Input((8, 6, 1)), LAYERS.Conv2D(4, 3, activation="relu", name="conv")],
        name="backbone",
    )
    inputs = keras.Input((8, 6, 1))
    x = LAYERS.GlobalAveragePooling2D()(inner(inputs))
    model = seeded(keras.Model(inputs, LAYERS.Dense(3, name="fc")(x)))
    found = explain.grad_cam(model, images(1, (8, 6, 1)), normalize="unit")
    assert found.settings["layer"] == "backbone/conv"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("hidden", r"its output \(10,\) is not a feature map; name one with maps, such as"),
        ("conv9", "has no layer `conv9`"),
    ],
)
def test_grad_cam_refuses_a_layer_without_places(net, layer, message):
    with pytest.raises(UsageError, match=message):
        explain.grad_cam(net, images(1, TALL), normalize="unit", layer=layer)


# Occlusion


def items_of(gallery):
    return {item.name: item.values for item in gallery[0].items}


@pytest.fixture(scope="module")
def corner():
    """A network that sees the pixels in the rows 4 and 5 and the columns 2 and 3 alone."""
    weights = np.zeros((12, 20, 1))
    weights[4:6, 2:4] = 1 / 255
    return sum_of_pixels((12, 20, 1), weights)


def test_only_positions_that_touch_what_the_network_sees_change_anything(corner):
    white = np.full((1, 12, 20, 1), 255, np.float32)
    found = items_of(
        explain.occlusion(
            corner, white, target=0, patch=4, stride=1, value="black", normalize="none"
        )
    )
    whole = 1 / (1 + np.exp(-4))
    assert found["probability"].shape == found["classes"].shape == (9, 17)
    touched = np.zeros((9, 17), bool)
    touched[1:6, :4] = True
    np.testing.assert_allclose(found["probability"][~touched], whole, rtol=1e-6)
    assert (found["probability"][touched] < whole - 1e-3).all()
    assert found["probability"][2, 0] == pytest.approx(0.5)  # all that it sees is hidden
    assert found["fall"].shape == (12, 20)


def test_the_last_position_is_flush_with_the_border():
    net_ = sum_of_pixels((8, 15, 1))
    found = explain.occlusion(
        net_, images(1, (8, 15, 1)), target=0, patch=4, stride=2, normalize="none"
    )
    assert items_of(found)["probability"].shape == (3, 7)  # columns 0, 2, .. 10 and 11
    assert items_of(found)["fall"][:, -1].all()


def test_a_stride_above_the_patch_leaves_pixels_out_and_that_is_said():
    net_ = sum_of_pixels((8, 15, 1))
    sizes = {"target": 0, "patch": 2, "normalize": "none"}
    found = explain.occlusion(net_, images(1, (8, 15, 1)), stride=3, **sizes)
    assert "never hidden" in found.notes[1]
    assert not items_of(found)["fall"][2].any()
    touching = explain.occlusion(net_, images(1, (8, 15, 1)), stride=2, **sizes)
    assert len(touching.notes) == 1


def test_sums_are_the_same_under_occlusion_at_a_corner_an_edge_and_the_centre():
    """All pixels weigh the same, and each is hidden by 1, 2 or 4 patches."""
    subject = open_subject(sum_of_pixels((8, 8, 1)), normalize="none")
    ones = np.ones((1, 8, 8, 1), np.float32)
    (found,) = maps_by("occlusion")(request(subject, ones, [0]), patch=4, stride=2, value=0.0)
    np.testing.assert_array_equal(found, np.full((8, 8), 16.0))


def test_the_strongest_map_is_that_of_the_largest_sum_without_a_patch(net):
    pixels = images(1, TALL)
    found = explain.occlusion(net, pixels, normalize="unit", layer="conv1", patch=3, value="black")
    conv1 = keras.Model(net.input, net.get_layer("conv1").output)
    whole = np.asarray(conv1(pixels / 255)).sum(axis=(1, 2))[0]
    hidden = pixels[0].copy()
    hidden[:3, :3] = 0
    strongest = found[0].items[-1]
    assert strongest.title.endswith(f"channel {whole.argmax()} of conv1")
    assert strongest.facts["without the patch"] == pytest.approx(whole.max(), rel=1e-5)
    corner_ = np.asarray(conv1(hidden[None] / 255)).sum(axis=(1, 2))[0, whole.argmax()]
    assert strongest.values[0, 0] == pytest.approx(corner_, rel=1e-5)


def test_the_patch_shows_raw_pixels_and_says_which(net):
    pixels = images(1, TALL)
    found = {
        value: explain.occlusion(net, pixels, normalize="unit", value=value)[0]
        for value in ("mean", "white", 255)
    }
    means = ", ".join(f"{mean:.4g}" for mean in pixels[0].reshape(-1, 3).mean(axis=0))
    assert found["mean"].facts["value"] == f"the image's own mean, {means}"
    assert found["white"].facts["value"] == "white, 255"
    np.testing.assert_array_equal(found["white"].items[2].values, found[255].items[2].values)


def test_batches_of_positions_change_nothing(net):
    pixels = images(1, TALL)
    one, many = (explain.occlusion(net, pixels, normalize="unit", batch=n) for n in (5, 64))
    for name, values in items_of(one).items():
        np.testing.assert_allclose(values, items_of(many)[name], rtol=1e-4, atol=1e-5)


def test_of_each_position_a_few_numbers_are_kept_however_many_classes_there_are():
    shape, classes = (24, 24, 1), 1000
    subject = open_subject(linear(keras, shape, classes), normalize="unit")

    def maps():
        maps_by("occlusion")(request(subject, images(1, shape), [3], batch=8), patch=1, stride=1)

    maps()  # compiles
    tracemalloc.start()
    maps()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * 24 * classes * 8 / 4


def test_progress_counts_positions(net):
    seen = []
    explain.occlusion(
        net,
        images(2, TALL),
        normalize="unit",
        patch=3,
        batch=8,
        progress=lambda done, total: seen.append((done, total)),
    )
    positions = 10 * 7
    assert {total for _, total in seen} == {2 * positions}
    counts = [done for done, _ in seen]
    assert counts == sorted(counts)
    assert counts[-1] == 2 * positions


def test_a_patch_larger_than_the_image_is_refused(net):
    with pytest.raises(UsageError, match="`patch=10` is larger than the image: 9 pixels at most"):
        explain.occlusion(net, images(1, TALL), normalize="unit", patch=10)


# GrabCut

SOFT = Cut("soft", 0.95, 0.30, 1.0, 5)


def two_colours():
    """A picture of a red box on blue, both with noise, and what is inside."""
    draw = np.random.default_rng(0)
    inside = np.zeros((48, 64), bool)
    inside[12:36, 16:48] = True
    picture = np.where(inside[..., None], (0.8, 0.2, 0.1), (0.1, 0.3, 0.7))
    return np.clip(picture + draw.normal(0, 0.03, picture.shape), 0, 1), inside


def test_grabcut_finds_a_box_of_which_half_is_salient():
    picture, inside = two_colours()
    map_ = np.zeros(inside.shape)
    map_[12:36, 16:32] = np.random.default_rng(1).uniform(0, 1, (24, 16))
    mask = cut(picture, map_, SOFT, seed=3)
    assert (mask & inside).sum() / (mask | inside).sum() > 0.95
    np.testing.assert_array_equal(cut(picture, map_, SOFT, seed=3), mask)


def test_the_largest_part_is_kept():
    picture, inside = two_colours()
    picture[2:6, 2:6] = (0.8, 0.2, 0.1)
    mask = cut(picture, inside.astype(float), SOFT)
    assert not mask[:10, :10].any()


def test_masks_are_compared_with_the_ink_or_a_true_mask(tmp_path):
    model = sum_of_pixels((32, 24, 1))
    pixels = np.zeros((1, 32, 24, 1), np.float32)
    pixels[0, 8:24, 8:16] = 255
    by_ink = explain.segment(
        model, pixels, by="integrated-gradients", target=0, ink=128, normalize="none", blur=0
    )
    assert by_ink[0].facts["IoU"] == 1
    assert "IoU 1.00" in by_ink[0].summary
    Image.fromarray(pixels[0, ..., 0].astype(np.uint8)).save(tmp_path / "mask.png")
    by_truth = explain.segment(
        model,
        pixels,
        by="integrated-gradients",
        target=0,
        truth=[str(tmp_path / "mask.png")],
        normalize="none",
        blur=0,
    )
    assert by_truth[0].facts["IoU"] == 1


def test_a_cut_that_leaves_nothing_or_everything_says_so():
    """The map is the same everywhere, and so is the picture."""
    grey = np.full((1, 16, 12, 1), 180, np.float32)
    found = explain.segment(sum_of_pixels((16, 12, 1)), grey, target=0, normalize="none")
    assert "nothing is left inside" in found[0].summary


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"background": 0.9, "foreground": 0.5}, "`background=0.9` must be below"),
        ({"seeds": "firm"}, "`seeds='firm'`"),
        ({"truth": ["no.png"]}, "`truth='no.png'` cannot be read as a mask"),
        ({"truth": ["no.png"], "ink": 3}, "either `truth=` or `ink=`"),
    ],
)
def test_wrong_seeds_and_masks_are_named(net, wrong, message):
    with pytest.raises(UsageError, match=message):
        explain.segment(net, images(1, TALL), normalize="unit", **wrong)


def test_grabcut_refuses_what_is_no_picture():
    with pytest.raises(UsageError, match="GrabCut cuts pictures of 1 or 3 channels"):
        explain.segment(relu_net(keras, (16, 1)), images(1, (16, 1)), normalize="unit")

"""Augmentations: where each pixel goes, what it becomes, and what becomes of the labels."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from archspec.data.augment import (
    AUGMENTATIONS,
    Augment,
    Augmentation,
    augment,
    augmentation,
    fit,
)
from archspec.data.augment.colour import covariance, recolour
from archspec.data.augment.geometry import flip, rotate
from archspec.data.augment.sampling import interpolate, pad, rectangles, windows
from archspec.data.resizing import LUMINANCE
from archspec.data.values import BYTES, LEVELS, SHARES, SIGNED, Range
from archspec.element import field_docs
from archspec.ops.shape import Shape

NEEDED = {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.5}}
"""Arguments that cannot be left out."""

WHOLE = {"horizontal_flip", "vertical_flip", "random_crop", "shift", "random_erasing", "cutmix"}
"""Names of those that compute no new values: bytes stay bytes."""

every = pytest.mark.parametrize("name", AUGMENTATIONS)

ranges = pytest.mark.parametrize(
    "limits", [SHARES, SIGNED, LEVELS, BYTES, Range(1000.0, 65535.0)], ids=str
)


def one(name: str, **arguments) -> Augmentation:
    return augmentation({name: NEEDED.get(name, {}) | arguments})


def batch(count=64, shape=(12, 9, 3), dtype=np.uint8, classes=5):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (count, *shape)).astype(dtype)
    labels = np.eye(classes, dtype=np.float32)[random.integers(0, classes, count)]
    return images, labels


def in_range(images, limits: Range):
    """The pictures of an array of bytes, with other values of black and white."""
    return (images / 255 * limits.span + limits.black).astype(np.float32)


def apply(made: Augmentation, images, labels=None, seed=0, limits=BYTES):
    (fitted,) = fit([made], images)
    return fitted(images, labels, np.random.default_rng(seed), limits=limits)


def change(made: Augmentation, images, seed=0, limits=BYTES):
    return apply(made, images, seed=seed, limits=limits)[0]


def check_near(found, expected, within: float) -> None:
    """Compare arrays at once: `pytest.approx` goes through their values one by one."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=within)


# All of them


@every
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_same_generator_gives_the_same_batch_and_leaves_the_old_one_alone(name, dtype):
    images, labels = batch(dtype=dtype)
    old_images, old_labels = images.copy(), labels.copy()
    first, again, other = (apply(one(name), images, labels, seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(images, old_images)
    assert np.array_equal(labels, old_labels)


@every
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_batch_keeps_its_shape_and_bytes_stay_bytes_where_no_value_is_new(name, channels):
    images, labels = batch(shape=(7, 10, channels))
    changed, mixed = apply(one(name), images, labels)
    assert changed.shape == images.shape
    assert changed.dtype == (np.uint8 if name in WHOLE else np.float32)
    assert apply(one(name), images.astype(np.float32), labels)[0].dtype == np.float32
    assert mixed.dtype == np.float32
    assert (mixed is labels) == (not one(name).mixes_labels)


@every
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 3), (6, 1, 3)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_smallest_images_and_batches_can_be_augmented(name, shape, count):
    images, labels = batch(count, shape)
    changed, mixed = apply(one(name), images, labels)
    assert changed.shape == images.shape
    assert np.isfinite(changed).all()
    assert mixed.shape == labels.shape


@every
def test_an_empty_batch_stays_empty(name):
    images, labels = batch()
    (fitted,) = fit([one(name)], images)
    changed, mixed = fitted(images[:0], labels[:0], np.random.default_rng(0), limits=BYTES)
    assert (changed.shape, mixed.shape) == (images[:0].shape, labels[:0].shape)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS.keys() - {"gaussian_noise", "pca_lighting"}))
@ranges
def test_values_stay_between_black_and_white(name, limits):
    images = in_range(batch()[0], limits)
    changed = apply(one(name), images, batch()[1], limits=limits)[0]
    assert changed.min() >= limits.black
    assert changed.max() <= limits.white


@every
@ranges
def test_the_same_pictures_are_augmented_alike_in_any_range(name, limits):
    """Values are clipped only beyond black and white, and filled with black."""
    images, labels = batch()
    bytes_, mixed = apply(one(name), images.astype(np.float32), labels)
    changed, labels = apply(one(name), in_range(images, limits), labels, limits=limits)
    check_near(changed, in_range(bytes_, limits), 1e-4 * limits.span)
    assert np.array_equal(labels, mixed)


@every
def test_an_augmentation_that_does_not_need_the_range_does_without(name):
    images, labels = batch(dtype=np.float32)
    made = one(name)
    (fitted,) = fit([made], images)
    known, unknown = (
        augment(images, labels, [fitted], np.random.default_rng(0), limits=limits)[0]
        for limits in (BYTES, None)
    )
    assert np.array_equal(known, unknown) != made.needs_range


def test_filling_needs_the_range_where_it_is_with_black():
    assert one("rotation").needs_range
    assert not one("rotation", fill="edge").needs_range


@pytest.mark.parametrize(
    "name", [n for n, c in AUGMENTATIONS.items() if "probability" in c.model_fields]
)
def test_at_probability_0_nothing_happens(name):
    images, labels = batch()
    changed, mixed = apply(one(name, probability=0), images, labels)
    assert np.array_equal(changed, images)
    assert np.array_equal(mixed, labels)


@every
def test_images_that_lie_in_memory_otherwise_are_augmented_alike(name):
    images, labels = batch()
    strided = np.ascontiguousarray(images.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    assert np.array_equal(apply(one(name), strided, labels)[0], apply(one(name), images, labels)[0])


def test_augmentations_are_applied_in_their_order_with_one_generator():
    images, labels = batch()
    flip_, crop = map(augmentation, ["horizontal_flip", "random_crop"])
    random = np.random.default_rng(5)
    expected = crop(*flip_(images, labels, random, limits=BYTES), random, limits=BYTES)
    changed = augment(images, labels, [flip_, crop], np.random.default_rng(5), limits=BYTES)
    assert np.array_equal(changed[0], expected[0])
    assert augment(images, labels, [], random, limits=BYTES)[0] is images


# Places


@pytest.mark.parametrize(
    ("name", "flipped"), [("horizontal_flip", np.fliplr), ("vertical_flip", np.flipud)]
)
def test_a_flip_mirrors_and_twice_it_is_none(name, flipped):
    images, _ = batch()
    mirrored = change(one(name, probability=1), images)
    assert np.array_equal(mirrored, np.stack([flipped(image) for image in images]))
    assert np.array_equal(change(one(name, probability=1), mirrored), images)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_as_many_images_are_flipped_as_their_probability_says(probability):
    images = np.tile(np.array([0, 1], np.uint8).reshape(1, 1, 2, 1), (10_000, 1, 1, 1))
    flipped = change(one("horizontal_flip", probability=probability), images)[:, 0, 0, 0]
    assert flipped.mean() == pytest.approx(probability, abs=0.02)  # four deviations, at most


def test_only_the_chosen_images_are_flipped():
    images = np.arange(6).reshape(2, 1, 3, 1)
    assert flip(images, np.array([False, True]), axis=2).ravel().tolist() == [0, 1, 2, 5, 4, 3]


@pytest.mark.parametrize(
    ("fill", "row"),
    [
        ("zero", [0, 0, 1, 2, 3, 0, 0]),
        ("edge", [1, 1, 1, 2, 3, 3, 3]),
        ("reflect", [3, 2, 1, 2, 3, 2, 1]),
    ],
)
def test_what_stands_outside_of_an_image(fill, row):
    images = np.array([1, 2, 3]).reshape(1, 1, 3, 1)
    assert pad(images, 0, 2, fill).ravel().tolist() == row


def test_a_window_begins_at_its_top_and_left():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4, 1)
    padded = pad(images, 1, 1, "zero")
    cut = windows(padded, np.array([1, 0]), np.array([1, 2]), (3, 4))
    assert np.array_equal(cut[0], images[0])
    # The second starts a row higher and a column further on than its image does.
    assert cut[1, ..., 0].tolist() == [[0, 0, 0, 0], [13, 14, 15, 0], [17, 18, 19, 0]]


def test_random_crops_are_of_all_places_and_each_image_has_its_own():
    image = np.arange(1, 17, dtype=np.uint8).reshape(1, 4, 4, 1)
    padded = np.pad(image[0, ..., 0], 1)
    places = {padded[y : y + 4, x : x + 4].tobytes() for y in range(3) for x in range(3)}
    cropped = change(one("random_crop", padding=1), np.repeat(image, 500, axis=0))
    assert {crop.tobytes() for crop in cropped} == places


@pytest.mark.parametrize(("vertical", "horizontal"), [(0.25, 0), (0, 0.2), (0.25, 0.2)])
def test_a_shift_goes_as_far_as_its_shares_and_no_further(vertical, horizontal):
    images = np.zeros((500, 8, 10, 1), np.uint8)
    images[:, 4, 5] = 1
    shifted = change(one("shift", vertical=vertical, horizontal=horizontal), images)
    _, rows, columns, _ = np.nonzero(shifted)
    assert set(rows - 4) == set(range(-round(8 * vertical), round(8 * vertical) + 1))
    assert set(columns - 5) == set(range(-round(10 * horizontal), round(10 * horizontal) + 1))


@pytest.mark.parametrize("fill", ["zero", "edge", "reflect"])
@pytest.mark.parametrize("extent", [4, 5])
@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2, 3, 4])
def test_quarter_turns_are_exact(fill, extent, turns):
    images = np.random.default_rng(1).standard_normal((20, extent, extent, 3), np.float32)
    turned = rotate(images, np.full(20, 90.0 * turns), fill)
    assert np.array_equal(turned, np.rot90(images, turns, axes=(1, 2)))


@pytest.mark.parametrize(
    ("fill", "mode"), [("zero", "grid-constant"), ("edge", "nearest"), ("reflect", "mirror")]
)
def test_values_between_pixels_are_those_that_scipy_finds(fill, mode):
    from scipy.ndimage import map_coordinates

    images, _ = batch(20, (40, 30, 2), np.float32)
    places = np.random.default_rng(0).uniform(-60, 90, (2, 20, 40, 30))
    found = interpolate(images, *places, fill)
    for image, rows, columns, ours in zip(images, *places, found, strict=True):
        for channel in range(2):
            theirs = map_coordinates(image[..., channel], [rows, columns], order=1, mode=mode)
            check_near(ours[..., channel], theirs, 1e-2)


def test_a_rotation_turns_either_way_by_no_more_than_its_degrees():
    images = np.zeros((400, 101, 101, 1), np.float32)
    images[:, 50, 90:95] = 1  # to the right of the centre
    turned = change(one("rotation", degrees=20), images)[..., 0]
    mass = turned.sum(axis=(1, 2))
    rows = (turned.sum(axis=2) @ np.arange(101)) / mass - 50
    columns = (turned.sum(axis=1) @ np.arange(101)) / mass - 50
    angles = np.degrees(np.arctan2(-rows, columns))
    assert np.abs(angles).max() == pytest.approx(20, abs=0.5)
    assert angles.mean() == pytest.approx(0, abs=2.5)  # four deviations


def test_a_rectangle_of_all_the_image_is_the_image():
    images, _ = batch(shape=(8, 8, 3))
    cropped = change(one("random_resized_crop", area=[1, 1], ratio=[1, 1]), images)
    check_near(cropped, images, 1e-3)


def test_a_resized_crop_stretches_a_part_of_the_image():
    ramp = np.tile(np.arange(64, dtype=np.float32).reshape(1, 1, 64, 1), (200, 64, 1, 1))
    cropped = change(one("random_resized_crop", area=[0.25, 0.25], ratio=[1, 1]), ramp)
    middle = cropped[:, 32, 2:-2, 0]
    assert np.diff(middle) == pytest.approx(0.5, abs=1e-4)  # half as wide, so half as steep
    assert middle[:, 0].min() < 3
    assert middle[:, -1].max() > 60


def test_rectangles_keep_to_their_area_and_ratio():
    random = np.random.default_rng(0)
    heights, widths = rectangles(random, 5_000, (40, 60), (0.1, 0.5), (0.5, 1.0))
    shares, ratios = heights * widths / (40 * 60), widths / heights
    assert [shares.min(), shares.max()] == pytest.approx([0.1, 0.5], abs=0.01)
    assert [ratios.min(), ratios.max()] == pytest.approx([0.5, 1.0], abs=0.02)
    # Where none fits, as much as the image has is taken.
    heights, widths = rectangles(random, 3, (40, 60), (1.0, 1.0), (1.0, 1.0))
    assert (heights.tolist(), widths.tolist()) == ([40] * 3, pytest.approx([2400**0.5] * 3))


# Values


def recoloured(images, brightness=1.0, contrast=1.0, saturation=1.0, turns=0.0):
    factors = (brightness, contrast, saturation, turns)
    return recolour(images, *(np.full(len(images), factor) for factor in factors))


def luma(images):
    return images @ np.array(LUMINANCE)


@pytest.mark.parametrize("turns", [0, 1, -1])
def test_a_hue_turned_all_the_way_round_is_the_same(turns):
    images, _ = batch()
    check_near(recoloured(images, turns=turns), images, 1e-3)


@pytest.mark.parametrize("change", [{"saturation": 0.3}, {"saturation": 1.7}, {"turns": 0.3}])
def test_saturation_and_hue_keep_the_brightness_and_leave_grey_alone(change):
    images, _ = batch()
    check_near(luma(recoloured(images, **change)), luma(images), 1e-3)
    grey = np.repeat(images[..., :1], 3, axis=-1)
    check_near(recoloured(grey, **change), grey, 1e-3)
    assert np.abs(recoloured(images, **change) - images).max() > 10


def test_without_saturation_an_image_is_grey_and_without_contrast_it_is_its_mean():
    images, _ = batch()
    grey = np.repeat(luma(images)[..., np.newaxis], 3, axis=-1)
    check_near(recoloured(images, saturation=0), grey, 1e-3)
    mean = luma(images).mean(axis=(1, 2)).reshape(-1, 1, 1, 1) * np.ones_like(images)
    check_near(recoloured(images, contrast=0), mean, 1e-3)


def test_a_third_of_the_hue_circle_makes_a_reddish_colour_greenish():
    red = np.array([200, 100, 100], np.float32).reshape(1, 1, 1, 3)
    once = recoloured(red, turns=1 / 3)
    assert once[0, 0, 0].argmax() == 1
    check_near(recoloured(once, turns=2 / 3), red, 1e-3)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_brightness_multiplies_and_contrast_pulls_towards_the_mean(channels):
    images, _ = batch(shape=(6, 6, channels))
    images = images.astype(np.float32)
    check_near(recoloured(images, brightness=0.5), images / 2, 1e-3)
    weighed = luma(images) if channels == 3 else images.mean(axis=-1)
    mean = weighed.mean(axis=(1, 2)).reshape(-1, 1, 1, 1)
    check_near(recoloured(images, contrast=0.5), (images + mean) / 2, 1e-3)
    both = recoloured(images, brightness=0.5, contrast=0.5)
    check_near(both, (images + mean) / 4, 1e-3)


def test_saturation_and_hue_change_nothing_where_there_is_no_colour():
    images, _ = batch(shape=(6, 6, 1))
    made = one("color_jitter", brightness=0, contrast=0, saturation=1, hue=0.5)
    check_near(change(made, images), images, 1e-3)


def test_each_image_has_a_brightness_of_its_own_within_the_strength():
    images = np.full((2_000, 2, 2, 3), 100, np.float32)
    made = one("color_jitter", brightness=0.3, contrast=0, saturation=0, hue=0)
    means = change(made, images).mean(axis=(1, 2, 3))
    assert [means.min(), means.max()] == pytest.approx([70, 130], abs=0.5)
    assert means.mean() == pytest.approx(100, abs=2)


def test_the_covariance_is_that_of_all_pixels_however_many_images():
    images, _ = batch(600, (3, 2, 3))
    expected = np.cov(images.reshape(-1, 3), rowvar=False, bias=True)
    assert covariance(images) == pytest.approx(expected)


def test_pca_lighting_adds_components_times_variances_times_normal_numbers():
    colours = np.random.default_rng(0).normal(size=(5_000, 3)) @ np.diag([40, 20, 5])
    turn = np.linalg.qr(np.arange(9).reshape(3, 3) ** 2 + np.eye(3))[0]
    sample = (120 + colours @ turn).astype(np.float32).reshape(50, 10, 10, 3)
    (made,) = fit([one("pca_lighting", deviation=0.1)], sample)
    black = np.zeros((50_000, 1, 1, 3), np.float32)
    light = made(black, None, np.random.default_rng(1), limits=BYTES)[0][:, 0, 0]

    variances, components = np.linalg.eigh(np.cov(sample.reshape(-1, 3) / 255, rowvar=False))
    along = light / 255 @ components
    assert along.std(axis=0) == pytest.approx(0.1 * variances, rel=0.03)
    assert np.corrcoef(along, rowvar=False) == pytest.approx(np.eye(3), abs=0.03)


def test_pca_lighting_gives_all_pixels_of_an_image_the_same_light():
    images, _ = batch(dtype=np.float32)
    added = change(one("pca_lighting"), images) - images
    check_near(added, added[:, :1, :1] * np.ones_like(images), 1e-3)


def test_pca_lighting_does_not_change_with_the_scale_of_the_pixels():
    images, _ = batch(dtype=np.float32)
    of_bytes = change(one("pca_lighting"), images)
    of_shares = change(one("pca_lighting"), images / 255, limits=SHARES)
    check_near(of_shares * 255, of_bytes, 1e-3)


def test_pca_lighting_says_that_it_is_not_fitted():
    images, labels = batch()
    with pytest.raises(ValueError, match="not fitted"):
        augment(images, labels, [one("pca_lighting")], np.random.default_rng(0), limits=BYTES)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_noise_is_a_share_of_the_scale(scale):
    grey = np.full((50, 32, 32, 1), scale / 2, np.float32)
    noise = change(one("gaussian_noise", deviation=0.05), grey, limits=Range(0.0, scale)) - grey
    assert noise.std() == pytest.approx(0.05 * scale, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.001 * scale)


def test_what_is_erased_is_a_rectangle_of_its_area_and_ratio():
    white = np.full((1_000, 40, 50, 3), 255, np.uint8)
    made = one("random_erasing", fill="zero", area=[0.1, 0.3], ratio=[0.5, 2], probability=0.7)
    gone = (change(made, white) == 0).all(axis=-1)
    rows, columns = gone.any(axis=2), gone.any(axis=1)
    assert np.array_equal(gone, rows[:, :, np.newaxis] & columns[:, np.newaxis])
    erased = gone.any(axis=(1, 2))
    assert erased.mean() == pytest.approx(0.7, abs=0.06)
    heights, widths = rows.sum(axis=1)[erased], columns.sum(axis=1)[erased]
    assert 0.09 < (heights * widths / 2_000).min() < (heights * widths / 2_000).max() < 0.32
    assert 0.45 < (widths / heights).min() < (widths / heights).max() < 2.2
    assert (np.diff(rows.astype(int), axis=1) == 1).sum(axis=1).max() == 1  # in one piece


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 255.0), (np.float32, 1.0)])
def test_noise_in_place_of_a_rectangle_is_even_from_black_to_white(dtype, scale):
    images = np.zeros((200, 20, 20, 3), dtype)
    made = one("random_erasing", area=[1, 1], ratio=[1, 1], probability=1)
    values = change(made, images, limits=Range(0.0, scale)) / scale
    shares, _ = np.histogram(values, bins=4, range=(0, 1))
    assert shares / values.size == pytest.approx([0.25] * 4, abs=0.01)
    assert (values.min(), values.max()) == pytest.approx((0, 1), abs=1e-4)


# Labels


def coloured(count=32, classes=4, extent=(9, 7)):
    """Images whose pixels show the class: its channel is 1."""
    labels = np.eye(classes, dtype=np.float32)[np.random.default_rng(2).integers(0, classes, count)]
    return np.tile(labels[:, np.newaxis, np.newaxis], (1, *extent, 1)), labels


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_label_has_each_class_in_the_share_that_its_pixels_have(name, seed):
    images, labels = coloured()
    mixed, shares = apply(one(name, alpha=1.0), images, labels, seed, limits=SHARES)
    check_near(mixed.mean(axis=(1, 2)), shares, 1e-6)
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert shares.sum(axis=0) == pytest.approx(labels.sum(axis=0), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_mixup_keeps_the_mean_of_the_batch(seed):
    images, labels = batch(dtype=np.float32)
    mixed, _ = apply(one("mixup", alpha=1.0), images, labels, seed)
    check_near(mixed.mean(axis=0), images.mean(axis=0), 1e-2)
    assert mixed.var() < images.var()


def test_cutmix_pastes_one_rectangle_at_its_own_place():
    count = 16
    images = np.arange(count * 63, dtype=np.float32).reshape(count, 9, 7, 1)
    pasted, _ = apply(one("cutmix"), images, np.eye(count, dtype=np.float32), seed=1)
    image, place = np.divmod(pasted[..., 0], 63)
    assert np.array_equal(place, np.tile(np.arange(63).reshape(9, 7), (count, 1, 1)))
    foreign = image != np.arange(count).reshape(-1, 1, 1)
    rows, columns = foreign.any(axis=2), foreign.any(axis=1)
    assert 0 < foreign.mean() < 1
    assert np.array_equal(foreign, rows[:, :, np.newaxis] & columns[:, np.newaxis])


def test_cutmix_pastes_as_much_at_one_edge_as_at_the_other():
    images = np.tile(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1), (1, 9, 7, 1))
    random, labels = np.random.default_rng(0), np.eye(8, dtype=np.float32)
    pasted = [one("cutmix")(images, labels, random, limits=SHARES)[0] != images for _ in range(500)]
    share = np.mean(pasted, axis=(0, 1, 4))
    assert share == pytest.approx(share[::-1, ::-1], abs=0.1)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_batches_are_mixed_as_often_as_their_probability_says(name):
    images, labels = coloured(4)
    made = augmentation({name: {"probability": 0.3}})
    random = np.random.default_rng(0)
    mixed = [made(images, labels, random, limits=SHARES)[0] is not images for _ in range(2_000)]
    assert np.mean(mixed) == pytest.approx(0.3, abs=0.04)


def test_only_mixing_takes_one_hot_labels():
    mixing = {name for name, cls in AUGMENTATIONS.items() if cls.mixes_labels}
    assert mixing == {"mixup", "cutmix"}


# What a recipe says


@every
def test_every_augmentation_and_argument_is_explained(name):
    cls = AUGMENTATIONS[name]
    assert (cls.__doc__ or "").partition("\n")[0].endswith(".")
    assert set(field_docs(cls)) == set(cls.model_fields)


@every
def test_what_is_written_is_read_back_as_the_same(name):
    made = one(name)
    written = json.loads(json.dumps(made.model_dump(mode="json")))
    assert set(written) == {name}
    assert set(written[name]) == set(type(made).model_fields)
    assert augmentation(written) == augmentation(made) == made


def test_a_name_alone_or_with_nothing_takes_the_defaults():
    assert (
        augmentation("random_crop")
        == augmentation({"random_crop": None})
        == augmentation({"random_crop": {"padding": 4, "fill": "zero"}})
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "write a name"),
        (["horizontal_flip"], "write a name"),
        (3, "write a name"),
        ({}, "write a name"),
        ({"random_crop": 4}, "write a name"),
        ({"random_crop": {}, "shift": {}}, "write a name"),
        ("horizontal_flop", "no augmentation `horizontal_flop`; did you mean `horizontal_flip`?"),
        ("colour_jitter", "did you mean `color_jitter`?"),
        ({"random_crop": {"pading": 4}}, "`random_crop` has no argument `pading`; did you mean"),
        ({"random_crop": {4: 4}}, "`random_crop` has no argument `4`"),
        ({"random_crop": {"padding": 1.5}}, "`padding` of `random_crop` must be a whole number"),
        ({"random_crop": {"padding": 0}}, "from 1"),
        ({"random_crop": {"padding": True}}, "not true"),
        ({"random_crop": {"fill": "black"}}, "must be one of zero, reflect, edge"),
        ({"horizontal_flip": {"probability": 1.1}}, "must be a number from 0 to 1, not 1.1"),
        ({"horizontal_flip": {"probability": float("nan")}}, "a number from 0 to 1"),
        ({"rotation": {"degrees": 200}}, "at most 180"),
        ({"random_resized_crop": {"area": [0.5, 0.1]}}, "not be the larger: [0.1, 0.5]?"),
        ({"random_resized_crop": {"area": [0.5]}}, "two numbers above 0"),
        ({"random_resized_crop": {"area": 0.5}}, "two numbers above 0"),
        ({"random_erasing": {"ratio": [0, 1]}}, "two numbers from 0.01 to 100"),
        ("color_jitter", "give at least one of brightness, contrast, saturation, hue"),
        ({"color_jitter": {"hue": 1}}, "a number from 0 to 0.5"),
        ({"mixup": {"alpha": 0}}, "a number above 0"),
        ({"cutmix": {"alpha": float("inf")}}, "a number above 0"),
        ({"shift": {"vertical": 2, "horizontal": "far"}}, "0 to below 1, not 2; `horizontal`"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_mend(value, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        augmentation(value)


def test_as_a_field_the_mistake_has_its_place_and_what_is_read_can_be_written():
    class Section(BaseModel):
        augment: tuple[Augment, ...] = ()

    with pytest.raises(ValidationError) as caught:
        Section(augment=["horizontal_flip", "flop", {"shift": {"fill": 1}}])
    assert [error["loc"] for error in caught.value.errors()] == [("augment", 1), ("augment", 2)]

    section = Section(augment=["vertical_flip", {"random_erasing": {"area": [0.1, 0.2]}}])
    written = section.model_dump(mode="json")
    assert written["augment"][0] == {"vertical_flip": {"probability": 0.5}}
    assert written["augment"][1]["random_erasing"]["area"] == [0.1, 0.2]
    assert Section.model_validate(json.loads(json.dumps(written))) == section


@every
@pytest.mark.parametrize("shape", [(10,), (32, 3), (4, 32, 32, 3)])
def test_what_is_not_an_image_is_not_augmented(name, shape):
    problem = one(name).misfit(Shape(shape), 10)
    assert f"`{name}` is for images, not for an input of {Shape(shape)}" == problem.message


@every
def test_every_augmentation_fits_ordinary_images(name):
    for shape in ((32, 32, 1), (32, 32, 3), (224, 200, 3)):
        assert one(name).misfit(Shape(shape), 10) is None


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "words"),
    [
        ("random_crop", {"padding": 8}, (8, 9, 3), "out of sight"),
        ("random_crop", {"padding": 7}, (8, 9, 3), None),
        ("random_crop", {"padding": 1}, (1, 9, 3), "out of sight"),
        ("shift", {}, (4, 4, 1), "less than a pixel"),
        ("shift", {"vertical": 0, "horizontal": 0}, (32, 32, 1), "less than a pixel"),
        ("shift", {"vertical": 0}, (32, 32, 1), None),
        ("color_jitter", {"hue": 0.1}, (8, 8, 2), "not for 2 channels"),
        ("color_jitter", {"hue": 0.1}, (8, 8, 1), "changes nothing in grey images"),
        ("color_jitter", {"hue": 0.1, "contrast": 0.1}, (8, 8, 1), None),
        ("color_jitter", {"contrast": 0.1}, (8, 8, 7), None),
        ("pca_lighting", {}, (8, 8, 300), "up to 256 channels"),
        ("pca_lighting", {}, (8, 8, 13), None),
    ],
)
def test_what_does_not_fit_the_images_is_said_early(name, arguments, shape, words):
    problem = augmentation({name: arguments}).misfit(Shape(shape), 10)
    assert problem is None if words is None else words in problem.message


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_one_class_cannot_be_mixed(name):
    assert "only one" in one(name).misfit(Shape((8, 8, 3)), 1).message

"""Images for training: split, fitted to the network, normalised, weighed, kept within memory."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archspec.diagnostics import UsageError
from archspec.ops.shape import Shape
from archspec.training.data import data, pixels, preprocessing, values
from archspec.training.data.data import Preprocessing
from archspec.training.data.examples import TEST, TRAIN, VALIDATION, EncodedImages
from archspec.training.data.pixels import Files, Kept, Stored
from archspec.training.data.values import BYTES, LEVELS, Range
from archspec.training.recipe.recipe import DataRecipe, RecipeError
from archspec.training.runs import reading

LABELS = np.repeat(np.arange(3, dtype=np.int32), [100, 50, 10])


def split(labels=LABELS, own=None, **options):
    return data.split(labels, DataRecipe(**options), own)


# The split


def test_the_split_holds_every_image_once_and_each_class_in_its_share():
    train, validation, test = split()
    assert sorted([*train, *validation, *test]) == list(range(160))
    assert [list(LABELS[part]).count(0) for part in (train, validation, test)] == [70, 10, 20]
    assert [list(LABELS[part]).count(2) for part in (train, validation, test)] == [7, 1, 2]


def test_the_test_images_depend_on_the_seed_and_on_their_share_alone():
    tests = [list(split(validation=share)[2]) for share in (0.0, 0.1, 0.5)]
    assert tests[0] == tests[1] == tests[2]
    assert tests[0] == list(split(per_class=5)[2])
    assert tests[0] != list(split(seed=1)[2])


def test_without_stratifying_only_the_whole_has_its_shares():
    train, validation, test = split(stratify=False)
    assert [len(part) for part in (train, validation, test)] == [112, 16, 32]
    assert sorted([*train, *validation, *test]) == list(range(160))


def test_fewer_images_of_a_class_are_some_of_more():
    few, more = split(per_class=5)[0], split(per_class=20)[0]
    assert np.bincount(LABELS[few]).tolist() == [5, 5, 5]
    assert np.bincount(LABELS[more]).tolist() == [20, 20, 7]
    assert set(few) < set(more)


def test_what_a_source_holds_out_itself_stays_so():
    own = np.full(160, TRAIN, np.int8)
    own[::4] = TEST
    train, validation, test = split(own=own)
    assert test.tolist() == list(range(0, 160, 4))
    assert len(validation) == 8 + 4 + 1  # a tenth of what is left of each class
    own[1::4] = VALIDATION
    train, validation, test = split(own=own)
    assert validation.tolist() == list(range(1, 160, 4))
    assert len(train) == 80


def test_images_of_other_classes_are_in_no_part():
    labels = np.where(LABELS == 1, -1, LABELS)
    assert sum(map(len, split(labels))) == 110


# Loading


def test_digits_are_resized_standardised_and_repeated_for_three_channels():
    digits = data.load(DataRecipe(), Shape((16, 12, 3)))
    part = digits.train
    assert (len(part), len(digits.validation), len(digits.test)) == (1259, 179, 359)
    images = digits.preprocessing(part.pixels.read(part.indices))
    assert images.shape == (1259, 16, 12, 3)
    assert images.dtype == np.float32
    assert images.mean() == pytest.approx(0, abs=1e-3)
    assert images.std() == pytest.approx(1, abs=1e-3)
    assert np.array_equal(images[..., 0], images[..., 2])
    assert digits.describe() == (
        "digits: 1,259 images to train on, 179 to validate, 359 to test, "
        "10 classes, 8x8x1, resized to 16x12x3"
    )


@pytest.fixture
def arrays(tmp_path):
    """Writes images and labels to a file; gives a recipe for it."""

    def write(images, labels, **options) -> DataRecipe:
        np.savez(tmp_path / "data.npz", x=images, y=labels)
        return DataRecipe(source="arrays", path=str(tmp_path / "data.npz"), **options)

    return write


def noise(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of two kinds, dark and light, each of a level of its own."""
    for number in range(40):
        name = tmp_path / ("dark" if number < 20 else "light") / f"{number:02}.png"
        name.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 5), (number, number, number)).save(name)
    return tmp_path


def a_folder(path: Path, **options) -> DataRecipe:
    return DataRecipe(source="folder", path=str(path), **options)


def test_labels_belong_to_their_images(folder):
    loaded = data.load(a_folder(folder), Shape((4, 4, 1)))
    for part in (loaded.train, loaded.validation, loaded.test):
        levels = part.pixels.read(part.indices)[:, 0, 0, 0]
        assert part.labels.tolist() == (levels >= 20).tolist()
    assert loaded.describe().endswith("2 classes, image files, resized to 4x4x1")


def test_chosen_classes_are_in_the_order_of_the_choice(arrays):
    labels = np.repeat(np.arange(4), 10)
    images = np.repeat(labels, 4).reshape(40, 2, 2, 1).astype(np.uint8)
    loaded = data.load(arrays(images, labels, classes=(3, 0)), Shape((2, 2, 1)))
    assert loaded.class_names == ("3", "0")
    part = loaded.train
    levels = part.pixels.read(part.indices)[:, 0, 0, 0]
    assert set(zip(levels.tolist(), part.labels.tolist(), strict=True)) == {(3, 0), (0, 1)}


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (noise(20, 4, 4, 7), (4, 4, 7)),
        (noise(20, 6, 6, 7), (4, 4, 7)),
        (noise(20, 9), (9,)),
        (noise(20, 9, 2), (9, 2)),
        (noise(20, 3, 3, 3, 2), (3, 3, 3, 2)),
        (noise(20, 5, 5), (4, 4, 3)),
        (noise(20, 5, 5, 3), (4, 4, 1)),
    ],
    ids=["many channels", "resized", "vectors", "sequences", "volumes", "grey", "colour"],
)
def test_examples_of_every_rank_reach_a_network_of_theirs(arrays, images, shape):
    loaded = data.load(arrays(images, np.tile([0, 1], 10)), Shape(shape))
    part = loaded.train
    batch = loaded.preprocessing(part.pixels.read(part.indices))
    assert batch.shape == (len(part), *shape)
    assert batch.mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 0, 0, 0], {}, "has one class only, `0`"),
        ([1, 2, 1, 2], {}, "has no image of `0`; labels count from 0"),
        ([0, 1, 0, 1], {}, "too few images for a `validation` of 0.1"),
        ([0, 1, 0, 1], {"validation": 0.0}, "too few images for a `test` of 0.2"),
        ([0, 1, 1, 1], {"test": 0.5, "stratify": False, "validation": 0.25}, "none of `0` is left"),
    ],
)
def test_a_part_that_would_be_empty_is_refused(arrays, labels, options, message):
    with pytest.raises(UsageError, match=message):
        data.load(arrays(noise(4, 2, 2, 1), np.array(labels), **options), Shape((2, 2, 1)))


def test_a_share_of_nothing_leaves_a_part_empty(arrays):
    recipe = arrays(noise(4, 2, 2, 1), np.array([0, 1, 0, 1]), validation=0.0, test=0.0)
    loaded = data.load(recipe, Shape((2, 2, 1)))
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [4, 0, 0]
    assert loaded.test.pixels.read(loaded.test.indices).shape == (0, 2, 2, 1)


@pytest.mark.parametrize("encode", ["arrays", "folder"])
def test_the_fingerprint_is_of_what_is_trained_on(arrays, folder, encode):
    def fingerprint(level: int = 0, **options) -> str:
        if encode == "folder":
            Image.new("L", (6, 5), level).save(folder / "dark" / "00.png")
            return data.load(a_folder(folder, **options), Shape((2, 2, 1))).fingerprint
        images = np.full((20, 2, 2, 1), level, np.uint8)
        recipe = arrays(images, np.tile([0, 1], 10), **options)
        return data.load(recipe, Shape((2, 2, 1))).fingerprint

    names = {"folder": ("light", "dark"), "arrays": ("1", "0")}[encode]
    assert fingerprint() == fingerprint(seed=7)
    assert len({fingerprint(), fingerprint(level=1), fingerprint(classes=names)}) == 3


# What does not fit


@pytest.mark.parametrize(
    ("shape", "outputs", "where", "words"),
    [
        ((32, 32, 1), {"output": (10,)}, [], ""),
        ((32, 32, 3), {"output": (10,), "aux": (10,)}, [], ""),
        ((32, 1), {"output": (10,)}, ["input"], "do not fit an input of 32x1"),
        ((8, 8, 8, 1), {"output": (10,)}, ["input"], "do not fit an input of 8x8x8x1"),
        ((32, 32, 2), {"output": (10,)}, ["input"], "do not fit an input of 32x32x2"),
        ((32, 32, 1), {"output": (1000,)}, ["output"], "has 1,000 values, but digits has 10"),
        ((32, 32, 1), {"output": (1, 1, 10)}, ["output"], "is 1x1x10"),
        ((32, 32, 1), {"output": (10,), "aux": (9,)}, ["aux"], "has 9 values"),
    ],
)
def test_a_network_that_cannot_learn_digits_is_told_why(shape, outputs, where, words):
    shapes = {name: Shape(extent) for name, extent in outputs.items()}
    found = list(data.misfits(DataRecipe(), Shape(shape), shapes))
    assert [name for name, _ in found] == where
    assert all(words in problem.message for _, problem in found)


def messages(recipe: DataRecipe, shape: tuple[int, ...], classes: int = 2) -> str:
    found = data.misfits(recipe, Shape(shape), {"output": Shape((classes,))})
    return "; ".join(f"{where}: {problem.message}" for where, problem in found)


def test_a_choice_of_classes_is_what_the_outputs_are_counted_by():
    assert messages(DataRecipe(classes=(3, 8)), (8, 8, 1)) == ""
    assert "has 10 values, but digits has 2 classes" in messages(
        DataRecipe(classes=(3, 8)), (8, 8, 1), 10
    )
    with pytest.raises(RecipeError) as caught:
        messages(DataRecipe(classes=(3, 11)), (8, 8, 1))
    ((path, problem),) = caught.value.problems
    assert path == ("data", "classes", 1)
    assert problem.message == "digits has no class `11`"


def test_arrays_and_folders_are_known_before_they_are_loaded(arrays, folder):
    recipe = arrays(noise(4, 5, 5, 7), np.array([0, 1, 0, 1]))
    assert messages(recipe, (9, 9, 7)) == ""
    assert "has examples of 5x5x7, which do not fit an input of 5x5x3" in messages(
        recipe, (5, 5, 3)
    )
    with pytest.raises(UsageError, match="do not fit an input of 5x5x3"):
        data.load(recipe, Shape((5, 5, 3)))
    assert messages(a_folder(folder), (9, 9, 3)) == ""
    assert "do not fit an input of 9x9x4" in messages(a_folder(folder), (9, 9, 4))
    assert f"{folder} has 2 classes" in messages(a_folder(folder), (9, 9, 3), 3)


def test_published_colours_are_for_three_channels():
    assert messages(DataRecipe(normalize="torch"), (8, 8, 1), 10) == (
        "input: `normalize: torch` is for 3 channels, but the input is 8x8x1"
    )


# Preprocessing


@pytest.mark.parametrize(
    ("how", "channels", "black", "white"),
    [
        ("none", 1, [0], [255]),
        ("unit", 1, [0], [1]),
        ("symmetric", 2, [-1, -1], [1, 1]),
        ("torch", 3, [-2.118, -2.036, -1.804], [2.249, 2.429, 2.640]),
        ("caffe", 3, [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
    ],
)
def test_normalisations_are_what_they_are_called(how, channels, black, white):
    images = np.zeros((2, 1, 1, channels), np.uint8)
    images[1] = 255
    store = Stored(images, Shape((1, 1, channels)), "stretch", limits=BYTES)
    fitted = preprocessing.fit(how, "stretch", store, np.arange(2))
    assert fitted(images).reshape(2, -1) == pytest.approx(np.array([black, white]), abs=1e-3)
    assert fitted.measured == 0


def test_caffe_sees_blue_first():
    images = np.array([[[[255, 0, 0]]]], np.uint8)
    store = Stored(images, Shape((1, 1, 3)), "stretch", limits=BYTES)
    fitted = preprocessing.fit("caffe", "stretch", store, np.arange(1))
    assert fitted(images)[0, 0, 0].argmax() == 2


def test_standardising_is_by_each_channel_of_the_training_images():
    images = noise(60, 3, 3, 2) * np.array([1, 0], np.uint8) + np.array([0, 9], np.uint8)
    store = Stored(images, Shape((3, 3, 2)), "stretch", limits=BYTES)
    fitted = preprocessing.fit("standardize", "stretch", store, np.arange(50))
    mean, deviation = images[:50, ..., 0].mean(), images[:50, ..., 0].std()
    assert fitted.mean == pytest.approx((mean, 9))
    assert fitted.deviation == pytest.approx((deviation, 1))  # of a channel that says nothing
    assert fitted.measured == 50


def test_of_images_that_are_not_in_memory_a_sample_is_measured(monkeypatch, folder):
    monkeypatch.setattr(preprocessing, "MEASURED", 9)
    loaded = data.load(a_folder(folder), Shape((4, 4, 1)))
    again = data.load(a_folder(folder), Shape((4, 4, 1)))
    assert loaded.preprocessing.measured == 9
    assert loaded.preprocessing == again.preprocessing


def test_preprocessing_is_written_and_read_back():
    fitted = Preprocessing((1.5, 2.0), (3.0, 4.0), True, "crop", LEVELS, 12)
    for each in (fitted, replace(fitted, range=None), replace(fitted, range=Range(-1.0, 1.0))):
        assert reading.parse(json.dumps(asdict(each)), Preprocessing, "") == each


@pytest.mark.parametrize("limits", [LEVELS, Range(-1.0, 1.0), Range(1040.0, 1130.0)])
def test_a_new_files_black_and_white_are_those_of_the_training_images(limits):
    content = io.BytesIO()
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(content, "PNG")
    fitted = Preprocessing((limits.black,), (limits.span,), range=limits)
    seen = fitted.read(content.getvalue(), Shape((1, 2, 1)))
    assert seen.ravel() == pytest.approx(limits)
    assert fitted(seen[np.newaxis]).ravel() == pytest.approx([0, 1])
    bytes_ = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert fitted.on(BYTES)(bytes_).ravel() == pytest.approx([0, 1])


# The range of arrays


@pytest.mark.parametrize(
    ("dtype", "minimum", "maximum", "limits"),
    [
        (bool, 0, 1, (0, 1)),
        (np.uint8, 0, 1, (0, 1)),  # a mask
        (np.float32, 0.2, 0.31, (0, 1)),
        (np.float64, -0.9, 0.4, (-1, 1)),
        (np.int16, -1, 1, (-1, 1)),
        (np.float32, 0, 16, (0, 16)),  # scikit-learn's digits
        (np.uint8, 0, 15, (0, 16)),
        (np.float32, 0.5, 15.5, None),
        (np.uint8, 0, 17, (0, 255)),
        (np.uint8, 3, 8, (0, 255)),
        (np.int64, 0, 200, (0, 255)),
        (np.float32, 0.5, 254.5, (0, 255)),
        (np.float32, 0, 100, None),  # percent, or dark bytes
        (np.int64, 0, 256, None),
        (np.uint16, 1032, 1138, (0, 65535)),  # a CT
        (np.int32, 0, 4095, (0, 4095)),
        (np.float32, 0, 50_000, (0, 65535)),
        (np.float32, 0, 70_000, None),
        (np.int16, -1000, 400, None),  # Hounsfield units
        (np.float32, -3.2, 7.9, None),  # standardised already
        (np.float32, -0.02, 1.03, None),  # interpolated beyond the ends
    ],
)
def test_black_and_white_of_an_array_are_what_its_values_show(dtype, minimum, maximum, limits):
    images = np.full((3, 2, 2, 1), minimum, dtype)
    images[1, 1] = maximum
    found = values.measure(images, "x")
    assert found.range == limits
    assert (found.minimum, found.maximum) == (images.min(), images.max())
    assert found.dtype == np.dtype(dtype).name
    assert reading.parse(json.dumps(asdict(found)), type(found), "") == found


def test_the_extremes_of_an_array_are_found_in_any_of_its_chunks(monkeypatch):
    monkeypatch.setattr(values, "CHUNK_BYTES", 64)
    images = np.full((100, 4), 0.5, np.float32)
    images[70, 2], images[99, 0] = -0.75, 0.875
    found = values.measure(images, "x")
    assert (found.minimum, found.maximum, found.range) == (-0.75, 0.875, (-1, 1))


def test_digits_in_a_file_have_the_white_of_the_source(arrays):
    """And so what is normalised and augmented by it is the same."""
    source = data.load(DataRecipe(normalize="unit"), Shape((8, 8, 1)))
    images = source.train.pixels.read(np.arange(1797))
    recipe = arrays(images.astype(np.uint8), np.tile(np.arange(10), 180)[:1797], normalize="unit")
    loaded = data.load(recipe, Shape((8, 8, 1)))
    assert loaded.train.pixels.range == source.train.pixels.range == (0, 16)
    assert loaded.preprocessing(images).max() == 1


STANDARDISED = np.linspace(-3.2, 7.9, 20 * 16, dtype=np.float32).reshape(20, 4, 4, 1)


@pytest.mark.parametrize(
    ("options", "shape", "place"),
    [
        ({"normalize": "unit"}, (4, 4, 1), "normalize"),
        ({"normalize": "symmetric"}, (4, 4, 1), "normalize"),
        ({"normalize": "torch"}, (4, 4, 3), "normalize"),
        ({"resize": "pad"}, (4, 8, 1), "resize"),
    ],
)
def test_what_needs_black_and_white_asks_for_them(arrays, options, shape, place):
    recipe = arrays(STANDARDISED, np.tile([0, 1], 10), **options)
    with pytest.raises(RecipeError, match=r"black and white, .* from -3\.2 to 7\.9") as caught:
        data.load(recipe, Shape(shape))
    ((path, problem),) = caught.value.problems
    assert path == ("data", place)
    assert problem.help == "say them, as `data.range: [0, 255]`"
    said = recipe.model_copy(update={"range": (-4.0, 8.0)})
    assert data.load(said, Shape(shape)).preprocessing.range == (-4, 8)


def test_what_needs_no_black_and_white_does_without(arrays):
    loaded = data.load(arrays(STANDARDISED, np.tile([0, 1], 10)), Shape((4, 4, 1)))
    assert loaded.values.range is None
    assert loaded.preprocessing.range is None
    images = loaded.preprocessing(loaded.train.pixels.read(loaded.train.indices))
    assert (images.mean(), images.std()) == pytest.approx((0, 1), abs=1e-5)


def test_a_range_that_values_exceed_is_refused(arrays):
    recipe = arrays(STANDARDISED, np.tile([0, 1], 10), range=(-1.0, 1.0))
    with pytest.raises(RecipeError, match=r"from -3\.2 to 7\.9, beyond `range: \[-1, 1\]`"):
        data.load(recipe, Shape((4, 4, 1)))


def test_bars_are_black_in_any_range(arrays):
    images = np.full((20, 4, 4, 1), 0.5, np.float32)
    images[0] = -1
    loaded = data.load(arrays(images, np.tile([0, 1], 10), resize="pad"), Shape((4, 8, 1)))
    padded = loaded.train.pixels.read(np.array([1]))[0, :, :, 0]
    assert padded[0].tolist() == [-1, -1, 0.5, 0.5, 0.5, 0.5, -1, -1]


@pytest.mark.parametrize("extent", [(), (5,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_each_channel_has_its_own_map_on_any_axes_and_the_pixels_stay(extent, kind):
    images = noise(6, *extent, 2).astype(kind)
    before = images.copy()
    found = Preprocessing((1.5, 2.5), (7.0, 8.0))(images)
    for channel, (mean, deviation) in enumerate([(1.5, 7.0), (2.5, 8.0)]):
        wanted = (images[..., channel].astype(np.float32) - mean) / deviation
        assert found[..., channel] == pytest.approx(wanted)
    assert np.array_equal(images, before)


@pytest.mark.keras
def test_a_tensor_is_preprocessed_as_an_array_is():
    tf = pytest.importorskip("tensorflow")
    images = noise(3, 4, 4, 3)
    fitted = Preprocessing((1.5, 2.5, 3.5), (7.0, 8.0, 9.0), True)
    assert np.array_equal(fitted(tf.constant(images)).numpy(), fitted(images))


# Where pixels come from


def test_arrays_of_the_networks_shape_are_used_where_they_lie():
    images = noise(4, 3, 3, 1)
    assert Stored(images, Shape((3, 3, 1)), "stretch", limits=BYTES).array is images
    assert Stored(images, Shape((4, 4, 1)), "stretch", limits=BYTES).array is None
    for kind in (np.float64, ">f4"):
        other = Stored(images.astype(kind), Shape((3, 3, 1)), "stretch", limits=BYTES)
        assert other.array is None
        assert other.read(np.arange(4)).dtype == np.dtype(np.float32)


@pytest.mark.parametrize(
    ("cache", "free", "kind", "whole"),
    [
        ("auto", 2**30, Kept, True),
        ("auto", 100, Stored, False),
        (False, 2**30, Stored, False),
        (True, 2**30, Kept, True),
    ],
)
def test_images_are_kept_only_where_they_fit(arrays, monkeypatch, cache, free, kind, whole):
    monkeypatch.setattr(data, "free_memory", lambda: free)
    images = noise(20, 5, 5, 1)
    loaded = data.load(arrays(images, np.tile([0, 1], 10), cache=cache), Shape((4, 4, 1)))
    store = loaded.train.pixels
    assert type(store) is kind
    assert (store.array is not None) is whole


def test_a_cache_that_cannot_fit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(data, "free_memory", lambda: 100)
    with pytest.raises(UsageError, match=r"`cache: true` needs .*; say `cache: auto`"):
        data.load(a_folder(folder, cache=True), Shape((4, 4, 1)))


def test_a_file_is_decoded_once_if_it_is_kept(folder, monkeypatch):
    decoded: list[Path] = []
    decode = pixels.decode
    monkeypatch.setattr(
        pixels, "decode", lambda path, *rest: decoded.append(path) or decode(path, *rest)
    )
    kept = data.load(a_folder(folder, normalize="unit"), Shape((4, 4, 1))).train.pixels
    first = kept.read(np.array([3, 1, 3]))
    again = kept.read(np.array([1, 3]))
    assert np.array_equal(first[:2][::-1], again)
    assert len(set(decoded)) == 2
    assert kept.array is None
    kept.read(np.arange(40))
    assert len(kept.array) == 40


def damaged_within(root: Path) -> str:
    """A file that ends as it should, and is broken in the middle."""
    path = root / "dark" / "07.png"
    content = path.read_bytes()
    middle = content.index(b"IDAT") + 8
    path.write_bytes(content[:middle] + b"\xff" * 8 + content[middle + 8 :])
    return str(path)


def test_damage_found_late_stops_the_run_with_the_files_name(folder):
    damaged_within(folder)
    loaded = data.load(a_folder(folder, normalize="unit"), Shape((4, 4, 1)))
    with pytest.raises(UsageError, match=r"07\.png` cannot be read: .*`on_error: skip`"):
        loaded.train.pixels.read(np.arange(40))


def test_for_a_file_damaged_within_another_of_its_class_and_part_stands_in(folder):
    path = damaged_within(folder)
    recipe = a_folder(folder, normalize="unit", on_error="skip")
    loaded = data.load(recipe, Shape((4, 4, 1)))
    levels = loaded.train.pixels.read(np.arange(40))[:, 0, 0, 0]
    (part,) = (p for p in (loaded.train, loaded.validation, loaded.test) if 7 in p.indices)
    assert levels[7] in {index for index in part.indices if index < 20} - {7}
    assert np.array_equal(np.delete(levels, 7), np.delete(np.arange(40), 7))
    assert [name for name, _ in loaded.skipped] == [path]


def test_an_image_without_any_that_could_stand_in_is_an_error():
    images = EncodedImages(["a", "b"], lambda _: b"no image")
    skipped: list[tuple[str, str]] = []
    files = Files(
        images, Shape((2, 2, 1)), "stretch", kin=np.zeros(2, int), skip=True, skipped=skipped
    )
    with pytest.raises(UsageError, match="nor can any other image of its class"):
        files.read(np.array([0]))
    assert len(skipped) == 2


def test_free_memory_is_the_machines_or_the_containers():
    assert 2**20 < pixels.free_memory() < 2**50


# Class weights


def test_balanced_weights_give_each_class_the_same_sum(arrays):
    labels = np.repeat([0, 1], [30, 10])
    recipe = arrays(noise(40, 2, 2, 1), labels, validation=0.0)
    loaded = data.load(recipe, Shape((2, 2, 1)))
    weights = data.class_weights("balanced", loaded)
    counts = np.bincount(loaded.train.labels)
    assert [weights[label] * counts[label] for label in (0, 1)] == pytest.approx([16, 16])
    assert data.class_weights({"1": 3.0}, loaded) == {0: 1, 1: 3}


def test_a_weight_of_a_class_that_is_not_there_is_refused_at_its_place():
    recipe = DataRecipe(classes=("1", "3"))
    outputs = {"output": Shape((2,))}
    assert not list(data.misfits(recipe, Shape((8, 8, 1)), outputs, ["3", "1"]))
    with pytest.raises(RecipeError, match="no class `2`") as caught:
        list(data.misfits(recipe, Shape((8, 8, 1)), outputs, ["3", "2"]))
    assert caught.value.problems[0][0] == ("class_weights", "2")


def test_one_class_is_nothing_to_learn(arrays):
    recipe = arrays(noise(6, 4, 4, 1), np.zeros(6, int))
    with pytest.raises(UsageError, match="has one class only, `0`: nothing to tell apart"):
        list(data.misfits(recipe, Shape((4, 4, 1)), {"output": Shape((10,))}))
    with pytest.raises(UsageError, match="has one class only, `0`: nothing to tell apart"):
        data.load(recipe, Shape((4, 4, 1)))

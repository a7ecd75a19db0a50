"""Images for training: split, fitted to the network, normalised, weighed, kept within memory."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from archspec import system
from archspec.data import (
    dataset,
    duplicates,
    fileaccess,
    inspection,
    pixels,
    preprocessing,
    splitting,
    values,
)
from archspec.data.examples import EncodedImages
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.pixels import ArrayPixels, CachedPixels, FilePixels
from archspec.data.preprocessing import Preprocessing
from archspec.data.recipe import DataRecipe
from archspec.data.splitting import split_digest
from archspec.data.values import BYTES, LEVELS, Range
from archspec.errors import Problem, RecipeError, UsageError
from archspec.ops.shape import Shape
from archspec.recipe.task_choice import Ending, examine
from archspec.recipe.train import Recipe
from archspec.runs import storage

LABELS = np.repeat(np.arange(3, dtype=np.int32), [100, 50, 10])


def split(labels=LABELS, own=None, groups=None, **options):
    return splitting.split(labels, DataRecipe(**options), own, groups)


# The split


def test_the_split_holds_every_image_once_and_each_class_in_its_share():
    train, validation, test = split()
    assert sorted([*train, *validation, *test]) == list(range(160))
    assert [list(LABELS[part]).count(0) for part in (train, validation, test)] == [70, 10, 20]
    assert [list(LABELS[part]).count(2) for part in (train, validation, test)] == [7, 1, 2]


@pytest.mark.parametrize("groups", [None, np.arange(160) // 3])
def test_the_test_images_depend_on_the_seed_and_on_their_share_alone(groups):
    tests = [list(split(validation=share, groups=groups).test) for share in (0.0, 0.1, 0.5)]
    assert tests[0] == tests[1] == tests[2]
    assert tests[0] == list(split(per_class=5, groups=groups).test)
    assert tests[0] != list(split(seed=1, groups=groups).test)


SMALL = np.repeat(np.arange(7, dtype=np.int32), [60, 4, 4, 4, 4, 4, 4])


def per_class(part, labels=SMALL):
    return np.bincount(labels[part], minlength=labels.max() + 1)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_met_in_total_and_small_classes_take_turns(seed):
    """Rounding each class apart would take all validation images from the large class."""
    train, validation, test = map(per_class, split(SMALL, seed=seed))
    assert (train.sum(), validation.sum(), test.sum()) == (59, 8, 17)
    assert (train[0], validation[0], test[0]) == (42, 6, 12)
    assert sorted(test[1:]) == [0, 1, 1, 1, 1, 1]
    assert sorted(validation[1:]) == [0, 0, 0, 0, 1, 1]
    assert validation[test == 0] == 1, "the class that gave nothing to the test is the first"


def test_chance_decides_which_small_classes_are_held_out():
    held_out = {tuple(per_class(split(SMALL, seed=seed).validation)[1:]) for seed in range(20)}
    assert len(held_out) > 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("options", [{"test": 0.45, "validation": 0.45}, {"test": 0.5}])
def test_one_image_of_each_class_is_left_to_train_on(seed, options):
    labels = np.repeat(np.arange(4, dtype=np.int32), [1, 2, 3, 50])
    train = split(labels, seed=seed, **{"validation": 0.0, **options}).train
    assert per_class(train, labels).min() == 1


def test_rule_1_rounds_each_class_by_itself():
    """Runs of archspec 0.1.0 were split so, and are evaluated on what they held out."""
    train, validation, test = splitting.split(SMALL, DataRecipe(), rule=1)
    assert [per_class(part).tolist() for part in (validation, test)] == [
        [6, 0, 0, 0, 0, 0, 0],
        [12, 1, 1, 1, 1, 1, 1],
    ]
    assert split_digest((train, validation, test)) == (
        "872255e3a073c0980f5f1c09ce6bc7e83700efd7da6e006819a185ee04dca519"
    )


def groups_of(part, groups) -> set[int]:
    return set(groups[part].tolist())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stratify", [True, False])
def test_groups_are_never_split_and_shares_are_nearly_met(seed, stratify):
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat(np.arange(120), random.integers(1, 9, 120)))
    labels = random.integers(0, 4, len(groups)).astype(np.int32)
    parts = split(labels, seed=seed, stratify=stratify, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    train, validation, test = (groups_of(part, groups) for part in parts)
    assert len(train) + len(validation) + len(test) == 120
    shares = [len(part) / len(groups) for part in parts]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    if stratify:
        of_classes = per_class(parts.test, labels) / np.bincount(labels)
        assert of_classes == pytest.approx([0.2] * 4, abs=0.08)


def test_of_few_large_groups_one_is_held_out_for_each_part():
    groups = np.repeat(np.arange(3), [40, 60, 60])
    labels = np.tile([0, 1], 80).astype(np.int32)
    train, validation, test = split(labels, validation=0.05, test=0.05, groups=groups)
    assert [len(part) for part in (train, validation, test)] == [60, 60, 40]


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
    assert np.bincount(LABELS[validation]).tolist() == [7, 4, 1]  # a tenth of what is left
    own[1::4] = VALIDATION
    train, validation, test = split(own=own)
    assert validation.tolist() == list(range(1, 160, 4))
    assert len(train) == 80


def test_images_of_other_classes_are_in_no_part():
    labels = np.where(LABELS == 1, -1, LABELS)
    assert sum(map(len, split(labels))) == 110


# Loading


def test_digits_are_resized_standardised_and_repeated_for_three_channels():
    digits = dataset.load(DataRecipe(), Shape((16, 12, 3)))
    part = digits.train
    assert (len(part), len(digits.validation), len(digits.test)) == (1258, 180, 359)
    images = digits.preprocessing(part.pixels.read(part.indices))
    assert images.shape == (1258, 16, 12, 3)
    assert images.dtype == np.float32
    assert images.mean() == pytest.approx(0, abs=1e-3)
    assert images.std() == pytest.approx(1, abs=1e-3)
    assert np.array_equal(images[..., 0], images[..., 2])
    assert digits.describe() == (
        "digits: 1,258 images to train on, 180 to validate, 359 to test, "
        "10 classes, 8x8x1, resized to 16x12x3"
    )


@pytest.fixture
def arrays(tmp_path):
    """A function that writes images and labels to a file, and returns a recipe for it."""

    def write(images, labels, **options) -> DataRecipe:
        np.savez(tmp_path / "data.npz", x=images, y=labels)
        return DataRecipe(source="arrays", path=str(tmp_path / "data.npz"), **options)

    return write


def noise(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of two classes, dark and light, each of a different level."""
    for number in range(40):
        name = tmp_path / ("dark" if number < 20 else "light") / f"{number:02}.png"
        name.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 5), (number, number, number)).save(name)
    return tmp_path


def a_folder(path: Path, **options) -> DataRecipe:
    return DataRecipe(source="folder", path=str(path), **options)


def test_labels_belong_to_their_images(folder):
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    for part in (loaded.train, loaded.validation, loaded.test):
        levels = part.pixels.read(part.indices)[:, 0, 0, 0]
        assert part.labels.tolist() == (levels >= 20).tolist()
    assert loaded.describe().endswith("2 classes, image files, resized to 4x4x1")


def test_chosen_classes_are_in_the_order_of_the_choice(arrays):
    labels = np.repeat(np.arange(4), 10)
    images = np.repeat(labels, 4).reshape(40, 2, 2, 1).astype(np.uint8)
    loaded = dataset.load(arrays(images, labels, classes=(3, 0)), Shape((2, 2, 1)))
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
    loaded = dataset.load(arrays(images, np.tile([0, 1], 10)), Shape(shape))
    part = loaded.train
    batch = loaded.preprocessing(part.pixels.read(part.indices))
    assert batch.shape == (len(part), *shape)
    assert batch.mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 0, 0, 0], {}, "has only one class, `0`"),
        ([1, 2, 1, 2], {}, "labels count from 0, but these are from 1 to 2"),
        ([0, 2, 0, 2], {}, "has no image of `1`: choose the other classes"),
        ([0, 1, 0, 1], {}, "too few images for a `validation` of 0.1"),
        ([0, 1, 0, 1], {"validation": 0.0, "test": 0.1}, "too few images for a `test` of 0.1"),
        ([0, 1, 1, 1], {"test": 0.5, "stratify": False, "validation": 0.25}, "none of `0` is left"),
    ],
)
def test_a_part_that_would_be_empty_is_refused(arrays, labels, options, message):
    with pytest.raises(UsageError, match=message):
        dataset.load(arrays(noise(4, 2, 2, 1), np.array(labels), **options), Shape((2, 2, 1)))


def test_a_share_of_nothing_leaves_a_part_empty(arrays):
    recipe = arrays(noise(4, 2, 2, 1), np.array([0, 1, 0, 1]), validation=0.0, test=0.0)
    loaded = dataset.load(recipe, Shape((2, 2, 1)))
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [4, 0, 0]
    assert loaded.test.pixels.read(loaded.test.indices).shape == (0, 2, 2, 1)


@pytest.mark.parametrize("encode", ["arrays", "folder"])
def test_the_fingerprint_is_of_what_is_trained_on(arrays, folder, encode):
    def fingerprint(level: int = 0, **options) -> str:
        if encode == "folder":
            Image.new("L", (6, 5), level).save(folder / "dark" / "00.png")
            return dataset.load(a_folder(folder, **options), Shape((2, 2, 1))).fingerprint
        images = np.full((20, 2, 2, 1), level, np.uint8)
        recipe = arrays(images, np.tile([0, 1], 10), **options)
        return dataset.load(recipe, Shape((2, 2, 1))).fingerprint

    names = {"folder": ("light", "dark"), "arrays": ("1", "0")}[encode]
    assert fingerprint() == fingerprint(seed=7)
    assert len({fingerprint(), fingerprint(level=1), fingerprint(classes=names)}) == 3


def test_one_line_names_the_classes_of_which_nothing_is_held_out(arrays):
    labels = np.repeat([0, 1, 2], [60, 2, 2])
    loaded = dataset.load(arrays(noise(64, 2, 2, 1), labels, test=0.05), Shape((2, 2, 1)))
    assert not loaded.validation.labels.any()
    assert not loaded.test.labels.any()
    assert loaded.notes == ("no validation image of `1`, `2`; no test image of `1`, `2`",)


# Copies


@pytest.fixture
def copied(arrays):
    """A function that writes pictures of two classes with a copy in one class, or in both."""

    def write(*, both: bool, **options) -> DataRecipe:
        images = noise(40, 2, 2, 1)
        images[2] = images[0]
        if both:
            images[1] = images[0]
        options = {"validation": 0.0, "test": 0.5} | options
        return arrays(images, np.tile([0, 1], 20), **options)

    return write


def seeds_of(recipe: DataRecipe, *, apart: bool) -> DataRecipe:
    """Return the recipe with a seed that puts the images 0 and 2 into different parts, or not."""
    for seed in range(50):
        chosen = recipe.model_copy(update={"seed": seed, "duplicates": "warn"})
        held_out = dataset.load(chosen, Shape((2, 2, 1))).test.indices
        if ((0 in held_out) != (2 in held_out)) is apart:
            return recipe.model_copy(update={"seed": seed})
    raise AssertionError


def test_copies_in_two_parts_are_named(copied):
    loaded = dataset.load(seeds_of(copied(both=False), apart=True), Shape((2, 2, 1)))
    assert (loaded.copies.in_parts, loaded.copies.in_classes) == (1, 0)
    assert loaded.copies.images == (("image 0", "image 2"),)
    (line,) = loaded.notes
    assert line == (
        "1 picture is in more than one of training, validation and test, as `image 0`, `image 2`; "
        "data.json names them, `data.duplicates: drop` leaves them out"
    )


def test_copies_in_one_part_and_class_do_no_harm(copied):
    recipe = seeds_of(copied(both=False), apart=False)
    loaded = dataset.load(recipe.model_copy(update={"duplicates": "error"}), Shape((2, 2, 1)))
    assert (loaded.notes, bool(loaded.copies)) == ((), False)


def test_dropped_are_the_copies_to_train_on(copied):
    recipe = seeds_of(copied(both=False, duplicates="drop"), apart=True)
    loaded = dataset.load(recipe, Shape((2, 2, 1)))
    assert (len(loaded.train), len(loaded.test)) == (19, 20)
    assert not {0, 2} & set(loaded.train.indices)
    assert loaded.notes[0].endswith(": 1 image is left out; data.json names them")


def test_of_a_picture_in_two_classes_nothing_is_kept(copied):
    recipe = copied(both=True)
    loaded = dataset.load(recipe, Shape((2, 2, 1)))
    assert loaded.copies.in_classes == 1
    assert loaded.copies.images == (("image 0", "image 1", "image 2"),)
    loaded = dataset.load(recipe.model_copy(update={"duplicates": "drop"}), Shape((2, 2, 1)))
    assert not {0, 1, 2} & {*loaded.train.indices, *loaded.test.indices}
    assert len(loaded.train) + len(loaded.test) == 37
    with pytest.raises(UsageError, match=r"1 picture is in several classes, as `image 0`"):
        dataset.load(recipe.model_copy(update={"duplicates": "error"}), Shape((2, 2, 1)))


@pytest.mark.parametrize("whole", [True, False], ids=["read whole", "read at the ends"])
def test_files_are_copies_where_all_their_bytes_are_the_same(folder, monkeypatch, whole):
    """True also if only the ends of files were read at first."""
    if not whole:
        monkeypatch.setattr(inspection, "MOST_DIGESTED_BYTES", 1_000)
        monkeypatch.setattr(inspection, "ENDS_BYTES", 16)
    shutil.copy(folder / "dark" / "03.png", folder / "light" / "copy.png")
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    assert (loaded.copies.in_classes, len(loaded.copies.images)) == (1, 1)
    names = [Path(name).relative_to(folder).as_posix() for name in loaded.copies.images[0]]
    assert names == ["dark/03.png", "light/copy.png"]


@pytest.mark.parametrize("most", [2**25, 0], ids=["soon decoded", "many"])
def test_files_of_other_bytes_are_copies_where_their_pixels_are_the_same(folder, monkeypatch, most):
    """A picture may be saved in two formats, or with other metadata; many are not compared."""
    monkeypatch.setattr(duplicates, "MOST_DECODED", most)
    Image.fromarray(noise(8, 8, 3).astype(np.uint8)).save(folder / "dark" / "a.jpg")
    Image.open(folder / "dark" / "a.jpg").save(folder / "light" / "a.bmp")
    Image.open(folder / "dark" / "03.png").resize((12, 10)).save(folder / "light" / "large.png")
    with Image.open(folder / "dark" / "04.png") as image:
        image.save(folder / "light" / "loose.png", compress_level=0)
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    names = {tuple(sorted(Path(each).name for each in copies)) for copies in loaded.copies.images}
    assert names == ({("a.bmp", "a.jpg"), ("04.png", "loose.png")} if most == 2**25 else set())


# Groups


def test_images_of_a_group_go_to_one_part(folder):
    """A pattern finds the group in the names of files, within the folder."""
    for path in sorted(folder.rglob("*.png")):
        path.rename(path.with_name(f"patient{int(path.stem) % 10}_{path.stem}.png"))
    loaded = dataset.load(a_folder(folder, group=r"(patient\d+)_"), Shape((4, 4, 1)))
    parts = loaded.train, loaded.validation, loaded.test
    levels = [part.pixels.read(part.indices)[:, 0, 0, 0] % 10 for part in parts]
    groups = [set(each.tolist()) for each in levels]
    assert [len(each) for each in groups] == [7, 1, 2]
    assert set.union(*groups) == set(range(10))


def test_a_name_that_the_pattern_does_not_match_is_shown(folder):
    with pytest.raises(UsageError, match=r"`group: 1\(\\d\)` does not match `dark/00.png`"):
        dataset.load(a_folder(folder, group=r"1(\d)"), Shape((4, 4, 1)))


def test_a_part_that_no_group_is_small_enough_for_is_refused(folder):
    with pytest.raises(
        UsageError, match=r"too few groups of `\^\[a-z\]\+`.* or a `group` of fewer"
    ):
        dataset.load(a_folder(folder, group=r"^[a-z]+"), Shape((4, 4, 1)))


def test_groups_of_arrays_are_an_array(tmp_path):
    labels, patients = np.tile([0, 1], 20), np.repeat(np.arange(10), 4)
    np.savez(tmp_path / "data.npz", x=noise(40, 2, 2, 1), y=labels, patient=patients)
    recipe = DataRecipe(source="arrays", path=str(tmp_path / "data.npz"), group="patient")
    loaded = dataset.load(recipe, Shape((2, 2, 1)))
    parts = (loaded.train, loaded.validation, loaded.test)
    groups = [set(patients[part.indices].tolist()) for part in parts]
    assert [len(each) for each in groups] == [7, 1, 2]
    with pytest.raises(UsageError, match=r"no array `patients` to `group` by; did you mean"):
        dataset.load(recipe.model_copy(update={"group": "patients"}), Shape((2, 2, 1)))


def test_a_group_in_two_parts_of_data_that_come_split_is_refused(tmp_path):
    for number in range(8):
        part = ("train", "test")[number % 2]
        path = tmp_path / part / "ab"[number // 2 % 2] / f"film{number // 4}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    with pytest.raises(UsageError, match=r"2 groups, such as `film0`, .* more than one of train"):
        dataset.load(a_folder(tmp_path, group=r"film\d", validation=0.0), Shape((4, 4, 1)))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression: missing"),
        ("(a+)+b", "repeats a group that contains a repeat or a choice"),
        ("(?:a|aa)*b", "repeats a group that contains a repeat or a choice"),
        ("((a?b){3})x", "repeats a group that contains a repeat or a choice"),
        ("a?" * 30 + "a" * 30, "has 30 repeats of variable length, of at most 4"),
        ("x" * 300, "has 300 characters, of at most 200"),
    ],
)
def test_a_pattern_that_might_never_end_is_refused(pattern, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        assert DataRecipe(source="folder", path="photos", group=pattern).group == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"(patient\d+)_",
        r"^[^/]+/(?P<id>[a-z]{2}\d{4})",
        r"(?i)vid(?:eo)?-(\d+)",
        "[(+*]+",
        r"\(a+\)",
    ],
)
def test_usual_patterns_are_taken(pattern):
    assert DataRecipe(source="folder", path="photos", group=pattern).group == pattern


# Images that change under a run


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_files_that_change_are_named(folder, how):
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    path = folder / "light" / "31.png"
    loaded.check_unchanged()
    if how == "gone":
        path.unlink()
    else:
        Image.new("RGB", (6, 5), (200, 0, 0)).save(path)
    words = {"gone": "missing", "changed": "changed"}[how]
    with pytest.raises(
        UsageError, match=rf"1 of the files of .* changed since .*31\.png` \({words}\); put them"
    ):
        loaded.check_unchanged()


def test_a_file_that_was_written_again_as_it_was_has_not_changed(folder):
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    for path in folder.rglob("*.png"):
        os.utime(path, (0, 0))
    loaded.check_unchanged()
    loaded.check_unchanged(loaded.test)


def test_images_that_vanish_are_skipped_and_not_scored(folder):
    loaded = dataset.load(a_folder(folder, on_error="skip", cache=False), Shape((4, 4, 1)))
    gone = loaded.test.indices[:2].tolist()
    for index in gone:
        Path(loaded.examples.loaded.images.names[index]).unlink()
    loaded.check_unchanged(loaded.test)
    scored = loaded.without_failed(loaded.test)
    assert scored.indices.tolist() == loaded.test.indices[2:].tolist()
    assert scored.labels.tolist() == loaded.test.labels[2:].tolist()
    assert [why for _, why in loaded.skipped] == ["missing since the run began"] * 2
    assert loaded.without_failed(loaded.train) is loaded.train


def test_an_array_on_a_disk_that_changes_is_named(tmp_path):
    np.save(tmp_path / "x.npy", noise(40, 2, 2, 1))
    np.save(tmp_path / "y.npy", np.tile([0, 1], 20))
    loaded = dataset.load(DataRecipe(source="arrays", path=str(tmp_path)), Shape((2, 2, 1)))
    loaded.check_unchanged()
    os.utime(tmp_path / "x.npy", (0, 0))
    with pytest.raises(UsageError, match=r"x\.npy` \(changed\)"):
        loaded.check_unchanged()


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
    ends = {name: Ending(Shape(extent), "softmax") for name, extent in outputs.items()}
    _, _, found = examine(Recipe(), {"input": Shape(shape)}, ends)
    assert [name for name, _ in found] == where
    assert all(words in problem.message for _, problem in found)


def messages(recipe: DataRecipe, shape: tuple[int, ...], classes: int = 2) -> str:
    ends = {"output": Ending(Shape((classes,)), "softmax")}
    _, _, found = examine(Recipe(data=recipe), {"input": Shape(shape)}, ends)
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
        dataset.load(recipe, Shape((5, 5, 3)))
    first = arrays(noise(4, 3, 9, 9), np.array([0, 1, 0, 1]))
    with pytest.raises(UsageError, match=r"save them last, as `numpy\.moveaxis\(x, 1, -1\)`"):
        dataset.load(first, Shape((9, 9, 3)))
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
    store = ArrayPixels(images, Shape((1, 1, channels)), "stretch", limits=BYTES)
    fitted = preprocessing.fit(how, "stretch", store, np.arange(2))
    assert fitted(images).reshape(2, -1) == pytest.approx(np.array([black, white]), abs=1e-3)
    assert fitted.measured == 0


def test_caffe_sees_blue_first():
    images = np.array([[[[255, 0, 0]]]], np.uint8)
    store = ArrayPixels(images, Shape((1, 1, 3)), "stretch", limits=BYTES)
    fitted = preprocessing.fit("caffe", "stretch", store, np.arange(1))
    assert fitted(images)[0, 0, 0].argmax() == 2


def test_standardising_is_by_each_channel_of_the_training_images():
    images = noise(60, 3, 3, 2) * np.array([1, 0], np.uint8) + np.array([0, 9], np.uint8)
    store = ArrayPixels(images, Shape((3, 3, 2)), "stretch", limits=BYTES)
    fitted = preprocessing.fit("standardize", "stretch", store, np.arange(50))
    mean, deviation = images[:50, ..., 0].mean(), images[:50, ..., 0].std()
    assert fitted.mean == pytest.approx((mean, 9))
    assert fitted.deviation == pytest.approx((deviation, 1))  # of a channel that says nothing
    assert fitted.measured == 50


def test_of_images_that_are_not_in_memory_a_sample_is_measured(monkeypatch, folder):
    monkeypatch.setattr(preprocessing, "MEASURED", 9)
    loaded = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    again = dataset.load(a_folder(folder), Shape((4, 4, 1)))
    assert loaded.preprocessing.measured == 9
    assert loaded.preprocessing == again.preprocessing


def test_preprocessing_is_written_and_read_back():
    fitted = Preprocessing((1.5, 2.0), (3.0, 4.0), True, "crop", LEVELS, 12)
    for each in (fitted, replace(fitted, range=None), replace(fitted, range=Range(-1.0, 1.0))):
        assert storage.parse(json.dumps(asdict(each)), Preprocessing, "") == each


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
        (np.float32, -0.02, 0.97, None),  # or beyond one of them
        (np.float32, -0.5, 0.5, None),
    ],
)
def test_black_and_white_of_an_array_are_what_its_values_show(dtype, minimum, maximum, limits):
    images = np.full((3, 2, 2, 1), minimum, dtype)
    images[1, 1] = maximum
    found = values.measure(images, "x")
    assert found.range == limits
    assert (found.minimum, found.maximum) == (images.min(), images.max())
    assert found.dtype == np.dtype(dtype).name
    assert storage.parse(json.dumps(asdict(found)), type(found), "") == found


def test_the_extremes_of_an_array_are_found_in_any_of_its_chunks(monkeypatch):
    monkeypatch.setattr(values, "CHUNK_BYTES", 64)
    images = np.full((100, 4), 0.5, np.float32)
    images[70, 2], images[99, 0] = -0.75, 0.875
    found = values.measure(images, "x")
    assert (found.minimum, found.maximum, found.range) == (-0.75, 0.875, (-1, 1))


def test_digits_in_a_file_have_the_white_of_the_source(arrays):
    """Normalisation and augmentations are then the same for both."""
    source = dataset.load(DataRecipe(normalize="unit"), Shape((8, 8, 1)))
    images = source.train.pixels.read(np.arange(1797))
    recipe = arrays(images.astype(np.uint8), np.tile(np.arange(10), 180)[:1797], normalize="unit")
    loaded = dataset.load(recipe, Shape((8, 8, 1)))
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
        dataset.load(recipe, Shape(shape))
    ((path, problem),) = caught.value.problems
    assert path == ("data", place)
    assert problem.help == "give them: `data.range: [0, 255]`"
    said = recipe.model_copy(update={"range": (-4.0, 8.0)})
    assert dataset.load(said, Shape(shape)).preprocessing.range == (-4, 8)


def test_what_needs_no_black_and_white_does_without(arrays):
    loaded = dataset.load(arrays(STANDARDISED, np.tile([0, 1], 10)), Shape((4, 4, 1)))
    assert loaded.values.range is None
    assert loaded.preprocessing.range is None
    images = loaded.preprocessing(loaded.train.pixels.read(loaded.train.indices))
    assert (images.mean(), images.std()) == pytest.approx((0, 1), abs=1e-5)


def test_a_range_that_values_exceed_is_refused(arrays):
    recipe = arrays(STANDARDISED, np.tile([0, 1], 10), range=(-1.0, 1.0))
    with pytest.raises(RecipeError, match=r"from -3\.2 to 7\.9, outside of `range: \[-1, 1\]`"):
        dataset.load(recipe, Shape((4, 4, 1)))


def test_bars_are_black_in_any_range(arrays):
    images = np.full((20, 4, 4, 1), 0.5, np.float32)
    images[0] = -1
    loaded = dataset.load(arrays(images, np.tile([0, 1], 10), resize="pad"), Shape((4, 8, 1)))
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
    assert ArrayPixels(images, Shape((3, 3, 1)), "stretch", limits=BYTES).array is images
    assert ArrayPixels(images, Shape((4, 4, 1)), "stretch", limits=BYTES).array is None
    for kind in (np.float64, ">f4"):
        other = ArrayPixels(images.astype(kind), Shape((3, 3, 1)), "stretch", limits=BYTES)
        assert other.array is None
        assert other.read(np.arange(4)).dtype == np.dtype(np.float32)


@pytest.mark.parametrize(
    ("cache", "free", "kind", "whole"),
    [
        ("auto", 2**30, CachedPixels, True),
        ("auto", 100, ArrayPixels, False),
        (False, 2**30, ArrayPixels, False),
        (True, 2**30, CachedPixels, True),
    ],
)
def test_images_are_kept_only_where_they_fit(arrays, monkeypatch, cache, free, kind, whole):
    monkeypatch.setattr(dataset, "free_memory", lambda: free)
    images = noise(20, 5, 5, 1)
    loaded = dataset.load(arrays(images, np.tile([0, 1], 10), cache=cache), Shape((4, 4, 1)))
    store = loaded.train.pixels
    assert type(store) is kind
    assert (store.array is not None) is whole


def test_a_cache_that_cannot_fit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(fileaccess, "free_memory", lambda: 100)
    with pytest.raises(UsageError, match=r"`cache: true` takes .*; write `cache: auto`"):
        dataset.load(a_folder(folder, cache=True), Shape((4, 4, 1)))


def test_a_file_is_decoded_once_if_it_is_kept(folder, monkeypatch):
    decoded: list[Path] = []
    decode = pixels.decode
    monkeypatch.setattr(
        pixels, "decode", lambda path, *rest: decoded.append(path) or decode(path, *rest)
    )
    kept = dataset.load(a_folder(folder, normalize="unit"), Shape((4, 4, 1))).train.pixels
    first = kept.read(np.array([3, 1, 3]))
    again = kept.read(np.array([1, 3]))
    assert np.array_equal(first[:2][::-1], again)
    assert len(set(decoded)) == 2
    assert kept.array is None
    kept.read(np.arange(40))
    assert len(kept.array) == 40


def damaged_within(root: Path) -> str:
    """Damage a file in its middle, not at its end; return its path."""
    path = root / "dark" / "07.png"
    content = path.read_bytes()
    middle = content.index(b"IDAT") + 8
    path.write_bytes(content[:middle] + b"\xff" * 8 + content[middle + 8 :])
    return str(path)


def test_damage_found_late_stops_the_run_with_the_files_name(folder):
    damaged_within(folder)
    loaded = dataset.load(a_folder(folder, normalize="unit"), Shape((4, 4, 1)))
    with pytest.raises(UsageError, match=r"07\.png` cannot be read: .*`on_error: skip`"):
        loaded.train.pixels.read(np.arange(40))


def test_for_a_file_damaged_within_another_of_its_class_and_part_stands_in(folder):
    path = damaged_within(folder)
    recipe = a_folder(folder, normalize="unit", on_error="skip")
    loaded = dataset.load(recipe, Shape((4, 4, 1)))
    levels = loaded.train.pixels.read(np.arange(40))[:, 0, 0, 0]
    (part,) = (p for p in (loaded.train, loaded.validation, loaded.test) if 7 in p.indices)
    assert levels[7] in {index for index in part.indices if index < 20} - {7}
    assert np.array_equal(np.delete(levels, 7), np.delete(np.arange(40), 7))
    assert [name for name, _ in loaded.skipped] == [path]


def test_an_image_without_any_that_could_stand_in_is_an_error():
    images = EncodedImages(["a", "b"], lambda _: b"no image")
    skipped: list[tuple[str, str]] = []
    files = FilePixels(
        images, Shape((2, 2, 1)), "stretch", kinds=np.zeros(2, int), skip=True, skipped=skipped
    )
    with pytest.raises(UsageError, match="nor can any other image of its class"):
        files.read(np.array([0]))
    assert len(skipped) == 2


def test_free_memory_is_the_machines_or_the_containers():
    assert 2**20 < system.free_memory() < 2**50


# Class weights


def test_balanced_weights_give_each_class_the_same_sum(arrays):
    labels = np.repeat([0, 1], [30, 10])
    recipe = arrays(noise(40, 2, 2, 1), labels, validation=0.0)
    loaded = dataset.load(recipe, Shape((2, 2, 1)))
    weights = dataset.class_weights("balanced", loaded)
    counts = np.bincount(loaded.train.labels)
    assert weights * counts == pytest.approx([16, 16])
    assert dataset.class_weights({"1": 3.0}, loaded).tolist() == [1, 3]


def test_a_weight_of_a_class_that_is_not_there_is_refused_at_its_place():
    def problems(**weights: float) -> list[tuple[object, Problem]]:
        recipe = Recipe(data=DataRecipe(classes=("1", "3")), class_weights=weights)
        return examine(
            recipe, {"input": Shape((8, 8, 1))}, {"output": Ending(Shape((2,)), "softmax")}
        )[2]

    assert not problems(**{"3": 2.0, "1": 1.0})
    ((place, problem),) = problems(**{"3": 2.0, "2": 1.0})
    assert place == ("class_weights", "2")
    assert problem.message == "the data has no class `2`"


def test_one_class_is_nothing_to_learn(arrays):
    recipe = arrays(noise(6, 4, 4, 1), np.zeros(6, int))
    with pytest.raises(UsageError, match="has only one class, `0`: a network needs two or more"):
        messages(recipe, (4, 4, 1), 10)
    with pytest.raises(UsageError, match="has only one class, `0`: a network needs two or more"):
        dataset.load(recipe, Shape((4, 4, 1)))

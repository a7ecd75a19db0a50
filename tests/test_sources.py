"""Sources of training data: folders of images, arrays, published data sets."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from archspec.data import dataset, inspection
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.published import CIFAR100
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES
from archspec.errors import RecipeError, UsageError
from archspec.ops.shape import Shape

GREY = Shape((4, 4, 1))


def load(recipe: DataRecipe, shape: Shape = GREY):
    return SOURCES[recipe.source].load(recipe, shape)


def picture(path: Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), level).save(path)


@pytest.fixture
def pets(tmp_path):
    """A folder of two classes."""
    for name in ("cats/a.png", "cats/b.JPG", "dogs/a.bmp", "dogs/young/b.gif", "dogs/c.Jpeg"):
        picture(tmp_path / name)
    return tmp_path


def a_folder(path: Path, **options) -> DataRecipe:
    return DataRecipe(source="folder", path=str(path), **options)


def names(loaded, root: Path) -> list[str]:
    return [Path(name).relative_to(root).as_posix() for name in loaded.images.names]


def names_of(paths, root: Path) -> list[str]:
    return [Path(name).relative_to(root).as_posix() for name, _ in paths]


# folder


def test_a_folder_has_a_class_for_each_directory_and_looks_into_inner_ones(pets):
    loaded = load(a_folder(pets))
    assert loaded.class_names == ("cats", "dogs")
    files = ["cats/a.png", "cats/b.JPG", "dogs/a.bmp", "dogs/c.Jpeg", "dogs/young/b.gif"]
    assert names(loaded, pets) == files
    assert loaded.labels.tolist() == [0, 0, 1, 1, 1]
    assert loaded.parts is None
    preview = SOURCES["folder"].preview(a_folder(pets), GREY)
    assert (preview.class_names, preview.shape) == (("cats", "dogs"), None)


def test_hidden_files_are_ignored_and_strange_ones_listed(pets):
    (pets / ".git").mkdir()
    (pets / "README.md").touch()
    (pets / "cats" / ".DS_Store").touch()
    (pets / "cats" / "notes.txt").touch()
    loaded = load(a_folder(pets))
    assert len(loaded.labels) == 5
    assert names_of(loaded.skipped, pets) == ["cats/notes.txt"]


def test_parts_that_lie_apart_stay_apart(tmp_path):
    for part in ("Train", "validation", "test"):
        for name in ("cats", "dogs"):
            picture(tmp_path / part / name / "a.png")
    loaded = load(a_folder(tmp_path))
    assert len(loaded.parts) == 6
    by_name = dict(zip(names(loaded, tmp_path), loaded.parts.tolist(), strict=True))
    assert by_name["Train/cats/a.png"] == TRAIN
    assert by_name["validation/dogs/a.png"] == VALIDATION
    assert by_name["test/dogs/a.png"] == TEST


def test_a_train_is_a_class_among_vehicles(tmp_path):
    for name in ("bus", "car", "train"):
        picture(tmp_path / name / "a.png")
    assert load(a_folder(tmp_path)).class_names == ("bus", "car", "train")


def test_links_are_followed_but_not_in_circles(pets, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    picture(elsewhere / "far.png")
    (pets / "cats" / "linked").symlink_to(elsewhere)
    (pets / "cats" / "loop").symlink_to(pets / "cats")
    (pets / "cats" / "self").symlink_to(pets / "cats" / "self")
    loaded = load(a_folder(pets))
    assert names(loaded, pets)[:3] == ["cats/a.png", "cats/b.JPG", "cats/linked/far.png"]
    assert names_of(loaded.skipped, pets) == ["cats/self"]


def spoil(root: Path) -> None:
    """Add files with names of images that cannot be read."""
    (root / "cats" / "empty.jpg").touch()
    (root / "cats" / "text.png").write_text("no image", encoding="utf-8")
    (root / "dogs" / "gone.png").symlink_to(root / "nowhere.png")
    content = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(content, "JPEG")
    (root / "dogs" / "cut.jpg").write_bytes(content.getvalue()[:-200])


@pytest.mark.parametrize("most_digested", [2**30, 0])
def test_broken_files_are_counted_and_named_or_skipped(pets, monkeypatch, most_digested):
    monkeypatch.setattr(inspection, "MOST_DIGESTED_BYTES", most_digested)
    spoil(pets)
    with pytest.raises(UsageError, match=r"4 of 9 image files in .* cannot be read: ") as caught:
        load(a_folder(pets))
    assert "empty.jpg (empty); " in str(caught.value)
    assert "write `on_error: skip`" in str(caught.value)
    loaded = load(a_folder(pets, on_error="skip"))
    assert len(loaded.labels) == len(loaded.images.names) == len(loaded.images.plain) == 5
    broken = ["cats/empty.jpg", "cats/text.png", "dogs/cut.jpg", "dogs/gone.png"]
    assert names_of(loaded.skipped, pets) == broken
    assert [why for _, why in loaded.skipped][3] == "a link to nothing"


def test_where_no_image_can_be_read_the_reasons_are_counted(pets):
    for path in filter(Path.is_file, pets.rglob("*")):
        path.write_bytes(HEIC if path.parent.name == "cats" else b"")
    with pytest.raises(UsageError, match=r"^5 of 5 image files in .*2 HEIC\) to PNG$"):
        load(a_folder(pets))
    with pytest.raises(UsageError, match=r"^no image in .* can be read: 3 empty, 2 HEIC$"):
        load(a_folder(pets, on_error="skip"))


def test_an_error_names_a_few_of_many_files(pets):
    for number in range(20):
        (pets / "cats" / f"{number:02}.png").touch()
    with pytest.raises(UsageError, match=r"20 of 25 .*04\.png \(empty\); and 15 more\."):
        load(a_folder(pets))


def test_names_of_files_control_no_terminal(pets):
    (pets / "cats" / "\x1b[2J.png").touch()
    with pytest.raises(UsageError) as caught:
        load(a_folder(pets))
    assert "\x1b" not in str(caught.value)
    (pets / "\x1b[2J").mkdir()
    with pytest.raises(UsageError, match="cannot be shown"):
        load(a_folder(pets))


@pytest.mark.parametrize(
    "name",
    [
        "👩\u200d🔬",  # a scientist: joined emoji
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # a flag, of tags
        "\u0645\u06cc\u200c\u062e\u0648",  # Persian, with a non-joiner
        "a\u00a0b",
        "犬\u3000猫",
        "\U0001fae8",  # newer than some Pythons know
    ],
)
def test_a_class_may_have_any_name_that_can_be_shown(pets, name):
    picture(pets / name / "a.png")
    loaded = load(a_folder(pets))
    assert name in loaded.class_names
    (pets / name / "b.png").touch()
    with pytest.raises(UsageError, match=f"{name}/b.png"):
        load(a_folder(pets))


@pytest.mark.parametrize("name", ["a\nb", "a\x9bb", "a\u2028b", "a\u202eb", "a\u2066b", "\x7f"])
def test_a_name_that_controls_a_terminal_or_turns_its_text_is_refused(pets, name):
    (pets / name).mkdir()
    with pytest.raises(UsageError, match="cannot be shown"):
        load(a_folder(pets))


# What files are, whatever they are called


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
PSD = b"8BPS\0\1" + bytes(40)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def saved_as(path: Path, kind: str, **options) -> None:
    Image.new("L", (4, 4), 200).save(path, kind, **options)


def test_every_type_is_recognised_by_its_first_bytes(pets):
    cats = pets / "cats"
    for name, kind in (
        ("c.tif", "TIFF"), ("d.TIFF", "TIFF"), ("e.webp", "WEBP"), ("f.jfif", "JPEG"),
        ("g.jpe", "JPEG"), ("h.pgm", "PPM"), ("i.ppm", "PPM"), ("j", "PNG"), ("k.dat", "JPEG"),
        ("l.png", "TIFF"), ("m.JPG", "PNG"), ("n.tif", "WEBP"),
    ):  # fmt: skip
        saved_as(cats / name, kind)
    loaded = load(a_folder(pets))
    found = " ".join(Path(name).name for name in loaded.images.names[2:14])
    assert found == "c.tif d.TIFF e.webp f.jfif g.jpe h.pgm i.ppm j k.dat l.png m.JPG n.tif"
    assert loaded.skipped == ()
    # b.JPG of the fixture is a JPEG.
    assert loaded.notes == (
        f"3 files have another type than the name says, as {cats / 'l.png'} (TIFF)",
    )


def test_pictures_of_other_types_are_distinguished_from_other_files(pets):
    cats = pets / "cats"
    for name, content in (
        ("a.heic", HEIC), ("b.HEIC", HEIC), ("renamed.jpg", HEIC), ("c.psd", PSD), ("d.svg", SVG),
        ("e.dng", b"II*\0" + bytes(40)), ("f.tga", bytes(40)), ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
        ("desktop.ini", b"[.ShellClassInfo]"), (".hidden.heic", HEIC), ("notes.txt", b"BM, P6"),
        ("labels.csv", b"a,b"), ("empty", b""),
    ):  # fmt: skip
        (cats / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"7 of 12 image files in .* cannot be read: ") as caught:
        load(a_folder(pets))
    kinds = "3 HEIC, 1 PSD, 1 SVG, 1 camera raw, 1 TGA"
    assert f"onvert the types that archspec does not read ({kinds}) to PNG" in str(caught.value)
    loaded = load(a_folder(pets, on_error="skip"))
    assert len(loaded.labels) == 5
    assert loaded.notes == ("7 pictures left out: 3 HEIC, 1 PSD, 1 SVG, 1 camera raw, 1 TGA",)
    reasons = {Path(name).name: why for name, why in loaded.skipped}
    assert reasons["renamed.jpg"] == "HEIC, which archspec does not read"
    assert {name for name, why in reasons.items() if why == "not a picture"} == {
        "notes.txt", "labels.csv", "empty",
    }  # fmt: skip
    assert len(reasons) == 10


def test_of_several_pages_the_first_is_read_with_a_note(pets):
    pages = [Image.new("L", (4, 4), level) for level in (10, 20)]
    for name in ("c.tif", "d.gif"):
        pages[0].save(pets / "cats" / name, save_all=True, append_images=pages[1:])
    loaded = load(a_folder(pets))
    first = pets / "cats" / "c.tif"
    assert loaded.notes == (
        f"2 files have several pages or frames, of which the first is read, as {first}",
    )


def test_files_of_different_depths_have_one_white(pets):
    for name in ("c", "d"):
        deep = np.full((4, 4), 65535, np.uint16)
        Image.fromarray(deep).save(pets / "cats" / f"{name}.png")
    (pets / "dogs" / "d.pgm").write_bytes(b"P5 1 1 4095\n\x0f\xff")
    loaded = load(a_folder(pets))
    assert loaded.range == (0, 65535)
    assert loaded.notes == (
        "files of different depths: 5 of 8 bits, 2 of 16 bits, 1 of 12 bits; "
        "all are scaled so that white is 65,535",
    )


def test_floats_have_the_white_that_their_values_show(pets):
    floats = np.array([[0, 0.5]], np.float32)
    for path in sorted(pets.rglob("*.*")):
        path.unlink()
        Image.fromarray(floats).save(path, "TIFF")
    assert load(a_folder(pets)).range == (0, 1)
    Image.fromarray(floats * 6000 - 1000).save(pets / "cats" / "a.tif")
    loaded = load(a_folder(pets))
    assert loaded.range is None
    assert (loaded.values.dtype, loaded.values.minimum) == ("floats", -1000)
    assert loaded.values.maximum == 2000


@pytest.mark.parametrize(
    ("low", "high", "white"),
    [(0, 0.9, 1), (0, 240, None), (-1000, 1500, 0), (0, 100, 0)],
)
def test_floats_among_other_files_need_a_clear_white(pets, low, high, white):
    """White is 1, or (None) that of the other files; or (0) such a set is refused."""
    Image.fromarray(np.array([[low, high]], np.float32)).save(pets / "cats" / "a.tif")
    if white == 0:
        with pytest.raises(UsageError, match=r"has files of floats from .* or \[0, 255\]$"):
            load(a_folder(pets, on_error="skip"))
        return
    loaded = load(a_folder(pets))
    assert loaded.range == (0, 255)
    assert loaded.images.unstated == (white and (0, white))


def test_the_range_of_floats_is_asked_for_where_it_is_needed(pets):
    options = {"test": 0.0, "validation": 0.0, "range": (-1000, 3000)}
    with pytest.raises(RecipeError, match="state which values are black and white"):
        dataset.load(a_folder(pets, **options), GREY)
    for path in sorted(pets.rglob("*.*")):
        path.unlink()
        Image.fromarray(np.array([[-1000, 2000]], np.float32)).save(path, "TIFF")
    with pytest.raises(RecipeError, match=r"`normalize: unit` needs .* values from -1000 to 2000"):
        dataset.load(a_folder(pets, normalize="unit", test=0.0, validation=0.0), GREY)
    loaded = dataset.load(a_folder(pets, normalize="unit", **options), Shape((1, 2, 1)))
    pixels = loaded.train.pixels.read(loaded.train.indices)
    assert loaded.preprocessing(pixels)[0].ravel() == pytest.approx([0, 0.75])


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("", "two classes or more; there is none"),
        ("cats/a.png", "two classes or more; there is only `cats`"),
        ("cats/ dogs/", "there are no images in "),
        ("cats/ dogs/ a.png", "an image lies directly in .*, not in a class's directory: a.png"),
        ("cats/a.png dogs/", "no image to train on in the class `dogs`"),
        (
            "train/cats/a.png train/dogs/a.png val/cats/a.png val/wolves/a.png",
            "the class `dogs` is in .*train, but not in .*val, and 1 more differ",
        ),
        ("val/cats/a.png test/cats/a.png", "has test/, val/, but no train/"),
        ("train/cats/a.png val/cats/a.png models/old/a.png", "has `models` beside train/"),
        (
            "train/cats/a.png train/dogs/a.png unseen/cats/a.png unseen/dogs/a.png",
            "train/ and unseen/ in .* rename unseen/ to val or test",
        ),
        (
            "train/cats/a.png val/cats/a.png validation/cats/a.png",
            "has both val/ and validation/",
        ),
    ],
)
def test_a_folder_in_another_form_is_refused(tmp_path, tree, message):
    for name in tree.split():
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            picture(tmp_path / name)
    with pytest.raises(UsageError, match=message):
        load(a_folder(tmp_path))


def test_a_path_that_is_not_a_folder_is_refused(tmp_path):
    (tmp_path / "pet").mkdir()
    with pytest.raises(UsageError, match=r"there is no folder .*pets; did you mean `.*pet`\?"):
        load(a_folder(tmp_path / "pets"))
    (tmp_path / "pets").touch()
    with pytest.raises(UsageError, match=r"is not a folder; files of data end in \.npz, \.csv"):
        load(a_folder(tmp_path / "pets"))


def test_a_directory_that_may_not_be_read_is_named(pets, monkeypatch):
    def scandir(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError, match=r"cannot read the folder .*: Permission denied"):
        load(a_folder(pets))


def test_the_digest_is_of_names_and_contents_and_not_of_the_place(pets, tmp_path_factory):
    first = load(a_folder(pets)).digest
    moved = tmp_path_factory.mktemp("moved") / "pets"
    pets.rename(moved)
    assert load(a_folder(moved)).digest == first
    picture(moved / "cats" / "a.png", level=1)
    assert load(a_folder(moved)).digest != first


# arrays


@pytest.fixture
def archive(tmp_path):
    """A function that writes arrays to an .npz file or a folder of .npy files; returns its path."""

    def write(*, mapped: bool = False, **arrays) -> Path:
        if not mapped:
            np.savez(tmp_path / "data.npz", **arrays)
            return tmp_path / "data.npz"
        for name, values in arrays.items():
            np.save(tmp_path / f"{name}.npy", values)
        return tmp_path

    return write


def arrays(path: Path, **options) -> DataRecipe:
    return DataRecipe(source="arrays", path=str(path), **options)


IMAGES = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4, 1)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (("x", "y"), {}),
        (("images", "labels"), {}),
        (("pixels", "classes"), {"images": "pixels", "labels": "classes"}),
    ],
)
def test_arrays_go_by_their_names(archive, keys, options, mapped):
    path = archive(mapped=mapped, **dict(zip(keys, (IMAGES, LABELS), strict=True)))
    loaded = load(arrays(path, **options))
    assert np.array_equal(loaded.images, IMAGES)
    assert isinstance(loaded.images, np.memmap) is mapped
    assert loaded.labels.tolist() == LABELS.tolist()
    assert loaded.class_names == ("0", "1", "2")
    preview = SOURCES["arrays"].preview(arrays(path, **options), GREY)
    assert (preview.class_names, preview.shape) == (("0", "1", "2"), (4, 4, 1))


@pytest.mark.parametrize(
    ("labels", "numbers", "class_names"),
    [
        (LABELS[:, np.newaxis], LABELS, "012"),
        (LABELS.astype(float), LABELS, "012"),
        (np.eye(4)[LABELS], LABELS, "0123"),
        (np.eye(4, dtype=bool)[LABELS], LABELS, "0123"),
        (LABELS > 0, [0, 1, 1, 0, 1, 1], "01"),
        (np.array(list("baabab")), [1, 0, 0, 1, 0, 1], "ab"),
        (np.array([[each] for each in "baabab"], "S1"), [1, 0, 0, 1, 0, 1], "ab"),
        (np.array(["ä".encode(), b"b"] * 3), [1, 0] * 3, "bä"),
    ],
    ids=["column", "floats", "one-hot", "one-hot bools", "bools", "names", "bytes", "UTF-8"],
)
def test_labels_may_be_written_in_several_ways(archive, labels, numbers, class_names):
    loaded = load(arrays(archive(x=IMAGES, y=labels)))
    assert loaded.labels.tolist() == list(numbers)
    assert loaded.class_names == tuple(class_names)


def test_grey_images_need_no_axis_for_their_channel(archive):
    path = archive(x=IMAGES[..., 0], y=LABELS)
    assert load(arrays(path)).images.shape == (6, 4, 4, 1)
    # To a network on sequences, the same array is six of 4 steps and 4 channels.
    assert load(arrays(path), Shape((4, 4))).images.shape == (6, 4, 4)


def with_value(value: float) -> np.ndarray:
    images = IMAGES.astype(float)
    images[3, 0, 0, 0] = value
    return images


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:5], "has 6 images in `x`, but 5 labels in `y`"),
        (with_value(np.nan), LABELS, "image 3 has a value that is nan"),
        (with_value(-np.inf), LABELS, "image 3 has a value that is -inf"),
        (with_value(1e300), LABELS, "image 3 has a value that is inf"),
        (
            IMAGES,
            LABELS + 1,
            r"labels count from 0, but these are from 1 to 3; save them as "
            r"`y - 1`, or choose .* `classes: \[1, 2, 3\]`",
        ),
        (IMAGES, np.array([b"\xff", b"a"] * 3), "is not text in UTF-8"),
        (IMAGES, LABELS - 1, "the label of image 0 is -1, but must be a whole number from 0"),
        (IMAGES, LABELS / 2, "the label of image 1 is 0.5, .*; 2 are not"),
        (IMAGES, LABELS * 10**9, "the label of image 1 is 1000000000"),
        (IMAGES, np.full(6, np.nan), "the label of image 0 is nan"),
        (IMAGES, np.eye(3)[LABELS] / 2, "must be a row with a single 1 and otherwise 0; 6 are not"),
        (IMAGES, np.zeros((6, 2, 2)), "`y` in .* must be whole numbers from 0 or names"),
        (IMAGES, np.array(7), "`y` in .* is a single value"),
        (IMAGES, np.array([None] * 6), "`y` in .* holds Python objects"),
        (np.array([None] * 6), LABELS, "`x` in .* holds Python objects"),
        (IMAGES.astype(complex), LABELS, "must be numbers, not complex128"),
        (IMAGES[:0], LABELS[:0], "`y` in .* is empty"),
    ],
)
def test_the_mistake_in_wrong_arrays_is_named(archive, images, labels, message, mapped):
    with pytest.raises(UsageError, match=message):
        load(arrays(archive(mapped=mapped, x=images, y=labels)))


def test_a_single_value_is_refused_by_the_preview(archive):
    with pytest.raises(UsageError, match=r"`x` in .* is a single value"):
        SOURCES["arrays"].preview(arrays(archive(x=np.array(7), y=LABELS)), GREY)


def test_a_missing_array_is_named_with_what_there_is(archive):
    path = archive(picture=IMAGES, y=LABELS)
    with pytest.raises(UsageError, match=r"has no `x` or `images`.*it has: picture, y"):
        load(arrays(path))
    with pytest.raises(UsageError, match="no array `pictures`; did you mean `picture`"):
        load(arrays(path, images="pictures"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.npz", None, "there is no file"),
        ("data.npz", b"", "damaged, or not a NumPy file"),
        ("data.npz", b"PK nonsense", "damaged, or not a NumPy file"),
        ("data.csv", b"1,2", "neither an .npz file nor a folder of .npy files"),
        ("x.npy", b"\x93NUMPY\x01", "damaged, or not a NumPy file"),
        ("x.npy", b"", "damaged, or not a NumPy file"),
    ],
)
def test_a_broken_file_of_arrays_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    path = tmp_path / name
    if name == "x.npy":
        np.save(tmp_path / "y.npy", LABELS)
        path = tmp_path
    with pytest.raises(UsageError, match=message):
        load(arrays(path))


def test_an_array_without_labels_says_what_is_missing(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, IMAGES)
    with pytest.raises(UsageError, match=r"x\.npy is a single array, and labels are needed too"):
        load(arrays(path))


def test_an_archive_that_unpacks_to_more_than_memory_is_refused_unread(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1000, 1000, 1), }"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", content)
        labels = io.BytesIO()
        np.save(labels, LABELS)
        archive.writestr("y.npy", labels.getvalue())
    with pytest.raises(UsageError, match=r"takes 931,322\.6 GiB, .* save it as an \.npy file"):
        load(arrays(tmp_path / "data.npz"))


# Sets that Keras downloads


@pytest.fixture
def keras_datasets(monkeypatch):
    """A function that replaces keras.datasets.NAME by one with a given `load_data`."""

    def stand_in(name: str, load_data) -> None:
        module = ModuleType(f"keras.datasets.{name}")
        module.load_data = load_data
        monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
        monkeypatch.setitem(sys.modules, "keras.datasets", ModuleType("keras.datasets"))
        monkeypatch.setitem(sys.modules, f"keras.datasets.{name}", module)

    return stand_in


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "extent", "classes"),
    [
        ("mnist", (28, 28), 10),
        ("fashion_mnist", (28, 28), 10),
        ("cifar10", (32, 32, 3), 10),
        ("cifar100", (32, 32, 3), 100),
    ],
)
def test_published_sets_keep_their_own_test_images(keras_datasets, capsys, name, extent, classes):
    def load_data():
        sys.stdout.write("Downloading data")
        train, test = (np.zeros((count, *extent), np.uint8) for count in (7, 3))
        return (train, np.zeros((7, 1), np.uint8)), (test, np.ones((3, 1), np.uint8))

    keras_datasets(name, load_data)
    recipe = DataRecipe(source=name)
    loaded = load(recipe)
    preview = SOURCES[name].preview(recipe, GREY)
    assert loaded.parts.tolist() == [TRAIN] * 7 + [TEST] * 3
    assert loaded.labels.tolist() == [0] * 7 + [1] * 3
    assert loaded.images.shape == (10, *preview.shape)
    assert loaded.class_names == preview.class_names
    assert len(set(preview.class_names)) == classes
    assert capsys.readouterr().out == ""  # which is the command's


@pytest.mark.keras
def test_without_a_network_the_message_says_what_to_put_where(keras_datasets, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/home/me/.keras")

    def load_data():
        raise Exception("URL fetch failure on https://a.test/mnist.npz: None -- unreachable")  # noqa: TRY002

    keras_datasets("mnist", load_data)
    with pytest.raises(UsageError) as caught:
        load(DataRecipe(source="mnist"))
    message = str(caught.value)
    assert "https://a.test/mnist.npz" in message
    assert "put mnist.npz into /home/me/.keras/datasets, or let `data.path` name a" in message


def test_cifar100_has_its_names_in_the_order_of_its_labels():
    assert (CIFAR100[0], CIFAR100[23], CIFAR100[99]) == ("apple", "cloud", "worm")


# tfds


@pytest.fixture
def library(monkeypatch):
    """A replacement for TensorFlow Datasets, with one set of six 4x4 images."""
    content = io.BytesIO()
    Image.new("L", (4, 4), 9).save(content, "PNG")

    def examples(*labels):
        return [{"image": content.getvalue(), "label": label} for label in labels]

    splits = {"train": examples(0, 1, 0), "test": examples(1, 0), "unlabeled": examples(-1)}
    image = SimpleNamespace(shape=(None, None, 3), encoding_format="png")
    features = {"image": image, "label": SimpleNamespace(names=["cat", "dog"])}
    library = ModuleType("tensorflow_datasets")
    library.decode = SimpleNamespace(SkipDecoding=object)
    library.builder = lambda _: SimpleNamespace(info=SimpleNamespace(features=features))
    library.data_source = lambda *_, **__: splits
    library.features = features
    library.splits = splits
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", library)
    return library


def test_tfds_gives_encoded_images_by_number(library):
    recipe = DataRecipe(source="tfds", name="pets:1.0.0")
    preview = SOURCES["tfds"].preview(recipe, GREY)
    assert (preview.class_names, preview.shape) == (("cat", "dog"), None)
    loaded = load(recipe)
    assert loaded.labels.tolist() == [0, 1, 0, 1, 0]
    assert loaded.parts.tolist() == [TRAIN] * 3 + [TEST] * 2
    library.splits["test"][1]["image"] = b"the last"
    assert loaded.images.get(4) == b"the last"


def test_a_test_split_without_labels_is_left_out(library):
    library.splits["test"][0]["label"] = -1
    assert load(DataRecipe(source="tfds", name="pets")).parts is None


def test_tfds_says_what_is_wrong_with_a_name(library, monkeypatch):
    for name in ("../pets", "huggingface:pets", "pets;rm"):
        with pytest.raises(UsageError, match="is not a name of TensorFlow Datasets"):
            load(DataRecipe(source="tfds", name=name))
    del library.features["label"]
    with pytest.raises(UsageError, match="no such `label`"):
        load(DataRecipe(source="tfds", name="pets"))
    monkeypatch.setattr(library, "builder", lambda name: {}[name])
    with pytest.raises(UsageError, match="TensorFlow Datasets cannot give pets: 'pets'"):
        load(DataRecipe(source="tfds", name="pets"))


def test_tfds_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'keras-archspec\[tfds\]'"):
        SOURCES["tfds"].preview(DataRecipe(source="tfds", name="pets"), GREY)

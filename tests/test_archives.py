"""`webdataset`, `idx`, and MNIST and CIFAR as their authors publish them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archspec.data import dataset, idx, tarfiles
from archspec.data.names import TEST, TRAIN
from archspec.data.published import FASHION
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES, keys_of
from archspec.errors import UsageError
from archspec.ops.shape import Shape
from archspec.recipe.train import Recipe

GREY, COLOUR = Shape((4, 4, 1)), Shape((32, 32, 3))


def load(source: str, path: Path | str, **options):
    recipe = DataRecipe(source=source, path=str(path), **options)
    loaded = SOURCES[source].load(recipe, GREY)
    preview = SOURCES[source].preview(recipe, GREY)
    assert preview.class_names == loaded.class_names
    if preview.shape is not None:
        assert loaded.images.shape[1:] == preview.shape
    return loaded


def fails(source: str, path: Path | str, words: str, **options) -> None:
    with pytest.raises(UsageError) as caught:
        SOURCES[source].load(DataRecipe(source=source, path=str(path), **options), GREY)
    assert words in str(caught.value)


# webdataset


def png(level: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (4, 4), level).save(content, "PNG")
    return content.getvalue()


def levels(images) -> list[int]:
    contents = (images.get(i) for i in range(len(images.names)))
    return [Image.open(io.BytesIO(content)).getpixel((0, 0)) for content in contents]


def shard(path: Path, *members: tuple[str, bytes | str], mode: str = "w", **form) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, **form) as archive:
        for name, content in members:
            file = io.BytesIO(content.encode() if isinstance(content, str) else content)
            info = tarfile.TarInfo(name)
            info.size = file.getbuffer().nbytes
            archive.addfile(info, file)
    return path


def sample(number: int, label: str, kind: str = "cls") -> list[tuple[str, bytes | str]]:
    return [(f"{number:04}.png", png(number)), (f"{number:04}.{kind}", label)]


def samples(*labels: str, start: int = 0, kind: str = "cls"):
    return [member for i, label in enumerate(labels, start) for member in sample(i, label, kind)]


def test_shards_are_read_in_order_and_their_names_are_parts(tmp_path):
    shard(tmp_path / "set-train-001.tar", *samples("1", start=2))
    shard(tmp_path / "set-train-000.tar", *samples("0", "1"))
    shard(tmp_path / "set-test-000.tar", *samples("0", start=3))
    loaded = load("webdataset", tmp_path)
    assert loaded.class_names == ("0", "1")
    assert levels(loaded.images) == [3, 0, 1, 2]
    assert loaded.parts.tolist() == [TEST, TRAIN, TRAIN, TRAIN]
    assert keys_of(str(tmp_path)) == {"source": "webdataset", "path": str(tmp_path)}
    braces = str(tmp_path / "set-train-{000..001}.tar")
    assert keys_of(braces)["source"] == "webdataset"
    assert levels(load("webdataset", braces).images) == [0, 1, 2]
    fails("webdataset", tmp_path / "set-train-{000..002}.tar", "there is no file")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_every_way_to_write_a_tar_gives_the_same_images(tmp_path, form, mode):
    long = "a" * 90 + "/" + "b" * 60 + ("" if form == tarfile.USTAR_FORMAT else "é" * 90)
    members = [(f"{long}.png", png(7)), (f"{long}.cls", "cat"), *samples("dog")]
    path = shard(tmp_path / "a.tar.gz", *members, mode=mode, format=form)
    loaded = load("webdataset", path)
    assert levels(loaded.images) == [7, 0]
    assert loaded.class_names == ("cat", "dog")
    assert ["unpacked to" in note for note in loaded.notes] == [True] * (mode == "w:gz")


def test_samples_give_the_pixels_that_a_folder_of_the_same_files_gives(tmp_path):
    members = []
    for number in range(4):
        name = "ab"[number % 2]
        path = tmp_path / "folder" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(9 * number))
        members += [(f"{number}.png", path.read_bytes()), (f"{number}.cls", name)]
    archive = shard(tmp_path / "a.tar", *members)
    every = {"validation": 0, "test": 0}
    by_level = []
    for source, path in (("folder", tmp_path / "folder"), ("webdataset", archive)):
        data = dataset.load(DataRecipe(source=source, path=str(path), **every), GREY)
        pixels = data.train.pixels.read(np.arange(4))
        order = pixels.max(axis=(1, 2, 3)).argsort()
        by_level.append((pixels[order], data.train.labels[order]))
    for here, there in zip(*by_level, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize(
    ("kind", "written", "options"),
    [
        ("cls", ("3", "12"), {}),
        ("txt", ("3", "12\n"), {}),
        ("json", ('{"label": 3, "caption": "x"}', '{"label": 12}'), {}),
        ("json", ('{"a": 3, "b": 3}', '{"a": 12}'), {"labels": "a"}),
        ("kind", ("3", "12"), {"labels": "kind"}),
    ],
)
def test_a_label_is_a_number_a_text_or_in_json(tmp_path, kind, written, options):
    path = shard(tmp_path / "a.tar", *samples(*written, kind=kind))
    assert load("webdataset", path, **options).class_names == ("3", "12")


def test_of_several_pictures_in_a_sample_one_is_named(tmp_path):
    members = [("1.left.png", png(1)), ("1.right.png", png(2)), ("1.cls", "a"), *samples("b")]
    members[-2] = ("0000.right.png", members[-2][1])
    path = shard(tmp_path / "a.tar", *members)
    fails("webdataset", path, "several pictures: `left.png`, `right.png`; name one")
    assert levels(load("webdataset", path, images="right.png").images) == [2, 0]


def test_members_of_a_sample_that_are_apart_are_named(tmp_path):
    one, two = sample(1, "a"), sample(2, "b")
    path = shard(tmp_path / "a.tar", one[0], *two, one[1])
    words = "`0002.cls` is between `0001.png` and `0001.cls`; write the archive with `tar --sort"
    fails("webdataset", path, words)
    fails("webdataset", shard(path, *one, one[0]), "two members `0001.png`")


def test_samples_without_label_or_picture_are_named_or_skipped(tmp_path):
    members = [*samples("a", "b"), ("5.png", png(5)), ("6.cls", "a"), ("README", "x")]
    path = shard(tmp_path / "a.tar", *members, ("._0001.png", b"x"))
    fails("webdataset", path, "a.tar: 5 (no label)")
    fails("webdataset", path, "a.tar: 6 (no picture)")
    assert len(load("webdataset", path, on_error="skip").labels) == 2
    fails("webdataset", shard(path, ("1.png", png(1)), ("1.kind", "a")), "has `png`, `kind`; name")
    fails("webdataset", shard(path, ("README", "x")), "there is no sample in")


def linked(path: Path, kind: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("1.png")
        info.type, info.linkname = kind, "/etc/hostname"
        archive.addfile(info)
    return path


def test_an_archive_is_read_only_as_far_as_it_holds_plain_files(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
        fails("webdataset", linked(tmp_path / "a.tar", kind), "not a regular file, but a link")


def test_a_damaged_archive_is_named(tmp_path, monkeypatch):
    path = shard(tmp_path / "a.tar", *samples("a", "b"))
    whole = path.read_bytes()
    huge = bytearray(whole[:512])
    huge[124:136] = b"77777777777\0"
    huge[148:156] = b"%06o\0 " % (sum(huge[:148]) + 8 * 32 + sum(huge[156:512]))
    for content, words in (
        (b"", "is damaged: it is cut off"),
        (b"no archive" * 100, "is not a tar archive"),
        (whole[:550], "is cut off in `0000.png`"),
        (whole[:700], "is damaged: it is cut off"),
        (whole[: -tarfile.RECORDSIZE + 2048], "is damaged: it is cut off"),
        (bytes(huge) + whole[512:], "is cut off in `0000.png`"),
        (whole[:1024] + b"x" * 512 + whole[1536:], "is damaged at byte 1,024"),
        (gzip.compress(whole)[:-60], "a.tar"),
        (b"BZh91AY&SY", "is compressed by bzip2: unpack it"),
    ):
        path.write_bytes(content)
        fails("webdataset", path, words)
    path.write_bytes(gzip.compress(whole))
    monkeypatch.setattr(tarfiles, "LEAST_EXPANDED", 0)
    monkeypatch.setattr(tarfiles, "MOST_EXPANSION", 2)
    fails("webdataset", path, "is damaged: it")


def test_a_shard_that_becomes_shorter_is_named(tmp_path):
    path = shard(tmp_path / "a.tar", *samples("a", "b"))
    data = dataset.load(
        DataRecipe(source="webdataset", path=str(path), validation=0, test=0, cache=False), GREY
    )
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"0001\.png` cannot be read: .* has become shorter"):
        data.train.pixels.read(np.arange(2))


# IDX


def packed(array: np.ndarray, code: int = 8) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(idx.TYPES[code]).tobytes()


IMAGES = np.arange(6 * 28 * 28, dtype=np.uint8).reshape(6, 28, 28)
LABELS = np.array([3, 1, 4, 1, 5, 9])


def published(root: Path, dot: str = "-", *, zipped: bool = False) -> Path:
    root.mkdir(exist_ok=True)
    for name, part in (("train", slice(4)), ("t10k", slice(4, 6))):
        for what, array in ((f"images{dot}idx3", IMAGES), (f"labels{dot}idx1", LABELS)):
            content = packed(array[part])
            path = root / f"{name}-{what}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return root


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_from_the_files_of_its_authors(tmp_path, dot, zipped):
    path = published(tmp_path / "set", dot, zipped=zipped)
    for source in ("mnist", "fashion_mnist"):
        loaded = load(source, path)
        np.testing.assert_array_equal(loaded.images[..., 0], IMAGES)
        assert loaded.labels.tolist() == LABELS.tolist()
        assert loaded.parts.tolist() == [TRAIN] * 4 + [TEST] * 2
    assert loaded.class_names == FASHION
    own = load("idx", path)
    assert own.class_names == ("1", "3", "4", "5", "9")
    assert own.labels.tolist() == [1, 0, 2, 0, 3, 4]
    assert keys_of(str(path)) == {"source": "idx", "path": str(path)}


def test_the_unpacked_of_two_equal_files_is_read(tmp_path):
    published(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"left over")
    assert len(load("mnist", tmp_path).labels) == 6


def test_mnist_is_read_from_the_file_of_keras(tmp_path):
    arrays = {"x_train": IMAGES[:4], "y_train": LABELS[:4]}
    np.savez(tmp_path / "mnist.npz", x_test=IMAGES[4:], y_test=LABELS[4:], **arrays)
    for path in (tmp_path, tmp_path / "mnist.npz"):
        loaded = load("mnist", path)
        np.testing.assert_array_equal(loaded.images[..., 0], IMAGES)
        assert loaded.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-images-idx3-ubyte", packed(IMAGES[:4])[:-1], "fewer values than its header says"),
        ("train-images-idx3-ubyte", packed(IMAGES[:4]) + b"x", "more values than its header says"),
        ("train-images-idx3-ubyte", packed(IMAGES[:4])[:9], "is cut off"),
        ("train-images-idx3-ubyte", b"<!DOCTYPE", "is not an IDX file: it begins with 3c 21 44 4f"),
        ("train-images-idx3-ubyte", packed(IMAGES[:4], 13), "does not hold images: 3 axes of >f4"),
        ("train-images-idx3-ubyte", packed(IMAGES[:4, :8]), "has images of 8x28x1, but"),
        ("train-images-idx3-ubyte", packed(IMAGES[:3]), "has 3 images with 4 labels"),
        ("train-labels-idx1-ubyte", packed(LABELS[:4] + 8), "write `source: idx` for another set"),
        ("train-labels-idx1-ubyte", b"\x1f\x8bno gzip", "is damaged"),
        ("emnist-train-images-idx3-ubyte", b"", "no emnist-train-labels-idx1-ubyte(.gz)"),
    ],
)
def test_a_wrong_idx_file_is_named(tmp_path, name, content, words):
    published(tmp_path)
    (tmp_path / name).write_bytes(content)
    fails("mnist", tmp_path, words)


def test_a_header_that_claims_more_than_fits_into_memory_is_refused(tmp_path):
    published(tmp_path)
    header = struct.pack(">HBB3I", 0, 8, 3, 2**31, 28, 28)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header)
    fails("mnist", tmp_path, "GiB of memory are free")


def test_two_sets_in_a_folder_are_refused(tmp_path):
    published(tmp_path)
    for what, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        (tmp_path / f"emnist-train-{what}-ubyte").write_bytes(packed(array))
    fails("idx", tmp_path, "holds several sets")
    fails("idx", tmp_path / "nowhere", "is not a folder of files such as train-images-idx3-ubyte")
    (tmp_path / "empty").mkdir()
    fails("mnist", tmp_path / "empty", "has no images in IDX files")


# CIFAR

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


def cifar(name: str) -> dict[str, bytes]:
    """The files of the binary version, with one image in each."""
    files = {f"data_batch_{i}.bin": i - 1 for i in range(1, 6)} | {"test_batch.bin": 5}
    if name == "cifar100":
        files = {"train.bin": 0, "test.bin": 5}
    coarse = b"\x13" if name == "cifar100" else b""
    return {
        file: coarse + bytes([i]) + PICTURES[i].transpose(2, 0, 1).tobytes()
        for file, i in files.items()
    }


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("way", ["files", "folder", "archive", "archive itself"])
def test_cifar_is_read_from_its_binary_version(tmp_path, name, way):
    there = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}[name]
    archive = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}[name]
    path = tmp_path
    if way.startswith("archive"):
        members = [(f"{there}/{file}", content) for file, content in cifar(name).items()]
        members.append((f"{there}/readme.html", "x"))
        path = shard(tmp_path / archive, *members[::-1], mode="w:gz")
        path = path if way.endswith("itself") else tmp_path
    else:
        folder = tmp_path if way == "files" else tmp_path / there
        folder.mkdir(exist_ok=True)
        for file, content in cifar(name).items():
            (folder / file).write_bytes(content)
    loaded = load(name, path)
    expected = [0, 1, 2, 3, 4, 5] if name == "cifar10" else [0, 5]
    np.testing.assert_array_equal(loaded.images, PICTURES[expected])
    assert loaded.labels.tolist() == expected
    assert loaded.parts.tolist() == [TRAIN] * (len(expected) - 1) + [TEST]
    if way.startswith("archive"):
        assert keys_of(str(path)) == {"source": name, "path": str(path)}


def test_cifar_in_pickles_is_not_read(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04")
    fails("cifar10", tmp_path, "Take the binary version, cifar-10-binary.tar.gz")
    archive = shard(tmp_path / "a.tar.gz", ("cifar-100-python/train", b"\x80"), mode="w:gz")
    fails("cifar100", archive, "holds pickles, which archspec does not read")


def test_wrong_files_of_cifar_are_named(tmp_path):
    fails("cifar10", tmp_path, "has neither cifar-10-binary.tar.gz nor its data_batch_1.bin")
    fails("cifar10", tmp_path / "x", "there is no folder or file")
    for file, content in cifar("cifar10").items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "data_batch_3.bin").unlink()
    fails("cifar10", tmp_path, "has no data_batch_3.bin")
    (tmp_path / "data_batch_3.bin").write_bytes(b"1234")
    fails("cifar10", tmp_path, "data_batch_3.bin in")
    (tmp_path / "data_batch_3.bin").write_bytes(b"\x0a" * 3073)
    fails("cifar10", tmp_path, "has the label 10, but cifar10 has 10")


# Recipes


def test_a_source_with_a_name_takes_a_path_and_others_what_they_have():
    assert DataRecipe(source="mnist").path is None
    for source, option in (("digits", "path"), ("folder", "split"), ("idx", "labels")):
        path = {} if source == "digits" else {"path": "x"}
        with pytest.raises(ValueError, match=f"`{source}` takes no `{option}`; it is for "):
            DataRecipe(source=source, **path, **{option: "x"})
    with pytest.raises(ValueError, match="`webdataset` needs `path`"):
        DataRecipe(source="webdataset")


def test_a_path_is_given_beside_a_source_and_ends_with_it():
    section = {"data": {"source": "table", "path": "a.csv", "images": "a", "split": "b"}}
    given = Recipe.resolve(section, {"data": "mnist", "data.path": "DIR"}).data
    assert (given.source, given.path, given.images, given.split) == ("mnist", "DIR", None, None)
    assert Recipe.resolve(section, {"data": "b.csv", "data.labels": "c"}).data.labels == "c"


def test_json_may_hold_anything_but_a_label(tmp_path):
    for text, words in (
        ("[1]", "no sample in"),
        ("{", "0000.json is not valid JSON"),
        ("[" * 100_000, "0000.json is not valid JSON"),
        (json.dumps({"label": [1]}), "`label` is not a single label"),
        (json.dumps({"label": None}), "no sample in"),
        (json.dumps({"label": 1, "class": 2}), "each of the columns `label`, `class` may be"),
    ):
        path = shard(tmp_path / "a.tar", *samples(text, kind="json"))
        fails("webdataset", path, words)

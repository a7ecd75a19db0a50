"""`idx`: images and labels as MNIST's authors wrote them, perhaps gzipped; and Keras's mnist.npz.

A file is two zeros, a type, the number of axes, their extents (all big-endian), and the values
(Y. LeCun, "The MNIST database"). Images and labels belong together by their names, as
train-images-idx3-ubyte and train-labels-idx1-ubyte.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, cast

from archspec.data import arrays
from archspec.data.examples import LabelledImages, Preview
from archspec.data.fileaccess import check_memory, reading
from archspec.data.names import PARTS, TEST, TRAIN, in_order
from archspec.errors import UsageError
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.recipe import DataRecipe

TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""NumPy's names of the types of values, by their codes."""

MOST_AXES: Final = 8

_IMAGES: Final = re.compile(r"(.*)images([-.])idx(\d)-ubyte(\.gz)?", re.IGNORECASE)


class Pair(NamedTuple):
    """Files of images and of their labels, for one part of the data."""

    images: Path
    labels: Path
    part: int


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return the classes and the shape of an image."""
    return preview_files(Path(recipe.path or ""), None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """Return all images and labels."""
    return load_files(Path(recipe.path or ""), None, "idx")


def preview_files(path: Path, class_names: tuple[str, ...] | None, name: str = "idx") -> Preview:
    """Return the classes, by default those that occur, and the shape of an image."""
    if class_names is not None and (file := _npz(path, name)):
        return Preview(class_names, Shape((*arrays.read(file, "x_test").shape[1:], 1)))
    pairs = pairs_in(path)
    names = class_names or _occurring([read_values(pair.labels) for pair in pairs], path)
    return Preview(names, _image_shape(pairs))


def load_files(path: Path, class_names: tuple[str, ...] | None, name: str) -> LabelledImages:
    """Return the images and labels in a folder. Raises `UsageError`."""
    if class_names is not None and (file := _npz(path, name)):
        parts = [TRAIN, TEST]
        images = [arrays.read(file, key)[..., np.newaxis] for key in ("x_train", "x_test")]
        labels = [arrays.read(file, key) for key in ("y_train", "y_test")]
    else:
        pairs = pairs_in(path)
        shape = _image_shape(pairs)
        parts = [pair.part for pair in pairs]
        images = [read_values(pair.images).reshape(-1, *shape) for pair in pairs]
        labels = [read_values(pair.labels) for pair in pairs]
    for its_images, its_labels in zip(images, labels, strict=True):
        if len(its_images) != len(its_labels):
            raise UsageError(
                f"{path} has {len(its_images):,} images with {len(its_labels):,} labels"
            )
    numbers = np.concatenate(labels).astype(np.int64)
    if class_names is None:
        class_names = _occurring(labels, path)
        numbers = np.searchsorted(np.array(class_names, np.int64), numbers)
    elif numbers.min() < 0 or numbers.max() >= len(class_names):
        raise UsageError(
            f"{path} has labels from {numbers.min()} to {numbers.max()}, but {name} has "
            f"{len(class_names)} classes, from 0: write `source: idx` for another set"
        )
    counts = list(map(len, images))
    return LabelledImages(
        name=f"{name} {path}",
        class_names=class_names,
        labels=numbers.astype(np.int32),
        images=np.concatenate(images),
        parts=np.repeat(np.array(parts, np.int8), counts) if len(set(parts)) > 1 else None,
    )


def _occurring(labels: Sequence[NDArray[Any]], path: Path) -> tuple[str, ...]:
    return in_order({str(number) for number in np.unique(np.concatenate(labels))}, str(path))


def _npz(path: Path, name: str) -> Path | None:
    """Return the file in which Keras keeps a set, such as mnist.npz."""
    file = path / f"{name}.npz" if path.is_dir() else path
    return file if file.suffix == ".npz" and file.is_file() else None


def pairs_in(path: Path) -> list[Pair]:
    """Return the files of images in a folder, each with its labels."""
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder of files such as train-images-idx3-ubyte")
    with reading(f"the folder {path}"):
        names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    pairs: dict[str, Pair] = {}
    for name in names:
        match = _IMAGES.fullmatch(name)
        if match is None or match[1] in pairs:  # unpacked already, beside its .gz
            continue
        stem = f"{match[1]}labels{match[2]}idx1-ubyte"
        labels = next((each for each in names if each.lower() in {stem, f"{stem}.gz"}), None)
        if labels is None:
            raise UsageError(f"{path} has {name}, but no {stem}(.gz)")
        pairs[match[1]] = Pair(path / name, path / labels, _part(path, match[1]))
    if not pairs:
        raise UsageError(
            f"{path} has no images in IDX files: train-images-idx3-ubyte, t10k-images-idx3-ubyte "
            "and their labels, unpacked or as .gz"
        )
    taken: dict[int, str] = {}
    for prefix, pair in pairs.items():
        if pair.part in taken:
            raise UsageError(
                f"{path} holds several sets, {taken[pair.part]}images and {prefix}images: "
                "put the files of one into a folder of their own"
            )
        taken[pair.part] = prefix
    return sorted(pairs.values(), key=lambda pair: pair.part)


def _part(path: Path, prefix: str) -> int:
    words = re.split(r"[^a-z0-9]+", prefix.lower())
    parts = {TEST if word == "t10k" else PARTS.get(word) for word in words} - {None}
    if len(parts) > 1:
        raise UsageError(
            f"{path}: the name {prefix}images contains several of train, validation and test: "
            "rename it"
        )
    return cast("int", parts.pop()) if parts else TRAIN


def _image_shape(pairs: Sequence[Pair]) -> Shape:
    """Return the shape of an image, with its channel."""
    files = {}
    for pair in pairs:
        with _opened(pair.images) as file:
            dtype, (_, *extent) = _header(file, pair.images)
        if dtype != "u1" or len(extent) not in {2, 3}:
            raise UsageError(
                f"{pair.images} does not hold images: {len(extent) + 1} axes of {dtype}; "
                "expected are unsigned bytes of (images, height, width)"
            )
        files[Shape(extent if len(extent) == 3 else (*extent, 1))] = pair.images
    if len(files) > 1:
        one, other = list(files.items())[:2]
        raise UsageError(f"{one[1]} has images of {one[0]}, but {other[1]} of {other[0]}")
    return next(iter(files))


def read_values(path: Path) -> NDArray[Any]:
    """Return all values of a file."""
    with _opened(path) as file:
        dtype, extents = _header(file, path)
        size = np.dtype(dtype).itemsize * math.prod(extents)
        check_memory(str(path), size)
        content = file.read(size)
        if len(content) < size or file.read(1):
            than = "fewer" if len(content) < size else "more"
            raise UsageError(f"{path} has {than} values than its header says: {extents}")
    return np.frombuffer(content, dtype).reshape(extents)


def _header(file: IO[bytes], path: Path) -> tuple[str, tuple[int, ...]]:
    """Return the type of the values, and the extent of each axis."""
    magic = file.read(4)
    dtype = TYPES.get(magic[2]) if len(magic) == 4 and magic[:2] == b"\0\0" else None
    if dtype is None or not 1 <= magic[3] <= MOST_AXES:
        raise UsageError(f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}")
    packed = file.read(4 * magic[3])
    if len(packed) < 4 * magic[3]:
        raise UsageError(f"{path} is cut off")
    return dtype, struct.unpack(f">{magic[3]}I", packed)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Give a file's content, unpacked if it is gzipped; errors name the file."""
    with reading(path, EOFError, zlib.error), path.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_packed else raw

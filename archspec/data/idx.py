"""`idx`: images and labels as MNIST's authors wrote them, also by gzip; and Keras's mnist.npz.

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

from archspec.data import arrayfiles
from archspec.data.classes import in_order
from archspec.data.examples import PARTS, TEST, TRAIN, LabelledImages, Preview
from archspec.data.pixels import free_memory
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archspec.data.recipe import DataRecipe

TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""NumPy's names of the types of values, by their codes."""

MOST_AXES: Final = 8

_IMAGES: Final = re.compile(r"(.*)images([-.])idx(\d)-ubyte(\.gz)?", re.IGNORECASE)


class _Pair(NamedTuple):
    images: Path
    labels: Path
    part: int


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """The classes, and the extent of an image."""
    return preview_of(Path(recipe.path or ""), None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """All images and labels."""
    return loaded(Path(recipe.path or ""), None, "idx")


def preview_of(path: Path, class_names: tuple[str, ...] | None, name: str = "idx") -> Preview:
    """The classes, those that occur unless they are known, and the extent of an image."""
    if class_names is not None and (arrays := _npz(path, name)):
        return Preview(class_names, Shape((*arrayfiles.read(arrays, "x_test").shape[1:], 1)))
    pairs = _pairs(path)
    names = class_names or _occurring([_read(pair.labels) for pair in pairs], path)
    return Preview(names, _extent(pairs))


def loaded(path: Path, class_names: tuple[str, ...] | None, name: str) -> LabelledImages:
    """The images and labels in a folder. Raises `UsageError`."""
    import numpy as np  # noqa: PLC0415

    if class_names is not None and (arrays := _npz(path, name)):
        parts = [TRAIN, TEST]
        images = [arrayfiles.read(arrays, key)[..., np.newaxis] for key in ("x_train", "x_test")]
        labels = [arrayfiles.read(arrays, key) for key in ("y_train", "y_test")]
    else:
        pairs = _pairs(path)
        extent = _extent(pairs)
        parts = [pair.part for pair in pairs]
        images = [_read(pair.images).reshape(-1, *extent) for pair in pairs]
        labels = [_read(pair.labels) for pair in pairs]
    for some, of_some in zip(images, labels, strict=True):
        if len(some) != len(of_some):
            raise UsageError(f"{path} has {len(some):,} images with {len(of_some):,} labels")
    numbers = np.concatenate(labels).astype(np.int64)
    if class_names is None:
        class_names = _occurring(labels, path)
        numbers = np.searchsorted(np.array(class_names, np.int64), numbers)
    elif numbers.min() < 0 or numbers.max() >= len(class_names):
        raise UsageError(
            f"{path} has labels from {numbers.min()} to {numbers.max()}, but {name} has "
            f"{len(class_names)} classes, from 0: say `source: idx` for another set"
        )
    return LabelledImages(
        name=f"{name} {path}",
        class_names=class_names,
        labels=numbers.astype(np.int32),
        images=np.concatenate(images),
        parts=_parts(parts, images),
    )


def _parts(parts: Sequence[int], images: Sequence[NDArray[Any]]) -> NDArray[np.int8] | None:
    import numpy as np  # noqa: PLC0415

    if len(set(parts)) == 1:
        return None
    counts = [len(some) for some in images]
    return np.repeat(np.array(parts, np.int8), counts)


def _occurring(labels: Sequence[NDArray[Any]], path: Path) -> tuple[str, ...]:
    import numpy as np  # noqa: PLC0415

    return in_order({str(number) for number in np.unique(np.concatenate(labels))}, str(path))


def _npz(path: Path, name: str) -> Path | None:
    """Keras's own file, as mnist.npz."""
    arrays = path / f"{name}.npz" if path.is_dir() else path
    return arrays if arrays.suffix == ".npz" and arrays.is_file() else None


def _pairs(path: Path) -> list[_Pair]:
    """The files of images in a folder, each with its labels."""
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder of files such as train-images-idx3-ubyte")
    try:
        names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise UsageError(f"cannot read the folder {path}: {error.strerror}") from None
    pairs: dict[str, _Pair] = {}
    for name in names:
        match = _IMAGES.fullmatch(name)
        if match is None or match[1] in pairs:  # unpacked already, beside its .gz
            continue
        stem = f"{match[1]}labels{match[2]}idx1-ubyte"
        labels = next((each for each in names if each.lower() in {stem, f"{stem}.gz"}), None)
        if labels is None:
            raise UsageError(f"{path} has {name}, but no {stem}(.gz)")
        pairs[match[1]] = _Pair(path / name, path / labels, _part(path, match[1]))
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
        raise UsageError(f"{path}: is {prefix}images to train or to test on? Rename it")
    return cast("int", parts.pop()) if parts else TRAIN


def _extent(pairs: Sequence[_Pair]) -> Shape:
    """Of one image, with its channel."""
    extents = {}
    for pair in pairs:
        with _opened(pair.images) as file:
            dtype, (_, *extent) = _header(file, pair.images)
        if dtype != "u1" or len(extent) not in {2, 3}:
            raise UsageError(
                f"{pair.images} does not hold images: {len(extent) + 1} axes of {dtype}; "
                "expected are unsigned bytes of (images, height, width)"
            )
        extents[Shape(extent if len(extent) == 3 else (*extent, 1))] = pair.images
    if len(extents) > 1:
        one, other = list(extents.items())[:2]
        raise UsageError(f"{one[1]} has images of {one[0]}, but {other[1]} of {other[0]}")
    return next(iter(extents))


def _read(path: Path) -> NDArray[Any]:
    """All values of a file."""
    import numpy as np  # noqa: PLC0415

    with _opened(path) as file:
        dtype, extents = _header(file, path)
        size = np.dtype(dtype).itemsize * math.prod(extents)
        if size > (free := free_memory()):
            raise UsageError(
                f"{path} takes {size / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB are free"
            )
        content = file.read(size)
        if len(content) < size or file.read(1):
            than = "fewer" if len(content) < size else "more"
            raise UsageError(f"{path} has {than} values than its header says: {extents}")
    return np.frombuffer(content, dtype).reshape(extents)


def _header(file: IO[bytes], path: Path) -> tuple[str, tuple[int, ...]]:
    """The type of the values, and the extent of each axis."""
    magic = file.read(4)
    dtype = TYPES.get(magic[2]) if len(magic) == 4 and magic[:2] == b"\0\0" else None
    if dtype is None or not 1 <= magic[3] <= MOST_AXES:
        raise UsageError(f"{path} is no IDX file: it begins with {magic.hex(' ') or 'nothing'}")
    packed = file.read(4 * magic[3])
    if len(packed) < 4 * magic[3]:
        raise UsageError(f"{path} is cut off")
    return dtype, struct.unpack(f">{magic[3]}I", packed)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file as it is unpacked; what its readers raise becomes an error that says which it is."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from None

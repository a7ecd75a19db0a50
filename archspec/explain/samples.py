"""Images to explain: files, arrays, or images of the run's own data, as raw pixels.

Pixels are read when they are needed, as float32 on the scale of the training images. Arrays with
another value of white are converted to that scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec import arguments
from archspec.data import newimages
from archspec.data.values import Range
from archspec.errors import UsageError, suggestion
from archspec.evaluation import heldout
from archspec.explain.subject import Subject
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ImagesLike: TypeAlias = (
    "str | PathLike[str] | Sequence[str | PathLike[str]] | NDArray[Any] | Samples | None"
)
"""Files, folders, .npy and .npz arrays; images of the data, as `test:0-9`; an array; None."""

SHOWN: Final = 8
"""Number of images of the test part that are shown where none are named."""

AT_ONCE: Final = 256
"""Number of images that are read at a time."""

_STRETCH: Final = r"\d{1,9}(?:-\d{1,9})?"
_NUMBERED: Final = re.compile(
    rf"({'|'.join((*heldout.PARTS, heldout.ALL))})(?::({_STRETCH}(?:,{_STRETCH})*))?"
)


@dataclass(frozen=True, eq=False)
class Samples:
    """Images, by number, read when they are needed."""

    names: tuple[str, ...]
    """Names as the user writes them: a file, `digits.npy[3]`, `test:3`."""
    read: Callable[[NDArray[np.intp]], NDArray[np.float32]]
    """Function of numbers of images that returns (n, *shape) raw pixels on the training scale."""
    stored: Callable[[NDArray[np.intp]], NDArray[Any]]
    """Function of numbers that returns the pixels as stored, with black and white at `limits`."""
    limits: Range | None
    labels: NDArray[np.intp] | None = None
    """Classes of the images, where they are known."""
    where: str = ""
    """Description of the images, for example `test part of digits`."""
    part: str | None = None
    """Part of the data, such as `test`; None for files and arrays."""
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """Images that cannot be read, and why."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def pixels(self) -> NDArray[np.float32]:
        """All pixels, (n, *shape)."""
        return self.read(np.arange(len(self)))

    def batches(
        self, size: int = AT_ONCE
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield numbers of images and their pixels, `size` of them at a time."""
        for start in range(0, len(self), size):
            numbers = np.arange(start, min(start + size, len(self)))
            yield numbers, self.read(numbers)

    def only(self, numbers: Any) -> Samples:
        """Return only the images of these numbers."""
        chosen = np.asarray(numbers, np.intp)
        return replace(
            self,
            names=tuple(self.names[number] for number in chosen),
            read=lambda some: self.read(chosen[some]),
            stored=lambda some: self.stored(chosen[some]),
            labels=None if self.labels is None else self.labels[chosen],
        )


def drawn(count: int, most: int, seed: int) -> NDArray[np.intp]:
    """Return the numbers of all images, or of `most` of them, drawn by the seed, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def joined(first: Samples, then: Samples) -> Samples:
    """Return the images of both, in order, without labels."""

    def read(numbers: NDArray[np.intp]) -> Any:
        is_first = numbers < len(first)
        parts = first.read(numbers[is_first]), then.read(numbers[~is_first] - len(first))
        result = np.concatenate([part for part in parts if len(part)])
        return result[np.argsort(np.argsort(~is_first, kind="stable"))]

    names = (*first.names, *then.names)
    return replace(first, names=names, read=read, stored=read, labels=None)


def load_samples(
    subject: Subject,
    images: ImagesLike,
    *,
    data: str | PathLike[str] | None = None,
    white: float | None = None,
    most: int | None = SHOWN,
) -> Samples:
    """Find the images to explain, without decoding those of the data yet.

    They are files, folders, arrays; or images of the data, as `test`, `test:3`, `train:0-9`; None
    for the test part. `data` takes the place of the training data. Of a part whose images are not
    numbered, `most` are taken, or for None all. Raises `UsageError` if there are no such images, or
    none can be read.
    """
    if isinstance(images, Samples):
        return images
    if images is None:
        images = "test" if data is None else "all"
    if isinstance(images, (str, PathLike)):
        images = [images]
    images = _as_array(images)
    if not isinstance(images, Sized) or isinstance(images, Mapping):
        raise arguments.wrong("images", images, "a path, a list of paths, or an array")
    if len(images) == 0:
        raise UsageError("there is no image: name files, folders, arrays, or images such as test:3")
    given = [_path(each) for each in images] if isinstance(images, (list, tuple)) else []
    parts = [match for each in given if (match := _NUMBERED.fullmatch(each))]
    for each in given:
        _check_numbers(each)
    if not parts:
        if data is not None:
            raise UsageError("`data=` is for images of a part, such as test:3, not for files")
        return _given(subject, images, white)
    if len(parts) < len(given):
        raise UsageError("name either files, or images of the data such as test:3, not both")
    return _of_data(subject, [(match[1], match[2]) for match in parts], data, white, most)


def _as_array(images: ImagesLike) -> Any:
    """Return tensors and lists of arrays as one NumPy array, anything else unchanged.

    Raise `UsageError` if the arrays of a list have different shapes.
    """
    if isinstance(images, (list, tuple)) and images and all(map(_is_array, images)):
        arrays = [np.asarray(each) for each in images]
        shapes = dict.fromkeys("x".join(map(str, each.shape)) for each in arrays)
        if len(shapes) > 1:
            raise UsageError(f"the arrays of `images=` have different shapes: {', '.join(shapes)}")
        return np.stack(arrays)
    return np.asarray(images) if _is_array(images) else images


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def _path(value: Any) -> str:
    if not isinstance(value, (str, PathLike)):
        raise arguments.wrong("images", value, "a path, a list of paths, or an array")
    return fspath(value)


def _check_numbers(name: str) -> None:
    """Check the form of a name such as `test:3`, unless there is a file of this name.

    Raise `UsageError` if it has another form.
    """
    part, colon, numbers = name.partition(":")
    if not colon or _NUMBERED.fullmatch(name) or Path(name).exists():
        return
    parts = (*heldout.PARTS, heldout.ALL)
    if part in parts:
        raise UsageError(f"{name}: number images from 0, as {part}:3, {part}:0-9 or {part}:0-9,20")
    if re.fullmatch(rf"{_STRETCH}(?:,{_STRETCH})*", numbers):
        raise UsageError(f"{name}: {suggestion(part, parts, what='parts of the data')}")


def _given(subject: Subject, images: Any, white: float | None) -> Samples:
    """Return images of files and arrays, read at once."""
    network = subject.network
    chunks = newimages.chunks(images, {"": network.input_shape}, AT_ONCE)
    if white is not None:
        arguments.finite("white", white)
        if all(chunk.extremes is None for chunk in chunks):
            raise UsageError("`white=` is for arrays; the white of image files is known")
    names: list[str] = []
    pixels: list[Any] = []
    unread: list[str] = []
    for chunk in chunks:
        read = chunk.read(network.input_shape, replace(subject.preprocessing, range=subject.range))
        limits = subject.range
        if chunk.extremes is not None and not all(isinstance(each, str) for each in read):
            limits = network.range_of(chunk.extremes, chunk.where, white)
        for name, result in zip(chunk.names, read, strict=True):
            if isinstance(result, str):
                unread.append(f"{name}: {result}")
                continue
            names.append(name)
            pixels.append(_on_scale(result, limits, subject.range))
    if not names:
        raise UsageError(f"there is no image that can be read: {unread[0]}")
    array = np.stack(pixels)

    def stored(numbers: Any) -> Any:
        return array[numbers]

    return Samples(tuple(names), stored, stored, subject.range, unread=tuple(unread))


def _on_scale(pixels: NDArray[Any], limits: Range | None, wanted: Range | None) -> NDArray[Any]:
    """Return pixels as float32 on another scale of black and white."""
    values = pixels.astype(np.float32)
    if limits is None or wanted is None or limits == wanted:
        return values
    ratio = wanted.span / limits.span
    return (wanted.black + (values - limits.black) * ratio).astype(np.float32)


def _of_data(
    subject: Subject,
    parts: Sequence[tuple[str, str | None]],
    data: str | PathLike[str] | None,
    white: float | None,
    most: int | None,
) -> Samples:
    """Return images of a part of the training data, or of other data."""
    network = subject.network
    if data is not None:
        arguments.place("data", data)
    elif network.trained.recipe is None:
        raise UsageError(
            f"{subject.name} does not say what it was trained on: name image files, or give `data=`"
        )
    part = parts[0][0]
    if any(other != part for other, _ in parts):
        raise UsageError("name images of one part of the data at a time")
    choice = heldout.choose([network.trained], data)
    choice = heldout.with_known_classes(choice, network.trained, network.inputs)
    try:
        result = heldout.load([network], choice, part=part, white=white)
    except heldout.EmptyPartError as error:
        written = " or ".join(f"{other}:0" for other in error.others)
        raise UsageError(f"{error.name} has no {part} images: write {written}") from None
    store, limits = result.stores[0], result.ranges[0]
    count = len(result.indices)
    numbers = np.arange(count if most is None else min(count, most))
    if any(text for _, text in parts):
        numbers = np.concatenate(
            [_numbers(text or f"0-{count - 1}", count, part) for _, text in parts]
        )
    indices = result.indices[numbers]
    is_class = network.kind == "classification"

    def stored(some: NDArray[np.intp]) -> Any:
        return store.read(indices[some])

    return Samples(
        names=tuple(f"{part}:{number}" for number in numbers),
        read=lambda some: _on_scale(stored(some), limits, subject.range),
        stored=stored,
        limits=limits,
        labels=result.labels[numbers].astype(np.intp) if is_class else None,
        where=f"{part} part of {result.name}",
        part=part,
        notes=result.notes,
    )


def _numbers(text: str, count: int, part: str) -> Any:
    result = []
    for stretch in text.split(","):
        first, _, last = stretch.partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            raise UsageError(f"{part}:{stretch}: write the smaller number first")
        if high >= count:
            raise UsageError(f"{part}:{stretch}: the {part} part has images 0 to {count - 1}")
        result.append(np.arange(low, high + 1))
    return np.concatenate(result)

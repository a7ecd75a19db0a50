"""Copies of a picture in two parts of the data (such as training and test), or in two classes.

A copy of a training image among those held out makes a score too good; one in two classes cannot
be learnt. Arrays are compared by their pixels, and so are files that are quickly decoded; other
files by their bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import EncodedImages, LabelledImages
from archspec.data.grouping import numbered
from archspec.data.imagefile import UnreadableError
from archspec.data.images import decode
from archspec.data.names import TEST, TRAIN, VALIDATION, legible
from archspec.data.splitting import Split
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.system import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COMPARED_BYTES: Final = 2**30
"""Largest mapped array whose images are compared; a larger one is not read only for that."""

WORD_BYTES: Final = 8

CACHED_BYTES: Final = 2**18
"""Bytes of pixels that are hashed at a time, so that they stay in the processor's cache."""

MOST_DECODED: Final = 2**25
"""Largest number of pixels, of all files, that are decoded to be compared: it bounds the start."""

LEAST_COUNTED: Final = 2**14
"""Pixels that a smaller file counts as: to open it takes as long as to decode these."""

MOST_LISTED: Final = 1_000
"""Largest number of pictures whose copies data.json names."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures with copies that do harm."""

    in_parts: int = 0
    """Number of pictures in more than one of training, validation and test."""
    in_classes: int = 0
    """Number of pictures in several classes."""
    images: tuple[tuple[str, ...], ...] = ()
    """Names of the copies of each picture, or their places in an array, for the first thousand
    pictures."""

    def __bool__(self) -> bool:
        return bool(self.images)

    def __str__(self) -> str:
        counts = (
            (self.in_parts, "more than one of training, validation and test"),
            (self.in_classes, "several classes"),
        )
        return " and ".join(
            f"{count:,} {'picture is' if count == 1 else 'pictures are'} in {where}"
            for count, where in counts
            if count
        )


def picture_numbers(loaded: LabelledImages) -> NDArray[np.intp] | None:
    """Return a number for each example, (examples,), equal for copies of a picture.

    None where images are not compared: encoded images without digests, large mapped arrays.
    """
    if loaded.inputs:
        return _of_inputs(loaded.inputs.values())
    images = loaded.images
    if isinstance(images, EncodedImages):
        if loaded.digests is None:
            return None
        return numbered(_of_decoded(images, loaded.digests))[0]
    if isinstance(images, np.memmap) and images.nbytes > MOST_COMPARED_BYTES:
        return None
    return _of_pixels(images)


def _of_inputs(inputs: Iterable[LabelledImages]) -> NDArray[np.intp] | None:
    """Return a number for each example with several inputs: a copy if all of them are."""
    each = [picture_numbers(replace(one, inputs={})) for one in inputs]
    known = [numbers for numbers in each if numbers is not None]
    if len(known) < len(each):
        return None
    alike = np.unique(np.stack(known, axis=1), axis=0, return_inverse=True)[1]
    return alike.reshape(-1).astype(np.intp)


def _of_decoded(images: EncodedImages, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Return digests of the pixels in files, or those of their bytes if there are many files.

    Only pictures of the same height and width as others are decoded, and of equal files only one.
    """
    extents = images.extents
    if extents is None:
        return digests
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
    counts = Counter(extents[i] for i in first.values())
    alike = {digest: i for digest, i in first.items() if counts[extents[i]] > 1}
    sizes = [max(LEAST_COUNTED, math.prod(extents[i])) for i in alike.values()]
    if sum(sizes) > MOST_DECODED:
        return digests

    def of_pixels(digest: bytes) -> bytes:
        i = alike[digest]
        plain = None if images.plain is None else images.plain[i]
        shape = Shape((*extents[i], 3))
        try:
            pixels = decode(images.get(i), shape, "stretch", plain, exact=True)
        except (UnreadableError, OSError):  # reported when it is decoded for training
            return digest
        return hashlib.sha256(f"{shape} {pixels.dtype}".encode() + pixels.tobytes()).digest()

    # For small pictures threads would mostly wait for the interpreter.
    workers = cores() if max(sizes, default=0) > LEAST_COUNTED else 1
    with ThreadPoolExecutor(workers) as pool:
        by_pixels = dict(zip(alike, pool.map(of_pixels, alike), strict=True))
    return [by_pixels.get(digest, digest) for digest in digests]


def _of_pixels(images: NDArray[Any]) -> NDArray[np.intp]:
    """Return a number for each image, equal for equal pixels.

    Images are compared by a hash of 64 bits, and then by the pixels themselves.
    """
    hashes = _hashes(images)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    numbers = np.arange(len(images))
    for place in np.flatnonzero(same):
        before, here = order[place], order[place + 1]
        if np.array_equal(images[before], images[here]):
            numbers[here] = numbers[before]
    return numbers


def _hashes(images: NDArray[Any]) -> NDArray[np.int64]:
    """Return a hash of each image's pixels: 0.10 s for 60,000 of CIFAR-10's size, `hash` 0.14 s.

    Words times random odd numbers are added up, as in multilinear hashing. Before, a word's upper
    half is mixed into its lower one: differences in high bits alone would be lost otherwise.
    """
    size = images[0].nbytes if len(images) else 0
    if size % WORD_BYTES or not images.flags.c_contiguous:
        return np.array([hash(image.tobytes()) for image in images], np.int64)
    words = images.reshape(len(images), -1).view(np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**63, words.shape[1], np.uint64) * 2 + 1
    hashes = np.empty(len(images), np.uint64)
    step = max(1, CACHED_BYTES // size)
    for start in range(0, len(images), step):
        part = words[start : start + step]
        hashes[start : start + step] = np.einsum("ij,j->i", part ^ (part >> 32), factors)
    return hashes.view(np.int64)


def find(
    numbers: NDArray[np.intp] | None, labels: NDArray[np.int32], parts: Split
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which examples have copies in other parts of the data, and which in other classes.

    `numbers` are those of `picture_numbers`. Both results are (examples,).
    """
    where = np.full(len(labels), -1, np.int8)
    for part, indices in enumerate(parts):
        where[indices] = part
    used = where >= 0
    if numbers is None or not len(labels):
        return np.zeros_like(used), np.zeros_like(used)

    def differ(values: NDArray[Any]) -> NDArray[np.bool_]:
        least = np.full(int(numbers.max()) + 1, np.iinfo(np.int64).max)
        most = np.full(len(least), -1)
        np.minimum.at(least, numbers[used], values[used])
        np.maximum.at(most, numbers[used], values[used])
        apart: NDArray[np.bool_] = used & (least < most)[numbers]
        return apart

    return differ(where), differ(labels)


def copies(
    loaded: LabelledImages,
    numbers: NDArray[np.intp] | None,
    copied: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Copies:
    """Return counts and names of the copies that `find` returned."""
    in_parts, in_classes = copied
    if numbers is None or not (in_parts | in_classes).any():
        return Copies()
    members: dict[int, list[str]] = {}
    for index in np.flatnonzero(in_parts | in_classes):
        number = int(numbers[index])
        if number in members or len(members) < MOST_LISTED:
            members.setdefault(number, []).append(_name(loaded, int(index)))
    return Copies(
        len(np.unique(numbers[in_parts])),
        len(np.unique(numbers[in_classes])),
        tuple(map(tuple, members.values())),
    )


def _name(loaded: LabelledImages, index: int) -> str:
    if isinstance(loaded.images, EncodedImages):
        return legible(str(Path(loaded.images.names[index])))
    return f"image {index}" if loaded.names is None else legible(loaded.names[index])


def without(
    parts: Split,
    numbers: NDArray[np.intp] | None,
    copied: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Split:
    """Return the split without copies.

    A picture in several parts stays in the test, or else in validation. A picture in several
    classes is left out, because nobody knows which class is right.
    """
    if numbers is None:
        return parts
    in_parts, in_classes = copied
    seen: NDArray[np.intp] = np.empty(0, np.intp)
    kept: dict[int, NDArray[np.intp]] = {}
    for part in (TEST, VALIDATION, TRAIN):
        here = parts[part]
        again = in_parts[here] & np.isin(numbers[here], seen)
        kept[part] = here[~again & ~in_classes[here]]
        seen = np.concatenate([seen, numbers[here[in_parts[here]]]])
    return Split(kept[TRAIN], kept[VALIDATION], kept[TEST])

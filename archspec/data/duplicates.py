"""The same picture in two parts of the data, or in two classes.

A copy of a training image among those held out makes a score too good; one in two classes cannot
be learnt. Arrays are compared by their pixels, and so are files that are soon decoded; other files
by their bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import TEST, TRAIN, VALIDATION, EncodedImages, LabelledImages, legible
from archspec.data.images import UnreadableError, decode
from archspec.data.splitting import Split
from archspec.ops.shape import Shape
from archspec.system import cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_COMPARED_BYTES: Final = 2**30
"""Of an array on a disk whose images are compared; a larger one is not read for that alone."""

WORD_BYTES: Final = 8

CACHED_BYTES: Final = 2**18
"""Pixels that are worked on at a time, so that they stay in the processor's cache."""

MOST_DECODED: Final = 2**25
"""Pixels of all files together that are decoded to be compared, which bounds the start-up."""

OF_ANY: Final = 2**14
"""Pixels that a file counts as at least: to open one takes as long as to decode these."""

MOST_LISTED: Final = 1_000
"""Pictures whose copies data.json names."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures that are there more than once, and should not be."""

    in_parts: int = 0
    """Pictures with copies in several parts of the data."""
    in_classes: int = 0
    """Pictures with copies in several classes."""
    images: tuple[tuple[str, ...], ...] = ()
    """The copies of each picture by their names, or by their places in an array; of the first
    thousand pictures."""

    def __bool__(self) -> bool:
        return bool(self.images)

    def __str__(self) -> str:
        counts = (
            (self.in_parts, "several parts of the data"),
            (self.in_classes, "several classes"),
        )
        said = [
            f"{count:,} {'picture is' if count == 1 else 'pictures are'} in {where}"
            for count, where in counts
            if count
        ]
        return " and ".join(said)


def twins(loaded: LabelledImages) -> NDArray[np.intp] | None:
    """(examples,) a number that copies of a picture share; None where nobody can tell."""
    import numpy as np  # noqa: PLC0415

    images = loaded.images
    if isinstance(images, EncodedImages):
        if loaded.digests is None:
            return None
        known: dict[bytes, int] = {}
        digests = _of_decoded(images, loaded.digests)
        return np.array([known.setdefault(digest, len(known)) for digest in digests], np.intp)
    if isinstance(images, np.memmap) and images.nbytes > MOST_COMPARED_BYTES:
        return None
    return _of_pixels(images)


def _of_decoded(images: EncodedImages, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Digests of the pixels in files, in place of those of their bytes, where these are few.

    Only pictures as high and as wide as others are decoded, each of equal bytes once.
    """
    extents = images.extents
    if extents is None:
        return digests
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
    counts = Counter(extents[i] for i in first.values())
    alike = {digest: i for digest, i in first.items() if counts[extents[i]] > 1}
    sizes = [max(OF_ANY, math.prod(extents[i])) for i in alike.values()]
    if sum(sizes) > MOST_DECODED:
        return digests

    def of_pixels(digest: bytes) -> bytes:
        i = alike[digest]
        plain = None if images.plain is None else images.plain[i]
        shape = Shape((*extents[i], 3))
        try:
            pixels = decode(images.get(i), shape, "stretch", plain, exact=True)
        except (UnreadableError, OSError):  # it is said when it is decoded for training
            return digest
        return hashlib.sha256(f"{shape} {pixels.dtype}".encode() + pixels.tobytes()).digest()

    # For small pictures threads would mostly wait for the interpreter.
    workers = cores() if max(sizes, default=0) > OF_ANY else 1
    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(alike, pool.map(of_pixels, alike), strict=True))
    return [found.get(digest, digest) for digest in digests]


def _of_pixels(images: NDArray[Any]) -> NDArray[np.intp]:
    """Equal numbers for images of equal pixels.

    By a hash of 64 bits, and then by the pixels themselves.
    """
    import numpy as np  # noqa: PLC0415

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
    """A hash of each image's pixels: 0.10 s for 60,000 of CIFAR-10's size, `hash` 0.14 s.

    Words times random odd numbers are added up, as multilinear hashing does. A word's upper half is
    mixed into its lower one before, for what differs in high bits alone would be lost otherwise.
    """
    import numpy as np  # noqa: PLC0415

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
    """(examples,) twice: which have copies in other parts of the data, and in other classes."""
    import numpy as np  # noqa: PLC0415

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
    found: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Copies:
    """Counts and names of what `find` has found."""
    import numpy as np  # noqa: PLC0415

    in_parts, in_classes = found
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
    return f"image {index}"


def without(
    parts: Split,
    numbers: NDArray[np.intp] | None,
    found: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Split:
    """The parts without copies: of a picture in several parts, those in the last one stay.

    That is the test before validation before training. Of a picture in several classes nobody
    knows which is right: none stays.
    """
    import numpy as np  # noqa: PLC0415

    if numbers is None:
        return parts
    in_parts, in_classes = found
    seen: NDArray[np.intp] = np.empty(0, np.intp)
    kept: dict[int, NDArray[np.intp]] = {}
    for part in (TEST, VALIDATION, TRAIN):
        here = parts[part]
        again = in_parts[here] & np.isin(numbers[here], seen)
        kept[part] = here[~again & ~in_classes[here]]
        seen = np.concatenate([seen, numbers[here[in_parts[here]]]])
    return Split(kept[TRAIN], kept[VALIDATION], kept[TEST])

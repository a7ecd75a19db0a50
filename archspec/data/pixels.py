"""The pixels of a run by number: of an array, of image files, or kept in memory.

They are read from any thread, as the network takes them: resized, with the network's channels, on
the images' own scale.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import EncodedImages, Skipped
from archspec.data.imagefile import UnreadableError
from archspec.data.images import decode
from archspec.data.names import legible
from archspec.data.resizing import match_channels, resize
from archspec.data.values import BYTES, Range, chunk_length
from archspec.errors import UsageError
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.system import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMORY_SHARE: Final = 0.3
"""Share of the free memory that images may be kept in: training needs memory as well."""

SMALL: Final = 2**13
"""Pixels of a JPEG that is decoded so fast that threads would mostly wait for the interpreter."""


class Pixels:
    """Images by number, as a network takes them."""

    shape: Shape
    """Shape of an image."""
    range: Range | None
    """The values of black and white; None if they are not known."""
    array: NDArray[Any] | None = None
    """All pixels, if they are in memory in this form."""
    failed: Mapping[int, str] = MappingProxyType({})
    """The images that others replace, and why."""

    def fail(self, index: int, reason: str) -> None:
        """Replace an image by another; raise `UsageError` if none may replace it."""
        raise UsageError(f"image {index} cannot be read: {reason}")

    def read(self, indices: NDArray[np.intp]) -> Any:
        """Return images, (len(indices), *extent, channels), as uint8 or float32.

        Of a network with several inputs, those of each input by its name.
        """
        raise NotImplementedError


class ArrayPixels(Pixels):
    """Images of an array, in memory or mapped from a file; resized when they are read."""

    def __init__(
        self, images: NDArray[Any], shape: Shape, how: str, *, limits: Range | None
    ) -> None:
        self.shape = shape
        self.range = limits
        self._images = images
        self._how = how
        plain = images.dtype in (np.dtype("uint8"), np.dtype("float32"))
        in_memory = not isinstance(images, np.memmap)
        as_it_is = in_memory and plain and images.shape[1:] == shape
        self.array = images if as_it_is else None

    @property
    def dtype(self) -> str:
        return "uint8" if self._images.dtype.name == "uint8" else "float32"

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        images = self._images[indices].astype(self.dtype, copy=False)
        if images.shape[1:] == self.shape:
            return images
        # One channel is resized sooner than three.
        if self.shape.channels < images.shape[-1]:
            images = match_channels(images, self.shape.channels)
        black = self.range.black if self.range else 0.0
        images = resize(images, self.shape.spatial, self._how, black)
        return match_channels(images, self.shape.channels)


class JoinedPixels(Pixels):
    """The examples of a network with several inputs; a single image is that of the first input."""

    def __init__(self, inputs: Mapping[str, Pixels]) -> None:
        self.inputs = inputs
        self.first = next(iter(inputs.values()))
        self.shape = self.first.shape
        self.range = self.first.range
        self.failed = self.first.failed

    def fail(self, index: int, reason: str) -> None:
        self.first.fail(index, reason)

    def read(self, indices: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Return the pixels of each input by its name."""
        return {name: pixels.read(indices) for name, pixels in self.inputs.items()}


class FilePixels(Pixels):
    """Encoded images, decoded by several threads when they are read; small ones by one thread.

    If a file turns out to be damaged, then under `skip` the next image of the same number in
    `kinds` (the same class and part of the data) replaces it, and `skipped` lists it.
    """

    def __init__(
        self,
        images: EncodedImages,
        shape: Shape,
        how: str,
        *,
        limits: Range | None = BYTES,
        kinds: NDArray[Any],
        skip: bool,
        skipped: list[Skipped],
    ) -> None:
        self.shape = shape
        self.range = limits
        self.dtype = "float32" if images.is_deep or limits != BYTES else "uint8"
        self.skipped = skipped
        self._images = images
        self._how = how
        self._kinds = kinds
        self._skip = skip
        self.failed: dict[int, str] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cores(), thread_name_prefix="decode")

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        images = np.empty((len(indices), *self.shape), self.dtype)

        def fill(start: int) -> None:
            for position in range(start, len(indices), workers):
                images[position] = self._image(int(indices[position]))

        workers = 1 if self._are_small(indices) else cores()
        if workers > 1:
            list(self._pool.map(fill, range(min(workers, len(indices)))))
        else:
            with self._turn:
                fill(0)
        return images

    def _are_small(self, indices: NDArray[np.intp]) -> bool:
        if self._images.plain is None:
            return False
        extents = (self._images.plain[index] for index in indices)
        return all(extent and math.prod(extent) <= SMALL for extent in extents)

    def _image(self, index: int) -> NDArray[Any]:
        for each in chain([index], self._alike(index)):
            if each not in self.failed:
                try:
                    return self._decode(each)
                except UnreadableError as error:
                    self.fail(each, str(error))
        name = legible(self._images.names[index])
        raise UsageError(f"`{name}` cannot be read, nor can any other image of its class")

    def _alike(self, index: int) -> Iterator[int]:
        """Yield the images that may replace one, the next one first."""
        alike = np.flatnonzero(self._kinds == self._kinds[index])
        yield from map(int, np.roll(alike, -int(np.searchsorted(alike, index)) - 1))

    def _decode(self, index: int) -> NDArray[Any]:
        images = self._images
        plain = None if images.plain is None else images.plain[index]
        encoded = images.get(index)
        limits, exact = self.range, self.dtype == "float32"
        unstated = images.unstated or limits
        return decode(encoded, self.shape, self._how, plain, limits, unstated, exact)

    def fail(self, index: int, reason: str) -> None:
        """Replace an image by another; raise `UsageError` unless `skip` allows it."""
        name = legible(self._images.names[index])
        if not self._skip:
            raise UsageError(
                f"`{name}` cannot be read: {reason}; repair or remove it, or write `on_error: skip`"
            )
        with self._lock:
            if index not in self.failed:
                self.failed[index] = reason
                self.skipped.append((name, reason))


class CachedPixels(Pixels):
    """Pixels that are kept in memory once they have been read."""

    def __init__(self, inner: ArrayPixels | FilePixels, count: int) -> None:
        self.shape = inner.shape
        self.range = inner.range
        self.failed = inner.failed
        self._inner = inner
        self._images = np.empty((count, *inner.shape), inner.dtype)
        self._is_kept = np.zeros(count, bool)

    def fail(self, index: int, reason: str) -> None:
        self._inner.fail(index, reason)

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        missing = indices[~self._is_kept[indices]]
        if len(missing):
            # Two threads may do the same work, and then write the same pixels.
            self._images[missing] = self._inner.read(missing)
            self._is_kept[missing] = True
            if self._is_kept.all():
                self.array = self._images
        return self._images[indices]

    def fill(self) -> None:
        """Read all images now."""
        step = chunk_length(self._images)
        for start in range(0, len(self._images), step):
            chosen = np.arange(start, min(start + step, len(self._images)))
            self._images[chosen] = self._inner.read(chosen)
        self._is_kept[:] = True
        self.array = self._images

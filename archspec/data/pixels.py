"""Where the pixels of a run come from: an array, image files, or memory that keeps either.

A store is read by number, from any thread, and gives what the network takes: resized, with the
network's channels, on the images' own scale.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from archspec.data.examples import EncodedImages, Skipped, legible
from archspec.data.images import UnreadableError, decode, match_channels, resize
from archspec.data.values import BYTES, Range, at_once
from archspec.errors import UsageError
from archspec.ops.shape import Shape
from archspec.system import cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEMORY_SHARE: Final = 0.3
"""Of the memory that is free, what images may be kept in: training needs some as well."""

SMALL: Final = 2**13
"""Pixels of a JPEG so soon decoded that threads would mostly wait for the interpreter."""


class Pixels(Protocol):
    """Images by number, as a network takes them."""

    @property
    def shape(self) -> Shape:
        """Of one image."""

    @property
    def range(self) -> Range | None:
        """The values of black and white; None where they are not known."""

    @property
    def array(self) -> NDArray[Any] | None:
        """All of them, where they lie in memory in this form."""

    @property
    def failed(self) -> Mapping[int, str]:
        """The images for which others stand in, and why."""

    def fail(self, index: int, reason: str) -> None:
        """Let another image stand in; raise `UsageError` where none may."""

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """(k, *extent, channels), uint8 or float32."""


class ArrayPixels:
    """Images of an array, which may lie on a disk; resized when they are read."""

    def __init__(
        self, images: NDArray[Any], shape: Shape, how: str, *, limits: Range | None
    ) -> None:
        import numpy as np  # noqa: PLC0415

        self.shape = shape
        self.range = limits
        self._images = images
        self._how = how
        plain = images.dtype in (np.dtype("uint8"), np.dtype("float32"))
        here = not isinstance(images, np.memmap)
        as_it_is = here and plain and images.shape[1:] == shape
        self.array: NDArray[Any] | None = images if as_it_is else None
        self.failed: Mapping[int, str] = {}

    def fail(self, index: int, reason: str) -> None:
        """Raise `UsageError`: an array has no images that stand in for each other."""
        raise UsageError(f"image {index} cannot be read: {reason}")

    @property
    def dtype(self) -> str:
        return "uint8" if self._images.dtype.name == "uint8" else "float32"

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        images = self._images[indices].astype(self.dtype, copy=False)
        if images.shape[1:] == self.shape:
            return images
        # Of three channels and one, resize the one.
        if self.shape.channels < images.shape[-1]:
            images = match_channels(images, self.shape.channels)
        black = self.range.black if self.range else 0.0
        images = resize(images, self.shape.spatial, self._how, black)
        return match_channels(images, self.shape.channels)


class FilePixels:
    """Encoded images, decoded by several threads when they are read, small ones by one at a time.

    `kin` says which images may stand in for each other: those of a class and of a part of the
    data. Where a file turns out to be damaged within, under `skip` the next of its kin takes its
    place, and `skipped` lists it.
    """

    array: Final = None

    def __init__(
        self,
        images: EncodedImages,
        shape: Shape,
        how: str,
        *,
        limits: Range | None = BYTES,
        kin: NDArray[Any],
        skip: bool,
        skipped: list[Skipped],
    ) -> None:
        self.shape = shape
        self.range = limits
        self.dtype = "float32" if images.is_deep or limits != BYTES else "uint8"
        self.skipped = skipped
        self._images = images
        self._how = how
        self._kin = kin
        self._skip = skip
        self.failed: dict[int, str] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cores(), thread_name_prefix="decode")

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        import numpy as np  # noqa: PLC0415

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
        if index not in self.failed:
            try:
                return self._decode(index)
            except UnreadableError as error:
                self.fail(index, str(error))
        return self._stand_in(index)

    def _decode(self, index: int) -> NDArray[Any]:
        images = self._images
        plain = None if images.plain is None else images.plain[index]
        encoded = images.get(index)
        limits, exact = self.range, self.dtype == "float32"
        unstated = images.unstated or limits
        return decode(encoded, self.shape, self._how, plain, limits, unstated, exact)

    def fail(self, index: int, reason: str) -> None:
        """Let another image stand in; raise `UsageError` where none may."""
        name = legible(self._images.names[index])
        if not self._skip:
            raise UsageError(
                f"`{name}` cannot be read: {reason}; mend or remove it, or say `on_error: skip`"
            )
        with self._lock:
            if index not in self.failed:
                self.failed[index] = reason
                self.skipped.append((name, reason))

    def _stand_in(self, index: int) -> NDArray[Any]:
        import numpy as np  # noqa: PLC0415

        kin = np.flatnonzero(self._kin == self._kin[index])
        for other in np.roll(kin, -int(np.searchsorted(kin, index)) - 1):
            if int(other) in self.failed:
                continue
            try:
                return self._decode(int(other))
            except UnreadableError as error:
                self.fail(int(other), str(error))
        name = legible(self._images.names[index])
        raise UsageError(f"`{name}` cannot be read, nor can any other image of its class")


class CachedPixels:
    """What another store gave once, kept in memory."""

    def __init__(self, inner: ArrayPixels | FilePixels, count: int) -> None:
        import numpy as np  # noqa: PLC0415

        self.shape = inner.shape
        self.range = inner.range
        self._inner = inner
        self._images = np.empty((count, *inner.shape), inner.dtype)
        self._is_here = np.zeros(count, bool)

    @property
    def failed(self) -> Mapping[int, str]:
        return self._inner.failed

    def fail(self, index: int, reason: str) -> None:
        self._inner.fail(index, reason)

    @property
    def array(self) -> NDArray[Any] | None:
        return self._images if self._is_here.all() else None

    def read(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        missing = indices[~self._is_here[indices]]
        if len(missing):
            # Two threads may do the same work, and then write the same pixels.
            self._images[missing] = self._inner.read(missing)
            self._is_here[missing] = True
        return self._images[indices]

    def fill(self) -> None:
        """Read all of them now."""
        import numpy as np  # noqa: PLC0415

        step = at_once(self._images)
        for start in range(0, len(self._images), step):
            chosen = np.arange(start, min(start + step, len(self._images)))
            self._images[chosen] = self._inner.read(chosen)
        self._is_here[:] = True


def free_memory() -> int:
    """Bytes that this process may still take, of its container's if that has a limit."""
    free = _of_machine()
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        statistics = (group / "memory.stat").read_text(encoding="ascii").split()
        # Files that were read count as used until somebody else needs the memory.
        files = int(statistics[statistics.index("inactive_file") + 1])
    except (OSError, ValueError):  # no limit is the word "max"
        return free
    return max(0, min(free, limit - used + files))


def _of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # where that is not told apart, half of what there is
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    except (AttributeError, ValueError, OSError):
        return 2**31

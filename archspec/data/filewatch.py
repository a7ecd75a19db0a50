"""A watch on the image files and arrays that a run trains on: have they changed?

Only their status is read: size, time of the last change, inode. Where that differs and the content
was digested, the content decides.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from archspec.data.examples import EncodedImages, LabelledImages
from archspec.lazy import np

MOST_LOOKED_AT: Final = 50_000
"""Largest number of files whose status is read after an epoch, evenly spread over all."""

SHA256_BYTES: Final = 32

_Status: TypeAlias = tuple[int, int, int] | None


class FileChange(NamedTuple):
    """A file that changed."""

    name: str
    image: int | None
    """The number of the image; None for an array of many."""
    what: str
    """"changed" or "missing"."""


class FileWatch:
    """The files of a data set, with their status when it was loaded.

    Images in archives are not watched, nor are arrays in memory.
    """

    def __init__(self, loaded: LabelledImages) -> None:
        images = loaded.images
        self._digests: Sequence[bytes] | None = None
        if isinstance(images, EncodedImages):
            self._names = images.names
            self._digests = loaded.digests
            self._is_array = False
        else:
            mapped = images if isinstance(images, np.memmap) else images.base
            name = mapped.filename if isinstance(mapped, np.memmap) else None
            self._names = [str(name)] if name else []
            self._is_array = True
        self._before = [_status(name) for name in self._names]
        others = [each for each in loaded.inputs.values() if each.images is not images]
        self._others = tuple(map(FileWatch, others))

    def changes(self, indices: Sequence[int] | None = None) -> list[FileChange]:
        """Return the changes to some images; by default to the array, or to many files."""
        others = [change for each in self._others for change in each.changes(indices)]
        if self._is_array or indices is None:
            indices = range(0, len(self._names), -(-len(self._names) // MOST_LOOKED_AT) or 1)
        changes = []
        for index in indices:
            before = self._before[index]
            now = before and _status(self._names[index])
            if now == before or (now and self._is_same(index)):
                continue
            what = "changed" if now else "missing"
            changes.append(FileChange(self._names[index], None if self._is_array else index, what))
        return changes + others

    def _is_same(self, index: int) -> bool:
        """Return whether a file that was written again has the same content."""
        digest = self._digests[index] if self._digests else b""
        if len(digest) != SHA256_BYTES:
            return False
        try:
            return hashlib.sha256(Path(self._names[index]).read_bytes()).digest() == digest
        except OSError:
            return False


def _status(name: str) -> _Status:
    """Return what distinguishes a file; None if there is none, as for an archive's member."""
    try:
        status = os.stat(name)  # noqa: PTH116  (half the time of Path's)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino

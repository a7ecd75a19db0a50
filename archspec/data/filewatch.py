"""Image files and arrays that change while a run trains on them.

No more than their status is looked at: size, time of the last change, and which file it is. Where
that differs and the content was digested, the content decides.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from archspec.data.examples import EncodedImages, LabelledImages

MOST_LOOKED_AT: Final = 50_000
"""Files whose status is looked at after an epoch: of more, so many evenly spread."""

SHA256_BYTES: Final = 32

_Status: TypeAlias = tuple[int, int, int] | None


class FileChange(NamedTuple):
    """A file that is not what it was."""

    name: str
    image: int | None
    """The number of the image; None of an array of many."""
    what: str


class FileWatch:
    """The files of a data set, as they were when it was loaded.

    Images within archives are not looked at, nor what is in memory altogether.
    """

    def __init__(self, loaded: LabelledImages) -> None:
        import numpy as np  # noqa: PLC0415

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

    def changes(self, indices: Sequence[int] | None = None) -> list[FileChange]:
        """What has changed of some images, of all if there is an array, else of many."""
        if self._is_array or indices is None:
            indices = range(0, len(self._names), -(-len(self._names) // MOST_LOOKED_AT) or 1)
        found = []
        for index in indices:
            before = self._before[index]
            now = before and _status(self._names[index])
            if now == before or (now and self._is_same(index)):
                continue
            what = "changed" if now else "not there any more"
            found.append(FileChange(self._names[index], None if self._is_array else index, what))
        return found

    def _is_same(self, index: int) -> bool:
        """Whether a file that was written again has the same content."""
        digest = self._digests[index] if self._digests else b""
        if len(digest) != SHA256_BYTES:
            return False
        try:
            return hashlib.sha256(Path(self._names[index]).read_bytes()).digest() == digest
        except OSError:
            return False


def _status(name: str) -> _Status:
    """What tells a file from another one; None where there is none, as of an archive's member."""
    try:
        status = os.stat(name)  # noqa: PTH116  (half the time of Path's)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino

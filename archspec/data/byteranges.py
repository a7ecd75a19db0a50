"""Encoded images that are parts of larger files, read by their places."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from array import array
from pathlib import Path
from typing import Final

from archspec.data.imagefile import UnreadableError
from archspec.errors import UsageError

MOST_IMAGE_BYTES: Final = 2**28
"""Largest size of an encoded image: a larger one is damaged, or not an image."""

DISK_KEPT: Final = 2**30
"""Bytes of the disk that a spool leaves free."""


class ByteRanges:
    """Byte ranges in files, by number. They are read from any thread."""

    def __init__(self) -> None:
        self._files: list[Path | Spool] = []
        self._which = array("L")
        self._starts = array("Q")
        self.lengths = array("Q")

    def add(self, file: Path | Spool, start: int, length: int) -> int:
        """Add a range of a file; return its number."""
        if not self._files or self._files[-1] is not file:
            self._files.append(file)
        self._which.append(len(self._files) - 1)
        self._starts.append(start)
        self.lengths.append(length)
        return len(self.lengths) - 1

    def __getitem__(self, number: int) -> bytes:
        """Return the content of a range. Raises `UnreadableError`."""
        file = self._files[self._which[number]]
        start, length = self._starts[number], self.lengths[number]
        if length > MOST_IMAGE_BYTES:
            raise UnreadableError(f"{length:,} bytes, more than {MOST_IMAGE_BYTES:,}")
        try:
            if isinstance(file, Spool):
                content = file.read(start, length)
            else:
                with file.open("rb", buffering=0) as raw:
                    raw.seek(start)
                    content = _whole(raw.fileno(), length)
        except OSError as error:
            raise UnreadableError(f"{file}: {error.strerror}") from None
        if len(content) < length:
            raise UnreadableError(f"{file} has become shorter")
        return content


class Spool:
    """A temporary file without a name, for images that cannot be read where they lie.

    It is deleted when the process ends, also by a crash.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (open as long as it is used)
        weakref.finalize(self, self._file.close)
        self.folder = tempfile.gettempdir()
        self._lock = threading.Lock()
        self._checked = 0
        self.size = 0

    def write(self, content: bytes) -> int:
        """Append content; return its place in the file. Raises `UsageError` if the disk is full."""
        start = self.size
        if start + len(content) > self._checked:
            free = shutil.disk_usage(self.folder).free
            if free < DISK_KEPT + len(content):
                raise UsageError(
                    f"{self.folder} has too little space to unpack the images: "
                    f"{start / 2**30:,.1f} GiB are unpacked, {free / 2**30:,.1f} GiB are free. "
                    "Set TMPDIR to a folder on a larger disk"
                )
            self._checked = start + min(2**26, free - DISK_KEPT)
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(content)
        return start

    def read(self, start: int, length: int) -> bytes:
        """Return a part of what was written."""
        if hasattr(os, "pread"):
            content = os.pread(self._file.fileno(), length, start)
            if len(content) == length:
                return content
        with self._lock:
            self._file.seek(start)
            return _whole(self._file.fileno(), length)


def _whole(descriptor: int, length: int) -> bytes:
    """Return `length` bytes from the file's position; fewer only if it ends."""
    pieces = []
    while length and (piece := os.read(descriptor, length)):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

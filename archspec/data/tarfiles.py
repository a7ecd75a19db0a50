"""The members of tar archives, plain or gzipped, in one pass over their headers.

`tarfile.TarFile` would keep every member in memory, trust the sizes of long headers, and take a
damaged header for the end of the archive.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final, cast

from archspec.data.byteranges import MOST_IMAGE_BYTES
from archspec.data.fileaccess import reading
from archspec.data.names import legible
from archspec.errors import UsageError

BLOCK: Final = 512
CHUNK: Final = 2**20

MOST_HEADER_BYTES: Final = 2**16
"""Largest record before a member, such as its long name."""

MOST_EXPANSION: Final = 100
"""Largest ratio of an archive's size unpacked to gzipped; pictures hardly shrink."""

LEAST_EXPANDED: Final = 2**30
"""Bytes to which any gzipped archive may be unpacked, whatever its ratio."""

_GZIP: Final = b"\x1f\x8b"
_PACKED: Final = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    start: int
    """Offset of the content in the unpacked archive."""
    size: int
    read: Callable[[], bytes]
    """Return the content; to be called before the next member is asked for."""


def is_packed(path: Path) -> bool:
    """Return whether an archive is gzipped, so that its members can only be read in order.

    Raises `UsageError` for other compressions.
    """
    with _reading(path), path.open("rb") as file:
        start = file.read(6)
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise UsageError(f"{path} is compressed by {name}: unpack it to a plain .tar file")
    return start.startswith(_GZIP)


def members(path: Path) -> Iterator[Member]:
    """Yield the regular files in an archive, in their order.

    Raises `UsageError` if it is damaged, or has links, devices or sparse files.
    """
    packed = is_packed(path)
    with _reading(path), path.open("rb") as raw:
        size = path.stat().st_size
        if packed:
            most = max(LEAST_EXPANDED, MOST_EXPANSION * size)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield from _members(
                    path, _Stream(cast("IO[bytes]", unpacked), most, can_seek=False)
                )
        else:
            yield from _members(path, _Stream(raw, size, can_seek=True))


class _Stream:
    """The bytes of an archive, forward only."""

    def __init__(self, file: IO[bytes], end: int, *, can_seek: bool) -> None:
        self._file = file
        self._can_seek = can_seek
        self.at = 0
        self.end = end
        """Length of a plain archive, largest length of a packed one."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes. Raises `EOFError` if there are fewer."""
        content = self._file.read(size)
        self.at += len(content)
        if len(content) < size or self.at > self.end:
            raise EOFError("it is cut off")
        return content

    def skip_to(self, place: int) -> None:
        """Go on at a later place. Raises `EOFError` if the archive ends before it."""
        if place > self.end:
            raise EOFError("it is cut off")
        if self._can_seek:
            self.at = self._file.seek(place)
        while self.at < place:
            self.read(min(CHUNK, place - self.at))

    def content(self, member: str, start: int, size: int, most: int) -> bytes:
        """Return a member's content, while the stream is at it."""
        if size > most:
            raise UsageError(f"`{legible(member)}` has {size:,} bytes, more than {most:,}")
        if self.at != start:
            raise RuntimeError("a member of an archive was read too late")
        return self.read(size)


def _members(path: Path, stream: _Stream) -> Iterator[Member]:
    name: str | None = None
    size: int | None = None
    while any(block := stream.read(BLOCK)):  # the end is empty
        info = _header(path, block, stream.at - BLOCK)
        start = stream.at
        if info.type in _OF_THE_NEXT:
            content = stream.content(info.name, start, info.size, MOST_HEADER_BYTES)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = content.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif info.type == tarfile.XHDTYPE:
                records = _records(content)
                name, size = records.get("path", name), int(records.get("size", -1))
                if any(key.startswith("GNU.sparse.") for key in records):
                    info.type = tarfile.GNUTYPE_SPARSE
            if info.type != tarfile.GNUTYPE_SPARSE:
                stream.skip_to(_rounded(stream.at))
                continue
        name = info.name if name is None else name
        size = info.size if size is None or size < 0 else size
        if info.type in _REGULAR:
            read = partial(_content, path, stream, name, start, size)
            if start + size > stream.end:
                raise UsageError(f"{path} is cut off in `{legible(name)}`")
            yield Member(name, start, size, read)
        elif info.type != tarfile.DIRTYPE:
            raise UsageError(
                f"{path}: `{legible(name)}` is not a regular file, but a link, a device or sparse; "
                "write the files themselves into the archive, with `tar --dereference`"
            )
        stream.skip_to(_rounded(start + size))
        name = size = None


def _content(path: Path, stream: _Stream, name: str, start: int, size: int) -> bytes:
    with _reading(path):
        return stream.content(name, start, size, MOST_IMAGE_BYTES)


_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_OF_THE_NEXT: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
"""Types of headers with records of the member after them."""


def _header(path: Path, block: bytes, at: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if at == 0:
            raise UsageError(f"{path} is not a tar archive") from None
        raise UsageError(f"{path} is damaged at byte {at:,}: {error}") from None


def _records(content: bytes) -> dict[str, str]:
    """Return the records of an extended header, each of a length, a blank, a key, `=`, a value."""
    records: dict[str, str] = {}
    while content:
        digits, _, _ = content.partition(b" ")
        length = int(digits)
        if length <= len(digits):
            raise ValueError("an extended header is wrong")
        key, _, value = content[len(digits) + 1 : length - 1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[length:]
    return records


def _rounded(size: int) -> int:
    """Return a size rounded up to whole blocks."""
    return size + -size % BLOCK


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(path, EOFError, ValueError, zlib.error)

"""Places of an array's values in an HDF5 file, and the values as a NumPy array."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from struct import unpack_from
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.imports.hdf5.source import UNDEFINED, Source
from archspec.imports.hdf5.trees import leaves
from archspec.imports.limits import MOST_EXPANSION, most_bytes
from archspec.lazy import np

COMPACT, WHOLE, CHUNKED, VIRTUAL = range(4)
"""Classes of layouts: in the header, in one piece, in chunks, and in other files."""

_TREE, _ONE, _IMPLICIT = 0, 1, 2
"""Indices of chunks that are read: a tree of version 1, none for one chunk, and none for all."""

_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_FILTERS: Final = {_DEFLATE, _SHUFFLE, _CHECKSUM}


class Layout(NamedTuple):
    """The place of an array's values."""

    kind: int
    at: int = UNDEFINED
    size: int = 0
    """Bytes of the values where they are in one piece; of one chunk where there is one."""
    data: bytes = b""
    """The values, where they stand in the header."""
    chunk: tuple[int, ...] = ()
    """Extents of a chunk."""
    index_kind: int = _TREE
    """Number of the kind of index that tells where chunks are."""


class Chunk(NamedTuple):
    """A chunk's place."""

    offsets: tuple[int, ...]
    at: int
    size: int


def layout(data: bytes) -> Layout:
    """Return the layout that a message describes.

    Raises:
        IndexError: The message ends early.
        ValueError: It is of a version that h5py does not write.
    """
    version, kind = data[0], data[1]
    if version not in (3, 4):
        raise ValueError(f"a layout of version {version}")
    if kind == COMPACT:
        size = int.from_bytes(data[2:4], "little")
        return Layout(kind, data=data[4 : 4 + size], size=len(data[4 : 4 + size]))
    if kind == WHOLE:
        at, size = unpack_from("<QQ", data, 2)
        return Layout(kind, at, size if at != UNDEFINED else 0)
    if kind == CHUNKED and version == 3:
        rank = data[2]
        at, *extents = unpack_from(f"<Q{rank}I", data, 3)
        return Layout(kind, at, chunk=tuple(extents[:-1]))
    if kind == CHUNKED:
        return _chunks_of_version_4(data)
    if kind == VIRTUAL:
        return Layout(kind)
    raise ValueError(f"a layout of class {kind}")


def _chunks_of_version_4(data: bytes) -> Layout:
    flags, rank, width = data[2:5]
    index = data[5 + rank * width]
    rest = data[6 + rank * width :]
    extents = [
        int.from_bytes(data[5 + axis * width : 5 + (axis + 1) * width], "little")
        for axis in range(rank)
    ]
    size = 0
    if index == _ONE and flags & 2:
        size = unpack_from("<Q", rest)[0]
        rest = rest[12:]
    at = unpack_from("<Q", rest)[0] if index in (_ONE, _IMPLICIT) else UNDEFINED
    return Layout(CHUNKED, at, size, chunk=tuple(extents[:-1]), index_kind=index)


def filters(data: bytes) -> list[int]:
    """Return the numbers of the filters that chunks went through, in their order."""
    version, count = data[0], data[1]
    at = 8 if version == 1 else 2
    numbers = []
    for _ in range(count):
        number = int.from_bytes(data[at : at + 2], "little")
        has_name = version == 1 or number >= 256
        name = int.from_bytes(data[at + 2 : at + 4], "little") if has_name else 0
        at += 8 if has_name else 6
        values = int.from_bytes(data[at - 2 : at], "little")
        if version == 1:
            name += -name % 8
            values += values % 2
        at += name + 4 * values
        numbers.append(number)
    return numbers


class Stored(NamedTuple):
    """The values of an array in a file."""

    source: Source
    name: str
    layout: Layout
    shape: tuple[int, ...]
    item: int
    """Bytes of a value."""
    filters: Sequence[int]

    @property
    def size(self) -> int:
        """Number of bytes that are stored; the smallest possible where it is not known."""
        if self.layout.kind != CHUNKED:
            return self.layout.size
        if not self._is_indexed:
            return -(-prod(self.shape) * self.item // MOST_EXPANSION)
        return sum(chunk.size for chunk in self._chunks())

    @property
    def most(self) -> int:
        """Largest number of bytes that the values may have."""
        return most_bytes(self.size) if self.layout.kind == CHUNKED else self.size

    def values(self, dtype: str) -> Any:
        """Return the values as a NumPy array.

        Raises:
            UsageError: They are not all in the file, or stored in a way that is not read.
        """
        try:
            array = np.zeros(self.shape, dtype)
        except ValueError:  # NumPy bounds the extents that are beside one of 0
            self.source.refuse(f"{self.name} has extents that no array has")
        flat = array.reshape(-1).view("u1")
        place = self.layout
        if place.kind == COMPACT:
            flat[:] = np.frombuffer(place.data, "u1")[: flat.size]
        elif place.kind == WHOLE and flat.size:
            flat[:] = np.frombuffer(self.source.read_directly(place.at, flat.size), "u1")
        elif place.kind == CHUNKED:
            self._read_chunks(np, array)
        return array

    @property
    def _is_indexed(self) -> bool:
        return self.layout.index_kind in (_TREE, _ONE, _IMPLICIT)

    @property
    def _chunk_bytes(self) -> int:
        return prod(self.layout.chunk) * self.item

    def _chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that are stored."""
        place, source = self.layout, self.source
        rank = len(self.shape)
        if len(place.chunk) != rank or not all(place.chunk):
            source.refuse(f"{self.name} has chunks of other axes than its own")
        if place.at == UNDEFINED:
            return
        if place.index_kind == _TREE:
            for key, at in leaves(source, place.at, 1, 16 + 8 * rank):
                size = int.from_bytes(key[:4], "little")
                yield Chunk(unpack_from(f"<{rank}Q", key, 8), at, size)
        elif place.index_kind == _ONE:
            yield Chunk((0,) * rank, place.at, place.size or self._chunk_bytes)
        else:
            pairs = zip(self.shape, place.chunk, strict=True)
            steps = [range(0, extent, step) for extent, step in pairs]
            whole = self._chunk_bytes
            if prod(map(len, steps)) * whole > source.size:
                source.refuse(f"{self.name} has more chunks than are stored")
            for number, offsets in enumerate(product(*steps)):
                yield Chunk(offsets, place.at + number * whole, whole)

    def _read_chunks(self, np: Any, array: Any) -> None:
        if not self._is_indexed or not set(self.filters) <= _FILTERS:
            raise UsageError(
                f"{self.name} of {self.source.path} is compressed, or cut into chunks, in a way "
                "that archspec does not read; save the model again with Keras"
            )
        for chunk in self._chunks():
            flat = np.frombuffer(self._bytes_of(np, chunk), array.dtype)
            part = flat.reshape(self.layout.chunk)
            bounds = list(zip(chunk.offsets, self.shape, self.layout.chunk, strict=True))
            if any(offset >= extent for offset, extent, _ in bounds):
                continue  # a chunk of an array that was made smaller
            target = tuple(slice(at, min(at + step, extent)) for at, extent, step in bounds)
            array[target] = part[tuple(slice(0, each.stop - each.start) for each in target)]

    def _bytes_of(self, np: Any, chunk: Chunk) -> Any:
        """Return the bytes of a chunk as they were before its filters."""
        source, whole = self.source, self._chunk_bytes
        if whole > most_bytes(chunk.size):
            source.refuse(f"a chunk of {self.name} declares {whole:,} bytes")
        data: Any = source.read_directly(chunk.at, chunk.size)
        for number in reversed(self.filters):
            if number == _CHECKSUM:
                data = data[:-4]
            elif number == _DEFLATE:
                try:
                    data = zlib.decompressobj().decompress(data, whole + 4)
                except zlib.error:
                    source.refuse(f"{self.name} is compressed otherwise than it says")
            elif len(data) % self.item == 0:
                data = np.frombuffer(data, "u1").reshape(self.item, -1).T.tobytes()
        if len(data) != whole:
            source.refuse(f"a chunk of {self.name} has other bytes than it declares")
        return data

"""Heaps of HDF5: of a group's names, of a file's texts, and of links and attributes."""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import Final

from archspec.imports.hdf5.source import UNDEFINED, Source
from archspec.imports.hdf5.trees import records, width_of

MOST_NAME: Final = 2**12
"""Bytes of a name."""

MOST_BLOCKS: Final = 100_000
"""Blocks of a heap; each next row of eight has twice the bytes."""

MOST_LEVELS: Final = 10
"""Tables of blocks inside each other."""

_LOCAL = Struct("<4sB3xQQQ")
_GLOBAL = Struct("<4sB3xQ")
_OBJECT = Struct("<HHIQ")
_FRACTAL = Struct("<4sBHHBIQQ80xHQQHHQH")
_HUGE = Struct("<QQQ")


def names(source: Source, at: int) -> bytes:
    """Return the heap of a group's names, in which each ends with a zero byte."""
    signature, _, size, _, place = _LOCAL.unpack(source.read(at, _LOCAL.size))
    if signature != b"HEAP":
        source.refuse("a group in its HDF5 has no names")
    return source.read(place, size)


def name_at(source: Source, heap: bytes, offset: int) -> bytes:
    """Return the name at an offset in a group's heap."""
    end = heap.find(b"\0", offset, offset + MOST_NAME + 1)
    if end < 0:
        source.refuse(f"a name in its HDF5 has no end, or more than {MOST_NAME:,} bytes")
    source.spend(end - offset)
    return heap[offset:end]


class GlobalHeap:
    """The texts of a file, in collections of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}

    def get(self, at: int, index: int) -> bytes:
        """Return the bytes of one text of the collection at an address."""
        if at not in self._collections:
            self._collections[at] = self._collection(at)
        place = self._collections[at].get(index)
        if place is None:
            self._source.refuse("a text in its HDF5 is missing")
        return self._source.read(*place)

    def _collection(self, at: int) -> dict[int, tuple[int, int]]:
        """Return the place of each text of a collection."""
        read = self._source.read
        signature, _, size = _GLOBAL.unpack(read(at, _GLOBAL.size))
        end = at + size
        if signature != b"GCOL" or end > self._source.size:
            self._source.refuse("its HDF5 has no texts where there should be some")
        at += _GLOBAL.size
        places: dict[int, tuple[int, int]] = {}
        while at + _OBJECT.size <= end:
            index, _, _, size = _OBJECT.unpack(read(at, _OBJECT.size))
            at += _OBJECT.size
            if not index:
                break
            if size > end - at:
                self._source.refuse("a text in its HDF5 ends early")
            places[index] = at, size
            at += size + -size % 8
        return places


class FractalHeap:
    """The links or attributes of an object that has many, or large ones."""

    def __init__(self, source: Source, at: int) -> None:
        self._source = source
        (
            signature, _, self._id, filters, _, most, _, huge,
            self._width, self._start, self._largest, bits, _, root, rows,
        ) = _FRACTAL.unpack(source.read(at, _FRACTAL.size))  # fmt: skip
        if signature != b"FRHP" or filters:
            source.refuse("a heap in its HDF5 is not as HDF5 writes it, or is compressed")
        if not _is_power(self._width, self._start, self._largest) or self._largest < self._start:
            source.refuse("a heap in its HDF5 has blocks of no size")
        self._offset = (bits + 7) // 8
        self._length = min(width_of(self._largest), width_of(most))
        self._direct_rows = _log2(self._largest) - _log2(self._start) + 2
        self._blocks: list[tuple[int, int, int]] = []
        """Offset in the heap, size and address of each block, in their order."""
        self._huge: dict[int, tuple[int, int]] = {}
        """Place of each object that has no room in a block."""
        if root != UNDEFINED and rows:
            self._add_table(root, rows, 0, 0)
        elif root != UNDEFINED:
            self._blocks.append((0, self._start, root))
        if huge != UNDEFINED:
            for record in records(source, huge, 1, _HUGE.size):
                place, size, number = _HUGE.unpack(record)
                self._huge[number] = place, size
        self._starts = [block[0] for block in self._blocks]

    def get(self, identity: bytes) -> bytes:
        """Return the object that an identifier stands for."""
        kind = identity[0] >> 4 & 3
        if kind == 2:
            return identity[1 : 2 + (identity[0] & 15)]
        if kind == 1:
            place = self._huge.get(int.from_bytes(identity[1 : self._id], "little"))
            return self._source.read(*place) if place else self._missing()
        middle = 1 + self._offset
        offset = int.from_bytes(identity[1:middle], "little")
        count = int.from_bytes(identity[middle : middle + self._length], "little")
        number = bisect_right(self._starts, offset) - 1
        if kind or number < 0:
            return self._missing()
        start, size, at = self._blocks[number]
        if offset + count > start + size:
            return self._missing()
        return self._source.read(at + offset - start, count)

    def _missing(self) -> bytes:
        self._source.refuse("a heap in its HDF5 lacks what an object refers to")

    def _add_table(self, at: int, rows: int, offset: int, level: int) -> None:
        """Add the blocks of a table of `rows` rows, which begins at an offset in the heap."""
        source = self._source
        if level > MOST_LEVELS or rows > 64:
            source.refuse("a heap in its HDF5 has no end")
        head = source.read(at, 4)
        if head != b"FHIB":
            source.refuse("a heap in its HDF5 lacks a table")
        count = rows * self._width
        children = source.read(at + 13 + self._offset, 8 * count)
        for index in range(count):
            row = index // self._width
            size = self._start << max(row - 1, 0)
            child = int.from_bytes(children[8 * index : 8 * index + 8], "little")
            if child != UNDEFINED:
                if len(self._blocks) > MOST_BLOCKS:
                    source.refuse(f"a heap in its HDF5 has more than {MOST_BLOCKS:,} blocks")
                if row < self._direct_rows:
                    self._blocks.append((offset, size, child))
                else:
                    inner = _log2(size) - _log2(self._start * self._width) + 1
                    self._add_table(child, inner, offset, level + 1)
            offset += size


def _is_power(*numbers: int) -> bool:
    return all(number and not number & (number - 1) for number in numbers)


def _log2(number: int) -> int:
    return number.bit_length() - 1

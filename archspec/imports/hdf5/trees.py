"""B-trees of HDF5, both versions: their leaves in order, each node once."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from archspec.imports.hdf5.source import UNDEFINED, Source

_NODE = Struct("<4sBBHQQ")
_HEADER = Struct("<4sBBIHHBBQHQ")
_PREFIX = 10
"""Bytes of a node of version 2 beside its records: signature, version, type and checksum."""


def leaves(source: Source, at: int, type_: int, key_size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the key and the address of each entry of a tree of version 1.

    Args:
        source: The file.
        at: Address of the root.
        type_: 0 for the tree of a group, 1 for that of an array's chunks.
        key_size: Bytes of a key.
    """
    return _leaves(source, at, type_, key_size, None, set())


def _leaves(
    source: Source, at: int, type_: int, key_size: int, level: int | None, places: set[int]
) -> Iterator[tuple[bytes, int]]:
    signature, kind, own, used, _, _ = _NODE.unpack(source.read(at, _NODE.size))
    if (signature, kind) != (b"TREE", type_) or level not in (None, own) or at in places:
        source.refuse(BAD_TREE)
    places.add(at)
    entry = key_size + 8
    entries = source.read(at + _NODE.size, used * entry)
    for start in range(0, used * entry, entry):
        key = entries[start : start + key_size]
        child = int.from_bytes(entries[start + key_size : start + entry], "little")
        if own:
            yield from _leaves(source, child, type_, key_size, own - 1, places)
        else:
            yield key, child


BAD_TREE = "a tree in its HDF5 is not as HDF5 writes it"


def records(source: Source, at: int, type_: int, size: int) -> Iterator[bytes]:
    """Yield the records of a tree of version 2.

    Args:
        source: The file.
        at: Address of the tree's header.
        type_: Number of the kind of records.
        size: Bytes of a record.
    """
    header = _HEADER.unpack(source.read(at, _HEADER.size))
    signature, _, kind, node, record, depth, _, _, root, count, _ = header
    if (signature, kind, record) != (b"BTHD", type_, size) or depth > _MOST_DEPTH:
        source.refuse(BAD_TREE)
    if root != UNDEFINED and count:
        yield from _Tree(source, node, size, depth).records(root, count, depth)


_MOST_DEPTH = 16


class _Level(NamedTuple):
    """Sizes of the nodes of a level."""

    most: int
    """Largest number of records in a node and all below it."""
    pointer: int
    """Bytes of a reference to a node of the level below."""


class _Tree:
    """The nodes of a tree of version 2."""

    def __init__(self, source: Source, node: int, record: int, depth: int) -> None:
        self._source = source
        self._record = record
        self._places: set[int] = set()
        own = (node - _PREFIX) // record
        if own <= 0:
            source.refuse(BAD_TREE)
        self._width = width_of(own)
        """Bytes of the number of records of a node."""
        self._levels = [_Level(own, 0)]
        for level in range(depth):
            most = self._levels[-1].most
            pointer = 8 + self._width + (width_of(most) if level else 0)
            own = (node - _PREFIX - pointer) // (record + pointer)
            if own <= 0:
                source.refuse(BAD_TREE)
            self._levels.append(_Level((own + 1) * most + own, pointer))

    def records(self, at: int, count: int, depth: int) -> Iterator[bytes]:
        """Yield the records of a node and of those below it, in order."""
        size, pointer = self._record, self._levels[depth].pointer
        if at in self._places:
            self._source.refuse(BAD_TREE)
        self._places.add(at)
        data = self._source.read(at, 6 + count * size + (count + 1) * pointer)
        if data[:4] != (b"BTIN" if depth else b"BTLF"):
            self._source.refuse(BAD_TREE)
        child = 6 + count * size
        for index in range(count + 1):
            if depth:
                place = int.from_bytes(data[child : child + 8], "little")
                number = int.from_bytes(data[child + 8 : child + 8 + self._width], "little")
                yield from self.records(place, number, depth - 1)
                child += pointer
            if index < count:
                yield data[6 + index * size : 6 + (index + 1) * size]


def width_of(number: int) -> int:
    """Return the bytes that a number up to this one needs, as HDF5 counts them."""
    return max(number.bit_length() - 1, 0) // 8 + 1

"""TensorFlow's checkpoints: the arrays of a SavedModel, read without TensorFlow.

`variables.index` is a table of LevelDB's (`doc/table_format.md` there), uncompressed: of each array
its type, shape, place and check sum as a protocol buffer (`tensor_bundle.proto` of TensorFlow). The
arrays are bytes of `variables.data-00000-of-00001`, behind each other.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.imports.arrays import item_size, numbers_in
from archspec.imports.checksum import masked_crc
from archspec.imports.limits import open_file, read_all, refuse
from archspec.imports.protobuf import Reader, Schemas
from archspec.imports.tensorflow.graphs import DTYPES

MOST_INDEX: Final = 2**26
"""Bytes of an index; each array takes about a hundred."""

MOST_ARRAYS: Final = 1_000_000
"""Arrays of a checkpoint."""

_MAGIC: Final = 0xDB4775248B80FB57
"""The last eight bytes of a table of LevelDB's."""

_FOOTER: Final = 48
"""Bytes of a table's end."""

_SCHEMAS: Final[Schemas] = {
    "Header": {1: ("num_shards", "int"), 2: ("endianness", "int")},
    "Entry": {
        1: ("dtype", "int"),
        2: ("shape", "Shape"),
        3: ("shard_id", "int"),
        4: ("offset", "int"),
        5: ("size", "int"),
        6: ("crc32c", "fixed32"),
        7: ("slices", "spans"),
    },
    "Shape": {2: ("dim", "Dimension*")},
    "Dimension": {1: ("size", "int")},
}


class Entry(NamedTuple):
    """An array of a checkpoint."""

    dtype: str
    """NumPy's name of its type; empty for one that is not of numbers."""
    shape: tuple[int, ...]
    shard: int
    """Number of the file that has it."""
    offset: int
    size: int
    """Number of its bytes."""
    crc: int
    """Their check sum."""
    is_sliced: bool
    """Whether the array is stored in several pieces."""


class Checkpoint:
    """The arrays of a checkpoint by their keys: shapes first, values when they are asked for."""

    def __init__(self, prefix: Path) -> None:
        """Read the index.

        Args:
            prefix: The path of its files up to `.index`.

        Raises:
            UsageError: There is no index, or it is damaged.
        """
        self.prefix = prefix
        path = prefix.with_name(f"{prefix.name}.index")
        self.path = path
        data = read_all(path, MOST_INDEX, "the index of a checkpoint")
        try:
            rows = list(_rows(data, path))
        except (IndexError, struct.error):
            refuse(path, "its table ends in the middle of an entry")
        header = Reader(rows[0][1] if rows and not rows[0][0] else b"", _SCHEMAS, path)
        fields = header.message("Header")
        self.shards = fields.get("num_shards", 0)
        if not rows or rows[0][0] or not 1 <= self.shards <= MOST_ARRAYS:
            refuse(path, "its table does not begin with that of a checkpoint")
        if fields.get("endianness", 0):
            raise UsageError(f"{path} has numbers whose highest byte is the first: not read")
        self.entries = {key: self._entry(value) for key, value in rows[1:]}

    def _entry(self, value: bytes) -> Entry:
        fields = Reader(value, _SCHEMAS, self.path).message("Entry")
        return Entry(
            DTYPES.get(fields.get("dtype", 0), ""),
            tuple(each.get("size", 0) for each in fields.get("shape", {}).get("dim", [])),
            fields.get("shard_id", 0),
            fields.get("offset", 0),
            fields.get("size", 0),
            fields.get("crc32c", 0),
            bool(fields.get("slices")),
        )

    def values(self, key: str) -> Any:
        """Return an array.

        Raises:
            UsageError: There is none of this key, or its bytes are damaged.
        """
        entry = self.entries.get(key)
        if entry is None:
            refuse(self.path, f"it has no array `{key[:80]}`")
        if entry.is_sliced or not entry.dtype:
            raise UsageError(f"{self.path}: the array `{key[:80]}` is in pieces, or not of numbers")
        size = prod(entry.shape) * item_size(entry.dtype)
        if any(n < 0 for n in entry.shape) or size != entry.size:
            refuse(self.path, f"the array `{key[:80]}` has another size than its shape")
        data = self._bytes(entry, key)
        if masked_crc(data) != entry.crc:
            refuse(self.path, f"the check sum of `{key[:80]}` is not that of its bytes")
        return numbers_in(data, entry.dtype).reshape(entry.shape)

    def _bytes(self, entry: Entry, key: str) -> bytes:
        name = f"{self.prefix.name}.data-{entry.shard:05d}-of-{self.shards:05d}"
        path = self.prefix.with_name(name)
        with open_file(path) as file:
            stored = os.fstat(file.fileno()).st_size
            if not 0 <= entry.offset <= stored - entry.size:
                refuse(path, f"it ends before the array `{key[:80]}`, so it is cut")
            file.seek(entry.offset)
            return file.read(entry.size)


def _rows(data: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and values of a table, in order."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        refuse(path, "it does not end as a checkpoint's index does")
    footer = data[-_FOOTER:]
    at = 0
    handle = []
    for _ in range(4):  # of the index of other tables, then of the index of blocks
        number, at = _varint(footer, at)
        handle.append(number)
    read = partial(_block, data, path)
    count = 0
    for _, place in read(*handle[2:]):
        start, at = _varint(place, 0)
        size, _ = _varint(place, at)
        for key, value in read(start, size):
            count += 1
            if count > MOST_ARRAYS:
                refuse(path, f"it has more than {MOST_ARRAYS:,} arrays")
            yield key.decode("utf-8", "replace"), value


def _block(data: bytes, path: Path, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block: keys share their beginnings with those before them."""
    stop = start + size
    if not 4 <= size <= len(data) - start - 5:
        refuse(path, "a block of its table is outside of it")
    if masked_crc(data[start : stop + 1]) != struct.unpack("<I", data[stop + 1 : stop + 5])[0]:
        refuse(path, "the check sum of a block is not that of its bytes")
    if data[stop]:
        raise UsageError(f"{path} is compressed, which TensorFlow's checkpoints are not")
    block = data[start:stop]
    end = size - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            refuse(path, "an entry of its table is longer than its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a whole number whose bytes have seven bits each, and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128 or shift > 63:
            return value, at
        shift += 7

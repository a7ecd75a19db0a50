"""Types and extents of the values in an HDF5 file."""

from __future__ import annotations

from math import prod
from struct import Struct, unpack_from
from typing import Any, Final, NamedTuple

from archspec.imports.hdf5.heaps import GlobalHeap
from archspec.imports.hdf5.source import Source

MOST_AXES: Final = 32
"""Largest number of axes that HDF5 allows."""

MOST_BYTES: Final = 2**28
"""Bytes of a value; a text of fixed length may be a network's configuration."""

TEXT: Final = "O"
"""NumPy's name of texts that each have a length of their own."""

NAMES: Final = (
    "integers", "floats", "times", "strings", "bits", "bytes", "records", "references", "names",
    "lists", "arrays",
)  # fmt: skip
"""Names of the classes of types, by their numbers."""

_INTEGER, _FLOAT, _STRING, _OPAQUE, _ENUM, _LIST = 0, 1, 3, 5, 8, 9

_FLOATS: Final = {(2, 5, 10): "f2", (4, 8, 23): "f4", (8, 11, 52): "f8", (2, 8, 7): "V2"}
"""NumPy's names by bytes, and bits of the exponent and of the mantissa; bfloat16 has none."""

_FORMATS: Final = {
    "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d", "b1": "?",
}  # fmt: skip
"""Formats of `struct` by NumPy's names."""

_REFERENCE = Struct("<IQI")
_ATTRIBUTE = Struct("<BBHHH")


class Datatype(NamedTuple):
    """The type of a value."""

    size: int
    """Bytes of a value where it stands; of a text, those of the reference to it."""
    dtype: str
    """NumPy's name, such as `<f4`; empty for types that are not read."""
    kind: str
    """The kind of values, for messages: `floats`."""


def datatype(data: bytes) -> Datatype:
    """Return the type that a message describes.

    Raises:
        IndexError: The message ends early.
        ValueError: Values have no bytes, or too many.
    """
    class_, size = data[0] & 15, int.from_bytes(data[4:8], "little")
    if not 0 < size <= MOST_BYTES:
        raise ValueError("values without bytes, or of too many")
    kind = NAMES[class_] if class_ < len(NAMES) else f"type {class_}"
    order = ">" if data[1] & 1 else "<"
    name = ""
    if class_ == _INTEGER and size in (1, 2, 4, 8):
        offset, bits = int.from_bytes(data[8:10], "little"), int.from_bytes(data[10:12], "little")
        if (offset, bits) == (0, 8 * size):
            name = f"{order if size > 1 else '|'}{'i' if data[1] & 8 else 'u'}{size}"
    elif class_ == _FLOAT:
        plain = _FLOATS.get((size, data[13], data[15]), "")
        name = f"{'|' if plain == 'V2' else order}{plain}" if plain else ""
    elif class_ == _STRING:
        name = f"|S{size}"
    elif class_ == _OPAQUE:
        name = f"|V{size}"
    elif class_ == _ENUM:
        # What h5py writes for booleans.
        is_bool = size == 1 and b"FALSE\0" in data and b"TRUE\0" in data
        name = "|b1" if is_bool else datatype(data[8:]).dtype if data[8] & 15 == _INTEGER else ""
    elif class_ == _LIST and data[1] & 15 == 1:
        kind, name = "texts", TEXT
    return Datatype(size, name, kind)


def dataspace(data: bytes) -> tuple[int, ...] | None:
    """Return the extents that a message describes; None if there are no values at all.

    Raises:
        IndexError: The message ends early.
        ValueError: It describes none that HDF5 allows.
    """
    version, rank, kind = data[0], data[1], data[3]
    if version not in (1, 2) or rank > MOST_AXES:
        raise ValueError("no extents")
    if version == 2 and kind == 2:
        return None
    start = 8 if version == 1 else 4
    if len(data) < start + 8 * rank:
        raise IndexError("the message ends early")
    return unpack_from(f"<{rank}Q", data, start)


class Attribute(NamedTuple):
    """An attribute, whose value is not read yet."""

    name: str
    type: Datatype
    shape: tuple[int, ...] | None
    data: bytes

    def value(self, source: Source, heap: GlobalHeap) -> Any:
        """Return the value: an integer, a float, a truth value, a text or bytes; or a list.

        A list has no lists in it, whatever axes the attribute has. None stands for no values, and
        for a type that is not read.

        Raises:
            DamagedModelError: The values are not all in the file.
        """
        size, dtype, _ = self.type
        if self.shape is None or not dtype:
            return None
        count = prod(self.shape)
        if count * size > len(self.data):
            source.refuse(f"its attribute {self.name!r:.100} ends early")
        if dtype == TEXT:
            values: list[Any] = [_text(self.data, at, heap) for at in range(0, count * size, size)]
        elif dtype[1] in "SV":
            pieces = (self.data[at : at + size] for at in range(0, count * size, size))
            values = [piece.rstrip(b"\0") for piece in pieces]
        else:
            order = dtype[0].replace("|", "<")
            values = list(unpack_from(f"{order}{count}{_FORMATS[dtype[1:]]}", self.data))
        return values if self.shape else values[0]


def attribute(data: bytes) -> Attribute:
    """Return the attribute that a message describes.

    Raises:
        IndexError: The message ends early.
        ValueError: Its type or its extents are none.
    """
    version, flags, *sizes = _ATTRIBUTE.unpack_from(data)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise ValueError("an attribute of another version, or with a shared type")
    at = _ATTRIBUTE.size + (version == 3)
    parts = []
    for size in sizes:
        parts.append(data[at : at + size])
        at += size + (-size % 8 if version == 1 else 0)
    name, type_, shape = parts
    return Attribute(
        name.partition(b"\0")[0].decode(errors="replace"),
        datatype(type_),
        dataspace(shape),
        data[at:],
    )


def _text(data: bytes, at: int, heap: GlobalHeap) -> str:
    """Return the text that a reference is to."""
    length, place, index = _REFERENCE.unpack_from(data, at)
    if not length:
        return ""
    return heap.get(place, index)[:length].partition(b"\0")[0].decode(errors="replace")

"""The header of an HDF5 object: the messages that say what it is."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from archspec.imports.hdf5.source import Source

DATASPACE: Final = 0x01
LINK_INFO: Final = 0x02
DATATYPE: Final = 0x03
LINK: Final = 0x06
EXTERNAL_FILES: Final = 0x07
LAYOUT: Final = 0x08
FILTERS: Final = 0x0B
ATTRIBUTE: Final = 0x0C
CONTINUATION: Final = 0x10
SYMBOL_TABLE: Final = 0x11
ATTRIBUTE_INFO: Final = 0x15

READ: Final = frozenset({
    DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE,
    SYMBOL_TABLE, ATTRIBUTE_INFO,
})  # fmt: skip
"""Types of messages that are read; others say when an object was made, or what fills it."""

SHARED: Final = 2
"""Bit of a message that stands elsewhere."""

MOST_CHUNKS: Final = 10_000
"""Largest number of pieces of a header; HDF5 adds one when the last is full."""

_PREFIX_1 = Struct("<BxHII")
_MESSAGE_1 = Struct("<HHB3x")
_MESSAGE_2 = Struct("<BHB")
_PLACE = Struct("<QQ")


class Message(NamedTuple):
    """A message of a header."""

    type: int
    data: bytes


def messages(source: Source, at: int) -> list[Message]:
    """Return the messages of the object at an address, in the file's order.

    Raises:
        DamagedModelError: There is no object, or a message stands in another object.
    """
    start = source.read(at, 16)
    if start[:4] == b"OHDR":
        return list(_messages_2(source, at, start))
    version, _, _, size = _PREFIX_1.unpack_from(start)
    if version != 1:
        source.refuse("its HDF5 has no object where there should be one")
    return list(_messages(source, source.read(at + 16, size), _MESSAGE_1, 8, at))


def _messages_2(source: Source, at: int, start: bytes) -> Iterator[Message]:
    """Yield the messages of a header of version 2."""
    if start[4] != 2:
        source.refuse(f"its HDF5 has an object of version {start[4]}")
    flags = start[5]
    prefix = 6 + 16 * (flags >> 5 & 1) + 4 * (flags >> 4 & 1)
    width = 1 << (flags & 3)
    size = int.from_bytes(source.read(at + prefix, width), "little")
    first = source.read(at + prefix + width, size)
    yield from _messages(source, first, _MESSAGE_2, 4 + 2 * (flags >> 2 & 1), at)


def _messages(source: Source, chunk: bytes, form: Struct, width: int, at: int) -> Iterator[Message]:
    """Yield the messages of a header that begins with `chunk`; each has `width` bytes before it."""
    waiting = [chunk]
    places = {at}
    while waiting:
        chunk = waiting.pop(0)
        at = 0
        while at + width <= len(chunk):
            type_, size, flags = form.unpack_from(chunk, at)
            data = chunk[at + width : at + width + size]
            if len(data) < size:
                source.refuse("a header in its HDF5 ends early")
            at += width + size
            if type_ == CONTINUATION and size >= _PLACE.size:
                place, count = _PLACE.unpack_from(data)
                if place in places or len(places) > MOST_CHUNKS:
                    source.refuse("a header in its HDF5 has no end")
                places.add(place)
                piece = source.read(place, count)
                waiting.append(piece if form is _MESSAGE_1 else piece[4:-4])
            elif type_ in READ:
                if flags & SHARED:
                    source.refuse("objects in its HDF5 share parts, which Keras's never do")
                yield Message(type_, data)

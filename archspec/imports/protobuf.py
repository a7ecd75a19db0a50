"""Protobuf's wire format, read without its library: fields by number, from a table, in bounds.

    schemas = {"Model": {2: ("producer_name", "text"), 7: ("graph", "Graph")}, "Graph": {...}}
    Reader(data, schemas, "net.onnx").message("Model")["graph"]

Fields that the table does not have are skipped unread, and so are the bytes of arrays, of which
only the place is told: reading the structure of a file of gigabytes touches kilobytes of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol, TypeAlias

from archspec.errors import UsageError

MOST_FIELDS: Final = 5_000_000
"""Largest number of fields that are read of a file; 50,000 layers have about a million."""

MOST_DEPTH: Final = 60
"""Largest number of messages inside each other; a graph inside a graph adds three."""

MOST_TEXT: Final = 2**20
"""Largest number of bytes of a text."""

Schemas: TypeAlias = Mapping[str, Mapping[int, tuple[str, str]]]
"""The fields of each message by number: a name, and a kind.

A kind is `int`, `float`, `double`, `fixed32`, `text`, `bytes`, or another message's name; with `*`
after it the field is a list. `spans` is a list of places, for arrays that are read later or never.
"""


class Span(NamedTuple):
    """The place of bytes in a file."""

    start: int
    stop: int


class Buffer(Protocol):
    """Bytes, or a file mapped into memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Any: ...


class Reader:
    """Reads messages from a buffer, and counts what it reads."""

    def __init__(self, data: Buffer, schemas: Schemas, path: object) -> None:
        self.data = data
        self.schemas = schemas
        self.path = path
        """The file, for messages of errors."""
        self._fields = 0

    def message(self, kind: str, span: Span | None = None) -> dict[str, Any]:
        """Return the fields of a message by name; by default of the one that is the whole file.

        Raises:
            UsageError: The bytes are not such a message, or exceed a limit.
        """
        try:
            return self._message(kind, *(span or Span(0, len(self.data))), 0)
        except (IndexError, struct.error):
            self._refuse("it ends in the middle of a field")

    def _message(self, kind: str, at: int, stop: int, depth: int) -> dict[str, Any]:
        if depth > MOST_DEPTH:
            self._refuse(f"more than {MOST_DEPTH} messages are inside each other")
        schema = self.schemas[kind]
        fields: dict[str, Any] = {}
        for number, wire, start, end, value in self._raw(at, stop):
            if number not in schema:
                continue
            name, what = schema[number]
            if what == "spans":
                fields.setdefault(name, []).append(Span(start, end))
                continue
            single = what.removesuffix("*")
            if wire == 2 and single in _SCALARS:  # a list of numbers in one piece
                if single is what:
                    self._refuse(f"`{name}` is not as it should be")
                values = list(self.numbers(single, [Span(start, end)]))
                fields.setdefault(name, []).extend(values)
                continue
            if single in _SCALARS:
                read: Any = _signed(value) if single == "int" else self._number(single, start, end)
            elif wire != 2:
                self._refuse(f"`{name}` is not as it should be")
            elif single == "text":
                read = self._bytes(name, start, end).decode("utf-8", "replace")
            elif single == "bytes":
                read = self._bytes(name, start, end)
            else:
                read = self._message(single, start, end, depth + 1)
            if single is what:
                fields[name] = read
            else:
                fields.setdefault(name, []).append(read)
        return fields

    def numbers(self, kind: str, spans: Sequence[Span]) -> Iterator[Any]:
        """Yield the numbers of a list whose pieces stand at `spans`."""
        for start, stop in spans:
            if kind == "int":
                at = start
                while at < stop:
                    value, at = self._varint(at, stop)
                    self._count()
                    yield _signed(value)
            else:
                letter, size = _SCALARS[kind]
                if (stop - start) % size:
                    self._refuse("it ends in the middle of a number")
                for at in range(start, stop, size):
                    self._count()
                    yield struct.unpack(letter, self.data[at : at + size])[0]

    def _raw(self, at: int, stop: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield number, wire type and place of each field, and its value if that is a varint."""
        data = self.data
        while at < stop:
            self._count()
            # Nearly all keys and lengths have one byte: no call for them.
            key = data[at]
            at += 1
            if key > 127:
                key, at = self._varint(at - 1, stop)
            number, wire = key >> 3, key & 7
            value = 0
            start = at
            if wire == 0:
                value, at = self._varint(at, stop)
            elif wire == 2:
                if at < stop and (length := data[at]) < 128:
                    start += 1
                else:
                    length, start = self._varint(at, stop)
                at = start + length
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                self._refuse(f"it has a field of an unknown type, {wire}")
            if at > stop or not number:
                self._refuse("it ends in the middle of a field")
            yield number, wire, start, at, value

    def _varint(self, at: int, stop: int) -> tuple[int, int]:
        data = self.data
        value = shift = 0
        while at < stop:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & _MASK, at
            shift += 7
            if shift > 63:
                break
        self._refuse("it ends in the middle of a number")
        return None

    def _number(self, kind: str, start: int, end: int) -> float:
        letter, size = _SCALARS[kind]
        if end - start != size:
            self._refuse("a number has another type than it should")
        number: float = struct.unpack(letter, self.data[start:end])[0]
        return shortest(number) if kind == "float" else number

    def _bytes(self, name: str, start: int, end: int) -> bytes:
        if end - start > MOST_TEXT:
            self._refuse(f"`{name}` has {end - start:,} bytes, more than {MOST_TEXT:,}")
        return bytes(self.data[start:end])

    def _count(self) -> None:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            self._refuse(f"it has more than {MOST_FIELDS:,} fields")

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self.path} cannot be read: {why}; it is damaged, or something else")


_MASK: Final = 2**64 - 1
_LARGEST: Final = 3.4028234663852886e38
"""Largest number of 32 bits."""

_SCALARS: Final = {
    "int": ("", 0),
    "float": ("<f", 4),
    "double": ("<d", 8),
    "fixed32": ("<I", 4),
}


def shortest(number: float) -> float:
    """Return the number with the fewest digits that is this one in 32 bits: 1e-5, as it was set."""
    for digits in range(1, 9):
        short = float(f"{number:.{digits}g}")
        if abs(short) <= _LARGEST and struct.pack("<f", short) == struct.pack("<f", number):
            return short
    return number


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value

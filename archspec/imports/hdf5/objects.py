"""Groups and arrays of an HDF5 file, with h5py's methods as far as readers of models need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from math import prod
from struct import Struct, error
from typing import IO, Any, Final, NoReturn, TypeVar

from archspec.imports.hdf5 import header
from archspec.imports.hdf5.arrays import VIRTUAL, Layout, Stored, filters, layout
from archspec.imports.hdf5.datatype import TEXT, Attribute, Datatype, attribute, dataspace, datatype
from archspec.imports.hdf5.header import Message, messages
from archspec.imports.hdf5.heaps import FractalHeap, GlobalHeap, name_at, names
from archspec.imports.hdf5.source import UNDEFINED, Source
from archspec.imports.hdf5.trees import leaves, records
from archspec.imports.limits import MOST_GROUPS, MOST_OBJECTS

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"

_SYMBOLS = Struct("<4sBxH")
_SYMBOL = Struct("<QQI4x16x")
_PLACES = Struct("<QQ")
_SOFT = 2
"""Mark of a symbol that is a link to somewhere else."""
_NAME_BY_HASH, _ATTRIBUTE_BY_HASH = 5, 8
"""Kinds of trees, of links and of attributes."""

T = TypeVar("T")


def open_hdf5(stream: IO[bytes] | Any, size: int, path: object) -> Group:
    """Return the root of an HDF5 file.

    Args:
        stream: The file's bytes, which must stay open as long as objects are read.
        size: Number of bytes.
        path: The file, for messages.

    Raises:
        DamagedModelError: It is not HDF5, or of a kind that h5py does not write.
    """
    source = Source(stream, size, path)
    if size < 96 or not (start := source.read(0, 96)).startswith(SIGNATURE):
        source.refuse("its HDF5 has no beginning")
    version = start[8]
    sizes, base, root = {
        0: (start[13:15], 24, 64),
        1: (start[13:15], 28, 68),
        2: (start[9:11], 12, 36),
        3: (start[9:11], 12, 36),
    }.get(version, (b"", 0, 0))
    if sizes != b"\x08\x08" or any(start[base : base + 8]):
        source.refuse(f"its HDF5 is of version {version} with addresses that h5py does not write")
    at = int.from_bytes(start[root : root + 8], "little")
    return Group(_File(source, at), at, "/")


class _File:
    """State that the objects of a file share: its bytes, texts and headers."""

    def __init__(self, source: Source, root: int) -> None:
        self.source = source
        self.root = root
        """Address of the root."""
        self.heap = GlobalHeap(source)
        self.links: dict[int, dict[str, int]] = {}
        """Members' addresses by name, of each group that was read, by its address."""
        self._headers: dict[int, list[Message]] = {}

    def header(self, at: int) -> list[Message]:
        """Return the messages of the object at an address."""
        found = self._headers.get(at)
        if found is None:
            found = self._headers[at] = messages(self.source, at)
        return found

    def parsed(self, parse: Callable[[bytes], T], data: bytes) -> T:
        """Return what a message says; refuse the file if the message is not as it should be."""
        try:
            return parse(data)
        except (IndexError, ValueError, error):
            self.source.refuse("an object in its HDF5 is not as h5py writes it")


class _Object:
    """A group or an array."""

    def __init__(self, file: _File, at: int, name: str) -> None:
        self._file = file
        self.address = at
        """Address of its header."""
        self.name = name
        """Its place in the file, such as `/model_weights/conv1`."""

    def refuse(self, problem: str) -> NoReturn:
        """Refuse the file because of what this object holds.

        Raises:
            DamagedModelError: Always.
        """
        self._file.source.refuse(problem)

    @property
    def file(self) -> Group:
        """The root of the file."""
        return Group(self._file, self._file.root, "/")

    @cached_property
    def attrs(self) -> Attributes:
        """The attributes."""
        return Attributes(self._file, self._messages(header.ATTRIBUTE), self._dense_attributes())

    def _messages(self, type_: int) -> list[bytes]:
        return [data for kind, data in self._file.header(self.address) if kind == type_]

    def _message(self, type_: int) -> bytes:
        """Return the one message of a type."""
        found = self._messages(type_)
        if len(found) != 1:
            self._file.source.refuse(f"{self.name[1:] or 'its root'} is not as h5py writes it")
        return found[0]

    def _dense_attributes(self) -> Iterator[bytes]:
        """Yield the messages of attributes that stand in a heap, as many or large ones do."""
        source = self._file.source
        for info in self._messages(header.ATTRIBUTE_INFO):
            start = 4 if self._is_ordered(info) else 2
            for record, heap in self._dense(info, start, _ATTRIBUTE_BY_HASH, 17):
                if record[8] & header.SHARED:
                    source.refuse("objects in its HDF5 share parts, which Keras's never do")
                yield heap.get(record[:8])

    def _is_ordered(self, info: bytes) -> bool:
        """Whether a message says that members or attributes are numbered as they were made."""
        return bool(self._file.parsed(lambda data: data[1] & 1, info))

    def _dense(
        self, info: bytes, start: int, type_: int, size: int
    ) -> Iterator[tuple[bytes, FractalHeap]]:
        """Yield the records of a tree and the heap that they refer to, if a message has them."""
        heap, tree = self._file.parsed(lambda data: _PLACES.unpack_from(data, start), info)
        if heap != UNDEFINED:
            fractal = FractalHeap(self._file.source, heap)
            for record in records(self._file.source, tree, type_, size):
                yield record, fractal


class Attributes(Mapping[str, Any]):
    """The attributes of an object: integers, floats, truth values, texts, bytes, or lists of them.

    A list has no lists in it. None stands for no values, and for a type that is not read.
    """

    def __init__(self, file: _File, *parts: Any) -> None:
        self._file = file
        listed = [file.parsed(attribute, data) for part in parts for data in part]
        self._attributes: dict[str, Attribute] = {each.name: each for each in listed}

    def __getitem__(self, name: str) -> Any:
        return self._attributes[name].value(self._file.source, self._file.heap)

    def __contains__(self, name: object) -> bool:
        return name in self._attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)


class Group(_Object, Mapping[str, "Group | Dataset"]):
    """A group: its members by name, or by a path of names."""

    def __getitem__(self, path: str) -> Group | Dataset:
        node: Group | Dataset = self.file if path.startswith("/") else self
        for name in path.split("/"):
            if name:
                if isinstance(node, Dataset):
                    raise KeyError(path)
                node = node.member(name)
        return node

    def member(self, name: str) -> Group | Dataset:
        """Return the member of a name; raise `KeyError` if there is none."""
        at = self._links[name]
        place = f"{self.name.rstrip('/')}/{name}"
        is_array = any(kind == header.LAYOUT for kind, _ in self._file.header(at))
        return Dataset(self._file, at, place) if is_array else Group(self._file, at, place)

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array of the group, at any depth, by its path.

        An array with several names is listed once.

        Raises:
            DamagedModelError: An array does not stand in the file as it declares, or a link leads
                out of the file.
        """
        source = self._file.source
        shapes: dict[str, tuple[int, ...]] = {}
        places: set[int] = set()
        waiting: list[tuple[str, Group | Dataset]] = [("", self)]
        count = stored = 0
        while waiting:
            path, item = waiting.pop()
            if item.address in places:
                continue
            places.add(item.address)
            if isinstance(item, Dataset):
                shapes[path] = item.shape
                stored += item.checked_size()
                continue
            count += len(item)
            if count > MOST_OBJECTS:
                source.refuse(f"it holds more than {MOST_OBJECTS:,} objects")
            if item and path.count("/") + 1 >= MOST_GROUPS:
                source.refuse(f"its groups are nested deeper than {MOST_GROUPS}")
            source.spend(len(path) * len(item))
            members = [(f"{path}/{name}" if path else name, item.member(name)) for name in item]
            waiting.extend(reversed(members))
        if stored > source.size:
            source.refuse("its datasets store more bytes than it has")
        return shapes

    @property
    def _links(self) -> dict[str, int]:
        """The members' addresses by name, in the order of h5py."""
        found = self._file.links.get(self.address)
        if found is None:
            found = self._file.links[self.address] = self._read_links()
        return found

    def _read_links(self) -> dict[str, int]:
        links: dict[str, int] = {}
        for name, at in self._sorted_links():
            text = name.decode(errors="replace")
            path = f"{self.name.rstrip('/')}/{text}"[1:]
            if not text or text == "." or "/" in text or "\0" in text:
                self._file.source.refuse(f"a group in its HDF5 has a member called {text!r:.100}")
            if text in links:
                self._file.source.refuse(f"it has {path!r:.200} twice")
            if at == UNDEFINED:
                self._file.source.refuse(f"{path:.200} is a link to somewhere else")
            links[text] = at
        return links

    def _sorted_links(self) -> list[tuple[bytes, int]]:
        """Return names and addresses, `UNDEFINED` of links that lead elsewhere."""
        symbols = self._messages(header.SYMBOL_TABLE)
        if symbols:
            return sorted(self._symbols(symbols[0]))
        is_ordered = False
        stored = self._messages(header.LINK)
        for info in self._messages(header.LINK_INFO):
            is_ordered = self._is_ordered(info)
            records_ = self._dense(info, 10 if is_ordered else 2, _NAME_BY_HASH, 11)
            stored += [heap.get(record[4:]) for record, heap in records_]
        links = [self._file.parsed(_link, data) for data in stored]
        links.sort(key=lambda link: link[0] if is_ordered else link[1])
        return [(name, at) for _, name, at in links]

    def _symbols(self, message: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the names and addresses of a group as HDF5 has had them since its beginning."""
        source = self._file.source
        tree, heap = self._file.parsed(_PLACES.unpack_from, message)
        text = names(source, heap)
        for _, place in leaves(source, tree, 0, 8):
            signature, _, count = _SYMBOLS.unpack(source.read(place, _SYMBOLS.size))
            if signature != b"SNOD":
                source.refuse("a group in its HDF5 has no members where there should be some")
            table = source.read(place + _SYMBOLS.size, count * _SYMBOL.size)
            for offset, at, kind in _SYMBOL.iter_unpack(table):
                yield name_at(source, text, offset), UNDEFINED if kind == _SOFT else at


def _link(data: bytes) -> tuple[int, bytes, int]:
    """Return the number, name and address of a link; `UNDEFINED` for one that leads elsewhere."""
    flags = data[1]
    is_hard = not (flags & 8 and data[2])
    at = 3 if flags & 8 else 2
    number = 0
    if flags & 4:
        number = int.from_bytes(data[at : at + 8], "little")
        at += 8
    at += flags >> 4 & 1
    width = 1 << (flags & 3)
    size = int.from_bytes(data[at : at + width], "little")
    name = data[at + width : at + width + size]
    place = data[at + width + size : at + width + size + 8]
    if len(place) < 8 and is_hard:
        raise IndexError("the message ends early")
    return number, name, int.from_bytes(place, "little") if is_hard else UNDEFINED


class Dataset(_Object):
    """An array, whose values are read when they are asked for."""

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        shape = self._file.parsed(dataspace, self._message(header.DATASPACE))
        if shape is None:
            self._file.source.refuse(f"{self.name[1:]} has no values")
        return shape

    @property
    def dtype(self) -> str:
        """NumPy's name of the type, such as `<f4`; empty for one that is not read."""
        return self._type.dtype

    def __getitem__(self, key: tuple[()]) -> Any:
        """Return all values, for `array[()]`, as a NumPy array.

        Raises:
            UsageError: They are not all in the file, or stored in a way that is not read.
        """
        if key != ():
            raise TypeError("an array is read as a whole: array[()]")
        self.checked_size()
        return self._stored.values(self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self[()]
        return array if dtype is None else array.astype(dtype, copy=bool(copy))

    def checked_size(self) -> int:
        """Return the number of bytes that are stored.

        Raises:
            DamagedModelError: The array declares more, is in another file, or holds no numbers.
        """
        source, name = self._file.source, self.name[1:]
        if self._layout.kind == VIRTUAL or self._messages(header.EXTERNAL_FILES):
            source.refuse(f"{name} is stored in another file")
        if self.dtype in ("", TEXT):
            source.refuse(f"{name} holds {self._type.kind} instead of numbers")
        declared, stored = prod(self.shape) * self._type.size, self._stored.size
        if declared > self._stored.most:
            source.refuse(f"{name} declares {declared:,} bytes and stores {stored:,}")
        return stored

    @cached_property
    def _type(self) -> Datatype:
        return self._file.parsed(datatype, self._message(header.DATATYPE))

    @cached_property
    def _layout(self) -> Layout:
        return self._file.parsed(layout, self._message(header.LAYOUT))

    @cached_property
    def _stored(self) -> Stored:
        pipeline = self._messages(header.FILTERS)
        through = self._file.parsed(filters, pipeline[0]) if pipeline else []
        return Stored(
            self._file.source, self.name[1:], self._layout, self.shape, self._type.size, through
        )

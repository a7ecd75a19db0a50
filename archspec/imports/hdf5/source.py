"""Bytes of an HDF5 file, read in pages; addresses outside of it and endless references refused."""

from __future__ import annotations

from typing import IO, Any, Final, NoReturn

from archspec.imports.limits import refuse

PAGE: Final = 2**13
"""Bytes that are read at once: an object's parts are near each other."""

MOST_PAGES: Final = 512
"""Largest number of pages that are kept."""

UNDEFINED: Final = 2**64 - 1
"""Address of what is not there."""

MISSING: Final = "its HDF5 refers to a part that it does not have"

READ: Final = 64
"""Price of a read, in bytes: small parts cost time as well."""

ALWAYS_READ: Final = 2**24
READ_FOR_EACH: Final = 32
MOST_READ: Final = 2**30
"""Largest price of all reads: a sound file's parts are read about once, each of some 40 bytes."""


class Source:
    """The bytes of an HDF5 file."""

    def __init__(self, stream: IO[bytes] | Any, size: int, path: object) -> None:
        self.stream = stream
        self.size = size
        self.path = path
        """The file, for messages of errors."""
        self._pages: dict[int, bytes] = {}
        self._left = min(ALWAYS_READ + READ_FOR_EACH * size, MOST_READ)

    def read(self, at: int, count: int) -> bytes:
        """Return `count` bytes at an address.

        Raises:
            DamagedModelError: They are not in the file, or too much was read already.
        """
        end = at + count
        if end > self.size:
            self.refuse(MISSING)
        self.spend(READ + count)
        first, last = at // PAGE, max(at, end - 1) // PAGE
        if first == last:
            start = at - first * PAGE
            return self._page(first)[start : start + count]
        if count > PAGE:
            return self.read_directly(at, count)
        return b"".join(self._page(page) for page in (first, last))[at - first * PAGE :][:count]

    def spend(self, count: int) -> None:
        """Count bytes that a part needs in memory; refuse the file if all need too many."""
        self._left -= count
        if self._left < 0:
            self.refuse("the parts of its HDF5 refer to each other without end")

    def read_directly(self, at: int, count: int) -> bytes:
        """Return bytes that are not kept and have no price: those of arrays."""
        if at + count > self.size:
            self.refuse(MISSING)
        self.stream.seek(at)
        data: bytes = self.stream.read(count)
        if len(data) < count:
            self.refuse("it ends early")
        return data

    def refuse(self, reason: str) -> NoReturn:
        """Raise `DamagedModelError` with the reason."""
        refuse(self.path, reason)

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= MOST_PAGES:
                self._pages.clear()
            start = number * PAGE
            page = self.read_directly(start, min(PAGE, self.size - start))
            self._pages[number] = page
        return page

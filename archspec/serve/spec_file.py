"""The one file that is served: read, and written when the user saves."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archspec import atomic
from archspec.errors import Diagnostic, Portable, SpecError, UsageError
from archspec.spec.located import MAX_BYTES
from archspec.spec.source import content, parse

MISSING: Final = "missing"
"""Version of a file that is not there."""

UNREADABLE: Final = "unreadable"
"""Version of a file that cannot be read, or that is not a regular file."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile("[^\r\n]*(?:\r\n|\r|\n)?")


@dataclass(frozen=True)
class Content:
    """A file at one moment."""

    version: str
    """Digest of its bytes; `MISSING` or `UNREADABLE` where there are none to be had."""
    text: str | None
    """Its text, each line ended by `\\n`; None where it is not text."""
    problems: tuple[Diagnostic, ...] = ()
    """Reasons why there is no text."""


class ChangedError(Portable):
    """A file that is no longer what the user edited."""

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self.content = content


class SpecFile:
    """A spec's file, the only one opened: a symbolic link is followed at the start alone."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        """Take a path; raise `SpecError` if there is no file to read."""
        self.name = path
        content(path)
        self.path = Path(path).resolve()
        self.read_only = read_only or not os.access(self.path, os.W_OK)

    def read(self) -> Content:
        """Return what the file holds now, whatever happened to it."""
        try:
            return self._content(self._bytes())
        except SpecError as error:
            return Content(self._absence(), None, error.diagnostics)

    def save(self, text: str, version: str) -> Content:
        """Write a text if the file is still of the version that was edited.

        The file is replaced in one step: a crash leaves the old text or the new one. Its
        permissions, its byte order mark and the ends of its lines stay.

        Raises:
            ChangedError: The file was changed, deleted or created by somebody else.
            UsageError: The text cannot be written.

        """
        try:
            before = self._bytes()
            now = _digest(before)
        except SpecError as error:
            before, now = b"", self._absence()
            if now == UNREADABLE:
                message = error.diagnostics[0].message
                raise UsageError(f"{self.name} cannot be replaced: {message}") from None
        if now != version:
            raise ChangedError(self.read())
        try:
            raw = _encoded(text, before)
        except UnicodeEncodeError:
            raise UsageError("half of a surrogate pair is not a character") from None
        if len(raw) > MAX_BYTES:
            raise UsageError("the spec is larger than 1 MiB")
        with atomic.saving(self.path) as partial:
            partial.write_bytes(raw)
        return self._content(raw)

    def _bytes(self) -> bytes:
        if self.path.is_symlink():
            message = "this has become a symbolic link, which is not followed"
            raise SpecError((Diagnostic("file", message, file=self.name),))
        return content(self.path, self.name)

    def _absence(self) -> str:
        return UNREADABLE if os.path.lexists(self.path) else MISSING

    def _content(self, raw: bytes) -> Content:
        try:
            text = raw.removeprefix(_BOM).decode()
        except UnicodeDecodeError:
            text = None
        if text is None or len(raw) > MAX_BYTES:
            try:
                parse(raw, self.name)
            except SpecError as error:
                return Content(_digest(raw), None, error.diagnostics)
        return Content(_digest(raw), re.sub("\r\n?", "\n", text or ""))


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _encoded(text: str, before: bytes) -> bytes:
    """Return a text as bytes, with the byte order mark and the ends of lines of those before.

    Lines that did not change keep their own end; the others get the most common one.
    """
    old = _LINE.findall(before.removeprefix(_BOM).decode(errors="replace"))
    new = _LINE.findall(text)
    ends = Counter(_end(line) for line in old if _end(line))
    usual = ends.most_common(1)[0][0] if ends else "\n"
    same = _same(old, new)
    rest = min(_same(old[::-1], new[::-1]), len(new) - same, len(old) - same)
    changed = new[same : len(new) - rest]
    lines = [*old[:same], *(_body(line) + (usual if _end(line) else "") for line in changed)]
    lines += old[len(old) - rest :]
    return (_BOM if before.startswith(_BOM) else b"") + "".join(lines).encode()


def _end(line: str) -> str:
    return line[len(_body(line)) :]


def _body(line: str) -> str:
    return line.rstrip("\r\n")


def _same(first: list[str], second: list[str]) -> int:
    """Return the number of lines with which both begin, whatever ends them."""
    pairs = zip(first, second, strict=False)
    alike = (_body(a) == _body(b) and bool(_end(a)) == bool(_end(b)) for a, b in pairs)
    return next(
        (index for index, same in enumerate(alike) if not same), min(map(len, (first, second)))
    )

"""Bounds of what is read from a model file: bytes, nesting, members; nothing outside it is read.

A model file comes from anywhere. A few kilobytes of zip or HDF5 can declare gigabytes, a member's
name can lead out of a folder, a link into another file, and JSON that is nested deeply enough ends
the process, not only the call. So a reader asks here for bytes, and a limit is named where it is
passed. All limits are far above what any network needs.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from archspec.errors import UsageError, beside

if TYPE_CHECKING:
    import zipfile
    from io import BufferedReader

MOST_TEXT: Final = 2**24
"""Bytes of a model that is written as text; VGG-16 as a prototxt has 6,000."""

MOST_MEMBERS: Final = 10_000
"""Members of a zip; PyTorch's has one for each weight."""

MOST_EXPANSION: Final = 100
"""Bytes declared for each byte stored. JSON shrinks to a thirtieth; weights hardly at all."""

ALWAYS_EXPANDED: Final = 2**20
"""Bytes that may always be declared."""

MOST_JSON: Final = 2**27
"""Bytes of JSON; 50,000 layers have 60 MB."""

MOST_NESTING: Final = 200
"""Levels of JSON; a model inside a model adds five."""

MOST_OBJECTS: Final = 2_000_000
"""Groups and datasets of an HDF5 file."""

MOST_GROUPS: Final = 100
"""Groups of an HDF5 file inside each other; a model inside a model adds two."""

_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class DamagedModelError(UsageError):
    """A model's file is not as the program that its format belongs to writes it."""


def refuse(path: object, reason: str) -> NoReturn:
    """Raise `DamagedModelError` for a file, with the reason."""
    raise DamagedModelError(
        f"{path} was not opened: {reason}, so it is damaged or something else than it seems; "
        "save the model again where it was made"
    )


def fault(error: Exception) -> str:
    """Return what is wrong with a description that a reader could not follow, as a clause."""
    if isinstance(error, KeyError) and error.args:
        return f"`{error.args[0]!s:.100}` is missing"
    return "a value in it has another type or length"


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to read its bytes.

    Raises:
        UsageError: It is not there, is a folder, a pipe or a device, or cannot be read.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder")
        if not stat.S_ISREG(mode):  # opening a pipe would block
            raise UsageError(f"{path} is not a file")
        return path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}{beside(path)}") from None
    except (OSError, ValueError) as error:  # a name may be too long, or hold a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read {path}: {reason}") from None


def read_head(path: str | os.PathLike[str], count: int) -> bytes:
    """Return the first bytes of a regular file; raise `UsageError` as `open_file` does."""
    with open_file(path) as file:
        return file.read(count)


def mapped(path: str | os.PathLike[str]) -> mmap.mmap:
    """Return the bytes of a regular file, which stay on disk until they are looked at.

    Raises:
        UsageError: It is empty, or cannot be read.
    """
    with open_file(path) as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            refuse(path, "it is empty")


def read_all(path: str | os.PathLike[str], most: int, what: str) -> bytes:
    """Return all bytes of a regular file.

    Args:
        path: The file.
        most: Largest number of bytes.
        what: What the file is, for the message: `a Darknet configuration`.

    Raises:
        UsageError: It has more bytes, or cannot be read.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        refuse(path, f"it has more than {most:,} bytes, and {what} has fewer")
    return content


def check_members(
    members: Iterable[zipfile.ZipInfo], stored: int, path: object, most: int = MOST_MEMBERS
) -> None:
    """Raise `UsageError` unless the members of a zip are safe to read.

    Args:
        members: The members.
        stored: Bytes of the file itself.
        path: The file, for the message.
        most: Largest number of members.
    """
    listed = list(members)
    if len(listed) > most:
        refuse(path, f"it has {len(listed):,} members, more than {most:,}")
    names: set[str] = set()
    for member in listed:
        name = member.filename
        if name in names:
            refuse(path, f"it has {name!r} twice")
        names.add(name)
        if re.search(r"[\\:\0]|(?:^|/)\.\.(?:/|$)|^/", name):
            refuse(path, f"a member {name!r} leads out of it")
        if member.flag_bits & 1:
            refuse(path, f"{name} is encrypted")
        if member.external_attr >> 28 == 0o12:
            refuse(path, f"{name} is a link")
        declared = member.file_size
        if declared > most_bytes(member.compress_size):
            refuse(path, f"{name} declares {declared:,} bytes and stores {member.compress_size:,}")
    if sum(member.compress_size for member in listed) > stored:
        refuse(path, "its members store more bytes than it has")


def most_bytes(stored: int) -> int:
    """Return the largest number of bytes that `stored` compressed ones may declare."""
    return max(ALWAYS_EXPANDED, MOST_EXPANSION * stored)


def parse_json(text: bytes, what: str, path: object) -> dict[str, Any]:
    """Return the object in JSON of a model file; raise `UsageError` if there is none.

    Args:
        text: The JSON, of any size and depth.
        what: The name of this part of the file, for the message.
        path: The file, for the message.

    """
    if len(text) > MOST_JSON:
        refuse(path, f"its {what} has {len(text):,} bytes, more than {MOST_JSON:,}")
    depth = 0
    for bracket in _JSON_STRING.sub(b"", text).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_NESTING:
            refuse(path, f"its {what} is nested deeper than {MOST_NESTING}")
    try:
        value = json.loads(text)
    except ValueError:
        refuse(path, f"its {what} is not JSON")
    if not isinstance(value, dict):
        refuse(path, f"its {what} is not a JSON object")
    return value

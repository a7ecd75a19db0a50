"""Checks of a model file before anything reads it: what it declares is what it stores.

A model file comes from anywhere. A few kilobytes of zip or HDF5 can declare gigabytes, a member's
name can lead out of the folder that it is unpacked to, a link can lead into another file, and JSON
that is nested deeply enough ends the process, not only the call. So the directory of a file is
checked first, and nothing in it is unpacked, followed or parsed unless it is as Keras writes it.
All limits are far above what any network that Keras can build needs.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NoReturn

from archspec.errors import UsageError

if TYPE_CHECKING:
    import zipfile

CONFIG: Final = "config.json"
METADATA: Final = "metadata.json"
VARIABLES: Final = "model.weights.h5"
ASSETS: Final = "assets"

MOST_MEMBERS: Final = 1_000
"""Members of a zip; Keras writes three, and the files of the layers that have some."""

MOST_EXPANSION: Final = 100
"""Bytes declared for each byte stored. JSON shrinks to a thirtieth; Keras does not compress."""

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


def check_zip(archive: zipfile.ZipFile, stored: int, path: object) -> None:
    """Raise `UsageError` unless the members of a `.keras` file are as Keras writes them.

    Args:
        archive: The open zip.
        stored: Bytes of the file itself.
        path: The file, for the message.

    """
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        refuse(path, f"it has {len(members):,} members, more than {MOST_MEMBERS:,}")
    names = [member.filename for member in members]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        refuse(path, f"it has {repeated!r} twice")
    for member in members:
        _check_member(member, path)
    if sum(member.compress_size for member in members) > stored:
        refuse(path, "its members store more bytes than it has")
    for name in (CONFIG, VARIABLES):
        if name not in names:
            refuse(path, f"it has no {name}")


def _check_member(member: zipfile.ZipInfo, path: object) -> None:
    name = member.filename
    place = PurePosixPath(name)
    is_asset = place.parts[:1] == (ASSETS,) and ".." not in place.parts
    if not (name in {CONFIG, METADATA, VARIABLES} or is_asset) or re.search(r"[\\:\0]", name):
        refuse(path, f"a Keras model has no member {name!r}")
    if member.flag_bits & 1:
        refuse(path, f"{name} is encrypted")
    if member.external_attr >> 28 == 0o12:
        refuse(path, f"{name} is a link")
    declared, stored = member.file_size, member.compress_size
    if declared > _most_bytes(stored):
        refuse(path, f"{name} declares {declared:,} bytes and stores {stored:,}")
    if place.suffix == ".json" and not is_asset and member.file_size > MOST_JSON:
        refuse(path, f"{name} declares {member.file_size:,} bytes, more than {MOST_JSON:,}")


def _most_bytes(stored: int) -> int:
    """Return the largest number of bytes that `stored` compressed ones may declare."""
    return max(ALWAYS_EXPANDED, MOST_EXPANSION * stored)


def check_hdf5(file: Any, stored: int, path: object) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an open HDF5 file's datasets; raise `UsageError` unless all are stored.

    Args:
        file: The open `h5py.File`.
        stored: Bytes of the file itself.
        path: The file, for the message.

    """
    import h5py  # noqa: PLC0415  (which imports NumPy)

    count = total = 0
    shapes: dict[str, tuple[int, ...]] = {}

    # h5py walks in C, where exceptions are not allowed: a visitor's result ends the walk.
    def link_problem(name: bytes, link: Any) -> str | None:
        nonlocal count
        count += 1
        if link.type != h5py.h5l.TYPE_HARD:
            return f"{name.decode(errors='replace')} is a link to somewhere else"
        if count > MOST_OBJECTS:
            return f"it holds more than {MOST_OBJECTS:,} objects"
        if name.count(b"/") >= MOST_GROUPS:
            return f"its groups are nested deeper than {MOST_GROUPS}"
        return None

    def object_problem(name: str, item: Any) -> str | None:
        nonlocal total
        if not isinstance(item, h5py.Dataset):
            return None
        total += item.id.get_storage_size()
        shapes[name] = item.shape
        return _dataset_problem(h5py, name, item)

    problem = file.id.links.visit(link_problem, info=True) or file.visititems(object_problem)
    if problem is None and total > stored:
        problem = "its datasets store more bytes than it has"
    if problem is not None:
        refuse(path, problem)
    return shapes


def _dataset_problem(h5py: Any, name: str, dataset: Any) -> str | None:
    """Return what is wrong with a dataset's declaration; None if nothing is."""
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if properties.get_external_count() or layout == h5py.h5d.VIRTUAL:
        return f"{name} is stored in another file"
    if dataset.dtype.hasobject:
        return f"{name} holds {dataset.dtype} instead of numbers"
    declared, stored = dataset.nbytes, dataset.id.get_storage_size()
    is_chunked = layout == h5py.h5d.CHUNKED
    if declared > (_most_bytes(stored) if is_chunked else stored):
        return f"{name} declares {declared:,} bytes and stores {stored:,}"
    return None


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


class DamagedModelError(UsageError):
    """A model's file is not as Keras writes it."""


def refuse(path: object, reason: str) -> NoReturn:
    """Raise `DamagedModelError` for a file, with the reason."""
    raise DamagedModelError(
        f"{path} was not opened: {reason}, so it is damaged or not a Keras model; "
        "load it where it was made, and save it again with model.save('NAME.keras')"
    )

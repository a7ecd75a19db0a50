"""Checks of a Keras model's zip before anything reads it: its members are those that Keras writes.

What any model file must keep to is checked by `archspec.imports.limits`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from archspec.imports.limits import MOST_JSON, check_members, refuse

if TYPE_CHECKING:
    import zipfile

CONFIG: Final = "config.json"
METADATA: Final = "metadata.json"
VARIABLES: Final = "model.weights.h5"
ASSETS: Final = "assets"

MOST_MEMBERS: Final = 1_000
"""Members of a zip; Keras writes three, and the files of the layers that have some."""


def check_zip(archive: zipfile.ZipFile, stored: int, path: object) -> None:
    """Raise `UsageError` unless the members of a `.keras` file are as Keras writes them.

    Args:
        archive: The open zip.
        stored: Bytes of the file itself.
        path: The file, for the message.

    """
    members = archive.infolist()
    for member in members[: MOST_MEMBERS + 1]:
        name, place = member.filename, PurePosixPath(member.filename)
        is_asset = place.parts[:1] == (ASSETS,) and ".." not in place.parts
        if name not in {CONFIG, METADATA, VARIABLES} and not is_asset:
            refuse(path, f"a Keras model has no member {name!r}")
        if place.suffix == ".json" and not is_asset and member.file_size > MOST_JSON:
            refuse(path, f"{name} declares {member.file_size:,} bytes, more than {MOST_JSON:,}")
    check_members(members, stored, path, MOST_MEMBERS)
    for name in (CONFIG, VARIABLES):
        if all(member.filename != name for member in members):
            refuse(path, f"it has no {name}")

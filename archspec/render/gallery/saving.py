"""A gallery's folder: a page, the pictures, their raw values, and the settings.

All files are first written to a temporary folder, and moved when all are complete. The record,
`explain.json`, lists them: files that it does not list are not ours, and stay.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from archspec.errors import UsageError
from archspec.explain.gallery import (
    Chart,
    Exhibit,
    Gallery,
    Item,
    Page,
    Picture,
    PictureFile,
    Table,
)
from archspec.lazy import np
from archspec.render.gallery import charts, drawing, page
from archspec.runs.files import INDEX

RECORD: Final = "explain.json"

MOST_READ: Final = 2**28
"""Largest size of a record that is read, in bytes."""

LONGEST: Final = 60
"""Largest number of characters of a file's name from an exhibit's, and half of its bytes."""


def check_folder(folder: str | Path) -> None:
    """Raise `UsageError` if a gallery cannot be saved into a folder, before any work is done."""
    place = Path(folder)
    label = f"`folder={str(folder)!r}`"
    if place.is_dir():
        try:
            full = any(place.iterdir())
        except OSError as error:
            raise UsageError(f"{label} cannot be read: {error.strerror}") from None
        if full and _written(place) is None:
            raise UsageError(
                f"{label} holds other files: name a new folder, or one with an {RECORD}"
            )
        nearest = place
    else:
        nearest = next(each for each in (place, *place.absolute().parents) if os.path.lexists(each))
        if not nearest.is_dir():
            what = "it" if nearest == place else str(nearest)
            raise UsageError(f"{label} cannot be a folder: {what} is a file")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{label}: {nearest} cannot be written")


def save(gallery: Gallery, folder: Path) -> Path:
    """Write a gallery (see `Gallery.save`), replacing an earlier one; other files stay."""
    check_folder(folder)
    existed = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as made:
            names = _make(gallery, Path(made))
            _move(Path(made), folder, names)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None
    finally:
        if not existed:
            with suppress(OSError):  # only if it is still empty
                folder.rmdir()
    return folder


def _make(gallery: Gallery, folder: Path) -> list[str]:
    """Write all files into an empty folder; return their names."""
    record = gallery.to_dict()
    taken = {_same(INDEX), _same(RECORD)}
    pictures: dict[int, Path] = {}
    for exhibit, exhibit_record in zip(gallery, record["exhibits"], strict=True):
        stem = _stem(exhibit, taken)
        for item, entry in zip(exhibit.items, exhibit_record["items"], strict=True):
            entry["files"] = _write(item, folder, f"{stem}{_plain(item.name)}")
            taken |= {_same(name) for name in entry["files"]}
            pngs = (name for name in entry["files"] if name.endswith(".png"))
            pictures |= {id(item): folder / name for name in pngs}
    drawn = page.whole(gallery, lambda item: pictures[id(item)].read_bytes())
    _write_text(folder / INDEX, drawn)
    names = sorted(each.name for each in folder.iterdir())
    _write_record(folder, {**record, "files": sorted([*names, RECORD])})
    return names


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    _write_text(folder / RECORD, f"{json.dumps(record, indent=2, allow_nan=False)}\n")


def _write_text(path: Path, text: str) -> None:
    # Bytes of no encoding, as in some names of files, are written as escapes.
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _move(made: Path, folder: Path, names: list[str]) -> None:
    """Move files into their folder, and remove those of an earlier gallery.

    Raises:
        UsageError: a file that no gallery wrote has the same name.

    """
    earlier = _written(folder) or ()
    for name in names:
        if os.path.lexists(folder / name) and name not in earlier:
            raise UsageError(
                f"{folder / name} was not written by the gallery there: move it, or name a new "
                "folder"
            )
    # The record lists both galleries' files, so that no file is orphaned if this is cut short.
    whole_record = made / RECORD
    kept = whole_record.read_bytes()
    _write_record(made, {"files": sorted({*earlier, *names, RECORD})})
    whole_record.replace(folder / RECORD)
    for name in names:
        (made / name).replace(folder / name)
    for name in {*earlier} - {*names, RECORD}:
        (folder / name).unlink(missing_ok=True)
    whole_record.write_bytes(kept)
    whole_record.replace(folder / RECORD)


def _written(folder: Path) -> Collection[str] | None:
    """Return the files that a gallery wrote into a folder, by its record; None without one."""
    path = folder / RECORD
    try:
        if path.stat().st_size > MOST_READ:
            return None
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    names = record.get("files") if isinstance(record, dict) else None
    if not isinstance(names, list):
        return None
    return {
        name
        for name in names
        if isinstance(name, str) and name and Path(name).name == name and "\\" not in name
    }


def _stem(exhibit: Exhibit, taken: Collection[str]) -> str:
    """Return the unique beginning of the names of an exhibit's files."""
    plain = _plain(Path(exhibit.name).name)
    number = 1
    while True:
        stem = plain if number == 1 else f"{plain}{number}" if plain else str(number)
        stem = f"{stem}-" if stem else ""
        begins = [_same(f"{stem}{_plain(item.name)}.") for item in exhibit.items]
        if not any(name.startswith(begin) for begin in begins for name in taken):
            return stem
        number += 1


def _plain(name: str) -> str:
    """Return a name without characters that some file system refuses, and not too long."""
    plain = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", name)).strip(".-")[:LONGEST]
    while len(plain.encode()) > 2 * LONGEST:
        plain = plain[:-1]
    return plain


def _same(name: str) -> str:
    """Return the same text for names that are one file on some systems."""
    return unicodedata.normalize("NFD", name).casefold()


def _write(item: Item, folder: Path, stem: str) -> list[str]:
    """Write an item's files; return their names."""

    def path(suffix: str) -> Path:
        names.append(f"{stem}.{suffix}")
        return folder / names[-1]

    names: list[str] = []
    match item:
        case Picture():
            np.save(path("npy"), item.values)
            if not item.is_zero:
                path("png").write_bytes(drawing.png(item))
        case Chart():
            path("png").write_bytes(charts.chart_png(item))
            _write_text(path("csv"), charts.chart_csv(item))
        case Table():
            _write_text(path("csv"), charts.table_csv(item))
        case PictureFile():
            path("png").write_bytes(item.png)
        case Page():
            _write_text(path("html"), item.html)
    return names

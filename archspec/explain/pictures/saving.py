"""A gallery's folder: a page to look at, the pictures, their raw values, and what was asked."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Final

from archspec.diagnostics import UsageError
from archspec.explain.gallery import Chart, Exhibit, Gallery, Item, Picture, Table
from archspec.explain.gallery import Page as HtmlPage
from archspec.explain.pictures import drawing, page
from archspec.training.runs.folder import write_text

RECORD: Final = "explain.json"
INDEX: Final = "index.html"


def check_folder(folder: str | Path) -> None:
    """Raise `UsageError` where a gallery cannot be saved into a folder, before any work is done."""
    place = Path(folder)
    if not place.exists():
        return
    if not place.is_dir():
        raise UsageError(f"`out={str(folder)!r}` is a file: name a folder")
    if any(place.iterdir()) and not (place / RECORD).is_file():
        raise UsageError(
            f"`out={str(folder)!r}` holds other files: name a new folder, or one with an {RECORD}"
        )


def save(gallery: Gallery, folder: Path) -> Path:
    """Write a gallery (see `Gallery.save`); what an earlier one left in the folder goes."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        stems = _stems(gallery)
        for exhibit, stem in zip(gallery, stems, strict=True):
            for item in exhibit.items:
                _write(item, folder / f"{stem}{item.name}")
        write_text(folder / INDEX, page.whole(gallery))
        write_text(folder / RECORD, json.dumps(gallery.to_dict(), indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None
    return folder


def _stems(gallery: Gallery) -> list[str]:
    """How the files of each exhibit begin: like its name, and unlike those of any other."""
    stems: list[str] = []
    for exhibit in gallery:
        stem = _stem(exhibit)
        number = 2
        while stem in stems:
            stem = f"{_stem(exhibit)}{number}-"
            number += 1
        stems.append(stem)
    return stems


def _stem(exhibit: Exhibit) -> str:
    plain = re.sub(r"[^\w.-]+", "-", Path(exhibit.name).name).strip(".-")
    return f"{plain[:60]}-" if plain else ""


def _write(item: Item, path: Path) -> None:
    import numpy as np  # noqa: PLC0415

    match item:
        case Picture():
            np.save(path.with_name(f"{path.name}.npy"), item.values)
            if not item.is_zero:
                path.with_name(f"{path.name}.png").write_bytes(drawing.png(item))
        case Chart():
            path.with_name(f"{path.name}.png").write_bytes(drawing.chart_png(item))
            write_text(path.with_name(f"{path.name}.csv"), drawing.chart_csv(item))
        case Table():
            write_text(path.with_name(f"{path.name}.csv"), drawing.table_csv(item))
        case HtmlPage():
            write_text(path.with_name(f"{path.name}.html"), item.html)

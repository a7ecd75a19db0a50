"""`folder`: a directory of images for each class, or train/, val/ and test/ with one for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data import filetypes, inspection
from archspec.data.examples import EncodedImages, LabelledImages, Preview, Skipped
from archspec.data.fileaccess import byte_count, missing_file, reading
from archspec.data.inspection import ImageListing
from archspec.data.names import PARTS, TRAIN, is_displayable, legible
from archspec.data.sources import FILE_SUFFIXES
from archspec.errors import UsageError, first_few
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

TABLES: Final = (".csv", ".tsv", ".parquet")
"""Suffixes of files that may give the classes of images beside them."""


class _FolderLayout(NamedTuple):
    """The classes, and the directory of each by part and name."""

    class_names: tuple[str, ...]
    directories: dict[int, dict[str, Path]]


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return the classes, by the names of their directories."""
    return Preview(_layout(Path(recipe.path or "")).class_names, None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """Return the images of a folder, each inspected."""
    root = Path(recipe.path or "")
    layout = _layout(root)
    paths, labels, parts = list[str](), list[int](), list[int]()
    others: list[Skipped] = []
    for part, classes in layout.directories.items():
        for label, name in enumerate(layout.class_names):
            for path in _walk(classes[name]):
                if _is_picture(path):
                    paths.append(path)
                    labels.append(label)
                    parts.append(part)
                else:
                    others.append((legible(path), "not a picture"))
    images = EncodedImages(paths, lambda i: Path(paths[i]))
    examples = LabelledImages(
        name=f"folder {root}",
        class_names=layout.class_names,
        labels=np.array(labels, np.int32),
        images=images,
        parts=np.array(parts, np.int8) if len(layout.directories) > 1 else None,
        skipped=tuple(others),
        names=[str(Path(path).relative_to(root)) for path in paths],
    )
    lengths = [byte_count(path) for path in paths]
    listing = ImageListing(str(root), examples, images, layout.class_names, lengths)
    return inspection.load(recipe, listing)


def _is_picture(path: str) -> bool:
    """Return whether a file is a picture by its name, or else by its first bytes."""
    if filetypes.by_suffix(path):
        return True
    try:
        with Path(path).open("rb") as file:
            return filetypes.by_content(file.read(filetypes.HEAD_BYTES)) is not None
    except OSError:  # a link to nothing
        return False


def _layout(root: Path) -> _FolderLayout:
    """Return how a folder is laid out. Raises `UsageError` if it has not the form of a data set."""
    top = _directories(root)
    parts: dict[int, Path] = {}
    for name, path in top.items():
        part = PARTS.get(name.lower())
        if part is not None and part in parts:
            raise UsageError(f"{root} has both {parts[part].name}/ and {name}/: keep one of them")
        if part is not None:
            parts[part] = path
    if TRAIN in parts and len(parts) > 1:
        if others := sorted(set(top) - {path.name for path in parts.values()}):
            raise UsageError(
                f"{root} has `{others[0]}` beside {parts[TRAIN].name}/, where only val/ and test/ "
                "may be: move it, or if it is a class, move it into train/"
            )
        classes = {part: _directories(path) for part, path in parts.items()}
    elif parts and len(parts) == len(top) and TRAIN not in parts:
        present = ", ".join(f"{name}/" for name in top)
        raise UsageError(f"{root} has {present}, but no train/: add the images to train on")
    elif len(top) == 1 and TRAIN in parts:
        classes = {TRAIN: _directories(parts[TRAIN])}
    elif TRAIN in parts and (alike := _laid_out_alike(parts[TRAIN], top.values())):
        raise UsageError(
            f"{parts[TRAIN].name}/ and {alike.name}/ in {root} hold folders of the same names: "
            f"rename {alike.name}/ to val or test if its images are for that, or move it"
        )
    else:
        classes = {TRAIN: top}
    names = tuple(sorted(classes[TRAIN]))
    for part, directories in classes.items():
        if odd := sorted(set(directories) ^ set(names)):
            where, other = (part, TRAIN) if odd[0] in directories else (TRAIN, part)
            raise UsageError(
                f"the class `{odd[0]}` is in {parts[where]}, but not in {parts[other]}"
                + (f", and {len(odd) - 1} more differ" if len(odd) > 1 else "")
                + ": give both a directory for every class"
            )
    if len(names) < 2:
        present = f"there is only `{names[0]}`" if names else "there is none"
        raise UsageError(f"{root} must have a directory for each of two classes or more; {present}")
    return _FolderLayout(names, classes)


def _laid_out_alike(train: Path, others: Iterable[Path]) -> Path | None:
    """Return a directory that has several directories of the same names as `train`: not a class."""

    def inner(directory: Path) -> set[str]:
        with suppress(OSError), os.scandir(directory) as entries:
            return {entry.name for entry in entries if _is_directory(entry)}
        return set()

    names = inner(train)
    alike = (each for each in others if each != train and len(names & inner(each)) > 1)
    return next(alike, None)


def _directories(root: Path) -> dict[str, Path]:
    """Return the directories in a directory, without hidden ones; images there are a mistake."""
    directories: dict[str, Path] = {}
    astray: list[str] = []
    tables: list[str] = []
    if root.is_file():
        raise UsageError(f"{root} is not a folder; files of data end in {FILE_SUFFIXES}")
    if not root.exists():
        raise missing_file(root, "folder")
    for entry in _entries(root):
        if entry.name.startswith("."):
            continue
        if _is_directory(entry):
            directories[entry.name] = Path(entry.path)
        elif filetypes.by_suffix(entry.name):
            astray.append(entry.name)
        elif entry.name.lower().endswith(TABLES):
            tables.append(entry.path)
    if astray:
        count = f"{len(astray):,} images lie" if len(astray) > 1 else "an image lies"
        hint = f"; if {tables[0]} gives their classes, name it as the data" if tables else ""
        raise UsageError(
            f"{count} directly in {root}, not in a class's directory: {first_few(astray)}{hint}"
        )
    for name in directories:
        if not is_displayable(name):  # it goes to tables, files and terminals
            raise UsageError(f"a directory in {root} has a name that cannot be shown: {name!a}")
    return directories


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    with reading(f"the folder {directory}"), os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _walk(top: Path) -> Iterator[str]:
    """Yield all files below a directory, sorted by name; loops of links are not followed."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        inner: list[Path] = []
        with reading(f"the folder {directory}"):
            status = directory.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _entries(directory):
            if entry.name.startswith(".") or entry.name.lower() in filetypes.JUNK:
                continue
            if _is_directory(entry):
                inner.append(Path(entry.path))
            else:
                yield entry.path
        waiting.extend(reversed(inner))

"""`folder`: a directory of images for each class, or train/, val/ and test/ of such."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data import filetypes, inspection, sources
from archspec.data.examples import (
    PARTS,
    TRAIN,
    LabelledImages,
    Preview,
    Skipped,
    is_displayable,
    legible,
)
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

TABLES: Final = (".csv", ".tsv", ".parquet")
"""How files end that may say the classes of images beside them."""

MOST_NAMED: Final = 5
"""How many files a message names."""


class _FolderLayout(NamedTuple):
    """Which directories hold what: of each part, the classes by name."""

    class_names: tuple[str, ...]
    directories: dict[int, dict[str, Path]]


class _File(NamedTuple):
    path: str
    label: int
    part: int


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """The classes, by the names of their directories."""
    return Preview(_layout(Path(recipe.path or "")).class_names, None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """The images of a folder, each file looked at."""
    root = Path(recipe.path or "")
    layout = _layout(root)
    files: list[_File] = []
    strangers: list[Skipped] = []
    for part, classes in layout.directories.items():
        for label, name in enumerate(layout.class_names):
            for path in _walk(classes[name]):
                if _is_picture(path):
                    files.append(_File(path, label, part))
                else:
                    strangers.append((legible(path), "not a picture"))
    paths = [file.path for file in files]
    listing = inspection.ImageListing(
        name=f"folder {root}",
        where=str(root),
        class_names=layout.class_names,
        names=paths,
        identities=[str(Path(path).relative_to(root)) for path in paths],
        labels=[file.label for file in files],
        parts=[file.part for file in files] if len(layout.directories) > 1 else None,
        get=lambda i: Path(paths[i]),
        lengths=[inspection.length(path) for path in paths],
        strangers=tuple(strangers),
    )
    return inspection.load(recipe, listing)


def _is_picture(path: str) -> bool:
    """Whether a file is a picture by its name, or else by its first bytes."""
    if filetypes.by_suffix(path):
        return True
    try:
        with Path(path).open("rb") as file:
            return filetypes.by_content(file.read(filetypes.HEAD_BYTES)) is not None
    except OSError:  # a link to nothing
        return False


def _layout(root: Path) -> _FolderLayout:
    """How a folder is laid out. Raises `UsageError` where it is in no way that can be read."""
    top = _directories(root)
    parts: dict[int, Path] = {}
    for name, path in top.items():
        part = PARTS.get(name.lower())
        if part is not None and part in parts:
            raise UsageError(f"{root} has both {parts[part].name}/ and {name}/: keep one of them")
        if part is not None:
            parts[part] = path
    if TRAIN in parts and len(parts) > 1:
        if strangers := sorted(set(top) - {path.name for path in parts.values()}):
            raise UsageError(
                f"`{strangers[0]}` stands beside {parts[TRAIN].name}/ in {root}: "
                "is it a class, or a part of the data? Move it"
            )
        classes = {part: _directories(path) for part, path in parts.items()}
    elif parts and len(parts) == len(top) and TRAIN not in parts:
        raise UsageError(f"{root} has {', '.join(f'{name}/' for name in top)}, but no train/")
    elif len(top) == 1 and TRAIN in parts:
        classes = {TRAIN: _directories(parts[TRAIN])}
    elif TRAIN in parts and (alike := _laid_out_alike(parts[TRAIN], top.values())):
        raise UsageError(
            f"{parts[TRAIN].name}/ and {alike.name}/ in {root} hold folders of the same names: "
            f"call {alike.name}/ val or test, as parts of the data are called, or move it"
        )
    else:
        classes = {TRAIN: top}
    names = tuple(sorted(classes[TRAIN]))
    for part, found in classes.items():
        if odd := sorted(set(found) ^ set(names)):
            where, other = (part, TRAIN) if odd[0] in found else (TRAIN, part)
            raise UsageError(
                f"the class `{odd[0]}` is in {parts[where]}, but not in {parts[other]}"
                + (f", and {len(odd) - 1} more differ" if len(odd) > 1 else "")
            )
    if len(names) < 2:
        there = f"there is only `{names[0]}`" if names else "there is none"
        raise UsageError(f"{root} must have a directory for each of two classes or more; {there}")
    return _FolderLayout(names, classes)


def _laid_out_alike(train: Path, others: Iterable[Path]) -> Path | None:
    """A directory in which several others are called as in `train`, which classes are not."""

    def inner(directory: Path) -> set[str]:
        with suppress(OSError), os.scandir(directory) as entries:
            return {entry.name for entry in entries if _is_directory(entry)}
        return set()

    names = inner(train)
    found = (each for each in others if each != train and len(names & inner(each)) > 1)
    return next(found, None)


def _directories(root: Path) -> dict[str, Path]:
    """The directories in a directory, hidden ones left out; images there are a mistake."""
    found: dict[str, Path] = {}
    astray: list[str] = []
    tables: list[str] = []
    try:
        with os.scandir(root) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if _is_directory(entry):
                    found[entry.name] = Path(entry.path)
                elif filetypes.by_suffix(entry.name):
                    astray.append(entry.name)
                elif entry.name.lower().endswith(TABLES):
                    tables.append(entry.path)
    except OSError as error:
        here = "" if root.is_absolute() else f" (looked for in {Path.cwd()})"
        hint = f"; data in a file are {sources.FILES}" if root.is_file() else ""
        raise UsageError(f"cannot read the folder {root}{here}: {error.strerror}{hint}") from None
    if astray:
        count = f"{len(astray):,} images lie" if len(astray) > 1 else "an image lies"
        more = ", ..." if len(astray) > MOST_NAMED else ""
        hint = f"; if {tables[0]} says their classes, name it as the data" if tables else ""
        raise UsageError(
            f"{count} directly in {root}, in no class's directory: "
            f"{', '.join(astray[:MOST_NAMED])}{more}{hint}"
        )
    for name in found:
        if not is_displayable(name):  # it goes to tables, files and terminals
            raise UsageError(f"a directory in {root} has a name that cannot be shown: {name!a}")
    return found


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in filetypes.JUNK


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _walk(top: Path) -> Iterator[str]:
    """All files below a directory, in the order of their names; no loop of links is followed."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        inner: list[Path] = []
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if _is_hidden(entry.name):
                        continue
                    if _is_directory(entry):
                        inner.append(Path(entry.path))
                    else:
                        yield entry.path
        except OSError as error:
            raise UsageError(f"cannot read the folder {directory}: {error.strerror}") from None
        waiting.extend(reversed(inner))

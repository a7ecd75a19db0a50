"""`folder`: a directory of images for each class, or train/, val/ and test/ of such.

Every file is looked at before anything is trained: its header, its end, and all of it if the
whole folder is small enough to read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.diagnostics import UsageError
from archspec.ops.shape import Shape
from archspec.training.data.examples import (
    TEST,
    TRAIN,
    VALIDATION,
    EncodedImages,
    Facts,
    Loaded,
    Skipped,
    legible,
)
from archspec.training.data.images import SUFFIXES, UnreadableError, check
from archspec.training.watching.machine import cores

if TYPE_CHECKING:
    from archspec.training.recipe.recipe import DataRecipe

PARTS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}
"""Names of directories, in any case, that are parts of the data and no classes."""

MOST_DIGESTED_BYTES: Final = 2**30
"""Of a folder all of whose content is read for its fingerprint."""

ENDS_BYTES: Final = 4096
"""How much of a larger folder's files is read at the start and at the end."""

MOST_NAMED: Final = 5
"""How many files a message names."""


class _Layout(NamedTuple):
    """Which directories hold what: of each part, the classes by name."""

    class_names: tuple[str, ...]
    directories: dict[int, dict[str, Path]]


class _File(NamedTuple):
    path: str
    label: int
    part: int


def look(recipe: DataRecipe, _: Shape) -> Facts:
    """The classes, by the names of their directories."""
    return Facts(_layout(Path(recipe.path or "")).class_names, None)


def load(recipe: DataRecipe, _: Shape) -> Loaded:
    """The images of a folder, each file looked at."""
    import numpy as np  # noqa: PLC0415

    root = Path(recipe.path or "")
    layout = _layout(root)
    files: list[_File] = []
    strangers: list[Skipped] = []
    for part, classes in layout.directories.items():
        for label, name in enumerate(layout.class_names):
            for path in _walk(classes[name]):
                if path.lower().endswith(SUFFIXES):
                    files.append(_File(path, label, part))
                else:
                    strangers.append((legible(path), "not a .jpg, .jpeg, .png, .bmp or .gif file"))
    seen = _inspect(root, [file.path for file in files])
    damaged = [
        (legible(file.path), why)
        for file, why in zip(files, seen.reasons, strict=True)
        if why is not None
    ]
    if damaged and recipe.on_error == "stop":
        raise _unreadable(root, damaged, len(files))
    good = [i for i, why in enumerate(seen.reasons) if why is None]
    kept = [files[i] for i in good]
    _check_classes(root, layout, kept)
    paths = [file.path for file in kept]
    return Loaded(
        name=f"folder {root}",
        class_names=layout.class_names,
        labels=np.array([file.label for file in kept], np.int32),
        images=EncodedImages(paths, lambda i: Path(paths[i]), [seen.plain[i] for i in good]),
        parts=np.array([file.part for file in kept], np.int8) if _is_split(layout) else None,
        skipped=(*strangers, *damaged),
        digest=seen.digest,
        covers=seen.covers,
    )


def _is_split(layout: _Layout) -> bool:
    return len(layout.directories) > 1


def _layout(root: Path) -> _Layout:
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
    return _Layout(names, classes)


def _directories(root: Path) -> dict[str, Path]:
    """The directories in a directory, hidden ones left out; images there are a mistake."""
    found: dict[str, Path] = {}
    astray: list[str] = []
    try:
        with os.scandir(root) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if _is_directory(entry):
                    found[entry.name] = Path(entry.path)
                elif entry.name.lower().endswith(SUFFIXES):
                    astray.append(entry.name)
    except OSError as error:
        here = "" if root.is_absolute() else f" (looked for in {Path.cwd()})"
        raise UsageError(f"cannot read the folder {root}{here}: {error.strerror}") from None
    if astray:
        count = f"{len(astray):,} images lie" if len(astray) > 1 else "an image lies"
        raise UsageError(
            f"{count} directly in {root}, in no class's directory: {', '.join(astray[:MOST_NAMED])}"
            + (", ..." if len(astray) > MOST_NAMED else "")
        )
    for name in found:
        if not name.isprintable():  # it goes to tables, files and terminals
            raise UsageError(f"a directory in {root} has a name that cannot be shown: {name!a}")
    return found


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
                    if entry.name.startswith("."):
                        continue
                    if _is_directory(entry):
                        inner.append(Path(entry.path))
                    else:
                        yield entry.path
        except OSError as error:
            raise UsageError(f"cannot read the folder {directory}: {error.strerror}") from None
        waiting.extend(reversed(inner))


class _Inspection(NamedTuple):
    """What looking at files has shown, for each of them."""

    plain: list[tuple[int, int] | None]
    """Height and width of a plain JPEG, or None."""
    reasons: list[str | None]
    """Why it cannot be read, or None."""
    digest: str
    covers: str


def _inspect(root: Path, paths: list[str]) -> _Inspection:

    lengths = [_length(path) for path in paths]
    whole = sum(lengths) <= MOST_DIGESTED_BYTES
    plain: list[tuple[int, int] | None] = [None] * len(paths)
    reasons: list[str | None] = [None] * len(paths)
    digests = [b""] * len(paths)

    def inspect(start: int) -> None:
        for i in range(start, len(paths), workers):
            path = Path(paths[i])
            try:
                content = _content(path, None if whole else ENDS_BYTES)
                plain[i] = check(content, content if whole else path)
            except UnreadableError as error:
                reasons[i] = str(error)
                continue
            except OSError as error:
                reasons[i] = error.strerror or "unreadable"
                continue
            if whole:
                digests[i] = hashlib.sha256(content).digest()

    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(inspect, range(workers)))
    digest = hashlib.sha256()
    for path, length, of_content in zip(paths, lengths, digests, strict=True):
        digest.update(os.fsencode(Path(path).relative_to(root)))
        digest.update(b"\0%d\0" % length + of_content)
    covers = "names, sizes and contents of the files" if whole else "names and sizes of the files"
    return _Inspection(plain, reasons, digest.hexdigest(), covers)


def _length(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # a link to nothing: said of it when it is read
        return 0


def _content(path: Path, ends: int | None) -> bytes:
    """A file, or so many bytes of its start and of its end."""
    if not path.is_file():
        raise UnreadableError("not a file" if path.exists() else "a link to nothing")
    with path.open("rb") as file:
        if ends is None:
            return file.read()
        start = file.read(ends)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(len(start), length - ends))
        return start + file.read()


def _unreadable(root: Path, damaged: list[Skipped], total: int) -> UsageError:
    named = "; ".join(f"{path} ({why})" for path, why in damaged[:MOST_NAMED])
    more = f"; and {len(damaged) - MOST_NAMED:,} more" if len(damaged) > MOST_NAMED else ""
    return UsageError(
        f"{len(damaged):,} of {total:,} image files in {root} cannot be read: {named}{more}. "
        "Mend or remove them, or say `on_error: skip`"
    )


def _check_classes(root: Path, layout: _Layout, files: list[_File]) -> None:
    """Raise `UsageError` where a class has nothing to train on."""
    present = {file.label for file in files if file.part == TRAIN}
    empty = [name for label, name in enumerate(layout.class_names) if label not in present]
    if not empty:
        return
    if len(empty) == len(layout.class_names):
        raise UsageError(f"there are no images in {root}: no .jpg, .jpeg, .png, .bmp or .gif file")
    named = ", ".join(f"`{name}`" for name in empty[:MOST_NAMED])
    more = f" and {len(empty) - MOST_NAMED:,} more" if len(empty) > MOST_NAMED else ""
    raise UsageError(f"no image to train on is in {named}{more}, in {root}")

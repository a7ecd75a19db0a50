"""A path -> the files of a data set: a file, a folder of files, or a pattern."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from archspec.data.fileaccess import missing_file, reading
from archspec.data.names import PARTS
from archspec.errors import UsageError

MOST_FILES: Final = 100_000
MOST_DEPTH: Final = 3
"""Levels of folders below the given one: Hugging Face has `default/train/0000.parquet`."""

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_RANGE: Final = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


class Shard(NamedTuple):
    """A file of a data set."""

    path: Path
    name: str
    """The path below the folder that all files have in common."""
    part: int | None
    """TRAIN, VALIDATION or TEST, as the name says; None if all files are of the same part."""


def shards(text: str, suffixes: tuple[str, ...]) -> list[Shard]:
    """Return the files that a path means, sorted by name.

    Args:
        text: A file, a folder, or a pattern such as `train-{000..009}.tar` or `*.parquet`.
        suffixes: The suffixes of files in a folder that belong to the data set.

    Raises:
        UsageError: There are no files, or only some of the names say a part.

    """
    path = Path(text)
    if path.is_file():
        return [Shard(path, path.name, None)]
    if path.is_dir():
        root, paths = path, sorted(_inside(path, suffixes))
        if not paths:
            raise UsageError(f"there is no {', '.join(suffixes)} file in {path}")
    elif set(text) & set("{*?["):
        paths = _matching(text)
        above = paths[0].parents
        common = [each for each in above if all(path.is_relative_to(each) for path in paths)]
        if not common:
            raise UsageError(f"{text} has relative and absolute paths: write all alike")
        root = common[0]
    else:
        raise missing_file(path)
    if len(paths) > MOST_FILES:
        raise UsageError(f"{text} is more than {MOST_FILES:,} files")
    names = [each.relative_to(root).as_posix() for each in paths]
    parts = [_part(name) for name in names]
    if None in parts and any(part is not None for part in parts):
        unnamed = names[parts.index(None)]
        other = next(name for name, part in zip(names, parts, strict=True) if part is not None)
        raise UsageError(
            f"{root} has {unnamed} beside {other}, and its name does not say whether it is for "
            "training, validation or test: rename or move it"
        )
    if len(set(parts)) == 1:
        parts = [None] * len(paths)
    return [Shard(*each) for each in zip(paths, names, parts, strict=True)]


def _inside(root: Path, suffixes: tuple[str, ...], depth: int = 0) -> Iterator[Path]:
    """Yield the files in a folder and below, without hidden ones; links to folders are skipped."""
    with reading(f"the folder {root}"):
        entries = sorted(root.iterdir())
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.name.lower().endswith(suffixes) and entry.is_file():
            yield entry
        elif depth < MOST_DEPTH and entry.is_dir() and not entry.is_symlink():
            yield from _inside(entry, suffixes, depth + 1)


def _matching(text: str) -> list[Path]:
    paths: set[Path] = set()
    for pattern in islice(_expanded(text), MOST_FILES + 1):
        matching = glob.glob(pattern)  # noqa: PTH207  (Path.glob takes no absolute patterns)
        files = [Path(each) for each in matching if Path(each).is_file()]
        if not files:
            which = "" if pattern == text else f", which {text} includes"
            raise UsageError(f"there is no file {pattern}{which}")
        paths |= set(files)
    return sorted(paths)


def _expanded(text: str) -> Iterator[str]:
    """Yield the patterns of a text: a{1..3} gives a1, a2 and a3; {a,b} gives a and b.

    Other braces are part of a name.
    """
    for match in _BRACES.finditer(text):
        inner = match[1]
        if bounds := _RANGE.fullmatch(inner):
            low, high = bounds.groups()
            choices: Iterator[str] = (
                str(n).zfill(len(low)) for n in range(int(low), int(high) + 1)
            )
        elif "," in inner:
            choices = iter(inner.split(","))
        else:
            continue
        for choice in choices:
            yield from _expanded(text[: match.start()] + choice + text[match.end() :])
        return
    yield text


def _part(name: str) -> int | None:
    """Return the part that a word of a file's name says, or else of a folder's that it is in."""
    for piece in reversed(name.lower().split("/")):
        parts = {PARTS[word] for word in re.split(r"[^a-z]+", piece) if word in PARTS}
        if len(parts) == 1:
            return parts.pop()
    return None

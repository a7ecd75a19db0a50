"""Making and claiming a run's folder, and writing its files so that each is always whole."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from archspec.atomic import whole
from archspec.errors import UsageError
from archspec.runs.files import CLAIM
from archspec.text import csv_lines


def create(name: str, out: str | os.PathLike[str] | None, parent: Path = Path("runs")) -> Path:
    """Make the folder `out`, which must not exist, or else `parent`/NAME-N with the next free N."""
    if out is not None:
        check_free(out)
        folder = Path(out)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from None
        return folder
    stem = re.sub(r"[^\w.-]+", "-", name).lstrip(".-") or "run"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1 + max(_numbers(parent, stem), default=0)
        while True:
            folder = parent / f"{stem}-{number}"
            # Making the folder claims its number: of two runs that start together, one fails here.
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
            number += 1
    except OSError as error:
        raise UsageError(
            f"cannot make a folder in {parent}: {error.strerror}; choose a place with `out`"
        ) from None


def check_free(out: str | os.PathLike[str]) -> None:
    """Raise `UsageError` if there is something at `out`: each run gets a new folder."""
    if os.path.lexists(out):
        raise UsageError(f"{Path(out)} exists already: each run needs a new folder")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; raise `UsageError` if one does already.

    The claim is a lock of the operating system, which ends with the process however that ends. It
    is on the folder itself, because a lock file could be deleted and made anew; and on a file in
    it, because network file systems lock only files that are open for writing.
    """
    with ExitStack() as stack:
        try:
            _lock_folder(folder, stack)
            file = stack.enter_context((folder / CLAIM).open("a"))
            _lock(file.fileno())
        except BlockingIOError:
            raise UsageError(f"another process trains in {folder}") from None
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
        yield


def _lock_folder(folder: Path, stack: ExitStack) -> None:
    if os.name == "nt":  # no folder can be opened there, so nothing is claimed
        return
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno not in {errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}:
            raise


def _lock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _numbers(parent: Path, stem: str) -> Iterator[int]:
    for entry in parent.iterdir():
        if match := re.fullmatch(re.escape(stem) + r"-([1-9][0-9]{0,8})", entry.name):
            yield int(match[1])


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, with the columns of the first row."""
    names = list(rows[0])
    write_text(path, csv_lines([names, *([row.get(name, "") for name in names] for row in rows)]))

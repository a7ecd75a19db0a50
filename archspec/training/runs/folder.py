"""A run's folder: made once, for one run, and every file in it whole at any moment."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from archspec.diagnostics import UsageError
from archspec.training.runs.files import CLAIM


def create(name: str, out: str | os.PathLike[str] | None, parent: Path = Path("runs")) -> Path:
    """Make the folder `out`, which must not exist, or `parent`/name-n with the next free n."""
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
            # Making the folder is what claims its number: of two runs, one fails and goes on.
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
            number += 1
    except OSError as error:
        raise UsageError(
            f"cannot make a folder in {parent}: {error.strerror}; choose a place with `out`"
        ) from None


def check_free(out: str | os.PathLike[str]) -> None:
    """Raise `UsageError` where a run would have to share a folder with what is there."""
    if os.path.lexists(out):
        raise UsageError(f"{Path(out)} exists already: each run has a folder of its own")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Let no other process train in a folder meanwhile; raise `UsageError` where one does.

    The claim is the operating system's: it ends with the process, however that ends.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / CLAIM).open("a"))
            _lock(file)
        except BlockingIOError:
            raise UsageError(f"another process trains in {folder}") from None
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
        yield


def _lock(file: TextIO) -> None:
    try:
        import fcntl  # noqa: PLC0415  (not on Windows, where nothing is claimed)
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _numbers(parent: Path, stem: str) -> Iterator[int]:
    for entry in parent.iterdir():
        if found := re.fullmatch(re.escape(stem) + r"-([1-9][0-9]{0,8})", entry.name):
            yield int(found[1])


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` when all went well.

    What stands at `path` is whole even after the power failed. The suffix stays, because Keras
    goes by it.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        with partial.open("r+b") as file:  # Windows writes back only what may be written
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """CSV, its columns those of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())

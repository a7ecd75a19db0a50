"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archspec.errors import UsageError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` at the end unless an error is raised.

    The file at `path` is whole at any moment, even after a power failure. The suffix stays the
    same, because Keras chooses a format by it. Of a link, the file that it leads to is replaced;
    a file that is replaced hands on who may read it.
    """
    path = path.resolve() if path.is_symlink() else path
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        if path.is_file():
            partial.chmod(stat.S_IMODE(path.stat().st_mode))
        with partial.open("r+b") as file:  # Windows syncs only files that are open for writing
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def saving(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Do as `whole` does for a path that a user named: a file that cannot be written is its error.

    Raises:
        UsageError: The file cannot be written, such as for a full disk.

    """
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} cannot be a path: it has a null character")
    try:
        with whole(Path(path)) as partial:
            yield partial
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def save(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file that a user named; text is in UTF-8, its lines end in LF. Return its path.

    Raises:
        UsageError: The file cannot be written.

    """
    with saving(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)

"""Access to the files of a data set: errors that name the file, and a bound on memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archspec.data.names import legible
from archspec.errors import UsageError, beside
from archspec.system import free_memory


@contextmanager
def reading(path: object, *damage: type[Exception], kind: str = "") -> Iterator[None]:
    """Raise `UsageError`, which names the file, for whatever reading it raises.

    Args:
        path: The file or folder, as the message calls it.
        damage: What its reader raises, beside `OSError`, where the content is wrong.
        kind: What the file may not be, after all: "a NumPy file".

    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or _first_line(error)}") from None
    except damage as error:
        what = f"damaged, or not {kind}" if kind else "damaged"
        raise UsageError(f"{path} is {what}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return legible(str(error).strip().partition("\n")[0][:300]) or "too large"


def missing_file(path: Path, what: str = "file") -> UsageError:
    """Return the error for a path at which there is nothing."""
    here = "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
    similar = ""
    with suppress(OSError):  # the folder may not be readable
        similar = beside(path)
    return UsageError(f"there is no {what} {path}{here}{similar}")


def check_memory(what: str, size: int, hint: str = "") -> None:
    """Raise `UsageError` where an array of `size` bytes does not fit into the free memory."""
    if size > (free := free_memory()):
        raise UsageError(
            f"{what} takes {size / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB of memory are "
            f"free{hint}"
        )


def byte_count(path: str) -> int:
    """Return the size of a file, 0 if there is none: reading it will raise the error."""
    try:
        return Path(path).stat().st_size
    except OSError:  # a link to nothing
        return 0

"""JSON files of a run, read as values; a damaged one is an error with the file and the place.

The types of a dataclass's fields are the schema. pydantic validates them strictly: a word is not
taken for a number, nor NaN for a finite one. Unknown keys are refused, since they come from an edit
or from a newer archspec. Size and nesting are bounded before anything is parsed.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

from pydantic import ConfigDict, Field, StrictFloat, StrictInt, TypeAdapter, ValidationError

from archspec.errors import UsageError
from archspec.runs import folder

Stored = TypeVar("Stored")

STRICT: Final = ConfigDict(strict=True, extra="forbid")
"""The `__pydantic_config__` of dataclasses that are read from a run's files."""

Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NotNegativeInt: TypeAlias = Annotated[int, Field(ge=0)]
RecordedNumber: TypeAlias = StrictInt | StrictFloat
"""A whole number or a float, read as what it is; a measure may be NaN or infinite."""

MAX_BYTES: Final = 2**26
"""Largest size of a file that is read; a million names of skipped files take less."""


class DamagedError(UsageError):
    """A file of a run is damaged or was edited."""


def read(path: Path, kind: type[Stored]) -> Stored:
    """Read the JSON file at `path` as a `kind`, which may be a dataclass or a tuple of them.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedError: The file does not hold a `kind`.
        UsageError: The file cannot be read.

    """
    return parse(content(path), kind, str(path))


def content(path: Path) -> bytes:
    """Return the bytes of a regular file of bounded size; raise the errors of `read`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block
            raise DamagedError(f"{path} is not a file")
        if status.st_size > MAX_BYTES:
            raise DamagedError(
                f"{path} is damaged: it has {status.st_size:,} bytes, more than {MAX_BYTES:,}"
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None


def parse(text: bytes | str, kind: type[Stored], name: str) -> Stored:
    """Return the `kind` in a JSON text of the file `name`; raise `DamagedError`."""
    try:
        value: Stored = _adapter(cast("Any", kind)).validate_json(text)
    except (ValidationError, RecursionError) as error:
        raise damaged(name, _complaint(error)) from None
    return value


def damaged(name: str | Path, what: str) -> DamagedError:
    """Return the error for a file that does not hold what archspec wrote."""
    return DamagedError(
        f"{name} is damaged or was edited: {what}; put it back as archspec wrote it"
    )


def write(path: Path, value: Any, *, without: tuple[str, ...] = ()) -> None:
    """Write a value so that `read` returns it, without the fields `without`."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {key: each for key, each in asdict(value).items() if key not in without}
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A path may hold bytes that are not valid text.
    folder.write_text(path, text.encode(errors="replace").decode() + "\n")


def plain(value: Any) -> Any:
    """Return data for JSON: numbers of NumPy as Python's, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_readable(path: Path) -> None:
    """Raise `UsageError` if a file may not be read, `DamagedError` if it is not a regular file."""
    if kind_of(path) != "file":  # to open a pipe would block
        raise DamagedError(f"{path} is not a file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None


def exists(path: Path) -> bool:
    """Return whether there is a file or folder at a path; raise the errors of `kind_of`."""
    return kind_of(path) is not None


def kind_of(path: Path) -> Literal["file", "folder", "other"] | None:
    """Return whether a path is a file, a folder or something else; None if there is nothing.

    Raises:
        UsageError: The path cannot be looked at, as where a folder on the way may not be entered.

    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None  # a null character in it is a ValueError
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _complaint(error: ValidationError | RecursionError) -> str:
    """Return the first of pydantic's complaints in plain words."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    item = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = "`" + ".".join(map(str, item["loc"])) + "`" if item["loc"] else "it"
    message = item["msg"]
    match item["type"]:
        case "json_invalid":
            return f"it is not JSON ({message.partition(': ')[2]})"
        case "missing":
            return f"{place} is missing"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{place} is not a key here"
        case "value_error":
            return message.removeprefix("Value error, ")
    words = message.replace("Input should be", "should be")
    return f"{place} {words}"

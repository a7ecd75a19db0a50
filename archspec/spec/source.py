"""The text of a spec, its data, and the place of each value: what all later passes read.

`parse` and `read` make it of any text, `archspec.spec.bundled` of what comes with archspec.
"""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archspec.errors import Diagnostic, Problem, Span, SpecError, nearest
from archspec.spec.located import MAX_BYTES, Located, LocatedCollection
from archspec.spec.operations import has_arguments


@dataclass(frozen=True)
class Source:
    """A spec as it was written: its data, and where each part of it stands.

    `diagnostics` holds the problems that leave the data readable: a key that stands twice, of
    which the first value counts, and an expression without the quotes that it needs. Values reached
    through aliases are shared objects: do not change them.
    """

    name: str
    lines: tuple[str, ...] = field(repr=False)
    data: dict[str, Any]
    diagnostics: tuple[Diagnostic, ...]
    _root: Located | None = field(repr=False, compare=False)
    """All values with their places; None where they are read when one is asked for."""
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Results of later passes that are the same for all its networks, such as the plan."""

    def __getstate__(self) -> dict[str, Any]:
        # Classes of a spec's own blocks exist in one process alone.
        return {**vars(self), "kept": {}}

    def span(self, path: tuple[str | int, ...], *, key: bool = False) -> Span:
        """Return the place of the value at `path`, or of its key.

        A path that leads nowhere gives the place of its deepest existing ancestor.
        """
        node = named = self.located()
        for part in path:
            if not isinstance(node, LocatedCollection) or part not in node.children:
                return node.span(self.lines)
            child = node.children[part]
            named = node.keys.get(part, child)
            node = child
        return (named if key else node).span(self.lines)

    def located(self) -> Located:
        """Return all values with their places, for which the text may have to be read now."""
        root: Located | None = self._root or self.kept.get("places")
        if root is None:
            from archspec.spec.reader import Reader  # noqa: PLC0415

            reader = Reader(self.name)
            root = self.kept["places"] = reader.read(reader.text("\n".join(self.lines))).root
        return root


def read(path: str | os.PathLike[str]) -> Source:
    """Return the source in the file at `path`; raise `SpecError` if it is not a regular file."""
    return parse(content(path), os.fspath(path))


def content(path: str | os.PathLike[str], name: str | None = None) -> bytes:
    """Return the bytes of the regular file at `path`, which messages call `name`.

    Of a file over 1 MiB one byte more than that is returned. Raise `SpecError` if it is not a file
    or cannot be read.
    """
    name = name or os.fspath(path)
    try:
        kind = Path(path).stat().st_mode
        if stat.S_ISDIR(kind):
            help_ = "name a file in it; that of a SavedModel holds a saved_model.pb"
            raise _unreadable(name, "this is a directory", help=help_)
        if not stat.S_ISREG(kind):  # a pipe would block, a device may never end
            raise _unreadable(name, "this is not a regular file")
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(name, "there is no such file", help=_nearest_file(name)) from None
    except PermissionError:
        raise _unreadable(name, "no permission to read this file") from None
    except (OSError, ValueError) as error:  # a name may be too long, or hold a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(name, f"this file cannot be read: {reason}") from None


def parse(text: str | bytes, name: str = "<spec>") -> Source:
    """Return the source of a text, which messages call `name`; raise `SpecError` for bad syntax.

    A name that ends in `.json` also admits what JSON writes differently from YAML.
    """
    from archspec.spec.quick import data_of  # noqa: PLC0415  (PyYAML's import takes 10 ms)
    from archspec.spec.reader import Reader  # noqa: PLC0415

    reader = Reader(name)
    decoded = reader.text(text)
    data = None if reader.is_json else data_of(decoded, reader.lines)
    if data is not None:
        return Source(name, reader.lines, data, (), None)
    root, diagnostics = reader.read(decoded)
    return Source(name, reader.lines, root.value, diagnostics, root)


def read_value(text: str, *, mappings: bool = False) -> Any:
    """Return the value that a text would be in a spec: a mapping only with `mappings`.

    Raises:
        Problem: The text is not one value.

    """
    try:
        data = parse(f"value: {text}").data
    except SpecError as error:
        first = error.diagnostics[0]
        message = f"`{text}` is not a value: {first.message}"
        raise Problem(first.code, message, help=first.help) from None
    value = data["value"]
    if len(data) > 1 or (isinstance(value, dict) and not mappings and not has_arguments(value)):
        message = f"`{text}` is not a number, a word, a truth value or a list"
        raise Problem("type", message)
    return value


def _unreadable(name: str, message: str, *, help: str | None = None) -> SpecError:  # noqa: A002
    return SpecError((Diagnostic("file", message, file=name, help=help),))


def _nearest_file(name: str) -> str | None:
    folder = Path(name).parent
    try:
        with os.scandir(folder) as entries:
            # A folder may hold millions of files; a hint is not worth reading them all.
            names = [entry.name for entry in itertools.islice(entries, 1000) if entry.is_file()]
    except OSError:
        return f"there is no folder `{folder}`"
    match = nearest(Path(name).name, names)
    return f"did you mean `{folder / match}`?" if match else None

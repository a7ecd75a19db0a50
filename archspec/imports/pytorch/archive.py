"""The zip of `torch.export.save`: its graph as JSON, and arrays as plain bytes.

Pickles in it are never opened.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.imports.arrays import numbers_in
from archspec.imports.limits import check_members, open_file, parse_json, refuse
from archspec.imports.onnx.source import Dims
from archspec.lazy import np

_DTYPES: Final = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16",
                  7: "float32", 8: "float64", 12: "bool", 13: "bfloat16"}  # fmt: skip
"""Names of torch's element types by the archive's numbers."""

_OLD: Final = "serialized_exported_program.json"
"""Name of the graph's member before PyTorch 2.8."""

_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # a kind of compression that Python does not know is one, too
    UnicodeDecodeError,
)
"""Exceptions by which `zipfile` tells that an archive is damaged."""


class Archive(NamedTuple):
    """Contents of an archive, without its arrays."""

    place: str
    """The member that has the graph."""
    program: Mapping[str, Any]
    """The graph."""
    stored: Mapping[str, Mapping[str, Any]]
    """Description of each array by its name, with the path of the member."""


def read_archive(path: Path) -> Archive:
    """Return what an archive says.

    Raises:
        UsageError: The file is damaged, or holds no graph.
    """
    with opened(path) as archive:
        names = archive.namelist()
        place = _graph_member(names, path)
        program = parse_json(archive.read(place), place, path)
        root = place.split("models/")[0] if "models/" in place else ""
        stored: dict[str, Any] = {}
        for kind in ("weights", "constants"):  # buffers that a state_dict has not are constants
            folder = f"{root}data/{kind}/"
            config = f"{folder}{Path(place).stem}_{kind}_config.json"
            if config in names:
                stored |= _entries(parse_json(archive.read(config), config, path), folder)
    return Archive(place, program, stored)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose members are safe to read; refuse it if one that is read is damaged."""
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
            check_members(archive.infolist(), os.fstat(file.fileno()).st_size, path)
            yield archive
        except _DAMAGE as error:
            refuse(path, f"the zip is damaged ({error!s:.100})")


def _graph_member(names: Sequence[str], path: Path) -> str:
    graphs = [
        name for name in names if name.endswith(_OLD) or re.search(r"(^|/)models/.*\.json$", name)
    ]
    return graphs[0] if graphs else refuse(path, "it has no graph")


def _entries(config: Any, folder: str) -> dict[str, Any]:
    """Return what the archive says of each array by its name, with the path of the member."""
    entries = config.get("config", {}) if isinstance(config, dict) else {}
    return {
        name: {**entry, "path_name": f"{folder}{entry.get('path_name', '')}"}
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }


def read_array(
    archive: zipfile.ZipFile,
    path: Path,
    name: str,
    entry: Mapping[str, Any] | None,
    dims: Dims,
) -> Any:
    """Return an array of an open archive, which describes it in an entry, if at all.

    Raises:
        UsageError: It is in a pickle, of an unknown type, or damaged.
    """
    if entry is None or entry.get("use_pickle"):
        raise UsageError(
            f"{path} has {name} in a pickle, which archspec does not open: save the program "
            "with PyTorch 2.9 or later for its weights"
        )
    meta = entry.get("tensor_meta", {})
    dtype = _DTYPES.get(meta.get("dtype", 0))
    if dtype is None:
        raise UsageError(f"{path} has {name} in a type of numbers that archspec does not read")
    member = str(entry.get("path_name", ""))
    try:
        raw = archive.read(member)
    except KeyError:
        refuse(path, f"it has no {member[:100]}")
    array = numbers_in(raw, dtype)
    strides = [each.get("as_int", 0) for each in meta.get("strides", [])]
    start = meta.get("storage_offset", {}).get("as_int", 0)
    last = start + sum((n - 1) * step for n, step in zip(dims, strides, strict=True))
    if min([*strides, start], default=0) < 0 or (prod(dims) and last >= array.size):
        refuse(path, f"the array {name[:60]!r} is cut")
    bytes_ = array.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        array[start:], dims, [step * bytes_ for step in strides], writeable=False
    ).copy()

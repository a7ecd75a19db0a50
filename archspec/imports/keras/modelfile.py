"""A Keras model's file, opened without Keras: what it holds, who wrote it, its variables.

    with open_model("best.keras") as file:
        file.variables          # {"layers/conv2d/vars/0": (3, 3, 3, 16), ...}
        file.writer             # "Keras 3.15.1"

The first bytes tell the format: `.keras` files of TensorFlow 2.12 are HDF5. Nothing in the file is
run, and `guards` checks it before it is read.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Final

from archspec.errors import UsageError
from archspec.graph.builder import MOST_NODES
from archspec.imports.formats import HDF5, ZIP
from archspec.imports.hdf5 import Group, open_hdf5
from archspec.imports.keras.config import layers_of
from archspec.imports.keras.guards import CONFIG, METADATA, VARIABLES, check_zip
from archspec.imports.limits import open_file, parse_json, refuse

LAYERS: Final = ("layers", "_layer_checkpoint_dependencies")
"""Names of the group of a model's layers; the second is that of tf.keras 2.12."""

SIZES: Final = ("units", "filters", "output_dim")
"""Arguments of layers that are extents of their weights."""

MOST_PACKED: Final = 2
"""Largest number of values in an element of an array: two of four bits."""

LOCAL_HEADER: Final = 30
"""Bytes before a zip member's name and extra field, whose lengths are the last four."""


@dataclass(frozen=True)
class ModelFile:
    """An open file of a Keras model, or of a model's weights alone."""

    path: Path
    config: Mapping[str, Any] | None
    """Keras's configuration of the network; None in a file of weights alone."""
    weights: Any
    """HDF5 group of the variables."""
    by_place: bool
    """Whether groups have the classes of their layers, with numbers, as in `.keras` and
    `.weights.h5` files; else they have the layers' names, as in `.h5` files."""
    variables: Mapping[str, tuple[int, ...]]
    """Shape of each variable, the optimizer's included, by its place in `weights`."""
    version: str
    """Version of Keras that wrote the file; empty if it is not known."""
    backend: str
    """Backend that it was written on; empty if it is not known."""

    @property
    def writer(self) -> str:
        """The writer of the file, for error messages."""
        unknown = "Keras 2.12 or later" if self.by_place else "an unknown version of Keras"
        version = f"Keras {self.version}" if self.version else unknown
        return f"{version} on {self.backend}" if self.backend else version

    @property
    def layer_count(self) -> int:
        """Number of layers, those of models inside the network included."""
        return _count_layers(self.config or {})


@contextlib.contextmanager
def open_model(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    """Open a `.keras` file, or an `.h5` file of a model or of weights, whatever it is called.

    Args:
        path: The file.

    Returns:
        A context manager with the open `ModelFile`.

    Raises:
        UsageError: There is no such file, it is neither, or it is not as Keras writes it.

    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open_file(path))
        start = stream.read(len(HDF5))
        if start.startswith(ZIP):
            file = _from_zip(path, stream, stack)
        elif start == HDF5:
            file = _from_hdf5(path, stream)
        else:
            raise UsageError(f"{path} is not a Keras model: it is damaged, or something else")
        if file.layer_count > MOST_NODES:
            refuse(path, f"its network has more than {MOST_NODES:,} layers")
        _check_sizes(file)
        yield file


def _from_zip(path: Path, stream: io.BufferedReader, stack: contextlib.ExitStack) -> ModelFile:
    size = os.fstat(stream.fileno()).st_size
    try:
        archive = stack.enter_context(zipfile.ZipFile(stream))
        check_zip(archive, size, path)
        config = parse_json(archive.read(CONFIG), CONFIG, path)
        metadata = {}
        if METADATA in archive.namelist():
            metadata = parse_json(archive.read(METADATA), METADATA, path)
        member = archive.getinfo(VARIABLES)
        weights = _member(archive, member, stream)
    except UsageError:
        raise
    except Exception:  # noqa: BLE001  (of a damaged directory, `zipfile` raises many kinds)
        raise UsageError(f"{path} is not a Keras model: the zip is damaged") from None
    file = open_hdf5(weights, member.file_size, path)
    version = str(metadata.get("keras_version", ""))
    return ModelFile(path, config, file, True, file.shapes(), version, "")


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, stream: io.BufferedReader
) -> io.RawIOBase | io.BytesIO:
    """Return a member's bytes: a window on the file if they are not compressed, as Keras's are."""
    if member.compress_type != zipfile.ZIP_STORED:
        return io.BytesIO(archive.read(member))
    stream.seek(member.header_offset)
    header = stream.read(LOCAL_HEADER)
    if len(header) < LOCAL_HEADER or not header.startswith(ZIP):
        raise zipfile.BadZipFile(f"{member.filename} is not where it should be")
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return _Window(stream, member.header_offset + LOCAL_HEADER + name + extra, member.file_size)


class _Window(io.RawIOBase):
    """A section of a file, readable as a separate file."""

    def __init__(self, stream: io.BufferedReader, start: int, size: int) -> None:
        super().__init__()
        self._stream, self._start, self._size = stream, start, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        self._stream.seek(self._start + self._at)
        count = self._stream.readinto(wanted)
        self._at += count
        return count


def _from_hdf5(path: Path, stream: io.BufferedReader) -> ModelFile:
    file = open_hdf5(stream, os.fstat(stream.fileno()).st_size, path)
    shapes = file.shapes()
    config = None
    weights: Any = file
    place = ""
    if "model_config" in file.attrs:
        config = parse_json(_bytes(file.attrs["model_config"]), "model_config", path)
        weights, place = file.get("model_weights"), "model_weights/"
        if not isinstance(weights, Group):
            refuse(path, "it has no model_weights")
    elif not (names_in(file, "layer_names") or any(name in file for name in (*LAYERS, "vars"))):
        raise UsageError(f"{path} holds neither a Keras model nor a model's weights")
    version, backend = (
        _bytes(file.attrs.get(name, weights.attrs.get(name, b""))).decode(errors="replace")
        for name in ("keras_version", "backend")
    )
    by_place = not names_in(weights, "layer_names")
    inside = {
        name.removeprefix(place): shape for name, shape in shapes.items() if name.startswith(place)
    }
    return ModelFile(path, config, weights, by_place, inside, version, backend)


def names_in(group: Any, attribute: str) -> list[str]:
    """Return a list of names, which Keras cuts into numbered pieces if it is too long for HDF5."""
    numbered = takewhile(group.attrs.__contains__, (f"{attribute}{n}" for n in count()))
    pieces = [attribute] if attribute in group.attrs else numbered
    names: list[str] = []
    for piece in pieces:
        listed = group.attrs[piece]
        if listed is None or isinstance(listed, str | bytes | float | int):
            group.refuse(f"its attribute `{piece}` is not a list of names")
        names += [_bytes(name).decode(errors="replace") for name in listed]
    return names


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode(errors="replace")


def _check_sizes(file: ModelFile) -> None:
    """Refuse a network that is larger than its weights: Keras would allocate all of it first."""
    if file.config is None:
        return
    stored = max((extent for shape in file.variables.values() for extent in shape), default=0)
    declared = max(_sizes(file.config.get("config")), default=0)
    if declared > MOST_PACKED * stored:
        refuse(
            file.path,
            f"a layer declares {declared:,} outputs, and no array has more than {stored:,}",
        )


def _sizes(config: Any) -> Iterator[int]:
    """Yield the numbers of outputs that the layers of a configuration declare, at any depth."""
    if isinstance(config, Mapping):
        yield from (config[name] for name in SIZES if isinstance(config.get(name), int))
        config = config.values()
    elif not isinstance(config, list):
        return
    for each in config:
        if isinstance(each, (Mapping, list)):
            yield from _sizes(each)


def _count_layers(config: Mapping[str, Any]) -> int:
    """Count the layers of a model's configuration, and of the models inside it."""
    layers = layers_of(config)
    if layers is None:
        return 1
    return sum(_count_layers(layer) for layer in layers if isinstance(layer, Mapping))

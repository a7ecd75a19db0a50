"""Formats of model files, told by the first bytes; the reader of a format is imported on use.

A suffix lies: `.keras` files of TensorFlow 2.12 are HDF5. It only decides where bytes cannot: an
ONNX file is a protocol buffer, which has no mark of its own. Text is a spec unless it is written as
one of the model formats is.
"""

from __future__ import annotations

import importlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.errors import ArchspecError, UsageError, listed

if TYPE_CHECKING:
    from archspec.imports.model import ImportedModel

HEAD: Final = 2**16
"""Bytes of a file that are looked at."""


class Format(NamedTuple):
    """A format of model files."""

    name: str
    """The name of the format, as people say it."""
    module: str
    """Name of the module in `archspec.imports` whose `read` reads it; "" for one that is not."""
    instead: str = ""
    """A clause about what to do with a file of a format that is not read."""
    options: tuple[str, ...] = ()
    """Names of what a file may lack and its user may give, beside `input`."""


KERAS: Final = Format("Keras", "keras")
ONNX: Final = Format("ONNX", "onnx")
TFLITE: Final = Format("TFLite", "tensorflow.tflite")
SAVED_MODEL: Final = Format("SavedModel", "tensorflow.saved_model")
EXPORTED: Final = Format("PyTorch .pt2", "pytorch")
DARKNET: Final = Format("Darknet configuration", "darknet", options=("weights",))
CAFFE: Final = Format("Caffe prototxt", "caffe", options=("weights",))

TORCH: Final = Format(
    "a PyTorch file, whose pickle runs code when it is opened",
    "",
    "in PyTorch, write `torch.export.save(torch.export.export(model, inputs), 'model.pt2')`",
)
NUMPY: Final = Format("arrays of NumPy, without a network", "", "give the model's file")
PICKLE: Final = Format(
    "a pickle, which runs code when it is opened", "", "save the model in a format such as .keras"
)
CAFFE_WEIGHTS: Final = Format(
    "weights of Caffe",
    "",
    "give the .prototxt, which has the network, and this as its `weights`",
)
ONNX_WEIGHTS: Final = Format(
    "weights of ONNX", "", "give the .onnx beside it, which has the network"
)
LFS_POINTER: Final = Format(
    "a pointer of Git LFS in place of the file", "", "`git lfs pull` fetches the file"
)
TEXT: Final = Format(
    "empty, or text that is not of a model", "", "save or download the model's file again"
)
DARKNET_WEIGHTS: Final = Format("weights of Darknet", "", "give the .cfg, which has the network")

BY_SUFFIX: Final = {
    ".onnx": ONNX,
    ".onnx.data": ONNX_WEIGHTS,
    ".onnx_data": ONNX_WEIGHTS,
    ".tflite": TFLITE,
    ".cfg": DARKNET,
    ".prototxt": CAFFE,
    ".keras": KERAS,
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".pt2": EXPORTED,
    ".pb": SAVED_MODEL,
    ".pt": TORCH,
    ".pth": TORCH,
    ".caffemodel": CAFFE_WEIGHTS,
    ".weights": DARKNET_WEIGHTS,
}
"""The format of each suffix, for bytes that do not tell."""

ZIP: Final = b"PK\x03\x04"
LFS: Final = b"version https://git-lfs.github.com/spec/"
HDF5: Final = b"\x89HDF\r\n\x1a\n"
GRAPH_FILE: Final = ("saved_model.pb", "saved_model.pbtxt")

# No expression below takes more than linear time, whatever the text.
_CLASS_IN_JSON = re.compile(rb'"class_name"\s*:')
_CLASS_IN_YAML = re.compile(rb"^class_name[ \t]*:", re.MULTILINE)
_LAYERS = re.compile(rb'(?:^[ \t]*|[{,]\s*)"?layers"?[ \t]*:', re.MULTILINE)
_NO_COMMENT = re.compile(rb"^[ \t]*(?=[^\s#;])", re.MULTILINE)
_DARKNET = re.compile(rb"\[\s*(?:net|network)\s*\]", re.IGNORECASE)
_CAFFE = re.compile(rb"^[ \t]*(?:layers?|input_shape)[ \t]*\{", re.MULTILINE)
_ONNX = re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x28\x32\x3a\x42]", re.DOTALL)
_NEWER_ONNX = re.compile(rb"\x08[\x03-\x20][\x12\x1a\x22\x28\x32\x3a\x42]", re.DOTALL)
"""Version 3 or later; a SavedModel begins as version 1 would."""


def find_format(path: str | os.PathLike[str]) -> Format | None:
    """Return the format of a model file or folder; None for a spec, or for what is not there.

    Args:
        path: The file or the folder.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (`Path.stat` is slower, and specs come here)
        if stat.S_ISDIR(mode):
            return _format_of_folder(Path(path))
        if not stat.S_ISREG(mode):
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(HEAD)
    except (OSError, ValueError):
        return None  # whoever reads a spec says what is wrong
    return _format_of_bytes(head, os.fspath(path))


def read(
    path: str | os.PathLike[str],
    format_: Format,
    *,
    input: Any = None,  # noqa: A002  (as specs call it)
    **options: Any,
) -> ImportedModel:
    """Return the model in a file of this format.

    Args:
        path: The file or the folder.
        format_: Its format, as `find_format` gives it.
        input: The shape of the input, where the file leaves it open or does not have it.
        options: What else the file lacks, by the names in `format_.options`.

    Raises:
        UsageError: The file is damaged, holds no network, or is not read.
    """
    refuse_unread(path, format_)
    unknown = [name for name in options if name not in format_.options]
    if unknown:
        raise UsageError(
            f"{os.fspath(path)} is a model file: it has no variable `{unknown[0]}` to set: it "
            f"takes {listed(['input', *format_.options])}"
        )
    from archspec.imports.inputs import Given, read_at_multiples  # noqa: PLC0415  (not for specs)

    module = importlib.import_module(f"archspec.imports.{format_.module}")
    try:
        model: ImportedModel = read_at_multiples(
            lambda given: module.read(Path(path), given=given, **options), Given.of(input)
        )
    except ArchspecError:
        raise
    except Exception as error:  # whatever a file holds, its user gets a sentence
        raise UsageError(
            f"{os.fspath(path)} cannot be read as {format_.name}: it is damaged, or written in a "
            f"way that archspec does not know ({type(error).__name__}: {error!s:.200})"
        ) from error
    return model


def refuse_unread(path: str | os.PathLike[str], format_: Format) -> None:
    """Raise `UsageError` for a file of a format that is not read, with the way to one that is."""
    if not format_.module:
        raise UsageError(f"{os.fspath(path)} is {format_.name}: {format_.instead}")


def _format_of_folder(path: Path) -> Format | None:
    if any((path / name).is_file() for name in GRAPH_FILE):
        return SAVED_MODEL
    from archspec.imports.unread import unread_folder  # noqa: PLC0415  (specs are files)

    unread = unread_folder(path)
    return unread and Format(unread.name, "", unread.instead)


def _format_of_bytes(head: bytes, path: str) -> Format | None:
    """Return the format of a file that begins so; None for a spec."""
    name = Path(path).name.lower()
    by_suffix = _format_of_suffix(name)
    if head.startswith(ZIP):
        return _format_of_zip(path)
    if head.startswith(HDF5):
        return KERAS
    if head[4:8] == b"TFL3":
        return TFLITE
    if head.startswith(LFS):
        return LFS_POINTER
    if head.startswith(b"\x93NUMPY"):
        return NUMPY
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return TORCH if by_suffix is TORCH else PICKLE
    if not name.endswith((".yaml", ".yml")):
        from archspec.imports.unread import unread_file  # noqa: PLC0415  (few specs come here)

        if (unread := unread_file(head, path)) is not None:
            return Format(unread.name, "", unread.instead)
    if by_suffix is SAVED_MODEL and name not in GRAPH_FILE and _NEWER_ONNX.match(head):
        return ONNX
    if b"\0" not in head and by_suffix not in (ONNX, ONNX_WEIGHTS, SAVED_MODEL, CAFFE_WEIGHTS):
        binary = by_suffix in (KERAS, TFLITE, EXPORTED)
        return _format_of_text(head) or (TEXT if binary else by_suffix)
    if name in GRAPH_FILE or by_suffix is not None:
        return by_suffix
    return ONNX if _ONNX.match(head) else None


def _format_of_suffix(name: str) -> Format | None:
    return next((each for suffix, each in BY_SUFFIX.items() if name.endswith(suffix)), None)


def _format_of_text(head: bytes) -> Format | None:
    text = head.removeprefix(b"\xef\xbb\xbf")
    first = _NO_COMMENT.search(text)
    if first and _DARKNET.match(text, first.end()):
        return DARKNET
    if _CAFFE.search(text):
        return CAFFE
    if b"class_name" not in text:
        return None
    is_json = text.lstrip()[:1] == b"{"
    keras = (_CLASS_IN_JSON if is_json else _CLASS_IN_YAML).search(text)
    layers = _LAYERS.search(text)
    # A spec's `layers` comes first; Keras says the class of a network before its layers.
    return KERAS if keras and (layers is None or keras.start() < layers.start()) else None


def _format_of_zip(path: str) -> Format | None:
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # noqa: BLE001  (of a damaged directory, `zipfile` raises many kinds)
        raise UsageError(f"{path} cannot be read: the zip is damaged") from None
    last = {name.rpartition("/")[2] for name in names}
    if "config.json" in names or "model.weights.h5" in names:
        return KERAS
    if last & {"archive_format", "serialized_exported_program.json"} or any(
        re.search(r"(?:^|/)models/[^/]+\.json$", name) for name in names
    ):
        return EXPORTED
    if "constants.pkl" in last:
        from archspec.imports.unread import TORCHSCRIPT  # noqa: PLC0415

        return Format(TORCHSCRIPT.name, "", TORCHSCRIPT.instead)
    if "data.pkl" in last:
        return TORCH
    if last and all(name.endswith(".npy") for name in last):
        return NUMPY
    return _format_of_suffix(path.lower())

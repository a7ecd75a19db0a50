"""Model files that archspec does not read: what each is, and the way to one that it reads.

Told by their first bytes, or by the suffix where those say nothing. Nothing is parsed here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple


class Unread(NamedTuple):
    """A kind of file that is not read."""

    name: str
    """The kind of file, as people say it."""
    instead: str
    """A clause about what to do."""


EXPORT_TORCH: Final = (
    "in PyTorch, write `torch.export.save(torch.export.export(model, inputs), 'model.pt2')`"
)
_SOURCE: Final = "give the file that it was converted from, or that model as ONNX"

TORCHSCRIPT: Final = Unread(
    "a TorchScript archive, whose code would have to be run",
    "in PyTorch, write `torch.onnx.export(torch.jit.load('model.pt'), inputs, 'model.onnx', "
    "dynamo=False)`",
)
SAFETENSORS: Final = Unread("weights without a network (safetensors)", EXPORT_TORCH)
FROZEN_GRAPH: Final = Unread(
    "a graph of TensorFlow 1 without signatures (a bare GraphDef)",
    "`tf2onnx.convert`, told the names of inputs and outputs, makes an ONNX file of it",
)
CHECKPOINT: Final = Unread(
    "weights of TensorFlow without a network (a checkpoint)",
    "in the program that made it, write `model.save('model.keras')`",
)
TENSORFLOW_JS: Final = Unread(
    "a model of TensorFlow.js", "give the Keras model or SavedModel that it was converted from"
)
CORE_ML: Final = Unread("a Core ML model", _SOURCE)
OPENVINO: Final = Unread("a network of OpenVINO", _SOURCE)
NCNN: Final = Unread("a network of ncnn", _SOURCE)
MNN: Final = Unread("a network of MNN", _SOURCE)
TENSORRT: Final = Unread("an engine of TensorRT, compiled for one GPU", _SOURCE)
GGUF: Final = Unread("weights of a language model (GGUF)", _SOURCE)
MXNET: Final = Unread("a network of MXNet", "in MXNet, `mx.onnx.export_model` makes an ONNX file")
MXNET_WEIGHTS: Final = Unread("weights of MXNet", "in MXNet, `mx.onnx.export_model` makes ONNX")
PADDLE: Final = Unread("a network of PaddlePaddle", "`paddle2onnx` makes an ONNX file of it")
MATLAB: Final = Unread(
    "a file of MATLAB", "in MATLAB, write `exportONNXNetwork(net, 'model.onnx')`"
)
HUGGING_FACE: Final = Unread(
    "weights with settings, as Hugging Face keeps them, without a network", EXPORT_TORCH
)
WEB_PAGE: Final = Unread(
    "a web page (HTML)", "if it was downloaded, take the address of the file itself"
)
PYTHON: Final = Unread(
    "Python code, which is not run",
    "end it with `model.save('model.keras')` in Keras, or in PyTorch "
    "`torch.export.save(torch.export.export(model, inputs), 'model.pt2')`, and run it",
)
PACKED: Final = Unread("a packed file (gzip)", "unpack it, and give the model inside")

_BY_SUFFIX: Final = {
    ".mlmodel": CORE_ML,
    ".mnn": MNN,
    ".engine": TENSORRT,
    ".pdmodel": PADDLE,
    ".pdiparams": PADDLE,
    ".ckpt.meta": CHECKPOINT,
    ".mat": MATLAB,
    ".py": PYTHON,
}
"""Files whose bytes have no mark."""

_BEGINNINGS: Final = {
    b"\xdd\x85\x76\x00": NCNN,
    b"7767517\n": NCNN,
    b"7767517\r\n": NCNN,
    b"MATLAB 5.0 MAT-file": MATLAB,
    b"MATLAB 7.3 MAT-file": MATLAB,
    b"GGUF": GGUF,
    b"ftrt": TENSORRT,
    b"\x12\x01\0\0\0\0\0\0": MXNET_WEIGHTS,
    b"\x1f\x8b\x08": PACKED,
    b"model_checkpoint_path:": CHECKPOINT,
}

# Expressions are compiled when the bytes before them fit: an ONNX file, which comes here as well,
# waits for none. None takes more than linear time, whatever the bytes.
_WEB_PAGE: Final = rb"(?i)<(?:!doctype\s+html|html)\b"
_OPENVINO: Final = rb"(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<net\s"
_NODE: Final = rb"\n[\x80-\xff]{0,4}[\x01-\x7f]\n[\x01-\x7f][\w./-]{1,127}\x12[\x01-\x7f][A-Z]\w"
"""A node of TensorFlow's: its length, its name, and its operator."""

_TENSORFLOW_JS: Final = rb'"modelTopology"\s*:'
_NOTEBOOK: Final = rb'"(?:cell_type|nbformat)"\s*:'
_MXNET: Final = rb'"arg_nodes"\s*:|"nodes"\s*:\s*\[\s*\{\s*"op"\s*:\s*"null"'
_SHARD: Final = r"data-\d{5}-of-\d{5}"

MOST_LISTED: Final = 1000
"""Number of files of a folder that are looked at."""


def unread_file(head: bytes, path: str) -> Unread | None:
    """Return the kind of model in a file that cannot be read; None if it can, or is unknown.

    Args:
        head: The first bytes of the file.
        path: Its path.
    """
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head[4:10] == b'\0\0\0\0{"' and head[0]:  # the length of a header of JSON
        return SAFETENSORS
    if head.startswith(b"\n") and re.match(_NODE, head):
        return FROZEN_GRAPH
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        if re.match(_WEB_PAGE, text):
            return WEB_PAGE
        if re.match(_OPENVINO, text):
            return OPENVINO
    if text.startswith(b"{"):
        if re.search(_TENSORFLOW_JS, text):
            return TENSORFLOW_JS
        if re.search(_NOTEBOOK, text):
            return PYTHON
        return MXNET if re.search(_MXNET, text) else None
    name = Path(path).name.lower()
    suffix = name.rpartition(".")[2]
    if suffix.startswith("data-") and re.fullmatch(_SHARD, suffix):
        return CHECKPOINT
    # A checkpoint's files are called after each other; `.index` and `.meta` alone mean little.
    if suffix in ("index", "meta") and Path(path).with_suffix(".index").is_file():
        return CHECKPOINT
    return next((kind for suffix, kind in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def unread_folder(path: str | os.PathLike[str]) -> Unread | None:
    """Return what a folder is; None if it may be read, or holds no known model."""
    names = set()
    try:
        with os.scandir(path) as entries:
            for entry, _ in zip(entries, range(MOST_LISTED), strict=False):
                names.add(entry.name)
    except OSError:
        return None
    if {"Manifest.json", "Data"} <= names:
        return CORE_ML
    if "model.json" in names and any(name.startswith("group1-shard") for name in names):
        return TENSORFLOW_JS
    stems = {name.removesuffix(".index") for name in names if name.endswith(".index")}
    if any(name.startswith(f"{stem}.data-") for stem in stems for name in names):
        return CHECKPOINT
    weights = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}
    return HUGGING_FACE if weights & names else None

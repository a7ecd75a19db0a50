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

# No expression below takes more than linear time, whatever the bytes.
_MARKS: Final = (
    (re.compile(rb"[\x01-\xff].{3}\0{4}\{\"", re.DOTALL), SAFETENSORS),
    (re.compile(rb"\xdd\x85\x76\x00|7767517\s"), NCNN),
    (re.compile(rb"MATLAB (?:5\.0|7\.3) MAT-file"), MATLAB),
    (re.compile(rb"GGUF"), GGUF),
    (re.compile(rb"ftrt"), TENSORRT),
    (re.compile(rb"\x12\x01\0{6}"), MXNET_WEIGHTS),
    (re.compile(rb"\x1f\x8b\x08"), PACKED),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE), WEB_PAGE),
    (re.compile(rb"model_checkpoint_path:"), CHECKPOINT),
    # A node's length, its name, and its operator.
    (
        re.compile(
            rb"\n[\x80-\xff]{0,4}[\x01-\x7f]\n[\x01-\x7f][\w./-]{1,127}\x12[\x01-\x7f][A-Z]\w"
        ),
        FROZEN_GRAPH,
    ),
    (re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<net\s"), OPENVINO),
)
_TENSORFLOW_JS = re.compile(rb'"modelTopology"\s*:')
_NOTEBOOK = re.compile(rb'"(?:cell_type|nbformat)"\s*:')
_MXNET = re.compile(rb'"arg_nodes"\s*:|"nodes"\s*:\s*\[\s*\{\s*"op"\s*:\s*"null"')
_CHECKPOINT_NAME = re.compile(r"\.(?:index|meta|data-\d{5}-of-\d{5})$")

MOST_LISTED: Final = 1000
"""Number of files of a folder that are looked at."""


def unread_file(head: bytes, path: str) -> Unread | None:
    """Return what a file is that begins so; None if it may be read, or is no known model.

    Args:
        head: The first bytes of the file.
        path: Its path.
    """
    for mark, kind in _MARKS:
        if mark.match(head):
            return kind
    if head.lstrip()[:1] == b"{":
        if _TENSORFLOW_JS.search(head):
            return TENSORFLOW_JS
        if _NOTEBOOK.search(head):
            return PYTHON
        return MXNET if _MXNET.search(head) else None
    name = Path(path).name.lower()
    # A checkpoint's files are called after each other; `.index` and `.meta` alone mean little.
    if found := _CHECKPOINT_NAME.search(name):
        beside = Path(path).parent
        stem = Path(path).name[: found.start()]
        if "-of-" in found[0] or (beside / f"{stem}.index").is_file():
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

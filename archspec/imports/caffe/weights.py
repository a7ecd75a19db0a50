"""Caffe's weights: the arrays of a `.caffemodel` by layer, and where the network's ops have them.

A `.caffemodel` is a protocol buffer (`caffe.proto` of Caffe): layers with blobs, in the syntax of
`layers` (V1) or of `layer`. Its arrays are channels first, and so are the maps that Caffe flattens.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.flattening import in_order
from archspec.imports.limits import mapped, refuse
from archspec.imports.model import Arrays
from archspec.imports.protobuf import Reader, Schemas, Span
from archspec.lazy import np
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.normalization import BatchNorm
from archspec.ops.op import Op

MOST_BLOBS: Final = 100
"""Blobs of a layer."""

_BLOB: Final = {
    1: ("num", "int"),
    2: ("channels", "int"),
    3: ("height", "int"),
    4: ("width", "int"),
    5: ("data", "spans"),
    7: ("shape", "Shape"),
    8: ("double_data", "spans"),
}

_SCHEMAS: Final[Schemas] = {
    "Net": {2: ("layers", "OldLayer*"), 100: ("layer", "Layer*")},
    "OldLayer": {4: ("name", "text"), 6: ("blobs", "Blob*")},
    "Layer": {1: ("name", "text"), 7: ("blobs", "Blob*")},
    "Blob": _BLOB,
    "Shape": {1: ("dim", "int*")},
}
"""Every message that is read: the numbers are those of Caffe's definitions."""


class Blob(NamedTuple):
    """An array of a `.caffemodel`."""

    shape: tuple[int, ...]
    places: Sequence[Span]
    """Places of its numbers in the file: one, or one for each number."""
    dtype: str


@dataclass(frozen=True)
class Weighted:
    """A node with weights, and the layers of the file that have them."""

    node: Node
    layers: tuple[str, ...]
    """Name of its layer, and of the Scale layer that belongs to it."""
    maps: tuple[int, ...] | None = None
    """Shape of the maps, channels last, which its input is a vector of."""
    is_transposed: bool = False
    """Whether the kernel of a product has the inputs first."""
    blobs: tuple[int, int | None] = (0, None)
    """The first of its layer's arrays that is the node's, and the end of these."""


def read_weights(
    path: str | os.PathLike[str], weighted: Sequence[Weighted], unfit: Sequence[str]
) -> Arrays:
    """Return the arrays of each node in Keras's layout.

    Args:
        path: The `.caffemodel` file.
        weighted: The nodes that have weights.
        unfit: Names of nodes whose weights have no known order.

    Raises:
        UsageError: The file is damaged, or belongs to another network.
    """
    if unfit:
        raise UsageError(
            f"the weights of `{unfit[0]}` cannot be given: it joins vectors that Caffe flattens "
            "in another order than archspec"
        )
    data = mapped(path)
    blobs = _blobs(data, path)
    return {each.node.name: _arrays(data, path, blobs, each) for each in weighted}


def _blobs(data: mmap.mmap, path: object) -> dict[str, list[Blob]]:
    """Return the blobs of each layer that has some."""
    net = Reader(data, _SCHEMAS, path).message("Net")
    found: dict[str, list[Blob]] = {}
    for layer in (*net.get("layers", []), *net.get("layer", [])):
        blobs = layer.get("blobs", [])
        if len(blobs) > MOST_BLOBS:
            refuse(path, f"a layer has {len(blobs):,} blobs")
        if blobs:
            found.setdefault(layer.get("name", ""), [_blob(each) for each in blobs])
    if not found:
        raise UsageError(f"{path} holds no weights of Caffe's layers")
    return found


def _blob(message: Mapping[str, Any]) -> Blob:
    if "shape" in message:
        shape = tuple(message["shape"].get("dim", []))
    else:  # before Caffe's shapes of any number of axes
        shape = tuple(message.get(name, 0) for name in ("num", "channels", "height", "width"))
    if "double_data" in message:
        return Blob(shape, message["double_data"], "<f8")
    return Blob(shape, message.get("data", []), "<f4")


def _arrays(
    data: mmap.mmap, path: object, blobs: Mapping[str, Sequence[Blob]], weighted: Weighted
) -> list[Any]:
    """Return the arrays of a node, in the order of its op's weights."""
    node = weighted.node
    own, *others = ([_values(data, path, each) for each in blobs.get(name, ())]
                    for name in weighted.layers)  # fmt: skip
    made = own = own[slice(*weighted.blobs)]
    if isinstance(node.op, BatchNorm) and len(own) < 4:  # else the layer has its factors itself
        made = [*(each for scale in others for each in scale), *_averages(own)]
    elif own:
        turned = next((rule for kind, rule in _KERNELS.items() if isinstance(node.op, kind)), None)
        if turned is not None:
            made = [turned(own[0], weighted), *own[1:]]
    wanted = node.layer.weights
    sizes = [each.size for each in made]
    if sizes != [prod(weight.shape) for weight in wanted]:
        theirs = ", ".join(f"{size:,}" for size in sizes) or "no"
        ours = ", ".join(f"{prod(weight.shape):,}" for weight in wanted)
        raise UsageError(
            f"{path} does not belong to this network: layer `{weighted.layers[0]}` has {theirs} "
            f"numbers there, and {ours} here"
        )
    if weighted.maps is not None:
        order = (len(weighted.maps) - 1, *range(len(weighted.maps) - 1))
        size = prod(weighted.maps)
        # The bias of a product has the order of its own outputs.
        rows = made[:1] if isinstance(node.op, FullyConnected) else made
        made = [
            in_order(each, weighted.maps, order) if len(each) == size else each for each in rows
        ] + made[len(rows) :]
    return [each.reshape(weight.shape) for each, weight in zip(made, wanted, strict=True)]


def _values(data: mmap.mmap, path: object, blob: Blob) -> Any:
    """Return the numbers of a blob."""
    content = b"".join(data[start:stop] for start, stop in blob.places)
    dtype = np.dtype(blob.dtype)
    if any(n < 0 for n in blob.shape) or prod(blob.shape) * dtype.itemsize != len(content):
        refuse(path, f"an array of {'x'.join(map(str, blob.shape))} has {len(content):,} bytes")
    return np.frombuffer(content, dtype).reshape(blob.shape).astype("float32")


def _averages(blobs: Sequence[Any]) -> list[Any]:
    """Return the mean and the variance of a BatchNorm layer, which stores sums and their factor."""
    if len(blobs) != 3 or blobs[2].size != 1:
        return list(blobs)
    factor = float(blobs[2].ravel()[0])
    return [each * (1 / factor if factor else 0.0) for each in blobs[:2]]


Kernel: TypeAlias = "Callable[[Any, Weighted], Any]"


def _convolution(kernel: Any, _: Weighted) -> Any:
    """Return a kernel of [filters, channels, places] as [places, channels, filters]."""
    return kernel.transpose(*range(2, kernel.ndim), 1, 0) if kernel.ndim > 2 else kernel


def _depthwise(kernel: Any, weighted: Weighted) -> Any:
    """Return a kernel of [channels x multiplier, 1, places] as [places, channels, multiplier]."""
    *_, channels, multiplier = weighted.node.layer.weights[0].shape
    if kernel.ndim < 3 or kernel.shape[0] != channels * multiplier:
        return kernel
    split = kernel.reshape(channels, multiplier, *kernel.shape[2:])
    return split.transpose(*range(2, split.ndim), 0, 1)


def _product(kernel: Any, weighted: Weighted) -> Any:
    """Return a kernel of [units, inputs] as [inputs, units]; it may have axes of 1 before."""
    matrix = kernel.reshape(kernel.shape[-2:]) if prod(kernel.shape[:-2]) == 1 else kernel
    return matrix if weighted.is_transposed or matrix.ndim != 2 else matrix.T


_KERNELS: Final[Mapping[type[Op], Kernel]] = {
    DepthwiseConvolution: _depthwise,
    Convolution: _convolution,
    TransposedConvolution: _convolution,  # of [channels, filters, places]
    FullyConnected: _product,
}
"""The layout of each kernel, by the op's class."""

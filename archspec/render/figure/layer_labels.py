"""Layers as papers write them in their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.graph.graph import Node, Scope
from archspec.ops.convolution import Convolution, FullyConnected
from archspec.ops.fields import per_axis
from archspec.ops.pooling import GlobalAvgPool, GlobalMaxPool
from archspec.ops.unknown import Unknown
from archspec.ops.windows import Windowed
from archspec.render.amounts import joined

TIMES: Final = "\u00d7"

POOLS: Final = {
    "max_pool": "max pool",
    "avg_pool": "average pool",
    "l2_pool": "L2 pool",
    "subsampling": "subsampling",
}
"""Words for pools with a window."""

SOFTMAX: Final = "softmax"

KERNELS: Final = {
    "depthwise_convolution": " depthwise",
    "transposed_convolution": " transposed",
    "local_conv": " local",
}
"""Words for convolutions other than the usual one."""


class Label(NamedTuple):
    """A layer's text, and what follows if it has a stride. Both are empty for one not listed."""

    text: str = ""
    stride: str = ""


Labels: TypeAlias = Callable[[Node], Label]


def block_label(node: Node) -> Label:
    """Return a layer as papers with brackets write it: `7x7, 64`, `1000-d fc`."""
    op, shape = node.op, node.layer.inputs[0] if node.layer.inputs else node.shape
    if isinstance(op, FullyConnected):
        return Label(f"{op.units}-d fc")
    if isinstance(op, GlobalAvgPool):
        return Label("average pool")
    if isinstance(op, GlobalMaxPool):
        return Label("max pool")
    if op.kind == "lrn":
        return Label("LRN")
    if SOFTMAX in (op.kind, getattr(op, "function", "")):
        return Label(SOFTMAX)
    if isinstance(op, Unknown):
        return Label(op.label)
    if isinstance(op, Windowed):
        rank = shape.rank
        steps = op.steps(rank)
        stride = "" if set(steps) == {1} else f", stride {joined(list(map(str, steps)), TIMES)}"
        if op.kind in POOLS:
            size = TIMES.join(map(str, op.window(rank)))
            pool = POOLS[op.kind]
            return Label(f"{pool} {size}" if rank == 1 else f"{size} {pool}", stride)
        return Label(_kernel(op, rank, node.channels), stride)
    return Label(op.label.lower() if node.layer.kernels or op.kind == "upsample" else "")


def whole_label(scope: Scope, nodes: Sequence[Node]) -> str:
    """Return the text of a block that papers write as one layer; empty for one that is opened."""
    if scope.kind == "attention":
        return f"{scope.label.rpartition('-')[2]}-head attention"
    if scope.kind == "squeeze_excitation":
        return f"SE, {next(node.channels for node in nodes if node.layer.used)}"
    return ""


def series_label(node: Node) -> Label:
    """Return a layer as VGG's paper writes it: `conv3-64`, `maxpool`, `FC-4096`."""
    op = node.op
    label = block_label(node)
    if isinstance(op, Convolution):
        groups = f", {op.groups} groups" if op.groups > 1 else ""
        return Label(f"{op.label.lower()}{groups}", label.stride)
    if isinstance(op, FullyConnected):
        return Label(op.label)
    if label == (f"2{TIMES}2 max pool", ", stride 2"):
        return Label("maxpool")
    if label == (f"2{TIMES}2 average pool", ", stride 2"):
        return Label("avgpool")
    return Label("soft-max") if label.text == SOFTMAX else label


def _kernel(op: Any, rank: int, channels: int) -> str:
    """Return a convolution: its kernel, its filters, and its groups as ResNeXt writes them."""
    kernel = TIMES.join(map(str, op.taps(rank))) + KERNELS.get(op.kind, "")
    if rank == 1:
        kernel = f"conv {kernel}"
    groups = getattr(op, "groups", 1)
    dilation = per_axis(op.dilation, rank, "dilation")
    return (
        f"{kernel}, {channels}"
        + (f", C={groups}" if groups > 1 else "")
        + ("" if set(dilation) == {1} else f", dilation {joined(list(map(str, dilation)), TIMES)}")
    )

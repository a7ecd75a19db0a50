"""A training step of Keras on JAX, as XLA compiles it for a CPU.

XLA's compiler for CPUs keeps the tensors that its compiler for GPUs keeps (see `jax_gpu`), but not
as they are:

- A convolution is computed in float32, under a mixed policy too. Its result is kept in float32
  where a norm reads it, and, in the policy's precision, with its bias; elsewhere in the policy's
  precision alone.
- What a convolution reads is kept in float32 and another layout, for the gradient of the kernel:
  the network's input, too. A norm before it needs it in the policy's precision as well.
- A concatenation is written, and kept where a norm reads it: a DenseNet needs more than on a GPU.
- What a product (a dense layer, attention) reads is kept in float32 too; a softmax before it keeps
  the policy's precision as well, for its own derivative.
- A GELU, a SiLU, a layer norm and a dropout keep more of what they computed: a norm in float32, in
  which Keras computes it, a function in the policy's precision.
- The kernels of convolutions are there in another layout as well, and the gradients of layers on
  vectors, which are the first of the backward pass. The gradient of a depthwise kernel is computed
  as that of a whole one: extent x extent x channels x channels.

A max pool finds the place of each maximum, which is four whole numbers: example, row, column,
channel. It writes those of all values that it reads, and of those that it gives. The former do not
depend on the data, nor do the random bits of a dropout, so XLA writes those of all pools before the
first of them is computed. So the memory is fullest either at the beginning of the backward pass,
when all is kept, or in the forward pass, at a pool.

`benchmarks/memory/calibrate.py --engine cpu` makes `cpu.json`: factors, and the errors for networks
of families that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from operator import gt
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.cost.estimate import calibrated, jax_gpu
from archspec.graph.graph import Graph, Node
from archspec.ops.convolution import DepthwiseConvolution
from archspec.ops.functions import kind_of
from archspec.ops.pooling import MaxPool

if TYPE_CHECKING:
    from archspec.cost.report import Report
    from archspec.cost.setting import Setting

WRITES_MEMORY: Final = jax_gpu.WRITES_MEMORY | {"concat", "silu"}
"""Steps whose output is a tensor in memory."""

CONVOLUTIONS: Final = frozenset(
    {"convolution", "depthwise_convolution", "transposed_convolution", "local_conv"}
)

PLACE_BYTES: Final = 4 * 4
"""Bytes of the place of a maximum: example, row, column and channel."""

BITS_BYTES: Final = 2 * 4
"""Bytes of the random numbers that are kept for a value of a dropout's mask."""

DRAWN: Final = 2
"""Random numbers that are drawn for each that is kept."""

INSIDE: Final = {"gelu": 1, "silu": 1, "layer_norm": 4}
"""Tensors that a step keeps beside those that it keeps on a GPU: a part of the derivative, the
sigmoid, or the input less its mean and its products."""

COPIES: Final = 2
"""Copies of what a max pool reads while it is computed."""


def terms(report: Report) -> calibrated.Terms:
    """Return the bytes of the terms that the factors weigh."""
    graph, setting = report.graph, report.setting
    weights = sum(
        node.layer.trainable
        for node in graph.nodes
        if node.op.kind in CONVOLUTIONS or not node.shape.rank
    )
    gradients = weights * setting.weight_bytes + _whole_kernel(graph) * _full(setting)
    return {"kept": (0, _fullest(graph, setting)), "gradients": (gradients, 0)}


def _full(setting: Setting) -> int:
    """Return the bytes of a value that is computed in full."""
    return max(setting.value_bytes, jax_gpu.FULL_BYTES)


def _fullest(graph: Graph, setting: Setting) -> int:
    """Return the bytes of an example at the moment at which the memory is fullest."""
    memory = jax_gpu.Memory(graph, WRITES_MEMORY)
    kept = dict(_kept(graph, memory, setting))
    pools = list(_pools(graph, setting))
    inside = memory.inside * setting.value_bytes + sum(
        INSIDE.get(kind_of(node.op), 0) * node.shape.size * _inside_bytes(node, setting)
        for node in graph.nodes
        if memory.learns[node.index]
    )
    bits = BITS_BYTES * sum(node.shape.size for node in graph.nodes if node.layer.saved.mask)
    all_given = sum(pool.given for pool in pools)
    moments = [sum(kept.values()) + inside + bits + all_given]
    for pool in pools:
        before = sum(size for index, size in kept.items() if index <= pool.place)
        read = sum(each.read for each in pools if each.place >= pool.place)
        given = sum(each.given for each in pools if each.place <= pool.place)
        moments.append(before + pool.copies + read + given + DRAWN * bits)
    return max(moments)


def _inside_bytes(node: Node, setting: Setting) -> int:
    """Return the bytes of a value that a step computes on its way: Keras norms in float32."""
    return _full(setting) if node.op.kind == "layer_norm" else setting.value_bytes


class _Pool(NamedTuple):
    """A max pool, and the bytes of its parts for an example."""

    place: int
    """Its index among the nodes."""
    read: int
    """Bytes of the places of what it reads and, if windows overlap, of a map to add them up in."""
    given: int
    """Bytes of the places of what it gives."""
    copies: int
    """Bytes of copies of what it reads, while it is computed: as it is, and with padding."""


def _pools(graph: Graph, setting: Setting) -> Iterator[_Pool]:
    """Yield the max pools; a window of one value has no maximum."""
    full = _full(setting)
    for node in graph.nodes:
        op, read = node.op, node.layer.inputs[0] if node.layer.inputs else node.shape
        if not isinstance(op, MaxPool) or prod(window := op.window(read.rank)) == 1:
            continue
        overlaps = any(map(gt, window, op.steps(read.rank)))
        places = (PLACE_BYTES + full * overlaps) * read.size
        yield _Pool(node.index, places, PLACE_BYTES * node.shape.size, COPIES * full * read.size)


def _kept(graph: Graph, memory: jax_gpu.Memory, setting: Setting) -> Iterator[tuple[int, int]]:
    """Yield the nodes that leave something for the backward pass, and its bytes for an example."""
    nodes, value, full = graph.nodes, setting.value_bytes, _full(setting)
    narrow = value if value < full else 0
    normed: set[int] = set()
    convolved: set[int] = set()
    multiplied: set[int] = set()
    for node in nodes:
        if node.op.kind == "batch_norm":
            normed.update(node.inputs)
        elif node.op.kind in CONVOLUTIONS:
            convolved.update(memory.shown[index] for index in node.inputs)
        elif node.op.kind in jax_gpu.PRODUCTS:
            multiplied.update(memory.shown[index] for index in node.inputs)
    in_full = memory.kept_in_full()
    for node in nodes:
        index, bytes_ = node.index, 0
        if node.is_input:
            bytes_ = full + narrow
        elif index in memory.kept:
            if node.op.kind in CONVOLUTIONS:
                bytes_ = full if index in normed else value
                bytes_ += value if index in normed and getattr(node.op, "bias", False) else 0
            elif index in convolved:
                bytes_ = full + (0 if _is_of_product(nodes, memory, node) else narrow)
            elif index in multiplied:
                bytes_ = full + (narrow if kind_of(node.op) in jax_gpu.FROM_OUTPUT else 0)
            else:
                bytes_ = full if index in in_full else value
        if bytes_:
            yield index, bytes_ * node.shape.size


def _is_of_product(nodes: tuple[Node, ...], memory: jax_gpu.Memory, node: Node) -> bool:
    """Whether a node is an activation right after a convolution or a product."""
    if node.op.kind != "activation":
        return False
    return nodes[memory.shown[node.inputs[0]]].op.kind in jax_gpu.PRODUCTS


def _whole_kernel(graph: Graph) -> int:
    """Return the values of the largest depthwise kernel, if it were a whole one."""
    shapes = [
        (node.op.kernel_shape(node.layer.inputs[0]), node.layer.inputs[0].channels)
        for node in graph.nodes
        if isinstance(node.op, DepthwiseConvolution)
    ]
    return max((prod(kernel) * channels for kernel, channels in shapes), default=0)


RULE: Final = calibrated.LinearRule(
    "Keras on JAX: liveness of what XLA keeps on a CPU, with factors fitted to compiled steps",
    Path(__file__).with_name("cpu.json"),
    terms,
)

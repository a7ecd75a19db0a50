"""A training step of Keras on JAX, as XLA compiles it for an NVIDIA GPU.

The rule follows what XLA does with memory:

- The results of library calls and windows (convolutions, products, pools) are tensors in memory.
  An elementwise step, a norm, a concatenation is fused into the steps that read it. So what the
  backward pass wants of it is computed again, from the tensors in memory that it was made of:
  DenseNet's concatenations and EfficientNet's SiLU need less than must be kept.
- What a convolution or a product reads must be in memory as well, and its kernel's gradient reads
  it again: the ReLU before it is kept beside the input of that ReLU, from which JAX takes its
  derivative. So two tensors are kept for conv + relu without a norm: VGG needs more.
- Functions that are expensive (the erf of a GELU, the exponentials of a softmax) are not computed
  again: their results are kept beside their input and output.
- A hyperbolic tangent is computed once, in float32. In a mixed policy the conversion to the lower
  precision and back is left out where pools alone read it, so that it is kept in float32; a
  convolution or a product must read the lower precision.
- A sum that several steps read is in memory: it is the trunk of a residual network, which would
  else be computed again from its beginning.

The bytes of the terms are weighed by factors that were fitted to compiled steps: the gradients in
flight are worth a part of the largest tensor, those of the weights wait for their update in part.
`benchmarks/memory/calibrate.py` makes `jax_gpu.json`: factors, and the errors for networks of
families that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archspec.cost.estimate import calibrated
from archspec.graph.graph import Graph, Node
from archspec.ops.functions import kind_of

if TYPE_CHECKING:
    from archspec.cost.report import Report

PRODUCTS: Final = frozenset(
    {
        "convolution", "depthwise_convolution", "transposed_convolution", "local_conv",
        "fully_connected", "matmul", "lstm", "gru", "rnn",
    }
)  # fmt: skip
"""Steps that are calls of a library, which reads the precision of the policy."""

READS_MEMORY: Final = PRODUCTS | {"avg_pool", "l2_pool", "blur_pool", "subsampling", "lrn"}
"""Steps that read tensors in memory and write one."""

WRITES_MEMORY: Final = READS_MEMORY | {"max_pool", "global_avg_pool", "global_max_pool", "input"}
"""Steps whose output is a tensor in memory."""

FROM_OUTPUT: Final = frozenset({"sigmoid", "tanh", "softmax"})
"""Functions whose derivative JAX takes from the output; from the input for all others."""

EXPENSIVE: Final = frozenset({"gelu"})
"""Functions that keep a tensor beside input and output."""

IN_FULL: Final = frozenset({"tanh"})
"""Functions of `FROM_OUTPUT` that are computed once, in float32, and kept so if no product reads
them."""

FULL_BYTES: Final = 4

NORMALISERS: Final = 2
"""Tensors that `lrn` keeps beside input and output: the sum over channels, and its power."""


def terms(report: Report) -> calibrated.Terms:
    """Return the bytes of the terms that the factors weigh."""
    graph, nodes = report.graph, report.graph.nodes
    value, weight = report.setting.value_bytes, report.setting.weight_bytes
    memory = Memory(graph)
    in_full = memory.kept_in_full()

    def size(indices: Iterable[int]) -> int:
        return sum(nodes[index].shape.size for index in indices)

    kept = value * (memory.inside + size(memory.kept - in_full))
    kept += max(value, FULL_BYTES) * size(in_full)
    kept += sum(node.shape.size for node in nodes if node.layer.saved.mask)
    largest = max(node.shape.size for node in nodes if not node.is_input)
    relus = (node.shape.size for node in nodes if _is_conv_relu(graph, node))
    casts = value * sum(node.layer.params for node in nodes) if value != weight else 0
    return {
        "kept": (0, kept),
        "largest": (0, value * largest),
        "largest_relu": (0, value * max(relus, default=0)),
        "inputs": (0, calibrated.input_bytes(report)),
        "gradients": (weight * sum(node.layer.trainable for node in nodes), 0),
        "cast_weights": (casts, 0),
    }


def _is_conv_relu(graph: Graph, node: Node) -> bool:
    """Whether a node is a ReLU right after a convolution."""
    return kind_of(node.op) == "relu" and graph.nodes[node.inputs[0]].op.kind == "convolution"


class Memory:
    """The tensors of a graph that are in memory, and those that are kept for the backward pass.

    Args:
        graph: The network, of known size.
        writes: Kinds of the steps whose output is in memory, whatever reads it.
        reads: Kinds of the steps that read tensors in memory; others are fused with what they read.
        joins: Whether a step is in memory that several steps read, if it is made of several
            tensors in memory; or only if it is a sum.
    """

    def __init__(
        self,
        graph: Graph,
        writes: frozenset[str] = WRITES_MEMORY,
        reads: frozenset[str] = READS_MEMORY,
        *,
        joins: bool = False,
    ) -> None:
        self.nodes = graph.nodes
        self.shown: list[int] = []
        """Index of the node in whose buffer each output lies: its own, unless it is a view."""
        self.learns: list[bool] = []
        """Whether the backward pass comes to each node."""
        readers = [0] * len(self.nodes)
        for node in self.nodes:
            index = node.index
            self.shown.append(self.shown[node.inputs[0]] if node.op.view else index)
            self.learns.append(node.layer.learns or any(self.learns[i] for i in node.inputs))
            for source in node.inputs:
                readers[source] += 1
        self.written = {
            node.index
            for node in self.nodes
            if node.is_input
            or kind_of(node.op) in writes
            or kind_of(node.op) in IN_FULL
            or (node.op.kind == "add" and readers[node.index] > 1 and not joins)
        }
        """Indices of the nodes whose output is in memory."""
        self.kept: set[int] = set()
        """Indices of those that are kept for the backward pass."""
        self._seen: set[int] = set()
        for node in self.nodes:
            if node.op.kind in reads:
                self.written.update(self.shown[index] for index in node.inputs)
        if joins:
            self._write_joins(readers)
        self.inside = 0
        """Values inside of steps that are kept beside these tensors."""
        for node in filter(lambda node: self.learns[node.index], self.nodes):
            self._keep_for(node)

    def _write_joins(self, readers: Sequence[int]) -> None:
        """Write what several steps read and would be computed again from several tensors."""
        made_of: list[set[int]] = []
        for node in self.nodes:
            sources: set[int] = set()
            for index in (self.shown[each] for each in node.inputs):
                sources |= {index} if index in self.written else made_of[index]
            made_of.append(sources)
            if len(sources) > 1 and readers[node.index] > 1 and not node.op.view:
                self.written.add(node.index)

    def _keep_for(self, node: Node) -> None:
        """Keep what the backward pass of a node reads."""
        layer, name = node.layer, kind_of(node.op)
        self.inside += layer.saved_inside
        if layer.saved.output and name in FROM_OUTPUT:
            self._keep(node.index)
        elif layer.saved.input or layer.saved.output:
            for index in node.inputs:
                self._keep(index)
        if name in EXPENSIVE or (name == "softmax" and node.shape.rank):
            self.inside += node.shape.size
        if name == "lrn":
            self.inside += NORMALISERS * node.shape.size

    def kept_in_full(self) -> set[int]:
        """Return the indices of tensors that are kept in float32 under a mixed policy."""
        products = [node for node in self.nodes if node.op.kind in PRODUCTS]
        cast = {self.shown[index] for node in products for index in node.inputs}
        return {i for i in self.kept - cast if kind_of(self.nodes[i].op) in IN_FULL}

    def _keep(self, index: int) -> None:
        """Keep the tensors in memory from which a node's output is computed again."""
        waiting = [index]
        while waiting:
            index = self.shown[waiting.pop()]
            if index in self._seen or self.nodes[index].is_input:
                continue
            self._seen.add(index)
            if index in self.written:
                self.kept.add(index)
            else:
                waiting.extend(self.nodes[index].inputs)


RULE: Final = calibrated.LinearRule(
    "liveness of what XLA keeps, with factors fitted to compiled steps",
    Path(__file__).with_name("jax_gpu.json"),
    terms,
)

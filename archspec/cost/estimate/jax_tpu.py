"""A training step of Keras on JAX, as XLA compiles it for a TPU.

XLA's compiler for TPUs keeps other tensors than its compiler for GPUs (see `jax_gpu`):

- An activation, a norm or an addition is fused into the convolution or the product that reads it,
  and is computed once more in the backward pass. So conv + ReLU keeps one tensor, where a GPU's
  compiler keeps two. A max pool reads a tensor in memory, which is kept beside the input of the
  ReLU before it.
- What several steps read and is made of several tensors is written: the sums of a residual
  network, the concatenations of a DenseNet.
- Convolutions and products read bfloat16, also in float32 networks: what a pool writes for them
  alone is kept in it.
- The batch or the channels are the last axis of a tensor, the other one is the last but one. They
  fill tiles of 8 x 128 values, in the order that leaves less of them empty. So a tensor of 64
  channels takes twice its bytes at batch 32, and once at batch 128: memory is not linear in the
  batch. Weights and inputs fill tiles as well, in the best order of all their axes.
- What a convolution in groups reads is written and kept in bfloat16, its tiles filled by the batch
  and the channels of one group: 4 channels take the place of 128 at a small batch.
- The input is kept in bfloat16 for the gradient of the first kernel.
- What a softmax or a local response normalisation computes on its way is computed again, and so
  is what a GELU does in float32. In half precision its erf is kept beside its input.
- The chip has memory of its own (VMEM). Most of it holds tensors that would be in the other memory:
  all of a small network.
- For each trained weight there are six tables of 16 KiB, by which it is copied to and from there.

`benchmarks/memory/calibrate.py --engine jax-tpu` makes `jax_tpu.json`: factors, and the errors for
networks of families that the fit did not see.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.arguments import LARGEST
from archspec.cost.estimate import jax_gpu
from archspec.cost.estimate.calibrated import CalibratedRule
from archspec.graph.graph import Graph
from archspec.ops.convolution import Convolution
from archspec.ops.functions import kind_of
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.cost.report import Report

READS_MEMORY: Final = frozenset({"max_pool", "lrn"})
"""Steps that read tensors in memory."""

ROWS: Final = 8
COLUMNS: Final = 128
"""Extents of a tile."""

ON_CHIP: Final = 104 * 2**20
"""Bytes of tensors that are on the chip, of a v5e's 128 MiB; the steps themselves need the others.
In CIFAR's ResNet-20 at batch 32 and 128, which is little larger, they are 93 and 110 MiB."""

NARROW_BYTES: Final = 2
"""Bytes of a value that a convolution reads."""

TABLES: Final = 6 * 16 * 2**10
"""Bytes of the tables of a trained weight."""


def up(extent: int, tile: int) -> int:
    """Return the least multiple of a tile's extent that holds an extent."""
    return -(-extent // tile) * tile


def rows(extent: int) -> int:
    """Return the rows that an extent takes: 1, 2, 4, or a multiple of 8."""
    return up(extent, ROWS) if extent > ROWS // 2 else 1 << (extent - 1).bit_length()


def in_tiles(shape: Sequence[int]) -> int:
    """Return the values of a whole tensor's tiles, in the order of its axes that takes fewest."""
    if len(shape) < 2:
        return up(prod(shape), COLUMNS)
    values = prod(shape)
    return min(
        values // (last * other) * up(last, COLUMNS) * rows(other)
        for last, other in permutations(shape, 2)
    )


def of_batch(batch: int, channels: int) -> int:
    """Return the values of the tiles that hold one position of a batch: examples x channels."""
    return min(up(channels, COLUMNS) * rows(batch), up(batch, COLUMNS) * rows(channels))


class Tensors(NamedTuple):
    """The tensors of a network, by which the bytes of a step follow from its batch."""

    weights: int
    """Bytes of the tiles of the weights."""
    trained: int
    """Bytes of the tiles of those that are trained."""
    gradients: int
    """Bytes of the gradients of these, without what fills tiles."""
    optimizer: int
    """Bytes of the optimizer's state, likewise."""
    inputs: tuple[tuple[int, ...], ...]
    """Shapes of the inputs of an example."""
    input_bytes: int
    """Bytes of a value of the inputs."""
    kept: Mapping[int, int]
    """Bytes kept for the backward pass of one channel of an example, by the number of channels that
    fill a tile: all of a tensor's, or those of one group."""
    masks: int
    """Bytes of an example's masks of dropout."""
    tables: int
    """Bytes of the tables of the trained weights."""

    @property
    def fixed(self) -> int:
        """Bytes of the tiles of the weights, and of the state, which has their shapes."""
        return self.weights + ceil(Fraction(self.optimizer * self.trained, max(1, self.gradients)))

    def known(self, batch: int) -> int:
        """Return the bytes that are not estimated: weights, state and inputs."""
        inputs = sum(in_tiles((batch, *shape)) for shape in self.inputs)
        return self.fixed + self.input_bytes * inputs

    def terms(self, batch: int) -> Mapping[str, int]:
        """Return the bytes that the factors weigh."""
        kept = sum(each * of_batch(batch, channels) for channels, each in self.kept.items())
        return {
            "kept": max(0, kept + batch * self.masks - ON_CHIP),
            "gradients": self.gradients,
            "tables": self.tables,
        }


def tensors(report: Report) -> Tensors:
    """Return the tensors of a network of known size."""
    graph, setting, memory = report.graph, report.setting, report.memory
    weights = [weight for node in graph.nodes for weight in node.layer.weights]
    tiles = {True: 0, False: 0}
    for weight in weights:
        tiles[weight.trainable] += in_tiles(weight.shape) * setting.weight_bytes
    return Tensors(
        sum(tiles.values()),
        tiles[True],
        memory.gradients,
        memory.optimizer,
        tuple(map(tuple, graph.input_shapes.values())),
        setting.weight_bytes,
        _kept(graph, setting.value_bytes),
        sum(node.shape.size for node in graph.nodes if node.layer.saved.mask),
        TABLES * sum(weight.trainable for weight in weights),
    )


def _kept(graph: Graph, value: int) -> Mapping[int, int]:
    """Return what is kept for the backward pass, as `Tensors.kept` has it."""
    memory = jax_gpu.Memory(graph, reads=READS_MEMORY, joins=True)
    narrow = set(_for_products(graph, memory))
    kept: Counter[int] = Counter()

    def keep(shape: Shape, bytes_: int, groups: int = 1) -> None:
        channels = shape.channels // groups
        kept[channels] += bytes_ * (shape.size // channels)

    for node in graph.nodes:
        if node.index in memory.kept or (node.is_input and node.shape.rank):
            keep(node.shape, min(value, NARROW_BYTES) if node.index in narrow else value)
        if kind_of(node.op) in jax_gpu.EXPENSIVE and value < jax_gpu.FULL_BYTES:
            keep(node.shape, value)
        if isinstance(node.op, Convolution) and node.op.groups > 1:
            read = node.layer.inputs[0]
            if read.channels > node.op.groups:  # else XLA makes a depthwise convolution of it
                keep(read, NARROW_BYTES, node.op.groups)
    return kept


def _for_products(graph: Graph, memory: jax_gpu.Memory) -> Iterator[int]:
    """Yield the inputs and the pools that convolutions and products alone read."""
    others: set[int] = set()
    for node in graph.nodes:
        if node.op.kind not in jax_gpu.PRODUCTS and not node.op.view:
            others.update(memory.shown[index] for index in node.inputs)
    for node in graph.nodes:
        is_plain = node.is_input or node.op.kind in {"max_pool", "avg_pool"}
        if is_plain and node.index not in others:
            yield node.index


@dataclass(frozen=True, slots=True)
class TiledFootprint:
    """The bytes of a step, which are not linear in the batch."""

    tensors: Tensors
    factors: Mapping[str, Fraction]

    @property
    def fixed(self) -> int:
        return self.tensors.fixed

    @property
    def example(self) -> None:
        """None: there is no number of bytes that each example takes."""

    def at(self, batch: int) -> int:
        terms = self.tensors.terms(batch)
        weighed = sum(self.factors[name] * size for name, size in terms.items())
        return self.tensors.known(batch) + ceil(weighed)

    def largest_batch(self, memory: int) -> int:
        return bisect_right(range(1, LARGEST + 1), memory, key=self.at)


class TpuRule(CalibratedRule):
    """The rule of a TPU, whose terms are not linear in the batch."""

    def known(self, report: Report) -> int:
        return tensors(report).known(report.setting.training_batch)

    def terms_at(self, report: Report) -> Mapping[str, int]:
        return tensors(report).terms(report.setting.training_batch)

    def footprint(self, report: Report) -> TiledFootprint:
        return TiledFootprint(tensors(report), self.factors)


RULE: Final = TpuRule(
    "Keras on JAX: liveness of what XLA keeps on a v5e, in its tiles, with factors fitted to "
    "compiled steps",
    Path(__file__).with_name("jax_tpu.json"),
)

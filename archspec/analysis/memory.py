"""Memory: five named parts, each a function of batch size and dtype.

The model is stated in docs/counting.md. Saved for backward is the portable figure: what the
backward pass reads, each tensor once. What an engine allocates beside it is the engine's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from archspec.diagnostics import UsageError, suggestion
from archspec.graph.graph import Graph

ITEM_BYTES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "float64": (8, 8),
        "float32": (4, 4),
        "float16": (2, 2),
        "bfloat16": (2, 2),
        "mixed_float16": (4, 2),
        "mixed_bfloat16": (4, 2),
    }
)
"""Keras dtype policy to bytes of one weight, and of one activation."""

OPTIMIZER_SLOTS: Mapping[str, int] = MappingProxyType(
    {
        "sgd": 0,
        "momentum": 1,
        "rmsprop": 1,
        "adagrad": 1,
        "lion": 1,
        "adadelta": 2,
        "adam": 2,
        "adamw": 2,
        "adamax": 2,
        "nadam": 2,
        "ftrl": 2,
    }
)
"""Values that an optimiser keeps for each trainable weight. `momentum` is SGD with momentum."""


class Parts(NamedTuple):
    """The five parts, in bytes."""

    weights: int
    gradients: int
    optimizer: int
    saved: int
    """Activations kept for the backward pass."""
    forward_peak: int
    """Most activations alive at once in a forward pass alone."""

    @property
    def training(self) -> int:
        """A training step: weights, gradients, optimiser state and what backward keeps."""
        return self.weights + self.gradients + self.optimizer + self.saved

    @property
    def inference(self) -> int:
        """A forward pass: weights and the peak of activations."""
        return self.weights + self.forward_peak

    def to_dict(self) -> dict[str, int]:
        return self._asdict() | {"training": self.training, "inference": self.inference}


class Memory(NamedTuple):
    """What a graph keeps, in values; `at` gives bytes."""

    params: int
    trainable: int
    saved_values: int
    """Kept for the backward pass, one example."""
    saved_mask_bytes: int
    """Kept as masks of one byte, one example."""
    forward_values: int
    """Most values alive at once in a forward pass, one example."""

    def at(self, batch: int = 1, dtype: str = "float32", optimizer: str = "adam") -> Parts:
        """The parts for a batch size, a Keras dtype policy and an optimiser."""
        weight_bytes, value_bytes = bytes_of(dtype)
        gradients = self.trainable * weight_bytes
        return Parts(
            weights=self.params * weight_bytes,
            gradients=gradients,
            optimizer=gradients * slots_of(optimizer),
            saved=batch * (self.saved_values * value_bytes + self.saved_mask_bytes),
            forward_peak=batch * self.forward_values * value_bytes,
        )


def bytes_of(dtype: str) -> tuple[int, int]:
    """Bytes of a weight and of an activation; `UsageError` for no dtype policy."""
    return _lookup(ITEM_BYTES, dtype, "dtypes")


def slots_of(optimizer: str) -> int:
    """Values an optimiser keeps for each trainable weight; `UsageError` for one not known."""
    return _lookup(OPTIMIZER_SLOTS, optimizer, "optimizers")


T = TypeVar("T")


def _lookup(table: Mapping[str, T], name: str, what: str) -> T:
    try:
        return table[name]
    except KeyError:
        hint = suggestion(name, table, what=what)
        raise UsageError(f"{what.removesuffix('s')} `{name}` is not known; {hint}") from None


def owned_values(graph: Graph) -> list[int]:
    """Values that each node's output needs room for, beyond what it may overwrite or share.

    A view shares its input's memory. An op that may work in place does so where nothing else
    reads what it overwrites: no other node, through a view either, and not the caller, who gave
    the input and gets the outputs. The sum is the lecture's forward memory of one example.
    """
    readers = [0] * len(graph.nodes)
    for node in graph.nodes:
        for index in node.inputs:
            readers[index] += 1
    for index in (0, *graph.outputs.values()):
        readers[index] += 1
    owned: list[int] = []
    alone: list[bool] = []  # whether a node's memory has no reader but one
    for node in graph.nodes:
        op = node.layer.op
        shared = op.view or (op.in_place and alone[node.inputs[0]])
        owned.append(0 if shared else node.layer.output.size)
        alone.append(readers[node.index] == 1 and (not op.view or alone[node.inputs[0]]))
    return owned


def measure(graph: Graph, owned: list[int]) -> Memory:
    """What training and inference keep of a graph, `owned` being its `owned_values`."""
    nodes = graph.nodes
    saved: set[int] = set()
    mask_bytes = params = trainable = 0
    origin: list[int] = []  # the node whose memory a view shows
    for node in nodes:
        layer = node.layer
        op = layer.op
        params += layer.params
        trainable += layer.trainable
        origin.append(origin[node.inputs[0]] if op.view else node.index)
        keeps = layer.saved
        if keeps.input:
            saved.update(origin[index] for index in node.inputs)
        if keeps.output:
            saved.add(origin[node.index])
        if keeps.mask:
            mask_bytes += layer.output.size
    saved_values = sum(nodes[index].layer.output.size for index in saved)
    return Memory(params, trainable, saved_values, mask_bytes, _forward_peak(graph, owned))


def _forward_peak(graph: Graph, owned: list[int]) -> int:
    """The most values alive at once, freeing each buffer after its last reader.

    The input and the outputs are the caller's: they stay.
    """
    nodes = graph.nodes
    buffer: list[int] = []  # the node that owns the memory of each node's output
    last = list(range(len(nodes)))
    for node in nodes:
        buffer.append(node.index if owned[node.index] else buffer[node.inputs[0]])
        for index in node.inputs:
            last[buffer[index]] = node.index
    for index in (0, *graph.outputs.values()):
        last[buffer[index]] = len(nodes)
    freed: dict[int, list[int]] = {}
    for index, end in enumerate(last):
        if owned[index]:
            freed.setdefault(end, []).append(index)
    alive = peak = 0
    for node in nodes:
        alive += owned[node.index]
        peak = max(peak, alive)
        for index in freed.get(node.index, ()):
            alive -= owned[index]
    return peak

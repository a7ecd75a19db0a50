"""Memory: five named parts, each a function of batch size and dtype.

The model is stated in docs/counting.md. Saved for backward is the portable figure: what the
backward pass reads, each tensor once. What an engine allocates beside it is the engine's own.
"""

from __future__ import annotations

from typing import NamedTuple

from archspec.cost.setting import Setting
from archspec.graph.graph import IN_KERAS, SEPARATOR, Graph
from archspec.ops.op import Saved


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
        """A training step: weights, gradients, optimizer state and what backward keeps."""
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
    trained: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Path, as Keras says it, and shape of each trained weight."""

    def at(self, setting: Setting) -> Parts:
        """The parts in bytes, for a batch, a dtype and an optimizer."""
        values, weights = setting.value_bytes, setting.weight_bytes
        return Parts(
            weights=self.params * weights,
            gradients=self.trainable * weights,
            optimizer=setting.optimizer.values(self.trained) * weights,
            saved=setting.training_batch * (self.saved_values * values + self.saved_mask_bytes),
            forward_peak=setting.batch * self.forward_values * values,
        )


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
    trained: list[tuple[str, tuple[int, ...]]] = []
    origin: list[int] = []  # the node whose memory a view shows
    reached: list[bool] = []  # whether the backward pass comes to a node
    for node in nodes:
        layer = node.layer
        op = layer.op
        params += layer.params
        trainable += layer.trainable
        if layer.trainable:
            name = node.name.replace(SEPARATOR, IN_KERAS)
            trained += [(f"{name}/{w.name}", w.shape) for w in layer.weights if w.trainable]
        origin.append(origin[node.inputs[0]] if op.view else node.index)
        reached.append(layer.trainable > 0 or any(reached[index] for index in node.inputs))
        keeps = layer.saved if reached[-1] else Saved()
        if keeps.input:
            saved.update(origin[index] for index in node.inputs)
        if keeps.output:
            saved.add(origin[node.index])
        if keeps.mask:
            mask_bytes += layer.output.size
    saved_values = sum(nodes[index].layer.output.size for index in saved)
    peak = _forward_peak(graph, owned)
    return Memory(params, trainable, saved_values, mask_bytes, peak, tuple(trained))


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

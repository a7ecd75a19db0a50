"""Memory: five named parts, each a function of batch size and dtype.

The model is stated in docs/counting.md. Saved for backward is the portable figure: what the
backward pass reads, each tensor once. What an engine allocates beside it is the engine's own.

Where the input's size is open, these are formulas, but for the peak of a forward pass: it is a
maximum, and which layer it is at depends on the size.

A block is measured once for all its places. Of what is around it, its memory depends on no more
than whether it may overwrite its input, and whether the backward pass comes to its input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from archspec.cost.optimizers import Optimizer
from archspec.cost.setting import Setting
from archspec.graph.graph import IN_KERAS, SEPARATOR, Expansion, Graph, Layer, Piece
from archspec.ops.atleast import UNKNOWN, AtLeast


class MemoryBytes(NamedTuple):
    """The five parts of a network's memory, in bytes."""

    weights: int
    gradients: int
    optimizer: int
    saved: int
    """Activations kept for the backward pass."""
    forward_peak: int | None
    """Most activations alive at once in a forward pass alone; None where the size is open."""

    @property
    def must_keep(self) -> int:
        """Bytes that training keeps on any engine: weights, gradients, optimizer state, saved."""
        return self.weights + self.gradients + self.optimizer + self.saved

    @property
    def inference(self) -> int | None:
        """Bytes of a forward pass: weights and the peak; None where the size is open."""
        return None if self.forward_peak is None else self.weights + self.forward_peak

    def to_dict(self) -> dict[str, int | None]:
        return self._asdict() | {"must_keep": self.must_keep, "inference": self.inference}


class MemoryModel(NamedTuple):
    """Memory of a graph in values of one example; `at` gives bytes."""

    graph: Graph
    owned: tuple[int, ...]
    """Values that each node's output needs room for, beyond what it may overwrite or share.

    A view shares its input's memory. An op that may work in place does so where nothing else
    reads what it overwrites: no other node, through a view either, and not the caller, who gave
    the input and gets the outputs. The sum is the lecture's forward memory of one example.
    """
    params: int
    trainable: int
    saved_values: int
    """Values kept for the backward pass."""
    saved_mask_bytes: int
    """Bytes kept for the backward pass as masks of one byte a value."""
    forward_values: int | None
    """Most values alive at once in a forward pass; None where the input's size is open."""

    def at(self, setting: Setting) -> MemoryBytes:
        """Return the parts in bytes, for a batch, a dtype and an optimizer."""
        values, weights = setting.value_bytes, setting.weight_bytes
        most = self.forward_values
        return MemoryBytes(
            weights=self.params * weights,
            gradients=self.trainable * weights,
            optimizer=self.optimizer_values(setting.optimizer) * weights,
            saved=setting.training_batch * (self.saved_values * values + self.saved_mask_bytes),
            forward_peak=None if most is None else setting.batch * most * values,
        )

    def optimizer_values(self, optimizer: Optimizer) -> int:
        """Return the number of values that an optimizer keeps."""
        copies = optimizer.copies
        if copies is None:
            return optimizer.values(_trained(self.graph))
        return copies * self.trainable


def _trained(graph: Graph) -> Iterable[tuple[str, tuple[int, ...]]]:
    """Yield the path, as Keras has it, and the shape of each trained weight."""
    for node in graph.nodes:
        name = node.name.replace(SEPARATOR, IN_KERAS)
        for weight in node.layer.weights:
            if weight.trainable:
                yield f"{name}/{weight.name}", weight.shape


def measure(graph: Graph) -> MemoryModel:
    """Return what training and inference keep of a graph."""
    first, *pieces = graph.pieces
    size = first.shape.size
    # The inputs and the outputs are the caller's: they stay.
    outer_reads = (*graph.inputs.values(), *graph.outputs.values())
    needs = _needs_in_sequence(
        pieces, graph.size, 0, outer_reads, overwritable=False, reached=False
    )
    return MemoryModel(
        graph,
        (size, *needs.owned),
        sum(piece.costs.params for piece in pieces),
        sum(piece.costs.trainable for piece in pieces),
        needs.saved_values + needs.saves_input * size + needs.saves_output * needs.shown,
        needs.saved_mask_bytes,
        None if graph.is_open else _whole(size + max(needs.peak, needs.late_peak), needs.owned),
    )


def _whole(peak: int, owned: Iterable[int]) -> int:
    """Return a peak as it is; as a part of one where the size of an output is not known."""
    return peak + UNKNOWN if AtLeast in map(type, owned) else peak


class Needs(NamedTuple):
    """The memory that a layer or a block needs, in values of one example."""

    owned: tuple[int, ...]
    """Values that each node's output needs room for."""
    kept: int
    """Values of the buffer that holds the output; 0 where that is the input's."""
    peak: int
    """Most values alive at once, beside those alive before, up to the last use of the input."""
    late_peak: int
    """The same after the last use of the input, which is counted as alive."""
    saved_values: int
    """Values kept for the backward pass, but those of input and output."""
    saved_mask_bytes: int
    saves_input: bool
    """Whether the tensor that comes in is kept for the backward pass."""
    saves_output: bool
    """Whether the tensor that the output shows is kept for the backward pass."""
    is_view: bool
    """Whether the output shows the tensor that comes in."""
    shown: int
    """Values of the tensor that the output shows, if it is not the one that comes in."""
    overwritable: bool
    """Whether the output may be overwritten by its reader, if there is only one."""
    reached: bool
    """Whether the backward pass comes to the output."""


_NOTHING = Needs((), 0, 0, 0, 0, 0, False, False, True, 0, True, False)
"""Needs of an empty sequence."""

_INPUT = -1
"""Index of a block's input in its expansion."""


def _needs(costs: Layer | Expansion, overwritable: bool, reached: bool) -> Needs:
    """Return what a layer or a block needs.

    Args:
        costs: The layer or the block.
        overwritable: Whether nothing but one reader of the (first) input needs its memory.
        reached: Whether the backward pass comes to an input.
    """
    around = overwritable, reached
    needs: Needs | None = costs.measured.get(around)
    if needs is None:
        if isinstance(costs, Layer):
            needs = _layer_needs(costs, *around)
        else:
            output = costs.size - 1
            needs = _needs_in_sequence(costs.pieces, costs.size, _INPUT, (output,), *around)
        costs.measured[around] = needs
    return needs


def _layer_needs(layer: Layer, overwritable: bool, reached: bool) -> Needs:
    op, size = layer.op, layer.output.size
    reached = reached or layer.learns
    owned = 0 if op.view or (op.in_place and overwritable) else size
    return Needs(
        owned=(owned,),
        kept=owned,
        peak=owned,
        late_peak=0,
        saved_values=layer.saved_inside
        if reached or isinstance(layer.saved_inside, AtLeast)
        else 0,
        saved_mask_bytes=size if reached and layer.saved.mask else 0,
        saves_input=reached and layer.saved.input,
        saves_output=reached and layer.saved.output,
        is_view=op.view,
        shown=size,
        overwritable=overwritable or not op.view,
        reached=reached,
    )


def _needs_in_sequence(
    pieces: Sequence[Piece],
    size: int,
    source: int,
    outer_reads: Sequence[int],
    overwritable: bool,
    reached: bool,
) -> Needs:
    """Return what layers and blocks need that run one after the other.

    Lists have an entry for each node, of which those of the pieces' outputs are used, and one more
    at the end, which is that of a block's input: its index is -1.

    Args:
        pieces: The layers and blocks in order.
        size: Number of nodes.
        source: Index of their input.
        outer_reads: Indices of outputs that are read from outside as well.
        overwritable: As in `_needs`, for the input.
        reached: As in `_needs`, for the input.
    """
    readers = [0] * (size + 1)
    for _, _, costs, inputs in pieces:
        for index in inputs:
            readers[index] += costs.reads
    for index in outer_reads:
        readers[index] += 1

    all_needs = []
    may_overwrite, reaches = [False] * (size + 1), [False] * (size + 1)
    may_overwrite[source], reaches[source] = overwritable, reached
    tensor, buffer = [source] * (size + 1), [source] * (size + 1)  # by the piece that made them
    shown, kept = [0] * (size + 1), [0] * (size + 1)  # their values
    saved: set[int] = set()  # tensors
    last_use = [size] * (size + 1)  # of a buffer
    needs = _NOTHING
    for index, _, costs, inputs in pieces:
        first = inputs[0] if inputs else index
        arrives = reaches[first] if len(inputs) == 1 else any(reaches[i] for i in inputs)
        needs = _needs(costs, may_overwrite[first], arrives)
        all_needs.append(needs)
        may_overwrite[index] = needs.overwritable and readers[index] == 1
        reaches[index] = needs.reached
        tensor[index] = tensor[first] if needs.is_view else index
        shown[index] = needs.shown
        buffer[index] = index if needs.kept else buffer[first]
        kept[index] = needs.kept
        last_use[buffer[index]] = index
        for i in inputs:
            last_use[buffer[i]] = index
            if needs.saves_input:
                saved.add(tensor[i])
        if needs.saves_output:
            saved.add(tensor[index])
    output = pieces[-1].index if pieces else source
    for index in outer_reads:  # they stay
        last_use[buffer[index]] = size

    peak, late_peak = _peaks(pieces, all_needs, buffer, kept, last_use, source)
    shows = tensor[output]
    return Needs(
        owned=tuple(chain.from_iterable(each.owned for each in all_needs)),
        kept=kept[buffer[output]],
        peak=peak,
        late_peak=late_peak,
        saved_values=sum([shown[index] for index in saved - {source, shows}])
        + sum([each.saved_values for each in all_needs]),
        saved_mask_bytes=sum([each.saved_mask_bytes for each in all_needs]),
        saves_input=source in saved,
        saves_output=shows != source and shows in saved,
        is_view=shows == source,
        shown=shown[shows],
        overwritable=needs.overwritable,
        reached=reaches[output],
    )


def _peaks(
    pieces: Sequence[Piece],
    needs: Sequence[Needs],
    buffers: Sequence[int],
    kept: Sequence[int],
    last_use: Sequence[int],
    source: int,
) -> tuple[int, int]:
    """Return the most values alive at once until the last use of the input, and after it.

    Args:
        pieces: The layers and blocks in order.
        needs: What each of them needs.
        buffers: The buffer of each node's output.
        kept: Values of each buffer.
        last_use: Index of the last node that uses each buffer.
        source: Index of their input.
    """
    if not set(map(type, kept)) <= {int, AtLeast}:
        return 0, 0  # of an open size, for which no peak is given
    alive = peak = late_peak = 0
    for (index, _, _, inputs), each in zip(pieces, needs, strict=True):
        read = buffers[inputs[0]] if inputs else index
        if read == source and last_use[read] == index:
            peak = max(peak, alive + each.peak)
            late_peak = max(late_peak, alive + each.late_peak)
        else:
            freed = kept[read] if last_use[read] == index else 0
            most = alive + max(each.peak, each.late_peak - freed)
            if index <= last_use[source]:
                peak = max(peak, most)
            else:
                late_peak = max(late_peak, most)
        alive += each.kept
        for used in {buffers[index], *[buffers[i] for i in inputs]}:
            if last_use[used] == index:
                alive -= kept[used]
    return peak, late_peak

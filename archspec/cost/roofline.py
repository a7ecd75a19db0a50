"""The least time of each layer on a device: by its multiply-adds, and by the bytes it moves.

The model is Williams, Waterman & Patterson 2009 ("Roofline", doi:10.1145/1498765.1498785). A row of
the table runs alone, as one kernel: it reads its inputs and weights from the device's memory once,
and writes its outputs once; what is only used inside the row stays on the chip. Its multiply-adds
run at the device's peak. All other arithmetic, and what starting a kernel costs, is left out. So
no engine that runs the rows one by one is faster. One that joins rows may be: `floor` is the bound
of the whole, in which only weights, inputs and outputs move.

A training step is the forward pass, the backward pass and the update:

- forward: as in inference; tensors inside a row that the backward pass needs are written too;
- backward: the multiply-adds again for the gradient of the weights, where they learn, and for each
  input that needs a gradient: less in the first layer, whose input needs none. It reads the
  gradient of the output, the tensors that were kept and, for an input's gradient, the weights; it
  writes the gradients of inputs and weights;
- update: gradient and weight are read, the weight is written, each value of the optimizer's state
  is read and written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import prod
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.cost.report import Report, refuse_unknown, report
from archspec.cost.size import refuse_open
from archspec.device.device import Device
from archspec.device.finding import find
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.imports.model import Network
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.graph.graph import Node

SCHEMA_VERSION: Final = 1
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""

RATES: Final[Mapping[str, tuple[str, ...]]] = {
    "float64": ("float64",),
    "float32": ("tf32", "float32", "bfloat16"),
    "float16": ("float16",),
    "bfloat16": ("bfloat16",),
    "mixed_float16": ("float16",),
    "mixed_bfloat16": ("bfloat16",),
}
"""Rates of a data sheet at which products of a dtype run, the first that the device has.

By default, JAX and TensorFlow multiply float32 in TF32 on NVIDIA's matrix units, JAX in bfloat16
on a TPU, which has no unit for float32.
"""

PASSES: Final = ("inference", "forward", "backward", "update")
"""Parts of the work: a forward pass alone, and the three parts of a training step."""


class Traffic(NamedTuple):
    """The work of a row in one pass, for a whole batch."""

    macs: int
    bytes: int
    """Bytes that are read from the device's memory or written to it."""


class Bound(NamedTuple):
    """The least time of a row, or of a group of rows that run one after the other."""

    path: str
    kind: str
    label: str
    shape: Shape
    macs: int
    """Multiply-adds for the whole batch."""
    bytes: int
    """Bytes moved for the whole batch."""
    compute: float
    """Seconds of the multiply-adds at the device's peak."""
    memory: float
    """Seconds of the bytes at the device's bandwidth."""
    seconds: float
    """The longer of the two; of a group, the sum over its rows."""
    in_compute: float
    """Seconds of those rows that the multiply-adds bind."""

    @property
    def binds(self) -> str:
        """The one that binds: `compute` or `memory`; empty where nothing is to do."""
        if not self.seconds:
            return ""
        return "compute" if self.in_compute > self.seconds / 2 else "memory"

    @property
    def intensity(self) -> float:
        """Operations per byte moved, a multiply-add being two."""
        return 2 * self.macs / self.bytes if self.bytes else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {
            "path": self.path,
            "kind": self.kind,
            "label": self.label,
            "shape": list(self.shape),
            "macs": self.macs,
            "bytes": self.bytes,
            "intensity": self.intensity,
            "compute_seconds": self.compute,
            "memory_seconds": self.memory,
            "seconds": self.seconds,
            "binds": self.binds or None,
        }


@dataclass(frozen=True, repr=False)
class Roofline(Displayed):
    """The least time of a network on a device. Print it, or read its rows and totals."""

    RENDERER = "roofline"

    report: Report
    """Costs of the network, with batch, dtype and optimizer."""
    device: Device
    training: bool = False
    """Whether rows are those of a training step rather than of inference."""

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.report.name

    @cached_property
    def rate(self) -> str:
        """Name of the data sheet's rate at which the products run, such as `tf32`.

        Raises:
            UsageError: The device has no rate for the dtype.
        """
        dtype = self.report.setting.dtype
        for rate in RATES[dtype]:
            if rate in self.device.peaks:
                return rate
        known = ", ".join(name for name, rates in RATES.items() if {*rates} & {*self.device.peaks})
        raise UsageError(
            f"{self.device} has no peak for {dtype}" + (f"; it has for {known}" if known else "")
        )

    @property
    def peak(self) -> float:
        """Operations a second, a multiply-add being two."""
        return self.device.peaks[self.rate]

    @property
    def ridge(self) -> float:
        """Operations per byte from which the multiply-adds bind."""
        return self.peak / self.device.bandwidth

    def batch(self, part: str) -> int:
        """Return the examples of a pass."""
        setting = self.report.setting
        return setting.batch if part == "inference" else setting.training_batch

    @property
    def parts(self) -> tuple[str, ...]:
        """Passes that the rows add up."""
        return PASSES[1:] if self.training else PASSES[:1]

    def rows(self, depth: int | None = None) -> tuple[Bound, ...]:
        """Return the least time of each row of the table; `depth` groups deeper ones.

        A group's time is the sum over its rows. The update, which is for all weights, is its own.
        """
        return (*self._rows(self.parts, depth), *([self.update] if self.training else []))

    @cached_property
    def inference(self) -> Bound:
        """The sum over all rows of a forward pass alone."""
        return self._sum(self._rows(("inference",), None))

    @cached_property
    def step(self) -> Bound:
        """The sum over all rows of a training step, the update included."""
        return self._sum([*self._rows(("forward", "backward"), None), self.update])

    @property
    def total(self) -> Bound:
        """The sum over the rows: of a training step, or of a forward pass."""
        return self.step if self.training else self.inference

    @cached_property
    def backward(self) -> Bound:
        """The sum over all rows of the backward pass."""
        return self._sum(self._rows(("backward",), None))

    @cached_property
    def update(self) -> Bound:
        """The optimizer's update of all weights."""
        memory, setting = self.report.memory_model, self.report.setting
        state = memory.optimizer_values(setting.optimizer)
        moved = (3 * memory.trainable + 2 * state) * setting.weight_bytes
        weights = Shape((memory.trainable,))
        return self._bound("update", setting.optimizer.label, "", weights, [Traffic(0, moved)])

    @cached_property
    def floor(self) -> float:
        """Least seconds of inference, or of a training step, however rows are joined."""
        graph, setting, memory = self.report.graph, self.report.setting, self.report.memory_model
        ends = {*graph.inputs.values(), *graph.outputs.values()}
        values = sum(graph.nodes[index].shape.size for index in ends)
        moved = values * self.batch(self.parts[0]) * setting.value_bytes
        moved += memory.params * setting.weight_bytes
        if self.training:
            state = memory.optimizer_values(setting.optimizer)
            moved += (memory.trainable + 2 * state) * setting.weight_bytes
        return max(2 * self.total.macs / self.peak, moved / self.device.bandwidth)

    def traffic(self, start: int, stop: int, part: str) -> Traffic:
        """Return the work of the nodes from `start` up to `stop`, run as one kernel.

        Args:
            start: Index of the first node.
            stop: Index after the last node.
            part: The pass, one of `PASSES` but `update`.
        """
        movement = self._in_inference if part == "inference" else self._in_training
        return movement.traffic(start, stop, part, self.batch(part))

    def to_dict(self, depth: int | None = None) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "device": self.device.name,
            **self.report.setting.to_dict(),
            "rate": self.rate,
            "peak": self.peak,
            "bandwidth": self.device.bandwidth,
            "ridge": self.ridge,
            "source": self.device.source,
            "rows_of": "training" if self.training else "inference",
            "rows": [row.to_dict() for row in self.rows(depth)],
            "inference": self.inference.to_dict(),
            "training": {
                **self.step.to_dict(),
                "backward": self.backward.to_dict(),
                "update": self.update.to_dict(),
            },
            "floor_seconds": self.floor,
        }

    def __repr__(self) -> str:
        return f"<Roofline of {self.name} on {self.device.name}: {self.total.seconds:.3g} s>"

    def _rows(self, parts: Sequence[str], depth: int | None) -> Iterator[Bound]:
        rows = self.report.rows()
        starts = [row.start for row in rows]
        pieces = [
            [self.traffic(row.start, row.stop, part) for part in parts if part in _MOVES]
            for row in rows
        ]
        for group in rows if depth is None else self.report.rows(depth):
            if group.kind != "input":
                first, last = bisect_left(starts, group.start), bisect_left(starts, group.stop)
                inside = list(chain.from_iterable(pieces[first:last]))
                yield self._bound(group.path, group.kind, group.label, group.shape, inside)

    def _bound(
        self, path: str, kind: str, label: str, shape: Shape, pieces: Sequence[Traffic]
    ) -> Bound:
        compute = [2 * piece.macs / self.peak for piece in pieces]
        memory = [piece.bytes / self.device.bandwidth for piece in pieces]
        pairs = list(zip(compute, memory, strict=True))
        return Bound(
            path,
            kind,
            label,
            shape,
            sum(piece.macs for piece in pieces),
            sum(piece.bytes for piece in pieces),
            sum(compute),
            sum(memory),
            sum(max(pair) for pair in pairs),
            sum(c for c, m in pairs if c > m),
        )

    def _sum(self, rows: Iterator[Bound] | Sequence[Bound]) -> Bound:
        sums = [sum(column) for column in zip(*(row[4:] for row in rows), strict=True)]
        return Bound("total", "", "", self.report.graph.output, *sums)

    @cached_property
    def _in_inference(self) -> Movement:
        return Movement(self.report, training=False)

    @cached_property
    def _in_training(self) -> Movement:
        return Movement(self.report, training=True)


_MOVES: Final = PASSES[:-1]


class Movement:
    """The tensors that nodes read and write, in inference or in training."""

    def __init__(self, costs: Report, *, training: bool) -> None:
        graph = costs.graph
        self._nodes = graph.nodes
        self._setting = costs.setting
        self._tensor: list[int] = []
        """The node that makes the tensor which each node's output shows."""
        self._needs: list[bool] = []
        """Whether each node's output needs a gradient."""
        self._last = list(range(len(graph.nodes)))
        """The last node that reads each tensor."""
        self._training = training
        for node in graph.nodes:
            reads = [self._tensor[index] for index in node.inputs]
            self._tensor.append(reads[0] if self._is_view(node) and reads else node.index)
            self._needs.append(node.layer.learns or any(self._needs[i] for i in node.inputs))
            for tensor in reads:
                self._last[tensor] = node.index
        for index in graph.outputs.values():
            self._last[self._tensor[index]] = len(graph.nodes)

    def traffic(self, start: int, stop: int, part: str, batch: int) -> Traffic:
        """Return the work of a row, as `Roofline.traffic` does."""
        nodes = self._nodes[start:stop]
        if part == "backward":
            macs, values, weights, masks = self._backward(nodes, start)
        else:
            macs, values, weights, masks = self._forward(nodes, start, stop)
        moved = batch * (values * self._setting.value_bytes + masks)
        return Traffic(batch * macs, moved + weights * self._setting.weight_bytes)

    def _is_view(self, node: Node) -> bool:
        """Whether a node moves nothing: a view, or what does nothing at inference."""
        layer = node.layer
        idle = layer.op.in_place and not layer.other_ops and not layer.macs
        return layer.op.view or (idle and not (self._training and layer.saved.mask))

    def _forward(self, nodes: Sequence[Node], start: int, stop: int) -> tuple[int, int, int, int]:
        """Return multiply-adds, values of activations, of weights, and bytes of masks."""
        reads: dict[int, int] = {}
        writes: dict[int, int] = {}
        for node in nodes:
            if self._is_view(node):
                continue
            for place, index in enumerate(node.inputs):
                tensor = self._tensor[index]
                if tensor < start:
                    reads[tensor] = max(reads.get(tensor, 0), _seen(node, place))
            if self._last[node.index] >= stop:
                writes[node.index] = node.shape.size
        masks = 0
        if self._training:
            for tensor in self._kept(nodes):
                if tensor >= start:
                    writes[tensor] = self._nodes[tensor].shape.size
            masks = self._masks(nodes)
        weights = sum(prod(weight.shape) for node in nodes for weight in node.layer.used)
        macs = sum(node.layer.macs for node in nodes)
        return macs, sum(reads.values()) + sum(writes.values()), weights, masks

    def _backward(self, nodes: Sequence[Node], start: int) -> tuple[int, int, int, int]:
        """Return the same of the backward pass."""
        macs = weights = 0
        gradients: dict[int, int] = {}
        stop = start + len(nodes)
        for node in nodes:
            layer = node.layer
            if not self._needs[node.index] or self._is_view(node):
                continue
            if self._last[node.index] >= stop:  # the gradient of the output is read
                gradients[node.index] = node.shape.size
            wanted = [index for index in node.inputs if self._needs[index]]
            macs += layer.macs * (layer.learns + len(wanted))
            if wanted:
                weights += sum(prod(weight.shape) for weight in layer.used)
            if layer.learns:
                weights += sum(prod(weight.shape) for weight in layer.used if weight.trainable)
            for index in wanted:
                tensor = self._tensor[index]
                if tensor < start:  # the gradient of the input is written
                    gradients[tensor] = self._nodes[tensor].shape.size
        kept = sum(self._nodes[tensor].shape.size for tensor in self._kept(nodes))
        return macs, kept + sum(gradients.values()), weights, self._masks(nodes)

    def _kept(self, nodes: Sequence[Node]) -> set[int]:
        """Return the tensors that the backward pass of nodes reads."""
        kept: set[int] = set()
        for node in nodes:
            if self._needs[node.index]:
                if node.layer.saved.input:
                    kept.update(self._tensor[index] for index in node.inputs)
                if node.layer.saved.output:
                    kept.add(self._tensor[node.index])
        return kept

    def _masks(self, nodes: Sequence[Node]) -> int:
        return sum(
            node.shape.size for node in nodes if self._needs[node.index] and node.layer.saved.mask
        )


def _seen(node: Node, place: int) -> int:
    """Return the values of an input that a node reads: those that its windows touch."""
    layer = node.layer
    x, y, reach = layer.inputs[place], layer.output, layer.reach
    if layer.op.values_of_first and place:
        return 0
    if reach is None or place or not (x.rank == y.rank == len(reach.window)):
        return x.size
    touched = [
        min(extent, count * window)
        for extent, count, window in zip(x.spatial, y.spatial, reach.window, strict=True)
    ]
    return prod(touched) * x.channels


def roofline(
    spec: Network | str | PathLike[str],
    device: Device | str,
    *,
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    training: bool = False,
    inference: bool = False,
    at: str | int | Sequence[int] | None = None,
) -> Roofline:
    """Return the least time of a network on a device, row by row.

    Args:
        spec: A spec, a model file's model, or a path or a name as `load` takes them.
        device: A name such as `"h100"`, the path of a `.txtpb` file, or a `Device`.
        batch: As for `report`; so are `dtype`, `optimizer`, `inference` and `at`.
        dtype: See `batch`.
        optimizer: See `batch`.
        training: Whether the rows are those of a training step. Totals have both.
        inference: See `batch`.
        at: See `batch`.

    Returns:
        A roofline that prints itself: `rows()`, `inference` and `step` in seconds, with the
        multiply-adds, the bytes, and which of the two binds. `draw` plots it.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong, or the device has no peak for the dtype.

    Example:
        >>> archspec.roofline("vgg16", "h100").inference.binds
        'memory'
    """
    arguments.flag("training", training)
    costs = report(spec, batch=batch, dtype=dtype, optimizer=optimizer, inference=inference, at=at)
    refuse_open(costs.graph, "a roofline")
    refuse_unknown(costs, "a roofline")
    result = Roofline(costs, find(device), training)
    _ = result.rate
    return result

"""Values of a foreign graph, followed through it: where each stands in archspec's graph.

ONNX and PyTorch put the channels before the spatial axes, archspec puts them last. A value knows
which axis of its node is which axis of the file's tensor, so a Transpose only relabels axes, and a
file's detours between layouts vanish. An axis is moved in earnest, by a `permute`, only where an op
reads the axes in an order that its node does not have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final, TypeAlias

from archspec.errors import Problem, UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, one_or_each
from archspec.imports.model import ABSENT, BATCH, Arrays
from archspec.imports.multiplying import may_multiply
from archspec.imports.onnx.extents import CannotFold
from archspec.imports.onnx.inference import inferred
from archspec.imports.onnx.names import layer_name, model_scope
from archspec.imports.onnx.source import (
    COMPUTED,
    FIXED,
    FROZEN,
    FULL_NAME,
    MALFORMED,
    STORED,
    Constant,
    Dims,
    Source,
    Step,
    is_one,
    same,
)
from archspec.imports.onnx.view import (
    Part,
    Parts,
    Pick,
    View,
    blocks,
    channels_last,
    in_node_order,
    shuffle,
)
from archspec.lazy import np
from archspec.ops.arrangement import Flatten, Reshape, Slice, Upsample
from archspec.ops.axes import Axis, names_of_axes
from archspec.ops.normalization import BatchNorm
from archspec.ops.op import Op, Weight, Weighted
from archspec.ops.shape import Shape, UnknownShape
from archspec.ops.shuffles import Permute
from archspec.ops.tokens import Embedding, Parameter
from archspec.ops.unknown import Unknown

MOST_AXES: Final = 4
"""Largest number of axes of archspec's shapes, without the batch."""


CHANNELS_SECOND: Final = {
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "InstanceNormalization",
    "LRN",
    "DepthToSpace",
    "SpaceToDepth",
}
"""Operators whose channels are the second axis."""


RECURRENT: Final = {"LSTM", "GRU", "RNN"}
"""Operators on [positions, batch, channels]."""


class Unsupported(Exception):  # noqa: N818  (no error: the layer is shown as unknown)
    """Raised where archspec has no op for a step; the text is a clause that says why."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the file: a node, and the place of each of the file's axes in its shape."""

    node: Node
    axes: tuple[int, ...]
    """The node's axis, `BATCH` or `ABSENT` for each axis of the file's tensor."""
    batch: Any = 1
    """Extent of the batch in the file."""
    order: tuple[int, ...] = ()
    """The order in which the file reads the axes of `maps`; empty if it is the node's own."""
    maps: Shape = Shape()  # noqa: RUF009  (immutable)
    """Shape of the maps that archspec flattened to this vector."""

    joined: int = 0
    """Number of axes, the batch the first of them, that the file has as one; 0 for none."""

    @property
    def known(self) -> bool:
        """Whether the shape is known."""
        return not isinstance(self.node.shape, UnknownShape)

    @property
    def dims(self) -> Dims:
        """The extents in the order of the file."""
        shape = self.node.shape
        return tuple(
            self.batch if axis == BATCH else 1 if axis == ABSENT else shape[axis]
            for axis in self.axes
        )

    @property
    def file_dims(self) -> Dims:
        """The extents of the file's tensor, of which the first may join the batch and others."""
        dims = self.dims
        return (prod(dims[: self.joined]), *dims[self.joined :]) if self.joined else dims

    @property
    def rank(self) -> int:
        """Number of axes in the file, the batch among them."""
        return len(self.axes)

    @property
    def is_mixed(self) -> bool:
        """Whether the file has the values of this vector in another order."""
        return bool(self.order)

    @property
    def channels(self) -> int:
        """The file's axis that is the node's last; -1 if there is none."""
        last = len(self.node.shape) - 1
        return self.axes.index(last) if last in self.axes else -1

    @property
    def places(self) -> list[int]:
        """The file's axes that the node has, in the order of the node."""
        return sorted(
            (a for a in range(self.rank) if self.axes[a] >= 0), key=lambda a: self.axes[a]
        )

    def ending_with(self, axis: int) -> list[int]:
        """Return one of the file's axes after the others that the node has, in its order."""
        return [*(a for a in self.places if a != axis), axis]

    def at(self, axis: int) -> int:
        """Return an axis counted from 0; raise `Unsupported` where there is no such axis."""
        if not -self.rank <= axis < self.rank:
            raise Unsupported(f"its input has no axis {axis}")
        return axis % self.rank

    def name_of(self, axis: int) -> Axis:
        """Return archspec's name of one of the file's axes."""
        place = self.axes[axis]
        if place < 0:
            raise Unsupported("it works along the batch" if place == BATCH else "an axis is absent")
        return names_of_axes(self.node.shape)[place]


Weights = Sequence[Callable[[], Any]]
"""Functions that read the weights of a layer, in the order of `op.weights`."""


class Trace:
    """Follows a graph of the file step by step, and adds what it does to archspec's graph."""

    def __init__(self, source: Source, b: ModelBuilder, opset: int, *, exact: bool = False) -> None:
        self.source = source
        self.b = b
        self.opset = opset
        """Version of ONNX's operators."""
        self.nodes: dict[int, Node] = {}
        """The nodes by their index."""
        self.values: dict[str, Value | View] = {}
        self.constants = source.constants
        self.users: dict[str, list[Step]] = {}
        """The steps that read each value."""
        self.makers: dict[str, Step] = {}
        """The step that gave each view."""
        self.arranged: dict[Any, Node] = {}
        """Nodes that views became, by the view's node and the parts of its axes."""
        self.read: dict[str, Weights] = {}
        """Functions that read the weights of each node."""
        self.absorbed: list[Step] = []
        """Later steps that go into the layer of the step at hand."""
        self.biases: dict[int, tuple[Constant, Step]] = {}
        """Constants that are added to the output of a kernel, by the identity of its step, and the
        step that adds them: known before the trace, or found by it."""
        self.steps: dict[int, Step] = {}
        """The step of each node, by its index."""
        self.done: set[int] = set()
        """Identities of steps that went into an earlier layer, and pass on what they read."""
        self.owners: dict[tuple[Any, ...], Node] = {}
        """The first layer with a kernel, by its op and the kernel."""
        self.kernels: dict[tuple[str, str], str] = {}
        """The first layer with each kernel, by the names of the stored array and of its part."""
        self.tables: list[tuple[Constant, str]] = []
        """The tables of vectors that are looked up, and the layers that do so."""
        self.used: set[str] = set()
        """Names of the stored arrays that became weights."""
        self.trained: set[str] = set()
        """Names of the stored arrays from which weights that are trained follow."""
        self.computed: set[str] = set()
        """Names of those from which weights follow that count as computed."""
        self.functions: dict[str, str] = {}
        """The operator of the first step of each name."""
        self.model = model_scope(source.steps)
        self.counts: dict[str, int] = {}
        """Occurrences of what notes tell, by their keys."""
        self.exact = exact
        """Whether one name means one array: no exporter has merged equal ones."""

    # What a step reads.

    def value(self, step: Step, place: int = 0) -> Value:
        """Return an input that has a known shape; a constant becomes a layer that gives it."""
        self._give(step, place)
        return self._known(self.optional(step, place))

    def seen(self, step: Step, place: int = 0) -> Value | View:
        """Return an input as `value` does, or the view that it is."""
        self._give(step, place)
        value = self.values.get(step.input(place))
        return value if isinstance(value, View) else self._known(value)

    def _give(self, step: Step, place: int) -> None:
        """Add the layer that gives a constant for each example, if an input is one.

        A step reads it where a file computes something of arrays alone, as the positions of XCiT
        are, or of a learned array with its input.
        """
        name = step.input(place)
        constant = self.constants.get(name) if name and name not in self.values else None
        if constant is None:
            return
        dims = constant.dims
        is_batch = bool(dims) and dims[0] == 1 and len(dims) > 1
        order = list(range(is_batch, len(dims)))
        if step.op in CHANNELS_SECOND and order:
            order = [*order[1:], order[0]]
        fits = constant.kind == "float" and constant.size > 1 and 1 <= len(order) <= MOST_AXES
        if not fits or (step.op in CHANNELS_SECOND and not is_batch):
            raise Unsupported("its input is a constant")
        shape = tuple(dims[axis] for axis in order)

        def read() -> Any:
            return constant.load().transpose((*range(is_batch), *order)).reshape(shape)

        node = self.add(
            step,
            Parameter(shape=shape, use="alone"),
            next(iter(self.b.inputs.values())),
            constants=[constant],
            weights=[read],
            suffix="-constant",
            checked=False,
        )
        axes = tuple(order.index(axis) if axis in order else BATCH for axis in range(len(dims)))
        self.values[name] = Value(node, axes)

    @staticmethod
    def _known(value: Value | None) -> Value:
        if value is None:
            raise Unsupported("its input comes from a layer that is not known")
        if not value.known:
            raise Unsupported("the shape of its input is not known")
        return value

    def optional(self, step: Step, place: int) -> Value | None:
        """Return an input that is not a constant; None where there is none."""
        return self.settled(step.input(place), step)

    def settled(self, name: str, step: Step) -> Value | None:
        """Return a value; a view becomes one here, for the step that reads it. None without."""
        value = self.values.get(name) if name else None
        if isinstance(value, View):
            value = self.values[name] = self.laid(self.makers.get(name, step), value)
        return value

    def keep(self, step: Step, value: Value | View) -> None:
        """Keep a step's only output."""
        self.values[step.outputs[0]] = value
        self.makers[step.outputs[0]] = step

    def constant(self, step: Step, place: int) -> Constant | None:
        """Return an input that is a constant; None for a value, or where there is none."""
        name = step.input(place)
        return self.constants.get(name) if name else None

    def weight(self, step: Step, place: int, what: str) -> Constant:
        """Return an input that must be a constant."""
        constant = self.constant(step, place)
        if constant is None:
            raise Unsupported(f"its {what} is computed as the network runs")
        return constant

    def numbers(self, step: Step, place: int, what: str) -> list[Any]:
        """Return the values of an input that must be a constant of few numbers."""
        constant = self.weight(step, place, what)
        if constant.values is None:
            raise Unsupported(f"its {what} has too many values")
        return list(constant.values)

    def only_user(self, name: str) -> Step | None:
        """Return the step that reads a value, if it is one alone and no output of the network."""
        users = self.users.get(name, [])
        if len(users) == 1 and name not in self.source.outputs:
            return users[0]
        return None

    def _is_read_once(self, name: str) -> bool:
        """Whether one step alone reads a value, beside those that ask for its shape."""
        users = [user for user in self.users.get(name, ()) if user.op != "Shape"]
        return len(users) == 1 and name not in self.source.outputs

    def loaded(self, read: Callable[[], Any]) -> Any:
        """Return an array of which the values tell what it is; None if they are in another file."""
        try:
            with self.source.opened():
                return read()
        except (UsageError, ValueError):
            return None

    def is_zero(self, constant: Constant) -> bool:
        """Whether an array is known to have zeros alone."""
        if constant.values is not None:
            return bool(constant.number == 0)
        array = self.loaded(constant.load)
        return array is not None and not bool(array.any())

    # What is added.

    def add(
        self,
        step: Step,
        op: Op,
        *inputs: Node,
        constants: Iterable[Constant] = (),
        weights: Weights = (),
        after: Node | None = None,
        suffix: str = "",
        checked: bool = True,
    ) -> Node:
        """Add an op for a step.

        Args:
            step: The step.
            op: The op that it becomes.
            inputs: What the op reads.
            constants: The stored arrays that are its weights.
            weights: How each weight is read, in the order of `op.weights`.
            after: The node of the same step after which it is called.
            suffix: What is added to the name, for an op that only prepares another.
            checked: Whether an op that does not fit may become an unknown layer; else it raises.
        """
        given = list(constants)
        name = (after.name if after else self.name_of(step, given)) + suffix
        op = self._untrained(step, op, given)
        if not checked:
            try:
                op.output_shape(*(node.shape for node in inputs))
            except Problem as problem:
                raise Unsupported(problem.message) from None
        key = (op, tuple((each.name, each.part, each.dims) for each in given))
        first = self.owners.get(key) if given else None
        if first is not None and self._is_merged(given):
            self.note("merged")
            first = None
        if first is not None:
            node = self.b.share(first, *inputs, name=name, type_name=type_of(step))
            self.nodes[node.index] = node
            self.steps[node.index] = step
            return node
        node = self.b.add(
            op,
            *inputs,
            name=name,
            type_name=type_of(step),
            arrays=[
                Weight(each.name or "weight", each.dims)
                for each in given
                if each.name not in self.used
            ],
        )
        if given:
            self.owners.setdefault(key, node)
            self._note_tied(node, given)
        self.nodes[node.index] = node
        self.steps[node.index] = step
        if suffix:
            self.b.helpers.add(node.name)
        self._use(given)
        if weights and not isinstance(node.op, Unknown):
            self.read[node.name] = weights
        return node

    def unknown(self, step: Step, reason: str) -> None:
        """Add a layer that archspec does not know, and give its outputs to those who read them."""
        inputs = [value for name in step.inputs if name and (value := self.values.get(name))]
        names = step.inputs[:1] if step.op in _WITH_SETTINGS else step.inputs
        stored = (self.constants.get(name) for name in names if name)
        given = [
            constant
            for constant in (*filter(None, stored), *_inside(step, self.constants))
            if constant.kind == "float" or is_kernel(constant)  # one of 8 bits, too
        ]
        is_norm = step.op == "BatchNormalization"
        statistics = step.inputs[3:5] if is_norm else ()
        arrays = [
            Weight(
                each.name or "weight",
                each.dims,
                is_learned(each, step) and each.name not in statistics,
            )
            for each in given
            if each.count and each.dims and each.size > 1 and each.name not in self.used
        ]
        self._use(given)
        name = self.name_of(step, given)
        read = [each for each in step.outputs if each in self.users or each in self.source.outputs]
        for number, output in enumerate(step.outputs):
            if not output or output not in (read or step.outputs[:1]):
                continue
            dims = self.source.declared.get(output) or self._inferred(step, number)
            axes, extent, batch = self.laid_out(dims, inputs, step.op)
            # Of values that it puts into the batch, what follows counts one alone.
            spreads = dims is not None and not same(batch, self.batch_of(inputs))
            node = self.b.unknown(
                type_of(step),
                *(value.node for value in inputs),
                name=name,
                reason=reason,
                declared=extent,
                arrays=arrays,
                multiplies=may_multiply(type_of(step)) or spreads,
            )
            arrays = []
            self.nodes[node.index] = node
            if len(node.shape) != sum(axis >= 0 for axis in axes):
                axes = ()
            self.values[output] = Value(node, axes, batch)

    def _inferred(self, step: Step, number: int) -> Dims | None:
        """Return the extents of an output that the file does not declare, if they are known."""
        constants = [self.constants.get(name) for name in step.inputs]
        values = [self.values.get(name) for name in step.inputs]
        dims = [
            constant.dims if constant else value.file_dims if value and value.known else None
            for constant, value in zip(constants, values, strict=True)
        ]
        try:
            return inferred(step, dims, constants) if number == 0 else None
        except (CannotFold, *MALFORMED):
            return None

    def _untrained(self, step: Step, op: Op, given: Sequence[Constant]) -> Op:
        """Return an op, with `trainable: false` if none of its arrays was learned."""
        if not given or not isinstance(op, Weighted):
            return op
        names = {name for each in given for name in (each.name, *each.others)}
        if any(is_learned(each, step) for each in given):
            self.trained |= names
            joined = [each.size - each.count for each in given if each.origin == COMPUTED]
            if more := sum(n for n in joined if n > 0):
                self.note("joined")
                self.note("joined numbers", more)
            return op
        if isinstance(op, BatchNorm) and not (op.scale or op.center):
            return op  # statistics are never learned
        if any(each.origin != FROZEN for each in given):
            key = COMPUTED if any(each.origin == COMPUTED for each in given) else FIXED
            if key == COMPUTED:
                self.computed |= names
            self.note(key)
            self.note(f"{key} numbers", sum(each.size for each in given))
        return op.model_copy(update={"trainable": False})

    def _note_tied(self, node: Node, given: Sequence[Constant]) -> None:
        """Note arrays that an earlier layer of another kind or with other arrays has, too.

        Exporters that merge equal arrays leave kernels alone as a proof.
        """
        for each in given if self.exact else filter(is_kernel, given):
            if isinstance(node.op, Embedding):
                self.tables.append((each, node.name))
            first = self.kernels.setdefault((each.name, each.part), node.name)
            if first != node.name and (each.origin != STORED or self._is_merged([each])):
                continue
            if first == node.name and each.origin == COMPUTED:
                # An exporter transposes the table that is a kernel, too, and stores both.
                alike = (name for table, name in self.tables if self._is_transposed(each, table))
                first = next(alike, first)
            if first != node.name:
                self.b.note(
                    f"Layer {node.name} has {each.size:,} numbers in common with {first} (tied "
                    "weights): they count in both."
                )

    def _is_merged(self, given: Sequence[Constant]) -> bool:
        """Whether arrays that two layers read are only equal.

        Exporters store equal arrays once, such as the factors of all norms before the training,
        which are 1. Arrays whose values differ are equal only where layers share them.
        """
        if self.exact:
            return False
        return not any(self._varies(each) for each in given)

    def _varies(self, constant: Constant) -> bool:
        """Whether an array has different values."""
        if constant.values is not None:
            return constant.number is None
        array = self.loaded(constant.load)
        return array is None or bool(array.size and (array != array.flat[0]).any())

    def _is_transposed(self, kernel: Constant, table: Constant) -> bool:
        """Whether a matrix has the values of another one, with rows for columns."""
        if kernel.dims != table.dims[::-1]:
            return False
        array, rows = self.loaded(kernel.load), self.loaded(table.load)
        return array is not None and rows is not None and bool((array == rows.T).all())

    def _use(self, given: Iterable[Constant]) -> None:
        """Remember the stored arrays that became weights."""
        for each in given:
            self.used.update((each.name, *each.others))

    def laid_out(
        self, dims: Dims | None, inputs: Sequence[Value | View], op: str
    ) -> tuple[tuple[int, ...], tuple[int | None, ...] | None, Any]:
        """Return the axes, archspec's shape and the batch of a declared shape."""
        if not dims:
            return (), None, 1
        values = [x for x in inputs if isinstance(x, Value) and x.known and x.axes]
        like = next((x for x in values if x.rank == len(dims)), None)
        if like is not None and {*like.axes} == {BATCH, *range(len(dims) - 1)}:
            axes = like.axes
        elif len(dims) > 2 and like is None and not inputs:
            axes = (BATCH, len(dims) - 2, *range(len(dims) - 2))
        elif values and not is_one(dims[0]) and all(BATCH not in x.axes for x in values):
            axes = tuple(range(len(dims)))  # the batch, of 1, is gone
        else:
            rest, at = iter(range(len(dims))), self._batch_place(dims, like, op)
            axes = tuple(BATCH if place == at else next(rest) for place in range(len(dims)))
        extent: list[int | None] = [None] * sum(axis != BATCH for axis in axes)
        batch: Any = 1
        for axis, n in zip(axes, dims, strict=True):
            if axis == BATCH:
                batch = n if isinstance(n, int) else self.batch_of(inputs)
            else:
                extent[axis] = n if isinstance(n, int) else None
        return axes, tuple(extent) or None, batch

    @staticmethod
    def _batch_place(dims: Dims, like: Value | None, op: str) -> int:
        """Return which of a declared shape's axes is the batch: the first, as far as is known.

        What a recurrence gives ends with the batch and the units; another operator leaves the batch
        of a sequence where it is.
        """
        if op in RECURRENT:
            return max(len(dims) - 2, 0)
        place = like.axes.index(BATCH) if like is not None and BATCH in like.axes else 0
        return place if same(dims[place], like.batch if like is not None else 1) else 0

    @staticmethod
    def batch_of(inputs: Sequence[Value | View]) -> Any:
        return next((x.batch for x in inputs), 1)

    def name_of(self, step: Step, arrays: Sequence[Constant]) -> str:
        """Return the name of a step's layer; with its function, where it is a part of another."""
        # tf2onnx joins equal vectors into one, which has the name of a single layer.
        named = [
            each.name
            for each in arrays
            if (is_kernel(each) or "/" not in each.name)
            and (each.part or (each.name, each.part) not in self.kernels)
        ]
        name = layer_name(step, named, self.model)
        full = step.attributes.get(FULL_NAME)
        first = self.functions.setdefault(name, full or step.op)
        return name if first in (full, step.op) else full or f"{name}-{type_of(step).lower()}"

    def note(self, key: str, count: int = 1) -> None:
        """Count occurrences of what a note tells at the end."""
        self.counts[key] = self.counts.get(key, 0) + count

    # Layouts.

    def aligned(self, step: Step, x: Value, order: Sequence[int]) -> Node:
        """Return a node that has the file's axes in an order, without the batch.

        What it lacks is put in. The step is the one that needs it, for the name.
        """
        x = self.straight(step, x)
        if any(x.axes[axis] == BATCH for axis in order):
            raise Unsupported("it takes the batch for another axis")
        node = x.node
        wanted = [x.axes[axis] for axis in order]
        present = [axis for axis in wanted if axis != ABSENT]
        if len(set(present)) < len(present):
            raise Unsupported("an axis is used twice")
        shape = node.shape
        surplus = [axis for axis in range(len(shape)) if axis not in present]
        if any(not is_one(shape[axis]) for axis in surplus):
            raise Unsupported("it reads some of the axes alone")
        if wanted == list(range(len(shape))):
            return node
        to = tuple(1 if axis == ABSENT else shape[axis] for axis in wanted)
        moving = [axis for axis in present if not is_one(shape[axis])]
        if moving == sorted(moving):  # extents of 1 move freely
            return self.reshape(step, node, to)
        if surplus or len(present) > MOST_AXES:
            kept = sorted(present)
            node = self.reshape(step, node, tuple(shape[axis] for axis in kept))
            present = [kept.index(axis) for axis in present]
        names = names_of_axes(node.shape)
        if len(names) < len(node.shape):
            raise Unsupported("it has more axes than archspec's shapes")
        permute = Permute(to=tuple(names[axis] for axis in present))
        node = self.add(step, permute, node, suffix="-permute", checked=False)
        return self.reshape(step, node, to)

    def ordered(self, step: Step, x: Value, order: Sequence[int]) -> Value:
        """Return a value whose node has the file's axes in an order, as `aligned` gives it."""
        node = self.aligned(step, x, order)
        axes = tuple(order.index(a) if a in order else x.axes[a] for a in range(x.rank))
        return Value(node, axes, x.batch)

    def reshape(self, step: Step, node: Node, to: Sequence[Any], suffix: str = "-reshape") -> Node:
        """Return a node with other extents; itself, or what it reshapes, where they are its own."""
        if tuple(node.shape) == tuple(to):
            return node
        if isinstance(node.op, Reshape) and self._is_read_once(self.steps[node.index].outputs[0]):
            # Of two in a row the first does nothing.
            self.b.helpers.add(node.name)
            return self.reshape(step, self.nodes[node.inputs[0]], to, suffix)
        if not to or len(to) > MOST_AXES:
            raise Unsupported("it has more axes than archspec's shapes")
        if len(to) == 1:
            return self.add(step, Flatten(), node, suffix=suffix, checked=False)
        opened = [n for n in to if not isinstance(n, int)]
        if len(opened) > 1:
            raise Unsupported("its extents depend on the size of the input")
        extents = tuple(n if isinstance(n, int) else None for n in to)
        return self.add(step, Reshape(to=extents), node, suffix=suffix, checked=False)

    def repeated(self, step: Step, node: Node, to: Sequence[Any], suffix: str = "-repeat") -> Node:
        """Return a node whose values are repeated along axes of extent 1 to other extents."""
        shape = tuple(node.shape)
        if shape == tuple(to):
            return node
        if any(n != own and not is_one(own) for n, own in zip(to, shape, strict=True)):
            raise Unsupported("it repeats its input")
        if any(not isinstance(n, int) for n, own in zip(to, shape, strict=True) if n != own):
            raise Unsupported("its extents depend on the size of the input")
        factors = [1 if n == own else n for n, own in zip(to, shape, strict=True)]
        if factors[-1] == 1 and len(factors) > 1:
            op = Upsample(factor=one_or_each(factors[:-1]))
            return self.add(step, op, node, suffix=suffix, checked=False)
        node = self.reshape(step, node, (*shape, 1))
        op = Upsample(factor=one_or_each(factors))
        node = self.add(step, op, node, suffix="-repeat", checked=False)
        return self.reshape(step, node, to, suffix)

    def straight(self, step: Step, x: Value) -> Value:
        """Return a vector with its values in the file's order."""
        if not x.is_mixed:
            return x
        node = self.reshape(step, x.node, x.maps, "-maps")
        names = names_of_axes(node.shape)
        permute = Permute(to=tuple(names[axis] for axis in x.order))
        node = self.add(step, permute, node, suffix="-permute", checked=False)
        node = self.add(step, Flatten(), node, suffix="-flatten", checked=False)
        return replace(x, node=node, order=(), maps=Shape())

    # Views.

    def view(self, step: Step, x: Value | View) -> View:
        """Return a value as a view of its node."""
        if isinstance(x, View):
            return x
        x = self.straight(step, x)
        parts = [() if axis == ABSENT else (Part(axis),) for axis in x.axes]
        first = [tuple(part for each in parts[: x.joined] for part in each)] if x.joined else []
        split = tuple((n,) for n in x.node.shape)
        return View(x.node, split, (*first, *parts[x.joined :]), x.batch)

    def laid(self, step: Step, x: View) -> Value:
        """Return the value of a view: its parts moved, the channels last."""
        groups = list(x.groups)
        joined = 0
        with_batch = [at for at, parts in enumerate(x.axes) if Part(BATCH) in parts]
        if with_batch and groups[with_batch[0]] and not is_one(x.batch):
            (at,) = with_batch
            others = groups[at]
            if at or x.axes[0][0].axis != BATCH:
                raise Unsupported("it joins the batch with other axes")
            is_whole = all(len(x.split[part.axis]) == 1 for part in others)
            groups[:1] = [(), *([(part,) for part in others] if is_whole else [others])]
            joined = len(groups) - x.rank + 1
        places = channels_last(groups, len(x.split) - 1)
        node = self.arrange(step, x, [groups[at] for at in places])
        axes = [places.index(at) if at in places else ABSENT for at in range(len(groups))]
        if with_batch and axes[with_batch[0]] == ABSENT:
            axes[with_batch[0]] = BATCH
        elif axes[:1] == [ABSENT] and is_one(x.batch):
            axes[0] = BATCH
        return Value(node, tuple(axes), x.batch, joined=joined)

    def arrange(self, step: Step, x: View, groups: Sequence[Parts]) -> Node:
        """Return a node whose axes are made of parts of a view's; all parts but those of extent 1.

        The step is the one that needs it, for the names.
        """
        if not 1 <= len(groups) <= MOST_AXES:
            raise Unsupported("it has more axes than archspec's shapes")
        key = (x.node.index, x.split, x.pick and x.pick[:2], tuple(groups))
        if key not in self.arranged:
            self.arranged[key] = (
                self._arranged(step, x, groups)
                if x.pick is None
                else self._picked(x.pick, x, groups)
            )
        return self.arranged[key]

    def _picked(self, pick: Pick, x: View, groups: Sequence[Parts]) -> Node:
        """Return the node of a view that has one place of a part: a slice of all places.

        The part stands right before the one that follows it in the node, as the three of queries,
        keys and values before the heads: so the values of a place are neighbours.
        """
        part, at, step = pick
        wide = [*groups]
        after = min((p for parts in groups for p in parts if p > part), default=None)
        host = next((i for i, parts in enumerate(wide) if parts[0] == after), len(wide))
        wide[host : host + 1] = [(part, *each) for each in wide[host : host + 1] or ((),)]
        node = self.arrange(step, replace(x, pick=None), wide)
        count = prod(map(x.extent, wide[host][1:]))
        name = names_of_axes(node.shape)[host]
        op = Slice.parse({"axis": name, "start": at * count, "stop": (at + 1) * count})
        node = self.add(step, op, node, checked=False)
        return self.reshape(step, node, [prod(map(x.extent, parts)) for parts in groups], "")

    def _arranged(self, step: Step, x: View, groups: Sequence[Parts]) -> Node:
        op = shuffle(x.split, groups)
        if op is not None:
            return self.add(step, op, x.node, checked=False)
        node = x.node
        target = [part for parts in groups for part in parts]
        for before, after in blocks(in_node_order(x.split, target), target, MOST_AXES):
            extents = [prod([x.extent(part) for part in parts]) for parts in before]
            node = self.reshape(step, node, extents)
            names = names_of_axes(node.shape)
            to = tuple(names[before.index(parts)] for parts in after)
            node = self.add(step, Permute(to=to), node, suffix="-permute", checked=False)
        return self.reshape(step, node, [prod(map(x.extent, parts)) for parts in groups], "")

    def cut(self, step: Step, x: View, axis: int, start: int, stop: int) -> View:
        """Return the places from one up to another along an axis of a view, which is one part.

        One place alone is cut where the view is read, as its other axes may be split before;
        several are cut here, with the part where `_picked` has it.
        """
        if x.pick is not None:
            x = self.view(step, self.laid(step, x))
        groups = list(x.groups)
        if len(groups[axis]) != 1:
            raise Unsupported("it cuts the batch, or an axis that is several of archspec's")
        (part,), groups[axis] = groups[axis], ()
        if stop - start == 1:
            batch = tuple(p for p in x.axes[axis] if p.axis == BATCH)
            left = (*x.axes[:axis], batch, *x.axes[axis + 1 :])
            return replace(x, axes=left, pick=Pick(part, start, step))
        places = channels_last(groups, len(x.split) - 1)
        rest = [p for parts in groups for p in parts]
        after = min((p for p in rest if p > part), default=None)
        host = next((at for at in places if groups[at][0] == after), axis)
        if host == axis:
            places.append(axis)
        node = self.arrange(step, x, [(part,) * (at == host) + groups[at] for at in places])
        count = prod(map(x.extent, groups[host]))
        name = names_of_axes(node.shape)[places.index(host)]
        limits = {"start": start * count, "stop": stop * count}
        axes = [tuple(p for p in parts if p.axis == BATCH) for parts in x.axes]
        split = []
        for place, at in enumerate(places):
            first = [stop - start] if at == host else []
            split.append((*first, *map(x.extent, groups[at])))
            axes[at] += tuple(Part(place, len(first) + i) for i in range(len(groups[at])))
        axes[axis] = (Part(places.index(host)),)
        op = Slice.parse({"axis": name, **limits})
        return View(self.add(step, op, node), tuple(split), tuple(axes), x.batch)

    def reshaped(self, step: Step, x: Value | View, to: Dims) -> Value | View:
        """Return a value with other extents in the file: the same values in the file's order."""
        if isinstance(x, View) or x.joined or self._is_split_far(x, to):
            x = self.view(step, x)
            # Extents that cut across the parts need them laid out first.
            view = x.reshaped(to) or self.view(step, self.laid(step, x)).reshaped(to)
            if view is None:
                raise Unsupported("its extents do not fit those of its input")
            return view
        return self._reshaped(step, x, to)

    def _is_split_far(self, x: Value, to: Dims) -> bool:
        """Whether a value gets more axes than archspec's shapes, or its batch joins others.

        One axis that becomes three or more, as queries, keys and values by heads, is cut best where
        it is whole.
        """
        wide = sum(not is_one(n) for n in to)
        groups = grouped([n for n in x.dims if not is_one(n)], [n for n in to if not is_one(n)])
        if any(len(a) == 1 and len(b) > 2 for a, b in groups or ()):
            return True
        if is_one(x.batch) or BATCH not in x.axes:
            return wide > MOST_AXES
        return wide - 1 > MOST_AXES or not same(to[0] if to else 1, x.batch)

    def _reshaped(self, step: Step, x: Value, to: Dims) -> Value:
        old, axes = x.dims, x.axes
        batch_at = BATCH in axes and axes.index(BATCH)
        new = list(to)
        keeps = bool(axes) and axes[0] == BATCH and bool(new) and same(new[0], x.batch)
        if not keeps and not (is_one(x.batch) or batch_at is False):
            raise Unsupported("it joins the batch with other axes")
        ones = [at for at, n in enumerate(new) if is_one(n) and not (keeps and at == 0)]
        old_places = [at for at, n in enumerate(old) if axes[at] >= 0 and not is_one(n)]
        new_places = [at for at in range(len(new)) if at not in ones and not (keeps and at == 0)]
        result = [ABSENT] * len(new)
        if keeps or (ones and ones[0] == 0 and is_one(x.batch)):
            result[0] = BATCH
        groups = grouped([old[at] for at in old_places], [new[at] for at in new_places])
        if groups is None:
            raise Unsupported("its extents do not fit those of its input")
        if all(len(a) == len(b) == 1 for a, b in groups):
            for at, place in zip(new_places, old_places, strict=True):
                result[at] = axes[place]
            return replace(x, axes=tuple(result))
        if x.is_mixed:
            back = self._unflattened(x, [new[at] for at in new_places])
            if back is not None:
                node = self.reshape(step, x.node, x.maps, "")
                for at, axis in zip(new_places, back, strict=True):
                    result[at] = axis
                return Value(node, tuple(result), x.batch)
            x = self.straight(step, x)
        if len(groups) == 1 and len(groups[0][1]) == 1:  # maps become a vector
            at = new_places[0]
            result[at] = 0
            order = tuple(axes[place] for place in old_places)
            node = self.add(step, Flatten(), x.node, checked=False)
            if list(order) == sorted(order):
                return Value(node, tuple(result), x.batch)
            full = (*order, *(a for a in range(len(x.node.shape)) if a not in order))
            self.note("flattened")
            return Value(node, tuple(result), x.batch, full, x.node.shape)
        return self._regrouped(step, x, (old_places, new_places), new, result, groups)

    def _unflattened(self, x: Value, extents: Sequence[Any]) -> list[int] | None:
        """Return the axis of the maps for each extent, if these are the maps' own again."""
        kept = [axis for axis in x.order if not is_one(x.maps[axis])]
        if [x.maps[axis] for axis in kept] == list(extents):
            return kept
        return None

    def _regrouped(
        self,
        step: Step,
        x: Value,
        places: tuple[Sequence[int], Sequence[int]],
        new: Sequence[Any],
        result: list[int],
        groups: Sequence[tuple[list[int], list[int]]],
    ) -> Value:
        """Return a value some of whose axes are split or joined, each where it stands."""
        old_places, new_places = places
        stands = [[x.axes[old_places[i]] for i in a] for a, _ in groups]
        if not all(_follow(axes, x.node.shape) for axes in stands):
            shuffled = self._shuffled(step, x, new)
            if shuffled is not None:
                return shuffled
            order = [at for at in range(x.rank) if x.axes[at] >= 0 and at in old_places]
            node = self.aligned(step, x, order)
            stands, at = [], 0
            for a, _ in groups:
                stands.append(list(range(at, at + len(a))))
                at += len(a)
        else:
            node = x.node
        by_first = sorted(range(len(groups)), key=lambda i: stands[i][0])
        to: list[Any] = []
        for i in by_first:
            for j in groups[i][1]:
                result[new_places[j]] = len(to)
                to.append(new[new_places[j]])
        node = self.reshape(step, node, to, "")
        return Value(node, tuple(result), x.batch)

    def split_before(self, step: Step, x: Value) -> View | None:
        """Return a value as a view of what a reshape split, of whose node it is; None without."""
        before = self.nodes[x.node.inputs[0]] if x.node.inputs else None
        if before is None or not isinstance(x.node.op, Reshape):
            return None
        groups = grouped(before.shape, x.node.shape)
        if groups is None or any(len(a) > 1 for a, _ in groups):
            return None
        parts = [Part(axis, at) for axis, (_, b) in enumerate(groups) for at in range(len(b))]
        split = tuple(tuple(x.node.shape[at] for at in b) for _, b in groups)
        seen = self.view(step, x)
        axes = tuple(
            tuple(p if p.axis == BATCH else parts[p.axis] for p in own) for own in seen.axes
        )
        return View(before, split, axes, x.batch)

    def _shuffled(self, step: Step, x: Value, to: Sequence[Any]) -> Value | None:
        """Return the value of the one op that a split, a swap and this step make; None without."""
        seen = self.split_before(step, x)
        view = seen and seen.reshaped(to)
        if view is None:
            return None
        wide = view.groups
        ordered = [wide[at] for at in channels_last(wide, len(view.split) - 1)]
        if shuffle(view.split, ordered) is None:
            return None
        self.b.helpers.add(x.node.name)
        return self.laid(step, view)

    # Notes and weights.

    def weights(self) -> Arrays:
        """Return the weights of all nodes, read from the file."""
        with self.source.opened():
            return {
                name: [np.ascontiguousarray(read()) for read in reads]
                for name, reads in self.read.items()
            }


def type_of(step: Step) -> str:
    """Return an operator's name without the domain of what is archspec's own."""
    return step.op.removeprefix("archspec.")


def _inside(step: Step, constants: Mapping[str, Constant]) -> list[Constant]:
    """Return the arrays that the graphs inside a step have or read, as the body of a loop does."""
    found: dict[str, Constant] = {}
    for body in step.attributes.values():
        if not isinstance(body, Source):
            continue
        found |= body.constants
        for inner in body.steps:
            names = [name for name in inner.inputs if name in constants]
            found |= {name: constants[name] for name in names}
            own = [each for each in inner.attributes.values() if isinstance(each, Constant)]
            for name, each in zip(inner.outputs, own, strict=False):
                found[name] = replace(each, name=each.name or name)
            found |= {each.name: each for each in _inside(inner, constants)}
    return list(found.values())


def is_kernel(constant: Constant) -> bool:
    """Whether a stored array is a matrix or more: exporters join equal vectors into one."""
    return bool(constant.name) and sum(n != 1 for n in constant.dims) > 1


def is_learned(constant: Constant, step: Step) -> bool:
    """Whether an array of a step is a weight that training changed, as far as the file tells.

    An exporter computes the kernels of layers from weights (a transposed one, one with a norm
    folded in), but what it computed to be added to maps may be a mask or a grid.
    """
    if constant.origin == COMPUTED:
        return step.op not in _ARITHMETIC or not is_kernel(constant)
    return constant.origin == STORED


_WITH_SETTINGS: Final = {
    "CropAndResize", "Expand", "NonMaxSuppression", "OneHot", "Pad", "Resize", "Slice", "Tile",
    "TopK", "Upsample",
}  # fmt: skip
"""Operators of which all inputs but the first say what to do, and are not weights."""

_ARITHMETIC: Final = {"Add", "Sub", "Mul", "Div", "Concat", "Where", "Max", "Min", "Gather"}


def _follow(axes: Sequence[int], shape: Shape) -> bool:
    """Whether axes follow each other; those of extent 1 between them do not count."""
    between = itertools.pairwise(axes)
    return all(a < b and prod(shape[a + 1 : b]) == 1 for a, b in between)


def grouped(old: Sequence[Any], new: Sequence[Any]) -> list[tuple[list[int], list[int]]] | None:
    """Return which axes become which: the smallest groups, in order, with equal products."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    try:
        while i < len(old) and j < len(new):
            a, b = [i], [j]
            ours, theirs = old[i], new[j]
            i, j = i + 1, j + 1
            while not same(ours, theirs):
                ours_is_less = (
                    ours < theirs
                    if isinstance(ours, int) == isinstance(theirs, int)
                    else isinstance(ours, int)
                )
                if ours_is_less:
                    a.append(i)
                    ours, i = ours * old[i], i + 1
                else:
                    b.append(j)
                    theirs, j = theirs * new[j], j + 1
            groups.append((a, b))
    except (IndexError, Problem, TypeError):
        return None
    return groups if i == len(old) and j == len(new) else None


Handler: TypeAlias = Callable[[Trace, Step], None]
"""Reads the inputs of a step, adds archspec's op, and keeps the value of its output.

Raises `Unsupported` where archspec has no such op.
"""

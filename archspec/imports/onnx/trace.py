"""Values of a foreign graph, followed through it: where each stands in archspec's graph.

ONNX and PyTorch put the channels before the spatial axes, archspec puts them last. A value knows
which axis of its node is which axis of the file's tensor, so a Transpose only relabels axes, and a
file's detours between layouts vanish. An axis is moved in earnest, by a `permute`, only where an op
reads the axes in an order that its node does not have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from archspec.errors import Problem
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.model import ABSENT, BATCH, Arrays
from archspec.imports.onnx.names import layer_name, model_scope
from archspec.imports.onnx.source import Constant, Dims, Source, Step
from archspec.ops.arrangement import Flatten, Reshape
from archspec.ops.axes import Axis, names_of_axes
from archspec.ops.op import Op, Weight
from archspec.ops.shape import Shape, UnknownShape
from archspec.ops.shuffles import ChannelShuffle, Permute
from archspec.ops.unknown import Unknown


class Unsupported(Exception):  # noqa: N818  (no error: the layer is shown as unknown)
    """A clause that says why archspec has no op for a step."""


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

    def __init__(self, source: Source, b: ModelBuilder, opset: int) -> None:
        self.source = source
        self.b = b
        self.opset = opset
        """Version of ONNX's operators."""
        self.nodes: dict[int, Node] = {}
        """The nodes by their index."""
        self.values: dict[str, Value] = {}
        self.constants = source.constants
        self.users: dict[str, list[Step]] = {}
        """The steps that read each value."""
        self.makers: dict[str, Step] = {}
        """The step that gives each value."""
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
        self.used: set[str] = set()
        """Names of the stored arrays that became weights."""
        self.functions: dict[str, str] = {}
        """The operator of the first step of each name."""
        self.model = model_scope(source.steps)
        self.counts: dict[str, int] = {}
        """Occurrences of what notes tell, by their keys."""

    # What a step reads.

    def value(self, step: Step, place: int = 0) -> Value:
        """Return an input that is no constant and has a known shape."""
        value = self.optional(step, place)
        if value is None:
            raise Unsupported("its input is a constant, or comes from a layer that is not known")
        if not value.known:
            raise Unsupported("the shape of its input is not known")
        return value

    def optional(self, step: Step, place: int) -> Value | None:
        name = step.inputs[place] if place < len(step.inputs) else ""
        return self.values.get(name)

    def constant(self, step: Step, place: int) -> Constant | None:
        """Return an input that is a constant; None for a value, or where there is none."""
        name = step.inputs[place] if place < len(step.inputs) else ""
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

    # What is added.

    def add(
        self,
        step: Step,
        op: Op,
        *inputs: Node,
        constants: Iterable[Constant] = (),
        weights: Weights = (),
        suffix: str = "",
        checked: bool = True,
    ) -> Node:
        """Add an op for a step.

        Args:
            step: The step.
            op: The op.
            inputs: What it reads.
            constants: The stored arrays that are its weights.
            weights: How each weight is read, in the order of `op.weights`.
            suffix: What is added to the name, for an op that only prepares another.
            checked: Whether an op that does not fit may become an unknown layer; else it raises.
        """
        given = list(constants)
        name = self.name_of(step, given) + suffix
        if not checked:
            try:
                op.output_shape(*(node.shape for node in inputs))
            except Problem as problem:
                raise Unsupported(problem.message) from None
        kernel = given[0] if given else None
        first = None
        if kernel is not None and is_kernel(kernel):
            first = self.owners.get((op, kernel.name, kernel.dims))
        if first is not None:
            node = self.b.share(first, *inputs, name=name, type_name=type_of(step))
            self.nodes[node.index] = node
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
        if kernel is not None and is_kernel(kernel):
            self.owners[op, kernel.name, kernel.dims] = node
        self.nodes[node.index] = node
        self.steps[node.index] = step
        if suffix:
            self.b.helpers.add(node.name)
        self.used.update(each.name for each in given)
        if weights and not isinstance(node.op, Unknown):
            self.read[node.name] = weights
        return node

    def unknown(self, step: Step, reason: str) -> None:
        """Add a layer that archspec does not know, and give its outputs to those who read them."""
        inputs = [value for name in step.inputs if (value := self.values.get(name))]
        given = [
            constant
            for name in step.inputs
            if name
            and (constant := self.constants.get(name))
            and (constant.kind == "float" or is_kernel(constant))  # one of 8 bits, too
        ]
        arrays = [
            Weight(each.name or "weight", each.dims)
            for each in given
            if each.count and each.dims and each.size > 1 and each.name not in self.used
        ]
        self.used.update(each.name for each in given)
        name = self.name_of(step, given)
        for number, output in enumerate(step.outputs):
            if not output or (number and output not in self.users):
                continue
            dims = self.source.declared.get(output)
            axes, extent, batch = self.laid_out(dims, inputs)
            node = self.b.unknown(
                type_of(step),
                *(value.node for value in inputs),
                name=name,
                reason=reason,
                declared=extent,
                arrays=() if number else arrays,
            )
            self.nodes[node.index] = node
            if len(node.shape) != sum(axis >= 0 for axis in axes):
                axes = ()
            self.values[output] = Value(node, axes, batch)

    def laid_out(
        self, dims: Dims | None, inputs: Sequence[Value]
    ) -> tuple[tuple[int, ...], tuple[int | None, ...] | None, Any]:
        """Return the axes, archspec's shape and the batch of a declared shape."""
        if not dims:
            return (), None, 1
        like = next((x for x in inputs if x.known and x.rank == len(dims) and x.axes), None)
        if like is not None and {*like.axes} == {BATCH, *range(len(dims) - 1)}:
            axes = like.axes
        elif len(dims) > 2 and like is None and not inputs:
            axes = (BATCH, len(dims) - 2, *range(len(dims) - 2))
        else:
            axes = (BATCH, *range(len(dims) - 1))
        extent: list[int | None] = [None] * (len(dims) - 1)
        batch: Any = 1
        for axis, n in zip(axes, dims, strict=True):
            if axis == BATCH:
                batch = n if isinstance(n, int) else self.batch_of(inputs)
            else:
                extent[axis] = n if isinstance(n, int) else None
        return axes, tuple(extent) or None, batch

    @staticmethod
    def batch_of(inputs: Sequence[Value]) -> Any:
        return next((x.batch for x in inputs), 1)

    def name_of(self, step: Step, arrays: Sequence[Constant]) -> str:
        """Return the name of a step's layer; with its function, where it is a part of another."""
        # tf2onnx joins equal vectors into one, which has the name of a single layer.
        named = [each.name for each in arrays if is_kernel(each) or "/" not in each.name]
        name = layer_name(step, named, self.model)
        first = self.functions.setdefault(name, step.op)
        return name if first == step.op else f"{name}-{type_of(step).lower()}"

    def note(self, key: str) -> None:
        """Count an occurrence of what a note tells at the end."""
        self.counts[key] = self.counts.get(key, 0) + 1

    # Layouts.

    def aligned(self, step: Step, x: Value, order: Sequence[int]) -> Node:
        """Return a node that has the file's axes in an order; what it lacks is put in.

        Args:
            step: The step that needs it, for the name.
            x: The value.
            order: Axes of the file's tensor, without the batch.
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
        if surplus or len(present) > 4:
            kept = sorted(present)
            node = self.reshape(step, node, tuple(shape[axis] for axis in kept))
            present = [kept.index(axis) for axis in present]
        names = names_of_axes(node.shape)
        if len(names) < len(node.shape):
            raise Unsupported("it has more axes than archspec's shapes")
        permute = Permute(to=tuple(names[axis] for axis in present))
        node = self.add(step, permute, node, suffix="-permute", checked=False)
        return self.reshape(step, node, to)

    def reshape(self, step: Step, node: Node, to: Sequence[Any], suffix: str = "-reshape") -> Node:
        """Return a node with other extents; itself where they are its own."""
        if tuple(node.shape) == tuple(to):
            return node
        if not to or len(to) > 4:
            raise Unsupported("it has more axes than archspec's shapes")
        if len(to) == 1:
            return self.add(step, Flatten(), node, suffix=suffix, checked=False)
        opened = [n for n in to if not isinstance(n, int)]
        if len(opened) > 1:
            raise Unsupported("its extents depend on the size of the input")
        extents = tuple(n if isinstance(n, int) else None for n in to)
        return self.add(step, Reshape(to=extents), node, suffix=suffix, checked=False)

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

    def reshaped(self, step: Step, x: Value, to: Dims) -> Value:
        """Return a value with other extents in the file: the same values in the file's order."""
        x = replace(x, joined=0)
        old, axes = x.dims, x.axes
        batch_at = BATCH in axes and axes.index(BATCH)
        new = list(to)
        keeps = bool(axes) and axes[0] == BATCH and bool(new) and same(new[0], x.batch)
        if not keeps and axes[:1] == (BATCH,) and not is_one(x.batch):
            for count in range(2, len(old)):
                if same(prod(old[:count]), new[0]) and list(old[count:]) == new[1:]:
                    return replace(x, joined=count)
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
            shuffle = self._shuffled(step, x, stands, groups)
            if shuffle is not None:
                for (_, b), axes in zip(groups, stands, strict=True):
                    result[new_places[b[0]]] = min(axes)
                return Value(shuffle, tuple(result), x.batch)
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

    def _shuffled(
        self,
        step: Step,
        x: Value,
        stands: Sequence[Sequence[int]],
        groups: Sequence[tuple[list[int], list[int]]],
    ) -> Node | None:
        """Return a channel shuffle, if that is what a split, a swap and this step make."""
        odd = [i for i, axes in enumerate(stands) if not _follow(axes, x.node.shape)]
        last = len(x.node.shape) - 1
        if len(odd) != 1 or list(stands[odd[0]]) != [last, last - 1]:
            return None
        others = [i for i in range(len(groups)) if i != odd[0]]
        if len(groups[odd[0]][1]) != 1 or any(
            len(groups[i][0]) != 1 or len(groups[i][1]) != 1 for i in others
        ):
            return None
        before = self.nodes[x.node.inputs[0]] if x.node.inputs else None
        split = isinstance(x.node.op, Reshape) and before is not None
        if not split or before is None or len(before.shape) != last:
            return None
        self.b.helpers.add(x.node.name)
        return self.add(step, ChannelShuffle(groups=x.node.shape[-2]), before, checked=False)

    # Notes and weights.

    def weights(self) -> Arrays:
        """Return the weights of all nodes, read from the file."""
        import numpy as np  # noqa: PLC0415

        with self.source.opened():
            return {
                name: [np.ascontiguousarray(read()) for read in reads]
                for name, reads in self.read.items()
            }


def type_of(step: Step) -> str:
    """Return an operator's name without the domain of what is archspec's own."""
    return step.op.removeprefix("archspec.")


def is_kernel(constant: Constant) -> bool:
    """Whether a stored array is a matrix or more: exporters join equal vectors into one."""
    return bool(constant.name) and sum(n != 1 for n in constant.dims) > 1


def is_one(extent: Any) -> bool:
    return isinstance(extent, int) and extent == 1


def same(a: Any, b: Any) -> bool:
    """Whether two extents are equal; a name or None is only equal to itself."""
    return type(a) is type(b) and bool(a == b)


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

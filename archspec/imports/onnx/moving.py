"""Operators that move values or merge several tensors: one function each.

Most of what a file does to axes is no work: Transpose, Squeeze and many a Reshape only relabel the
axes of a value. What remains becomes `reshape`, `permute`, `slice` and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.activation import elementwise
from archspec.imports.onnx.folding import (
    Cut,
    axes_of,
    changed,
    common_dims,
    cuts_of,
    folded,
    reshaped_dims,
    split_sizes,
    squeezed_dims,
    unsqueezed_dims,
)
from archspec.imports.onnx.positions import is_mask, relative_bias, shifted_window_mask
from archspec.imports.onnx.products import embedding, mat_mul
from archspec.imports.onnx.source import FIXED, Constant, Step
from archspec.imports.onnx.trace import MOST_AXES, Handler, Trace, Unsupported, Value
from archspec.imports.onnx.view import View
from archspec.imports.onnx.windows import last, placed
from archspec.ops.arrangement import Crop, Pad, PadChannels, Reshape, Slice, Upsample
from archspec.ops.axes import Axis
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Rescale, Scale
from archspec.ops.merge import Add, Concat, Divide, Max, Mean, Merge, Min, Multiply, Subtract
from archspec.ops.op import Op
from archspec.ops.pooling import MaxPool
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import DepthToSpace, Permute, Roll, SpaceToDepth
from archspec.ops.tokens import ClassToken, Parameter, PositionEmbedding

FEW: Final = 4
"""Largest number of values of a constant that is a fixed factor, as for the colours of pixels."""


# Axes.


def transpose(t: Trace, step: Step) -> None:
    x = t.seen(step)
    if isinstance(x, Value) and x.joined:
        x = t.view(step, x)
    order = step.get("perm", []) or list(reversed(range(x.rank)))
    if sorted(order) != list(range(x.rank)):
        raise Unsupported("its axes are not those of its input")
    if isinstance(x, View):
        t.keep(step, x.transposed(order))
    else:
        t.keep(step, replace(x, axes=tuple(x.axes[axis] for axis in order)))


def reshape(t: Trace, step: Step) -> None:
    x = t.seen(step)
    to = step.attributes.get("shape")
    to = list(to) if to is not None else t.numbers(step, 1, "shape")
    dims = reshaped_dims(x.file_dims, to, step.get("allowzero", 0) == 1)
    t.keep(step, t.reshaped(step, x, dims))


def flatten(t: Trace, step: Step) -> None:
    x = t.seen(step)
    dims = x.file_dims
    axis = step.get("axis", 1)
    axis += len(dims) if axis < 0 else 0
    t.keep(step, t.reshaped(step, x, (prod(dims[:axis]), prod(dims[axis:]))))


def squeeze(t: Trace, step: Step) -> None:
    x = t.seen(step)
    axes = axes_of(step, [None, t.constant(step, 1)])
    if isinstance(x, Value) and not x.joined:
        places = {x.at(axis) for axis in axes or ()}
        if places and all(x.dims[at] == 1 and x.axes[at] != BATCH for at in places):
            rest = tuple(axis for at, axis in enumerate(x.axes) if at not in places)
            t.keep(step, replace(x, axes=rest))
            return
    t.keep(step, t.reshaped(step, x, squeezed_dims(x.file_dims, axes)))


def unsqueeze(t: Trace, step: Step) -> None:
    x = t.seen(step)
    axes = axes_of(step, [None, t.constant(step, 1)]) or []
    if isinstance(x, View) or x.joined:
        t.keep(step, t.reshaped(step, x, unsqueezed_dims(x.file_dims, axes)))
        return
    places = {axis % (x.rank + len(axes)) for axis in axes}
    rest = iter(x.axes)
    result = tuple(ABSENT if at in places else next(rest) for at in range(x.rank + len(axes)))
    t.keep(step, replace(x, axes=result))


def expand(t: Trace, step: Step) -> None:
    constant = t.constant(step, 0)
    if constant is not None:  # repeated for each example, as a class token is
        to = t.numbers(step, 1, "shape")
        dims = (1,) * (len(to) - len(constant.dims)) + constant.dims
        if any(n not in (1, -1, own) for n, own in zip(to[1:], dims[1:], strict=True)):
            raise Unsupported("it repeats a constant")
        t.constants[step.outputs[0]] = changed(constant, dims, lambda x: x.reshape(dims))
        return
    x = t.value(step)
    to = t.numbers(step, 1, "shape")
    result = common_dims(x.dims, to)
    if result != x.dims and not _is_repeated_by_readers(t, step, result):
        if len(result) > x.rank and x.axes[:1] == (BATCH,):
            raise Unsupported("it repeats the batch")
        axes = (ABSENT,) * (len(result) - x.rank) + x.axes
        x = replace(t.straight(step, x), axes=axes)
        order = sorted((a for a in range(x.rank) if axes[a] != BATCH), key=lambda a: axes[a])
        node = t.repeated(step, t.aligned(step, x, order), [result[a] for a in order], "")
        x = replace(
            x, node=node, axes=tuple(order.index(a) if a in order else BATCH for a in range(x.rank))
        )
        if any(n != own for n, own in zip(result, x.dims, strict=True)):
            raise Unsupported("it repeats the batch")
    t.keep(step, x)


def _is_repeated_by_readers(t: Trace, step: Step, dims: Sequence[Any]) -> bool:
    """Whether every step that reads an output would repeat it itself, as a product with maps."""
    (output,) = step.outputs
    readers = t.users.get(output, [])
    others = [t.values.get(name) for each in readers for name in each.inputs if name != output]
    return (
        output not in t.source.outputs
        and bool(readers)
        and all(each.op in ("Add", "Mul", "Sub") and len(each.inputs) == 2 for each in readers)
        and len(others) == len(readers)
        and all(other is not None and tuple(other.dims) == tuple(dims) for other in others)
    )


def roll(t: Trace, step: Step) -> None:
    """Add a cyclic shift of the places along some axes."""
    x = t.value(step)
    by = [0] * x.node.shape.rank
    for axis, distance in zip(step.get("axes", []), step.get("by", []), strict=True):
        place = x.axes[x.at(axis)]
        if not 0 <= place < len(by):
            raise Unsupported("it shifts the batch or the channels")
        by[place] = distance
    _roll(t, step, x, by)


def _roll(t: Trace, step: Step, x: Value, by: Sequence[int]) -> None:
    """Add a cyclic shift; one along each axis, as exporters write it, is one along all."""
    node, op = x.node, x.node.op
    if isinstance(op, Roll):
        by = [first + more for first, more in zip(op.steps(node.shape), by, strict=True)]
        t.b.helpers.add(node.name)
        node = t.nodes[node.inputs[0]]
    t.keep(step, replace(x, node=t.add(step, Roll(by=one_or_each(by)), node)))


def _rolled(t: Trace, step: Step, values: Sequence[Value], name: Axis) -> bool:
    """Add a cyclic shift where the end of a value is joined to its beginning; return whether."""
    if len(values) != 2 or any(x.node.inputs[:1] != values[0].node.inputs for x in values):
        return False
    end, start = (x.node.op for x in values)
    if not isinstance(end, Slice) or not isinstance(start, Slice) or name == "channels":
        return False
    if not end.axis == start.axis == name:
        return False
    node = t.nodes[values[0].node.inputs[0]]
    place, first, stop = end.cut(node.shape)
    if start.cut(node.shape)[1:] != (0, first) or stop != node.shape[place]:
        return False
    t.b.helpers.update(x.node.name for x in values)
    extent = node.shape[place]
    by = [0] * node.shape.rank
    by[place] = -first if 2 * first <= extent else extent - first
    _roll(t, step, replace(values[0], node=node), by)
    return True


def tile(t: Trace, step: Step) -> None:
    """Repeat values along an axis of their own: an upsample along the axis before it."""
    counts = t.numbers(step, 1, "numbers of copies")
    many = [at for at, n in enumerate(counts) if n != 1]
    if not many:
        t.keep(step, t.seen(step))
        return
    x = t.value(step)
    own, *others = many
    place = x.axes[own - 1] if own and x.axes[own] == ABSENT else BATCH
    if others or not 0 <= place < x.node.shape.rank:
        raise Unsupported("it repeats its input")
    factors = [1] * x.node.shape.rank
    factors[place] = counts[own]
    node = t.add(step, Upsample(factor=one_or_each(factors)), t.straight(step, x).node)
    parts = [*x.dims[:own], counts[own], *x.dims[own + 1 :]]
    rest = tuple(axis for at, axis in enumerate(x.axes) if at != own)
    view = t.view(step, replace(x, node=node, axes=rest)).reshaped(parts)
    if view is None:
        raise Unsupported("it repeats its input")
    t.keep(step, view)


# Parts.


def cut_along(
    t: Trace, step: Step, x: Value | View, axis: int, start: int, stop: int
) -> Value | View:
    """Return the values from one place up to another along an axis of the file."""
    extent = x.dims[axis]
    if start == 0 and stop == extent:
        return x
    if isinstance(x, Value) and stop - start == 1 and not x.joined and not x.is_mixed:
        x = _of_split(t, step, x, axis) or x
    if isinstance(x, View):
        if len(x.groups[axis]) == 1 or x.width > MOST_AXES:
            return t.cut(step, x, axis, start, stop)
        x = t.laid(step, x)
    if x.axes[axis] < 0:
        raise Unsupported("it cuts the batch")
    x = t.straight(step, x)
    named = x.name_of(axis)
    more = {} if start == 0 else {"start": start}
    if stop != extent:
        more["stop"] = stop
    return replace(x, node=t.add(step, Slice(axis=named, **more), x.node))


def _of_split(t: Trace, step: Step, x: Value, axis: int) -> View | None:
    """Return a value whose axis is a part of what a reshape split as a view of that; or None."""
    view = t.split_before(step, x)
    parts = view.axes[axis] if view is not None else ()
    if view is None or len(parts) != 1 or parts[0].axis == BATCH:
        return None
    if len(view.split[parts[0].axis]) == 1:
        return None
    t.b.helpers.add(x.node.name)
    return view


def slice_(t: Trace, step: Step) -> None:
    x = t.to_cut(step)
    given = [t.constant(step, place) for place in range(5)]
    cuts = [
        cut
        for cut in cuts_of(step, given, x.dims)
        if (cut.start, cut.stop, cut.step) != (0, x.dims[cut.axis], 1)
    ]
    if any(cut.step < 1 for cut in cuts):
        raise Unsupported("it goes backwards")
    if isinstance(x, Value) and (op := _crop_of(x, cuts)) is not None:
        elementwise_on(t, step, x, op)
        return
    for cut in cuts:
        if cut.step == 1:
            x = cut_along(t, step, x, cut.axis, cut.start, cut.stop)
        else:
            x = _every(t, step, x, cut)
    t.keep(step, x)


def _crop_of(x: Value, cuts: Sequence[Cut]) -> Crop | None:
    """Return the op that cuts several spatial axes; None for other cuts."""
    places = [x.axes[cut.axis] for cut in cuts]
    if len(cuts) < 2 or len(x.node.shape) - 1 in places or any(cut.step != 1 for cut in cuts):
        return None
    if min(places) < 0:
        raise Unsupported("it cuts the batch")
    sides = [(0, 0)] * x.node.shape.rank
    for place, cut in zip(places, cuts, strict=True):
        sides[place] = (cut.start, x.dims[cut.axis] - cut.stop)
    return Crop(amount=tuple(sides))


def _every(t: Trace, step: Step, x: Value | View, cut: Cut) -> Value | View:
    """Return every second value, or third and so on, along an axis."""
    place = x.axes[cut.axis] if isinstance(x, Value) else -1
    if isinstance(x, Value) and not cut.start and 0 <= place < x.node.shape.rank:
        stride = [1] * x.node.shape.rank  # a pool of one place, as a shortcut's
        stride[place] = cut.step
        one_place = MaxPool(size=1, stride=one_or_each(stride))
        if cut.extent == -(-x.dims[cut.axis] // cut.step) and x.dims[cut.axis] % cut.step:
            return replace(x, node=t.add(step, one_place, x.node))
    view = t.view(step, x)
    dims, at = view.dims, cut.axis
    count, rest = divmod(dims[at], cut.step)
    if rest or cut.start >= cut.step or cut.extent != count:
        raise Unsupported("it takes every second value, but not to the end")
    parts = view.reshaped((*dims[:at], count, cut.step, *dims[at + 1 :]))
    if parts is None:
        raise Unsupported("it takes every second value of several axes")
    return without(t.cut(step, parts, at + 1, cut.start, cut.start + 1), at + 1)


def split(t: Trace, step: Step) -> None:
    x = t.to_cut(step)
    axis = x.at(step.get("axis", 0))
    sizes = split_sizes(step, t.constant(step, 1), x.dims[axis])
    if len(sizes) != len(step.outputs) or min(sizes) < 1 or sum(sizes) != x.dims[axis]:
        raise Unsupported("its parts do not make up the axis that it splits")
    start = 0
    for output, size in zip(step.outputs, sizes, strict=True):
        if output in t.users or output in t.source.outputs:
            t.values[output] = cut_along(t, step, x, axis, start, start + size)
        start += size


def gather(t: Trace, step: Step) -> None:
    if t.constant(step, 0) is not None:
        embedding(t, step)
        return
    x = t.to_cut(step)
    index = t.weight(step, 1, "index")
    axis = x.at(step.get("axis", 0))
    values = list(index.values or ())
    extent = x.dims[axis]
    if not values or not isinstance(extent, int):
        raise Unsupported("it picks values by numbers that are too many, or not known")
    first = values[0] % extent
    if values != list(range(values[0], values[0] + len(values))):
        raise Unsupported("it picks values that do not follow each other")
    y = cut_along(t, step, x, axis, first, first + len(values))
    if index.dims == ():
        y = without(y, axis)
    elif len(index.dims) > 1:
        y = t.reshaped(step, y, (*y.dims[:axis], *index.dims, *y.dims[axis + 1 :]))
    t.keep(step, y)


def without(x: Value | View, axis: int) -> Value | View:
    """Return a value without an axis of extent 1."""
    axes: Any = x.axes[:axis] + x.axes[axis + 1 :]
    return replace(x, axes=axes)


# Joints.


def in_one_order(t: Trace, step: Step, values: Sequence[Value]) -> tuple[list[Node], Value]:
    """Return nodes of several tensors of one rank, with the axes of all in one order."""
    first = max(values, key=lambda x: sum(axis >= 0 for axis in x.axes))
    if any(x.rank != first.rank for x in values):
        raise Unsupported("its inputs have different numbers of axes")
    if all(x.axes == first.axes and x.order == first.order for x in values):
        return [x.node for x in values], first
    order = [a for a in range(first.rank) if first.axes[a] != BATCH]
    order = [a for a in order if first.axes[a] >= 0 or any(x.axes[a] >= 0 for x in values)]
    order.sort(key=lambda a: first.axes[a] if first.axes[a] >= 0 else -1)
    if any(x.axes[a] == BATCH for x in values for a in order):
        raise Unsupported("the batch of its inputs is another axis")
    nodes = [t.aligned(step, x, order) for x in values]
    axes = tuple(order.index(a) if a in order else first.axes[a] for a in range(first.rank))
    return nodes, Value(nodes[0], axes, first.batch)


def _merge(kind: type[Merge]) -> Handler:
    def handler(t: Trace, step: Step) -> None:
        if kind in (Add, Multiply, Subtract, Max) and any(
            t.constant(step, place) is not None for place in range(len(step.inputs))
        ):
            _with_constant(t, step, kind)
            return
        values = [t.value(step, place) for place in range(len(step.inputs))]
        rank = max(x.rank for x in values)
        values = [
            replace(x, axes=(ABSENT,) * (rank - x.rank) + x.axes)
            if x.rank < rank and x.axes[:1] != (BATCH,)
            else x
            for x in values
        ]
        if len(values) == 1:
            t.values[step.outputs[0]] = values[0]
            return
        nodes, like = in_one_order(t, step, values)
        if kind not in (Multiply, Divide):
            to = common_dims(*(node.shape for node in nodes))
            nodes = [t.repeated(step, node, to) for node in nodes]
        node = t.add(step, kind(), *nodes)
        t.values[step.outputs[0]] = replace(like, node=node)

    return handler


def concat(t: Trace, step: Step) -> None:
    constants = [t.constant(step, place) for place in range(len(step.inputs))]
    if any(constants):
        _class_token(t, step, constants)
        return
    values = [t.value(step, place) for place in range(len(step.inputs))]
    axis = values[0].at(step.get("axis", 0))
    if len(values) == 1:
        t.values[step.outputs[0]] = values[0]
        return
    if any(x.axes[axis] < 0 for x in values) or any(x.is_mixed for x in values):
        values = [t.straight(step, x) for x in values]
        order = [a for a in range(values[0].rank) if values[0].axes[a] != BATCH]
        by_place = sorted(
            order, key=lambda a: max((x.axes[a] for x in values if x.axes[a] >= 0), default=-1)
        )
        nodes = [t.aligned(step, x, by_place) for x in values]
        axes = tuple(by_place.index(a) if a in by_place else BATCH for a in range(values[0].rank))
        like = Value(nodes[0], axes, values[0].batch)
    else:
        nodes, like = in_one_order(t, step, values)
    op = Concat(axis=like.name_of(axis))
    if _rolled(t, step, values, op.axis):
        return
    if op.axis == "channels":
        op = Concat()
    t.values[step.outputs[0]] = replace(like, node=t.add(step, op, *nodes))


def _class_token(t: Trace, step: Step, constants: Sequence[Constant | None]) -> None:
    """Add learned vectors before a sequence, such as DeiT's two."""
    tokens = [each for each in constants[:-1] if each is not None]
    if not tokens or len(tokens) < len(constants) - 1 or constants[-1] is not None:
        raise Unsupported("it joins constants to its input")
    x = t.value(step, len(tokens))
    axis, channels = x.at(step.get("axis", 0)), x.dims[-1]
    counts = [each.dims[axis] if axis < len(each.dims) else 0 for each in tokens]
    fits = [each.size == n * channels for each, n in zip(tokens, counts, strict=True)]
    if x.rank != 3 or axis != 1 or not all(counts) or not all(fits):
        raise Unsupported("it joins constants to its input")
    node = t.aligned(step, x, (1, 2))

    def read() -> Any:
        import numpy as np  # noqa: PLC0415

        return np.concatenate([each.load().reshape(-1, channels) for each in tokens])

    result = t.add(step, ClassToken(count=sum(counts)), node, constants=tokens, weights=[read])
    t.values[step.outputs[0]] = Value(result, (BATCH, 0, 1), x.batch)


# Products.


def einsum(t: Trace, step: Step) -> None:
    """Add a product of two tensors, as a product of matrices with their axes moved."""
    terms, arrow, result = step.get("equation", "").replace(" ", "").partition("->")
    first, comma, second = terms.partition(",")
    names = list(step.inputs)
    if not arrow or not comma or "," in second or "." in terms:
        raise Unsupported("its equation is not one of two tensors and their product")
    if t.constant(step, 0) is not None:
        first, second, names = second, first, names[::-1]
    if any(len({*term}) < len(term) for term in (first, second, result)):
        raise Unsupported("it reads a diagonal")
    if {*first} ^ {*second} != {*result} - ({*first} & {*second}):
        raise Unsupported("it adds up along an axis of one input alone")
    made = _Made(t, step)
    extents = {
        **dict(zip(first, made.dims(names[0]), strict=True)),
        **dict(zip(second, made.dims(names[1]), strict=True)),
    }
    both = [each for each in result if each in first and each in second]
    left = [each for each in result if each in first and each not in second]
    right = [each for each in result if each in second and each not in first]
    inner = [each for each in first if each in second and each not in result]

    def as_matrices(name: str, term: str, rows: list[str], columns: list[str]) -> str:
        turned = made("Transpose", name, perm=[term.index(e) for e in (*both, *rows, *columns)])
        outer = [extents[each] for each in both]
        sides = [prod([extents[each] for each in side]) for side in (rows, columns)]
        return made("Reshape", turned, shape=[*outer, *sides])

    a = as_matrices(names[0], first, left, inner)
    b = as_matrices(names[1], second, inner, right)
    given = [*both, *left, *right]
    product = made("MatMul", a, b)
    parts = made("Reshape", product, shape=[extents[each] for each in given])
    t.values[step.outputs[0]] = t.values[
        made("Transpose", parts, perm=[given.index(each) for each in result])
    ]


class _Made:
    """Follows steps that are written for another."""

    def __init__(self, t: Trace, step: Step) -> None:
        self._t = t
        self._step = step
        self._count = 0

    def dims(self, name: str) -> Sequence[Any]:
        """Return the extents of a value or a constant."""
        constant = self._t.constants.get(name)
        return constant.dims if constant else self._t.seen(replace(self._step, inputs=(name,))).dims

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Follow a step, and return the name of its output."""
        self._count += 1
        output = f"{self._step.outputs[0]}/{self._count}"
        if "shape" in attributes:
            to = attributes.pop("shape")
            self._t.constants[f"{output}/shape"] = Constant.of((len(to),), to)
            inputs = (*inputs, f"{output}/shape")
        step = replace(
            self._step,
            op=op,
            inputs=inputs,
            outputs=(output,),
            attributes={**self._step.attributes, **attributes},
        )
        constants = [self._t.constants.get(each) for each in inputs]
        if all(constants):
            (self._t.constants[output],) = folded(step, constants)
        else:
            {"Transpose": transpose, "Reshape": reshape, "MatMul": mat_mul}[op](self._t, step)
        return output


# Arithmetic with constants.


def _with_constant(t: Trace, step: Step, kind: type[Merge]) -> None:
    """Add a factor, an offset or a learned array: what an operation with a constant is."""
    if len(step.inputs) != 2:
        raise Unsupported(f"it has {len(step.inputs)} inputs, a constant among them, instead of 2")
    place = next(i for i in range(len(step.inputs)) if t.constant(step, i) is not None)
    constant = t.weight(step, place, "constant")
    x = t.value(step, 1 - place)
    sub, mul = kind is Subtract, kind is Multiply
    number = constant.number
    if kind is Max:
        if number != 0:
            raise Unsupported("archspec compares with 0 alone")
        elementwise(t, step, Activate(function="relu"), 1 - place)
        return
    if sub and place == 0:
        if number is None:
            raise Unsupported("it subtracts its input from an array")
        elementwise(t, step, Rescale(scale=-1.0, offset=float(number)), 1)
        return
    if constant.size == 1 and number is not None:
        if (number == 1 and mul) or (number == 0 and not mul):
            t.values[step.outputs[0]] = x
            return
        op: Op = (
            Rescale(scale=float(number))
            if mul
            else Rescale(scale=1.0, offset=float(-number if sub else number))
        )
        elementwise(t, step, op, 1 - place)
        return
    apply_array(t, step, x, constant, "multiply" if mul else "add", negative=sub)


def divide(t: Trace, step: Step) -> None:
    constant = t.constant(step, 1)
    if constant is None:
        if t.constant(step, 0) is not None:
            raise Unsupported("it divides by its input")
        _merge(Divide)(t, step)
        return
    x, number = t.value(step), constant.number
    if constant.size == 1 and number:
        if number == 1:
            t.values[step.outputs[0]] = x
        else:
            elementwise(t, step, Rescale(scale=1 / float(number)))
        return
    apply_array(t, step, x, constant, "multiply", inverse=True)


def power(t: Trace, step: Step) -> None:
    """Add a power of 1, 2 or 3, as a product of the input with itself."""
    exponent = t.weight(step, 1, "exponent").number
    if exponent not in (1, 2, 3):
        raise Unsupported("archspec has squares and cubes alone")
    x = t.value(step)
    node = x.node if exponent == 1 else t.add(step, Multiply(), *[x.node] * int(exponent))
    t.keep(step, replace(x, node=node))


def negate(t: Trace, step: Step) -> None:
    elementwise(t, step, Rescale(scale=-1.0))


def apply_array(
    t: Trace,
    step: Step,
    x: Value,
    constant: Constant,
    use: str,
    *,
    negative: bool = False,
    inverse: bool = False,
) -> None:
    """Multiply by an array or add one: fixed factors of colours, a scale, or what was learned."""
    if len(constant.dims) > x.rank:
        raise Unsupported("it repeats its input")
    dims = (1,) * (x.rank - len(constant.dims)) + constant.dims
    if use == "add" and not negative:
        _find_bias(t, step, x, dims, constant)
    x = t.straight(step, x)
    if any(n not in (1, own) for n, own in zip(dims, x.dims, strict=True)):
        raise Unsupported("it repeats its input")
    if any(dims[a] != 1 and x.axes[a] < 0 for a in range(x.rank)):
        raise Unsupported("its constant has the axis of the batch")
    order = sorted((a for a in range(x.rank) if x.axes[a] >= 0), key=lambda a: x.axes[a])
    shape = tuple(dims[a] for a in order)
    wide = [a for a in order if dims[a] != 1]

    def read() -> Any:
        array = constant.load().reshape(dims)
        array = 1 / array if inverse else -array if negative else array
        rest = [a for a in range(x.rank) if a not in order]
        return array.transpose((*order, *rest)).reshape(shape)

    channel = x.channels
    by_channel = wide == [channel]
    values = constant.values
    op: Op
    if by_channel and values is not None and len(values) <= FEW and _is_near_input(t, x):
        numbers = [float(1 / v if inverse else -v if negative else v) for v in values]
        op = (
            Rescale(scale=tuple(numbers))
            if use == "multiply"
            else Rescale(scale=1.0, offset=tuple(numbers))
        )
        elementwise_on(t, step, x, op)
        return
    if by_channel and use == "multiply":
        _scale(t, step, x, constant, read)
        return
    if by_channel and negative and _standardized(t, step, x, constant, read):
        return
    if use == "add":
        given = t, step, x, constant, read
        node = relative_bias(*given) or shifted_window_mask(*given)
        if node is not None:
            t.values[step.outputs[0]] = replace(x, node=node)
            return
        if is_mask(t, step, constant):
            constant = replace(constant, origin=FIXED)
    if use == "add" and shape == tuple(x.node.shape) and x.node.shape.rank == 1:
        op = PositionEmbedding()
    else:
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
        op = Parameter.parse({"shape": shape, "use": use})
    node = t.add(step, op, x.node, constants=[constant], weights=[lambda: read().reshape(shape)])
    t.values[step.outputs[0]] = replace(x, node=node)


def _find_bias(t: Trace, step: Step, x: Value, dims: Sequence[int], constant: Constant) -> None:
    """Remember constants that are a layer's bias, for the next trace.

    Exporters may give them a shape that follows from the layer's own output: then they are not
    known yet where the layer is read. They may stand behind a permute that keeps the channels last,
    and behind a reshape that splits the channels, as into heads.

    Args:
        t: The trace.
        step: The step that adds the constant.
        x: What it is added to.
        dims: The constant's extents along the axes of `x`.
        constant: The constant.
    """
    node = x.node
    wide = [x.axes[a] for a in range(x.rank) if dims[a] != 1]
    if wide == [len(node.shape) - 1]:
        while isinstance(node.op, Permute) and node.op.to[-1] == "channels":
            node = t.nodes[node.inputs[0]]
    elif isinstance(node.op, Reshape):
        node = t.nodes[node.inputs[0]]
        rank = len(node.shape) - 1
        same_places = tuple(x.node.shape[:rank]) == tuple(node.shape[:rank])
        if not same_places or wide != list(range(rank, len(x.node.shape))):
            return
    else:
        return
    layer = t.steps.get(node.index)
    kinds = (Convolution, DepthwiseConvolution, TransposedConvolution, FullyConnected)
    if layer is None or not isinstance(node.op, kinds) or node.op.bias:
        return
    name = layer.outputs[0]
    for _ in range(10):
        users = [user for user in t.users.get(name, ()) if user.op not in ("Shape", "Size")]
        if len(users) != 1 or name in t.source.outputs:
            return
        if users[0] is step:
            t.biases[id(layer)] = constant, step
            return
        name = users[0].outputs[0]


def elementwise_on(t: Trace, step: Step, x: Value, op: Op) -> None:
    t.values[step.outputs[0]] = replace(x, node=t.add(step, op, x.node))


def _is_near_input(t: Trace, x: Value) -> bool:
    """Whether nothing but fixed arithmetic lies between the input and a value."""
    node = x.node
    while isinstance(node.op, Rescale) and node.inputs:
        node = t.nodes[node.inputs[0]]
    return node.is_input


def _per_channel_after(t: Trace, step: Step, x: Value, *ops: str) -> tuple[Step, Constant] | None:
    """Return the only step that reads another, if it applies a constant for each channel."""
    following = t.only_user(step.outputs[0])
    if following is None or following.op not in ops or len(following.inputs) != 2:
        return None
    constant = t.constant(following, 1)
    if constant is None and following.op != "Sub":
        constant = t.constant(following, 0)
    if constant is None or len(constant.dims) > x.rank:
        return None
    dims = (1,) * (x.rank - len(constant.dims)) + constant.dims
    wide = [at for at in range(x.rank) if dims[at] != 1]
    return (following, constant) if wide == [x.channels] else None


def _scale(t: Trace, step: Step, x: Value, factor: Constant, read: Callable[[], Any]) -> None:
    """Add a factor for each channel, and an offset if one is added right after."""
    found = _per_channel_after(t, step, x, "Add", "Sub")
    constants, reads = [factor], [lambda: read().reshape(-1)]
    if found is not None:
        following, offset = found
        sign = -1 if following.op == "Sub" else 1
        t.absorbed.append(following)
        constants.append(offset)
        reads.append(lambda: sign * offset.load().reshape(-1))
        t.note("norm as a scale")
    op = Scale(bias=found is not None)
    node = t.add(step, op, x.node, constants=constants, weights=reads)
    t.values[step.outputs[0]] = replace(x, node=node)


def _standardized(t: Trace, step: Step, x: Value, mean: Constant, read: Callable[[], Any]) -> bool:
    """Add (x - mean) * factor + offset as one scale; return whether that is what follows."""
    scaled = _per_channel_after(t, step, x, "Mul")
    if scaled is None:
        return False
    product, factor = scaled
    moved = _per_channel_after(t, product, x, "Add")
    t.absorbed.append(product)
    constants = [factor, mean]
    if moved is not None:
        t.absorbed.append(moved[0])
        constants.append(moved[1])
    t.note("norm as a scale")

    def offsets() -> Any:
        own = moved[1].load().reshape(-1) if moved is not None else 0
        return own + read().reshape(-1) * factor.load().reshape(-1)

    reads = [lambda: factor.load().reshape(-1), offsets]
    node = t.add(step, Scale(), x.node, constants=constants, weights=reads)
    t.values[step.outputs[0]] = replace(x, node=node)
    return True


# Space.


def pad(t: Trace, step: Step) -> None:
    x = t.value(step)
    amounts = step.attributes.get("pads", step.attributes.get("paddings"))
    amounts = list(amounts) if amounts is not None else t.numbers(step, 1, "amounts")
    axes = [x.at(a) for a in t.numbers(step, 3, "axes")] if t.constant(step, 3) else range(x.rank)
    half = len(amounts) // 2
    pairs = dict(zip(axes, zip(amounts[:half], amounts[half:], strict=True), strict=False))
    if any(not isinstance(n, int) for n in amounts):
        raise Unsupported("its amounts depend on the size of the input")
    pairs = {a: pair for a, pair in pairs.items() if any(pair)}
    if not pairs:
        t.values[step.outputs[0]] = x
        return
    mode = step.get("mode", "constant")
    value: Any = step.attributes.get("value", 0.0)
    if len(step.inputs) > 2 and step.inputs[2]:
        value = t.numbers(step, 2, "value")[0]
    words = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in words:
        raise Unsupported(f"archspec does not pad in the mode {mode}")
    if mode == "constant" and value and not _only_feeds_max_pool(t, step, value):
        raise Unsupported(f"archspec pads with zeros, not with {value:g}")
    x = t.straight(step, x)
    channels = x.channels
    if mode == "constant" and list(pairs) == [channels] and pairs[channels][0] == 0:
        to = x.dims[channels] + pairs[channels][1]
        elementwise_on(t, step, x, PadChannels(to=to))
        return
    if min(min(pair) for pair in pairs.values()) < 0:
        _crop(t, step, x, pairs)
        return
    if channels in pairs:
        raise Unsupported("it pads the channels")
    elementwise_on(t, step, x, _pad_op(x, pairs, words[mode]))


def _pad_op(x: Value, pairs: dict[int, Any], mode: str) -> Op:
    sides = [(0, 0)] * x.node.shape.rank
    for axis, pair in pairs.items():
        if x.axes[axis] < 0:
            raise Unsupported("it pads an axis that archspec's shape does not have")
        sides[x.axes[axis]] = tuple(pair)
    amount: Any = tuple(sides)
    if all(before == after for before, after in sides):
        amount = one_or_each([before for before, _ in sides])
    op: Op = Pad.parse({"amount": amount, **({} if mode == "zeros" else {"mode": mode})})
    return op


def _crop(t: Trace, step: Step, x: Value, pairs: dict[int, Any]) -> None:
    """Cut off the ends that are padded by amounts below 0."""
    if any(n > 0 for pair in pairs.values() for n in pair):
        raise Unsupported("it pads one end and cuts another")
    sides = [(0, 0)] * x.node.shape.rank
    for axis, (before, after) in pairs.items():
        if x.axes[axis] < 0 or x.axes[axis] == len(x.node.shape) - 1:
            raise Unsupported("it cuts the batch or the channels")
        sides[x.axes[axis]] = (-before, -after)
    elementwise_on(t, step, x, Crop(amount=tuple(sides)))


def _only_feeds_max_pool(t: Trace, step: Step, value: float) -> bool:
    """Whether a padding with the lowest numbers goes into a max pool, where it never wins."""
    users = t.users.get(step.outputs[0], [])
    return value < -1e30 and bool(users) and all(user.op == "MaxPool" for user in users)


def resize(t: Trace, step: Step) -> None:
    x = t.value(step)
    modes = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    mode = modes.get(step.get("mode", "nearest"))
    if mode is None:
        raise Unsupported("archspec does not resize in this mode")
    sizes, scales = t.constant(step, 3), t.constant(step, 2)
    if step.op == "Upsample" or len(step.inputs) == 2:
        scales, sizes = t.constant(step, 1), None
    axes = step.get("axes", []) or list(range(x.rank))
    new = list(x.dims)
    if sizes is not None and sizes.values:
        for axis, n in zip(axes, sizes.values, strict=True):
            new[x.at(axis)] = n
    else:
        factors = list(scales.values or ()) if scales is not None else step.get("scales", [])
        if len(factors) != len(axes):
            raise Unsupported("its sizes are not known")
        for axis, factor in zip(axes, factors, strict=True):
            own = new[x.at(axis)]
            whole = float(factor).is_integer()
            if not whole and not isinstance(own, int):
                raise Unsupported("its sizes depend on the size of the input")
            new[x.at(axis)] = own * int(factor) if whole else int(own * factor)
    x = t.straight(step, x)
    changed = [a for a in range(x.rank) if new[a] != x.dims[a]]
    if not changed:
        t.values[step.outputs[0]] = x
        return
    channel = last(x, x.rank)[-1] if x.channels in (-1, 1) else x.channels
    if channel in changed or any(x.axes[a] == BATCH for a in changed):
        raise Unsupported("it changes the channels or the batch")
    places = sorted(
        (a for a in range(x.rank) if a != channel and x.axes[a] != BATCH),
        key=lambda a: x.axes[a] if x.axes[a] >= 0 else a,
    )
    node = t.aligned(step, x, (*places, channel))
    extents = [(x.dims[a], new[a]) for a in places]
    op = _resize_op(extents, mode)
    if _lies_otherwise(t, step, op):
        t.note("corners")
    axes_ = tuple(
        places.index(a) if a in places else len(places) if a == channel else x.axes[a]
        for a in range(x.rank)
    )
    t.values[step.outputs[0]] = Value(t.add(step, op, node), axes_, x.batch)


def _lies_otherwise(t: Trace, step: Step, op: Op) -> bool:
    """Whether a step reads other places of its input than archspec's op, at centres of pixels.

    Whole factors of the nearest pixels are the same however places are counted, but from corners.
    """
    old = "asymmetric" if step.op == "Upsample" or t.opset < 11 else "half_pixel"
    counted = step.get("coordinate_transformation_mode", old)
    if counted == "asymmetric":
        return not isinstance(op, Upsample) or op.method != "nearest"
    return counted in ("align_corners", "tf_crop_and_resize")


def _resize_op(extents: Sequence[tuple[Any, Any]], mode: str) -> Op:
    """Return an `upsample` for whole factors, else a `resize`."""
    op: Op
    factors = []
    for old, new in extents:
        for factor in range(1, 65):
            if old * factor == new:
                factors.append(factor)
                break
    if len(factors) == len(extents) and (
        mode == "nearest" or (mode == "bilinear" and len(extents) == 2)
    ):
        factor = one_or_each(factors)
        op = Upsample.parse({"factor": factor, **({} if mode == "nearest" else {"method": mode})})
        return op
    to = [new for _, new in extents]
    if any(not isinstance(n, int) for n in to):
        raise Unsupported("its sizes depend on the size of the input")
    op = Resize.parse({"to": one_or_each(to), "method": mode})
    return op


def depth_to_space(t: Trace, step: Step) -> None:
    x = t.value(step)
    node = t.aligned(step, x, last(x, 4))
    order = "channels" if step.get("mode", "DCR") == "CRD" else "places"
    op = DepthToSpace.parse({"factor": step.get("blocksize", 1), "order": order})
    t.values[step.outputs[0]] = placed(t.add(step, op, node), 4, x.batch)


def space_to_depth(t: Trace, step: Step) -> None:
    x = t.value(step)
    node = t.aligned(step, x, last(x, 4))
    op = SpaceToDepth(factor=step.get("blocksize", 1))
    t.values[step.outputs[0]] = placed(t.add(step, op, node), 4, x.batch)


MOVING: Final[dict[str, Handler]] = {
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "archspec.Roll": roll,
    "Einsum": einsum,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "Concat": concat,
    "Add": _merge(Add),
    "Sum": _merge(Add),
    "Sub": _merge(Subtract),
    "Mul": _merge(Multiply),
    "Max": _merge(Max),
    "Min": _merge(Min),
    "Mean": _merge(Mean),
    "Div": divide,
    "Neg": negate,
    "Pow": power,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
"""The function for each operator."""

"""Operators that make one value of several, cyclic shifts among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.activation import elementwise
from archspec.imports.onnx.constants import apply_array, with_constant
from archspec.imports.onnx.extents import common_dims
from archspec.imports.onnx.source import Constant, Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.lazy import np
from archspec.ops.arrangement import Slice
from archspec.ops.axes import Axis
from archspec.ops.elementwise import Rescale
from archspec.ops.merge import Add, Concat, Divide, Max, Mean, Merge, Min, Multiply, Subtract
from archspec.ops.shuffles import Roll
from archspec.ops.tokens import ClassToken


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
    ordered = [t.ordered(step, x, order) for x in values]
    return [x.node for x in ordered], ordered[values.index(first)]


def _merge(kind: type[Merge]) -> Handler:
    def handler(t: Trace, step: Step) -> None:
        if kind in (Add, Multiply, Subtract, Max) and any(
            t.constant(step, place) is not None for place in range(len(step.inputs))
        ):
            with_constant(t, step, kind)
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
        like, *others = (t.ordered(step, x, by_place) for x in values)
        nodes = [x.node for x in (like, *others)]
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
        return np.concatenate([each.load().reshape(-1, channels) for each in tokens])

    result = t.add(step, ClassToken(count=sum(counts)), node, constants=tokens, weights=[read])
    t.values[step.outputs[0]] = Value(result, (BATCH, 0, 1), x.batch)


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


LAYERS: Final[dict[str, Handler]] = {
    "archspec.Roll": roll,
    "Concat": concat,
    "Add": _merge(Add),
    "Sum": _merge(Add),
    "Sub": _merge(Subtract),
    "Mul": _merge(Multiply),
    "Max": _merge(Max),
    "Min": _merge(Min),
    "Mean": _merge(Mean),
    "Div": divide,
    "Neg": lambda t, step: elementwise(t, step, Rescale(scale=-1.0)),
    "Pow": power,
}
"""The function for each operator."""

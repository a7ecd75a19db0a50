"""Sums and products with a stored array: a learned one, fixed factors or one for each channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.imports.onnx.activation import elementwise, elementwise_on
from archspec.imports.onnx.positions import is_mask, relative_bias, shifted_window_mask
from archspec.imports.onnx.source import FIXED, Constant, Step
from archspec.imports.onnx.trace import Trace, Unsupported, Value
from archspec.ops.arrangement import Reshape
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Rescale, Scale
from archspec.ops.merge import Max, Merge, Multiply, Subtract
from archspec.ops.op import Op
from archspec.ops.shuffles import Permute
from archspec.ops.tokens import Parameter, PositionEmbedding

FEW: Final = 4
"""Largest number of values of a constant that is a fixed factor, as for the colours of pixels."""


def with_constant(t: Trace, step: Step, kind: type[Merge]) -> None:
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
        if number is not None:
            elementwise(t, step, Rescale(scale=-1.0, offset=float(number)), 1)
            return
        x = t.straight(step, x)
        node = t.add(step, Rescale(scale=-1.0), x.node, suffix="-negative")
        apply_array(t, step, replace(x, node=node), constant, "add")
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
    order = x.places
    # An axis of extent 1 that the file has dropped may stand in the node still.
    places = range(len(x.node.shape))
    shape = tuple(dims[x.axes.index(place)] if place in x.axes else 1 for place in places)
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
    reads = [lambda: read().reshape(shape)]
    elementwise_on(t, step, x, op, constants=[constant], weights=reads)


def _find_bias(t: Trace, step: Step, x: Value, dims: Sequence[int], constant: Constant) -> None:
    """Remember constants that are a layer's bias, for the next trace.

    Exporters may give them a shape that follows from the layer's own output: then they are not
    known yet where the layer is read. They may stand behind a permute that keeps the channels last,
    and behind a reshape that splits the channels, as into heads. `dims` are the constant's extents
    along the axes of `x`, to which it is added.
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
        reads.append(lambda: sign * offset.vector())
        t.note("norm as a scale")
    op = Scale(bias=found is not None)
    elementwise_on(t, step, x, op, constants=constants, weights=reads)


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
        own = moved[1].vector() if moved is not None else 0
        return own + read().reshape(-1) * factor.vector()

    reads = [factor.vector, offsets]
    elementwise_on(t, step, x, Scale(), constants=constants, weights=reads)
    return True

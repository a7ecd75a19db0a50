"""Fully connected layers, products of two values, lookups of vectors, masks of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isclose
from typing import Any, Final

from archspec.imports.flattening import in_order
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.activation import elementwise_on
from archspec.imports.onnx.convolution import added_after
from archspec.imports.onnx.source import Constant, Step, is_one
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.ops.attention import CausalMask
from archspec.ops.convolution import FullyConnected
from archspec.ops.elementwise import Rescale
from archspec.ops.shape import Shape
from archspec.ops.tokens import Embedding


def gemm(t: Trace, step: Step) -> None:
    kernel, bias = t.weight(step, 1, "kernel"), t.constant(step, 2)
    if step.get("transA", 0) or len(kernel.dims) != 2:
        raise Unsupported("its input is transposed")
    if step.input(2) and bias is None:
        raise Unsupported("its bias is computed as the network runs")
    fully_connected(t, step, kernel, kernel.dims, bias)


def mat_mul(t: Trace, step: Step) -> None:
    """Add a product: of two values, or a layer where the second factor is stored.

    Those of onnxruntime may take a factor with its last two axes swapped (`transA`, `transB`).
    """
    kernel = t.constant(step, 1)
    if kernel is None:
        _product(t, step)
        return
    dims = kernel.dims
    while len(dims) > 2 and dims[0] == 1:
        dims = dims[1:]
    if len(dims) != 2:
        raise Unsupported("it multiplies by several matrices")
    if step.get("transA", 0):
        raise Unsupported("its input is transposed")
    fully_connected(t, step, kernel, dims, None)


def fully_connected(
    t: Trace, step: Step, kernel: Constant, dims: Sequence[int], bias: Constant | None
) -> None:
    """Add a fully connected layer on the last axis; a flattened map's rows are put in order.

    `dims` are the kernel's extents, without axes of 1 before them. Where the step has no place for
    a bias, it is what is added after the step.
    """
    x = t.value(step)
    alpha, beta = step.get("alpha", 1.0), step.get("beta", 1.0) if step.input(2) else 1.0
    turned = bool(step.get("transB", 0))
    inner, units = dims[::-1] if turned else dims
    if len(step.inputs) < 3:
        bias = added_after(t, step, units, x.rank - 1, x.rank)
    if bias is not None and bias.size != units:
        raise Unsupported("its bias has not one number for each unit")
    if x.rank < 1 or x.axes[-1] == BATCH:
        raise Unsupported("its input is not a vector")
    if x.dims[-1] != inner:
        raise Unsupported(f"its kernel is for {inner} values, its input has {x.dims[-1]}")
    maps, order = x.maps, x.order
    if not x.is_mixed:
        x = replace(t.ordered(step, x, x.ending_with(x.rank - 1)), joined=x.joined)

    def rows() -> Any:
        array = kernel.load().reshape(dims)
        array = array.T if turned else array
        array = array if alpha == 1 else alpha * array
        return in_order(array, maps, order) if order else array

    each_place = {"each_place": True} if x.node.shape.rank > 1 else {}
    op = FullyConnected(units=units, bias=bias is not None, **each_place)
    constants, reads = [kernel], [rows]
    if bias is not None:
        constants.append(bias)
        reads.append(bias.vector if beta == 1 else lambda: beta * bias.vector())
    node = t.add(step, op, x.node, constants=constants, weights=reads)
    t.values[step.outputs[0]] = replace(x, node=node, order=(), maps=Shape())


def _product(t: Trace, step: Step) -> None:
    """Add the product of two values."""
    from archspec.ops.merge import MatMul  # noqa: PLC0415

    a, b = t.value(step, 0), t.value(step, 1)
    if min(a.rank, b.rank) < 2:
        raise Unsupported("its inputs have different numbers of axes")
    a = _turned(a) if step.get("transA", 0) else a
    b = _turned(b) if step.get("transB", 0) else b
    a, b = _scaled_once(t, step, a, b)
    rank = max(a.rank, b.rank)
    a, b = (replace(x, axes=(ABSENT,) * (rank - x.rank) + x.axes) for x in (a, b))
    batch = {at for at in range(rank) if BATCH in (a.axes[at], b.axes[at])}
    if any(x.axes[at] >= 0 and not is_one(x.dims[at]) for x in (a, b) for at in batch):
        raise Unsupported("the batch of its inputs is another axis")

    def order(x: Value, *, swapped: bool) -> tuple[int, ...]:
        outer = [axis for axis in range(x.rank - 2) if axis not in batch]
        if len(outer) > 2:  # more than a head and a window: axes of extent 1 may go
            outer = [axis for axis in outer if x.axes[axis] != ABSENT]
        inner = [x.rank - 1, x.rank - 2] if swapped else [x.rank - 2, x.rank - 1]
        return (*outer, *inner)

    def fits(x: Value, axes: Sequence[int]) -> bool:
        return [x.axes[axis] for axis in axes] == list(range(len(x.node.shape)))

    left = t.aligned(step, a, order(a, swapped=False))
    turned = not fits(b, order(b, swapped=False)) and fits(b, order(b, swapped=True))
    right = t.aligned(step, b, order(b, swapped=turned))
    op = MatMul(transpose_b=turned)
    axes = order(a, swapped=False)
    result = tuple(
        BATCH if at in batch else axes.index(at) if at in axes else a.axes[at] for at in range(rank)
    )
    more = a if BATCH in a.axes else b
    t.values[step.outputs[0]] = Value(t.add(step, op, left, right), result, more.batch)


def _turned(x: Value) -> Value:
    """Return a value with its last two axes in each other's place."""
    return replace(x, axes=(*x.axes[:-2], x.axes[-1], x.axes[-2]))


def _scaled_once(t: Trace, step: Step, q: Value, k: Value) -> tuple[Value, Value]:
    """Return the factors of a product with one scale instead of its root in both.

    PyTorch's exporters split the scale of attention like this, so that scores keep in the range of
    16-bit numbers.
    """
    scales = [x.node.op for x in (q, k)]
    if any(t.only_user(name) is not step for name in step.inputs[:2]):
        return q, k
    first, second = (op.scale if isinstance(op, Rescale) and not op.offset else 0 for op in scales)
    if not isinstance(first, float) or first != second or not first:
        return q, k
    t.b.helpers.update(x.node.name for x in (q, k))
    scale, size = first * second, q.dims[-1]
    usual = size**-0.5 if isinstance(size, int) else 0.0
    op = Rescale(scale=usual if isclose(scale, usual, rel_tol=1e-6) else scale)
    node = t.add(step, op, t.nodes[q.node.inputs[0]], suffix="-scale")
    return replace(q, node=node), replace(k, node=t.nodes[k.node.inputs[0]])


def causal_mask(t: Trace, step: Step) -> None:
    """Add the mask of later keys, on scores of [heads, queries, keys]."""
    x = t.value(step)
    axes = [a for a in range(x.rank) if x.axes[a] != BATCH]
    elementwise_on(t, step, t.ordered(step, x, axes), CausalMask(), checked=False)


def embedding(t: Trace, step: Step) -> None:
    """Add the lookup of vectors by numbers: Gather from an array."""
    table, x = t.weight(step, 0, "table"), t.value(step, 1)
    if len(table.dims) != 2 or step.get("axis", 0):
        raise Unsupported("it looks up other than vectors")
    x = t.ordered(step, x, [a for a in range(x.rank) if x.axes[a] != BATCH])
    op = Embedding(words=table.dims[0], filters=table.dims[1])
    result = t.add(step, op, x.node, constants=[table], weights=[table.load])
    axes = (*x.axes, len(result.shape) - 1)
    t.values[step.outputs[0]] = Value(result, axes, x.batch)


LAYERS: Final[dict[str, Handler]] = {
    "Gemm": gemm,
    "MatMul": mat_mul,
    "archspec.CausalMask": causal_mask,
}
"""The function for each operator."""

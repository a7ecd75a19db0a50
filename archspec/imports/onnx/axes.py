"""Operators that give axes another order, or values other extents: most of them cost nothing.

Transpose, Squeeze and many a Reshape only relabel the axes of a value. What remains becomes
`reshape`, `permute` and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.imports.building import one_or_each
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.extents import (
    axes_of,
    common_dims,
    flattened_dims,
    reshaped_dims,
    squeezed_dims,
    unsqueezed_dims,
)
from archspec.imports.onnx.large_arrays import changed
from archspec.imports.onnx.source import Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.imports.onnx.view import View
from archspec.ops.arrangement import Upsample


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
    t.keep(step, t.reshaped(step, x, flattened_dims(step, x.file_dims)))


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
    t.keep(step, replace(x, axes=unsqueezed_dims(x.axes, axes, ABSENT)))


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
        x = t.ordered(step, x, order)
        x = replace(x, node=t.repeated(step, x.node, [result[a] for a in order], ""))
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


LAYERS: Final[dict[str, Handler]] = {
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
}
"""The function for each operator."""

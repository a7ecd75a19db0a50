"""Windows of convolutions and pools: where they stand, and which axis of a file is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archspec.errors import Problem
from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.model import BATCH
from archspec.imports.onnx.source import Step
from archspec.imports.onnx.trace import Unsupported, Value
from archspec.ops.windows import slide


def last(x: Value, rank: int) -> tuple[int, ...]:
    """Return the file's axes in archspec's order, for a tensor of batch, channels and places."""
    if x.rank != rank:
        raise Unsupported(f"its input has {x.rank} axes instead of {rank}")
    return (*range(2, rank), 1)


def placed(node: Node, rank: int, batch: Any) -> Value:
    """Return the value of a node whose file's tensor is batch, channels, places."""
    return Value(node, (BATCH, rank - 2, *range(rank - 2)), batch)


def padding_of(
    step: Step, spatial: Sequence[Any], window: Sequence[int], stride: Sequence[int]
) -> Any:
    """Return the padding of a window: `same`, `valid` or amounts."""
    rank = len(window)
    auto = step.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return "valid"
    if auto == "SAME_UPPER":
        return "same"
    axes = list(zip(spatial, window, stride, strict=True))
    if auto == "SAME_LOWER":
        try:
            places = [slide(*axis, "same") for axis in axes]
        except Problem:
            raise Unsupported("its padding depends on the size of the input") from None
        pairs = tuple((place.after, place.before) for place in places)
    else:
        pads = step.get("pads", [])
        if not pads:
            return "valid"
        if len(pads) != 2 * rank or min(pads) < 0:
            raise Unsupported("its padding is negative, or not as long as its kernel")
        pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if not any(map(any, pairs)):
        return "valid"
    if all(is_same(*axis, pair) for axis, pair in zip(axes, pairs, strict=True)):
        return "same"
    if all(before == after for before, after in pairs):
        return one_or_each([before for before, _ in pairs])
    return pairs


def is_same(extent: Any, window: int, stride: int, pair: tuple[int, int]) -> bool:
    """Whether amounts are those of `same`, at any size of the input."""
    if not isinstance(extent, int):
        return stride == 1 and pair == ((window - 1) // 2, window // 2)
    place = slide(extent, window, stride, "same")
    return (place.before, place.after) == pair


def windows(step: Step, rank: int, kernel: Sequence[int] | None = None) -> dict[str, Any]:
    """Return kernel, stride and dilation of a step, one number for each axis."""
    taps = list(kernel or step.get("kernel_shape", []))
    strides = step.get("strides", []) or [1] * rank
    dilations = step.get("dilations", []) or [1] * rank
    if not len(taps) == len(strides) == len(dilations) == rank:
        raise Unsupported("its window has not as many axes as its input")
    if min(*taps, *strides, *dilations) < 1:
        raise Unsupported("its window is empty")
    return {"taps": taps, "strides": strides, "dilations": dilations}

"""Windows of convolutions and pools: where they stand, and which axis of a file is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

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


class Window(NamedTuple):
    """A window, with one number for each axis that it slides along."""

    taps: list[int]
    strides: list[int]
    dilations: list[int]

    @property
    def reach(self) -> list[int]:
        """The extents of the window with the places that it leaves out."""
        return [(n - 1) * by + 1 for n, by in zip(self.taps, self.dilations, strict=True)]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of archspec's convolutions."""
        names = ("kernel", "stride", "dilation")
        return {name: one_or_each(each) for name, each in zip(names, self, strict=True)}


def padding_of(step: Step, spatial: Sequence[Any], window: Window) -> Any:
    """Return the padding of a window: `same`, `valid` or amounts."""
    rank = len(window.taps)
    auto = step.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return "valid"
    if auto == "SAME_UPPER":
        return "same"
    axes = list(zip(spatial, window.reach, window.strides, strict=True))
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
        _check_pads(pads, rank)
        pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if not any(map(any, pairs)):
        return "valid"
    if all(is_same(*axis, pair) for axis, pair in zip(axes, pairs, strict=True)):
        return "same"
    if all(before == after for before, after in pairs):
        return one_or_each([before for before, _ in pairs])
    return pairs


def _check_pads(pads: Sequence[int], rank: int) -> None:
    if len(pads) != 2 * rank or min(pads) < 0:
        raise Unsupported("its padding is negative, or not as long as its kernel")


def is_same(extent: Any, window: int, stride: int, pair: tuple[int, int]) -> bool:
    """Whether amounts are those of `same`, at any size of the input."""
    if not isinstance(extent, int):
        return stride == 1 and pair == ((window - 1) // 2, window // 2)
    place = slide(extent, window, stride, "same")
    return (place.before, place.after) == pair


def window_of(step: Step, rank: int, kernel: Sequence[int] | None = None) -> Window:
    """Return the window of a step."""
    taps = list(kernel or step.get("kernel_shape", []))
    strides = step.get("strides", []) or [1] * rank
    dilations = step.get("dilations", []) or [1] * rank
    if not len(taps) == len(strides) == len(dilations) == rank:
        raise Unsupported("its window has not as many axes as its input")
    if min(*taps, *strides, *dilations) < 1:
        raise Unsupported("its window is empty")
    return Window(taps, strides, dilations)


def along(step: Step, places: Sequence[int], rank: int) -> Step:
    """Return a step whose window slides along some of its `rank` spatial axes alone.

    Its window is known to be one along all of them.
    """
    if [*places] == [*range(2, rank + 2)]:
        return step
    attributes = {**step.attributes}
    for name in ("kernel_shape", "strides", "dilations"):
        if numbers := step.get(name, []):
            attributes[name] = [numbers[a - 2] for a in places]
    if pads := step.get("pads", []):
        _check_pads(pads, rank)
        attributes["pads"] = [pads[a - 2 + side] for side in (0, rank) for a in places]
    return replace(step, attributes=attributes)

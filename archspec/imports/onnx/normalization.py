"""Norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.imports.flattening import in_order
from archspec.imports.onnx.activation import elementwise, elementwise_on
from archspec.imports.onnx.source import Constant, Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.imports.onnx.windows import last, placed
from archspec.ops.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    UnitNorm,
)
from archspec.ops.op import Op


def batch_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    learned = [bool(name) for name in step.inputs[1:3]]
    places = [place for place in range(1, 5) if step.inputs[place]]
    arrays = [t.weight(step, place, "statistics") for place in places]
    channels = x.dims[1] if x.rank > 1 else x.dims[-1]
    if any(each.size != channels for each in arrays):
        raise Unsupported("its statistics are not for the channels of its input")
    op = BatchNorm(
        epsilon=step.get("epsilon", 1e-5),
        momentum=step.get("momentum", 0.9),
        scale=learned[0],
        center=learned[1],
    )
    normalized(t, step, x, op, arrays)


def normalized(
    t: Trace, step: Step, x: Value, op: Op, arrays: Sequence[Constant], channel: int = 1
) -> None:
    """Add a norm with an array for each channel, which is one of the file's axes."""
    maps, order = x.maps, x.order
    if not x.is_mixed:
        y = t.ordered(step, x, x.ending_with(channel if x.rank > 1 else 0))
        x = replace(y, joined=x.joined)

    def read(constant: Constant) -> Callable[[], Any]:
        def array() -> Any:
            flat = constant.vector()
            return in_order(flat, maps, order) if order else flat

        return array

    weights = [read(each) for each in arrays]
    elementwise_on(t, step, x, op, constants=arrays, weights=weights)


def _on_channels(t: Trace, step: Step) -> Value:
    """Return what a norm over the last axis reads."""
    x = t.value(step)
    if x.at(step.get("axis", -1)) != x.rank - 1:
        raise Unsupported("it normalises over more than the channels")
    return x


def layer_normalization(t: Trace, step: Step) -> None:
    x = _on_channels(t, step)
    learned, arrays = _learned(t, step)
    op = LayerNorm(epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, x, op, arrays, x.rank - 1)


def _learned(t: Trace, step: Step) -> tuple[dict[str, bool], list[Constant]]:
    """Return which of a norm's factors and offsets a step has, and these."""
    names = (*step.inputs, "", "")[1:3]
    learned = {what: bool(name) for what, name in zip(("scale", "center"), names, strict=True)}
    given = zip((1, 2), ("scale", "offset"), names, strict=True)
    return learned, [t.weight(step, place, what) for place, what, name in given if name]


def rms_normalization(t: Trace, step: Step) -> None:
    x = _on_channels(t, step)
    op = RmsNorm(epsilon=step.get("epsilon", 1e-5))
    normalized(t, step, x, op, [t.weight(step, 1, "scale")], x.rank - 1)


def group_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    learned, arrays = _learned(t, step)
    groups, channel = step.get("num_groups", 0), x.at(step.get("archspec.channels", 1))
    if any(each.size != x.dims[channel] for each in arrays):
        raise Unsupported("it has a factor for each group, not for each channel")
    op = GroupNorm(groups=groups, epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, x, op, arrays, channel)


def instance_normalization(t: Trace, step: Step) -> None:
    learned, arrays = _learned(t, step)
    op = InstanceNorm(epsilon=step.get("epsilon", 1e-5), **learned)
    normalized(t, step, t.value(step), op, arrays)


def lrn(t: Trace, step: Step) -> None:
    x = t.value(step)
    op = LocalResponseNorm(
        size=step.get("size", 5),
        alpha=step.get("alpha", 1e-4),
        beta=step.get("beta", 0.75),
        k=step.get("bias", 1.0),
    )
    axis = step.get("axis", 1)
    if axis not in (1, x.channels):
        raise Unsupported("it normalizes over neighbours along an axis that is not the channels'")
    if axis == 1 and x.channels != 1:
        x = replace(x, node=t.aligned(step, x, last(x, x.rank)))
        x = placed(x.node, x.rank, x.batch)
    elementwise_on(t, step, x, op)


def lp_normalization(t: Trace, step: Step) -> None:
    x = t.value(step)
    if step.get("p", 2) != 2:
        raise Unsupported("archspec divides by the length of a vector alone, the norm 2")
    elementwise(t, step, UnitNorm(axis=x.name_of(x.at(step.get("axis", -1)))))


LAYERS: Final[dict[str, Handler]] = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LpNormalization": lp_normalization,
}
"""The function for each operator."""

"""Receptive fields with their position: the pixels that a value of a layer depends on.

`archspec.cost.receptive_field` gives the extents for a spec; here their positions are found too,
for any Keras graph, by walking from the layer back to the image. A layer that is not known to use
a window depends on the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from archspec.explain.circuit import INPUT, Circuit, CircuitCall

PixelRange: TypeAlias = tuple[int, int]
"""First and last position along an axis; may lie outside the image."""

LOCAL: Final = frozenset(
    {
        *("BatchNormalization", "Rescaling", "Normalization", "Dropout", "GaussianDropout"),
        *("GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity", "Cast", "Copy"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Scale", "BatchDropPath"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Divide", "TrueDivide"),
        *(
            "Join",
            "AbsoluteDifference",
            "ChannelSlice",
            "LocalResponseNormalization",
            "Abs",
            "Negative",
            "Square",
        ),
    }
)
"""Layers and ops of Keras and archspec that compute each position from that position."""


def seen(circuit: Circuit, name: str, place: Sequence[int]) -> tuple[PixelRange, ...] | None:
    """Return the first and last pixel, along each axis, that a value of a layer depends on.

    `place` is the position of the value, along each axis but that of the channels. None stands for
    the whole image.
    """
    windows: dict[str, tuple[PixelRange, ...]] = {name: tuple((at, at) for at in place)}
    order = [each for each in circuit.calls if each in circuit.before(name)]
    for each in reversed(order):
        call = circuit[each]
        result = windows.get(each)
        for giver in call.inputs:
            shape = circuit.shape_of(giver)
            looks = None if result is None else _looks(call, shape)
            if result is None or looks is None or len(shape) - 1 != len(result):
                return None
            here = tuple(look(*window) for look, window in zip(looks, result, strict=True))
            windows[giver] = _union(windows.get(giver), here)
    return windows.get(INPUT)


def _union(
    one: tuple[PixelRange, ...] | None, other: tuple[PixelRange, ...]
) -> tuple[PixelRange, ...]:
    if one is None:
        return other
    return tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True))


Backward: TypeAlias = Callable[[int, int], PixelRange]
"""Function of a window of a call's output that returns the window of its input."""


def _looks(call: CircuitCall, shape: tuple[int, ...]) -> Sequence[Backward] | None:
    """Return the windows that a call uses along each axis of an input; None for all of it."""
    layer, extents = call.layer, shape[:-1]
    out = call.shape[:-1]
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if call.kind.endswith("Transpose") or call.opaque:
        return None
    if size is not None:
        size = _each(size, len(extents))
        strides = _each(layer.strides, len(extents))
        rates = _each(getattr(layer, "dilation_rate", 1), len(extents))
        wide = [(k - 1) * rate + 1 for k, rate in zip(size, rates, strict=True)]
        return [
            _sliding(k, step, _before(layer.padding, axis, extents[axis], k, step))
            for axis, (k, step) in enumerate(zip(wide, strides, strict=True))
        ]
    if call.kind.startswith(("ZeroPadding", "Pad")):
        sides = _each(getattr(layer, "padding", None) or layer.amounts, len(extents), sides=True)
        return [_shifted(-before) for before, _ in sides]
    if call.kind.startswith("Cropping"):
        return [_shifted(before) for before, _ in _each(layer.cropping, len(extents), sides=True)]
    if call.kind.startswith("UpSampling"):
        return [_enlarged(times) for times in _each(layer.size, len(extents))]
    if call.kind in LOCAL or _is_local(call, layer):
        # An input of extent 1 is broadcast.
        return [
            _shifted(0) if n == m else lambda *_: (0, 0) for n, m in zip(extents, out, strict=True)
        ]
    return None


def _is_local(call: CircuitCall, layer: Any) -> bool:
    """Return whether a call is an activation, or joins or normalises channels."""
    last = (-1, len(call.shape))
    if call.kind == "Concatenate":
        return layer.axis in last
    if call.kind == "LayerNormalization":
        axis = layer.axis
        return all(each in last for each in (axis if isinstance(axis, (list, tuple)) else [axis]))
    # A softmax over positions would use all of them.
    return call.activation is not None and not call.fused and "max" not in call.activation


def _each(value: Any, rank: int, *, sides: bool = False) -> Sequence[Any]:
    """Return a setting of a layer for each axis."""
    if isinstance(value, int):
        value = (value,) * rank
    if sides and rank == 1 and value and isinstance(value[0], int) and len(value) == 2:
        return [tuple(value)]
    result = [(each, each) if sides and isinstance(each, int) else each for each in value]
    return result[:rank] + [(0, 0) if sides else 1] * (rank - len(result))


def _before(padding: Any, axis: int, extent: int, wide: int, step: int) -> int:
    """Return a layer's padding before the first pixel."""
    match padding:
        case "valid":
            return 0
        case "same":
            return max((-(-extent // step) - 1) * step + wide - extent, 0) // 2
        case "causal":
            return wide - 1
    return int(padding[axis][0])  # of archspec's own layers


def _sliding(wide: int, step: int, before: int) -> Backward:
    return lambda first, last: (first * step - before, last * step - before + wide - 1)


def _shifted(by: int) -> Backward:
    return _sliding(1, 1, -by)


def _enlarged(times: int) -> Backward:
    return lambda first, last: (first // times, last // times)

"""Ops that slide a window, as PyTorch has them: convolutions, pools, their paddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from archspec.ejection.recording import Construction, call
from archspec.ejection.torch_ops.place import CannotWriteError, Place
from archspec.ops import (
    arrangement,
    convolution,
    elementwise,
    merge,
    normalization,
    pooling,
    resizing,
    shuffles,
)
from archspec.ops.fields import per_axis

KEEP_ORDER: Final = (
    convolution.FullyConnected,
    elementwise.Activate,
    elementwise.Dropout,
    elementwise.DropPath,
    normalization.BatchNorm,
)
"""Ops that treat all values of a vector alike, or have weights for each that can be reordered."""

ANY_SIZE: Final = (
    elementwise.Activate,
    elementwise.Dropout,
    elementwise.SpatialDropout,
    elementwise.DropPath,
    elementwise.Rescale,
    elementwise.Scale,
    normalization._Normalization,  # noqa: SLF001
    normalization.LocalResponseNorm,
    merge.Merge,
    pooling._GlobalPool,  # noqa: SLF001
    convolution.TransposedConvolution,
    convolution.FullyConnected,
    arrangement.Upsample,
    arrangement.Pad,
    arrangement.Crop,
    arrangement.PadChannels,
    resizing.Resize,
    shuffles.ChannelShuffle,
)
"""Ops that are the same whatever the extents of their input."""


def window_of(extents: Sequence[int]) -> Any:
    return extents[0] if len({*extents}) == 1 else tuple(extents)


def _pads(sides: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return amounts as PyTorch's paddings take them: the last axis first."""
    return tuple(amount for side in reversed(sides) for amount in side)


def padding_of(
    sides: Sequence[tuple[int, int]], mode: str = "", value: float = 0.0
) -> Construction:
    names = {"reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}
    name = names[mode] if mode else "Constant" if value else "Zero"
    pads = window_of(_pads(sides))
    return call(f"nn.{name}Pad{len(sides)}d", pads, *([value] if name == "Constant" else []))


def _sides(place: Place) -> list[tuple[int, int]]:
    return [(each.before, each.after) for each in place.op.slides(place.x)]


def _kernel(place: Place, channels: int, filters: int, groups: int) -> list[Construction]:
    op, x = place.op, place.x
    if getattr(op, "initial", None):
        raise CannotWriteError("its filters begin as a bank, which only `archspec.build` makes")
    sides = _sides(place)
    chain = []
    steps = op.steps(x.rank)
    even = all(before == after for before, after in sides) and not op.mode
    padding: Any = window_of([before for before, _ in sides]) if even else 0
    same = [(total // 2, total - total // 2) for total in map(sum, sides)]
    if not even and not op.mode and max(steps) == 1 and sides == same and op.amount == "same":
        padding = "same"
    elif not even or op.mode:
        chain.append(padding_of(sides, op.mode))
    chain.append(
        call(
            f"nn.Conv{x.rank}d",
            channels,
            filters,
            window_of(op.taps(x.rank)),
            stride=window_of(steps),
            padding=padding,
            dilation=window_of(per_axis(op.dilation, x.rank, "dilation")),
            groups=groups,
            bias=op.bias,
        )
    )
    return chain


def convolution_rule(place: Place) -> list[Construction]:
    op = place.op
    if op.connections is not None or op.standardize:
        which = "connections" if op.connections is not None else "standardize"
        raise CannotWriteError(f"torch.nn has no convolution with `{which}`")
    return _kernel(place, place.x.channels, op.filters, op.groups)


def depthwise_rule(place: Place) -> list[Construction]:
    channels = place.x.channels
    return _kernel(place, channels, channels * place.op.multiplier, channels)


def transposed_rule(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    rank = x.rank
    steps, window = op.steps(rank), op.window(rank)
    dilation = per_axis(op.dilation, rank, "dilation")
    margins, kept = [], []
    for (before, after), step, size in zip(op._cuts(x), steps, window, strict=True):  # noqa: SLF001
        end = after - max(step - size, 0)  # PyTorch's output ends with the last kernel
        margins.append((before, end))
    plain = all(
        before >= 0 and 0 <= before - end < max(step, rate)
        for (before, end), step, rate in zip(margins, steps, dilation, strict=True)
    )
    if plain:
        kept = [before for before, _ in margins]
        extra = [before - end for before, end in margins]
    else:
        kept, extra = [0] * rank, [0] * rank
    chain = [
        call(
            f"nn.ConvTranspose{rank}d",
            x.channels,
            op.filters,
            window_of(op.taps(rank)),
            stride=window_of(steps),
            padding=window_of(kept),
            output_padding=window_of(extra),
            groups=op.groups,
            bias=op.bias,
            dilation=window_of(dilation),
        )
    ]
    if not plain and any(map(any, margins)):
        if any(cut < 0 for pair in margins for cut in pair) and op.bias:
            raise CannotWriteError("its output is longer than its kernels paint")
        chain.append(padding_of([(-before, -after) for before, after in margins]))
    return chain


def _torch_window(place: Place) -> tuple[Any, bool, bool] | None:
    """Return padding, `ceil_mode` and whether all padding is explicit; None if it cannot.

    PyTorch pads both ends alike, and a last window may hang over the end with `ceil_mode`.
    """
    op, x = place.op, place.x
    window, steps = op.window(x.rank), op.steps(x.rank)
    slides = op.slides(x)
    before = [each.before for each in slides]
    if any(2 * b > w for b, w in zip(before, window, strict=True)):
        return None
    modes = []
    for extent, each, w, s in zip(x.spatial, slides, window, steps, strict=True):
        if not isinstance(extent, int):
            modes.append({False} if each.before == each.after else set())
            continue
        room = extent + 2 * each.before - w
        floor, ceil = room // s + 1, -(-room // s) + 1
        if (ceil - 1) * s >= extent + each.before:
            ceil -= 1
        modes.append({mode for mode, n in ((False, floor), (True, ceil)) if n == each.fits})
    common = set.intersection(*modes)
    if not common:
        return None
    mode = min(common)
    return window_of(before), mode, all(each.before == each.after for each in slides)


def _pool(place: Place, name: str, *before: Any, **named: Any) -> Construction:
    """Return the call of a pool, with the arguments before and after its window and stride."""
    rank = place.x.rank
    window, steps = place.op.window(rank), place.op.steps(rank)
    stride = None if steps == window else window_of(steps)
    return call(f"nn.{name}{rank}d", *before, window_of(window), stride=stride, **named)


def max_pool_rule(place: Place) -> list[Construction]:
    found = _torch_window(place)
    if found is None:
        padded = padding_of(_sides(place), value=float("-inf"))
        return [padded, _pool(place, "MaxPool", padding=0, ceil_mode=False)]
    padding, ceil, _ = found
    return [_pool(place, "MaxPool", padding=padding, ceil_mode=ceil)]


def avg_pool_rule(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    found = _torch_window(place)
    if found is None or (op.counts_zeros and (op.ceil or not found[2])):
        counted = op.counted_padding(x) if op.counts_zeros else ((0, 0),) * x.rank
        pads = _pads(_sides(place)), _pads(counted)
        return [call("PaddedAvgPool", op.window(x.rank), op.steps(x.rank), *pads)]
    padding, ceil, _ = found
    counts = op.counts_zeros or padding == 0
    named = {"padding": padding, "ceil_mode": ceil, "count_include_pad": counts}
    return [_pool(place, "AvgPool", **named)]


def l2_pool_rule(place: Place) -> list[Construction]:
    sides = _sides(place)
    chain = [padding_of(sides)] if any(map(any, sides)) else []
    return [*chain, _pool(place, "LPPool", 2)]


def global_rule(name: str) -> Callable[[Place], Construction]:
    def make(place: Place) -> Construction:
        keep = place.op.keep_axes
        return call(name, window_or_all(place.spatial), keepdim=keep)

    return make


def window_or_all(axes: tuple[int, ...]) -> Any:
    return axes[0] if len(axes) == 1 else axes


def linear_rule(place: Place) -> Construction:
    return call("nn.Linear", place.x.channels, place.op.units, bias=place.op.bias)

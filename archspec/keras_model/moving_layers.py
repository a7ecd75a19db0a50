"""Layers that move values between places and channels, or give maps other extents.

They are written with `keras.ops` alone, channels last. Extents that are not known before a batch
comes in are taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from archspec.keras_model.own_layer import KerasShape, OwnLayer, register


@register
class AxisSlice(OwnLayer):
    """The values along an axis from `start` up to but not including `stop`, or to its end."""

    arguments = ("axis", "start", "stop")

    def __init__(self, axis: int, start: int, stop: int | None, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis
        self.start = start
        self.stop = stop

    def call(self, x: Any) -> Any:
        return x[(*(slice(None),) * self.axis, slice(self.start, self.stop))]

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        extents = list(input_shape)
        stop = extents[self.axis] if self.stop is None else self.stop
        extents[self.axis] = None if stop is None else stop - self.start
        return tuple(extents)


@register
class Roll(OwnLayer):
    """Values moved along the axes after the batch; those that leave come in at the other end."""

    arguments = ("steps",)

    def __init__(self, steps: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.steps = tuple(steps)

    def call(self, x: Any) -> Any:
        # In two slices, because TFLite has no operation that rolls.
        for axis, step in enumerate(self.steps, start=1):
            if step:
                start = -step % (x.shape[axis] or ops.shape(x)[axis])
                before = (slice(None),) * axis
                parts = (slice(start, None), slice(None, start))
                x = ops.concatenate([x[(*before, part)] for part in parts], axis=axis)
        return x


@register
class ChannelShuffle(OwnLayer):
    """The channels of all groups in turn."""

    arguments = ("groups",)

    def __init__(self, groups: int, **options: Any) -> None:
        super().__init__(**options)
        self.groups = groups

    def call(self, x: Any) -> Any:
        shape = ops.shape(x)
        split = ops.reshape(x, (*shape[:-1], self.groups, shape[-1] // self.groups))
        return ops.reshape(ops.swapaxes(split, -1, -2), shape)


class _BlockShuffle(OwnLayer):
    """The base of layers that exchange a block of places with the channels of one place."""

    arguments = ("factors", "order")

    def __init__(self, factors: Sequence[int], order: str, **options: Any) -> None:
        super().__init__(**options)
        self.factors = tuple(factors)
        self.order = order

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.factors)

    def split_axes(self) -> list[int]:
        """Return the axes of (batch, block along each axis, place within it..., channels).

        The first axis is the batch. Then come, for each spatial axis, the blocks along it and the
        places within one, which is where the spatial extents were split; the channels are last.
        """
        blocks = [1 + 2 * axis for axis in range(self.rank)]
        within = [2 + 2 * axis for axis in range(self.rank)]
        channels = [1 + 2 * self.rank]
        inner = within + channels if self.order == "places" else channels + within
        return [0, *blocks, *inner]


@register
class SpaceToDepth(_BlockShuffle):
    """Each block of places as the channels of one place."""

    def call(self, x: Any) -> Any:
        batch, *extents, channels = ops.shape(x)
        blocks = [n // factor for n, factor in zip(extents, self.factors, strict=True)]
        split = [n for pair in zip(blocks, self.factors, strict=True) for n in pair]
        x = ops.reshape(x, (batch, *split, channels))
        x = ops.transpose(x, self.split_axes())
        return ops.reshape(x, (batch, *blocks, math.prod(self.factors) * channels))

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, channels = input_shape
        spatial = (
            None if n is None else n // factor
            for n, factor in zip(extents, self.factors, strict=True)
        )
        return (batch, *spatial, channels * math.prod(self.factors))


@register
class DepthToSpace(_BlockShuffle):
    """The channels of each place spread over a block of places."""

    def call(self, x: Any) -> Any:
        batch, *extents, channels = ops.shape(x)
        left = channels // math.prod(self.factors)
        inner = (*self.factors, left) if self.order == "places" else (left, *self.factors)
        x = ops.reshape(x, (batch, *extents, *inner))
        axes = self.split_axes()
        x = ops.transpose(x, [axes.index(axis) for axis in range(len(axes))])
        spatial = [n * factor for n, factor in zip(extents, self.factors, strict=True)]
        return ops.reshape(x, (batch, *spatial, left))

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, channels = input_shape
        spatial = (
            None if n is None else n * factor
            for n, factor in zip(extents, self.factors, strict=True)
        )
        return (batch, *spatial, channels // math.prod(self.factors))


@register
class Resize(OwnLayer):
    """Maps, or sequences, with other spatial extents; those of a second input if `size` is None."""

    arguments = ("size", "method")

    def __init__(self, size: Sequence[int] | None, method: str, **options: Any) -> None:
        super().__init__(**options)
        self.size = None if size is None else tuple(size)
        self.method = method

    def call(self, inputs: Any) -> Any:
        x, size = inputs, self.size
        if size is None:
            x, like = inputs
            size = tuple(ops.shape(like)[1:-1])
        if len(size) == 2:
            return self._resized(x, size)
        return ops.squeeze(self._resized(ops.expand_dims(x, 2), (*size, 1)), 2)

    def _resized(self, x: Any, size: Sequence[Any]) -> Any:
        return ops.image.resize(
            x, size, interpolation=self.method, antialias=False, data_format="channels_last"
        )

    def compute_output_shape(self, input_shape: Any) -> KerasShape:
        if self.size is not None:
            return (input_shape[0], *self.size, input_shape[-1])
        x, like = input_shape
        return (x[0], *like[1:-1], x[-1])


@register
class MaxUnpooling(OwnLayer):
    """Values at the places of the largest in windows of a second input, zeros elsewhere."""

    arguments = ("size",)

    def __init__(self, size: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.size = tuple(size)

    def call(self, inputs: Any) -> Any:
        x, before = inputs
        rank, taps = len(self.size), math.prod(self.size)
        counts = [x.shape[axis] or ops.shape(x)[axis] for axis in range(1, rank + 1)]
        whole = [count * size for count, size in zip(counts, self.size, strict=True)]
        # Axes: batch, then for each spatial axis the window and the place in it, then channels.
        split = [extent for pair in zip(counts, self.size, strict=True) for extent in pair]
        outer, inner = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
        order = (0, *outer, 2 * rank + 1, *inner)
        covered = before[(slice(None), *(slice(0, extent) for extent in whole))]
        windows = ops.transpose(ops.reshape(covered, (-1, *split, x.shape[-1])), order)
        windows = ops.reshape(windows, (-1, *counts, x.shape[-1], taps))
        largest = ops.one_hot(ops.argmax(windows, axis=-1), taps, dtype=x.dtype)
        painted = ops.reshape(
            ops.expand_dims(x, -1) * largest, (-1, *counts, x.shape[-1], *self.size)
        )
        back = sorted(range(len(order)), key=order.__getitem__)
        painted = ops.reshape(ops.transpose(painted, back), (-1, *whole, x.shape[-1]))
        rest = [
            (0, (before.shape[axis] or ops.shape(before)[axis]) - extent)
            for axis, extent in enumerate(whole, start=1)
        ]
        return ops.pad(painted, ((0, 0), *rest, (0, 0)))

    def compute_output_shape(self, input_shape: Sequence[KerasShape]) -> KerasShape:
        return tuple(input_shape[1])

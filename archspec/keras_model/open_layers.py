"""Layers for inputs of any size, which compute from it as they run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from keras import ops

from archspec.keras_model.own_layer import KerasShape, OwnLayer, register
from archspec.ops.windows import Slide, slide


class _OpenWindows(OwnLayer):
    """The base of layers whose padding for windows is computed from the size, as they run.

    `padding` is `same`, `valid` or amounts; `ceil` as in archspec's pools.
    """

    arguments: ClassVar[tuple[str, ...]] = ("pool_size", "strides", "padding", "ceil")

    def __init__(
        self,
        pool_size: Sequence[int],
        strides: Sequence[int],
        padding: str | Sequence[Sequence[int]],
        *,
        ceil: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.pool_size = tuple(pool_size)
        self.strides = tuple(strides)
        self.padding = (
            padding
            if isinstance(padding, str)
            else tuple((before, after) for before, after in padding)
        )
        self.ceil = ceil

    def amounts(self, x: Any) -> list[tuple[Any, Any]]:
        """Return the padding of each axis: numbers, or tensors where the size is not known yet."""
        return [
            _amounts_known(*axis, ceil=self.ceil)
            if isinstance(axis[0], int)
            else _amounts_computed(*axis, ceil=self.ceil)
            for axis in self._axes(ops.shape(x)[1:-1])
        ]

    def _axes(self, extents: Sequence[Any]) -> list[tuple[Any, ...]]:
        sides = (self.padding,) * len(extents) if isinstance(self.padding, str) else self.padding
        return list(zip(extents, self.pool_size, self.strides, sides, strict=True))

    def _places(self, input_shape: KerasShape) -> list[Slide | None]:
        """Return the places of the windows along each axis; None along one that is open."""
        return [
            None if axis[0] is None else slide(*axis, ceil=self.ceil)
            for axis in self._axes(input_shape[1:-1])
        ]


@register
class WindowPadding(_OpenWindows):
    """Padding of an input of any size for the windows of the layer after it."""

    arguments = _OpenWindows.arguments

    def __init__(self, *args: Any, value: float | str = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.value = float(value)

    def call(self, x: Any) -> Any:
        return ops.pad(x, ((0, 0), *self.amounts(x), (0, 0)), constant_values=self.value)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, channels = input_shape
        places = zip(extents, self._places(input_shape), strict=True)
        padded = (
            None if place is None else extent + place.before + place.after
            for extent, place in places
        )
        return (batch, *padded, channels)

    def get_config(self) -> dict[str, Any]:
        # JSON has no infinity.
        value = self.value if math.isfinite(self.value) else repr(self.value)
        return {**super().get_config(), "value": value}


@register
class OpenAveragePooling(_OpenWindows):
    """Mean over a window of an input of any size.

    With `counted`, its divisor includes explicit padding; what hangs over the end never counts.
    """

    arguments = (*_OpenWindows.arguments, "counted")

    def __init__(self, *args: Any, counted: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counted = counted

    def call(self, x: Any) -> Any:
        ones = ops.ones_like(x[:1, ..., :1])
        amounts = self.amounts(x)
        if self.counted and not isinstance(self.padding, str):
            ones = ops.pad(ones, ((0, 0), *self.padding, (0, 0)), constant_values=1.0)
            over = [
                (0, after - sides[1])
                for (_, after), sides in zip(amounts, self.padding, strict=True)
            ]
            return self._sums(x, amounts) / self._sums(ones, over)
        return self._sums(x, amounts) / self._sums(ones, amounts)

    def _sums(self, x: Any, amounts: Sequence[tuple[Any, Any]]) -> Any:
        """Return the sum of each window, up to a factor."""
        x = ops.pad(x, ((0, 0), *amounts, (0, 0)))
        return ops.average_pool(x, self.pool_size, self.strides, data_format="channels_last")

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        fits = (place if place is None else place.fits for place in self._places(input_shape))
        return (input_shape[0], *fits, input_shape[-1])


def _amounts_known(*axis: Any, ceil: bool) -> tuple[int, int]:
    place = slide(*axis, ceil=ceil)
    return place.before, place.after


def _amounts_computed(
    extent: Any, window: int, stride: int, padding: str | tuple[int, int], *, ceil: bool
) -> tuple[Any, Any]:
    """Return the padding that `slide` gives, for an extent that is a tensor."""
    if padding == "same":
        total = ops.maximum((-(-extent // stride) - 1) * stride + window - extent, 0)
        return total // 2, total - total // 2
    before, after = (0, 0) if isinstance(padding, str) else padding
    if not ceil:
        return before, after
    if after <= window - stride:
        last = -(-(extent + before + after - window) // stride)
    else:
        last = -(-(extent + before) // stride) - 1
    return before, after + ops.maximum(last * stride + window - (extent + before + after), 0)


@register
class CropLike(OwnLayer):
    """The first input, cut to the spatial extents of the second; without an offset, its middle."""

    arguments = ("offset",)

    def __init__(self, offset: Sequence[int] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.offset = None if offset is None else tuple(offset)

    def call(self, inputs: Sequence[Any]) -> Any:
        x, like = inputs
        extents, wanted = ops.shape(x)[1:-1], ops.shape(like)[1:-1]
        starts = self.offset or [
            (extent - most) // 2 for extent, most in zip(extents, wanted, strict=True)
        ]
        window = [slice(start, start + most) for start, most in zip(starts, wanted, strict=True)]
        return x[(slice(None), *window)]

    def compute_output_shape(self, input_shape: Sequence[KerasShape]) -> KerasShape:
        x, like = input_shape
        return (x[0], *like[1:-1], x[-1])

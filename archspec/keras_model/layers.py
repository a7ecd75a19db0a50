"""The layers that Keras lacks, and `Layers`, which gives ops these and Keras's in one place.

They are written with `keras.ops` alone, so they run on every backend, for any number of spatial
axes, channels last. Importing this module imports Keras, and registers these layers with it, so
that Keras can load a model that has one; see `engine.load_keras`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar, TypeAlias

import keras
from keras import ops

from archspec.keras_model.attention_layers import (
    CausalMask,
    ClassToken,
    MatMul,
    Parameter,
    PositionEmbedding,
    RelativePositionBias,
    ShiftedWindowMask,
)
from archspec.keras_model.moving_layers import (
    AxisSlice,
    ChannelShuffle,
    DepthToSpace,
    Resize,
    Roll,
    SpaceToDepth,
)
from archspec.keras_model.own_layer import KerasShape, OwnLayer, register
from archspec.ops import banks

PadAmounts: TypeAlias = tuple[tuple[int, int], ...]


@register
class Pad(keras.layers.Layer):
    """Padding with a constant, of the first axes after the batch, as many as `amounts` has."""

    def __init__(
        self, amounts: Sequence[Sequence[int]], value: float | str = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.amounts = _sides(amounts)
        self.value = float(value)

    def call(self, x: Any) -> Any:
        rest = ((0, 0),) * (len(x.shape) - 1 - len(self.amounts))
        return ops.pad(x, ((0, 0), *self.amounts, *rest), constant_values=self.value)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents = input_shape
        padded = _padded(extents, self.amounts)
        return (batch, *padded, *extents[len(padded) :])

    def get_config(self) -> dict[str, Any]:
        # JSON has no infinity.
        value = self.value if math.isfinite(self.value) else repr(self.value)
        return {**super().get_config(), "amounts": self.amounts, "value": value}


class _Pooling(OwnLayer):
    """The base of poolings: sums over windows of an input that is padded with zeros."""

    arguments: ClassVar[tuple[str, ...]] = ("pool_size", "strides", "padding")

    def __init__(
        self,
        pool_size: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[Sequence[int]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.pool_size = tuple(pool_size)
        self.strides = tuple(strides)
        self.padding = _sides(padding)

    def sums(self, x: Any) -> Any:
        """Return the sum of each window."""
        x = ops.pad(x, ((0, 0), *self.padding, (0, 0)))
        means = ops.average_pool(x, self.pool_size, self.strides, data_format="channels_last")
        return means * math.prod(self.pool_size)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, channels = input_shape
        axes = zip(_padded(extents, self.padding), self.pool_size, self.strides, strict=True)
        return (batch, *((n - size) // step + 1 for n, size, step in axes), channels)


@register
class PaddedAveragePooling(_Pooling):
    """Mean over a window, whose divisor includes only the `counted` part of the padding."""

    arguments = (*_Pooling.arguments, "counted")

    def __init__(self, *args: Any, counted: Sequence[Sequence[int]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.counted = _sides(counted)

    def call(self, x: Any) -> Any:
        counts = [self._counts(axis, extent) for axis, extent in enumerate(x.shape[1:-1])]
        divisors = ops.convert_to_tensor(
            [math.prod(place) for place in product(*counts)], dtype=x.dtype
        )
        return self.sums(x) / ops.reshape(divisors, (1, *map(len, counts), 1))

    def _counts(self, axis: int, extent: int) -> list[int]:
        """Return how many values each window along an axis counts in its divisor."""
        size, step, (before, after) = self.pool_size[axis], self.strides[axis], self.padding[axis]
        first = before - self.counted[axis][0]
        last = before + extent + self.counted[axis][1]
        starts = range(0, before + extent + after - size + 1, step)
        return [min(start + size, last) - max(start, first) for start in starts]


@register
class L2Pooling(_Pooling):
    """Root of the sum of squares over a window."""

    def call(self, x: Any) -> Any:
        squares = self.sums(ops.square(x))
        # The root's slope at zero is infinite. A window of zeros, as after a ReLU, gets slope 0.
        empty = squares <= 0
        return ops.where(empty, 0.0, ops.sqrt(ops.where(empty, 1.0, squares)))


@register
class LocalConv(OwnLayer):
    """A convolution without padding whose kernel differs from place to place.

    The kernel has shape (places, taps * channels, filters), places and taps in row-major order;
    the bias has the output's shape. Each place starts as a convolution's kernel would
    (Glorot uniform).
    """

    arguments = ("filters", "kernel_size", "strides", "dilation_rate", "use_bias")

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: Sequence[int],
        dilation_rate: Sequence[int],
        *,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.dilation_rate = tuple(dilation_rate)
        self.use_bias = use_bias

    def build(self, input_shape: KerasShape) -> None:
        _, *spatial, _ = self.compute_output_shape(input_shape)
        taps = math.prod(self.kernel_size)
        channels = input_shape[-1]
        limit = math.sqrt(6 / (taps * (channels + self.filters)))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(math.prod(spatial), taps * channels, self.filters),
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(*spatial, self.filters), initializer="zeros"
            )

    def call(self, x: Any) -> Any:
        _, *spatial, filters = self.compute_output_shape(tuple(x.shape))
        patches = ops.concatenate([x[tap] for tap in self._taps(spatial)], axis=-1)
        patches = ops.reshape(patches, (-1, *self.kernel.shape[:2]))
        y = ops.einsum("bpi,pio->bpo", patches, self.kernel)
        y = ops.reshape(y, (-1, *spatial, filters))
        return y if self.bias is None else y + self.bias

    def _taps(self, spatial: Sequence[int]) -> list[tuple[slice, ...]]:
        """Return, for each tap of the kernel, the slice of the input values that it meets."""
        axes = [
            [slice(tap * rate, tap * rate + (count - 1) * step + 1, step) for tap in range(size)]
            for size, rate, step, count in zip(
                self.kernel_size, self.dilation_rate, self.strides, spatial, strict=True
            )
        ]
        return [(slice(None), *tap) for tap in product(*axes)]

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, _ = input_shape
        spatial = (
            (n - (size - 1) * rate - 1) // step + 1
            for n, size, rate, step in zip(
                extents, self.kernel_size, self.dilation_rate, self.strides, strict=True
            )
        )
        return (batch, *spatial, self.filters)


@register
class Function(OwnLayer):
    """A function of `keras.activations`, or another, by its name and with its arguments."""

    arguments = ("function", "given")

    def __init__(self, function: str, given: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function
        self.given = dict(given)

    def call(self, x: Any) -> Any:
        own = {"scaled_tanh": _scaled_tanh}
        function = own.get(self.function) or getattr(keras.activations, self.function)
        return function(x, **self.given)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        *extents, channels = input_shape
        return (*extents, channels // 2 if self.function == "glu" else channels)


def _scaled_tanh(x: Any, amplitude: float, slope: float) -> Any:
    return amplitude * ops.tanh(slope * x)


@register
class Scale(OwnLayer):
    """Each channel times a learned factor, plus a learned offset."""

    arguments = ("use_bias", "initial")

    def __init__(self, *, use_bias: bool = True, initial: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.use_bias = use_bias
        self.initial = initial

    def build(self, input_shape: KerasShape) -> None:
        shape = input_shape[-1:]
        start = keras.initializers.Constant(self.initial)
        self.scale = self.add_weight(name="scale", shape=shape, initializer=start)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def call(self, x: Any) -> Any:
        y = x * self.scale
        return y if self.bias is None else y + self.bias


@register
class ChannelSlice(OwnLayer):
    """The channels from `start` up to but not including `stop`."""

    arguments = ("start", "stop")

    def __init__(self, start: int, stop: int, **options: Any) -> None:
        super().__init__(**options)
        self.start = start
        self.stop = stop

    def call(self, x: Any) -> Any:
        return x[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return (*input_shape[:-1], self.stop - self.start)


@register
class LocalResponseNormalization(OwnLayer):
    """x / (k + alpha * sum of squares over `size` neighbouring channels) ** beta."""

    arguments = ("size", "alpha", "beta", "k")

    def __init__(self, size: int, alpha: float, beta: float, k: float, **options: Any) -> None:
        super().__init__(**options)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def call(self, x: Any) -> Any:
        channels = x.shape[-1]
        radius = min(self.size // 2, channels - 1)  # there are no neighbours beyond
        unpadded = ((0, 0),) * (len(x.shape) - 1)
        squares = ops.pad(ops.square(x), (*unpadded, (radius, radius)))
        total = squares[..., :channels]
        for shift in range(1, 2 * radius + 1):
            total = total + squares[..., shift : shift + channels]
        return x / ops.power(self.k + self.alpha * total, self.beta)


@register
class BatchDropPath(OwnLayer):
    """A batch that is kept whole or zeroed in training; at inference, the mean of both."""

    arguments = ("rate", "seed")

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, training: bool | None = None) -> Any:
        if not training:
            return x * (1.0 - self.rate)
        return x * ops.cast(_chances((), self.seed_generator) >= self.rate, x.dtype)


@register
class PathDraw(OwnLayer):
    """A row, alike for all examples: 1 for the column that this step keeps, or only zeros."""

    arguments = ("columns", "global_share", "seed")

    def __init__(
        self, columns: int, global_share: float, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.columns = columns
        self.global_share = global_share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, training: bool | None = None) -> Any:
        row = ops.zeros((self.columns,), dtype=self.compute_dtype)
        if training:
            share, column = ops.split(_chances((2,), self.seed_generator), 2)
            kept = ops.floor(column * self.columns) == ops.arange(self.columns, dtype="float32")
            row = ops.cast(ops.logical_and(share < self.global_share, kept), self.compute_dtype)
        return ops.broadcast_to(row, (ops.shape(x)[0], self.columns))

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return (input_shape[0], self.columns)


@register
class Join(OwnLayer):
    """The mean of the inputs that survive drop-path; at inference, of all.

    With `columns`, the last input is a PathDraw's output. If it keeps one of `columns`, that input
    survives; if it keeps another column, all do, because this join is not used.
    """

    arguments = ("rate", "columns", "seed")

    def __init__(
        self,
        rate: float,
        columns: Sequence[int] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rate = rate
        self.columns = None if columns is None else tuple(columns)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Sequence[Any], training: bool | None = None) -> Any:
        values = inputs if self.columns is None else inputs[:-1]
        if not training:
            return sum(values[1:], start=values[0]) / len(values)
        alive = self._drawn(len(values))
        if self.columns is not None:
            draw = ops.cast(inputs[-1][0], "float32")
            here = ops.take(draw, ops.convert_to_tensor(self.columns, "int32"))
            chosen = ops.where(ops.sum(here) > 0, here, ops.ones_like(here))
            alive = ops.where(ops.sum(draw) > 0, chosen, alive)
        shares = ops.cast(alive / ops.sum(alive), values[0].dtype)
        kept = [value * shares[number] for number, value in enumerate(values)]
        return sum(kept[1:], start=kept[0])

    def _drawn(self, number: int) -> Any:
        """Draw 1 for each input that survives, and for one of them if none does."""
        *chances, revived = ops.unstack(_chances((number + 1,), self.seed_generator))
        alive = ops.cast(ops.stack(chances) >= self.rate, "float32")
        places = ops.arange(number, dtype="float32")
        one = ops.cast(ops.floor(revived * number) == places, "float32")
        return ops.where(ops.sum(alive) > 0, alive, one)

    def compute_output_shape(self, input_shape: Sequence[KerasShape]) -> KerasShape:
        return input_shape[0]


@register
class FilterBank(keras.initializers.Initializer):
    """Kernels known by formula: see `archspec.ops.banks.weights`."""

    def __init__(self, bank: str, *, depthwise: bool = False) -> None:
        self.bank = bank
        self.depthwise = depthwise

    def __call__(self, shape: KerasShape, dtype: Any = None) -> Any:
        values = banks.weights(self.bank, shape, depthwise=self.depthwise)
        return ops.cast(ops.convert_to_tensor(values), dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"bank": self.bank, "depthwise": self.depthwise}


class Layers:
    """The argument `layers` of `Op.emit`: archspec's layers and those of `keras.layers`."""

    own: ClassVar[dict[str, Any]] = {
        cls.__name__: cls
        for cls in (
            Pad,
            PaddedAveragePooling,
            L2Pooling,
            LocalConv,
            Function,
            Scale,
            ChannelSlice,
            LocalResponseNormalization,
            BatchDropPath,
            PathDraw,
            Join,
            FilterBank,
            MatMul,
            RelativePositionBias,
            CausalMask,
            ShiftedWindowMask,
            Parameter,
            PositionEmbedding,
            ClassToken,
            AxisSlice,
            Roll,
            ChannelShuffle,
            DepthToSpace,
            SpaceToDepth,
            Resize,
        )
    }

    def __getattr__(self, name: str) -> Any:
        own = self.own.get(name) or getattr(keras.layers, name, None)
        return own or getattr(keras.initializers, name)


def _chances(shape: tuple[int, ...], seed: Any) -> Any:
    """Draw numbers from 0 to below 1, in float32: a narrower dtype would bias them."""
    return keras.random.uniform(shape, dtype="float32", seed=seed)


def _sides(amounts: Sequence[Sequence[int]]) -> PadAmounts:
    """Return (before, after) for each axis as tuples; a saved model has lists."""
    return tuple((before, after) for before, after in amounts)


def _padded(extents: Sequence[int], amounts: PadAmounts) -> tuple[int, ...]:
    """Return the extents of the axes in `amounts`, after padding."""
    pairs = zip(extents, amounts, strict=False)
    return tuple(extent + before + after for extent, (before, after) in pairs)

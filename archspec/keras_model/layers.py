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

from archspec.keras_model import (  # noqa: F401  (they register their layers)
    attention_layers,
    moving_layers,
    open_layers,
)
from archspec.keras_model.own_layer import OWN, KerasShape, OwnLayer, register
from archspec.lazy import np
from archspec.ops import banks

PadAmounts: TypeAlias = tuple[tuple[int, int], ...]


@register
class Pad(keras.layers.Layer):
    """Padding of the first axes after the batch, as many as `amounts` has.

    In the mode `constant` with a value; in `reflect`, `replicate` and `circular` with the input.
    """

    def __init__(
        self,
        amounts: Sequence[Sequence[int]],
        value: float | str = 0.0,
        mode: str = "constant",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.amounts = _sides(amounts)
        self.value = float(value)
        self.mode = mode

    def call(self, x: Any) -> Any:
        if self.mode != "constant":
            for axis, (before, after) in enumerate(self.amounts, start=1):
                if before or after:
                    x = ops.take(x, self._places(x, axis, before, after), axis=axis)
            return x
        rest = ((0, 0),) * (len(x.shape) - 1 - len(self.amounts))
        return ops.pad(x, ((0, 0), *self.amounts, *rest), constant_values=self.value)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents = input_shape
        padded = _padded(extents, self.amounts)
        return (batch, *padded, *extents[len(padded) :])

    def get_config(self) -> dict[str, Any]:
        # JSON has no infinity.
        value = self.value if math.isfinite(self.value) else repr(self.value)
        return {
            **super().get_config(),
            "amounts": self.amounts,
            "value": value,
            "mode": self.mode,
        }

    def _places(self, x: Any, axis: int, before: int, after: int) -> Any:
        """Return the place in the input of each place of the output along an axis."""
        extent = x.shape[axis] or ops.shape(x)[axis]
        places = ops.arange(-before, extent + after, dtype="int32")
        if self.mode == "reflect":
            return extent - 1 - ops.abs(extent - 1 - ops.abs(places))
        if self.mode == "circular":
            return ops.mod(places, extent)
        return ops.clip(places, 0, extent - 1)


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
        fits = (None if n is None else (n - size) // step + 1 for n, size, step in axes)
        return (batch, *fits, channels)


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
class Subsampling(_Pooling):
    """Sum over a window, times a learned coefficient, plus a learned bias."""

    def build(self, input_shape: KerasShape) -> None:
        shape = input_shape[-1:]
        start = keras.initializers.Constant(1 / math.prod(self.pool_size))  # the mean
        self.coefficient = self.add_weight(name="coefficient", shape=shape, initializer=start)
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def call(self, x: Any) -> Any:
        return self.sums(x) * self.coefficient + self.bias


@register
class BlurPooling(OwnLayer):
    """A binomial filter along each spatial axis, without padding."""

    arguments = ("size", "strides")

    def __init__(self, size: int, strides: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.size = size
        self.strides = tuple(strides)

    def call(self, x: Any) -> Any:
        for axis, step in enumerate(self.strides, start=1):
            count = (x.shape[axis] or ops.shape(x)[axis]) - self.size + 1
            shares = [math.comb(self.size - 1, k) / 2 ** (self.size - 1) for k in range(self.size)]
            before = (slice(None),) * axis
            parts = [
                share * x[(*before, slice(k, k + count, step))] for k, share in enumerate(shares)
            ]
            x = sum(parts[1:], start=parts[0])
        return x

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, channels = input_shape
        axes = zip(extents, self.strides, strict=True)
        return (batch, *(n and (n - self.size) // step + 1 for n, step in axes), channels)


@register
class Rbf(OwnLayer):
    """Squared distances of a vector from fixed codes of -1 and 1."""

    arguments = ("units",)

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: KerasShape) -> None:
        self.codes = self.add_weight(
            name="codes",
            shape=(input_shape[-1], self.units),
            initializer=RandomSigns(),
            trainable=False,
        )

    def call(self, x: Any) -> Any:
        return ops.sum(ops.square(ops.expand_dims(x, -1) - self.codes), axis=1)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return (input_shape[0], self.units)


@register
class RandomSigns(keras.initializers.Initializer):
    """Numbers -1 and 1, drawn with a fixed seed: always the same for a shape."""

    def __call__(self, shape: KerasShape, dtype: Any = None) -> Any:
        signs = np.random.default_rng(1998).choice((-1.0, 1.0), shape)
        return ops.cast(ops.convert_to_tensor(signs), dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {}


class _Convolving(OwnLayer):
    """The base of layers whose kernel slides over the input."""

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

    def places(self, extents: Sequence[Any]) -> tuple[Any, ...]:
        """Return the extents of the output; None stays open."""
        axes = zip(extents, self.kernel_size, self.dilation_rate, self.strides, strict=True)
        return tuple(
            None if n is None else (n - (size - 1) * rate - 1) // step + 1
            for n, size, rate, step in axes
        )

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, *extents, _ = input_shape
        return (batch, *self.places(extents), self.filters)

    def add_bias(self, *shape: int) -> None:
        """Make the bias, if the layer has one."""
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def with_bias(self, y: Any) -> Any:
        """Return the output with the bias added."""
        return y if self.bias is None else y + self.bias


@register
class LocalConv(_Convolving):
    """A convolution without padding whose kernel differs from place to place.

    The kernel has shape (places, taps * channels, filters), places and taps in row-major order;
    the bias has the output's shape. Each place starts as a convolution's kernel would
    (Glorot uniform).
    """

    arguments = ("filters", "kernel_size", "strides", "dilation_rate", "use_bias")

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
        self.add_bias(*spatial, self.filters)

    def call(self, x: Any) -> Any:
        _, *spatial, filters = self.compute_output_shape(tuple(x.shape))
        patches = ops.concatenate([x[tap] for tap in self._taps(spatial)], axis=-1)
        patches = ops.reshape(patches, (-1, *self.kernel.shape[:2]))
        y = ops.einsum("bpi,pio->bpo", patches, self.kernel)
        return self.with_bias(ops.reshape(y, (-1, *spatial, filters)))

    def _taps(self, spatial: Sequence[int]) -> list[tuple[slice, ...]]:
        """Return, for each tap of the kernel, the slice of the input values that it meets."""
        axes = [
            [slice(tap * rate, tap * rate + (count - 1) * step + 1, step) for tap in range(size)]
            for size, rate, step, count in zip(
                self.kernel_size, self.dilation_rate, self.strides, spatial, strict=True
            )
        ]
        return [(slice(None), *tap) for tap in product(*axes)]


@register
class StructuredConv(_Convolving):
    """A convolution without padding that does what no convolution of Keras does.

    It may have a stride together with a dilation, filters that see some of the channels
    (`connections`), and filters of mean 0 and variance 1. With `multiplier` it is depthwise, on any
    number of spatial axes and with strides that may differ. The kernel of `connections` has shape
    (taps..., connections), those of a filter side by side.
    """

    arguments = (
        "filters", "kernel_size", "strides", "dilation_rate", "groups", "multiplier",
        "connections", "standardize", "use_bias", "kernel_initializer",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: Sequence[int],
        dilation_rate: Sequence[int],
        *,
        groups: int = 1,
        multiplier: int | None = None,
        connections: Sequence[Sequence[int]] | None = None,
        standardize: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, dilation_rate, **options)
        self.groups = groups
        self.multiplier = multiplier
        self.connections = connections and tuple(map(tuple, connections))
        self.standardize = standardize
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: KerasShape) -> None:
        channels = input_shape[-1]
        initializer = self.kernel_initializer
        if self.connections:
            count = sum(map(len, self.connections))
            shape = (*self.kernel_size, count)
            fans = math.prod(self.kernel_size) * count * (1 / channels + 1 / self.filters)
            limit = math.sqrt(6 / fans)
            initializer = keras.initializers.RandomUniform(-limit, limit)
        elif self.multiplier:
            shape = (*self.kernel_size, channels, self.multiplier)
        else:
            shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=initializer)
        self.add_bias(self.filters)

    def call(self, x: Any) -> Any:
        kernel = self._effective(x.shape[-1])
        depthwise = self.multiplier is not None and len(self.kernel_size) < 3
        # What a backend cannot stride by is computed everywhere, and every so many places kept.
        dilated = max(self.dilation_rate) > 1
        strides = (1,) * len(self.strides) if dilated or depthwise else self.strides
        convolve = ops.depthwise_conv if depthwise else ops.conv
        y = convolve(
            x,
            kernel,
            strides=strides,
            padding="valid",
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )
        if strides != self.strides:
            y = y[(slice(None), *(slice(None, None, step) for step in self.strides))]
        return self.with_bias(y)

    def _effective(self, channels: int) -> Any:
        """Return the kernel that a plain convolution computes the same with."""
        kernel = self.kernel
        if self.standardize:
            kernel = self._standardized(kernel)
        if self.multiplier is not None and len(self.kernel_size) == 3:  # a group for each channel
            return ops.reshape(kernel, (*self.kernel_size, 1, self.filters))
        if not self.connections:
            return kernel
        absent = sum(map(len, self.connections))  # the index of a plane of zeros
        planes = [[absent] * self.filters for _ in range(channels)]
        pairs = ((c, number) for number, each in enumerate(self.connections) for c in each)
        for index, (channel, number) in enumerate(pairs):
            planes[channel][number] = index
        kernel = ops.pad(kernel, ((0, 0),) * len(self.kernel_size) + ((0, 1),))
        flat = ops.convert_to_tensor([index for row in planes for index in row], dtype="int32")
        return ops.reshape(
            ops.take(kernel, flat, axis=-1), (*self.kernel_size, channels, self.filters)
        )

    def _standardized(self, kernel: Any) -> Any:
        if not self.connections:
            axes = tuple(range(len(kernel.shape) - 1))
            mean = ops.mean(kernel, axis=axes, keepdims=True)
            variance = ops.var(kernel, axis=axes, keepdims=True)
            return (kernel - mean) / ops.sqrt(variance + SMALLEST_VARIANCE)
        parts, start = [], 0
        for each in self.connections:
            part = kernel[..., start : start + len(each)]
            deviation = ops.sqrt(ops.var(part) + SMALLEST_VARIANCE)
            parts.append((part - ops.mean(part)) / deviation)
            start += len(each)
        return ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "kernel_initializer": initializer}


SMALLEST_VARIANCE = 1e-5
"""Added to the variance of a kernel that is standardised, as in Qiao et al. 2019."""


@register
class CutConvTranspose(_Convolving):
    """A transposed convolution in groups, of whose output the ends are cut.

    It may have a stride together with a dilation, which no backend of Keras has. The kernel has
    shape (taps..., filters / groups, channels). `cuts` has an amount for both ends of each spatial
    axis; a negative one adds places that no kernel painted.
    """

    arguments = (
        "filters", "kernel_size", "strides", "dilation_rate", "groups", "cuts", "use_bias"
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: Sequence[int],
        dilation_rate: Sequence[int],
        groups: int,
        cuts: Sequence[Sequence[int]],
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, dilation_rate, **options)
        self.groups = groups
        self.cuts = _sides(cuts)

    def build(self, input_shape: KerasShape) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, self.filters // self.groups, input_shape[-1]),
            initializer="glorot_uniform",
        )
        self.add_bias(self.filters)

    def call(self, x: Any) -> Any:
        kernel, dilation = self.kernel, self.dilation_rate
        if max(self.strides) > 1 and max(dilation) > 1:
            kernel, dilation = self._with_gaps(), (1,) * len(dilation)
        parts = zip(
            ops.split(x, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        painted = [
            ops.conv_transpose(
                part,
                part_kernel,
                strides=self.strides,
                padding="valid",
                data_format="channels_last",
                dilation_rate=dilation,
            )
            for part, part_kernel in parts
        ]
        y = ops.concatenate(painted, axis=-1) if self.groups > 1 else painted[0]
        added = tuple((max(-before, 0), max(-after, 0)) for before, after in self.cuts)
        if any(map(any, added)):
            y = ops.pad(y, ((0, 0), *added, (0, 0)))
        kept = (slice(max(a, 0), -b if b > 0 else None) for a, b in self.cuts)
        return self.with_bias(y[(slice(None), *kept)])

    def _with_gaps(self) -> Any:
        """Return the kernel with zeros between its taps: without a dilation it paints the same."""
        kernel = self.kernel
        for axis, rate in enumerate(self.dilation_rate):
            size = self.kernel_size[axis]
            spaced = ops.expand_dims(kernel, axis + 1)
            margins = [(0, 0)] * len(spaced.shape)
            margins[axis + 1] = (0, rate - 1)
            spread = ops.reshape(
                ops.pad(spaced, margins),
                (*kernel.shape[:axis], size * rate, *kernel.shape[axis + 1 :]),
            )
            kept = (*(slice(None),) * axis, slice(0, (size - 1) * rate + 1))
            kernel = spread[kept]
        return kernel

    def places(self, extents: Sequence[Any]) -> tuple[Any, ...]:
        axes = zip(
            extents, self.kernel_size, self.dilation_rate, self.strides, self.cuts, strict=True
        )
        return tuple(
            None if n is None else n * step + max((size - 1) * rate + 1 - step, 0) - before - after
            for n, size, rate, step, (before, after) in axes
        )


@register
class Function(OwnLayer):
    """A function of `keras.activations`, or another, by its name and with its arguments."""

    arguments = ("function", "given")

    def __init__(self, function: str, given: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function
        self.given = dict(given)

    def call(self, x: Any) -> Any:
        own = {
            "abs": ops.abs,
            "hard_sigmoid": _hard_sigmoid,
            "scaled_tanh": _scaled_tanh,
            "squash": _squash,
        }
        function = own.get(self.function) or getattr(keras.activations, self.function)
        return function(x, **self.given)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        *extents, channels = input_shape
        return (*extents, channels // 2 if self.function == "glu" else channels)


def _scaled_tanh(x: Any, amplitude: float, slope: float) -> Any:
    return amplitude * ops.tanh(slope * x)


def _hard_sigmoid(x: Any, slope: float) -> Any:
    return ops.clip(slope * x + 0.5, 0, 1)


def _squash(x: Any, axis: int) -> Any:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    # The root's slope at zero is infinite: a vector of zeros gets a factor of 0, and slope 0.
    empty = squares <= 0
    length = ops.where(empty, 0.0, ops.sqrt(ops.where(empty, 1.0, squares)))
    return x * (length / (1 + squares))


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
class AbsoluteDifference(OwnLayer):
    """The absolute value of one tensor minus another."""

    arguments = ()

    def compute_output_shape(self, input_shape: Any) -> KerasShape:
        return tuple(input_shape[0])

    def call(self, inputs: Sequence[Any]) -> Any:
        first, second = inputs
        return ops.absolute(first - second)


@register
class Divide(OwnLayer):
    """One tensor divided by another; an extent of 1 is repeated."""

    arguments = ()

    def compute_output_shape(self, input_shape: Any) -> KerasShape:
        first, second = input_shape
        return tuple(n if m == 1 else m for n, m in zip(first, second, strict=True))

    def call(self, inputs: Sequence[Any]) -> Any:
        first, second = inputs
        return first / second


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

    def __getattr__(self, name: str) -> Any:
        own = OWN.get(name) or getattr(keras.layers, name, None)
        return own or getattr(keras.initializers, name)


def _chances(shape: tuple[int, ...], seed: Any) -> Any:
    """Draw numbers from 0 to below 1, in float32: a narrower dtype would bias them."""
    return keras.random.uniform(shape, dtype="float32", seed=seed)


def _sides(amounts: Sequence[Sequence[int]]) -> PadAmounts:
    """Return (before, after) for each axis as tuples; a saved model has lists."""
    return tuple((before, after) for before, after in amounts)


def _padded(extents: Sequence[int | None], amounts: PadAmounts) -> tuple[int | None, ...]:
    """Return the extents of the axes in `amounts`, after padding; None for one that is open."""
    pairs = zip(extents, amounts, strict=False)
    return tuple(
        None if extent is None else extent + before + after for extent, (before, after) in pairs
    )

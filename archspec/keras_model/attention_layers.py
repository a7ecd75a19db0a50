"""Layers of attention: products, learned constants, positions, biases and masks of scores.

They are written with `keras.ops` alone. Scores are (batch, [windows,] heads, queries, keys).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from archspec.keras_model.own_layer import KerasShape, OwnLayer, register


@register
class MatMul(OwnLayer):
    """The matrix product of two inputs over their last two axes."""

    arguments = ("transpose_b",)

    def __init__(self, *, transpose_b: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.transpose_b = transpose_b

    def call(self, inputs: Sequence[Any]) -> Any:
        a, b = inputs
        return ops.matmul(a, ops.swapaxes(b, -1, -2) if self.transpose_b else b)

    def compute_output_shape(self, input_shape: Sequence[KerasShape]) -> KerasShape:
        a, b = input_shape
        return (*a[:-1], b[-2 if self.transpose_b else -1])


@register
class Parameter(OwnLayer):
    """A learned constant that is added to the input, multiplies it, or takes its place."""

    arguments = ("shape", "use", "initial", "deviation")

    def __init__(
        self,
        shape: Sequence[int],
        use: str,
        *,
        initial: float = 0.0,
        deviation: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.shape = tuple(shape)
        self.use = use
        self.initial = initial
        self.deviation = deviation

    def build(self, input_shape: KerasShape) -> None:  # noqa: ARG002
        self.parameter = self.add_weight(
            name="parameter",
            shape=self.shape,
            initializer=keras.initializers.RandomNormal(self.initial, self.deviation)
            if self.deviation
            else keras.initializers.Constant(self.initial),
        )

    def call(self, x: Any) -> Any:
        if self.use == "add":
            return x + self.parameter
        if self.use == "multiply":
            return x * self.parameter
        return ops.broadcast_to(self.parameter, (ops.shape(x)[0], *self.shape))

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return (input_shape[0], *self.shape) if self.use == "alone" else input_shape


@register
class ClassToken(OwnLayer):
    """Learned vectors put before a sequence."""

    arguments = ("count",)

    def __init__(self, count: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, input_shape: KerasShape) -> None:
        shape = (self.count, input_shape[-1])
        self.token = self.add_weight(name="token", shape=shape, initializer="zeros")

    def call(self, x: Any) -> Any:
        tokens = ops.broadcast_to(self.token, (ops.shape(x)[0], *self.token.shape))
        return ops.concatenate([ops.cast(tokens, x.dtype), x], axis=1)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        batch, length, channels = input_shape
        return (batch, None if length is None else length + self.count, channels)


@register
class PositionEmbedding(OwnLayer):
    """A vector for each place, learned or of sines and cosines, added to the values there."""

    arguments = ("method",)

    def __init__(self, method: str = "learned", **options: Any) -> None:
        super().__init__(**options)
        self.method = method

    def build(self, input_shape: KerasShape) -> None:
        if self.method == "learned":
            self.embedding = self.add_weight(
                name="embedding",
                shape=input_shape[1:],
                initializer=keras.initializers.RandomNormal(stddev=0.02),
            )

    def call(self, x: Any) -> Any:
        if self.method == "learned":
            return x + self.embedding
        return x + ops.cast(ops.convert_to_tensor(waves(x.shape[1:])), x.dtype)


def waves(shape: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return sines and cosines of positions; each spatial axis has an equal part of the channels.

    Args:
        shape: The spatial extents, and the channels.

    Returns:
        An array of this shape. Of an axis's n channels, 2i and 2i + 1 are sine and cosine of
        position / 10000^(2i / n).
    """
    *extents, channels = shape
    part = channels // len(extents)
    rates = 10_000.0 ** -(np.arange(0, part, 2) / part)
    parts = []
    for axis, extent in enumerate(extents):
        angles = np.arange(extent)[:, None] * rates
        values = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(extent, part)
        spread = [extent if each == axis else 1 for each in range(len(extents))]
        parts.append(np.broadcast_to(values.reshape(*spread, part), (*extents, part)))
    return np.concatenate(parts, axis=-1).astype("float32")


@register
class RelativePositionBias(OwnLayer):
    """A learned offset of each score, by head and by the way from the query to the key."""

    arguments = ("window",)

    def __init__(self, window: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.window = tuple(window)

    def build(self, input_shape: KerasShape) -> None:
        distances = math.prod(2 * extent - 1 for extent in self.window)
        self.table = self.add_weight(
            name="table",
            shape=(distances, input_shape[-3]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, scores: Any) -> Any:
        biases = ops.take(self.table, relative_positions(self.window), axis=0)
        return scores + ops.transpose(biases, (2, 0, 1))


def relative_positions(window: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the row of a table of relative positions for each query and each key of a window.

    Args:
        window: Its extents.

    Returns:
        An array of (positions, positions). Distances along the last axis vary fastest, and the row
        0 is that of a key at the window's end for a query at its start, in Swin's order.
    """
    places = np.indices(window).reshape(len(window), -1)
    distances = places[:, :, None] - places[:, None, :]
    rows = np.zeros(distances.shape[1:], "int32")
    for along, extent in zip(distances, window, strict=True):
        rows = rows * (2 * extent - 1) + along + extent - 1
    return rows.astype("int32")


class _Mask(OwnLayer):
    """The base of layers that make some scores minus infinity."""

    arguments: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def kept(self, positions: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return for scores, which this is broadcast against, whether each is kept."""

    def call(self, scores: Any) -> Any:
        kept = ops.convert_to_tensor(self.kept(scores.shape[-1]))
        return ops.where(kept, scores, ops.cast(-math.inf, scores.dtype))


@register
class CausalMask(_Mask):
    """Scores of keys after the query become minus infinity."""

    def kept(self, positions: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.tri(positions).astype(bool)


@register
class ShiftedWindowMask(_Mask):
    """Scores between places that only a cyclic shift made neighbours become minus infinity."""

    arguments = ("extents", "window", "shift")

    def __init__(
        self,
        extents: Sequence[int],
        window: Sequence[int],
        shift: Sequence[int],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.extents = tuple(extents)
        self.window = tuple(window)
        self.shift = tuple(shift)

    def kept(self, positions: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        # Along each axis, the places that came from the start are the last `shift` ones.
        moved = np.stack(
            np.meshgrid(
                *(
                    np.arange(extent) >= extent - shift
                    for extent, shift in zip(self.extents, self.shift, strict=True)
                ),
                indexing="ij",
            ),
            axis=-1,
        )
        rank = len(self.extents)
        split = [
            n
            for extent, window in zip(self.extents, self.window, strict=True)
            for n in (extent // window, window)
        ]
        order = [*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank]
        places = moved.reshape(*split, rank).transpose(order).reshape(-1, positions, rank)
        alike = places[:, :, None] == places[:, None]
        kept: np.ndarray[Any, np.dtype[np.bool_]] = alike.all(axis=-1)[:, None]
        return kept


@register
class WordEmbedding(OwnLayer):
    """The vector of each word, by its number; numbers without a word are read as the nearest.

    Keras's own layer leaves those to the backend: one raises, one gives NaN, one counts from the
    end.
    """

    arguments = ("words", "filters")

    def __init__(self, words: int, filters: int, **options: Any) -> None:
        # Half precision cannot hold a number above 2,048: the input is not converted to it.
        super().__init__(autocast=False, **options)
        self.words = words
        self.filters = filters

    def build(self, input_shape: KerasShape) -> None:  # noqa: ARG002
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.words, self.filters),
            initializer=keras.initializers.RandomUniform(-0.05, 0.05),
        )

    def call(self, x: Any) -> Any:
        words = ops.cast(ops.clip(x, 0, self.words - 1), "int32")
        return ops.cast(ops.take(self.embeddings, words, axis=0), self.compute_dtype)

    def compute_output_shape(self, input_shape: KerasShape) -> KerasShape:
        return (*input_shape, self.filters)

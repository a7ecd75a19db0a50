"""Outputs of emitted layers, compared with a few lines of NumPy."""

import itertools
import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.commands import BACKEND, run
from support.layer_outputs import emitted, ending_in, graph_of, outputs, random
from support.specs import graph_of as graph_of_steps

from archspec.blocks.attention import Attention
from archspec.blocks.patchify import Patchify
from archspec.graph.builder import Builder
from archspec.graph.graph import Graph
from archspec.keras_model.build import build, load_model
from archspec.ops.arrangement import Crop, Flatten, Pad, PadChannels, Reshape, Slice, Upsample
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    LocalConv,
    Rbf,
    TransposedConvolution,
)
from archspec.ops.elementwise import (
    Activate,
    DropPath,
    Glu,
    PRelu,
    Rescale,
    Scale,
    SpatialDropout,
    Squash,
)
from archspec.ops.functions import FUNCTIONS as FUNCTION_WORDS
from archspec.ops.merge import AbsoluteDifference, Divide, Min, Multiply
from archspec.ops.normalization import InstanceNorm, LocalResponseNorm, RmsNorm, UnitNorm
from archspec.ops.op import Op
from archspec.ops.paths import Join, PathDraw
from archspec.ops.pooling import AvgPool, BlurPool, L2Pool, MaxPool, MaxUnpool, Subsampling
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import ChannelShuffle, DepthToSpace, Roll, SpaceToDepth
from archspec.ops.tokens import ClassToken, Embedding, Parameter, PositionEmbedding

pytestmark = pytest.mark.keras

OLDER = Path(__file__).parent / "older"
"""Runs that an older archspec wrote, with its modules elsewhere."""

SHAPES = [(9, 2), (7, 6, 3), (5, 6, 4, 2)]


def assert_gives(op: Op, x: np.ndarray, right: np.ndarray, *weights: np.ndarray) -> None:
    """Assert what `op` gives for one example, up to rounding."""
    np.testing.assert_allclose(emitted(op, x[None], *weights)[0], right, rtol=1e-4, atol=1e-4)


def windows(
    extent: int, size: int, stride: int, before: int, after: int, *, ceil: bool
) -> list[tuple[range, int]]:
    """Return, for each window along an axis, its part of the input and its part without overhang.

    The rule of Caffe and of torch's documentation, in their words.
    """
    count = (math.ceil if ceil else math.floor)((extent + before + after - size) / stride) + 1
    if ceil and (count - 1) * stride >= extent + before:
        count -= 1
    starts = [i * stride - before for i in range(count)]
    return [
        (range(max(a, 0), min(a + size, extent)), min(a + size, extent + after) - a) for a in starts
    ]


def same(extent: int, size: int, stride: int) -> tuple[int, int]:
    """The padding that TensorFlow's `same` stands for."""
    total = max((math.ceil(extent / stride) - 1) * stride + size - extent, 0)
    return total // 2, total - total // 2


def pooled(
    x: np.ndarray, size: int, stride: int, padding: int | str, *, ceil: bool = False
) -> Iterator[tuple[tuple[int, ...], np.ndarray, int]]:
    """Each window of one example: its place, what it sees, and its volume without overhang."""
    axes = [
        windows(n, size, stride, *_sides(n, size, stride, padding), ceil=ceil) for n in x.shape[:-1]
    ]
    for place in itertools.product(*(range(len(axis)) for axis in axes)):
        seen = [axis[i] for axis, i in zip(axes, place, strict=True)]
        values = x[np.ix_(*(indices for indices, _ in seen))]
        yield place, values.reshape(-1, x.shape[-1]), math.prod(width for _, width in seen)


def _sides(extent: int, size: int, stride: int, padding: int | str) -> tuple[int, int]:
    return same(extent, size, stride) if padding == "same" else (int(padding), int(padding))


def filled(places: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
    """An array of the values at each place."""
    spatial = [n + 1 for n in max(places)]
    return np.array([places[place] for place in np.ndindex(*spatial)]).reshape(*spatial, -1)


WINDOWS = [
    {"size": 3, "stride": 2, "padding": 1},
    {"size": 3, "stride": 2, "padding": 0, "ceil": True},
    {"size": 3, "stride": 2, "padding": 1, "ceil": True},
    {"size": 2, "stride": 3, "padding": 1, "ceil": True},
    {"size": 3, "stride": 2, "padding": "same"},
    {"size": 4, "stride": 2, "padding": "same"},
    {"size": 3, "stride": 1, "padding": "same"},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_padding_of_a_max_pool_never_wins(shape, window):
    x = random(*shape) - 10  # where zeros would win
    right = filled({place: seen.max(0) for place, seen, _ in pooled(x, **window)})
    np.testing.assert_array_equal(emitted(MaxPool(**window), x[None])[0], right)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_average_pool_divides_by_the_values_it_sees(shape, window):
    x = random(*shape) + 10
    right = filled({place: seen.mean(0) for place, seen, _ in pooled(x, **window)})
    np.testing.assert_allclose(emitted(AvgPool(**window), x[None])[0], right, rtol=1e-5)


@pytest.mark.parametrize("window", [w for w in WINDOWS if w["padding"] != "same"], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_counted_padding_is_in_the_divisor_and_overhang_is_not(shape, window):
    x = random(*shape) + 10
    right = filled({place: seen.sum(0) / full for place, seen, full in pooled(x, **window)})
    op = AvgPool(**window, count_padding=True)
    np.testing.assert_allclose(emitted(op, x[None])[0], right, rtol=1e-5)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_l2_pool_is_the_length_of_what_it_sees(shape, window):
    x = random(*shape)
    right = filled({place: np.sqrt((seen**2).sum(0)) for place, seen, _ in pooled(x, **window)})
    np.testing.assert_allclose(emitted(L2Pool(**window), x[None])[0], right, rtol=1e-5)


def test_an_l2_pool_of_zeros_does_not_stop_training():
    builder = Builder((4, 4, 1))
    y = builder(L2Pool(size=2), builder(Scale(), builder.input))
    model = build(ending_in(builder, y))
    model.compile("sgd", "mse")
    x = np.zeros((2, 4, 4, 1), "float32")
    model.fit(x, np.ones((2, 2, 2, 1), "float32"), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def convolved(
    x: np.ndarray, kernels: np.ndarray, stride: int, sides: list[tuple[int, int]], dilation: int = 1
) -> np.ndarray:
    """Convolution of one example, with a kernel (taps..., channels, filters) for each place."""
    rank = x.ndim - 1
    x = np.pad(x, [*sides, (0, 0)])
    reach = [(k - 1) * dilation + 1 for k in kernels.shape[1 : 1 + rank]]
    places = [range(0, n - r + 1, stride) for n, r in zip(x.shape, reach, strict=False)]
    values = [
        np.tensordot(
            x[tuple(slice(a, a + r, dilation) for a, r in zip(start, reach, strict=True))],
            kernels[number % len(kernels)],
            rank + 1,
        )
        for number, start in enumerate(itertools.product(*places))
    ]
    return np.array(values).reshape(*map(len, places), -1)


@pytest.mark.parametrize("shape", [(9, 2), (7, 6, 3), (5, 6, 5, 2)], ids=str)
@pytest.mark.parametrize(
    ("padding", "stride", "dilation"),
    [
        *(("same", 2, 1), ("same", 1, 2), ("same", 2, 2)),
        *(("valid", 2, 1), ("valid", 2, 2), (1, 2, 1), (((0, 2),), 1, 2)),
    ],
)
def test_a_convolution_pads_as_the_spec_says(shape, padding, stride, dilation):
    x, rank = random(*shape), len(shape) - 1
    if padding == "same":
        sides = [same(n, 2 * dilation + 1, stride) for n in shape[:-1]]
    elif padding == "valid":
        sides = [(0, 0)] * rank
    else:
        sides = [(padding, padding) if isinstance(padding, int) else padding[0]] * rank
        padding = padding if isinstance(padding, int) else padding * rank
    kernel, bias = random(*(3,) * rank, shape[-1], 4), random(4)
    op = Convolution(filters=4, kernel=3, stride=stride, padding=padding, dilation=dilation)
    assert_gives(op, x, convolved(x, kernel[None], stride, sides, dilation) + bias, kernel, bias)


@pytest.mark.parametrize("shape", [(9, 4), (7, 6, 4), (5, 6, 4, 4)], ids=str)
def test_groups_of_a_convolution_do_not_see_each_other(shape):
    x, rank = random(*shape), len(shape) - 1
    kernel, bias = random(*(3,) * rank, 2, 6), random(6)
    halves = [
        convolved(
            x[..., 2 * i : 2 * i + 2], kernel[None, ..., 3 * i : 3 * i + 3], 1, [(0, 0)] * rank
        )
        for i in range(2)
    ]
    op = Convolution(filters=6, kernel=3, groups=2)
    assert_gives(op, x, np.concatenate(halves, -1) + bias, kernel, bias)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_depthwise_convolution_sees_one_channel(shape):
    x, rank, channels = random(*shape), len(shape) - 1, shape[-1]
    kernel = random(*(3,) * rank, channels, 2)
    each = [
        convolved(x[..., i : i + 1], kernel[None, ..., i : i + 1, :], 2, [(1, 1)] * rank)
        for i in range(channels)
    ]
    op = DepthwiseConvolution(kernel=3, stride=2, padding=1, multiplier=2, bias=False)
    assert_gives(op, x, np.concatenate(each, -1), kernel)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("stride", "dilation", "margin"), [(1, 1, 0), (2, 1, 1), (1, 2, 1)])
def test_a_local_convolution_has_a_kernel_for_each_place(shape, stride, dilation, margin):
    x, rank, channels = random(*shape), len(shape) - 1, shape[-1]
    op = LocalConv(filters=3, kernel=2, stride=stride, dilation=dilation, padding=margin)
    kernel, bias = (random(*weight.shape) for weight in graph_of(op, shape).nodes[-1].layer.weights)
    each = kernel.reshape(-1, *(2,) * rank, channels, 3)
    right = convolved(x, each, stride, [(margin, margin)] * rank, dilation) + bias
    assert_gives(op, x, right, kernel, bias)


def test_a_local_convolution_with_tied_kernels_is_a_convolution():
    x, kernel, bias = random(2, 7, 6, 3), random(3, 3, 3, 4), random(4)
    arguments = {"filters": 4, "kernel": 3, "stride": 2, "padding": "same"}
    places = (4, 3)
    tied = np.tile(kernel.reshape(1, 27, 4), (math.prod(places), 1, 1))
    local = emitted(LocalConv(**arguments), x, tied, np.tile(bias, (*places, 1)))
    np.testing.assert_allclose(
        local, emitted(Convolution(**arguments), x, kernel, bias), rtol=1e-4, atol=1e-4
    )


def painted(
    x: np.ndarray, kernel: np.ndarray, stride: int, padding: str, dilation: int = 1
) -> np.ndarray:
    """Transposed convolution of one example, kernel (taps..., filters, channels)."""
    rank, extent = x.ndim - 1, (kernel.shape[0] - 1) * dilation + 1
    full = [n * stride + max(extent - stride, 0) for n in x.shape[:-1]]
    y = np.zeros((*full, kernel.shape[-2]), "float32")
    for place in np.ndindex(*x.shape[:-1]):
        corner = tuple(slice(i * stride, i * stride + extent, dilation) for i in place)
        y[corner] += kernel @ x[place]
    if padding == "same":
        cut = max(extent - stride, 0) // 2
        y = y[tuple(slice(cut, cut + n * stride) for n in x.shape[:rank])]
    return y


@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 2), (3, 2, 3, 2)], ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [(3, 2, 1), (2, 2, 1), (4, 2, 1), (2, 3, 1), (3, 1, 1), (3, 2, 2), (3, 3, 2)],
)
def test_a_transposed_convolution_paints_its_kernel(shape, padding, kernel, stride, dilation):
    x, weights = random(*shape), random(*(kernel,) * (len(shape) - 1), 3, shape[-1])
    op = TransposedConvolution(
        filters=3, kernel=kernel, stride=stride, dilation=dilation, padding=padding, bias=False
    )
    assert_gives(op, x, painted(x, weights, stride, padding, dilation), weights)


def test_a_depthwise_convolution_may_have_a_stride_for_each_axis():
    x, kernel = random(9, 8, 3), random(3, 3, 3, 2)
    op = DepthwiseConvolution(kernel=3, stride=(3, 2), multiplier=2, dilation=2, bias=False)
    every = emitted(op.model_copy(update={"stride": 1}), x[None], kernel)
    np.testing.assert_allclose(emitted(op, x[None], kernel), every[:, ::3, ::2], atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "numpy"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_padding_may_be_values_of_the_input(shape, padding, numpy):
    x, rank = random(*shape), len(shape) - 1
    sides = [(1, 2)] * rank
    right = np.pad(x, [*sides, (0, 0)], mode=numpy)
    op = Pad(amount=tuple(sides), mode=padding)
    np.testing.assert_array_equal(emitted(op, x[None])[0], right)
    kernel = random(*(2,) * rank, shape[-1], 3)
    op = Convolution(filters=3, kernel=2, padding={padding: tuple(sides)}, bias=False)
    assert_gives(op, x, convolved(right, kernel[None], 1, [(0, 0)] * rank), kernel)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 4), (2, 1)])
def test_causal_padding_hides_what_is_to_come(stride, dilation):
    x, kernel = random(9, 2), random(3, 2, 4)
    op = Convolution(
        filters=4, kernel=3, padding="causal", stride=stride, dilation=dilation, bias=False
    )
    y = emitted(op, x[None], kernel)[0]
    right = convolved(x, kernel[None], stride, [(2 * dilation, 0)], dilation)
    np.testing.assert_allclose(y, right, rtol=1e-4, atol=1e-4)
    later = np.where(np.arange(9)[:, None] > 4, 7.0, x).astype("float32")
    seen = 4 // stride + 1
    np.testing.assert_array_equal(emitted(op, later[None], kernel)[0, :seen], y[:seen])


@pytest.mark.parametrize("shape", [(4, 4), (4, 3, 4), (2, 3, 2, 4)], ids=str)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "more"),
    [(4, 2, 1, 0), (3, 2, 1, 1), (5, 2, 2, 1), (2, 3, 0, 0), (2, 3, 0, 2), (3, 1, 1, 0)],
)
def test_a_transposed_convolution_is_cut_as_in_torch(shape, kernel, stride, padding, more):
    """(input - 1) * stride - 2 * padding + kernel + output_padding, as torch's page says."""
    x, rank = random(*shape), len(shape) - 1
    weights, bias = random(*(kernel,) * rank, 3, 4), random(6)
    halves = [painted(x[..., i : i + 2], weights[..., i : i + 2], stride, "valid") for i in (0, 2)]
    full = np.concatenate(halves, -1)
    extents = [(n - 1) * stride - 2 * padding + kernel + more for n in shape[:-1]]
    full = np.pad(full, [(0, stride + more)] * rank + [(0, 0)])
    right = full[tuple(slice(padding, padding + n) for n in extents)] + bias
    op = TransposedConvolution(
        filters=6, kernel=kernel, stride=stride, padding=padding, output_padding=more, groups=2
    )
    assert_gives(op, x, right, weights, bias)


def test_a_table_of_connections_is_a_kernel_with_zeros():
    x, table = random(6, 5, 3), ((0, 2), (1,), (2, 1, 0))
    planes, bias = random(3, 3, 6), random(3)
    kernel = np.zeros((3, 3, 3, 3), "float32")
    pairs = [(channel, number) for number, channels in enumerate(table) for channel in channels]
    for index, (channel, number) in enumerate(pairs):
        kernel[..., channel, number] = planes[..., index]
    op = Convolution(filters=3, kernel=3, connections=table)
    assert_gives(op, x, convolved(x, kernel[None], 1, [(0, 0)] * 2) + bias, planes, bias)


def test_a_standardized_convolution_is_one_with_filters_of_mean_0_and_variance_1():
    x, kernel = random(6, 5, 3), random(3, 3, 3, 4) * 3 + 1
    op = Convolution(filters=4, kernel=3, standardize=True, bias=False)
    filters = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-5)
    assert_gives(op, x, convolved(x, filters[None], 1, [(0, 0)] * 2), kernel)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_blur_pool_is_a_binomial_filter_of_the_mirrored_input(shape, size):
    x, rank = random(*shape), len(shape) - 1
    line = np.array([math.comb(size - 1, k) for k in range(size)], "float32") / 2 ** (size - 1)
    kernel = np.ones((1,) * rank, "float32")
    for axis in range(rank):
        kernel = kernel * line.reshape([-1 if a == axis else 1 for a in range(rank)])
    mirrored = np.pad(x, [((size - 1) // 2, size // 2)] * rank + [(0, 0)], mode="reflect")
    each = [
        convolved(mirrored[..., i : i + 1], kernel[None, ..., None, None], 2, [(0, 0)] * rank)
        for i in range(shape[-1])
    ]
    right = np.concatenate(each, -1)
    np.testing.assert_allclose(emitted(BlurPool(size=size), x[None])[0], right, atol=1e-5)


def test_subsampling_is_a_learned_multiple_of_the_sum():
    x, factor, bias = random(4, 6, 2), random(2), random(2) + 1
    sums = x.reshape(2, 2, 3, 2, 2).sum((1, 3))
    y = emitted(Subsampling(size=2), x[None], factor, bias)[0]
    np.testing.assert_allclose(y, sums * factor + bias, rtol=1e-4, atol=1e-5)


def test_an_rbf_unit_is_a_squared_distance_from_its_code():
    x = random(5, 12)
    model = build(graph_of(Rbf(units=3), (12,)))
    (codes,) = model.get_weights()
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert not model.trainable_weights
    right = ((x[:, :, None] - codes) ** 2).sum(1)
    np.testing.assert_allclose(emitted(Rbf(units=3), x), right, rtol=1e-5)


def test_instance_and_rms_norm():
    x = random(2, 5, 4, 3) * 3 + 1
    axes = (1, 2)
    right = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    np.testing.assert_allclose(emitted(InstanceNorm(), x), right, rtol=1e-4, atol=1e-4)
    scale = np.array([1.0, 2.0, 3.0], "float32")
    right = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale
    np.testing.assert_allclose(emitted(RmsNorm(), x, scale), right, rtol=1e-4)


@pytest.mark.parametrize(("axis", "place"), [("channels", -1), ("height", 1)])
def test_unit_norm_gives_vectors_the_length_1_and_squash_one_below_it(axis, place):
    x = random(2, 5, 4, 3)
    x[0, 0, 0] = 0
    x[1, :, 0, 0] = 0
    length = np.linalg.norm(x, axis=place, keepdims=True)
    units = x / np.where(length > 0, length, 1)
    np.testing.assert_allclose(emitted(UnitNorm(axis=axis), x), units, rtol=1e-5, atol=1e-6)
    right = units * length**2 / (1 + length**2)
    np.testing.assert_allclose(emitted(Squash(axis=axis), x), right, rtol=1e-5, atol=1e-6)


def test_an_embedding_has_a_vector_for_each_word():
    vectors = random(5, 3)
    words = np.array([[0, 4, 4, 1], [5, -1, 2, 900]], "float32")  # 5 and 900 are beyond the last
    right = vectors[[[0, 4, 4, 1], [4, 0, 2, 4]]]
    np.testing.assert_array_equal(emitted(Embedding(words=5, filters=3), words, vectors), right)


@pytest.mark.parametrize("open_axes", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_max_unpool_puts_values_back_where_they_were_the_largest(shape, open_axes):
    x, rank = random(2, *shape), len(shape) - 1
    x[0] = 1  # the first of equal values is taken
    steps = "{name: pooled, max_pool: 2}, rescale: 3, {max_unpool: 2, from: [rescale1, input]}"
    extents = [None] * rank if open_axes else list(shape[:-1])
    graph = graph_of_steps(steps, json.dumps([*extents, shape[-1]]))
    right = np.zeros_like(x)
    for place in np.ndindex(2, *(n // 2 for n in shape[:-1]), shape[-1]):
        example, *corner, channel = place
        window = (example, *(slice(2 * i, 2 * i + 2) for i in corner), channel)
        seen = x[window]
        values = np.zeros_like(seen)
        values.flat[seen.argmax()] = 3 * seen.max()
        right[window] = values
    np.testing.assert_allclose(outputs(graph, x), right, rtol=1e-6)


FUNCTIONS = {
    "leaky_relu": ({"slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    "elu": ({"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "celu": ({"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x / 0.5))),
    "relu": ({"max": 1.0, "threshold": 0.5}, lambda x: np.where(x < 0.5, 0, np.minimum(x, 1))),
    "scaled_tanh": ({}, lambda x: 1.7159 * np.tanh(2 / 3 * x)),
    "threshold": ({"threshold": 0.3, "value": -2.0}, lambda x: np.where(x > 0.3, x, -2)),
    "hard_shrink": ({"threshold": 0.3}, lambda x: np.where(abs(x) > 0.3, x, 0)),
    "soft_shrink": ({"threshold": 0.3}, lambda x: np.sign(x) * np.maximum(abs(x) - 0.3, 0)),
    "squareplus": ({"b": 1.0}, lambda x: (x + np.sqrt(x * x + 1)) / 2),
    "hard_tanh": ({}, lambda x: np.clip(x, -1, 1)),
    "abs": ({}, abs),
    "log_sigmoid": ({}, lambda x: -np.log1p(np.exp(-x))),
    "gelu": (
        {"approximate": True},
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
}


@pytest.mark.parametrize("word", FUNCTIONS)
def test_a_function_with_its_arguments(word):
    x = random(4, 5) * 2
    given, right = FUNCTIONS[word]
    y = emitted(Activate(function={word: given}), x)
    np.testing.assert_allclose(y, right(x), rtol=1e-4, atol=1e-5)


def test_every_function_is_keras_own_of_its_name_where_it_has_no_arguments():
    import keras

    x = random(4, 6)
    for word in set(FUNCTION_WORDS) - {"scaled_tanh", "threshold", "abs"}:
        right = keras.ops.convert_to_numpy(getattr(keras.activations, word)(x))
        np.testing.assert_allclose(emitted(Activate(function=word), x), right, err_msg=word)


@pytest.mark.parametrize("shared", ["places", "all", "none"])
def test_a_prelu_has_learned_slopes(shared):
    x = random(2, 4, 5, 3)
    slopes = random(*{"places": (1, 1, 3), "all": (1, 1, 1), "none": (4, 5, 3)}[shared])
    right = np.where(x > 0, x, slopes * x)
    np.testing.assert_allclose(emitted(PRelu(shared=shared), x, slopes), right, rtol=1e-6)


def test_a_glu_gates_one_half_by_the_other():
    x = random(2, 4, 6)
    right = x[..., :3] / (1 + np.exp(-x[..., 3:]))
    np.testing.assert_allclose(emitted(Glu(), x), right, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (3, 3, 7)], ids=str)
@pytest.mark.parametrize("size", [1, 3, 5, 15])
@pytest.mark.parametrize("divide", [True, False])
def test_local_response_normalization_in_both_conventions(shape, size, divide):
    x = random(2, *shape) * 5
    channels, radius = shape[-1], size // 2
    sums = [(x[..., max(c - radius, 0) : c + radius + 1] ** 2).sum(-1) for c in range(channels)]
    alpha = 0.5 / size if divide else 0.5
    right = x / (2 + alpha * np.stack(sums, -1)) ** 0.75
    op = LocalResponseNorm(size=size, alpha=0.5, beta=0.75, k=2.0, divide=divide)
    np.testing.assert_allclose(emitted(op, x), right, rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "right"),
    [
        (PadChannels(to=5), lambda x: np.pad(x, [(0, 0)] * 3 + [(0, 2)])),
        (Pad(amount=((1, 2), (0, 3))), lambda x: np.pad(x, [(0, 0), (1, 2), (0, 3), (0, 0)])),
        (Crop(amount=((1, 2), (0, 3))), lambda x: x[:, 1:-2, :-3]),
        (Slice(start=1), lambda x: x[..., 1:]),
        (Slice(stop=2), lambda x: x[..., :2]),
        (Upsample(factor=(2, 3)), lambda x: x.repeat(2, 1).repeat(3, 2)),
        (Flatten(), lambda x: x.reshape(2, -1)),
        (Reshape(to=(6, 21)), lambda x: x.reshape(2, 6, 21)),
        (Rescale(scale=2.0, offset=-1.0), lambda x: 2 * x - 1),
        (Rescale(scale=(2.0, 1.0, 0.5), offset=-1.0), lambda x: x * np.float32([2, 1, 0.5]) - 1),
        (Rescale(scale=2.0, offset=(1.0, 0.0, -2.0)), lambda x: 2 * x + np.float32([1, 0, -2])),
        (Scale(initial=3.0), lambda x: 3 * x),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_moved_and_scaled(op, right):
    x = random(2, 7, 6, 3)
    np.testing.assert_array_equal(emitted(op, x), right(x))


def test_multiply_repeats_an_extent_of_one():
    builder = Builder((4, 5, 3))
    gate = builder(AvgPool(size=(4, 5)), builder.input)
    graph = ending_in(builder, builder(Multiply(), builder.input, gate))
    x = random(2, 4, 5, 3)
    right = x * x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(outputs(graph, x), right, rtol=1e-4, atol=1e-6)


def test_a_quotient_repeats_an_extent_of_one_on_either_side():
    builder = Builder((4, 5, 3))
    means = builder(AvgPool(size=(4, 5)), builder.input)
    shares = builder(Divide(), builder.input, means)
    inverse = builder(Divide(), means, builder.input)
    least = builder(Min(), shares, inverse)
    assert least.shape == (4, 5, 3)
    x = random(2, 4, 5, 3) + 8
    share = x / x.mean((1, 2), keepdims=True)
    right = np.minimum(share, 1 / share)
    np.testing.assert_allclose(outputs(ending_in(builder, least), x), right, rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "together"),
    [(DropPath(rate=0.5), (1, 2, 3)), (SpatialDropout(rate=0.5), (1, 2))],
    ids=str,
)
def test_what_is_dropped_is_dropped_together(op, together):
    y = emitted(op, np.ones((64, 3, 3, 4), "float32"), training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y.min(together), y.max(together))


def test_every_layer_of_our_own_is_plain_data():
    import keras

    model = build(every_own_layer())
    for layer in model.layers:
        data = keras.layers.serialize(layer)
        text = json.dumps(data, allow_nan=False)
        assert keras.layers.deserialize(json.loads(text)).get_config() == layer.get_config()


def every_own_layer() -> Graph:
    """A network in which each of archspec's own layers works."""
    from archspec.keras_model.layers import OWN, RandomSigns

    builder = Builder(graph_of_steps("activation: relu", "[null, null, 3]").input)
    # First those that work out padding from a size that is not known before.
    x = builder(AvgPool(size=3, stride=2, ceil=True), builder.input)
    x = builder(MaxPool(size=3, stride=2, padding=1, ceil=True), x)
    x = builder(Crop(), builder.input, x)
    x = builder(AbsoluteDifference(), x, builder(Scale(), x))
    x = builder(Divide(), x, builder(Rescale(scale=1.0, offset=1.0), x))
    for op in (
        Resize(to=(8, 8)),
        MaxPool(size=3, stride=1, padding=1),
        LocalConv(filters=4, kernel=3, padding=((0, 1), (1, 0))),
        LocalResponseNorm(),
        AvgPool(size=2, ceil=True),
        Scale(),
        Activate(function={"celu": 0.5}),
        Pad(amount=1, mode="reflect"),
        Convolution(filters=4, kernel=3, standardize=True, stride=1, padding="same"),
        DepthwiseConvolution(kernel=3, stride=(2, 1), padding="same", initial="log"),
        TransposedConvolution(filters=4, kernel=3, stride=(2, 1), padding=1, groups=2),
        BlurPool(stride=1),
        Subsampling(size=(2, 1), stride=1),
        L2Pool(size=2, stride=1),
        PadChannels(to=6),
        Slice(start=1, stop=5),
        Convolution(filters=4, kernel=3, padding="same", initial="log"),
        DropPath(rate=0.5, mode="batch"),
        ChannelShuffle(groups=2),
        DepthToSpace(factor=2),
        SpaceToDepth(factor=(2, 1), order="channels"),
        Resize(to=(4, 6), method="bilinear"),
        Roll(by=(1, -2)),
        Slice(axis="height", start=1, stop=3),
        Attention(heads=2, window=(2, 3), shift=(0, 1), relative_position_bias=True),
        Patchify(filters=4, patch=1),
        ClassToken(count=2),
        PositionEmbedding(method="sine"),
        Parameter(shape=(4,), use="multiply", initial=1.0),
        Attention(heads=2, causal=True),
    ):
        x = builder(op, x)
    draw = builder(PathDraw(columns=2), x)
    x = builder(Join(columns=(0, 1)), x, x, draw)
    x = builder(MaxUnpool(size=1), builder(MaxPool(size=1), x), x)
    x = builder(Embedding(words=9, filters=2), builder(Flatten(), x))
    x = builder(Rbf(units=3), builder(Flatten(), x))
    graph = builder.finish("own", {"output": x}, {"output": 1.0})
    layers = build(graph).layers
    used = {type(layer) for layer in layers}
    used |= {type(getattr(layer, "kernel_initializer", None)) for layer in layers}
    assert used >= set(OWN.values()) - {RandomSigns}
    return graph


def python(code: str, *arguments: object) -> str:
    """Return what a new interpreter prints when it runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def forked(code: str, *arguments: object) -> str:
    """Return what code prints in a process where Keras is at hand."""
    done = run(*arguments, code=textwrap.dedent(code), engine=BACKEND)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("imports", "how"),
    [
        ("import archspec.layers, keras", python),
        ("import archspec, keras; archspec.build('lenet5')", forked),
    ],
)
def test_keras_alone_loads_saved_models_once_archspecs_layers_are_imported(tmp_path, imports, how):
    """Also those that an older archspec wrote, which are loaded first."""
    import keras

    older = [OLDER / name for name in ("run/best.keras", "run/final.keras", "stopped/best.keras")]
    model = build(every_own_layer())
    for weight in model.weights:
        weight.assign(random(*weight.shape))
    x = random(2, 8, 8, 3)
    model.save(tmp_path / "own.keras")
    np.save(tmp_path / "x.npy", x)
    printed = how(
        f"""
        {imports}
        import sys, numpy as np
        for file in sys.argv[2:]:
            print(keras.models.load_model(file).name)
        model = keras.models.load_model(sys.argv[1] + "/own.keras")
        y = model(np.load(sys.argv[1] + "/x.npy"))
        np.save(sys.argv[1] + "/y.npy", keras.ops.convert_to_numpy(y))
        """,
        tmp_path,
        *older,
    )
    assert printed.split() == [load_model(file).name for file in older]
    right = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), right)


def test_importing_archspec_leaves_no_hook_in_python():
    printed = python(
        "import sys; before = list(sys.meta_path)\nimport archspec\n"
        "print(sys.meta_path == before, 'keras' in sys.modules)"
    )
    assert printed.split() == ["True", "False"]

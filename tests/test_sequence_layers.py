"""Outputs of sequences, attention, recurrence and shuffles, compared with a few lines of NumPy."""

import numpy as np
import pytest
from support.layer_outputs import emitted, ending_in, outputs, random

from archspec.blocks.attention import Attention
from archspec.graph.builder import Builder
from archspec.keras_model.build import build
from archspec.keras_model.verify import verify
from archspec.ops.arrangement import Slice
from archspec.ops.convolution import FullyConnected
from archspec.ops.elementwise import Softmax
from archspec.ops.functions import HardSigmoid
from archspec.ops.merge import Concat, MatMul
from archspec.ops.recurrence import Gru, Lstm, Rnn
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import ChannelShuffle, DepthToSpace, Permute, Roll, SpaceToDepth
from archspec.ops.tokens import ClassToken, Parameter, PositionEmbedding

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("recurrence", [Lstm, Gru, Rnn])
def test_recurrence_inside_and_at_the_end_runs_in_mixed_precision(recurrence, bias, bidirectional):
    """The cells compute as their layer does: at the end of a network exactly, inside in less."""
    import keras

    x = random(2, 4, 3)
    element = recurrence(units=2, bias=bias, bidirectional=bidirectional)
    builder = Builder(x.shape[1:])
    graph = ending_in(builder, builder(element, builder(element, builder.input)))
    exact = build(graph)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build(graph)
    finally:
        keras.config.set_dtype_policy("float32")
    assert not verify(graph, mixed).mismatches
    mixed.set_weights(exact.get_weights())
    y = mixed.predict_on_batch(x)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y, exact.predict_on_batch(x), atol=0.02)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_permute_names_the_axes_in_their_new_order():
    x = random(2, 4, 5, 3)
    y = emitted(Permute(to=("width", "channels", "height")), x)
    np.testing.assert_array_equal(y, x.transpose(0, 2, 3, 1))


def test_roll_brings_what_leaves_in_at_the_other_end():
    x = random(2, 4, 5, 3)
    y = emitted(Roll(by=(-1, 2)), x)
    np.testing.assert_array_equal(y, np.roll(x, (-1, 2), axis=(1, 2)))


def test_slice_and_concat_work_along_any_axis():
    x = random(2, 4, 5, 3)
    np.testing.assert_array_equal(emitted(Slice(axis="width", start=1, stop=3), x), x[:, :, 1:3])
    for place, axis in enumerate(("height", "width", "channels"), start=1):
        y = emitted(Concat(axis=axis), x, inputs=2)
        np.testing.assert_array_equal(y, np.concatenate([x, x], axis=place))


def test_softmax_sums_to_one_along_its_axis():
    x = random(2, 4, 5, 3)
    np.testing.assert_allclose(emitted(Softmax(axis="height"), x), softmax(x, 1), atol=1e-6)


def test_a_fully_connected_layer_works_at_each_position():
    x, kernel, bias = random(2, 5, 3), random(3, 4), random(4)
    y = emitted(FullyConnected(units=4), x, kernel, bias)
    np.testing.assert_allclose(y, x @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul_is_a_matrix_product_for_each_place_before(transpose_b):
    x = random(2, 4, 5, 5)
    y = emitted(MatMul(transpose_b=transpose_b), x, inputs=2)
    np.testing.assert_allclose(y, x @ (x.swapaxes(-1, -2) if transpose_b else x), atol=1e-4)


def test_a_channel_shuffle_takes_the_groups_in_turn():
    x = np.arange(6, dtype="float32").reshape(1, 1, 6)
    np.testing.assert_array_equal(emitted(ChannelShuffle(groups=2), x)[0, 0], [0, 3, 1, 4, 2, 5])


def test_depth_to_space_orders_channels_as_tensorflow_or_as_pytorch():
    x = random(2, 3, 4, 8)
    y = emitted(DepthToSpace(factor=2), x)
    np.testing.assert_array_equal(y[:, 1::2, 0::2], x[..., 4:6])
    y = emitted(DepthToSpace(factor=2, order="channels"), x)
    np.testing.assert_array_equal(y[:, 1::2, 0::2], x[..., 2::4])


@pytest.mark.parametrize("order", ["places", "channels"])
@pytest.mark.parametrize("extents", [(6,), (4, 6), (2, 4, 6)])
def test_space_to_depth_is_undone_by_depth_to_space(extents, order):
    x = random(2, *extents, 3)
    builder = Builder(x.shape[1:])
    deep = builder(SpaceToDepth(factor=2, order=order), builder.input)
    assert deep.shape == (*(n // 2 for n in extents), 3 * 2 ** len(extents))
    graph = ending_in(builder, builder(DepthToSpace(factor=2, order=order), deep))
    np.testing.assert_array_equal(outputs(graph, x), x)


def test_resize_keeps_the_borders_of_the_image_in_place():
    x = np.array([[0.0, 1.0]], "float32")[..., None]
    middles = [0.0, 0.25, 0.75, 1.0]  # of quarters of the two pixels
    np.testing.assert_allclose(emitted(Resize(to=4, method="bilinear"), x)[0, :, 0], middles)
    np.testing.assert_allclose(emitted(Resize(to=4), x)[0, :, 0], [0, 0, 1, 1])


def test_resize_takes_the_extents_of_a_second_input():
    builder = Builder((6, 8, 3))
    small = builder(Slice(axis="width", stop=5), builder.input)
    graph = ending_in(builder, builder(Resize(method="bilinear"), small, builder.input))
    assert graph.output == (6, 8, 3)
    assert not verify(graph).mismatches


def test_a_parameter_is_added_multiplies_or_stands_alone():
    x, learned = random(2, 4, 5, 3), random(5, 1)
    np.testing.assert_allclose(emitted(Parameter(shape=(5, 1)), x, learned), x + learned)
    y = emitted(Parameter(shape=(5, 1), use="multiply"), x, learned)
    np.testing.assert_allclose(y, x * learned)
    y = emitted(Parameter(shape=(5, 1), use="alone"), x, learned)
    np.testing.assert_array_equal(y, np.stack([learned] * 2))


def test_a_class_token_stands_before_the_sequence():
    x, tokens = random(2, 4, 3), random(2, 3)
    y = emitted(ClassToken(count=2), x, tokens)
    np.testing.assert_array_equal(y, np.concatenate([np.stack([tokens] * 2), x], axis=1))


def test_the_fixed_positions_are_the_papers_sines_and_cosines():
    x = np.zeros((1, 7, 6), "float32")
    y = emitted(PositionEmbedding(method="sine"), x)
    for position in range(7):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            np.testing.assert_allclose(y[0, position, 2 * i], np.sin(angle), atol=1e-6)
            np.testing.assert_allclose(y[0, position, 2 * i + 1], np.cos(angle), atol=1e-6)
    flat = emitted(PositionEmbedding(method="sine"), np.zeros((1, 5, 7, 12), "float32"))
    np.testing.assert_array_equal(flat[0, 2, :, 6:], y[0])  # the columns have half of the channels
    np.testing.assert_array_equal(flat[0, :, 3, :6], y[0, :5])  # the rows the other


def heads(x: np.ndarray, number: int) -> np.ndarray:
    """[batch, positions, channels] by head."""
    return x.reshape(*x.shape[:2], number, -1).swapaxes(1, 2)


def attended(x: np.ndarray, weights: list[np.ndarray], number: int, kept: object) -> np.ndarray:
    """Attention of a sequence to itself; scores that are not `kept` count for nothing."""
    kernel, bias, out, offset = weights
    q, k, v = (heads(part, number) for part in np.split(x @ kernel + bias, 3, axis=-1))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    y = softmax(np.where(kept, scores, -np.inf)) @ v
    return y.swapaxes(1, 2).reshape(*x.shape[:2], -1) @ out + offset


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_the_papers(causal):
    x, weights = random(2, 5, 8), [random(8, 24), random(24), random(8, 8), random(8)]
    y = emitted(Attention(heads=2, causal=causal), x, *weights)
    kept = np.tri(5, dtype=bool) if causal else True
    np.testing.assert_allclose(y, attended(x, weights, 2, kept), atol=2e-4)


def test_attention_of_maps_is_that_of_their_places_row_by_row():
    x, weights = random(2, 3, 4, 8), [random(8, 24), random(24), random(8, 8), random(8)]
    y = emitted(Attention(heads=2), x, *weights)
    flat = attended(x.reshape(2, 12, 8), weights, 2, True)
    np.testing.assert_allclose(y.reshape(2, 12, 8), flat, atol=2e-4)


def test_windows_that_are_shifted_see_no_place_from_the_other_side():
    """Compared with attention of all places, from which those of other windows are masked."""
    x, weights = random(2, 4, 6, 8), [random(8, 24), random(24), random(8, 8), random(8)]
    y = emitted(Attention(heads=2, window=2, shift=1), x, *weights)
    # Windows begin at -1, 1, 3, ... along both axes: those at the borders are smaller.
    number = [[((row + 1) // 2, (column + 1) // 2) for column in range(6)] for row in range(4)]
    window = np.array(number).reshape(24, 2)
    kept = (window[:, None] == window[None]).all(axis=-1)
    expected = attended(x.reshape(2, 24, 8), weights, 2, kept)
    np.testing.assert_allclose(y.reshape(2, 24, 8), expected, atol=2e-4)


def test_relative_positions_have_a_row_each_in_the_table():
    """With queries and keys of zeros, the scores are the table's alone."""
    x = random(1, 2, 3, 4)
    table = random(3 * 5, 1)
    values = np.zeros((4, 12), "float32")
    values[:, 8:] = np.eye(4)
    weights = values, np.zeros(12), table, np.eye(4), np.zeros(4)
    y = emitted(Attention(heads=1, relative_position_bias=True), x, *weights)
    places = [(row, column) for row in range(2) for column in range(3)]
    scores = [[table[(a - c + 1) * 5 + (b - d + 2), 0] for c, d in places] for a, b in places]
    expected = softmax(np.array(scores)) @ x.reshape(6, 4)
    np.testing.assert_allclose(y.reshape(6, 4), expected, atol=1e-5)


def test_keys_and_values_may_come_from_a_second_input():
    x = random(2, 5, 8)
    builder = Builder(x.shape[1:])
    memory = builder(Slice(axis="length", stop=3), builder.input)
    graph = ending_in(builder, builder(Attention(heads=2), builder.input, memory, name="cross"))
    q_kernel, q_bias, kernel, bias, out, offset = weights = (
        random(8, 8), random(8), random(8, 16), random(16), random(8, 8), random(8)
    )  # fmt: skip
    q = heads(x @ q_kernel + q_bias, 2)
    k, v = (heads(part, 2) for part in np.split(x[:, :3] @ kernel + bias, 2, axis=-1))
    y = softmax(q @ k.swapaxes(-1, -2) / 2) @ v
    expected = y.swapaxes(1, 2).reshape(2, 5, 8) @ out + offset
    np.testing.assert_allclose(outputs(graph, x, *weights), expected, atol=2e-4)


def test_an_lstm_is_the_papers():
    x, kernel, recurrent, bias = random(2, 5, 3), random(3, 16), random(4, 16), random(16)
    h = c = np.zeros((2, 4))
    states = []
    for step in range(5):
        i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    y = emitted(Lstm(units=4), x, kernel, recurrent, bias)
    np.testing.assert_allclose(y, np.stack(states, axis=1), atol=1e-5)
    y = emitted(Lstm(units=4, output="last"), x, kernel, recurrent, bias)
    np.testing.assert_allclose(y, h, atol=1e-5)


def test_a_gru_resets_after_the_product():
    x, kernel, recurrent, bias = random(2, 5, 3), random(3, 12), random(4, 12), random(2, 12)
    h = np.zeros((2, 4))
    for step in range(5):
        z, r, g = np.split(x[:, step] @ kernel + bias[0], 3, axis=-1)
        hz, hr, hg = np.split(h @ recurrent + bias[1], 3, axis=-1)
        z, r = sigmoid(z + hz), sigmoid(r + hr)
        h = z * h + (1 - z) * np.tanh(g + r * hg)
    y = emitted(Gru(units=4, output="last"), x, kernel, recurrent, bias)
    np.testing.assert_allclose(y, h, atol=1e-5)


def test_a_gru_of_the_paper_resets_before_the_product():
    x, kernel, recurrent, bias = random(2, 5, 3), random(3, 12), random(4, 12), random(12)
    h = np.zeros((2, 4))
    for step in range(5):
        z, r, g = np.split(x[:, step] @ kernel + bias, 3, axis=-1)
        z, r = (sigmoid(a + h @ b) for a, b in ((z, recurrent[:, :4]), (r, recurrent[:, 4:8])))
        h = z * h + (1 - z) * np.tanh(g + (r * h) @ recurrent[:, 8:])
    gru = Gru(units=4, output="last", reset_after=False)
    np.testing.assert_allclose(emitted(gru, x, kernel, recurrent, bias), h, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_may_have_other_functions(bidirectional):
    x, kernel, recurrent, bias = random(2, 5, 3), random(3, 16), random(4, 16), random(16)
    ends = []
    for sequence in (x, x[:, ::-1])[: 1 + bidirectional]:
        h = c = np.zeros((2, 4))
        for step in range(5):
            i, f, g, o = np.split(sequence[:, step] @ kernel + h @ recurrent + bias, 4, axis=-1)
            i, f, o = (np.clip(0.2 * each + 0.5, 0, 1) for each in (i, f, o))
            c = f * c + i * np.maximum(g, 0)
            h = o * np.maximum(c, 0)
        ends.append(h)
    lstm = Lstm(
        units=4,
        output="last",
        bidirectional=bidirectional,
        activation="relu",
        recurrent_activation=HardSigmoid(slope=0.2),
    )
    y = emitted(lstm, x, *[kernel, recurrent, bias] * len(ends))
    np.testing.assert_allclose(y, np.concatenate(ends, axis=-1), atol=1e-5)


def test_the_second_direction_reads_backwards_and_stands_beside_the_first():
    x = random(2, 5, 3)
    one, other = [random(3, 4), random(4, 4), random(4)], [-random(3, 4), random(4, 4), random(4)]
    y = emitted(Rnn(units=4, bidirectional=True), x, *one, *other)
    forward = emitted(Rnn(units=4), x, *one)
    backward = emitted(Rnn(units=4), x[:, ::-1], *other)[:, ::-1]
    np.testing.assert_allclose(y, np.concatenate([forward, backward], axis=-1), atol=1e-6)

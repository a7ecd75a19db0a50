"""What networks do in training, and how that differs from what they do at inference.

Chance is tested with a fixed seed: what is counted lies within four standard deviations of what is
expected.
"""

from collections import Counter
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
from support.layer_outputs import ending_in, graph_of, random
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.graph.builder import Builder
from archspec.graph.graph import Graph
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.ops.arrangement import Slice
from archspec.ops.elementwise import Dropout, DropPath
from archspec.ops.merge import Concat
from archspec.ops.normalization import BatchNorm
from archspec.ops.op import Op
from archspec.ops.paths import Join, PathDraw
from archspec.spec.loading import load

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("new_session")]


@pytest.fixture(autouse=True)
def _seeded(keras):
    keras.utils.set_random_seed(1)


def network(steps: str, shape: str, head: str = "") -> Graph:
    return expand(spec_of(f"name: net\ninput: {shape}\n{head}\nlayers:\n{steps}"))


def alone(op: Op, *shape: int) -> Any:
    """The Keras model of one op."""
    return build(graph_of(op, shape))


def output(model: Any, x: np.ndarray, *, training: bool = False) -> np.ndarray:
    return load_keras().ops.convert_to_numpy(model(x, training=training))


def in_training(model: Any, x: np.ndarray, batch: int) -> np.ndarray:
    """Return what a model in training puts out, a step for each batch."""
    keras = load_keras()

    class InTraining(keras.Model):
        def call(self, batch: Any) -> Any:
            return self.model(batch, training=True)

    trained = InTraining()
    trained.model = model
    return trained.predict(x, batch_size=batch, verbose=0)


def share(count: int, of: int, probability: float) -> bool:
    """Whether `count` of so many independent events is what a probability lets expect."""
    return abs(count - of * probability) <= 4 * sqrt(of * probability * (1 - probability))


# Dropout and stochastic depth.


def test_dropout_drops_values_and_scales_the_others_up():
    x = np.ones((20, 10, 10, 10), "float32")
    model = alone(Dropout(rate=0.3), 10, 10, 10)
    y = output(model, x, training=True)
    np.testing.assert_allclose(y[y > 0], 1 / 0.7, rtol=1e-6)
    assert share((y > 0).sum(), y.size, 0.7)
    np.testing.assert_array_equal(output(model, x), x)


def test_an_example_loses_its_branch_and_the_others_are_scaled_up():
    x = np.ones((4000, 2, 2, 1), "float32")
    model = alone(DropPath(rate=0.2), 2, 2, 1)
    y = output(model, x, training=True)
    survives = y[:, 0, 0, 0] > 0
    assert share(survives.sum(), 4000, 0.8)
    np.testing.assert_allclose(y, x / 0.8 * survives[:, None, None, None], rtol=1e-6)
    np.testing.assert_array_equal(output(model, x), x)


def test_a_batch_loses_its_branch_as_a_whole_and_nothing_is_scaled_in_training():
    x = random(3, 2, 2, 2)
    model = alone(DropPath(rate=0.25, mode="batch"), 2, 2, 2)
    survives = 0
    for y in in_training(model, np.tile(x, (400, 1, 1, 1)), batch=3).reshape(400, *x.shape):
        survives += y.any()
        np.testing.assert_array_equal(y, x if y.any() else 0 * x)
    assert share(survives, 400, 0.75)
    # At inference it is multiplied by its chance, its expectation in training.
    np.testing.assert_allclose(output(model, x), 0.75 * x, rtol=1e-6)


def test_a_unit_of_stochastic_depth_is_its_shortcut_or_all_of_itself():
    unit = "- residual: {filters: 3, drop_path: %s}"
    head = "defaults: {drop_path: {mode: batch}}"
    whole = build(network(unit % 0.0, "[4, 4, 3]", head))
    model = build(network(unit % 0.5, "[4, 4, 3]", head))
    model.set_weights(whole.get_weights())
    x = random(2, 4, 4, 3)

    at_inference = output(model, x)
    branch = output(load_keras().Model(whole.input, whole.get_layer("residual1-add").input[0]), x)
    np.testing.assert_allclose(at_inference, np.maximum(x + branch / 2, 0), atol=1e-6)

    shortcut, all_of_it = np.maximum(x, 0), output(whole, x, training=True)
    seen = Counter()
    for _ in range(20):
        y = output(model, x, training=True)
        seen["dropped" if np.allclose(y, shortcut, atol=1e-6) else "whole"] += 1
        assert np.allclose(y, shortcut, atol=1e-6) or np.allclose(y, all_of_it, atol=1e-5)
    assert seen.keys() == {"dropped", "whole"}


def test_the_bundled_stochastic_depth_is_the_papers():
    modes = {node.op.mode for node in expand(load("stochastic_depth_110")).nodes if is_drop(node)}
    assert modes == {"batch"}
    per_example = expand(load("stochastic_depth_110", None, mode="sample"))
    assert {node.op.mode for node in per_example.nodes if is_drop(node)} == {"sample"}


def is_drop(node: Any) -> bool:
    return node.op.kind == "drop_path"


# FractalNet's drop-path.

ONE_TWO_FOUR = np.array([1, 2, 4], "float32").reshape(1, 1, 1, 3)
"""Three inputs whose every subset has a mean of its own."""


def joined(rate: float, *joins: tuple[int, ...], global_share: float | None = None) -> Any:
    """Joins of columns that hold the input's channels: one draw for all, or none."""
    builder = Builder((1, 1, 3))
    columns = [builder(Slice(start=i, stop=i + 1), builder.input) for i in range(3)]
    draw = None
    if global_share is not None:
        draw = builder(PathDraw(columns=3, global_share=global_share), builder.input)
    ends = []
    for numbers in joins:
        inputs = [columns[number] for number in numbers]
        if draw is None:
            ends.append(builder(Join(rate=rate), *inputs))
        else:
            ends.append(builder(Join(rate=rate, columns=numbers), *inputs, draw))
    y = builder(Concat(), *ends) if len(ends) > 1 else ends[0]
    return build(ending_in(builder, y))


def drawn(model: Any, steps: int) -> Counter[tuple[float, ...]]:
    """Return the outputs of the joins in a number of training steps."""
    ends = in_training(model, np.repeat(ONE_TWO_FOUR, 2 * steps, axis=0), batch=2)
    first, second = ends.reshape(steps, 2, -1).swapaxes(0, 1)
    np.testing.assert_array_equal(first, second)  # a step draws once for all its examples
    return Counter(tuple(np.round(end.astype(float), 3)) for end in first)


def test_a_join_is_the_mean_of_the_inputs_that_survive_and_one_always_does():
    seen = drawn(joined(0.4, (0, 1, 2)), 500)
    lone = 0.6 * 0.4**2 + 0.4**3 / 3  # the only one that is left, or revived when none was
    expected = {
        (1.0,): lone,
        (2.0,): lone,
        (4.0,): lone,
        (1.5,): 0.6**2 * 0.4,
        (2.5,): 0.6**2 * 0.4,
        (3.0,): 0.6**2 * 0.4,
        (2.333,): 0.6**3,
    }
    assert sum(expected.values()) == pytest.approx(1)
    assert seen.keys() == expected.keys()
    assert all(share(seen[mean], 500, chance) for mean, chance in expected.items())


def test_joins_draw_for_themselves_where_no_column_is_kept():
    seen = drawn(joined(0.5, (0, 1), (0, 1), global_share=0.0), 100)
    assert len(seen) == 9  # either, or both: of the one join, and of the other


def test_a_draw_keeps_one_column_for_all_joins():
    # A join that does not have the column feeds nobody who has: it gives the mean of all.
    seen = drawn(joined(0.4, (0, 1, 2), (0, 1), (1, 2), global_share=1.0), 150)
    assert seen.keys() == {(1.0, 1.0, 3.0), (2.0, 2.0, 2.0), (4.0, 1.5, 4.0)}
    assert all(share(count, 150, 1 / 3) for count in seen.values())


def test_local_and_global_drop_path_are_mixed():
    seen = drawn(joined(0.0, (0, 1, 2), global_share=0.5), 150)
    assert seen.keys() == {(1.0,), (2.0,), (4.0,), (2.333,)}
    assert share(seen[(2.333,)], 150, 0.5)


def test_at_inference_every_join_is_the_mean_of_all():
    for model in (joined(0.4, (0, 1, 2)), joined(0.4, (0, 1, 2), global_share=1.0)):
        np.testing.assert_allclose(output(model, ONE_TWO_FOUR).item(), 7 / 3, rtol=1e-6)


FRACTAL = """
- {name: paths, path_draw: {columns: 3, global_share: 1}}
- from: input
  repeat: 2
  layers:
    - {from: [input, paths], fractal: {filters: 4, columns: 3, drop_path: 0.15}}
    - max_pool: 2
- flatten
- fc: 2
"""


def test_a_training_step_trains_the_one_column_that_it_keeps(keras):
    model = build(network(FRACTAL, "[4, 4, 3]"))
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x, y = random(8, 4, 4, 3), random(8, 2)
    kernels = {
        layer.name: layer.kernel for layer in model.layers if layer.name.endswith("convolution")
    }
    seen = set()
    for _ in range(12):
        before = {name: keras.ops.convert_to_numpy(kernel) for name, kernel in kernels.items()}
        model.train_on_batch(x, y)
        trained = {
            name
            for name, kernel in kernels.items()
            if (keras.ops.convert_to_numpy(kernel) != before[name]).any()
        }
        (column,) = {name.split("-")[2] for name in trained}
        assert trained == {name for name in kernels if name.split("-")[2] == column}
        seen.add(column)
    assert seen == {"column1", "column2", "column3"}


def test_at_inference_drop_path_is_not_there():
    model = build(network(FRACTAL, "[4, 4, 3]"))
    plain = build(
        network("- repeat: 2\n  layers: [fractal: 4, max_pool: 2]\n- flatten\n- fc: 2", "[4, 4, 3]")
    )
    plain.set_weights(model.get_weights())
    x = random(3, 4, 4, 3)
    np.testing.assert_allclose(output(model, x), output(plain, x), atol=1e-6)


# Batch normalisation, shortcuts.


def test_batch_norm_normalizes_by_the_batch_and_remembers_its_biased_variance():
    model = alone(BatchNorm(momentum=0.9, epsilon=0.01), 3, 2)
    x = 5 + 2 * random(4, 3, 2)
    mean, variance = x.mean((0, 1)), x.var((0, 1))  # numpy's variance is the biased one
    y = output(model, x, training=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 0.01), atol=1e-5)
    *_, moving_mean, moving_variance = model.get_weights()
    np.testing.assert_allclose(moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)
    right = (x - moving_mean) / np.sqrt(moving_variance + 0.01)
    np.testing.assert_allclose(output(model, x), right, atol=1e-5)


@pytest.mark.parametrize("subsample", ["stride", "average"])
def test_an_option_a_shortcut_keeps_channels_and_appends_zeros(subsample):
    step = f"- residual: {{filters: 5, stride: 2, shortcut: pad, subsample: {subsample}}}"
    model = build(network(step, "[4, 6, 3]"))
    model.set_weights([0 * weight for weight in model.get_weights()])  # nothing but the shortcut
    x = np.abs(random(2, 4, 6, 3))
    y = output(model, x)
    places = x[:, ::2, ::2] if subsample == "stride" else x.reshape(2, 2, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(y[..., :3], places, rtol=1e-6)
    assert not y[..., 3:].any()


# Heads, and what all of them become when they are saved.

EVERYTHING = """
name: everything
input: [4, 4, 3]
defaults: {drop_path: {mode: batch}}
layers:
  - {name: paths, path_draw: 2}
  - {from: [input, paths], fractal: {filters: 4, columns: 2, drop_path: 0.15, dropout: 0.1}}
  - {name: unit, residual: {filters: 4, drop_path: 0.5}}
  - {residual: {filters: 4, order: norm-act-conv, dropout: 0.2}}
  - global_avg_pool
  - fc: {units: 2, activation: softmax}
heads:
  early: {from: unit, loss_weight: 0.3, layers: [flatten, fc: {units: 2, activation: softmax}]}
"""


def test_a_heads_loss_has_its_weight_and_the_network_for_inference_has_no_head():
    spec = spec_of(EVERYTHING)
    graph = expand(spec)
    model = build(graph)
    x = random(8, 4, 4, 3)
    labels = np.eye(2, dtype="float32")[[0, 1] * 4]
    model.compile(
        loss=dict.fromkeys(graph.outputs, "categorical_crossentropy"),
        loss_weights=dict(graph.loss_weights),
    )
    losses = model.evaluate(x, dict.fromkeys(graph.outputs, labels), verbose=0, return_dict=True)
    total = losses["output_loss"] + 0.3 * losses["early_loss"]
    assert losses["loss"] == pytest.approx(total, rel=1e-5)

    inference = build(replace(spec, inference=True))
    for layer in inference.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    both = model(x)
    assert both.keys() == {"output", "early"}
    np.testing.assert_allclose(inference(x), both["output"], atol=1e-6)


def test_a_network_that_is_random_in_training_saves_loads_and_continues(keras, tmp_path):
    model = build(spec_of(EVERYTHING))
    loss = dict.fromkeys(["output", "early"], "categorical_crossentropy")
    model.compile("sgd", loss=loss)
    x = random(16, 4, 4, 3)
    labels = np.eye(2, dtype="float32")[[0, 1] * 8]
    targets = dict.fromkeys(loss, labels)
    model.fit(x, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    scores, again = model(x), loaded(x)
    assert scores.keys() == again.keys() == loss.keys()
    for name in scores:
        np.testing.assert_array_equal(again[name], scores[name])
    before = loaded.get_weights()
    loaded.run_eagerly = True  # as the same layers were traced above
    history = loaded.fit(x, targets, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert any((a != b).any() for a, b in zip(before, loaded.get_weights(), strict=True))

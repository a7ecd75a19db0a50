"""Monte-Carlo dropout: dropout alone is active, and the mean is that of all that it may drop."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

import archspec
from archspec.cli import main
from archspec.errors import UsageError
from archspec.evaluation.dropout import dropping
from archspec.evaluation.evaluation import Evaluation
from archspec.evaluation.prediction import Predictions

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]

SPEC = """
name: dropping
input: [8, 8, 1]
vars: {rate: 0.5, norm: batch}
layers:
  - {name: conv, conv: {filters: 4, kernel: 3, norm: =norm, activation: relu}}
  - flatten
  - {dropout: =rate, when: =rate > 0}
  - fc: 10
train: {epochs: 1, batch: 200, deterministic: true, steps_per_execution: 1}
"""

IMAGES = load_digits().images[:8]


@pytest.fixture(scope="module")
def home(blank_pictures, tmp_path_factory) -> Path:  # noqa: ARG001
    """A run with dropout; its weights where all but nothing is dropped, and where nothing is."""
    place = tmp_path_factory.mktemp("dropout")
    (place / "spec.yaml").write_text(SPEC, encoding="utf-8")
    run = archspec.fit(place / "spec.yaml", out=place / "half")
    for name, rate in (("hardly", 1e-9), ("none", 0.0)):
        model = archspec.build(archspec.load(place / "spec.yaml", rate=rate))
        model.set_weights(run.model().get_weights())
        model.save(place / f"{name}.keras")
    return place


def layers(keras, *more):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), *more])


def passes(keras, model, x, count):
    changed = dropping(keras, model, 0)
    return np.stack([np.asarray(changed.predict_on_batch(x)) for _ in range(count)])


def many_passes(keras, model, x):
    """Return the outputs for one image of 1,500 passes, a hundred of them as images of a batch."""
    return passes(keras, model, np.repeat(x, 100, axis=0), 15).reshape(1500, -1)


def test_of_a_linear_network_the_mean_is_what_it_says_without_dropout():
    import keras

    model = layers(keras, keras.layers.Dense(2))
    x = np.array([[1.0, -2.0, 0.5]], np.float32)
    seen = many_passes(keras, model, x)
    error = seen.std(axis=0) / np.sqrt(len(seen))
    assert np.all(abs(seen.mean(axis=0) - np.asarray(model.predict_on_batch(x))[0]) < 5 * error)


def test_the_mean_is_that_of_the_softmax_over_all_that_may_be_dropped():
    """Three inputs can be dropped in eight ways, whose mean is not the output without dropout."""
    import keras

    model = layers(keras, keras.layers.Dense(2, activation="softmax"))
    model.set_weights([np.array([[2.0, -2], [1, 3], [-3, 1]]), np.array([0.5, -0.5])])
    x = np.array([[1.0, 1.0, 1.0]], np.float32)
    kernel, bias = model.get_weights()
    ways = np.array(list(product((0, 1), repeat=3)))
    scores = np.exp((2 * ways * x) @ kernel + bias)
    each = scores / scores.sum(axis=1, keepdims=True)
    seen = many_passes(keras, model, x)
    assert seen.mean(axis=0) == pytest.approx(each.mean(axis=0), abs=5 * each.std() / np.sqrt(1500))
    assert np.unique(seen[:, 0].round(4)) == pytest.approx(np.unique(each[:, 0].round(4)), abs=1e-4)
    rule = np.asarray(model.predict_on_batch(x))[0]
    assert abs(rule - each.mean(axis=0)).max() > 0.1


def test_dropout_inside_of_a_nested_model_drops_and_the_model_itself_stays_as_it_was():
    import keras

    model = keras.Sequential([keras.Input((3,)), layers(keras, keras.layers.Dense(2))])
    x = np.ones((1, 3), np.float32)
    before = np.asarray(model.predict_on_batch(x))
    assert len(np.unique(passes(keras, model, x, 40)[:, 0, 0].round(5))) > 2
    assert np.array_equal(np.asarray(model.predict_on_batch(x)), before)


def test_norms_use_their_running_statistics(home):
    """If almost nothing is dropped, the passes give the same as inference."""
    plain, several = (
        archspec.predict(
            home / "hardly.keras", IMAGES, normalize="unit", white=16, mc_dropout=count, top=10
        )
        for count in (None, 2)
    )
    for one, other in zip(plain, several, strict=True):
        assert [g.class_name for g in one.guesses] == [g.class_name for g in other.guesses]
        shares = [[g.probability for g in each.guesses] for each in (one, other)]
        assert shares[0] == pytest.approx(shares[1], abs=1e-6)
        assert [g.deviation for g in one.guesses] == [None] * 10
        assert max(g.deviation for g in other.guesses) < 1e-3


def test_a_seed_decides_what_is_dropped(home):
    first, again, other = (
        archspec.predict(home / "half", IMAGES, mc_dropout=3, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert Predictions.from_dict(first.to_dict()) == first
    assert min(image.guesses[0].deviation for image in first) > 0


def test_runs_are_evaluated_by_the_mean_of_the_passes(home):
    words = ["evaluate", str(home / "half"), "--mc-dropout", "4", "--seed", "3"]
    done = CliRunner().invoke(main, words)
    assert "digits, test: 359 images, mean of 4 passes with dropout" in done.stdout
    found = archspec.evaluate(home / "half", mc_dropout=4, seed=3)
    assert Evaluation.from_dict(found.to_dict()) == found
    assert f"{found.result.scores.accuracy:.2%}" in done.stdout
    assert found.result.scores != archspec.evaluate(home / "half").result.scores


def test_predictions_show_how_far_the_passes_disagree(home, tmp_path):
    np.save(tmp_path / "digits.npy", IMAGES)
    words = ["predict", str(home / "half"), str(tmp_path / "digits.npy"), "--mc-dropout", "4"]
    assert CliRunner().invoke(main, words).stdout.count(" ± ") == 3 * len(IMAGES)
    header, first, *_ = CliRunner().invoke(main, [*words, "--format", "csv"]).stdout.splitlines()
    assert header.startswith("image,class_1,probability_1,deviation_1,class_2,")
    assert len(first.split(",")) == len(header.split(","))


def test_a_network_without_dropout_is_refused(home):
    with pytest.raises(
        UsageError, match=r"none\.keras has no dropout, so all of the `mc_dropout=`"
    ):
        archspec.evaluate(home / "none.keras", data="digits", normalize="unit", mc_dropout=3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mc_dropout": 0}, "`mc_dropout=0` must be a whole number from 1"),
        ({"mc_dropout": True}, "`mc_dropout=True` must be a whole number from 1"),
        ({"seed": 1}, "needs `mc_dropout=`"),
    ],
)
def test_wrong_arguments_are_refused(home, wrong, said):
    for judge in (archspec.evaluate, lambda run, **more: archspec.predict(run, IMAGES, **more)):
        with pytest.raises(UsageError, match=said):
            judge(home / "half", **wrong)

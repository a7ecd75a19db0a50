"""Measures of units during training: equal to those by hand, without influence, also resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.blank import blank
from support.left_behind import Copies, assert_same, left

import archspec
from archspec.errors import RecipeError, UsageError
from archspec.recipe.train import Recipe
from archspec.runs import units as file
from archspec.training import units
from archspec.training.distribution import Devices
from archspec.training.session import plan_training, prepare

SPEC = """
name: watched
input: [8, 8, 1]
layers:
  - {name: first, conv: {filters: 8, kernel: 3}}
  - rescale: {scale: 1, offset: -2}
  - {name: dying, activation: relu}
  - {name: leaky, conv: {filters: 8, kernel: 3, activation: leaky_relu}}
  - flatten
  - rescale: {scale: 30, offset: 0}
  - {name: bounded, fc: {units: 12, activation: tanh}}
  - {name: head, fc: {units: 10, activation: softmax}}
train:
  batch: 300
  epochs: 3
  deterministic: true
  steps_per_execution: 1
  loss: categorical_crossentropy
  optimizer: {sgd: {learning_rate: 0.1}}
  watch_units: true
"""
"""What is taken from a ReLU's input kills some units; what is made of a tanh's drives others to
their bounds."""

NOISY = """
name: noisy
input: [8, 8, 1]
layers:
  - {conv: {filters: 4, kernel: 3, norm: batch, activation: relu}}
  - dropout: 0.5
  - flatten
  - fc: {units: 10, activation: softmax}
train: {batch: 300, epochs: 2, deterministic: true, steps_per_execution: 1}
"""
"""Averages of norms and random numbers, which a look would change if it did not put them back."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("watched")
    for name, text in (("watched", SPEC), ("noisy", NOISY)):
        (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def run(keras, home):  # noqa: ARG001
    return archspec.fit(home / "watched.yaml", out=home / "run")


def test_each_layer_has_what_has_a_meaning_for_it(run):
    epochs = file.read(run.folder)
    assert len(epochs) == 1 + len(run.history)  # before the first step, and after each epoch
    for layers in epochs:
        meant = {
            layer: [name for name, value in measures.items() if value is not None]
            for layer, measures in layers.items()
        }
        assert meant == {
            "first": ["gradient"],
            "dying": ["dead"],
            "leaky": ["gradient"],
            "bounded": ["gradient", "saturated"],
            "head": ["gradient"],
        }


def test_the_numbers_are_those_of_the_network_that_is_saved(run):
    """Dead over all validation images, saturated likewise, and the gradient of the last layer."""
    import keras

    model = keras.models.load_model(run.folder / "final.keras")
    data = prepare(plan_training(archspec.load(run.folder / "spec.yaml"), {})).data

    def seen(part, places=slice(None)):
        images = data.preprocessing(part.pixels.read(part.indices[places]))
        names = ["dying", "bounded-activation", "head-activation"]
        watched = keras.Model(model.input, [model.get_layer(name).output for name in names])
        return [np.array(keras.ops.convert_to_numpy(each)) for each in watched(images)]

    maps, bounded, _ = seen(data.validation)
    last = file.read(run.folder)[-1]
    assert 0 < last["dying"]["dead"] < 1
    assert last["dying"]["dead"] == (maps.max(axis=(0, 1, 2)) == 0).mean()
    assert 0 < last["bounded"]["saturated"] < 1
    assert last["bounded"]["saturated"] == pytest.approx((abs(bounded) > 0.99).mean(), abs=1e-6)

    places = np.linspace(0, len(data.train) - 1, 300).round().astype(int)
    _, inputs, shares = seen(data.train, places)
    error = (shares - np.eye(10)[data.train.labels[places]]) / 300
    by_hand = np.hypot(np.linalg.norm(inputs.T @ error), np.linalg.norm(error.sum(axis=0)))
    assert last["head"]["gradient"] == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.keras
def test_a_run_that_is_watched_ends_as_one_that_is_not_also_when_it_was_stopped(home, monkeypatch):
    monkeypatch.chdir(home)
    with blank():
        archspec.fit("noisy.yaml", out="plain")
        archspec.fit("noisy.yaml", out="seen", watch_units=True, watchers=[Copies((2, 1))])
        stopped = left(Path("seen"), 2, 1)
        assert len(file.read(stopped)) == 2
        archspec.resume(stopped)
    assert Path("seen/units.csv").read_bytes() == (stopped / "units.csv").read_bytes()
    for run in (Path("seen"), stopped):
        assert_same(Path("plain"), run)


def test_the_picture_stands_in_the_summary(run):
    assert "(units.svg)" in (run.folder / "summary.md").read_text(encoding="utf-8")
    svg = (run.folder / "units.svg").read_text(encoding="utf-8")
    for text in ("dead units", "saturated outputs", "dying", "leaky", "bounded"):
        assert text in svg
    with Image.open(run.folder / "units.png") as png:
        assert np.asarray(png.convert("L")).std() > 5


def test_several_devices_are_refused():
    with pytest.raises(RecipeError, match="works on one device, not on 2"):
        units.check(Recipe(watch_units=True), Devices(count=2))


@pytest.mark.parametrize(
    "text", ["epoch,layer\n1,a\n", "epoch,layer,gradient,dead,saturated\n0,a,much,,\n", "\xff"]
)
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "units.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"units\.csv is damaged"):
        file.read(tmp_path)

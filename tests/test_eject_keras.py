"""Ejected programs, run by Keras: the same layers, weights and outputs as of `archspec.build`."""

import ast
import inspect
from typing import Any

import keras
import numpy as np
import pytest
from support.ejected import scope_of
from support.specs import spec_of

import archspec
from archspec.ejection.ejecting import eject
from archspec.ejection.keras_layers import DEFAULTS
from archspec.ejection.keras_training import class_name
from archspec.ejection.subclassed import TAKEN
from archspec.recipe.families import FAMILIES
from archspec.recipe.objects import classes_of

pytestmark = pytest.mark.keras


def model_of(source: str) -> Any:
    return scope_of(source)["build_model"]()


def described(model: Any) -> list[Any]:
    """Each weight; in a sequential model, Keras puts the model's name before its path."""
    return [
        (each.path.removeprefix(f"{model.name}/"), tuple(each.shape), each.trainable)
        for each in model.weights
    ]


def images(model: Any) -> Any:
    """Random images as a model takes them, the same for the same inputs."""
    random = np.random.default_rng(0)
    made = {
        each.name: random.normal(size=(2, *each.shape[1:])).astype("float32")
        for each in sorted(model.inputs, key=lambda each: each.name)
    }
    return made if len(made) > 1 else next(iter(made.values()))


def outputs(model: Any) -> list[Any]:
    """What a model gives for the same random images."""
    result = model(images(model))
    named = result if isinstance(result, dict) else {"output": result}
    return [keras.ops.convert_to_numpy(named[name]) for name in sorted(named)]


@pytest.mark.parametrize(
    ("network", "style"),
    [
        ("lenet5", "functional"),
        ("lenet5", "sequential"),
        ("siamese", "functional"),
        ("crnn", "functional"),
        ("squeezenet", "functional"),
        ("shufflenet_v2_x0_5", "functional"),
    ],
)
def test_an_ejected_model_has_the_same_weights_and_outputs(network, style):
    built, ejected = archspec.build(network), model_of(eject(network, style=style))
    assert described(ejected) == described(built)
    if style == "functional":
        assert [each.name for each in ejected.layers] == [each.name for each in built.layers]
    ejected.set_weights(built.get_weights())
    for ours, theirs in zip(outputs(ejected), outputs(built), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_tensors_of_a_loop_may_become_the_same():
    """In the second round, a join reads the same tensor twice."""
    spec = spec_of(
        "{name: net, input: [2, 3], layers: "
        "[{name: s0, activation: relu}, {name: s1, concat: input}, {name: s2, concat: s1}]}"
    )
    source = eject(spec)
    assert "for i in range(1, 3):" in source
    for ours, theirs in zip(outputs(model_of(source)), outputs(archspec.build(spec)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "network",
    [
        *("digits_net", "siamese", "squeezenet"),
        pytest.param("shufflenet_v2_x0_5", marks=pytest.mark.slow),
    ],
)
def test_a_model_of_classes_has_the_same_weights_and_outputs_and_is_saved(network, tmp_path):
    built, ejected = archspec.build(network), model_of(eject(network, style="subclassed"))

    def by_path(model: Any) -> dict[str, Any]:
        paths = [each.path.removeprefix(f"{model.name}/") for each in model.weights]
        return dict(zip([each.replace("/", "-") for each in paths], model.weights, strict=True))

    ours, theirs = by_path(ejected), by_path(built)
    assert ours.keys() == theirs.keys()
    for path, weight in ours.items():
        weight.assign(theirs[path])
    given, (wanted,) = images(built), outputs(built)
    ejected.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for model in (ejected, loaded):
        result = keras.ops.convert_to_numpy(model(given))
        np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-7)


def test_no_layer_is_called_like_an_attribute_of_keras():
    names = {each for each in dir(keras.Model(name="network")) if not each.startswith("_")}
    assert names <= TAKEN


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_what_is_left_out_is_the_default_of_keras(name):
    parameters = inspect.signature(getattr(keras.layers, name).__init__).parameters
    for argument, value in DEFAULTS[name].items():
        default = parameters[argument].default
        assert default in (value, (value,) * 2, (value,) * 3), argument


def test_the_short_padding_does_what_the_long_one_does(tmp_path):
    spec = spec_of(
        "name: padded\ninput: [6, 5, 3]\nlayers: [max_pool: {size: 3, stride: 2, padding: 1}]"
    )
    built, ejected = archspec.build(spec), model_of(eject(spec))
    ejected.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for model in (ejected, loaded):
        for ours, theirs in zip(outputs(model), outputs(built), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_training_script_learns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = eject("lenet5", train=True).replace("EPOCHS = 30", "EPOCHS = 2")
    scope_of(source)["train_model"]()
    assert ast.literal_eval(capsys.readouterr().out.splitlines()[-1])["accuracy"] > 0.8


@pytest.mark.parametrize("family", FAMILIES)
def test_every_name_of_a_recipe_is_a_class_of_keras(family):
    classes = classes_of(keras, family)
    for name in family.names:
        assert classes[name].__name__ == class_name(name)

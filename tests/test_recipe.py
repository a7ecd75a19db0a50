"""The `train:` section as a value: what it may say, in whose words it is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from archspec.diagnostics import UsageError
from archspec.training.recipe import Recipe, RecipeError

DESIGN = {
    "data": {"source": "digits"},
    "batch": 128,
    "epochs": 20,
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1.0e-4}},
    "schedule": {"plateau": {"factor": 0.1, "patience": 5}},
    "callbacks": [{"early_stopping": {"patience": 10}}],
}


def test_a_recipe_says_all_it_was_told():
    recipe = Recipe.resolve(DESIGN)
    assert (recipe.batch, recipe.epochs) == (128, 20)
    assert recipe.optimizer.name == "sgd"
    assert recipe.optimizer.arguments["momentum"] == 0.9
    assert recipe.schedule.plateau.patience == 5
    assert recipe.schedule.cosine is None
    assert recipe.callbacks[0].arguments == {"patience": 10}


@pytest.mark.parametrize(
    "section",
    [
        {},
        DESIGN,
        {"schedule": "cosine", "metrics": ["top_k_categorical_accuracy"]},
        {"schedule": {"step": {"at": [80, 120]}}},
    ],
)
def test_what_is_written_is_read_back_as_the_same_recipe(section):
    recipe = Recipe.resolve(section)
    written = yaml.safe_dump(recipe.to_dict())
    assert Recipe.resolve(yaml.safe_load(written)) == recipe


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ({"data": "digits"}, {"data": {"source": "digits"}}),
        ({"optimizer": "adam"}, {"optimizer": {"adam": {}}}),
        ({"optimizer": "adam"}, {"optimizer": {"adam": None}}),
        ({"schedule": "plateau"}, {"schedule": {"plateau": {"factor": 0.1, "patience": 5}}}),
        ({"callbacks": ["early_stopping"]}, {"callbacks": ({"early_stopping": {}},)}),
    ],
)
def test_short_and_full_forms_are_equal(short, full):
    assert Recipe.resolve(short) == Recipe.resolve(full)


@pytest.mark.parametrize(
    ("section", "path", "code", "words"),
    [
        ({"epoch": 3}, "epoch", "unknown-key", "`epoch` is not a key here"),
        ({"epochs": 0}, "epochs", "value", "must be a whole number from 1 to 2147483647, not 0"),
        ({"epochs": 2.5}, "epochs", "type", "must be a whole number from 1 to 2147483647, not 2.5"),
        ({"batch": 10**30}, "batch", "value", "must be a whole number from 1 to 2147483647"),
        ({"epochs": True}, "epochs", "type", "not true"),
        ({"epochs": "20"}, "epochs", "type", 'not "20"'),
        ({"epochs": None}, "epochs", "type", "not null"),
        ({"data": "cifar10"}, "data.source", "value", "is not available; available: digits"),
        ({"data": 3}, "data", "type", "must be a mapping, not 3"),
        ({"data": {"validation": 0.9}}, "data.validation", "value", "a number from 0 to 0.5"),
        ({"optimizer": 3}, "optimizer", "value", "write a name, or one name with its arguments"),
        ({"optimizer": {"adam": {}, "sgd": {}}}, "optimizer", "value", "write a name"),
        ({"schedule": "plato"}, "schedule.plato", "unknown-key", "`plato` is not a key here"),
        ({"schedule": {"step": {}}}, "schedule.step.at", "missing", "is missing"),
        ({"schedule": {"step": {"at": [0]}}}, "schedule.step.at.0", "value", "not 0"),
        ({"schedule": {"step": {"at": []}}}, "schedule.step.at", "value", "a list of epochs"),
        ({"callbacks": "early_stopping"}, "callbacks", "type", "must be a list"),
        ({"callbacks": ["early_stoping"]}, "callbacks", "value", "did you mean `early_stopping`?"),
        (
            {"schedule": "cosine", "callbacks": [{"reduce_lr_on_plateau": {"factor": 0.5}}]},
            "callbacks",
            "value",
            "write `schedule: {plateau: {factor: 0.1, patience: 5}}` instead",
        ),
        (
            {"callbacks": [{"model_checkpoint": {"filepath": "/"}}]},
            "callbacks",
            "value",
            "there is no",
        ),
        ({1: 2}, "1", "unknown-key", "`1` is not a key here"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section, path, code, words):
    with pytest.raises(RecipeError) as caught:
        Recipe.resolve(section)
    ((where, problem),) = caught.value.problems
    assert ".".join(map(str, where)) == path
    assert problem.code == code
    assert words in problem.message
    assert "pydantic" not in problem.message.lower()


def test_all_problems_are_found_at_once():
    with pytest.raises(RecipeError) as caught:
        Recipe.resolve({"epochs": 0, "schedule": {"plateau": {"factor": 2, "patiense": 1}}})
    paths = [".".join(map(str, path)) for path, _ in caught.value.problems]
    assert paths == ["epochs", "schedule.plateau.factor", "schedule.plateau.patiense"]


@pytest.mark.parametrize(
    ("section", "overrides", "changed"),
    [
        ({"epochs": 5}, {"epochs": 9}, {"epochs": 9}),
        ({"epochs": 5}, {"epochs": None}, {"epochs": 5}),
        ({}, {"learning_rate": 0.5}, {"optimizer": {"adam": {"learning_rate": 0.5}}}),
        ({"optimizer": {"sgd": {"momentum": 0.9}}}, {"optimizer": "adam"}, {"optimizer": "adam"}),
        (
            {"optimizer": {"sgd": {"momentum": 0.9}}},
            {"optimizer": "sgd", "learning_rate": 0.1},
            {"optimizer": {"sgd": {"momentum": 0.9, "learning_rate": 0.1}}},
        ),
        (
            {"data": {"source": "digits", "validation": 0.2}},
            {"data": "digits"},
            {"data": {"source": "digits", "validation": 0.2, "seed": 0}},
        ),
    ],
)
def test_what_is_given_outside_goes_before_the_section(section, overrides, changed):
    resolved = Recipe.resolve(section, overrides).to_dict()
    assert {name: resolved[name] for name in changed} == changed


@pytest.mark.parametrize(
    "overrides",
    [
        {"epochs": 0},
        {"data": "cifar10"},
        {"optimizer": 3},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
    ],
)
def test_what_is_wrong_outside_is_no_problem_of_the_spec(overrides):
    with pytest.raises(UsageError):
        Recipe.resolve({}, overrides)


def test_a_recipe_is_checked_without_anything_heavy():
    code = (
        "import sys; from archspec.training.recipe import Recipe; Recipe.resolve({}); "
        "print({'keras', 'numpy', 'sklearn', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""The `train:` section as a value: what it may say, in whose words it is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from support.commands import imported_by

from archspec.errors import Problem, RecipeError, UsageError
from archspec.recipe import families
from archspec.recipe.train import Recipe

DESIGN = {
    "data": {"source": "digits"},
    "batch": 128,
    "epochs": 20,
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1.0e-4}},
    "schedule": {"plateau": {"factor": 0.1, "patience": 5}},
    "callbacks": [{"early_stopping": {"patience": 10}}],
}


DECAY = {"initial_learning_rate": 0.1, "decay_steps": 9}
SGD = {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}


def problems(section: dict[str, Any]) -> list[tuple[str, Problem]]:
    """Return what is wrong with a section, and where."""
    with pytest.raises(RecipeError) as caught:
        Recipe.resolve(section)
    return [(".".join(map(str, path)), problem) for path, problem in caught.value.problems]


def nested(place: str, value: Any) -> Any:
    """Return a section that has a value at a place."""
    for key in reversed(place.split(".")):
        value = [value] if key == "0" else {key: value}
    return value


def test_a_recipe_says_all_it_was_told():
    said = Recipe.resolve(DESIGN)
    assert (said.batch, said.epochs) == (128, 20)
    assert said.optimizer.name == "sgd"
    assert said.optimizer.arguments["momentum"] == 0.9
    assert said.schedule.plateau.patience == 5
    assert said.schedule.cosine is None
    assert said.callbacks[0].arguments == {"patience": 10}


@pytest.mark.parametrize(
    "section",
    [
        {},
        DESIGN,
        {"schedule": "cosine", "metrics": ["top_k_categorical_accuracy"]},
        {"schedule": {"step": {"at": [80, 120]}}, "warmup": 5},
        {"schedule": {"exponential_decay": {"decay_steps": 100, "decay_rate": 0.9}}},
        {"optimizer": {"muon": {"rms_rate": None}}},
        {"optimizer": {"lossscaleoptimizer": {"inner_optimizer": {"sgd": {"momentum": 0.9}}}}},
        {"augment": ["horizontal_flip", {"random_crop": {"padding": 4}}]},
        {"class_weights": {0: 2, "1": 0.5}, "devices": "all", "jit": False},
        {"transfer": {"from": "runs/a", "freeze": "all", "unfreeze": [{"epoch": 3}]}},
    ],
)
def test_what_is_written_is_read_back_as_the_same_recipe(section):
    resolved = Recipe.resolve(section)
    written = yaml.safe_dump(resolved.to_dict())
    assert Recipe.resolve(yaml.safe_load(written)) == resolved


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ({"data": "digits"}, {"data": {"source": "digits"}}),
        ({"optimizer": "adam"}, {"optimizer": {"adam": {}}}),
        ({"optimizer": "adam"}, {"optimizer": {"adam": None}}),
        ({"schedule": "plateau"}, {"schedule": {"plateau": {"factor": 0.1, "patience": 5}}}),
        ({"loss": "huber"}, {"loss": {"huber": None}}),
        ({"callbacks": ["early_stopping"]}, {"callbacks": ({"early_stopping": {}},)}),
        (
            {"augment": ["horizontal_flip"]},
            {"augment": [{"horizontal_flip": {"probability": 0.5}}]},
        ),
        ({"class_weights": {3: 2}}, {"class_weights": {"3": 2.0}}),
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
        ({"data": "cats"}, "data", "value", "`cats` is not available; available: digits"),
        ({"data": {"source": "cats"}}, "data.source", "value", "`cats` is not available"),
        ({"data": 3}, "data", "type", "must be a mapping, not 3"),
        ({"data": {"validation": 0.9}}, "data.validation", "value", "a number from 0 to 0.5"),
        ({"optimizer": 3}, "optimizer", "value", "write a name, or one name with its arguments"),
        ({"optimizer": {"adam": {}, "sgd": {}}}, "optimizer", "value", "write a name"),
        ({"schedule": {"keras": {}}}, "schedule.keras", "unknown-name", "no schedule `keras`"),
        ({"schedule": {"cosine": {}, "step": {}}}, "schedule", "value", "write one of plateau, "),
        ({"schedule": {"step": {}}}, "schedule.step.at", "missing", "is missing"),
        ({"schedule": {"step": {"at": [0]}}}, "schedule.step.at.0", "value", "not 0"),
        ({"schedule": {"step": {"at": []}}}, "schedule.step.at", "value", "a list of epochs"),
        ({"callbacks": "early_stopping"}, "callbacks", "type", "must be a list"),
        ({"augment": "mixup"}, "augment", "type", "must be a list"),
        ({"augment": ["mixup", "flip"]}, "augment.1", "value", "there is no augmentation `flip`"),
        ({"class_weights": "balance"}, "class_weights", "type", "must be balanced, or a number "),
        ({"class_weights": {"a": -1}}, "class_weights", "type", 'not {"a": -1}'),
        ({"class_weights": {True: 1}}, "class_weights", "type", "for classes by name"),
        ({"precision": "half"}, "precision", "type", "must be one of float32, mixed_bfloat16, "),
        ({"jit": 1.5}, "jit", "type", "must be auto, true or false, not 1.5"),
        ({"devices": 0}, "devices", "type", "must be all, a whole number from 1 to 2147483647"),
        ({"steps_per_execution": "many"}, "steps_per_execution", "type", "must be auto or a whole"),
        ({"warmup": -1}, "warmup", "value", "must be a whole number from 0 to 2147483647, not -1"),
        ({"transfer": {}}, "transfer.from", "missing", "`train.transfer.from` is missing"),
        ({"transfer": "runs/a"}, "transfer", "type", 'must be a mapping, not "runs/a"'),
        (
            {"transfer": {"from": "a", "unfreeze": [{"epoch": 0}]}},
            "transfer.unfreeze.0.epoch",
            "value",
            "must be a whole number from 1 to 2147483647, not 0",
        ),
        (
            {"augment": ["mixup"], "loss": "sparse_categorical_crossentropy"},
            "loss",
            "value",
            "`mixup` mixes classes, and `sparse_categorical_crossentropy` takes one for each image",
        ),
        ({1: 2}, "1", "unknown-key", "`1` is not a key here"),
        (
            {"loss": {"output": "hinge", "side": "huber"}},
            "loss",
            "value",
            "write one loss, a name or one name with its arguments: every head has it",
        ),
        (
            {"metrics": ["auc", "sparse_categorical_accuracy"]},
            "metrics.1",
            "value",
            "`sparse_categorical_accuracy` takes the number of an image's class",
        ),
        (
            {"metrics": ["auc"], "loss": "sparse_categorical_crossentropy"},
            "metrics.0",
            "value",
            "`auc` takes a value for each class",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section, path, code, words):
    ((where, problem),) = problems(section)
    assert (where, problem.code) == (path, code)
    assert words in problem.message
    assert "pydantic" not in problem.message.lower()


@pytest.mark.parametrize(
    ("section", "path", "message", "hint"),
    [
        ({"optimizer": "adan"}, "optimizer", "no optimizer `adan`", "did you mean `adam`?"),
        ({"optimizer": "Adam"}, "optimizer", "no optimizer `Adam`", "did you mean `adam`?"),
        ({"optimizer": "multioptimizer"}, "optimizer", "takes no", "trained by one optimizer"),
        ({"loss": "cross_entropy"}, "loss", "no loss `cross_entropy`", "_cross"),
        ({"loss": "ctc"}, "loss", "a recipe takes no loss `ctc`", "an image here has one class"),
        ({"metrics": ["auc", "f1_scor"]}, "metrics.1", "no metric `f1_scor`", "`f1_score`?"),
        ({"metrics": ["accuracy"]}, "metrics.0", "takes no", "records the accuracy"),
        ({"schedule": "platau"}, "schedule", "there is no schedule `platau`", "`plateau`?"),
        ({"schedule": "exp_decay"}, "schedule", "no schedule", "`exponential_decay`?"),
        ({"callbacks": ["early_stoping"]}, "callbacks.0", "no callback", "`early_stopping`?"),
        ({"callbacks": ["learning_rate_schedule"]}, "callbacks.0", "no", "write `schedule:`"),
        (
            {"callbacks": [{"reduce_lr_on_plateau": {"factor": 0.5}}]},
            "callbacks.0",
            "a recipe takes no callback `reduce_lr_on_plateau`",
            "write `schedule: {plateau: {factor: 0.1, patience: 5}}` instead",
        ),
        ({"callbacks": ["backup_and_restore"]}, "callbacks.0", "takes no", "archspec.resume(...)"),
        ({"callbacks": ["lambda_callback"]}, "callbacks.0", "takes no", "runs no code"),
        ({"callbacks": ["remote_monitor"]}, "callbacks.0", "takes no", "opens no connection"),
        ({"callbacks": ["terminate_on_nan"]}, "callbacks.0", "takes no", "that is not a number"),
    ],
)
def test_a_name_that_keras_does_not_have_is_found_without_keras(section, path, message, hint):
    ((where, problem),) = problems(section)
    assert (where, problem.code) == (path, "unknown-name")
    assert message in problem.message
    assert hint in problem.help


@pytest.mark.parametrize(
    ("place", "value", "message", "hint"),
    [
        ("optimizer.sgd.momentun", 0.9, "`sgd` has no argument `momentun`", "mean `momentum`?"),
        (
            "optimizer.sgd.learning_rate.cosine_decay",
            {"decay_steps": 9},
            "`cosine_decay` needs `initial_learning_rate`",
            "`initial_learning_rate` is a number from 0",
        ),
        (
            "schedule.exponential_decay",
            {"decay_steps": 9},
            "`exponential_decay` needs `decay_rate`",
            "`decay_rate` is a number above 0",
        ),
        ("callbacks.0.csv_logger.apend", True, "has no argument `apend`", "mean `append`?"),
        ("optimizer.sgd.learning_rate", "cosine", "no schedule `cosine`", "mean `cosine_decay`?"),
        (
            "weight_decay",
            1e-4,
            "`weight_decay` is not a key here",
            "it is the optimizer's, as `optimizer: {sgd: {weight_decay: 0.0001}}`",
        ),
    ],
)
def test_a_wrong_argument_has_its_mend(place, value, message, hint):
    where, problem = problems(nested(place, value))[0]
    assert where == place
    assert message in problem.message
    assert problem.help.endswith(hint)


INNER = "optimizer.lossscaleoptimizer.inner_optimizer"
RATE = "optimizer.sgd.learning_rate"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (RATE, -1, "a number above 0"),
        (RATE, None, "not null"),
        (f"{RATE}.cosine_decay.decay_step", 3, "`cosine_decay` has no argument `decay_step`"),
        ("optimizer.sgd.weight_decay", "1e-4", 'not "1e-4"'),
        ("optimizer.sgd.momentum", 2, "`momentum` of `sgd` must be a number from 0 to below 1, "),
        ("optimizer.sgd.nesterov", 1, "true or false, not 1"),
        ("optimizer.adam.clipnorm", True, "not true"),
        ("optimizer.adam.beta_1", math.nan, "not NaN"),
        ("optimizer.adam.name", "a b", "a name of letters"),
        ("optimizer.muon.exclude_layers", ["("], "must be a list of regular expressions"),
        ("optimizer.lossscaleoptimizer", {}, "needs `inner_optimizer`"),
        (INNER, 5, "`inner_optimizer`: write a name, or one name with its arguments"),
        (INNER, "adan", "Keras has no optimizer `adan`"),
        (INNER, {"lossscaleoptimizer": {}}, "a recipe takes no optimizer `lossscaleoptimizer`"),
        ("schedule.exponential_decay", {}, "needs `decay_steps` and `decay_rate`"),
        ("schedule.cosine_decay.decay_steps", 0, "a whole number from 1"),
        ("loss.categorical_crossentropy.label_smoothing", "0.1", 'from 0 to 1, not "0.1"'),
        ("loss.hinge.reduction", "none", "one of sum_over_batch"),
        ("loss.huber.delta", "x", 'a finite number, not "x"'),
        ("loss.huber.delta", [1], "a finite number"),
        ("loss.huber.dtype", {"class_name": "Net"}, "a number, a text, true, false, or a list of"),
        ("metrics.0.top_k_categorical_accuracy.k", 0, "from 1"),
        ("metrics.0.io_u", {}, "needs `num_classes` and `target_class_ids`"),
        ("callbacks.0.early_stopping.patience", 1.5, "1.5"),
        ("callbacks.0.early_stopping.mode", "up", "auto, min"),
    ],
)
def test_a_wrong_argument_is_found_without_keras(place, value, message):
    where, problem = problems(nested(place, value))[0]
    assert where == place
    assert message in problem.message


PIECES = {"piecewise_constant_decay": {"boundaries": [9], "values": [1, 0.1]}}


@pytest.mark.parametrize(
    ("section", "place", "message"),
    [
        (
            {"schedule": {"piecewise_constant_decay": {"boundaries": [5, 3], "values": [1, 2, 3]}}},
            "schedule.piecewise_constant_decay.boundaries",
            "must be a list of rising steps, as [100, 200], not [5, 3]",
        ),
        (
            {
                "optimizer": {"sgd": {"learning_rate": {"cosine_decay": DECAY}}},
                "schedule": "cosine",
            },
            "schedule",
            "`optimizer` has a schedule of its learning rate already",
        ),
        (
            {"schedule": {"cosine_decay": DECAY}, "optimizer": SGD},
            "schedule.cosine_decay.initial_learning_rate",
            "beside the `learning_rate` of `optimizer`",
        ),
        (
            {"schedule": {"cosine_decay": {"decay_steps": 9, "warmup_steps": 3}}, "warmup": 1},
            "schedule.cosine_decay.warmup_steps",
            "beside `warmup`",
        ),
        (
            {
                "schedule": PIECES,
                "transfer": {"from": "run", "unfreeze": [{"epoch": 3, "learning_rate": 1e-4}]},
            },
            "transfer.unfreeze.0.learning_rate",
            "`learning_rate` beside the `values` of `schedule`",
        ),
    ],
)
def test_arguments_that_do_not_go_together_are_found_without_keras(section, place, message):
    ((where, problem),) = problems(section)
    assert where == place
    assert message in problem.message


def test_a_newer_keras_may_have_more_names_but_no_more_callbacks(monkeypatch):
    monkeypatch.setattr(families, "KERAS", (0, 0))
    assert Recipe.resolve({"optimizer": "newest"}).optimizer.name == "newest"
    with pytest.raises(RecipeError):
        Recipe.resolve({"callbacks": ["newest"]})


def test_the_installed_kerass_version_is_read_once_however_many_recipes_there_are(monkeypatch):
    Recipe.resolve({"optimizer": "adam", "loss": "hinge"})
    monkeypatch.setattr("importlib.metadata.version", lambda _: pytest.fail("it was read again"))
    assert Recipe.resolve({"optimizer": "sgd", "loss": "hinge"}).optimizer.name == "sgd"


def test_all_problems_are_found_at_once():
    found = problems({"epochs": 0, "schedule": {"plateau": {"factor": 2, "patiense": 1}}})
    places = ["epochs", "schedule.plateau.factor", "schedule.plateau.patiense"]
    assert [where for where, _ in found] == places


@pytest.mark.parametrize(
    "section",
    [
        {"batch": 3.2e1},
        {"seed": 3.0, "warmup": 2.0},
        {"schedule": {"step": {"at": [3.0]}}},
        {"schedule": {"cosine_decay": {"decay_steps": 1e4}}},
        {"optimizer": {"adam": {"gradient_accumulation_steps": 4.0}}},
        {"augment": [{"random_crop": {"padding": 4.0}}]},
    ],
)
def test_a_whole_float_is_a_whole_number(section):
    written = json.loads(json.dumps(section), parse_float=lambda text: int(float(text)))
    assert Recipe.resolve(section).to_dict() == Recipe.resolve(written).to_dict()


@pytest.mark.parametrize(
    ("section", "help_"),
    [
        ({"batch_size": 32}, "did you mean `batch`?"),
        ({"num_epochs": 3}, "did you mean `epochs`?"),
        ({"dataset": "digits"}, "did you mean `data`?"),
        ({"lr_scheduler": "cosine"}, "did you mean `schedule`?"),
        ({"validation_split": 0.1}, "`data: {source: digits, validation: 0.1}`"),
        ({"early_stopping": True}, "`callbacks: [{early_stopping: {patience: 5}}]`"),
        ({"data": {"val_split": 0.1}}, "did you mean `validation`?"),
        ({"loss": "cross_entropy"}, "did you mean `categorical_crossentropy`?"),
        ({"optimizer": {"adam": {"lr": 0.1}}}, "did you mean `learning_rate`?"),
    ],
)
def test_a_word_of_another_tool_is_answered(section, help_):
    ((_, problem),) = problems(section)
    assert help_ in problem.help


def test_an_augmentation_of_another_tool_is_answered():
    with pytest.raises(RecipeError, match="did you mean `horizontal_flip`"):
        Recipe.resolve({"augment": ["RandomHorizontalFlip"]})


def test_a_wrong_schedule_hides_no_wrong_name():
    found = problems({"schedule": {"step": {}}, "optimizer": "adma", "metrics": ["auk"]})
    assert [where for where, _ in found] == ["optimizer", "metrics.0", "schedule.step.at"]


# What is given outside of the spec


@pytest.mark.parametrize(
    ("section", "overrides", "changed"),
    [
        ({"epochs": 5}, {"epochs": 9}, {"epochs": 9}),
        ({"epochs": 5}, {"epochs": None}, {"epochs": 5}),
        ({"schedule": "cosine"}, {"schedule": "plateau"}, {"schedule": "plateau"}),
        ({"warmup": 3}, {"warmup": 0, "jit": True}, {"warmup": 0, "jit": True}),
        ({}, {"learning_rate": 0.5}, {"optimizer": {"adam": {"learning_rate": 0.5}}}),
        ({"optimizer": SGD}, {"optimizer": "adam"}, {"optimizer": "adam"}),
        (
            {"optimizer": SGD},
            {"optimizer": "sgd", "learning_rate": 1},
            {"optimizer": {"sgd": {"learning_rate": 1, "momentum": 0.9}}},
        ),
        (
            {"optimizer": SGD},
            {"optimizer.sgd.momentum": 0.8, "optimizer.sgd.nesterov": True},
            {"optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}}},
        ),
        (
            {"optimizer": SGD},
            {"optimizer.adam.beta_1": 0.8},
            {"optimizer": {"adam": {"beta_1": 0.8}}},
        ),
        (
            {"optimizer": SGD},
            {"optimizer.sgd.learning_rate": {"cosine_decay": DECAY}},
            {"optimizer": {"sgd": {"learning_rate": {"cosine_decay": DECAY}, "momentum": 0.9}}},
        ),
        (
            {"optimizer": {"lossscaleoptimizer": {"inner_optimizer": SGD}}},
            {"learning_rate": 0.5},
            {
                "optimizer": {
                    "lossscaleoptimizer": {
                        "inner_optimizer": {"sgd": {"learning_rate": 0.5, "momentum": 0.9}}
                    }
                }
            },
        ),
        (
            {"schedule": "cosine"},
            {"schedule.plateau.patience": 2},
            {"schedule": {"plateau": {"patience": 2}}},
        ),
        ({"schedule": "cosine"}, {"schedule": None}, {"schedule": None}),
        (
            {"augment": ["horizontal_flip", {"random_crop": {"padding": 4}}]},
            {"augment.random_crop.padding": 2, "augment.mixup.alpha": 0.3},
            {
                "augment": [
                    "horizontal_flip",
                    {"random_crop": {"padding": 2}},
                    {"mixup": {"alpha": 0.3}},
                ]
            },
        ),
        (
            {"callbacks": ["early_stopping"]},
            {"callbacks.0.early_stopping.patience": 7},
            {"callbacks": [{"early_stopping": {"patience": 7}}]},
        ),
        (
            {"data": {"source": "digits", "validation": 0.2}},
            {"data": "digits", "data.resize": "crop"},
            {"data": {"source": "digits", "validation": 0.2, "resize": "crop"}},
        ),
        (
            {"class_weights": {"0": 2}},
            {"class_weights.1": 3},
            {"class_weights": {"0": 2, "1": 3}},
        ),
        (
            {"transfer": {"from": "a"}},
            {"transfer.from": "b", "transfer.freeze": "all"},
            {"transfer": {"from": "b", "freeze": "all"}},
        ),
        ({}, {"transfer.from": "b"}, {"transfer": {"from": "b"}}),
    ],
)
def test_what_is_given_outside_goes_before_the_section(section, overrides, changed):
    assert Recipe.resolve(section, overrides) == Recipe.resolve({**section, **changed})


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"epochs": 0}, "`epochs=`: `train.epochs` must be a whole number from 1"),
        ({"data": "cats"}, "`data=`: "),
        ({"optimizer": 3}, "`optimizer=`: `train.optimizer`: write a name"),
        (
            {"optimizer": "adan"},
            "`optimizer=`: Keras has no optimizer `adan`; did you mean `adam`?",
        ),
        ({"learning_rate": 0.0}, "`learning_rate=0.0`: it must be a finite number above 0"),
        ({"learning_rate": float("nan")}, "`learning_rate="),
        ({"learning_rate": float("inf")}, "`learning_rate="),
        ({"learning_rate": "high"}, "`learning_rate='high'`: it must be a finite number above 0"),
        ({"schedul": "cosine"}, "`schedul=`: `schedul` is not a key here; did you mean `sch"),
        ({"schedule": "platau"}, "`schedule=`: there is no schedule `platau`; did you mean"),
        ({"schedule.plateau.factor": 3}, "`schedule.plateau.factor=`: "),
        ({"data.resize": "shrink"}, "`data.resize=`: `train.data.resize` must be one of"),
        ({"epochs.a": 3}, "`epochs.a=`: `train.epochs` must be a whole number"),
        ({"data..a": 3}, "`data..a` is not a key of a recipe"),
        ({"augment.3": "mixup"}, "there is no item 3 in a list of 0"),
        ({"augment.random_crop.size": 3}, "`augment.random_crop.size=`: "),
        ({"epochs": 0, "batch": 0}, "`batch=`: "),
        (
            {"transfer.from": ""},
            "`transfer.from=`: `train.transfer.from` must be a run, a file or imagenet",
        ),
        (
            {"transfer.from": "imagenet", "transfer.unfreeze": [{"epoch": 0}]},
            "`transfer.unfreeze=`: `train.transfer.unfreeze.0.epoch` must be a whole number from 1",
        ),
    ],
)
def test_what_is_wrong_outside_is_said_of_its_option(overrides, words):
    with pytest.raises(UsageError) as caught:
        Recipe.resolve({}, overrides)
    assert words in str(caught.value)


def test_what_is_wrong_in_the_section_is_no_fault_of_what_is_given_outside():
    with pytest.raises(RecipeError):
        Recipe.resolve({"epochs": 0}, {"batch": 3})


def test_other_data_takes_the_split_but_not_what_was_said_of_the_first():
    """`data="digits"` replaces the folder of a recipe."""
    section = {"data": {"source": "folder", "path": "cats", "per_class": 9, "validation": 0.3}}
    resolved = Recipe.resolve(section, {"data": "digits"})
    assert (resolved.data.path, resolved.data.per_class, resolved.data.validation) == (
        None,
        None,
        0.3,
    )


def test_a_stage_has_its_own_epochs_and_learning_rate():
    section = {"optimizer": SGD, "epochs": 90, "schedule": "cosine"}
    stage = Recipe.resolve(section).for_stage(10, 0.01)
    assert stage == Recipe.resolve(section, {"epochs": 10, "learning_rate": 0.01})
    assert Recipe.resolve(section).for_stage(90, None) == Recipe.resolve(section)


def test_a_recipe_is_checked_without_anything_heavy():
    modules = imported_by("from archspec.recipe.train import Recipe; Recipe.resolve({})")
    assert not {"keras", "numpy", "sklearn", "tensorflow"} & modules

"""A recipe as Keras's objects: every name, every argument, and what they do to a training."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.commands import BACKEND, run
from support.specs import graph_of, spec_of, telling

import archspec
from archspec import system
from archspec.compile.expand import expand
from archspec.errors import RecipeError
from archspec.keras_model.build import build, load_model
from archspec.keras_model.engine import dtype_policy
from archspec.recipe import callback_files, compilation, families, objects
from archspec.recipe.least_loss import least_loss
from archspec.recipe.train import Recipe
from archspec.spec.bundled import bundled

pytestmark = pytest.mark.keras

STEPS = 4
"""Steps in an epoch of the trainings below."""


def backend() -> str:
    import keras

    return keras.backend.backend()


def examples(count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Images of 6x6 with one channel, and one of three classes for each."""
    random = np.random.default_rng(0)
    images = random.standard_normal((count, 6, 6, 1), dtype="float32")
    return images, np.eye(3, dtype="float32")[random.integers(3, size=count)]


def network(keras, recipe: Recipe, end: str = "fc: {units: 3, activation: softmax}"):
    """A small network with every sort of weight, and always the same ones."""
    keras.utils.set_random_seed(1)
    with dtype_policy(keras, recipe.precision):
        return build(
            graph_of(f"conv: {{filters: 2, norm: batch, bias: true}}, flatten, {end}", "[6, 6, 1]")
        )


def compiled(keras, train: dict, *, eager: bool = False):
    """The small network, ready to be trained by a recipe.

    `eager` spares TensorFlow and JAX the graph of a step, which takes longer than a few steps do.
    """
    recipe = Recipe.resolve({"batch": 4, **train})
    compilation.set_up(keras, recipe)
    model = network(keras, recipe)
    objective = compilation.objective(keras, recipe, model, {})
    model.compile(
        compilation.optimizer(keras, recipe, STEPS),
        loss=objective.loss,
        metrics=objective.metrics,
        jit_compile=compilation.jit(keras, recipe, model),
        steps_per_execution=compilation.steps_per_execution(keras, recipe, 1, STEPS),
        run_eagerly=eager,
    )
    model.optimizer.build(model.trainable_variables)
    compilation.spare_from_decay(model)
    return model


def trained(keras, train: dict, *, epochs: int = 1, eager: bool = False, **options):
    """The small network, after so many epochs of four steps."""
    model = compiled(keras, train, eager=eager)
    images, labels = examples()
    model.fit(images, labels, batch_size=4, epochs=epochs, shuffle=False, verbose=0, **options)
    return model


def weights(model) -> dict[str, np.ndarray]:
    return {weight.path: np.asarray(weight.numpy()) for weight in model.trainable_variables}


def distance(one, other) -> float:
    """Return the sum of the differences between two networks' weights."""
    first, second = weights(one), weights(other)
    return sum(float(np.abs(first[path] - second[path]).sum()) for path in first)


def problems(keras, train: dict) -> dict[str, tuple[str, str | None]]:
    """Return a recipe's problems that need Keras to find: message and help by place."""
    with pytest.raises(RecipeError) as caught:
        compilation.check(keras, Recipe.resolve(train))
    return {
        ".".join(map(str, path)): (problem.message, problem.help)
        for path, problem in caught.value.problems
    }


# Names


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.word)
def test_what_is_known_without_keras_is_what_it_has(keras, family):
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if version != families.KERAS:
        pytest.skip(f"the names are those of Keras {families.KERAS}")
    found = objects.classes_of(keras, family)
    assert set(found) == {*family.names, *family.refused}
    written = json.loads(objects.page(keras))[family.word]
    assert family.classes == {
        name: {argument: tuple(default) for argument, default in arguments.items()}
        for name, arguments in written.items()
    }


@pytest.mark.parametrize("name", sorted({*families.OPTIMIZERS.names} - {"lossscaleoptimizer"}))
def test_every_optimizer_trains_after_a_warmup_and_decays_kernels_alone(keras, name):
    arguments = {"learning_rate": 0.1, "weight_decay": 0.1}
    if name == "muon":
        arguments["adam_weight_decay"] = 0.1
    recipe = {"optimizer": {name: arguments}, "warmup": 1, "epochs": 3}
    model = compiled(keras, recipe, eager=True)
    variables, before = model.trainable_variables, weights(model)
    for _ in range(STEPS + 2):
        model.optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    for path, value in weights(model).items():
        sizes = np.abs(value).sum(), np.abs(before[path]).sum()
        if name == "ftrl":  # it computes weights anew from sums of gradients: there were none of
            assert sizes[0] == 0, path
        elif path.endswith("kernel"):
            assert sizes[0] < 0.99 * sizes[1], path
        else:
            assert sizes[0] == sizes[1], path
    images, labels = examples()
    model.fit(images, labels, batch_size=8, verbose=0)
    assert all(np.isfinite(value).all() for value in weights(model).values())


@pytest.mark.parametrize(
    "train",
    [
        {"precision": "mixed_float16"},
        {"optimizer": {"lossscaleoptimizer": {"inner_optimizer": {"sgd": {"weight_decay": 0.5}}}}},
    ],
    ids=["in mixed precision", "by its name"],
)
def test_where_the_loss_is_scaled_decay_spares_biases_too(keras, train):
    section = {"optimizer": {"sgd": {"weight_decay": 0.5}}, **train}
    recipe = Recipe.resolve(section, {"learning_rate": 0.1})
    model = compiled(keras, recipe.to_dict(), eager=True)
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    before = weights(model)
    images, labels = examples()
    model.fit(images, labels, batch_size=16, sample_weight=np.zeros(16), verbose=0)
    after = weights(model)
    for path in before:
        share = 0.95 if path.endswith("kernel") else 1.0  # 1 - decay x learning rate
        assert after[path] == pytest.approx(share * before[path], rel=1e-5), path


@pytest.mark.parametrize("name", families.LOSSES.names)
def test_every_loss_can_be_minimised(keras, name):
    recipe = Recipe.resolve({"loss": name})
    model = network(keras, recipe)
    objective = compilation.objective(keras, recipe, model, {})
    images, labels = examples()
    model.compile("sgd", loss=objective.loss, metrics=objective.metrics, run_eagerly=True)
    targets = labels if objective.one_hot else labels.argmax(axis=-1)
    losses = [model.train_on_batch(images, targets)[0] for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    accuracy = model.test_on_batch(images, targets, return_dict=True)["accuracy"]
    right = model.predict_on_batch(images).argmax(axis=-1) == labels.argmax(axis=-1)
    assert accuracy == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("end", "logits"),
    [
        ("fc: {units: 3, activation: softmax}", False),
        ("fc: {units: 3, activation: sigmoid}", False),
        ("fc: 3, softmax", False),
        ("fc: 3", True),
        ("fc: {units: 3, activation: relu}", True),
    ],
)
def test_a_loss_is_told_whether_it_gets_probabilities(keras, end, logits):
    recipe = Recipe.resolve({"metrics": ["auc", "categorical_crossentropy"]})
    objective = compilation.objective(keras, recipe, network(keras, recipe, end), {})
    assert objective.loss.get_config()["from_logits"] == logits
    assert [metric.get_config().get("from_logits") for metric in objective.metrics] == [
        None,
        logits,
        logits,
    ]


@pytest.mark.parametrize(
    ("end", "probabilities"),
    [
        (lambda keras, x: keras.ops.softmax(x), True),
        (lambda keras, x: keras.ops.sigmoid(x), True),
        (lambda keras, x: keras.layers.Softmax()(x), True),
        (lambda keras, x: keras.layers.Activation("linear")(keras.ops.softmax(x)), True),
        (lambda keras, x: keras.layers.Reshape((3,))(keras.ops.softmax(x)), True),
        (lambda keras, x: keras.Sequential([keras.layers.Softmax()])(x), True),
        (lambda keras, x: keras.Sequential([keras.layers.Dense(3)])(x), False),
        (lambda keras, x: keras.layers.Activation("linear")(x), False),
        (lambda keras, x: keras.ops.relu(x), False),
    ],
)
def test_a_softmax_is_found_however_a_model_ends_in_it(keras, end, probabilities):
    """Missed, it would be followed by a second one, which makes all classes almost alike."""
    inputs = keras.Input((4,))
    output = end(keras, keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, output)
    assert compilation.gives_probabilities(keras, model.output) is probabilities


def test_a_loss_of_probabilities_refuses_scores(keras):
    recipe = Recipe.resolve({"loss": "kl_divergence"})
    with pytest.raises(RecipeError, match="compares probabilities, but `output` gives scores"):
        compilation.objective(keras, recipe, network(keras, recipe, "fc: 3"), {})


def test_each_head_has_its_own_loss_and_metrics(keras):
    graph = expand(
        spec_of(
            "{name: net, input: [6, 6, 1], layers: [flatten, {fc: 8, name: a}, fc: 3, softmax],"
            " heads: {aux: {from: a, loss_weight: 0.3, layers: [fc: 3]}}}"
        )
    )
    recipe = Recipe.resolve({"metrics": ["auc"]})
    objective = compilation.objective(keras, recipe, build(graph), graph.loss_weights)
    assert {name: loss.get_config()["from_logits"] for name, loss in objective.loss.items()} == {
        "aux": True,
        "output": False,
    }
    assert [metric.name for metric in objective.metrics["aux"]] == ["accuracy", "auc"]
    assert objective.loss_weights == {"aux": 0.3, "output": 1.0}
    assert objective.measure == "output_accuracy"


# The learning rate


def rate_at(optimizer, step: int) -> float:
    optimizer.variables[0].assign(step)  # how many there were
    return float(optimizer.learning_rate)


@pytest.mark.parametrize(
    ("train", "rates"),
    [
        ({}, {0: 0.8, 100: 0.8}),
        ({"schedule": "plateau"}, {0: 0.8, 100: 0.8}),
        ({"warmup": 2}, {0: 0.04, 9: 0.4, 19: 0.8, 100: 0.8}),
        (
            {"schedule": {"step": {"at": [4, 2], "factor": 0.5}}},
            {0: 0.8, 19: 0.8, 20: 0.4, 39: 0.4, 40: 0.2},
        ),
        (
            {"schedule": {"step": {"at": [1, 4], "factor": 0.5}}, "warmup": 2},
            {9: 0.2, 19: 0.4, 39: 0.4, 40: 0.2},
        ),
        ({"schedule": "cosine"}, {0: 0.8, 50: 0.4, 100: 0.0}),
        ({"schedule": "cosine", "warmup": 2}, {0: 0.04, 19: 0.8, 20: 0.8, 60: 0.4, 100: 0.0}),
        (
            {"schedule": {"exponential_decay": {"decay_steps": 10, "decay_rate": 0.5}}},
            {0: 0.8, 10: 0.4, 30: 0.1},
        ),
        (
            {
                "schedule": {"exponential_decay": {"decay_steps": 10, "decay_rate": 0.5}},
                "warmup": 1,
            },
            {0: 0.04, 8: 0.36, 10: 0.4, 30: 0.1},
        ),
        (
            {"schedule": {"piecewise_constant_decay": {"boundaries": [9], "values": [1, 0.5]}}},
            {0: 1.0, 9: 1.0, 10: 0.5},
        ),
    ],
)
def test_the_learning_rate_follows_the_schedule(keras, train, rates):
    said = {} if "piecewise_constant_decay" in str(train) else {"learning_rate": 0.8}
    recipe = Recipe.resolve({"epochs": 10, "optimizer": {"sgd": said}, **train})
    optimizer = compilation.optimizer(keras, recipe, 10)
    found = {step: rate_at(optimizer, step) for step in rates}
    assert found == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize(
    ("train", "rates"),
    [
        # Keras's own schedules count updates, archspec's epochs: 20 steps are 5 updates, 2 epochs.
        ({"schedule": {"exponential_decay": {"decay_steps": 5, "decay_rate": 0.5}}}, {20: 0.4}),
        ({"schedule": {"step": {"at": [2], "factor": 0.5}}}, {19: 0.8, 20: 0.4}),
        ({"schedule": "cosine"}, {50: 0.4, 100: 0.0}),
        ({"warmup": 2}, {9: 0.4, 19: 0.8}),
    ],
)
def test_with_gathered_gradients_an_epoch_is_as_long_as_ever(keras, train, rates):
    arguments = {"learning_rate": 0.8, "gradient_accumulation_steps": 4}
    recipe = Recipe.resolve({"epochs": 10, "optimizer": {"sgd": arguments}, **train})
    optimizer = compilation.optimizer(keras, recipe, 10)
    assert {step: rate_at(optimizer, step) for step in rates} == pytest.approx(rates, abs=1e-6)


def test_a_schedule_may_be_said_as_the_optimizers_rate(keras):
    decay = {"exponential_decay": {"initial_learning_rate": 1, "decay_steps": 4, "decay_rate": 0.5}}
    optimizer = {"lossscaleoptimizer": {"inner_optimizer": {"sgd": {"learning_rate": decay}}}}
    made = compilation.optimizer(keras, Recipe.resolve({"optimizer": optimizer, "warmup": 1}), 2)
    inner = made.inner_optimizer
    assert [rate_at(inner, step) for step in (0, 4, 8)] == pytest.approx([0.5**1.5, 0.5, 0.25])


@pytest.mark.parametrize(
    "train",
    [
        {"warmup": 1},
        {"warmup": 1, "schedule": "cosine"},
        {
            "optimizer": {"adam": {"gradient_accumulation_steps": 2}},
            "schedule": {"exponential_decay": {"decay_steps": 5, "decay_rate": 0.5}},
        },
    ],
)
def test_a_saved_model_has_its_schedule(keras, tmp_path, train):
    model = compiled(keras, train)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    steps = range(0, 100, 7)
    rates = [rate_at(model.optimizer, step) for step in steps]
    assert [rate_at(loaded.optimizer, step) for step in steps] == pytest.approx(rates)


class Rates:
    """Records the learning rate of each epoch; must be called after the recipe's callbacks."""

    def __init__(self, keras) -> None:
        self.seen: list[float] = []
        self.callback = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: self.seen.append(
                float(self.callback.model.optimizer.learning_rate)
            )
        )


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_plateau_lowers_the_rate_after_a_rise_epoch_by_epoch(keras, tmp_path, precision):
    train = {
        "optimizer": {"sgd": {"learning_rate": 0.8}},
        "warmup": 2,
        "schedule": {"plateau": {"patience": 2, "min_delta": 100, "factor": 0.5}},
        "data": {"validation": 0},
        "precision": precision,
    }
    model = compiled(keras, train, eager=True)
    rates = Rates(keras)
    callbacks = [*compilation.callbacks(keras, Recipe.resolve(train), tmp_path), rates.callback]
    images, labels = examples()
    model.fit(images, labels, batch_size=16, epochs=7, callbacks=callbacks, verbose=0)
    assert rates.seen == pytest.approx([0.2, 0.6, 0.8, 0.8, 0.4, 0.4, 0.2])


@pytest.mark.parametrize(
    ("cooldown", "steps_down"), [(0, [2, 4, 6]), (1, [2, 5, 8]), (2, [2, 6, 10])]
)
def test_no_epoch_of_a_cooldown_or_a_warmup_counts_as_one_without_progress(
    keras, tmp_path, cooldown, steps_down
):
    """None but the first progresses: after each step down come a cooldown and the patience."""
    for warmup in (0, 1, 3):
        plateau = {"patience": 2, "cooldown": cooldown, "min_delta": 100}
        recipe = Recipe.resolve({"warmup": warmup, "schedule": {"plateau": plateau}})
        lower = compilation.callbacks(keras, recipe, tmp_path)[0]
        lower.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0)))
        lower.on_train_begin()
        before, found = 1.0, []
        for epoch in range(1, 15):
            lower.on_epoch_end(epoch - 1, {"val_loss": 1.0})
            if lower.model.optimizer.learning_rate < before:
                before = lower.model.optimizer.learning_rate
                found.append(epoch - max(warmup, 1))
        assert found[:3] == steps_down


# What arguments do


def test_gradients_are_gathered_before_an_update(keras):
    gathered = {"sgd": {"learning_rate": 0.1, "gradient_accumulation_steps": 2}}
    model = compiled(keras, {"optimizer": gathered}, eager=True)
    before = weights(model)
    images, labels = examples(8)
    model.train_on_batch(images[:4], labels[:4])
    moved = [path for path in before if (weights(model)[path] != before[path]).any()]
    assert moved == []
    model.train_on_batch(images[4:], labels[4:])
    moved = [path for path in before if (weights(model)[path] != before[path]).any()]
    assert len(moved) >= len(before) - 1  # the bias before a norm has no gradient to speak of


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipped_gradients_move_less(keras, clip):
    still = compiled(keras, {})
    free = trained(keras, {"optimizer": "sgd"}, eager=True)
    clipped = trained(keras, {"optimizer": {"sgd": {clip: 1e-6}}}, eager=True)
    assert distance(clipped, still) < 1e-3 * distance(free, still)


def test_averaged_weights_take_the_place_of_the_last(keras):
    """An average that moves by a thousandth stays where the first step led."""
    said = {"learning_rate": 0.5, "use_ema": True, "ema_momentum": 0.999}
    overwritten = {"optimizer": {"sgd": {**said, "ema_overwrite_frequency": 1}}}
    plain = {"optimizer": {"sgd": {"learning_rate": 0.5}}}
    averaged, free = (trained(keras, train, eager=True) for train in (overwritten, plain))
    first = compiled(keras, plain, eager=True)
    images, labels = examples()
    first.train_on_batch(images[:4], labels[:4])
    assert distance(averaged, first) < 0.02 * distance(free, first)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_averages_are_seen_by_validations_and_callbacks_and_then_gone(keras, tmp_path, precision):
    """An average that moves by a thousandth stays where the first step led."""
    said = {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.999}
    train = {"optimizer": {"sgd": said}, "precision": precision}
    images, labels = examples()
    once = compiled(keras, train, eager=True)
    once.train_on_batch(images[:4], labels[:4])
    first = weights(once)
    recipe = Recipe.resolve({**train, "callbacks": ["early_stopping"]})
    opening, users, closing = compilation.callbacks(keras, recipe, tmp_path)
    seen: list[tuple[str, bool]] = []

    def look(when: str, model) -> None:
        now = weights(model)
        close = (np.allclose(now[path], first[path], atol=1e-3) for path in now)
        seen.append((when, all(close)))

    class Looks(keras.callbacks.Callback):
        def on_test_begin(self, *_):
            look("in validation", self.model)

        def on_test_end(self, *_):
            look("after validation", self.model)

        def on_epoch_end(self, *_):
            look("at an epoch's end", self.model)

    model = compiled(keras, train, eager=True)
    model.fit(
        images,
        labels,
        batch_size=4,
        shuffle=False,
        verbose=0,
        validation_data=(images[:4], labels[:4]),
        callbacks=[opening, users, Looks(), closing, Looks()],
    )
    assert list(dict.fromkeys(seen)) == [
        ("in validation", True),
        ("after validation", False),
        ("at an epoch's end", True),
        ("at an epoch's end", False),
    ]


SMOOTHED = {"categorical_crossentropy": {"label_smoothing": 0.3}}


@pytest.mark.parametrize(
    ("loss", "classes"),
    [
        (SMOOTHED, 2),
        (SMOOTHED, 10),
        ({"categorical_crossentropy": {"label_smoothing": 1.0}}, 5),
        ({"binary_crossentropy": {"label_smoothing": 0.2}}, 4),
    ],
)
def test_the_least_loss_is_what_keras_measures_of_the_smoothed_labels_themselves(
    keras, loss, classes
):
    ((name, arguments),) = loss.items()
    made = objects.make_object(
        keras, families.LOSSES, Recipe.resolve({"loss": loss}).loss, ("loss",)
    )
    sure = np.eye(classes, dtype="float32")
    smoothing = arguments["label_smoothing"]
    # A binary cross-entropy takes each class for a yes or no.
    target = sure * (1 - smoothing) + smoothing / (2 if name.startswith("binary") else classes)
    least = least_loss(Recipe.resolve({"loss": loss}), {"output": classes}, {})
    assert least.value == pytest.approx(float(made(sure, target)), rel=1e-5)
    worse = np.roll(target, 1, axis=0) * 0.1 + target * 0.9
    assert float(made(sure, worse)) > least.value + 1e-3 or smoothing == 1


def test_the_least_loss_of_the_default_recipe_on_ten_classes_is_a_half():
    assert str(least_loss(Recipe.resolve({}), {"output": 10}, {})) == (
        "least possible loss 0.5003 (label smoothing 0.1)"
    )


def test_heads_and_class_weights_count_in_the_least_loss():
    recipe = Recipe.resolve({"loss": SMOOTHED})
    one = least_loss(recipe, {"output": 4}, {}).value
    heads = least_loss(recipe, {"output": 4, "aux": 4}, {"aux": 0.3})
    assert heads.value == pytest.approx(1.3 * one)
    weighed = least_loss(recipe, {"output": 4}, {}, mean_weight=2.0, validated=False)
    assert (weighed.value, weighed.measure) == (pytest.approx(2 * one), "loss")
    judged = least_loss(recipe, {"output": 4}, {}, mean_weight=2.0)
    assert (judged.value, judged.measure) == (pytest.approx(one), "validation loss")


@pytest.mark.parametrize(
    ("train", "validated", "measure"),
    [
        ({"augment": ["mixup"]}, True, "validation loss"),
        ({"augment": ["mixup"]}, False, None),
        ({"augment": ["horizontal_flip"]}, False, "loss"),
        ({"loss": "categorical_crossentropy"}, True, None),
        ({"loss": "sparse_categorical_crossentropy"}, True, None),
        ({"loss": {"categorical_focal_crossentropy": {"label_smoothing": 0.1}}}, True, None),
        (
            {"loss": {"categorical_crossentropy": {"label_smoothing": 0.1, "reduction": "sum"}}},
            True,
            None,
        ),
    ],
)
def test_nothing_is_said_of_a_loss_whose_least_value_is_0_or_unknown(train, validated, measure):
    least = least_loss(Recipe.resolve(train), {"output": 3}, {}, validated=validated)
    assert (least.measure if least else None) == measure


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("end", ["fc: {units: 3, activation: softmax}", "fc: 3"])
def test_in_mixed_precision_the_output_is_exact(keras, tmp_path, precision, end):
    recipe = Recipe.resolve({"precision": precision})
    model = network(keras, recipe, end)
    images, _ = examples()
    inside = model.get_layer("conv1-convolution")
    assert keras.backend.standardize_dtype(inside.compute_dtype) == precision[len("mixed_") :]
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in model.weights} == {
        "float32"
    }
    assert keras.backend.standardize_dtype(model(images).dtype) == "float32"
    model.save(tmp_path / "model.keras")
    assert (
        load_model(tmp_path / "model.keras").predict(images, verbose=0)
        == model.predict(images, verbose=0)
    ).all()
    assert keras.config.dtype_policy().name == "float32"  # as it was before


# Callbacks


def test_what_callbacks_write_stays_inside_the_runs_folder(keras, tmp_path):
    recipe = Recipe.resolve(
        {
            "callbacks": [
                {"csv_logger": {"filename": "logs/all.csv"}},
                {
                    "model_checkpoint": {
                        "filepath": "{epoch:02d}-{val_loss:.1f}.weights.h5",
                        "save_weights_only": True,
                    }
                },
                "model_checkpoint",
            ]
        }
    )
    images, labels = examples()
    trained(
        keras,
        {},
        epochs=2,
        validation_data=(images, labels),
        callbacks=compilation.callbacks(keras, recipe, tmp_path / "callbacks"),
    )
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "callbacks/logs/all.csv",
        "callbacks/epoch001.keras",
        "callbacks/epoch002.keras",
    } < files
    assert {path.partition("-")[0] for path in files if path.endswith(".h5")} == {
        "callbacks/01",
        "callbacks/02",
    }
    assert len(files) == 5


@pytest.mark.parametrize("path", ["/x.csv", "../x.csv", "a/../../x", "C:\\x", "\\x", "a\nb"])
@pytest.mark.parametrize("callback", ["csv_logger", "model_checkpoint", "tensor_board"])
def test_no_callback_writes_outside_the_runs_folder(keras, monkeypatch, callback, path):
    monkeypatch.setattr(callback_files, "find_spec", lambda _: "there")
    argument = {
        "csv_logger": "filename",
        "model_checkpoint": "filepath",
        "tensor_board": "log_dir",
    }[callback]
    found = problems(keras, {"callbacks": [{callback: {argument: path}}]})
    message, hint = found[f"callbacks.0.{callback}.{argument}"]
    assert "must be a path inside the run's folder" in message
    assert "it is written to the run's folder `callbacks`" in hint


@pytest.mark.parametrize("name", ["{epoch.real}.keras", "{0}.keras", "{.keras", "{epoch:q}.keras"])
def test_a_files_name_is_made_of_numbers_alone(keras, name):
    found = problems(keras, {"callbacks": [{"model_checkpoint": {"filepath": name}}]})
    (((message, hint)),) = found.values()
    assert "is not a name with measures in it" in message
    assert "{epoch:03d}" in hint


def test_a_callback_watches_the_validation_loss_where_there_is_one(keras):
    def watched(train: dict) -> str:
        recipe = Recipe.resolve({"callbacks": ["early_stopping"], **train})
        return compilation.callbacks(keras, recipe, Path())[0].monitor

    assert watched({}) == "val_loss"
    assert watched({"data": {"validation": 0}}) == "loss"


@pytest.mark.parametrize(
    ("train", "path", "message"),
    [
        (
            {"callbacks": [{"early_stopping": {"monitor": "val_los"}}]},
            "early_stopping.monitor",
            "val_los",
        ),
        (
            {"callbacks": [{"model_checkpoint": {"filepath": "{f1:.2f}.keras"}}]},
            "model_checkpoint.filepath",
            "f1",
        ),
        ({"schedule": {"plateau": {"monitor": "val_acc"}}}, "plateau.monitor", "val_acc"),
    ],
)
def test_what_no_epoch_measures_cannot_be_watched(train, path, message):
    with pytest.raises(RecipeError) as caught:
        callback_files.check_measures(Recipe.resolve(train), {"loss", "val_loss", "val_accuracy"})
    ((where, problem),) = caught.value.problems
    assert ".".join(map(str, where)).endswith(path)
    assert problem.message == f"there is no `{message}` to monitor"


# What is wrong


@pytest.mark.parametrize(
    ("train", "place", "message"),
    [
        (
            {"optimizer": {"adam": {"gradient_accumulation_steps": 1}}},
            "optimizer.adam.gradient_accumulation_steps",
            "must be an integer >= 2",
        ),
        ({"optimizer": {"adam": {"clipnorm": 1, "clipvalue": 1}}}, "optimizer.adam", "refuses"),
        ({"loss": {"huber": {"dtype": "float"}}}, "loss.huber.dtype", "refuses `dtype` of `huber`"),
        (
            {"metrics": [{"precision": {"thresholds": [0.1, "x"]}}]},
            "metrics.0.precision.thresholds",
            "Keras refuses `thresholds` of `precision`",
        ),
        ({"metrics": [{"recall": {"thresholds": -1}}]}, "metrics.0.recall.thresholds", "refuses"),
        ({"metrics": ["auc", {"recall": {"name": "auc"}}]}, "metrics.1", "measure `auc` already"),
        ({"metrics": [{"auc": {"name": "accuracy"}}]}, "metrics.0", "measure `accuracy` already"),
        (
            {"callbacks": [{"model_checkpoint": {"filepath": "a"}}]},
            "callbacks.0.model_checkpoint.filepath",
            "Keras refuses",
        ),
    ],
)
def test_what_keras_would_find_late_is_refused_at_its_place(keras, train, place, message):
    found = problems(keras, train)
    assert place in found
    assert message in found[place][0]


def test_what_tensorboard_needs_is_missed_before_it_writes(keras, monkeypatch):
    monkeypatch.setattr(callback_files, "find_spec", {"tensorflow": "there"}.get)
    ((message, hint),) = problems(keras, {"callbacks": ["tensor_board"]}).values()
    assert message == "`tensor_board` needs tensorboard, which is not installed"
    assert "`tensorboard: true`" in hint


@pytest.mark.parametrize("known", [True, False], ids=["known", "of a newer Keras"])
def test_all_that_is_wrong_is_said_at_once(keras, monkeypatch, known):
    if not known:
        monkeypatch.setattr(families, "KERAS", (0, 0))
    train = {
        "optimizer": {"sgd": {"momentun": 0.9, "learning_rate": "x"}},
        "loss": {"hinge": {"alpha": 1}},
        "metrics": ["auc", {"recall": {"top_k": -1}}],
        "callbacks": [{"early_stopping": {"patients": 3}}, {"csv_logger": {"separator": 3}}],
    }
    assert list(problems(keras, train)) == [
        "optimizer.sgd.momentun",
        "optimizer.sgd.learning_rate",
        "loss.hinge.alpha",
        "metrics.1.recall.top_k",
        "callbacks.0.early_stopping.patients",
        "callbacks.1.csv_logger.separator",
    ]


# What the backends differ in


def test_how_a_step_is_compiled(keras):
    model = keras.Sequential([keras.layers.Input([8, 8, 1]), keras.layers.Conv2DTranspose(2, 3)])
    dilated = keras.layers.Conv2DTranspose(2, 3, dilation_rate=2)
    within = keras.Sequential([keras.layers.Input([8, 8, 1]), keras.Sequential([dilated])])
    for word in (True, False):
        assert compilation.jit(keras, Recipe.resolve({"jit": word}), within) == word
    if system.devices(keras)[0].startswith("cpu"):
        is_tensorflow = backend() == "tensorflow"  # XLA makes it slower on a CPU
        assert compilation.jit(keras, Recipe(), model) == (False if is_tensorflow else "auto")
        assert compilation.jit(keras, Recipe(), within) == (True if is_tensorflow else "auto")
        same = Recipe.resolve({"deterministic": True})  # for which TensorFlow has no XLA
        assert compilation.jit(keras, same, within) == (False if is_tensorflow else "auto")


@pytest.mark.parametrize(
    ("train", "macs", "steps", "expected"),
    [
        ({}, 10**6, 1000, {"tensorflow": 500, "jax": 1, "torch": 1}),
        ({"epochs": 100}, 10**6, 7, {"tensorflow": 7, "jax": 1, "torch": 1}),
        ({"epochs": 10}, 10**6, 7, {"tensorflow": 1, "jax": 1, "torch": 1}),  # 70 steps in all
        ({}, 10**12, 1000, {"tensorflow": 1, "jax": 1, "torch": 1}),
        ({"steps_per_execution": 5}, 1, 1000, {"tensorflow": 5, "jax": 5}),
        ({"steps_per_execution": 5}, 1, 3, {"tensorflow": 3, "jax": 3}),
    ],
)
def test_how_many_steps_run_at_once(keras, train, macs, steps, expected):
    recipe = Recipe.resolve(train)
    if backend() in expected:
        assert compilation.steps_per_execution(keras, recipe, macs, steps) == expected[backend()]
    else:
        assert problems(keras, train) == {
            "steps_per_execution": (
                "with PyTorch, Keras runs one step per execution",
                "leave it out, or write auto",
            )
        }


DETERMINISTIC = """
import sys
from pathlib import Path
from archspec.keras_model.engine import load_keras
from archspec.recipe import compilation
from archspec.recipe.train import Recipe
keras = load_keras()
flag = compilation.DETERMINISTIC_XLA
compilation.DETERMINISTIC_XLA = f"--xla_dump_to={sys.argv[1]}"  # one that can be seen on a CPU
compilation.set_up(keras, Recipe.resolve({"deterministic": True}))
match keras.backend.backend():
    case "tensorflow":
        from tensorflow.python.framework.config import is_op_determinism_enabled
        print(is_op_determinism_enabled())
    case "torch":
        import torch
        print(torch.are_deterministic_algorithms_enabled())
    case "jax":
        keras.ops.convert_to_numpy(keras.ops.ones(2) + 1)
        print(flag == "--xla_gpu_deterministic_ops=true" and any(Path(sys.argv[1]).iterdir()))
"""


def test_determinism_is_asked_of_the_backend(tmp_path):
    """In a separate process, because the setting lasts."""
    assert run(tmp_path, code=DETERMINISTIC, engine=BACKEND).stdout.split() == ["True"]


def test_a_gpu_on_which_jax_has_computed_cannot_be_made_deterministic(keras, monkeypatch):
    if backend() != "jax":
        pytest.skip("only XLA reads its flags once")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(system, "devices", lambda _: ["gpu:0"])
    keras.ops.ones(1)
    with pytest.raises(RecipeError, match="JAX has started computing"):
        compilation.set_up(keras, Recipe.resolve({"deterministic": True}))
    assert "XLA_FLAGS" not in os.environ  # it would look as if it had been heard


# The recipes that come with archspec


RECIPES = {name: train for name in bundled() if (train := archspec.load(name).train)}


def words_of(recipe):
    """What a recipe makes of Keras: names of optimizers, schedules, losses and their arguments."""
    compiled = {key: recipe[key] for key in recipe.keys() - {"data", "augment"}}
    return {*re.findall("[a-z_]+", json.dumps(compiled))}


@pytest.mark.parametrize("family", telling({name: words_of(RECIPES[name]) for name in RECIPES}))
def test_every_bundled_recipe_trains(keras, tmp_path, family):
    """By its optimizer, loss, schedule and callbacks; on other data, and a small network."""
    recipe = Recipe.resolve(RECIPES[family])
    callbacks = compilation.callbacks(keras, recipe, tmp_path)
    images, labels = examples()
    model = compiled(keras, recipe.to_dict(), eager=True)
    history = model.fit(
        images, labels, epochs=2, verbose=0, callbacks=callbacks, validation_data=(images, labels)
    ).history
    assert np.isfinite(history["loss"]).all()

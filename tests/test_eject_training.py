"""Ejected training scripts do what `archspec fit` does: same batches, weights, rates and losses."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from support.ejected import in_layout, scope_of
from support.specs import spec_of

import archspec
from archspec.ejection.ejecting import ejected
from archspec.training.session import plan_training, prepare

pytestmark = pytest.mark.keras


CLASSES = "{fc: 10}, softmax"


@dataclass
class Both:
    """What a script and archspec give to Keras's `fit`."""

    session: Any
    model: Any
    given: dict[str, Any]
    """The arguments of the script's call of `fit`."""

    @property
    def train(self) -> Any:
        return self.given["x"]


class _FitError(Exception):
    """Raised in place of training."""


@pytest.fixture
def both(tmp_path, monkeypatch) -> Callable[..., Both]:
    """A function that runs a spec's script up to its call of `fit`, and prepares archspec's.

    It asserts that one batch is the same, by default the second.
    """
    monkeypatch.chdir(tmp_path)

    def both(text: str, step: int = 1) -> Both:
        spec = spec_of(text)
        session = prepare(plan_training(spec, {}))
        session.compile(session.stages()[0], tmp_path)
        caught: dict[str, Any] = {}

        def fit(model: Any, x: Any, **given: Any) -> None:
            caught.update(model=model, given={"x": x, **given})
            raise _FitError

        with monkeypatch.context() as patch:
            patch.setattr(keras.Model, "fit", fit)
            before = keras.config.dtype_policy()
            with pytest.raises(_FitError):
                scope_of(ejected(spec, train=True).source)["train_model"]()
            keras.config.set_dtype_policy(before)
        run = Both(session, caught["model"], caught["given"])
        assert_same(run.train[step], session.train.batch_at(1, step))
        return run

    return both


def small(train: str, end: str = CLASSES, shape: str = "[8, 8, 1]") -> str:
    return (
        f"name: small\ninput: {shape}\nlayers: [{{conv: {{filters: 4, kernel: 3, norm: batch}}}}, "
        f"flatten, {end}]\ntrain: {train}"
    )


def assert_same(ours: Any, theirs: Any) -> None:
    """Assert that images, labels and weights of two batches are equal, up to rounding."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, dict):
            assert_same(list(one.values()), list(other.values()))
            assert list(one) == list(other)
        else:
            assert np.asarray(one).dtype.kind == np.asarray(other).dtype.kind
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)


def assert_same_loss(run: Both) -> None:
    """Assert that both models have the same metrics, and the same loss on a batch."""
    ours, theirs = (
        each.test_on_batch(*run.train[0], return_dict=True)
        for each in (run.model, run.session.model)
    )
    assert ours.keys() == theirs.keys()
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


AUGMENTATIONS = [
    "[horizontal_flip, {vertical_flip: {probability: 0.2}}]",
    "[{random_crop: {padding: 2, fill: reflect}}]",
    "[{shift: {vertical: 0.3}}, {gaussian_noise: {deviation: 0.1}}]",
    "[{rotation: {degrees: 40}}, horizontal_flip]",
    "[{rotation: {degrees: 80, fill: edge}}]",
    "[{rotation: {degrees: 80, fill: reflect}}]",
    "[random_resized_crop]",
    "[{color_jitter: {brightness: 0.4, contrast: 0.5}}, gaussian_noise]",
    "[random_erasing]",
    "[{random_erasing: {fill: zero, probability: 1}}]",
    "[horizontal_flip, mixup, {cutmix: {probability: 0.5}}]",
]


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_a_script_changes_images_as_archspec_does(augment, both):
    run = both(small(f"{{augment: {augment}, batch: 50}}"), step=0)
    last = len(run.train) - 1
    assert_same(run.train[last], run.session.train.batch_at(1, last))
    run.train.begin(epoch=2)
    assert_same(run.train[1], run.session.train.batch_at(2, 1))


@pytest.mark.parametrize(
    "data",
    [
        "digits",
        "{source: digits, normalize: symmetric, validation: 0.25, test: 0.15, seed: 3}",
        "{source: digits, normalize: torch, stratify: false}",
        "{source: digits, normalize: caffe}",
    ],
)
@pytest.mark.parametrize("shape", ["[8, 8, 3]", "[12, 5, 3]"])
def test_a_script_splits_resizes_and_normalises_as_archspec_does(data, shape, both):
    run = both(small(f"{{data: {data}}}", shape=shape), step=2)
    validation, theirs = run.given["validation_data"], run.session.validation
    assert_same(validation[1], theirs.batch_at(1, 1))
    assert len(validation) == theirs.steps
    assert len(run.train) == run.session.train.steps


def pictures(folder: Path, sizes: tuple[tuple[int, int], ...] = ((9, 12), (20, 8))) -> Path:
    """Save 12 PNG images for each of two classes."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            values = random.integers(0, 256, (*sizes[number % 2], 3), np.uint8)
            Image.fromarray(values).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_a_script_reads_a_folder_as_archspec_does(how, tmp_path, both):
    pictures(tmp_path / "pets", ((9, 12), (20, 13)))
    recipe = (
        f"{{data: {{source: folder, path: pets, resize: {how}}}, batch: 5, "
        "augment: [horizontal_flip], class_weights: {dog: 3}}"
    )
    both(small(recipe, "{fc: 2}, softmax", "[8, 8, 3]"))


def test_a_script_finds_pictures_in_inner_folders_and_none_in_hidden_ones(tmp_path, both):
    root = tmp_path / "pets"
    pictures(root)
    pictures(root / "cat" / "10")
    pictures(root / "dog" / "young")
    pictures(root / "dog" / ".trash")
    pictures(root / ".trash")
    text = small("{data: pets, batch: 9}", "{fc: 2}, softmax", "[8, 8, 3]")
    run = both(text)
    assert len(run.train) == run.session.train.steps


def test_a_script_keeps_the_parts_of_a_folder(tmp_path, both):
    for part in ("train", "val", "test"):
        pictures(tmp_path / "pets" / part)
    recipe = "{data: pets, batch: 24}"
    run = both(small(recipe, "{fc: 2}, softmax", "[8, 8, 1]"), step=0)
    validation = run.given["validation_data"]
    assert_same(validation[0], run.session.validation.batch_at(1, 0))
    assert len(run.train.images) == len(validation.images) == 24


LABELS = {
    "classes": (np.arange(40) % 3, "{fc: 3}, softmax", ""),
    "names": (np.array(["b", "a", "c", "a"] * 10), "{fc: 3}, softmax", ""),
    "one-hot": (np.eye(3)[np.arange(40) % 3], "{fc: 3}, softmax", ""),
    "labels": (np.arange(80).reshape(40, 2) % 3 // 2, "fc: {units: 2, activation: sigmoid}", ""),
    "numbers": (np.linspace(3, 50, 40), "fc: 1", ""),
    "scaled": (np.linspace(3, 50, 80).reshape(40, 2), "fc: 2", ", targets: standardize"),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_script_reads_arrays_as_archspec_does(name, tmp_path, both):
    labels, end, more = LABELS[name]
    images = np.random.default_rng(0).integers(0, 256, (40, 10, 6), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, y=labels)
    recipe = f"{{data: {{source: arrays, path: a.npz{more}}}, batch: 9}}"
    run = both(small(recipe, f"{{{end}}}" if end.startswith("fc") else end))
    assert type(run.model.loss) is type(run.session.model.loss)
    assert_same_loss(run)


CELLS = {
    "names": (["low", "mid", "high"], "{fc: 3}, softmax", "labels: quality"),
    "numbers of classes": (["3", "10", "4"], "{fc: 3}, softmax", "labels: quality"),
    "numbers with a point": (["3.0", "10.0", "4.0"], "{fc: 3}, softmax", "labels: quality"),
    "prices": (["1.5", "2.25", "0.5"], "fc: 1", "labels: quality, targets: standardize"),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_script_reads_the_features_of_a_table_as_archspec_does(name, tmp_path, both):
    words, end, more = CELLS[name]
    random = np.random.default_rng(0)
    rows = [
        f"{random.normal():.4f}; {random.choice(['True', 'false'])};{words[n % 3]};{n}"
        for n in range(60)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["acid;strong;quality;age", *rows, ""]))
    end = f"{{{end}}}" if end.startswith("fc") else end
    run = both(
        f"name: small\ninput: [3]\nlayers: [fc: 4, {end}]\n"
        f"train: {{data: {{source: table, path: a.csv, {more}}}, batch: 9}}"
    )
    assert_same(run.given["validation_data"][0], run.session.validation.batch_at(1, 0))


def test_a_script_reads_a_table_of_sets_of_labels_as_archspec_does(tmp_path, both):
    random = np.random.default_rng(0)
    rows = [",".join(map(str, [n, *random.integers(0, 2, 2)])) for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["age,sweet,sour", *rows]))
    both(
        "name: small\ninput: [1]\nlayers: [fc: {units: 2, activation: sigmoid}]\n"
        "train: {data: {source: table, path: a.csv, labels: [sweet, sour]}, batch: 9}"
    )


@pytest.mark.parametrize("is_split", [False, True])
def test_a_script_reads_the_images_of_a_table_as_archspec_does(is_split, tmp_path, both):
    pictures(tmp_path / "data" / "images")
    words = ["train", "Training", "val", "test"] if is_split else ["a", "b"]
    rows = [
        f"{name}/{n},{name if n else ''},{words[n % len(words)]}"
        for n in range(12)
        for name in ("cat", "dog")
    ]
    (tmp_path / "data" / "a.csv").write_text("\n".join(["id,class,split", *rows[2:]]))
    recipe = "{data: data/a.csv, batch: 5}"
    run = both(small(recipe, "{fc: 2}, softmax", "[8, 8, 3]"))
    assert_same(run.given["validation_data"][0], run.session.validation.batch_at(1, 0))


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    content = head + values.astype("uint8").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("first", [0, 1])
def test_a_script_reads_idx_files_as_archspec_does(first, tmp_path, both):
    random = np.random.default_rng(0)
    for prefix, count, end in (("train", 60, ""), ("t10k", 20, ".gz")):
        images = random.integers(0, 256, (count, 8, 8))
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{end}", images)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{end}", np.arange(count) % 5 + first)
    recipe = f"{{data: {{source: idx, path: '{tmp_path}'}}, batch: 9}}"
    run = both(small(recipe, "{fc: 5}, softmax", "[8, 8, 1]"))
    assert len(run.train.images) == len(run.session.data.train)


def test_a_script_reads_encoded_images_of_tensorflow_datasets(tmp_path, monkeypatch, both):
    splits = {}
    for split in ("train", "test"):
        files = sorted(pictures(tmp_path / split).rglob("*.png"))
        splits[split] = [
            {"image": each.read_bytes(), "label": int(each.parent.name == "dog")} for each in files
        ]
    library = ModuleType("tensorflow_datasets")
    library.decode = SimpleNamespace(SkipDecoding=object)  # type: ignore[attr-defined]
    image = SimpleNamespace(shape=(None, None, 3), encoding_format="png")
    features = {"image": image, "label": SimpleNamespace(names=["cat", "dog"])}
    info = SimpleNamespace(info=SimpleNamespace(features=features))
    library.builder = lambda _: info  # type: ignore[attr-defined]
    library.data_source = lambda *_, **__: splits  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", library)
    recipe = "{data: {source: tfds, name: pets}, batch: 5, augment: [horizontal_flip]}"
    run = both(small(recipe, "{fc: 2}, softmax", "[8, 8, 3]"))
    assert len(run.train.images) == len(run.session.data.train)


def test_a_script_says_why_a_table_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("acid,sugar\n1,2\n")
    text = "name: small\ninput: [1]\nlayers: [fc: 2]\ntrain: {data: a.csv}"
    (note, *_) = ejected(spec_of(text), train=True).notes
    assert "as the table was not read: a.csv: which column holds the labels is not" in note


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_a_script_makes_colours_grey_as_archspec_does(kind, tmp_path, both):
    images = np.random.default_rng(0).uniform(0, 1, (40, 8, 8, 3))
    images = (255 * images if kind == "uint8" else images).astype(kind)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(40) % 10)
    both(small("{data: {source: arrays, path: a.npz}, batch: 9}"))


@pytest.mark.parametrize("cache", ["auto", "false"])
def test_a_script_measures_the_images_that_archspec_measures(cache, tmp_path, both):
    images = np.random.default_rng(0).gamma(1, 30, (3_000, 4, 4)).clip(0, 255).astype("uint8")
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(3_000) % 10)
    run = both(small(f"{{data: {{source: arrays, path: a.npz, cache: {cache}}}}}"))
    assert len(run.train.images) == 2_100
    how = run.session.data.preprocessing
    assert how.measured == (2_100 if cache == "auto" else 2_000)
    np.testing.assert_allclose(run.train.mean, how.mean, rtol=1e-6)
    np.testing.assert_allclose(run.train.deviation, how.deviation, rtol=1e-6)


def test_each_head_of_a_network_gets_the_labels(both):
    text = (
        small("{class_weights: balanced}")
        + "\nheads:\n  aux: {from: flatten1, layers: [fc: 10, softmax], loss_weight: 0.3}"
    )
    run = both(text)
    assert_same_loss(run)


def test_a_script_says_which_data_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data, what in (("pets", "the folder of images"), ("a.npz", "the .npz file")):
        source = ejected(spec_of(small(f"{{data: ./{data}}}")), train=True).source
        with pytest.raises(FileNotFoundError, match=f"no ./{data}: set DATA to {what}"):
            scope_of(source)["load_data"]()


def test_a_script_changes_colours_as_archspec_does(tmp_path, both):
    jitter = "{brightness: 0.4, contrast: 0.5, saturation: 0.6, hue: 0.2}"
    augment = f"[{{color_jitter: {jitter}}}, horizontal_flip, {{cutmix: {{alpha: 0.4}}}}]"
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(40) % 10)
    text = small(f"{{data: a.npz, augment: {augment}, batch: 9}}", shape="[8, 8, 3]")
    both(text)


RATES = [
    "{optimizer: {sgd: {learning_rate: 0.2}}, schedule: {step: {at: [2, 3], factor: 0.3}}}",
    "{schedule: cosine, epochs: 4}",
    "{schedule: cosine, epochs: 4, warmup: 1}",
    "{warmup: 2, optimizer: {adamw: {weight_decay: 0.1}}}",
    "{schedule: {step: {at: [2]}}, warmup: 1}",
    "{schedule: {exponential_decay: {decay_steps: 5, decay_rate: 0.5}}, warmup: 1}",
    "{optimizer: {sgd: {learning_rate: {cosine_decay: {initial_learning_rate: 0.1, "
    "decay_steps: 20}}, gradient_accumulation_steps: 3}}, warmup: 1}",
    "{optimizer: {lossscaleoptimizer: {inner_optimizer: {sgd: {learning_rate: 0.5}}}}, warmup: 1}",
]


@pytest.mark.parametrize("recipe", RATES)
def test_the_learning_rate_of_each_step_is_archspecs(recipe, both):
    recipe = recipe.replace("{", "{batch: 300, ", 1)
    run = both(small(recipe))
    ours, theirs = (
        getattr(each.optimizer, "inner_optimizer", each.optimizer)
        for each in (run.model, run.session.model)
    )
    assert type(ours) is type(theirs)
    for step in range(4 * len(run.train) + 1):
        rates = []
        for each in (ours, theirs):
            each._iterations.assign(step)  # noqa: SLF001  (batches, accumulated or not)
            rates.append(float(keras.ops.convert_to_numpy(each.learning_rate)))
        assert rates[0] == pytest.approx(rates[1], rel=1e-6), step


RECIPES = [
    ("{}", CLASSES),
    (
        "{optimizer: {sgd: {learning_rate: 0.1, momentum: 0.9, weight_decay: 0.01}}, "
        "augment: [mixup, cutmix], metrics: [top_k_categorical_accuracy]}",
        CLASSES,
    ),
    (
        "{loss: sparse_categorical_crossentropy, class_weights: {'3': 5, '4': 0.1}, "
        "metrics: [sparse_categorical_crossentropy]}",
        "{fc: 10}",
    ),
    (
        "{schedule: {plateau: {patience: 1, min_delta: 9}}, warmup: 1, epochs: 4, "
        "loss: {categorical_focal_crossentropy: {gamma: 3}}, class_weights: balanced}",
        CLASSES,
    ),
    ("{optimizer: {adam: {use_ema: true, ema_momentum: 0.9}}}", CLASSES),
    ("{precision: mixed_float16}", CLASSES),
    (
        "{callbacks: [{early_stopping: {patience: 1, min_delta: 9}}, csv_logger], "
        "data: {source: digits, validation: 0}, "
        "optimizer: {sgd: {clipnorm: 0.1, gradient_accumulation_steps: 2}}}",
        CLASSES,
    ),
]


@pytest.mark.parametrize(
    "text",
    [
        *(small(f"{{augment: {augment}}}") for augment in AUGMENTATIONS),
        *(small(recipe) for recipe in RATES),
        *(small(recipe, end) for recipe, end in RECIPES),
        small("{data: {source: folder, path: pets, resize: pad}}"),
        small("{data: {source: arrays, path: a.npz}, schedule: plateau, warmup: 3}"),
        small("{data: {source: tfds, name: pets}, augment: [pca_lighting]}"),
    ],
)
def test_a_script_of_any_recipe_is_in_blacks_layout(text):
    source = ejected(spec_of(text), train=True).source
    assert in_layout(source) == source


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "end"), RECIPES)
def test_a_script_trains_to_the_figures_of_fit(recipe, end, tmp_path, monkeypatch):
    settings = "batch: 200, " if "epochs" in recipe else "batch: 200, epochs: 3, "
    text = small(recipe.replace("{", "{" + settings, 1), end)
    assert_trains_alike(text, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_script_trains_on_a_table_to_the_figures_of_fit(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    rows = [
        f"{x:.4f},{y:.4f},{'high' if x > y else 'low'}" for x, y in random.normal(size=(300, 2))
    ]
    (tmp_path / "a.csv").write_text("\n".join(["acid,sugar,class", *rows]))
    text = "name: small\ninput: [2]\nlayers: [fc: 8, fc: 2, softmax]\ntrain: {data: a.csv}"
    text = text.replace("a.csv", "a.csv, epochs: 4")
    assert_trains_alike(text, tmp_path, monkeypatch)


def assert_trains_alike(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a spec's script and `fit` give the same losses, accuracies and test score."""
    monkeypatch.chdir(folder)
    spec = spec_of(text)
    run = archspec.fit(spec, out=folder / "run")
    fit, caught = keras.Model.fit, []

    def kept(model: Any, *arguments: Any, **named: Any) -> Any:
        caught.append(fit(model, *arguments, **named, verbose=0))

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", kept)
        before = keras.config.dtype_policy()
        scope_of(ejected(spec, train=True).source)["train_model"]()
        keras.config.set_dtype_policy(before)
    history = caught[0].history
    is_mixed = "mixed" in text
    for row, place in zip(run.history, range(len(run.history)), strict=True):
        for name, values in history.items():
            if name != "learning_rate":
                wide = 0.05 if is_mixed else 2e-3
                assert values[place] == pytest.approx(row[name], rel=wide, abs=wide / 5), name
    assert len(run.history) == len(history["loss"])
    assert {*history} - {"learning_rate"} <= {*run.history[0]}

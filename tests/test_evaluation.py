"""Trained networks judged and asked, alone and together, on images prepared as each was trained.

Every wrong wish is refused, before Keras is loaded where that can be.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from functools import cache
from pathlib import Path

import click.testing
import numpy as np
import pytest
from PIL import Image
from support.commands import imported_by

import archspec
from archspec.cli import compare as cli_compare
from archspec.cli import evaluate as cli_evaluate
from archspec.cli import main
from archspec.cli import options as cli_options
from archspec.data.preprocessing import Preprocessing
from archspec.data.values import BYTES, LEVELS, Range
from archspec.errors import UsageError
from archspec.evaluation import heldout, scores, trained
from archspec.evaluation.evaluation import Evaluation, evaluate
from archspec.evaluation.prediction import Predictions, predict
from archspec.render import evaluation as evaluation_tables
from archspec.render import predictions as prediction_tables
from archspec.runs import comparison
from archspec.runs.records import DataRecord

pytestmark = pytest.mark.usefixtures("blank_pictures")

SMALL = """
name: small
input: [8, 8, 1]
vars: {classes: 10}
layers:
  - conv: {filters: 4, kernel: 3, activation: relu}
  - flatten
  - {fc: {units: =classes, activation: softmax}}
train: {epochs: 3, steps_per_execution: 1, metrics: [{top_k_categorical_accuracy: {k: 3}}]}
"""

HEADS = "heads: {aux: {from: conv1, layers: [flatten, fc: 10]}}\n"

WIDE = """
name: wide
input: [12, 12, 3]
layers:
  - conv: {filters: 4, kernel: 3, activation: relu}
  - flatten
  - fc: 10
train:
  epochs: 2
  steps_per_execution: 1
  data: {source: digits, normalize: symmetric}
  metrics: [{top_k_categorical_accuracy: {k: 3}}]
"""
"""Other images than SMALL's: larger, in colour, otherwise normalised; and logits."""


@cache
def digits():
    from sklearn.datasets import load_digits

    return load_digits()


@pytest.fixture(scope="module")
def runs(keras, blank_pictures, tmp_path_factory):  # noqa: ARG001
    """A folder of runs on digits: one and two, wide, another split, half the classes; and files.

    The one of another split has a head in training.
    """
    home = tmp_path_factory.mktemp("runs")
    specs = {}
    for name, text in (("small", SMALL), ("wide", WIDE), ("headed", SMALL + HEADS)):
        specs[name] = home / f"{name}.yaml"
        specs[name].write_text(text, encoding="utf-8")
    archspec.fit(specs["small"], out=home / "one")
    archspec.fit(specs["small"], out=home / "two", seed=1)
    archspec.fit(specs["wide"], out=home / "wide")
    other = {"data.seed": 1, "epochs": 1, "metrics": []}
    archspec.fit(specs["headed"], out=home / "elsewhere", **other)
    half = {"data.classes": ["5", "6", "7", "8", "9"], "epochs": 1}
    archspec.fit(archspec.load(specs["small"], classes=5), out=home / "half", **half)
    shutil.copy(home / "one" / "best.keras", home / "bare.keras")
    return home


@pytest.fixture
def here(runs, tmp_path, monkeypatch):
    """Runs by their names, from a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for path in runs.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def shown(path: Path, number: int, side: int = 8) -> Path:
    """A digit as an image file."""
    grey = np.rint(digits().images[number] * 255 / 16).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).resize((side, side)).save(path)
    return path


def kept(run: Path, name: str):
    return json.loads((run / name).read_text(encoding="utf-8"))


# Evaluation


@pytest.mark.parametrize("name", ["one", "wide"])
def test_a_run_is_judged_as_it_was_when_it_ended(runs, name):
    found = evaluate(runs / name)
    ended = kept(runs / name, "run.json")["test"]
    assert found.part == "test"
    assert found.ensemble is None
    assert found.result.scores.cells == scores.read(runs / name / "scores.json").cells
    assert found.result.measures | {"accuracy": found.result.scores.accuracy} == pytest.approx(
        ended, rel=1e-4
    )


def test_an_ensemble_takes_the_mean_of_probabilities(runs, tmp_path):
    members, file = ["one", "wide", "two"], tmp_path / "some.npz"
    asked, truth = digits().images[:300].astype(np.float32), digits().target[:300]
    np.savez(file, x=asked, y=truth)
    found = evaluate([runs / name for name in members], data=file)
    every = [predict(runs / name, asked, top=10) for name in members]
    probabilities = np.zeros((len(asked), 10))
    for predictions in every:
        for row, image in zip(probabilities, predictions, strict=True):
            for guess in image.guesses:
                row[int(guess.class_name)] += guess.probability / len(members)
    right = (probabilities.argmax(axis=1) == truth).mean()
    assert found.ensemble is not None
    assert found.ensemble.name == "ensemble of 3"
    assert found.ensemble.scores.accuracy == pytest.approx(right, abs=1e-3)
    own = -np.log(probabilities[np.arange(len(asked)), truth])
    smoothed = 0.91 * own - 0.01 * (np.log(probabilities).sum(axis=1) + own)
    assert found.ensemble.measures["loss"] == pytest.approx(smoothed.mean(), rel=1e-3)
    for run, name in zip(found.runs[:2], members[:2], strict=True):
        alone = evaluate(runs / name, data=file).result
        assert (run.name, run.scores.cells) == (alone.name, alone.scores.cells)


def test_of_a_network_with_heads_the_main_output_counts(runs):
    ended = kept(runs / "elsewhere", "run.json")["test"]
    found = evaluate(runs / "elsewhere").result
    assert found.scores.accuracy == pytest.approx(ended["output_accuracy"])
    # Keras takes an output's mean over batches, of which the last is smaller.
    assert found.measures == pytest.approx({"loss": ended["output_loss"]}, rel=2e-2)
    assert len(predict(runs / "elsewhere", digits().images[:2])) == 2


def test_the_size_of_a_batch_changes_no_score(runs, tmp_path):
    np.savez(tmp_path / "some.npz", x=digits().images[:90], y=digits().target[:90])
    found = [
        evaluate(runs / "one", data=tmp_path / "some.npz", batch=batch).result
        for batch in (1, 37, 1000)
    ]
    assert (found[0].scores.images, *found[0].measures)[:2] == (90, "loss")
    assert found[0].scores.cells == found[1].scores.cells == found[2].scores.cells
    assert found[0].scores.top == found[2].scores.top
    assert found[0].measures == pytest.approx(found[2].measures, rel=1e-5)


def test_flipping_makes_no_difference_between_an_image_and_its_mirror_image(runs):
    mirrored = digits().images[:20, :, ::-1]
    here, there = (predict(runs / "wide", x, flip=True) for x in (digits().images[:20], mirrored))
    assert [image.guesses[0].class_name for image in here] == [
        image.guesses[0].class_name for image in there
    ]
    assert [image.guesses[0].probability for image in here] == pytest.approx(
        [image.guesses[0].probability for image in there], abs=1e-5
    )
    straight = predict(runs / "wide", digits().images[:20])
    assert straight != here
    assert evaluate(runs / "wide", flip=True).flip


def test_what_a_run_learnt_from_is_no_test(runs):
    one, elsewhere = runs / "one", runs / "elsewhere"
    with pytest.raises(UsageError, match=r"elsewhere was trained on \d+ of .*one's 359 test"):
        evaluate([one, elsewhere])
    assert evaluate([elsewhere]).notes == ()
    together = evaluate([one, elsewhere], part="all")
    assert together.result.scores.images == 1797
    assert len(together.notes) == 2
    assert "one was trained on 1,258 of these 1,797 images" in together.notes[0]


def test_a_run_of_version_0_says_its_white_and_had_a_black_of_0(runs, tmp_path):
    (tmp_path / "old").mkdir()
    held = kept(runs / "one", "data.json")
    held["preprocessing"]["scale"] = held["preprocessing"].pop("range")[1]
    for key in ("version", "values", "notes", "copies", "split_rule"):
        del held[key]
    (tmp_path / "old" / "data.json").write_text(json.dumps(held), encoding="utf-8")
    old, new = (DataRecord.read(home) for home in (tmp_path / "old", runs / "one"))
    assert old.preprocessing == new.preprocessing
    assert (old.preprocessing.range, old.version, old.split_rule) == (LEVELS, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": b"a.png"}, "must be a path, a list of paths, or an array"),
        ({"images": ["a.png", 3]}, "must be a path, a list of paths, or an array"),
        ({"images": None}, "must be a path, a list of paths, or an array"),
        ({"images": "a.png", "batch": None}, "`batch=None` must be a whole number"),
    ],
)
def test_a_wrong_argument_of_predict_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        predict("nowhere", **arguments)


@pytest.mark.parametrize("function", [archspec.fit, archspec.resume])
def test_hosts_that_are_none_are_refused(function):
    with pytest.raises(
        UsageError, match=r"`hosts=2` must be an `archspec\.training\.hosts\.Hosts`"
    ):
        function("nowhere", hosts=2)


def test_images_that_are_not_any_more_those_of_training_are_refused(runs, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(runs / "one", changed)
    known = kept(changed, "data.json")["fingerprint"]
    for name in ("data.json", "origin.json"):  # what it would say if other images had been there
        said = (changed / name).read_text(encoding="utf-8")
        said = said.replace(known, "0" * 64)
        (changed / name).write_text(said, encoding="utf-8")
    with pytest.raises(UsageError, match=r"digits has changed since .* was trained on it"):
        evaluate(changed)
    found = evaluate(changed, data="digits")
    assert found.part == "all"
    assert "may have been trained on" in found.notes[0]


def test_classes_are_told_by_their_names(runs, tmp_path):
    """Half the classes are those of a run; a folder may lack some, and have them in any order."""
    half = evaluate(runs / "half")
    assert half.result.scores.classes == ("5", "6", "7", "8", "9")
    for number in range(60):
        if digits().target[number] in {7, 2}:
            shown(tmp_path / "photos" / str(digits().target[number]) / f"{number}.png", number)
    found = evaluate(runs / "one", data=tmp_path / "photos")
    assert found.part == "all"
    support = {score.name: score.images for score in found.result.scores.per_class()}
    assert support["7"] == list(digits().target[:60]).count(7)
    assert support["2"] == list(digits().target[:60]).count(2)
    assert sum(support.values()) == support["7"] + support["2"]
    with pytest.raises(UsageError, match=r"has `2`, which .* does not know; it knows `5`, `6`"):
        evaluate(runs / "half", data=tmp_path / "photos")


@pytest.mark.keras
def test_a_moved_folder_is_still_what_was_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(80):
        if digits().target[number] < 2:
            shown(Path("photos", "ab"[digits().target[number]], f"{number}.png"), number)
    Path("small.yaml").write_text(SMALL, encoding="utf-8")
    data = {"data": {"source": "folder", "path": "photos"}}
    archspec.fit(archspec.load("small.yaml", classes=2), out="run", epochs=1, metrics=[], **data)
    before = evaluate("run")
    Path("photos").rename("moved")
    with pytest.raises(UsageError, match="photos"):
        evaluate("run")
    after = evaluate("run", data="moved")
    assert (after.part, after.result.scores) == ("test", before.result.scores)


def test_arrays_are_as_bright_as_in_training_or_as_said(runs, tmp_path):
    def judged(name: str, images, **options):
        np.savez(tmp_path / name, x=images.astype(np.float32), y=digits().target[: len(images)])
        return evaluate(runs / "one", data=tmp_path / name, **options)

    same = judged("same.npz", digits().images)
    assert same.part == "test", "the images are those of training, wherever they come from"
    assert same.result.scores.cells == evaluate(runs / "one").result.scores.cells
    with pytest.raises(
        UsageError, match=r"from 0 to 1, .* 16 for white: give the value .* `white=`"
    ):
        judged("unit.npz", digits().images / 16)
    with pytest.raises(UsageError, match=r"values from 0 to 255, .* 16 for white"):
        judged("bytes.npz", digits().images * 255 / 16)
    some = judged("some.npz", digits().images[:500])
    assert (some.part, some.result.scores.images) == ("all", 500)
    unit = judged("unit.npz", digits().images[:500] / 16, white=1)
    assert unit.result.scores.cells == some.result.scores.cells
    first = predict(runs / "one", digits().images[:500], top=1)
    right = [
        image.guesses[0].class_name == str(t)
        for image, t in zip(first, digits().target[:500], strict=True)
    ]
    assert some.result.scores.accuracy == np.mean(right)


def test_a_file_of_its_own_is_told_what_it_does_not_know(runs):
    bare = runs / "bare.keras"
    found = evaluate(bare, data="digits", normalize="unit")
    assert (found.part, found.result.scores.images, found.result.measures) == ("all", 1797, {})
    both = evaluate([bare, runs / "two"], normalize="unit")
    assert both.part == "test"
    inside = evaluate(runs / "one" / "final.keras")
    assert (inside.part, inside.result.scores.images) == ("test", 359)


def test_an_evaluation_is_plain_data(runs):
    found = evaluate([runs / "one", runs / "wide"])
    plain = json.loads(json.dumps(found.to_dict()))
    assert Evaluation.from_dict(plain) == found
    assert plain["images"] == 359
    for broken in ({}, {**plain, "runs": 3}, {**plain, "runs": [{}]}):
        with pytest.raises(UsageError, match="not an evaluation"):
            Evaluation.from_dict(broken)


def test_the_table_of_an_ensemble_has_a_row_for_each_run_and_fits(runs):
    found = evaluate([runs / "one", runs / "two", runs / "wide"])
    text = str(found)
    assert "ensemble of 3" in text
    assert f"{found.runs[1].scores.accuracy:.2%}" in text
    assert "for a run on average -> " in text
    for width in (40, 60, 80):
        lines = evaluation_tables.text(found, width=width).splitlines()
        table = lines[2 : lines.index("", 2)]
        assert max(map(len, table)) <= width + 8, table  # the columns that stay are so wide
        assert {"accuracy"} <= set(table[0].split())


# Prediction


def test_files_folders_and_arrays_are_answered_alike(runs, tmp_path):
    """An image file, the same in a folder, and the same as an array: one answer."""
    pictures = tmp_path / "pictures"
    numbers = (3, 11, 30)
    for number in numbers:
        shown(pictures / "in" / f"{number:02}.png", number)
    grey = np.rint(digits().images[list(numbers)] * 255 / 16).astype(np.uint8)
    np.save(tmp_path / "bytes.npy", grey)
    np.savez(tmp_path / "floats.npz", images=grey * np.float32(16 / 255), other=np.zeros(3))
    ways = {
        "files": predict(runs / "one", sorted((pictures / "in").iterdir())),
        "folder": predict(runs / "one", pictures),
        "bytes": predict(runs / "one", [tmp_path / "bytes.npy"], white=255),
        "floats": predict(runs / "one", tmp_path / "floats.npz"),
        "memory": predict(runs / "one", grey[..., np.newaxis], white=255, batch=2),
    }
    expected = [image.guesses[0] for image in ways["files"]]
    for way, found in ways.items():
        assert [image.guesses[0].class_name for image in found] == [
            guess.class_name for guess in expected
        ], way
        assert [image.guesses[0].probability for image in found] == pytest.approx(
            [guess.probability for guess in expected], abs=1e-4
        ), way
    assert ways["folder"][0].image == str(pictures / "in" / "03.png")
    assert ways["bytes"][1].image == str(tmp_path / "bytes.npy[1]")
    assert ways["memory"][2].image == "[2]"


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((8, 8), 1),
        ((8, 8, 1), 1),
        ((2, 8, 8), 2),
        ((2, 8, 8, 1), 2),
        ((2, 9, 7, 3), 2),
        ((2, 9, 7, 4), 0),
        ((2, 3, 8, 8, 1), 0),
        ((8,), 0),
    ],
    ids=str,
)
def test_what_an_array_holds_is_told_by_its_axes(runs, shape, images):
    found = predict(runs / "one", np.full(shape, 7.0))
    assert len(found) - len(found.unread) == images
    if not images:
        assert "8x8x1" in str(found[0].error)


def test_an_image_that_cannot_be_read_is_named_and_the_rest_answered(runs, tmp_path):
    good = shown(tmp_path / "good.png", 0)
    (tmp_path / "bad.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no image", encoding="utf-8")
    (tmp_path / "none").mkdir()
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY broken")
    np.save(
        tmp_path / "holed.npy", np.where(np.arange(2)[:, None, None], np.nan, digits().images[:2])
    )
    names = ["bad.png", "good.png", "text.jpg", "none", "missing.png", "broken.npy", "holed.npy"]
    found = predict(runs / "one", [tmp_path / name for name in names])
    read = {Path(image.image).name: image.error is None for image in found}
    assert {name for name, fine in read.items() if fine} == {"good.png", "holed.npy[0]"}
    assert len(found.unread) == 6
    assert Predictions.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_file_of_its_own_numbers_its_classes(runs):
    found = predict(runs / "bare.keras", digits().images[:2], normalize="unit", white=16)
    assert found[0].guesses[0].class_name.isdecimal()
    assert "does not name its classes" in found.notes[0]
    with pytest.raises(UsageError, match=r"from 0 to 15, .* give the value of white with `white=`"):
        predict(runs / "bare.keras", digits().images[:1], normalize="unit")


def test_predictions_are_a_table_and_csv(runs):
    found = predict(runs / "one", digits().images[:3], top=2)
    rows = list(csv.reader(io.StringIO(prediction_tables.csv(found))))
    assert rows[0] == ["image", "class_1", "probability_1", "class_2", "probability_2", "error"]
    assert [row[1] for row in rows[1:]] == [image.guesses[0].class_name for image in found]
    wide, narrow = (prediction_tables.text(found, width=width) for width in (80, 32))
    assert "next" in wide
    assert "next" not in narrow
    assert len(predict(runs / "one", digits().images[:1], top=99)[0].guesses) == 10


# The commands


def run(*arguments: str, input: str | None = None):  # noqa: A002
    return click.testing.CliRunner().invoke(main, list(arguments), input=input)


def test_the_commands_print_what_the_library_gives(here):
    found = run("evaluate", "one", "wide", "--json")
    assert found.exit_code == 0, found.output
    assert Evaluation.from_dict(json.loads(found.stdout)) == evaluate(["one", "wide"])
    shown(here / "a.png", 4)
    found = run("predict", "one", "--with", "wide", "-", "--json", input="a.png\n\nnot.png\n")
    assert found.exit_code == 1
    assert "error: not.png: No such file" in found.stderr
    assert Predictions.from_dict(json.loads(found.stdout)) == predict(
        ["one", "wide"], ["a.png", "not.png"]
    )
    assert "a.png" in run("predict", "one", "a.png").stdout
    assert run("predict", "one", "not.png").stdout == ""


REFUSED = [
    ("evaluate nowhere", "there is no run nowhere"),
    ("evaluate onee", "did you mean `one`?"),
    ("evaluate small.yaml", "neither a run's folder nor a model file"),
    ("evaluate empty", "empty is not the folder of a run"),
    ("evaluate begun", "begun holds no trained model"),
    ("evaluate damaged", "data.json is damaged"),
    ("evaluate one one", "one is given twice"),
    ("evaluate one half", "one has 10 classes and half 5"),
    ("evaluate one --data nothing", "`--data nothing`: there is no such source"),
    ("evaluate one --data mnits", "did you mean `mnist`?"),
    ("evaluate one --data folder", "`--data folder` needs a path"),
    ("evaluate one --data small.yaml", "neither a folder of images nor a file of them"),
    ("evaluate half --data mnist", "mnist has `0`, `1`, `2`, `3`, `4`, which half does not know"),
    ("evaluate one --part valid", "'valid' is not one of"),
    ("evaluate one --top 10", "`--top 10` must be below 10"),
    ("evaluate one --top 0", "0 is not in the range"),
    ("evaluate one --batch 0", "0 is not in the range"),
    ("evaluate one --white 1", "`--white` is for arrays"),
    ("evaluate one --normalize unit", "`--normalize` is for model files"),
    ("evaluate bare.keras", "give `--normalize`, one of unit, symmetric"),
    ("evaluate bare.keras --normalize unit", "give `--data`"),
    ("evaluate bare.keras --normalize standardize", "'standardize' is not one of"),
    ("predict one", "Missing argument 'IMAGE...'"),
    ("predict one -", "there is no image"),
    ("predict one - -", "standard input can be read only once"),
    ("predict one a.png --with one", "one is given twice"),
    ("predict one a.png --top 0", "0 is not in the range"),
    ("predict one a.png --white 0", "0.0 is not in the range"),
    ("predict bare.keras a.png", "give `--normalize`"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_wrong_wish_is_refused(here, monkeypatch, line, said):
    """Before Keras is loaded: here that would be noticed."""
    (here / "empty").mkdir()
    for name in ("begun", "damaged"):
        (here / name).mkdir()
        shutil.copy(here / "one" / "spec.yaml", here / name)
    shutil.copy(here / "one" / "best.keras", here / "damaged")
    (here / "damaged" / "data.json").write_text("{}", encoding="utf-8")

    def load(*_: object):
        raise AssertionError("Keras would have been loaded")

    monkeypatch.setattr("archspec.evaluation.trained.load_keras", load)
    found = run(*line.split(), input="")
    assert found.exit_code == 2, found.output
    assert said in found.stderr


@pytest.mark.keras
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("predict flat.keras a.npy --normalize unit --flip", "`--flip` mirrors images of height"),
        ("predict two.keras a.npy --normalize unit", "not single images of a fixed shape"),
        ("predict map.keras a.npy --normalize unit", "does not output one number for each"),
        ("predict torn.keras a.npy --normalize unit", "damaged, or something else"),
        ("predict bare.keras a.npy --normalize torch", "torch` is for 3 channels"),
        ("predict one --with flat.keras a.npy --normalize unit", "has 4 classes, not 10"),
        ("evaluate flat.keras --normalize unit --data digits", "do not fit an input of"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_model_that_does_not_tell_classes_of_images_is_refused(line, said):
    import keras

    vector, image = keras.Input((6,)), keras.Input((8, 8, 1))
    dense = keras.layers.Dense(4, activation="softmax")
    keras.Model(vector, dense(vector)).save("flat.keras")
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save("map.keras")
    joined = keras.layers.Concatenate()([dense(vector), keras.layers.Flatten()(image)])
    keras.Model([vector, image], joined).save("two.keras")
    Path("torn.keras").write_bytes(b"PK")
    np.save("a.npy", np.ones((1, 6)))
    found = run(*line.split())
    assert found.exit_code == 2, found.output
    assert said in found.stderr


# Parts


def test_preprocessing_is_the_same_at_any_scale():
    colour = Preprocessing((3.0, 4.0, 5.0), (2.0, 1.0, 0.5), reverse_channels=True, range=LEVELS)
    pixels = np.random.default_rng(0).uniform(0, 16, (5, 4, 4, 3)).astype(np.float32)
    brighter = colour.on(BYTES)
    np.testing.assert_allclose(brighter(pixels * 255 / 16), colour(pixels), rtol=1e-4, atol=1e-5)
    signed = colour.on(Range(-1.0, 1.0))
    np.testing.assert_allclose(signed(pixels / 8 - 1), colour(pixels), rtol=1e-4, atol=1e-5)


def test_the_commands_offer_what_the_library_takes():
    assert (*reversed(heldout.PARTS), heldout.ALL) == cli_evaluate.PARTS
    assert cli_options.NORMALIZE == trained.NORMALIZE
    assert cli_compare.BY == comparison.BY


def test_importing_loads_nothing_heavy():
    names = "evaluation", "heldout", "inference", "prediction", "trained"
    modules = imported_by(f"import {', '.join(f'archspec.evaluation.{name}' for name in names)}")
    assert not {"numpy", "keras", "PIL"} & modules

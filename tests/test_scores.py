"""Scores: what is counted of a model's predictions, what follows from it, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import numpy as np
import pytest
from scipy.special import softmax
from support.predictions import measure

from archspec.errors import UsageError
from archspec.evaluation import scores as files
from archspec.evaluation.class_score import ClassScore
from archspec.evaluation.scores import Cell, Scores
from archspec.evaluation.tally import Tally
from archspec.render.scores import headline, markdown, text
from archspec.text import label

ANIMALS = ("cat", "dog", "eel")


def sure(predicted, classes: int):
    """Predictions that are certain of these classes."""
    return np.eye(classes, dtype=np.float32)[predicted]


def random_scores(classes: int, images: int, name: str = "class {}") -> Scores:
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes)) + 3 * np.eye(classes)[labels]
    return measure(labels, softmax(logits, axis=1), [name.format(n) for n in range(classes)])


@pytest.fixture
def animals() -> Scores:
    """Four cats, one taken for a dog; two dogs, both for cats; and an eel, taken for a dog."""
    return measure([0, 0, 0, 0, 1, 1, 2], sure([0, 0, 0, 1, 0, 0, 1], 3), ANIMALS)


# What is counted


def test_rows_of_the_confusion_matrix_are_true_classes(animals):
    assert animals.cells == (Cell(0, 0, 3), Cell(0, 1, 1), Cell(1, 0, 2), Cell(2, 1, 1))
    assert animals.images == 7
    assert animals.accuracy == 3 / 7


def test_each_class_has_its_own_scores(animals):
    cat, dog, eel = animals.per_class()
    assert cat == ClassScore("cat", images=4, predicted=5, right=3)
    assert (cat.precision, cat.recall) == (3 / 5, 3 / 4)
    assert cat.f1 == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))
    assert (dog.precision, dog.recall, dog.f1) == (0, 0, 0)
    assert (eel.predicted, eel.precision, eel.recall, eel.f1) == (0, 0, 0, 0)


def test_macro_counts_classes_and_weighted_counts_images(animals):
    assert animals.macro() == pytest.approx((3 / 5 / 3, 3 / 4 / 3, 2 / 3 / 3))
    assert animals.weighted() == pytest.approx((3 / 5 * 4 / 7, 3 / 7, 2 / 3 * 4 / 7))


def test_a_class_without_images_has_no_recall_and_no_part_in_the_means():
    scores = measure([0, 0], sure([0, 1], 3), ANIMALS)
    _, dog, eel = scores.per_class()
    assert (dog.precision, dog.recall, dog.f1) == (0, None, 0)
    assert (eel.precision, eel.recall, eel.f1) == (None, None, None)
    assert scores.macro() == pytest.approx((1, 1 / 2, 2 / 3))


def test_the_commonest_mistakes_come_first(animals):
    assert animals.confused(2) == [Cell(1, 0, 2), Cell(0, 1, 1)]
    assert measure([0, 1], sure([0, 1], 3), ANIMALS).confused(5) == []


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed):
    from sklearn import metrics

    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(8), random.integers(0, 8, 92)])
    predictions = random.dirichlet(np.ones(8), 100)
    scores = measure(labels, predictions, list("abcdefgh"), top=(2, 5))
    predicted = predictions.argmax(axis=1)
    matrix = np.zeros((8, 8), int)
    for cell in scores.cells:
        matrix[cell.truth, cell.predicted] = cell.images
    assert matrix.tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    each = metrics.precision_recall_fscore_support(labels, predicted, zero_division=0)
    found = np.array([(c.precision, c.recall, c.f1, c.images) for c in scores.per_class()])
    assert np.allclose(found.T, each)
    for mean in ("macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(
            labels, predicted, average=mean, zero_division=0
        )
        assert getattr(scores, mean)() == pytest.approx(expected[:3])
    for k, share in scores.top_k.items():
        assert share == pytest.approx(metrics.top_k_accuracy_score(labels, predictions, k=k))


def test_of_equal_predictions_the_first_class_is_the_likelier():
    """A model that says the same of all classes is right about the first alone."""
    scores = measure([0, 1, 2, 3], np.full((4, 4), 0.25), list("abcd"), top=(1, 2, 3))
    assert scores.accuracy == 1 / 4
    assert scores.top_k == {1: 1 / 4, 2: 2 / 4, 3: 3 / 4}


def test_top_5_is_of_more_than_five_classes():
    assert set(random_scores(5, 10).top_k) == set()
    assert set(random_scores(6, 10).top_k) == {5}


def test_the_calibration_error_is_the_distance_of_confidence_and_accuracy():
    predictions = [[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]]  # two bins of two images
    scores = measure([0, 1, 1, 1], predictions, "ab")
    assert scores.calibration_error == pytest.approx((abs(0.9 - 0.5) + abs(0.7 - 1)) / 2)
    counted = [b for b in scores.calibration if b.images]
    assert [(b.images, b.right) for b in counted] == [(2, 2), (2, 1)]
    assert [b.confidence for b in counted] == pytest.approx([0.7, 0.9])


def test_batches_add_up_to_the_whole():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 7, 100), random.dirichlet(np.ones(7), 100)
    tally = Tally("abcdefg")
    for part in (slice(0, 1), slice(1, 60), slice(60, 100)):
        tally.add(labels[part], predictions[part])
    whole = measure(labels, predictions, "abcdefg")
    assert tally.scores().cells == whole.cells
    assert tally.scores().top == whole.top
    assert tally.scores().calibration_error == pytest.approx(whole.calibration_error)


def test_counting_takes_no_more_memory_for_more_images():
    peaks = []
    for images in (3_000, 9_000):
        labels = np.arange(images) % 1_000
        predictions = np.full((images, 1_000), 0.001, np.float32)
        tracemalloc.start()
        measure(labels, predictions, [str(n) for n in range(1_000)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], sure([0, 1], 4), r"predictions of shape \(2, 4\) are not \(images, 3\)"),
        ([0, 1], [0.5, 0.5], r"predictions of shape \(2,\) are not"),
        ([0, 1, 2], sure([0, 1], 3), r"labels of shape \(3,\) .* are not 2 whole numbers"),
        ([0.0, 1.0], sure([0, 1], 3), "type float64 are not 2 whole numbers"),
        (sure([0, 1], 3), sure([0, 1], 3), r"labels of shape \(2, 3\)"),
        ([0, 3], sure([0, 1], 3), "labels from 0 to 3 are not all from 0 to 2"),
        ([-1, 1], sure([0, 1], 3), "labels from -1 to 1"),
        ([0, 1], [[1, 0, 0], [np.nan, 0, 0]], "the prediction for image 2 is infinite or NaN"),
        ([0, 1], [[-4, 0, 9], [1, 0, 0]], "from -4 to 9 are not probabilities; .* logits"),
        (np.zeros(0, int), np.zeros((0, 3)), "there are no images to score"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, predictions, message):
    with pytest.raises(UsageError, match=message):
        measure(labels, predictions, ANIMALS)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two classes have the name cat"):
        Tally(["cat", "dog", "cat"])


# Files


def test_scores_come_back_from_their_file(animals, tmp_path):
    for scores in (animals, random_scores(30, 200)):
        files.write(scores, tmp_path)
        assert files.read(tmp_path / "scores.json") == scores


def test_the_json_says_what_follows_too(animals):
    data = json.loads(json.dumps(animals.to_dict()))
    assert data["accuracy"] == 3 / 7
    assert data["macro"]["recall"] == 1 / 4
    assert data["classes"][0]["predicted_as"] == {"cat": 3, "dog": 1}
    assert data["classes"][2]["precision"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"classes": [], "top": {}, "calibration": []}',
        '{"classes": [{"name": "a", "predicted_as": {"b": 1}}], "top": {}, "calibration": []}',
        '{"classes": [{"name": "a", "predicted_as": {"a": -1}}], "top": {}, "calibration": []}',
        '{"classes": [{"name": "a", "predicted_as": {"a": 1}}], "top": 5, "calibration": []}',
        '{"classes": [{"name": "a", "predicted_as": {"a": 1}}], "top": {"5": 1e999},'
        ' "calibration": []}',
        '{"classes": [{"name": "a", "predicted_as": {"a": 1}}], "top": {}, "calibration": [1]}',
    ],
)
def test_a_file_that_holds_no_scores_is_refused_by_name(wrong, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(UsageError, match=r"scores\.json"):
        files.read(path)
    with pytest.raises(UsageError, match="cannot read"):
        files.read(tmp_path / "none.json")


def test_the_confusion_matrix_as_csv(animals):
    rows = list(csv.reader(io.StringIO(animals.confusion_csv())))
    assert rows == [
        ["truth", "cat", "dog", "eel"],
        ["cat", "3", "1", "0"],
        ["dog", "2", "0", "0"],
        ["eel", "0", "1", "0"],
    ]


def test_of_very_many_classes_the_csv_has_no_zeros():
    names = [f"c{n}" for n in range(1_001)]
    scores = measure([7, 7], sure([7, 9], 1_001), names)
    expected = "truth,predicted,images\nc7,c7,1\nc7,c9,1\n"
    assert scores.confusion_csv() == expected


def test_the_scores_of_classes_as_csv():
    scores = measure([0, 0, 0], sure([0, 0, 1], 3), ["a,b", "\udce9", "none"])
    rows = list(csv.reader(io.StringIO(scores.per_class_csv())))
    assert rows[0] == ["class", "images", "predicted", "right", "precision", "recall", "f1"]
    assert rows[1] == ["a,b", "3", "2", "2", "1.0", "0.666667", "0.8"]
    assert rows[2] == ["\\udce9", "0", "1", "0", "0.0", "", "0.0"]
    assert rows[3] == ["none", "0", "0", "0", "", "", ""]


# Tables


def test_few_classes_are_shown_with_their_confusion_matrix(animals):
    assert text(animals) == (
        "accuracy 42.86% of 7 images, macro F1 22.22%, calibration error 57.14%\n"
        "\n"
        "true class  cat  dog  eel  recall  precision     F1  images\n"
        "-----------------------------------------------------------\n"
        "cat           3    1    .   75.0%      60.0%  66.7%       4\n"
        "dog           2    .    .    0.0%       0.0%   0.0%       2\n"
        "eel           .    1    .    0.0%       0.0%   0.0%       1\n"
    )


def test_columns_of_the_matrix_are_numbered_where_names_are_too_wide():
    scores = measure([0, 1], sure([0, 0], 2), ["an aeroplane", "a battleship"])
    assert "an aeroplane  a battleship" in text(scores, width=60)
    assert "true class      1  2  recall" in text(scores, width=40)
    assert "2 a battleship  1  .    0.0%" in text(scores, width=40)


def test_of_many_classes_the_worst_and_the_commonest_mistakes_are_shown():
    labels = np.repeat(np.arange(40), 10)
    predicted = labels.copy()
    predicted[30:37] = 4  # most of class 3
    predicted[50] = 6
    shown = text(measure(labels, sure(predicted, 40), [f"class {n:02}" for n in range(40)]))
    _, worst, mistakes = shown.split("\n\n")
    assert worst.splitlines()[3].split() == ["class", "03", "30.0%", "100.0%", "46.2%", "10"]
    assert mistakes.splitlines()[3].split() == ["class", "03", "class", "04", "7", "70.0%"]
    assert len(mistakes.splitlines()) == 5


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("classes", [2, 10, 20, 21, 300])
@pytest.mark.parametrize("name", ["class {}", "the very longest name of class {}"])
def test_tables_keep_the_width_of_the_terminal(name, classes, width):
    shown = text(random_scores(classes, 2_000, name), width=width)
    assert max(map(len, shown.splitlines())) <= width
    assert len(shown.splitlines()) < 50


def test_markdown_lists_the_classes_and_the_means(animals):
    lines = markdown(animals).splitlines()
    assert lines[0] == headline(animals) + "."
    assert "| cat | 75.0% | 60.0% | 66.7% | 4 |" in lines
    assert "| **mean of images** | 42.9% | 34.3% | 38.1% | 7 |" in lines
    assert "| dog | cat | 2 | 100.0% |" in lines
    many = markdown(random_scores(300, 2_000))
    assert "The worst 10 of 300 classes:" in many
    assert len(many.splitlines()) < 50


def test_a_class_of_joined_emoji_is_shown_as_it_is():
    scientist = "👩\u200d🔬"
    assert scientist in text(measure([0, 1], sure([0, 1], 2), [scientist, "b"]))
    assert label("a\u202eb\t\x1b[2J\nc") == "a\\u202eb \\x1b[2J c"


def test_names_of_classes_cannot_break_a_table():
    scores = measure([0, 1, 2], sure([1, 2, 0], 3), ["a\nb", "\x1b[31mred", "x|y" * 50])
    for shown in (text(scores), text(scores, width=20), markdown(scores)):
        assert "\x1b" not in shown
        assert "a b" in shown
        assert max(map(len, shown.splitlines())) < 150
    assert "x|y" not in markdown(scores)


def test_a_mean_says_of_how_many_classes_it_is():
    """A class without test images has no F1; the mean is of the others, and says so."""
    tally = Tally(("cat", "dog", "eel"), top=())
    tally.add(np.array([0, 1], np.int32), np.eye(3)[[0, 1]])
    scores = tally.scores()
    assert (scores.present, scores.macro().f1) == (2, 1.0)
    assert "macro F1 100.00% (of the 2 of 3 classes with images)" in headline(scores)

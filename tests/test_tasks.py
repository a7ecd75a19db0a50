"""What a training is for: one class of several, a set of labels, or numbers."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.specs import spec_of

from archspec.data import dataset, targets
from archspec.data.examples import Preview
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES
from archspec.data.targets import TargetScale
from archspec.data.task import Task
from archspec.errors import RecipeError, SpecError, UsageError
from archspec.evaluation import label_scores, mistakes, number_scores, scores
from archspec.evaluation.mistakes import MistakeTally, of_labels, of_numbers
from archspec.evaluation.prediction import Guess, Prediction, Predictions, Value
from archspec.evaluation.tally import OutputTally
from archspec.ops.shape import Shape
from archspec.recipe.task_choice import Ending, choose
from archspec.recipe.train import Recipe
from archspec.runs.state import RunState
from archspec.spec.loading import load
from archspec.training.session import plan_training

GREY = Shape((4, 4, 1))
TEN = tuple(map(str, range(10)))
CLASSES = Preview(TEN, None)
WHOLE = Preview(TEN, None, {"regression": ("y",)})
YES_OR_NO = Preview(("0", "1"), None, {"multi_label": ("y",), "regression": ("y",)})
SETS = Preview((), None, {"multi_label": ("a", "b", "c"), "regression": ("a", "b", "c")}, "no")
NUMBERS = Preview((), None, {"regression": ("x", "y")}, "fractions")


def task_of(preview: Preview, units: int, function: str, **recipe: object) -> tuple[Task, list]:
    ends = {"output": Ending(Shape((units,)), function)}
    return choose(Recipe.resolve(recipe), preview, ends, "data")


@pytest.mark.parametrize(
    ("preview", "units", "function", "loss", "kind"),
    [
        (CLASSES, 10, "softmax", None, "classification"),
        (CLASSES, 10, "linear", "mean_squared_error", "classification"),
        (CLASSES, 10, "softmax", "mean_squared_error", "classification"),
        (CLASSES, 10, "sigmoid", "binary_crossentropy", "classification"),
        (WHOLE, 10, "linear", None, "classification"),
        (WHOLE, 1, "linear", None, "regression"),  # one value cannot tell ten classes
        (WHOLE, 1, "relu", "mean_absolute_error", "regression"),
        (SETS, 3, "sigmoid", None, "multi_label"),
        (SETS, 3, "linear", None, "multi_label"),
        (SETS, 3, "linear", "binary_crossentropy", "multi_label"),
        (SETS, 3, "linear", "mean_squared_error", "regression"),
        (SETS, 3, "sigmoid", "mean_squared_error", "multi_label"),
        (YES_OR_NO, 2, "softmax", None, "classification"),
        (YES_OR_NO, 1, "sigmoid", None, "multi_label"),
        (YES_OR_NO, 1, "linear", "huber", "regression"),
        (NUMBERS, 2, "linear", None, "regression"),
        (NUMBERS, 2, "sigmoid", None, "regression"),
    ],
)
def test_the_task_follows_from_labels_network_and_loss(preview, units, function, loss, kind):
    task, problems = task_of(preview, units, function, **({"loss": loss} if loss else {}))
    assert (task.kind, problems) == (kind, [])
    assert task.names == preview.names[kind]


@pytest.mark.parametrize(
    ("preview", "units", "function", "recipe", "place", "words", "mend"),
    [
        (NUMBERS, 2, "softmax", {}, "output", "is a softmax", "`fc: 2`, without an activation"),
        (SETS, 3, "softmax", {}, "output", "are sets of labels", "activation: sigmoid"),
        (NUMBERS, 3, "linear", {}, "output", "3 values, but data has 2 values", "2 units"),
        (YES_OR_NO, 3, "sigmoid", {}, "output", "3 values, but data has 1 label", "1 unit"),
        (CLASSES, 1, "sigmoid", {}, "output", "1 value, but data has 10 classes", "10 units"),
        (
            NUMBERS,
            2,
            "linear",
            {"loss": "categorical_crossentropy"},
            ("loss",),
            "is for one class of several, but the labels of data are numbers",
            "`loss: mean_squared_error`",
        ),
        (
            NUMBERS,
            2,
            "sigmoid",
            {"loss": "binary_crossentropy"},
            ("loss",),
            "is for yes or no",
            "leave `loss` out",
        ),
        (
            NUMBERS,
            2,
            "tanh",
            {"data": {"source": "digits", "targets": "standardize"}},
            ("data", "targets"),
            "is a tanh, from -1 to 1",
            "leave `targets` out",
        ),
        (
            CLASSES,
            10,
            "softmax",
            {"data": {"source": "digits", "targets": "standardize"}},
            ("data", "targets"),
            "the labels are classes",
            "leave it out",
        ),
        (NUMBERS, 2, "linear", {"augment": ["mixup"]}, ("augment", 0), "mixes classes", "leave it"),
        (SETS, 3, "sigmoid", {"class_weights": "balanced"}, ("class_weights",), "classes", "leave"),
        (NUMBERS, 2, "linear", {"metrics": ["auc"]}, ("metrics", 0), "counts right", "r2_score"),
        (
            SETS,
            3,
            "sigmoid",
            {"metrics": ["top_k_categorical_accuracy"]},
            ("metrics", 0),
            "one class of several",
            "f1_score",
        ),
    ],
)
def test_a_contradiction_is_named_at_its_place_with_its_mend(
    preview, units, function, recipe, place, words, mend
):
    _, problems = task_of(preview, units, function, **recipe)
    ((where, problem),) = problems
    assert where == place
    assert words in problem.message
    assert mend in str(problem.help)


def test_a_network_that_gives_maps_is_told_what_fit_trains():
    ends = {"output": Ending(Shape((8, 8, 1)), "sigmoid")}
    ((where, problem),) = choose(Recipe(), CLASSES, ends, "data")[1]
    assert where == "output"
    assert "a class of several, a set of labels, or numbers, but the output is 8x8x1" in str(
        problem.message
    )
    assert "`archspec.build(...)` makes an ordinary Keras model" in str(problem.help)


# Labels


def a_table(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("text", "options", "names"),
    [
        ("f,label\na,cat\nb,dog\n", {}, {"classification": ("cat", "dog")}),
        ("f,label\na,3\nb,1\n", {}, {"classification": ("1", "3"), "regression": ("label",)}),
        ("f,label\na,0.5\nb,1.5\n", {}, {"regression": ("label",)}),
        ("f,x,y\na,1,2\nb,3,4\n", {"labels": ["x", "y"]}, {"regression": ("x", "y")}),
        (
            "f,x,y\na,1,1\nb,0,1\n",
            {"labels": ["x", "y"]},
            {"multi_label": ("x", "y"), "regression": ("x", "y")},
        ),
        (
            "f,tags\na,red|big\nb,\n",
            {"labels": "tags", "separator": "|"},
            {"multi_label": ("big", "red")},
        ),
    ],
)
def test_the_columns_of_a_table_say_what_labels_may_be(tmp_path, text, options, names):
    path = a_table(tmp_path, text)
    recipe = DataRecipe.model_validate(
        {"source": "table", "path": str(path), "images": "f"}
        | {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    )
    assert dict(SOURCES["table"].preview(recipe, GREY).names) == names


def test_a_table_gives_sets_and_numbers_row_by_row(tmp_path):
    from PIL import Image

    for name in "abcd":
        Image.new("L", (4, 4), ord(name)).save(tmp_path / f"{name}.png")
    rows = "f,tags,x,y\na,red|big,1,2\nb,,3,-4.5\nc,big,0,0\nd,red,7,1e2\n"
    path = a_table(tmp_path, rows)
    base = {"source": "table", "path": str(path), "images": "f", "validation": 0.0, "test": 0.0}
    sets = DataRecipe.model_validate(base | {"labels": "tags", "separator": "|"})
    loaded = SOURCES["table"].load(sets, GREY, "multi_label")
    assert loaded.class_names == ("big", "red")
    assert loaded.targets.tolist() == [[1, 1], [0, 0], [1, 0], [0, 1]]
    numbers = DataRecipe.model_validate(base | {"labels": ("x", "y")})
    data = dataset.load(numbers, GREY, kind="regression")
    assert data.task == Task("regression", ("x", "y"))
    assert data.train.labels.tolist() == [[1, 2], [3, -4.5], [0, 0], [7, 100]]
    assert "2 values" in data.describe()


@pytest.mark.parametrize(
    ("labels", "kinds"),
    [
        (np.array([0, 1, 2, 1]), ["classification", "regression"]),
        (np.array([0.5, 1, 2, 1]), ["regression"]),
        (np.eye(4)[:, :3], ["multi_label", "regression"]),
        (np.eye(4), ["classification", "multi_label", "regression"]),
        (np.arange(8.0).reshape(4, 2), ["regression"]),
        (np.array(["a", "b", "a", "b"]), ["classification"]),
    ],
)
def test_arrays_say_what_labels_may_be(tmp_path, labels, kinds):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 4, 4, 1)), y=labels)
    recipe = DataRecipe(source="arrays", path=str(tmp_path / "a.npz"))
    assert list(SOURCES["arrays"].preview(recipe, GREY).names) == kinds


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4, 1)), y=np.array([0.5, np.nan]))
    recipe = DataRecipe(source="arrays", path=str(tmp_path / "a.npz"))
    with pytest.raises(UsageError, match="the label of image 1 is nan, but must be a finite numb"):
        SOURCES["arrays"].preview(recipe, GREY)


# The scale of numbers


def test_standardized_numbers_have_mean_0_and_come_back():
    labels = np.array([[1.0, 500.0], [3.0, 500.0], [8.0, 500.0]])
    scale = targets.fit("standardize", labels)
    learnt = scale.scaled(labels)
    assert np.allclose(learnt.mean(axis=0), 0)
    assert np.allclose(learnt.std(axis=0), [1, 0])  # one that never changes is left at 0
    assert np.allclose(scale.original(learnt), labels, rtol=1e-6)
    assert targets.fit("none", labels) is None


# Scores


def test_scores_of_numbers_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(3)
    truth = rng.normal(size=(50, 2)) * [1, 100]
    predicted = truth + rng.normal(size=(50, 2)) * [0.5, 20]
    found = number_scores.measure(("x", "y"), truth, predicted)
    assert found.mae == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert found.r2 == pytest.approx(metrics.r2_score(truth, predicted))
    assert found.rmse == pytest.approx(metrics.mean_squared_error(truth, predicted) ** 0.5)
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    assert [each.mean_mae for each in found.values] == pytest.approx(
        metrics.mean_absolute_error(truth, mean, multioutput="raw_values")
    )
    assert scores.from_dict(found.to_dict()) == found
    assert "mae of the mean" in str(found)
    assert found.per_value_csv().splitlines()[0] == "value,mae,rmse,r2,mean_mae,mean_rmse"


def test_scores_of_labels_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, (60, 3)).astype(float)
    predicted = np.clip(truth * 0.4 + rng.uniform(0, 0.6, (60, 3)), 0, 1).round(1)  # many equal
    found = label_scores.measure(("a", "b", "c"), truth, predicted)
    given = predicted >= 0.5
    assert found.mean_average_precision == pytest.approx(
        metrics.average_precision_score(truth, predicted)
    )
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, given, average="macro"))
    assert found.micro_f1 == pytest.approx(metrics.f1_score(truth, given, average="micro"))
    assert found.exact_match == pytest.approx(metrics.accuracy_score(truth, given))
    assert found.label_accuracy == pytest.approx((truth == given).mean())
    assert scores.from_dict(found.to_dict()) == found
    assert "exact match" in str(found)
    strict = label_scores.measure(("a", "b", "c"), truth, predicted, threshold=0.9)
    assert strict.labels[0].predicted < found.labels[0].predicted


def test_a_label_that_never_occurs_has_no_average_precision():
    found = label_scores.measure(("a", "b"), np.array([[1.0, 0.0]]), np.array([[0.9, 0.2]]))
    assert found.labels[1].average_precision is None
    assert found.mean_average_precision == 1
    assert found.labels[1].f1 is None


def test_outputs_that_are_not_finite_are_not_scored():
    tally = OutputTally(Task("regression", ("x",)))
    tally.add(np.zeros((2, 1)), np.ones((2, 1)))
    with pytest.raises(UsageError, match="the prediction for image 4 is infinite or NaN"):
        tally.add(np.zeros((2, 1)), np.array([[1.0], [np.nan]]))
    assert tally.scores().mae == 1


# Mistakes and the best epoch


def test_the_surest_wrong_answer_of_each_image_is_kept():
    tally = MistakeTally(of_labels)
    truth = np.array([[1, 0], [0, 1], [0, 0]], float)
    tally.add(np.array([7, 8, 9]), truth, np.array([[0.9, 0.8], [0.4, 0.1], [0.2, 0.3]]))
    assert [(each.image, each.label, each.has) for each in tally.worst()] == [
        (8, 1, True),
        (7, 1, False),
    ]


def test_errors_of_values_compare_by_their_deviations():
    tally = MistakeTally(partial(of_numbers, (1.0, 100.0)), most=2)
    truth = np.array([[0.0, 0.0]] * 3)
    tally.add(np.arange(3), truth, np.array([[2.0, 0.0], [0.0, 50.0], [0.0, 500.0]]))
    assert [each.image for each in tally.worst()] == [2, 0]


def test_mistakes_are_written_with_the_words_of_the_task():
    task = Task("regression", ("x",))
    wrong = mistakes.NumberMistake(2.0, 5, (1.0,), (3.25,))
    assert mistakes.table([wrong], task) == [["image", "x", "predicted x"], [5, 1.0, 3.25]]
    labelled = mistakes.LabelMistake(0.75, 4, 0, has=True)
    assert mistakes.table([labelled], Task("multi_label", ("cat",))) == [
        ["image", "label", "has", "confidence"],
        [4, "cat", 1, 0.75],
    ]


def test_without_classes_the_best_epoch_has_the_lowest_loss():
    state = RunState()
    for epoch, (loss, mae) in enumerate([(3.0, 1.0), (1.0, 2.0), (2.0, 0.5)], 1):
        state.rows.append({"epoch": epoch, "val_loss": loss, "val_mae": mae})
        state.judge(None, 10)
    assert state.best_epoch == 2


# Numbers of tables

VECTOR = Shape((2,))
ROWS = "age,height,price\n30,1.5,7\n40,1.75,8\n50,2,9\n"


def table_of(folder: Path, text: str, **options) -> DataRecipe:
    path = a_table(folder, text)
    return DataRecipe.model_validate({"source": "table", "path": str(path), **options})


def test_the_numbers_of_a_table_are_its_other_columns_or_those_named(tmp_path):
    source = SOURCES["table"]
    recipe = table_of(tmp_path, ROWS, labels="price")
    assert source.preview(recipe, VECTOR).features == {"": ("age", "height")}
    loaded = source.load(recipe, VECTOR, "regression")
    assert loaded.images.tolist() == [[30, 1.5], [40, 1.75], [50, 2]]
    assert loaded.targets.tolist() == [[7], [8], [9]]
    named = table_of(tmp_path, ROWS, labels="price", features=("height", "age"))
    assert source.load(named, VECTOR, "regression").images[0].tolist() == [1.5, 30]
    inputs = {"a": Shape((1,)), "b": Shape((1,))}
    each = {"a": ("height",), "b": ("age",)}
    several = table_of(tmp_path, ROWS, labels="price", features=each)
    loaded = source.load(several, inputs, "regression")
    assert {name: one.images.tolist() for name, one in loaded.inputs.items()} == {
        "a": [[1.5], [1.75], [2]],
        "b": [[30], [40], [50]],
    }


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (ROWS.replace("40", "old"), {}, r"csv:3: `age` is `old`, and a feature is a number"),
        (ROWS.replace("40", ""), {}, r"csv:3: `age` is empty.*on_error: skip"),
        (ROWS.replace("40", "inf"), {}, r"csv:3: `age` is inf, and a feature is a finite number"),
        (ROWS, {"labels": None}, r"which column holds the labels .* `labels: COLUMN`"),
        (ROWS, {"features": ("age", "size")}, "no column `size`, which `features` names"),
        (ROWS, {"features": ("age",)}, r"takes 2 numbers, .* has 1 columns.*`age`"),
        (ROWS, {"images": "age"}, "`images`: the network takes no images"),
        (ROWS, {"features": {"x": ("age",)}}, "no input `x` that is a vector"),
    ],
)
def test_numbers_that_are_none_say_where(tmp_path, text, options, message):
    recipe = table_of(tmp_path, text, **{"labels": "price", **options})
    with pytest.raises((UsageError, RecipeError), match=message):  # before Keras is started
        SOURCES["table"].preview(recipe, VECTOR)


def test_rows_without_their_numbers_are_left_out_if_asked(tmp_path):
    recipe = table_of(tmp_path, ROWS.replace("40", "?"), labels="price", on_error="skip")
    loaded = SOURCES["table"].load(recipe, VECTOR, "regression")
    assert loaded.targets.tolist() == [[7], [9]]
    assert [name for name, _ in loaded.skipped] == [f"{recipe.path}:3"]


def test_an_image_may_be_in_several_rows_with_others(tmp_path):
    from PIL import Image

    for name in "ab":
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
    text = "left,right,same\na.png,b.png,0\na.png,a.png,1\nb.png,a.png,0\n"
    recipe = table_of(tmp_path, text, labels="same")
    inputs = {"left": GREY, "right": GREY}
    loaded = SOURCES["table"].load(recipe, inputs, "multi_label")
    assert {name: len(one.images.names) for name, one in loaded.inputs.items()} == {
        "left": 3,
        "right": 3,
    }
    three = {**inputs, "third": GREY}
    with pytest.raises(RecipeError, match=r"several inputs of images \(left, right, third\)"):
        SOURCES["table"].preview(recipe, three)


# Predictions


@pytest.mark.parametrize(
    ("predictions", "text", "csv"),
    [
        (
            Predictions(("r",), (Prediction("a", (), None, (Value("x", 1.5),)),), (), "regression"),
            "1.5",
            "image,x,error\na,1.5,\n",
        ),
        (
            Predictions(
                ("r",),
                (Prediction("a", (Guess("cat", 0.9), Guess("dog", 0.6))), Prediction("b", ())),
                (),
                "multi_label",
            ),
            "cat 90.0%, dog 60.0%",
            "image,label_1,probability_1,label_2,probability_2,error\n"
            "a,cat,0.900000,dog,0.600000,\nb,,,,,\n",
        ),
    ],
)
def test_predictions_are_told_by_their_task(predictions, text, csv):
    from archspec.render import predictions as render

    assert text in str(predictions)
    assert render.csv(predictions) == csv
    assert Predictions.from_dict(predictions.to_dict()) == predictions


def test_a_scale_is_as_long_as_the_values():
    from archspec.data.preprocessing import Preprocessing
    from archspec.runs.records import DataRecord, PartSizes

    record = ("s", "d", PartSizes(1, 1, 1), ("x",), Preprocessing((0.0,), (1.0,)), "f", "c")
    with pytest.raises(ValueError, match="`scale` is not for as many values"):
        DataRecord(*record, task="regression", scale=TargetScale((0.0, 1.0), (1.0, 1.0)))


OPEN = """
name: net
input: [null, null, 1]
layers: [conv: {filters: 4, kernel: 3}, global_avg_pool, fc: 10, softmax]
"""


def test_a_network_of_open_input_is_trained_at_the_size_of_its_images(tmp_path):
    path = tmp_path / "open.yaml"
    path.write_text(OPEN, "utf-8")
    plan = plan_training(load(path), {"data": "digits"})
    assert (plan.graph.input, plan.recipe.data.size) == (Shape((8, 8, 1)), (8, 8))
    for size in (12, (12, 12)):  # then images are resized
        plan = plan_training(load(path), {"data": {"source": "digits", "size": size}})
        assert (plan.graph.input, plan.recipe.data.size) == (Shape((12, 12, 1)), (12, 12))
    # Picture files may differ in size: one must be given.
    (tmp_path / "labels.csv").write_text("file,label\na.png,x\nb.png,y\n", "utf-8")
    for data, message in (
        (str(tmp_path / "labels.csv"), r"the input of net is open.*`data.size: 224`"),
        ({"source": "digits", "size": 2}, r"net does not fit an input of 2x2"),
        ({"source": "digits", "size": (8, 8, 8)}, r"`size` must be height x width here"),
    ):
        with pytest.raises((SpecError, UsageError), match=re.compile(message, re.DOTALL)):
            plan_training(load(path), {"data": data})
    path.write_text(OPEN.replace("null", "8"), "utf-8")
    with pytest.raises(UsageError, match="needs an input of open size"):
        plan_training(load(path), {"data": {"source": "digits", "size": 9}})


def test_numbers_of_words_are_not_normalised(tmp_path):
    np.savez(tmp_path / "words.npz", x=np.arange(60).reshape(20, 3), y=np.arange(20) % 2)
    spec = spec_of(
        "{name: n, input: [3], layers: [{embedding: {words: 60, filters: 2}}, flatten, fc: 2]}"
    )
    data = {"source": "arrays", "path": str(tmp_path / "words.npz")}
    with pytest.raises(UsageError, match="`normalize: standardize` would change the numbers"):
        plan_training(spec, {"data": data})
    plan = plan_training(spec, {"data": {**data, "normalize": "none"}})
    assert plan.task.kind == "classification"

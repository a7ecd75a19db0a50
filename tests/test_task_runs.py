"""Runs that learn numbers, sets of labels, and from several inputs: trained, resumed, judged."""

import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.blank import drawn
from support.left_behind import Copies, assert_same, left

import archspec
from archspec.errors import SpecError, UsageError
from archspec.training.callbacks import Watcher

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]

COUNT = 160

BODY = """
name: {name}
{inputs}
layers:
{first}
  - conv: {{filters: 4, kernel: 3, activation: relu}}
  - flatten
  - fc: {{units: 16, activation: relu}}
  - dropout: 0.1
  - fc: {end}
train: {{data: {{source: arrays, path: {path}{data}}}, epochs: 3, deterministic: true{recipe}}}
"""


class Hears(Watcher):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def says(self, text: str) -> None:
        self.lines.append(text)


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures with a white square each, and the row and column of its middle."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 6, (COUNT, 2))
    images = np.zeros((COUNT, 8, 8, 1), np.float32)
    for image, (row, column) in zip(images, places, strict=True):
        image[row : row + 3, column : column + 3] = 1
    return images + rng.normal(0, 0.01, images.shape).astype("f"), places + 1.0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data and specs of three tasks, and a run of each, with what it said."""
    folder = tmp_path_factory.mktemp("tasks")
    images, places = pictures(0)
    others, elsewhere = pictures(1)
    np.savez(folder / "place.npz", x=images, y=100 * places)
    np.savez(folder / "halves.npz", x=images, y=np.stack([places[:, 0] > 3, places[:, 1] > 3], 1))
    below = (places[:, 0] > elsewhere[:, 0]).astype(int)
    np.savez(folder / "pair.npz", left=images, right=others, y=below)
    one = {"inputs": "input: [8, 8, 1]", "first": "", "data": "", "recipe": ""}
    several = one | {
        "inputs": "inputs: {left: [8, 8, 1], right: [8, 8, 1]}",
        "first": "  - concat: [left, right]",
    }
    specs = {
        "place": one | {"end": "2", "data": ", targets: standardize"},
        "halves": one | {"end": "{units: 2, activation: sigmoid}"},
        "pair": several | {"end": "{units: 1, activation: sigmoid}"},
    }
    for name, parts in specs.items():
        text = BODY.format(name=name, path=folder / f"{name}.npz", **parts)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        told, copies = Hears(), Copies((2, 2))
        with drawn():
            archspec.fit(
                folder / f"{name}.yaml",
                out=folder / name,
                watchers=[told, copies],
                steps_per_execution=1,
            )
        (folder / f"{name}.txt").write_text("\n".join(told.lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def begun(home):
    """A run of numbers that began with the weights of the one of labels."""
    transfer = {"from": str(home / "halves"), "freeze": "all"}
    archspec.fit(home / "place.yaml", out=home / "begun", epochs=1, transfer=transfer)
    return home / "begun"


def example(name: str, folder: Path) -> Path:
    """Write the data and the spec of an example of docs/training.md; return the spec."""
    text = (Path(__file__).parent.parent / "docs/training.md").read_text(encoding="utf-8")
    program = re.search(rf"```python\n# {name}.py\n(.*?)```", text, re.DOTALL)
    spec = re.search(rf"```yaml\n# {name}.yaml\n(.*?)```", text, re.DOTALL)
    (folder / f"{name}.py").write_text(program[1], encoding="utf-8")
    (folder / f"{name}.yaml").write_text(spec[1], encoding="utf-8")
    runpy.run_path(str(folder / f"{name}.py"))
    return folder / f"{name}.yaml"


@pytest.mark.parametrize(
    ("name", "measure", "least", "epochs"),
    [
        ("square", "r2", 0.9, 5),
        ("shown", "mean_average_precision", 0.8, 5),
        ("pairs", "accuracy", 0.7, 5),
        ("wine", "accuracy", 0.9, 20),
    ],
)
def test_examples_of_the_documentation_learn_in_fewer_epochs_than_they_say(
    tmp_path, monkeypatch, name, measure, least, epochs
):
    monkeypatch.chdir(tmp_path)
    spec = example(name, tmp_path)
    assert archspec.load(spec).train["epochs"] > epochs
    run = archspec.fit(spec, epochs=epochs)
    assert run.test[measure] > least


@pytest.mark.parametrize(
    ("name", "task", "line"),
    [
        ("place", "regression", "task: regression, 2 values; loss mean_squared_error"),
        ("halves", "multi_label", "task: multi_label, 2 labels; loss binary_crossentropy"),
        ("pair", "multi_label", "task: multi_label, 1 label; loss binary_crossentropy"),
    ],
)
def test_a_stopped_run_of_each_task_ends_as_if_it_never_was(home, tmp_path, name, task, line):
    shutil.copytree(left(home / name, 2, 2), tmp_path / "stopped")
    assert line in (home / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    record = json.loads((tmp_path / "stopped/data.json").read_text(encoding="utf-8"))
    assert record["task"] == task
    archspec.resume(tmp_path / "stopped")
    assert_same(home / name, tmp_path / "stopped")


def test_numbers_are_told_in_their_own_units(home):
    run = archspec.Run.read(home / "place")
    assert (run.task, run.test_accuracy) == ("regression", None)
    assert {"loss", "mae", "rmse", "r2"} <= run.test.keys()
    assert run.test["loss"] < 5  # on the standardized scale
    assert run.test["mae"] > 5  # in hundredths of a pixel
    best = min(run.history, key=lambda row: row["val_loss"])
    assert run.best_epoch == best["epoch"]
    scores = archspec.evaluate(run.folder).result
    assert scores.scores.mae == pytest.approx(run.test["mae"], rel=1e-4)
    assert scores.measures["loss"] == pytest.approx(run.test["loss"], rel=1e-4)
    with np.load(home / "place.npz") as arrays:
        predictions = archspec.predict(run.folder, arrays["x"])
        truth = arrays["y"]
    guessed = np.array([[value.number for value in each.values] for each in predictions])
    assert np.abs(guessed - truth).mean() == pytest.approx(run.test["mae"], rel=0.5)
    page = (run.folder / "index.html").read_text(encoding="utf-8")
    assert "Test scores" in page
    assert "mae of the mean" in page
    assert "| result | test mae" in (run.folder / "summary.md").read_text(encoding="utf-8")
    head, first, *_ = (run.folder / "mistakes.csv").read_text(encoding="utf-8").splitlines()
    assert head == "image,y[0],y[1],predicted y[0],predicted y[1]"
    assert len(first.split(",")) == 5


def test_sets_of_labels_are_scored_and_predicted_by_a_threshold(home):
    run = archspec.Run.read(home / "halves")
    scores = archspec.evaluate(run.folder).result.scores
    assert scores.exact_match == pytest.approx(run.test["exact_match"])
    strict = archspec.evaluate(run.folder, threshold=0.99).result.scores
    assert sum(each.predicted for each in strict.labels) <= sum(e.predicted for e in scores.labels)
    images, _ = pictures(0)
    for each in archspec.predict(run.folder, images[:5], threshold=0.3):
        assert all(guess.probability >= 0.3 for guess in each.guesses)
    with pytest.raises(UsageError, match=r"`top=` is for classes, and .* trained for multi_label"):
        archspec.evaluate(run.folder, top=3)
    with pytest.raises(UsageError, match="`threshold=` is for sets of labels"):
        archspec.predict(home / "place", images, threshold=0.5)


def test_several_inputs_are_predicted_from_arrays_of_their_names(home):
    given = {"left": pictures(0)[0][:3], "right": pictures(1)[0][:3]}
    together = archspec.predict(home / "pair", given, threshold=0.01)
    from_file = archspec.predict(home / "pair", str(home / "pair.npz"), threshold=0.01)
    for each, other in zip(together, from_file[:3], strict=True):  # of batches of 3 and of all
        assert [guess.class_name for guess in each.guesses] == ["y"]
        assert [guess.class_name for guess in other.guesses] == ["y"]
        assert each.guesses[0].probability == pytest.approx(other.guesses[0].probability, rel=1e-5)
    with pytest.raises(UsageError, match="there is no array `right`"):
        archspec.predict(home / "pair", {"left": given["left"]})
    with pytest.raises(UsageError, match="several inputs: give an array for each by its name"):
        archspec.predict(home / "pair", given["left"])
    assert archspec.evaluate(home / "pair").result.scores.images == 32


def test_images_and_numbers_of_a_table_are_learnt_together(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 90, COUNT)
    rows = ["file,age,price"]
    for index, (image, age) in enumerate(zip(pictures(0)[0], ages, strict=True)):
        pixels = (255 * image[..., 0].clip(0, 1)).astype("uint8")
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        rows.append(f"{index}.png,{age:.3f},{10 * age:.3f}")
    (tmp_path / "all.csv").write_text("\n".join(rows), encoding="utf-8")
    spec = tmp_path / "both.yaml"
    spec.write_text(
        f"""
name: both
inputs: {{photo: [8, 8, 3], facts: [1]}}
layers:
  - flatten
  - {{name: seen, fc: 4}}
  - concat: [seen, facts]
  - fc: 1
train:
  data: {{source: table, path: {tmp_path}/all.csv, labels: price, targets: standardize,
         normalize: torch}}
  epochs: 2
""",
        encoding="utf-8",
    )
    run = archspec.fit(spec, out=tmp_path / "run")
    record = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))
    ways = dict(record["preprocessing"]["inputs"])
    assert ways["photo"]["mean"] == [123.675, 116.28, 103.53]
    assert 40 < ways["facts"]["mean"][0] < 70  # of the training part
    assert archspec.load(run.folder / "spec.yaml").train["data"]["features"] == ["age"]
    scores = archspec.evaluate(run.folder).result.scores
    assert scores.mae == pytest.approx(run.test["mae"], rel=1e-4)
    # New rows need the columns of the inputs, not the label; what cannot be read says why.
    new = ["age,other,file", f"{ages[0]:.3f},x,0.png", "old,x,1.png", "30,x,none.png"]
    (tmp_path / "new.csv").write_text("\n".join(new), encoding="utf-8")
    known = archspec.predict(run.folder, tmp_path / "all.csv")
    first, *unread = archspec.predict(run.folder, tmp_path / "new.csv")
    assert first.values[0].number == pytest.approx(known[0].values[0].number, rel=1e-5)
    assert "`age` is `old`, and a feature is a number" in unread[0].error
    assert "no such file" in unread[1].error


def test_two_runs_of_a_task_are_an_ensemble_and_a_comparison(home, begun):
    runs = [home / "place", begun]
    evaluation = archspec.evaluate(runs)
    assert "together" in str(evaluation)
    assert evaluation.ensemble.scores.mae < max(each.scores.mae for each in evaluation.runs)
    comparison = archspec.compare_runs(*runs, by="run")
    assert comparison.entries[0].figure("test")[0] == archspec.Run.read(runs[0]).test["mae"]
    assert "mean absolute errors" in str(comparison)
    comparison.draw(home / "curves.svg")
    with pytest.raises(UsageError, match="compare runs of one task"):
        archspec.compare_runs(home / "place", home / "halves")
    with pytest.raises(UsageError, match=r"for regression and .* for multi_label"):
        archspec.evaluate([home / "place", home / "halves"])


def test_a_network_begins_with_the_weights_of_another_task(begun):
    began = json.loads((begun / "transfer.json").read_text(encoding="utf-8"))
    assert len(began["new"]) == 1  # the head, though it has as many units


def test_methods_that_explain_a_class_say_what_a_network_of_numbers_is(home):
    images, _ = pictures(0)
    with pytest.raises(UsageError, match="predicts numbers, and this method explains a class"):
        archspec.explain.saliency(home / "place", images[:1])
    with pytest.raises(UsageError, match="has several inputs"):
        archspec.explain.saliency(home / "pair", images[:1])
    assert archspec.explain.saliency(home / "halves", images[:1], target=1)


def test_a_source_of_single_images_says_where_several_inputs_come_from(home):
    with pytest.raises(UsageError, match=r"numpy.savez\('data.npz', left=..., right=..., y=...\)"):
        archspec.fit(home / "pair.yaml", data="digits")
    text = (home / "pair.yaml").read_text(encoding="utf-8")
    other = home / "other.yaml"
    other.write_text(text.replace("right: [8", "right: [9"), encoding="utf-8")
    with pytest.raises(SpecError):
        archspec.fit(other, out=Path("never"))


def test_an_open_network_learns_at_one_size_and_predicts_at_another(tmp_path):
    images, places = pictures(0)
    np.savez(tmp_path / "data.npz", x=images, y=(places[:, 0] > 3).astype(int))
    spec = tmp_path / "open.yaml"
    spec.write_text(
        f"""
name: open
input: [null, null, 1]
layers:
  - conv: {{filters: 8, kernel: 3, activation: relu}}
  - conv: {{filters: 2, kernel: 1}}
  - global_avg_pool
  - softmax
train: {{data: {tmp_path}/data.npz, epochs: 1}}
""",
        encoding="utf-8",
    )
    run = archspec.fit(spec, out=tmp_path / "run")
    assert archspec.load(run.folder / "spec.yaml").train["data"]["size"] == [8, 8]
    scores = archspec.evaluate(run.folder).result
    assert scores.measures["loss"] == pytest.approx(run.test["loss"], rel=1e-4)
    assert archspec.resume(run.folder, epochs=2).outcome == "finished"
    # The same weights at another size: what the open network itself says of such images.
    (given,) = archspec.predict(run.folder, images[:1], at=8)
    assert given == archspec.predict(run.folder, images[:1])[0]
    larger = np.pad(images[:1], ((0, 0), (2, 2), (3, 3), (0, 0)))
    (guessed,) = archspec.predict(run.folder, larger, top=1, at="12x14")
    network = archspec.build(spec)
    archspec.weights.copy(run.folder / "best.keras", network)
    record = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["preprocessing"]
    outputs = np.asarray(network((larger - record["mean"][0]) / record["deviation"][0]))
    assert guessed.guesses[0].probability == pytest.approx(float(outputs.max()), rel=1e-4)
    with pytest.raises(UsageError, match="`at=` must be height x width here"):
        archspec.predict(run.folder, larger, at="8x8x8")

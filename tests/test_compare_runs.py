"""Runs side by side: which are one line, what it shows, and what is said of folders that are none.

The folders are written by hand, so no engine is started.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from support.runs import describe_run

import archspec
from archspec.cli import main
from archspec.errors import UsageError
from archspec.runs import units
from archspec.runs.comparison import Curve
from archspec.runs.outcome import Run

SPEC = """
name: {name}
input: [8, 8, 1]
vars: {{act: {act}}}
layers: [flatten, fc: {{units: 2, activation: =act}}, fc: {{units: 2, activation: softmax}}]
train: {{seed: {seed}, optimizer: {{adam: {{learning_rate: {rate}}}}}}}
"""


def write(
    home: Path, accuracies=(0.5, 0.75), *, name="net", act="relu", seed=0, rate=0.1, **more
) -> Path:
    """A run's folder; validation accuracies are a tenth below those of training."""
    home.mkdir(parents=True)
    describe_run(home, SPEC.format(name=name, act=act, seed=seed, rate=rate), ["a", "b"])
    rows = tuple(
        {
            "epoch": epoch,
            "accuracy": each,
            "loss": 2 - each,
            "val_accuracy": each - 0.1,
            "val_loss": 3 - each,
            "seconds": 1.0,
            "images_per_second": 100.0,
            **more,
        }
        for epoch, each in enumerate(accuracies, 1)
    )
    best = len(rows) or None
    outcome = "finished" if rows else "interrupted"
    test = {"accuracy": accuracies[-1] - 0.2} if rows else {}
    score = test.get("accuracy")
    Run(name, outcome, rows, best, test, score, float(len(rows)), 24, folder=home).write()
    return home


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Three repetitions, another activation, and another learning rate."""
    monkeypatch.chdir(tmp_path)
    for seed, last in enumerate((0.7, 0.8, 0.9)):
        write(Path(f"relu-{seed}"), (0.5, last), seed=seed)
    write(Path("tanh"), (0.4, 0.6), act="tanh")
    write(Path("fast"), (0.4, 0.6), rate=0.5, seed=1)
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(main, ["compare", "--runs", *map(str, words)])


def folders(place):
    return sorted(path.name for path in place.iterdir() if path.is_dir())


def test_runs_that_only_their_seeds_tell_apart_are_one_line(place):
    found = archspec.compare_runs(*folders(place))
    assert {entry.name: [e.run.folder.name for e in entry.runs] for entry in found.entries} == {
        "act=relu, learning_rate=0.5": ["fast"],
        "act=relu, learning_rate=0.1": ["relu-0", "relu-1", "relu-2"],
        "act=tanh, learning_rate=0.1": ["tanh"],
    }


def test_runs_may_be_told_apart_otherwise(place):
    assert len(archspec.compare_runs(*folders(place), by="run").entries) == 5
    networks = archspec.compare_runs(*folders(place), by="network").entries
    assert [len(entry.runs) for entry in networks] == [4, 1]


@pytest.mark.usefixtures("place")
def test_an_entry_has_the_mean_and_the_spread_of_its_runs():
    (entry,) = archspec.compare_runs("relu-0", "relu-1", "relu-2").entries
    assert entry.name == "net"
    assert entry.figure("test") == (pytest.approx(0.6), pytest.approx(0.1))  # 0.5, 0.6, 0.7
    assert entry.figure("validation") == (pytest.approx(0.7), pytest.approx(0.1))
    assert entry.figure("epochs") == (2, 0)
    curve = entry.curve("error")
    assert curve == Curve((1, 2), *map(pytest.approx, ((0.5, 0.2), (0.5, 0.1), (0.5, 0.3))))
    assert entry.curve("error", "val_").mean == pytest.approx((0.6, 0.3))
    assert entry.curve("top_k") is None


def test_a_curve_ends_with_the_shortest_of_its_runs(place):
    write(place / "short", (0.5,), seed=7)
    found = archspec.compare_runs("relu-0", "short")
    assert found.entries[0].curve("loss").epochs == (1,)
    assert found.notes == (
        "net: its runs have 1 to 2 epochs, and its curve ends with the shortest",
    )


def test_the_formats_say_the_same(place):
    names = folders(place)
    text, markdown, table, data = (
        invoke(*names, "--format", form).stdout for form in ("text", "markdown", "csv", "json")
    )
    assert "60.00% ± 10.00%" in text
    assert "60.00% ± 10.00%" in markdown
    for seed in range(3):  # which runs are one line
        assert f"relu-{seed} (seed {seed})" in text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["folder"] for row in rows] == names
    assert [float(row["test"]) for row in rows[1:4]] == pytest.approx([0.5, 0.6, 0.7])
    entries = json.loads(data)["entries"]
    assert entries[1]["figures"]["test"]["mean"] == pytest.approx(0.6)
    assert entries[1]["curves"]["val_error"]["lowest"] == pytest.approx([0.6, 0.2])


def test_they_can_be_sorted(place):
    tests = [
        entry.figure("test")[0]
        for entry in archspec.compare_runs(*folders(place), by="run", sort="-test").entries
    ]
    assert tests == sorted(tests, reverse=True)
    with pytest.raises(UsageError, match=r"no figure `tests` .*did you mean `test`"):
        archspec.compare_runs("relu-0", "tanh", sort="tests")


def test_the_curves_are_drawn_in_one_picture(place):
    done = invoke(*folders(place), "-o", "curves.svg", "-o", "curves.png", "--curves", "loss,error")
    assert done.exit_code == 0, done.output
    svg = Path("curves.svg").read_text(encoding="utf-8")
    assert "act=tanh, learning_rate=0.1 50.0%" in svg  # the last validation error
    assert "solid: validation; dashed: training; line: mean of the runs; band: lowest" in svg
    with Image.open("curves.png") as picture:
        assert picture.size[0] > 1_000


@pytest.mark.usefixtures("place")
def test_one_part_alone_can_be_drawn():
    archspec.compare_runs("relu-0", "tanh").draw("train.svg", ["train_error"])
    svg = Path("train.svg").read_text(encoding="utf-8")
    assert "training error" in svg
    assert "dashed" not in svg
    assert "act=tanh 40.0%" in svg


def test_what_happens_inside_can_be_drawn(place):
    dead = [{"fc1": {"gradient": 1.0, "dead": share, "saturated": None}} for share in (0, 0.5, 1)]
    units.write(place / "relu-0", dead)
    found = archspec.compare_runs("relu-0", "tanh")
    found.draw("dead.svg", ["dead:fc1"])
    assert "act=relu 100.0%" in Path("dead.svg").read_text(encoding="utf-8")
    assert list(found.missing(["dead:fc1"])) == [
        "act=tanh has no `dead:fc1`, so no curve of it is drawn"
    ]
    with pytest.raises(UsageError, match=r"no run has a measure `dead:fc9`.*`dead:fc1`"):
        found.drawn(["dead:fc9"])


def test_a_run_without_a_whole_epoch_is_named(place):
    write(place / "none", ())
    done = invoke("none", "tanh", "relu-0")
    assert "none has no whole epoch (interrupted), so it has no curve" in done.stdout
    assert done.exit_code == 0


@pytest.mark.usefixtures("place")
def test_a_measure_that_no_run_has_is_refused_before_anything_is_printed():
    done = invoke("relu-0", "tanh", "--curves", "los")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no run has a measure `los` to draw; did you mean `loss`?" in done.stderr


@pytest.mark.usefixtures("place")
def test_all_that_is_no_run_is_said_at_once():
    Path("relu-0/run.json").write_text("{", encoding="utf-8")
    Path("tanh/run.json").unlink()
    Path("empty").mkdir()
    done = invoke("relu-0", "tanh", "empty", "nowhere", "fast", "fast", "fast/best.keras")
    assert done.exit_code == 2
    for said in (
        "relu-0/run.json is damaged or was edited",
        "the run in tanh has not ended: `archspec fit --resume tanh` goes on with it",
        "empty is not the folder of a run",
        "there is no folder nowhere",
        "fast is given twice",
        "fast/best.keras is a model: name the folder of its run",
    ):
        assert said in done.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runs", "tanh"], "only tanh is given: name the folders of two runs"),
        (["--runs", "tanh", "fast", "--batch", "3", "--ops"], "--ops and --batch do not go with"),
        (["lenet5", "--curves", "loss"], "--curves does not go with networks, only with --runs"),
        (["lenet5", "-o", "curves.gif"], "the suffix says what to write"),
        (["--runs", "tanh", "fast", "-o", "curves.pdf"], "the suffix says what to write"),
        (["--runs", "tanh", "fast", "-o", "nowhere/curves.svg"], "there is no folder nowhere"),
    ],
)
def test_wrong_words_are_refused(words, said):
    done = CliRunner().invoke(main, ["compare", *words])
    assert done.exit_code == 2
    assert said in done.stderr

"""A run's folder is the truth: what was damaged or edited in it is named, and nothing is lost."""

from __future__ import annotations

import ast
import csv
import hashlib
import importlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import pytest

import archspec
from archspec.cli import main
from archspec.data.imagefile import UnreadableError
from archspec.element import ArgumentProblems
from archspec.errors import (
    ArchspecError,
    Diagnostic,
    Portable,
    Problem,
    RecipeError,
    SpecError,
    UsageError,
)
from archspec.evaluation import trained
from archspec.evaluation.scores import Cell, Scores
from archspec.keras_model import engine
from archspec.keras_model.export import Exported, UnequalError
from archspec.runs import checkpoints, folder, storage
from archspec.runs.origin import MAY_CHANGE
from archspec.runs.outcome import DivergedError, Run
from archspec.runs.storage import DamagedError
from archspec.spec.template import Passed
from archspec.text import csv_lines, without_controls
from archspec.training import fit as training
from archspec.training import resuming

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]

SPEC = """
name: tiny
input: [8, 8, 1]
layers:
  - conv: {filters: 3, kernel: 3, activation: relu}
  - flatten
  - fc: 10
train:
  batch: 100
  epochs: 2
  optimizer: {sgd: {learning_rate: 0.1}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run of two epochs."""
    place = tmp_path_factory.mktemp("finished")
    (place / "tiny.yaml").write_text(SPEC, encoding="utf-8")
    return archspec.fit(place / "tiny.yaml", out=place / "run").folder


@pytest.fixture
def home(finished, tmp_path, monkeypatch) -> Path:
    """A copy of it, called `run`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "run")
    return Path("run")


class EngineWanted(Exception):  # noqa: N818
    """All that is known without an engine is right."""


@pytest.fixture
def no_engine(monkeypatch) -> None:
    def wanted(*_: object, **__: object) -> None:
        raise EngineWanted

    monkeypatch.setattr(training, "prepare", wanted)
    monkeypatch.setattr(trained, "load_keras", wanted)
    monkeypatch.setattr(engine, "load_file", wanted)


def state(home: Path) -> dict[str, str]:
    """The digest of each file in a folder, and that folders are there."""
    found = {}
    for path in sorted(home.rglob("*")):
        whole = path.is_file() and path.stat().st_size < storage.MAX_BYTES
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if whole else "-"
        found[str(path.relative_to(home))] = digest
    return found


def export(home: Path) -> None:
    done = click.testing.CliRunner().invoke(main, ["export", str(home), "-o", "x.keras"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    raise UsageError(done.stderr)


IMAGE = np.zeros((1, 8, 8, 1), np.uint8)

USES: dict[str, Callable[[Path], object]] = {
    "read": Run.read,
    "evaluate": archspec.evaluate,
    "predict": lambda home: archspec.predict(home, IMAGE),
    "export": export,
    "resume": lambda home: archspec.resume(home, epochs=3),
}

REFUSING = {
    "spec.yaml": {"evaluate", "predict", "export", "resume"},
    "data.json": {"evaluate", "predict", "export", "resume"},
    "origin.json": {"evaluate", "predict", "export", "resume"},
    "transfer.json": {"resume"},
    "run.json": {"read"},
    "environment.json": set(),
    "history.csv": set(),
    "scores.json": set(),
    "checkpoints/epoch-0001.npz": set(),
    "checkpoints/epoch-0002.npz": set(),
}
"""Functions that fail if a file is damaged."""


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, storage.MAX_BYTES + 1)


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def half(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b'{"source": "r'
    path.write_bytes(content[: len(content) // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "null": lambda path: path.write_bytes(b"null"),
    "a list": lambda path: path.write_bytes(b"[]"),
    "a number": lambda path: path.write_bytes(b"3"),
    "a word": lambda path: path.write_bytes(b'"x"'),
    "another mapping": lambda path: path.write_bytes(b'{"a": 1}'),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "deep mappings": lambda path: path.write_bytes(b'{"a":' * 100_000),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "half": half,
    "huge": huge,
    "a folder": a_folder,
}


def outcomes(home: Path) -> dict[str, str]:
    """Use by use, what is said of a refusal; nothing of a use that goes on to the engine."""
    before, said = state(home), {}
    for name, use in USES.items():
        try:
            use(home)
        except EngineWanted:
            continue
        except ArchspecError as error:
            said[name] = str(error)
        assert state(home) == before, name
    return said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", REFUSING)
@pytest.mark.usefixtures("no_engine")
def test_a_damaged_file_is_named_by_what_needs_it_and_stops_nothing_else(home, name, damage):
    DAMAGES[damage](home / name)
    said = outcomes(home)
    assert set(said) == REFUSING[name]
    assert all(Path(name).name in text for text in said.values())


def keys(home: Path) -> list[tuple[str, str]]:
    """Every key of the files that are read."""
    names = ("run.json", "data.json", "origin.json")
    return [(name, key) for name in names for key in json.loads((home / name).read_text("utf-8"))]


@pytest.mark.parametrize("value", [None, {"a": []}, [[]], "x", 1e300], ids=repr)
@pytest.mark.usefixtures("no_engine")
def test_a_value_of_another_type_is_named_with_its_key(home, value):
    """A value that a key may have is said to have been edited, or changes nothing that is used."""
    for name, key in keys(home):
        path = home / name
        whole = path.read_text("utf-8")
        path.write_text(json.dumps(json.loads(whole) | {key: value}), encoding="utf-8")
        said = outcomes(home)
        free = {"best_epoch", "test", "test_accuracy", "notes", "description", "name", "advice"}
        noted = {"params", "seconds", "values", "version", "skipped", "copies", "scale"}
        assert said or key in {*free, *noted}, key
        assert all(name in text for text in said.values()), (key, said)
        if name != "origin.json":
            assert all(key in text for text in said.values()), (key, said)
        path.write_text(whole, encoding="utf-8")


@pytest.mark.parametrize("name", ["spec.yaml", "data.json", "origin.json", "best.keras"])
@pytest.mark.usefixtures("no_engine")
def test_a_missing_file_is_named(home, name):
    (home / name).unlink()
    said = outcomes(home)
    assert {"evaluate", "predict"} <= set(said)
    assert all(name in text or "is not the folder of a run" in text for text in said.values())


EDITS = [
    ("spec.yaml", "learning_rate: 0.1", "learning_rate: 0.2", "learning_rate` was 0.1 and is 0.2"),
    ("spec.yaml", "activation: relu", "activation: tanh", 'activation` was "relu" and is "tanh"'),
    ("spec.yaml", "seed: 0", "seed: 1", "`train.data.seed` was 0 and is 1"),
    ("spec.yaml", "test: 0.2", "test: 0.3", "`train.data.test` was 0.2 and is 0.3"),
    ("spec.yaml", "validation: 0.1", "validation: 0.2", "`train.data.validation` was 0.1"),
    ("spec.yaml", "standardize", "unit", '`train.data.normalize` was "standardize" and is "unit"'),
    ("spec.yaml", "batch: 100", "batch: 50", "`train.batch` was 100 and is 50"),
    ("spec.yaml", "filters: 3", "filters: 4", "`layers.0.conv.filters` was 3 and is 4"),
    ("data.json", '"0",\n    "1"', '"1",\n    "0"', '`class_names.0` was "0" and is "1"'),
    ("data.json", '"mean": [\n      4', '"mean": [\n      5', "`preprocessing.mean.0` was 4"),
    ("data.json", '"measured": 1', '"measured": 2', "`preprocessing.measured` was 1"),
    ("data.json", '"split": "', '"split": "0', "`split` was "),
    ("data.json", '"train": 1', '"train": 2', "`images.train` was 1"),
    ("data.json", '"mean": [\n', '"mean": [\nNaN,', "`preprocessing.mean.0` should be a finite"),
    (
        "data.json",
        '"deviation": [\n      ',
        '"deviation": [\n      -',
        "`preprocessing.deviation.0`",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "said"), EDITS)
@pytest.mark.usefixtures("no_engine")
def test_what_was_edited_is_refused_by_name(home, name, old, new, said):
    path = home / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    found = outcomes(home)
    assert set(found) == {"evaluate", "predict", "export", "resume"}
    assert all(said in text and name in text for text in found.values()), found


def test_what_may_change_may_be_edited_or_given(home, no_engine):  # noqa: ARG001
    path = home / "spec.yaml"
    path.write_text(path.read_text("utf-8").replace("epochs: 2", "epochs: 5"), encoding="utf-8")
    assert outcomes(home) == {}
    start = resuming.find(home, {"devices": 1, "tensorboard": False, "data.cache": False})
    assert (start.epoch, start.plan.recipe.epochs, start.plan.recipe.data.cache) == (2, 5, False)
    documented = Path(__file__).parent.parent.joinpath("docs", "training.md").read_text("utf-8")
    assert all(f"`{key}`" in documented for key in MAY_CHANGE)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"epochs": 1}, "has 2 whole epochs already, and `epochs=1` is fewer"),
        ({"epochs": 2}, "has ended .*above 2 trains it further"),
        ({"optimizer.learning_rate": 0.2}, "without `optimizer.learning_rate=...`; only `epochs`"),
        ({"learning_rate": 0.2}, r"archspec.fit\('run/spec.yaml'\)` with `transfer.from='run'`"),
        ({"batch": 7}, "without `batch=...`"),
        ({"data.test": 0.3}, "`data.test` was 0.2 and is 0.3"),
        ({"data": "mnist"}, '`data.source` was "digits" and is "mnist"'),
        ({"epoch": 3}, "`epoch=...`"),
    ],
)
@pytest.mark.usefixtures("no_engine")
def test_a_request_that_is_refused_leaves_the_folder_as_it_was(home, recipe, said):
    before = state(home)
    with pytest.raises(UsageError, match=said):
        archspec.resume(home, **recipe)
    assert state(home) == before


@pytest.mark.parametrize("lost", [[], ["run.json"], ["run.json", "final.keras"]])
@pytest.mark.usefixtures("no_engine")
def test_what_is_finished_is_not_overwritten_where_the_checkpoints_are_gone(home, lost):
    shutil.rmtree(home / "checkpoints")
    for name in lost:
        (home / name).unlink()
    assert "no checkpoint left to resume from" in outcomes(home)["resume"]


@pytest.mark.usefixtures("no_engine")
def test_only_weights_that_are_there_are_advised(home):
    shutil.rmtree(home / "checkpoints")
    assert outcomes(home)["resume"].endswith("with `transfer.from='run'`")
    (home / "best.keras").unlink()
    said = outcomes(home)
    assert said["resume"].endswith(": start a new run: `archspec.fit('run/spec.yaml')`")
    assert said["evaluate"].endswith(
        "put it back, or name run/final.keras, the model of its last epoch"
    )
    assert trained.find(home / "final.keras")


@pytest.mark.usefixtures("no_engine")
def test_a_run_that_diverged_at_once_is_not_said_to_go_on(home):
    path = home / "run.json"
    run = json.loads(path.read_text("utf-8"))
    run |= {"outcome": "diverged", "history": [], "best_epoch": None}
    path.write_text(json.dumps(run), encoding="utf-8")
    for name in ("best.keras", "final.keras"):
        (home / name).unlink()
    assert outcomes(home)["evaluate"] == "run holds no model: the run diverged in its first epoch"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_no_model_and_no_checkpoint(home):
    best, newest = home / "best.keras", home / "checkpoints" / "epoch-0002.npz"
    best.unlink()
    os.mkfifo(best)
    for use in (archspec.evaluate, lambda run: archspec.resume(run, epochs=3)):
        with pytest.raises(UsageError, match=r"best\.keras is not a file"):
            use(home)
    newest.unlink()
    os.mkfifo(newest)
    assert checkpoints.latest(home)[1] == (newest,)


@pytest.mark.usefixtures("no_engine")
def test_checkpoints_that_are_damaged_or_misnamed_are_no_checkpoints(home):
    first, second = sorted((home / "checkpoints").iterdir())
    first.write_bytes(b"")
    second.rename(second.with_name("epoch-0007.npz"))
    assert "no checkpoint in run can be read" in outcomes(home)["resume"]


def test_a_misnamed_checkpoint_gives_way_to_the_one_before(home):
    newest = home / "checkpoints" / "epoch-0002.npz"
    newest.rename(newest.with_name("epoch-0007.npz"))
    held, damaged = checkpoints.latest(home)
    assert held is not None
    assert held.epoch == 1
    assert [path.name for path in damaged] == ["epoch-0007.npz"]


def test_the_model_of_another_network_is_noticed_before_anything_is_done(home):
    other = SPEC.replace("filters: 3", "filters: 5")
    Path("other.yaml").write_text(other, encoding="utf-8")
    archspec.build(archspec.load("other.yaml")).save(home / "best.keras")
    said = outcomes(home)
    assert set(said) == {"evaluate", "predict", "export", "resume"}
    assert all("best.keras is not the model of" in text for text in said.values())


def test_images_that_are_split_otherwise_today_are_not_taken_for_held_out(home):
    known = json.loads((home / "data.json").read_text("utf-8"))["split"]
    for name in ("data.json", "origin.json"):  # as if an archspec of another rule had written it
        path = home / name
        path.write_text(path.read_text("utf-8").replace(known, "0" * 64), encoding="utf-8")
    with pytest.raises(UsageError, match=r"splits the data differently .* `part='all'` scores it"):
        archspec.evaluate(home)
    assert "splits the data differently" in archspec.evaluate(home, part="all").notes[0]
    with pytest.raises(UsageError, match="held-out images would be trained on"):
        archspec.resume(home, epochs=3)


def test_a_model_that_is_gone_is_named(home):
    run = Run.read(home)
    (home / "best.keras").unlink()
    with pytest.raises(UsageError, match=r"there is no run/best\.keras"):
        run.model()


def test_a_best_model_that_is_gone_comes_back_from_its_checkpoint(home):
    best = home / "best.keras"
    weights = [np.array(w) for w in archspec.load_model(best).get_weights()]
    epoch = Run.read(home).best_epoch
    best.unlink()
    (home / "run.json").unlink()  # as if it had been killed
    run = archspec.resume(home)
    assert run.best_epoch == epoch
    again = archspec.load_model(best).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))


def of_010(home: Path) -> float:
    """Make `data.json` one of archspec 0.1.0, and return the white that it names.

    That knew the white of pixels, not their range.
    """
    data = json.loads((home / "data.json").read_text("utf-8"))
    for key in ("version", "split", "split_rule", "copies", "values", "notes"):
        del data[key]
    white = data["preprocessing"].pop("range")[1]
    data["preprocessing"]["scale"] = white
    (home / "data.json").write_text(json.dumps(data), encoding="utf-8")
    return white


def test_a_folder_of_archspec_010_is_read(home):
    (home / "origin.json").unlink()
    white = of_010(home)
    (found,) = trained.find(home)
    assert found.preprocessing is not None
    assert found.preprocessing.range == (0, white)
    assert resuming.find(home, {"epochs": 3}).epoch == 2


def test_a_folder_of_archspec_010_goes_on_after_a_kill_between_its_new_files(home):
    """A run that goes on writes `origin.json` first, and then `data.json`."""
    origin = home / "origin.json"
    split = json.loads(origin.read_text("utf-8"))
    split["data"]["split_rule"] = 1  # as a run of that rule goes on
    origin.write_text(json.dumps(split), encoding="utf-8")
    of_010(home)
    assert resuming.find(home, {"epochs": 3}).epoch == 2
    path = home / "data.json"
    path.write_text(path.read_text("utf-8").replace('"0", "1"', '"1", "0"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"`class_names\.0` was"):
        resuming.find(home, {"epochs": 3})


HOLDS = """
import sys
from pathlib import Path
from archspec.runs.folder import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="nothing is claimed there")
def test_a_claim_holds_even_if_its_file_is_deleted(tmp_path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        (tmp_path / ".claimed").unlink()
        with pytest.raises(UsageError, match="another process"), folder.claimed(tmp_path):
            pass
        other.communicate()
    with folder.claimed(tmp_path):
        pass


@pytest.mark.parametrize(
    "name", ["spec.yaml", "data.json", "origin.json", "run.json", "checkpoints", "."]
)
@pytest.mark.usefixtures("no_engine")
def test_what_may_not_be_read_is_named(home, name):
    (home / name).chmod(0)
    if os.access(home / name, os.R_OK):
        pytest.skip("root may do all")
    try:
        with pytest.raises(ArchspecError, match=rf"{name}|run/spec.yaml"):
            archspec.resume(home, epochs=3)
    finally:
        (home / name).chmod(0o700)


@pytest.mark.parametrize("name", ["checkpoints", "."])
@pytest.mark.usefixtures("no_engine")
def test_what_may_not_be_written_is_named_before_anything_is_done(home, name):
    (home / name).chmod(0o500)
    if os.access(home / name, os.W_OK):
        pytest.skip("root may do all")
    try:
        with pytest.raises(UsageError, match="cannot be written"):
            archspec.resume(home, epochs=3)
    finally:
        (home / name).chmod(0o700)


CELLS = ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "＝1"]  # noqa: RUF001


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_of_a_csv_is_a_formula(cell):
    assert next(csv.reader(io.StringIO(csv_lines([[cell, "x"]]), newline=""))) == [f"'{cell}", "x"]
    scores = Scores((cell, "b"), (Cell(0, 0, 1), Cell(1, 1, 1)), (), ())
    for text in (scores.per_class_csv(), scores.confusion_csv()):
        cells = [each for row in csv.reader(io.StringIO(text, newline="")) for each in row]
        assert f"'{cell}" in cells
        assert cell not in cells


def test_numbers_in_a_csv_stay_numbers():
    assert (
        csv_lines([[-1, -0.5, "-1", "+2.5e-3", "a-b", "a\rb"]]) == "-1,-0.5,-1,+2.5e-3,a-b,a\\rb\n"
    )


def test_control_characters_do_not_reach_a_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "\x1b]0;title\x07\x1b[2J"
    for arguments in (
        ["evaluate", name],
        ["export", name, "-o", "a.onnx"],
        ["fit", "--resume", name],
    ):
        done = click.testing.CliRunner().invoke(main, arguments)
        assert done.exit_code == 2
        assert "\x1b" not in done.output + done.stderr
        assert "\\x1b]0;title" in done.stderr
    assert without_controls("a\tb\n\x1b[1mc\x1b[2J\u202e", styled=True) == (
        "a\tb\n\x1b[1mc\\x1b[2J\\u202e"
    )


def test_a_command_in_a_message_can_be_pasted(home):
    run = Run.read(home)
    home.rename("my run")
    done = click.testing.CliRunner().invoke(main, ["fit", "--resume", "my run", "--batch", "3"])
    assert "`archspec fit 'my run/spec.yaml'` with `--from 'my run'`" in done.stderr
    assert run.folder == home


def errors() -> list[Exception]:
    """One of each exception that archspec raises."""
    problem = Problem("value", "wrong", help="right")
    problem.path = "a/b"
    exported = Exported(Path("x.onnx"), 1, 0.5, 1e-4, 2, None)
    run = Run("tiny", "diverged", (), None, {}, None, 0.0, 1, folder=Path("run"))
    return [
        problem,
        ArchspecError("wrong"),
        UsageError("wrong"),
        DamagedError("wrong"),
        SpecError((Diagnostic("value", "wrong", help="right"),), ("line",)),
        RecipeError([(("batch",), problem)]),
        ArgumentProblems({"filters": problem}),
        UnequalError(exported),
        UnreadableError("wrong"),
        Passed("wrong"),
        DivergedError(run),
    ]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_an_exception_reaches_another_process_whole(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert {key: repr(value) for key, value in vars(again).items()} == {
        key: repr(value) for key, value in vars(error).items()
    }


def test_every_exception_that_takes_more_than_a_message_is_portable():
    root = Path(archspec.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any("E" in ast.unparse(b) for b in node.bases):
                name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
                kind = getattr(importlib.import_module(name), node.name, object)
                if issubclass(kind, Exception):
                    plain = kind.__init__ in {Exception.__init__, ValueError.__init__}
                    assert plain or issubclass(kind, Portable), kind

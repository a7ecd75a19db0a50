"""Searches: candidates of a space, proposed, rejected, trained, whatever happens."""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest
import yaml
from support.commands import run, start

import archspec
from archspec.errors import UsageError
from archspec.render.study import progress
from archspec.studies.space import space_of

NET = """
name: small
input: [8, 8, 1]
vars: {width: 8, depth: 1, style: same}
search:
  width: {range: [4, 12], step: 4}
  depth: [1, 2]
  style: {choice: [same, valid]}
budget: {params: 2K}
defaults: {conv: {kernel: 3, padding: =style, norm: batch, activation: relu}}
layers:
  - {conv: =width, repeat: =depth}
  - max_pool: 2
  - flatten
  - fc: {units: 10, activation: softmax}
train:
  data: digits
  batch: 128
  epochs: 2
  steps_per_execution: 1
  optimizer: {adam: {learning_rate: 0.01}}
"""

WIDE = """
name: wide
input: [8, 8, 1]
vars: {units: 8}
search: {units: {choice: [8, 10000000]}}
layers:
  - global_avg_pool
  - {fc: {units: =units, activation: relu}, repeat: 2}
  - {fc: {units: 10, activation: softmax}}
train: {data: digits, epochs: 1}
"""

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(blank_pictures, tmp_path_factory):  # noqa: ARG001
    """A search of three trials in a journal, and the numbers that its progress was told."""
    home = tmp_path_factory.mktemp("whole")
    (home / "net.yaml").write_text(NET, encoding="utf-8")
    told = []
    with contextlib.chdir(home):
        found = archspec.search(
            "net.yaml",
            trials=3,
            seed=3,
            storage="all.journal",
            out=home / "found",
            progress=lambda _, trial: told.append(trial.number),
        )
    return found, told


def outcome(study):
    """What a search found, without times and places."""
    return [(each.values, each.state, each.scores) for each in study.trials]


def test_a_search_trains_what_is_within_the_budget_and_explains_itself(net, whole):
    found, told = whole
    assert told == [0, 1, 2]
    assert [each.state for each in found.trials] == ["complete"] * 3
    assert len({tuple(each.values.values()) for each in found.trials}) == 3
    for each in found.trials:
        costs = archspec.report(archspec.load(net, **each.values)).totals
        assert each.figures == {"params": costs.params, "macs": costs.macs}
        assert costs.params <= 2000
        trained = archspec.Run.read(found.folder / each.folder)
        best = trained.history[trained.best_epoch - 1]
        assert each.scores == {"accuracy": best["val_accuracy"]}
    assert found.best.scores["accuracy"] == max(t.scores["accuracy"] for t in found.trials)

    rows = [*csv.DictReader((found.folder / "trials.csv").read_text(encoding="utf-8").splitlines())]
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    best = yaml.safe_load((found.folder / "best.yaml").read_text(encoding="utf-8"))
    assert {name: best["vars"][name] for name in found.best.values} == found.best.values
    page = (found.folder / "index.html").read_text(encoding="utf-8")
    assert 'href="trials/0002/index.html"' in page
    assert "Parallel coordinates" in page
    assert outcome(archspec.Study.read(found.folder)) == outcome(found)


def test_the_same_seed_gives_the_same_search_also_where_it_was_stopped(net, whole):
    archspec.search(net, trials=1, seed=3, out="parts")
    parts = archspec.join_search("parts", trials=2)
    assert (parts.folder / "study.db").is_file()
    assert outcome(parts) == outcome(whole[0])[:2]


def test_figures_alone_need_no_training(net):
    found = archspec.search(net, objective="min macs, max params", trials=50)
    assert not (found.folder / "trials").exists()
    space = space_of(archspec.load(net), {})
    within = [each.number for each in archspec.sweep(net) if each.within]
    assert len(found.trials) == len(within) < space.count  # all there are, each once
    rows = csv.DictReader((found.folder / "trials.csv").read_text(encoding="utf-8").splitlines())
    assert [row["macs"] for row in rows] == [str(each.figures["macs"]) for each in found.trials]
    best = archspec.sweep(net, front="min macs, max params").front
    assert {str(each.values) for each in found.front} == {str(each.values) for each in best}


def test_a_candidate_that_the_memory_is_too_small_for_is_noted_and_left(net):
    net.write_text(WIDE, encoding="utf-8")
    told = []
    found = archspec.search(net, trials=2, progress=lambda *each: told.append(progress(*each)))
    states = {each.values["units"]: each.state for each in found.trials}
    assert states == {8: "complete", 10_000_000: "pruned"}
    (left,) = (each for each in found.trials if each.state == "pruned")
    assert "too little memory" in left.note
    assert f"pruned after epoch 0 ({left.note})" in " ".join(told)


def test_a_process_killed_while_values_are_stored_changes_nothing_else(net):
    """Its trial fails after a minute without a sign of life; the next has the same values."""
    options = {"objective": "min macs", "seed": 5}
    whole = archspec.search(net, trials=3, out="whole", **options)
    archspec.search(net, trials=1, out="parts", **options)
    database = net.parent / "parts" / "study.db"
    killed = optuna.load_study(study_name=None, storage=f"sqlite:///{database}").ask()
    killed.suggest_int("width", 4, 12, step=4)
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO trial_heartbeats (trial_id, heartbeat) "
            "SELECT trial_id, '2020-01-01 00:00:00' FROM trials WHERE state = 'RUNNING'"
        )
    parts = archspec.join_search("parts", trials=3)
    assert [each.state for each in parts.trials] == ["complete", "failed", "complete", "complete"]
    assert [each for each in outcome(parts) if each[1] != "failed"] == outcome(whole)


def test_bytes_of_a_search_without_training_are_at_the_batch_that_was_given(net):
    found = archspec.search(net, objective="min must_keep", trials=1, batch=512)
    (trial,) = found.trials
    costs = archspec.report(archspec.load(net, **trial.values), batch=512)
    assert trial.figures["must_keep"] == costs.memory.must_keep


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"where": "params < 10"},
            "none of 12 candidates is within the conditions; the nearest",
        ),
        ({"objective": "max acuracy"}, "there is no figure `acuracy`"),
        ({"pruner": "mean"}, "`pruner='mean'` must be one of median, halving, hyperband, none"),
        ({"trials": 0}, "`trials=0` must be a whole number"),
        ({"vary": {"wdth": [1]}}, "has no variable `wdth`; did you mean `width`?"),
        ({"storage": "nosql://x"}, "the storage nosql://x cannot be opened"),
        ({"storage": "trials.db"}, "must be the URL of a database, or FILE.journal"),
        ({"storage": "nowhere/all.journal"}, "nowhere/all.journal cannot be opened: No such file"),
        (
            {"objective": "min macs", "epochs": 2},
            "`epochs` is for training, and min macs needs none",
        ),
        ({"epochs": 0}, "epochs"),
        ({"optimiser": "adam"}, "optimiser"),
    ],
)
def test_a_mistake_is_explained_before_anything_is_trained(net, options, message):
    with pytest.raises(UsageError) as error:
        archspec.search(net, **options)
    assert message in str(error.value)


def test_accuracy_is_for_classes(net):
    pixels = np.zeros((50, 8, 8, 1), "uint8")
    np.savez("numbers.npz", x=pixels, y=np.random.default_rng(0).random((50, 10)))
    net.write_text(NET.replace("activation: softmax", "activation: null"), encoding="utf-8")
    with pytest.raises(UsageError, match="`accuracy` is of classes"):
        archspec.search(net, loss="mean_squared_error", data="numbers.npz")


def test_without_optuna_the_extra_is_named(net):
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from archspec.cli import main\n"
        f"main(['search', {str(net)!r}])"
    )
    done = run(code=code)
    assert done.returncode == 2
    assert "pip install 'keras-archspec[search]'" in done.stderr


@pytest.mark.parametrize("place", ["nowhere", "nowhere.journal", "sqlite:///nowhere.db"])
def test_a_place_without_a_search_is_refused_and_not_made(net, place):
    done = run("search", "--join", place, cwd=net.parent)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not [*net.parent.glob("nowhere*")]


def test_an_empty_place_to_join_is_refused_by_the_option_that_gave_it():
    done = run("search", "--join", "")
    assert done.returncode == 2
    assert done.stderr == "error: `--join` must be a path or a name\n"


def test_a_message_about_a_database_does_not_show_its_password(net):
    done = run("search", net, "--storage", "oracle://me:secret@host/all", cwd=net.parent)
    assert done.returncode == 2
    assert "oracle://me:***@host/all" in done.stderr
    assert "secret" not in done.stderr


def test_a_search_in_a_journal_is_joined_from_another_folder(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun, _ = whole
    shutil.copy(begun.folder.with_name("all.journal"), "copy.journal")
    found = archspec.join_search("copy.journal", trials=4)
    assert found.folder != begun.folder
    assert [each.state for each in found.trials] == ["complete"] * 4
    assert outcome(found)[:3] == outcome(begun)
    folder = found.folder.resolve()
    monkeypatch.chdir("/")
    assert outcome(archspec.Study.read(folder)) == outcome(found)


@pytest.mark.slow
def test_killed_processes_lose_nothing_but_their_trials(net):
    """Two are killed while they train: what they finished is there, the rest is repeated."""
    options = ["--trials", "6", "--epochs", "6", "--pruner", "none", "--train", "batch=8"]
    first = start("search", net, "-o", "found", "--quiet", *options, cwd=net.parent)
    home = net.parent / "found"
    while not (home / "search.json").exists():
        time.sleep(0.2)
    second = start("search", "--join", "found", "--quiet", cwd=net.parent)
    while len([*home.glob("trials/*/run.json")]) < 2 or len([*home.glob("trials/*")]) < 4:
        time.sleep(0.2)
    time.sleep(time.time() % 2)  # anywhere in a trial
    for process in (first, second):
        process.send_signal(signal.SIGKILL)
        assert process.finish().returncode == -signal.SIGKILL
    before = {t.number: t for t in archspec.Study.read(home).trials if t.state == "complete"}
    assert before
    done = run("search", "--resume", "found", "--json", cwd=net.parent)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    states = [each["state"] for each in trials]
    assert states.count("complete") == 6
    assert 1 <= states.count("failed") <= 2
    assert len(states) == 6 + states.count("failed")
    for number, trial in before.items():
        assert trials[number] == trial.to_dict()


@pytest.mark.slow
def test_ctrl_c_ends_a_search_that_goes_on(net):
    process = start("search", net, "-o", "found", "--trials", "3", "--epochs", "40", cwd=net.parent)
    home = net.parent / "found"
    while not [*home.glob("trials/0000/history.csv")]:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    done = process.finish()
    assert done.returncode == 130
    assert done.stderr.endswith("stopped; `archspec search --resume found` goes on\n")
    found = archspec.join_search(home, trials=1)
    assert [each.state for each in found.trials] == ["failed", "complete"]
    trained = archspec.Run.read(home / found.trials[1].folder)
    assert len(trained.history) == 40
    assert found.trials[1].folder == "trials/0000"  # it was not begun anew


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_lets_every_process_save_its_run(net):
    """A terminal sends it to all processes of the command's group."""
    options = ["-o", "found", "--trials", "4", "--epochs", "60", "--jobs", "2", "--quiet"]
    command = [sys.executable, "-m", "archspec", "search", str(net), *options]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # `make test &` ignores it
    process = subprocess.Popen(command, cwd=net.parent, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    trials = net.parent / "found" / "trials"
    while len([*trials.glob("*/history.csv")]) < 2:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert [archspec.Run.read(run).outcome for run in trials.iterdir()] == ["interrupted"] * 2


@pytest.mark.slow
def test_twenty_trials_find_a_network_of_digits_as_good_as_lenet5(tmp_path, monkeypatch):
    """With a third of its parameters."""
    monkeypatch.chdir(tmp_path)
    lenet = archspec.fit("lenet5", deterministic=True)
    found = archspec.search("digits_net", trials=20)
    best = archspec.Run.read(found.folder / found.best.folder)
    assert best.params < 20_000 < lenet.params
    assert best.test_accuracy >= lenet.test_accuracy
    assert re.search(r"best: width", str(found))

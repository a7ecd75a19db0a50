"""A run survives: killed, cut off, out of disk, it goes on and ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from support.commands import BACKEND, start

import archspec
from archspec.errors import SpecError, UsageError
from archspec.keras_model.engine import load_keras
from archspec.runs import checkpoints, folder
from archspec.runs.outcome import Run
from archspec.runs.state import RunState
from archspec.training import recorder
from archspec.training.callbacks import Watcher
from archspec.training.fit import fit, resume

pytestmark = [
    pytest.mark.keras,
    pytest.mark.usefixtures("blank_pictures"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SPEC = """
name: frail
input: [8, 8, 1]
layers:
  - conv: {filters: 4, kernel: 3, padding: same, norm: batch, activation: relu}
  - dropout: 0.3
  - flatten
  - fc: 10
train:
  batch: 100
  epochs: 6
  deterministic: true
  optimizer: {sgd: {learning_rate: 0.1, momentum: 0.9}}
  schedule: {plateau: {patience: 1}}
  augment: [{random_crop: {padding: 1}}]
  callbacks: [{early_stopping: {patience: 5, restore_best_weights: true}}]
"""
"""Everything random at once, and callbacks with a memory."""


class Stop(Exception):  # noqa: N818
    """A run that ends where nobody is prepared for it."""


class StopsAt(Watcher):
    """Raises at a step of an epoch, or when an epoch was saved."""

    def __init__(self, epoch: int, step: int) -> None:
        self.at = (epoch, step)
        self.epoch = 0

    def epoch_begins(self, epoch: int) -> None:
        self.epoch = epoch

    def steps_done(self, steps: int, logs: object) -> None:  # noqa: ARG002
        if (self.epoch, steps) >= self.at:
            raise Stop


class Interrupts(Watcher):
    """Presses Ctrl-C within an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_begins(self, epoch: int) -> None:
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


class Hears(Watcher):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warns(self, text: str) -> None:
        self.warnings.append(text)


STAGES = {
    "transfer": {"from": "base", "freeze": "conv1", "unfreeze": [{"epoch": 3, "freeze": "none"}]},
    "epochs": 4,
    "steps_per_execution": 1,
}
"""A run of two stages, which begins with the weights of another."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that holds the spec and runs of it that nothing disturbed."""
    place = tmp_path_factory.mktemp("frail")
    (place / "frail.yaml").write_text(SPEC, encoding="utf-8")
    fit(place / "frail.yaml", out=place / "whole", steps_per_execution=13)  # all of an epoch
    return place


@pytest.fixture(scope="module")
def stages(place) -> Path:
    """The same folder with a run `base`, and a run `stages` that begins with its weights."""
    with contextlib.chdir(place):
        fit("frail.yaml", out="base", epochs=1)
        fit("frail.yaml", out="stages", **STAGES)
    return place


@pytest.fixture(scope="module")
def of_two_epochs(place) -> Path:
    """A run that was trained for two epochs and has ended, called `run` where it was trained."""
    with contextlib.chdir(place):
        return fit("frail.yaml", out="run", epochs=2).folder.absolute()


@pytest.fixture
def run(of_two_epochs, spec) -> Path:  # noqa: ARG001
    """A copy of it in the current folder."""
    shutil.copytree(of_two_epochs, "run")
    return Path("run")


@pytest.fixture
def base(stages, spec) -> None:  # noqa: ARG001
    """A copy of the run `base` in the current folder."""
    shutil.copytree(stages / "base", "base")


@pytest.fixture(scope="module")
def broken_off(place) -> Path:
    """A run that ended in its fourth epoch, where nobody was prepared for it."""
    with pytest.raises(Stop):
        fit(
            place / "frail.yaml",
            out=place / "broken_off",
            watchers=[StopsAt(4, 1)],
            steps_per_execution=1,
        )
    return place / "broken_off"


@pytest.fixture
def stopped(broken_off, tmp_path, monkeypatch) -> Path:
    """A copy of a run that ended in its fourth epoch, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(broken_off, "stopped")
    return Path("stopped")


@pytest.fixture
def spec(place, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return place / "frail.yaml"


@pytest.fixture
def whole(place) -> Path:
    return place / "whole"


def outcome(home: Path) -> tuple[list[np.ndarray], list[dict[str, float]], dict[str, float]]:
    """All that must be the same: weights, history but for its times, and the score."""
    run = Run.read(home)
    weights = [np.array(w) for w in archspec.load_model(home / "final.keras").get_weights()]
    timed = {"seconds", "images_per_second"}
    rows = [{k: v for k, v in row.items() if k not in timed} for row in run.history]
    return weights, rows, dict(run.test)


def assert_same(home: Path, other: Path) -> None:
    weights, rows, test = outcome(home)
    others, other_rows, other_test = outcome(other)
    assert rows == other_rows
    assert test == other_test
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


@pytest.mark.parametrize("at", [pytest.param((1, 2), marks=pytest.mark.slow), (2, 1), (4, 3)])
def test_a_run_that_was_stopped_ends_as_if_it_never_was(spec, whole, at):
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(*at)], steps_per_execution=1)
    resume("stopped")
    assert_same(whole, Path("stopped"))


def test_ctrl_c_keeps_the_whole_epochs_and_the_run_goes_on_from_them(spec, whole):
    stopped = fit(spec, out="stopped", watchers=[Interrupts(epoch=3)], steps_per_execution=1)
    assert (stopped.outcome, len(stopped.history)) == ("interrupted", 2)
    resume("stopped")
    assert_same(whole, Path("stopped"))


@pytest.mark.usefixtures("base")
def test_a_stage_that_begins_where_a_run_was_stopped_begins_anew(spec, stages):
    for epoch in (3, 4):  # at the border of the stages, and within the second
        with pytest.raises(Stop):
            fit(spec, out=f"stopped{epoch}", watchers=[StopsAt(epoch, 1)], **STAGES)
        resume(f"stopped{epoch}")
        assert_same(stages / "stages", Path(f"stopped{epoch}"))


@pytest.mark.usefixtures("base")
def test_a_run_goes_on_without_what_it_began_with(spec, stages):
    whole = Run.read(stages / "stages")
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(2, 1)], **STAGES)
    shutil.rmtree("base")
    resume("stopped")
    assert_same(whole.folder, Path("stopped"))
    began = json.loads(Path("stopped/transfer.json").read_text(encoding="utf-8"))
    assert (began["source"].endswith("base"), began["params"]) == (True, whole.params)
    assert f"copied {whole.params:,} parameters" in Path("stopped/summary.md").read_text("utf-8")
    Path("stopped/transfer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"stopped/transfer.json is damaged .*`source` is missing"):
        resume("stopped", epochs=5)
    Path("stopped/transfer.json").unlink()
    with pytest.raises(SpecError, match=r"spec.yaml:.* there is no run or file .*base"):
        resume("stopped", epochs=5)


@pytest.mark.usefixtures("base")
@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_the_best_epoch_may_be_of_an_earlier_stage(spec, monkeypatch):
    def judge(memory: recorder.RunState, *_: object) -> None:
        memory.best_epoch = min(len(memory.rows), 2)

    monkeypatch.setattr(recorder.RunState, "judge", judge)
    run = fit(spec, out="stages", **STAGES)
    assert run.best_epoch == 2
    assert archspec.evaluate(run.folder).result.scores.accuracy == pytest.approx(run.test_accuracy)


def test_a_best_model_that_came_too_soon_is_there_when_the_run_has_ended(spec, monkeypatch):
    def weights(home: str, name: str = "best") -> list[np.ndarray]:
        return [np.array(w) for w in archspec.load_model(f"{home}/{name}.keras").get_weights()]

    def judge(memory: recorder.RunState, *_: object) -> None:
        memory.best_epoch = min(len(memory.rows), 2)

    recipe = {"steps_per_execution": 1}
    monkeypatch.setattr(recorder.RunState, "judge", judge)
    monkeypatch.setattr(recorder, "BEST_SHARE", math.inf)
    fit(spec, out="at_once", **recipe)
    monkeypatch.setattr(recorder, "BEST_SHARE", 1e-9)
    fit(spec, out="late", **recipe)
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(5, 1)], **recipe)
    kept = sorted(path.stem for path in Path("stopped").glob("checkpoints/*"))
    assert kept == ["epoch-0002", "epoch-0003", "epoch-0004"]
    assert not all(map(np.array_equal, weights("at_once"), weights("stopped")))
    resume("stopped")
    for home in ("late", "stopped"):
        assert all(map(np.array_equal, weights("at_once"), weights(home)))
        assert all(map(np.array_equal, weights("at_once", "final"), weights(home, "final")))


def test_of_a_damaged_checkpoint_the_one_before_takes_the_place(stopped, whole):
    newest = stopped / "checkpoints/epoch-0003.npz"
    newest.write_bytes(newest.read_bytes()[:-1000])
    told = Hears()
    resume("stopped", watchers=[told])
    assert "epoch-0003.npz is damaged" in told.warnings[0]
    assert_same(whole, Path("stopped"))


def test_no_flipped_bit_makes_another_checkpoint_of_one(tmp_path):
    arrays = {f"model/{size}": np.arange(size, dtype=np.float32) for size in (3, 40)}
    rows = [{"epoch": 1, "seconds": 0.5, "images_per_second": 2.0}]
    path = checkpoints.save(tmp_path, checkpoints.Checkpoint(1, arrays, RunState(rows)))
    whole, results = path.read_bytes(), []
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        held, damaged = checkpoints.latest(tmp_path)
        results.append(held is None)
        if held is None:
            assert damaged == (path,)
        else:  # of what means nothing, such as when the file was written
            assert held.arrays.keys() == arrays.keys()
            assert all(np.array_equal(held.arrays[name], arrays[name]) for name in arrays)
    assert {True, False} == set(results)


def test_a_run_of_which_no_checkpoint_can_be_read_is_left_as_it_is(run):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    best = (run / "best.keras").read_bytes()
    with pytest.raises(
        UsageError, match=r"no checkpoint in run can be read: .*transfer.from='run'"
    ):
        resume("run", epochs=3)
    assert (run / "best.keras").read_bytes() == best


BESIDE = ("run.json", "environment.json", "history.csv", "best.keras")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(BESIDE, id="all"),
        *(pytest.param((name,), id=name, marks=pytest.mark.slow) for name in BESIDE),
    ],
)
def test_what_is_damaged_beside_a_checkpoint_is_written_again(stopped, whole, names):
    for name in names:
        (stopped / name).write_bytes(b"")
    resume(stopped)
    assert_same(whole, stopped)
    assert all((stopped / name).read_bytes() for name in BESIDE)
    assert len(json.loads((stopped / "environment.json").read_text())) in {1, 2}


def test_a_run_that_was_killed_before_it_began_says_so(tmp_path):
    with folder.claimed(tmp_path):
        pass
    with pytest.raises(UsageError, match=r"holds no spec\.yaml.* start it again elsewhere"):
        resume(tmp_path)


def test_a_run_without_a_checkpoint_begins_again(spec, whole):
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(1, 1)], steps_per_execution=1)
    assert not list(Path("stopped").glob("checkpoints/*"))
    Path("stopped/data.json").unlink()  # as if killed between the first files
    resume("stopped")
    assert_same(whole, Path("stopped"))


@pytest.mark.usefixtures("run")
def test_a_finished_run_goes_on_for_more_epochs_only():
    with pytest.raises(UsageError, match=r"has ended .*trained 2 epochs.*`epochs=`"):
        resume("run")
    assert "--resume run --epochs 4" in Path("run/summary.md").read_text()
    assert len(resume("run", epochs=3).history) == 3
    assert len(Run.read("run").history) == 3


def test_early_stopping_is_not_undone_by_resuming(spec):
    impatient = {"monitor": "loss", "patience": 1, "min_delta": 100.0, "restore_best_weights": True}
    fit(spec, out="whole", callbacks=[{"early_stopping": impatient}])
    assert Run.read("whole").outcome == "stopped early"
    shutil.copytree("whole", "killed")
    Path("killed/run.json").unlink()  # before it could say so, and restore the best weights
    Path("killed/final.keras").unlink()
    resume("killed")
    assert Run.read("killed").outcome == "stopped early"
    assert_same(Path("whole"), Path("killed"))
    with pytest.raises(UsageError, match=r"has ended \(.*stopped early.*; .*transfer.from='whole'"):
        resume("whole", epochs=9)
    assert "--resume" not in Path("whole/summary.md").read_text()


def test_what_counts_as_better_stays_so_when_a_run_goes_on(spec):
    """Keras turns the sign of `min_delta` about in each training."""
    early = {"monitor": "loss", "patience": 3, "min_delta": 100.0}
    recipe = {"callbacks": [{"early_stopping": early}], "steps_per_execution": 1}
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(3, 1)], **recipe)
    assert len(resume("stopped").history) == 4


def test_callbacks_write_on_where_they_wrote_wherever_a_run_goes_on(spec, tmp_path, monkeypatch):
    fit(spec, out="run", epochs=2, callbacks=["csv_logger", "model_checkpoint"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("../run").rename("moved")
    resume("moved", epochs=3)
    assert [path.name for path in Path().iterdir()] == ["moved"]
    assert len(list(Path("moved/callbacks").glob("epoch*.keras"))) == 3
    rows = Path("moved/callbacks/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]


def test_best_weights_in_a_precision_that_numpy_does_not_know_come_back(spec):
    recipe = {"precision": "bfloat16", "steps_per_execution": 1}
    fit(spec, out="whole", **recipe)
    with pytest.raises(Stop):
        fit(spec, out="stopped", watchers=[StopsAt(4, 1)], **recipe)
    resume("stopped")
    assert_same(Path("whole"), Path("stopped"))


def test_other_data_are_refused(spec, tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 10)
    data = {"source": "arrays", "path": str(tmp_path / "data.npz")}
    fit(spec, out="run", data=data, epochs=1, batch=10)
    np.savez(tmp_path / "data.npz", x=x + 1, y=np.arange(60) % 10)
    with pytest.raises(UsageError, match=r"data are not those .* fingerprint"):
        resume("run", epochs=2)


def test_data_of_a_relative_path_are_found_from_elsewhere(spec, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), np.uint8)
    np.savez("data.npz", x=pixels, y=np.arange(60) % 10)
    fit(spec, out="run", data="data.npz", epochs=1, batch=10)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(resume("../run", epochs=2).history) == 2


@pytest.mark.parametrize(
    ("folder", "words"),
    [("nowhere", "there is no folder"), (".", "is not the folder of a run")],
)
def test_what_is_no_run_is_refused(folder, words):
    with pytest.raises(UsageError, match=words):
        resume(folder)


def test_two_processes_never_train_in_one_folder(stopped):
    with (
        folder.claimed(stopped),
        pytest.raises(UsageError, match="another process trains in"),
    ):
        resume(stopped)
    with folder.claimed(stopped):  # the claim ends with its holder
        pass


def test_a_page_that_cannot_be_written_ends_no_training(spec):
    class Occupies(Watcher):
        def epoch_begins(self, epoch: int) -> None:
            if epoch == 2:
                page = Path("occupied", "index.html")
                page.unlink()
                page.mkdir()

    hears = Hears()
    run = fit(spec, out="occupied", epochs=2, watchers=[Occupies(), hears])
    assert run.outcome == "finished"
    assert hears.warnings == ["the run's page cannot be written: Is a directory"]
    assert Run.read("occupied") == run


def test_a_folder_that_can_no_longer_be_written_is_said(spec, monkeypatch):
    """A full disk at the first file, and a folder that somebody has removed."""

    class Removes(Watcher):
        def epoch_begins(self, epoch: int) -> None:  # noqa: ARG002
            shutil.rmtree("gone")

    with pytest.raises(
        UsageError, match=r"gone cannot be written: No such file .*resume\('gone'\)"
    ):
        fit(spec, out="gone", watchers=[Removes()])

    def full(path: Path, text: str) -> None:  # noqa: ARG001
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(folder, "write_text", full)
    with pytest.raises(UsageError, match=r"No space left on device; make room"):
        fit(spec, out="run")


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(spec, whole, monkeypatch):
    """Twice: the disk is full in the third epoch, and a quota is used up in the fifth."""
    save, errors = checkpoints.save, {3: errno.ENOSPC, 5: errno.EFBIG}

    def full(home, held, **others):
        if number := errors.pop(held.epoch, None):
            raise OSError(number, os.strerror(number))
        return save(home, held, **others)

    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(UsageError, match=r"No space left on device.*resume\('stopped'\)"):
        fit(spec, out="stopped")
    with pytest.raises(UsageError, match=r"File too large.*resume\('stopped'\)"):
        resume("stopped")
    resume("stopped")
    assert_same(whole, Path("stopped"))


def test_pytorchs_global_random_numbers_are_drawn_again():
    """On PyTorch dropout draws from this generator, which is not a variable of the model."""
    torch = pytest.importorskip("torch")
    keras = load_keras()
    if keras.backend.backend() != "torch":
        pytest.skip("another backend's random numbers are variables")
    devices = ["cpu", *(f"cuda:{gpu}" for gpu in range(torch.cuda.device_count()))]
    states = checkpoints.random_state(keras)
    first = [torch.rand(3, device=device).tolist() for device in devices]
    checkpoints.restore_random_state(states)
    assert [torch.rand(3, device=device).tolist() for device in devices] == first


def processes_in(home: Path) -> int:
    """Return the number of processes that started to train in a run's folder."""
    environment = home / "environment.json"
    return len(json.loads(environment.read_text())) if environment.exists() else 0


def done(home: Path) -> int:
    held, _ = checkpoints.latest(home)
    return held.epoch if held else 0


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_a_run_survives_kill_9_at_any_moment(spec, kills):
    home, moments = Path("killed").absolute(), random.Random(kills)  # noqa: S311
    recipe = {"callbacks.early_stopping.patience": 10_000}
    begin = f"archspec.fit({str(spec)!r}, out={str(home)!r}, epochs=10_000, **{recipe})"
    first_epoch = 0.0
    for number in range(1, kills + 1):
        call = begin if number == 1 else f"archspec.resume({str(home)!r})"
        process = start(code=f"import archspec; {call}", engine=BACKEND)
        while processes_in(home) < number and process.poll() is None:
            time.sleep(0.01)
        began = time.monotonic()
        while not done(home) and process.poll() is None:
            time.sleep(0.01)
        first_epoch = first_epoch or time.monotonic() - began
        time.sleep(moments.uniform(0, 2 * first_epoch))
        process.send_signal(signal.SIGKILL)
        assert process.finish().returncode == -signal.SIGKILL
    epochs = done(home) + 1
    resume(home, epochs=epochs)
    fit(spec, out="whole", epochs=epochs, **recipe)
    assert_same(Path("whole"), home)

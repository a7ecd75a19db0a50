"""A run survives: killed, cut off, out of disk, it goes on and ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import BACKEND, start
from support.left_behind import Copies, Interrupts, assert_same, left

import archspec
from archspec.errors import SpecError, UsageError
from archspec.runs import checkpoints, folder
from archspec.runs.outcome import Run
from archspec.runs.state import RunState
from archspec.training import recorder
from archspec.training.callbacks import Watcher
from archspec.training.fit import fit, resume

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]

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

IMPATIENT = {"monitor": "loss", "patience": 3, "min_delta": 100.0, "restore_best_weights": True}
"""No epoch is better than the first one, so that three more are the last."""


@contextlib.contextmanager
def second_is_best() -> Iterator[None]:
    """Take the second epoch for the best one, within this context."""

    def judge(memory: recorder.RunState, *_: object) -> None:
        memory.best_epoch = min(len(memory.rows), 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder.RunState, "judge", judge)
        yield


@pytest.fixture(name="second_is_best")
def _second_is_best() -> Iterator[None]:
    with second_is_best():
        yield


@pytest.fixture(scope="module")
def place(blank_pictures, tmp_path_factory) -> Path:  # noqa: ARG001
    """A folder that holds the spec and a run `whole`, with copies of it on the way."""
    place = tmp_path_factory.mktemp("frail")
    (place / "frail.yaml").write_text(SPEC, encoding="utf-8")
    copies = Copies((1, 1), (1, 2), (2, 1), (3, 1), (4, 1), (4, 3))
    fit(place / "frail.yaml", out=place / "whole", watchers=[copies], steps_per_execution=1)
    return place


@pytest.fixture(scope="module")
def stages(place) -> Path:
    """A run of two stages, with copies of it; what it began with is no longer there."""
    shutil.copytree(place / "whole", place / "base")
    copies = Copies((2, 1), (3, 1), (4, 1))
    with contextlib.chdir(place), second_is_best(), warnings.catch_warnings():
        warnings.filterwarnings("error", "Skipping variable loading")
        fit("frail.yaml", out="stages", watchers=[copies], **STAGES)
    shutil.rmtree(place / "base")
    return place / "stages"


@pytest.fixture(scope="module")
def impatient(place) -> Path:
    """A run that stopped early, with a copy of it on the way."""
    callbacks = [{"early_stopping": IMPATIENT}]
    home, copies = place / "impatient", Copies((3, 1))
    fit(
        place / "frail.yaml",
        out=home,
        watchers=[copies],
        callbacks=callbacks,
        steps_per_execution=1,
    )
    return home


@pytest.fixture(scope="module")
def of_two_epochs(place) -> Path:
    """A run of two epochs that has ended, of data at a relative path, with files of callbacks."""
    with contextlib.chdir(place):
        pixels = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), np.uint8)
        np.savez("data.npz", x=pixels, y=np.arange(60) % 10)
        recipe = {"data": "data.npz", "batch": 10, "callbacks": ["csv_logger", "model_checkpoint"]}
        return fit("frail.yaml", out="run", epochs=2, **recipe).folder.absolute()


@pytest.fixture(scope="module")
def of_three_epochs(of_two_epochs, tmp_path_factory) -> Path:
    """A copy of it that went on for an epoch elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(of_two_epochs, elsewhere / "moved")
    with contextlib.chdir(elsewhere):
        resume("moved", epochs=3)
    return elsewhere / "moved"


@pytest.fixture
def run(of_two_epochs, spec) -> Path:  # noqa: ARG001
    """A copy of the run of two epochs in the current folder."""
    shutil.copytree(of_two_epochs, "run")
    return Path("run")


@pytest.fixture
def stopped(whole, spec) -> Path:  # noqa: ARG001
    """A copy of a run that was killed in its fourth epoch, in the current folder."""
    return stopped_at(whole, 4, 1)


def stopped_at(home: Path, epoch: int, step: int) -> Path:
    """Make `stopped`, a copy of a run that was killed after a step of an epoch; return it."""
    return shutil.copytree(left(home, epoch, step), Path("stopped"))


@pytest.fixture
def spec(place, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return place / "frail.yaml"


@pytest.fixture(scope="module")
def whole(place) -> Path:
    return place / "whole"


@pytest.mark.parametrize(
    "at", [*(pytest.param(at, marks=pytest.mark.slow) for at in ((1, 2), (2, 1))), (4, 3)]
)
@pytest.mark.usefixtures("spec")
def test_a_run_that_was_stopped_ends_as_if_it_never_was(whole, at):
    stopped = stopped_at(whole, *at)
    resume(stopped, steps_per_execution=13)  # all of an epoch
    assert_same(whole, stopped)


@pytest.mark.usefixtures("spec")
def test_ctrl_c_and_a_full_disk_keep_the_whole_epochs_and_the_run_goes_on(whole, monkeypatch):
    stopped = stopped_at(whole, 2, 1)
    run = resume(stopped, watchers=[Interrupts(epoch=3)])
    assert (run.outcome, len(run.history)) == ("interrupted", 2)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", no_room_for(checkpoints.save, epoch=5))
        with pytest.raises(UsageError, match=r"No space left on device.*resume\('stopped'\)"):
            resume(stopped)
    resume(stopped)
    assert_same(whole, stopped)


def no_room_for(save: Any, epoch: int) -> Any:
    """Return a `checkpoints.save` for which the disk is full at an epoch."""

    def full(home: Path, held: checkpoints.Checkpoint, **others: Any) -> Path:
        if held.epoch == epoch:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(home, held, **others)

    return full


@pytest.mark.parametrize("epoch", [3, 4])  # at the border of the stages, and within the second
@pytest.mark.usefixtures("spec", "second_is_best")
def test_a_stage_that_begins_where_a_run_was_stopped_begins_anew(stages, epoch):
    stopped = stopped_at(stages, epoch, 1)
    resume(stopped)
    assert_same(stages, stopped)


@pytest.mark.usefixtures("spec", "second_is_best")
def test_a_run_goes_on_without_what_it_began_with(stages):
    whole, stopped = Run.read(stages), stopped_at(stages, 2, 1)
    began = json.loads((stopped / "transfer.json").read_text(encoding="utf-8"))
    assert (Path(began["source"]).exists(), began["params"]) == (False, whole.params)
    assert began["source"].endswith("base")
    resume("stopped")
    assert_same(stages, stopped)
    assert f"copied {whole.params:,} parameters" in Path("stopped/summary.md").read_text("utf-8")
    Path("stopped/transfer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"stopped/transfer.json is damaged .*`source` is missing"):
        resume("stopped", epochs=5)
    Path("stopped/transfer.json").unlink()
    with pytest.raises(SpecError, match=r"spec.yaml:.* there is no run or file .*base"):
        resume("stopped", epochs=5)


def test_the_best_epoch_may_be_of_an_earlier_stage(stages):
    run = Run.read(stages)
    assert run.best_epoch == 2
    assert archspec.evaluate(stages).result.scores.accuracy == pytest.approx(run.test_accuracy)


@pytest.mark.usefixtures("second_is_best")
def test_a_best_model_that_came_too_soon_is_there_when_the_run_has_ended(spec, whole, monkeypatch):
    def weights(home: Path, name: str = "best") -> list[np.ndarray]:
        return [np.array(w) for w in archspec.load_model(home / f"{name}.keras").get_weights()]

    monkeypatch.setattr(recorder, "BEST_SHARE", 1e-9)
    late = Path("late")
    fit(spec, out=late, watchers=[Copies((5, 1))], steps_per_execution=1)
    stopped = stopped_at(late, 5, 1)
    kept = sorted(path.stem for path in stopped.glob("checkpoints/*"))
    assert kept == ["epoch-0002", "epoch-0003", "epoch-0004"]
    held, _ = checkpoints.latest(left(whole, 3, 1))
    variables = [array for name, array in held.arrays.items() if name.startswith("model/")]
    second = [each for each in variables if each.dtype == np.float32]  # no states of random numbers
    assert not all(map(np.array_equal, second, weights(stopped)))
    resume("stopped")
    for home in (late, stopped):
        assert len(second) == len(weights(home))
        assert all(map(np.array_equal, second, weights(home)))
        assert all(map(np.array_equal, weights(whole, "final"), weights(home, "final")))


BESIDE = ("run.json", "environment.json", "history.csv", "best.keras")


class Occupies(Watcher):
    """Puts a folder in the place of a run's page within an epoch."""

    def __init__(self, page: Path, epoch: int) -> None:
        self.page = page
        self.epoch = epoch

    def epoch_begins(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.page.unlink()
            self.page.mkdir()


@pytest.fixture(scope="module")
def troubled(whole) -> tuple[Run, list[str]]:
    """A run that went on although its files were damaged, and what was said of it."""
    home, hears = shutil.copytree(left(whole, 4, 1), whole.with_name("troubled")), Hears()
    newest = home / "checkpoints/epoch-0003.npz"
    newest.write_bytes(newest.read_bytes()[:-1000])
    for name in BESIDE:
        (home / name).write_bytes(b"")
    return resume(home, watchers=[hears, Occupies(home / "index.html", 5)]), hears.warnings


def test_of_a_damaged_checkpoint_the_one_before_takes_the_place(troubled, whole):
    run, warnings = troubled
    assert "epoch-0003.npz is damaged" in warnings[0]
    assert_same(whole, run.folder)


def test_a_page_that_cannot_be_written_ends_no_training(troubled):
    run, warnings = troubled
    assert run.outcome == "finished"
    assert warnings[-1] == "the run's page cannot be written: Is a directory"
    assert sum("page" in warning for warning in warnings) == 1
    assert Run.read(run.folder) == run


def test_what_is_damaged_beside_a_checkpoint_is_written_again(troubled):
    assert_written(troubled[0].folder)


def assert_written(home: Path) -> None:
    assert all((home / name).read_bytes() for name in BESIDE)
    assert len(json.loads((home / "environment.json").read_text())) in {1, 2}


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


@pytest.mark.slow
@pytest.mark.parametrize("name", BESIDE)
def test_what_alone_is_damaged_beside_a_checkpoint_is_written_again(stopped, whole, name):
    (stopped / name).write_bytes(b"")
    resume(stopped)
    assert_same(whole, stopped)
    assert_written(stopped)


def test_a_run_that_was_killed_before_it_began_says_so(tmp_path):
    with folder.claimed(tmp_path):
        pass
    with pytest.raises(UsageError, match=r"holds no spec\.yaml.* start it again elsewhere"):
        resume(tmp_path)


@pytest.mark.usefixtures("spec")
def test_a_run_without_a_checkpoint_begins_again(whole):
    stopped = stopped_at(whole, 1, 1)
    assert not list(stopped.glob("checkpoints/*"))
    (stopped / "data.json").unlink()  # as if killed between the first files
    resume("stopped")
    assert_same(whole, stopped)


@pytest.mark.usefixtures("run")
def test_a_finished_run_goes_on_for_more_epochs_only(of_three_epochs):
    with pytest.raises(UsageError, match=r"has ended .*trained 2 epochs.*`epochs=`"):
        resume("run")
    assert "--resume run --epochs 4" in Path("run/summary.md").read_text()
    assert len(Run.read(of_three_epochs).history) == 3


@pytest.mark.usefixtures("spec")
def test_early_stopping_is_not_undone_by_resuming(impatient):
    assert Run.read(impatient).outcome == "stopped early"
    shutil.copytree(impatient, "whole")
    shutil.copytree("whole", "killed")
    Path("killed/run.json").unlink()  # before it could say so, and restore the best weights
    Path("killed/final.keras").unlink()
    resume("killed")
    assert Run.read("killed").outcome == "stopped early"
    assert_same(Path("whole"), Path("killed"))
    with pytest.raises(UsageError, match=r"has ended \(.*stopped early.*; .*transfer.from='whole'"):
        resume("whole", epochs=9)
    assert "--resume" not in Path("whole/summary.md").read_text()


@pytest.mark.usefixtures("spec")
def test_what_counts_as_better_stays_so_when_a_run_goes_on(impatient):
    """Keras turns the sign of `min_delta` about in each training."""
    stopped = stopped_at(impatient, 3, 1)
    assert len(resume(stopped).history) == 4
    assert_same(impatient, stopped)


def test_callbacks_write_on_where_they_wrote_wherever_a_run_goes_on(of_three_epochs):
    assert [path.name for path in of_three_epochs.parent.iterdir()] == ["moved"]
    assert len(list((of_three_epochs / "callbacks").glob("epoch*.keras"))) == 3
    rows = (of_three_epochs / "callbacks/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]


def test_best_weights_in_a_precision_that_numpy_does_not_know_come_back(spec):
    whole, copies = Path("whole"), Copies((3, 1))
    recipe = {"precision": "bfloat16", "steps_per_execution": 1, "epochs": 4}
    fit(spec, out=whole, watchers=[copies], **recipe)
    stopped = stopped_at(whole, 3, 1)
    resume(stopped)
    assert_same(whole, stopped)


def test_other_data_are_refused(run, of_two_epochs, tmp_path):
    data = of_two_epochs.with_name("data.npz")
    shutil.copy(data, tmp_path / "kept.npz")
    with np.load(data) as arrays:
        x, y = arrays["x"], arrays["y"]
    try:
        np.savez(data, x=x + 1, y=y)
        with pytest.raises(UsageError, match=r"data are not those .* fingerprint"):
            resume(run, epochs=3)
    finally:
        shutil.copy(tmp_path / "kept.npz", data)


def test_data_of_a_relative_path_are_found_from_elsewhere(of_two_epochs, of_three_epochs):
    data = archspec.load(of_three_epochs / "spec.yaml").train["data"]
    assert data["path"] == str(of_two_epochs.with_name("data.npz"))
    assert len(Run.read(of_three_epochs).history) == 3


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


def test_a_folder_that_can_no_longer_be_written_is_said(spec):
    """Such as one that somebody has removed."""

    class Removes(Watcher):
        def epoch_begins(self, epoch: int) -> None:  # noqa: ARG002
            shutil.rmtree("gone")

    with pytest.raises(
        UsageError, match=r"gone cannot be written: No such file .*resume\('gone'\)"
    ):
        fit(spec, out="gone", watchers=[Removes()], steps_per_execution=1)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "No space left on device"), (errno.EFBIG, "File too large")],
)
def test_a_disk_that_is_full_or_a_quota_at_the_first_file_is_said(spec, monkeypatch, number, words):
    def full(path: Path, text: str) -> None:  # noqa: ARG001
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(folder, "write_text", full)
    with pytest.raises(UsageError, match=rf"{words}; make room"):
        fit(spec, out="run")


def test_pytorchs_global_random_numbers_are_drawn_again(keras):
    """On PyTorch dropout draws from this generator, which is not a variable of the model."""
    torch = pytest.importorskip("torch")
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
        # What began with an epoch has one; what is resumed dies before its first, or after it.
        time.sleep(moments.uniform(0, (0.5 if number == 1 else 2) * first_epoch))
        process.send_signal(signal.SIGKILL)
        assert process.finish().returncode == -signal.SIGKILL
    epochs = done(home) + 1
    resume(home, epochs=epochs)
    fit(spec, out="whole", epochs=epochs, **recipe)
    assert_same(Path("whole"), home)

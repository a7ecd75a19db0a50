"""Runs and models that an older archspec wrote, with its modules elsewhere, are still read.

That Keras alone loads the models is tested in `test_keras_layers.py`.
"""

import csv
import shutil
from pathlib import Path

import pytest

import archspec

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("blank_pictures")]

OLDER = Path(__file__).parent / "older"


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_model_whose_layers_and_schedule_had_other_modules_is_loaded():
    model = archspec.load_model(OLDER / "run" / "best.keras")
    assert {type(layer).__name__ for layer in model.layers} >= {
        "LocalResponseNormalization",
        "L2Pooling",
    }
    schedule = model.optimizer.get_config()["learning_rate"]
    assert schedule["class_name"] in {"Warmup", "Paced"}


def test_a_run_is_scored_as_it_was():
    before = archspec.Run.read(OLDER / "run").test_accuracy
    now = archspec.evaluate(OLDER / "run").runs[0].scores.accuracy
    assert now == pytest.approx(before)


def test_a_stopped_run_goes_on_to_the_same_epochs_as_one_that_never_stopped(tmp_path):
    shutil.copytree(OLDER / "stopped", tmp_path / "run")
    run = archspec.resume(tmp_path / "run")
    assert run.outcome == "finished"
    measures = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    for ours, whole in zip(rows(tmp_path / "run"), rows(OLDER / "run"), strict=True):
        for measure in measures:
            assert float(ours[measure]) == pytest.approx(float(whole[measure]), rel=1e-4)

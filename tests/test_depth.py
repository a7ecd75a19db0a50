"""Files of 16 bits train, evaluate and predict as arrays of the same values do."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from support.image_files import png, tiff

import archspec
from archspec.cli import main
from archspec.data import dataset
from archspec.data.recipe import DataRecipe
from archspec.ops.shape import Shape

SPEC = """
name: dense
input: [8, 8, 1]
layers:
  - flatten
  - fc: {units: 2, activation: softmax}
train:
  epochs: 10
  batch: 8
  optimizer: {adam: {learning_rate: 0.02}}
  data: {validation: 0.2, test: 0.2}
"""
LEVELS = {"bone": 1130, "water": 1040}
"""Levels of two materials in a scan: 90 of 65,536 apart, with noise of 8."""


def scans() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    names = np.repeat(sorted(LEVELS), 20)
    levels = np.array([LEVELS[name] for name in names])[:, np.newaxis, np.newaxis]
    return random.normal(levels, 8, (40, 8, 8)).astype(np.uint16), names


def a_folder(root: Path) -> Path:
    """A folder of scans, alternately TIFFs and PNGs."""
    images, names = scans()
    for number, (image, name) in enumerate(zip(images[..., np.newaxis], names, strict=True)):
        (root / name).mkdir(parents=True, exist_ok=True)
        file = root / name / f"{number:02}"
        if number % 2:
            file.with_suffix(".tif").write_bytes(tiff(image))
        else:
            file.with_suffix(".png").write_bytes(png(image, 16))
    return root


@pytest.fixture(scope="module")
def trained(keras, blank_pictures, tmp_path_factory):  # noqa: ARG001
    """The same scans, trained on as files, as files read anew for each batch, and as an array."""
    home = tmp_path_factory.mktemp("depth")
    (home / "spec.yaml").write_text(SPEC, encoding="utf-8")
    folder = a_folder(home / "scans")
    images, names = scans()
    np.savez(home / "scans.npz", x=images, y=names)
    sources = {
        "files": {"source": "folder", "path": str(folder)},
        "read": {"source": "folder", "path": str(folder), "cache": False},
        "array": {"source": "arrays", "path": str(home / "scans.npz")},
    }
    runs = {
        name: archspec.fit(home / "spec.yaml", out=home / name, data=source)
        for name, source in sources.items()
    }
    return SimpleNamespace(home=home, folder=folder, **runs)


def test_files_train_as_an_array_of_their_values_does(trained):
    measures = ("loss", "accuracy", "val_loss", "val_accuracy")
    histories = [
        [[row[key] for key in measures] for row in run.history]
        for run in (trained.files, trained.read, trained.array)
    ]
    assert histories[0] == histories[1]
    assert np.array(histories[0]) == pytest.approx(np.array(histories[2]), rel=1e-5)
    assert trained.files.test["accuracy"] == 1


def test_a_run_records_the_depth_and_the_values(trained):
    for run in (trained.files, trained.read):
        record = json.loads((Path(run.folder) / "data.json").read_text(encoding="utf-8"))
        values = record["values"]
        assert values["dtype"] == "16 bits"
        assert values["range"] == [0, 65535]
        assert 1000 < values["minimum"] < 1040
        assert 1130 < values["maximum"] < 1170
        (note,) = record["notes"]
        assert "of their range [0, 65535]: `normalize: standardize`, which is set, spreads" in note


def test_files_are_evaluated_and_predicted_as_they_were_trained_on(trained):
    assert archspec.evaluate(trained.files.folder).result.scores.accuracy == 1
    for place in (trained.files.folder, trained.array.folder):
        for answer in archspec.predict(place, trained.folder):
            assert answer.guesses[0].class_name == Path(answer.image).parent.name


def test_a_new_file_of_8_bits_has_the_white_of_16(trained, tmp_path):
    for name, level in (("dark", 4), ("light", 5)):  # of 255: 1028 and 1285 of 65535
        (tmp_path / f"{name}.png").write_bytes(png(np.full((8, 8, 1), level)))
    dark, light = archspec.predict(trained.files.folder, tmp_path)
    assert dark.guesses[0].class_name == "water"
    assert light.guesses[0].class_name == "bone"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_read_once_for_all_networks(trained, tmp_path):
    file = next((trained.folder / "bone").glob("*.png"))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(file.read_bytes()))
    writer.start()
    command = ["predict", str(trained.files.folder), "--with", str(trained.read.folder), str(pipe)]
    result = CliRunner().invoke(main, [*command, "--csv"])
    writer.join()
    assert result.exit_code == 0, result.output
    assert "bone" in result.output.splitlines()[-1]


def test_values_that_use_little_of_their_range_get_a_note(tmp_path):
    folder = a_folder(tmp_path / "scans")
    recipe = DataRecipe(source="folder", path=str(folder), normalize="unit")
    (note,) = dataset.observed(dataset.load(recipe, Shape((8, 8, 1))), "unit").notes
    assert note.startswith("the training images' values, from 10")
    assert note.endswith("leaves them nearly equal; write `normalize: standardize`")
    bright = np.full((8, 8, 1), 65535, np.uint16)
    bright[0] = 0
    shutil.rmtree(folder / "bone")
    (folder / "bone").mkdir()
    for number in range(20):
        bright[1] = number
        (folder / "bone" / f"{number}.png").write_bytes(png(bright, 16))
    assert dataset.observed(dataset.load(recipe, Shape((8, 8, 1))), "unit").notes == ()


def test_images_of_a_single_value_get_a_note(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.full((40, 8, 8, 1), 1040, np.uint16), y=np.tile([0, 1], 20))
    recipe = DataRecipe(source="arrays", path=str(path))
    notes = dataset.observed(dataset.load(recipe, Shape((8, 8, 1))), "standardize").notes
    assert notes[-1] == "all pixels of all training images have the value 1040"

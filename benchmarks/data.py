"""Image files into batches, side by side in one run: archspec's `folder` and Keras's own.

    python benchmarks/data.py

Both decode, resize and batch the same JPEGs, archspec by reading batches from two threads, Keras
by `image_dataset_from_directory`, prefetching. Nothing is cached. Figures are medians, the sides
taking turns; ratios are medians of the turns' ratios, by the clock and by processor time: on a
machine that others use, whoever has more threads gets more of the clock. `pillow` is archspec
without OpenCV. archspec reads alike on every backend; Keras's own needs TensorFlow.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from photos import photos

from archspec.data import jpeg
from archspec.data.dataset import Data, load
from archspec.data.recipe import DataRecipe
from archspec.ops.shape import Shape

FILES = 2_000
CLASSES = 4
BATCH = 32
THREADS = 2
ROUNDS = 7


def a_folder(root: Path, extent: int) -> Data:
    """All files for training, none kept in memory."""
    recipe = DataRecipe(
        source="folder", path=str(root), validation=0.0, test=0.0, normalize="unit", cache=False
    )
    return load(recipe, Shape((extent, extent, 3)))


def ours(data: Data) -> int:
    """Read all images, in an order of the epoch's own."""
    order = np.random.default_rng(0).permutation(data.train.indices)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(map(len, pool.map(data.train.pixels.read, batches)))


def without_opencv(data: Data) -> int:
    """The same by Pillow."""
    with mock.patch.object(jpeg, "opencv", return_value=None):
        return ours(data)


def keras_own(dataset: Any) -> int:
    """Read an epoch."""
    return sum(len(images) for images, _ in dataset)


def rates(read: Callable[[], int]) -> tuple[float, float]:
    """Images a second, and images a second of a processor."""
    wall, processor = time.perf_counter(), time.process_time()
    count = read()
    return count / (time.perf_counter() - wall), count / (time.process_time() - processor)


def compare(root: Path, extent: int) -> dict[str, list[tuple[float, float]]]:
    """The rates of each side, turn by turn."""
    theirs = keras.utils.image_dataset_from_directory(
        str(root), image_size=(extent, extent), batch_size=BATCH, verbose=False
    ).prefetch(2)
    data = a_folder(root, extent)
    sides = {
        "archspec": partial(ours, data),
        "pillow": partial(without_opencv, data),
        "keras": partial(keras_own, theirs),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, read in sides.items():
            found[name].append(rates(read))
    return found


def main() -> None:
    """The table."""
    print(f"{FILES:,} JPEGs, batches of {BATCH}, {os.cpu_count()} cores")
    print("                images/s    wall   processor")
    for width, height, extent in ((320, 240, 224), (500, 375, 224), (64, 64, 64)):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "photos")
            photos(root, FILES, CLASSES, width, height)
            found = compare(root, extent)
        print(f"{width}x{height} to {extent}x{extent}")
        keras_rates = np.array(found["keras"])
        for name, turns in found.items():
            wall, processor = np.median(np.array(turns) / keras_rates, axis=0)
            rate = np.median(np.array(turns)[:, 0])
            print(f"    {name:10} {rate:10,.0f}  {wall:5.2f}x      {processor:5.2f}x")


if __name__ == "__main__":
    main()

"""Image files into batches, side by side in one run: archspec's `folder` and Keras's own.

    python benchmarks/data.py

Both decode, resize and batch the same JPEGs, archspec by reading batches from two threads, Keras
by `image_dataset_from_directory`, prefetching. Nothing is cached. Figures are medians of images/s,
the two sides taking turns; the ratio is the median of the turns' ratios. archspec uses
TensorFlow's decoder where Keras runs on TensorFlow, and Pillow elsewhere: `pillow` is that.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from photos import photos

from archspec.ops.shape import Shape
from archspec.training.data import decoding
from archspec.training.data.data import Data, load
from archspec.training.recipe.recipe import DataRecipe

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


def archspec_rate(data: Data) -> float:
    """Images per second, in an order of the epoch's own."""
    order = np.random.default_rng(0).permutation(data.train.indices)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        count = sum(map(len, pool.map(data.train.pixels.read, batches)))
    return count / (time.perf_counter() - start)


def keras_rate(dataset: Any) -> float:
    """Images per second of an epoch."""
    start = time.perf_counter()
    count = sum(len(images) for images, _ in dataset)
    return count / (time.perf_counter() - start)


def compare(root: Path, extent: int) -> dict[str, list[float]]:
    """Images per second of each side, turn by turn."""
    theirs = keras.utils.image_dataset_from_directory(
        str(root), image_size=(extent, extent), batch_size=BATCH, verbose=False
    ).prefetch(2)
    sides = {
        "archspec": partial(archspec_rate, a_folder(root, extent)),
        "keras": partial(keras_rate, theirs),
    }
    if decoding.is_at_hand():
        with mock.patch.object(decoding, "is_at_hand", return_value=False):
            sides["pillow"] = partial(archspec_rate, a_folder(root, extent))
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, measure in sides.items():
            rates[name].append(measure())
    return rates


def main() -> None:
    """The table."""
    print(f"{FILES:,} JPEGs, batches of {BATCH}, {os.cpu_count()} cores; images/s")
    for width, height, extent in ((320, 240, 224), (500, 375, 224), (64, 64, 64)):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "photos")
            photos(root, FILES, CLASSES, width, height)
            rates = compare(root, extent)
        print(f"{width}x{height} to {extent}x{extent}")
        for name, found in rates.items():
            ratio = statistics.median(a / b for a, b in zip(found, rates["keras"], strict=True))
            print(f"    {name:10} {statistics.median(found):8,.0f}   {ratio:5.2f} x")


if __name__ == "__main__":
    main()

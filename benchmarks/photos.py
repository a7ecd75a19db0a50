"""JPEGs to measure with: what they show does not matter, what it takes to decode them does."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

QUALITY = 88
BLOCK = 8
"""Pixels from one independent level to the next."""

NOISE = 6
"""Levels, of 256."""


def photos(root: Path, files: int, classes: int, width: int, height: int) -> None:
    """JPEGs with the shapes, the edges and the noise of photographs, a folder for each class."""
    for index in range(classes):
        (root / f"class{index:04}").mkdir(parents=True)

    def draw(index: int) -> None:
        random = np.random.default_rng(index)
        coarse = random.integers(0, 256, (height // BLOCK + 2, width // BLOCK + 2, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth) + random.integers(-NOISE, NOISE + 1, (height, width, 3))
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        image.save(root / f"class{index % classes:04}" / f"{index}.jpg", quality=QUALITY)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(draw, range(files)))

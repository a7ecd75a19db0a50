"""Functions of training scripts. It is read as text: its parts go into ejected sources.

They draw from NumPy's generators exactly as `archspec.data` does, so that a script trains on the
batches of `archspec fit`. Lines are as black lays them out, 88 characters at most.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
from PIL import Image


def split(
    strata: np.ndarray, validation: float, test: float, seed: int
) -> list[np.ndarray]:
    """Return which examples to train on, to validate and to test, class by class."""
    random = np.random.default_rng(seed)
    members = [
        random.permutation(np.flatnonzero(strata == n)) for n in np.unique(strata)
    ]
    sizes = np.array([len(each) for each in members])
    tested = apportion(sizes, test, np.zeros_like(sizes), 0.0, random)
    validated = apportion(sizes, validation, tested, test, random)
    parts = [
        np.split(each, [count, count + more])
        for each, count, more in zip(members, tested, validated)
    ]
    held_out, chosen, rest = (np.sort(np.concatenate(part)) for part in zip(*parts))
    return [rest, chosen, held_out]


def apportion(
    sizes: np.ndarray,
    share: float,
    given: np.ndarray,
    given_share: float,
    random: np.random.Generator,
) -> np.ndarray:
    """Return how many examples of each class make up a share of all (largest remainder)."""
    most = np.maximum(sizes - given - 1, 0)
    counts = np.minimum(np.floor(sizes * share + 1e-9).astype(int), most)
    remainders = np.round(sizes * (share + given_share) - given - counts, 9)
    order = np.lexsort((random.random(len(sizes)), -remainders))
    while share and (missing := round(sizes.sum() * share) - counts.sum()) > 0:
        able = order[counts[order] < most[order]][:missing]
        if not len(able):
            break
        counts[able] += 1
    return counts


def measure(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the deviation of each channel; 1 for one that does not vary."""
    axes = tuple(range(images.ndim - 1))
    mean = images.mean(axes, dtype="float64")
    deviation = images.std(axes, dtype="float64")
    return mean, np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return images of another extent, bilinearly, without aliasing."""
    rows = line_weights(images.shape[1], height)
    columns = line_weights(images.shape[2], width)
    values = images.astype("float32")
    values = np.einsum("hy,nyxc,wx->nhwc", rows, values, columns, optimize=True)
    return np.rint(values).astype("uint8") if images.dtype == np.uint8 else values


def line_weights(old: int, new: int) -> np.ndarray:
    """Return the weight of each old pixel of a line in each new one."""
    scale = old / new
    places = (np.arange(new) + 0.5) * scale - 0.5
    distances = np.abs(places[:, None] - np.arange(old)) / max(scale, 1)
    weights = np.clip(1 - distances, 0, 1)
    return np.float32(weights / weights.sum(axis=1, keepdims=True))


def flip(
    images: np.ndarray, random: np.random.Generator, axis: int, probability: float
) -> np.ndarray:
    """Return images of which some are mirrored along an axis."""
    chosen = random.random(len(images)) < probability
    flipped = images.copy()
    flipped[chosen] = np.flip(images[chosen], axis)
    return flipped


def move(
    images: np.ndarray, random: np.random.Generator, rows: int, columns: int, mode: str
) -> np.ndarray:
    """Return images moved by up to as many rows and columns, each at random."""
    count, height, width, _ = images.shape
    tops = random.integers(0, 2 * rows, count, endpoint=True)
    lefts = random.integers(0, 2 * columns, count, endpoint=True)
    padded = np.pad(images, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode)
    y = tops[:, None, None] + np.arange(height)[:, None]
    x = lefts[:, None, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], y, x]


def rotate(
    images: np.ndarray, random: np.random.Generator, degrees: float, mode: str
) -> np.ndarray:
    """Return images rotated about their centre, each by up to as many degrees."""
    count, height, width, _ = images.shape
    angles = np.radians(random.uniform(-degrees, degrees, count))[:, None, None]
    cosine, sine = np.cos(angles), np.sin(angles)
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width) - (width - 1) / 2
    rows = cosine * y + sine * x + (height - 1) / 2
    columns = cosine * x - sine * y + (width - 1) / 2
    return interpolate(images, rows, columns, mode)


def resized_crop(
    images: np.ndarray,
    random: np.random.Generator,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> np.ndarray:
    """Return a rectangle of each image, stretched to the image's extent."""
    count, height, width, _ = images.shape
    heights, widths = rectangles(random, count, height, width, area, ratio)
    tops = random.random(count) * (height - heights)
    lefts = random.random(count) * (width - widths)
    rows = tops[:, None] + (np.arange(height) + 0.5) / height * heights[:, None] - 0.5
    columns = lefts[:, None] + (np.arange(width) + 0.5) / width * widths[:, None] - 0.5
    return interpolate(images, rows[:, :, None], columns[:, None, :], "edge")


def rectangles(
    random: np.random.Generator,
    count: int,
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return heights and widths of random rectangles: the first of ten that fits."""
    areas = random.uniform(*area, (10, count)) * height * width
    ratios = np.exp(random.uniform(*np.log(ratio), (10, count)))
    heights, widths = np.sqrt(areas / ratios), np.sqrt(areas * ratios)
    first = ((heights <= height) & (widths <= width)).argmax(axis=0), np.arange(count)
    return np.minimum(heights[first], height), np.minimum(widths[first], width)


def interpolate(
    images: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str
) -> np.ndarray:
    """Return each image's values at places between its pixels, bilinearly."""
    if mode == "constant":  # black, into which the pixels of the edge fade
        images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        rows, columns = rows + 1, columns + 1
    last = np.array(images.shape[1:3]) - 1
    places = [np.round(rows, 6), np.round(columns, 6)]
    if mode == "reflect":
        places = [end - abs(each % (2 * end) - end) for each, end in zip(places, last)]
    places = [np.clip(each, 0, end) for each, end in zip(places, last)]
    y, x = (each.astype(int) for each in places)
    below, right = np.minimum(y + 1, last[0]), np.minimum(x + 1, last[1])
    down, along = (np.float32(each % 1)[..., None] for each in places)
    image = np.arange(len(images))[:, None, None]
    images = images.astype("float32")
    upper = images[image, y, x] * (1 - along) + images[image, y, right] * along
    lower = images[image, below, x] * (1 - along) + images[image, below, right] * along
    return upper * (1 - down) + lower * down


def jitter_grey(
    images: np.ndarray,
    random: np.random.Generator,
    brightness: float,
    contrast: float,
    white: float,
) -> np.ndarray:
    """Return images of other brightness and contrast, each by its own factors."""
    each = (len(images), 1, 1, 1)
    images = images * np.float32(random.uniform(1 - brightness, 1 + brightness, each))
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    factors = np.float32(random.uniform(1 - contrast, 1 + contrast, each))
    random.random((2, len(images)))  # saturation and hue, which grey images lack
    return np.clip(mean + (images - mean) * factors, 0, white)


def jitter(
    images: np.ndarray,
    random: np.random.Generator,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    white: float,
) -> np.ndarray:
    """Return images of other brightness, contrast, saturation and hue, in this order."""
    each = (len(images), 1, 1, 1)
    brighter, stronger, richer = (
        np.float32(random.uniform(1 - most, 1 + most, each))
        for most in (brightness, contrast, saturation)
    )
    turns = np.float32(2 * np.pi * random.uniform(-hue, hue, each))
    images = images * brighter
    grey = images @ np.float32([[0.299], [0.587], [0.114]])
    mean = grey.mean(axis=(1, 2), keepdims=True)
    images = mean + (images - mean) * stronger
    grey = mean + (grey - mean) * stronger
    u = 0.492 * (images[..., 2:] - grey)  # the colours of YUV: a hue is an angle
    v = 0.877 * (images[..., :1] - grey)
    blue = richer * (np.cos(turns) * u - np.sin(turns) * v) / 0.492
    red = richer * (np.sin(turns) * u + np.cos(turns) * v) / 0.877
    green = -(0.299 * red + 0.114 * blue) / 0.587
    return np.clip(grey + np.concatenate([red, green, blue], axis=-1), 0, white)


def add_noise(
    images: np.ndarray, random: np.random.Generator, deviation: float
) -> np.ndarray:
    """Return images with normal noise."""
    noise = random.standard_normal(images.shape, dtype="float32")
    return noise * np.float32(deviation) + images


def erase(
    images: np.ndarray,
    random: np.random.Generator,
    area: tuple[float, float],
    ratio: tuple[float, float],
    probability: float,
    white: float,
) -> np.ndarray:
    """Return images of which some have noise in a rectangle, or black if white is 0."""
    count, height, width, channels = images.shape
    heights, widths = rectangles(random, count, height, width, area, ratio)
    rows = stretches(random, heights, height)[:, :, None]
    columns = stretches(random, widths, width)[:, None, :]
    inside = rows & columns & (random.random((count, 1, 1)) < probability)
    shape = np.count_nonzero(inside), channels
    erased = images.copy()
    if not white:
        erased[inside] = 0
    elif images.dtype == np.uint8:
        erased[inside] = random.integers(0, white, shape, np.uint8, endpoint=True)
    else:
        erased[inside] = random.random(shape, dtype="float32") * np.float32(white)
    return erased


def stretches(
    random: np.random.Generator, lengths: np.ndarray, extent: int
) -> np.ndarray:
    """Return which pixels of a line are in a random stretch of each length."""
    whole = np.clip(np.round(lengths), 1, extent).astype(int)[:, None]
    starts = random.integers(0, extent - whole, endpoint=True)
    places = np.arange(extent)
    return (places >= starts) & (places < starts + whole)


def mixup(
    images: np.ndarray,
    labels: np.ndarray,
    random: np.random.Generator,
    alpha: float,
    probability: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image blended with another of the batch, and labels in these shares."""
    if random.random() >= probability:
        return images, labels
    order = random.permutation(len(images))
    share = np.float32(random.beta(alpha, alpha))
    images = share * images + (1 - share) * images[order]
    return images, share * labels + (1 - share) * labels[order]


def cutmix(
    images: np.ndarray,
    labels: np.ndarray,
    random: np.random.Generator,
    alpha: float,
    probability: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return images with a rectangle of another, and labels in the shares of the areas."""
    if random.random() >= probability:
        return images, labels
    order = random.permutation(len(images))
    cut = math.sqrt(1 - random.beta(alpha, alpha))
    sides = []
    for extent in images.shape[1:3]:
        length = round(extent * cut)
        start = int(random.integers(extent)) - length // 2
        sides.append(slice(max(0, start), min(extent, start + length)))
    mixed = images.copy()
    rows, columns = sides
    mixed[:, rows, columns] = images[order, rows, columns]
    area = math.prod(each.stop - each.start for each in sides)
    share = np.float32(1 - area / math.prod(images.shape[1:3]))
    return mixed, share * labels + (1 - share) * labels[order]


def class_names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, without hidden ones."""
    names = [each.name for each in folder.iterdir() if each.is_dir()]
    return sorted(name for name in names if name[0] != ".")


def read_folder(folder: Path, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return paths of images below a folder for each class, with the classes' numbers."""
    paths, numbers = [], []
    for number, name in enumerate(classes):
        for place, inner, files in os.walk(folder / name, followlinks=True):
            inner[:] = sorted(each for each in inner if each[0] != ".")
            for file in sorted(each for each in files if each[0] != "."):
                if Path(file).suffix.lower() in Image.registered_extensions():
                    paths.append(str(Path(place, file)))
                    numbers.append(number)
    return np.array(paths), np.array(numbers)


def read_table(path: Path, delimiter: str, encoding: str) -> list[dict[str, str]]:
    """Return the rows of a table, each by the names of its columns."""
    with path.open(encoding=encoding, newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        rows = [[cell.strip() for cell in row] for row in lines]
    header, *rows = [row for row in rows if any(row)]
    return [dict(zip(header, row)) for row in rows]


def number(text: str) -> float:
    """Return a number; 1 and 0 for the words true and false."""
    words = {"true": 1.0, "false": 0.0}
    return words[text.lower()] if text.lower() in words else float(text)


def read_idx(path: Path) -> np.ndarray:
    """Return the values of a file in MNIST's format, perhaps gzipped."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        _, _, kind, rank = file.read(4)
        shape = np.frombuffer(file.read(4 * rank), ">i4")
        dtype = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}[kind]
        return np.frombuffer(file.read(), dtype).reshape(shape)


def read_examples(source: Iterable[dict[str, object]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the encoded images of a split, with the numbers of their classes."""
    examples = [(each["image"], int(each["label"])) for each in source]
    images, labels = zip(*examples)
    return np.array(images, dtype=object), np.array(labels)


@keras.saving.register_keras_serializable()
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise over some steps to a learning rate, which may be a schedule."""

    def __init__(self, rate: object, steps: int) -> None:
        self.rate = rate
        self.steps = steps

    def __call__(self, step: object) -> object:
        share = (keras.ops.cast(step, "float32") + 1) / self.steps
        return keras.ops.where(share < 1, self.at(self.steps) * share, self.at(step))

    def at(self, step: object) -> object:
        return self.rate(step) if callable(self.rate) else self.rate

    def get_config(self) -> dict[str, object]:
        rate = keras.saving.serialize_keras_object(self.rate)
        return {"rate": rate, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> object:
        rate = keras.saving.deserialize_keras_object(config["rate"])
        return cls(rate, config["steps"])


@keras.saving.register_keras_serializable()
class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that counts updates, each of the gradients of several steps."""

    def __init__(self, schedule: object, steps: int) -> None:
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step: object) -> object:
        return self.schedule(keras.ops.floor_divide(step, self.steps))

    def get_config(self) -> dict[str, object]:
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> object:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["steps"])


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Lowers a learning rate that first rises, which is not counted."""

    def __init__(self, peak: float, warmup: int, **options: object) -> None:
        super().__init__(**options)
        self.peak = peak
        self.warmup = warmup

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        super().on_train_begin(logs)
        self.cooldown_counter = self.warmup + 1

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch <= self.warmup:
            share = min(1.0, (epoch + 0.5) / self.warmup)
            self.model.optimizer.learning_rate = self.peak * share


class BestEpoch(keras.callbacks.Callback):
    """Saves the weights of the epoch with the most images right, then the lowest loss."""

    def __init__(self, path: str, accuracy: str, loss: str) -> None:
        super().__init__()
        self.path = path
        self.accuracy = accuracy
        self.loss = loss
        self.rank = (-math.inf, -math.inf)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        rank = (logs[self.accuracy], -logs[self.loss])
        if math.isfinite(logs[self.loss]) and rank > self.rank:
            self.rank = rank
            self.model.save_weights(self.path)

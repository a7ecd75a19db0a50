"""Images and labels for training: split, resized to the network's input, standardised.

numpy is imported where it is needed: what is wrong with a spec or a recipe
is said before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.diagnostics import Problem
from archspec.ops.shape import Shape
from archspec.training.recipe import DataRecipe
from archspec.training.sources import SOURCES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEST_SHARE: Final = 0.2
"""Share of the images held out for the final score; the same images whatever the recipe says."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Images as float32, (images, height, width, channels), and a whole number as each's label."""

    name: str
    class_names: tuple[str, ...]
    original: Shape
    """Extent of an image before it was resized."""
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int32]
    x_validation: NDArray[np.float32]
    y_validation: NDArray[np.int32]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int32]

    def describe(self) -> str:
        """One line: how many images for what, and their extents."""
        shape = Shape(self.x_train.shape[1:])
        resized = "" if shape == self.original else f", resized to {shape}"
        return (
            f"{self.name}: {len(self.y_train):,} images to train on, "
            f"{len(self.y_validation):,} to validate, {len(self.y_test):,} to test, "
            f"{len(self.class_names)} classes, {self.original}{resized}"
        )


def misfits(
    source: str, input_shape: Shape, outputs: Mapping[str, Shape]
) -> Iterator[tuple[str, Problem]]:
    """Why a network of these shapes cannot learn `source`: "input" or an output's name, and what.

    Loads nothing.
    """
    if input_shape.rank != 2 or input_shape.channels not in {1, 3}:
        yield (
            "input",
            Problem(
                "shape",
                f"{source} is images, which do not fit an input of {input_shape}",
                help="use [height, width, 1] or [height, width, 3]",
            ),
        )
    classes = len(SOURCES[source].class_names)
    for name, shape in outputs.items():
        if shape.rank != 0:
            message = f"the output is {shape}, but {source} needs one number for each class"
            hint = "end with `flatten` or `global_avg_pool`, then `fc`"
            yield name, Problem("shape", message, help=hint)
        elif shape.size != classes:
            message = f"the output has {shape.size:,} values, but {source} has {classes} classes"
            hint = f"give the last layer {classes} units; `--set` does it where a variable says it"
            yield name, Problem("shape", message, help=hint)


def load(recipe: DataRecipe, input_shape: Shape) -> Data:
    """The images that `recipe` names, split by it and made to fit `input_shape`.

    A fifth of each class is for the test. Pixels are standardised by the mean and the deviation
    of the training images.
    """
    import numpy as np  # noqa: PLC0415

    source = SOURCES[recipe.source]
    originals, labels = source.load()
    train, validation, test = split(labels, recipe.validation, recipe.seed)
    images = resize(originals, input_shape.spatial)
    mean, deviation = images[train].mean(), images[train].std()
    images = ((images - mean) / deviation)[..., np.newaxis]

    def select(chosen: NDArray[np.intp]) -> Any:
        return np.repeat(images[chosen], input_shape.channels, axis=-1)

    return Data(
        name=recipe.source,
        class_names=source.class_names,
        original=Shape((*originals.shape[1:], 1)),
        x_train=select(train),
        y_train=labels[train],
        x_validation=select(validation),
        y_validation=labels[validation],
        x_test=select(test),
        y_test=labels[test],
    )


def split(
    labels: NDArray[np.int32], validation: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Indices to train on, to validate and to test: each class in the same shares.

    The test images depend on `seed` alone, not on the share to validate.
    """
    import numpy as np  # noqa: PLC0415

    random = np.random.default_rng(seed)
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        tested = round(len(members) * TEST_SHARE)
        held_out = tested + round(len(members) * validation)
        parts[0].append(members[held_out:])
        parts[1].append(members[tested:held_out])
        parts[2].append(members[:tested])
    train, validate, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, validate, test


def resize(images: NDArray[np.float32], extent: tuple[int, ...]) -> NDArray[np.float32]:
    """Bilinear interpolation of (images, height, width), pixel centres aligned.

    Its own few lines, because the backends' resizing differs in the last digits.
    """
    height, width = images.shape[1:]
    rows, columns = _weights(height, extent[0]), _weights(width, extent[1])
    return (rows @ images @ columns.T).astype(images.dtype, copy=False)


def _weights(old: int, new: int) -> NDArray[np.float32]:
    """(new, old): how much of each old pixel of a line is in each new one."""
    import numpy as np  # noqa: PLC0415

    position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    # A new pixel takes from the old ones less than one pixel away, the nearer the more.
    distance = np.abs(position[:, np.newaxis] - np.arange(old))
    weights: NDArray[np.float32] = np.clip(1 - distance, 0, 1).astype(np.float32)
    return weights

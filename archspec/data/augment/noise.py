"""Augmentations that add noise, or replace a part of an image by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from archspec.data.augment.augmentation import (
    Deviation,
    Fraction,
    ImageAugmentation,
    Ratios,
    Shares,
)
from archspec.data.augment.sampling import rectangles
from archspec.data.values import Range
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class GaussianNoise(ImageAugmentation):
    """Add normal noise to every value.

    The pixels become float32, and are not clipped at black and white, which would make dark places
    lighter.
    """

    name: ClassVar[str] = "gaussian_noise"
    uses_range: ClassVar[bool] = True

    deviation: Deviation = 0.05
    """Standard deviation of the noise, as a share of the range from black to white."""

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[np.float32]:
        noise = random.standard_normal(images.shape, dtype=np.float32)
        noise *= np.float32(self.deviation * limits.span)
        noise += images
        return noise


class RandomErasing(ImageAugmentation):
    """Erase a rectangle of an image, so that the network cannot rely on a single part.

    Zhong et al. 2020 (arXiv:1708.04896), algorithm 1.
    """

    name: ClassVar[str] = "random_erasing"
    uses_range: ClassVar[bool] = True

    probability: Fraction = 0.5
    """Probability for each image."""
    area: Shares = (0.02, 0.4)
    """The rectangle's share of the image, from the smallest to the largest."""
    ratio: Ratios = (0.3, 1 / 0.3)
    """Its width as a multiple of its height, from the smallest to the largest."""
    fill: Literal["noise", "zero"] = "noise"
    """New content: noise (each value drawn evenly from black to white) or zero (black)."""

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[Any]:
        count, height, width, channels = images.shape
        sizes = rectangles(random, count, (height, width), self.area, self.ratio)
        inside = _within(random, sizes[0], height)[:, :, np.newaxis]
        inside = inside & _within(random, sizes[1], width)[:, np.newaxis, :]
        inside &= random.random((count, 1, 1)) < self.probability
        erased = images.copy()
        if self.fill == "zero":
            erased[inside] = limits.black
            return erased
        shape = np.count_nonzero(inside), channels
        if np.issubdtype(images.dtype, np.integer):
            ends = math.ceil(limits.black), math.floor(limits.white)
            erased[inside] = random.integers(*ends, shape, images.dtype.type, endpoint=True)
        else:
            drawn = random.random(shape, dtype=np.float32) * np.float32(limits.span)
            erased[inside] = drawn + np.float32(limits.black)
        return erased


def _within(
    random: np.random.Generator, lengths: NDArray[np.float64], extent: int
) -> NDArray[np.bool_]:
    """Return which pixels of an axis are in a random stretch of each length, (images, extent)."""
    whole = np.clip(np.round(lengths), 1, extent).astype(np.intp)[:, np.newaxis]
    starts = random.integers(0, extent - whole, endpoint=True)
    places = np.arange(extent)
    within: NDArray[np.bool_] = (places >= starts) & (places < starts + whole)
    return within

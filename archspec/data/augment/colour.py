"""Augmentations that change the values of pixels and leave them in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from annotated_types import Ge, Le
from pydantic import PrivateAttr, model_validator

from archspec.data.augment.augmentation import Deviation, Fraction, ImageAugmentation
from archspec.data.resizing import LUMINANCE
from archspec.data.values import Range
from archspec.declare.metadata import Expect
from archspec.errors import Problem
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLUE_DIFFERENCE: Final = 0.492
RED_DIFFERENCE: Final = 0.877
"""Scales of the colour axes of YUV (ITU-R BT.470), in whose plane a hue is an angle."""

MOST_CHANNELS: Final = 256
"""Largest number of channels whose covariance is computed: it has their square of values."""

IMAGES_AT_ONCE: Final = 256
"""Images measured at a time: a whole sample as float64 may be larger than memory."""


class ColorJitter(ImageAugmentation):
    """Change the brightness, contrast, saturation and hue of each image, in this order.

    The amount of each change is drawn evenly; then values are clipped at black and white.
    Saturation and hue need red, green and blue, and leave grey images as they are. The pixels
    become float32.
    """

    name: ClassVar[str] = "color_jitter"
    uses_range: ClassVar[bool] = True

    brightness: Fraction = 0.0
    """Values are multiplied by 1 - this to 1 + this."""
    contrast: Fraction = 0.0
    """Differences from the image's mean brightness are multiplied by 1 - this to 1 + this."""
    saturation: Fraction = 0.0
    """Differences from grey are multiplied by 1 - this to 1 + this."""
    hue: Annotated[float, Ge(0), Le(0.5), Expect("a number from 0 to 0.5")] = 0.0
    """Largest turn of the hue either way, as a share of the circle, at constant brightness."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any((self.brightness, self.contrast, self.saturation, self.hue)):
            raise ValueError("give at least one of brightness, contrast, saturation, hue")
        return self

    def misfit(self, shape: Shape, classes: int) -> Problem | None:
        misfit = super().misfit(shape, classes)
        if misfit or shape.channels == 3 or not (self.saturation or self.hue):
            return misfit
        if shape.channels > 1:
            return Problem(
                "value",
                f"`saturation` and `hue` of `color_jitter` are for red, green and blue, not for "
                f"{shape.channels:,} channels",
                help="leave them out, and keep `brightness` and `contrast`",
            )
        if self.brightness or self.contrast:
            return None
        return Problem(
            "value",
            f"`color_jitter` changes nothing in grey images, as those of {shape}",
            help="give it `brightness` or `contrast`",
        )

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[np.float32]:
        def factors(strength: float) -> NDArray[np.float64]:
            return random.uniform(1 - strength, 1 + strength, len(images))

        brightness, contrast = factors(self.brightness), factors(self.contrast)
        saturation = factors(self.saturation)
        turns = random.uniform(-self.hue, self.hue, len(images))
        above_black = images.astype(np.float32, copy=False)
        if limits.black:
            above_black = above_black - np.float32(limits.black)
        coloured = recolour(above_black, brightness, contrast, saturation, turns)
        if limits.black:
            coloured += np.float32(limits.black)
        return np.clip(coloured, limits.black, limits.white, out=coloured)


class PcaLighting(ImageAugmentation):
    """Change the colour of the light: shift an image's pixels along the data's principal colours.

    Krizhevsky et al. 2012, section 4.1: the sum of the principal components of the training
    images' colours, each times its variance (of values from 0 to 1) and a normal random number, is
    added to the whole image. The pixels become float32, and are not clipped at black and white.
    """

    name: ClassVar[str] = "pca_lighting"
    uses_range: ClassVar[bool] = True

    deviation: Deviation = 0.1
    """The standard deviation of the random numbers."""

    _covariance: tuple[tuple[float, ...], ...] | None = PrivateAttr(default=None)

    def misfit(self, shape: Shape, classes: int) -> Problem | None:
        misfit = super().misfit(shape, classes)
        if misfit is None and shape.channels > MOST_CHANNELS:
            message = f"`pca_lighting` takes up to {MOST_CHANNELS} channels, not {shape.channels:,}"
            return Problem("value", message)
        return misfit

    def fitted(self, sample: NDArray[Any]) -> Self:
        fitted = self.model_copy()
        fitted._covariance = tuple(map(tuple, covariance(sample).tolist()))  # noqa: SLF001
        return fitted

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[np.float32]:
        if self._covariance is None:
            raise ValueError("`pca_lighting` is not fitted to the training images")
        # Components times variances times normal numbers have the distribution of the covariance
        # times normal numbers: components are orthogonal, and the normal has no preferred axes.
        normal = random.normal(0, self.deviation / limits.span, (len(images), images.shape[-1]))
        light = normal @ np.array(self._covariance)
        lit: NDArray[np.float32] = images + light.astype(np.float32)[:, np.newaxis, np.newaxis]
        return lit


def recolour(
    images: NDArray[Any],
    brightness: NDArray[np.float64],
    contrast: NDArray[np.float64],
    saturation: NDArray[np.float64],
    turns: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return images with changed colours, each by its own factors and turn of the hue.

    All four changes are linear, so they are one matrix and one offset for each image.
    """
    count, height, width, channels = images.shape
    pixels = images.astype(np.float32, copy=False).reshape(count, height * width, channels)
    # As a product, several times as fast as numpy's mean over such an axis.
    means = np.full(height * width, 1 / (height * width), np.float32) @ pixels
    gain = brightness * contrast
    if channels == 3:
        grey = means @ np.array(LUMINANCE)
        matrices = gain[:, np.newaxis, np.newaxis] * colour_matrices(saturation, turns)
        out = pixels @ matrices.astype(np.float32)
    else:
        grey = means.mean(axis=1)
        out = pixels * gain.astype(np.float32)[:, np.newaxis, np.newaxis]
    out += (brightness * (1 - contrast) * grey).astype(np.float32)[:, np.newaxis, np.newaxis]
    return out.reshape(images.shape)


def colour_matrices(
    saturation: NDArray[np.float64], turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return matrices, (images, 3, 3), that pixels are multiplied by from the left.

    They keep brightness and leave grey as it is.
    """
    red, green, blue = LUMINANCE
    to_yuv = np.array([[red, -red, 1 - red], [green, -green, -green], [blue, 1 - blue, -blue]])
    to_yuv *= [1, BLUE_DIFFERENCE, RED_DIFFERENCE]
    angles = 2 * np.pi * turns
    change = np.zeros((len(turns), 3, 3))
    change[:, 0, 0] = 1
    change[:, 1, 1] = change[:, 2, 2] = saturation * np.cos(angles)
    change[:, 1, 2] = saturation * np.sin(angles)
    change[:, 2, 1] = -change[:, 1, 2]
    matrices: NDArray[np.float64] = to_yuv @ change @ np.linalg.inv(to_yuv)
    return matrices


def covariance(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return the covariance of the channels over all pixels, (channels, channels)."""
    channels = images.shape[-1]
    total, products = np.zeros(channels), np.zeros((channels, channels))
    for start in range(0, len(images), IMAGES_AT_ONCE):
        pixels = np.asarray(images[start : start + IMAGES_AT_ONCE], np.float64)
        pixels = pixels.reshape(-1, channels)
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
    count = images.size // channels
    mean = total / count
    covariances: NDArray[np.float64] = products / count - np.outer(mean, mean)
    return covariances

"""Augmentations that move pixels and leave their values: flips, crops, shifts, rotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from archspec.data.augment.augmentation import (
    Fill,
    Fraction,
    ImageAugmentation,
    Ratios,
    Shares,
)
from archspec.data.augment.sampling import interpolate, pad, rectangles, windows
from archspec.data.values import Range
from archspec.declare.metadata import Expect
from archspec.errors import Problem
from archspec.lazy import np
from archspec.ops.fields import Count
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ShiftShare = Annotated[float, Ge(0), Lt(1), Expect("a number from 0 to below 1")]


class Flip(ImageAugmentation):
    """Mirror images along an axis."""

    axis: ClassVar[int]
    moves: ClassVar[bool] = True

    probability: Fraction = 0.5
    """Probability for each image."""

    def _change(self, images: NDArray[Any], random: np.random.Generator, _: Range) -> NDArray[Any]:
        return flip(images, random.random(len(images)) < self.probability, self.axis)


class HorizontalFlip(Flip):
    """Mirror images left to right.

    Not for letters, digits, or anything else whose mirror image means something else.
    """

    name: ClassVar[str] = "horizontal_flip"
    axis: ClassVar[int] = 2


class VerticalFlip(Flip):
    """Turn images upside down.

    For pictures without up and down, such as those from above or through a microscope.
    """

    name: ClassVar[str] = "vertical_flip"
    axis: ClassVar[int] = 1


class RandomCrop(ImageAugmentation):
    """Pad images on all sides and crop them to their own extent, each at a random place.

    He et al. 2016 (arXiv:1512.03385), section 4.2, for CIFAR: 4 pixels of zeros.
    """

    name: ClassVar[str] = "random_crop"
    moves: ClassVar[bool] = True

    padding: Count = 4
    """Pixels on each side: an image moves by up to as many."""
    fill: Fill = "zero"
    """Value of the pixels added: zero (black), reflect, or edge (its pixels repeated)."""

    def misfit(self, shape: Shape, classes: int) -> Problem | None:
        misfit = super().misfit(shape, classes)
        if misfit is None and self.padding >= (least := min(shape.spatial)):
            less = f"write less than {least:,}; an eighth of the extent is usual"
            return Problem(
                "value",
                f"`padding` of `random_crop` is {self.padding:,}, which may move the whole of "
                f"an image of {shape} out of sight",
                help="leave `random_crop` out" if least == 1 else less,
            )
        return misfit

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[Any]:
        return _moved(images, self.padding, self.padding, self.fill, random, limits.black)


class Shift(ImageAugmentation):
    """Shift images up or down and sideways by a random number of whole pixels."""

    name: ClassVar[str] = "shift"
    moves: ClassVar[bool] = True

    vertical: _ShiftShare = 0.1
    """Largest shift up or down, as a share of the height."""
    horizontal: _ShiftShare = 0.1
    """Largest shift to either side, as a share of the width."""
    fill: Fill = "zero"
    """Value of the pixels uncovered: zero (black), reflect, or edge (its pixels repeated)."""

    def misfit(self, shape: Shape, classes: int) -> Problem | None:
        misfit = super().misfit(shape, classes)
        if misfit is None and self._farthest(*shape.spatial) == (0, 0):
            return Problem(
                "value",
                f"`shift` moves an image of {shape} by less than a pixel",
                help=f"a share of {1 / max(shape.spatial):.2g} or more moves it",
            )
        return misfit

    def _farthest(self, height: int, width: int) -> tuple[int, int]:
        return round(self.vertical * height), round(self.horizontal * width)

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[Any]:
        rows, columns = self._farthest(*images.shape[1:3])
        return _moved(images, rows, columns, self.fill, random, limits.black)


class RandomResizedCrop(ImageAugmentation):
    """Cut a rectangle out of each image and stretch it to the image's extent, bilinearly.

    Szegedy et al. 2015 (arXiv:1409.4842), section 6, for ImageNet. The pixels become float32.
    """

    name: ClassVar[str] = "random_resized_crop"
    moves: ClassVar[bool] = True

    area: Shares = (0.08, 1.0)
    """The rectangle's share of the image, from the smallest to the largest."""
    ratio: Ratios = (3 / 4, 4 / 3)
    """Its width as a multiple of its height, from the smallest to the largest."""

    def _change(self, images: NDArray[Any], random: np.random.Generator, _: Range) -> NDArray[Any]:
        count, height, width, _channels = images.shape
        heights, widths = rectangles(random, count, (height, width), self.area, self.ratio)
        tops = random.random(count) * (height - heights)
        lefts = random.random(count) * (width - widths)
        return interpolate(
            images,
            _stretched(tops, heights, height)[:, :, None],
            _stretched(lefts, widths, width)[:, None, :],
            "edge",
        )


class Rotation(ImageAugmentation):
    """Rotate images about their centre, either way, bilinearly.

    The pixels become float32.
    """

    name: ClassVar[str] = "rotation"
    moves: ClassVar[bool] = True

    degrees: Annotated[
        float, Gt(0), Le(180), Expect("a number above 0 that is at most 180, as 15")
    ] = 15.0
    """Largest angle, in degrees; each image's is drawn evenly."""
    fill: Fill = "zero"
    """Value of the pixels in the corners: zero (black), reflect, or edge (its pixels repeated)."""

    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[Any]:
        degrees = random.uniform(-self.degrees, self.degrees, len(images))
        return rotate(images, degrees, self.fill, limits.black)


def flip(images: NDArray[Any], chosen: NDArray[np.bool_], axis: int) -> NDArray[Any]:
    """Return images of which the chosen ones are mirrored along `axis`."""
    flipped = images.copy()
    flipped[chosen] = np.take(images[chosen], range(images.shape[axis])[::-1], axis=axis)
    return flipped


def rotate(
    images: NDArray[Any], degrees: NDArray[np.float64], fill: Fill, black: float = 0.0
) -> NDArray[np.float32]:
    """Return images rotated anticlockwise, each by its own angle."""
    height, width = images.shape[1:3]
    angles = np.radians(degrees)[:, np.newaxis, np.newaxis]
    cosine, sine = np.cos(angles), np.sin(angles)
    middle, centre = (height - 1) / 2, (width - 1) / 2
    y = (np.arange(height) - middle)[:, np.newaxis]
    x = np.arange(width) - centre
    # The sine of half a turn is not exactly 0: rounding makes pixels land on pixels.
    rows = np.round(cosine * y + sine * x + middle, 6)
    columns = np.round(cosine * x - sine * y + centre, 6)
    return interpolate(images, rows, columns, fill, black)


def _moved(
    images: NDArray[Any],
    rows: int,
    columns: int,
    fill: Fill,
    random: np.random.Generator,
    black: float,
) -> NDArray[Any]:
    """Return images moved by up to `rows` rows and `columns` columns, each at random."""
    count, height, width, _ = images.shape
    tops = random.integers(0, 2 * rows, size=(count,), endpoint=True)
    lefts = random.integers(0, 2 * columns, size=(count,), endpoint=True)
    return windows(pad(images, rows, columns, fill, black), tops, lefts, (height, width))


def _stretched(
    starts: NDArray[np.float64], lengths: NDArray[np.float64], extent: int
) -> NDArray[np.float64]:
    """Return the places of the new pixels of an axis on the old one, (images, extent).

    Pixel centres are aligned.
    """
    places = (np.arange(extent) + 0.5) / extent
    return starts[:, np.newaxis] + places * lengths[:, np.newaxis] - 0.5

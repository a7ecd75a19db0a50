"""Augmentations that mix the images of a batch, and their labels in the same shares.

The share is drawn once for the whole batch, as in the papers' own code: each image is mixed with
another one of the batch, in a random order.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from archspec.data.augment.augmentation import Alpha, Augmentation, Fraction
from archspec.data.values import Range
from archspec.errors import Problem
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Mixing(Augmentation):
    mixes_labels: ClassVar[bool] = True

    alpha: Alpha
    probability: Fraction

    def misfit(self, shape: Shape, classes: int) -> Problem | None:
        if classes < 2:
            return Problem("value", f"`{self.name}` mixes classes, but there is only one")
        return super().misfit(shape, classes)

    def __call__(
        self,
        images: NDArray[Any],
        labels: NDArray[Any],
        random: np.random.Generator,
        *,
        limits: Range,  # noqa: ARG002  (a mean of pixels has their range)
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        if random.random() >= self.probability:
            return images, labels
        order = random.permutation(len(images))
        mixed, share = self._mix(images, order, random.beta(self.alpha, self.alpha), random)
        return mixed, blend(labels, labels[order], share)

    @abstractmethod
    def _mix(
        self,
        images: NDArray[Any],
        order: NDArray[np.intp],
        share: float,
        random: np.random.Generator,
    ) -> tuple[NDArray[Any], float]:
        """Return mixed images, and the share of the original image in each."""


class Mixup(_Mixing):
    """Blend each image with another of its batch, and their labels in the same shares.

    Zhang et al. 2018 (arXiv:1710.09412), section 2. The pixels become float32. It requires a loss
    of one-hot labels.
    """

    name: ClassVar[str] = "mixup"

    alpha: Alpha = 0.2
    """Parameter of the shares' beta distribution: near 0, most shares are close to 0 or 1; at 1,
    all are equally likely."""
    probability: Fraction = 1.0
    """Probability for each batch."""

    def _mix(
        self,
        images: NDArray[Any],
        order: NDArray[np.intp],
        share: float,
        random: np.random.Generator,  # noqa: ARG002
    ) -> tuple[NDArray[Any], float]:
        return blend(images, images[order], share), share


class CutMix(_Mixing):
    """Paste a rectangle of another image of the batch, and mix the labels by its area.

    Yun et al. 2019 (arXiv:1905.04899), section 3.1. It requires a loss of one-hot labels.
    """

    name: ClassVar[str] = "cutmix"

    alpha: Alpha = 1.0
    """Parameter of the beta distribution of the share that is kept: at 1, all are equally
    likely."""
    probability: Fraction = 1.0
    """Probability for each batch."""

    def _mix(
        self,
        images: NDArray[Any],
        order: NDArray[np.intp],
        share: float,
        random: np.random.Generator,
    ) -> tuple[NDArray[Any], float]:
        height, width = images.shape[1:3]
        rows = _stretch(random, height, share)
        columns = _stretch(random, width, share)
        pasted = images.copy()
        pasted[:, rows, columns] = images[order, rows, columns]
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return pasted, 1 - area / (height * width)


def blend(ours: NDArray[Any], theirs: NDArray[Any], share: float) -> NDArray[np.float32]:
    """Return the weighted mean, in which `ours` has the weight `share`."""
    mixed = theirs * np.float32(1 - share)
    mixed += ours * np.float32(share)
    return mixed


def _stretch(random: np.random.Generator, extent: int, kept: float) -> slice:
    """Return the rectangle's pixels on an axis: around a random one, clipped at the edges."""
    length = round(extent * math.sqrt(1 - kept))
    start = int(random.integers(extent)) - length // 2
    return slice(max(0, start), min(extent, start + length))

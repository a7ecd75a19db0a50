"""Saliency: which pixels a class's score depends on most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

from archspec.explain.attribution import MapRequest, class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import ClassName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@method
def saliency(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return maps of how much each pixel changes the score of a class.

    The map is the absolute value of d score / d pixel, its maximum over the channels; the score is
    that before the softmax, so that a certain network has a map too. Simonyan, Vedaldi and
    Zisserman 2013, Deep inside convolutional networks, section 3.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the most probable one.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image and its map, (height, width).

    Raises:
        UsageError: there is no such run, image or class.

    """
    study = Study.open(run, images, **common)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target):
            for at, map_ in enumerate(maps(group)):
                picture = Picture("saliency", "saliency", map_, "positive")
                yield group.exhibit("saliency", [picture], at=at)

    return study.gallery(exhibits())


def maps(request: MapRequest) -> NDArray[np.float64]:
    """Return |d score / d pixel|, the maximum over channels."""
    gradients = class_gradients(request.subject, request.pixels, request.targets, request.batch)
    strengths: NDArray[np.float64] = abs(gradients).max(axis=-1).astype(float)
    return strengths

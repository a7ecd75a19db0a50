"""Saliency: which pixels a class's score depends on most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from archspec.explain.attribution import class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import TARGET, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import BATCH, Common, Study, Tick
from archspec.explain.subject import Explainable, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@method(target=TARGET)
def saliency(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: str | int | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return maps of how much each pixel changes the score of a class.

    The map is the absolute value of d score / d pixel, its maximum over the channels; the score is
    that before the softmax, so that a certain network has a map too. Simonyan, Vedaldi and
    Zisserman 2013, Deep inside convolutional networks, section 3.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the one that the network finds most probable.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image and its map, (height, width).

    Raises:
        UsageError: there is no such run, image or class.

    """
    study = Study.open(run, images, **common)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target):
            found = maps(study.subject, group.pixels, group.targets, batch=study.batch)
            for at, map_ in enumerate(found):
                picture = Picture("saliency", "saliency", map_, "positive")
                yield group.exhibit(at, "saliency", [picture])

    return study.gallery("saliency", exhibits(), {"target": target})


def maps(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    *,
    batch: int = BATCH,
    seed: int = 0,  # noqa: ARG001  (nothing is random)
    tick: Tick | None = None,  # noqa: ARG001  (one batch)
) -> NDArray[np.float64]:
    """|d score / d pixel|, the maximum over channels (see `Maps`)."""
    gradients = class_gradients(subject, pixels, targets, batch)
    found: NDArray[np.float64] = abs(gradients).max(axis=-1).astype(float)
    return found

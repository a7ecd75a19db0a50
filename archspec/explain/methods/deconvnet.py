"""Deconvnet: pixels that excite a class or a unit, by a network run backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

from archspec.explain.attribution import MapRequest
from archspec.explain.gallery import Gallery
from archspec.explain.method import Allowed, ClassName, LayerName, UnitNumber, method
from archspec.explain.projection import SHOWN, absolute, projections
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@method
def deconvnet(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    layer: LayerName = None,
    unit: UnitNumber = None,
    units: Annotated[int, Allowed(1)] = SHOWN,
    **common: Unpack[Common],
) -> Gallery:
    """Return projections of a class or of units back to the pixels, by a deconvolutional network.

    The gradient of the score before the softmax, where each ReLU lets through what is above 0 of
    the gradient that comes back to it, whatever its input was: the transposed network with ReLUs of
    its own. A max pool sends it to where the maximum was (its switch). Zeiler and Fergus 2013,
    Visualizing and understanding convolutional networks, section 2.1.

    With `layer=`, units of that layer are projected instead: from the one place where a unit is
    strongest in an image, with its value there, all other values of the layer being 0. The nine
    images of the data that excite a unit most are shown, an image once, cut to the unit's receptive
    field (grey: outside the image), and their projections beside them.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`. With `layer=`,
            the images to search, by default the whole test part.
        target: the class, by name; by default the most probable one.
        layer: a layer, or a block for its last layer, whose units are projected instead of a class.
        unit: the layer's channel, or number of its unit, from 0; by default its strongest ones.
        units: how many of the layer's strongest units are shown: those of the largest output.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image and its signed map, (height, width), or
        of color images (height, width, 3). With `layer=`, with an exhibit for each unit: the
        patches of up to nine images and their projections, (images, height, width) of the
        receptive field.

    Raises:
        UsageError: there is no such run, image, class, layer or unit; there is no ReLU on the way,
            so that nothing would be changed; or no image excites the unit.

    """
    study = Study.open(run, images, **common)
    return projections(study, "deconvnet", target, layer, unit, units)


def maps(request: MapRequest) -> NDArray[np.float64]:
    """Return the absolute projection of each class, the maximum over channels."""
    return absolute(request, "deconvnet")

"""Grad-CAM: regions in which a layer's maps raise the score of a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Unpack

from archspec.explain.attribution import MapRequest, check_finite, groups
from archspec.explain.feature_maps import enlarged, maps_layer
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.gradient import differentiated
from archspec.explain.method import ClassName, LayerName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@method
def grad_cam(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    layer: LayerName = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return regions in which the maps of a layer raise the score of a class.

    The maps A_k of the layer are summed with weights, the mean over all positions of d score / d
    A_k, and what is below 0 is cut off. For a layer that is followed by global average pooling and
    one dense layer that is CAM, up to the number of positions. Selvaraju et al. 2017, Grad-CAM,
    section 3.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the most probable one.
        layer: the layer, or a block for its last layer; by default the last one before pooling.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, its map interpolated to the image's
        extent, and the map itself.

    Raises:
        UsageError: there is no such run, image, class or layer, or the layer has no maps.

    """
    study = Study.open(run, images, **common)
    name = maps_layer(study.subject, layer).name

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target):
            for at, map_ in enumerate(raw_maps(group, name)):
                image = group.pixels[at]
                large = enlarged(map_, image.shape[:-1])
                title = f"maps of {name}"
                pictures = [
                    Picture("grad-cam", title, large, "positive", over=study.shown(image)),
                    Picture("map", f"{title}, as they are", map_, "positive"),
                ]
                yield group.exhibit("grad-cam", pictures, {"layer": name}, at=at)

    return study.gallery(exhibits(), layer=name)


def maps(request: MapRequest) -> NDArray[np.float64]:
    """Return Grad-CAM's maps, interpolated to the images' extent."""
    raw = raw_maps(request, maps_layer(request.subject, None).name)
    return np.stack([enlarged(map_, request.pixels.shape[1:-1]) for map_ in raw])


def raw_maps(request: MapRequest, layer: str) -> NDArray[np.float64]:
    """Return Grad-CAM's maps, (n, *extent of the layer's maps)."""
    subject, pixels = request.subject, request.pixels
    scores, ops = subject.circuit.scores, subject.keras.ops

    def score(change: Any, images: Any, chosen: Any) -> Any:
        # The gradient by a change that is 0 is the one by the layer's output.
        edit = {layer: lambda output: output + ops.cast(change, output.dtype)}
        values = subject.run(images, watch=(scores, layer), edit=edit)
        return ops.sum(subject.logits(values) * chosen, axis=-1), values.after[layer]

    function = subject.once(("grad_cam", layer), lambda: differentiated(subject.circuit, score))
    chosen = subject.one_hot(request.targets)
    change = np.zeros((len(pixels), *subject.circuit[layer].shape), np.float32)
    result = []
    for gradients, values in batched(function, request.batch, change, pixels, chosen):
        places = tuple(range(1, values.ndim - 1))
        weights = gradients.mean(axis=places, keepdims=True, dtype=float)
        result.append(np.maximum((weights * values).sum(axis=-1), 0))
    maps_ = np.concatenate(result)
    check_finite(subject, maps_)
    return maps_

"""Inversion: an image that is reconstructed from the features of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from archspec.explain.gallery import Exhibit, FactValue, Gallery, Item
from archspec.explain.image_search import STARTS, Canvas
from archspec.explain.inverting import Inversion, InvertedImage, spread
from archspec.explain.method import Allowed, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@method
def invert(
    run: Explainable,
    images: ImagesLike = None,
    *,
    layer: Annotated[str | Sequence[str] | None, Allowed(metavar="LAYER")] = None,
    steps: Annotated[int, Allowed(1, 100_000)] = 400,
    rate: Annotated[float, Allowed(1e-6)] = 0.05,
    tv: Annotated[float, Allowed(0)] = 0.0003,
    beta: Annotated[float, Allowed(0.5, 4)] = 2.0,
    norm: Annotated[float, Allowed(0)] = 0.0,
    alpha: Annotated[float, Allowed(1, 16)] = 6.0,
    start: Annotated[str, Allowed(words=STARTS)] = "noise",
    **common: Unpack[Common],
) -> Gallery:
    """Reconstruct an image from its features in a layer, to show what the layer keeps.

    The search descends |f(x) - f(x0)|^2 / |f(x0)|^2 + norm sum|u|^alpha
    + tv sum(dx^2 + dy^2)^(beta/2) by Adam, where f are the layer's outputs, x0 is the image,
    and u = (pixel - origin) / (white - black), origin being the training images' mean or grey.
    Mahendran and Vedaldi 2015, Understanding deep image representations by inverting them,
    section 3.

    What a layer loses, such as signs at a ReLU and positions at a max pool, is filled in by the
    prior: another image can have the same features. So both errors are given, that of the features
    and that of the pixels.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        layer: a layer, or a block for its last layer; by default 6 layers from the first one to the
            scores.
        steps: number of steps of the search.
        rate: length of the first steps, as a share of the range; it falls to 0.
        tv: weight of the total variation, which is summed over pixels and channels.
        beta: power of the total variation: 2 smooths, 1 keeps edges. Below 2 a little is added
            inside it, since its slope is infinite where an image is flat.
        norm: weight of the sum of |u|^alpha.
        alpha: power of that norm.
        start: first image of the search: `noise` of a tenth of the range added to the origin, the
            origin itself (`mean`), or `grey`.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, and what was made of each layer, with
        the relative error |f(x) - f(x0)| / |f(x0)| of its features, and the root mean square
        difference of its pixels as a share of white - black.

    Raises:
        UsageError: there is no such run, image or layer.

    """
    study = Study.open(run, images, **common)
    circuit = study.subject.circuit
    names = [circuit.find(each).name for each in layer or ()] or spread(circuit)
    canvas = Canvas.of(study.subject)
    searches = [
        Inversion(study, canvas, name, tv, beta, norm, alpha, steps, rate) for name in names
    ]

    def exhibits() -> Iterator[Exhibit]:
        samples = study.samples
        done, total = 0, steps * len(names) * -(-len(samples) // study.batch)
        for numbers, pixels in samples.batches(study.batch):
            made = []
            for search in searches:
                made.append(search.images(pixels, start, done, total))
                done += steps
            for row, number in enumerate(numbers):
                yield _exhibit(study, samples.names[number], pixels[row], [m[row] for m in made])

    return study.gallery(exhibits(), canvas.notes, layer=names)


def _exhibit(
    study: Study, name: str, pixels: NDArray[Any], made: Sequence[InvertedImage]
) -> Exhibit:
    items: list[Item] = [study.picture_of(pixels)]
    for number, image in enumerate(made, 1):
        facts: dict[str, FactValue] = {
            "feature error": image.features,
            "pixel error": image.difference,
        }
        if image.features is None:
            facts["features"] = "all 0: nothing to invert"
        if image.is_another:
            facts["image"] = "another one of the same features"
        items.append(study.picture_of(image.pixels, f"layer{number}", image.layer, facts=facts))
    return Exhibit(name, "features, pixels off by: " + ", ".join(map(_described, made)), items)


def _described(image: InvertedImage) -> str:
    if image.features is None:
        return f"{image.layer} has no features, all are 0"
    other = " (another image)" if image.is_another else ""
    return f"{image.layer} {image.features:.1%}, {image.difference:.1%}{other}"

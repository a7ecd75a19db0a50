"""Inversion: an image made of nothing but the features that a layer has of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from archspec.explain.gallery import Exhibit, Fact, Gallery, Item
from archspec.explain.image_search import STARTS, Canvas
from archspec.explain.inverting import Inversion, InvertedImage, spread
from archspec.explain.method import Option, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@method(
    layer=Option(
        "A layer, or a block's name for its last layer; may be given several times.  "
        "[6 over the network]",
        several=True,
        metavar="LAYER",
    ),
    steps=Option("Steps of the search.", "whole", least=1, most=100_000),
    rate=Option("Length of the first steps, as a share of the range.", "number", least=1e-6),
    tv=Option("Weight of the total variation.", "number", least=0),
    beta=Option("Power of the total variation: 2 smooths, 1 keeps edges.", "number", 0.5, 4),
    norm=Option("Weight of the norm of the image.", "number", least=0),
    alpha=Option("Power of that norm.", "number", 1, 16),
    start=Option("Where the search starts.", choices=STARTS),
)
def invert(
    run: Explainable,
    images: ImagesLike = None,
    *,
    layer: str | Sequence[str] | None = None,
    steps: int = 400,
    rate: float = 0.05,
    tv: float = 0.0003,
    beta: float = 2.0,
    norm: float = 0.0,
    alpha: float = 6.0,
    start: str = "noise",
    **common: Unpack[Common],
) -> Gallery:
    """Make an image anew from what a layer computes of it, to see what the layer has kept.

    The search descends |f(x) - f(x0)|^2 / |f(x0)|^2 + norm sum|u|^alpha
    + tv sum(dx^2 + dy^2)^(beta/2) by Adam, where f are the layer's outputs, x0 is the image,
    and u = (pixel - origin) / (white - black), origin being the training images' mean or grey.
    Mahendran and Vedaldi 2015, Understanding deep image representations by inverting them,
    section 3.

    What a layer has thrown away, as signs at a ReLU and places at a max pool, the prior makes up:
    an image whose features are the same can be another image. So both errors are said: that of
    the features, and that of the pixels.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        layer: a layer whose features, or a list of them; by default 6 from the first layer to the
            scores.
        steps: how many.
        rate: length of the first steps, as a share of the range; it falls to 0.
        tv: weight of the total variation, which is summed over pixels and channels.
        beta: its power. Below 2 a little is added inside it, since its slope is infinite where an
            image is flat.
        norm: weight of the sum of |u|^alpha.
        alpha: its power.
        start: the origin with noise of a tenth of the range, the origin itself, or grey.
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
    given = [layer] if isinstance(layer, str) else layer or ()
    names = [circuit.find(each).name for each in given] or spread(circuit)
    canvas = Canvas.of(study.subject)
    searches = [
        Inversion(study, canvas, name, tv, beta, norm, alpha, steps, rate) for name in names
    ]
    notes = []
    if not canvas.is_bounded:
        notes.append("black and white are not known: nothing keeps the images between them")

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

    settings: dict[str, Fact] = {
        "layer": names,
        "steps": steps,
        "rate": rate,
        "tv": tv,
        "beta": beta,
        "norm": norm,
        "alpha": alpha,
        "start": start,
    }
    return study.gallery("invert", exhibits(), settings, notes)


def _exhibit(
    study: Study, name: str, pixels: NDArray[Any], made: Sequence[InvertedImage]
) -> Exhibit:
    items: list[Item] = [study.picture_of(pixels)]
    for number, image in enumerate(made, 1):
        facts: dict[str, Fact] = {
            "feature error": image.features,
            "pixel error": image.difference,
        }
        if image.features is None:
            facts["features"] = "all 0: nothing to invert"
        if image.is_another:
            facts["image"] = "another one of the same features"
        picture = study.picture_of(image.pixels, f"layer{number}", image.layer)
        items.append(replace(picture, facts=facts))
    return Exhibit(name, "features, pixels off by: " + ", ".join(map(_said, made)), items)


def _said(image: InvertedImage) -> str:
    if image.features is None:
        return f"{image.layer} has no features, all are 0"
    other = " (another image)" if image.is_another else ""
    return f"{image.layer} {image.features:.1%}, {image.difference:.1%}{other}"

"""Occlusion: the answers of a network while a patch hides a part of the image."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Annotated, Unpack

from archspec.explain import replacements
from archspec.explain.attribution import Group, MapRequest, check_places, groups
from archspec.explain.circuit import CircuitCall
from archspec.explain.feature_maps import last_maps, maps_layer
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Item, Picture
from archspec.explain.method import Allowed, ClassName, LayerName, PixelValue, method
from archspec.explain.occluding import Grid, Occluded, occluded
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@method
def occlusion(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    patch: Annotated[int | None, Allowed(1)] = None,
    stride: Annotated[int | None, Allowed(1)] = None,
    value: PixelValue = "mean",
    layer: LayerName = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return the answers of a network while a patch hides a part of an image, at each position.

    The last position of each row and column is flush with the border, so that every pixel is
    hidden, unless the stride is larger than the patch. A map has one value for each position: the
    class's probability; the most probable class; and the sum of a layer's strongest map, that of
    the channel whose sum is largest for the whole image. Zeiler and Fergus 2013, Visualizing and
    understanding convolutional networks, section 4.2, (d), (e) and (b). A network without feature
    maps has no strongest one.

    For each pixel there is also how far the score falls while it is hidden: the mean over the
    positions that hide it.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the true one where it is known, else the most
            probable one.
        patch: side of the patch in pixels; by default a seventh of the shorter side.
        stride: pixels from one position to the next; by default half the patch.
        value: the patch's content: `mean`, `black`, `white`, `blurred`, or a raw pixel's value.
        layer: the layer of the strongest map; by default the last one that has maps.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, the fall of the score for each pixel
        (height, width), and three maps with a value for each position (rows, columns).

    Raises:
        UsageError: there is no such run, image, class or layer, or the patch is larger than the
            image.

    """
    value = replacements.checked("value", value)
    study = Study.open(run, images, **common)
    subject = study.subject
    check_places(subject)
    grid = Grid.of(subject.shape, patch, stride)
    call = last_maps(subject) if layer is None else maps_layer(subject, layer)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target, 1, prefer_label=True):
            hidden, words = replacements.stand_in(subject, group.pixels[0], value, "value")
            yield _exhibit(group, grid, occluded(group, hidden, grid, call), call, words)

    positions = " x ".join(map(str, grid.counts))
    notes = [f"{prod(grid.counts):,} positions ({positions}) of a patch of {grid.patch} pixels"]
    if grid.leaves_gaps:
        notes.append(
            f"`stride={grid.stride}` is larger than the patch: pixels between two positions are "
            "never hidden, and their fall of the score is given as 0"
        )
    return study.gallery(
        exhibits(),
        notes,
        patch=grid.patch,
        stride=grid.stride,
        value=value,
        layer=call.name if call else None,
    )


def _exhibit(
    group: Group, grid: Grid, result: Occluded, call: CircuitCall | None, words: str
) -> Exhibit:
    names, target = group.subject.class_names, group.targets[0]
    probability = result.shares.reshape(grid.counts)
    classes = result.answers.reshape(grid.counts)
    fall = grid.per_pixel(group.scores[0, target] - result.scores)
    whole = group.study.facts_of(group.scores[0], target)["probability"]
    items: list[Item] = [
        Picture(
            "fall",
            "fall of the score",
            fall,
            "signed",
            over=group.study.shown(group.pixels[0]),
        ),
        Picture(
            "probability",
            f"probability of {names[target]}",
            probability,
            "positive",
            {"without the patch": whole},
            limits=(0.0, float(probability.max())),
        ),
        Picture("classes", "most probable class", classes, "classes", names=names),
    ]
    if call is not None:
        title = f"sum of the strongest map, channel {result.channel} of {call.name}"
        sums = result.sums.reshape(grid.counts)
        items.append(
            Picture("strongest", title, sums, "pixels", {"without the patch": result.whole})
        )
    kept = float((classes == group.scores[0].argmax()).mean())
    extra = (
        f"; with a patch {probability.min():.1%} at least, the class stays at {kept:.0%} of the "
        "positions"
    )
    facts: dict[str, FactValue] = {"patch": grid.patch, "stride": grid.stride, "value": words}
    return group.exhibit("occlusion", items, facts, extra=extra)


def maps(
    request: MapRequest,
    *,
    patch: int | None = None,
    stride: int | None = None,
    value: str | float = "mean",
) -> NDArray[np.float64]:
    """Return how far the score falls while a pixel is hidden, the mean over patches."""
    subject = request.subject
    grid = Grid.of(subject.shape, patch, stride)
    whole = subject.scores(request.pixels, request.batch)
    results = []
    for at, each in enumerate(request.each()):
        hidden, _ = replacements.stand_in(subject, each.pixels[0], value, "value")
        result = occluded(each, hidden, grid, None)
        results.append(grid.per_pixel(whole[at, each.targets[0]] - result.scores))
    return np.stack(results)

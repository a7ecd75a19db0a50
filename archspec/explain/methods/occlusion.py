"""Occlusion: what a network says where a patch hides a part of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Unpack

from archspec.explain import replacements
from archspec.explain.attribution import Group, check_places, groups
from archspec.explain.circuit import LayerCall
from archspec.explain.feature_maps import last_maps, maps_layer
from archspec.explain.gallery import Exhibit, Fact, Gallery, Item, Picture
from archspec.explain.method import Option, method
from archspec.explain.occluding import Grid, Occluded, occluded
from archspec.explain.samples import ImagesLike
from archspec.explain.study import BATCH, Common, Study, Tick
from archspec.explain.subject import Explainable, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@method(
    target=Option(
        "The class, by its name.  [the true one where it is known, else the most probable one]",
        metavar="CLASS",
    ),
    patch=Option("Side of the patch in pixels.  [a seventh of the shorter side]", "whole", 1),
    stride=Option("Pixels from one position to the next.  [half the patch]", "whole", 1),
    value=Option(
        "What the patch shows: mean, black, white, blurred, or a raw pixel's value.",
        metavar="VALUE",
    ),
    layer=Option("The layer of the strongest map.  [the last one with maps]", metavar="LAYER"),
)
def occlusion(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: str | int | None = None,
    patch: int | None = None,
    stride: int | None = None,
    value: str | float = "mean",
    layer: str | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return what a network says of an image while a patch hides a part of it, at each position.

    The last position of each row and column is flush with the border, so that every pixel is
    hidden, unless the stride is larger than the patch. A map has one value for each position: the
    class's probability; the most probable class; and the sum of a layer's strongest map, that of
    the channel whose sum is largest for the whole image. Zeiler and Fergus 2013, Visualizing and
    understanding convolutional networks, section 4.2, (d), (e) and (b). A network without maps has
    no strongest one.

    For each pixel there is also how far the score falls while it is hidden: the mean over the
    positions that hide it.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the true one where it is known, else the one that
            the network finds most probable.
        patch: side of the patch in pixels; by default a seventh of the shorter side.
        stride: pixels from one position to the next; by default half the patch.
        value: what the patch shows: `mean`, `black`, `white`, `blurred`, or a raw pixel's value.
        layer: the layer of the strongest map; by default the last one whose values have a place in
            the image.
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
            found = occluded(
                subject,
                group.pixels[0],
                group.targets[0],
                hidden,
                grid,
                call,
                batch=study.batch,
                tick=group.tick,
            )
            yield _exhibit(group, grid, found, call, words)

    settings = {
        "target": target,
        "patch": grid.patch,
        "stride": grid.stride,
        "value": value,
        "layer": call.name if call else None,
    }
    positions = " x ".join(map(str, grid.counts))
    notes = [f"{prod(grid.counts):,} positions ({positions}) of a patch of {grid.patch} pixels"]
    if grid.leaves_gaps:
        notes.append(
            f"`stride={grid.stride}` is larger than the patch: what lies between two positions is "
            "never hidden, and its fall of the score is given as 0"
        )
    return study.gallery("occlusion", exhibits(), settings, notes)


def _exhibit(
    group: Group, grid: Grid, found: Occluded, call: LayerCall | None, words: str
) -> Exhibit:
    """The maps of an image."""
    study, target = group.study, group.targets[0]
    names = study.subject.class_names
    probability = found.shares.reshape(grid.counts)
    classes = found.answers.reshape(grid.counts)
    fall = grid.per_pixel(group.scores[0, target] - found.scores)
    patch: dict[str, Fact] = {"patch": grid.patch, "stride": grid.stride, "value": words}
    over = study.shown(group.pixels[0])
    items: list[Item] = [
        Picture("fall", "fall of the score", fall, "signed", over=over),
        Picture(
            "probability",
            f"probability of {names[target]}",
            probability,
            "positive",
            {"without the patch": group.facts(0)["probability"]},
            limits=(0.0, float(probability.max())),
        ),
        Picture("classes", "most probable class", classes, "classes", names=names),
    ]
    if call is not None:
        title = f"sum of the strongest map, channel {found.channel} of {call.name}"
        sums = found.sums.reshape(grid.counts)
        without = {"without the patch": found.whole}
        items.append(Picture("strongest", title, sums, "pixels", without))
    lowest = float(probability.min())
    kept = float((classes == group.scores[0].argmax()).mean())
    extra = f"; with a patch {lowest:.1%} at least, the class stays at {kept:.0%} of the positions"
    return group.exhibit(0, "occlusion", items, extra, **patch)


def maps(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    *,
    patch: int | None = None,
    stride: int | None = None,
    value: str | float = "mean",
    batch: int = BATCH,
    seed: int = 0,  # noqa: ARG001  (nothing is random)
    tick: Tick | None = None,
) -> NDArray[np.float64]:
    """How far the score falls while a pixel is hidden, the mean over patches (see `Maps`)."""
    import numpy as np  # noqa: PLC0415

    grid = Grid.of(subject.shape, patch, stride)
    positions, found = prod(grid.counts), []
    whole = subject.scores(pixels, batch)
    for at, (image, target) in enumerate(zip(pixels, targets, strict=True)):
        hidden, _ = replacements.stand_in(subject, image, value, "value")

        def step(done: int, total: int, at: int = at) -> None:
            if tick:
                tick(at * total + done, len(pixels) * positions)

        some = occluded(subject, image, target, hidden, grid, None, batch=batch, tick=step)
        found.append(grid.per_pixel(whole[at, target] - some.scores))
    return np.stack(found)

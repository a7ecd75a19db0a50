"""Segmentation by GrabCut, seeded by a map of what a class's score depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

from archspec.errors import UsageError
from archspec.explain.attribution import ATTRIBUTIONS, Group, groups, maps_by
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Picture
from archspec.explain.grabcut import Cut, cut, opencv, overlap, read_mask
from archspec.explain.method import Allowed, ClassName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEEDS: Final = ("soft", "hard")
FOREGROUND: Final = 0.95
BACKGROUND: Final = 0.30
ITERATIONS: Final = 5

BLUR: Final = 1 / 32
"""Default standard deviation of the map's blur, as a share of the image's longer side."""


@method
def segment(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    by: Annotated[str, Allowed(words=tuple(ATTRIBUTIONS), metavar="METHOD")] = "saliency",
    seeds: Annotated[str, Allowed(words=SEEDS)] = "soft",
    foreground: Annotated[float, Allowed(0, 1)] = FOREGROUND,
    background: Annotated[float, Allowed(0, 1)] = BACKGROUND,
    blur: Annotated[float | None, Allowed(0, 1_000)] = None,
    iterations: Annotated[int, Allowed(1, 1_000)] = ITERATIONS,
    truth: Annotated[Sequence[str], Allowed(metavar="MASK")] = (),
    ink: float | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return masks of what a class's score depends on: GrabCut, seeded by a map.

    The map is blurred. Pixels up to its lower quantile begin as background and all others as
    foreground; then the cut separates their colours. With `soft` seeds it may change every pixel;
    with `hard` ones those above the upper quantile stay foreground and those up to the lower one
    background, however noisy the map is. Of the cut the largest connected part is kept. Simonyan,
    Vedaldi and Zisserman 2013, section 3.2; Rother, Kolmogorov and Blake 2004, GrabCut.

    It needs a map that is strong on the object itself: of digits the gradient is as strong beside
    the ink as on it, and integrated gradients are not.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the most probable one.
        by: the method whose map seeds the cut; of a signed map, its values above 0.
        seeds: `soft` seeds may be undone by the cut, `hard` ones may not.
        foreground: quantile of the map above which a pixel is inside, for `hard` seeds.
        background: quantile of the map up to which a pixel is outside.
        blur: standard deviation of the map's blur in pixels; by default 1/32 of the longer side.
        iterations: iterations of GrabCut.
        truth: a file with the true mask of each image, white inside, to compare with.
        ink: raw value above which a pixel is ink, to compare the mask with.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, its mask (height, width), and the map.

    Raises:
        UsageError: there is no such run, image, class or mask; the images are not pictures of 1 or
            3 channels; or OpenCV is missing.

    """
    if background >= foreground:
        raise UsageError(
            f"`background={background:g}` must be below `foreground={foreground:g}`: both are "
            "quantiles of the map"
        )
    if truth and ink is not None:
        raise UsageError("give either `truth=` or `ink=`, not both")
    opencv()
    study = Study.open(run, images, **common)
    subject = study.subject
    if subject.shape.rank != 2 or subject.shape.channels not in (1, 3):
        raise UsageError(
            f"GrabCut cuts pictures of 1 or 3 channels, and {subject.name} takes {subject.shape}"
        )
    masks = [read_mask(file, subject.shape[:2]) for file in truth]
    if masks and len(masks) != len(study.samples):
        raise UsageError(f"`truth=` has {len(masks)} masks for {len(study.samples)} images")
    deviation = BLUR * max(subject.shape[:2]) if blur is None else blur
    options = Cut(seeds, foreground, background, deviation, iterations)
    explain = maps_by(by)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target, 1):
            (map_,) = explain(group)
            mask = cut(study.shown(group.pixels[0]), map_, options, study.seed)
            real = masks[group.begin] if masks else None
            if ink is not None:
                real = group.pixels[0].mean(axis=-1) > ink
            yield _exhibit(group, by, map_, mask, real, options)

    return study.gallery(exhibits(), **options._asdict())


def _exhibit(
    group: Group,
    by: str,
    map_: NDArray[Any],
    mask: NDArray[np.bool_],
    real: NDArray[np.bool_] | None,
    options: Cut,
) -> Exhibit:
    facts: dict[str, FactValue] = {"map": by, "seeds": options.seeds, "inside": float(mask.mean())}
    extra = f"; {_share(mask)}"
    if real is not None:
        facts["IoU"] = overlap(mask, real)
        extra += f", IoU {facts['IoU']:.2f}"
        if not real.any():
            extra += ": the true mask is empty"
    over = group.study.shown(group.pixels[0])
    items = [
        Picture("mask", "what is inside", mask, "mask", over=over),
        Picture("map", by, map_, ATTRIBUTIONS[by]),
    ]
    return group.exhibit("segment", items, facts, extra=extra)


def _share(mask: NDArray[np.bool_]) -> str:
    """Return how much is inside, and why the cut failed where it did."""
    if not mask.any():
        return "nothing is left inside: the seeds have the colours of the background"
    if mask.all():
        return "everything is inside: the seeds have the colours of the background"
    return f"{mask.mean():.1%} inside"

"""Invariance: accuracy on images that are moved, rotated, scaled, redrawn, or noisy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Unpack

from archspec.errors import UsageError
from archspec.evaluation.evaluation import batch_of
from archspec.explain.distortion_curves import Sweeps
from archspec.explain.distortions import Distortion, Ground, amounts, ground
from archspec.explain.gallery import Exhibit, Gallery
from archspec.explain.method import Allowed, method
from archspec.explain.samples import ImagesLike, Samples, drawn
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    pass

BY: Final = ("translation", "rotation", "scale", "squeeze", "stroke", "noise")

LOOKED_AT: Final = 256
"""Number of images whose border determines the background."""


@method
def invariance(
    run: Explainable,
    images: ImagesLike = None,
    *,
    by: Annotated[Sequence[str] | None, Allowed(words=BY, metavar="CHANGE")] = None,
    translation: Annotated[int | None, Allowed(1)] = None,
    rotation: Annotated[float, Allowed(0.1, 180)] = 60.0,
    scale: Annotated[float, Allowed(1.01, 100)] = 2.0,
    squeeze: Annotated[float, Allowed(1.01, 100)] = 2.0,
    stroke: Annotated[int | None, Allowed(1, 32)] = None,
    noise: Annotated[float, Allowed(1e-3, 10)] = 0.5,
    steps: Annotated[int, Allowed(1, 100)] = 6,
    background: Annotated[str | float | None, Allowed(metavar="VALUE")] = None,
    sample: Annotated[int, Allowed(1)] = 10_000,
    **common: Unpack[Common],
) -> Gallery:
    """Return curves of accuracy, and of the true class's probability, against changes of images.

    The changes: translation in x and y, rotation about the centre, scale, squeeze (width against
    height), stroke width (grey dilation and erosion by a disc), and normal noise. Raw pixels are
    changed and interpolated once, and background comes into sight. Without change, the accuracy
    equals that of `archspec evaluate` to the last bit. Results for LeNet-5: LeCun et al. 1998,
    Gradient-based learning applied to document recognition, section III.E and figure 13.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-99`; the whole test
            part by default. For images without labels, the class of the unchanged image is used.
        by: a change: `translation`, `rotation`, `scale`, `squeeze`, `stroke` or `noise`; by default
            all of them.
        translation: largest shift, in pixels; by default an eighth of the image.
        rotation: largest angle, in degrees, to either side.
        scale: largest factor; the least is its inverse.
        squeeze: largest width / height of a shape that was as wide as high; the area stays.
        stroke: largest number of pixels by which strokes grow or shrink on each side; by default a
            16th of the image.
        noise: largest standard deviation, as a share of black to white.
        steps: number of amounts to each side of none.
        background: values that come into sight: `black`, `white`, `edge` (pixels at the edge are
            repeated), or a raw value; by default the value of most pixels at the border, and `edge`
            where there is none.
        sample: largest number of images; of more, as many are drawn by the seed.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each change: a chart, its numbers as a table, and one image
        along the sweep.

    Raises:
        UsageError: there is no such run or image, or the network is not a classifier.

    """
    study = Study.open(run, images, **common)
    samples, notes = _sampled(study, sample)
    network = study.subject.network
    size = batch_of(common.get("batch"), [network.trained], len(samples))
    # The first image and others, evenly spaced.
    first = samples.stored(np.arange(0, len(samples), -(-len(samples) // LOOKED_AT)))
    around = ground(first, samples.limits, background)
    largest = {
        "translation": translation or max(1, round(min(study.subject.shape.spatial or (1,)) / 8)),
        "rotation": rotation,
        "scale": scale,
        "squeeze": squeeze,
        "stroke": stroke or max(1, round(min(study.subject.shape.spatial or (1,)) / 16)),
        "noise": noise,
    }
    names, left_out = _possible(study, by, around, largest)
    work = Sweeps(study, samples, size)
    sweeps = [
        (Distortion(name, around, samples.limits, study.seed), amounts(name, most, steps))
        for name, most in names.items()
    ]
    work.total = math.ceil(len(samples) / size) * (1 + sum(len(each) - 1 for _, each in sweeps))

    def exhibits() -> Iterator[Exhibit]:
        work.begin()
        for distortion, values in sweeps:
            yield work.exhibit(distortion, values, first[0])

    return study.gallery(
        exhibits(),
        [*notes, *left_out],
        **{name: most if not by or name in by else None for name, most in largest.items()},
        background=around.words,
        images=len(samples),
    )


def _sampled(study: Study, most: int) -> tuple[Samples, list[str]]:
    """Return the images, or a sample that is drawn by the seed, and notes."""
    samples = study.all_samples
    _ = study.subject.class_names  # raises unless the network is a classifier
    if len(samples) <= most:
        return samples, []
    return samples.only(drawn(len(samples), most, study.seed)), [
        f"a sample of {most:,} of {len(samples):,} images, drawn by seed {study.seed}"
    ]


def _possible(
    study: Study, by: Sequence[str] | None, around: Ground, largest: dict[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Return the changes of images of this shape with their largest amounts, and notes.

    Raises:
        UsageError: a chosen change does not exist for the shape, or shifts are as large as it.

    """
    shape = study.subject.shape
    result: dict[str, float] = {}
    left_out: dict[str, list[str]] = {}
    for name in BY if by is None else dict.fromkeys(by):
        if reason := _obstacle(name, shape, around):
            left_out.setdefault(reason, []).append(name)
        elif name == "translation":
            axes = {"translation-x": shape.spatial[-1]}
            if shape.rank > 1:
                axes["translation-y"] = shape.spatial[-2]
            if largest[name] >= min(axes.values()):
                raise UsageError(
                    f"`translation={largest[name]:.0f}` moves all of an image of {shape} out of "
                    "sight"
                )
            result |= dict.fromkeys(axes, largest[name])
        else:
            result[name] = largest[name]
    if left_out and by:
        reason, (name, *_) = next(iter(left_out.items()))
        raise UsageError(f"`by={name!r}`: {reason}")
    notes = [f"left out: {', '.join(names)}: {reason}" for reason, names in left_out.items()]
    if shape.rank == 3:
        notes.append("volumes are changed slice by slice, in the plane of height and width")
    return result, notes


def _obstacle(name: str, shape: Shape, around: Ground) -> str:
    """Return why there is no such change of images of this shape; empty if there is."""
    if shape.rank == 0 and name != "noise":
        return f"vectors of {shape} have no positions"
    if shape.rank == 1 and name not in {"translation", "scale", "noise"}:
        return f"signals of {shape} have a length only, and no height"
    if name == "stroke" and around.value is None:
        return (
            "strokes need a background, and the border of these images has no single value: give "
            "`background=`"
        )
    return ""

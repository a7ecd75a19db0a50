"""Activation maximisation: an image that maximises the score of a class, or a unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Unpack

from archspec import arguments
from archspec.errors import UsageError
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Item, Picture
from archspec.explain.image_search import STARTS, Canvas
from archspec.explain.maximizing import (
    BestImage,
    Goal,
    Maximization,
    MaximizedImage,
    best_images,
    check_choice,
)
from archspec.explain.method import Allowed, LayerName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.lazy import np


@method
def maximize(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: Annotated[str | int | Sequence[str] | None, Allowed(metavar="CLASS")] = None,
    layer: LayerName = None,
    unit: Annotated[int | Sequence[int] | None, Allowed(0)] = None,
    at: Annotated[str, Allowed(words=("mean", "centre"))] = "mean",
    steps: Annotated[int, Allowed(1, 100_000)] = 200,
    rate: Annotated[float, Allowed(1e-6)] = 0.05,
    l2: Annotated[float, Allowed(0)] = 0.02,
    tv: Annotated[float, Allowed(0)] = 0.05,
    jitter: Annotated[int | None, Allowed(0)] = None,
    blur: Annotated[float, Allowed(0, 1_000)] = 0.0,
    start: Annotated[str, Allowed(words=STARTS)] = "noise",
    seeds: Annotated[int, Allowed(1, 1_000)] = 1,
    **common: Unpack[Common],
) -> Gallery:
    """Make images that maximise the score of a class, or a unit of a layer.

    The search climbs score(image) - l2 |u|^2 - tv sum(dx^2 + dy^2) by Adam, where u = (pixel -
    origin) / (white - black), and the origin is the training images' mean, or grey. The score of a
    class is that before the softmax, and that of a unit the value before its activation, since
    below 0 a ReLU's gradient is exactly 0. Simonyan, Vedaldi and Zisserman 2013, section 2; jitter
    as Mordvintsev et al. 2015 and blur as Yosinski et al. 2015 add them.

    The image is one of very many with such a score, and depends on the seed; it is not what such
    objects look like. Its score usually far exceeds that of any real image, which is therefore
    shown beside it.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: real images to compare with; by default the test part of the run's data.
        target: a class, by name; by default every one, if there are no more than 20.
        layer: a layer, or a block for its last layer, whose units are maximised instead of classes.
        unit: the layer's channel, or number of its unit, from 0; by default the first 20.
        at: value of a channel: the `mean` over its map, or the unit in the map's `centre`.
        steps: number of steps of the search.
        rate: length of the first steps, as a share of the range; it falls to 0.
        l2: weight of |u|^2, summed over the image.
        tv: weight of the total variation: the squared differences to the next pixels, summed.
        jitter: largest number of pixels by which the image is moved before each step, and back
            after it; pixels that leave at one side come in at the other. By default 1/16 of the
            smaller extent, at most 8.
        blur: standard deviation in pixels of a Gaussian blur at every 4th step; 0 for none.
        start: first image of the search: `noise` of a tenth of the range added to the origin, the
            origin itself (`mean`), or `grey`.
        seeds: number of searches, the first of `seed`, the next of `seed` + 1, and so on.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each class or unit: its image for every seed, with the score
        reached, and the real image of the highest score.

    Raises:
        UsageError: there is no such run, class, layer or unit.

    """
    check_choice(target, layer, unit)
    study = Study.open(run, images, **common)
    goal = Goal.of(study.subject, layer, at)
    numbers, notes = goal.chosen(target, unit)
    canvas = Canvas.of(study.subject)
    jitter = _jitter(canvas, jitter)
    search = Maximization(goal, canvas, steps, rate, l2, tv, jitter, blur, start)
    notes += canvas.notes
    best = _best(study, goal, numbers, notes)

    def exhibits() -> Iterator[Exhibit]:
        groups = [numbers[at : at + study.batch] for at in range(0, len(numbers), study.batch)]
        total = steps * seeds * len(groups)
        done = 0
        shown: list[MaximizedImage] = []
        for group in groups:
            made: list[list[MaximizedImage]] = []
            for seed in range(study.seed, study.seed + seeds):
                made.append(search.images(study, group, seed, done, total))
                done += steps
            for row, number in enumerate(group):
                images = [each[row] for each in made]
                shown.append(images[0])
                yield _exhibit(study, goal, number, images, best.get(number))
        if len(numbers) > 1:
            yield _together(study, goal, numbers, shown)

    return study.gallery(exhibits(), notes, at=at if layer else None, jitter=jitter)


def _jitter(canvas: Canvas, jitter: int | None) -> int:
    extent = min(canvas.shape[:-1], default=1)
    if jitter is None:
        return min(extent // 16, 8)
    if jitter >= extent:
        raise arguments.wrong("jitter", jitter, f"less than the image's extent, which is {extent}")
    return jitter


def _best(
    study: Study, goal: Goal, numbers: Sequence[int], notes: list[str]
) -> dict[int, BestImage]:
    """Return the best real images, or a note if there are none, which are not necessary."""
    try:
        return best_images(study, goal, numbers)
    except UsageError as error:
        if study.images is not None:
            raise
        notes.append(f"no real image to compare with: {error}")
        return {}


def _exhibit(
    study: Study, goal: Goal, number: int, made: Sequence[MaximizedImage], best: BestImage | None
) -> Exhibit:
    """Return the images of a class or unit for every seed, with the best real one."""
    items: list[Item] = [
        study.picture_of(
            image.pixels,
            f"seed{image.seed}",
            f"image of seed {image.seed}",
            facts=_facts(study, goal, number, image),
        )
        for image in made
    ]
    top = max(made, key=lambda image: image.score)
    summary = f"score {top.score:.3g}"
    if goal.layer is None and top.shares is not None:
        summary += f", probability {top.shares[number]:.1%}"
    if best:
        summary += f"; the best real image, {best.name}, has {best.score:.3g}"
        title, facts = f"best real image, {best.name}", {"score": best.score}
        items.append(study.picture_of(best.pixels, "real", title, facts=facts))
    if not any(image.has_slope for image in made):
        summary += "; the gradient is 0 all the way: name the layer before the ReLU"
    return Exhibit(goal.name(number), summary, items)


def _facts(study: Study, goal: Goal, number: int, image: MaximizedImage) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {"score": image.score}
    if image.shares is not None:
        shown = number if goal.layer is None else int(image.shares.argmax())
        facts["class"] = study.subject.class_names[shown]
        facts["probability"] = float(image.shares[shown])
    return facts | {"seed": image.seed}


def _together(
    study: Study, goal: Goal, numbers: Sequence[int], made: Sequence[MaximizedImage]
) -> Exhibit:
    """Return the first image of each class or unit in one picture."""
    what = f"units of {goal.layer}" if goal.layer else "classes"
    names = [goal.subject.class_names[n] if goal.layer is None else str(n) for n in numbers]
    pixels = np.stack([image.pixels for image in made])
    picture = Picture(
        "together", f"all {what}", pixels, "pixels", limits=study.subject.range, tiles=names
    )
    return Exhibit(f"all {what}", f"{len(numbers)} images in one picture", [picture])

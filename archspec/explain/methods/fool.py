"""Adversarial images: a change too small to see that makes a network wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Unpack

from archspec.explain.adversarial import LEVELS, Attack, holds_pictures
from archspec.explain.adversarial_pictures import curve_of, exhibits_of
from archspec.explain.gallery import Exhibit, Gallery
from archspec.explain.method import Allowed, ClassName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable


@method
def fool(
    run: Explainable,
    images: ImagesLike = None,
    *,
    epsilon: Annotated[float, Allowed(1e-6, 1)] = 0.1,
    steps: Annotated[int, Allowed(1, 10_000)] = 1,
    target: ClassName = None,
    smallest: bool = False,
    curve: Annotated[float | None, Allowed(1e-6, 1)] = None,
    **common: Unpack[Common],
) -> Gallery:
    """Change images a little, so that the network misclassifies them.

    Every pixel goes up or down by epsilon, by the sign of the loss's gradient (Goodfellow, Shlens
    and Szegedy 2014, section 4). Each of several steps goes 2.5 epsilon / steps, and together they
    stay within epsilon (Kurakin et al. 2016; Madry et al. 2018). The control is a change of the
    same size with random signs.

    Epsilon is a share of the range: 0.1 is 1.6 where white is 16, and 25.5 where it is 255. Pixels
    stay between black and white. The changed image is written as a PNG file of 8 bits and read
    again as `predict` reads it; the results are those of the file.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        epsilon: largest change of a pixel, as a share of white - black.
        steps: number of steps; 1 is the fast gradient sign method.
        target: the class that the image is to be taken for; by default any other than now.
        smallest: whether to search, image by image, for the smallest epsilon that fools, among
            the multiples of 1/255 that a file can hold.
        curve: largest epsilon of a curve of the accuracy over all images that are named, or the
            whole test part; by default no curve is drawn.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, 10 times the change, the changed image
        as its file has it, that file, and the control. With `curve` one more: accuracy against
        epsilon, for the attack and for random signs.

    Raises:
        UsageError: there is no such run, image or class, or black and white are not known.

    """
    study = Study.open(run, images, **common)
    subject = study.subject
    attack = Attack.on(subject, steps, target)
    notes = []
    if not holds_pictures(subject):
        notes.append(
            f"no picture file holds an image of {subject.shape}: the changed images are rounded "
            f"to its {LEVELS + 1} levels instead"
        )

    total = len(study.samples) + (len(study.all_samples) if curve else 0)

    def exhibits() -> Iterator[Exhibit]:
        for numbers, pixels in study.samples.batches(study.batch):
            size = None if smallest else epsilon
            yield from exhibits_of(study, attack, numbers, pixels, size)
            study.tick(int(numbers[-1]) + 1, total)
        if curve:
            yield curve_of(study, attack, curve, total)

    span = {} if smallest else {"epsilon in pixel values": epsilon * attack.limits.span}
    return study.gallery(
        exhibits(),
        notes,
        epsilon=None if smallest else epsilon,
        black=attack.limits.black,
        white=attack.limits.white,
        **span,
    )

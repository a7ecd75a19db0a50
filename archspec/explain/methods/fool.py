"""Adversarial images: a change too small to see, after which a network says something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

from archspec.explain.adversarial import LEVELS, Attack, holds_pictures, written
from archspec.explain.adversarial import smallest as smallest_steps
from archspec.explain.gallery import (
    Chart,
    Exhibit,
    Fact,
    Gallery,
    Item,
    Picture,
    PictureFile,
    Table,
)
from archspec.explain.method import Allowed, ClassName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS: Final = 10
"""Epsilons above 0 along a curve."""

MAGNIFIED: Final = 10
"""How many times as strong a difference is shown as it is."""


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
    """Change images a little, so that the network takes them for something else.

    Every pixel goes up or down by epsilon, as the sign of the loss's gradient says (Goodfellow,
    Shlens and Szegedy 2014, section 4). Of several steps each goes 2.5 epsilon / steps, and all
    together stay within epsilon (Kurakin et al. 2016; Madry et al. 2018). Beside it stands the
    control: a change of the same size whose signs are random.

    Epsilon is a share of the range: 0.1 is 1.6 where white is 16, and 25.5 where it is 255. No
    pixel goes beyond black and white. The changed image is rounded as a PNG file of 8 bits holds
    it, written, and read again as `predict` reads; what counts is what the network says of that.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
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
    attack = Attack.on(subject, steps, targeted=target is not None)
    wanted = None if target is None else subject.class_index(target)
    notes = []
    if not holds_pictures(subject):
        notes.append(
            f"no picture file holds an image of {subject.shape}: the changed images are rounded "
            f"to its {LEVELS + 1} levels instead"
        )

    total = len(study.samples) + (len(study.all_samples) if curve else 0)

    def exhibits() -> Iterator[Exhibit]:
        for numbers, pixels in study.samples.batches(study.batch):
            yield from _batch(study, attack, wanted, numbers, pixels, None if smallest else epsilon)
            study.tick(int(numbers[-1]) + 1, total)
        if curve:
            yield _curve(study, attack, wanted, curve, total)

    span = {} if smallest else {"epsilon in pixel values": epsilon * attack.limits.span}
    return study.gallery(
        exhibits(),
        notes,
        epsilon=None if smallest else epsilon,
        black=attack.limits.black,
        white=attack.limits.white,
        **span,
    )


def _batch(
    study: Study,
    attack: Attack,
    wanted: int | None,
    numbers: NDArray[np.intp],
    pixels: NDArray[Any],
    epsilon: float | None,
) -> Iterator[Exhibit]:
    """What comes of some images; without `epsilon`, each gets the smallest that fools."""
    import numpy as np  # noqa: PLC0415

    clean = Seen.of(study, pixels)
    classes = clean.answers if wanted is None else np.full(len(pixels), wanted)
    if epsilon is not None:
        sizes = np.full(len(pixels), epsilon)
    else:

        def fooled(steps: NDArray[Any]) -> NDArray[np.bool_]:
            made = attack(pixels, classes, steps / LEVELS, study.batch)
            answers = Seen.of(study, attack.in_files(made)).answers
            fools: NDArray[np.bool_] = (answers == classes) == (wanted is not None)
            return fools

        sizes = smallest_steps(fooled, len(pixels)) / LEVELS
    tried = np.where(sizes > 0, sizes, 1.0)
    made = Seen.of(study, attack.in_files(attack(pixels, classes, tried, study.batch)))
    signs = attack.random_signs(pixels, tried, study.seed, numbers)
    control = Seen.of(study, attack.in_files(signs))
    for row, number in enumerate(numbers):
        images = [each.only(row) for each in (clean, made, control)]
        yield _exhibit(study, attack, wanted, int(number), images, tried[row])


@dataclass(frozen=True, eq=False)
class Seen:
    """Images, and what the network says of them."""

    pixels: NDArray[Any]
    scores: NDArray[Any]
    """(n, classes) before the softmax."""
    shares: NDArray[Any]
    """(n, classes) probabilities."""

    @classmethod
    def of(cls, study: Study, pixels: NDArray[Any]) -> Seen:
        scores = study.subject.scores(pixels, study.batch)
        return cls(pixels, scores, study.subject.probabilities(scores))

    @property
    def answers(self) -> NDArray[np.intp]:
        """The most probable class of each."""
        result: NDArray[np.intp] = self.scores.argmax(axis=-1)
        return result

    def only(self, row: int) -> Seen:
        """One of them."""
        return Seen(self.pixels[row], self.scores[row], self.shares[row])


def _exhibit(
    study: Study,
    attack: Attack,
    wanted: int | None,
    number: int,
    images: Sequence[Seen],
    epsilon: float,
) -> Exhibit:
    """An image, what was changed, and what the network says of it and of the control."""
    clean, made, control = images
    samples, names = study.samples, study.subject.class_names
    before, after, chance = (int(each.answers) for each in images)
    span = attack.limits.span
    size = f"epsilon {epsilon:.3g} ({epsilon * span:.3g} pixel values)"
    if wanted is not None and before == wanted:
        summary = f"is taken for {names[wanted]} as it is"
    else:
        is_fooled = after != before if wanted is None else after == wanted
        verb = f"{names[before]} -> " if is_fooled else "not fooled, "
        summary = f"{verb}{names[after]} ({made.shares[after]:.1%}) at {size}"
    summary += f"; with random signs {names[chance]} ({control.shares[chance]:.1%})"
    change = made.pixels - clean.pixels
    largest = float(abs(change).max())
    facts: dict[str, Fact] = {
        "epsilon": epsilon,
        "epsilon in pixel values": epsilon * span,
        "largest change in the file": largest,
    }
    if not largest:
        facts["gradient"] = "0 everywhere: the attack had no direction"
    if samples.labels is not None:
        facts = {"true class": names[samples.labels[number]], **facts}
    # What is `limits` apart is shown as white against black: a tenth of the range.
    limits = (-span / 2 / MAGNIFIED, span / 2 / MAGNIFIED)
    title = f"the change, {MAGNIFIED} times as strong"
    items: list[Item] = [
        _picture(study, clean, before, "image", "image"),
        Picture("change", title, change, "pixels", limits=limits),
        _picture(study, made, before, "fooled", "changed image, read from its file"),
        _picture(study, control, before, "random", "random signs, read from a file"),
    ]
    if holds_pictures(study.subject):
        png = written(made.pixels, attack.limits)
        items.append(
            PictureFile("file", "the file of the changed image", png, {"for": "archspec predict"})
        )
    return Exhibit(samples.names[number], summary, items, facts)


def _picture(study: Study, seen: Seen, before: int, name: str, title: str) -> Picture:
    """An image with what the network says of it, and of what it took the unchanged one for."""
    names, answer = study.subject.class_names, int(seen.answers)
    facts: dict[str, Fact] = {"class": names[answer], "probability": float(seen.shares[answer])}
    if answer != before:
        facts[f"probability of {names[before]}"] = float(seen.shares[before])
    facts[f"score of {names[before]}"] = float(seen.scores[before])
    return replace(study.picture_of(seen.pixels, name, title), facts=facts)


def _curve(study: Study, attack: Attack, wanted: int | None, most: float, total: int) -> Exhibit:
    """How many images are right, or become the target, by the size of the change."""
    import numpy as np  # noqa: PLC0415

    samples, names = study.all_samples, study.subject.class_names
    sizes = np.linspace(0, most, POINTS + 1)
    counts = np.zeros((2, len(sizes)), int)
    judged = 0
    for numbers, pixels in samples.batches(study.batch):
        answers = Seen.of(study, pixels).answers
        truth = answers if samples.labels is None else samples.labels[numbers]
        classes = truth if wanted is None else np.full(len(pixels), wanted)
        counted = np.ones(len(pixels), bool) if wanted is None else truth != wanted
        judged += int(counted.sum())
        for at, size in enumerate(sizes):
            made = [pixels, pixels]  # as they are, which is what `evaluate` judges
            if size:
                signs = attack.random_signs(pixels, size, study.seed, numbers)
                made = [attack(pixels, classes, size, study.batch), signs]
                made = [attack.in_files(each) for each in made]
            for line, images in enumerate(made):
                counts[line, at] += (Seen.of(study, images).answers == classes)[counted].sum()
        study.tick(len(study.samples) + int(numbers[-1]) + 1, total)
    rates = counts / max(judged, 1)
    named = "gradient signs" if attack.steps == 1 else f"{attack.steps} steps"
    what = "accuracy" if wanted is None else f"taken for {names[wanted]}"
    if samples.labels is None and wanted is None:
        what = "answers that stay"
    points = [[(float(x), float(y)) for x, y in zip(sizes, line, strict=True)] for line in rates]
    items: list[Item] = [
        Chart(
            "curve",
            f"{what} against epsilon",
            "epsilon, a share of the range",
            what,
            {named: points[0], "random signs": points[1]},
            {"images": judged},
            y_limits=(0, 1),
        ),
        Table(
            "rates",
            f"{what}, {judged} images",
            ["epsilon", "in pixel values", named, "random signs"],
            [
                [float(x), float(x * attack.limits.span), float(y), float(z)]
                for x, y, z in zip(sizes, *rates, strict=True)
            ],
        ),
    ]
    of = "1 image" if judged == 1 else f"{judged:,} images"
    ends = f"{of}: {what} {rates[0, 0]:.1%}, at epsilon {most:.3g} {rates[0, -1]:.1%}"
    return Exhibit(
        samples.where or "all images", f"{ends}, with random signs {rates[1, -1]:.1%}", items
    )

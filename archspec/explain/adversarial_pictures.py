"""Pictures of `fool`: images, what was changed, the network's answers, and a curve over epsilon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.adversarial import LEVELS, Attack, holds_pictures, smallest, written
from archspec.explain.gallery import Chart, Exhibit, FactValue, Item, Picture, PictureFile, Table
from archspec.explain.study import Study
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS: Final = 10
"""Number of epsilons above 0 along a curve."""

MAGNIFIED: Final = 10
"""Factor by which the contrast of a difference is enlarged."""


@dataclass(frozen=True, eq=False)
class Answered:
    """Images with the answers of the network."""

    pixels: NDArray[Any]
    scores: NDArray[Any]
    """(n, classes) before the softmax."""
    shares: NDArray[Any]
    """(n, classes) probabilities."""

    @classmethod
    def of(cls, study: Study, pixels: NDArray[Any]) -> Answered:
        scores = study.subject.scores(pixels, study.batch)
        return cls(pixels, scores, study.subject.probabilities(scores))

    @property
    def classes(self) -> NDArray[np.intp]:
        """The most probable class of each image."""
        numbers: NDArray[np.intp] = self.scores.argmax(axis=-1)
        return numbers

    def only(self, row: int) -> Answered:
        """Return one of the images."""
        return Answered(self.pixels[row], self.scores[row], self.shares[row])


def exhibits_of(
    study: Study,
    attack: Attack,
    numbers: NDArray[np.intp],
    pixels: NDArray[Any],
    epsilon: float | None,
) -> Iterator[Exhibit]:
    """Attack some images, and yield an exhibit for each.

    If `epsilon` is None, the change is the smallest that fools.
    """
    wanted, clean = attack.wanted, Answered.of(study, pixels)
    classes = clean.classes if wanted is None else np.full(len(pixels), wanted)

    def fooled(steps: NDArray[Any]) -> NDArray[np.bool_]:
        made = attack.in_files(attack(pixels, classes, steps / LEVELS, study.batch))
        is_class: NDArray[np.bool_] = Answered.of(study, made).classes == classes
        return is_class if wanted is not None else ~is_class

    sizes = np.full(len(pixels), epsilon)
    if epsilon is None:
        levels = smallest(fooled, len(pixels))
        sizes = np.where(levels > 0, levels / LEVELS, 1.0)
    made = Answered.of(study, attack.in_files(attack(pixels, classes, sizes, study.batch)))
    signs = attack.random_signs(pixels, sizes, study.seed, numbers)
    control = Answered.of(study, attack.in_files(signs))
    for row, number in enumerate(numbers):
        images = [each.only(row) for each in (clean, made, control)]
        yield _exhibit(study, attack, int(number), images, sizes[row])


def _exhibit(
    study: Study, attack: Attack, number: int, images: Sequence[Answered], epsilon: float
) -> Exhibit:
    wanted, (clean, made, control) = attack.wanted, images
    samples, names = study.samples, study.subject.class_names
    before, after, chance = (int(each.classes) for each in images)
    span = attack.limits.span
    if before == wanted:
        summary = f"is taken for {names[wanted]} as it is"
    else:
        is_fooled = after != before if wanted is None else after == wanted
        verb = f"{names[before]} -> " if is_fooled else "not fooled, "
        summary = (
            f"{verb}{names[after]} ({made.shares[after]:.1%}) at epsilon {epsilon:.3g} "
            f"({epsilon * span:.3g} pixel values)"
        )
    summary += f"; with random signs {names[chance]} ({control.shares[chance]:.1%})"
    change = made.pixels - clean.pixels
    largest = float(abs(change).max())
    facts: dict[str, FactValue] = {
        "epsilon": epsilon,
        "epsilon in pixel values": epsilon * span,
        "largest change in the file": largest,
    }
    if not largest:
        facts["gradient"] = "0 everywhere: the attack had no direction"
    if samples.labels is not None:
        facts = {"true class": names[samples.labels[number]], **facts}
    # A tenth of the range is shown from black to white.
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


def _picture(study: Study, image: Answered, before: int, name: str, title: str) -> Picture:
    """Return an image with its class, and the score of the unchanged image's class."""
    names, answer = study.subject.class_names, int(image.classes)
    facts: dict[str, FactValue] = {
        "class": names[answer],
        "probability": float(image.shares[answer]),
    }
    if answer != before:
        facts[f"probability of {names[before]}"] = float(image.shares[before])
    facts[f"score of {names[before]}"] = float(image.scores[before])
    return study.picture_of(image.pixels, name, title, facts=facts)


def curve_of(study: Study, attack: Attack, most: float, total: int) -> Exhibit:
    """Return the share of images that are right, or are taken for the wanted class, by epsilon.

    `most` is the largest epsilon; the whole work has `total` steps.
    """
    samples, names, wanted = study.all_samples, study.subject.class_names, attack.wanted
    sizes = np.linspace(0, most, POINTS + 1)
    counts = np.zeros((2, len(sizes)), int)
    judged = 0
    for numbers, pixels in samples.batches(study.batch):
        answers = Answered.of(study, pixels).classes
        truth = answers if samples.labels is None else samples.labels[numbers]
        classes = truth if wanted is None else np.full(len(pixels), wanted)
        counted = np.ones(len(pixels), bool) if wanted is None else truth != wanted
        judged += int(counted.sum())
        for at, size in enumerate(sizes):
            made = [pixels, pixels]  # not rounded, as `evaluate` scores them
            if size:
                signs = attack.random_signs(pixels, size, study.seed, numbers)
                made = [attack(pixels, classes, size, study.batch), signs]
                made = [attack.in_files(each) for each in made]
            for line, images in enumerate(made):
                is_class = Answered.of(study, images).classes == classes
                counts[line, at] += is_class[counted].sum()
        study.tick(len(study.samples) + int(numbers[-1]) + 1, total)
    rates = (counts / max(judged, 1)).tolist()
    epsilons = sizes.tolist()
    signs_name = "gradient signs" if attack.steps == 1 else f"{attack.steps} steps"
    what = "accuracy" if wanted is None else f"taken for {names[wanted]}"
    if samples.labels is None and wanted is None:
        what = "answers that stay"
    lines = {
        name: list(zip(epsilons, line, strict=True))
        for name, line in zip((signs_name, "random signs"), rates, strict=True)
    }
    columns = ["epsilon", "in pixel values", *lines]
    rows = [
        [epsilon, epsilon * attack.limits.span, *pair]
        for epsilon, *pair in zip(epsilons, *rates, strict=True)
    ]
    title, label = f"{what} against epsilon", "epsilon, a share of the range"
    facts = {"images": judged}
    items: list[Item] = [
        Chart("curve", title, label, what, lines, facts, y_limits=(0, 1)),
        Table("rates", f"{what}, {judged} images", columns, rows),
    ]
    of = "1 image" if judged == 1 else f"{judged:,} images"
    (first, *_, attacked), (*_, chance) = rates
    summary = f"{of}: {what} {first:.1%}, at epsilon {most:.3g} {attacked:.1%}"
    return Exhibit(
        samples.where or "all images", f"{summary}, with random signs {chance:.1%}", items
    )

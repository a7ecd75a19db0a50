"""The worst mistakes of a network: images whose class or label it was surest of, wrongly, or whose
numbers it missed most.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.data.task import Task
from archspec.display import renderer
from archspec.errors import first_few
from archspec.lazy import np
from archspec.runs import folder
from archspec.runs.files import MISTAKES, MISTAKES_PICTURES
from archspec.text import csv_lines, label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.dataset import Subset
    from archspec.data.values import Range

MOST: Final = 24
"""Largest number of mistakes that are kept."""

MOST_VALUES: Final = 2
"""Largest number of values that the text below a picture has."""


class Mistake(NamedTuple):
    """An image that was taken for another class."""

    confidence: float
    """Probability of the wrong class."""
    image: int
    """Number of the image in the data."""
    truth: int
    predicted: int


class LabelMistake(NamedTuple):
    """An image with a wrong answer about a label: of all its labels, the surest one."""

    confidence: float
    """Probability of the wrong answer."""
    image: int
    """Number of the image in the data."""
    label: int
    has: bool
    """Whether the image has the label."""


class NumberMistake(NamedTuple):
    """An image and its predicted numbers."""

    deviations: float
    """Largest error of its numbers, each in standard deviations of the labels."""
    image: int
    """Number of the image in the data."""
    truth: tuple[float, ...]
    predicted: tuple[float, ...]


AnyMistake: TypeAlias = Mistake | LabelMistake | NumberMistake


class MistakeTally:
    """The worst mistakes so far among predictions, which come batch by batch."""

    def __init__(
        self, find: Callable[[Any, Any, Any], Iterator[AnyMistake]], most: int = MOST
    ) -> None:
        """Begin; `find` yields the mistakes of a batch, as the functions below."""
        self._find = find
        self._most = most
        self._heap: list[tuple[float, int, AnyMistake]] = []

    def add(self, images: Any, labels: Any, answers: Any) -> None:
        """Note mistakes among images, by number, with their labels and the network's answers."""
        for mistake in self._find(images, labels, answers):
            # How bad it is, and which image: of equally bad ones the first is kept.
            entry = (mistake[0], -mistake[1], mistake)
            if len(self._heap) < self._most:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)

    def worst(self) -> list[AnyMistake]:
        """Return the mistakes, the worst first."""
        return [mistake for *_, mistake in sorted(self._heap, reverse=True)]


def of_classes(images: Any, labels: Any, answers: Any) -> Iterator[Mistake]:
    """Yield images taken for another class; labels are (images,), answers (images, classes)."""
    predicted = answers.argmax(axis=1)
    for place in (predicted != labels).nonzero()[0].tolist():
        wrong = int(predicted[place])
        yield Mistake(float(answers[place, wrong]), int(images[place]), int(labels[place]), wrong)


def of_labels(images: Any, labels: Any, answers: Any) -> Iterator[LabelMistake]:
    """Yield at most one wrong answer of each image; labels and answers are (images, labels)."""
    apart = abs(answers - labels)
    surest = apart.argmax(axis=1)
    for place, number in enumerate(surest.tolist()):
        confidence = float(apart[place, number])
        if confidence > 0.5:
            has = bool(labels[place, number])
            yield LabelMistake(confidence, int(images[place]), number, has)


def of_numbers(
    deviations: Sequence[float], images: Any, labels: Any, answers: Any
) -> Iterator[NumberMistake]:
    """Yield the errors of images; labels and answers are (images, values).

    `deviations` are those of the labels, by which errors of values compare.
    """
    sizes = (abs(answers - labels) / [each or 1.0 for each in deviations]).max(axis=1)
    for place, size in enumerate(sizes.tolist()):
        truth, predicted = (tuple(each[place].tolist()) for each in (labels, answers))
        yield NumberMistake(size, int(images[place]), truth, predicted)


def tally_of(task: Task, part: Subset) -> MistakeTally:
    """Return an empty tally of a network's mistakes on a part of the data."""
    if task.kind == "classification":
        return MistakeTally(of_classes)
    if task.kind == "multi_label":
        return MistakeTally(of_labels)
    return MistakeTally(partial(of_numbers, part.labels.std(axis=0).tolist()))


def write(mistakes: Sequence[AnyMistake], part: Subset, task: Task, title: str, home: Path) -> None:
    """Write mistakes, the worst first, into the folder `home`: as `mistakes.csv` and a picture."""
    folder.write_text(home / MISTAKES, csv_lines(table(mistakes, task)))
    files = [home / name for name in MISTAKES_PICTURES]
    if pictures := pictures_of(part, mistakes):
        captions = [_caption(each, task.names) for each in mistakes]
        renderer("mistakes").write_mistakes(captions, pictures, title, HEADINGS[task.kind], *files)
    else:
        for file in files:
            file.unlink(missing_ok=True)  # those of an earlier end of this run


def table(mistakes: Sequence[AnyMistake], task: Task) -> list[list[object]]:
    """Return the lines of `mistakes.csv`, the first with the names of its columns."""
    return [[*_header(task)], *(_cells(each, task.names) for each in mistakes)]


HEADINGS: Final = {
    "classification": "the surest mistakes among the test images",
    "multi_label": "the surest wrong answers about a label of the test images",
    "regression": "the largest errors among the test images",
}
"""The line below the title of the picture, by the kind of task."""


def _header(task: Task) -> list[str]:
    return {
        "classification": ["image", "class", "predicted", "confidence"],
        "multi_label": ["image", "label", "has", "confidence"],
        "regression": ["image", *task.names, *(f"predicted {name}" for name in task.names)],
    }[task.kind]


def _cells(mistake: AnyMistake, names: Sequence[str]) -> list[object]:
    match mistake:
        case Mistake(confidence, image, truth, predicted):
            return [image, names[truth], names[predicted], round(confidence, 6)]
        case LabelMistake(confidence, image, number, has):
            return [image, names[number], int(has), round(confidence, 6)]
    numbers = (*mistake.truth, *mistake.predicted)
    return [mistake.image, *(float(f"{number:.6g}") for number in numbers)]


def _caption(mistake: AnyMistake, names: Sequence[str]) -> tuple[str, str]:
    """Return the two lines below a picture: what is right, and what was said."""
    match mistake:
        case Mistake(confidence, _, truth, predicted):
            return label(names[truth], 15), f"as {label(names[predicted], 12)}, {confidence:.0%}"
        case LabelMistake(confidence, _, number, has):
            name = label(names[number], 12)
            right = name if has else f"without {name}"
            return right, f"as {'without' if has else 'with'}, {confidence:.0%}"
    shown = [
        first_few([f"{each:.3g}" for each in numbers], MOST_VALUES)
        for numbers in (mistake.truth, mistake.predicted)
    ]
    return shown[0], f"as {shown[1]}"


def pictures_of(part: Subset, mistakes: Sequence[AnyMistake]) -> list[NDArray[np.uint8]]:
    """Return the images of mistakes as bytes, each (height, width, 1 or 3).

    More channels than three are not a picture: the first is shown. Images of another rank than two
    have none.
    """
    if part.pixels.shape.rank != 2 or not mistakes:
        return []
    pixels = part.pixels.read(np.array([each.image for each in mistakes]))
    if isinstance(pixels, dict):  # of several inputs, the first is shown
        pixels = next(iter(pixels.values()))
    return [as_bytes(image, part.pixels.range) for image in pixels]


def as_bytes(image: NDArray[Any], limits: Range | None) -> NDArray[np.uint8]:
    """Return an image as bytes; black and white are its own extremes if they are not known."""
    values = image[..., : 3 if image.shape[-1] == 3 else 1].astype(np.float32)
    black, white = limits or (float(values.min()), float(values.max()))
    scaled = (values - black) * (255.0 / ((white - black) or 1.0))
    return scaled.clip(0, 255).round().astype(np.uint8)

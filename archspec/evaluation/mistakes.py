"""The worst mistakes of a network: the images of which it was surest of a wrong class."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.display import renderer
from archspec.runs import folder
from archspec.runs.files import MISTAKES, MISTAKES_PICTURES
from archspec.text import csv_lines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archspec.data.dataset import Subset
    from archspec.data.values import Range

MOST: Final = 24
"""Largest number of mistakes that are kept."""


class Mistake(NamedTuple):
    """An image that was taken for another class."""

    confidence: float
    """Probability of the wrong class."""
    image: int
    """Number of the image in the data."""
    truth: int
    predicted: int


class MistakeTally:
    """The worst mistakes so far, of predictions that come batch by batch."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._heap: list[tuple[float, int, Mistake]] = []

    def add(self, images: Any, labels: Any, probabilities: Any) -> None:
        """Note the mistakes among images.

        Args:
            images: Numbers of the images in the data, (images,).
            labels: Their classes, (images,).
            probabilities: Predictions, (images, classes).

        """
        predicted = probabilities.argmax(axis=1)
        for place in (predicted != labels).nonzero()[0].tolist():
            wrong = int(predicted[place])
            confidence, image = float(probabilities[place, wrong]), int(images[place])
            mistake = Mistake(confidence, image, int(labels[place]), wrong)
            # Of equally sure ones the first is kept.
            entry = (confidence, -image, mistake)
            if len(self._heap) < self._most:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)

    def worst(self) -> list[Mistake]:
        """Return the mistakes, the surest first."""
        return [mistake for *_, mistake in sorted(self._heap, reverse=True)]


def write(
    mistakes: Sequence[Mistake], part: Subset, classes: Sequence[str], title: str, home: Path
) -> None:
    """Write mistakes into a run's folder, as `mistakes.csv` and as a picture.

    Args:
        mistakes: The mistakes, the surest first.
        part: The images that they are among.
        classes: Names of the classes.
        title: The picture's title.
        home: The folder.

    """
    lines = [
        (each.image, classes[each.truth], classes[each.predicted], round(each.confidence, 6))
        for each in mistakes
    ]
    header = ("image", "class", "predicted", "confidence")
    folder.write_text(home / MISTAKES, csv_lines([header, *lines]))
    files = [home / name for name in MISTAKES_PICTURES]
    if pictures := pictures_of(part, mistakes):
        renderer("mistakes").write_mistakes(mistakes, pictures, classes, title, *files)
    else:
        for file in files:
            file.unlink(missing_ok=True)  # those of an earlier end of this run


def pictures_of(part: Subset, mistakes: Sequence[Mistake]) -> list[NDArray[np.uint8]]:
    """Return the images of mistakes as bytes, each (height, width, 1 or 3).

    More channels than three are not a picture: the first is shown. Images of another rank than two
    have none.
    """
    import numpy as np  # noqa: PLC0415

    if part.pixels.shape.rank != 2 or not mistakes:
        return []
    pixels = part.pixels.read(np.array([each.image for each in mistakes]))
    return [as_bytes(image, part.pixels.range) for image in pixels]


def as_bytes(image: NDArray[Any], limits: Range | None) -> NDArray[np.uint8]:
    """Return an image as bytes; black and white are its own extremes if they are not known."""
    import numpy as np  # noqa: PLC0415

    values = image[..., : 3 if image.shape[-1] == 3 else 1].astype(np.float32)
    black, white = limits or (float(values.min()), float(values.max()))
    scaled = (values - black) * (255.0 / ((white - black) or 1.0))
    return scaled.clip(0, 255).round().astype(np.uint8)

"""Scores of a classifier by class, with its confusion matrix; and the files of any task's scores.

`tally` counts them; `render` shows them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from archspec.data.task import TaskKind
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation.class_score import ClassScore, as_csv, written_scores
from archspec.evaluation.label_scores import LabelScores
from archspec.evaluation.number_scores import NumberScores
from archspec.runs import folder
from archspec.runs.files import CONFUSION, PER_CLASS, PER_LABEL, PER_VALUE, SCORES
from archspec.text import csv_lines

DENSE: Final = 1_000
"""Largest number of classes whose confusion matrix is written with its zeros."""


class Cell(NamedTuple):
    """Number of images of class `truth` that were predicted as `predicted`; both count from 0."""

    truth: int
    predicted: int
    images: int


class Bin(NamedTuple):
    """Images with about the same confidence, and the number of right ones among them."""

    images: int
    right: int
    confidence: float
    """Mean confidence, from 0 to 1; 0 without images."""


class Means(NamedTuple):
    """Means over the classes that have images."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Scores(Displayed):
    """Counts of a classifier's predictions, from which all its scores follow."""

    RENDERER = "scores"
    TASK: ClassVar[TaskKind] = "classification"

    classes: tuple[str, ...]
    cells: tuple[Cell, ...]
    """The confusion matrix without its zeros, row by row."""
    top: tuple[tuple[int, int], ...]
    """k, and the number of images whose class is among the k most likely."""
    calibration: tuple[Bin, ...]
    """Bins of confidence, from the lowest to the highest."""

    @property
    def images(self) -> int:
        return sum(cell.images for cell in self.cells)

    @property
    def accuracy(self) -> float:
        right = sum(cell.images for cell in self.cells if cell.truth == cell.predicted)
        return right / self.images

    @property
    def figures(self) -> dict[str, float]:
        """The figures of the whole beside Keras's measures, by name; none here."""
        return {}

    @property
    def top_k(self) -> dict[int, float]:
        """Share of the images whose class is among the k most likely, by k."""
        return {k: right / self.images for k, right in self.top}

    @property
    def calibration_error(self) -> float:
        """Mean difference between confidence and accuracy over the bins, weighted by images."""
        return sum(abs(b.right - b.images * b.confidence) for b in self.calibration) / self.images

    def per_class(self) -> list[ClassScore]:
        images, predicted, right = Counter[int](), Counter[int](), Counter[int]()
        for cell in self.cells:
            images[cell.truth] += cell.images
            predicted[cell.predicted] += cell.images
            if cell.truth == cell.predicted:
                right[cell.truth] += cell.images
        return [
            ClassScore(name, images[i], predicted[i], right[i])
            for i, name in enumerate(self.classes)
        ]

    def macro(self) -> Means:
        """Return means in which classes count equally; their recall is the balanced accuracy."""
        return _means(self.per_class(), lambda _: 1)

    @property
    def present(self) -> int:
        """Number of classes with images, which `macro` is the mean of."""
        return sum(score.images > 0 for score in self.per_class())

    def weighted(self) -> Means:
        """Return means in which images count equally; their recall is the accuracy."""
        return _means(self.per_class(), lambda score: score.images)

    def confused(self, most: int) -> list[Cell]:
        """Return the most frequent mistakes, at most `most`, the most frequent first."""
        wrong = (cell for cell in self.cells if cell.truth != cell.predicted)
        return sorted(wrong, key=lambda cell: (-cell.images, cell.truth, cell.predicted))[:most]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in `scores.json`; `from_dict` reads only counts and calibration."""
        taken: list[dict[str, int]] = [{} for _ in self.classes]
        for cell in self.cells:
            taken[cell.truth][self.classes[cell.predicted]] = cell.images
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "top": {str(k): share for k, share in self.top_k.items()},
            "calibration_error": self.calibration_error,
            "macro": self.macro()._asdict(),
            "weighted": self.weighted()._asdict(),
            "classes": [
                {**score.to_dict(), "predicted_as": predictions}
                for score, predictions in zip(self.per_class(), taken, strict=True)
            ],
            "calibration": [b._asdict() for b in self.calibration],
        }

    @classmethod
    @written_scores()
    def from_dict(cls, data: Mapping[str, Any]) -> Scores:
        """Return the value that `to_dict` turned into data; raise `UsageError` for other data."""
        names = tuple(str(each["name"]) for each in data["classes"])
        places = {name: place for place, name in enumerate(names)}
        cells = sorted(
            Cell(truth, places[name], _count(images))
            for truth, each in enumerate(data["classes"])
            for name, images in each["predicted_as"].items()
        )
        total = sum(cell.images for cell in cells)
        top = tuple((int(k), round(float(share) * total)) for k, share in data["top"].items())
        calibration = tuple(
            Bin(int(b["images"]), int(b["right"]), float(b["confidence"]))
            for b in data["calibration"]
        )
        if not cells:
            raise UsageError("these scores have no images")
        return cls(names, tuple(cells), top, calibration)

    def per_class_csv(self) -> str:
        """Return CSV with a line for each class; a share without any images is empty."""
        return as_csv("class", self.per_class())

    def confusion_csv(self) -> str:
        """Return the confusion matrix as CSV: true classes in rows, predicted ones in columns.

        With more than a thousand classes, and so millions of zeros, there is a line for each cell
        that is not 0.
        """
        if len(self.classes) > DENSE:
            named = (
                (self.classes[c.truth], self.classes[c.predicted], c.images) for c in self.cells
            )
            return csv_lines([("truth", "predicted", "images"), *named])
        rows = [[0] * len(self.classes) for _ in self.classes]
        for cell in self.cells:
            rows[cell.truth][cell.predicted] = cell.images
        lines = ((name, *row) for name, row in zip(self.classes, rows, strict=True))
        return csv_lines([("truth", *self.classes), *lines])


def _means(scores: Iterable[ClassScore], weight: Callable[[ClassScore], int]) -> Means:
    counted = [score for score in scores if score.images]
    total = sum(map(weight, counted))

    def mean(share: str) -> float:
        return math.fsum(weight(score) * getattr(score, share) for score in counted) / total

    return Means(mean("precision"), mean("recall"), mean("f1"))


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(value)
    return value


TaskScores: TypeAlias = Scores | LabelScores | NumberScores
"""The scores of a network on images, by its task."""


@written_scores()
def from_dict(data: Mapping[str, Any]) -> TaskScores:
    """Return the scores of any task from plain data; raise `UsageError` for other data."""
    kinds: tuple[type[TaskScores], ...] = (LabelScores, NumberScores)
    kind = next((kind for kind in kinds if data.get("task") == kind.TASK), Scores)
    return kind.from_dict(data)


def write(scores: TaskScores, home: Path) -> None:
    """Write scores into a run's folder: `scores.json`, and CSV by class, label or value."""
    folder.write_text(home / SCORES, json.dumps(scores.to_dict(), indent=2) + "\n")
    if isinstance(scores, Scores):
        folder.write_text(home / PER_CLASS, scores.per_class_csv())
        folder.write_text(home / CONFUSION, scores.confusion_csv())
    elif isinstance(scores, LabelScores):
        folder.write_text(home / PER_LABEL, scores.per_label_csv())
    else:
        folder.write_text(home / PER_VALUE, scores.per_value_csv())


def read(path: Path) -> TaskScores:
    """Return the scores in a `scores.json`; raise `UsageError`."""
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None

"""How well a model tells the classes apart, and where it errs: the value `Scores`, and its files.

`tally` counts it; `score_tables` and `pictures` show it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.runs import folder
from archspec.runs.files import CONFUSION, PER_CLASS, SCORES
from archspec.text import csv_lines

DENSE: Final = 1_000
"""Most classes whose confusion matrix is written with its zeros."""


class Cell(NamedTuple):
    """Of the images of class `truth`, how many were taken for `predicted`; both count from 0."""

    truth: int
    predicted: int
    images: int


class Bin(NamedTuple):
    """The images whose prediction had about this confidence, and how many of them were right."""

    images: int
    right: int
    confidence: float
    """Their mean, from 0 to 1; 0 where there are none."""


class Means(NamedTuple):
    """Of the classes that have images."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How one class fared. A share that nothing was counted for is None."""

    name: str
    images: int
    """Of this class: its support."""
    predicted: int
    """Images taken for this class."""
    right: int
    """Images of this class taken for it."""

    @property
    def precision(self) -> float | None:
        """Of the images taken for this class, the share that is; 0 for a class never predicted."""
        if self.predicted:
            return self.right / self.predicted
        return 0.0 if self.images else None

    @property
    def recall(self) -> float | None:
        """Of this class's images, the share that was found."""
        return self.right / self.images if self.images else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        seen = self.images + self.predicted
        return 2 * self.right / seen if seen else None


@dataclass(frozen=True, slots=True)
class Scores(Displayed):
    """What was counted. All that is said of a model's mistakes follows from it."""

    RENDERER = "scores"

    classes: tuple[str, ...]
    cells: tuple[Cell, ...]
    """The confusion matrix without its zeros, row by row."""
    top: tuple[tuple[int, int], ...]
    """k, and the images whose class is among their k likeliest."""
    calibration: tuple[Bin, ...]
    """From the least confident to the most."""

    @property
    def images(self) -> int:
        return sum(cell.images for cell in self.cells)

    @property
    def accuracy(self) -> float:
        right = sum(cell.images for cell in self.cells if cell.truth == cell.predicted)
        return right / self.images

    @property
    def top_k(self) -> dict[int, float]:
        """Share of the images whose class is among the k likeliest, by k."""
        return {k: right / self.images for k, right in self.top}

    @property
    def calibration_error(self) -> float:
        """Mean distance of confidence and accuracy over the bins, weighted by their images."""
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
        """Every class counts the same; this recall is called balanced accuracy."""
        return _means(self.per_class(), lambda _: 1)

    @property
    def present(self) -> int:
        """How many classes have images: those of which `macro` is the mean."""
        return sum(score.images > 0 for score in self.per_class())

    def weighted(self) -> Means:
        """Every image counts the same; this recall is the accuracy."""
        return _means(self.per_class(), lambda score: score.images)

    def confused(self, most: int) -> list[Cell]:
        """The mistakes made most often, the most frequent first."""
        wrong = (cell for cell in self.cells if cell.truth != cell.predicted)
        return sorted(wrong, key=lambda cell: (-cell.images, cell.truth, cell.predicted))[:most]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in `scores.json`; `from_dict` needs only counts and calibration of it."""
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
                {
                    **asdict(score),
                    "precision": score.precision,
                    "recall": score.recall,
                    "f1": score.f1,
                    "predicted_as": predictions,
                }
                for score, predictions in zip(self.per_class(), taken, strict=True)
            ],
            "calibration": [b._asdict() for b in self.calibration],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scores:
        """What `to_dict` gave. Raises `UsageError` for anything else."""
        try:
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
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise UsageError("these are not scores as archspec writes them") from None
        if not cells:
            raise UsageError("these scores are of no images")
        return cls(names, tuple(cells), top, calibration)

    def per_class_csv(self) -> str:
        """A line for each class; a share that nothing was counted for is empty."""
        shares = ("precision", "recall", "f1")
        lines: list[list[Any]] = [["class", "images", "predicted", "right", *shares]]
        for score in self.per_class():
            found = [getattr(score, share) for share in shares]
            rounded = ["" if share is None else round(share, 6) for share in found]
            lines.append([score.name, score.images, score.predicted, score.right, *rounded])
        return csv_lines(lines)

    def confusion_csv(self) -> str:
        """The confusion matrix: a row for each true class, a column for each predicted one.

        Of more than a thousand classes, which would be millions of zeros, a line for each cell
        that is not zero.
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


def write(scores: Scores, home: Path) -> None:
    """`scores.json`, `per_class.csv` and `confusion.csv` in a run's folder."""
    folder.write_text(home / SCORES, json.dumps(scores.to_dict(), indent=2) + "\n")
    folder.write_text(home / PER_CLASS, scores.per_class_csv())
    folder.write_text(home / CONFUSION, scores.confusion_csv())


def read(path: Path) -> Scores:
    """The scores in a `scores.json`."""
    try:
        return Scores.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None

"""Scores of predicted sets of labels: label by label, and of whole sets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from archspec.data.task import TaskKind
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation.class_score import ClassScore, as_csv, written_scores
from archspec.lazy import np

THRESHOLD: Final = 0.5
"""Probability from which a label is predicted."""

FIGURES: Final = ("mean_average_precision", "exact_match", "label_accuracy", "macro_f1", "micro_f1")
"""The figures of the whole, by their names in `run.json`."""


@dataclass(frozen=True, slots=True)
class LabelScore(ClassScore):
    """Scores of one label."""

    average_precision: float | None
    """Area under precision over recall, over all thresholds: the mean of the precision at each
    image with the label, in the order of their probabilities."""


@dataclass(frozen=True, slots=True)
class LabelScores(Displayed):
    """Scores of sets of labels."""

    RENDERER = "output_scores"
    TASK: ClassVar[TaskKind] = "multi_label"

    images: int
    exact: int
    """Images for which exactly the right set was predicted."""
    threshold: float
    """Probability from which a label counts as predicted."""
    labels: tuple[LabelScore, ...]

    @property
    def exact_match(self) -> float:
        """Share of the images for which exactly the right set was predicted."""
        return self.exact / self.images

    @property
    def label_accuracy(self) -> float:
        """Share of right answers among all labels of all images."""
        wrong = sum(each.images + each.predicted - 2 * each.right for each in self.labels)
        return 1 - wrong / (self.images * len(self.labels))

    @property
    def mean_average_precision(self) -> float | None:
        """Mean of the average precision over the labels that occur; None if none does."""
        known = [e.average_precision for e in self.labels if e.average_precision is not None]
        return statistics.fmean(known) if known else None

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 over the labels that occur, in which they count equally."""
        known = [each.f1 for each in self.labels if each.images and each.f1 is not None]
        return statistics.fmean(known) if known else None

    @property
    def micro_f1(self) -> float | None:
        """F1 of all labels together, in which each occurrence counts equally."""
        seen = sum(each.images + each.predicted for each in self.labels)
        return 2 * sum(each.right for each in self.labels) / seen if seen else None

    @property
    def figures(self) -> dict[str, float]:
        """The figures of the whole, by name."""
        every = {name: getattr(self, name) for name in FIGURES}
        return {name: figure for name, figure in every.items() if figure is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in `scores.json`."""
        return {
            "task": self.TASK,
            "images": self.images,
            "exact": self.exact,
            "threshold": self.threshold,
            **{name: getattr(self, name) for name in FIGURES},
            "labels": [each.to_dict() for each in self.labels],
        }

    @classmethod
    @written_scores()
    def from_dict(cls, data: Mapping[str, Any]) -> LabelScores:
        """Return the value that `to_dict` turned into data; raise `UsageError` for other data."""
        labels = tuple(
            LabelScore(
                str(each["name"]),
                int(each["images"]),
                int(each["predicted"]),
                int(each["right"]),
                None if (ap := each["average_precision"]) is None else float(ap),
            )
            for each in data["labels"]
        )
        images, exact = int(data["images"]), int(data["exact"])
        threshold = float(data["threshold"])
        if images < 1 or not labels:
            raise UsageError("these scores have no images")
        return cls(images, exact, threshold, labels)

    def per_label_csv(self) -> str:
        """Return CSV with a line for each label; a share without any images is empty."""
        return as_csv("label", self.labels, "average_precision")


def measure(
    names: tuple[str, ...], truth: Any, predicted: Any, threshold: float = THRESHOLD
) -> LabelScores:
    """Return the scores of probabilities (images, labels) against labels of 0 and 1."""
    truth, given = truth > 0.5, predicted >= threshold
    return LabelScores(
        images=len(truth),
        exact=int((truth == given).all(axis=1).sum()),
        threshold=threshold,
        labels=tuple(
            LabelScore(
                name,
                images=int(truth[:, place].sum()),
                predicted=int(given[:, place].sum()),
                right=int((truth[:, place] & given[:, place]).sum()),
                average_precision=_average_precision(truth[:, place], predicted[:, place]),
            )
            for place, name in enumerate(names)
        ),
    )


def _average_precision(truth: Any, predicted: Any) -> float | None:
    """Return the average precision; images of equal probability come in at once."""
    count = int(truth.sum())
    if not count:
        return None
    order = np.argsort(-predicted, kind="stable")
    right = truth[order].cumsum()
    # Only after the last of equal probabilities is there a threshold.
    ends = np.append(np.flatnonzero(np.diff(predicted[order])), len(order) - 1)
    precision, recall = right[ends] / (ends + 1), right[ends] / count
    return float((precision * np.diff(recall, prepend=0.0)).sum())

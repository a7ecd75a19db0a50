"""Labels and predictions -> scores of a task.

Predictions of classes are counted batch by batch, so that they need not all be in memory.
Memory grows with the images, never with the square of the number of classes.

scikit-learn has some of this, but its top-k ranks the last of equal predictions first, where
argmax takes the first, and it sorts all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from archspec.data.task import NOUNS, Task
from archspec.errors import UsageError
from archspec.evaluation import label_scores, number_scores
from archspec.evaluation.label_scores import THRESHOLD
from archspec.evaluation.scores import Bin, Cell, Scores, TaskScores
from archspec.lazy import np

BINS: Final = 15
"""Number of bins of the calibration error, as in Guo et al. 2017 (arXiv:1706.04599)."""

TOP: Final = (5,)
"""Values of k for top-k accuracy, if there are more classes than k."""

VALUES_AT_ONCE: Final = 2**20
"""Largest number of predictions to count at a time, which bounds the memory."""


class Tally:
    """A count of predictions, batch by batch, for images of known classes."""

    def __init__(self, classes: Sequence[str], *, top: Sequence[int] = TOP) -> None:
        self._classes = tuple(classes)
        if len(set(self._classes)) < len(self._classes):
            twice = Counter(self._classes).most_common(1)[0][0]
            raise UsageError(f"two classes have the name {twice}")
        self._cells = Counter[int]()
        self._top = Counter({k: 0 for k in top if 0 < k < len(self._classes)})
        self._bins: Any = 0.0
        """(3, BINS): images, those right, sums of the confidences."""
        self._images = 0

    def add(self, labels: Any, predictions: Any) -> None:
        """Count labels (images,), whole numbers, and probabilities (images, classes).

        Raises:
            UsageError: They do not fit each other or the classes.

        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        classes = len(self._classes)
        if predictions.ndim != 2 or predictions.shape[1] != classes:
            raise UsageError(
                f"predictions of shape {predictions.shape} are not (images, {classes}): "
                f"one for each of the {classes:,} classes"
            )
        if labels.shape != predictions.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise UsageError(
                f"labels of shape {labels.shape} and type {labels.dtype} are not "
                f"{len(predictions):,} whole numbers, one for each image"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise UsageError(
                f"labels from {labels.min()} to {labels.max()} are not all "
                f"from 0 to {classes - 1}, the last of the {classes:,} classes"
            )
        size = max(1, VALUES_AT_ONCE // classes)
        for start in range(0, len(labels), size):
            part = slice(start, start + size)
            self._count(labels[part].astype(np.int64), predictions[part].astype(np.float64))

    def _count(self, labels: Any, predictions: Any) -> None:
        _check_finite(predictions, self._images)
        # Half precision sums to 1 only nearly.
        if not -0.01 <= predictions.min() <= predictions.max() <= 1.01:
            raise UsageError(
                f"predictions from {predictions.min():.3g} to {predictions.max():.3g} "
                "are not probabilities; are they logits, from a model without softmax?"
            )
        predicted = predictions.argmax(axis=1)
        highest = predictions.max(axis=1)
        codes, counts = np.unique(labels * len(self._classes) + predicted, return_counts=True)
        self._cells.update(dict(zip(codes.tolist(), counts.tolist(), strict=True)))
        if self._top:
            own = predictions[np.arange(len(labels)), labels][:, np.newaxis]
            # Among equal predictions the first class ranks highest, as for argmax.
            earlier = np.arange(len(self._classes)) < labels[:, np.newaxis]
            rank = ((predictions > own) | ((predictions == own) & earlier)).sum(axis=1)
            for k in self._top:
                self._top[k] += int((rank < k).sum())
        bins = np.clip(np.ceil(highest * BINS).astype(int) - 1, 0, BINS - 1)
        images = np.bincount(bins, minlength=BINS)
        right = np.bincount(bins[predicted == labels], minlength=BINS)
        totals = np.bincount(bins, weights=highest, minlength=BINS)
        self._bins = self._bins + np.stack([images, right, totals])
        self._images += len(labels)

    def scores(self) -> Scores:
        """Return the scores so far; raise `UsageError` if nothing was counted."""
        if not self._images:
            raise UsageError("there are no images to score")
        cells = (
            Cell(*divmod(code, len(self._classes)), images)
            for code, images in sorted(self._cells.items())
        )
        bins = (
            Bin(int(images), int(right), total / images if images else 0.0)
            for images, right, total in self._bins.T.tolist()
        )
        return Scores(self._classes, tuple(cells), tuple(sorted(self._top.items())), tuple(bins))


def _check_finite(predictions: Any, before: int) -> None:
    """Raise `UsageError` for predictions that are not finite, after `before` other images."""
    wrong = ~np.isfinite(predictions).all(axis=1)
    if wrong.any():
        image = before + int(wrong.argmax()) + 1
        raise UsageError(f"the prediction for image {image:,} is infinite or NaN")


class OutputTally:
    """Labels and predictions of sets or numbers, kept batch by batch until they are scored."""

    def __init__(self, task: Task, threshold: float = THRESHOLD) -> None:
        """Begin; `threshold` is the probability from which a label is predicted."""
        self._task = task
        self._threshold = threshold
        self._parts: list[tuple[Any, Any]] = []

    def add(self, labels: Any, predictions: Any) -> None:
        """Keep labels and predictions, both (images, outputs).

        Raises:
            UsageError: They do not fit each other, or predictions are not finite.

        """
        labels, predictions = np.asarray(labels), np.asarray(predictions, np.float64)
        expected = (len(labels), len(self._task.names))
        if labels.shape != expected or predictions.shape != expected:
            raise UsageError(
                f"labels of shape {labels.shape} and predictions of shape {predictions.shape} are "
                f"not both {expected}: (images, {NOUNS[self._task.kind][1]})"
            )
        _check_finite(predictions, sum(len(part) for part, _ in self._parts))
        self._parts.append((labels.astype(np.float64), predictions))

    def scores(self) -> TaskScores:
        """Return the scores so far; raise `UsageError` if nothing was added."""
        if not self._parts:
            raise UsageError("there are no images to score")
        truth, predicted = (np.concatenate(each) for each in zip(*self._parts, strict=True))
        if self._task.kind == "regression":
            return number_scores.measure(self._task.names, truth, predicted)
        return label_scores.measure(self._task.names, truth, predicted, self._threshold)


def tally_of(
    task: Task, *, top: Sequence[int] = TOP, threshold: float = THRESHOLD
) -> Tally | OutputTally:
    """Return an empty count of predictions for a task."""
    if task.kind == "classification":
        return Tally(task.names, top=top)
    return OutputTally(task, threshold)

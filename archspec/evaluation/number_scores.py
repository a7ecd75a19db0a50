"""Scores of predicted numbers: errors of each value, beside those of always saying its mean.

The coefficient of determination is 1 for perfect predictions and 0 for the mean of the labels.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from archspec.data.task import TaskKind
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation.class_score import written_scores
from archspec.lazy import np
from archspec.text import csv_lines

FIGURES: Final = ("mae", "rmse", "r2")
"""The figures of the whole, by their names in `run.json`."""

MEASURES: Final = (*FIGURES, "mean_mae", "mean_rmse")
"""The figures of each value, in their order."""


@dataclass(frozen=True, slots=True)
class ValueScore:
    """Scores of one value of the labels, in its units."""

    name: str
    mae: float
    """Mean absolute error."""
    rmse: float
    """Square root of the mean squared error."""
    r2: float | None
    """Coefficient of determination; None if the value is the same in all labels."""
    mean_mae: float
    """The mean absolute error of always saying the mean of the labels."""
    mean_rmse: float
    """The same of the square root of the mean squared error: the standard deviation."""


@dataclass(frozen=True, slots=True)
class NumberScores(Displayed):
    """Scores of a regression, value by value."""

    RENDERER = "output_scores"
    TASK: ClassVar[TaskKind] = "regression"

    images: int
    values: tuple[ValueScore, ...]

    @property
    def mae(self) -> float:
        """Mean absolute error, the mean over the values."""
        return statistics.fmean(value.mae for value in self.values)

    @property
    def rmse(self) -> float:
        """Square root of the mean squared error over all values."""
        return float(statistics.fmean(value.rmse**2 for value in self.values) ** 0.5)

    @property
    def r2(self) -> float | None:
        """Mean coefficient of determination of the values that vary; None if none does."""
        known = [value.r2 for value in self.values if value.r2 is not None]
        return statistics.fmean(known) if known else None

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
            **{name: getattr(self, name) for name in FIGURES},
            "values": [asdict(value) for value in self.values],
        }

    @classmethod
    @written_scores()
    def from_dict(cls, data: Mapping[str, Any]) -> NumberScores:
        """Return the value that `to_dict` turned into data; raise `UsageError` for other data."""
        values = tuple(
            ValueScore(
                str(each["name"]),
                float(each["mae"]),
                float(each["rmse"]),
                None if each["r2"] is None else float(each["r2"]),
                float(each["mean_mae"]),
                float(each["mean_rmse"]),
            )
            for each in data["values"]
        )
        images = int(data["images"])
        if images < 1 or not values:
            raise UsageError("these scores have no images")
        return cls(images, values)

    def per_value_csv(self) -> str:
        """Return CSV with a line for each value."""
        lines = [["value", *MEASURES]]
        for each in self.values:
            cells = [getattr(each, name) for name in MEASURES]
            lines.append([each.name, *("" if cell is None else f"{cell:.6g}" for cell in cells)])
        return csv_lines(lines)


def measure(names: tuple[str, ...], truth: Any, predicted: Any) -> NumberScores:
    """Return the scores of predictions (images, values) against labels of the same shape."""
    error, spread = predicted - truth, truth - truth.mean(axis=0)
    squares, total = np.square(error).sum(axis=0), np.square(spread).sum(axis=0)
    count = len(truth)
    return NumberScores(
        count,
        tuple(
            ValueScore(
                name,
                mae=float(np.abs(error[:, place]).mean()),
                rmse=float(np.sqrt(squares[place] / count)),
                r2=float(1 - squares[place] / total[place]) if total[place] else None,
                mean_mae=float(np.abs(spread[:, place]).mean()),
                mean_rmse=float(np.sqrt(total[place] / count)),
            )
            for place, name in enumerate(names)
        ),
    )

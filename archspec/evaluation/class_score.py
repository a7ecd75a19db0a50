"""Counts of one class among predictions, with its precision, recall and F1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from archspec.errors import UsageError
from archspec.text import csv_lines


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one class, or of one label; a share without any images is None."""

    name: str
    images: int
    """Images of this class, or with this label: its support."""
    predicted: int
    """Images for which it was predicted."""
    right: int
    """Its own images among these."""

    @property
    def precision(self) -> float | None:
        """Share of its own images among those for which it was predicted; 0 if it never was."""
        if self.predicted:
            return self.right / self.predicted
        return 0.0 if self.images else None

    @property
    def recall(self) -> float | None:
        """Share of its own images for which it was predicted."""
        return self.right / self.images if self.images else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        seen = self.images + self.predicted
        return 2 * self.right / seen if seen else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the counts, and the shares that follow from them."""
        shares = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {**asdict(self), **shares}


@contextmanager
def written_scores() -> Iterator[None]:
    """Turn what fails on other data than scores into a `UsageError`."""
    try:
        yield
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        raise UsageError("these are not scores that archspec wrote") from None


def as_csv(noun: str, scores: Iterable[ClassScore], *further: str) -> str:
    """Return CSV with a line for each class, a share without any images being empty.

    `noun` heads the column of names; `further` are fields of the scores beside the usual ones.
    """
    columns = ("images", "predicted", "right", "precision", "recall", "f1", *further)
    lines: list[list[Any]] = [[noun, *columns]]
    for score in scores:
        values = [getattr(score, column) for column in columns]
        lines.append([score.name, *("" if v is None else round(v, 6) for v in values)])
    return csv_lines(lines)

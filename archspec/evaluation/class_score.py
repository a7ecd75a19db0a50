"""Counts of one class among predictions, with its precision, recall and F1."""

from __future__ import annotations

from dataclasses import dataclass


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

"""Bytes of a training step as a function of the batch, and how far off they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from archspec.cost.report import Report


class Footprint(Protocol):
    """The bytes of a step as a function of its batch."""

    @property
    def fixed(self) -> int:
        """Bytes that the batch does not change."""

    @property
    def example(self) -> int | None:
        """Bytes of each example; None where they are not the same for every batch."""

    def at(self, batch: int) -> int:
        """Return the bytes of a step with a batch of so many examples."""

    def largest_batch(self, memory: int) -> int:
        """Return the largest batch whose step takes at most so many bytes; 0 if there is none."""


class LinearFootprint(NamedTuple):
    """The bytes of a step: a part that the batch does not change, and one for each example."""

    fixed: int
    example: int

    def at(self, batch: int) -> int:
        return self.fixed + batch * self.example

    def largest_batch(self, memory: int) -> int:
        return max(0, memory - self.fixed) // max(1, self.example)


class ErrorBand(NamedTuple):
    """Errors of an estimate for networks of families that its calibration did not see."""

    mean: float
    """Mean of the errors, as a share of the compiled bytes."""
    worst: float
    """Largest of the errors."""
    networks: int
    """Number of networks."""
    cases: int
    """Number of networks at a batch and a dtype."""
    families: int
    """Number of families; each was estimated with the others' calibration."""
    batches: tuple[int, ...]
    """Batches that were compiled."""
    dtypes: tuple[str, ...]
    """Dtype policies that were compiled."""
    versions: dict[str, str]
    """Versions of the packages that compiled them."""

    def to_dict(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "batches": list(self.batches),
            "dtypes": list(self.dtypes),
        }

    def __str__(self) -> str:
        batches = f"{min(self.batches)} to {max(self.batches)}"
        return (
            f"off by {self.mean:.1%} on average and {self.worst:.1%} at most, on {self.networks} "
            f"networks at batch {batches}, {' and '.join(self.dtypes)}, whose families its factors "
            "were not fitted to"
        )


class Rule(Protocol):
    """The bytes that an engine takes for a step, by a network's report."""

    @property
    def basis(self) -> str:
        """The rule in a few words."""

    @property
    def band(self) -> ErrorBand | None:
        """Errors of the estimate; None where nothing was measured."""

    def footprint(self, report: Report) -> Footprint:
        """Return the bytes of a step, in the report's setting.

        Raises:
            UsageError: There is no estimate for such a network.
        """


class Estimate(NamedTuple):
    """The bytes of a training step on an engine."""

    engine: str
    footprint: Footprint
    batch: int
    band: ErrorBand | None
    """Error of the estimate; None where nothing was measured."""
    basis: str
    """The rule in a few words."""

    @property
    def bytes(self) -> int:
        """Bytes of a step with this batch."""
        return self.footprint.at(self.batch)

    @property
    def accuracy(self) -> str:
        """The error band in words, or why there is none and on which side the truth is."""
        if self.band:
            return str(self.band)
        return "no error band, as no whole step was measured: workspaces come on top"

    def to_dict(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "bytes": self.bytes,
            "fixed_bytes": self.footprint.fixed,
            "example_bytes": self.footprint.example,
            "error": self.band.to_dict() if self.band else None,
            "basis": self.basis,
        }

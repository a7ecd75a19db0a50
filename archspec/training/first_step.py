"""The probe: what a network's first training step looks like from inside, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from archspec.cost.report import Report, Row
from archspec.display import Displayed

SCHEMA_VERSION = 1
"""Of the JSON form. It grows when a key changes its meaning or goes; new keys leave it."""

CONVENTION = (
    "mean, std: of a layer's outputs, over the batch; dead: share of its units, of a map its "
    "channels, that are 0 throughout the batch; saturated: share of its outputs within 0.5 % of "
    "their range from a bound; gradient: L2 norm, over all weights of the layer. The loss is the "
    "cross-entropy with random labels."
)
"""What the columns mean. It stands under every table."""


class Activity(NamedTuple):
    """What comes out of a layer, and what comes back to its weights."""

    mean: float
    std: float
    dead: float | None
    """Of 1; None where a zero is nothing unusual."""
    saturated: float | None
    """Of 1; None where there is no bound to come close to."""
    gradient: float | None
    """None where nothing is learned."""


class Reading(NamedTuple):
    """A row of the table: what a layer or a block puts out, and the gradient of all in it."""

    row: Row
    activity: Activity


@dataclass(frozen=True)
class Probe(Displayed):
    """A network at initialisation: activations and gradients. Print it, or read its rows."""

    RENDERER = "probe"

    report: Report
    """Of the same batch."""
    data: str
    """What was fed, such as gaussian."""
    init: str
    """How the kernels were drawn, such as normal:0.01."""
    seed: int
    loss: float
    activities: tuple[Activity, ...]
    """Of every node of the report's graph."""

    @property
    def name(self) -> str:
        return self.report.name

    def rows(self, depth: int | None = None, *, ops: bool = False) -> tuple[Reading, ...]:
        """The rows of the report's table: a layer with its activation is one, as is its output."""
        return tuple(Reading(row, self._activity(row)) for row in self.report.rows(depth, ops=ops))

    def _activity(self, row: Row) -> Activity:
        inside = self.activities[row.start : row.stop]
        gradients = [each.gradient for each in inside if each.gradient is not None]
        return inside[-1]._replace(gradient=math.hypot(*gradients) if gradients else None)

    def to_dict(self, depth: int | None = None, *, ops: bool = False) -> dict[str, Any]:
        """Everything, as plain data: the JSON form, versioned by `schema_version`.

        A number that overflowed is None: JSON has no word for it.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "about": self.report.about,
            "convention": CONVENTION,
            "input": list(self.report.graph.input),
            "batch": self.report.setting.batch,
            "data": self.data,
            "init": self.init,
            "seed": self.seed,
            "loss": _finite(self.loss),
            "rows": [
                {
                    "path": row.path,
                    "kind": row.kind,
                    "label": row.label,
                    "shape": list(row.shape),
                    **{name: _finite(value) for name, value in activity._asdict().items()},
                }
                for row, activity in self.rows(depth, ops=ops)
            ],
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

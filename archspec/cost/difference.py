"""The difference of two networks: their rows aligned, and for each pair what is not the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from archspec.cost.alignment import align
from archspec.cost.changes import Change, PairedRows, Pairing
from archspec.cost.compare import FIGURES, NetworkFigures, distinct_names, figures_of
from archspec.cost.report import CONVENTION, Report, Row, check_rows, report
from archspec.cost.size import at_if_open, refuse_open
from archspec.display import Displayed
from archspec.imports.loading import as_network
from archspec.imports.model import Network

SCHEMA_VERSION = 3
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""

SEVERAL = 3
"""Number of layers from which on a change that all of a kind share is reported once."""


class Shared(NamedTuple):
    """A change of an argument that all layers of a kind have in common."""

    kind: str
    what: str
    before: Any
    after: Any
    layers: int
    """Number of layers that have it."""

    def covers(self, change: Change) -> bool:
        return self[:4] == (change.kind, change.what, change.before, change.after)


class RowPair(NamedTuple):
    """A row of one network, or two rows that were paired."""

    before: Row | None
    after: Row | None
    changes: tuple[Change, ...] = ()

    @property
    def mark(self) -> Literal["=", "~", "-", "+"]:
        if self.after is None:
            return "-"
        if self.before is None:
            return "+"
        return "~" if self.changes else "="

    @property
    def row(self) -> Row:
        """The row of the second network, or else of the first."""
        return self.after or self.before  # type: ignore[return-value]  # it is in one at least

    @property
    def is_renamed(self) -> bool:
        """Whether the row has another path in the second network."""
        before, after = self.before, self.after
        return before is not None and after is not None and before.path != after.path


@dataclass(frozen=True)
class Difference(Displayed):
    """Differences between two networks. Print it, or read its steps."""

    RENDERER = "difference"

    before: Report
    after: Report
    depth: int | None = None
    ops: bool = False
    """Rows that are compared, as in `Report.rows`."""

    def __post_init__(self) -> None:
        check_rows(self.depth, ops=self.ops)
        for costs in (self.before, self.after):
            refuse_open(costs.graph, "a difference")

    @cached_property
    def steps(self) -> tuple[RowPair, ...]:
        """All rows in order. Arguments that mean the same are not a change."""
        return self._paired[0]

    @property
    def outputs(self) -> tuple[Change, ...]:
        """Outputs that differ, or whose loss has another weight."""
        return self._paired[1]

    @property
    def shared(self) -> tuple[Shared, ...]:
        """Changes of an argument that all layers of a kind have in common."""
        return self._paired[2]

    @cached_property
    def _paired(self) -> tuple[tuple[RowPair, ...], tuple[Change, ...], tuple[Shared, ...]]:
        rows = (each.rows(self.depth, ops=self.by_ops) for each in (self.before, self.after))
        pairs = tuple(align(*rows))
        pairing = Pairing(self.before.graph, self.after.graph)
        both = [pairing.pair(a, b) for a, b in pairs if a and b]
        changed = (tuple(pairing.changes(*each)) for each in both)
        steps = tuple(RowPair(a, b, next(changed) if a and b else ()) for a, b in pairs)
        return steps, tuple(pairing.outputs()), _shared(steps, both)

    @property
    def by_ops(self) -> bool:
        """Whether every primitive op is a row, as a spec's blocks are not in a model file."""
        is_across = (self.before.model is None) != (self.after.model is None)
        return self.ops or (self.depth is None and is_across)

    @property
    def equal(self) -> bool:
        """Whether both compute the same, with the same weights; their steps' names may differ."""
        return not self.outputs and all(step.mark == "=" for step in self.steps)

    @cached_property
    def totals(self) -> tuple[NetworkFigures, NetworkFigures]:
        """The figures of both networks."""
        names = distinct_names((self.before, self.after))
        return figures_of(self.before, names[0]), figures_of(self.after, names[1])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        before, after = self.totals
        return {
            "schema_version": SCHEMA_VERSION,
            "convention": CONVENTION,
            "before": before.to_dict(),
            "after": after.to_dict(),
            "difference": {
                figure: getattr(after, figure) - getattr(before, figure) for figure in FIGURES
            },
            "equal": self.equal,
            "outputs": [change._asdict() for change in self.outputs],
            "shared": [change._asdict() for change in self.shared],
            "steps": [
                {
                    "mark": step.mark,
                    "before": _row_dict(step.before),
                    "after": _row_dict(step.after),
                    "changes": [change._asdict() for change in step.changes],
                }
                for step in self.steps
            ],
        }


def diff(
    before: Network | str | os.PathLike[str],
    after: Network | str | os.PathLike[str],
    *,
    depth: int | None = None,
    ops: bool = False,
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    at: str | int | Sequence[int] | None = None,
) -> Difference:
    """Compare two networks row by row, and show where they differ.

    Args:
        before: A spec, a model file's model, or a path or a name as `load` takes them.
        after: The network to compare it with.
        depth: Deepest level of paths that has rows of its own. Default: all.
        ops: Whether every primitive op is a row, as it is where a spec is compared with a model
            file, which has no blocks, and no `depth` is given.
        batch: As in `report`.
        dtype: As in `report`.
        optimizer: As in `report`.
        at: As in `report`, for the networks whose input is open.

    Returns:
        A difference that prints itself. `equal` is true where the networks do not differ.

    Raises:
        SpecError: A spec has mistakes.
        UsageError: An argument is wrong.

    Example:
        >>> archspec.diff("resnet50", "resnet50_keras").equal
        False
    """
    first, second = (
        report(spec, batch=batch, dtype=dtype, optimizer=optimizer, at=at_if_open(spec, at))
        for spec in map(as_network, (before, after))
    )
    return Difference(first, second, depth, ops)


def _shared(steps: Sequence[RowPair], both: Sequence[PairedRows]) -> tuple[Shared, ...]:
    layers = Counter(
        x.op.kind
        for each in both
        for x, y in each.layers.values()
        if x and y and x.op.kind == y.op.kind
    )
    # Values may be lists, which cannot be counted as such.
    changes = {
        (change.kind, change.what, repr(change.before), repr(change.after)): change
        for step in steps
        for change in step.changes
        if change.kind
    }
    often = Counter(
        (change.kind, change.what, repr(change.before), repr(change.after))
        for step in steps
        for change in step.changes
    )
    return tuple(
        Shared(change.kind, change.what, change.before, change.after, often[key])
        for key, change in changes.items()
        if often[key] == layers[change.kind] >= SEVERAL
    )


def _row_dict(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    data = row._asdict()
    kept = ("path", "kind", "label", "shape", "params", "macs")
    return {name: data[name] for name in kept} | {"shape": list(row.shape)}

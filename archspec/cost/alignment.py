"""The alignment of two networks: which of their rows are the same part.

By content and by path, whichever explains more: a unit that was put in between renumbers those
behind it, and a stage that is called otherwise is still the same stage.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from operator import attrgetter
from typing import Final, TypeAlias

from archspec.cost.report import Row
from archspec.graph.graph import SEPARATOR

MOST_PAIRS: Final = 500_000
"""The best way to align two stretches of rows is sought among no more pairs: about a second."""

ALONE: Final = 4
"""Cost of a row without a counterpart; other costs are in proportion."""

Rows: TypeAlias = Sequence[Row]
Pair: TypeAlias = tuple[Row | None, Row | None]


def align(before: Rows, after: Rows) -> Iterator[Pair]:
    """Yield all rows in order, a row alone or beside its counterpart."""
    for gap, run in _anchored(before, after, _identity):
        if len(gap[0]) * len(gap[1]) <= MOST_PAIRS:
            yield from _best(*gap)
        else:
            for part, anchors in _anchored(*gap, attrgetter("path")):
                yield from _piecewise(*part)
                yield from anchors
        yield from run


def _identity(row: Row) -> Hashable:
    return row.path, *_content(row)


def _content(row: Row) -> tuple[Hashable, ...]:
    return row.kind, row.label, row.shape, row.params, row.macs


def _anchored(
    before: Rows, after: Rows, key: Callable[[Row], Hashable]
) -> Iterator[tuple[tuple[Rows, Rows], Sequence[Pair]]]:
    """Yield runs of rows with equal keys, each with the gap before it; the last run is empty."""
    matcher = SequenceMatcher(None, list(map(key, before)), list(map(key, after)), autojunk=False)
    i = j = 0
    for start, other, size in matcher.get_matching_blocks():
        run = zip(before[start : start + size], after[other : other + size], strict=True)
        yield (before[i:start], after[j:other]), list(run)
        i, j = start + size, other + size


def _piecewise(before: Rows, after: Rows) -> Iterator[Pair]:
    """Yield an alignment of stretches too long for the best one, piece by piece."""
    pieces = len(before) * len(after) // MOST_PAIRS + 1
    for piece in range(pieces):
        parts = (
            rows[len(rows) * piece // pieces : len(rows) * (piece + 1) // pieces]
            for rows in (before, after)
        )
        yield from _best(*parts)


def _best(before: Rows, after: Rows) -> Iterator[Pair]:
    """Yield the alignment of least cost, by dynamic programming (Needleman & Wunsch 1970)."""
    costs = [ALONE * count for count in range(len(after), -1, -1)]
    choices: list[bytearray] = []  # for each place in both: 0 a pair, 1 removed, 2 added
    for row in reversed(before):
        below, costs = costs, [costs[-1] + ALONE] * len(costs)
        choice = bytearray([1]) * len(costs)
        for j in range(len(after) - 1, -1, -1):
            cost = (below[j + 1] + _cost(row, after[j]), below[j] + ALONE, costs[j + 1] + ALONE)
            costs[j] = min(cost)
            choice[j] = cost.index(costs[j])
        choices.append(choice)
    i = j = 0
    while i < len(before) or j < len(after):
        taken = choices[len(before) - 1 - i][j] if i < len(before) else 2
        yield (before[i] if taken != 2 else None), (after[j] if taken != 1 else None)
        i += taken != 2
        j += taken != 1


def _cost(a: Row, b: Row) -> int:
    """Return how unlike two rows are; above twice `ALONE` for rows that must not be paired."""
    if a.path == b.path:
        apart = 0
    else:
        same_end = a.path.rpartition(SEPARATOR)[2] == b.path.rpartition(SEPARATOR)[2]
        apart = 1 if same_end else 2
    if a.kind != b.kind:
        return 2 * ALONE + 1 if apart else ALONE
    if _content(a) == _content(b):
        return apart
    return apart + 2 + (a.label != b.label) + (a.shape != b.shape)

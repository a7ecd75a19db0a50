"""Lines between two rows of boxes: which of them bend, at what height, and in what order.

The gap between two rows is a channel. Lines come in from above at given places, from a box or from
a lane, and leave below at given places. Each line is vertical but for one horizontal stretch on a
track of the channel. Lines with the same ends below share a track, as a bus; all others that would
touch have tracks of their own, in the order in which they cross least.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Key: TypeAlias = Hashable
"""One end of a line: whatever tells it from the others."""

APART: Final = 5.0
"""Least distance of two vertical lines."""

MOST_COMPARED: Final = 100
"""Largest number of wires that are compared pair by pair: more have a track each."""


@dataclass(eq=False)
class Wire:
    """A line, or several that share a track, in one channel."""

    tops: dict[Key, float]
    """The x of each line from above."""
    bottoms: dict[Key, float]
    """The x of each end below."""
    track: int | None = None
    """Number of its track, from above; None for a straight line."""
    detours: dict[float, tuple[float, int]] = field(default_factory=dict)
    """Ends below that another line from above is in the way of: the x where the wire goes down
    instead, and the track on which it comes back."""

    @property
    def low(self) -> float:
        return min(*self.tops.values(), *self._landings())

    @property
    def high(self) -> float:
        return max(*self.tops.values(), *self._landings())

    def _landings(self) -> Iterable[float]:
        for x in self.bottoms.values():
            yield self.detours[x][0] if x in self.detours else x


def buses(wires: Iterable[Wire]) -> list[Wire]:
    """Return wires of which those that end at the same places are one."""
    joined: dict[frozenset[Key], Wire] = {}
    for wire in wires:
        ends = frozenset(wire.bottoms)
        if ends in joined:
            joined[ends].tops.update(wire.tops)
        else:
            joined[ends] = wire
    return list(joined.values())


def route(wires: Sequence[Wire]) -> int:
    """Give each wire that bends a track, and return the number of tracks."""
    bent = [wire for wire in wires if wire.high - wire.low > 0.01]
    if not bent:
        return 0
    order = _in_order(bent)
    returns = _detours(order, wires)
    tracks = 0
    placed: list[tuple[float, float, int]] = []
    for wire in order:
        low, high = wire.low - APART, wire.high + APART
        if len(order) > MOST_COMPARED:
            wire.track = tracks
        else:
            above = (track for left, right, track in placed if left < high and low < right)
            wire.track = 1 + max(above, default=-1)
            placed.append((wire.low, wire.high, wire.track))
        tracks = max(tracks, wire.track + 1)
    for wire, x in returns:
        wire.detours[x] = (wire.detours[x][0], tracks)
        tracks += 1
    return tracks


def _in_order(wires: list[Wire]) -> list[Wire]:
    """Return wires from the highest track to the lowest, so that few of them cross."""
    if len(wires) > MOST_COMPARED:
        return sorted(wires, key=lambda wire: -min(wire.tops.values()))
    above = {
        id(one): {id(other): _crossings(one, other) - _crossings(other, one) for other in wires}
        for one in wires
    }
    order: list[Wire] = []
    left = list(wires)
    while left:
        best = min(left, key=lambda one: sum(max(0, above[id(one)][id(other)]) for other in left))
        order.append(best)
        left.remove(best)
    return order


def _crossings(upper: Wire, lower: Wire) -> int:
    """Return how often two wires cross if one is above the other, and more if they would touch."""
    if upper is lower:
        return 0
    left, right = upper.low, upper.high
    count = sum(left < x < right for key, x in lower.tops.items() if key not in upper.tops)
    left, right = lower.low, lower.high
    count += sum(left < x < right for x in upper.bottoms.values())
    for x in upper.bottoms.values():
        if any(abs(x - top) < APART for top in lower.tops.values()):
            count += 1_000
    return count


def _detours(order: list[Wire], wires: Sequence[Wire]) -> list[tuple[Wire, float]]:
    """Add a detour for each end below a line that comes from above and reaches further down."""
    place = {id(wire): number for number, wire in enumerate(order)}
    tops = sorted((x, place.get(id(wire), -1)) for wire in wires for x in set(wire.tops.values()))
    taken = sorted({x for wire in wires for x in (*wire.tops.values(), *wire.bottoms.values())})
    found: list[tuple[Wire, float]] = []
    for number, wire in enumerate(order):
        for x in set(wire.bottoms.values()):
            at = bisect_left(tops, (x - APART + 0.01, -1))
            while at < len(tops) and tops[at][0] < x + APART:
                if tops[at][1] > number:
                    detour = _free(taken, x)
                    insort(taken, detour)
                    wire.detours[x] = (detour, 0)
                    found.append((wire, x))
                    break
                at += 1
    return found


def _free(taken: list[float], x: float) -> float:
    """Return the x nearest to a given one that is far enough from all that are taken."""
    for step in range(1, 2 * len(taken) + 2):
        for free in (x + step * (APART + 1), x - step * (APART + 1)):
            at = bisect_left(taken, free - APART)
            if at == len(taken) or taken[at] > free + APART:
                return free
    return taken[-1] + 2 * APART

"""The order of boxes in a frame: which follow each other, which stand beside each other.

Boxes are numbers here, and each reads others with lower numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def series(inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return boxes in groups that follow each other.

    A box that all others are before or after is a group alone.

    Args:
        inputs: The boxes that each box reads.
    """
    count = len(inputs)
    first_reader = [count] * count
    for reader in reversed(range(count)):
        for source in inputs[reader]:
            first_reader[source] = reader
    # Every later box is after a box if each reads that box or one between the two.
    least = [count] * (count + 1)
    for number in reversed(range(count)):
        least[number] = min(least[number + 1], max(inputs[number], default=-1))
    groups: list[list[int]] = []
    rest: list[int] = []
    furthest = -1
    for number in range(count):
        if furthest <= number <= least[number + 1]:
            groups += [rest] if rest else []
            groups.append([number])
            rest = []
        else:
            rest.append(number)
        furthest = max(furthest, first_reader[number])
    return [*groups, rest] if rest else groups


def shortcuts(inputs: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, bool]]:
    """Yield each line's source and target, and whether a longer way joins them as well."""
    before: list[int] = []
    for target, sources in enumerate(inputs):
        indirect = 0
        for source in sources:
            indirect |= before[source]
        reach = indirect
        for source in sources:
            yield source, target, bool(indirect >> source & 1)
            reach |= 1 << source
        before.append(reach)


def components(group: Sequence[int], inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the boxes of a group in parts with no line between two of them."""
    leader = {number: number for number in group}

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    for number in group:
        for source in inputs[number]:
            if source in leader:
                one, other = sorted((find(number), find(source)))
                leader[other] = one
    parts: dict[int, list[int]] = {}
    for number in group:
        parts.setdefault(find(number), []).append(number)
    return list(parts.values())


def ranks(group: Sequence[int], inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return boxes in rows, each below all that it reads and near to its readers."""
    inside = set(group)
    rank: dict[int, int] = {}
    readers: dict[int, list[int]] = {number: [] for number in group}
    for number in group:
        sources = [source for source in inputs[number] if source in inside]
        rank[number] = 1 + max((rank[source] for source in sources), default=-1)
        for source in sources:
            readers[source].append(number)
    for number in group:
        if readers[number] and inside.isdisjoint(inputs[number]):
            rank[number] = min(rank[reader] for reader in readers[number]) - 1
    rows: dict[int, list[int]] = {}
    for number in group:
        rows.setdefault(rank[number], []).append(number)
    place: dict[int, float] = {}
    ordered: list[list[int]] = []
    for _, row in sorted(rows.items()):
        for at, number in enumerate(row):
            above = [place[source] for source in inputs[number] if source in place]
            place[number] = sum(above) / len(above) if above else at - (len(row) - 1) / 2
        row.sort(key=place.__getitem__)
        for at, number in enumerate(row):
            place[number] = at - (len(row) - 1) / 2
        ordered.append(row)
    return ordered

"""Repeats in a tree of items: rounds of loops, and lists of items that do the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from archspec.ejection.outline import Item, Leaf, Loop, Nest, Round
from archspec.graph.graph import SEPARATOR

LONGEST_ROUND = 12
"""Largest number of items in a round that is not a group of its own."""

_NUMBER = re.compile(r"\d+")


Column: TypeAlias = tuple[Item | None, ...]
"""The items at one place of several lists; None in a list that has none there."""


def roll(items: list[Item], refused: AbstractSet[str]) -> list[Item]:
    """Return items with consecutive ones that do the same as loops.

    Args:
        items: The items; those inside them are changed.
        refused: Paths at which no loop may begin.
    """
    for item in items:
        if isinstance(item, Nest):
            item.items = roll(item.items, refused)
    result: list[Item] = []
    steps = [_step(item) for item in items]
    start = 0
    while start < len(items):
        loop, size = _longest(items, steps, start, refused)
        result.append(loop or items[start])
        start += size
    return result


def first_path(item: Item) -> str:
    """Return the path of an item; of a loop, that of its first round's first item."""
    if isinstance(item, Loop):
        return first_path(item.rounds[0].items[0])
    return item.path


def _longest(
    items: list[Item], steps: Sequence[_Step], start: int, refused: AbstractSet[str]
) -> tuple[Loop | None, int]:
    """Return the loop that replaces most items from `start` on, and the number of these."""
    best: Loop | None = None
    covered = 1
    if first_path(items[start]) in refused:
        return None, 1
    for period in range(1, min(LONGEST_ROUND, (len(items) - start) // 2) + 1):
        count = _rounds(steps, start, period)
        while count > 1:
            rounds = [
                _round(items[start + number * period : start + (number + 1) * period])
                for number in range(count)
            ]
            loop = Loop(rounds)
            if count * period > covered and is_worth_it(loop):
                best, covered = loop, count * period
                break
            count -= 1
    return best, covered


def _round(items: list[Item]) -> Round:
    (item, *others) = items
    if not others and isinstance(item, Nest) and item.element is None:
        return Round(item.path, item.items, is_group=True)
    return Round(parent(first_path(item)), items, is_group=False)


def parent(path: str) -> str:
    """Return the path of what is around; empty for the outermost."""
    return path.rpartition(SEPARATOR)[0]


class _Step(NamedTuple):
    """An item, as far as rounds are looked for."""

    kind: tuple[Any, ...]
    """Its sort, and its name with `#` for numbers: the same in each round."""
    numbers: tuple[int, ...]
    """Numbers in its name, one of which counts the rounds."""


def _step(item: Item) -> _Step:
    name, numbers = _numbered(_last(item))
    return _Step((sort(item), name), numbers)


def _rounds(steps: Sequence[_Step], start: int, period: int) -> int:
    """Return how often the steps from `start` on repeat, their numbers counting up by 1."""
    here = start + period
    while here + period <= len(steps) and all(
        _follows(steps[place - period], steps[place]) for place in range(here, here + period)
    ):
        here += period
    return (here - start) // period


def _follows(step: _Step, other: _Step) -> bool:
    if step.kind != other.kind:
        return False
    differences = [b - a for a, b in zip(step.numbers, other.numbers, strict=True)]
    return sum(map(abs, differences)) == 1 and sum(differences) == 1


@lru_cache(maxsize=10_000)
def _numbered(path: str) -> tuple[str, tuple[int, ...]]:
    """Return a path with `#` for its numbers, and these."""
    return _NUMBER.sub("#", path), tuple(map(int, _NUMBER.findall(path)))


def _last(item: Item) -> str:
    if isinstance(item, Loop):
        return " ".join(_last(each) for each in item.rounds[0].items)
    path = item.path.rpartition(SEPARATOR)[2]
    if isinstance(item, Leaf) and isinstance(item.out, tuple):
        return f"{path} {item.out[1]}"
    return path


def sort(item: Item) -> tuple[Any, ...]:
    """Return what two items must have in common so that one line of a program can be both."""
    if isinstance(item, Leaf):
        return item.sort
    if isinstance(item, Loop):
        first: Item = item
        while isinstance(first, Loop):  # a loop of one round is none: its item stands for it
            first = first.rounds[0].items[0]
        return ("loop", sort(first))
    return ("block" if item.element else "group", item.kind, item.function)


def is_worth_it(loop: Loop) -> bool:
    """Return whether rounds are alike enough to be written as a loop.

    Those of a group are if their steps are the same. Others, which may follow each other by chance,
    must be alike in all values but one, or two of them in many rounds.
    """
    rounds = loop.rounds
    if any(isinstance(item, Leaf) and item.is_shared for each in rounds for item in each.items):
        return False
    lists = [spliced(each) for each in rounds]
    if rounds[0].is_group:
        return _aligned(rounds, lists) is not None
    lists = _with_equal_loops(lists)
    if len({*map(len, lists)}) > 1:
        return False
    columns = [*zip(*lists, strict=True)]
    if any(len({*map(sort, column)}) > 1 for column in columns):
        return False
    if sum(len(_varying(column)) for column in columns) > (1 if len(rounds) < 4 else 2):
        return False
    return len({_keys(items, each) for items, each in zip(lists, rounds, strict=True)}) == 1


def _varying(items: Sequence[Item | None]) -> set[int | str]:
    """Return the arguments in which items of a sort differ."""
    tables: list[dict[Any, Any]] = []
    for item in items:
        if isinstance(item, Leaf):
            tables.append({k: v for k, v in item.construction.arguments.items() if k != "name"})
        elif isinstance(item, Nest) and item.element:
            tables.append({k: getattr(item.element, k) for k in type(item.element).model_fields})
    first = tables[0] if tables else {}
    return {key for key in first if any(each[key] != first[key] for each in tables)}


def aligned(rounds: Sequence[Round], *, blocks: bool = False) -> list[Column] | None:
    """Return the items of several rounds side by side; None if they have too little in common.

    Args:
        rounds: The rounds of a loop, or the bodies of blocks.
        blocks: Whether they are blocks, which are one function although some have more items.
    """
    lists = [spliced(each) for each in rounds]
    apart = _without_pairs(lists)
    is_one = len({_keys(items, each) for items, each in zip(apart, rounds, strict=True)}) == 1
    return _aligned(rounds, apart if blocks or is_one else lists)


def _keys(items: Sequence[Item], around: Round) -> Keys:
    return tuple((_place(item, around), sort(item)) for item in items)


def _aligned(rounds: Sequence[Round], lists: list[list[Item]]) -> list[Column] | None:
    lists = _with_equal_loops(lists)
    keys = [_keys(items, each) for items, each in zip(lists, rounds, strict=True)]
    merged = _merged({*keys}, keys[0])
    if merged is None:
        return None
    columns: list[list[Item | None]] = [[] for _ in merged]
    for items, own in zip(lists, keys, strict=True):
        at = 0
        for key, column in zip(merged, columns, strict=True):
            if at < len(own) and own[at] == key:
                column.append(items[at])
                at += 1
            else:
                column.append(None)
    return [tuple(column) for column in columns if any(column)]


def is_reordered(rounds: Sequence[Round], columns: Sequence[Column]) -> bool:
    """Return whether a layer stands at one place in some rounds and elsewhere in others.

    A convolution before its norm and one after it are two functions to whoever reads them.
    """
    places = [
        next(_place(item, each) for item, each in zip(column, rounds, strict=True) if item)
        for column in columns
    ]
    return len({*places}) < len(places)


Keys: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]
"""Places and sorts of the items of a round, in their order."""


def keys_of(around: Round) -> Keys:
    """Return what the items of a round are, where rounds of a block are compared."""
    return _keys(spliced(around), around)


def _merged(kinds: set[Keys], first: Keys) -> Keys | None:
    """Return a list of items in which each of some lists is.

    None if less than half of its items would be in all of them.
    """
    merged = first
    for other in sorted(kinds - {first}, key=len, reverse=True):
        merged = _union(merged, other)
    if not all(_is_inside(kind, merged) for kind in kinds):
        return None
    whole = sum(all(key in kind for kind in kinds) for key in merged)
    return merged if 2 * whole >= len(merged) else None


def _is_inside(short: Keys, long: Keys) -> bool:
    """Return whether all items of a list are found in another, in their order."""
    at = 0
    for key in long:
        at += at < len(short) and short[at] == key
    return at == len(short)


def _place(item: Item, around: Round) -> str:
    """Return an item's path as the rounds have it in common."""
    relative = first_path(item)[len(around.path) :]
    if isinstance(item, Leaf) and isinstance(item.out, tuple):
        relative += f" {item.out[1]}"
    return relative if around.is_group else _numbered(relative)[0]


def _union(first: Keys, second: Keys) -> Keys:
    """Return a list in which both stand in their order."""
    result: list[Any] = []
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    for _, i, j, k, m in matcher.get_opcodes():
        result += first[i:j]
        if first[i:j] != second[k:m]:
            result += second[k:m]
    return tuple(result)


def spliced(around: Round) -> list[Item]:
    """Return a round's items, those of groups instead of the groups."""
    result: list[Item] = []
    for item in around.items:
        if isinstance(item, Nest) and item.element is None:
            result += spliced(Round(item.path, item.items, is_group=True))
        else:
            result.append(item)
    return result


def _without_pairs(lists: list[list[Item]]) -> list[list[Item]]:
    """Return lists in which a loop of two is two items, as they are in another of the lists."""
    loops = [{sort(item): item for item in items if isinstance(item, Loop)} for items in lists]
    pairs = {
        kind
        for own in loops
        for kind, loop in own.items()
        if all(_is_pair(other[kind]) for other in loops if kind in other)
        and not all(kind in other for other in loops)
        and all(
            kind in other or _count(items, loop.rounds[0].items[0]) > 1
            for items, other in zip(lists, loops, strict=True)
        )
    }

    def unrolled(item: Item) -> list[Item]:
        if not isinstance(item, Loop) or sort(item) not in pairs:
            return [item]
        return [each for around in item.rounds for each in around.items]

    return [[each for item in items for each in unrolled(item)] for items in lists]


def _is_pair(loop: Loop) -> bool:
    """Return whether a loop is of two single items."""
    (first, *others) = loop.rounds
    return len(others) == 1 and len(first.items) == 1 and not first.is_group


def _count(items: Sequence[Item], like: Item) -> int:
    """Return the number of items of an item's sort."""
    return sum(sort(each) == sort(like) for each in items)


def _same(around: Round, items: Sequence[Item]) -> bool:
    """Return whether items do the same as those of a round without a group, by the same names."""
    if around.is_group or len(around.items) != len(items):
        return False
    pairs = zip(around.items, items, strict=True)
    return all(sort(one) == sort(two) and _last(one) == _last(two) for one, two in pairs)


def _with_equal_loops(lists: list[list[Item]]) -> list[list[Item]]:
    """Return lists in which what is a loop in one and a single round in another is a loop too."""
    sorts = {sort(item): item for items in lists for item in items if isinstance(item, Loop)}
    if not sorts:
        return lists
    result = []
    for items in lists:
        new: list[Item] = []
        here = {sort(item) for item in items}
        at = 0
        while at < len(items):
            for kind, model in sorts.items():
                size = len(model.rounds[0].items)
                window = items[at : at + size]
                if kind not in here and _same(model.rounds[0], window):
                    new.append(Loop([_round(window)]))
                    at += size
                    break
            else:
                new.append(items[at])
                at += 1
        result.append(new)
    return result

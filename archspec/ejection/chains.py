"""Loops that apply one layer after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from archspec.ejection.program import Alias, Apply, Call, For, If, Statement, Value
from archspec.errors import Portable


class UnrollError(Portable):
    """Raised for loops that no list of layers can be.

    `starts` are the paths where the rounds of each of them begin.
    """

    def __init__(self, starts: Sequence[Sequence[str]]) -> None:
        super().__init__(starts)
        self.starts = starts


_Result = TypeVar("_Result")


def without_loops(write: Callable[[AbstractSet[str]], _Result]) -> _Result:
    """Return what a function writes, called again without the loops that it refuses.

    A loop without its first round may do. Where it does not, twice as many rounds go the next time.

    Args:
        write: Writes a program, given the paths at which no loop may begin.
    """
    unrolled: set[str] = set()
    before: set[str] = set()
    count = 1
    while True:
        try:
            return write(unrolled)
        except UnrollError as error:
            rounds = {each for loop in error.starts for each in loop}
            count = 2 * count if rounds <= before else 1
            first = {each for loop in error.starts for each in loop[:count]}
            if first <= unrolled:
                raise
            before = rounds
            unrolled |= first


def is_chain(loop: For, is_link: Callable[[Apply], bool] = lambda _: True) -> bool:
    """Return whether a loop only applies layers, which a list can hold, one after the other."""
    return (
        len(loop.carried) == 1
        and not loop.collected
        and _is_chain(loop.body, loop.carried[0].name, is_link)
    )


def is_row(loop: For) -> bool:
    """Return whether each round of a loop applies the same few layers, and nothing else."""
    return not loop.collected and all(
        isinstance(each, (Apply, Call))
        and not (isinstance(each, Apply) and each.reuse)
        and all(isinstance(read, Value) for read in each.inputs)
        for each in loop.body
        if not isinstance(each, Alias)
    )


def _is_chain(body: Sequence[Statement], name: str, is_link: Callable[[Apply], bool]) -> bool:
    for each in body:
        if isinstance(each, If):
            if not _is_chain(each.body, name, is_link):
                return False
        elif isinstance(each, For):
            if not is_chain(each, is_link) or each.carried[0].name != name:
                return False
        elif not isinstance(each, (Apply, Call)) or not _goes_through(each, name, is_link):
            return False
    return True


def _goes_through(statement: Apply | Call, name: str, is_link: Callable[[Apply], bool]) -> bool:
    inputs, targets = statement.inputs, statement.targets
    if isinstance(statement, Apply) and (statement.reuse or not is_link(statement)):
        return False
    return (
        len(inputs) == len(targets) == 1
        and isinstance(inputs[0], Value)
        and inputs[0].name == targets[0].name == name
    )

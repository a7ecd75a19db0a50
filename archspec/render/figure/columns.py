"""Columns of a long chain of rows, so that a figure has about the shape of a page."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

PAGE: Final = 1.3
"""Height of a page by its width."""


def columns(
    ends: Sequence[float], cuts: Sequence[int], width: float, tallest: float
) -> list[range]:
    """Return the rows of each column: one column, unless the chain of rows is long.

    Args:
        ends: The lower edge of each row. Rows count from 1.
        cuts: The rows that a column may end with, in order.
        width: Width of a column, with the space beside it.
        tallest: Height up to which there is one column.
    """
    if ends[-1] <= tallest or not cuts:
        return [range(1, len(ends) + 1)]

    def unlike_a_page(chosen: list[range]) -> float:
        """Return a number that is 1 for full columns on a page, and larger for any other."""
        tops = [ends[rows[0] - 2] if rows[0] > 1 else 0.0 for rows in chosen]
        height = max(ends[rows[-1] - 1] - top for rows, top in zip(chosen, tops, strict=True))
        ratio = height / (len(chosen) * width) / PAGE
        empty = len(chosen) * height / ends[-1]
        return max(ratio, 1 / ratio) * empty**2

    most = round((ends[-1] / (PAGE * width)) ** 0.5) + 1
    return min((_split(ends, cuts, number) for number in range(1, most + 1)), key=unlike_a_page)


def _split(ends: Sequence[float], cuts: Sequence[int], number: int) -> list[range]:
    """Return rows in so many columns of about equal heights, or in fewer where no cut is near."""
    found: list[range] = []
    begin = 1
    for part in range(1, number):
        ideal = ends[-1] * part / number
        at = bisect_left(cuts, ideal, key=lambda cut: ends[cut - 1])
        near = cuts[max(0, at - 1) : at + 1]
        last = min(near, key=lambda cut: abs(ends[cut - 1] - ideal))
        if last >= begin:
            found.append(range(begin, last + 1))
            begin = last + 1
    return [*found, range(begin, len(ends) + 1)]

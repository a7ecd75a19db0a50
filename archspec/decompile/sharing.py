"""Chains of layers that are applied several times with the same weights."""

from __future__ import annotations

from typing import NamedTuple

from archspec.decompile.view import Place, View


class Chain(NamedTuple):
    """Layers one after the other, and the same layers again elsewhere."""

    nodes: tuple[int, ...]
    copies: tuple[tuple[int, ...], ...]
    """The nodes of each further use, in the order of `nodes`."""


def chains(view: View) -> list[Chain]:
    """Return the chains of all layers whose weights are shared, each as long as possible."""
    copies: dict[str, list[int]] = {}
    for place in view.places:
        if owner := place.node.layer.owner:
            copies.setdefault(owner, []).append(place.index)
    found: list[Chain] = []
    done: set[int] = set()
    for place in view.places:
        if place.node.name in copies and place.index not in done:
            columns = [[place.index], *([each] for each in copies[place.node.name])]
            _grow(view, columns, copies)
            first, *others = columns
            while len(first) > 1 and any(other[-1] < first[-1] for other in others):
                for column in columns:
                    column.pop()
            done.update(index for column in columns for index in column)
            found.append(Chain(tuple(first), tuple(map(tuple, others))))
    return found


def _grow(view: View, columns: list[list[int]], copies: dict[str, list[int]]) -> None:
    """Add the layers that follow in all uses of a chain."""
    taken = {index for column in columns for index in column}
    while True:
        following: list[Place] = []
        for column in columns:
            end = column[-1]
            if not view.is_inner(end):
                return
            following.append(view.places[view.readers[end][0]])
        first, *others = following
        if any(len(each.inputs) != 1 or each.index in taken for each in following):
            return
        if len({each.index for each in following}) < len(following):
            return
        if any(each.op != first.op for each in others):
            return
        owners = {each.node.layer.owner for each in others}
        wanted = {first.node.name} if first.node.layer.weights else {""}
        if owners != wanted or first.node.layer.owner:
            return
        if first.node.layer.weights and len(copies[first.node.name]) != len(others):
            return
        for column, each in zip(columns, following, strict=True):
            column.append(each.index)
            taken.add(each.index)

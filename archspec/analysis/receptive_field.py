"""Receptive fields: how much of the input a value sees, and how far apart two neighbours look.

The theoretical field, not cut at the image's border: each window of extent k widens it by k - 1
steps of the cumulative stride (Le & Borji 2017, arXiv:1705.07049; Araujo et al. 2019).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from archspec.graph.graph import Graph


class Field(NamedTuple):
    """Extent and cumulative stride along each spatial axis, in pixels of the input."""

    size: tuple[int | Fraction, ...]
    stride: tuple[int | Fraction, ...]


def receptive_fields(graph: Graph) -> list[Field | None]:
    """The field of every node; None where a value sees the whole input.

    A merge sees what its widest input sees.
    """
    fields: list[Field | None] = []
    for node in graph.nodes:
        if not node.inputs:
            rank = node.shape.rank
            fields.append(Field((1,) * rank, (1,) * rank))
            continue
        before = fields[node.inputs[0]]
        for index in node.inputs[1:]:
            before = _wider(before, fields[index])
        reach = node.op.reach(node.layer.inputs[0])
        if before is None or reach is None or not before.size:
            fields.append(None)
            continue
        size = tuple(
            s + (window - 1) * step
            for s, window, step in zip(before.size, reach.window, before.stride, strict=True)
        )
        stride = tuple(a * b for a, b in zip(before.stride, reach.stride, strict=True))
        fields.append(Field(size, stride))
    return fields


def _wider(a: Field | None, b: Field | None) -> Field | None:
    if a is None or b is None or a == b:
        return a if b is not None else None
    size = tuple(max(pair) for pair in zip(a.size, b.size, strict=True))
    return Field(size, a.stride)

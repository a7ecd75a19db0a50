"""Receptive fields: how much of the input a value sees, and how far apart two neighbours look.

The theoretical field, not cut at the image's border: each window of extent k widens it by k - 1
steps of the cumulative stride (Le & Borji 2017, arXiv:1705.07049; Araujo et al. 2019).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from archspec.graph.graph import Graph
from archspec.ops.op import Reach


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
        reach = node.layer.reach
        if not node.inputs:
            rank = node.shape.rank
            fields.append(Field((1,) * rank, (1,) * rank))
            continue
        field = fields[node.inputs[0]]
        for index in node.inputs[1:]:
            field = _wider(field, fields[index])
        if field is None or reach is None or not field.size:
            fields.append(None)
        elif len(reach.window) == len(field.size):
            fields.append(_seen(field, reach))
        else:  # on the vector of a `path_draw`, which sees as little as its input
            fields.append(None)
    return fields


def _seen(field: Field, reach: Reach) -> Field:
    """What is seen through a window on values that see `field`."""
    if reach.window == reach.stride == (1,) * len(field.size):
        return field
    size = tuple(
        seen + (window - 1) * step
        for seen, window, step in zip(field.size, reach.window, field.stride, strict=True)
    )
    stride = tuple(a * b for a, b in zip(field.stride, reach.stride, strict=True))
    return Field(size, stride)


def _wider(a: Field | None, b: Field | None) -> Field | None:
    if a is None or b is None or a == b:
        return a if b is not None else None
    size = tuple(max(pair) for pair in zip(a.size, b.size, strict=True))
    return Field(size, a.stride)

"""Receptive fields: how much of the input a value sees, and how far apart two neighbours look.

The theoretical field, not cut at the image's border: each window of extent k widens it by k - 1
steps of the cumulative stride (Le & Borji 2017, arXiv:1705.07049; Araujo et al. 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.graph.graph import Graph, Input
from archspec.ops.op import Reach

if TYPE_CHECKING:
    from fractions import Fraction


class ReceptiveField(NamedTuple):
    """Extent and cumulative stride along each spatial axis, in pixels of the input."""

    size: tuple[int | Fraction, ...]
    stride: tuple[int | Fraction, ...]


_NOTHING: Final = tuple([Reach((1,) * rank, (1,) * rank) for rank in (2, 1, 3)])
"""Windows of ops that see one place alone, by rank, the most frequent one first."""


def receptive_fields(graph: Graph) -> list[ReceptiveField | None]:
    """Return the field of every node; None where a value sees a whole input.

    A merge sees what its widest input sees. Values that see inputs of different numbers of axes,
    or a vector, have no field.
    """
    fields: list[ReceptiveField | None] = []
    for _, _, layer, inputs in graph.nodes:
        reach = layer.reach
        if isinstance(layer.op, Input):
            ones = (1,) * layer.output.rank
            fields.append(ReceptiveField(ones, ones))
            continue
        field = fields[inputs[0]] if inputs else None
        if len(inputs) > 1 and not layer.op.values_of_first:
            for index in inputs[1:]:
                field = _wider(field, fields[index])
        if field is None or reach is None or not field.size:
            field = None
        elif len(reach.window) != len(field.size):
            # On the vector of a `path_draw`, which sees as little as its input.
            field = None
        elif reach not in _NOTHING:
            field = _seen(field, reach)
        fields.append(field)
    return fields


def _seen(field: ReceptiveField, reach: Reach) -> ReceptiveField:
    """Return the field of a window on values that see `field`."""
    axes = zip(*field, *reach, strict=True)
    seen = [(size + (window - 1) * step, step * by) for size, step, window, by in axes]
    return ReceptiveField(tuple([size for size, _ in seen]), tuple([step for _, step in seen]))


def _wider(a: ReceptiveField | None, b: ReceptiveField | None) -> ReceptiveField | None:
    if a is None or b is None or len(a.size) != len(b.size):
        return None
    if a == b:
        return a
    size = tuple(max(pair) for pair in zip(a.size, b.size, strict=True))
    return ReceptiveField(size, a.stride)

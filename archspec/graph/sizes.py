"""Sizes of the inputs of an open network: the smallest that it takes, and larger ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import lcm
from typing import Any, Final

from archspec.errors import Problem
from archspec.graph.graph import Graph, PlacedBlock
from archspec.ops.axes import AXES
from archspec.ops.fields import LARGEST
from archspec.ops.shape import Shape

USUAL: Final = 224
"""Extent of each open axis at which a network is looked at where nobody says another."""


def open_input(graph: Graph) -> Shape:
    """Return the shape of the first input with open extents; of the first where none has any.

    Axes of one name have one extent in all inputs.
    """
    shapes = graph.input_shapes.values()
    return next((shape for shape in shapes if shape.is_open), graph.input)


def smallest(graph: Graph) -> Mapping[str, int] | None:
    """Return the smallest size that an open network takes; None where none up to the limit fits.

    From it on, every size has the shapes that the formulas give.
    """
    sizes = _least(graph)
    if _fits(graph, sizes):
        return sizes
    # The extents alone do not tell: some layer needs more. It is searched for.
    low, high = 1, 2
    while not _fits(graph, _times(graph, sizes, high)):
        low, high = high, 2 * high
        if max(_times(graph, sizes, high).values()) > LARGEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        fits = _fits(graph, _times(graph, sizes, middle))
        low, high = (low, middle) if fits else (middle, high)
    found = _times(graph, sizes, high)
    units = _units(graph)
    for name in found:  # which may need less on one axis than on the other
        while found[name] > sizes[name] and _fits(
            graph, less := {**found, name: found[name] - units[name]}
        ):
            found = less
    return found


def usual(graph: Graph, least: Mapping[str, int] | None) -> dict[str, int] | None:
    """Return the size at which an open network is looked at: 224 along each axis, or what fits.

    Args:
        graph: The network.
        least: The smallest size that it takes; None gives None.
    """
    if least is None:
        return None
    units = _units(graph)
    return larger(graph, least, [-(min(n - USUAL, 0) // units[name]) for name, n in least.items()])


def words(shape: Shape, sizes: Mapping[str, int]) -> str:
    """Return the spatial extents of an input at a size, as `32x32`, also at one that is wrong."""
    extents = zip(AXES[shape.rank], shape.known[:-1], strict=True)
    return "x".join(str(sizes[name] if n is None else n) for name, n in extents)


def larger(graph: Graph, sizes: Mapping[str, int], steps: Iterable[int]) -> dict[str, int]:
    """Return a size that is some steps larger along each axis."""
    units = _units(graph)
    return {
        name: size + step * units[name]
        for (name, size), step in zip(sizes.items(), steps, strict=False)
    }


def _times(graph: Graph, sizes: Mapping[str, int], number: int) -> dict[str, int]:
    """Return a size that is `number - 1` steps larger along every axis."""
    return larger(graph, sizes, [number - 1] * len(sizes))


def _units(graph: Graph) -> dict[str, int]:
    """Return what each open axis is a multiple of."""
    units: dict[str, int] = {}
    for shape in graph.input_shapes.values():
        for extent in shape:
            if not isinstance(extent, int):
                (name,) = extent.axes
                units[name] = lcm(units.get(name, 1), extent.unit(name))
    return units


def _least(graph: Graph) -> dict[str, int]:
    """Return the smallest size at which no extent is below 1."""
    sizes = _units(graph)
    for name, unit in sizes.items():
        for extent in set(_extents(graph)):
            if extent.axes == (name,) and extent.at({name: sizes[name]}) < 1:
                low, high = sizes[name] // unit, LARGEST // unit
                while high - low > 1:
                    middle = (low + high) // 2
                    if extent.at({name: middle * unit}) < 1:
                        low = middle
                    else:
                        high = middle
                sizes[name] = high * unit
    return sizes


def _extents(graph: Graph) -> Iterator[Any]:
    """Yield the open extents of all layers, those of a repeated block once."""
    waiting = [graph.pieces]
    seen: set[int] = set()
    while waiting:
        for piece in waiting.pop():
            yield from (n for n in piece.shape if not isinstance(n, int))
            if isinstance(piece, PlacedBlock) and id(piece.costs) not in seen:
                seen.add(id(piece.costs))
                waiting.append(piece.costs.pieces)


def _fits(graph: Graph, sizes: Mapping[str, int]) -> bool:
    """Whether all layers take an input of this size, and give what their formulas say."""
    try:
        closed = graph.at(sizes)
    except Problem:
        return False
    pairs = zip(graph.pieces, closed.pieces, strict=True)
    return all(open_.shape.at(sizes) == piece.shape for open_, piece in pairs)

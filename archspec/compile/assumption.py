"""Assumed outputs of steps that do not fit, so that the steps after them are checked as well.

A failed step is taken to give the shape that it would give on an input that it fits. Of that shape
the number of axes and mostly the channels are certain, the spatial extents are not: a node whose
shape is assumed therefore has two shapes that differ in all that is uncertain. What fails on both
in the same way is a mistake of its own; all else may be the consequence of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeGuard

from archspec.element import Element
from archspec.errors import Problem
from archspec.graph.builder import TRIAL, Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import Reshape
from archspec.ops.merge import Merge
from archspec.ops.op import Elementwise
from archspec.ops.shape import Shape

FURTHER = 960
"""Difference between the two shapes of an uncertain node along each spatial axis."""

DIVISIBLE = 2_520
"""Factor between its channels where they are uncertain: a multiple of all numbers up to 10."""

AMPLE = {1: 960, 2: 960, 3: 120}
"""An extent on which any sensible window fits, by the number of spatial axes."""

UNSURE = "?"
"""Sign for a number in a message that is uncertain."""


class Assumptions:
    """The nodes of a builder whose shapes are assumed."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.others: dict[int, Shape] = {}
        """Second shape of each uncertain node, by its index."""

    def other(self, node: Node) -> Shape:
        """Return the second shape of a node; the only one where it is certain."""
        return self.others.get(node.index, node.shape)

    def uncertain(self, nodes: tuple[Node, ...]) -> bool:
        return bool(self.others) and any(node.index in self.others for node in nodes)

    def after(
        self, element: Element, path: str, nodes: tuple[Node, ...]
    ) -> tuple[Node | None, Problem | None]:
        """Return what an element gives on nodes of which some are uncertain, and what is wrong."""
        shapes = [node.shape for node in nodes]
        first, second = (
            self.tried(element, shapes),
            self.tried(element, [self.other(node) for node in nodes]),
        )
        if isinstance(first, Shape) and isinstance(second, Shape):
            return self.node(path, first, second), None
        for output in (first, second, self._agreeing(element, nodes)):
            if isinstance(output, Shape):
                return self.node(path, output, _varied(output, self._vague(nodes))), None
        if isinstance(element, Reshape) and _is_shape(element.to):  # some extent fits
            return self.node(path, Shape(element.to), Shape(element.to)), None
        problem = None
        if isinstance(first, Problem) and isinstance(second, Problem):
            problem = _common(first, second)
        several = len(nodes) > 1 and not isinstance(element, Merge)  # those may agree, see above
        if problem and several and UNSURE in problem.message:
            problem = None  # an assumed input does not fit another: no mistake of its own
        if problem:
            problem.path = path + (problem.path or "").removeprefix(TRIAL)
        return self.failed(element, path, nodes), problem

    def failed(self, element: Element, path: str, nodes: tuple[Node, ...]) -> Node | None:
        """Return a node for an element that does not fit these nodes; None where none is likely."""
        shapes = [node.shape for node in nodes]
        if isinstance(element, Elementwise):
            return self.node(path, shapes[0], self.other(nodes[0]))
        if isinstance(element, Reshape):
            to = element.to
            return self.node(path, Shape(to), Shape(to)) if _is_shape(to) else None
        for changed, inputs, certain in _repairs(element, shapes):
            output = self.tried(changed, inputs)
            if isinstance(output, Shape):
                spatial = [
                    max(1, round(n * extent / of))
                    for n, extent, of in zip(
                        output.spatial, shapes[0].spatial, inputs[0].spatial, strict=False
                    )
                ]
                likely = Shape((*(spatial or output.spatial), output.channels))
                vague = self._vague(nodes) or not certain
                return self.node(path, likely, _varied(likely, vague))
        return None

    def _vague(self, nodes: tuple[Node, ...]) -> bool:
        """Whether the number of channels of some node is uncertain."""
        return any(self.other(node).channels != node.channels for node in nodes)

    def node(self, path: str, shape: Shape, other: Shape) -> Node:
        """Return a new node that is assumed to have one of two shapes."""
        node = self.builder.stand_in(path, shape)
        if shape != other:
            self.others[node.index] = other
        return node

    def tried(self, element: Element, shapes: list[Shape]) -> Shape | Problem:
        """Return the output's shape on inputs of these shapes, or what is wrong."""
        try:
            return self.builder.tried(element, shapes)
        except Problem as problem:
            return problem

    def _agreeing(self, element: Element, nodes: tuple[Node, ...]) -> Shape | Problem | None:
        """Return the output of a merge whose uncertain inputs have the extents of a certain one."""
        certain = [node.shape for node in nodes if node.index not in self.others]
        model = (certain or [nodes[0].shape])[0]
        shapes = [
            Shape((*model.spatial, (model if self._vague((node,)) else node.shape).channels))
            if node.index in self.others
            else node.shape
            for node in nodes
        ]
        agree = isinstance(element, Merge) and all(
            node.shape.rank == model.rank for node in nodes if node.index in self.others
        )
        return self.tried(element, shapes) if agree else None


def _is_shape(extents: tuple[int | None, ...]) -> TypeGuard[tuple[int, ...]]:
    """Whether a reshape gives known extents, and as many as a shape may have."""
    return 0 < len(extents) <= max(AMPLE) + 1 and None not in extents


def _repairs(element: Element, shapes: list[Shape]) -> Iterator[tuple[Element, list[Shape], bool]]:
    """Yield elements and inputs close to those given, and whether they keep the channels."""
    if len(shapes) > 1:
        for model in shapes[:2]:
            yield element, [Shape((*model.spatial, shape.channels)) for shape in shapes], True
            yield element, [model] * len(shapes), False
    ample = [Shape((*(AMPLE[x.rank],) * x.rank, x.channels)) if x.rank else x for x in shapes]
    yield element, ample, True
    if shapes[0].rank:  # for what needs a vector
        yield element, [Shape((x.channels,)) for x in shapes], True
    for name, field in type(element).model_fields.items():
        if name in element.model_fields_set and not field.is_required():
            default = field.get_default(call_default_factory=True)
            yield element.model_copy(update={name: default}), ample, name in _OF_WINDOWS


_OF_WINDOWS = frozenset({"kernel", "size", "stride", "padding", "dilation", "ceil"})
"""Arguments that do not change the number of channels."""


def _varied(shape: Shape, vague: bool) -> Shape:
    """Return a second shape with other extents; if `vague`, also with other channels."""
    channels = shape.channels * DIVISIBLE if vague else shape.channels
    return Shape((*(n + FURTHER for n in shape.spatial), channels))


def _common(first: Problem, second: Problem) -> Problem | None:
    """Return what two problems share, `UNSURE` for numbers that differ; None where nothing is."""
    ours, theirs = (re.split(r"(\d+)", problem.message) for problem in (first, second))
    if first.code != second.code or ours[::2] != theirs[::2]:
        return None
    parts = (a if a == b else UNSURE for a, b in zip(ours, theirs, strict=True))
    help_ = first.help if first.help == second.help else None
    common = Problem(first.code, "".join(parts), help=help_)
    common.path = first.path
    return common

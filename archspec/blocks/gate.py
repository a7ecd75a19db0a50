"""The gate of a block: a step of any kind that weighs the values of its branch."""

from typing import Annotated, TypeAlias

from archspec.declare.metadata import Expect, InstanceOf, Instead
from archspec.element import Element
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.graph.graph import Node

Gate: TypeAlias = Annotated[
    Element,
    InstanceOf(Element),
    Expect("a kind of step such as squeeze_excitation, or {kind: arguments}"),
    Instead({"": "one step, as `squeeze_excitation` or `{squeeze_excitation: {ratio: 8}}`"}),
]
"""A step of one input, of any kind whose output has the input's shape; also a block of a spec."""


def gated(b: Builder, x: Node, gate: Element | None) -> Node:
    """Return `x` behind a block's gate.

    Raises:
        Problem: The gate gives another shape.
    """
    if gate is None:
        return x
    y = b(gate, x, name="gate")
    if y.shape != x.shape:
        message = f"a gate keeps the shape, but `{gate.kind}` makes {y.shape} of {x.shape}"
        help_ = "a gate ends with `multiply: input`, or another step that gives the input's shape"
        raise Problem("shape", message, help=help_)
    return y

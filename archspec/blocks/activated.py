"""Activations in blocks: what a block's `activation` may be, and the one place that adds it."""

from typing import Annotated, Final, TypeAlias

from archspec.declare.metadata import Chosen
from archspec.element import Element
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.elementwise import Activate, Glu, PRelu
from archspec.ops.functions import FUNCTIONS, NOTES, WORDS, Function

OPS: Final[dict[str, type[Element]]] = {"prelu": PRelu, "glu": Glu}
"""Activations that are ops of their own: their weights or their shape are not a function's."""

Activation: TypeAlias = Annotated[
    str | Element,
    Chosen(FUNCTIONS | OPS),
    WORDS,
    NOTES,
]
"""An activation by its name, or its name with its arguments, as `{leaky_relu: 0.1}`."""


def activated(b: Builder, x: Node, activation: Activation | None, name: str = "activation") -> Node:
    """Add an activation on `x` and return its output; `x` itself where there is none."""
    op: Element
    if activation is None:
        return x
    if isinstance(activation, str):
        op = OPS[activation]() if activation in OPS else Activate(function=activation)
    else:
        op = Activate(function=activation) if isinstance(activation, Function) else activation
    return b(op, x, name=name)

"""The one place where blocks add an activation."""

from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.elementwise import Activate
from archspec.ops.fields import Activation


def activated(b: Builder, x: Node, activation: Activation | None, name: str = "activation") -> Node:
    """Add an activation on `x` and return its output; `x` itself where there is none."""
    return b(Activate(function=activation), x, name=name) if activation else x

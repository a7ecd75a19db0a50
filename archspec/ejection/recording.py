"""Constructor calls of an op's layers, recorded instead of made.

An op says its Keras layers in `emit`, whose argument is Keras. Here that argument is a recorder, so
that an ejected program has the layers that `archspec.build` makes, those of third parties' ops too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from archspec.errors import UsageError
from archspec.graph.graph import IN_KERAS, SEPARATOR, Node
from archspec.ops.shape import Shape


@dataclass(frozen=True)
class Construction:
    """One call of a constructor: a class's name, and arguments by position or by name."""

    name: str
    arguments: dict[int | str, Any]


def call(name: str, /, *positional: Any, **named: Any) -> Construction:
    """Return the call of a constructor or of a function."""
    arguments: dict[int | str, Any] = dict(enumerate(positional))
    arguments.update(named)
    return Construction(name, arguments)


class Recorder:
    """The argument `layers` of `Op.emit`: every class is a function that records its call."""

    def __getattr__(self, name: str) -> Callable[..., Construction]:
        return partial(call, name)


def layer_name(path: str) -> str:
    """Return the name that the layer at a path has in Keras."""
    return path.replace(SEPARATOR, IN_KERAS)


def constructions(node: Node, x: Shape) -> tuple[Construction, ...]:
    """Return the constructor calls of a node's layers, in the order in which they are applied.

    Args:
        node: A node that is not an input.
        x: The shape of its input; open in the axes that vary where its weights are shared.
    """
    made = node.op.emit(Recorder(), layer_name(node.name), x)
    chain = made if isinstance(made, tuple) else (made,)
    if not all(isinstance(each, Construction) for each in chain):
        message = (
            f"the layers of `{node.op.kind}` cannot be written as source: its `emit` makes them "
            "itself, and not with the argument `layers`"
        )
        raise UsageError(message)
    if not node.op.frozen:
        return chain
    return tuple(Construction(e.name, {**e.arguments, "trainable": False}) for e in chain)
